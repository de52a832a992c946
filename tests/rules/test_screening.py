"""The gate to Start: each check stops or warns, and unknown is never "none"."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.gate import gate_catalogue
from sessions.rules.documents import Fields
from sessions.rules.screening import (
    GateCatalogue,
    GateFacts,
    PremedicationFact,
    Question,
    RiskFactor,
    VialFact,
    gate,
)
from sessions.rules.sources import DocumentError
from sessions.rules.thresholds import Phase, Reading
from tests.rules.cast import WELL, judge

CATALOGUE = gate_catalogue()
LABS = default_policy().monitoring.lab_thresholds
TODAY = date(2026, 3, 2)
VIAL = VialFact(
    product="privigen_10", grams=Decimal(20), lot="L1", expires_on=date(2026, 3, 2)
)

READY = GateFacts(
    today=TODAY,
    age_years=Decimal(50),
    attested={check.key: True for check in CATALOGUE.checks if check.attested},
    product="privigen_10",
    planned_g=Decimal(40),
    dose_g_per_kg=Decimal("0.5"),
    vials=(VIAL, VIAL),
    weight_kg=Decimal(72),
    weight_age_days=0,
    order_weight_kg=Decimal(72),
    consent_age_days=10,
    lab_age_days={"creatinine": 10, "haemoglobin": 10},
    answers={question.key: False for question in CATALOGUE.questions},
    blood_group="O+",
    pregnant=False,
    baseline=WELL,
    baseline_age_minutes=Decimal(5),
    baseline_findings=(),
    premedications=(
        PremedicationFact(
            name="Paracetamol", wait_minutes=Decimal(30), minutes_ago=Decimal(30)
        ),
    ),
    planned_ml_per_h=Decimal("21.6"),
    pump_shows_ml_per_h=Decimal("21.6"),
)


def asked(**changes):
    return gate(replace(READY, **changes), CATALOGUE, LABS)


def keys(findings) -> list[str]:
    return [finding.series for finding in findings]


def test_another_product_at_the_chair_is_called_by_its_name():
    names = {"privigen_10": "Privigen 10%", "octagam_10": "Octagam 10%"}
    vials = (VIAL, replace(VIAL, product="octagam_10"))

    found = asked(vials=vials, product_names=names).hard

    assert [finding.because for finding in found] == [
        "Ordered Privigen 10%, at the chair Octagam 10%"
    ]


def test_a_ready_patient_passes():
    result = asked()

    assert result.open
    assert (result.hard, result.warnings) == ((), ())


def lab(name: str, now: str, baseline: str | None = None):
    read = Reading(
        name=name,
        label=name,
        unit="",
        now=Decimal(now),
        baseline=None if baseline is None else Decimal(baseline),
    )
    return {name: (read,)}


HARD = [
    ({"weight_kg": None}, "weight_missing"),
    ({"weight_age_days": 181}, "weight_missing"),
    ({"weight_kg": Decimal("79.2")}, "weight_changed"),
    ({"weight_kg": Decimal("64.8")}, "weight_changed"),
    ({"height_needed": True}, "height"),
    ({"consent_age_days": None}, "consent"),
    ({"consent_age_days": 366}, "consent"),
    ({"lab_age_days": {"haemoglobin": 1}}, "creatinine_missing"),
    ({"vials": ()}, "vials_recorded"),
    ({"vials": (replace(VIAL, grams=Decimal(40), lot=""),)}, "vials_recorded"),
    (
        {"vials": (replace(VIAL, grams=Decimal(40), expires_on=None),)},
        "vials_recorded",
    ),
    ({"vials": (VIAL, replace(VIAL, expires_on=date(2026, 3, 1)))}, "vials_expired"),
    ({"vials": (VIAL, replace(VIAL, product="octagam_10"))}, "vials_product"),
    ({"vials": (VIAL, replace(VIAL, grams=Decimal("19.9")))}, "vials_dose"),
    ({"pregnant": None}, "pregnancy_unknown"),
    ({"pregnant": True}, "supervisor"),
    ({"pregnant": True, "supervisor": "  "}, "supervisor"),
    ({"baseline": None}, "baseline_complete"),
    ({"baseline": replace(WELL, spo2=None)}, "baseline_complete"),
    ({"baseline_age_minutes": Decimal(16)}, "baseline_age"),
    ({"baseline_age_minutes": None}, "baseline_age"),
    ({"baseline_findings": None}, "baseline_limits"),
    ({"pump_shows_ml_per_h": None}, "pump_read_back"),
    ({"pump_shows_ml_per_h": Decimal("216")}, "pump_read_back"),
    ({"planned_ml_per_h": None}, "pump_read_back"),
    ({"risk_factors": {"hyperprolinaemia": True}}, "hyperprolinaemia"),
    ({"risk_factors": {"ig_anaphylaxis": True}}, "ig_anaphylaxis"),
    ({"risk_factors": {"iga_antibodies": True}}, "iga_antibodies"),
    ({"lab_readings": lab("creatinine", "1.6", "1.0")}, "creatinine"),
    ({"lab_readings": lab("haemoglobin_g_dl", "10", "12")}, "haemoglobin"),
    ({"lab_readings": lab("urine_ml_8h", "79")}, "urine"),
]
WARNED = [
    ({"weight_age_days": 29}, "weight_stale"),
    ({"lab_age_days": {"creatinine": 91, "haemoglobin": 1}}, "creatinine_stale"),
    ({"lab_age_days": {"creatinine": 1}}, "haemoglobin"),
    ({"lab_age_days": {"creatinine": 1, "haemoglobin": 91}}, "haemoglobin"),
    ({"dose_g_per_kg": Decimal(2), "blood_group": "A+"}, "haemolysis_risk"),
    ({"dose_g_per_kg": Decimal(2), "blood_group": None}, "haemolysis_risk"),
    ({"brand_switch": True}, "as_first"),
    ({"long_gap": True}, "as_first"),
    ({"age_years": Decimal("15.9")}, "under_16"),
    ({"pregnant": True, "supervisor": "Dr Ahmed"}, "pregnancy"),
    ({"vials": (VIAL, replace(VIAL, lot="L2"))}, "several_lots"),
    (
        {"premedications": (replace(READY.premedications[0], minutes_ago=None),)},
        "premedication_given",
    ),
    (
        {
            "premedications": (
                replace(READY.premedications[0], minutes_ago=Decimal(29)),
            )
        },
        "premedication_wait",
    ),
    ({"risk_factors": {"renal_impairment": True}}, "renal_impairment"),
]
CLEAR = [
    {"weight_age_days": 28},
    {"weight_kg": Decimal("79.1")},
    {"weight_kg": Decimal("64.9")},
    {"consent_age_days": 365},
    {"lab_age_days": {"creatinine": 90, "haemoglobin": 90}},
    {"height_needed": True, "height_known": True},
    {"dose_g_per_kg": Decimal("1.99"), "blood_group": "A+"},
    {"dose_g_per_kg": Decimal(2), "blood_group": "O-"},
    {"baseline_age_minutes": Decimal(15)},
    {"age_years": Decimal(16)},
    {"risk_factors": {"corn_allergy": True, "fructose_intolerance": True}},
    {"risk_factors": {"renal_impairment": False, "sepsis": None}},
    {"lab_readings": lab("creatinine", "1.5", "1.0")},
    {"lab_readings": lab("haemoglobin_g_dl", "10.1", "12")},
]


@pytest.mark.parametrize(("changes", "key"), HARD)
def test_a_hard_stop_holds_the_start(changes, key):
    result = asked(**changes)

    assert key in keys(result.hard)
    assert not result.open


@pytest.mark.parametrize(("changes", "key"), WARNED)
def test_a_warning_lets_the_start_go_on(changes, key):
    result = asked(**changes)

    assert keys(result.warnings) == [key]
    assert result.open


@pytest.mark.parametrize("changes", CLEAR)
def test_what_is_within_its_limit_is_clear(changes):
    result = asked(**changes)

    assert (result.hard, result.warnings) == ((), ())


@pytest.mark.parametrize("key", sorted(READY.attested))
def test_what_nobody_said_is_not_taken_for_said(key):
    without = {name: said for name, said in READY.attested.items() if name != key}
    result = asked(attested=without)

    assert keys((*result.hard, *result.warnings)) == [key]


@pytest.mark.parametrize("question", CATALOGUE.questions, ids=lambda q: q.key)
def test_a_question_that_was_not_asked_holds_the_start(question):
    unasked = asked(answers={**READY.answers, question.key: None})
    yes = asked(answers={**READY.answers, question.key: True})

    assert keys(unasked.hard) == [question.key]
    assert keys((*yes.hard, *yes.warnings)) == [question.key]
    assert yes.open is (question.gate == "warning")


@pytest.mark.parametrize(
    ("product", "factor"),
    [
        ("privigen_10", "hyperprolinaemia"),
        ("flebogamma_dif_5", "fructose_intolerance"),
        ("octagam_10", "corn_allergy"),
    ],
)
def test_a_contraindication_speaks_about_its_own_product_only(product, factor):
    def hard_for(ordered):
        vials = (replace(VIAL, product=ordered, grams=Decimal(40)),)
        facts = {"product": ordered, "vials": vials, "risk_factors": {factor: True}}
        return keys(asked(**facts).hard)

    assert hard_for(product) == [factor]
    assert hard_for("gamunex_c_10") == []


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ({"systolic_mmhg": 90}, True),
        ({"systolic_mmhg": 91}, False),
        ({"temperature_c": "38.0"}, True),
        ({"temperature_c": "37.9"}, False),
        ({"pulse": 131}, True),
        ({"pulse": 130}, False),
    ],
)
def test_a_baseline_beyond_the_limits_needs_the_prescriber(now, holds):
    found = judge(now, phase=Phase.BASELINE).findings

    assert ("baseline_limits" in keys(asked(baseline_findings=found).hard)) is holds


def test_iga_is_asked_for_before_the_first_dose_only():
    first = asked(first_infusion=True)

    assert keys(first.warnings) == ["iga", "as_first"]


def test_every_finding_says_its_rule_source_and_what_clears_it():
    bare = GateFacts(
        today=TODAY, age_years=Decimal(50), product="privigen_10", planned_g=Decimal(40)
    )
    result = gate(bare, CATALOGUE, LABS)

    assert len(result.hard) > 15
    for finding in (*result.hard, *result.warnings):
        assert finding.rule.startswith("G-")
        assert finding.source.text
        assert finding.clears


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (RiskFactor, {"key": "k", "label": "l", "changes": "c", "source": "a"}),
        (
            Question,
            {"rule": "G-99", "key": "k", "text": "t", "calls_for": "c"}
            | {"clears": "c", "source": "a"},
        ),
    ],
)
def test_a_gate_that_is_neither_hard_nor_a_warning_is_refused(kind, row):
    with pytest.raises(DocumentError) as told:
        kind.read(Fields("row", row | {"gate": "soft"}))

    assert str(told.value) == "row.gate: is not hard or warning"
    assert kind.read(Fields("row", row | {"gate": "warning"})).gate == "warning"


def test_a_check_without_its_sum_is_refused():
    fewer = tuple(check for check in CATALOGUE.checks if check.key != "consent")

    with pytest.raises(DocumentError, match="consent"):
        GateCatalogue(checks=fewer, risk_factors=(), questions=())
