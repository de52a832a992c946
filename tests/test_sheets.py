"""Workbooks: the rows of the CSV, words as words, nothing cut, nothing calculated."""

import io
import zipfile
from datetime import UTC, datetime
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from sessions import sheets
from sessions.exports import would_calculate
from tests.hostile.canaries import CANARIES
from tests.test_exports import AT, written

GOES_ON = " … (goes on in the sheet Long texts)"


def book_of(rows, **more):
    content = sheets.workbook(written(rows, **more))
    return openpyxl.load_workbook(io.BytesIO(content)), content


def column(sheet, number: int = 0) -> list:
    """A column without its head."""
    return [row[number].value for row in sheet.iter_rows(min_row=2)]


@pytest.mark.parametrize(
    "text", ["=1+1", "+44 20", "-5", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0", "＝1"]
)
def test_words_that_look_like_a_formula_stay_words_also_when_edited(text):
    book, content = book_of([[text, 1]])

    cell = book["Rows"]["A2"]
    assert (cell.data_type, cell.value) == ("s", text)
    assert cell.quotePrefix
    assert b"<f>" not in zipfile.ZipFile(io.BytesIO(content)).read(
        "xl/worksheets/sheet1.xml"
    )


def test_every_canary_comes_back_as_it_was():
    book, _ = book_of([[word, 0] for word in CANARIES])

    assert column(book["Rows"]) == list(CANARIES)
    assert not any(row[0].hyperlink for row in book["Rows"].iter_rows())


def test_a_link_or_a_number_in_words_is_neither_link_nor_number():
    book, _ = book_of([["https://hostile", 1], ["0012", 2], ["TRUE", 3], ["", 4]])

    assert column(book["Rows"]) == ["https://hostile", "0012", "TRUE", None]
    assert [c.data_type for c in book["Rows"]["A"][1:4]] == ["s", "s", "s"]


def test_numbers_stay_numbers_with_their_places():
    values = [0, -5, Decimal("3.10"), Decimal("0.000001"), 14_210, 123_456_789_012_345]
    book, _ = book_of([["a", value] for value in values])

    cells = [row[1] for row in book["Rows"].iter_rows(min_row=2)]
    assert [cell.data_type for cell in cells] == ["n"] * len(values)
    assert [Decimal(str(cell.value)) for cell in cells] == [*map(Decimal, values)]
    assert [cell.number_format for cell in cells[2:5]] == ["0.00", "0.000000", "0"]


@pytest.mark.parametrize("text", ["1152921504606846976", "0.12345678901234567"])
def test_a_number_that_a_cell_would_round_is_written_as_words(text):
    book, _ = book_of([["a", Decimal(text)]])

    assert (book["Rows"]["B2"].data_type, book["Rows"]["B2"].value) == ("s", text)


def test_nothing_yes_no_and_moments_are_as_in_the_csv():
    moment = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
    book, _ = book_of([[None, 1], [True, 2], [False, 3], [moment, 4]])

    assert column(book["Rows"]) == [None, "yes", "no", "2026-06-01T09:30:00Z"]


@pytest.mark.parametrize(
    "text", ["".join(map(chr, range(32))), "\x7f\x85\ufeff\ufffe\uffff"]
)
def test_control_characters_do_not_break_the_file(text):
    """The format writes them as `_x0007_`, which every reader turns back."""
    book, _ = book_of([[f"a{text}b", 1]])

    assert unescape(column(book["Rows"])[0]) == f"a{text}b"


def test_words_that_look_like_an_escape_stay_words():
    book, content = book_of([["_x0041_ is no A", 1]])

    assert column(book["Rows"]) == ["_x0041_ is no A"]
    texts = zipfile.ZipFile(io.BytesIO(content)).read("xl/sharedStrings.xml")
    assert b"_x005F_x0041_ is no A" in texts


@pytest.mark.parametrize(
    "text",
    [
        "x" * 32_767,
        "x" * 32_768,
        "=" + "y" * 70_000,
        "💉" * 16_384,
        "a" + "💉" * 40_000,
    ],
    ids=["fits", "one too many", "long formula", "wide", "long and wide"],
)
def test_a_text_that_no_cell_holds_goes_on_where_the_cell_says(text):
    book, _ = book_of([["short", 1], [text, 2]])

    shown = book["Rows"]["A3"].value
    units = len(shown.encode("utf-16-le")) // 2
    assert units <= 32_767
    if shown == text:
        assert "Long texts" not in book.sheetnames
        return
    assert shown.endswith(GOES_ON)
    rest = [row for row in book["Long texts"].values if row[0] == "Rows!A3"]
    assert all(len(part.encode("utf-16-le")) // 2 <= 32_767 for _, part in rest)
    assert shown.removesuffix(GOES_ON) + "".join(part for _, part in rest) == text


def test_only_a_text_that_does_not_fit_is_continued():
    assert "Long texts" not in book_of([["x" * 32_767, 1]])[0].sheetnames
    assert "Long texts" in book_of([["x" * 32_768, 1]])[0].sheetnames


@pytest.mark.parametrize(("rows", "names"), [(3, 1), (4, 2), (7, 3), (0, 1)])
def test_rows_that_no_sheet_holds_go_on_in_the_next(monkeypatch, rows, names):
    monkeypatch.setattr(sheets, "ROWS_OF_A_SHEET", 4)

    book, _ = book_of([[f"row {number}", number] for number in range(rows)])

    found = [name for name in book.sheetnames if name.startswith("Rows")]
    assert len(found) == names
    assert all([*book[name].values][0] == ("Name", "Per 100") for name in found)
    listed = [value for name in found for value in column(book[name], 1)]
    assert listed == list(range(rows))


def test_the_second_sheet_says_who_asked_when_and_for_what():
    table = [["Octagam", Decimal("3.9")]]
    book, _ = book_of(table, about=[("Product", "=Octagam"), ("Note", "a\r\n\r\nb")])

    assert book.sheetnames == ["Rows", "About"]
    about = dict(book["About"].values)
    assert about == {
        "Product": "=Octagam",
        "Note": "a b",
        "Clinic": "Riverside Infusion",
        "Requested by": "Robin Clarke (admin)",
        "Requested at": "2026-06-01 10:30:05 BST",
        "Requested at, UTC": f"{AT:%Y-%m-%dT%H:%M:%S}Z",
        "Rows": 1,
        "SHA-256 of the rows as CSV, heads included": written(table).sha256,
    }


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.text(
                alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]),
                min_size=1,
            ).filter(lambda text: "_x" not in text),
            st.integers(min_value=-(10**15) + 1, max_value=10**15 - 1),
        ),
        max_size=8,
    )
)
def test_every_row_comes_back_whole(rows):
    book, _ = book_of(rows)

    assert list(zip(column(book["Rows"]), column(book["Rows"], 1), strict=True)) == rows


def test_a_writer_that_guesses_would_be_noticed():
    """The library's own `write` takes a leading `=` for a formula: never used here."""
    file = io.BytesIO()
    with sheets.xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.add_worksheet("Rows").write(0, 0, "=1+1")
    cell = openpyxl.load_workbook(file)["Rows"]["A1"]

    assert would_calculate("=1+1")
    assert cell.data_type == "f"
