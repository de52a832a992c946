"""Orders made the way staff make them: drafted, signed, verified."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from sessions.models import Allergy, Height, Order, Patient, RiskFactor, User, Weight
from sessions.services import orders
from sessions.services.order_plans import Choices
from sessions.services.orders import Identity
from tests.conftest import NINE
from tests.factories.protocols import actor

EXPIRES = date(2026, 9, 1)


def make_patient(user: User, *, weight_kg="72", height_cm="168", at=NINE, **given):
    """A patient with a weight and a height of the same day."""
    count = Patient.objects.filter(clinic=user.clinic).count()
    patient = Patient.objects.create(
        clinic=user.clinic,
        created_at=at,
        created_by=user,
        **{
            "mrn": f"004 817 {2265 + count}",
            "family_name": "Okonkwo-Featherstonehaugh",
            "given_names": "Adaeze Marie",
            "birth_date": date(1978, 3, 14),
            "sex": "female",
            "search_text": "okonkwo featherstonehaugh adaeze marie",
        }
        | given,
    )
    if weight_kg:
        weigh(patient, weight_kg, by=user, at=at - timedelta(hours=1))
    if height_cm:
        Height.objects.create(
            patient=patient,
            height_cm=Decimal(height_cm),
            as_typed=height_cm,
            **actor(user, at - timedelta(hours=1)).stamp(),
        )
    return patient


def weigh(patient: Patient, weight_kg: str, *, by: User, at: datetime) -> Weight:
    return Weight.objects.create(
        patient=patient,
        weight_kg=Decimal(weight_kg),
        as_typed=weight_kg,
        **actor(by, at).stamp(),
    )


def at_risk(patient: Patient, key: str, *, by: User, at=NINE) -> RiskFactor:
    return RiskFactor.objects.create(
        patient=patient, key=key, presence="present", **actor(by, at).stamp()
    )


def allergic(patient: Patient, substance: str, *, by: User, at=NINE) -> Allergy:
    return Allergy.objects.create(
        patient=patient, substance=substance, **actor(by, at).stamp()
    )


def choices(**given) -> Choices:
    """Privigen 0.4 g/kg every four weeks for CVID, six times."""
    return Choices(
        **{
            "product": "privigen_10",
            "indication": "cvid",
            "phase": "maintenance",
            "dose_g_per_kg": Decimal("0.4"),
            "interval_weeks": Decimal(4),
            "cycles": 6,
            "expires_on": EXPIRES,
        }
        | given
    )


def identity(patient: Patient) -> Identity:
    return Identity(initials=patient.initials, birth_year=patient.birth_date.year)


def draft(patient: Patient, by: User, *, at=NINE, **given) -> Order:
    return orders.draft_order(
        patient=patient, choices=choices(**given), by=actor(by, at)
    )


def signed(patient: Patient, *, prescriber: User, at=NINE, **given) -> Order:
    order = draft(patient, prescriber, at=at, **given)
    orders.sign_order(order=order, identity=identity(patient), by=actor(prescriber, at))
    return fresh(order)


def active(
    patient: Patient, *, prescriber: User, pharmacist: User, at=NINE, **given
) -> Order:
    order = signed(patient, prescriber=prescriber, at=at, **given)
    orders.verify_order(
        order=order, identity=identity(patient), by=actor(pharmacist, at)
    )
    return fresh(order)


def fresh(order: Order) -> Order:
    """The order as the database has it now."""
    return Order.objects.select_related(
        "clinic", "patient", "current__protocol_version__protocol"
    ).get(pk=order.pk)
