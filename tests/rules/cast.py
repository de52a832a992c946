"""A chart on which nothing is wrong, and ways to change one thing about it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.reactions import labels, vocabulary
from sessions.rules.assessment import Assessment, Chart, assess
from sessions.rules.findings import Severity
from sessions.rules.reactions import Symptom
from sessions.rules.recommendation import RatePosition
from sessions.rules.thresholds import Phase
from sessions.rules.vitals import VitalSet

WELL = VitalSet(
    temperature_c=Decimal("36.8"),
    pulse=76,
    systolic_mmhg=128,
    diastolic_mmhg=78,
    respiratory_rate=16,
    spo2=98,
    on_oxygen=False,
    consciousness="A",
)
RUNGS = tuple(Decimal(rate) for rate in ("21", "42", "84", "168", "336"))


def at_step(step: int, *, due: bool = False, rungs=RUNGS) -> RatePosition:
    return RatePosition(
        rungs_ml_per_h=rungs,
        present_ml_per_h=rungs[step - 1],
        resolution_ml_per_h=Decimal("0.1"),
        step_up_due=due,
    )


UNEVENTFUL = Chart(
    age_years=Decimal(50),
    pregnant=False,
    phase=Phase.INFUSING,
    vitals=WELL,
    baseline=WELL,
    weight_kg=Decimal(70),
    rate=at_step(3),
    labels=labels(),
)


def vitals(changes: dict[str, Any]) -> VitalSet:
    """A well set with some values changed; temperatures may be written as text."""
    if isinstance(changes.get("temperature_c"), str):
        changes = {**changes, "temperature_c": Decimal(changes["temperature_c"])}
    return replace(WELL, **changes)


def symptoms(*words: tuple[str, str]) -> tuple[Symptom, ...]:
    return tuple(
        Symptom(reaction=vocabulary().find(word).key, severity=Severity(severity))
        for word, severity in words
    )


def judge(
    now: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    seen: tuple[tuple[str, str], ...] = (),
    **chart: Any,
) -> Assessment:
    """Assess the uneventful chart with some values, symptoms or facts changed."""
    return assess(
        replace(
            UNEVENTFUL,
            vitals=vitals(now or {}),
            baseline=vitals(before or {}),
            symptoms=symptoms(*seen),
            **chart,
        ),
        default_policy(),
    )


def action_of(assessment: Assessment) -> str:
    return assessment.recommendation.action.value


def rules_of(assessment: Assessment) -> set[str]:
    return {finding.rule for finding in assessment.findings}
