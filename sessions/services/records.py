"""The record of one visit: what was planned, what was done, and where they differ.

Every number comes from `sessions.charts`; what is left here is the comparison.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sessions.charts import SessionChart, chart_of, current_rows
from sessions.models import (
    EndReason,
    FlagAction,
    GateOverride,
    InfusionSession,
    RateKind,
    ReactionOutcome,
    Signature,
    VitalSigns,
)
from sessions.rules.quantities import exact, plain, to_decimal
from sessions.rules.running import per_kg
from sessions.services.rates import WHY

LOUD = (FlagAction.REDUCE, FlagAction.PAUSE, FlagAction.STOP, FlagAction.EMERGENCY)

ENDS = WHY | dict(EndReason.choices)
"""Why the infusion ended before its volume was in, in words."""


class Compared(NamedTuple):
    """One line of planned against actual, as it is written."""

    item: str
    planned: str
    actual: str


class Observed(NamedTuple):
    """One set with the rate at which it was taken; `newer` replaced it."""

    row: VitalSigns
    rate: str
    newer: VitalSigns | None
    is_late: bool


class Told(NamedTuple):
    """One outcome of a reaction; `newer` withdrew it."""

    row: ReactionOutcome
    newer: ReactionOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything the page of the record shows."""

    chart: SessionChart
    compared: tuple[Compared, ...]
    deviations: tuple[str, ...]
    observed: tuple[Observed, ...]
    waste_ml: Decimal
    signatures: tuple[Signature, ...]
    error: GateOverride | None
    passed: tuple[dict[str, Any], ...]
    overrides: tuple[GateOverride, ...]
    outcomes: dict[int, list[Told]]

    @property
    def signed_at(self) -> datetime | None:
        """When the nurse signed that the record is complete."""
        signed = [s for s in self.signatures if s.meaning == "discharged"]
        return signed[-1].recorded_at if signed else None

    @property
    def corrected_at(self) -> datetime | None:
        """When the signed record was last corrected, under a signature of its own."""
        signed = [s for s in self.signatures if s.meaning == "corrected"]
        return signed[-1].recorded_at if signed else None


def record_of(session: InfusionSession, *, at: datetime) -> Record:
    """Read one visit whole, and compare what was planned with what was done."""
    chart = chart_of(session, at=at)
    signatures = list(
        Signature.objects.filter(session=session).select_related("recorded_by")
    )
    paused = minutes_paused(chart)
    return Record(
        chart=chart,
        compared=tuple(_compared(chart, paused)),
        deviations=tuple(_deviations(chart, paused)),
        observed=tuple(_observed(chart)),
        waste_ml=sum(
            (v.end.waste_ml for v in chart.vials if hasattr(v, "end")), Decimal(0)
        ),
        signatures=tuple(current_rows(signatures)),
        error=next(
            (row for row in chart.overrides if row.rule == "entered-in-error"), None
        ),
        passed=tuple(chart.start.gate.get("passed", ())) if chart.start else (),
        overrides=tuple(
            row
            for row in chart.overrides
            if chart.start is not None
            and row.event_time > chart.start.event_time
            and row.rule != "entered-in-error"
        ),
        outcomes=_told(chart),
    )


