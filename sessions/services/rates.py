"""Changes of the pump's rate: step up, reduce, pause, resume, stop, and the override.

A nurse cannot go above the order's ceiling at all; a prescriber can, with a signature.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.charts import SessionChart, is_complete
from sessions.models import (
    STANDSTILL,
    Flag,
    InfusionSession,
    OrderStatus,
    RateChange,
    RateKind,
    RateReason,
    Reaction,
    ResumeReason,
    Signature,
    Stage,
    StageChange,
)
from sessions.rules.ladders import Rung
from sessions.rules.monitoring import span
from sessions.rules.policy import Policy
from sessions.rules.quantities import plain
from sessions.rules.running import per_kg, rung_at
from sessions.services.acts import Actor, Refused, Stale, act
from sessions.services.locks import locked_chart
from sessions.services.sign_ins import confirm_password


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A coded reason, with words where the code is `other`."""

    code: str = ""
    text: str = ""

    def check(self, known: type[TextChoices]) -> None:
        """Refuse a code that is not on the list, or `other` without words."""
        if self.code not in known.values:
            raise Refused("Choose a reason.", field="reason_code")
        if self.code == "other" and not self.text.strip():
            raise Refused("Write the reason in words.", field="reason_text")


NO_REASON = Reason()
WHY = dict(RateReason.choices) | {"flag": _lazy("Answer to a flag")}
"""Why a rate was changed, in words, by the code that is kept."""
PAGE_BEHIND = timedelta(seconds=10)
"""How far the clock of a page may be behind the server's: it learns whole seconds."""


def step_up(
    session: InfusionSession,
    *,
    by: Actor,
    to_ml_per_h: Decimal,
    read_back: bool,
    seen_version: int | None = None,
) -> RateChange:
    """Go one rung up, when its time is over and the vital signs allow it (D3).

    `to_ml_per_h` is what the screen showed and the nurse read back; the server works
    it out anew and refuses a difference (I7).
    """
    with act("rate.step", by=by, patient=session.patient) as done:
        chart = _locked(session, by, seen_version)
        row = append_step(chart, to_ml_per_h=to_ml_per_h, read_back=read_back, by=by)
        done.on(row, **_said(row))
    return row


def reduce(
    session: InfusionSession,
    *,
    by: Actor,
    to_ml_per_h: Decimal,
    read_back: bool,
    reason: Reason,
    seen_version: int | None = None,
) -> RateChange:
    """Go down to a lower rung, by hand."""
    with act("rate.reduce", by=by, patient=session.patient) as done:
        chart = _locked(session, by, seen_version)
        reason.check(RateReason)
        row = append_reduce(
            chart, to_ml_per_h=to_ml_per_h, read_back=read_back, by=by, reason=reason
        )
        done.on(row, **_said(row))
    return row


def pause(
    session: InfusionSession,
    *,
    by: Actor,
    read_back: bool,
    reason: Reason,
    seen_version: int | None = None,
) -> RateChange:
    """Stand still; paused time does not count."""
    with act("rate.pause", by=by, patient=session.patient) as done:
        chart = _locked(session, by, seen_version)
        reason.check(RateReason)
        row = append_pause(chart, read_back=read_back, by=by, reason=reason)
        done.on(row, **_said(row))
    return row


def resume(
    session: InfusionSession,
    *,
    by: Actor,
    to_ml_per_h: Decimal,
    read_back: bool,
    reason: Reason = NO_REASON,
    seen_version: int | None = None,
) -> RateChange:
    """Go on after a pause, at the rate the protocol proposes or a lower rung.

    Faster than proposed needs a coded reason; above the ceiling is never possible.
    """
    with act("rate.resume", by=by, patient=session.patient) as done:
        chart = _locked(session, by, seen_version)
        row = _append_resume(chart, to_ml_per_h, read_back, reason, by)
        done.on(row, **_said(row))
    return row


