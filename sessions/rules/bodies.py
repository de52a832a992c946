"""Whether a measured weight or height can be right: what makes a nurse look twice."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

from sessions.rules.dosing import bmi
from sessions.rules.language import say
from sessions.rules.quantities import exact, plain

LB_FOR_KG = (Fraction("2.0"), Fraction("2.4"))
KG_FOR_LB = (Fraction("0.42"), Fraction("0.50"))
"""Ratios to the last weight that a pound typed for a kilogram makes (H3)."""

USUAL_WEIGHT_KG = (
    (1, Decimal("2"), Decimal("15")),
    (5, Decimal("6"), Decimal("35")),
    (10, Decimal("12"), Decimal("70")),
    (16, Decimal("20"), Decimal("120")),
    (200, Decimal("35"), Decimal("180")),
)
"""Under so many years: lightest and heaviest weight that is not asked about.

A choice of this product, wide enough to speak seldom. It only asks; it refuses nothing.
"""

USUAL_BMI = (Decimal("13"), Decimal("50"))
"""An adult outside these is asked about: it finds a pound typed at the first visit."""

OVER_65 = 65
ADULT_YEARS = 16
ADULT_HEIGHT_CM = (Decimal("130"), Decimal("210"))
ADULT_GROWTH_CM = Decimal("5")


def age_years(birth_date: date, day: date) -> int:
    """Completed years of life on a day."""
    before = (day.month, day.day) < (birth_date.month, birth_date.day)
    return day.year - birth_date.year - before


def is_over_65(birth_date: date, day: date) -> bool:
    """Whether "age over 65" holds, in completed years: from the 66th birthday on."""
    return age_years(birth_date, day) > OVER_65


def change_percent(new: Decimal, old: Decimal) -> Fraction:
    """By how many percent a value differs from an older one; negative when it fell."""
    return (exact(new) - exact(old)) * 100 / exact(old)


def looks_like_pounds(weight_kg: Decimal, last_kg: Decimal) -> bool:
    """Whether one of two weights of a person may be pounds typed for kilograms."""
    ratio = exact(weight_kg) / exact(last_kg)
    return any(low <= ratio <= high for low, high in (LB_FOR_KG, KG_FOR_LB))


def weight_questions(
    weight_kg: Decimal,
    *,
    years: int,
    last_kg: Decimal | None,
    height_cm: Decimal | None,
    most_change_percent: Decimal,
) -> list[str]:
    """Ask about a weight that is possible but odd; an empty list when it is not."""
    asked = (
        [] if last_kg is None else _compared(weight_kg, last_kg, most_change_percent)
    )
    low, high = next(
        (low, high) for under, low, high in USUAL_WEIGHT_KG if years < under
    )
    if not low <= weight_kg <= high:
        asked.append(
            say(
                "{weight_kg} kg is unusual at {years} years (usual {low} "
                "to {high} kg).",
                weight_kg=plain(weight_kg),
                years=years,
                low=plain(low),
                high=plain(high),
            )
        )
    elif height_cm is not None and years >= ADULT_YEARS:
        index = bmi(weight_kg, height_cm)
        if not USUAL_BMI[0] <= index <= USUAL_BMI[1]:
            asked.append(
                say(
                    "With a height of {height_cm} cm this is a BMI of {index}.",
                    height_cm=plain(height_cm),
                    index=plain(index, 1),
                )
            )
    return asked


def _compared(weight_kg: Decimal, last_kg: Decimal, most: Decimal) -> list[str]:
    both = say(
        "{weight_kg} kg, last {last_kg} kg",
        weight_kg=plain(weight_kg),
        last_kg=plain(last_kg),
    )
    if looks_like_pounds(weight_kg, last_kg):
        return [say("{both}: is this lb or kg? Only kg may be entered.", both=both)]
    change = change_percent(weight_kg, last_kg)
    if abs(change) >= most:
        percent = plain(abs(change), 1)
        if change > 0:
            return [say("{both}: {percent} % more.", both=both, percent=percent)]
        return [say("{both}: {percent} % less.", both=both, percent=percent)]
    return []


def height_questions(
    height_cm: Decimal, *, years: int, last_cm: Decimal | None
) -> list[str]:
    """Ask about a height that is possible but odd; an empty list when it is not."""
    asked = []
    low, high = ADULT_HEIGHT_CM
    if years >= ADULT_YEARS and not low <= height_cm <= high:
        asked.append(
            say("{height_cm} cm is unusual for an adult.", height_cm=plain(height_cm))
        )
    if last_cm is None:
        return asked
    change = height_cm - last_cm
    shrunk = years < ADULT_YEARS and change < -1
    if shrunk or (years >= ADULT_YEARS and abs(change) > ADULT_GROWTH_CM):
        asked.append(
            say(
                "{height_cm} cm, last {last_cm} cm.",
                height_cm=plain(height_cm),
                last_cm=plain(last_cm),
            )
        )
    return asked
