"""Correcting or withdrawing a reaction, and taking back its outcome, on their page."""

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import (
    InfusionSession,
    Reaction,
    ReactionOutcome,
    Signature,
)
from sessions.services.reactions import record_outcome, record_reaction
from tests.conftest import PASSWORD
from tests.factories.infusions import by, make_running
from tests.factories.moments import ago, typed
from tests.factories.rates import make_rate
from tests.factories.reactions import make_vial
from tests.factories.vitals import make_vitals
from tests.reading import tight

pytestmark = [pytest.mark.django_db, pytest.mark.in_utc]
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def running(clinic, nurse, prescriber):
    """On its third step, 86.4 mL/h, with a vial."""
    session = make_running(clinic, nurse, prescriber, at=ago(70))
    make_rate(session, nurse, ago(40), "step", "43.2", step=2)
    make_rate(session, nurse, ago(10), "step", "86.4", step=3)
    make_vitals(session, nurse, ago(9))
    make_vial(session, nurse)
    return session


@pytest.fixture
def logged(running, nurse) -> Reaction:
    return record_reaction(
        session=running,
        symptoms=[("headache", "mild")],
        action="continue",
        action_reason="settled at once",
        note="after coffee",
        by=by(nurse, ago(8)),
    ).reaction


@pytest.fixture
def told(running, nurse, logged) -> ReactionOutcome:
    return record_outcome(
        session=running, reaction_id=logged.pk, kind="resolved", by=by(nurse, ago(5))
    )


@pytest.fixture
def send(running, nurse, sign_in):
    client = sign_in(nurse)

    def post(path, headers=None, **values):
        data = {"submission_key": str(uuid.uuid4())} | values
        data = {re.sub("^r_", "r-", name): value for name, value in data.items()}
        return client.post(f"/infusions/{running.pk}/{path}", data, **(headers or {}))

    return post


def page_of(client, name, *ids, **query) -> str:
    """What stands on a page, without what every page carries."""
    page = client.get(reverse(name, args=ids, query=query)).content.decode()
    return tight(page.partition("<main")[2].partition("</main>")[0])


def over(session):
    visit = InfusionSession.objects.filter(pk=session.pk)
    visit.update(stage="observing")
    visit.update(stage="discharged", outcome="completed")


def test_the_form_shows_what_stands(send, client, running, logged, told):
    page = page_of(client, "reaction-correct", running.pk, logged.pk)

    assert "<b>Headache mild</b>" in page
    assert re.search(r'name="r-headache" value="mild"[^>]*checked', page)
    assert page.count("checked") == 2  # and the grade, as worked out
    assert "after coffee" in page
    assert f'value="{typed(running.clinic, logged.event_time)}"' in page
    assert "Withdraw the outcome: resolved" in page
    assert 'type="password"' not in page
    visit = page_of(client, "infusion-detail", running.pk)
    assert reverse("reaction-correct", args=[running.pk, logged.pk]) in visit


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_every_field_is_shown_as_corrected_and_the_first_one_with_why(
    send, client, running, logged, headers
):
    onset = ago(30).replace(second=0, microsecond=0)
    answer = send(
        f"reactions/{logged.pk}/correct/",
        headers,
        r_flushing="moderate",
        grade="severe",
        onset=typed(running.clinic, onset),
        note="before coffee",
        correction_reason="mixed up",
    )

    assert answer.status_code == 302
    row = Reaction.objects.get(supersedes=logged)
    assert (row.grade, row.graded_by_rule) == ("severe", "moderate")
    assert row.event_time == onset

    visit = page_of(client, "infusion-detail", running.pk)
    record = page_of(client, "infusion-record", running.pk)
    for page in (visit, record):
        for words in ("Flushing moderate", "severe", "before coffee", "43.2 mL/h"):
            assert words in page
        assert "Headache mild" in page
        assert "after coffee" in page
        assert ": mixed up" in page
    assert "<s>Headache mild</s>" in visit
    struck = " ".join(re.findall(r'<p class="superseded">(.*?)</p>', record))
    assert "Headache mild" in struck
    assert "Flushing" not in struck
    replay = page_of(client, "infusion-replay", running.pk)
    assert "Reaction corrected: Flushing moderate" in replay
    for name in ("handover", "infusion-sheet"):
        ids = [running.pk] if name == "infusion-sheet" else []
        sheet = page_of(client, name, *ids)
        assert "Flushing moderate" in sheet, name
        assert "Headache mild" not in sheet, name


def test_the_report_counts_the_corrected_grade(send, running, logged, admin, sign_in):
    """A severe one is withdrawn from the count of the severe, in page and file."""
    send(
        f"reactions/{logged.pk}/correct/",
        r_flushing="moderate",
        correction_reason="mixed up",
    )
    client = sign_in(admin)
    days = running.clinic.day_of(timezone.now())
    asked = {
        "period": "days",
        "first": str(days - timedelta(days=1)),
        "last": str(days),
        "by": "grade",
    }
    address = reverse("report-export", args=["reactions"], query=asked)

    rows = client.get(address).content.decode().splitlines()
    assert [row.split(",")[:3] for row in rows if row.startswith("M")] == [
        ["Mild", "0", "1"],
        ["Moderate", "1", "1"],
    ]


