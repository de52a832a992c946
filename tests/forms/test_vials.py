"""Scanned and typed vials: what is read, and what is refused in words."""

from datetime import date
from decimal import Decimal

import pytest
from django.http import QueryDict

from sessions.forms.vials import BarcodeError, VialForm, read_barcode
from sessions.models import Clinic
from tests.conftest import NINE

GTIN = "00761250431005"
HEAD = f"01{GTIN}17280831"
WHOLE = f"{HEAD}10P100512345\x1d21ABC123"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(WHOLE, id="group separator"),
        pytest.param(WHOLE.replace("\x1d", "<GS>"), id="separator written as <GS>"),
        pytest.param(WHOLE.replace("\x1d", "{GS}"), id="separator written as {GS}"),
        pytest.param(WHOLE.replace("\x1d", "␝"), id="separator as a picture"),
        pytest.param("]d2" + WHOLE, id="with the symbology of a DataMatrix"),
        pytest.param("]C1" + WHOLE, id="with the symbology of a GS1-128"),
        pytest.param("\x1d" + WHOLE, id="with a leading FNC1"),
        pytest.param("<GS>" + WHOLE + "<GS>", id="with separators around"),
        pytest.param(f"  {WHOLE}\r\n", id="with the scanner's line end"),
        pytest.param(
            f"(01){GTIN}(17)280831(10)P100512345(21)ABC123", id="typed with brackets"
        ),
        pytest.param(
            f"21ABC123\x1d01{GTIN}10P100512345\x1d17280831", id="in another order"
        ),
    ],
)
def test_every_way_a_scanner_types_a_code_reads_the_same(code):
    scan = read_barcode(code)

    assert (scan.gtin, scan.lot, scan.serial) == (GTIN, "P100512345", "ABC123")
    assert scan.expiry == date(2028, 8, 31)
    assert not scan.doubtful


def test_a_day_of_zeros_is_the_last_day_of_the_month():
    assert read_barcode(f"01{GTIN}1728020010P1").expiry == date(2028, 2, 29)


def test_a_missing_separator_makes_the_lot_doubtful_not_wrong():
    scan = read_barcode(f"{HEAD}10P10051234521ABC123")

    assert scan.lot == "P10051234521ABC123"
    assert scan.doubtful


def test_a_code_that_ends_with_its_lot_needs_no_separator():
    assert not read_barcode(f"{HEAD}10P100512345").doubtful


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param("7612504310054", "names the product only", id="EAN-13"),
        pytest.param(GTIN, "names the product only", id="bare GTIN"),
        pytest.param("hello", "could not be read", id="no code"),
        pytest.param(f"01{GTIN}17289931", "could not be read", id="month 99"),
        pytest.param(f"01{GTIN}17300229", "could not be read", id="30 February"),
        pytest.param("010076125043100317280831", "check digit", id="wrong check digit"),
        pytest.param("1728083110P1", "no product number", id="no GTIN"),
        pytest.param(f"01{GTIN}10P1", "not hold: expiry", id="no expiry"),
        pytest.param(f"01{GTIN}17280831", "not hold: lot", id="no lot"),
        pytest.param(
            f"{HEAD}10{'A' * 25}", "could not be read", id="lot longer than 20"
        ),
        pytest.param(WHOLE + WHOLE, "could not be read", id="scanned twice into one"),
        pytest.param(WHOLE[5:], "could not be read", id="the first half missing"),
        pytest.param(WHOLE[:9], "could not be read", id="cut off in the number"),
        pytest.param(WHOLE[:22], "could not be read", id="cut off in the expiry"),
        pytest.param(WHOLE[:24], "hold: lot", id="cut off before the lot"),
        pytest.param(
            WHOLE.replace("0761", "O76l", 1), "could not be read", id="letters in it"
        ),
        pytest.param("]A0" + WHOLE, r"another kind of code \(Code 39\)", id="Code 39"),
        pytest.param("]C0" + WHOLE, r"another kind .*Code 128", id="plain Code 128"),
        pytest.param("]Q1https://a.example/01", r"another kind .*QR", id="QR"),
        pytest.param("]E07612504310054", "names the product only", id="EAN-13, named"),
        pytest.param("\x1d\x1d", "could not be read", id="separators alone"),
    ],
)
def test_what_is_no_vial_code_is_refused_in_words(code, words):
    with pytest.raises(BarcodeError, match=words):
        read_barcode(code)


def form(known=None, **data) -> VialForm:
    posted = QueryDict(mutable=True)
    posted.update(data)
    clinic = Clinic(name="Riverside", code="riverside")
    made = VialForm(posted, clinic=clinic, at=NINE, pack_of=(known or {}).get)
    made.is_valid()
    return made


def test_a_known_pack_is_one_scan():
    made = form({GTIN: ("privigen_10", Decimal(10))}, code=WHOLE)

    assert made.is_valid()
    assert made.values == {
        "product_key": "privigen_10",
        "grams": Decimal(10),
        "lot": "P100512345",
        "expiry": date(2028, 8, 31),
        "gtin": GTIN,
        "serial": "ABC123",
    }


def test_a_new_pack_asks_for_product_and_grams_once():
    assert "new here" in str(form(code=WHOLE).errors["product_key"])
    assert form(code=WHOLE, product_key="privigen_10", grams="10").is_valid()


def test_a_doubtful_lot_is_asked_about_before_it_counts():
    code = f"{HEAD}10P10051234521ABC123"
    known = {GTIN: ("privigen_10", Decimal(10))}

    asked = form(known, code=code)

    assert asked.asks
    assert not asked.is_valid()
    assert form(known, code=code, confirmed=asked.confirm_token).is_valid()


@pytest.mark.parametrize("missing", ["product_key", "grams", "lot", "expiry"])
def test_a_typed_vial_needs_all_four(missing):
    data = {
        "product_key": "privigen_10",
        "grams": "10",
        "lot": "P1",
        "expiry": "2028-08-31",
    }
    del data[missing]

    assert missing in form(**data).errors


def test_nothing_typed_asks_for_a_scan():
    assert "Scan the vial" in str(form().errors["code"])


def test_a_size_that_is_not_made_is_refused():
    made = form(product_key="privigen_10", grams="15", lot="P1", expiry="2028-08-31")

    assert "comes in vials of" in str(made.errors["grams"])


def test_a_turbid_vial_is_set_aside_and_not_recorded():
    made = form({GTIN: ("privigen_10", Decimal(10))}, code=WHOLE, looks_wrong="on")

    assert "Set this vial aside" in str(made.errors["looks_wrong"])


@pytest.mark.parametrize("code", ["01\u202e2", "ＧＳ１", "01\x00"])
def test_signs_no_scanner_types_are_refused(code):
    assert "code" in form(code=code).errors
