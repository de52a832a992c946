"""Patients at their chairs as a colleague is told of them: handover and downtime sheet.

Any number of visits in a constant number of queries. Rate, volume, state and what is
due come from `sessions.charts`; what is added here is who the patient is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Model, Q

from sessions.catalogue.gate import risk_factors
from sessions.charts import SessionChart, charts_of, current_rows
from sessions.drawing.limits import edge_words, edges_of
from sessions.models import (
    Allergy,
    GivenMedicine,
    InfusionSession,
    Note,
    OrderMedicine,
    Presence,
    Purpose,
    RiskFactor,
    Signature,
    TemperatureUnit,
    User,
    Vial,
    VitalSigns,
    Weight,
)
from sessions.rules.ladders import Rung
from sessions.rules.language import say

MEASURES = (
    "systolic_mmhg",
    "diastolic_mmhg",
    "pulse",
    "respiratory_rate",
    "spo2",
    "temperature_c",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the schedule: `at` is when it begins or began, if that is known."""

    rung: Rung
    state: str
    """`past`, `now` or `ahead`."""
    at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Bedside:
    """One visit with what a nurse who takes over has to know."""

    chart: SessionChart
    allergies: list[Allergy] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    weight: Weight | None = None
    note: Note | None = None
    prescriber: User | None = None
    given: list[GivenMedicine] = field(default_factory=list)
    as_needed: list[OrderMedicine] = field(default_factory=list)
    vials: list[Vial] = field(default_factory=list)

    @property
    def session(self) -> InfusionSession:
        return self.chart.session

    @property
    def banner(self) -> dict[str, Any]:
        """Context of `components/_banner.html`."""
        chair, version = self.session.chair, self.chart.order_version
        return {
            "patient": self.session.patient,
            "chair": chair.name if chair else "",
            "allergies": self.allergies,
            "weight": self.weight,
            "risks": ", ".join(self.risks),
            "order": version.words if version else "",
            "nurse": self.session.nurse,
        }

    @property
    def before_last(self) -> VitalSigns | None:
        """The set before the last one, if it is not the baseline."""
        earlier = self.chart.vitals[:-1]
        base = self.chart.baseline
        return earlier[-1] if earlier and earlier[-1] != base else None

    @property
    def change(self) -> dict[str, Decimal]:
        """Last set minus baseline, where both were measured; the clinic's unit."""
        base, last = self.chart.baseline, self.chart.last_vitals
        if base is None or last is None or base == last:
            return {}
        pairs = {name: (getattr(base, name), getattr(last, name)) for name in MEASURES}
        change = {
            name: Decimal(now) - Decimal(then)
            for name, (then, now) in pairs.items()
            if then is not None and now is not None
        }
        warm = self.session.clinic.temperature_unit == TemperatureUnit.FAHRENHEIT
        if warm and "temperature_c" in change:
            change["temperature_c"] = change["temperature_c"] * 9 / 5
        return change

    @property
    def limits(self) -> str:
        """Where rules begin to speak, from this baseline, in words."""
        chart = self.chart
        measures = [name for name in MEASURES if name != "diastolic_mmhg"]
        said = [edge_words(chart, name, edges_of(chart, name)) for name in measures]
        return "; ".join(words for line in said for words in line)

    @property
    def schedule(self) -> list[Step]:
        """The steps of the ladder, those to come with their times if all goes well."""
        running = self.chart.running
        step, due = running.step or 0, running.step_due_at
        due = due and max(due, self.chart.at)
        begun = {
            row.step: row.event_time for row in self.chart.rates if row.step is not None
        }
        steps = []
        for rung in self.chart.steps:
            if rung.step <= step:
                state = "now" if rung.step == step else "past"
                steps.append(Step(rung=rung, state=state, at=begun.get(rung.step)))
                continue
            steps.append(Step(rung=rung, state="ahead", at=due))
            if due is not None:
                due += timedelta(seconds=int(rung.minutes * 60))
        return steps


def bedsides_of(sessions: Iterable[InfusionSession], *, at: datetime) -> list[Bedside]:
    """Visits with their patients, in ten queries more than the visits themselves.

    The visits come from `sessions.charts.for_charts`.
    """
    charts = charts_of(sessions, at=at)
    patients = {chart.session.patient_id for chart in charts}
    versions = {c.order_version.pk for c in charts if c.order_version is not None}
    visits = {chart.session.pk for chart in charts}
    allergies = _by("patient_id", Allergy, Q(patient__in=patients))
    weights = _by("patient_id", Weight, Q(patient__in=patients))
    factors = _by("patient_id", RiskFactor, Q(patient__in=patients))
    notes = _by("session_id", Note, Q(session__in=visits))
    given = _by("session_id", GivenMedicine, Q(session__in=visits))
    vials = _by("session_id", Vial, Q(session__in=visits))
    ordered = _by(
        "order_version_id",
        OrderMedicine,
        Q(order_version__in=versions, purpose=Purpose.AS_NEEDED),
    )
    signed = _by(
        "order_version_id",
        Signature,
        Q(order_version__in=versions, meaning=Signature.Meaning.PRESCRIBED),
    )
    labels = {key: say(factor.label) for key, factor in risk_factors().items()}
    found = []
    for chart in charts:
        patient, visit = chart.session.patient_id, chart.session.pk
        known = [weight for weight in weights[patient] if weight.event_time <= at]
        written = [note for note in notes[visit] if note.text]
        found.append(
            Bedside(
                chart=chart,
                allergies=allergies[patient],
                risks=[
                    labels.get(row.key, row.key)
                    for row in factors[patient]
                    if row.presence == Presence.PRESENT
                ],
                weight=chart.start.weight if chart.start else (known or [None])[-1],
                note=written[-1] if written else None,
                prescriber=_prescriber(chart, signed),
                given=given[visit],
                vials=vials[visit],
                as_needed=ordered[chart.order_version.pk]
                if chart.order_version
                else [],
            )
        )
    return found


def _prescriber(
    chart: SessionChart, signed: Mapping[int, list[Signature]]
) -> User | None:
    """Who signed the order, or gave it by telephone."""
    version = chart.order_version
    if version is None:
        return None
    rows = signed[version.pk]
    return version.prescriber or (rows[-1].recorded_by if rows else None)


def _by(key: str, model: type[Model], which: Q) -> Mapping[int, list[Any]]:
    """Standing rows of many patients or visits, in their order, in one query."""
    grouped: dict[int, list[Any]] = defaultdict(list)
    for row in current_rows(model.objects.filter(which).select_related("recorded_by")):
        grouped[getattr(row, key)].append(row)
    return grouped
