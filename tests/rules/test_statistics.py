"""Counting statistics against published values."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.rules.statistics import median, per_100, percentile, rounded, wilson

# Newcombe, Stat Med 1998;17:857-872, table I, method 3 (Wilson score).
NEWCOMBE = [
    (81, 263, "0.2553", "0.3662"),
    (15, 148, "0.0624", "0.1605"),
    (0, 20, "0.0000", "0.1611"),
    (1, 29, "0.0061", "0.1718"),
]


@pytest.mark.parametrize(("count", "of", "low", "high"), NEWCOMBE)
def test_the_wilson_interval_is_the_published_one(count, of, low, high):
    found = wilson(count, of)

    assert (found.count, found.of, found.share) == (count, of, Fraction(count, of))
    assert rounded(Fraction(found.low), places=4) == Decimal(low)
    assert rounded(Fraction(found.high), places=4) == Decimal(high)


def test_nothing_counted_has_no_rate():
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("count", "of"), [(-1, 5), (6, 5), (1, 0)])
def test_more_than_there_is_is_refused(count, of):
    with pytest.raises(ValueError, match="no proportion"):
        wilson(count, of)


@given(
    st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
)
def test_the_interval_holds_its_share_and_mirrors(pair):
    count, of = pair
    found, mirrored = wilson(count, of), wilson(of - count, of)

    assert 0 <= found.low <= found.share <= found.high <= 1
    assert abs(found.low - (1 - mirrored.high)) < Decimal("1e-25")


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7], 90, "7"),
        ([1, 2], 50, "1.5"),
        ([3, 1, 2], 50, "2"),
        (range(1, 11), 90, "9.1"),  # R: quantile(1:10, 0.9)
        (range(1, 11), 50, "5.5"),
        ([1, 2, 4, 8], 0, "1"),
        ([1, 2, 4, 8], 100, "8"),
    ],
)
def test_percentiles_are_linear_between_neighbours(values, percent, expected):
    found = percentile([Fraction(value) for value in values], percent)

    assert found == Fraction(expected)


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        ("1.4", 0, "1"),
        ("1.49", 0, "1"),
        ("1.5", 0, "2"),
        ("2.5", 0, "3"),
        ("1.05", 1, "1.1"),
        ("1.04", 1, "1.0"),
        ("0", 1, "0.0"),
    ],
)
def test_a_half_is_rounded_up_and_less_is_not(value, places, expected):
    assert str(rounded(Fraction(value), places=places)) == expected


def test_what_is_less_than_nothing_is_not_rounded():
    with pytest.raises(ValueError, match="^only counts, shares and lengths of time"):
        rounded(Fraction(-1, 1000), places=1)


def test_nothing_has_no_percentile():
    assert percentile([], 90) is None
    assert median([]) is None


def test_a_percentage_beyond_100_is_refused():
    with pytest.raises(ValueError, match="no percentage"):
        percentile([Fraction(1)], 101)


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (Fraction(33, 846), "3.9"),
        (Fraction(127, 4100), "3.1"),
        (Fraction(1, 2000), "0.1"),  # 0.05 rounds up
        (Fraction(0), "0.0"),
        (Fraction(1), "100.0"),
    ],
)
def test_a_share_per_hundred_has_one_decimal(share, shown):
    assert str(per_100(share)) == shown


def test_a_negative_length_of_time_is_refused():
    with pytest.raises(ValueError, match="lengths of time"):
        rounded(Fraction(-1), places=1)
