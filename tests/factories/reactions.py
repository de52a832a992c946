"""What a reaction is logged beside: vials, ordered medicines, allergies."""

from datetime import date, timedelta
from decimal import Decimal

from sessions.models import (
    Allergy,
    InfusionSession,
    OrderMedicine,
    Patient,
    User,
    Vial,
)
from tests.factories.infusions import STARTED, stamp


def make_vial(session: InfusionSession, user: User, **given) -> Vial:
    """A vial opened at the Start."""
    version = session.order.current
    fields = {
        "product_key": version.product_key,
        "product_name": version.product_name,
        "lot": "P100512345",
        "expiry": date(2030, 5, 31),
        "grams": Decimal(30),
        "volume_ml": Decimal(300),
    } | given
    return Vial.objects.create(
        session=session, **fields, **stamp(user, session.start.event_time)
    )


def make_medicine(session: InfusionSession, user: User, **given) -> OrderMedicine:
    """Paracetamol as needed, on the order of a visit."""
    fields = {
        "purpose": "as_needed",
        "medicine_key": "paracetamol",
        "name": "Paracetamol",
        "dose": Decimal(1),
        "dose_unit": "g",
        "route": "oral",
        "gap_minutes": 240,
        "max_in_24h": Decimal(4),
    } | given
    return OrderMedicine.objects.create(
        order_version=session.order.current,
        **fields,
        **stamp(user, STARTED - timedelta(days=1)),
    )


def make_allergy(patient: Patient, user: User, substance: str) -> Allergy:
    return Allergy.objects.create(
        patient=patient, substance=substance, **stamp(user, STARTED)
    )
