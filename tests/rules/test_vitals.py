"""A set of vital signs: plausible, missing, and read for the rules."""

from decimal import Decimal

import pytest

from sessions.rules.findings import Action, Priority, Severity, Value, shown
from sessions.rules.vitals import (
    COMPLETE,
    LIMITS,
    Plausibility,
    VitalSet,
    in_words,
    missing_from,
    plausibility,
    readings_of,
)
from tests.rules.cast import WELL

IMPOSSIBLE, IMPLAUSIBLE, PLAUSIBLE = (
    Plausibility.IMPOSSIBLE,
    Plausibility.IMPLAUSIBLE,
    Plausibility.PLAUSIBLE,
)


@pytest.mark.parametrize(
    ("name", "value", "age", "judged"),
    [
        ("spo2", "101", "50", IMPOSSIBLE),
        ("spo2", "100", "50", PLAUSIBLE),
        ("spo2", "84", "50", IMPLAUSIBLE),
        ("systolic_mmhg", "1280", "50", IMPOSSIBLE),
        ("systolic_mmhg", "221", "50", IMPLAUSIBLE),
        ("systolic_mmhg", "220", "50", PLAUSIBLE),
        ("temperature_c", "98.6", "50", IMPOSSIBLE),
        ("pulse", "150", "0.5", PLAUSIBLE),
        ("pulse", "210", "0.9", PLAUSIBLE),
        ("pulse", "210", "1", IMPLAUSIBLE),
        ("pulse", "165", "15.9", PLAUSIBLE),
        ("pulse", "165", "16", IMPLAUSIBLE),
        ("respiratory_rate", "45", "0.5", PLAUSIBLE),
        ("respiratory_rate", "45", "50", IMPLAUSIBLE),
    ],
)
def test_impossible_is_refused_and_implausible_is_asked(name, value, age, judged):
    assert plausibility(name, Decimal(value), age_years=Decimal(age)) is judged


@pytest.mark.parametrize(("now", "judged"), [("126", PLAUSIBLE), ("127", IMPLAUSIBLE)])
def test_a_large_jump_from_the_last_set_is_asked(now, judged):
    assert (
        plausibility("pulse", Decimal(now), age_years=Decimal(50), last=Decimal(76))
        is judged
    )


def test_every_band_has_ordered_limits_with_a_source():
    for fields in LIMITS.values():
        assert set(COMPLETE) <= set(fields)
        for limits in fields.values():
            assert limits.hard_low <= limits.soft_low < limits.soft_high
            assert limits.soft_high <= limits.hard_high
            assert limits.source.text == "Plausibility of typed values: our policy"
            assert not limits.source.verified


def test_zero_is_measured_and_none_is_missing():
    assert missing_from(VitalSet(pulse=0)) == tuple(n for n in COMPLETE if n != "pulse")
    assert missing_from(WELL) == ()
    assert missing_from(None) == COMPLETE


def test_missing_values_are_named_in_words():
    names = ("spo2", "baseline temperature_c", "on_oxygen")

    assert in_words(names) == "SpO2, baseline of temperature, air or oxygen"


def test_readings_pair_now_with_baseline_and_last():
    (reading,) = readings_of(WELL, VitalSet(pulse=70), VitalSet(pulse=74))["pulse"]

    assert (reading.now, reading.baseline, reading.last) == (76, 70, 74)
    assert reading.change == 6


def test_actions_are_ordered_and_have_their_priority():
    assert sorted(Action) == list(Action)
    assert max(Action.PAUSE, Action.STOP) is Action.STOP
    assert [action.priority for action in Action] == [
        None,
        Priority.LOW,
        Priority.MEDIUM,
        Priority.MEDIUM,
        Priority.HIGH,
        Priority.HIGH,
    ]
    assert [action.halts for action in Action] == [False] * 3 + [True] * 3


def test_scales_of_words_do_not_mix():
    with pytest.raises(TypeError):
        assert Action.STOP < Severity.SEVERE


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("temperature_c", Decimal(37), "37.0"),
        ("temperature_c", Decimal("0.5"), "0.5"),
        ("pulse", 100, "100"),
        ("pulse", Decimal("100"), "100"),
        ("consciousness", "alert", "alert"),
    ],
)
def test_temperatures_keep_one_decimal_and_others_none(name, value, text):
    assert shown(name, value) == text


def test_a_value_is_kept_word_for_word():
    value = Value(name="pulse", label="Pulse", unit="/min", now="80")

    with pytest.raises(AttributeError):
        value.now = "81"
