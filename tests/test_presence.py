"""A login ends when it was idle or lasted too long; polling never keeps it alive."""

import json
from datetime import datetime, timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponse
from django.urls import path, reverse
from django.utils import timezone

from sessions import middleware
from sessions.access import SIGNED_IN, access
from sessions.middleware import LAST_SEEN, LOGIN, SIGNED_IN_AT
from sessions.models import AuditEntry, Login
from sessions.services import sign_ins
from sessions.urls import urlpatterns
from tests.conftest import NINE


@access(SIGNED_IN)
def polled(request):
    return HttpResponse(f"the board, {timezone.get_current_timezone_name()}")


polled.polls = True


class Urls:
    urlpatterns = [*urlpatterns, path("polled/", polled)]
    handler404 = "sessions.views.refusals.not_found"


@pytest.fixture(autouse=True)
def _a_polled_address(settings):
    settings.ROOT_URLCONF = Urls


def put_back(client, **ago):
    session = client.session
    for key, passed in ago.items():
        name = {"seen": LAST_SEEN, "signed_in": SIGNED_IN_AT}[key]
        session[name] = (timezone.now() - passed).isoformat()
    session.save()


def is_in(client) -> bool:
    return client.get(reverse("preferences")).status_code == 200


def test_used_within_the_limit_it_goes_on(sign_in, nurse):
    client = sign_in(nurse)
    put_back(client, seen=timedelta(minutes=14, seconds=50))

    assert is_in(client)


def test_unused_for_longer_than_the_limit_it_ends(sign_in, nurse):
    client = sign_in(nurse)
    put_back(client, seen=timedelta(minutes=15, seconds=1))

    assert not is_in(client)
    put_back(client, seen=timedelta())
    assert not is_in(client)


def test_the_sign_in_page_says_why(sign_in, nurse):
    client = sign_in(nurse)
    put_back(client, seen=timedelta(minutes=16))

    answer = client.get(reverse("preferences"), follow=True)

    assert answer.redirect_chain == [("/sign-in/?next=/me/", 302)]
    assert "You were signed out" in answer.content.decode()


def test_the_limit_is_the_clinics(sign_in, nurse):
    nurse.clinic.idle_minutes = 30
    nurse.clinic.save()
    client = sign_in(nurse)
    put_back(client, seen=timedelta(minutes=29))

    assert is_in(client)


def test_a_login_ends_after_the_shift_however_much_it_is_used(sign_in, nurse):
    client = sign_in(nurse)
    put_back(client, signed_in=timedelta(hours=12, seconds=1))

    assert not is_in(client)


def test_use_moves_last_seen(sign_in, nurse):
    client = sign_in(nurse)
    put_back(client, seen=timedelta(minutes=10))
    before = client.session[LAST_SEEN]

    assert is_in(client)
    assert client.session[LAST_SEEN] > before


def test_polling_does_not(sign_in, nurse):
    client = sign_in(nurse)
    put_back(client, seen=timedelta(minutes=10))
    before = client.session[LAST_SEEN]

    assert client.get("/polled/").status_code == 200
    assert client.get("/polled/?last_seen=now").status_code == 200
    assert client.session[LAST_SEEN] == before


def test_a_polled_view_ends_with_the_login_too(sign_in, nurse):
    client = sign_in(nurse)
    put_back(client, seen=timedelta(minutes=16))

    answer = client.get("/polled/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert b"the board" not in answer.content


def test_a_login_without_its_times_is_over(client, nurse):
    client.force_login(nurse)

    assert not is_in(client)


@pytest.fixture
def login(sign_in, nurse):
    """A nurse who signed in at nine, with the row of it."""
    with time_machine.travel(NINE, tick=False):
        client = sign_in(nurse)
        row = Login.objects.create(
            user=nurse,
            key_hash=sign_ins.hashed(client.session.session_key),
            device="Chrome on Windows",
            signed_in_at=NINE,
            last_seen_at=NINE,
        )
        session = client.session
        session[LOGIN] = row.pk
        session.save()
    client.row = row
    return client


def at(moment: timedelta):
    return time_machine.travel(NINE + moment, tick=False)


def test_at_the_very_limit_it_still_goes_on(login):
    with at(timedelta(minutes=15)):
        assert is_in(login)
    shift = timedelta(hours=12)
    with at(shift):
        session = login.session
        session[LAST_SEEN] = (NINE + shift - timedelta(minutes=15)).isoformat()
        session.save()
        assert is_in(login)

    with at(shift + timedelta(seconds=1)):
        assert not is_in(login)


@pytest.mark.parametrize(
    ("over", "why"),
    [
        (timedelta(minutes=16), "the screen was not used for 15 minutes"),
        (timedelta(hours=13), "a login lasts 12 hours at most"),
    ],
)
def test_an_end_is_said_and_written_down(login, nurse, over, why):
    with at(over):
        page = login.get(reverse("preferences"), follow=True).content.decode()

    assert f"You were signed out, because {why}." in page
    entry = AuditEntry.objects.get(action="staff.sign-out-by-itself")
    assert (entry.user, entry.clinic, entry.at) == (nurse, nurse.clinic, NINE + over)
    assert (entry.object_type, entry.object_id) == ("user", nurse.pk)
    assert json.loads(entry.detail) == {"why": why}
    assert Login.objects.get().ended_at == NINE + over


def test_a_login_without_its_times_says_so(client, nurse):
    client.force_login(nurse)

    page = client.get(reverse("preferences"), follow=True).content.decode()
    assert "You were signed out, because this login is not complete." in page


def test_who_never_was_seen_counts_from_the_sign_in(login):
    with at(timedelta(minutes=15)):
        session = login.session
        del session[LAST_SEEN]
        session.save()
        assert is_in(login)


def test_use_is_written_down_once_a_minute(login):
    for seconds, seen in ((59, 0), (60, 60), (119, 60), (120, 120)):
        with at(timedelta(seconds=seconds)):
            answer = login.get(reverse("preferences"))
            found = login.session[LAST_SEEN]
        moment = NINE + timedelta(seconds=seen)
        assert datetime.fromisoformat(found) == moment
        assert Login.objects.get().last_seen_at == moment
        saved_again = settings.SESSION_COOKIE_NAME in answer.cookies
        assert not saved_again


def test_a_disk_that_cannot_write_signs_nobody_out_who_reads_on(login, monkeypatch):
    def full(*_given, **_named):
        raise DatabaseError("disk full")

    with monkeypatch.context() as broken, at(timedelta(minutes=14)):
        broken.setattr(sign_ins, "seen", full)
        assert is_in(login)
        session = login.session
        assert list(middleware._seen_unsaved) == [session.session_key]
        session[LAST_SEEN] = NINE.isoformat()  # as the disk has it
        session.save()

    with at(timedelta(minutes=29)):
        assert is_in(login)
    assert not middleware._seen_unsaved


def test_a_page_speaks_the_language_of_its_user_at_the_clock_of_the_clinic(
    sign_in, nurse
):
    nurse.clinic.time_zone = "Europe/Berlin"
    nurse.clinic.save()
    nurse.own_language = "de"
    nurse.save()

    answer = sign_in(nurse).get("/polled/")

    assert answer["Content-Language"] == "de"
    assert answer.content.decode() == "the board, Europe/Berlin"
