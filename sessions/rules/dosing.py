"""From a body and an ordered dose to the grams of one day, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from sessions.rules.dosing_policy import (
    BASES,
    POLICY_BASES,
    DoseRangePolicy,
    DosingError,
    DosingPolicy,
    DosingWeightPolicy,
    RestartPolicy,
    RoundingPolicy,
)
from sessions.rules.labels import Indication
from sessions.rules.language import phrase, say
from sessions.rules.quantities import Number, exact, plain, to_decimal
from sessions.rules.sources import Source
from sessions.rules.vials import VialSet, vial_sets

__all__ = [
    "Body",
    "Dose",
    "DosingError",
    "DosingPolicy",
    "DosingWeight",
    "Line",
    "Ordered",
    "RangeCheck",
    "RestartPolicy",
    "VialSet",
    "WeightOption",
    "adjusted_weight_kg",
    "bmi",
    "dose",
    "dosing_weight",
    "ideal_weight_kg",
    "range_check",
    "vial_sets",
]

CM_PER_INCH = Fraction("2.54")
DEVINE = Source(
    text="NBA BloodSTAR calculator https://nba.gov.au/bloodstar-calculator-adjusting"
    "-ig-dose-ideal-body-weight (Devine)"
)
DEVINE_BASE_KG = {"male": Fraction(50), "female": Fraction("45.5")}
DEVINE_KG_PER_INCH = Fraction("2.3")
DEVINE_FROM_INCHES = 60


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


WEIGHTS = {
    "actual": phrase("actual weight"),
    "ideal": phrase("ideal weight"),
    "adjusted": phrase("adjusted weight"),
    "adjusted_if_obese": phrase("adjusted weight"),
}


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
        raise DosingError(
            "weight_basis", say("Use one of {known}.", known=", ".join(BASES))
        )
    if wanted != "actual" and not _excluded(body, policy):
        _require_height_and_sex(body)
    options, lines = _weight_options(body, policy)
    chosen, because = _choose(wanted, body, policy, options)
    kg, refused = chosen.exact_kg, ""
    if kg is None:
        refused = say(
            "{weight} not used: {excluded_because}",
            weight=say(WEIGHTS[wanted]),
            excluded_because=chosen.excluded_because,
        )
        because = say(
            "actual weight, because {excluded_because}",
            excluded_because=chosen.excluded_because,
        )
        chosen, kg = options[0], exact(body.weight_kg)
    index = bmi(body.weight_kg, body.height_cm) if body.height_cm else None
    return DosingWeight(
        basis=chosen.basis,
        exact_kg=kg,
        because=because,
        source=policy.basis.source,
        bmi=None if index is None else to_decimal(index),
        options=options,
        lines=lines,
        refused=refused,
    )


def _require_height_and_sex(body: Body) -> None:
    if body.height_cm is None:
        raise DosingError("height", say("The dosing weight needs the height in cm."))
    if body.sex not in DEVINE_BASE_KG:
        raise DosingError(
            "sex", say("The dosing weight needs the sex: female or male.")
        )


def _excluded(body: Body, policy: DosingWeightPolicy) -> str:
    """Why only the actual weight may be used; empty when the others may be too."""
    if body.age_years is not None and body.age_years < policy.min_age_years.value:
        return say("under {value} years", value=plain(policy.min_age_years.value))
    if body.pregnant:
        return say("pregnant")
    height = body.height_cm
    if height is not None and height < policy.min_height_cm.value:
        return say("shorter than {value} cm", value=plain(policy.min_height_cm.value))
    return ""


def _weight_options(
    body: Body, policy: DosingWeightPolicy
) -> tuple[tuple[WeightOption, ...], tuple[Line, ...]]:
    """All three weights, with their arithmetic or the reason against them."""
    actual = WeightOption(basis="actual", exact_kg=exact(body.weight_kg))
    because = _excluded(body, policy)
    if not because and (body.height_cm is None or body.sex not in DEVINE_BASE_KG):
        because = say("height or sex not known")
    if because or body.height_cm is None or body.sex is None:
        return (actual, *_without("ideal", "adjusted", because=because)), ()
    ideal = ideal_weight_kg(body.height_cm, body.sex)
    ideal_line = Line(
        name=say("Ideal weight (Devine)"),
        arithmetic=f"{plain(to_decimal(DEVINE_BASE_KG[body.sex]))} + 2.3 × "
        f"({plain(body.height_cm)} ÷ 2.54 − 60)",
        result=to_decimal(ideal),
        unit="kg",
    )
    if ideal > body.weight_kg:
        because = say("lighter than ideal weight")
        return (actual, *_without("ideal", "adjusted", because=because)), (ideal_line,)
    factor = policy.excess_factor.value
    adjusted = adjusted_weight_kg(body.weight_kg, ideal, factor)
    shown_ideal = plain(to_decimal(ideal))
    adjusted_line = Line(
        name=say("Adjusted weight"),
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
        return by_basis[wanted], say(WEIGHTS[wanted])
    ideal = by_basis["ideal"].exact_kg
    if ideal is None or body.height_cm is None:
        return by_basis["actual"], say("actual weight")
    index = bmi(body.weight_kg, body.height_cm)
    percent = exact(body.weight_kg) * 100 / ideal
    if index >= policy.obese_bmi.value:
        return by_basis["adjusted"], (
            say(
                "adjusted weight: BMI {index} is {value} or more",
                index=plain(index, 1),
                value=plain(policy.obese_bmi.value),
            )
        )
    if percent > policy.obese_percent_of_ideal.value:
        return by_basis["adjusted"], (
            say(
                "adjusted weight: {percent} % of ideal weight, more than {value} %",
                percent=plain(percent, 1),
                value=plain(policy.obese_percent_of_ideal.value),
            )
        )
    return by_basis["actual"], say("actual weight: not obese by the policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeCheck:
    """Where the ordered dose lies: `ok`, `warning` (ask why) or `hard` (refuse)."""

    level: str
    code: str
    text: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    """The span of an indication's regimens: g/kg where any gives that, else grams."""

    low: Fraction
    high: Fraction
    unit: str
    most_a_day: Decimal | None
    source: Source

    @property
    def text(self) -> str:
        """The span in words: "0.2 to 0.8 g/kg"."""
        if self.low == self.high:
            return f"{plain(self.high)} {self.unit}"
        high = f"{plain(self.high)} {self.unit}"
        if self.low:
            return say("{low} to {high}", low=plain(self.low), high=high)
        return say("up to {high}", high=high)


