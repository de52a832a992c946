"""A report as it was counted: one set of numbers for page, file and print."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

Number = int | Decimal
Value = Number | str | None

MISSING = "–"


class Part(NamedTuple):
    """A piece of a sentence; what matters most in it is `strong`."""

    text: str
    strong: bool = False


Sentence = tuple[Part, ...]


def said(*sentences: str) -> Sentence:
    """Sentences as one, what stands between double stars strong: `**3** of 4`."""
    pieces = " ".join(each for each in sentences if each).split("**")
    return tuple(Part(text, strong=bool(n % 2)) for n, text in enumerate(pieces))


def plain_text(sentence: Sentence) -> str:
    """The sentence without its marks, for files."""
    return "".join(part.text for part in sentence)


def counted(number: int, one: str, many: str) -> str:
    """`1 infusion`, `4100 infusions`, `14,210 sets`: texts that name `{count}`."""
    return ngettext(one, many, number).format(count=written(number))


def plural(one: str, many: str) -> tuple[str, str]:
    """Mark two texts that are counted later: `counted(number, *TEXTS)`."""
    return one, many


def written(value: Value) -> str:
    """A value as a page writes it: thousands mark from 10,000, a dash when missing."""
    if value is None:
        return MISSING
    if isinstance(value, str):
        return value
    return f"{value:,}" if abs(value) >= 10_000 else f"{value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of numbers. Two keys are the ends of an interval: `2.6 to 3.7`."""

    title: str
    keys: tuple[str, ...]
    is_main: bool = False

    @property
    def heads(self) -> list[str]:
        """The heads in a file, where each number has a column of its own."""
        if len(self.keys) == 1:
            return [self.title]
        return [
            _("{title}, from").format(title=self.title),
            _("{title}, to").format(title=self.title),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One group with its numbers; `note` says why it is not compared with others."""

    label: str
    values: dict[str, Value]
    is_small: bool = False
    is_total: bool = False
    note: str = ""


class Cell(NamedTuple):
    text: str
    is_main: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was counted, in words, as a picture and as a table.

    `grouped` names the groups ("Product"). The last row is the total over everything;
    groups may overlap, so it is not always their sum. Without `is_found` nothing
    matched the filters, and there is no rate to show.
    """

    key: str
    title: str
    headline: str
    sentence: Sentence
    left_out: tuple[str, ...]
    grouped: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    definitions: tuple[tuple[str, str], ...]
    caution: str
    is_found: bool = True

    @property
    def groups(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if not row.is_total)

    @property
    def total(self) -> Row | None:
        return next((row for row in self.rows if row.is_total), None)

    @property
    def heads(self) -> list[str]:
        """The heads of the file."""
        numbers = [head for column in self.columns for head in column.heads]
        return [self.grouped, *numbers, _("Note")]

    @property
    def file_rows(self) -> list[list[Value]]:
        """The rows of the file: the numbers of the page, each in a cell of its own."""
        return [
            [
                row.label,
                *(row.values.get(key) for c in self.columns for key in c.keys),
                row.note,
            ]
            for row in self.rows
        ]

    @property
    def lines(self) -> list[tuple[Row, list[Cell]]]:
        """The rows of the page, as they are read."""
        return [
            (row, [cell(row, column) for column in self.columns]) for row in self.rows
        ]


def cell(row: Row, column: Column) -> Cell:
    """One cell of the page; an interval is written as one."""
    values = [row.values.get(key) for key in column.keys]
    if any(value is None for value in values):
        return Cell(MISSING, column.is_main)
    return Cell(_(" to ").join(written(value) for value in values), column.is_main)


def ranked(rows: Sequence[Row], key: str) -> tuple[Row, ...]:
    """Groups from the highest to the lowest; small ones after them, by name only."""
    large = [row for row in rows if not row.is_small]
    small = [row for row in rows if row.is_small]
    large.sort(key=lambda row: (-(row.values.get(key) or 0), row.label.casefold()))
    small.sort(key=lambda row: row.label.casefold())
    return (*large, *small)
