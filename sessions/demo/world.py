"""The demo clinic as the story knows it: its staff, chairs, lots and clock."""

import random
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from time import monotonic, sleep

from django.db import transaction

from sessions.demo.people import PASSWORD, STAFF, Person
from sessions.models import (
    Chair,
    Clinic,
    InfusionSession,
    Patient,
    ProtocolVersion,
    User,
)
from sessions.services import staff
from sessions.services.acts import Actor
from sessions.services.clinics import change_clinic, set_up_clinic
from sessions.services.protocols import approve_version

Told = Generator[datetime, datetime, None]
"""A story of one visit: it says when it goes on, and is sent the time it is then."""

CHAIRS = 26
HALF_A_DAY = timedelta(hours=12)
NURSES = ("nurse", "nurse2", "nurse3", "nurse4", "nurse5")


@dataclass(slots=True, kw_only=True)
class Case:
    """A patient with the body that the story makes readings from."""

    person: Person
    patient: Patient
    weight_kg: Decimal
    dice: random.Random
    labs_at: datetime | None = None
    consent_until: datetime | None = None
    first_ml_per_h: Decimal | None = None


@dataclass(slots=True)
class World:
    """Everything the stories share. `at` is the story's clock, never the machine's."""

    clinic: Clinic
    staff: dict[str, User]
    free: list[Chair] = field(default_factory=list)
    _load: dict[str, int] = field(default_factory=dict)

    def by(self, username: str, at: datetime) -> Actor:
        """Who acts, at the story's moment."""
        return Actor.of(
            user=self.staff[username], clinic=self.clinic, at=at, workstation="demo"
        )

    def nurse_with_least(self) -> str:
        """The nurse who has the fewest patients in chairs now."""
        return min(NURSES, key=lambda name: self._load.get(name, 0))

    def sit_down(self, nurse: str) -> Chair:
        """Take the first free chair; the nurse has one patient more."""
        self._load[nurse] = self._load.get(nurse, 0) + 1
        return self.free.pop(0)

    def look_for_chairs(self) -> None:
        """Learn from the record which chairs are free now."""
        taken = InfusionSession.objects.of(self.clinic).in_a_chair().values("chair")
        chairs = self.clinic.chairs.filter(active=True)
        self.free = list(chairs.exclude(pk__in=taken))

    def get_up(self, nurse: str, chair: Chair) -> None:
        self._load[nurse] -= 1
        self.free.append(chair)
        self.free.sort(key=lambda each: each.position)


def lot_of(case: Case, product: str, at: datetime) -> tuple[str, date]:
    """Lot and expiry of the vials taken from the shelf: two lots a quarter."""
    quarter = (at.year * 12 + at.month - 1) // 3
    letters = "".join(part[0] for part in product.split("_")).upper()
    series = "AB"[case.dice.random() < 0.3]
    expiry = at.date().replace(day=1) + timedelta(days=540)
    return f"{letters}{quarter % 10000:04d}{series}", expiry.replace(day=28)


def open_clinic(*, at: datetime, time_zone: str) -> World:
    """Set the clinic up, hire its staff and put its protocol in force."""
    username, name, _, _ = STAFF[0]
    clinic, admin = set_up_clinic(
        name="Harbour Street Infusion Clinic",
        time_zone=time_zone,
        label_region="us",
        chairs=CHAIRS,
        admin_name=name,
        username=username,
        password=PASSWORD,
        is_demo=True,
        by=Actor.of(user=None, clinic=None, at=at, workstation="demo"),
    )
    world = World(clinic, {username: admin})
    for username, name, credential, role in STAFF[1:]:
        user, _ = staff.add_staff(
            username=username,
            name=name,
            credential=credential,
            role=role,
            password=PASSWORD,
            by=world.by("admin", at),
        )
        world.staff[username] = user
    know_passwords(world)
    world.clinic = change_clinic(
        clinic=clinic,
        changes={"phone": "555 0142", "emergency_number": "2222"},
        seen=clinic.version,
        by=world.by("admin", at),
    )
    version = ProtocolVersion.objects.of(clinic).get()
    approve_version(version=version, by=world.by("prescriber", at))
    world.free = list(world.clinic.chairs.all())
    return world


def come_back(clinic: Clinic) -> World:
    """The world of a demo clinic that exists: its staff, and the chairs free now."""
    staff = {user.username: user for user in User.objects.filter(clinic=clinic)}
    world = World(clinic, staff)
    know_passwords(world)
    world.look_for_chairs()
    return world


def know_passwords(world: World) -> None:
    """Spare the story what a password costs to check: a third of a second each time.

    It signs hundreds of records, and knows the passwords of its own people.
    """
    for user in world.staff.values():
        user.check_password = PASSWORD.__eq__


def tell(stories: Iterable[Told], *, until: datetime) -> None:
    """Let all stories go on in the order of time, up to a moment.

    What lies after that moment stays untold: so visits of today stand where they are.
    """
    turn, waiting = count(), []
    for story in stories:
        heappush(waiting, (next(story), next(turn), story))
    while waiting and waiting[0][0] <= until:
        at, _, story = heappop(waiting)
        with suppress(StopIteration):
            heappush(waiting, (max(story.send(at), at), next(turn), story))


def tell_beside(story: Told, *, until: datetime) -> None:
    """Tell one story while others work: day by day, each day seen whole or not at all.

    After each day it rests for as long as the day took, so that others get at the
    database.
    """
    at = next(story)
    while at <= until:
        began, day = monotonic(), at
        with transaction.atomic():
            while at <= until and at - day < HALF_A_DAY:
                try:
                    at = max(story.send(at), at)
                except StopIteration:
                    return
        sleep(monotonic() - began)