def range_check(
    indication: Indication,
    policy: DoseRangePolicy,
    *,
    g_per_kg: Number,
    total_g: Number,
    days: int,
) -> RangeCheck:
    """Compare a course's dose with the span of the indication's published regimens.

    Comparisons use unrounded values. Without any sourced dose the prescriber gives
    dose and reason, and the order is investigational.
    """
    published = _published(indication)
    if published is None:
        return _unsourced(indication, policy, exact(g_per_kg))
    value = exact(g_per_kg if published.unit == "g/kg" else total_g)
    factor, unit = policy.hard_times_highest, published.unit
    hard = published.high * exact(factor.value)
    shown_dose = f"{plain(value)} {unit}"
    if value > hard:
        return RangeCheck(
            level="hard",
            code="dose_above_ceiling",
            text=say(
                "{shown_dose} is above the ceiling of {hard} {unit}, "
                "{value} times the highest of the published {words}.",
                shown_dose=shown_dose,
                hard=plain(hard),
                unit=unit,
                value=plain(factor.value),
                words=published.text,
            ),
            source=factor.source,
        )
    level, code = "warning", "dose_in_range"
    if value < published.low:
        code, where = (
            "dose_below_range",
            say("below the published range {words}", words=published.text),
        )
    elif value > published.high:
        code, where = (
            "dose_above_range",
            say("above the published range {words}", words=published.text),
        )
    elif published.most_a_day and exact(g_per_kg) / days > published.most_a_day:
        code = "dose_per_day_above_range"
        where = say(
            "more than the published {most_a_day} g/kg a day",
            most_a_day=plain(published.most_a_day),
        )
        shown_dose = say(
            "{g_per_kg} g/kg a day", g_per_kg=plain(exact(g_per_kg) / days)
        )
    else:
        level, where = (
            "ok",
            say("within the published range {words}", words=published.text),
        )
    return RangeCheck(
        level=level,
        code=code,
        text=say("{shown_dose} is {where}.", shown_dose=shown_dose, where=where),
        source=published.source,
    )


