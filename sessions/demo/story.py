"""Two years of the demo clinic, up to this minute."""

import random
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import transaction

from sessions.catalogue.gate import risk_factors
from sessions.demo.people import PEOPLE, Course, Person
from sessions.demo.visits import EVENTS, Script, Waiting, minutes, visit
from sessions.demo.world import (
    Case,
    Told,
    World,
    come_back,
    open_clinic,
    tell,
    tell_beside,
)
from sessions.models import Clinic, Order, Patient, Presence, Purpose
from sessions.services import orders, patients, planning
from sessions.services.order_plans import Choices, MedicineChoice
from sessions.services.orders import Identity, Telephone

ZONES = (
    *("Europe/Dublin", "America/New_York", "America/Los_Angeles"),
    *("Pacific/Auckland", "Asia/Tokyo", "Asia/Kolkata"),
)
"""Together they cover the clock: somewhere it is the middle of a clinic's day."""

FINISHED_TODAY, RUNNING, PREPARING, LATER = 8, 20, 5, 8
TODAY = FINISHED_TODAY + RUNNING + PREPARING + LATER
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)

MEDICINES = (
    MedicineChoice(
        purpose=Purpose.BEFORE,
        medicine_key="acetaminophen_1",
        name="Acetaminophen",
        dose=Decimal(650),
        dose_unit="mg",
        route="PO",
        minutes_before=30,
        max_in_24h=Decimal(4000),
    ),
    MedicineChoice(
        purpose=Purpose.BEFORE,
        medicine_key="cetirizine_1",
        name="Cetirizine",
        dose=Decimal(10),
        dose_unit="mg",
        route="PO",
        minutes_before=30,
        max_in_24h=Decimal(10),
    ),
    MedicineChoice(
        purpose=Purpose.AS_NEEDED,
        medicine_key="diphenhydramine_2",
        name="Diphenhydramine",
        dose=Decimal(25),
        dose_unit="mg",
        route="PO",
        gap_minutes=240,
        max_in_24h=Decimal(100),
    ),
)


@dataclass(slots=True, kw_only=True)
class Booking:
    """One visit of a course: when, and what happens in it."""

    at: datetime
    script: Script = field(default_factory=Script)


def build(
    now: datetime, *, visits_before: int = 1, only: Container[int] = range(len(PEOPLE))
) -> World:
    """Make the demo clinic as it stands at `now`, all of it or nothing.

    The dice of each patient are thrown from a number of their own: the same story at
    every start, moved to the day. `only` tells a few patients, by their numbers.
    """
    now = now.replace(second=0, microsecond=0)
    zone = zone_for(now)
    with transaction.atomic():
        world = open_clinic(at=now - timedelta(days=745), time_zone=zone.key)
        stories = [*of_today(world, now, zone, visits_before), *paper(world, now)]
        tell([story for number, story in stories if number in only], until=now)
    return world


def build_past(
    clinic: Clinic,
    now: datetime,
    *,
    stop: Callable[[], bool],
    only: Container[int] = range(len(PEOPLE)),
) -> None:
    """Tell the patients of the past who are not told yet, until `stop` says so.

    It leaves the database to others half of the time, and ends between two patients:
    a patient who is begun is told to the end.
    """
    now = now.replace(second=0, microsecond=0)
    world = come_back(clinic)
    for number, story in of_the_past(world, now, clinic.zone):
        if stop():
            return
        told = Patient.objects.filter(clinic=clinic, mrn=mrn_of(number)).exists()
        if number in only and not told:
            world.look_for_chairs()
            tell_beside(story, until=now)


def mrn_of(number: int) -> str:
    return f"{104200 + number * 37}"


def zone_for(now: datetime) -> ZoneInfo:
    """A place where it is between eleven and five o'clock now."""
    for name in ZONES:
        if 11 <= now.astimezone(ZoneInfo(name)).hour < 17:
            return ZoneInfo(name)
    return ZoneInfo(ZONES[0])


def of_today(
    world: World, now: datetime, zone: ZoneInfo, visits_before: int
) -> Iterator[tuple[int, Told]]:
    """The stories of those who come today, with the visits before and the next."""
    for number, person in enumerate(PEOPLE[:TODAY]):
        dice = dice_of(number)
        apart = (person.course.interval_weeks or 4) * WEEK
        visits = [
            Booking(at=clinic_day(now - k * apart, zone, dice), script=any_script(dice))
            for k in range(visits_before, 0, -1)
        ]
        visits.append(todays(number, now, dice))
        visits.append(Booking(at=clinic_day(now + apart, zone, dice)))
        yield number, career(world, person, number, dice, [visits])


def paper(world: World, now: datetime) -> Iterator[tuple[int, Told]]:
    """Orders that wait for somebody: a draft, one to verify, one to countersign."""
    for number, state, ago in (
        (33, "draft", 200),
        (34, "signed", 95),
        (35, "said", 40),
    ):
        yield number, waiting_order(world, number, state, now - minutes(ago))


