"""Limits in words: each once, the one that speaks first."""

from dataclasses import replace
from decimal import Decimal

import pytest

from sessions.catalogue.default_protocol import default_policy
from sessions.rules.findings import Action
from sessions.rules.thresholds import Person
from sessions.rules.words import for_whom, shortest, threshold_words

MONITORING = default_policy().monitoring
RULES = {
    rule.rule: rule for rule in (*MONITORING.thresholds, *MONITORING.lab_thresholds)
}
ADULT = Person(age_years=48, pregnant=False)


def test_a_limit_is_a_sentence_with_its_unit():
    assert threshold_words(RULES["V-01"]) == ["Temperature: rise of 1.0 °C or more"]


@pytest.mark.parametrize(
    ("rule", "whom", "words"),
    [
        ("V-05", "with inflammatory signs", "Temperature: rise of more than 0.0 °C"),
        ("V-07", "everybody", "Temperature: more than 40.0 °C"),
        (
            "V-12",
            "from 1 years, under 18 years",
            "Systolic: fall of more than 25 % of baseline",
        ),
        (
            "V-14",
            "under 1 years, or under 12 kg",
            "Diastolic: fall of more than 25 % of baseline",
        ),
        ("V-16", "from 16 years, not in pregnancy", "Systolic: 90 mmHg or less"),
        ("V-19", "everybody", "Systolic: rise of 30 mmHg or more"),
        ("V-23", "with any signs", "Diastolic: rise of more than 20 mmHg"),
        ("V-25", "from 16 years, not in pregnancy", "Pulse: 131 /min or more"),
        ("V-27", "everybody", "Pulse: change of 20 /min or more"),
        ("V-30", "from 16 years, not in pregnancy", "Respiratory rate: 8 /min or less"),
        (
            "V-32",
            "from 16 years, not in pregnancy, SpO2 scale 1",
            "SpO2: 91 % or less",
        ),
        ("C-01", "SpO2 scale 1, with allergic signs", "SpO2: less than 94 %"),
        ("V-35", "everybody", "Consciousness: new confusion or worse"),
        ("N-02", "from 16 years, not in pregnancy", "NEWS2, one value: 3 or more"),
        ("N-04", "from 16 years, not in pregnancy", "NEWS2 total: 7 or more"),
        ("L-01", "from 18 years", "Urine in 8 h: less than 80 mL"),
        ("L-02", "everybody", "Creatinine: more than 1.5 times baseline"),
        ("L-03", "everybody", "Haemoglobin: fall of 2 g/dL or more"),
    ],
)
def test_each_kind_of_limit_and_of_person_as_it_is_published(rule, whom, words):
    assert for_whom(RULES[rule]) == whom
    assert threshold_words(RULES[rule]) == [words]


def test_a_measure_that_no_page_knows_is_still_named():
    (condition,) = RULES["V-27"].conditions
    rule = replace(
        RULES["V-27"], conditions=(replace(condition, measure="pain_score"),)
    )

    assert threshold_words(rule) == ["Pain score: change of 20 or more"]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (("V-01", "V-03"), ["Temperature: rise of 1.0 °C or more"]),
        (("V-03", "V-01"), ["Temperature: rise of 1.0 °C or more"]),
        (("V-16", "V-15"), ["Systolic: 100 mmHg or less"]),
        (("V-15", "V-16"), ["Systolic: 100 mmHg or less"]),
        (("V-25", "V-26"), ["Pulse: 131 /min or more", "Pulse: 40 /min or less"]),
        (
            ("V-11",),
            ["Systolic: fall of 30 mmHg or more and Systolic: 80 mmHg or less"],
        ),
        (("V-11", "V-10"), ["Systolic: fall of 30 mmHg or more"]),
        (("V-11", "V-09"), ["Systolic: fall of 20 mmHg or more"]),
        (("V-16", "V-11"), ["Systolic: 90 mmHg or less"]),
        (
            ("V-11", "V-25"),
            [
                "Pulse: 131 /min or more",
                "Systolic: fall of 30 mmHg or more and Systolic: 80 mmHg or less",
            ],
        ),
    ],
)
def test_what_is_said_already_is_not_said_again(rules, words):
    assert shortest(RULES[rule] for rule in rules) == words


def test_a_pair_that_speaks_sooner_than_a_limit_alone_is_said_beside_it():
    (fall,) = RULES["V-10"].conditions
    later = replace(RULES["V-10"], conditions=(replace(fall, limit=Decimal(40)),))

    assert shortest([later, RULES["V-11"]]) == [
        "Systolic: fall of 40 mmHg or more",
        "Systolic: fall of 30 mmHg or more and Systolic: 80 mmHg or less",
    ]


def test_two_conditions_are_two_sentences():
    both = threshold_words(RULES["V-11"])

    assert both == ["Systolic: fall of 30 mmHg or more", "Systolic: 80 mmHg or less"]


def test_of_two_limits_on_one_side_the_sooner_stands_for_both():
    stops = [
        rule
        for rule in MONITORING.thresholds
        if rule.act.action in (Action.STOP, Action.EMERGENCY)
        and rule.population.includes(ADULT)
        and rule.spo2_scale in (None, 1)
        and not rule.signs
    ]

    words = shortest(stops)

    assert "Temperature: rise of 1.5 °C or more" in words
    assert "Temperature: rise of 2.0 °C or more" not in words
    assert not any(" and " in word for word in words)
    assert len(words) == len(set(words))


def test_whom_a_rule_speaks_about():
    adults = next(r for r in RULES.values() if r.population.age_from is not None)

    assert for_whom(RULES["V-01"]) == "everybody"
    assert for_whom(adults).startswith("from ")
