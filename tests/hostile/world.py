"""Two clinics with a visit in every stage, and what its pages let somebody send."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.apps import apps
from django.db import connection
from django.test import Client
from django.utils import timezone

from sessions import roles
from sessions.middleware import LAST_SEEN, SECOND_FACTOR, SIGNED_IN_AT
from sessions.models import Clinic, EndReason, User
from sessions.services import finish, infusions, order_plans, orders, rates
from tests.conftest import make_user
from tests.factories import visits
from tests.test_access_matrix import ADDRESSES, visit_with_everything

WORD = "quillfeather"
NOBODY = [999_999]
"""The id of a row that does not exist."""


IN_PARTS = ("patient", "report", "vial-add", "infusion-replay")
"""Pages of which a part is drawn anew where they stand, without the whole."""


@dataclass
class World:
    """Users by role, and for each kind of row the ids that exist in their clinic."""

    users: dict[str, User]
    ids: dict[str, list[int]] = field(default_factory=dict)
    strange: dict[str, int] = field(default_factory=dict)

    def addresses(self, method: str = "GET", *, every_way: bool = False):
        """Every address that takes a method, once for each row it can be about.

        With `every_way` also with each of its fixed words: those after the first are
        for one role, as what differs is not who asks.
        """
        for address in ADDRESSES:
            if method not in address.roles or address.is_gone:
                continue
            allowed = [role for role in roles.ROLES if address.answers(role, method)]
            rows = {kind: self.ids.get(kind, NOBODY) for kind in address.kinds}
            asked = {kind: self.ids[kind][-1] for kind in address.asked}
            for number in range(max(map(len, rows.values()), default=1)):
                chosen = asked | {
                    kind: known[min(number, len(known) - 1)]
                    for kind, known in rows.items()
                }
                yield address, allowed, address.at(chosen)
                for way in range(1, address.ways if every_way else 1):
                    yield address, allowed[:1], address.at(chosen, way=way)


def build(clinic: Clinic, other: Clinic, *, now: datetime | None = None) -> World:
    """A clinic at work: visits planned, prepared, running, paused, watched, over."""
    at = (now or timezone.now()) - timedelta(minutes=50)
    world = World(users=_cast(clinic))
    theirs = _cast(other)
    cast = world.users
    everything = visit_with_everything(cast, WORD, "01", at)
    world.strange = visit_with_everything(theirs, "nightjarrow", "01", at)
    world.ids = {kind: [pk] for kind, pk in everything.items()}

    nurse, charge = cast["nurse"], cast["charge nurse"]
    doctor, pharmacist = cast["prescriber"], cast["pharmacist"]

    def order(number: int):
        patient = visits.patient_known(
            nurse, at, mrn=f"77{number}", family_name=f"Ashgrove{number}"
        )
        made = visits.active_order(
            patient, prescriber=doctor, pharmacist=pharmacist, at=at
        )
        return made

    def seat(number: int, chair: str):
        visit = visits.checked_in(
            order(number), charge_nurse=charge, nurse=nurse, at=at, chair=chair
        )
        world.ids["session"].append(visit.pk)
        return visit

    def by(minutes: int, user: User = nurse):
        return visits.by(user, at + timedelta(minutes=minutes))

    planned = visits.planned(order(1), charge_nurse=charge, at=at)
    world.ids["session"].append(planned.pk)
    seat(2, "02")
    visits.ready(seat(3, "03"), nurse=nurse, at=at + timedelta(minutes=40))
    paused = visits.started(seat(4, "04"), nurse=nurse, at=at)
    why = rates.Reason(code=rates.RateReason.values[0])
    rates.pause(session=paused, read_back=True, reason=why, by=by(20))
    early = next(each for each in EndReason.values if each != "completed")
    watched = visits.started(seat(5, "05"), nurse=nurse, at=at)
    finish.end_infusion(session=watched, reason_code=early, by=by(25))
    gone = visits.planned(order(7), charge_nurse=charge, at=at)
    infusions.cancel(session=gone, reason="holiday", by=by(1))
    world.ids["session"].append(gone.pk)
    _orders(world, doctor, order(6), at)
    world.ids["patient"].append(gone.patient_id)
    return world


def _orders(world: World, doctor: User, active, at: datetime) -> None:
    """An order as a draft, one that waits to be verified, one on hold."""
    world.ids["order"].append(active.pk)
    patient = active.patient
    choices = order_plans.Choices(
        product="privigen_10",
        indication="pi",
        phase="maintenance",
        dose_g_per_kg=Decimal("0.4"),
        interval_weeks=Decimal(4),
        cycles=6,
        expires_on=(at + timedelta(days=200)).date(),
        reason="a second course",
    )
    who = orders.Identity(initials=patient.initials, birth_year=patient.birth_date.year)
    for number in range(2):
        made = orders.draft_order(
            patient=patient, choices=choices, by=visits.by(doctor, at)
        )
        world.ids["order"].append(made.pk)
        if number:
            orders.sign_order(order=made, identity=who, by=visits.by(doctor, at))
    orders.hold_order(
        order=active, reason="waits for a result", by=visits.by(doctor, at)
    )


def _cast(clinic: Clinic) -> dict[str, User]:
    return {
        role: make_user(clinic, role, f"{role} of {clinic.code}", f"Sam {role}")
        for role in roles.ROLES
    }


def browser_of(user: User, **options) -> Client:
    """A browser in which somebody is signed in with both factors."""
    client = Client(**options)
    client.force_login(user)
    session = client.session
    now = timezone.now().isoformat()
    session[SIGNED_IN_AT], session[LAST_SEEN] = now, now
    session[SECOND_FACTOR] = True
    session.save()
    return client


NOT_THE_RECORD = {
    "infusions_auditentry",
    "django_session",
    "infusions_login",
    "infusions_wrongtries",
    "infusions_onlooker",
}
"""What an answer may write although nothing was saved: the audit, sign-ins, and when a
page of a visit was last seen by whom (`Onlooker`, the state of its polls)."""


WRITES = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)


class Writes:
    """Notes which tables of the record were written to, even if it was taken back.

    `deleted` are tables from which rows went, those beside the record too.
    """

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.deleted: set[str] = set()

    def __call__(self, execute, sql, params, many, context):
        if match := WRITES.match(sql):
            verb, table = match.groups()
            if table not in NOT_THE_RECORD:
                self.tables.add(table)
            if verb.upper().startswith("DELETE"):
                self.deleted.add(table)
        return execute(sql, params, many, context)


def record() -> dict[str, list[tuple]]:
    """Every row of every table of the record, as the database has it."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = model._meta.db_table
            if table not in NOT_THE_RECORD:
                columns = ", ".join(
                    connection.ops.quote_name(each.column)
                    for each in model._meta.concrete_fields
                )
                cursor.execute(f"SELECT {columns} FROM {table} ORDER BY 1")  # noqa: S608
                found[table] = cursor.fetchall()
    return found
