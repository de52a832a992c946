"""The top bar of a visit speaks of open flags at other chairs."""

import pytest
from django.urls import reverse

from sessions.models import Onlooker
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


def text(answer) -> str:
    return answer.content.decode()


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


def test_who_else_has_the_visit_open_is_said_to_both(flag, sign_in, nurse, colleague):
    def ask(user, **shown):
        query = {"but": flag.session_id} | shown
        return sign_in(user).get(reverse("board-alarms"), query)

    assert ask(nurse).status_code == 204
    assert f"Also open: {nurse.short_name} since" in text(ask(colleague))
    assert f"Also open: {colleague.short_name} since" in text(ask(nurse))
    assert ask(nurse, shown=f"u{colleague.pk}").status_code == 204
    assert Onlooker.objects.count() == 2


def test_who_closed_the_page_is_gone_from_the_notice(flag, sign_in, nurse, colleague):
    address, query = reverse("board-alarms"), {"but": flag.session_id}
    sign_in(colleague).get(address, query)
    Onlooker.objects.update(last_seen_at=ago(1))

    assert sign_in(nurse).get(address, query).status_code == 204


def test_nobody_of_another_clinic_is_an_onlooker(flag, sign_in, stranger, nurse):
    address, query = reverse("board-alarms"), {"but": flag.session_id}

    assert sign_in(stranger).get(address, query).status_code == 204
    assert sign_in(nurse).get(address, query).status_code == 204
    assert list(Onlooker.objects.values_list("user", flat=True)) == [nurse.pk]


@pytest.mark.parametrize("but", ["", "x", "²", "9" * 30, "-1", "0"])
def test_an_odd_visit_has_no_onlookers(fetch, but):
    assert fetch(but=but).status_code == 204
    assert not Onlooker.objects.exists()


def test_a_poll_writes_itself_down_once_in_25_seconds(flag, fetch):
    fetch(but=flag.session_id)
    before = Onlooker.objects.get().last_seen_at

    fetch(but=flag.session_id)
    assert Onlooker.objects.get().last_seen_at == before
    Onlooker.objects.update(last_seen_at=ago(0.5))
    fetch(but=flag.session_id)
    assert Onlooker.objects.get().last_seen_at > before
