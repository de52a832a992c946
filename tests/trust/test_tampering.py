"""Whoever changes the audit behind the product's back is found out (I13, H29)."""

import random
import uuid
from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from sessions.models import AuditEntry, Chair, Patient
from sessions.services import acts
from sessions.services.acts import Actor, Refused, act, view_of
from sessions.services.audit import Head
from sessions.storage import drop_triggers
from tests.conftest import NINE
from tests.factories.infusions import make_patient

ROWS = 60


@pytest.fixture
def head(admin) -> Head:
    """A chain of sixty acts, every other one on a patient, and its head as a backup
    would have kept it."""
    patient = make_patient(admin.clinic, admin)
    for number in range(ROWS):
        by = Actor.of(
            user=admin,
            clinic=admin.clinic,
            at=NINE + timedelta(minutes=number),
            key=str(uuid.UUID(int=number + 1)) if number % 3 else "",
            content=str(number),
        )
        with act("test.chair", by=by) as done:
            chair = Chair.objects.create(clinic=admin.clinic, name=f"B{number}")
            of = patient if number % 2 else None
            done.on(chair, patient=of, name=chair.name)
    drop_triggers(connection)  # for this test's transaction alone
    last = AuditEntry.objects.order_by("-sequence")[0]
    return Head(sequence=last.sequence, hash=last.hash)


def rows():
    return AuditEntry.objects.order_by("sequence")


def at(sequence: int):
    return AuditEntry.objects.filter(sequence=sequence)


# Each tampers with the chain and returns the numbers of which one must be named.


def other_values(row: AuditEntry, dice: random.Random) -> dict[str, object]:
    """For each column of a row but its number, what does not stand there."""
    return {
        "at": row.at + timedelta(microseconds=dice.randint(1, 10**9)),
        "user": None,
        "username": row.username + " ",
        "role": "auditor",
        "clinic": None,
        "action": "session.view",
        "object_type": "patient",
        "object_id": dice.choice((None, row.object_id + 1)),
        "patient": None if row.patient_id else Patient.objects.get(),
        "detail": row.detail.replace("B", "b"),
        "workstation": "elsewhere",
        "app_version": "9",
        "key": str(uuid.UUID(int=dice.getrandbits(128))),
        "content_hash": "0" * 64,
        "previous_hash": f"{dice.getrandbits(256):064x}",
        "hash": f"{dice.getrandbits(256):064x}",
    }


def edit(dice: random.Random) -> set[int]:
    """One column of one row."""
    row = rows()[dice.randrange(ROWS)]
    other = other_values(row, dice)
    name = dice.choice(sorted(other))
    assert at(row.sequence).update(**{name: other[name]}) == 1
    return {row.sequence}


def edit_with_its_hash(dice: random.Random) -> set[int]:
    """A row that fits in itself again: the next one, or the head, tells."""
    row = rows()[dice.randrange(ROWS)]
    row.username = "somebody"
    at(row.sequence).update(username=row.username, hash=row.digest())
    return {min(row.sequence + 1, ROWS)}


def delete(dice: random.Random) -> set[int]:
    """Rows out of the middle."""
    first = dice.randint(1, ROWS - 2)
    last = dice.randint(first, min(first + 3, ROWS - 1))
    AuditEntry.objects.filter(sequence__range=(first, last)).delete()
    return {first}


def insert(dice: random.Random) -> set[int]:
    """A forged row with a hash of its own; what comes after moves up by one."""
    place = dice.randint(1, ROWS)
    for row in rows().filter(sequence__gte=place).order_by("-sequence"):
        at(row.sequence).update(sequence=row.sequence + 1)
    forged = rows()[0]
    before = at(place - 1).first()
    forged.sequence, forged.key, forged.username = place, None, "somebody"
    forged.previous_hash = before.hash if before else acts.FIRST_PREVIOUS
    forged.hash = forged.digest()
    forged.save(force_insert=True)
    return {place, place + 1}


def insert_before_the_first(dice: random.Random) -> set[int]:
    forged = rows()[dice.randrange(ROWS)]
    forged.sequence, forged.key = -dice.randint(0, 9), None
    forged.hash = forged.digest()
    forged.save(force_insert=True)
    return {forged.sequence}


def swap(dice: random.Random) -> set[int]:
    """Two rows change their numbers."""
    one, two = sorted(dice.sample(range(1, ROWS + 1), 2))
    for old, new in ((one, 9999), (two, one), (9999, two)):
        at(old).update(sequence=new)
    return {one}


def cut_off(dice: random.Random) -> set[int]:
    """The end is gone; what is left fits in itself."""
    first = dice.randint(1, ROWS)
    AuditEntry.objects.filter(sequence__gte=first).delete()
    return {first}


