"""Visits in every stage, made through the product's own services, as a nurse would."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sessions.models import (
    Clinic,
    InfusionSession,
    Order,
    Patient,
    ProtocolVersion,
    User,
)
from sessions.services import (
    gate,
    infusions,
    order_plans,
    orders,
    patients,
    planning,
    preparation,
    protocols,
    vials,
)
from sessions.services.acts import Actor
from sessions.services.vitals import record_vitals

READING = {
    "systolic_mmhg": 128,
    "diastolic_mmhg": 78,
    "pulse": 76,
    "respiratory_rate": 16,
    "spo2": 98,
    "temperature_c": Decimal("36.7"),
    "temperature_as_typed": "36.7",
    "spo2_scale": 1,
    "on_oxygen": False,
    "consciousness": "A",
}


def by(user: User, at: datetime) -> Actor:
    return Actor.of(user=user, clinic=user.clinic, at=at)


def protocol_in_force(
    clinic: Clinic, *, author: User, approver: User, at: datetime
) -> ProtocolVersion:
    version = protocols.ship_default_protocol(clinic, by(author, at))
    protocols.approve_version(version=version, by=by(approver, at))
    return version


def patient_known(
    nurse: User, at: datetime, *, mrn: str = "0048172265", **who
) -> Patient:
    """A woman of 72 kg with consent, laboratory results and no allergy."""
    actor = by(nurse, at)
    person = {
        "family_name": "Okonkwo",
        "given_names": "Adaeze Marie",
        "birth_date": datetime(1978, 3, 14).date(),  # noqa: DTZ001
        "sex": "female",
    } | who
    patient = patients.register_patient(mrn=mrn, by=actor, **person)
    patients.record_weight(
        patient=patient, weight_kg=Decimal("72"), as_typed="72 kg", by=actor
    )
    patients.record_allergy(patient=patient, none_known=True, by=actor)
    patients.record_consent(
        patient=patient,
        given=True,
        scope="immunoglobulin",
        expires_on=(at + timedelta(days=300)).date(),
        by=actor,
    )
    for test, value, unit in (
        ("creatinine", "68", "umol/L"),
        ("haemoglobin", "13.1", "g/dL"),
    ):
        patients.record_lab(
            patient=patient, test=test, value=Decimal(value), unit=unit, by=actor
        )
    patients.record_lab(
        patient=patient, test="iga", value=Decimal("1.4"), unit="g/L", by=actor
    )
    return patient


def active_order(
    patient: Patient,
    *,
    prescriber: User,
    pharmacist: User,
    at: datetime,
    **choices,
) -> Order:
    """30 g of Privigen 10 % for primary immunodeficiency, signed and verified."""
    chosen = {
        "product": "privigen_10",
        "indication": "pi",
        "phase": "maintenance",
        "dose_g_per_kg": Decimal("0.4"),
        "interval_weeks": Decimal(4),
        "cycles": 6,
        "expires_on": (at + timedelta(days=200)).date(),
    } | choices
    order = orders.draft_order(
        patient=patient, choices=order_plans.Choices(**chosen), by=by(prescriber, at)
    )
    who = orders.Identity(initials=patient.initials, birth_year=patient.birth_date.year)
    orders.sign_order(order=order, identity=who, by=by(prescriber, at))
    orders.verify_order(order=order, identity=who, by=by(pharmacist, at))
    order.refresh_from_db()
    return order


def premedication(**values) -> order_plans.MedicineChoice:
    return order_plans.MedicineChoice(
        **{
            "purpose": "before",
            "medicine_key": "cetirizine_1",
            "name": "Cetirizine",
            "dose": Decimal("10"),
            "dose_unit": "mg",
            "route": "PO",
            "minutes_before": 30,
        }
        | values
    )


def as_needed(**values) -> order_plans.MedicineChoice:
    return order_plans.MedicineChoice(
        **{
            "purpose": "as_needed",
            "medicine_key": "acetaminophen_4",
            "name": "Acetaminophen",
            "dose": Decimal("650"),
            "dose_unit": "mg",
            "route": "PO",
            "gap_minutes": 240,
            "max_in_24h": Decimal("1300"),
        }
        | values
    )


def plan_session(*, scheduled_at: datetime, **given) -> InfusionSession:
    """Plan the next visit of an order's course."""
    return planning.plan_sessions(dates=[scheduled_at], **given)[0]


def planned(order: Order, *, charge_nurse: User, at: datetime) -> InfusionSession:
    return plan_session(order=order, scheduled_at=at, by=by(charge_nurse, at))


def checked_in(
    order: Order, *, charge_nurse: User, nurse: User, at: datetime, chair: str = "01"
) -> InfusionSession:
    visit = planned(order, charge_nurse=charge_nurse, at=at)
    seat = order.clinic.chairs.get(name=chair)
    infusions.check_in(session=visit, chair=seat, by=by(nurse, at))
    return fresh(visit)


