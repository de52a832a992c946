import random
from datetime import date
from decimal import Decimal

import pytest

from sessions.rules.bodies import (
    age_years,
    height_questions,
    is_over_65,
    weight_questions,
)


def asked(weight, *, last=None, years=47, height=None):
    return weight_questions(
        Decimal(weight),
        years=years,
        last_kg=None if last is None else Decimal(last),
        height_cm=None if height is None else Decimal(height),
        most_change_percent=Decimal(10),
    )


@pytest.mark.parametrize(
    ("weight", "last", "words"),
    [
        ("72", "72", None),
        ("79.1", "72", None),
        ("79.2", "72", "10.0 % more"),
        ("64.8", "72", "10.0 % less"),
        ("64.9", "72", None),
        ("144", "72", "lb or kg"),
        ("158.73", "72", "lb or kg"),
        ("172.8", "72", "lb or kg"),
        ("36", "72", "lb or kg"),
        ("30.24", "72", "lb or kg"),
    ],
)
def test_a_weight_is_compared_with_the_last(weight, last, words):
    questions = asked(weight, last=last)

    assert bool(questions) is bool(words)
    assert words is None or words in questions[0]


def test_every_pound_typed_for_a_kilogram_is_asked_about_when_there_is_a_history():
    rng = random.Random(7)
    for _ in range(1000):
        last = Decimal(rng.randrange(300, 20000)) / 100
        now = last * (1 + Decimal(rng.randrange(-90, 91)) / 1000)
        typed = (now / Decimal("0.45359237")).quantize(Decimal("0.1"))

        assert asked(typed, last=last), (last, typed)


@pytest.mark.parametrize(
    ("weight", "years", "odd"),
    [
        ("3.4", 0, False),
        ("34", 0, True),
        ("20", 4, False),
        ("7.2", 30, True),
        ("72", 30, False),
        ("720", 30, True),
        ("180", 30, False),
        ("180.01", 30, True),
        ("35", 16, False),
        ("72", 3, True),
    ],
)
def test_a_weight_unusual_for_the_age_is_asked_about(weight, years, odd):
    assert bool(asked(weight, years=years)) is odd


def test_a_first_weight_in_pounds_shows_by_the_height():
    assert "BMI of 58.3" in asked("158.7", height="165")[0]
    assert not asked("72", height="165")
    assert not asked("25", height="125", years=8)


@pytest.mark.parametrize(
    ("height", "last", "years", "odd"),
    [
        ("170", None, 47, False),
        ("70", None, 47, True),
        ("170", "175", 47, False),
        ("169.9", "175", 47, True),
        ("120", "100", 8, False),
        ("98.9", "100", 8, True),
    ],
)
def test_a_height_unusual_or_far_from_the_last_is_asked_about(height, last, years, odd):
    found = height_questions(
        Decimal(height), years=years, last_cm=None if last is None else Decimal(last)
    )

    assert bool(found) is odd


def test_over_65_begins_with_66():
    assert not is_over_65(date(1960, 3, 2), date(2026, 3, 1))
    assert is_over_65(date(1960, 3, 2), date(2026, 3, 2))
    assert age_years(date(2024, 2, 29), date(2026, 2, 28)) == 1
