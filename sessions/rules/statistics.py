"""Counting statistics of the reports, exact: no floats, no rounding before the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

Z_95 = Decimal("1.959963984540054")
"""The 0.975 quantile of the normal distribution: 95 % of it lies within ± this."""

DIGITS = 40
"""Working precision of the one square root; far beyond what is ever shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share of a whole with its 95 % interval, all as parts of one."""

    count: int
    of: int
    share: Fraction
    low: Decimal
    high: Decimal


def wilson(count: int, of: int, *, z: Decimal = Z_95) -> Proportion | None:
    """Give a proportion with its Wilson score interval; None when nothing was counted.

    Wilson EB. Probable inference, the law of succession, and statistical inference.
    J Am Stat Assoc 1927;22:209-212; the form without continuity correction, method 3
    of Newcombe RG, Stat Med 1998;17:857-872. Unlike the simple interval it stays
    between 0 and 1 and has a width when nothing or everything was counted.

    Raises `ValueError` when more is counted than there is.
    """
    if count < 0 or count > of:
        raise ValueError(f"{count} of {of} is no proportion")
    if of == 0:
        return None
    with localcontext() as context:
        context.prec = DIGITS
        n, r, z2 = Decimal(of), Decimal(count), z * z
        middle = 2 * r + z2
        spread = z * (z2 + 4 * r * (n - r) / n).sqrt()
        whole = 2 * (n + z2)
        low, high = (middle - spread) / whole, (middle + spread) / whole
    return Proportion(
        count=count,
        of=of,
        share=Fraction(count, of),
        low=Decimal(0) if count == 0 else max(low, Decimal(0)),
        high=Decimal(1) if count == of else min(high, Decimal(1)),
    )


def percentile(values: Sequence[Fraction], percent: int) -> Fraction | None:
    """Give the value below which `percent` per cent lie; None when there is none.

    Type 7 of Hyndman RJ, Fan Y. Sample quantiles in statistical packages.
    Am Stat 1996;50:361-365: linear between the two nearest values in order, so that
    50 is the usual median. `values` may come in any order.

    Raises `ValueError` for a per cent outside 0 to 100.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no percentage")
    if not values:
        return None
    ordered = sorted(values)
    place = Fraction((len(ordered) - 1) * percent, 100)
    below = place.numerator // place.denominator
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median(values: Sequence[Fraction]) -> Fraction | None:
    """Give the middle value, the mean of the two middle ones when they are even."""
    return percentile(values, 50)


def per_100(value: Fraction | Decimal, *, places: int = 1) -> Decimal:
    """A part of one as a number per hundred, half rounded up: 33 of 846 is 3.9."""
    return rounded(Fraction(value) * 100, places=places)


def rounded(value: Fraction, *, places: int) -> Decimal:
    """A fraction with so many decimals, half rounded away from zero; never a float.

    Raises `ValueError` for a negative value: counts and lengths of time have none.
    """
    if value < 0:
        raise ValueError("only counts, shares and lengths of time are rounded here")
    scaled = value * 10**places
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    return Decimal(whole + (2 * rest >= scaled.denominator)).scaleb(-places)
