"""Pressed many times at once on the real server: done once (H12, H15, H17)."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from sessions.models import AuditEntry, RateChange, VitalSigns
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
    for turn in range(times):
        key, visit = str(uuid.uuid4()), server.record.visits[turn % 12]
        answers = at_once([partial(server.vitals, visit, FALLEN, key=key)] * HANDS)

        assert Counter((a.status, a.place) for a in answers) == {
            (302, f"/infusions/{visit}/"): HANDS
        }
        with server.record.read() as alias:
            entry = AuditEntry.objects.using(alias).get(key=key)
            rows = VitalSigns.objects.using(alias)
            assert rows.filter(pk__gt=server.record.seeded["last_vitals"]).count() == (
                turn + 1
            )
            assert rows.get(pk=entry.object_id).session_id == visit


def test_one_key_sent_50_times_at_once_is_one_set(server):
    same_key(server, times=3)


@pytest.mark.soak
def test_one_key_sent_50_times_at_once_20_times_is_20_sets(server):
    same_key(server, times=20)


def test_one_key_with_other_content_is_refused(server):
    key, visit = str(uuid.uuid4()), server.record.visits[0]
    assert server.vitals(visit, CALM, key=key).saved

    for other in (CALM | {"pulse": "79"}, CALM | {"pain": "1"}):
        answer = server.vitals(visit, other, key=key)
        assert answer.status == 409
        assert "already sent with other values" in answer.text
    assert server.vitals(visit, CALM, key=key, nurse=1).status == 409
    assert sets(server) == 1


def sets(server: Server) -> int:
    with server.record.read() as alias:
        after = server.record.seeded["last_vitals"]
        return VitalSigns.objects.using(alias).filter(pk__gt=after).count()


def test_100_posts_at_once_are_100_sets(server):
    visits = server.record.visits
    answers = at_once(
        [
            lambda n=n: server.vitals(visits[n % 12], CALM, nurse=n % 10)
            for n in range(100)
        ]
    )

    assert Counter(answer.status for answer in answers) == {302: 100}
    assert sets(server) == 100
    with server.record.read() as alias:
        assert broken_chain(alias) == ""


def test_the_next_step_pressed_by_50_hands_at_once_is_one_step(server):
    visit = server.record.seeded["visits"][0]
    address = f"/infusions/{visit['pk']}/rate/step/"

    def press(nurse: int) -> Answer:
        fields = NEXT_STEP | {
            "version": str(visit["version"]),
            "submission_key": str(uuid.uuid4()),
        }
        return server.post(address, fields, nurse=nurse)

    answers = at_once([lambda n=n: press(n % 10) for n in range(HANDS)])

    assert Counter(answer.status for answer in answers) == {302: 1, 409: HANDS - 1}
    assert steps(server, visit["pk"]) == [1, 2]


def test_the_next_step_sent_50_times_by_one_press_is_one_step(server):
    visit, key = server.record.seeded["visits"][1], str(uuid.uuid4())
    fields = NEXT_STEP | {"version": str(visit["version"]), "submission_key": key}
    address = f"/infusions/{visit['pk']}/rate/step/"

    answers = at_once([lambda: server.post(address, fields)] * HANDS)

    assert Counter(answer.status for answer in answers) == {302: HANDS}
    assert steps(server, visit["pk"]) == [1, 2]


def steps(server: Server, visit: int) -> list[int]:
    with server.record.read() as alias:
        rates = RateChange.objects.using(alias).filter(session=visit).order_by("pk")
        return list(rates.values_list("step", flat=True))
