"""Visits: planned, checked in, prepared, started, ended, observed, discharged."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import IntegrityError
from django.db.models import TextChoices
from django.utils.translation import gettext as _

from sessions.charts import charts_of
from sessions.models import (
    IN_A_CHAIR,
    STAGE_MOVES,
    Answer,
    Chair,
    DischargeReason,
    EndReason,
    Flag,
    GateOverride,
    HardStopReason,
    IdentityCheck,
    InfusionSession,
    LineCheck,
    Order,
    OrderStatus,
    OrderVersion,
    Outcome,
    RateChange,
    RateKind,
    Screening,
    Signature,
    Stage,
    StageChange,
    Start,
    User,
    WarningReason,
)
from sessions.rules.language import day_words, inside
from sessions.rules.quantities import plain
from sessions.services import departure, gate, preparation, vials
from sessions.services.acts import Actor, Refused, Stale, act
from sessions.services.locks import refuse_backwards
from sessions.services.sign_ins import confirm_password

BEFORE_START = (Stage.CHECKED_IN, Stage.ASSESSED)
LEAVES_UNFINISHED = (Outcome.TRANSFERRED, Outcome.LEFT, Outcome.DIED)
"""Outcomes that no discharge criterion may hold back; they need a reason instead."""


# Planning


def proposed_dates(
    version: OrderVersion, *, first: date, clock: time, zone: ZoneInfo, already: int = 0
) -> list[datetime]:
    """The days a course asks for from `first` on, at the same time of day.

    A cycle runs on consecutive days; cycles are the ordered interval apart. `already`
    visits of the course are planned; `first` is the day of the next one.
    """
    days, cycles = version.days, version.cycles
    apart = round((version.interval_weeks or Decimal(0)) * 7)
    cycle_of_next, day_of_next = divmod(already, days)
    origin = first - timedelta(days=cycle_of_next * apart + day_of_next)
    return [
        datetime.combine(
            origin + timedelta(days=cycle * apart + day), clock, tzinfo=zone
        ).astimezone(UTC)
        for cycle in range(cycles)
        for day in range(days)
        if cycle * days + day >= already
    ]


def plan_session(
    *,
    order: Order,
    scheduled_at: datetime,
    by: Actor,
    chair: Chair | None = None,
    nurse: User | None = None,
) -> InfusionSession:
    """Plan the next visit of an order's course."""
    return plan_sessions(
        order=order, dates=[scheduled_at], by=by, chair=chair, nurse=nurse
    )[0]


def plan_sessions(
    *,
    order: Order,
    dates: Sequence[datetime],
    by: Actor,
    chair: Chair | None = None,
    nurse: User | None = None,
) -> list[InfusionSession]:
    """Plan visits of an order's course; cycle and day follow from what was planned.

    Refused when the order is not active, when the course holds no more visits, when a
    day lies after the order's last day, or when two visits fall on one day.
    """
    with act("infusion.plan", by=by, patient=order.patient) as done:
        order = (
            Order.objects.select_for_update(of=("self",))
            .select_related("current", "clinic", "patient")
            .get(pk=order.pk)
        )
        version = order.current
        if order.status != OrderStatus.ACTIVE or version is None:
            raise Refused(
                "The order is {status}: visits are planned for an active order.",
                status=inside(order.get_status_display()),
            )
        zone = order.clinic.zone
        planned = list(live_visits(order))
        taken = {row.scheduled_at.astimezone(zone).date() for row in planned}
        _refuse_dates(version, dates, taken, already=len(planned), zone=zone)
        if nurse is not None and nurse.clinic_id != order.clinic_id:
            raise Refused("That nurse works in another clinic.", field="nurse")
        if chair is not None and chair.clinic_id != order.clinic_id:
            raise Refused("That chair stands in another clinic.", field="chair")
        made = [
            InfusionSession.objects.create(
                clinic=order.clinic,
                patient=order.patient,
                order=order,
                chair=chair,
                nurse=nurse,
                scheduled_at=moment,
                cycle=number // version.days + 1,
                day=number % version.days + 1,
                created_at=by.at,
                created_by=by.user,
            )
            for number, moment in enumerate(sorted(dates), start=len(planned))
        ]
        done.on(made[0], order=order.pk, visits=[row.pk for row in made])
    return made


def live_visits(order: Order):
    """The visits of a course that were not cancelled or withdrawn."""
    return (
        InfusionSession.objects.filter(order=order, entered_in_error=False)
        .exclude(stage=Stage.CANCELLED)
        .order_by("scheduled_at", "id")
    )


