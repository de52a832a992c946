"""Wall screens: the wall all day without a sign-in, and nothing else."""

import json
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sessions.models import AuditEntry, Login, WallScreen
from sessions.urls import urlpatterns
from tests.factories.infusions import make_running
from tests.factories.moments import ago
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db
WALL = reverse("board-wall")
LIVE = reverse("board-live")


@pytest.fixture
def running(clinic, nurse, prescriber):
    """A visit that somebody must see to: its card says most."""
    type(clinic).objects.update(wall_initials=True)
    session = make_running(clinic, nurse, prescriber, at=ago(90), chair="02")
    make_vitals(session, nurse, ago(80))
    return session


def key() -> str:
    return str(uuid.uuid4())


def made_of(browser: Client, name: str) -> Client:
    """A browser that knows nothing but the key which this one was given."""
    answer = browser.post(reverse("walls"), {"submission_key": key(), "name": name})
    assert answer.url == WALL
    assert "_auth_user_id" not in browser.session
    screen = Client()
    screen.cookies["wall"] = answer.cookies["wall"].value
    return screen


@pytest.fixture
def screen(admin, sign_in, running) -> Client:
    """The browser that an admin made a wall screen of."""
    return made_of(sign_in(admin), "Corridor")


def end(admin, sign_in) -> None:
    wall = WallScreen.objects.get()
    answer = sign_in(admin).post(
        reverse("wall-end", args=[wall.pk]), {"submission_key": key()}
    )
    assert answer.url == reverse("walls")


def test_it_shows_the_wall_with_nobody_signed_in_and_nobody_named(screen, running):
    page = screen.get(WALL).content.decode()

    assert '<span class="chair"><span class="sr">Chair </span>02</span>' in page
    assert "Vitals" in page
    patient, nurse = running.patient, running.nurse
    for name in (patient.family_name, patient.given_names, f">{patient.initials}<"):
        assert name not in page
    assert nurse.short_name not in page
    assert patient.mrn not in page
    assert "<a " not in page.partition("<main")[2]


def test_it_goes_on_for_days_while_a_login_does_not(screen, nurse, sign_in):
    login = sign_in(nurse)
    del login.cookies["wall"]
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        answer = screen.get(LIVE, {"wall": "1"}, headers={"HX-Request": "true"})
        assert login.get(WALL).status_code == 302

    assert answer.status_code == 200
    assert 'class="wall-board"' in answer.content.decode()


def test_asked_for_the_board_it_answers_with_the_wall(screen, running):
    part = screen.get(LIVE).content.decode()

    assert 'class="wall-board"' in part
    assert running.patient.family_name not in part
    token = part.partition("token=")[2].partition('"')[0]
    assert screen.get(LIVE, {"wall": "1", "token": token}).status_code in (200, 204)


def test_its_key_opens_nothing_else(screen, running):
    opened = []
    for pattern in urlpatterns:
        ids = dict.fromkeys(pattern.pattern.converters, running.pk)
        for word in ("act", "kind", "key"):
            ids |= {word: "x"} if word in ids else {}
        answer = screen.get(reverse(pattern.name, kwargs=ids))
        if answer.status_code == 200:
            opened.append(pattern.name)

    assert sorted(opened) == ["board-live", "board-wall", "sign-in"]


def test_an_admin_ends_it_from_anywhere(screen, admin, sign_in):
    assert "Corridor" in sign_in(admin).get(reverse("walls")).content.decode()
    end(admin, sign_in)

    assert screen.get(WALL).status_code == 302
    part = screen.get(LIVE, {"wall": "1"}, headers={"HX-Request": "true"})
    assert part.status_code == 401
    assert "wall-board" not in part.content.decode()
    again = sign_in(admin).post(
        reverse("wall-end", args=[WallScreen.objects.get().pk]),
        {"submission_key": key()},
        follow=True,
    )
    assert "was ended already" in again.content.decode()


def test_its_cookie_is_kept_from_scripts_and_other_sites(admin, sign_in):
    browser = sign_in(admin)
    made_of(browser, "Corridor")
    cookie = browser.cookies["wall"]

    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/"
    assert not cookie["domain"]
    assert cookie.value not in str(list(WallScreen.objects.values()))


def test_opening_and_ending_are_audited_and_the_login_there_is_over(
    screen, admin, sign_in
):
    assert Login.objects.filter(user=admin, ended_at=None).count() == 0
    end(admin, sign_in)

    said = AuditEntry.objects.filter(action__startswith="clinic.wall")
    assert [(row.action, row.user, json.loads(row.detail)) for row in said] == [
        ("clinic.wall-open", admin, {"name": "Corridor"}),
        ("clinic.wall-end", admin, {"name": "Corridor"}),
    ]
    value = screen.cookies["wall"].value
    assert not AuditEntry.objects.filter(detail__contains=value).exists()


def test_a_browser_is_one_wall_screen_at_most(admin, sign_in, running):
    made_of(sign_in(admin), "Corridor")
    screen = made_of(sign_in(admin), "Station")

    assert [(w.name, w.ended_at is None) for w in WallScreen.objects.all()] == [
        ("Corridor", False),
        ("Station", True),
    ]
    assert screen.get(WALL).status_code == 200


@pytest.mark.parametrize("value", ["", "x", "x" * 5000, "é"])
def test_a_key_that_nobody_gave_opens_nothing(client, running, value):
    client.cookies["wall"] = value

    assert client.get(WALL).status_code == 302


def test_the_screen_of_another_clinic_shows_its_own(
    screen, other_clinic, stranger, prescriber
):
    WallScreen.objects.update(clinic=other_clinic)

    page = screen.get(WALL).content.decode()

    assert other_clinic.name in page
    assert ">02</span>" not in page


def test_a_screen_without_a_name_is_refused(admin, sign_in):
    answer = sign_in(admin).post(reverse("walls"), {"submission_key": key()})

    assert answer.status_code == 422
    assert not WallScreen.objects.exists()


def test_a_press_sent_twice_makes_one(admin, sign_in, running):
    browser, same = sign_in(admin), {"submission_key": key(), "name": "Corridor"}
    browser.post(reverse("walls"), same)
    answer = sign_in(admin).post(reverse("walls"), same)

    assert answer.url == reverse("walls")
    assert WallScreen.objects.count() == 1
