"""The vials for a dose: nearest sums, least waste, fewest vials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from functools import lru_cache

from sessions.rules.dosing_policy import DosingError, RoundingPolicy
from sessions.rules.language import say
from sessions.rules.quantities import Number, exact, to_decimal

MOST_G = 1000
"""More grams than this in one day is a typing mistake, whatever the weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VialSet:
    """Vials for one day: what is dispensed, given and thrown away."""

    vials_g: tuple[Decimal, ...]
    given_g: Decimal
    calculated_g: Decimal

    @property
    def dispensed_g(self) -> Decimal:
        """What the vials hold together."""
        return sum(self.vials_g, Decimal(0))

    @property
    def waste_g(self) -> Decimal:
        """What is left in the last vial and discarded."""
        return self.dispensed_g - self.given_g

    @property
    def difference_percent(self) -> Decimal:
        """How far the given dose is from the calculated one."""
        difference = exact(self.given_g) - exact(self.calculated_g)
        return to_decimal(difference * 100 / exact(self.calculated_g))


def vial_sets(
    calculated_g: Number,
    sizes_g: tuple[Decimal, ...],
    policy: RoundingPolicy,
    *,
    stock: Mapping[Decimal, int] | None = None,
) -> tuple[VialSet, ...]:
    """The vial set that the policy chooses, then the alternatives worth showing.

    The dose moves to the nearest sum of vials (or whole number of grams) within the
    clinic's limit; of two equally near, the lower. Outside the limit the exact dose
    is given from the vials that waste least. Equal sums take the fewest vials.
    With `stock`, no more vials are taken than there are.

    Raises `DosingError` when the stock cannot hold the dose.
    """
    dose = exact(calculated_g)
    if not 0 < dose <= MOST_G:
        raise DosingError(
            "dose",
            say("A dose of more than 0 and up to {most} g a day.", most=MOST_G),
        )
    shelf = _Shelf(sizes_g, stock)
    limit = dose * exact(policy.dose_limit_percent.value) / 100
    calculated = to_decimal(calculated_g, rounding=ROUND_DOWN)
    sums = [total for total in shelf.nearest_sums(dose) if total]
    near = _near(dose, limit, policy.dose_to.value, sums)
    targets = near + [exact(calculated)] + sums
    chosen = shelf.vial_set(targets[0], calculated)
    if chosen is None:
        raise DosingError(
            "stock", say("The stock does not hold enough vials of this size.")
        )
    options = [shelf.vial_set(given, calculated) for given in targets[1:]]
    # A dictionary keeps the order and drops what is there twice.
    return tuple(dict.fromkeys([chosen, *filter(None, options)]))


def _near(
    dose: Fraction, limit: Fraction, dose_to: str, sums: list[Fraction]
) -> list[Fraction]:
    """The doses the policy would round to, best first; empty if none is near enough."""
    if dose_to == "none":
        return []
    if dose_to == "vial":
        candidates = sums
    else:
        grams = int(dose_to.removesuffix(" g"))
        lower = dose // grams * grams
        candidates = [Fraction(lower), Fraction(lower + grams)]
    near = [total for total in candidates if total and abs(total - dose) <= limit]
    return sorted(near, key=lambda total: (abs(total - dose), total))[:1]


class _Shelf:
    """The vial sizes at hand, and the sums that can be made of them."""

    def __init__(
        self, sizes_g: tuple[Decimal, ...], stock: Mapping[Decimal, int] | None
    ) -> None:
        sizes = tuple(sorted((exact(size) for size in sizes_g), reverse=True))
        scale = math.lcm(*(size.denominator for size in sizes))
        common = math.gcd(*(int(size * scale) for size in sizes))
        self._unit = Fraction(common, scale)
        self._sizes = tuple(int(size / self._unit) for size in sizes)
        counts = {exact(size): count for size, count in (stock or {}).items()}
        self._limits = (
            None if stock is None else tuple(counts.get(size, 0) for size in sizes)
        )

    def nearest_sums(self, dose: Fraction) -> tuple[Fraction | None, Fraction | None]:
        """The largest sum not above the dose, and the smallest not below it."""
        reachable = self._sums(dose)
        index = dose // self._unit
        below = next((i for i in range(index, 0, -1) if i in reachable), None)
        top = max(reachable, default=0)
        at_least = -(-dose // self._unit)
        above = next((i for i in range(at_least, top + 1) if i in reachable), None)
        return self._grams(below), self._grams(above)

    def vial_set(self, given: Fraction, calculated: Decimal) -> VialSet | None:
        """The fewest vials of the smallest sum that holds what is given."""
        _, total = self.nearest_sums(given)
        if total is None:
            return None
        counts = self._sums(given)[int(total / self._unit)]
        vials = (
            to_decimal(size * self._unit)
            for size, count in zip(self._sizes, counts, strict=True)
            for _ in range(count)
        )
        return VialSet(
            vials_g=tuple(vials), given_g=to_decimal(given), calculated_g=calculated
        )

    def _sums(self, dose: Fraction) -> Mapping[int, tuple[int, ...]]:
        # A sum above dose + largest vial is never nearer nor less wasteful. Rounded
        # up to hundreds of grams, so that one table serves many doses.
        top_g = -(-(dose + self._sizes[0] * self._unit) // 100) * 100
        return _fewest_vials(self._sizes, self._limits, top_g // self._unit)

    def _grams(self, units: int | None) -> Fraction | None:
        return None if units is None else units * self._unit


@lru_cache(maxsize=64)
def _fewest_vials(
    sizes: tuple[int, ...], limits: tuple[int, ...] | None, top: int
) -> Mapping[int, tuple[int, ...]]:
    """For each sum up to `top`, the counts of the fewest vials that make it.

    Dynamic programming over sums. Counts are split into powers of two, so that a
    limit of n vials costs log n passes; nothing here grows exponentially. Sizes
    come largest first and a later pass must be strictly better, so equal counts
    keep the larger vials.
    """
    best: dict[int, tuple[int, ...]] = {0: (0,) * len(sizes)}
    fewest = [0] + [top + 1] * top
    for index, size in enumerate(sizes):
        available = top // size if limits is None else min(limits[index], top // size)
        for lot in _powers_of_two(available):
            for total in range(top, size * lot - 1, -1):
                before = total - size * lot
                if before in best and fewest[before] + lot < fewest[total]:
                    counts = list(best[before])
                    counts[index] += lot
                    best[total] = tuple(counts)
                    fewest[total] = fewest[before] + lot
    del best[0]
    return best


def _powers_of_two(count: int) -> list[int]:
    """Lots whose partial sums make every number from 0 to `count`."""
    lots, lot = [], 1
    while count > 0:
        lots.append(min(lot, count))
        count -= lots[-1]
        lot *= 2
    return lots
