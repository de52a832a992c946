"""Ten people change one header from the same screen: one wins, nine are told (H15)."""

import threading
from datetime import date

import pytest
from django.db import connection

from sessions.models import AuditEntry, Patient
from sessions.services.acts import Actor, Stale, retried
from sessions.services.patients import amend_patient, register_patient
from tests.conftest import NINE, make_user

EDITORS = 10


@pytest.fixture
def editors(clinic):
    return [
        make_user(clinic, "nurse", f"nurse{number}", f"Nurse {number}")
        for number in range(EDITORS)
    ]


@pytest.fixture
def patient(editors) -> Patient:
    return register_patient(
        mrn="0048172265",
        family_name="Okonkwo",
        given_names="Adaeze",
        birth_date=date(1978, 3, 14),
        sex="female",
        note="0",
        by=Actor.of(user=editors[0], clinic=editors[0].clinic, at=NINE),
    )


def edit(patient: Patient, editors: list, *, rounds: int) -> tuple[int, int]:
    """Each adds one to the number that the screen showed; what was saved, what stale.

    In every round all ten read first and then save at the same moment.
    """
    gate = threading.Barrier(EDITORS)
    saved, stale, failures = [], [], []

    def work(user) -> None:
        by = Actor.of(user=user, clinic=user.clinic, at=NINE)
        try:
            for _ in range(rounds):
                gate.wait(60)
                seen = Patient.objects.get(pk=patient.pk)
                gate.wait(60)
                new = str(int(seen.note) + 1)

                def change(by, seen=seen, new=new):
                    return amend_patient(
                        patient=seen, version=seen.version, by=by, note=new
                    )

                try:
                    retried(change, by)
                    saved.append(new)
                except Stale:
                    stale.append(new)
        except Exception as failure:  # the thread's failure is the test's
            failures.append(failure)
            gate.abort()
        finally:
            connection.close()

    hands = [threading.Thread(target=work, args=(user,)) for user in editors]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert failures == []
    assert len(set(saved)) == len(saved)
    return len(saved), len(stale)


def prove(patient: Patient, editors: list, *, rounds: int) -> None:
    saved, stale = edit(patient, editors, rounds=rounds)

    patient.refresh_from_db()
    assert patient.note == str(saved), "a change was lost"
    assert patient.version == saved + 1
    assert saved == rounds
    assert saved + stale == rounds * EDITORS
    assert AuditEntry.objects.filter(action="patient.amend").count() == saved
    print(f"{rounds} rounds of {EDITORS}: {saved} saved, {stale} stale, 0 lost")


@pytest.mark.django_db(transaction=True)
def test_ten_editors_lose_no_change_in_100_rounds(patient, editors):
    prove(patient, editors, rounds=100)


@pytest.mark.soak
@pytest.mark.django_db(transaction=True)
def test_ten_editors_lose_no_change_in_1000_rounds(patient, editors):
    prove(patient, editors, rounds=1000)
