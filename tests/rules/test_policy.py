"""A policy document is read strictly: every error names its key."""

import copy
import json
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

import sessions.catalogue
from sessions.catalogue.default_protocol import default_document, default_policy
from sessions.rules.findings import Action
from sessions.rules.policy import MonitoringPolicy, Policy
from sessions.rules.sources import DocumentError

DOCUMENT = default_document()["monitoring"]
TOML = Path(sessions.catalogue.__file__).parent / "protocol" / "monitoring.toml"

ACTIONS = {
    "NURSE_ASSESS": "observe",
    "RECHECK": "observe",
    "RECHECK_CALL": "observe",
    "REDUCE_RATE": "reduce",
    "FIRST_STEP": "reduce",
    "PAUSE_RESTART": "pause",
    "PAUSE_CALL": "pause",
    "PAUSE_ASSESS": "pause",
    "STOP_CALL": "stop",
    "STOP_EMERGENCY": "emergency",
    "HOLD_CALL": "observe",  # a gate before Start
    "REPORT": "continue",  # the work list
}


def changed(*path, value) -> dict:
    document = copy.deepcopy(DOCUMENT)
    table = document
    for key in path[:-1]:
        table = table[key]
    if value is None:
        del table[path[-1]]
    else:
        table[path[-1]] = value
    return document


def test_the_shipped_document_is_json_with_numbers_as_text():
    text = json.dumps(default_document())

    read = Policy.from_document(json.loads(text), code="2026", version=1)

    assert read == default_policy()
    assert read.label == "Protocol 2026-1"


def test_each_code_means_the_action_of_the_rulings():
    acts = default_policy().monitoring.acts

    assert {code: act.action.value for code, act in acts.items()} == ACTIONS
    assert [code for code, act in acts.items() if act.holds_start] == ["HOLD_CALL"]
    assert [code for code, act in acts.items() if act.work_list] == ["REPORT"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("thresholds", 0, "when"), None, r"thresholds\[V-01\]\.when: is missing"),
        (("thresholds", 0, "when"), [], r"thresholds\[V-01\]\.when: holds no"),
        (("thresholds", 0, "act"), "SHRUG", r"V-01\]\.act: names no act"),
        (("thresholds", 0, "acct"), "x", r"V-01\]\.acct: is not a known key"),
        (("thresholds", 0, "source"), "", r"V-01\]"),
        (("thresholds", 0, "source"), None, r"V-01\]"),
        (("thresholds", 0, "severity"), "awful", r"V-01\]\.severity: is 'awful'"),
        (("thresholds", 0, "signs"), "odd", r"V-01\]\.signs: names no group"),
        (("thresholds", 0, "population"), "elf", r"V-01\]\.population: names no"),
        (("thresholds", 0, "when", 0, "at_least"), "1e", r"at_least: is not a number"),
        (("thresholds", 0, "when", 0, "at_least"), "NaN", r"at_least: is not a num"),
        (("thresholds", 0, "when", 0, "at_least"), 1.0, r"at_least: is not valid"),
        (("thresholds", 0, "when", 0, "above"), "2", r"exactly one limit"),
        (("thresholds", 1, "rule"), "V-01", r"rule V-01 is there twice"),
        (("reactions", 0, "severity"), [], r"R-01\]\.severity"),
        (("reactions", 0, "severity"), ["bad"], r"R-01\]\.severity"),
        (("reactions", 0, "act"), "SHRUG", r"R-01\]\.act: names no act"),
        (("reaction_course", "recurrence_rule"), "R-99", r"names no reaction rule"),
        (("schedule", "steady_minutes"), None, r"schedule\.steady_minutes: is missing"),
        (("schedule", "tea_minutes"), {}, r"schedule\.tea_minutes: is not a known"),
        (("news2", "age_from"), None, r"news2\.age_from: is missing"),
        (
            ("news2", "bands", "pulse", "bands", 1, "below"),
            "41",
            r"cut points must rise",
        ),
        (("acts", "RECHECK", "recheck_minutes"), 0, r"recheck_minutes: is not a whole"),
        (("acts", "RECHECK", "action"), "shrug", r"acts\.RECHECK\.action"),
        (("colour",), "red", r"monitoring\.colour: is not a known key"),
        (("missing",), None, r"monitoring\.missing: is missing"),
    ],
)
def test_a_wrong_document_is_refused_by_its_key(path, value, message):
    with pytest.raises(DocumentError, match=message):
        MonitoringPolicy.from_document(changed(*path, value=value))


def test_a_rule_can_be_switched_off_by_the_document_alone():
    document = default_document()
    document["monitoring"]["thresholds"][8]["on"] = False

    policy = Policy.from_document(document, code="own", version=2)

    (rule,) = [rule for rule in policy.monitoring.thresholds if not rule.on][:1]
    assert rule.rule == "V-09"


def test_every_figure_no_document_was_read_for_is_marked():
    unverified = {
        rule.rule
        for rule in default_policy().monitoring.thresholds
        if not rule.source.verified
    }

    assert unverified == {"V-06", "V-08", "V-19", "V-27", "V-34", "V-39", "N-05"}


def test_no_number_of_the_document_is_a_float():
    def floats(value):
        if isinstance(value, dict):
            return [each for inner in value.values() for each in floats(inner)]
        if isinstance(value, list):
            return [each for inner in value for each in floats(inner)]
        return [value] if isinstance(value, float) else []

    assert floats(tomllib.loads(TOML.read_text(encoding="utf-8"))) == []


def test_the_restart_after_a_pause_is_half_the_rate():
    restart = default_policy().dosing.restart

    assert (restart.method.value, restart.fraction.value) == (
        "half_rate",
        Decimal("0.5"),
    )
    assert default_policy().monitoring.acts["PAUSE_RESTART"].action is Action.PAUSE
