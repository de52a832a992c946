"""The demo clinic is told through the product's own acts, up to its minute."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from django.db import transaction

from sessions.charts import charts_of, for_charts
from sessions.demo.people import PEOPLE, STAFF
from sessions.demo.story import TODAY, build, build_past, mrn_of
from sessions.models import (
    AuditEntry,
    Clinic,
    InfusionSession,
    Order,
    Patient,
    Stage,
    User,
    VitalSigns,
)
from sessions.services.audit import verify_chain

NOON = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
FEW = (0, 10, 12, 33, 34, 35)
"""Finished; with an open flag; silent; and three who come later."""

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def few(django_db_setup, django_db_blocker):
    """A demo clinic of a few patients, told once for all tests here."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield build(NOON, visits_before=0, only=FEW)
        transaction.set_rollback(True)


def test_visits_of_today_stand_where_the_clock_stands(few):
    stages = Counter(
        InfusionSession.objects.filter(scheduled_at__date=NOON.date()).values_list(
            "stage", flat=True
        )
    )

    assert stages[Stage.DISCHARGED] >= 1
    assert stages[Stage.INFUSING] >= 2
    assert stages[Stage.PLANNED] >= 3


def test_somebody_waits_for_an_answer_and_somebody_for_vital_signs(few):
    sessions = for_charts(InfusionSession.objects.in_a_chair())

    states = Counter(chart.state for chart in charts_of(list(sessions), at=NOON))

    assert states["flag-medium"] + states["flag-high"] >= 1
    assert states["late"] >= 1


def test_orders_wait_for_signature_verification_and_countersignature(few):
    assert set(Order.objects.values_list("status", flat=True)) >= {"draft", "signed"}
    assert Order.objects.filter(current__by_telephone=True).exists()


def test_nothing_is_recorded_after_the_storys_clock_and_the_chain_holds(few):
    times = AuditEntry.objects.order_by("sequence").values_list("at", flat=True)

    assert list(times) == sorted(times)
    assert max(times) <= NOON
    assert VitalSigns.objects.filter(recorded_at__gt=NOON).count() == 0
    assert verify_chain().fault == ""


def test_there_is_somebody_of_every_role(few):
    roles = User.objects.values_list("role__name", flat=True)

    assert set(roles) == {role for *_, role in STAFF}
    assert Clinic.objects.get().is_demo


def test_the_same_story_at_every_start(few):
    first = VitalSigns.objects.order_by("pk").first()

    assert (first.systolic_mmhg, first.pulse) == (113, 67)


def test_the_past_is_told_beside_patient_by_patient(few):
    once = next(n for n in range(TODAY, len(PEOPLE)) if PEOPLE[n].course.visits == 1)

    build_past(few.clinic, NOON, stop=lambda: False, only={once})

    patient = Patient.objects.get(mrn=mrn_of(once))
    discharged = patient.infusions.filter(stage="discharged")
    assert patient.infusions.count() == discharged.count() >= 1


def test_the_past_is_broken_off_between_two_patients(few):
    before = Patient.objects.count()

    build_past(few.clinic, NOON, stop=lambda: True)

    assert Patient.objects.count() == before
