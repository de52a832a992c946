"""The end of an infusion, the discharge, and a visit entered in error."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from sessions.charts import charts_of
from sessions.models import (
    DischargeReason,
    EndReason,
    Flag,
    GateOverride,
    InfusionSession,
    Outcome,
    RateChange,
    RateKind,
    Signature,
    Stage,
)
from sessions.rules.monitoring import Criterion
from sessions.rules.quantities import plain
from sessions.services import departure, vials
from sessions.services.acts import Actor, Refused, act
from sessions.services.headers import (
    locked,
    move,
    require_reason,
    require_stage,
    save_header,
    sign,
)
from sessions.services.sign_ins import confirm_password

LEAVES_UNFINISHED = (Outcome.TRANSFERRED, Outcome.LEFT, Outcome.DIED)
"""Outcomes that no discharge criterion may hold back; they need a reason instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an infusion ended: what went in, and what was left in the vials."""

    session: InfusionSession
    rate_change: RateChange
    given_ml: Decimal
    waste_ml: Decimal


def end_infusion(
    *,
    session: InfusionSession,
    by: Actor,
    reason_code: str = EndReason.COMPLETED,
    reason_text: str = "",
    event_time: datetime | None = None,
    pump_ml: Decimal | None = None,
    seen_version: int | None = None,
) -> Ended:
    """End the infusion and begin the observation; open vials are finished with it.

    What was not given needs a reason other than "completed".
    """
    with act("infusion.end", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        require_stage(header, (Stage.INFUSING,))
        ended = append_end(
            header,
            by=by,
            reason_code=reason_code,
            reason_text=reason_text,
            event_time=event_time or by.at,
        )
        done.on(
            ended.rate_change,
            reason=reason_code,
            given_ml=ended.given_ml,
            waste_ml=ended.waste_ml,
            pump_ml=pump_ml,
        )
    return ended


def append_end(
    header: InfusionSession,
    *,
    by: Actor,
    reason_code: str,
    reason_text: str,
    event_time: datetime,
) -> Ended:
    """Append the end inside an act; the caller holds the visit's lock."""
    chart = charts_of([header], at=event_time)[0]
    last = chart.rates[-1]
    if event_time < last.event_time:
        raise Refused(
            "The infusion cannot end before its last change of rate, {event_time}.",
            event_time=f"{last.event_time.astimezone(header.clinic.zone):%H:%M}",
            field="event_time",
        )
    given, total = chart.volume_ml, chart.total_ml
    early = given < total * (1 - departure.SHORT_OF_DOSE)
    if early and reason_code == EndReason.COMPLETED:
        raise Refused(
            "By the recorded rates {given} of {total} mL are in. "
            "Choose why it ends early, or correct the time.",
            given=plain(given, 1),
            total=plain(total),
            field="reason_code",
        )
    require_reason(EndReason, reason_code, reason_text)
    change = RateChange.objects.create(
        session=header,
        kind=RateKind.END,
        before_ml_per_h=last.rate_ml_per_h,
        rate_ml_per_h=Decimal(0),
        rate_ml_per_kg_h=Decimal(0),
        reason_code=reason_code,
        reason_text=reason_text,
        **by.stamp(event_time=event_time),
    )
    waste = vials.append_ends(
        header,
        given_ml=given,
        reason=_("rest after the dose")
        if reason_code == EndReason.COMPLETED
        else _("ended early"),
        by=by,
        event_time=event_time,
    )
    move(header, Stage.OBSERVING, by=by, reason=reason_code, event_time=event_time)
    return Ended(session=header, rate_change=change, given_ml=given, waste_ml=waste)


def _unmet(header: InfusionSession, at: datetime) -> list[Criterion]:
    return [c for c in departure.criteria(header, at=at) if not c.met]


def discharge(
    *,
    session: InfusionSession,
    outcome: Outcome,
    password: str,
    by: Actor,
    reason_code: str = "",
    reason_text: str = "",
    seen_version: int | None = None,
) -> Signature:
    """Let the patient go and sign the record (H3, H4).

    Criteria that are not met need a coded reason, each kept as an override; a flag of
    high or medium priority has to be answered first, unless the patient leaves the
    clinic's hands.
    """
    confirm_password(by=by, password=password)
    with act("infusion.discharge", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        require_stage(header, (Stage.OBSERVING,))
        unmet = _unmet(header, by.at)
        leaves = outcome in LEAVES_UNFINISHED
        if leaves and not reason_text.strip():
            raise Refused("Say what happened.", field="reason_text")
        open_flags = Flag.objects.filter(session=header).current().open()
        if not leaves and open_flags.exclude(priority="low").exists():
            raise Refused("Answer the open flags before the discharge.")
        if unmet and not leaves and not reason_code:
            raise Refused(
                "Not every criterion is met: {words}. Choose a reason to go on.",
                words=lambda: "; ".join(c.because for c in _unmet(header, by.at)),
                field="reason_code",
            )
        if reason_code:
            require_reason(DischargeReason, reason_code, reason_text)
        for criterion in unmet:
            GateOverride.objects.create(
                session=header,
                rule=criterion.rule,
                reason_code=reason_code or outcome,
                reason_text=reason_text,
                **by.stamp(),
            )
        _finish_vials(header, by=by)
        header.outcome = outcome
        move(header, Stage.DISCHARGED, by=by, reason=reason_text, also=("outcome",))
        signature = sign(Signature.Meaning.DISCHARGED, by=by, session=header)
        done.on(
            header,
            outcome=outcome,
            unmet=[criterion.rule for criterion in unmet],
            signature=signature.pk,
        )
    return signature


def _finish_vials(header: InfusionSession, *, by: Actor) -> None:
    """Close the vials of an infusion that was stopped instead of ended."""
    chart = charts_of([header], at=by.at)[0]
    vials.append_ends(
        header,
        given_ml=chart.volume_ml,
        reason=_("stopped early"),
        by=by,
        event_time=chart.ended_at or by.at,
    )


def mark_entered_in_error(
    *,
    session: InfusionSession,
    reason: str,
    password: str,
    by: Actor,
    seen_version: int | None = None,
) -> Signature:
    """Say, signed, that this whole visit is an error; it stays readable."""
    confirm_password(by=by, password=password)
    with act("infusion.entered-in-error", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        if not reason.strip():
            raise Refused("Say why this visit is an error.", field="reason")
        row = GateOverride.objects.create(
            session=header,
            rule="entered-in-error",
            reason_code="entered_in_error",
            reason_text=reason,
            **by.stamp(),
        )
        signature = sign(
            Signature.Meaning.ENTERED_IN_ERROR,
            by=by,
            session=header,
            gate_override=row,
        )
        header.entered_in_error = True
        save_header(header, "entered_in_error")
        done.on(header, reason=reason)
    return signature
