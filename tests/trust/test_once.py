"""Pressed many times at once on the real server: done once (H12, H15, H17)."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from sessions.models import AuditEntry, InfusionSession, RateChange, VitalSigns
from tests.trust.judge import broken_chain
from tests.trust.server import CALM, FALLEN, Answer, Server

HANDS = 50
NEXT_STEP = {"rate_ml_per_h": "43.2", "read_back": "on"}


def at_once(presses: list[Callable[[], Answer]]) -> list[Answer]:
    """All answers to what is sent at the same moment."""
    answers, gate = [], threading.Barrier(len(presses))

    def work(press: Callable[[], Answer]) -> None:
        gate.wait()
        answers.append(press())

    hands = [threading.Thread(target=work, args=(press,)) for press in presses]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    return answers


def same_key(server: Server, *, times: int) -> None:
    before = sets(server)
    for turn in range(times):
        key, visit = str(uuid.uuid4()), server.record.visits[turn % 12]
        answers = at_once([partial(server.vitals, visit, FALLEN, key=key)] * HANDS)

        assert Counter((a.status, a.place) for a in answers) == {
            (302, f"/infusions/{visit}/"): HANDS
        }
        with server.record.read() as alias:
            entry = AuditEntry.objects.using(alias).get(key=key)
            row = VitalSigns.objects.using(alias).get(pk=entry.object_id)
        assert row.session_id == visit
        assert sets(server) == before + turn + 1


def test_one_key_sent_50_times_at_once_is_one_set(server):
    same_key(server, times=3)


@pytest.mark.soak
def test_one_key_sent_50_times_at_once_20_times_is_20_sets(server):
    same_key(server, times=20)


def test_one_key_with_other_content_is_refused(server):
    key, visit, before = str(uuid.uuid4()), server.record.visits[0], sets(server)
    assert server.vitals(visit, CALM, key=key).saved

    for other in (CALM | {"pulse": "79"}, CALM | {"pain": "1"}):
        answer = server.vitals(visit, other, key=key)
        assert answer.status == 409
        assert "already sent with other values" in answer.text
    assert server.vitals(visit, CALM, key=key, nurse=1).status == 409
    assert sets(server) == before + 1


def sets(server: Server) -> int:
    with server.record.read() as alias:
        after = server.record.seeded["last_vitals"]
        return VitalSigns.objects.using(alias).filter(pk__gt=after).count()


def test_100_posts_at_once_are_100_sets(server):
    visits, before = server.record.visits, sets(server)
    answers = at_once(
        [
            lambda n=n: server.vitals(visits[n % 12], CALM, nurse=n % 10)
            for n in range(100)
        ]
    )

    assert Counter(answer.status for answer in answers) == {302: 100}
    assert sets(server) == before + 100
    with server.record.read() as alias:
        assert broken_chain(alias) == ""


def ready_for_a_step(server: Server, visit: int) -> dict[str, str]:
    """A set was just taken; what the button of the screen drawn after it sends."""
    assert server.vitals(visit, CALM).saved
    with server.record.read() as alias:
        seen = InfusionSession.objects.using(alias).get(pk=visit)
    return NEXT_STEP | {"version": str(seen.version)}


def test_the_next_step_pressed_by_50_hands_at_once_is_one_step(server):
    visit = server.record.visits[12]
    button, address = ready_for_a_step(server, visit), f"/infusions/{visit}/rate/step/"

    def press(nurse: int) -> Answer:
        own = {"submission_key": str(uuid.uuid4())}
        return server.post(address, button | own, nurse=nurse)

    answers = at_once([lambda n=n: press(n % 10) for n in range(HANDS)])

    assert Counter(answer.status for answer in answers) == {302: 1, 409: HANDS - 1}
    assert steps(server, visit) == [1, 2]


def test_the_next_step_sent_50_times_by_one_press_is_one_step(server):
    visit, key = server.record.visits[13], str(uuid.uuid4())
    fields = ready_for_a_step(server, visit) | {"submission_key": key}
    address = f"/infusions/{visit}/rate/step/"

    answers = at_once([lambda: server.post(address, fields)] * HANDS)

    assert Counter(answer.status for answer in answers) == {302: HANDS}
    assert steps(server, visit) == [1, 2]


def steps(server: Server, visit: int) -> list[int]:
    with server.record.read() as alias:
        rates = RateChange.objects.using(alias).filter(session=visit).order_by("pk")
        return list(rates.values_list("step", flat=True))