def minutes_paused(chart: SessionChart) -> int:
    """Whole minutes in which the infusion stood still between Start and end."""
    total, since = timedelta(), None
    for row in chart.rates:
        if row.kind == RateKind.PAUSE and since is None:
            since = row.event_time
        elif row.kind != RateKind.PAUSE and since is not None:
            total, since = total + (row.event_time - since), None
    if since is not None:
        total += (chart.ended_at or chart.at) - since
    return int(total.total_seconds() // 60)


def _compared(chart: SessionChart, paused: int) -> Iterable[Compared]:
    version, start = chart.order_version, chart.start
    if version is None:
        return
    zone = chart.session.clinic.zone
    given_g = to_decimal(
        exact(chart.volume_ml) * exact(version.concentration_g_per_100ml) / 100
    )
    planned_minutes = _planned_minutes(chart)
    yield Compared(
        _("Dose"),
        f"{plain(version.given_g)} g",
        f"{_short(given_g)} g" if start else "–",
    )
    yield Compared(
        _("Volume"),
        f"{plain(chart.total_ml)} mL",
        f"{_short(chart.volume_ml)} mL" if start else "–",
    )
    took = "–"
    if start is not None and chart.ended_at is not None:
        minutes = int((chart.ended_at - start.event_time).total_seconds() // 60)
        took = f"{minutes} min" + (
            _(", {paused} min paused").format(paused=paused) if paused else ""
        )
    yield Compared(_("Time"), f"{planned_minutes} min", took)
    planned_end, ended = "–", "–"
    if start is not None:
        projected = start.event_time + timedelta(minutes=planned_minutes)
        planned_end = f"{projected.astimezone(zone):%H:%M}"
    if chart.ended_at is not None:
        ended = f"{chart.ended_at.astimezone(zone):%H:%M}"
    yield Compared(_("End"), planned_end, ended)
    highest, tolerated = _highest(chart), highest_tolerated(chart)
    top = max((rung.pump_ml_per_h for rung in chart.steps), default=None)
    yield Compared(_("Highest rate"), _pump(top), _pump(highest))
    yield Compared(_("Highest tolerated"), "–", _rate(chart, tolerated))


def _planned_minutes(chart: SessionChart) -> int:
    return int(sum((rung.minutes for rung in chart.rungs), Decimal(0)))


def _highest(chart: SessionChart) -> Decimal | None:
    return max((row.rate_ml_per_h for row in chart.rates), default=None)


def highest_tolerated(chart: SessionChart) -> Decimal | None:
    """The highest rate below every rate at which a reaction or a loud flag came."""
    rates = sorted({row.rate_ml_per_h for row in chart.rates if row.rate_ml_per_h})
    bad = [seen.reaction.rate_ml_per_h for seen in chart.reactions]
    bad += [
        raised.flag.rate_from_ml_per_h
        for raised in chart.flags
        if raised.flag.action in LOUD
    ]
    bad = [rate for rate in bad if rate]
    good = [rate for rate in rates if not bad or rate < min(bad)]
    return good[-1] if good else None


def _pump(rate: Decimal | None) -> str:
    return f"{plain(rate)} mL/h" if rate else "–"


def _rate(chart: SessionChart, rate: Decimal | None) -> str:
    """`86.4 mL/h, 1.2 mL/kg/h`."""
    if not rate:
        return "–"
    if not chart.rungs:
        return f"{plain(rate)} mL/h"
    return f"{plain(rate)} mL/h, {_short(per_kg(rate, chart.rungs), 3)} mL/kg/h"


def _short(value: Decimal, places: int = 1) -> str:
    """At most so many decimals, none of them a trailing zero."""
    return plain(Decimal(plain(value, places)))


def _deviations(chart: SessionChart, paused: int) -> Iterable[str]:
    """Where the visit left its plan, each in one sentence."""
    start = chart.start
    if start is None:
        return
    reached = max((row.step or 0 for row in chart.rates), default=0)
    planned = len(chart.steps)
    if chart.ended_at is not None and reached < planned:
        first = (
            _("Step {number}").format(number=reached + 1)
            if reached + 1 == planned
            else (_("Steps {first} to {last}").format(first=reached + 1, last=planned))
        )
        yield _("{first} not reached.").format(first=first)
    if chart.ended_at is not None and chart.left_ml > 0:
        last = chart.rates[-1]
        why = last.reason_text or ENDS.get(last.reason_code, last.reason_code)
        why = f": {why}" if why else ""
        missing, total = _short(chart.left_ml), plain(chart.total_ml)
        yield _("{missing} mL of {total} mL not given{why}.").format(
            missing=missing, total=total, why=why
        )
    if paused:
        yield _("Paused for {paused} min in all.").format(paused=paused)
    change = start.weight_kg - start.order_version.weight_kg
    if change:
        yield (
            _(
                "Weight {weight_kg} kg, at the order {ordered_kg} kg; dose "
                "as signed, rates for {dosing_weight_kg} kg."
            ).format(
                weight_kg=plain(start.weight_kg),
                ordered_kg=plain(start.order_version.weight_kg),
                dosing_weight_kg=_short(start.dosing_weight_kg),
            )
        )
    if start.experience == "first":
        because = start.plan.get("today", {}).get("experience_because", "")
        yield (
            _(
                "Run as a first infusion: {because}; observed "
                "{observation_minutes} min."
            ).format(because=because, observation_minutes=start.observation_minutes)
        )
    late = sum(
        row.is_late(chart.session.clinic.late_entry_minutes)
        for row in (*chart.vitals, *chart.rates)
    )
    if late:
        yield ngettext(
            "{late} late entry, marked below.",
            "{late} late entries, marked below.",
            late,
        ).format(late=late)
    corrected = sum(bool(row.supersedes_id) for row in chart.every_vitals)
    if corrected:
        yield ngettext(
            "{corrected} correction of vital signs, both values below.",
            "{corrected} corrections of vital signs, both values below.",
            corrected,
        ).format(corrected=corrected)


def _observed(chart: SessionChart) -> Iterable[Observed]:
    """Every set, superseded ones too, with the rate it was taken at."""
    newer = {row.supersedes_id: row for row in chart.every_vitals if row.supersedes_id}
    limit = chart.session.clinic.late_entry_minutes
    for row in sorted(chart.every_vitals, key=lambda r: (r.event_time, r.pk)):
        yield Observed(
            row=row,
            rate=rate_at(chart, row),
            newer=row if row.entered_in_error else newer.get(row.pk),
            is_late=row.is_late(limit),
        )


def _told(chart: SessionChart) -> dict[int, list[Told]]:
    """Every outcome by the newest version of its reaction, withdrawn ones too."""
    newer = {row.supersedes_id: row for row in chart.outcomes if row.supersedes_id}
    rows = [row for row in chart.outcomes if not row.entered_in_error]
    return {
        seen.reaction.pk: [
            Told(row, newer.get(row.pk)) for row in rows if row.reaction_id in seen.ids
        ]
        for seen in chart.every_reaction
        if seen.is_newest
    }


def rate_at(chart: SessionChart, row: VitalSigns) -> str:
    """The rate before a set, and the one it was changed to with it: `21.6 → 43.2`."""
    before = [r for r in chart.rates if r.event_time < row.event_time]
    with_it = [r for r in chart.rates if r.event_time == row.event_time]
    now = plain(before[-1].rate_ml_per_h) if before else "0"
    return f"{now} → {plain(with_it[-1].rate_ml_per_h)}" if with_it else now