def test_what_is_refused_keeps_what_was_typed(send, logged):
    about = {"r_headache": "mild", "note": "no coffee"}
    answer = send(f"reactions/{logged.pk}/correct/", **about)

    page = tight(answer.content.decode())
    assert answer.status_code == 422
    assert "Write why it is corrected." in page
    assert "no coffee" in page
    assert re.search(r'name="r-headache" value="mild"[^>]*checked', page)
    assert not Reaction.objects.filter(supersedes=logged).exists()
    answer = send(f"reactions/{logged.pk}/correct/", correction_reason="mixed up")
    assert answer.status_code == 422
    assert "Choose at least one symptom." in answer.content.decode()


def test_a_time_left_as_shown_stays_to_the_second(send, running, logged):
    send(
        f"reactions/{logged.pk}/correct/",
        r_flushing="mild",
        onset=typed(running.clinic, logged.event_time),
        correction_reason="mixed up",
    )

    assert Reaction.objects.get(supersedes=logged).event_time == logged.event_time


def test_who_was_slower_is_told_and_sees_what_stands(send, client, running, logged):
    given = {"r_flushing": "mild", "correction_reason": "mixed up"}
    assert send(f"reactions/{logged.pk}/correct/", **given).status_code == 302

    answer = send(f"reactions/{logged.pk}/correct/", **given | {"note": "later"})

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "corrected already" in page
    assert "<b>Flushing mild</b>" in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_withdrawn_reaction_is_struck_out_and_a_resend_is_answered_alike(
    send, client, running, logged, told, headers
):
    given = {"correction_reason": "another patient", "submission_key": uuid.uuid4()}
    path = f"reactions/{logged.pk}/withdraw/"

    assert send(path, headers).status_code == 422
    assert [send(path, headers, **given).status_code for _ in range(2)] == [302, 302]

    assert Reaction.objects.get(supersedes=logged).entered_in_error
    visit = page_of(client, "infusion-detail", running.pk)
    record = page_of(client, "infusion-record", running.pk)
    assert "<s>Headache mild</s>" in visit
    assert "another patient" in visit
    assert "Outcome of Headache" not in visit
    assert '<p class="superseded"><b>◆' in record
    assert "another patient" in record
    assert "Headache mild" not in page_of(client, "infusion-sheet", running.pk)
    gone = reverse("reaction-correct", args=[running.pk, logged.pk])
    assert client.get(gone).status_code == 404


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_withdrawn_outcome_is_struck_out_and_asked_again(
    send, client, running, logged, told, headers
):
    assert "Outcome of Headache" not in page_of(client, "infusion-detail", running.pk)
    path = f"outcomes/{told.pk}/withdraw/"

    refused = tight(send(path, headers).content.decode())
    assert "Write why it is withdrawn." in refused
    assert f'id="outcome{told.pk}_correction_reason"' in refused
    answer = send(path, headers, correction_reason="another patient")

    assert answer.status_code == 302
    assert "Outcome of Headache" in page_of(client, "infusion-detail", running.pk)
    record = page_of(client, "infusion-record", running.pk)
    assert re.search(r"<s>\d\d:\d\d resolved</s>", record)
    assert "another patient" in record
    replay = page_of(client, "infusion-replay", running.pk)
    assert "Outcome withdrawn: resolved" in replay


def test_after_the_discharge_the_password_signs_each(
    send, client, running, logged, told
):
    over(running)
    address = reverse("reaction-correct", args=[running.pk, logged.pk])
    assert address in page_of(client, "infusion-detail", running.pk)
    page = page_of(client, "reaction-correct", running.pk, logged.pk)
    assert page.count('type="password"') == 3
    acts = {
        f"reactions/{logged.pk}/correct/": {"r_flushing": "mild"},
        f"outcomes/{told.pk}/withdraw/": {},
    }
    for path, given in acts.items():
        given |= {"correction_reason": "mixed up"}
        for wrong in ({}, {"password": "wrong"}):
            assert send(path, **given, **wrong).status_code == 422
        assert send(path, **given, password=PASSWORD).status_code == 302

    assert Signature.objects.filter(meaning="corrected").count() == 2
    record = page_of(client, "infusion-record", running.pk)
    assert "I correct this signed record" in record


@pytest.mark.parametrize("user", ["prescriber", "auditor", "stranger"])
def test_only_nurses_of_the_clinic_correct(
    request, sign_in, running, logged, told, user
):
    client = sign_in(request.getfixturevalue(user))
    refused = 404 if user == "stranger" else 403
    for name, row in (
        ("reaction-correct", logged),
        ("reaction-withdraw", logged),
        ("outcome-withdraw", told),
    ):
        address = reverse(name, args=[running.pk, row.pk])
        assert client.post(address, {}).status_code == refused, name
