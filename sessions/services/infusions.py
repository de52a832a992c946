"""Visits: checked in, handed over, called off, prepared and started."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from sessions.models import (
    IN_A_CHAIR,
    Answer,
    Chair,
    GateOverride,
    HardStopReason,
    IdentityCheck,
    InfusionSession,
    LineCheck,
    RateChange,
    RateKind,
    Screening,
    Signature,
    Stage,
    Start,
    User,
    WarningReason,
)
from sessions.rules.quantities import plain
from sessions.services import gate, preparation
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

BEFORE_START = (Stage.CHECKED_IN, Stage.ASSESSED)


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
        save_header(header, "nurse")
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
        require_stage(header, BEFORE_START)
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
        require_stage(header, BEFORE_START)
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
        require_stage(header, IN_A_CHAIR)
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
        require_stage(header, BEFORE_START)
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
    require_reason(WarningReason, reason_code, reason_text)
    with act("infusion.pass-warnings", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        require_stage(header, BEFORE_START)
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
    require_reason(HardStopReason, reason_code, reason_text)
    confirm_password(by=by, password=password)
    with act("infusion.override", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        require_stage(header, BEFORE_START)
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


def _held(header: InfusionSession, *, at: datetime) -> Refused:
    """What holds the Start: the first three things, and how many more there are."""

    def words() -> str:
        holds = preparation.prepare(header, at=at).holds
        said = "; ".join(hold.text for hold in holds[:3])
        if len(holds) <= 3:
            return _("Start is held: {words}.").format(words=said)
        return _("Start is held: {words} and {more} more.").format(
            words=said, more=len(holds) - 3
        )

    return Refused(words)


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
        require_stage(header, BEFORE_START)
        prepared = preparation.prepare(header, at=by.at)
        if prepared.holds:
            raise _held(header, at=by.at)
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
