"""A login ends when it was idle or lasted too long; polling never keeps it alive."""

from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.urls import path, reverse
from django.utils import timezone

from sessions.access import SIGNED_IN, access
from sessions.middleware import LAST_SEEN, SIGNED_IN_AT
from sessions.urls import urlpatterns


@access(SIGNED_IN)
def polled(request):
    return HttpResponse("the board")


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
