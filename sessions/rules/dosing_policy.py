"""A clinic's choices for dose and rate, read strictly from its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from sessions.rules.sources import Section, Setting

BASES = ("actual", "ideal", "adjusted")
POLICY_BASES = (*BASES, "adjusted_if_obese")
ROUNDINGS = ("vial", "1 g", "5 g", "none")


class DosingError(ValueError):
    """A plan cannot be computed; `field` names the value that is missing or wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


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
