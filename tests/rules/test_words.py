"""Limits in words: each once, the one that speaks first."""

from sessions.catalogue.default_protocol import default_policy
from sessions.rules.findings import Action
from sessions.rules.thresholds import Person
from sessions.rules.words import for_whom, shortest, threshold_words

RULES = {rule.rule: rule for rule in default_policy().monitoring.thresholds}
ADULT = Person(age_years=48, pregnant=False)


def test_a_limit_is_a_sentence_with_its_unit():
    assert threshold_words(RULES["V-01"]) == ["Temperature: rise of 1.0 °C or more"]


def test_two_conditions_are_two_sentences():
    both = threshold_words(RULES["V-11"])

    assert both == ["Systolic: fall of 30 mmHg or more", "Systolic: 80 mmHg or less"]


def test_of_two_limits_on_one_side_the_sooner_stands_for_both():
    stops = [
        rule
        for rule in RULES.values()
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
