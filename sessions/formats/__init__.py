"""How numbers are written: the same in every language."""
