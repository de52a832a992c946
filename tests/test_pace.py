"""Nobody's hands are slowed down; a machine is, and loses nothing of what it typed."""

import pytest
from django.urls import reverse

from sessions import access, pace
from sessions.models import AuditEntry
from sessions.pace import Pace
from tests.factories.infusions import make_running
from tests.factories.moments import ago


@pytest.fixture
def clock(monkeypatch):
    """The steady clock, at a second that tests set."""
    at = [1000.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: at[0])
    return at


def test_as_many_as_in_hand_then_one_for_each_part_of_a_minute(clock):
    slow = Pace(lambda: 60)

    assert [slow.allows("a") for _ in range(62)] == [True] * 60 + [False] * 2
    clock[0] += 3
    assert [slow.allows("a") for _ in range(4)] == [True] * 3 + [False]
    clock[0] += 3600
    assert [slow.allows("a") for _ in range(61)] == [True] * 60 + [False]


def test_senders_do_not_slow_each_other_down(clock):
    slow = Pace(lambda: 1)

    assert [slow.allows(who) for who in "abab"] == [True, True, False, False]


def test_a_nurse_who_presses_four_times_a_second_is_never_slowed_down(clock):
    hand = Pace(lambda: 240)

    for _ in range(2000):
        assert hand.allows("nurse")
        clock[0] += 0.25


def test_only_so_many_senders_are_remembered(clock, monkeypatch):
    monkeypatch.setattr(pace, "SENDERS", 3)
    slow = Pace(lambda: 1)
    for who in "abcd":
        slow.allows(who)

    assert set(slow.left) == {"b", "c", "d"}


@pytest.fixture
def hurried(settings, monkeypatch, clinic, nurse, prescriber, sign_in):
    """A login whose hand is empty, and the visit it writes to."""
    settings.ACTS_PER_MINUTE = 3
    monkeypatch.setattr(access, "_acts", Pace(lambda: settings.ACTS_PER_MINUTE))
    monkeypatch.setattr(access, "_told", Pace(lambda: 1))
    session = make_running(clinic, nurse, prescriber, at=ago(20))
    client = sign_in(nurse)
    address = reverse("vitals-record", args=[session.pk])
    for _ in range(3):
        assert client.post(address, {"pulse": "x"}).status_code == 422
    return client, address


def test_a_login_that_posts_too_fast_is_told_in_place(hurried):
    client, address = hurried

    answer = client.post(address, {"pulse": "76"}, headers={"HX-Request": "true"})

    assert answer.status_code == 429
    assert "NOT SAVED" in answer.content.decode()
    assert "<html" not in answer.content.decode()


def test_looking_and_signing_out_go_on(hurried):
    client, address = hurried
    client.post(address)

    assert client.get(reverse("board")).status_code == 200
    assert client.post(reverse("sign-out")).status_code == 302


def test_it_is_written_down_once_and_not_at_every_press(hurried):
    client, address = hurried

    assert {client.post(address).status_code for _ in range(5)} == {429}

    (entry,) = AuditEntry.objects.filter(action="access.too-fast")
    assert entry.username == "nurse"
    assert address in entry.detail


def test_another_login_is_not_slowed_down(hurried, client, colleague, sign_in):
    _, address = hurried

    assert sign_in(colleague).post(address, {"pulse": "x"}).status_code == 422
