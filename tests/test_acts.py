"""One act is one transaction and one row of the chain, exactly once (I9, I10, I13)."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import Max
from psycopg.errors import DeadlockDetected, DiskFull, SerializationFailure

from sessions.models import FIRST_PREVIOUS, AuditEntry, Chair
from sessions.services.acts import (
    Actor,
    KeyReused,
    Refused,
    Replayed,
    act,
    retried,
)
from sessions.services.audit import verify_chain
from sessions.storage import drop_triggers, install_triggers
from tests.conftest import NINE


def actor_of(user, *, key="", content="", at=NINE) -> Actor:
    return Actor.of(user=user, clinic=user.clinic, at=at, key=key, content=content)


def add_chair(name: str, *, by: Actor) -> Chair:
    with act("test.chair", by=by) as done:
        chair = Chair.objects.create(clinic=by.clinic, name=name)
        done.on(chair, name=name)
    return chair


def add_chair_and_refuse(*, by: Actor) -> None:
    with act("test.refused", by=by):
        Chair.objects.create(clinic=by.clinic, name="Bay 9")
        raise Refused("Not now.")


def test_an_act_leaves_one_row_that_says_who_what_and_when(admin):
    chair = add_chair("Bay 9", by=actor_of(admin))

    row = AuditEntry.objects.get()
    assert (row.sequence, row.action, row.username) == (1, "test.chair", "admin")
    assert (row.object_type, row.object_id, row.at) == ("chair", chair.pk, NINE)
    assert row.detail == '{"name": "Bay 9"}'
    assert row.previous_hash == FIRST_PREVIOUS
    assert row.hash == row.digest()


def test_a_resend_finds_the_first_answer_and_does_nothing(admin):
    key = str(uuid.uuid4())
    chair = add_chair("Bay 9", by=actor_of(admin, key=key, content={"name": "Bay 9"}))

    later = actor_of(
        admin, key=key, content={"name": "Bay 9"}, at=NINE + timedelta(minutes=1)
    )
    with pytest.raises(Replayed) as replayed:
        add_chair("Bay 9", by=later)

    assert replayed.value.entry.object_id == chair.pk
    assert Chair.objects.filter(name="Bay 9").count() == 1
    assert AuditEntry.objects.count() == 1


def test_the_same_key_with_other_content_is_refused(admin):
    key = str(uuid.uuid4())
    add_chair("Bay 9", by=actor_of(admin, key=key, content={"name": "Bay 9"}))

    with pytest.raises(KeyReused):
        add_chair("Bay 8", by=actor_of(admin, key=key, content={"name": "Bay 8"}))

    assert not Chair.objects.filter(name="Bay 8").exists()


def test_the_same_key_from_somebody_else_is_refused(admin, nurse):
    key = str(uuid.uuid4())
    add_chair("Bay 9", by=actor_of(admin, key=key, content="same"))

    with pytest.raises(KeyReused):
        add_chair("Bay 8", by=actor_of(nurse, key=key, content="same"))


def test_an_act_that_is_refused_leaves_nothing_and_frees_its_key(admin):
    key = str(uuid.uuid4())
    before = Chair.objects.count()

    with pytest.raises(Refused):
        add_chair_and_refuse(by=actor_of(admin, key=key))

    assert Chair.objects.count() == before
    assert not AuditEntry.objects.exists()
    add_chair("Bay 9", by=actor_of(admin, key=key))


@pytest.mark.django_db(transaction=True)
def test_eight_writers_leave_a_chain_without_a_gap(admin):
    write_at_once(admin, threads=8, acts=12)

    assert AuditEntry.objects.count() == 8 * 12
    assert AuditEntry.objects.aggregate(last=Max("sequence"))["last"] == 8 * 12
    assert verify_chain().fault == ""


@pytest.mark.soak
@pytest.mark.django_db(transaction=True)
def test_eight_writers_for_long_leave_a_chain_without_a_gap(admin):
    write_at_once(admin, threads=8, acts=500)

    assert AuditEntry.objects.count() == 8 * 500
    assert verify_chain().fault == ""


def write_at_once(admin, *, threads: int, acts: int) -> None:
    failures = []

    def work(number: int) -> None:
        try:
            for turn in range(acts):
                add_chair(f"{number}-{turn}", by=actor_of(admin))
        except Exception as failure:  # the thread's failure is the test's
            failures.append(failure)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


@pytest.mark.django_db(transaction=True)
class TestVerify:
    """The chain tells of every kind of tampering, and names the first bad row."""

    @pytest.fixture(autouse=True)
    def _five_acts(self, admin):
        for number in range(5):
            add_chair(f"Bay {number}", by=actor_of(admin))
        drop_triggers(connection)
        yield
        install_triggers(connection)

    def test_an_untouched_chain_is_unbroken(self):
        found = verify_chain()

        assert (found.rows, found.fault) == (5, "")
        assert found.head_hash == AuditEntry.objects.get(sequence=5).hash

    def test_a_changed_row(self):
        AuditEntry.objects.filter(sequence=3).update(username="somebody")

        found = verify_chain()
        assert (found.sequence, found.fault) == (3, "its content was changed")

    def test_a_row_changed_with_its_hash(self):
        row = AuditEntry.objects.get(sequence=3)
        row.username = "somebody"
        AuditEntry.objects.filter(sequence=3).update(
            username="somebody", hash=row.digest()
        )

        assert verify_chain().sequence == 4

    def test_a_deleted_row(self):
        AuditEntry.objects.filter(sequence=2).delete()

        found = verify_chain()
        assert (found.sequence, found.fault) == (2, "row 2 is missing")

    def test_two_rows_that_changed_places(self):
        for old, new in ((2, 99), (3, 2), (99, 3)):
            AuditEntry.objects.filter(sequence=old).update(sequence=new)

        assert verify_chain().sequence == 2


def gives_way(error: type, times: int, by: Actor) -> list[str]:
    """Add a chair by an act that the database ends `times` before it lets it pass."""
    tries = []

    def do(by: Actor) -> None:
        with act("test.chair", by=by) as done:
            done.on(Chair.objects.create(clinic=by.clinic, name="Bay 9"))
            tries.append("tried")
            if len(tries) <= times:
                raise OperationalError("ended") from error("ended")

    retried(do, by)
    return tries


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("error", [DeadlockDetected, SerializationFailure])
def test_an_act_that_had_to_give_way_is_done_again_and_once(admin, error, times):
    tries = gives_way(error, times, actor_of(admin, key="a" * 36, content="1"))

    assert len(tries) == times + 1
    assert Chair.objects.filter(name="Bay 9").count() == 1
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(("error", "times"), [(DeadlockDetected, 4), (DiskFull, 1)])
def test_an_act_is_not_retried_for_ever_nor_for_another_reason(admin, error, times):
    with pytest.raises(OperationalError):
        gives_way(error, times, actor_of(admin))

    assert not Chair.objects.filter(name="Bay 9").exists()
    assert not AuditEntry.objects.exists()
