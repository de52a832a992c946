"""Every limit of the shipped protocol: a step short, exact, a step past, missing."""

from decimal import Decimal

import pytest

from sessions.catalogue.default_protocol import default_policy
from sessions.rules.thresholds import Compare, Person, Phase, Reading, Side, compare_all

MONITORING = default_policy().monitoring
THRESHOLDS = [*MONITORING.thresholds, *MONITORING.lab_thresholds]
STEP = {"temperature_c": Decimal("0.1"), "creatinine": Decimal("0.1")}
BASELINE = {"temperature_c": Decimal("37.0"), "creatinine": Decimal(1)}
CROSSED = {  # one step below the limit, on it, one step above
    Side.AT_LEAST: (False, True, True),
    Side.ABOVE: (False, False, True),
    Side.AT_MOST: (True, True, False),
    Side.BELOW: (True, False, False),
}


def reading(condition, amount) -> Reading:
    """A reading whose compared amount is `amount`."""
    baseline = BASELINE.get(condition.measure, Decimal(100))
    now = {
        Compare.VALUE: amount,
        Compare.RISE: baseline + amount,
        Compare.FALL: baseline - amount,
        Compare.CHANGE: baseline - amount,
        Compare.FALL_PERCENT: baseline - baseline * amount / 100,
        Compare.RATIO: baseline * amount,
    }[condition.compare]
    return Reading(
        name=condition.measure,
        label=condition.measure,
        unit="",
        now=now,
        baseline=baseline if condition.compare.needs_baseline else None,
        words=("a", "b", "c", "d", "e", "f") if "consc" in condition.measure else (),
    )


def someone(rule) -> Person:
    """A person the rule is meant for."""
    population = rule.population
    age = population.age_from or Decimal("0.5" if population.age_below else 50)
    return Person(age_years=age, pregnant=False, spo2_scale=rule.spo2_scale or 1)


def compare(rule, readings, **changes):
    facts = {
        "person": someone(rule),
        "phase": min(rule.phases, key=lambda phase: phase is not Phase.INFUSING),
        "present_signs": frozenset({rule.signs}),
    } | changes
    return compare_all([rule], readings, **facts)


EDGES = [
    pytest.param(rule, offset, id=f"{rule.rule}-{offset}")
    for rule in THRESHOLDS
    if rule.on and len(rule.conditions) == 1
    for offset in (-1, 0, 1)
]


@pytest.mark.parametrize(("rule", "offset"), EDGES)
def test_a_limit_speaks_exactly_from_its_edge(rule, offset):
    (condition,) = rule.conditions
    amount = condition.limit + offset * STEP.get(condition.measure, Decimal(1))

    comparison = compare(rule, {condition.measure: (reading(condition, amount),)})

    assert bool(comparison.crossings) is CROSSED[condition.side][offset + 1]
    assert comparison.missing == ()


@pytest.mark.parametrize(
    "rule", [rule for rule in THRESHOLDS if rule.on], ids=lambda rule: rule.rule
)
def test_a_limit_names_what_is_missing(rule):
    nothing = {
        condition.measure: (
            Reading(name=condition.measure, label="", unit="", now=None),
        )
        for condition in rule.conditions
    }

    comparison = compare(rule, nothing)

    assert comparison.crossings == ()
    assert set(comparison.missing) == {each.measure for each in rule.conditions}


@pytest.mark.parametrize(
    "rule", [rule for rule in THRESHOLDS if not rule.on], ids=lambda rule: rule.rule
)
def test_a_rule_that_is_off_never_speaks(rule):
    condition = rule.conditions[0]
    far = {condition.measure: (reading(condition, condition.limit + 5),)}

    assert compare(rule, far).crossings == ()


@pytest.mark.parametrize(
    "rule", [rule for rule in THRESHOLDS if rule.signs], ids=lambda rule: rule.rule
)
def test_a_rule_with_signs_is_silent_without_them(rule):
    condition = rule.conditions[0]
    amount = condition.limit + (-1 if condition.side is Side.BELOW else 1)
    far = {condition.measure: (reading(condition, amount),)}

    assert compare(rule, far, present_signs=frozenset()).crossings == ()


@pytest.mark.parametrize(
    ("baseline", "now", "crossed"),
    [(110, 81, False), (110, 80, True), (110, 79, True), (109, 80, False)],
)
def test_a_rule_of_two_conditions_needs_both(baseline, now, crossed):
    rule = next(rule for rule in THRESHOLDS if len(rule.conditions) == 2)
    read = Reading(
        name="systolic_mmhg",
        label="",
        unit="",
        now=Decimal(now),
        baseline=Decimal(baseline),
    )

    assert bool(compare(rule, {"systolic_mmhg": (read,)}).crossings) is crossed


def test_one_false_condition_settles_a_rule_whatever_is_missing():
    rule = next(rule for rule in THRESHOLDS if rule.rule == "V-11")
    high = Reading(name="systolic_mmhg", label="", unit="", now=Decimal(81))

    comparison = compare(rule, {"systolic_mmhg": (high,)})

    assert comparison.missing == ()


def test_a_relative_fall_is_exact():
    rule = next(rule for rule in THRESHOLDS if rule.rule == "V-12")

    def falls(baseline, now):
        read = Reading(
            name="systolic_mmhg",
            label="",
            unit="",
            now=Decimal(now),
            baseline=Decimal(baseline),
        )
        return bool(compare(rule, {"systolic_mmhg": (read,)}).crossings)

    assert not falls(104, 78)  # exactly a quarter
    assert falls(104, 77)
    assert falls(103, 77)
    assert not falls(102, 77)


@pytest.mark.parametrize(
    ("rule", "meant", "not_meant"),
    [
        ("V-11", ["18", "50"], ["17.999", "1"]),
        ("V-12", ["1", "17.999"], ["0.999", "18"]),
        ("V-13", ["0", "0.999"], ["1", "50"]),
        ("V-16", ["16", "90"], ["15.999"]),
    ],
)
def test_age_bands_meet_without_a_gap(rule, meant, not_meant):
    population = next(each for each in THRESHOLDS if each.rule == rule).population

    def includes(age):
        return population.includes(Person(age_years=Decimal(age), pregnant=False))

    assert [includes(age) for age in meant] == [True] * len(meant)
    assert [includes(age) for age in not_meant] == [False] * len(not_meant)
