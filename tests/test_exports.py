"""Files that leave the product: whole, honest about themselves, and never a formula."""

import csv
import hashlib
import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.exports import BYTE_ORDER_MARK, Table, cell_text, neutral

AT = datetime(2026, 6, 1, 9, 30, 5, tzinfo=UTC)
CLINIC = SimpleNamespace(name="Riverside Infusion", zone=ZoneInfo("Europe/London"))
ADMIN = SimpleNamespace(name="Robin Clarke", username="admin")


def written(rows, about=(), heads=("Name", "Per 100")):
    return Table(
        name="list",
        about=about,
        heads=heads,
        rows=rows,
        clinic=CLINIC,
        user=ADMIN,
        at=AT,
    )


def parts(file) -> tuple[dict[str, str], list[list[str]], str]:
    """What the file says about itself, its rows, and the text they were read from."""
    head, _, body = file.text.removeprefix(BYTE_ORDER_MARK).partition("\r\n\r\n")
    return (
        dict(csv.reader(io.StringIO(head))),
        list(csv.reader(io.StringIO(body))),
        body,
    )


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+44 20 7946 0000",
        "-5",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =cmd|' /C calc'!A0",
        "\u00a0=1",
        " \t1",
        "＝1+1",
        "=" + "A" * 32_767,
    ],
)
def test_words_that_a_sheet_would_calculate_get_an_apostrophe(text):
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", " ", "Octagam 10 %", "a=b", "3-4", "'=1", "É"])
def test_other_words_stay_as_they_are(text):
    assert neutral(text) == text


def test_words_of_32768_letters_are_not_cut():
    long = "x" * 32_768

    _, rows, _ = parts(written([[long, 1]]))

    assert rows[1][0] == long


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-5, "-5"),
        (Decimal("-0.5"), "-0.5"),
        (Decimal("3.0"), "3.0"),
        (Decimal("1E+3"), "1000"),
        (14210, "14210"),
        (True, "yes"),
        (None, ""),
        ("-5", "'-5"),
        (
            datetime(2026, 6, 1, 10, 30, tzinfo=timezone(timedelta(hours=1))),
            "2026-06-01T09:30:00Z",
        ),
    ],
)
def test_numbers_stay_numbers_and_moments_are_in_utc(value, text):
    assert cell_text(value) == text


def test_the_hash_is_over_everything_after_the_empty_line():
    file = written([["Octagam", Decimal("3.9")], ["Privigen", Decimal("3.1")]])

    about, rows, body = parts(file)

    digest = hashlib.sha256(body.encode()).hexdigest()
    assert about["SHA-256 of everything after the empty line"] == digest
    assert file.sha256 == digest
    assert about["Rows"] == "2" == str(file.row_count)
    assert rows == [["Name", "Per 100"], ["Octagam", "3.9"], ["Privigen", "3.1"]]


def test_a_file_says_who_asked_when_where_and_for_what():
    about, _, _ = parts(written([], about=[("Product", "=Octagam"), ("Found", "")]))

    assert about["Requested by"] == "Robin Clarke (admin)"
    assert about["Requested at"] == "2026-06-01 10:30:05 BST"
    assert about["Requested at, UTC"] == "2026-06-01T09:30:05Z"
    assert about["Clinic"] == "Riverside Infusion"
    assert about["Product"] == "'=Octagam"
    assert about["Found"] == "–"


def test_lines_inside_a_filter_cannot_forge_the_end_of_the_head():
    about, rows, _ = parts(written([["a", 1]], about=[("Note", "one\r\n\r\nRows,9")]))

    assert about["Note"] == "one Rows,9"
    assert len(rows) == 2


@given(
    st.lists(
        st.tuples(
            st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0")),
            st.integers(),
        )
    )
)
def test_every_cell_comes_back_whole(rows):
    _, found, _ = parts(written(rows))

    read = [(text, int(number)) for text, number in found[1:]]
    assert [(neutral(text), number) for text, number in rows] == read
