"""The header of a visit: locked, moved on, signed for; inside somebody's act."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import TextChoices

from sessions.models import (
    STAGE_MOVES,
    InfusionSession,
    Signature,
    Stage,
    StageChange,
)
from sessions.rules.language import inside
from sessions.services.acts import Actor, Refused, Stale
from sessions.services.locks import refuse_backwards
from sessions.services.sign_ins import confirm_password


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
            stage=lambda: inside(header.get_stage_display()),
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
            "A visit that is {stage} cannot become {wanted}.",
            stage=lambda: inside(before.label),
            wanted=lambda: inside(to.label),
        )
    header.stage = to
    try:
        save_header(header, "stage", *also)
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


def confirm_correction(session: InfusionSession, *, password: str, by: Actor) -> None:
    """Ask for the password where the record was signed at discharge (SAFETY 6).

    Stands before the act, as `confirm_password` does.
    """
    if session.stage == Stage.DISCHARGED:
        confirm_password(by=by, password=password)


def sign_correction(
    seen: InfusionSession, header: InfusionSession, *, by: Actor
) -> None:
    """Sign what corrects a signed record; `seen` is the visit before it was locked."""
    if header.stage != Stage.DISCHARGED:
        return
    if seen.stage != Stage.DISCHARGED:
        raise Stale("This visit was discharged in the meantime. Look again.")
    sign(Signature.Meaning.CORRECTED, by=by, session=header)


def save_header(header: InfusionSession, *fields: str) -> None:
    """Save columns of a locked header under its next version."""
    header.version += 1
    header.save(update_fields=[*fields, "version"])


def require_stage(header: InfusionSession, stages: Sequence[Stage]) -> None:
    """Refuse what cannot be done at the stage at which the visit is."""
    if header.stage not in stages:
        raise Refused(
            "This visit is {stage}: this cannot be done now.",
            stage=lambda: inside(header.get_stage_display()),
        )


def refuse_time(header: InfusionSession, typed: datetime | None, *, by: Actor) -> None:
    """Refuse a typed moment at which nothing of this visit can have happened.

    Before the check-in, or later than the clinic's minutes from now (SAFETY 3). A typed
    time has no seconds, so the minute of the check-in counts as a whole. None is now.
    """
    if typed is None:
        return
    if typed > by.at + timedelta(minutes=header.clinic.future_minutes):
        raise Refused("This time lies in the future.", field="event_time")
    seated = StageChange.objects.filter(session=header, to_stage=Stage.CHECKED_IN)
    for moment in seated.values_list("event_time", flat=True):
        if typed < moment.replace(second=0, microsecond=0):
            raise Refused(
                "This time lies before the check-in at {clock}.",
                clock=f"{moment.astimezone(header.clinic.zone):%H:%M}",
                field="event_time",
            )


def require_reason(
    known: type[TextChoices], reason_code: str, reason_text: str
) -> None:
    """Refuse a code that is not on the list, and "other" without words."""
    if reason_code not in known.values:
        raise Refused("Choose a reason.", field="reason_code")
    if reason_code == "other" and not reason_text.strip():
        raise Refused("Say what the other reason is.", field="reason_text")
