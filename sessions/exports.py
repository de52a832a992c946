"""What leaves the product as a file: numbers as numbers, words that no sheet executes.

A file says about itself who asked for it, when, with which filters, how many rows it
has and the SHA-256 of its rows, so that a part of it is never taken for the whole.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.http import HttpResponse
from django.utils import timezone

from sessions.models import Clinic, User

STARTS_A_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""First characters that make a spreadsheet calculate; the wide forms do so in some."""

BYTE_ORDER_MARK = "\ufeff"
"""Tells a spreadsheet that the text is UTF-8; it is no part of the hash."""

Cell = str | int | Decimal | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFile:
    """A finished file with what its audit row says about it."""

    name: str
    text: str
    row_count: int
    sha256: str

    def response(self) -> HttpResponse:
        """The file as a download that no browser keeps or shows in place."""
        response = HttpResponse(self.text, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{self.name}"'
        return response


def csv_file(
    *,
    name: str,
    about: Iterable[tuple[str, Cell]],
    heads: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    clinic: Clinic,
    user: User,
    at: datetime,
) -> CsvFile:
    """Write a file: what it is about, an empty line, the heads and the rows.

    The hash is over heads and rows as UTF-8 with CRLF at the ends of lines, that is
    over everything after the first empty line.
    """
    body, count = io.StringIO(), 0
    writer = csv.writer(body, lineterminator="\r\n")
    writer.writerow([neutral(head) for head in heads])
    for row in rows:
        writer.writerow([cell_text(cell) for cell in row])
        count += 1
    content = body.getvalue()
    digest = hashlib.sha256(content.encode()).hexdigest()
    local = at.astimezone(clinic.zone)
    head = io.StringIO()
    lines = csv.writer(head, lineterminator="\r\n")
    for label, value in (
        *about,
        ("Clinic", clinic.name),
        ("Requested by", f"{user.name} ({user.username})"),
        ("Requested at", f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"),
        ("Requested at, UTC", at),
        ("Rows", count),
        ("SHA-256 of everything after the empty line", digest),
    ):
        text = cell_text(value)
        lines.writerow([neutral(label), " ".join(text.split()) if text else "–"])
    return CsvFile(
        name=name,
        text=f"{BYTE_ORDER_MARK}{head.getvalue()}\r\n{content}",
        row_count=count,
        sha256=digest,
    )


def csv_response(
    name: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    clinic: Clinic,
    user: User,
    at: datetime | None = None,
    about: Iterable[tuple[str, Cell]] = (),
) -> HttpResponse:
    """The same as one answer, for lists whose audit row is written elsewhere."""
    return csv_file(
        name=name,
        about=about,
        heads=heads,
        rows=rows,
        clinic=clinic,
        user=user,
        at=at or timezone.now(),
    ).response()


def cell_text(value: Cell) -> str:
    """A cell as the file has it: a number bare, a moment in UTC, words neutral."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    return neutral(str(value))


def neutral(text: str) -> str:
    """Words with an apostrophe before them where a sheet would start to calculate.

    Spaces before the first character do not hide it; the words stay whole, however
    long they are.
    """
    first = next((c for c in text if c in "\t\r\n" or not c.isspace()), "")
    return f"'{text}" if first in STARTS_A_FORMULA and first else text