def hash_anew(dice: random.Random) -> set[int]:
    """A row is changed, and every hash after it: it fits in itself throughout."""
    first, previous = dice.randint(1, ROWS), None
    for row in rows().filter(sequence__gte=first):
        if previous is None:
            row.username = "somebody"
        else:
            row.previous_hash = previous
        previous = row.digest()
        at(row.sequence).update(
            username=row.username, previous_hash=row.previous_hash, hash=previous
        )
    return {ROWS}


KINDS = (
    *(edit, edit_with_its_hash, delete, insert, insert_before_the_first),
    *(swap, cut_off, hash_anew),
)


def tamper(head: Head, *, times: int, seed: int) -> Counter:
    dice, found = random.Random(seed), Counter()
    known = f"{head.sequence}:{head.hash}"
    for turn in range(times):
        kind = KINDS[turn % len(KINDS)]
        with transaction.atomic():
            named = kind(dice)
            with pytest.raises(CommandError) as refused:
                call_command("verify_audit", head=known_head(known))
            transaction.set_rollback(True)
        said = str(refused.value)
        assert any(said.startswith(f"Audit row {row}: ") for row in named), (
            kind.__name__,
            named,
            said,
        )
        found[kind.__name__] += 1
    call_command("verify_audit", "--head", known, stdout=StringIO())
    return found


def known_head(text: str) -> Head:
    number, _, digest = text.partition(":")
    return Head(sequence=int(number), hash=digest)


def test_an_edit_of_any_column_is_found(head):
    """Of a row with a patient, and of one without."""
    columns = {column.name for column in AuditEntry._meta.concrete_fields}
    for row in rows()[10:12]:
        other = other_values(row, random.Random(1))
        assert set(other) == columns - {"sequence"}
        for name, value in other.items():
            assert getattr(row, name) != value, name
            with transaction.atomic():
                at(row.sequence).update(**{name: value})
                with pytest.raises(CommandError, match=f"Audit row {row.sequence}: "):
                    call_command("verify_audit")
                transaction.set_rollback(True)


def test_60_random_tamperings_are_found_and_named(head):
    assert sum(tamper(head, times=64, seed=60).values()) == 64


@pytest.mark.soak
def test_500_random_tamperings_are_found_and_named(head):
    found = tamper(head, times=504, seed=500)

    print(f"found and named: {dict(found)}")
    assert set(found.values()) == {63}


@pytest.mark.parametrize("kind", [cut_off, hash_anew])
def test_only_a_known_head_tells_of_a_chain_that_fits_in_itself(head, kind):
    kind(random.Random(1))

    call_command("verify_audit", stdout=StringIO())
    with pytest.raises(CommandError):
        call_command("verify_audit", "--head", f"{ROWS}:{head.hash}")


@pytest.mark.parametrize("text", ["", "60", "x:" + "0" * 64, "60:abc", "0:" + "0" * 64])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(CommandError, match="is not ROW:HASH"):
        call_command("verify_audit", "--head", text)


# ── the audit cannot be written for a while ────────────────────────────────────


@pytest.fixture
def viewed(admin, monkeypatch):
    """Look at the admin's chair; with `lost`, while the audit cannot be written."""
    chair = Chair.objects.first()

    def look(minute: int, *, lost: bool) -> None:
        at = NINE + timedelta(minutes=minute)
        by = Actor.of(user=admin, clinic=admin.clinic, at=at)
        with monkeypatch.context() as patched:
            if lost:
                patched.setattr(AuditEntry, "save", full)
            view_of("test.view", by=by, subject=chair, patient=None)

    return look


def full(*_args, **_given):
    from django.db import OperationalError

    raise OperationalError("database or disk is full")


def test_a_span_without_audit_is_written_down_at_recovery(viewed):
    for minute in (1, 2, 5):
        viewed(minute, lost=True)
    assert not AuditEntry.objects.exists()

    viewed(9, lost=False)
    viewed(10, lost=False)

    first, second = rows()
    assert '"unaudited_views": {"count": 3, "span": ' in first.detail
    assert "2026-03-02T09:01:00+00:00" in first.detail
    assert "2026-03-02T09:05:00+00:00" in first.detail
    assert "unaudited" not in second.detail
    call_command("verify_audit", stdout=StringIO())


def test_an_act_that_fails_does_not_lose_the_span(viewed, admin):
    viewed(1, lost=True)
    by = Actor.of(user=admin, clinic=admin.clinic, at=NINE)
    with pytest.raises(Refused), act("test", by=by):
        raise Refused("Not now.")
    viewed(2, lost=True)

    viewed(9, lost=False)

    assert '"count": 2' in rows().get().detail


def test_what_was_looked_at_without_audit_stands_in_the_log(viewed, caplog):
    viewed(1, lost=True)

    assert "view not audited (OperationalError): test.view of chair" in caplog.text
    viewed(2, lost=False)
