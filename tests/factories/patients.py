"""Patients as the clinic knows them; everything is written through the services."""

from datetime import UTC, date, datetime
from decimal import Decimal

import factory

from sessions.models import Patient, Sex, Weight
from sessions.services.acts import Actor

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class PatientFactory(factory.django.DjangoModelFactory):
    """A woman of 47 in `clinic`; `PatientFactory(clinic=…, created_by=…)`."""

    class Meta:
        model = Patient

    mrn = factory.Sequence(lambda n: f"{n:06}")
    family_name = factory.Sequence(lambda n: f"Okonkwo{'abcdefghij'[n % 10] * 4}")
    given_names = "Adaeze Marie"
    birth_date = factory.Sequence(lambda n: date(1978, 3, 1 + n % 28))
    sex = Sex.FEMALE
    created_at = NINE

    @classmethod
    def _create(cls, model_class, *args, **fields):
        patient = model_class(*args, **fields)
        patient.write_search_text()
        patient.save(force_insert=True)
        return patient


class WeightFactory(factory.django.DjangoModelFactory):
    """72 kg, measured at nine; `WeightFactory(patient=…, recorded_by=…)`."""

    class Meta:
        model = Weight

    clinic = factory.SelfAttribute("patient.clinic")
    weight_kg = Decimal("72")
    as_typed = "72 kg"
    event_time = NINE
    recorded_at = factory.SelfAttribute("event_time")
    app_version = "test"


def actor_of(user, at: datetime = NINE, key: str = "", content: object = "") -> Actor:
    """A member of the cast who acts at a moment."""
    return Actor.of(user=user, clinic=user.clinic, at=at, key=key, content=content)
