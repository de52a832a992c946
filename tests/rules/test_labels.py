"""Which row of a label speaks for which patient."""

from decimal import Decimal

import pytest

from sessions.catalogue.products import product, products
from sessions.rules.labels import PATIENT_CLASSES, LabelError, label_for


def rates(lookup):
    return [str(step.ml_per_kg_h) for step in lookup.steps]


@pytest.mark.parametrize(
    ("key", "indication", "region", "expected", "because"),
    [
        pytest.param(
            "privigen_10", "itp", "us", ["0.3", "2.4"], "this indication", id="exact"
        ),
        pytest.param(
            "privigen_10",
            "cvid",
            "us",
            ["0.3", "4.8"],
            "label for primary immunodeficiency",
            id="CVID as PI",
        ),
        pytest.param(
            "privigen_10", "itp", "eu", ["0.3", "4.8"], "(EU)", id="the region's row"
        ),
        pytest.param(
            "privigen_10", "itp", "uk", ["0.3", "4.8"], "(EU)", id="UK reads the EU row"
        ),
        pytest.param(
            "privigen_10", "pi", "au", ["0.3", "2.4"], "not stated", id="no such label"
        ),
        pytest.param(
            "gammagard_sd_5", "pi", "us", ["0.5", "4"], "all", id="row for all regions"
        ),
        pytest.param(
            "privigen_10",
            "gbs",
            "us",
            ["0.3", "2.4"],
            "not stated",
            id="lowest maximum",
        ),
        pytest.param(
            "octagam_10", "pi", "us", ["0.6", "2.4"], "not stated", id="not the highest"
        ),
        pytest.param(
            "kiovig_10", "pi", "us", ["0.5", "6"], "not stated", id="other region only"
        ),
        pytest.param(
            "gammaplex_10",
            "pi",
            "us",
            ["0.3", "0.6", "1.2", "2.4", "3.6", "4.8"],
            "this indication",
            id="printed under first infusion",
        ),
        pytest.param(
            "gamunex_c_10", "gbs", "us", ["0.6", "4.8"], "not stated", id="lower start"
        ),
    ],
)
def test_the_order_of_looking_up(key, indication, region, expected, because):
    found = label_for(product(key), indication, region=region)

    assert rates(found) == expected
    assert because in found.because
    assert found.stated is ("not stated" not in found.because)


@pytest.mark.parametrize(
    ("key", "indication", "region", "expected"),
    [
        pytest.param("privigen_10", "pi", "eu", ["0.3", "4.8", "7.2"], id="extends"),
        pytest.param("kiovig_10", "cvid", "eu", ["0.5", "6", "8"], id="CVID too"),
        pytest.param("privigen_10", "pi", "us", ["0.3", "4.8"], id="not in the US"),
        pytest.param("privigen_10", "itp", "eu", ["0.3", "4.8"], id="only PI"),
        pytest.param("intratect_10", "pi", "eu", ["0.3", "1.9", "6", "8"], id="two"),
        pytest.param(
            "panzyga_10", "pi", "us", ["0.6", "2.4", "4.8", "8.4"], id="whole"
        ),
        pytest.param("panzyga_10", "itp", "us", ["0.6", "2.4", "4.8"], id="chart"),
        pytest.param(
            "gammaplex_10", "pi", "us", ["0.6", "1.2", "2.4", "3.6", "4.8"], id="start"
        ),
        pytest.param("qivigy_10", "pi", "us", ["1.2", "4.8"], id="start and maximum"),
    ],
)
def test_the_experienced(key, indication, region, expected):
    found = label_for(product(key), indication, region=region, experience="experienced")

    assert rates(found) == expected


def test_a_first_infusion_never_gets_the_rows_of_the_experienced():
    for key, each in products().items():
        if not each.orderable:
            continue
        for row in each.rates:
            if row.use != "ladder":
                continue
            region = "us" if row.region == "any" else row.region
            first = label_for(each, row.indication_key, region=region)
            later = label_for(
                each, row.indication_key, region=region, experience="experienced"
            )

            assert first.maximum.ml_per_kg_h <= later.maximum.ml_per_kg_h, key
            assert first.start.ml_per_kg_h <= later.start.ml_per_kg_h, key


def test_a_figure_for_patients_at_risk_is_found_only_for_them():
    octagam = product("octagam_10")

    standard = label_for(octagam, "itp", region="us")
    at_risk = label_for(octagam, "itp", region="us", patient_class="at_risk")

    assert standard.at_risk is None
    assert at_risk.at_risk is not None
    assert at_risk.at_risk.ml_per_kg_h == Decimal("1.98")
    assert at_risk.at_risk_is_label


def test_an_order_set_is_not_called_a_label():
    found = label_for(
        product("gammagard_liquid_10"), "pi", region="us", patient_class="at_risk"
    )

    assert found.at_risk is not None
    assert not found.at_risk_is_label


def test_a_label_without_a_figure_for_risk_keeps_its_words():
    found = label_for(
        product("privigen_10"), "pi", region="us", patient_class="at_risk"
    )

    assert found.at_risk is None
    assert "minimum rate practicable" in found.at_risk_note


def test_an_earlier_reaction_has_its_own_limit():
    flebogamma = product("flebogamma_dif_10")

    found = label_for(flebogamma, "pi", region="us", prior_reaction=True)

    assert found.prior_reaction is not None
    assert found.prior_reaction.ml_per_kg_h == Decimal("2.4")
    assert label_for(flebogamma, "pi", region="us").prior_reaction is None


def test_a_product_without_rates_has_no_label():
    with pytest.raises(LabelError, match="no infusion rates"):
        label_for(product("gammagard_liquid_erc_10"), "pi", region="us")


def test_the_ten_patient_classes_are_written_down():
    assert len(PATIENT_CLASSES) == 10
    assert {part.patient_class for part in PATIENT_CLASSES.values()} == {
        None,
        "at_risk",
    }
    assert {part.experience for part in PATIENT_CLASSES.values()} == {
        None,
        "first",
        "experienced",
    }


def test_superseded_rows_are_never_loaded():
    used = {row.use for each in products().values() for row in each.rates}

    assert "never" not in used


def test_steps_rise_and_end_in_the_maximum():
    for key, each in products().items():
        for row in each.rates:
            climbing = [step.ml_per_kg_h for step in row.steps]
            assert climbing == sorted(set(climbing)), key
            if row.use == "ladder":
                assert row.steps[-1].is_max, key
                assert [step.is_max for step in row.steps].count(True) == 1, key


def test_vials_that_a_region_does_not_sell_are_left_out():
    vials = product("privigen_10").vials

    assert Decimal("2.5") not in vials.sold_in("us")
    assert Decimal("2.5") in vials.sold_in("eu")
    assert vials.sold_in("us") == (5, 10, 20, 40)
