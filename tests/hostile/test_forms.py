"""Every form against what nobody should send: refused or saved as typed (SAFETY 3)."""

import random

import pytest
from django.urls import reverse

from sessions.models import VitalSigns
from tests.factories.infusions import make_running
from tests.factories.moments import ago
from tests.hostile import fuzz, world


@pytest.fixture
def fuzzer(clinic, other_clinic, seed):
    made = world.build(clinic, other_clinic)
    fuzzer = fuzz.Fuzzer(made, random.Random(seed), fuzz.harvest(made))
    yield fuzzer
    fuzzer.close()


def throw(fuzzer, count: int) -> None:
    fuzzer.run(count)
    print(f"\n{len(fuzzer.found)} forms, answers {dict(fuzzer.statuses)}")
    print(f"saved {sum(fuzzer.saved.values())} at {len(fuzzer.saved)} addresses")
    kinds = list(dict.fromkeys(fuzzer.failures))
    assert not kinds, f"{len(kinds)} failures\n" + "\n".join(kinds[:20])


@pytest.mark.parametrize("seed", [20260302, 20261101])
def test_no_form_fails_saves_half_or_alters_what_was_typed(fuzzer):
    """Two thousand posts, in halves for two cores."""
    throw(fuzzer, 1_000)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_no_form_fails_in_fifty_thousand_posts(fuzzer):
    throw(fuzzer, 5_000)


@pytest.mark.parametrize("odd", ["", "no such reason", "\u0000", "other"])
def test_half_a_blood_pressure_with_an_odd_reason_is_refused_in_words(
    clinic, nurse, prescriber, sign_in, odd
):
    session = make_running(clinic, nurse, prescriber, at=ago(20))

    answer = sign_in(nurse).post(
        reverse("vitals-record", args=[session.pk]),
        {"systolic_mmhg": "128", "partial_reason": odd},
    )

    assert answer.status_code == 422
    assert VitalSigns.objects.filter(session=session).count() == 1


def test_a_step_that_is_not_understood_saves_no_set_without_it(
    clinic, nurse, prescriber, sign_in
):
    session = make_running(clinic, nurse, prescriber, at=ago(20))

    answer = sign_in(nurse).post(
        reverse("vitals-record", args=[session.pk]),
        {
            "systolic_mmhg": "128",
            "diastolic_mmhg": "78",
            "pulse": "76",
            "respiratory_rate": "16",
            "spo2": "98",
            "temperature": "36.7",
            "consciousness": "A",
            "oxygen": "air",
            "step_up_to": "4e1",
        },
    )

    assert answer.status_code == 422
    assert VitalSigns.objects.filter(session=session).count() == 1