def of_the_past(
    world: World, now: datetime, zone: ZoneInfo
) -> Iterator[tuple[int, Told]]:
    """The stories of those who were treated in two courses during the two years."""
    for number, person in enumerate(PEOPLE[TODAY:], start=TODAY):
        dice = dice_of(number)
        apart = (person.course.interval_weeks or 26) * WEEK
        begins = now - timedelta(days=730 - (number - TODAY) * 17)
        courses = []
        for half in range(2):
            first = begins + half * timedelta(days=190)
            visits = [
                Booking(
                    at=clinic_day(first + k * apart, zone, dice),
                    script=any_script(dice),
                )
                for k in range(min(5, person.course.visits))
            ]
            courses.append([each for each in visits if each.at < now - 2 * DAY])
        yield number, career(world, person, number, dice, [c for c in courses if c])


def dice_of(number: int) -> random.Random:
    """Dice that fall the same for this patient at every start."""
    # A story, not a secret.
    return random.Random(f"demo {number}")  # noqa: S311  # nosec B311


def clinic_day(day: datetime, zone: ZoneInfo, dice: random.Random) -> datetime:
    """A morning or noon of a working day near `day`."""
    local = day.astimezone(zone).date()
    local += {5: -DAY, 6: DAY}.get(local.weekday(), timedelta(0))
    clock = time(dice.randint(8, 13), dice.choice((0, 15, 30, 45)))
    return datetime.combine(local, clock, tzinfo=zone).astimezone(UTC)


def any_script(dice: random.Random) -> Script:
    """What may happen in a visit of the past, about as often as it does."""
    throw = dice.random()
    event = ""
    if throw < 0.11:
        event = dice.choice(("headache", "flushing", "nausea", "headache", "chills"))
    elif throw < 0.16:
        event = dice.choice(("back", "urticaria", "chest", "chills"))
    elif throw < 0.27:
        event = dice.choice(tuple(EVENTS))
    return Script(
        event=event,
        at_set=dice.randint(1, 4),
        late_sets=dice.choice((0, 0, 0.1, 0.3)),
        correction=dice.random() < 0.05,
        late_entry=dice.random() < 0.2,
        walks_away=dice.random() < 0.05,
        overrides=dice.random() < 0.3,
    )


def todays(number: int, now: datetime, dice: random.Random) -> Booking:
    """The visit of today: by its place in the list at one of all stages."""
    if number < FINISHED_TODAY:
        ago = 480 - number * 12
        return Booking(at=now - minutes(ago), script=any_script(dice))
    place = number - FINISHED_TODAY
    if place < RUNNING:
        return Booking(at=now - minutes(62 + place * 11), script=NOW[place](now))
    place -= RUNNING
    if place < PREPARING:
        return Booking(at=now - minutes(4 + place * 7))
    place -= PREPARING
    return Booking(at=now + minutes(15 + place * 25))


def quiet(now: datetime) -> Script:
    return Script(late_sets=0)


def shortly_before(event: str, ago: float, *, ignored: bool = True):
    """Something that happened minutes ago, and whether it still waits for an answer."""

    def script(now: datetime) -> Script:
        return Script(
            event=event, event_at=now - minutes(ago), ignored=ignored, late_sets=0
        )

    return script


def silent(ago: float):
    """Nobody has recorded anything for a while: vital signs are late."""

    def script(now: datetime) -> Script:
        return Script(late_sets=0, silent_from=now - minutes(ago))

    return script


NOW = (
    quiet,
    quiet,
    shortly_before("fall", 2),
    quiet,
    silent(75),
    quiet,
    shortly_before("back", 9, ignored=False),
    quiet,
    shortly_before("fever", 4),
    quiet,
    quiet,
    shortly_before("deep_fall", 1),
    quiet,
    silent(70),
    quiet,
    shortly_before("headache", 12, ignored=False),
    quiet,
    quiet,
    shortly_before("chills", 26, ignored=False),
    quiet,
)
"""What stands open in the running visits, in the order in which they began."""


def career(
    world: World,
    person: Person,
    number: int,
    dice: random.Random,
    courses: list[list[Booking]],
) -> Told:
    """One patient: registered, ordered for, treated visit by visit."""
    case = None
    for bookings in courses:
        at = yield bookings[0].at - 6 * DAY
        if case is None:
            case = yield from register(world, person, number, dice, at)
        else:
            weigh(world, case, at)
        at = yield from labs(world, case, at)
        order = yield from ordered(world, case, person.course, at)
        at = yield bookings[0].at - 5 * DAY
        made = planning.plan_sessions(
            order=order,
            dates=[booking.at for booking in bookings],
            by=world.by("charge", at),
        )
        for session, booking in zip(made, bookings, strict=True):
            at = yield booking.at - DAY
            at = yield from labs(world, case, at)
            yield from visit(world, case, session, booking.script)


