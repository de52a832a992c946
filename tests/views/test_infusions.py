"""The session page: one visit at the chair, in every state."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.models import AuditEntry, InfusionSession
from sessions.services.rates import Reason, pause, stop
from sessions.services.reactions import record_reaction
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running, make_session
from tests.factories.moments import ago
from tests.factories.rates import make_rate
from tests.factories.reactions import make_allergy, make_medicine, make_vial
from tests.factories.vitals import make_vitals
from tests.reading import tight

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(clinic, nurse, prescriber):
    session = make_running(clinic, nurse, prescriber, at=ago(75))
    make_rate(session, nurse, ago(45), "step", "43.2", step=2)
    make_rate(session, nurse, ago(15), "step", "86.4", step=3)
    make_vitals(session, nurse, ago(60))
    make_vitals(session, nurse, ago(15))
    make_vial(session, nurse)
    make_allergy(session.patient, nurse, "Penicillin")
    make_medicine(session, prescriber)
    return session


def page_of(client, session):
    answer = client.get(f"/infusions/{session.pk}/")
    assert answer.status_code == 200
    return tight(answer.content.decode())


def test_a_running_visit_shows_rate_step_vitals_and_volume(running, nurse, sign_in):
    page = page_of(sign_in(nurse), running)

    assert '<p class="big">86.4<span class="unit">mL/h</span></p>' in page
    assert "1.2 mL/kg/h at 72 kg" in page
    assert "step 3 of 5" in page
    assert "Step 4: 172.8 mL/h" in page
    assert "Penicillin" in page
    assert "P100512345" in page
    assert "Reduce to<b>43.2 mL/h</b>" in page
    assert "None raised" in page


def test_the_title_names_no_patient(running, nurse, sign_in):
    page = page_of(sign_in(nurse), running)

    title = page.split("<title>")[1].split("</title>")[0]
    assert running.patient.family_name not in title


def test_the_page_costs_at_most_fifteen_statements(running, nurse, sign_in):
    client = sign_in(nurse)
    page_of(client, running)  # the protocol is read once for each process

    with CaptureQueriesContext(connection) as caught:
        page_of(client, running)

    ignored = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    count = sum(
        not query["sql"].upper().startswith(ignored)
        for query in caught.captured_queries
    )
    assert count <= 15


def test_looking_is_written_down(running, nurse, sign_in):
    page_of(sign_in(nurse), running)

    entry = AuditEntry.objects.latest("sequence")
    assert (entry.action, entry.object_id) == ("session.view", running.pk)
    assert entry.patient == running.patient


def test_before_the_start_the_preparation_is_shown(clinic, nurse, prescriber, sign_in):
    session = make_session(clinic, nurse, prescriber, at=ago(5))

    answer = sign_in(nurse).get(f"/infusions/{session.pk}/")

    assert answer.status_code == 302
    assert str(session.pk) in answer["Location"]


def test_a_paused_visit_proposes_the_lower_rate(running, nurse, sign_in):
    pause(running, by=by(nurse, ago(2)), read_back=True, reason=Reason(code="line"))

    page = page_of(sign_in(nurse), running)

    assert "Paused" in page
    assert "Resume at<b>43.2 mL/h</b>" in page
    assert "86.4 (faster)" in page


def test_what_one_set_answers_is_asked_for_once(clinic, nurse, prescriber, sign_in):
    late = make_running(clinic, nurse, prescriber, at=ago(50))

    page = page_of(sign_in(nurse), late)

    assert page.count("the protocol calls for") == 1
    asked = page.partition("the protocol calls for")[0][-220:]
    assert "Vital signs 35 minutes late" in asked
    assert "This step has run 20 minutes past its time.</b>T-11, T-12:" in asked


def test_an_emergency_shows_its_steps(running, nurse, sign_in):
    record_vitals(
        session=running,
        reading=NORMAL | {"respiratory_rate": 26, "spo2": 90},
        by=by(nurse, ago(1)),
    )

    page = page_of(sign_in(nurse), running)

    assert "High flag: emergency" in page
    assert "Stopped, calling" in page
    assert "What the protocol calls for" in page


def test_a_reaction_is_listed_and_its_outcome_asked(running, nurse, sign_in):
    record_reaction(
        session=running,
        symptoms=[("headache", "mild")],
        action="reduce",
        to_ml_per_h=Decimal("43.2"),
        read_back=True,
        by=by(nurse, ago(1)),
    )

    page = page_of(sign_in(nurse), running)

    assert "Outcome of Headache mild" in page
    assert "lot P100512345" in page


def test_an_observed_visit_takes_vitals_and_no_rate(running, nurse, sign_in):
    stop(running, by=by(nurse, ago(2)), read_back=True, reason=Reason(code="patient"))

    page = page_of(sign_in(nurse), running)

    assert 'id="vitals-form"' in page
    assert "Rate without vitals" not in page
    assert "Observation" in page


def test_a_discharged_visit_is_only_read(running, nurse, sign_in):
    stop(running, by=by(nurse, ago(2)), read_back=True, reason=Reason(code="patient"))
    InfusionSession.objects.filter(pk=running.pk).update(
        stage="discharged", outcome="stopped_early"
    )

    page = page_of(sign_in(nurse), running)

    assert "<form method" not in page.split("<main")[1]
    assert "Every set" in page


@pytest.mark.parametrize("who", ["prescriber", "pharmacist", "auditor"])
def test_those_who_only_read_get_no_acts(running, sign_in, request, who):
    page = page_of(sign_in(request.getfixturevalue(who)), running)

    assert 'id="vitals-form"' not in page
    assert ("Order a rate above the ceiling" in page) is (who == "prescriber")


@pytest.mark.parametrize("path", ["", "drawing/"])
def test_another_clinics_visit_does_not_exist(running, stranger, sign_in, path):
    answer = sign_in(stranger).get(f"/infusions/{running.pk}/{path}")

    assert answer.status_code == 404
    assert running.patient.family_name not in answer.content.decode()


def test_the_drawing_comes_alone(running, nurse, sign_in):
    answer = sign_in(nurse).get(f"/infusions/{running.pk}/drawing/")

    assert answer.content.decode().count("<svg") == 1
