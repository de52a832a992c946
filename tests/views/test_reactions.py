"""Logging a reaction from its chips."""

import re
import uuid

import pytest

from sessions.models import GivenMedicine, Reaction, ReactionOutcome
from tests.factories.infusions import make_running
from tests.factories.moments import ago
from tests.factories.rates import make_rate
from tests.factories.reactions import make_medicine, make_vial
from tests.factories.vitals import make_vitals
from tests.reading import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "visit-reaction"}


@pytest.fixture
def running(clinic, nurse, prescriber):
    """On its third step, 86.4 mL/h, with a vial and paracetamol as needed."""
    session = make_running(clinic, nurse, prescriber, at=ago(70))
    make_rate(session, nurse, ago(40), "step", "43.2", step=2)
    make_rate(session, nurse, ago(10), "step", "86.4", step=3)
    make_vitals(session, nurse, ago(9))
    make_vial(session, nurse)
    return session


@pytest.fixture
def paracetamol(running, prescriber):
    return make_medicine(running, prescriber)


@pytest.fixture
def send(running, nurse, sign_in):
    client = sign_in(nurse)

    def post(path="", headers=HTMX, **values):
        data = {"submission_key": str(uuid.uuid4())} | values
        data = {re.sub("^r_", "r-", name): value for name, value in data.items()}
        return client.post(f"/infusions/{running.pk}/reactions/{path}", data, **headers)

    return post


def test_a_tap_opens_the_filled_form_and_writes_nothing(send, paracetamol):
    page = tight(send("draft/", r_headache="mild").content.decode())

    assert "Headache mild" in page
    assert "86.4 mL/h" in page
    assert "P100512345" in page
    assert "worked out: mild" in page
    assert "Reduce 86.4 → 43.2 mL/h" in page
    assert "Save: pump shows<b>43.2 mL/h</b>" in page
    assert "Paracetamol 1 g oral" in page
    assert not Reaction.objects.exists()


def test_two_symptoms_act_and_medicine_are_one_save(send, paracetamol):
    answer = send(
        r_headache="mild",
        r_flushing="mild",
        do="reduce",
        rate_ml_per_h="43.2",
        medicines=str(paracetamol.pk),
    )

    page = answer.content.decode()
    assert answer.status_code == 200
    assert '<p class="big">43.2 <span class="unit">mL/h</span></p>' in page
    assert 'id="visit-reaction" hidden' in page
    row = Reaction.objects.get()
    assert (row.grade, row.action) == ("mild", "reduce")
    assert row.symptoms.count() == 2
    assert GivenMedicine.objects.get().name == "Paracetamol"


def test_a_severe_reaction_proposes_the_stop_and_offers_no_going_on(send):
    page = send("draft/", r_headache="severe").content.decode()

    assert "Stop, call" in page
    assert "Go on" not in page
    assert 'name="do" value="stop"' in page
    refused = send(r_headache="severe", do="continue", action_reason="no")
    assert refused.status_code == 422
    assert "cannot be continued through" in refused.content.decode()


def test_a_refused_save_keeps_what_was_typed(send, paracetamol):
    answer = send(
        r_headache="mild",
        do="reduce",
        rate_ml_per_h="99",
        medicines=str(paracetamol.pk),
        note="after coffee",
    )

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "after coffee" in page
    assert not Reaction.objects.exists()
    assert not GivenMedicine.objects.exists()


def test_no_chip_is_no_reaction(send):
    assert send(do="reduce", rate_ml_per_h="43.2").status_code == 422


def test_search_finds_by_what_people_say(send):
    page = send("search/", q="stiff neck").content.decode()
    nothing = send("search/", q="xyzzy").content.decode()

    assert page.count("<fieldset") >= 1
    assert "No reaction answers" in nothing


def test_the_outcome_is_asked_and_never_assumed(send, running, client):
    send(r_headache="mild", do="reduce", rate_ml_per_h="43.2")
    pk = Reaction.objects.get().pk

    assert send(f"{pk}/outcome/").status_code == 422
    assert send(f"{pk}/outcome/", kind="resolved").status_code == 200
    assert ReactionOutcome.objects.get().kind == "resolved"


def test_symptom_and_grade_are_said_in_the_readers_language(send, nurse):
    type(nurse).objects.filter(pk=nurse.pk).update(own_language="de")

    page = tight(send("draft/", r_headache="severe").content.decode())

    assert "Kopfschmerzen schwer" in page
    assert "ermittelt: schwer" in page


def test_without_script_the_draft_is_a_page(send):
    page = send("draft/", headers={}, r_headache="mild").content.decode()

    assert "<html" in page
    assert 'id="reaction-form"' in page


@pytest.mark.parametrize("path", ["", "draft/", "search/"])
def test_reactions_are_for_nurses_of_the_clinic(
    running, sign_in, auditor, stranger, path
):
    address = f"/infusions/{running.pk}/reactions/{path}"

    assert sign_in(auditor).post(address, {}, **HTMX).status_code == 403
    assert sign_in(stranger).post(address, {}, **HTMX).status_code == 404
