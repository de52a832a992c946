"""German writes 1,5 and 1.000; a dose is written 1.5 in every language."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = ""
NUMBER_GROUPING = 0
