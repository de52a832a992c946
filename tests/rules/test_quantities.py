"""Numbers: the grammar, the conversions and the one function for the pump."""

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.catalogue.products import products
from sessions.rules.quantities import (
    NumberError,
    json_number,
    mg_per_kg_min,
    ml_per_kg_h,
    parse_decimal,
    plain,
    pump_rate,
    round_down,
    shown,
    to_decimal,
    volume_ml,
)

VECTORS = list(
    csv.DictReader((Path(__file__).parents[1] / "data" / "rate_vectors.csv").open())
)
TENTH = Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("70", "70"),
        ("0.5", "0.5"),
        ("007", "7"),
        ("123.45", "123.45"),
        (" 70.5\n", "70.5"),
        ("0", "0"),
    ],
)
def test_a_plain_number_is_read(text, value):
    assert parse_decimal(text, places=2, digits=3) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Enter a number"),
        ("   ", "Enter a number"),
        (".5", "digit before the point"),
        ("70.", "digit after the point"),
        (".", "one point"),
        ("1.2.3", "one point"),
        ("1..2", "one point"),
        ("+70", "without a sign"),
        ("-70", "without a sign"),
        ("1e2", "exponent"),
        ("1E2", "exponent"),
        ("1.5e-2", "exponent"),
        ("7_0", "underscore"),
        ("1_0.5", "underscore"),
        ("70,5", "not a comma|Use a point"),
        ("1,070", "Use a point"),
        ("7 0", "without spaces"),
        ("7\u00a00", "digits 0 to 9|without spaces"),
        ("٧٠", "digits 0 to 9"),
        ("７０", "digits 0 to 9"),
        ("७०", "digits 0 to 9"),
        ("0x46", "digits 0 to 9"),
        ("NaN", "digits 0 to 9"),
        ("Infinity", "digits 0 to 9"),
        ("inf", "digits 0 to 9"),
        ("70kg", "digits 0 to 9"),
        ("70\x00", "digits 0 to 9"),
        ("70\n80", "without spaces"),
        ("½", "digits 0 to 9"),
        ("7²", "digits 0 to 9"),
        ("1000", "Too many digits"),
        ("1.123", "Too many decimals: at most 2"),
    ],
)
def test_anything_else_is_refused_with_its_problem(text, problem):
    with pytest.raises(NumberError, match=problem):
        parse_decimal(text, places=2, digits=3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Enter a number."),
        ("70,5", "Use a point for decimals and no thousands mark, such as 1070.5."),
        ("-70", "Write the number without a sign."),
        (".5", "Write a digit before the point, such as 0.5."),
        ("70.", "Write a digit after the point, or leave the point out."),
        ("7 0", "Write the number without spaces."),
        ("1e2", "Write the number in full, without an exponent."),
        ("7_0", "Write the number without underscores."),
        ("1.2.3", "Write one point only."),
        ("70kg", "Write the number with the digits 0 to 9 only."),
        ("1000", "Too many digits: at most 3 before the point."),
        ("1.123", "Too many decimals: at most 2 after the point."),
    ],
)
def test_a_refused_number_is_told_in_one_sentence(text, sentence):
    with pytest.raises(NumberError) as told:
        parse_decimal(text, places=2, digits=3)

    assert str(told.value) == sentence


def test_a_whole_number_field_refuses_a_point():
    with pytest.raises(NumberError, match="whole number"):
        parse_decimal("5.0", places=0, digits=2)


@given(st.text(max_size=12))
def test_only_the_grammar_passes(text):
    import re

    try:
        value = parse_decimal(text, places=2, digits=3)
    except NumberError:
        return
    assert re.fullmatch("[0-9]{1,3}([.][0-9]{1,2})?", text.strip())
    assert value == Decimal(text.strip())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("70.0", "70"),
        ("0.50", "0.5"),
        ("1200", "1200"),
        ("1E+3", "1000"),
        ("-0", "0"),
        ("0.0000001", "0.0000001"),
    ],
)
def test_numbers_are_written_plainly(value, text):
    assert plain(Decimal(value)) == text


def test_fixed_decimals_round_half_up_not_to_even():
    assert [plain(Decimal(v), places=1) for v in ("37", "36.25", "36.35")] == [
        "37.0",
        "36.3",
        "36.4",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("9999", "9999"),
        ("10000", "10,000"),
        ("1234567.5", "1,234,567.5"),
        ("0.5", "0.5"),
    ],
)
def test_the_thousands_mark_begins_at_ten_thousand(value, text):
    assert shown(Decimal(value)) == text


