"""Backups: a copy of the whole database, sealed, and proven by restoring it.

`envelope` seals and opens, `engines` copies and restores, `manifest` counts what a
database holds, `verification` compares, `files` puts it together, `age` tells admins.
"""
