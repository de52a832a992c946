"""Columns whose limits the database itself holds.

SQLite ignores declared lengths and numeric ranges, so each column carries a CHECK.
"""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Text(models.CharField):
    """A short text of at most `max_length` characters, empty rather than null."""

    def db_check(self, connection):
        column = connection.ops.quote_name(self.column)
        return f"length({column}) <= {self.max_length}"


class Prose(models.TextField):
    """A longer text of at most `max_length` characters."""

    def db_check(self, connection):
        column = connection.ops.quote_name(self.column)
        return f"length({column}) <= {self.max_length}"


class Measure(models.DecimalField):
    """A measured or computed quantity between `low` and `high`, unit in its name.

    At most 15 digits, because SQLite keeps decimals as floating point and changes
    longer ones (I5).
    """

    def __init__(self, *args, low="0", high, digits=9, places=3, **options):
        if digits > 15:
            raise ValueError("at most 15 digits survive SQLite")
        self.low, self.high = Decimal(low), Decimal(high)
        options["max_digits"], options["decimal_places"] = digits, places
        super().__init__(*args, **options)
        self.validators = [
            *self.validators,
            MinValueValidator(self.low),
            MaxValueValidator(self.high),
        ]

    def deconstruct(self):
        name, path, args, options = super().deconstruct()
        options["digits"] = options.pop("max_digits")
        options["places"] = options.pop("decimal_places")
        options["low"], options["high"] = str(self.low), str(self.high)
        options.pop("validators", None)
        return name, path, args, options

    def db_check(self, connection):
        column = connection.ops.quote_name(self.column)
        return f"{column} >= {self.low} AND {column} <= {self.high}"


class Count(models.SmallIntegerField):
    """A whole number between `low` and `high`, unit in its name."""

    def __init__(self, *args, low=0, high, **options):
        self.low, self.high = low, high
        super().__init__(*args, **options)

    def deconstruct(self):
        name, path, args, options = super().deconstruct()
        options["low"], options["high"] = self.low, self.high
        return name, path, args, options

    def db_check(self, connection):
        column = connection.ops.quote_name(self.column)
        return f"{column} >= {self.low} AND {column} <= {self.high}"


class Choice(Text):
    """One of a fixed set of words; the database refuses any other."""

    # The words stand in the CHECK: a new one has to alter the column.
    non_db_attrs = tuple(
        each for each in Text.non_db_attrs if each not in ("choices", "blank")
    )

    def __init__(self, *args, choices, **options):
        options.setdefault("max_length", max(len(word) for word, _ in _pairs(choices)))
        super().__init__(*args, choices=choices, **options)

    def db_check(self, connection):
        column = connection.ops.quote_name(self.column)
        words = ", ".join(f"'{word}'" for word, _ in self.flatchoices)
        empty = ", ''" if self.blank else ""
        return f"{column} IN ({words}{empty})"


def _pairs(choices):
    return choices.choices if hasattr(choices, "choices") else list(choices)