def _refuse_dates(
    version: OrderVersion,
    dates: Sequence[datetime],
    taken: set[date],
    *,
    already: int,
    zone: ZoneInfo,
) -> None:
    if not dates:
        raise Refused("Choose at least one day.", field="dates")
    left = version.days * version.cycles - already
    if len(dates) > left:
        raise Refused(
            "The course has {days} visits and {already} are planned: "
            "{left} more can be.",
            days=version.days * version.cycles,
            already=already,
            left=max(left, 0),
            field="dates",
        )
    for moment in dates:
        day = moment.astimezone(zone).date()
        if day > version.expires_on:
            raise Refused(
                "{day} lies after the order's last day, {expires_on}.",
                day=day_words(day),
                expires_on=day_words(version.expires_on),
                field="dates",
            )
        if day in taken:
            raise Refused(
                "A visit of this course is planned on {day} already.",
                day=day_words(day),
                field="dates",
            )
        taken.add(day)


def allocate(
    *,
    session: InfusionSession,
    scheduled_at: datetime,
    chair: Chair | None,
    nurse: User | None,
    by: Actor,
    seen_version: int | None = None,
) -> InfusionSession:
    """Move a planned visit to another time, chair or nurse."""
    with act("infusion.allocate", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        if header.stage != Stage.PLANNED:
            raise Refused("Only a planned visit can be moved.")
        before = [header.scheduled_at, header.chair_id, header.nurse_id]
        header.scheduled_at, header.chair, header.nurse = scheduled_at, chair, nurse
        _save(header, "scheduled_at", "chair", "nurse")
        done.on(header, before=before)
    return header


def check_in(
    *,
    session: InfusionSession,
    chair: Chair,
    by: Actor,
    nurse: User | None = None,
    seen_version: int | None = None,
) -> InfusionSession:
    """The patient sits down: a chair, a nurse, and the visit is open."""
    with act("infusion.check-in", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        if chair.clinic_id != header.clinic_id or not chair.active:
            raise Refused("Choose a chair of this clinic.", field="chair")
        busy = InfusionSession.objects.of(header.clinic).in_a_chair()
        if busy.filter(chair=chair).exists():
            raise Refused(
                "Chair {chair} is taken. Choose another.", chair=chair, field="chair"
            )
        if busy.filter(patient=header.patient).exists():
            raise Refused("This patient already has an open visit.")
        header.chair, header.nurse = chair, nurse or by.user
        move(header, Stage.CHECKED_IN, by=by, also=("chair", "nurse"))
        done.on(header, chair=chair.name)
    return header


TAKEN_OVER, ASSIGNED = "infusion.take-over", "infusion.assign-nurse"
"""Acts that give a visit another nurse; their audit rows say who it was before."""


def take_over(
    *, session: InfusionSession, by: Actor, seen_version: int | None = None
) -> InfusionSession:
    """Whoever is signed in becomes the nurse of this visit, in one tap (H2)."""
    return _hand_over(TAKEN_OVER, session, by.user, by=by, seen_version=seen_version)


def assign_nurse(
    *,
    session: InfusionSession,
    nurse: User,
    by: Actor,
    seen_version: int | None = None,
) -> InfusionSession:
    """The charge nurse gives a visit, planned or in a chair, to a nurse (H2)."""
    if nurse.clinic_id != session.clinic_id or not nurse.may("chart"):
        raise Refused("Choose a nurse of this clinic.", field="nurse")
    return _hand_over(ASSIGNED, session, nurse, by=by, seen_version=seen_version)


def _hand_over(
    action: str,
    session: InfusionSession,
    nurse: User,
    *,
    by: Actor,
    seen_version: int | None,
) -> InfusionSession:
    with act(action, by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        if header.stage not in (Stage.PLANNED, *IN_A_CHAIR):
            raise Refused("This visit is over.")
        if header.nurse_id == nurse.pk:
            if nurse == by.user:
                raise Refused("You are the nurse of this visit already.")
            raise Refused("{name} is the nurse of this visit.", name=nurse.name)
        before = header.nurse_id
        header.nurse = nurse
        _save(header, "nurse")
        done.on(header, before=before, nurse=nurse.pk)
    return header


def cancel(
    *,
    session: InfusionSession,
    reason: str,
    by: Actor,
    seen_version: int | None = None,
) -> InfusionSession:
    """Call a visit off before its Start."""
    with act("infusion.cancel", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        if not reason.strip():
            raise Refused("Say why the visit is cancelled.", field="reason")
        move(header, Stage.CANCELLED, by=by, reason=reason)
        done.on(header, reason=reason)
    return header


# Before the Start


def check_identity(
    *, session: InfusionSession, initials: str, birth_year: int, by: Actor
) -> IdentityCheck:
    """Compare two typed identifiers with the record (A2); keep a mismatch too."""
    patient = session.patient
    typed = re.sub(r"[\s.\-]", "", initials).upper()
    if (typed, birth_year) != (patient.initials, patient.birth_date.year):
        # In an act of its own, with no submission key: the typing may be corrected.
        with act(
            "infusion.identity-mismatch",
            by=replace(by, key="", content_hash=""),
            patient=patient,
        ) as done:
            done.on(session, typed=[typed[:4], birth_year])
        raise Refused(
            "{typed} {birth_year} is not the patient of this visit. "
            "Stop, and compare the wristband with the name above.",
            typed=typed,
            birth_year=birth_year,
            field="identifiers",
        )
    with act("infusion.identity", by=by, patient=patient) as done:
        header = locked(session, by=by)
        _require_stage(header, BEFORE_START)
        row = IdentityCheck.objects.create(
            patient=patient,
            session=header,
            initials=typed,
            birth_year=birth_year,
            **by.stamp(),
        )
        assess_when_ready(header, by=by)
        done.on(row)
    return row


def attest_checks(
    *,
    session: InfusionSession,
    answers: Mapping[str, Answer],
    by: Actor,
    detail: str = "",
) -> Screening:
    """Write down what the patient answered and the nurse saw; unasked stays unasked.

    A second set of answers corrects the first.
    """
    with act("infusion.screening", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        _require_stage(header, BEFORE_START)
        before = Screening.objects.filter(session=header).current().last()
        given = {
            name: answers.get(name, Answer.NOT_ASKED)
            for name in preparation.QUESTION_NAMES
        }
        row = Screening.objects.create(
            session=header,
            **given,
            detail=detail,
            supersedes=before,
            correction_reason=_("answered again") if before else "",
            **by.stamp(),
        )
        assess_when_ready(header, by=by)
        done.on(row)
    return row


def record_line(
    *,
    session: InfusionSession,
    site: str,
    gauge: str,
    by: Actor,
    attempts: int = 1,
    vip_score: int = 0,
    event_time: datetime | None = None,
) -> LineCheck:
    """Write down the intravenous line, or look at its site again."""
    with act("infusion.line", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        _require_stage(header, IN_A_CHAIR)
        row = LineCheck.objects.create(
            session=header,
            site=site,
            gauge=gauge,
            attempts=attempts,
            vip_score=vip_score,
            **by.stamp(event_time=event_time),
        )
        done.on(row)
    return row


def confirm_weight(*, session: InfusionSession, by: Actor) -> GateOverride:
    """Say that the last weight on record still holds today (H2)."""
    with act("infusion.confirm-weight", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        _require_stage(header, BEFORE_START)
        weight = (
            header.patient.weights.current()
            .filter(event_time__lte=by.at)
            .order_by("-event_time", "-id")
            .first()
        )
        if weight is None:
            raise Refused("No weight is on record: weigh the patient.")
        row = GateOverride.objects.create(
            session=header,
            rule=gate.WEIGHT_CONFIRMED,
            reason_code="confirmed",
            found=preparation.weight_words(weight, header.clinic.zone),
            **by.stamp(),
        )
        assess_when_ready(header, by=by)
        done.on(row, weight=weight.pk)
    return row


def pass_warnings(
    *,
    session: InfusionSession,
    rules: Sequence[str],
    reason_code: str,
    by: Actor,
    reason_text: str = "",
) -> list[GateOverride]:
    """Go on in spite of these warnings, for one coded reason (C3)."""
    _require_reason(WarningReason, reason_code, reason_text)
    with act("infusion.pass-warnings", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        _require_stage(header, BEFORE_START)
        prepared = preparation.prepare(header, at=by.at)
        holds = {hold.rule: hold for hold in prepared.warnings}
        if not rules or not set(rules) <= set(holds):
            raise Refused("The list of warnings changed. Look at it again.")
        made = [
            _append_override(header, holds[rule], reason_code, reason_text, by=by)
            for rule in dict.fromkeys(rules)
        ]
        done.on(header, rules=list(rules), reason=reason_code)
    return made


def override_gate(
    *,
    session: InfusionSession,
    rule: str,
    reason_code: str,
    by: Actor,
    reason_text: str = "",
    password: str = "",
) -> GateOverride:
    """Override one hard stop, with a password and what it means (C3).

    What is simply not done yet (identity, vials, baseline) nobody can override.
    """
    _require_reason(HardStopReason, reason_code, reason_text)
    confirm_password(by=by, password=password)
    with act("infusion.override", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        _require_stage(header, BEFORE_START)
        prepared = preparation.prepare(header, at=by.at)
        hold = next((hold for hold in prepared.holds if hold.rule == rule), None)
        if hold is None:
            raise Refused("This no longer holds the Start. Look at the list again.")
        if hold.kind == gate.TO_DO:
            raise Refused("This has to be done; nobody can override it.")
        if not by.user.may("override_hard_stop"):
            raise Refused("Only a prescriber can override a hard stop.")
        row = _append_override(header, hold, reason_code, reason_text, by=by)
        sign(Signature.Meaning.OVERRODE, by=by, session=header, gate_override=row)
        done.on(row, rule=rule, found=hold.text, reason=reason_code)
    return row


def _require_reason(
    known: type[TextChoices], reason_code: str, reason_text: str
) -> None:
    """Refuse a code that is not on the list, and "other" without words."""
    if reason_code not in known.values:
        raise Refused("Choose a reason.", field="reason_code")
    if reason_code == "other" and not reason_text.strip():
        raise Refused("Say what the other reason is.", field="reason_text")


def _append_override(
    header: InfusionSession,
    hold: gate.Hold,
    reason_code: str,
    reason_text: str,
    *,
    by: Actor,
) -> GateOverride:
    return GateOverride.objects.create(
        session=header,
        rule=hold.rule,
        reason_code=reason_code,
        reason_text=reason_text,
        found=hold.text[: gate.FOUND_LETTERS],
        **by.stamp(),
    )


def note_assessed(*, session: InfusionSession, by: Actor) -> None:
    """Move a visit on after its weight was recorded with the patient."""
    if session.stage != Stage.CHECKED_IN or not preparation.is_assessed(
        session, at=by.at
    ):
        return
    with act("infusion.assessed", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        assess_when_ready(header, by=by)
        done.on(header)


def assess_when_ready(header: InfusionSession, *, by: Actor) -> None:
    """Move to assessed as soon as identity, weight and checks are done."""
    if header.stage == Stage.CHECKED_IN and preparation.is_assessed(header, at=by.at):
        move(header, Stage.ASSESSED, by=by)


def start(
    *,
    session: InfusionSession,
    read_back_ml_per_h: Decimal,
    by: Actor,
    volume_limit_ml: Decimal | None = None,
    seen_version: int | None = None,
) -> Start:
    """Begin the infusion: computed here, refused while anything holds it (D1).

    `read_back_ml_per_h` is what the nurse reads on the pump; another number than the
    first step's is refused (I7).
    """
    with act("infusion.start", by=by, patient=session.patient) as done:
        header = locked(session, seen_version, by=by)
        _require_stage(header, BEFORE_START)
        prepared = preparation.prepare(header, at=by.at)
        if prepared.holds:
            words = "; ".join(hold.text for hold in prepared.holds[:3])
            more = len(prepared.holds) - 3
            raise Refused(
                _("Start is held: {words}").format(words=words)
                + (_(" and {more} more.").format(more=more) if more > 0 else ".")
            )
        today, first = prepared.today, prepared.first_rung
        if read_back_ml_per_h != first.pump_ml_per_h:
            raise Refused(
                "The pump shows {read_back_ml_per_h} mL/h; step 1 is "
                "{pump_ml_per_h} mL/h. Set it again, then read it back.",
                read_back_ml_per_h=plain(read_back_ml_per_h),
                pump_ml_per_h=plain(first.pump_ml_per_h),
                field="read_back",
            )
        if volume_limit_ml not in (None, today.plan.volume_ml):
            raise Refused(
                "The pump's limit is {volume_limit_ml} mL; the dose is "
                "{volume_ml} mL. Set it again, then read it back.",
                volume_limit_ml=plain(volume_limit_ml),
                volume_ml=plain(today.plan.volume_ml),
                field="volume_limit",
            )
        assess_when_ready(header, by=by)
        move(header, Stage.INFUSING, by=by)
        row = Start.objects.create(
            session=header,
            order_version=prepared.version,
            protocol_version=prepared.protocol,
            weight=prepared.weight,
            weight_kg=prepared.weight.weight_kg,
            dosing_weight_kg=today.plan.weight.kg,
            baseline=prepared.baseline,
            volume_ml=today.plan.volume_ml,
            experience=today.rule.experience,
            observation_minutes=today.observation_minutes,
            plan=today.document,
            gate=prepared.document(),
            **by.stamp(),
        )
        RateChange.objects.create(
            session=header,
            kind=RateKind.START,
            step=first.step,
            before_ml_per_h=Decimal(0),
            rate_ml_per_h=first.pump_ml_per_h,
            rate_ml_per_kg_h=first.ml_per_kg_h,
            reason_code="planned",
            read_back=True,
            **by.stamp(),
        )
        done.on(row, rate_ml_per_h=first.pump_ml_per_h)
    return row


# After the Start


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
        _require_stage(header, (Stage.INFUSING,))
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
    _require_reason(EndReason, reason_code, reason_text)
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
        _require_stage(header, (Stage.OBSERVING,))
        unmet = [c for c in departure.criteria(header, at=by.at) if not c.met]
        leaves = outcome in LEAVES_UNFINISHED
        if leaves and not reason_text.strip():
            raise Refused("Say what happened.", field="reason_text")
        open_flags = Flag.objects.filter(session=header).current().open()
        if not leaves and open_flags.exclude(priority="low").exists():
            raise Refused("Answer the open flags before the discharge.")
        if unmet and not leaves and not reason_code:
            words = "; ".join(c.because for c in unmet)
            raise Refused(
                "Not every criterion is met: {words}. Choose a reason to go on.",
                words=words,
                field="reason_code",
            )
        if reason_code:
            _require_reason(DischargeReason, reason_code, reason_text)
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
        _save(header, "entered_in_error")
        done.on(header, reason=reason)
    return signature


# What the acts share


def locked(
    session: InfusionSession, seen_version: int | None = None, *, by: Actor
) -> InfusionSession:
    """The visit's header, locked; `Stale` when it moved since the screen was drawn.

    Refuses when the server's clock went back (H14).
    """
    header = (
        InfusionSession.objects.select_for_update(of=("self",))
        .select_related(
            "clinic",
            "patient",
            "chair",
            "nurse",
            "order__current__protocol_version__protocol",
            "start",
        )
        .get(pk=session.pk)
    )
    if header.entered_in_error:
        raise Refused("This visit was marked as entered in error.")
    if seen_version is not None and seen_version != header.version:
        raise Stale(
            "Somebody changed this visit since this screen was drawn: "
            "it showed version {seen_version}, now it is version "
            "{version}, {stage}. Look again, then decide.",
            seen_version=seen_version,
            version=header.version,
            stage=inside(header.get_stage_display()),
        )
    refuse_backwards(header, by=by)
    return header


def move(
    header: InfusionSession,
    to: Stage,
    *,
    by: Actor,
    reason: str = "",
    also: tuple[str, ...] = (),
    event_time: datetime | None = None,
) -> StageChange:
    """Move a visit to its next stage; the database refuses every other move too."""
    before = Stage(header.stage)
    if to not in STAGE_MOVES[before]:
        raise Refused(
            "A visit that is {label} cannot become {label2}.",
            label=inside(before.label),
            label2=inside(to.label),
        )
    header.stage = to
    try:
        _save(header, "stage", *also)
    except IntegrityError as error:
        raise Refused(
            "The chair or the patient was taken by another visit in the same moment. "
            "Look again."
        ) from error
    return StageChange.objects.create(
        session=header,
        from_stage=before,
        to_stage=to,
        reason=reason,
        **by.stamp(event_time=event_time),
    )


def sign(meaning: Signature.Meaning, *, by: Actor, **about) -> Signature:
    """Append a signature inside an act, after the password was asked."""
    return Signature.objects.create(
        meaning=meaning, signed_name=str(by.user), **about, **by.stamp()
    )


def _save(header: InfusionSession, *fields: str) -> None:
    header.version += 1
    header.save(update_fields=[*fields, "version"])


def _require_stage(header: InfusionSession, stages: Sequence[Stage]) -> None:
    if header.stage not in stages:
        raise Refused(
            "This visit is {stage}: this cannot be done now.",
            stage=inside(header.get_stage_display()),
        )
