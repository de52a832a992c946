"""A note for the next nurse: one stands, each is kept, and nobody's is lost."""

import pytest

from sessions.models import AuditEntry, InfusionSession, Note
from sessions.services.acts import Refused, Stale
from sessions.services.notes import standing_note, write_note
from tests.factories.infusions import by, make_running, minutes

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber)


def write(session, user, text, replaces=None, at=1) -> Note:
    return write_note(
        session=session, text=text, replaces=replaces, by=by(user, minutes(at))
    )


def test_a_newer_note_stands_and_the_older_one_stays_readable(
    running, nurse, colleague
):
    first = write(running, nurse, "Line is slow.")
    second = write(running, colleague, "Line changed.", replaces=first.pk, at=2)

    assert standing_note(running) == second
    assert second.supersedes == first
    assert [note.text for note in Note.objects.all()] == [
        "Line is slow.",
        "Line changed.",
    ]
    assert [n.recorded_by for n in Note.objects.all()] == [nurse, colleague]
    assert AuditEntry.objects.filter(action="note.write").count() == 2


def test_who_did_not_see_the_standing_note_takes_nothing_away(
    running, nurse, colleague
):
    write(running, nurse, "Daughter called.")

    with pytest.raises(Stale) as stale:
        write(running, colleague, "Wants a blanket.", at=2)

    assert "Kwame Mensah wrote a note meanwhile: “Daughter called.”" in str(stale.value)
    assert Note.objects.count() == 1


def test_an_empty_note_says_that_nothing_is_left_to_tell(running, nurse):
    first = write(running, nurse, "Taxi at four.")
    write(running, nurse, "", replaces=first.pk, at=2)

    assert standing_note(running).text == ""
    assert Note.objects.count() == 2


@pytest.mark.parametrize("text", ["", "Taxi at four."])
def test_what_changes_nothing_is_not_written(running, nurse, text):
    before = write(running, nurse, text).pk if text else None

    with pytest.raises(Refused, match="as it was"):
        write(running, nurse, text, replaces=before, at=2)


def test_a_visit_that_is_over_takes_no_note(running, nurse):
    visit = InfusionSession.objects.filter(pk=running.pk)
    visit.update(stage="observing")
    visit.update(stage="discharged", outcome="completed")

    with pytest.raises(Refused, match="over"):
        write(running, nurse, "Left happy.")