def _published(indication: Indication) -> _Published | None:
    """The span of the regimens in one unit; `None` when no source gives a dose."""
    per_kg = [r for r in indication.regimens if r.high_g_per_kg is not None]
    if per_kg:
        highest = max(per_kg, key=lambda r: r.high_g_per_kg or 0)
        return _Published(
            low=min(exact(r.low_g_per_kg or 0) for r in per_kg),
            high=exact(highest.high_g_per_kg or 0),
            unit="g/kg",
            most_a_day=max((r.high_g_per_kg_day or Decimal(0)) for r in per_kg) or None,
            source=highest.source,
        )
    for regimen in indication.regimens:
        if regimen.fixed_total_g is not None:
            grams = exact(regimen.fixed_total_g)
            return _Published(
                low=grams, high=grams, unit="g", most_a_day=None, source=regimen.source
            )
    return None


def _unsourced(
    indication: Indication, policy: DoseRangePolicy, total: Fraction
) -> RangeCheck:
    most = policy.unsourced_most_g_per_kg
    if total > most.value:
        return RangeCheck(
            level="hard",
            code="dose_above_ceiling",
            text=say(
                "{total} g/kg is above {value} g/kg, the most that can be "
                "ordered for {name}: no dose is published.",
                total=plain(total),
                value=plain(most.value),
                name=say(indication.name),
            ),
            source=most.source,
        )
    return RangeCheck(
        level="warning",
        code="investigational_no_sourced_dose",
        text=say(
            "{name}: investigational: no sourced dose. The dose is the "
            "prescriber's own and needs a reason.",
            name=say(indication.name),
        ),
        source=indication.regimens[0].source,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """The dose of a whole course as it was ordered: per kilogram or in grams."""

    g_per_kg: Decimal | None = None
    total_g: Decimal | None = None
    days: int = 1

    def __post_init__(self) -> None:
        if (self.g_per_kg is None) == (self.total_g is None):
            raise DosingError("dose", say("Give the dose per kilogram or in grams."))
        value = self.total_g if self.g_per_kg is None else self.g_per_kg
        if value is None or value <= 0:
            raise DosingError("dose", say("The dose must be more than 0."))
        if self.days < 1:
            raise DosingError("days", say("The course needs at least one day."))


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
                name=say("Dose a day"),
                arithmetic=say(
                    "{course_g} g ÷ {days} days",
                    course_g=plain(to_decimal(course_g)),
                    days=ordered.days,
                ),
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
            name=say("Dose of the course"),
            arithmetic=f"{plain(ordered.g_per_kg)} g/kg × {plain(weight.kg)} kg",
            result=to_decimal(grams),
            unit="g",
        )
        return grams, [line]
    grams = exact(ordered.total_g or 0)
    line = Line(
        name=say("Fixed dose of the course, per kilogram"),
        arithmetic=f"{plain(grams)} g ÷ {plain(weight.kg)} kg",
        result=to_decimal(grams / weight.exact_kg),
        unit="g/kg",
    )
    return grams, [line]


def _rounding_line(chosen: VialSet, policy: RoundingPolicy) -> Line:
    vials = " + ".join(plain(size) for size in chosen.vials_g)
    change = plain(chosen.difference_percent, 1)
    if chosen.given_g == chosen.calculated_g:
        change = "0"
    waste = (
        say(", waste {waste_g} g", waste_g=plain(chosen.waste_g))
        if chosen.waste_g
        else ""
    )
    return Line(
        name=say("Given a day (vials {vials} g{waste})", vials=vials, waste=waste),
        arithmetic=say(
            "{calculated_g} g, {change} % (limit {value} %)",
            calculated_g=plain(chosen.calculated_g),
            change=change,
            value=plain(policy.dose_limit_percent.value),
        ),
        result=chosen.given_g,
        unit="g",
    )