def stop(
    session: InfusionSession,
    *,
    by: Actor,
    read_back: bool,
    reason: Reason,
    seen_version: int | None = None,
) -> RateChange:
    """End this infusion before its volume is in; the visit goes on to observation."""
    with act("rate.stop", by=by, patient=session.patient) as done:
        chart = _locked(session, by, seen_version)
        reason.check(RateReason)
        row = append_stop(chart, read_back=read_back, by=by, reason=reason)
        done.on(row, **_said(row))
    return row


def override_ceiling(
    session: InfusionSession,
    *,
    by: Actor,
    to_ml_per_h: Decimal,
    reason_text: str,
    password: str,
    seen_version: int | None = None,
) -> RateChange:
    """Order a rate above the ceiling: a prescriber's signed act (D5)."""
    confirm_password(by=by, password=password)
    with act("rate.override", by=by, patient=session.patient) as done:
        chart = _locked(session, by, seen_version)
        if not by.user.may("override_hard_stop"):
            raise Refused("Only a prescriber can order a rate above the ceiling.")
        if not reason_text.strip():
            raise Refused("Write the reason in words.", field="reason_text")
        _must_run(chart)
        if to_ml_per_h <= chart.rate_ml_per_h:
            raise Refused("That is not faster than now.", field="rate_ml_per_h")
        row = _append(
            chart,
            kind=RateKind.STEP,
            rate_ml_per_h=to_ml_per_h,
            by=by,
            read_back=True,
            reason=Reason(code="prescriber", text=reason_text),
            above_ceiling=True,
        )
        Signature.objects.create(
            meaning=Signature.Meaning.ABOVE_CEILING,
            signed_name=by.user.name,
            session=chart.session,
            rate_change=row,
            **by.stamp(),
        )
        done.on(row, **_said(row))
    return row


# Inner parts: they run inside somebody's act, on a chart read under the lock.


def append_step(
    chart: SessionChart, *, to_ml_per_h: Decimal, read_back: bool, by: Actor
) -> RateChange:
    """Append one step up, or refuse it in words."""
    _must_run(chart)
    if step_held(chart):
        raise Refused(lambda: step_held(chart))
    rung = chart.running.next_rung
    if rung is None:
        raise Refused("This is the highest rate of the order.")
    _must_match(to_ml_per_h, rung.pump_ml_per_h)
    return _append(
        chart,
        kind=RateKind.STEP,
        rate_ml_per_h=rung.pump_ml_per_h,
        by=by,
        read_back=read_back,
        reason=Reason(code="tolerated"),
    )


def append_reduce(
    chart: SessionChart,
    *,
    to_ml_per_h: Decimal,
    read_back: bool,
    by: Actor,
    reason: Reason = NO_REASON,
    flag: Flag | None = None,
    reaction: Reaction | None = None,
) -> RateChange:
    """Append a reduction to a lower rung."""
    _must_run(chart)
    lower = {rung.pump_ml_per_h for rung in lower_rungs(chart)}
    if not lower:
        raise Refused("There is no lower step: pause instead.")
    if to_ml_per_h not in lower:
        raise Stale(
            "{to_ml_per_h} mL/h is not a lower step of this order at "
            "{rate_ml_per_h} mL/h. Look again, then press again.",
            to_ml_per_h=plain(to_ml_per_h),
            rate_ml_per_h=plain(chart.rate_ml_per_h),
        )
    return _append(
        chart,
        kind=RateKind.REDUCE,
        rate_ml_per_h=to_ml_per_h,
        by=by,
        read_back=read_back,
        reason=reason,
        flag=flag,
        reaction=reaction,
    )


def append_pause(
    chart: SessionChart,
    *,
    read_back: bool,
    by: Actor,
    reason: Reason = NO_REASON,
    flag: Flag | None = None,
    reaction: Reaction | None = None,
) -> RateChange:
    """Append a pause."""
    _must_run(chart)
    return _append(
        chart,
        kind=RateKind.PAUSE,
        rate_ml_per_h=Decimal(0),
        by=by,
        read_back=read_back,
        reason=reason,
        flag=flag,
        reaction=reaction,
    )