def test_shown_can_limit_decimals_without_padding():
    assert shown(Fraction(415, 3), 1) == "138.3"
    assert shown(Decimal("138"), 1) == "138"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1, 3), "0.333333"),
        (Fraction(2, 3), "0.666667"),
        (Fraction(1, 8), "0.125"),
        (Fraction(1, 2**10), "0.0009765625"),
        (Decimal("0.1234567"), "0.1234567"),
        (30, "30"),
    ],
)
def test_a_number_that_does_not_end_has_six_decimals(value, text):
    assert json_number(value) == text


@given(
    st.decimals(0, 5000, places=4, allow_nan=False),
    st.sampled_from([Decimal("0.1"), Decimal("1"), Decimal("0.01"), Decimal("0.5")]),
)
def test_round_down_is_the_highest_multiple_not_above(value, resolution):
    down = round_down(value, resolution)

    assert down <= value < down + resolution
    assert Fraction(down) % Fraction(resolution) == 0


@pytest.mark.parametrize(
    "row", VECTORS, ids=lambda r: f"{r['product_key']}-{r['step']}"
)
def test_every_published_rate_converts_to_its_published_milligrams(row):
    product = products().get(row["product_key"])
    strength = product.g_per_100ml if product else _strength_in(row["product_key"])
    if not (row["rate_ml_per_kg_h"] and row["rate_mg_per_kg_min"] and strength):
        return  # the source prints one unit only, or no strength
    rate = Decimal(row["rate_ml_per_kg_h"])
    printed = Decimal(row["rate_mg_per_kg_min"])

    milligrams = mg_per_kg_min(rate, strength)

    assert round(milligrams, 4) == Fraction(printed)
    back = ml_per_kg_h(milligrams, "mg/kg/min", weight_kg=70, g_per_100ml=strength)
    assert back == Fraction(rate)


def _strength_in(key: str) -> Decimal | None:
    """Products that are not ours say their strength in their key: igivnex_10."""
    number = key.rpartition("_")[2]
    return Decimal(number) if number in {"5", "10"} and "any" not in key else None


def test_the_vectors_are_not_skipped_by_mistake():
    both = [r for r in VECTORS if r["rate_ml_per_kg_h"] and r["rate_mg_per_kg_min"]]

    assert len(both) >= 180


@pytest.mark.parametrize(
    ("rate", "unit"),
    [("4.8", "mL/kg/h"), ("0.08", "mL/kg/min"), ("8", "mg/kg/min"), ("336", "mL/h")],
)
def test_each_unit_leads_to_the_same_rate(rate, unit):
    value = ml_per_kg_h(Decimal(rate), unit, weight_kg=70, g_per_100ml=Decimal(10))

    assert value == Fraction("4.8")


def test_an_unknown_unit_is_refused():
    with pytest.raises(NumberError, match="Unknown unit mL"):
        ml_per_kg_h(1, "mL", weight_kg=70, g_per_100ml=10)


def test_volume_of_a_six_percent_product_does_not_end():
    assert volume_ml(1, 6) == Fraction(100, 6)
    assert json_number(volume_ml(1, 6)) == "16.666667"


def test_pump_rate_for_every_rate_and_every_weight():
    """Every printed rate, 2.0 to 200.0 kg by 0.1, against whole-number arithmetic.

    Tenths of a mL/h = floor(rate × weight × 10), with the rate in ten-thousandths
    and the weight in tenths: no fraction, no decimal, no code of ours.
    """
    rates = {r["rate_ml_per_kg_h"] for r in VECTORS if r["rate_ml_per_kg_h"]}
    assert len(rates) > 25
    for text in rates:
        rate, scaled = Decimal(text), round(float(text) * 10_000)
        assert Decimal(scaled) / 10_000 == rate
        for tenths in range(20, 2001):
            weight = Decimal(tenths).scaleb(-1)

            pump = pump_rate(rate, weight, TENTH)

            assert pump == Decimal(scaled * tenths // 10_000).scaleb(-1)
            assert pump <= rate * weight < pump + TENTH


def test_a_coarse_pump_is_rounded_down_too():
    assert pump_rate(Decimal("0.3"), Decimal("72.6"), Decimal(1)) == 21
    assert pump_rate(Decimal("0.3"), Decimal("72.6"), Decimal("0.5")) == Decimal("21.5")


def test_a_weight_that_does_not_end_is_not_rounded_first():
    """0.3 mL/kg/h × 200/3 kg is exactly 20; a weight of 66.666666 would give 19.9."""
    assert pump_rate(Decimal("0.3"), Fraction(200, 3), TENTH) == 20


def test_to_decimal_keeps_every_digit_of_what_ends():
    assert to_decimal(Fraction(1, 2**20)) == Decimal(1) / Decimal(2**20)
