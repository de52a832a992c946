"""Reactions: found by the nurses' words, judged by severity."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from sessions.catalogue.default_protocol import default_document, default_policy
from sessions.catalogue.reactions import reaction, vocabulary
from sessions.rules.assessment import assess
from sessions.rules.findings import Severity
from sessions.rules.policy import Policy
from sessions.rules.reactions import (
    Chip,
    Reaction,
    UnknownReaction,
    Vocabulary,
    worked_out_severity,
)
from tests.rules.cast import UNEVENTFUL, judge, symptoms
from tests.rules.oracle import REACTION_ACTIONS, reaction_action

RULES = default_policy().monitoring.reactions
REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "reaction_rules.csv"
SEVERITIES = [severity.value for severity in Severity]


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("key", sorted(REACTION_ACTIONS))
def test_each_severity_of_each_reaction_calls_for_the_published_act(key, severity):
    rule = RULES.rule_for(key, Severity(severity))

    assert rule.act.action.value == reaction_action(key, severity)


@pytest.mark.parametrize(
    ("key", "severity", "row"),
    [
        ("rash", "mild", ["moderate"]),  # the next higher listed row
        ("rash", "severe", ["moderate"]),  # else the highest listed
        ("angioedema", "mild", ["severe"]),
        ("dyspnoea", "mild", ["moderate"]),
        ("haemolysis", "mild", ["moderate"]),
        ("headache", "life-threatening", ["life-threatening"]),
    ],
)
def test_a_severity_without_a_row_takes_the_next_higher_one(key, severity, row):
    rule = RULES.rule_for(key, Severity(severity))

    assert [each.value for each in rule.severities] == row


def test_a_finding_says_when_another_row_was_taken():
    (found,) = judge(seen=(("rash", "severe"),)).findings

    assert found.because == (
        "Rash (other), severe (no row at this severity: the moderate row applies)"
    )
    assert found.severity is Severity.SEVERE


def test_of_two_rows_for_one_severity_the_stricter_one_holds():
    document = default_document()
    rows = document["monitoring"]["reactions"]
    (rash,) = (row for row in rows if row["rule"] == "R-25")
    for act in ("REDUCE_RATE", "STOP_EMERGENCY", "PAUSE_RESTART"):
        rows.append(rash | {"rule": f"R-25 {act}", "act": act})
    policy = Policy.from_document(document, code="2026", version=1)

    rule = policy.monitoring.reactions.rule_for("rash", Severity.MODERATE)

    assert rule.rule == "R-25 STOP_EMERGENCY"


def test_a_row_for_several_severities_is_named_from_the_first_to_the_last():
    document = default_document()
    (rash,) = (r for r in document["monitoring"]["reactions"] if r["rule"] == "R-25")
    rash["severity"] = ["severe", "moderate"]
    policy = Policy.from_document(document, code="2026", version=1)
    chart = replace(UNEVENTFUL, symptoms=symptoms(("rash", "mild")))

    (found,) = assess(chart, policy).findings

    assert found.because == (
        "Rash (other), mild "
        "(no row at this severity: the moderate to severe row applies)"
    )
    assert found.severity is Severity.MODERATE


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("Hives", "urticaria"),
        ("itching", "pruritus"),
        ("ITCHING ", "pruritus"),
        ("faintness", "hypotension"),
        ("dizziness", "hypotension"),
        ("dizzy/faint", "hypotension"),
        ("weakness of a limb", "thrombosis"),
        ("speech change", "thrombosis"),
        ("Chest-pain", "chest_tightness"),
        ("short of breath", "dyspnoea"),
        ("rigors", "chills"),
        ("back pain", "myalgia_back_pain"),
        ("stiff neck", "aseptic_meningitis"),
        ("myalgia_back_pain", "myalgia_back_pain"),
    ],
)
def test_what_a_nurse_says_is_found(word, key):
    assert vocabulary().find(word).key == key


def test_an_unknown_word_is_an_error():
    with pytest.raises(UnknownReaction, match="hiccups"):
        vocabulary().find("hiccups")


def test_a_word_with_two_meanings_is_refused():
    twice = Vocabulary(
        reactions=(
            Reaction(key="a", label="A", synonyms=("same",)),
            Reaction(key="b", label="B", synonyms=("same",)),
        )
    )

    with pytest.raises(ValueError, match="same"):
        twice.find("same")


def test_every_reaction_has_rules_and_every_rule_a_reaction():
    keys = {each.key for each in vocabulary().reactions}

    assert {rule.reaction for rule in RULES.rows} == keys | {"any"}


def test_ten_chips_name_known_reactions():
    chips = vocabulary().chips

    assert len(chips) == 10
    assert all(isinstance(chip, Chip) and reaction(chip.reaction) for chip in chips)


def test_alternative_policies_are_there_and_off():
    off = [rule for rule in RULES.rows if not rule.on]

    assert {rule.act.code for rule in off} == {"STOP_CALL", "PAUSE_ASSESS"}
    assert {rule.reaction for rule in off} == {"any"}


@pytest.mark.parametrize(
    ("key", "now", "severity"),
    [
        ("fever", {"temperature_c": "38.0"}, Severity.MILD),
        ("fever", {"temperature_c": "38.3"}, Severity.MODERATE),
        ("fever", {"temperature_c": "40.1"}, Severity.SEVERE),
        ("fever", {}, None),
        ("hypotension", {"systolic_mmhg": 108}, Severity.MILD),
        ("hypotension", {"systolic_mmhg": 98}, Severity.MODERATE),
        ("hypotension", {"systolic_mmhg": 80}, Severity.SEVERE),
        ("headache", {"temperature_c": "40.1"}, None),
    ],
)
def test_a_grade_is_worked_out_from_the_vital_signs_that_measure_it(key, now, severity):
    assert worked_out_severity(reaction(key), judge(now).findings) is severity


def test_the_same_symptom_twice_is_one_finding():
    seen = (("headache", "mild"), ("head ache", "mild"))

    assert len(judge(seen=seen).findings) == 1


@pytest.mark.skipif(not REFERENCE.exists(), reason="no reference tables here")
def test_each_published_row_is_a_rule_with_its_act_and_grade():
    with REFERENCE.open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    published = [(row["action_code"], row["ctcae_v5_grade"]) for row in rows]

    assert [(rule.act.code, rule.grade) for rule in RULES.rows] == published
    for row in rows:
        if "policy" not in row["reaction"]:
            vocabulary().find(row["reaction"])
