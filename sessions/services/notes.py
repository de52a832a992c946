"""Notes for the next nurse: one of them stands for a visit, the others are history."""

from sessions.models import IN_A_CHAIR, InfusionSession, Note, Stage
from sessions.services.acts import Actor, Refused, Stale, act
from sessions.services.headers import locked

REWRITTEN = "rewritten"


def write_note(
    *, session: InfusionSession, text: str, replaces: int | None, by: Actor
) -> Note:
    """Say something to the next nurse; an empty text says that nothing is left to say.

    `replaces` is the note that the writer saw; another one is `Stale` and stays.
    """
    with act("note.write", by=by, patient=session.patient) as done:
        header = locked(session, by=by)
        if header.stage not in (Stage.PLANNED, *IN_A_CHAIR):
            raise Refused("This visit is over.")
        before = standing_note(header)
        if (before and before.pk) != replaces:
            raise Stale(
                "{name} wrote a note meanwhile: “{note}”. Put both into one.",
                name=before.recorded_by.name if before else "",
                note=before.text if before else "",
            )
        if text == (before.text if before else ""):
            raise Refused("The note is as it was.", field="text")
        row = Note.objects.create(
            session=header,
            text=text,
            supersedes=before,
            correction_reason=REWRITTEN if before else "",
            **by.stamp(),
        )
        done.on(row, replaces=replaces)
    return row


def standing_note(session: InfusionSession) -> Note | None:
    """The note that stands, even if it says nothing any more."""
    rows = Note.objects.filter(session=session).current()
    return rows.select_related("recorded_by").last()
