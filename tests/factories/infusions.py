"""Whole visits for tests: an order with its real plan, a Start, rates and vitals.

Rows are made directly and only through the models, so that services are tested on
their own; every time is passed in.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sessions.catalogue.default_protocol import default_document
from sessions.catalogue.indications import indication
from sessions.catalogue.products import product
from sessions.models import (
    Chair,
    Clinic,
    InfusionSession,
    Order,
    OrderStatus,
    OrderVersion,
    Patient,
    Protocol,
    ProtocolEvent,
    ProtocolVersion,
    RateChange,
    RateKind,
    Stage,
    Start,
    User,
    VitalSigns,
    Weight,
)
from sessions.rules.dosing import Body, Ordered
from sessions.rules.plans import plan_document
from sessions.rules.policy import Policy
from sessions.rules.titration import plan
from sessions.services.acts import Actor
from sessions.services.protocols import digest

STARTED = datetime(2026, 3, 2, 9, 12, tzinfo=UTC)

NORMAL = {
    "systolic_mmhg": 128,
    "diastolic_mmhg": 78,
    "pulse": 76,
    "respiratory_rate": 16,
    "spo2": 98,
    "temperature_c": Decimal("36.7"),
    "spo2_scale": 1,
    "on_oxygen": False,
    "consciousness": "A",
}
"""A full set in which nothing is wrong: the baseline of the visits made here."""


def by(user: User, at: datetime = STARTED, **given) -> Actor:
    """The acting nurse at a moment."""
    return Actor.of(user=user, clinic=user.clinic, at=at, **given)


def minutes(count: int | float, since: datetime = STARTED) -> datetime:
    """So many minutes after the Start."""
    return since + timedelta(minutes=count)


def stamp(user: User, at: datetime) -> dict:
    return by(user, at).stamp()


def make_protocol(clinic: Clinic, author: User, approver: User) -> ProtocolVersion:
    """The shipped protocol, approved by a second person."""
    known = ProtocolVersion.objects.filter(clinic=clinic).first()
    if known:
        return known
    at = STARTED - timedelta(days=60)
    protocol = Protocol.objects.create(clinic=clinic, code="2026", name="Adult IVIG")
    document = default_document()
    version = ProtocolVersion.objects.create(
        protocol=protocol,
        number=1,
        document=document,
        sha256=digest(document),
        **stamp(author, at),
    )
    ProtocolEvent.objects.create(
        protocol_version=version,
        kind=ProtocolEvent.Kind.APPROVED,
        **stamp(approver, at),
    )
    return version


def make_patient(clinic: Clinic, user: User, **given) -> Patient:
    count = Patient.objects.filter(clinic=clinic).count()
    fields = {
        "mrn": f"004 817 {2265 + count}",
        "family_name": "Okonkwo-Featherstonehaugh",
        "given_names": "Adaeze Marie",
        "birth_date": date(1978, 3, 14),
        "sex": "female",
        "search_text": "okonkwo",
        "created_at": STARTED - timedelta(days=90),
        "created_by": user,
    } | given
    return Patient.objects.create(clinic=clinic, **fields)


def make_order(
    patient: Patient,
    *,
    prescriber: User,
    protocol: ProtocolVersion,
    weight_kg: str = "72",
    dose_g_per_kg: str = "0.4",
    product_key: str = "privigen_10",
    indication_key: str = "pi",
    experience: str = "experienced",
    at: datetime = STARTED,
) -> Order:
    """An active order with the plan that the rules work out for it."""
    day = at - timedelta(minutes=40)
    weight = Weight.objects.create(
        patient=patient,
        weight_kg=Decimal(weight_kg),
        as_typed=weight_kg,
        **stamp(prescriber, day),
    )
    policy: Policy = protocol.policy
    bottle, reason = product(product_key), indication(indication_key)
    worked_out = plan(
        product=bottle,
        indication=reason,
        body=Body(weight_kg=Decimal(weight_kg)),
        ordered=Ordered(g_per_kg=Decimal(dose_g_per_kg), days=1),
        policy=policy.dosing,
        experience=experience,
    )
    order = Order.objects.create(
        clinic=patient.clinic,
        patient=patient,
        status=OrderStatus.ACTIVE,
        created_at=day,
        created_by=prescriber,
    )
    order.current = OrderVersion.objects.create(
        order=order,
        number=1,
        product_key=product_key,
        product_name=bottle.brand,
        concentration_g_per_100ml=bottle.g_per_100ml,
        indication_key=indication_key,
        indication_name=reason.name,
        weight=weight,
        weight_kg=weight.weight_kg,
        weight_basis="actual",
        dosing_weight_kg=worked_out.weight.kg,
        dose_g_per_kg=Decimal(dose_g_per_kg),
        dose_g=worked_out.dose.calculated_g,
        given_g=worked_out.dose.given_g,
        volume_ml=worked_out.volume_ml,
        ceiling_ml_per_kg_h=worked_out.ceiling.ml_per_kg_h,
        ceiling_binds=worked_out.ceiling.binds,
        experience=experience,
        plan=plan_document(worked_out),
        protocol_version=protocol,
        expires_on=day.date() + timedelta(days=180),
        prescriber=prescriber,
        **stamp(prescriber, day),
    )
    order.save()
    return order


def make_session(
    clinic: Clinic,
    nurse: User,
    prescriber: User,
    *,
    chair: str = "03",
    stage: str = Stage.ASSESSED,
    patient: Patient | None = None,
    at: datetime = STARTED,
    **order_given,
) -> InfusionSession:
    """A visit before its Start, with an active order."""
    protocol = make_protocol(clinic, nurse, prescriber)
    patient = patient or make_patient(clinic, nurse)
    order = make_order(
        patient, prescriber=prescriber, protocol=protocol, at=at, **order_given
    )
    return InfusionSession.objects.create(
        clinic=clinic,
        patient=patient,
        order=order,
        chair=Chair.objects.get(clinic=clinic, name=chair),
        nurse=nurse,
        stage=stage,
        scheduled_at=at,
        created_at=at - timedelta(days=1),
        created_by=nurse,
    )


def make_running(
    clinic: Clinic,
    nurse: User,
    prescriber: User,
    *,
    at: datetime = STARTED,
    baseline: dict | None = None,
    experience: str = "experienced",
    observation_minutes: int = 20,
    **given,
) -> InfusionSession:
    """A visit that was started at `at` on the first step of its ladder."""
    session = make_session(
        clinic, nurse, prescriber, at=at, experience=experience, **given
    )
    version = session.order.current
    taken = at - timedelta(minutes=4)
    first = VitalSigns.objects.create(
        session=session,
        purpose="baseline",
        **(NORMAL | (baseline or {})),
        **stamp(nurse, taken),
    )
    Start.objects.create(
        session=session,
        order_version=version,
        protocol_version=version.protocol_version,
        weight=version.weight,
        weight_kg=version.weight_kg,
        dosing_weight_kg=version.dosing_weight_kg,
        baseline=first,
        volume_ml=version.volume_ml,
        experience=experience,
        observation_minutes=observation_minutes,
        plan=version.plan,
        gate={},
        **stamp(nurse, at),
    )
    rung = version.plan["rungs"][0]
    RateChange.objects.create(
        session=session,
        kind=RateKind.START,
        step=1,
        before_ml_per_h=0,
        rate_ml_per_h=Decimal(rung["pump_ml_per_h"]),
        rate_ml_per_kg_h=Decimal(rung["ml_per_kg_h"]),
        **stamp(nurse, at),
    )
    InfusionSession.objects.filter(pk=session.pk).update(stage=Stage.INFUSING)
    session.refresh_from_db()
    return session
