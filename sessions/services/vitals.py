"""Recording and correcting sets of vital signs, with all that follows at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sessions.charts import SessionChart, is_complete
from sessions.models import (
    Flag,
    FlagEvent,
    InfusionSession,
    RateChange,
    Stage,
    VitalSigns,
    VitalsPurpose,
)
from sessions.services import rates
from sessions.services.acts import Actor, Refused, Stale, act
from sessions.services.assessments import judge_vitals, news2_document
from sessions.services.flags import (
    close_corrected,
    keep_judgement,
    take_back_verdicts,
)
from sessions.services.headers import confirm_correction, sign_correction
from sessions.services.locks import locked_chart

READING = (
    "systolic_mmhg",
    "diastolic_mmhg",
    "pulse",
    "respiratory_rate",
    "spo2",
    "temperature_c",
    "temperature_as_typed",
    "spo2_scale",
    "on_oxygen",
    "oxygen_l_per_min",
    "consciousness",
    "pain",
    "tolerated",
    "partial_reason",
    "partial_text",
    "confirmed_implausible",
)
"""What one set may hold, by column."""

OPEN_STAGES = (Stage.CHECKED_IN, Stage.ASSESSED, Stage.INFUSING, Stage.OBSERVING)


@dataclass(slots=True, kw_only=True)
class RecordedVitals:
    """A saved set, what it raised, and the chart to draw the answer from."""

    vitals: VitalSigns
    chart: SessionChart
    flag: Flag | None = None
    events: tuple[FlagEvent, ...] = ()
    rate_change: RateChange | None = None


def record_vitals(
    *,
    session: InfusionSession,
    reading: Mapping[str, Any],
    by: Actor,
    event_time: datetime | None = None,
    purpose: str = "",
    step_up_to: Decimal | None = None,
    read_back: bool = False,
    chart: SessionChart | None = None,
    seen_version: int | None = None,
) -> RecordedVitals:
    """Save a set with its score, its flags and, if asked, the step up; all or nothing.

    `reading` holds columns of `VitalSigns` (`READING`). `step_up_to` is the rate read
    back from the pump; the step is refused unless the set is complete, tolerated and
    raises nothing (D3). `chart` is the visit as read just before, to read it once only.
    """
    action = "vitals.record" if step_up_to is None else "vitals.record-step"
    with act(action, by=by, patient=session.patient) as done:
        stale = seen_version if step_up_to is not None else None
        chart = locked_chart(session, by=by, chart=chart, seen_version=stale)
        if chart.session.stage not in OPEN_STAGES:
            # The screen had a form for it: somebody discharged the visit since.
            raise Stale("Vital signs are recorded between check-in and discharge.")
        row = _new_row(chart, reading, by=by, event_time=event_time, purpose=purpose)
        judgement = judge_vitals(chart, row)
        row.news2 = news2_document(judgement.news2)
        row.save(force_insert=True)
        _put(chart, row)
        kept = keep_judgement(chart, judgement, by=by, vitals=row)
        change = None
        if step_up_to is not None:
            change = _step(chart, row, kept.flag, step_up_to, read_back, by)
        done.on(row, flag=kept.flag.pk if kept.flag else None, step=bool(change))
    return RecordedVitals(
        vitals=row,
        chart=chart,
        flag=kept.flag,
        events=tuple(kept.events),
        rate_change=change,
    )


def correct_vitals(
    *,
    session: InfusionSession,
    vitals_id: int,
    reading: Mapping[str, Any],
    reason: str,
    by: Actor,
    password: str = "",
    event_time: datetime | None = None,
    seen_version: int | None = None,
) -> RecordedVitals:
    """Replace a set that was written down wrongly; the first value stays readable.

    The rules are run again for the set, and for every later one when it is the
    baseline that they are compared with (H13, H21). A signed record is signed again.
    """
    confirm_correction(session, password=password, by=by)
    with act("vitals.correct", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by, seen_version=seen_version)
        old = next((row for row in chart.vitals if row.pk == vitals_id), None)
        if old is None:
            raise Refused("That set was corrected already, or is not of this visit.")
        if not reason.strip():
            raise Refused("Write why it is corrected.", field="correction_reason")
        was_baseline = chart.baseline is not None and chart.baseline.pk == old.pk
        row = _new_row(
            chart,
            reading,
            by=by,
            event_time=event_time or old.event_time,
            purpose=old.purpose,
        )
        row.supersedes, row.correction_reason = old, reason
        row.due_at = old.due_at
        chart.vitals.remove(old)  # what is corrected is no earlier set of its own
        judgement = judge_vitals(chart, row)
        row.news2 = news2_document(judgement.news2)
        row.save(force_insert=True)
        _put(chart, row, instead_of=old)
        close_corrected(chart, old, reason, by)
        take_back_verdicts(chart, old, reason, by)
        kept = keep_judgement(chart, judgement, by=by, vitals=row)
        flag = kept.flag
        if was_baseline:
            flag = _run_again(chart, after=row, by=by) or flag
        sign_correction(session, chart.session, by=by)
        done.on(row, supersedes=old.pk, flag=flag.pk if flag else None)
    return RecordedVitals(vitals=row, chart=chart, flag=flag, events=tuple(kept.events))


def withdraw_vitals(
    *,
    session: InfusionSession,
    vitals_id: int,
    reason: str,
    by: Actor,
    password: str = "",
) -> VitalSigns:
    """Withdraw a set that belongs to somebody else or was never taken."""
    confirm_correction(session, password=password, by=by)
    with act("vitals.withdraw", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by)
        old = next((row for row in chart.vitals if row.pk == vitals_id), None)
        if old is None:
            raise Refused("That set was corrected already, or is not of this visit.")
        if chart.start is not None and chart.baseline == old:
            raise Refused("The baseline of a started infusion is corrected instead.")
        if not reason.strip():
            raise Refused("Write why it is withdrawn.", field="correction_reason")
        row = VitalSigns(
            session=chart.session,
            purpose=old.purpose,
            **{name: getattr(old, name) for name in READING},
            supersedes=old,
            correction_reason=reason,
            entered_in_error=True,
            **by.stamp(event_time=old.event_time),
        )
        row.save(force_insert=True)
        _put(chart, row, instead_of=old)
        close_corrected(chart, old, reason, by)
        take_back_verdicts(chart, old, reason, by)
        sign_correction(session, chart.session, by=by)
        done.on(row, supersedes=old.pk)
    return row


def purpose_now(chart: SessionChart, moment: datetime) -> str:
    """What a set taken at a moment is for, when nobody said."""
    if chart.started_at is None or moment < chart.started_at:
        return VitalsPurpose.BASELINE
    if chart.rechecks or chart.loud_flags:
        return VitalsPurpose.RECHECK
    if chart.session.stage == Stage.OBSERVING:
        return VitalsPurpose.OBSERVATION
    if chart.due_state in ("due", "late"):
        return VitalsPurpose.SCHEDULED
    return VitalsPurpose.EXTRA


def _new_row(
    chart: SessionChart,
    reading: Mapping[str, Any],
    *,
    by: Actor,
    event_time: datetime | None,
    purpose: str,
) -> VitalSigns:
    moment = event_time or by.moment
    strange = set(reading) - set(READING)
    if strange:
        raise TypeError(f"not part of a set: {', '.join(sorted(strange))}")
    row = VitalSigns(
        session=chart.session,
        purpose=purpose or purpose_now(chart, moment),
        **reading,
        **by.stamp(event_time=moment),
    )
    if not any(
        getattr(row, name) not in (None, "")
        for name in (*READING[:6], "consciousness", "pain")
    ):
        raise Refused("Nothing was measured.")
    if not is_complete(row) and not row.partial_reason:
        raise Refused("Say why the set is not complete.", field="partial_reason")
    if chart.due is not None and chart.due_state in ("due", "late"):
        row.due_at = chart.due.at
    return row


def _put(
    chart: SessionChart, row: VitalSigns, *, instead_of: VitalSigns | None = None
) -> None:
    """Put the new set on the chart in the order in which things happened (H13)."""
    chart.every_vitals.append(row)
    kept = [old for old in chart.vitals if old is not instead_of]
    if not row.entered_in_error:
        kept.append(row)
    chart.vitals[:] = sorted(kept, key=lambda old: (old.event_time, old.pk))
    chart.derive()


def _step(
    chart: SessionChart,
    row: VitalSigns,
    flag: Flag | None,
    to_ml_per_h: Decimal,
    read_back: bool,
    by: Actor,
) -> RateChange | None:
    """Step up in the same act, unless the set that was just saved speaks against it.

    A set that raises a flag is saved all the same: the values must not be lost because
    the step cannot be taken.
    """
    if flag is not None or row.tolerated is False or not is_complete(row):
        return None
    if row.is_late(chart.session.clinic.late_entry_minutes):
        return None
    chart.stand_at(by.moment)
    change = None
    if not rates.step_held(chart):
        change = rates.append_step(
            chart, to_ml_per_h=to_ml_per_h, read_back=read_back, by=by
        )
    chart.stand_at(by.at)
    return change


def _run_again(chart: SessionChart, *, after: VitalSigns, by: Actor) -> Flag | None:
    """Hold later sets against a corrected baseline; new findings make late flags."""
    raised = None
    for row in chart.vitals:
        if row.event_time > after.event_time:
            kept = keep_judgement(chart, judge_vitals(chart, row), by=by, vitals=row)
            raised = kept.flag or raised
    return raised
