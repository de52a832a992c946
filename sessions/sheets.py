"""A table as a workbook (XLSX): the same rows as the CSV, each cell of its own type.

Words are written as words, whatever they begin with; nothing is cut. A sheet holds
1,048,576 rows and a cell 32,767 characters: more rows go on in a further sheet, more
characters in the sheet `Long texts`, and the cell says where.
"""

import io
from collections.abc import Sequence
from decimal import Decimal

import xlsxwriter
from django.http import HttpResponse
from django.utils.translation import gettext as _
from xlsxwriter.utility import xl_rowcol_to_cell

from sessions.exports import (
    Cell,
    Table,
    download,
    one_line,
    plain_cell,
    would_calculate,
)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS_OF_A_SHEET = 1_048_576
CELL_HOLDS = 32_767
"""Characters as the format counts them: those beyond the first plane count twice."""
EXACT_DIGITS = 15
"""A cell's number is binary: more significant digits would change its last ones."""
WIDEST = 60


def xlsx(table: Table) -> HttpResponse:
    return download(workbook(table), kind=XLSX, name=f"{table.name}.xlsx")


def workbook(table: Table) -> bytes:
    """The rows on the first sheet, and what the file says about itself on the next."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        writer = _Writer(book)
        per_sheet = ROWS_OF_A_SHEET - 1  # the heads stand on each
        for first in range(0, max(len(table.rows), 1), per_sheet):
            number = first // per_sheet + 1
            name = (
                _("Rows") if number == 1 else _("Rows {number}").format(number=number)
            )
            writer.rows(name, table.heads, table.rows[first : first + per_sheet])
        writer.facts(table)
        writer.long_texts()
    return file.getvalue()


class _Writer:
    """Puts cells into a workbook and remembers what did not fit into one."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self.book = book
        self.head = book.add_format({"bold": True})
        # Shown and kept as words even when somebody edits the cell.
        self.quoted = book.add_format({"quote_prefix": True})
        self.decimals: dict[int, xlsxwriter.format.Format] = {}
        self.long: list[tuple[str, str]] = []

    def rows(self, name: str, heads: Sequence[str], rows: Sequence) -> None:
        sheet = self.book.add_worksheet(name)
        widths = [len(head) for head in heads]
        for column, head in enumerate(heads):
            sheet.write_string(0, column, str(head), self.head)
        for line, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                width = self.cell(sheet, line, column, value)
                widths[column] = max(widths[column], width)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, min(width + 2, WIDEST))
        sheet.freeze_panes(1, 0)

    def facts(self, table: Table) -> None:
        sheet = self.book.add_worksheet(_("About"))
        hashed = (_("SHA-256 of the rows as CSV, heads included"), table.sha256)
        for line, (label, value) in enumerate((*table.facts, hashed)):
            sheet.write_string(line, 0, str(label), self.head)
            if isinstance(value, str | None):
                value = one_line(value or "")
            self.cell(sheet, line, 1, value)
        sheet.set_column(0, 0, 32)
        sheet.set_column(1, 1, WIDEST)

    def long_texts(self) -> None:
        """The rest of each text that no cell holds, part by part."""
        if not self.long:
            return
        sheet = self.book.add_worksheet(_("Long texts"))
        sheet.write_string(0, 0, _("Continues"), self.head)
        sheet.write_string(0, 1, _("Text"), self.head)
        for line, (cell, text) in enumerate(self.long, start=1):
            sheet.write_string(line, 0, cell)
            self.words(sheet, line, 1, text)
        sheet.set_column(0, 0, 16)
        sheet.set_column(1, 1, WIDEST)

    def cell(self, sheet, line: int, column: int, value: Cell) -> int:
        """Write one cell; gives back how wide its words are."""
        text = plain_cell(value)
        if _is_number(value):
            sheet.write_number(line, column, value, self.places(value))
        elif text:
            place = f"{sheet.get_name()}!{xl_rowcol_to_cell(line, column)}"
            self.words(sheet, line, column, self.fitting(text, place))
        return len(text)

    def words(self, sheet, line: int, column: int, text: str) -> None:
        style = self.quoted if would_calculate(text) else None
        sheet.write_string(line, column, text, style)

    def places(self, value: int | Decimal):
        """As many decimals as the number has: 3.10 does not become 3.1."""
        count = max(0, -value.as_tuple().exponent) if isinstance(value, Decimal) else 0
        if count not in self.decimals:
            shape = f"0.{'0' * count}" if count else "0"
            self.decimals[count] = self.book.add_format({"num_format": shape})
        return self.decimals[count]

    def fitting(self, text: str, place: str) -> str:
        """The words, or their beginning with the words where they go on."""
        if _length(text) <= CELL_HOLDS:
            return text
        note = _(" … (goes on in the sheet Long texts)")
        first, rest = _cut(text, CELL_HOLDS - len(note))
        while rest:
            part, rest = _cut(rest, CELL_HOLDS)
            self.long.append((place, part))
        return first + note


def _is_number(value: Cell) -> bool:
    """Whether a cell can hold this number without changing a digit of it."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    number = Decimal(value)
    return number.is_finite() and len(number.as_tuple().digits) <= EXACT_DIGITS


def _length(text: str) -> int:
    return len(text) + sum(letter > "\uffff" for letter in text)


def _cut(text: str, holds: int) -> tuple[str, str]:
    """A beginning that fits, and the rest of the text."""
    end = holds
    while (over := _length(text[:end]) - holds) > 0:
        end -= (over + 1) // 2  # each letter counts at most twice
    return text[:end], text[end:]
