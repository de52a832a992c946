"""The catalogue: complete, cited, and refused when it is not."""

import csv
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest

from sessions import checks
from sessions.catalogue.indications import indications
from sessions.catalogue.products import product, products
from sessions.checks import (
    every_figure_has_a_source,
    table_problems,
    the_catalogue_can_be_read,
)
from sessions.rules.quantities import volume_ml
from sessions.rules.sources import DocumentError


def test_every_product_of_the_reference_is_here():
    assert len(products()) == 26


def test_every_indication_of_the_reference_is_here():
    assert len(indications()) == 27
    assert sum(len(each.regimens) for each in indications().values()) == 38


@pytest.mark.parametrize(
    "key",
    [
        "gbs",
        "cidp",
        "myasthenia_gravis",
        "cvid",
        "pi",
        "pi_measles_post",
        "severe_sepsis",
        "tss",
        "rpl",
        "aps_pregnancy",
        "rif",
        "preeclampsia",
        "itp",
        "kawasaki",
    ],
)
def test_each_indication_that_was_asked_for_can_be_chosen(key):
    found = indications()[key]

    assert found.name
    assert found.codes
    assert all(regimen.source.text for regimen in found.regimens)


def test_what_has_no_sourced_dose_says_so():
    without = {key for key, each in indications().items() if not each.has_dose}

    assert without == {"rif", "preeclampsia", "severe_sepsis"}
    assert all(indications()[key].investigational for key in without)


@pytest.mark.parametrize(
    ("indication", "product_key", "status"),
    [
        ("pi", "privigen_10", "labelled"),
        ("gbs", "gamunex_c_10", "off-label"),
        ("rif", "privigen_10", "investigational"),
        ("aps_pregnancy", "privigen_10", "off-label"),
    ],
)
def test_labelled_off_label_or_investigational(indication, product_key, status):
    assert indications()[indication].status_of(product_key) == status


def test_labelled_products_exist():
    for key, each in indications().items():
        for regimen in each.regimens:
            assert set(regimen.labelled_products) <= set(products()), key


def test_dose_bounds_are_in_order():
    for key, each in indications().items():
        for r in each.regimens:
            for low, high in (
                (r.low_g_per_kg, r.high_g_per_kg),
                (r.low_g_per_kg_day, r.high_g_per_kg_day),
                (r.low_days, r.high_days),
                (r.low_interval_weeks, r.high_interval_weeks),
            ):
                assert low is None or (high is not None and low <= high), key


@pytest.mark.parametrize(
    ("key", "because"),
    [
        ("carimune_nf", "Discontinued"),
        ("intragam_10", "Phased out"),
        ("intragam_p_6", "Discontinued"),
        ("gammagard_liquid_erc_10", "no infusion rates"),
    ],
)
def test_what_cannot_be_ordered_is_shown_with_its_reason(key, because):
    assert because in product(key).not_orderable_because


def test_all_others_can_be_ordered():
    assert sum(each.orderable for each in products().values()) == 22


def test_figures_nobody_saw_stay_marked():
    unseen = [
        (key, rates.indication_key)
        for key, each in products().items()
        for rates in each.rates
        for step in rates.steps
        if "unverified" in step.source.text
    ]
    marked = [
        (key, rates.indication_key)
        for key, each in products().items()
        for rates in each.rates
        for step in rates.steps
        if not step.source.verified
    ]
    assert len(marked) >= 20
    assert unseen == marked


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        ("privigen_10", {"hyperprolinaemia"}),
        ("flebogamma_dif_5", {"fructose_intolerance"}),
        ("flebogamma_dif_10", {"fructose_intolerance"}),
        ("gammaplex_5", {"fructose_intolerance"}),
        ("gammaplex_10", set()),
        ("octagam_5", {"corn_allergy", "glucose_meter"}),
        ("octagam_10", {"corn_allergy", "glucose_meter"}),
        ("carimune_nf", {"sucrose"}),
        ("gamunex_c_10", set()),
    ],
)
def test_each_product_names_what_it_must_not_meet(key, codes):
    assert {c.code for c in product(key).contraindicated_with} == codes


