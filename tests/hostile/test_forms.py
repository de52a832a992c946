"""Every form against what nobody should send: refused or saved as typed."""

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


def test_a_visit_that_never_started_is_not_discharged(clinic, other_clinic):
    """Not even with the form of another visit."""
    made = world.build(clinic, other_clinic)
    browser = world.browser_of(made.users["nurse"])
    for pk in made.ids["session"]:
        answer = browser.post(
            reverse("infusion-discharge", args=[pk]),
            {"outcome": "died", "reason_code": "patient", "password": "wrong"},
        )
        assert answer.status_code in (302, 409, 422)


@pytest.mark.parametrize("part", ["unit", "route", "dose"])
def test_a_medicine_that_is_not_whole_costs_no_preview(clinic, other_clinic, part):
    made = world.build(clinic, other_clinic)
    browser = world.browser_of(made.users["prescriber"])
    row = {
        "before0_key": "cetirizine_1",
        "before0_dose": "10",
        "before0_unit": "mg",
        "before0_route": "PO",
    }

    answer = browser.post(
        reverse("order-preview", args=[made.ids["patient"][0]]),
        {
            "product": "privigen_10",
            "regimen": "pi:1",
            "dose_g_per_kg": "0.4",
            "days": "1",
            "interval_weeks": "4",
            "cycles": "6",
            **row,
            f"before0_{part}": "no such thing",
        },
    )

    assert answer.status_code in (200, 422)