def ready(
    visit: InfusionSession,
    *,
    nurse: User,
    at: datetime,
    skip: frozenset[str] | set[str] = frozenset(),
    answers: dict | None = None,
    reading: dict | None = None,
    weight_kg: str = "72",
) -> InfusionSession:
    """Do what holds the Start, as on an ordinary morning, except what is skipped."""
    actor, patient = by(nurse, at), visit.patient
    if "identity" not in skip:
        infusions.check_identity(
            session=visit,
            initials=patient.initials,
            birth_year=patient.birth_date.year,
            by=actor,
        )
    if "weight" not in skip:
        patients.record_weight(
            patient=patient,
            weight_kg=Decimal(weight_kg),
            as_typed=f"{weight_kg} kg",
            by=actor,
        )
    if "checks" not in skip:
        infusions.attest_checks(
            session=visit,
            answers=preparation.AS_USUAL | (answers or {}),
            detail="as told" if answers else "",
            by=actor,
        )
    if "line" not in skip:
        infusions.record_line(
            session=visit, site="left forearm", gauge="22 G", by=actor
        )
    sizes = {"vials": (), "second vial": ("20",)}
    wanted = next((sizes[name] for name in sizes if name in skip), ("20", "10"))
    for number, grams in enumerate(wanted):
        vial(visit, nurse=nurse, at=at, grams=grams, serial=f"S{visit.pk}-{number}")
    if "baseline" not in skip:
        record_vitals(
            session=visit,
            reading=READING | (reading or {}),
            by=actor,
            purpose="baseline",
        )
    if "warnings" not in skip:
        pass_all_warnings(fresh(visit), nurse=nurse, at=at)
    return fresh(visit)


def vial(visit: InfusionSession, *, nurse: User, at: datetime, **given):
    values = {
        "product_key": "privigen_10",
        "grams": Decimal(given.pop("grams", "10")),
        "lot": "P100512345",
        "expiry": (at + timedelta(days=600)).date(),
    }
    return vials.add_vial(session=visit, by=by(nurse, at), **(values | given))


def pass_all_warnings(visit: InfusionSession, *, nurse: User, at: datetime) -> None:
    found = [hold.rule for hold in preparation.prepare(visit, at=at).warnings]
    if found:
        infusions.pass_warnings(
            session=visit, rules=found, reason_code="planned", by=by(nurse, at)
        )


def started(visit: InfusionSession, *, nurse: User, at: datetime) -> InfusionSession:
    visit = ready(visit, nurse=nurse, at=at)
    rung = preparation.prepare(visit, at=at).first_rung
    infusions.start(
        session=visit, read_back_ml_per_h=rung.pump_ml_per_h, by=by(nurse, at)
    )
    return fresh(visit)


def fresh(visit: InfusionSession) -> InfusionSession:
    return InfusionSession.objects.select_related(
        "clinic", "patient", "chair", "nurse", "order__current"
    ).get(pk=visit.pk)


@dataclass(kw_only=True)
class Morning:
    """A clinic with a protocol, a patient, an active order and a visit checked in."""

    at: datetime
    nurse: User
    charge_nurse: User
    prescriber: User
    pharmacist: User
    admin: User
    patient: Patient = None
    order: Order = None
    visit: InfusionSession = None

    @classmethod
    def of(cls, *, at: datetime, patient=None, order=None, **cast: User) -> "Morning":
        """Begin the day; `patient` and `order` hold what is unusual about them."""
        made = cls(at=at, **cast)
        protocol_in_force(
            made.nurse.clinic, author=made.admin, approver=made.prescriber, at=at
        )
        made.patient = patient_known(made.nurse, at, **(patient or {}))
        made.order = active_order(
            made.patient,
            prescriber=made.prescriber,
            pharmacist=made.pharmacist,
            at=at,
            **(order or {}),
        )
        made.visit = checked_in(
            made.order, charge_nurse=made.charge_nurse, nurse=made.nurse, at=at
        )
        return made

    def by(self, user: User | None = None, *, after: float = 0, **given) -> Actor:
        """Somebody acts, so many minutes after the beginning; the nurse by default."""
        user = user or self.nurse
        moment = self.at + timedelta(minutes=after)
        return Actor.of(user=user, clinic=user.clinic, at=moment, **given)

    def ready(self, *, after: float = 0, **unusual) -> InfusionSession:
        moment = self.at + timedelta(minutes=after)
        self.visit = ready(self.visit, nurse=self.nurse, at=moment, **unusual)
        return self.visit

    def started(self, *, after: float = 0) -> InfusionSession:
        moment = self.at + timedelta(minutes=after)
        self.visit = started(self.visit, nurse=self.nurse, at=moment)
        return self.visit

    def holds(self, *, after: float = 0) -> list[gate.Hold]:
        moment = self.at + timedelta(minutes=after)
        return preparation.prepare(fresh(self.visit), at=moment).holds

    def fresh(self) -> InfusionSession:
        self.visit = fresh(self.visit)
        return self.visit