def register(
    world: World, person: Person, number: int, dice: random.Random, at: datetime
) -> Waiting:
    """The record of a new patient, as the charge nurse takes it down."""
    by = world.by("charge", at)
    patient = patients.register_patient(
        mrn=mrn_of(number),
        family_name=person.family,
        given_names=person.given,
        birth_date=person.born,
        sex=person.sex,
        phone=f"555 01{number:02d}",
        by=by,
    )
    weight = person.weight_kg
    patients.record_weight(
        patient=patient, weight_kg=weight, as_typed=str(weight), by=by
    )
    patients.record_height(
        patient=patient,
        height_cm=person.height_cm,
        as_typed=str(person.height_cm),
        by=by,
    )
    if person.allergy:
        substance, reaction = person.allergy
        patients.record_allergy(
            patient=patient, substance=substance, reaction=reaction, by=by
        )
    else:
        patients.record_allergy(patient=patient, none_known=True, by=by)
    patients.record_risk_factors(
        patient=patient,
        answers=[
            {
                "key": key,
                "presence": Presence.PRESENT
                if key in person.risks
                else Presence.ABSENT,
            }
            for key in risk_factors()
        ],
        by=by,
    )
    yield at
    return Case(person=person, patient=patient, weight_kg=weight, dice=dice)


def weigh(world: World, case: Case, at: datetime) -> None:
    """A weight some months later: a little more or less."""
    case.weight_kg += Decimal(case.dice.randint(-15, 15)) / 10
    patients.record_weight(
        patient=case.patient,
        weight_kg=case.weight_kg,
        as_typed=str(case.weight_kg),
        by=world.by("charge", at),
    )


def labs(world: World, case: Case, at: datetime) -> Waiting:
    """New results and consent when the old ones no longer count."""
    if case.labs_at is None or at - case.labs_at > timedelta(days=75):
        impaired = "renal_impairment" in case.person.risks
        by = world.by("charge", at)
        for test, value, unit in (
            ("creatinine", "1.6" if impaired else "0.9", "mg/dL"),
            ("haemoglobin", "13.1", "g/dL"),
            ("iga", "140", "mg/dL"),
        ):
            patients.record_lab(
                patient=case.patient, test=test, value=Decimal(value), unit=unit, by=by
            )
        case.labs_at = at
    if case.consent_until is None or at + 2 * DAY > case.consent_until:
        case.consent_until = at + timedelta(days=365)
        patients.record_consent(
            patient=case.patient,
            given=True,
            scope="IVIG, whole course",
            expires_on=case.consent_until.date(),
            by=world.by("charge", at),
        )
    yield at
    return at


def ordered(world: World, case: Case, course: Course, at: datetime) -> Waiting:
    """An order from draft to verified, each step by the person whose it is."""
    patient = case.patient
    identity = Identity(initials=patient.initials, birth_year=patient.birth_date.year)
    prescriber = case.dice.choice(("prescriber", "prescriber", "prescriber2"))
    at = yield at + minutes(30)
    order = orders.draft_order(
        patient=patient, choices=choices(course, at), by=world.by(prescriber, at)
    )
    at = yield at + minutes(10)
    orders.sign_order(order=order, identity=identity, by=world.by(prescriber, at))
    at = yield at + minutes(90)
    orders.verify_order(order=order, identity=identity, by=world.by("pharmacist", at))
    return Order.objects.select_related("patient", "clinic", "current").get(pk=order.pk)


def waiting_order(world: World, number: int, state: str, at: datetime) -> Told:
    """A second order for somebody who is known, as far as it has come today."""
    at = yield at
    patient = Patient.objects.get(clinic=world.clinic, mrn=mrn_of(number))
    identity = Identity(initials=patient.initials, birth_year=patient.birth_date.year)
    course = PEOPLE[number].course
    telephone = Telephone(prescriber=world.staff["prescriber2"], read_back=True)
    order = orders.draft_order(
        patient=patient,
        choices=choices(course, at),
        telephone=telephone if state == "said" else None,
        identity=identity if state == "said" else None,
        by=world.by("charge" if state == "said" else "prescriber", at),
    )
    if state == "signed":
        at = yield at + minutes(4)
        orders.sign_order(order=order, identity=identity, by=world.by("prescriber", at))


def choices(course: Course, at: datetime) -> Choices:
    """What the prescriber chooses for a course that begins now."""
    return Choices(
        product=course.product,
        indication=course.indication,
        phase=course.phase,
        dose_g_per_kg=Decimal(course.dose_g_per_kg),
        days=course.days,
        interval_weeks=Decimal(course.interval_weeks)
        if course.interval_weeks
        else None,
        cycles=course.visits // course.days,
        reason=course.reason
        or "Continued as agreed with the neurology or immunology team.",
        expires_on=(at + timedelta(days=360)).date(),
        medicines=MEDICINES,
    )
