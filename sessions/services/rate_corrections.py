"""Correcting and withdrawing a change of rate that was written down wrongly.

The record says what the pump did. The first entry stays readable, struck through, with
the reason; volume, step, ends and reports are worked out anew from what counts.
"""

from datetime import datetime
from decimal import Decimal

from sessions.charts import SessionChart
from sessions.models import STANDSTILL, InfusionSession, RateChange, RateKind
from sessions.rules.quantities import plain
from sessions.rules.running import first_impossible, per_kg, rung_at
from sessions.services.acts import Actor, Refused, act
from sessions.services.flags import take_back_answers
from sessions.services.headers import confirm_correction, sign_correction
from sessions.services.locks import locked_chart

LASTING = (RateKind.START, RateKind.STOP, RateKind.END)
"""What moved the visit on: its time or rate can be wrong, but it did happen."""
LOWERS = (RateKind.REDUCE, *STANDSTILL)


def correct_rate(
    *,
    session: InfusionSession,
    rate_id: int,
    to_ml_per_h: Decimal,
    reason: str,
    by: Actor,
    password: str = "",
    event_time: datetime | None = None,
    seen_version: int | None = None,
) -> RateChange:
    """Write down at which rate the pump really ran, or from when.

    A change stays where it stands among the others. A flag that it answered waits for
    an answer again when it turns out to have lowered nothing (H21). The ceiling of the
    order binds what is set, not what is written down of it afterwards.
    """
    confirm_correction(session, password=password, by=by)
    with act("rate.correct", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by, seen_version=seen_version)
        old = _standing(chart, rate_id)
        _require(reason)
        at = event_time or old.event_time
        before = _before(chart, old)
        _check_time(chart, old, at, by)
        kind = _kind(old, to_ml_per_h, before)
        if (at, to_ml_per_h) == (old.event_time, old.rate_ml_per_h):
            raise Refused("Nothing was changed.")
        rung = rung_at(chart.rungs, to_ml_per_h) if to_ml_per_h else None
        row = _replace(
            chart,
            old,
            by=by,
            at=at,
            reason=reason,
            kind=kind,
            step=rung.step if rung else None,
            before_ml_per_h=before,
            rate_ml_per_h=to_ml_per_h,
            rate_ml_per_kg_h=per_kg(to_ml_per_h, chart.rungs),
        )
        if old.kind in LOWERS and kind not in LOWERS:
            take_back_answers(chart, old, reason, by)
        sign_correction(session, chart.session, by=by)
        done.on(
            row,
            supersedes=old.pk,
            before_ml_per_h=plain(old.rate_ml_per_h),
            rate_ml_per_h=plain(row.rate_ml_per_h),
        )
    return row


def withdraw_rate(
    *,
    session: InfusionSession,
    rate_id: int,
    reason: str,
    by: Actor,
    password: str = "",
) -> RateChange:
    """Withdraw a change that was never made at the pump.

    A flag that it answered waits for an answer again.
    """
    confirm_correction(session, password=password, by=by)
    with act("rate.withdraw", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by)
        old = _standing(chart, rate_id)
        _require(reason)
        if old.kind in LASTING:
            raise Refused(
                "Start, stop and end are not withdrawn: correct the time, or mark the "
                "whole visit as an error."
            )
        _check_rest(chart, old)
        row = _replace(
            chart,
            old,
            by=by,
            at=old.event_time,
            reason=reason,
            kind=old.kind,
            step=old.step,
            before_ml_per_h=old.before_ml_per_h,
            rate_ml_per_h=old.rate_ml_per_h,
            rate_ml_per_kg_h=old.rate_ml_per_kg_h,
            entered_in_error=True,
        )
        take_back_answers(chart, old, reason, by)
        sign_correction(session, chart.session, by=by)
        done.on(row, supersedes=old.pk, rate_ml_per_h=plain(old.rate_ml_per_h))
    return row


def _standing(chart: SessionChart, rate_id: int) -> RateChange:
    old = next((row for row in chart.rates if row.pk == rate_id), None)
    if old is None:
        raise Refused("That change was corrected already, or is not of this visit.")
    return old


def _require(reason: str) -> None:
    if not reason.strip():
        raise Refused("Write why.", field="correction_reason")


def _before(chart: SessionChart, old: RateChange) -> Decimal:
    """What ran before a change, by the changes that count."""
    place = chart.rates.index(old)
    return chart.rates[place - 1].rate_ml_per_h if place else Decimal(0)


def _check_rest(chart: SessionChart, old: RateChange) -> None:
    """What stays must still be a course that an infusion can have."""
    rest = [row for row in chart.rates if row is not old]
    place = first_impossible([row.kind for row in rest])
    if place is not None:
        needs = rest[place]
        local = needs.event_time.astimezone(chart.session.clinic.zone)
        raise Refused(
            "{kind} at {local} needs this change. Withdraw that one first.",
            kind=lambda: needs.get_kind_display(),
            local=f"{local:%H:%M}",
        )


def _check_time(chart: SessionChart, old: RateChange, at: datetime, by: Actor) -> None:
    """A change stays between its neighbours; the Start has its own time."""
    if at == old.event_time:
        return
    if old.kind == RateKind.START:
        raise Refused("The time of the Start stays.", field="event_time")
    place = chart.rates.index(old)
    earlier = chart.rates[place - 1].event_time
    is_last = old is chart.rates[-1]
    later = by.at if is_last else chart.rates[place + 1].event_time
    if not (earlier < at < later or (is_last and at == later)):
        zone = chart.session.clinic.zone
        raise Refused(
            "It happened after {earlier} and before {later}, the changes beside it.",
            earlier=f"{earlier.astimezone(zone):%H:%M:%S}",
            later=f"{later.astimezone(zone):%H:%M:%S}",
            field="event_time",
        )


def _kind(old: RateChange, to_ml_per_h: Decimal, before: Decimal) -> str:
    """What a change is once its rate is right: a step up, or a reduction."""
    if old.kind in STANDSTILL:
        if to_ml_per_h:
            raise Refused("The pump stood still then.", field="rate_ml_per_h")
        return old.kind
    if not to_ml_per_h:
        raise Refused(
            "If the pump stood still, withdraw this and record the pause.",
            field="rate_ml_per_h",
        )
    if old.kind in (RateKind.START, RateKind.RESUME):
        return old.kind
    if to_ml_per_h == before:
        raise Refused(
            "That is the rate before it. If nothing was changed, withdraw it.",
            field="rate_ml_per_h",
        )
    return RateKind.STEP if to_ml_per_h > before else RateKind.REDUCE


def _replace(
    chart: SessionChart,
    old: RateChange,
    *,
    by: Actor,
    at: datetime,
    reason: str,
    **what: object,
) -> RateChange:
    """Append the row that stands instead of an old one, and put it on the chart."""
    row = RateChange.objects.create(
        session=chart.session,
        reason_code=old.reason_code,
        reason_text=old.reason_text,
        read_back=old.read_back,
        flag_id=old.flag_id,
        reaction_id=old.reaction_id,
        supersedes=old,
        correction_reason=reason,
        **what,
        **by.stamp(event_time=at),
    )
    chart.every_rate.append(row)
    kept = [] if row.entered_in_error else [row]
    chart.rates[:] = [
        each for other in chart.rates for each in (kept if other is old else [other])
    ]
    chart.derive()
    return row
