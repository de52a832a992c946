"""Answering a flag from its panel."""

import uuid

import pytest

from sessions.models import FlagEvent, RateChange
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running
from tests.factories.moments import ago
from tests.factories.rates import make_rate
from tests.reading import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "visit-now"}


@pytest.fixture
def flag(clinic, nurse, prescriber):
    session = make_running(clinic, nurse, prescriber, at=ago(100))
    make_rate(session, nurse, ago(70), "step", "43.2", step=2)
    make_rate(session, nurse, ago(40), "step", "86.4", step=3)
    make_rate(session, nurse, ago(10), "step", "172.8", step=4)
    saved = record_vitals(
        session=session,
        reading=NORMAL | {"systolic_mmhg": 104},
        by=by(nurse, ago(1)),
    )
    return saved.flag


@pytest.fixture
def send(flag, nurse, sign_in):
    client = sign_in(nurse)

    def post(act, headers=HTMX, **values):
        data = {"submission_key": str(uuid.uuid4())} | values
        address = f"/infusions/{flag.session_id}/flags/{flag.pk}/{act}/"
        return client.post(address, data, **headers)

    return post


def test_one_press_reduces_answers_and_starts_the_recheck(send, flag):
    answer = send("answer", action="reduce", rate_ml_per_h="86.4", read_back="on")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert '<p class="big">86.4 <span class="unit">mL/h</span></p>' in page
    assert "Recheck" in page
    assert 'class="flag"' not in page
    assert RateChange.objects.get(flag=flag).kind == "reduce"


def test_pause_and_stop_stand_once_while_a_flag_offers_them(send, flag, client):
    page = client.get(f"/infusions/{flag.session_id}/").content.decode()
    send("answer", action="reduce", rate_ml_per_h="86.4", read_back="on")
    answered = client.get(f"/infusions/{flag.session_id}/").content.decode()

    assert 'value="pause"' in page
    assert 'value="stop"' in page
    assert "Rate without vitals" not in page
    assert "Rate without vitals" in answered


def test_without_read_back_the_flag_stays_open(send, flag):
    answer = send("answer", action="reduce", rate_ml_per_h="86.4")

    assert answer.status_code == 422
    assert 'class="flag"' in answer.content.decode()
    assert not FlagEvent.objects.filter(flag=flag).exists()


def test_keeping_the_rate_needs_a_reason_from_the_list(send, flag):
    assert send("override").status_code == 422
    assert send("override", reason_code="whatever").status_code == 422
    assert send("override", reason_code="other").status_code == 422

    answer = send("override", reason_code="position")

    assert answer.status_code == 200
    assert FlagEvent.objects.get(flag=flag).reason_code == "position"


def test_a_call_is_kept_beside_the_open_flag(send, flag):
    page = tight(send("call", who="Ingrid Halvorsen").content.decode())

    assert "Call: 1 recorded" in page
    assert 'class="flag"' in page


def test_two_nurses_answer_once(send, flag, colleague, client):
    send("answer", action="reduce", rate_ml_per_h="86.4", read_back="on")

    answer = send("answer", action="pause", read_back="on")

    assert answer.status_code == 422
    assert "answered already by Kwame Mensah" in answer.content.decode()


def test_a_flag_of_another_visit_or_clinic_is_out_of_reach(
    flag, stranger, sign_in, nurse, clinic, prescriber
):
    other = make_running(clinic, nurse, prescriber, chair="04", at=ago(10))
    address = f"/infusions/{other.pk}/flags/{flag.pk}/answer/"
    given = {"action": "pause", "read_back": "on"}

    assert sign_in(nurse).post(address, given, **HTMX).status_code == 404
    address = f"/infusions/{flag.session_id}/flags/{flag.pk}/answer/"
    assert sign_in(stranger).post(address, given, **HTMX).status_code == 404
    assert not FlagEvent.objects.filter(flag=flag).exists()


def test_without_script_the_answer_is_a_redirect(send):
    answer = send("answer", headers={}, action="pause", read_back="on")

    assert answer.status_code == 302
