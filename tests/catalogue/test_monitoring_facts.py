"""The monitoring facts can be read, are cited, and name what exists."""

from decimal import Decimal

import pytest

from sessions.catalogue.codes import codes
from sessions.catalogue.follow_up import follow_up_calls, late_events
from sessions.catalogue.gate import gate_catalogue, risk_factors
from sessions.catalogue.medicines import medicines
from sessions.catalogue.products import products
from sessions.catalogue.reactions import vocabulary
from sessions.catalogue.sources import cite, cited_sources, with_sources
from sessions.rules.sources import DocumentError


def test_a_source_is_spelled_out_and_doubt_is_kept():
    (key, *_) = cited_sources()

    assert with_sources({"source": [key]})["source"] == cited_sources()[key].text
    assert with_sources({"a": [{"source": [key, "UNVERIFIED"]}]})["a"][0] == {
        "source": cite([key, "UNVERIFIED"]).text,
        "verified": False,
    }


@pytest.mark.parametrize("keys", [[], ["NOBODY"]])
def test_a_source_that_is_not_listed_is_refused(keys):
    with pytest.raises(DocumentError):
        cite(keys)


@pytest.mark.parametrize(
    ("kind", "key", "code"),
    [
        ("vital", "heart_rate", "8867-4"),
        ("vital", "systolic", "8480-6"),
        ("score", "news2_total", "1104051000000101"),
        ("unit", "rate", "mL/h"),
    ],
)
def test_public_codes_are_those_of_the_terminology(kind, key, code):
    assert codes(kind)[key].code == code


def test_codes_that_nobody_verified_are_marked():
    assert not codes("lab")["creatinine"].source.verified
    assert codes("vital")["heart_rate"].source.verified


def test_reactions_carry_their_public_codes():
    (snomed, meddra) = vocabulary().find("headache").codes

    assert (snomed.system, snomed.code) == ("SNOMED CT", "25064002")
    assert (meddra.system, meddra.code) == ("MedDRA", "10019211")


def test_risk_factors_name_products_that_exist():
    for factor in risk_factors().values():
        assert set(factor.products) <= set(products()), factor.key
        assert factor.changes


def test_rules_of_the_gate_have_their_own_names():
    catalogue = gate_catalogue()
    rules = [each.rule for each in (*catalogue.checks, *catalogue.questions)]

    assert len(set(rules)) == len(rules)


def test_premedications_say_how_long_before_where_it_is_published():
    cetirizine = next(each for each in medicines() if each.drug == "Cetirizine")

    assert (cetirizine.minutes_before, cetirizine.use) == (60, "premedication")


def test_late_events_have_ordered_windows():
    for event in (*late_events(), *follow_up_calls()):
        assert event.from_hours < event.to_hours
        assert event.source.text


@pytest.mark.parametrize(
    ("key", "hours", "inside"),
    [("trali", "6", True), ("trali", "6.1", False), ("haemolysis", "11.9", False)],
)
def test_a_window_includes_its_ends(key, hours, inside):
    event = next(each for each in late_events() if each.key == key)

    assert event.covers(Decimal(hours)) is inside


def test_the_first_call_is_due_from_24_to_72_hours():
    first, second = follow_up_calls()

    assert (first.from_hours, first.to_hours) == (24, 72)
    assert (second.from_hours, second.to_hours) == (168, 240)
