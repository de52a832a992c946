"""From a body and an ordered dose to grams in vials, with every line of arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Self

from sessions.rules.labels import Indication
from sessions.rules.quantities import Number, exact, plain, to_decimal
from sessions.rules.sources import Section, Setting, Source

CM_PER_INCH = Fraction("2.54")
MOST_G = 1000
"""More grams than this in one day is a typing mistake, whatever the weight."""

DEVINE = Source(
    text="NBA BloodSTAR calculator https://nba.gov.au/bloodstar-calculator-adjusting"
    "-ig-dose-ideal-body-weight (Devine)"
)
DEVINE_BASE_KG = {"male": Fraction(50), "female": Fraction("45.5")}
DEVINE_KG_PER_INCH = Fraction("2.3")
DEVINE_FROM_INCHES = 60

BASES = ("actual", "ideal", "adjusted")
POLICY_BASES = (*BASES, "adjusted_if_obese")
ROUNDINGS = ("vial", "1 g", "5 g", "none")


class DosingError(ValueError):
    """A plan cannot be computed; `field` names the value that is missing or wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


# Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderPolicy:
    """How to climb where the label gives only a start and a maximum."""

    multiply_by: Setting[Decimal]
    minutes: Setting[Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingPolicy:
    """Rates that a clinic never exceeds; the first is for patients at risk."""

    at_risk_mg_per_kg_min: Setting[Decimal]
    clinic_ml_per_kg_h: Setting[Decimal] | None
    clinic_ml_per_h: Setting[Decimal] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundingPolicy:
    """How far the dose may move to fill vials, and how fine the pump is."""

    dose_to: Setting[str]
    dose_limit_percent: Setting[Decimal]
    pump_ml_per_h: Setting[Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class DosingWeightPolicy:
    """Which weight a dose is computed from, and for whom only the actual one."""

    basis: Setting[str]
    excess_factor: Setting[Decimal]
    obese_bmi: Setting[Decimal]
    obese_percent_of_ideal: Setting[Decimal]
    min_age_years: Setting[Decimal]
    min_height_cm: Setting[Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightPolicy:
    """How old and how different a weight may be, and which are impossible."""

    max_age_days: Setting[Decimal]
    outer_limit_days: Setting[Decimal]
    change_percent: Setting[Decimal]
    least_kg: Setting[Decimal]
    most_kg: Setting[Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseRangePolicy:
    """Where a dose outside the published range is refused, not only questioned."""

    hard_times_highest: Setting[Decimal]
    unsourced_most_g_per_kg: Setting[Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How an infusion goes on after a pause or a reaction."""

    method: Setting[str]
    fraction: Setting[Decimal]
    minutes: Setting[Decimal]
    pause_minutes: Setting[Decimal]

    METHODS = ("half_rate", "previous_step", "first_step")

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the `[restart]` table; `DocumentError` names a wrong key."""
        section = Section(document, "restart")
        policy = cls(
            method=section.choice("method", cls.METHODS),
            fraction=section.number("fraction", most=Decimal("0.9")),
            minutes=section.number("minutes"),
            pause_minutes=section.number("pause_minutes"),
        )
        section.done()
        return policy


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalPolicy:
    """Times between infusions that change what the next one is."""

    long_gap_weeks: Setting[Decimal]
    replacement_weeks: Setting[Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class DosingPolicy:
    """A clinic's approved choices for dose and rate, each with its source."""

    ladder: LadderPolicy
    ceiling: CeilingPolicy
    rounding: RoundingPolicy
    dosing_weight: DosingWeightPolicy
    weight: WeightPolicy
    dose_range: DoseRangePolicy
    restart: RestartPolicy
    intervals: IntervalPolicy

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the dosing part of a protocol; `DocumentError` names a wrong key."""
        return cls(
            ladder=_ladder_policy(Section(document, "ladder")),
            ceiling=_ceiling_policy(Section(document, "ceiling")),
            rounding=_rounding_policy(Section(document, "rounding")),
            dosing_weight=_dosing_weight_policy(Section(document, "dosing_weight")),
            weight=_weight_policy(Section(document, "weight")),
            dose_range=_dose_range_policy(Section(document, "dose_range")),
            restart=RestartPolicy.from_document(document),
            intervals=_interval_policy(Section(document, "intervals")),
        )


def _ladder_policy(section: Section) -> LadderPolicy:
    policy = LadderPolicy(
        multiply_by=section.number("multiply_by", above=1, most=2),
        minutes=section.number("minutes"),
    )
    section.done()
    return policy


def _ceiling_policy(section: Section) -> CeilingPolicy:
    policy = CeilingPolicy(
        at_risk_mg_per_kg_min=section.number("at_risk_mg_per_kg_min"),
        clinic_ml_per_kg_h=section.optional_number("clinic_ml_per_kg_h"),
        clinic_ml_per_h=section.optional_number("clinic_ml_per_h"),
    )
    section.done()
    return policy


def _rounding_policy(section: Section) -> RoundingPolicy:
    policy = RoundingPolicy(
        dose_to=section.choice("dose_to", ROUNDINGS),
        dose_limit_percent=section.number("dose_limit_percent", most=20),
        pump_ml_per_h=section.number("pump_ml_per_h", most=1),
    )
    section.done()
    return policy


def _dosing_weight_policy(section: Section) -> DosingWeightPolicy:
    policy = DosingWeightPolicy(
        basis=section.choice("basis", POLICY_BASES),
        excess_factor=section.number("excess_factor", most=1),
        obese_bmi=section.number("obese_bmi"),
        obese_percent_of_ideal=section.number("obese_percent_of_ideal", above=100),
        min_age_years=section.number("min_age_years"),
        min_height_cm=section.number("min_height_cm"),
    )
    section.done()
    return policy


def _weight_policy(section: Section) -> WeightPolicy:
    policy = WeightPolicy(
        max_age_days=section.number("max_age_days", most=180),
        outer_limit_days=section.number("outer_limit_days", most=180),
        change_percent=section.number("change_percent", most=100),
        least_kg=section.number("least_kg"),
        most_kg=section.number("most_kg"),
    )
    section.done()
    return policy


def _dose_range_policy(section: Section) -> DoseRangePolicy:
    policy = DoseRangePolicy(
        hard_times_highest=section.number("hard_times_highest", most=2),
        unsourced_most_g_per_kg=section.number("unsourced_most_g_per_kg"),
    )
    section.done()
    return policy


def _interval_policy(section: Section) -> IntervalPolicy:
    policy = IntervalPolicy(
        long_gap_weeks=section.number("long_gap_weeks"),
        replacement_weeks=section.number("replacement_weeks"),
    )
    section.done()
    return policy


# Dosing weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of arithmetic, as a person would write it to check it."""

    name: str
    arithmetic: str
    result: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a dosing weight is computed from; what nobody measured is `None`."""

    weight_kg: Decimal
    height_cm: Decimal | None = None
    sex: str | None = None
    age_years: int | None = None
    pregnant: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightOption:
    """One possible dosing weight, or why it cannot be used for this body."""

    basis: str
    exact_kg: Fraction | None
    excluded_because: str = ""

    @property
    def kg(self) -> Decimal | None:
        """The weight as a decimal, with six decimals if it does not end."""
        return None if self.exact_kg is None else to_decimal(self.exact_kg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DosingWeight:
    """The weight that dose and rate are computed from, and the ones not chosen."""

    basis: str
    exact_kg: Fraction
    because: str
    source: Source
    bmi: Decimal | None
    options: tuple[WeightOption, ...]
    lines: tuple[Line, ...]
    refused: str = ""
    """Why the basis that was asked for could not be used; empty if it was."""

    @property
    def kg(self) -> Decimal:
        """The weight as a decimal, with six decimals if it does not end."""
        return to_decimal(self.exact_kg)


def bmi(weight_kg: Number, height_cm: Number) -> Fraction:
    """Body mass index in kg/m²."""
    metres = exact(height_cm) / 100
    return exact(weight_kg) / (metres * metres)


def ideal_weight_kg(height_cm: Number, sex: str) -> Fraction:
    """Ideal weight by Devine: 50 (male) or 45.5 (female) + 2.3 kg per inch over 60.

    Source: `DEVINE`. Meant for adults of 152.4 cm and taller; the exclusions are
    applied by `dosing_weight`.
    """
    inches_over = exact(height_cm) / CM_PER_INCH - DEVINE_FROM_INCHES
    return DEVINE_BASE_KG[sex] + DEVINE_KG_PER_INCH * inches_over


def adjusted_weight_kg(
    weight_kg: Number, ideal_kg: Number, excess_factor: Number
) -> Fraction:
    """Ideal weight plus a part (usually 0.4) of the weight above it."""
    return exact(ideal_kg) + exact(excess_factor) * (exact(weight_kg) - exact(ideal_kg))


def dosing_weight(
    body: Body, policy: DosingWeightPolicy, *, basis: str | None = None
) -> DosingWeight:
    """Choose the weight for dose and rate, by `basis` or else by the policy.

    Ideal and adjusted weight are never used for the young, the short, in pregnancy
    or when the patient is lighter than ideal: then the actual weight is used and
    `refused` says why. Raises `DosingError` when height or sex is needed and unknown.
    """
    wanted = basis or policy.basis.value
    if wanted not in POLICY_BASES:
        raise DosingError("weight_basis", f"Use one of {', '.join(BASES)}.")
    if wanted != "actual" and not _excluded(body, policy):
        _require_height_and_sex(body)
    options, lines = _weight_options(body, policy)
    chosen, because = _choose(wanted, body, policy, options)
    refused = ""
    if chosen.exact_kg is None:
        refused = f"{wanted} weight not used: {chosen.excluded_because}"
        chosen, because = (
            options[0],
            "actual weight, because " + chosen.excluded_because,
        )
    assert chosen.exact_kg is not None
    index = bmi(body.weight_kg, body.height_cm) if body.height_cm else None
    return DosingWeight(
        basis=chosen.basis,
        exact_kg=chosen.exact_kg,
        because=because,
        source=policy.basis.source,
        bmi=None if index is None else to_decimal(index),
        options=options,
        lines=lines,
        refused=refused,
    )


def _require_height_and_sex(body: Body) -> None:
    if body.height_cm is None:
        raise DosingError("height", "The dosing weight needs the height in cm.")
    if body.sex not in DEVINE_BASE_KG:
        raise DosingError("sex", "The dosing weight needs the sex: female or male.")


def _excluded(body: Body, policy: DosingWeightPolicy) -> str:
    """Why only the actual weight may be used; empty when the others may be too."""
    if body.age_years is not None and body.age_years < policy.min_age_years.value:
        return f"under {plain(policy.min_age_years.value)} years"
    if body.pregnant:
        return "pregnant"
    height = body.height_cm
    if height is not None and height < policy.min_height_cm.value:
        return f"shorter than {plain(policy.min_height_cm.value)} cm"
    return ""


def _weight_options(
    body: Body, policy: DosingWeightPolicy
) -> tuple[tuple[WeightOption, ...], tuple[Line, ...]]:
    """All three weights, with their arithmetic or the reason against them."""
    actual = WeightOption(basis="actual", exact_kg=exact(body.weight_kg))
    because = _excluded(body, policy)
    if not because and (body.height_cm is None or body.sex not in DEVINE_BASE_KG):
        because = "height or sex not known"
    if because:
        return (actual, *_without("ideal", "adjusted", because=because)), ()
    assert body.height_cm is not None and body.sex is not None
    ideal = ideal_weight_kg(body.height_cm, body.sex)
    ideal_line = Line(
        name="Ideal weight (Devine)",
        arithmetic=f"{plain(to_decimal(DEVINE_BASE_KG[body.sex]))} + 2.3 × "
        f"({plain(body.height_cm)} ÷ 2.54 − 60)",
        result=to_decimal(ideal),
        unit="kg",
    )
    if ideal > body.weight_kg:
        because = "lighter than ideal weight"
        return (actual, *_without("ideal", "adjusted", because=because)), (ideal_line,)
    factor = policy.excess_factor.value
    adjusted = adjusted_weight_kg(body.weight_kg, ideal, factor)
    shown_ideal = plain(to_decimal(ideal))
    adjusted_line = Line(
        name="Adjusted weight",
        arithmetic=f"{shown_ideal} + {plain(factor)} × "
        f"({plain(body.weight_kg)} − {shown_ideal})",
        result=to_decimal(adjusted),
        unit="kg",
    )
    return (
        actual,
        WeightOption(basis="ideal", exact_kg=ideal),
        WeightOption(basis="adjusted", exact_kg=adjusted),
    ), (ideal_line, adjusted_line)


def _without(*bases: str, because: str) -> tuple[WeightOption, ...]:
    return tuple(
        WeightOption(basis=basis, exact_kg=None, excluded_because=because)
        for basis in bases
    )


def _choose(
    wanted: str,
    body: Body,
    policy: DosingWeightPolicy,
    options: tuple[WeightOption, ...],
) -> tuple[WeightOption, str]:
    by_basis = {option.basis: option for option in options}
    if wanted != "adjusted_if_obese":
        return by_basis[wanted], f"{wanted} weight"
    ideal = by_basis["ideal"].exact_kg
    if ideal is None or body.height_cm is None:
        return by_basis["actual"], "actual weight"
    index = bmi(body.weight_kg, body.height_cm)
    percent = exact(body.weight_kg) * 100 / ideal
    if index >= policy.obese_bmi.value:
        return by_basis["adjusted"], (
            f"adjusted weight: BMI {plain(index, 1)} is "
            f"{plain(policy.obese_bmi.value)} or more"
        )
    if percent > policy.obese_percent_of_ideal.value:
        return by_basis["adjusted"], (
            f"adjusted weight: {plain(percent, 1)} % of ideal weight, more than "
            f"{plain(policy.obese_percent_of_ideal.value)} %"
        )
    return by_basis["actual"], "actual weight: not obese by the policy"


# Dose range


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeCheck:
    """Where the ordered dose lies: `ok`, `warning` (ask why) or `hard` (refuse)."""

    level: str
    code: str
    text: str
    source: Source


def range_check(
    indication: Indication,
    policy: DoseRangePolicy,
    *,
    g_per_kg: Number,
    total_g: Number,
    days: int,
) -> RangeCheck:
    """Compare a course's dose with every published regimen of the indication.

    The dose is in range if one regimen allows both the total and the daily part.
    Comparisons use unrounded values. No sourced dose at all is a warning of its
    own: the prescriber gives dose and reason, and the order is investigational.
    """
    total, grams = exact(g_per_kg), exact(total_g)
    regimens = [r for r in indication.regimens if r.has_dose]
    if not regimens:
        return _unsourced(indication, policy, total)
    per_kg = [r for r in regimens if r.high_g_per_kg is not None]
    value, unit = (total, "g/kg") if per_kg else (grams, "g")
    low, high = _bounds(indication)
    hard = high * exact(policy.hard_times_highest.value)
    range_text = _range_text(low, high, unit)
    shown_dose = f"{plain(to_decimal(value))} {unit}"
    highest = max(per_kg or regimens, key=lambda r: r.high_g_per_kg or Decimal(0))
    if value > hard:
        text = f"{shown_dose} is above the ceiling of {plain(hard)} {unit}"
        text += f" ({plain(policy.hard_times_highest.value)} × {range_text})."
        return RangeCheck(
            level="hard",
            code="dose_above_ceiling",
            text=text,
            source=policy.hard_times_highest.source,
        )
    if value > high or value < low:
        side = "above" if value > high else "below"
        return RangeCheck(
            level="warning",
            code=f"dose_{side}_range",
            text=f"{shown_dose} is {side} the published range {range_text}.",
            source=highest.source,
        )
    per_day = total / days
    most_per_day = max(
        (r.high_g_per_kg_day or Decimal(0) for r in per_kg), default=None
    )
    if most_per_day and per_day > most_per_day:
        return RangeCheck(
            level="warning",
            code="dose_per_day_above_range",
            text=f"{plain(per_day)} g/kg a day is above the published "
            f"{plain(most_per_day)} g/kg a day.",
            source=highest.source,
        )
    return RangeCheck(
        level="ok",
        code="dose_in_range",
        text=f"{shown_dose} is within the published range {range_text}.",
        source=highest.source,
    )


def _range_text(low: Fraction, high: Fraction, unit: str) -> str:
    if low == 0:
        return f"up to {plain(high)} {unit}"
    if low == high:
        return f"{plain(low)} {unit}"
    return f"{plain(low)} to {plain(high)} {unit}"


def _bounds(indication: Indication) -> tuple[Fraction, Fraction]:
    """The lowest and highest total of all regimens, in g/kg or else in grams."""
    per_kg = [
        (exact(r.low_g_per_kg or 0), exact(r.high_g_per_kg))
        for r in indication.regimens
        if r.high_g_per_kg is not None
    ]
    fixed = [
        (exact(r.fixed_total_g), exact(r.fixed_total_g))
        for r in indication.regimens
        if r.fixed_total_g is not None
    ]
    bounds = per_kg or fixed
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _unsourced(
    indication: Indication, policy: DoseRangePolicy, total: Fraction
) -> RangeCheck:
    most = policy.unsourced_most_g_per_kg
    if total > most.value:
        return RangeCheck(
            level="hard",
            code="dose_above_ceiling",
            text=f"{plain(total)} g/kg is above {plain(most.value)} g/kg, the most "
            f"that can be ordered for {indication.name}: no dose is published.",
            source=most.source,
        )
    return RangeCheck(
        level="warning",
        code="investigational_no_sourced_dose",
        text=f"{indication.name}: investigational: no sourced dose. The dose is the "
        "prescriber's own and needs a reason.",
        source=indication.regimens[0].source,
    )


# Vials and rounding


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
        raise DosingError("dose", f"A dose of more than 0 and up to {MOST_G} g a day.")
    shelf = _Shelf(sizes_g, stock)
    limit = dose * exact(policy.dose_limit_percent.value) / 100
    calculated = to_decimal(calculated_g, rounding=ROUND_DOWN)
    below, above = shelf.nearest_sums(dose)
    sums = [total for total in (below, above) if total]
    targets = [*_targets(dose, limit, policy.dose_to.value, sums), exact(calculated)]
    found: list[VialSet] = []
    for given in [*targets, *sums]:
        vials = shelf.least_waste(given)
        if vials is None:
            continue
        candidate = VialSet(
            vials_g=vials, given_g=to_decimal(given), calculated_g=calculated
        )
        if candidate not in found:
            found.append(candidate)
    if not found:
        raise DosingError("stock", "The stock does not hold enough vials of this size.")
    return tuple(found)


def _targets(
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
        index = int(dose // self._unit)
        below = next((i for i in range(index, 0, -1) if i in reachable), None)
        top = max(reachable, default=0)
        at_least = -int(-dose // self._unit)
        above = next((i for i in range(at_least, top + 1) if i in reachable), None)
        return self._grams(below), self._grams(above)

    def least_waste(self, given: Fraction) -> tuple[Decimal, ...] | None:
        """The fewest vials of the smallest sum that holds what is given."""
        _, total = self.nearest_sums(given)
        if total is None:
            return None
        counts = self._sums(given)[int(total / self._unit)]
        return tuple(
            to_decimal(size * self._unit)
            for size, count in zip(self._sizes, counts, strict=True)
            for _ in range(count)
        )

    def _sums(self, dose: Fraction) -> Mapping[int, tuple[int, ...]]:
        # A sum above dose + largest vial is never nearer nor less wasteful. Rounded
        # up to hundreds of grams, so that one table serves many doses.
        top_g = -(-(dose + self._sizes[0] * self._unit) // 100) * 100
        return _fewest_vials(self._sizes, self._limits, int(top_g // self._unit))

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


# Dose


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """The dose of a whole course as it was ordered: per kilogram or in grams."""

    g_per_kg: Decimal | None = None
    total_g: Decimal | None = None
    days: int = 1

    def __post_init__(self) -> None:
        if (self.g_per_kg is None) == (self.total_g is None):
            raise DosingError("dose", "Give the dose per kilogram or in grams.")
        value = self.total_g if self.g_per_kg is None else self.g_per_kg
        if value is None or value <= 0:
            raise DosingError("dose", "The dose must be more than 0.")
        if self.days < 1:
            raise DosingError("days", "The course needs at least one day.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """The dose of one day of a course, and how it was arrived at."""

    lines: tuple[Line, ...]
    days: int
    course_g_per_kg: Decimal
    course_g: Decimal
    calculated_g: Decimal
    vials: VialSet
    alternatives: tuple[VialSet, ...]
    given_g_per_kg: Decimal
    check: RangeCheck

    @property
    def given_g(self) -> Decimal:
        """What is given on one day."""
        return self.vials.given_g

    @property
    def course_given_g(self) -> Decimal:
        """What is given over all days."""
        return self.given_g * self.days


def dose(
    ordered: Ordered,
    *,
    weight: DosingWeight,
    indication: Indication,
    sizes_g: tuple[Decimal, ...],
    policy: DosingPolicy,
    stock: Mapping[Decimal, int] | None = None,
) -> Dose:
    """Turn an ordered course into the grams and vials of one day, line by line."""
    course_g, lines = _course_grams(ordered, weight)
    per_kg = course_g / weight.exact_kg
    calculated = course_g / ordered.days
    if ordered.days > 1:
        lines.append(
            Line(
                name="Dose a day",
                arithmetic=f"{plain(to_decimal(course_g))} g ÷ {ordered.days} days",
                result=to_decimal(calculated),
                unit="g",
            )
        )
    chosen, *alternatives = vial_sets(calculated, sizes_g, policy.rounding, stock=stock)
    lines.append(_rounding_line(chosen, policy.rounding))
    return Dose(
        lines=tuple(lines),
        days=ordered.days,
        course_g_per_kg=to_decimal(per_kg),
        course_g=to_decimal(course_g),
        calculated_g=to_decimal(calculated),
        vials=chosen,
        alternatives=tuple(alternatives),
        given_g_per_kg=to_decimal(exact(chosen.given_g) / weight.exact_kg),
        check=range_check(
            indication,
            policy.dose_range,
            g_per_kg=per_kg,
            total_g=course_g,
            days=ordered.days,
        ),
    )


def _course_grams(
    ordered: Ordered, weight: DosingWeight
) -> tuple[Fraction, list[Line]]:
    if ordered.g_per_kg is not None:
        grams = exact(ordered.g_per_kg) * weight.exact_kg
        line = Line(
            name="Dose of the course",
            arithmetic=f"{plain(ordered.g_per_kg)} g/kg × {plain(weight.kg)} kg",
            result=to_decimal(grams),
            unit="g",
        )
        return grams, [line]
    assert ordered.total_g is not None
    grams = exact(ordered.total_g)
    line = Line(
        name="Fixed dose of the course, per kilogram",
        arithmetic=f"{plain(ordered.total_g)} g ÷ {plain(weight.kg)} kg",
        result=to_decimal(grams / weight.exact_kg),
        unit="g/kg",
    )
    return grams, [line]


def _rounding_line(chosen: VialSet, policy: RoundingPolicy) -> Line:
    vials = " + ".join(plain(size) for size in chosen.vials_g)
    change = plain(chosen.difference_percent, 1)
    if chosen.given_g == chosen.calculated_g:
        change = "0"
    waste = f", waste {plain(chosen.waste_g)} g" if chosen.waste_g else ""
    return Line(
        name=f"Given a day (vials {vials} g{waste})",
        arithmetic=f"{plain(chosen.calculated_g)} g, {change} % "
        f"(limit {plain(policy.dose_limit_percent.value)} %)",
        result=chosen.given_g,
        unit="g",
    )