@pytest.mark.parametrize(
    ("key", "ml"), [("privigen_10", "10"), ("octagam_5", "20"), ("gammaplex_5", "20")]
)
def test_a_gram_fills_what_the_label_says(key, ml):
    assert volume_ml(1, product(key).g_per_100ml) == Decimal(ml)


def test_no_figure_of_the_catalogue_is_without_a_source():
    assert every_figure_has_a_source(None) == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"a": {"value": "3"}}, "a: value has no source"),
        ({"a": {"value": 3, "source": " "}}, "value has no source"),
        ({"a": {"grams": ["5", "10"]}}, "grams has no source"),
        ({"rows": [{"source": "s", "x": 1}, {"x": 2}]}, r"rows\[2\]: x has no source"),
        ({"source": "s", "a": {"value": Decimal("0.5")}}, "a: value has no source"),
        (
            {"a": {"value": "3", "source": "unverified (general knowledge)"}},
            "must be marked",
        ),
    ],
)
def test_a_figure_without_a_source_is_refused(table, problem):
    (found,) = table_problems(table, "top")

    assert re.search(problem, found)


@pytest.mark.parametrize(
    "table",
    [
        {"a": {"value": "3", "source": "s"}},
        {"name": "Privigen 10%", "code": "D83.9"},
        {"hard": True},
        {
            "a": {
                "value": "3",
                "source": "unverified (general knowledge)",
                "verified": False,
            }
        },
    ],
)
def test_words_and_cited_figures_pass(table):
    assert list(table_problems(table, "top")) == []


def test_the_catalogue_can_be_read():
    assert the_catalogue_can_be_read(None) == []


@pytest.mark.parametrize("error", [DocumentError("x"), KeyError("x"), ValueError("x")])
def test_a_catalogue_that_cannot_be_read_stops_the_start(monkeypatch, error):
    def products():
        raise error

    monkeypatch.setattr(checks, "products", products)

    (found,) = the_catalogue_can_be_read(None)
    assert found.id == "infusions.E002"
    assert "products" in found.msg


REFERENCE = Path(
    os.environ.get("IVIG_REFERENCE", Path(__file__).parents[3] / "shared" / "reference")
)
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason="the reference folder is not here (IVIG_REFERENCE)"
)
NUMBER = re.compile(r"[0-9]+(?:[.][0-9]+)?")


@needs_reference
def test_strengths_and_vials_are_those_of_the_reference():
    for row in csv.DictReader((REFERENCE / "products.csv").open()):
        ours = product(row["product_key"])
        sizes = {Decimal(size) for size in NUMBER.findall(row["vial_sizes_g"])}
        if "UK also 6 g" in row["shelf_life_note"]:
            sizes.add(Decimal(6))

        assert ours.g_per_100ml == Decimal(row["concentration_g_per_100ml"])
        assert set(ours.vials.grams) == sizes, row["product_key"]
        assert ours.source.text == row["source"]


@needs_reference
def test_doses_are_those_of_the_reference():
    rows = list(csv.DictReader((REFERENCE / "indications.csv").open()))
    ours = [r for each in indications().values() for r in each.regimens]
    by_text = {(r.name, r.source.text): r for r in ours}
    for row in rows:
        regimen = by_text[row["name"], row["source"]]
        printed = {Decimal(n) for n in NUMBER.findall(row["dose_g_per_kg_total"])}
        kept = {regimen.low_g_per_kg, regimen.high_g_per_kg, regimen.fixed_total_g}
        # 2 g/kg: the upper end of Panzyga's maintenance stands in the note.
        extra = {Decimal(2)} if "maintenance is 1-2 g/kg" in row["note"] else set()
        assert kept - {None} <= printed | extra, row["name"]
        assert regimen.has_dose is bool(printed)
