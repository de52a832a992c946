"""How numbers are written: the same in every language (RULINGS 22)."""
