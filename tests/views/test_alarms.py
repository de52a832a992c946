"""The top bar of a visit speaks of open flags at other chairs."""

import pytest
from django.urls import reverse

from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running
from tests.factories.moments import ago

pytestmark = pytest.mark.django_db


@pytest.fixture
def flag(clinic, nurse, prescriber):
    session = make_running(clinic, nurse, prescriber, at=ago(40))
    saved = record_vitals(
        session=session,
        reading=NORMAL | {"systolic_mmhg": 104},
        by=by(nurse, ago(1)),
    )
    return saved.flag


@pytest.fixture
def fetch(nurse, sign_in):
    client = sign_in(nurse)

    def get(**query):
        return client.get(reverse("board-alarms"), query)

    return get


def test_an_open_flag_is_shown_at_every_other_chair(flag, fetch):
    page = fetch(but="0", shown="").content.decode()

    assert f"Chair {flag.session.chair}: " in page
    assert reverse("infusion-detail", args=[flag.session_id]) in page


def test_its_own_flag_is_no_alarm_of_another_chair(flag, fetch):
    assert fetch(but=flag.session_id, shown="").status_code == 204


def test_what_is_shown_already_is_not_sent_again(flag, fetch):
    shown = f"{flag.session_id}.{flag.pk}"

    assert fetch(but="0", shown=shown).status_code == 204


def test_an_alarm_goes_when_nothing_is_open(fetch):
    answer = fetch(but="0", shown="9.9")

    assert answer.status_code == 200
    assert "Chair" not in answer.content.decode()


def test_the_flags_of_another_clinic_are_not_seen(flag, sign_in, stranger):
    answer = sign_in(stranger).get(reverse("board-alarms"), {"but": "0"})

    assert answer.status_code == 204
