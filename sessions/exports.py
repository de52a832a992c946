"""What leaves the product as a file: numbers as numbers, words that no sheet executes.

A file says about itself who asked for it, when, with which filters, how many rows it
has and the SHA-256 of its rows, so that a part of it is never taken for the whole.
`Table` is what is exported; here it becomes CSV, in `sessions.sheets` a workbook.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property

from django.http import HttpResponse
from django.utils.translation import gettext as _

from sessions.models import Clinic, User

STARTS_A_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""First characters that make a spreadsheet calculate; the wide forms do so in some."""

BYTE_ORDER_MARK = "\ufeff"
"""Tells a spreadsheet that the text is UTF-8; it is no part of the hash."""

Cell = str | int | Decimal | datetime | None
CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Heads and rows as they leave the product, and what the file says about them.

    `name` is the file's, without its ending; `about` are the filters and definitions.
    """

    name: str
    about: Sequence[tuple[str, Cell]] = ()
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    clinic: Clinic
    user: User
    at: datetime

    @property
    def row_count(self) -> int:
        return len(self.rows)

    @cached_property
    def content(self) -> str:
        """Heads and rows as CSV, with CRLF at the ends of lines."""
        body = io.StringIO()
        writer = csv.writer(body, lineterminator="\r\n")
        writer.writerow([neutral(head) for head in self.heads])
        writer.writerows([cell_text(cell) for cell in row] for row in self.rows)
        return body.getvalue()

    @cached_property
    def sha256(self) -> str:
        """The hash of heads and rows as CSV, the same whatever the file's format."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def facts(self) -> list[tuple[str, Cell]]:
        """What the file says about itself, line by line."""
        local = self.at.astimezone(self.clinic.zone)
        return [
            *self.about,
            (_("Clinic"), self.clinic.name),
            (_("Requested by"), f"{self.user.name} ({self.user.username})"),
            (_("Requested at"), f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"),
            (_("Requested at, UTC"), self.at),
            (_("Rows"), self.row_count),
        ]

    @property
    def text(self) -> str:
        """The whole CSV: the facts, an empty line, the heads and the rows.

        The hash is over everything after the first empty line.
        """
        head = io.StringIO()
        lines = csv.writer(head, lineterminator="\r\n")
        hashed = (_("SHA-256 of everything after the empty line"), self.sha256)
        for label, value in (*self.facts, hashed):
            lines.writerow([neutral(label), one_line(cell_text(value))])
        return f"{BYTE_ORDER_MARK}{head.getvalue()}\r\n{self.content}"

    def csv(self) -> HttpResponse:
        return download(self.text, kind=CSV, name=f"{self.name}.csv")


def download(content: str | bytes, *, kind: str, name: str) -> HttpResponse:
    """A file as a download that no browser keeps or shows in place."""
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def one_line(text: str) -> str:
    """A value of the facts: no line of it can be taken for the end of them."""
    return " ".join(text.split()) or "–"


def cell_text(value: Cell) -> str:
    """A cell as the file has it: a number bare, a moment in UTC, words neutral."""
    return neutral(value) if isinstance(value, str) else plain_cell(value)


def plain_cell(value: Cell) -> str:
    """A cell's words, for a format in which words are never taken for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def neutral(text: str) -> str:
    """Words with an apostrophe before them where a sheet would start to calculate.

    Spaces before the first character do not hide it; the words stay whole, however
    long they are.
    """
    return f"'{text}" if would_calculate(text) else text


def would_calculate(text: str) -> bool:
    """Whether a sheet that guesses would take these words for a formula."""
    first = next((c for c in text if c in "\t\r\n" or not c.isspace()), "")
    return bool(first) and first in STARTS_A_FORMULA
