"""A clinic's choices for dose and rate, read strictly from its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sessions.rules.documents import Fields
from sessions.rules.sources import Setting

BASES = ("actual", "ideal", "adjusted")
POLICY_BASES = (*BASES, "adjusted_if_obese")
ROUNDINGS = ("vial", "1 g", "5 g", "none")
RESTART_METHODS = ("half_rate", "previous_step", "first_step")
OUTLIVED = (("intervals", "replacement_weeks"), ("weight", "max_age_days"))
"""Sections and keys of earlier documents that decide nothing; they stay readable.

How long a weight is valid is the clinic's setting; an order names its own interval.
"""


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
    """How different a weight may be, and which are too old or impossible."""

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

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RestartPolicy:
        """Read the `[restart]` table; `DocumentError` names a wrong key."""
        return _restart_policy(Fields("dosing", document).child("restart"))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalPolicy:
    """Times between infusions that change what the next one is."""

    long_gap_weeks: Setting[Decimal]


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
    def from_document(cls, document: Mapping[str, Any]) -> DosingPolicy:
        """Read the dosing part of a protocol; `DocumentError` names a wrong key."""
        document_fields = Fields("dosing", document)

        def child(section: str) -> Fields:
            table = document_fields.child(section)
            for place, key in OUTLIVED:
                if place == section:
                    table.let_stand(key)
            return table

        policy = DosingPolicy(
            ladder=_ladder_policy(child("ladder")),
            ceiling=_ceiling_policy(child("ceiling")),
            rounding=_rounding_policy(child("rounding")),
            dosing_weight=_dosing_weight_policy(child("dosing_weight")),
            weight=_weight_policy(child("weight")),
            dose_range=_dose_range_policy(child("dose_range")),
            restart=_restart_policy(child("restart")),
            intervals=_interval_policy(child("intervals")),
        )
        document_fields.done()
        return policy


def _number(
    table: Fields, key: str, *, above: int = 0, most: str | None = None
) -> Setting[Decimal]:
    """Read a number that is more than `above` and at most `most`."""
    setting = table.setting(key)
    if setting.value <= above:
        raise table.fail(key, f"must be more than {above}")
    if most is not None and setting.value > Decimal(most):
        raise table.fail(key, f"must be at most {most}")
    return setting


def _optional_number(table: Fields, key: str) -> Setting[Decimal] | None:
    """Read a number that a clinic may leave out."""
    return _number(table, key) if key in table.table else None


def _choice(table: Fields, key: str, allowed: tuple[str, ...]) -> Setting[str]:
    """Read a word that must be one of those allowed."""
    entry = table.child(key)
    word = entry.text("value")
    if word not in allowed:
        raise table.fail(key, f"is {word!r}, not one of {', '.join(allowed)}")
    setting = Setting(
        value=word, source=entry.source(), note=entry.text("note", default="")
    )
    entry.done()
    return setting


def _ladder_policy(table: Fields) -> LadderPolicy:
    policy = LadderPolicy(
        multiply_by=_number(table, "multiply_by", above=1, most="2"),
        minutes=_number(table, "minutes"),
    )
    table.done()
    return policy


def _ceiling_policy(table: Fields) -> CeilingPolicy:
    policy = CeilingPolicy(
        at_risk_mg_per_kg_min=_number(table, "at_risk_mg_per_kg_min"),
        clinic_ml_per_kg_h=_optional_number(table, "clinic_ml_per_kg_h"),
        clinic_ml_per_h=_optional_number(table, "clinic_ml_per_h"),
    )
    table.done()
    return policy


def _rounding_policy(table: Fields) -> RoundingPolicy:
    policy = RoundingPolicy(
        dose_to=_choice(table, "dose_to", ROUNDINGS),
        dose_limit_percent=_number(table, "dose_limit_percent", most="20"),
        pump_ml_per_h=_number(table, "pump_ml_per_h", most="1"),
    )
    table.done()
    return policy


def _dosing_weight_policy(table: Fields) -> DosingWeightPolicy:
    policy = DosingWeightPolicy(
        basis=_choice(table, "basis", POLICY_BASES),
        excess_factor=_number(table, "excess_factor", most="1"),
        obese_bmi=_number(table, "obese_bmi"),
        obese_percent_of_ideal=_number(table, "obese_percent_of_ideal", above=100),
        min_age_years=_number(table, "min_age_years"),
        min_height_cm=_number(table, "min_height_cm"),
    )
    table.done()
    return policy


def _weight_policy(table: Fields) -> WeightPolicy:
    policy = WeightPolicy(
        outer_limit_days=_number(table, "outer_limit_days", most="180"),
        change_percent=_number(table, "change_percent", most="100"),
        least_kg=_number(table, "least_kg"),
        most_kg=_number(table, "most_kg"),
    )
    table.done()
    return policy


def _dose_range_policy(table: Fields) -> DoseRangePolicy:
    policy = DoseRangePolicy(
        hard_times_highest=_number(table, "hard_times_highest", most="2"),
        unsourced_most_g_per_kg=_number(table, "unsourced_most_g_per_kg"),
    )
    table.done()
    return policy


def _restart_policy(table: Fields) -> RestartPolicy:
    policy = RestartPolicy(
        method=_choice(table, "method", RESTART_METHODS),
        # Never the rate before the pause (H11), so well below the whole of it.
        fraction=_number(table, "fraction", most="0.9"),
        minutes=_number(table, "minutes"),
        pause_minutes=_number(table, "pause_minutes"),
    )
    table.done()
    return policy


def _interval_policy(table: Fields) -> IntervalPolicy:
    policy = IntervalPolicy(
        long_gap_weeks=_number(table, "long_gap_weeks"),
    )
    table.done()
    return policy