def append_stop(
    chart: SessionChart,
    *,
    read_back: bool,
    by: Actor,
    reason: Reason = NO_REASON,
    flag: Flag | None = None,
    reaction: Reaction | None = None,
) -> RateChange:
    """Append the stop, and move the visit on to observation."""
    if chart.running.state not in ("running", "paused"):
        raise Refused("This infusion is not running.")
    row = _append(
        chart,
        kind=RateKind.STOP,
        rate_ml_per_h=Decimal(0),
        by=by,
        read_back=read_back,
        reason=reason,
        flag=flag,
        reaction=reaction,
    )
    StageChange.objects.create(
        session=chart.session,
        from_stage=Stage.INFUSING,
        to_stage=Stage.OBSERVING,
        reason=_("stopped: {reason}").format(reason=WHY.get(reason.code, reason.code)),
        **by.stamp(),
    )
    InfusionSession.objects.filter(pk=chart.session.pk).update(stage=Stage.OBSERVING)
    chart.session.stage = Stage.OBSERVING
    chart.derive()
    return row


def step_held(chart: SessionChart, *, with_set_now: bool = False) -> str:
    """Why the next step is held, in words; empty when it may be taken.

    `with_set_now` asks whether it could be taken together with a complete, tolerated
    set that is about to be saved.
    """
    running = chart.running
    if running.state != "running":
        return _("The infusion is not running.")
    if chart.is_volume_in:
        return _("The volume is in.")
    if running.next_rung is None:
        return _("This is the highest rate of the order.")
    if chart.loud_flags:
        return _("Held while a flag is open.")
    if chart.rechecks:
        return _("Held until the recheck has settled.")
    if running.step_due_at is None or running.step_due_at > chart.at:
        return _("The least time at this step is not over.")
    if chart.policy is None:
        return _("CHECK NOT DONE: {policy_fault}.").format(
            policy_fault=chart.policy_fault
        )
    if not with_set_now:
        return _set_missing(chart, chart.policy)
    return ""


def _set_missing(chart: SessionChart, policy: Policy) -> str:
    window = span(policy.monitoring.schedule.before_step_minutes)
    complete = [row for row in chart.vitals if is_complete(row)]
    if not complete or complete[-1].event_time < chart.at - window:
        return _("A complete set of vital signs is needed first.")
    if chart.vitals[-1].tolerated is False:
        return _("The last set says: not tolerated.")
    return ""


def lower_rungs(chart: SessionChart) -> list[Rung]:
    """Rungs a nurse may reduce to, the nearest first."""
    return [
        rung
        for rung in reversed(chart.rungs)
        if rung.pump_ml_per_h < chart.rate_ml_per_h
    ]


def _locked(
    session: InfusionSession, by: Actor, seen_version: int | None
) -> SessionChart:
    """The visit under its lock, as it stood at the press: what waited is judged so."""
    chart = locked_chart(session, by=by, seen_version=seen_version)
    if by.pressed_at is not None:
        chart.stand_at(by.moment)
    return chart


def _append_resume(
    chart: SessionChart,
    to_ml_per_h: Decimal,
    read_back: bool,
    reason: Reason,
    by: Actor,
) -> RateChange:
    if chart.running.state != "paused":
        raise Refused("This infusion is not paused.")
    if chart.loud_flags:
        raise Refused("Answer the open flag before the infusion goes on.")
    proposed = chart.restart
    if proposed is None:
        raise Refused("CHECK NOT DONE: the protocol proposes no rate to go on at.")
    _order_in_force(chart, by.moment)
    allowed = {proposed.ml_per_h, *(rung.pump_ml_per_h for rung in chart.rungs)}
    if to_ml_per_h not in allowed:
        raise Refused(
            "{to_ml_per_h} mL/h is not a step of this order.",
            to_ml_per_h=plain(to_ml_per_h),
            field="rate_ml_per_h",
        )
    if to_ml_per_h > proposed.ml_per_h:
        reason.check(ResumeReason)
    return _append(
        chart,
        kind=RateKind.RESUME,
        rate_ml_per_h=to_ml_per_h,
        by=by,
        read_back=read_back,
        reason=reason if reason.code else Reason(code="protocol", text=reason.text),
    )


