"""Counted reads: what the record says about many visits at once. They never write."""