def _append(
    chart: SessionChart,
    *,
    kind: RateKind,
    rate_ml_per_h: Decimal,
    by: Actor,
    read_back: bool,
    reason: Reason,
    flag: Flag | None = None,
    reaction: Reaction | None = None,
    above_ceiling: bool = False,
) -> RateChange:
    """Append one change under the ceiling, later than the one before it."""
    if not read_back:
        raise Refused("Read the pump's rate back before saving.", field="read_back")
    last, at = chart.rates[-1] if chart.rates else None, by.moment
    if last is not None and at < last.event_time:
        if by.pressed_at is None or last.event_time - at > PAGE_BEHIND:
            raise Refused("A later change of rate is already recorded.")
        at = last.event_time
    going = kind not in STANDSTILL
    top = max((rung.pump_ml_per_h for rung in chart.rungs), default=Decimal(0))
    if going and rate_ml_per_h > top and not above_ceiling:
        raise Refused(
            "{rate_ml_per_h} mL/h is above the ceiling of this order, {top} mL/h.",
            rate_ml_per_h=plain(rate_ml_per_h),
            top=plain(top),
            field="rate_ml_per_h",
        )
    if kind == RateKind.STEP:
        _order_in_force(chart, by.moment)
    rung = rung_at(chart.rungs, rate_ml_per_h) if going else None
    row = RateChange.objects.create(
        session=chart.session,
        kind=kind,
        step=rung.step if rung else None,
        before_ml_per_h=chart.rate_ml_per_h,
        rate_ml_per_h=rate_ml_per_h,
        rate_ml_per_kg_h=per_kg(rate_ml_per_h, chart.rungs) if going else Decimal(0),
        reason_code=reason.code,
        reason_text=reason.text,
        read_back=read_back,
        flag=flag,
        reaction=reaction,
        **by.stamp(event_time=at),
    )
    chart.every_rate.append(row)
    chart.rates.append(row)
    chart.derive()
    return row


def _order_in_force(chart: SessionChart, at: datetime) -> None:
    """The order's version and validity are checked at each step (H25)."""
    order, version = chart.session.order, chart.order_version
    if order.status != OrderStatus.ACTIVE or (
        version is not None and order.current_id != version.pk
    ):
        raise Refused(
            "The order was changed or is on hold. Ask the prescriber before the rate "
            "goes up."
        )
    day = chart.session.clinic.day_of(at)
    if version is not None and version.expires_on < day:
        raise Refused("The order has expired. Ask the prescriber for a new one.")


def _must_run(chart: SessionChart) -> None:
    if chart.session.stage != Stage.INFUSING or chart.running.state != "running":
        raise Refused("This infusion is not running.")


def _must_match(shown_ml_per_h: Decimal, worked_out_ml_per_h: Decimal) -> None:
    if shown_ml_per_h != worked_out_ml_per_h:
        raise Stale(
            "The screen showed {shown_ml_per_h} mL/h, the next step is "
            "{worked_out_ml_per_h} mL/h. Look again, then press again.",
            shown_ml_per_h=plain(shown_ml_per_h),
            worked_out_ml_per_h=plain(worked_out_ml_per_h),
        )


def _said(row: RateChange) -> dict[str, str]:
    return {
        "kind": str(row.kind),
        "before_ml_per_h": plain(row.before_ml_per_h),
        "rate_ml_per_h": plain(row.rate_ml_per_h),
    }
