"""The cast, the database's triggers around a flush, and the browser."""

import os
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import Group
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from sessions import clocks, storage
from sessions.middleware import LAST_SEEN, SECOND_FACTOR, SIGNED_IN_AT
from sessions.models import Chair, Clinic, User

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright with the ORM


def pytest_addoption(parser):
    parser.addoption(
        "--clock",
        metavar="ZONE,MOMENT",
        default="",
        help="begin the tests at this moment (UTC, ISO 8601) in clinics of this zone, "
        "for instance Europe/London,2026-03-29T00:30",
    )


@pytest.fixture(autouse=True, scope="session")
def _clock(pytestconfig):
    """Shift the clock of the whole run, and put every clinic into one zone."""
    if not pytestconfig.getoption("clock"):
        yield
        return
    zone, moment = pytestconfig.getoption("clock").split(",")
    with time_machine.travel(datetime.fromisoformat(moment).replace(tzinfo=UTC)):
        Clinic._meta.get_field("time_zone").default = zone
        clocks.server.begin()
        yield


@pytest.fixture(autouse=True)
def _zone_of_the_words(request, monkeypatch):
    """A test that spells out what a wall clock shows spells it out in UTC."""
    if request.node.get_closest_marker("in_utc"):
        monkeypatch.setattr(Clinic._meta.get_field("time_zone"), "default", "UTC")


def pytest_collection_modifyitems(items):
    """A journey that fails is run once more, and counted: browsers share two cores."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


PASSWORD = "correct horse battery"
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="session")
def _flush_around_triggers():
    """Tests with a live server empty the tables; the product never can."""
    original = BaseDatabaseOperations.execute_sql_flush

    def execute_sql_flush(self, sql_list):
        storage.drop_triggers(self.connection)
        original(self, sql_list)

    BaseDatabaseOperations.execute_sql_flush = execute_sql_flush
    yield
    BaseDatabaseOperations.execute_sql_flush = original


@pytest.fixture(autouse=True, scope="session")
def _sheets_of_their_own(tmp_path_factory):
    """Tests write no downtime sheet beside a record that somebody works on."""
    settings.DOWNTIME_FOLDER = tmp_path_factory.mktemp("downtime")
    settings.DOWNTIME_DELAY_S = 0


KEPT_TABLES = re.compile(
    r'^\s*DELETE\s+FROM\s+"?('
    + "|".join(storage.append_only_tables() + storage.header_tables())
    + r')"?(\s|$)',
    re.IGNORECASE,
)
PRODUCT = str(Path(storage.__file__).parent)


@pytest.fixture(autouse=True, scope="session")
def _nothing_of_the_record_is_deleted():
    """No code of the product even tries to, in any test; the tests themselves may."""
    original = CursorWrapper._execute

    def _execute(self, sql, params, *ignored):
        if KEPT_TABLES.match(str(sql)) and any(
            frame.f_code.co_filename.startswith(PRODUCT)
            for frame, _ in traceback.walk_stack(None)
        ):
            raise AssertionError(f"the product deletes: {sql}")
        return original(self, sql, params, *ignored)

    CursorWrapper._execute = _execute
    yield
    CursorWrapper._execute = original


def make_user(clinic: Clinic, role: str, username: str, name: str, **fields) -> User:
    return User.objects.create_user(
        username=username,
        password=PASSWORD,
        name=name,
        clinic=clinic,
        role=Group.objects.get(name=role),
        created_at=NINE,
        **fields,
    )


@pytest.fixture
def clinic(db) -> Clinic:
    clinic = Clinic.objects.create(name="Riverside Infusion", code="riverside")
    for number in range(1, 7):
        Chair.objects.create(clinic=clinic, name=f"{number:02}", position=number)
    return clinic


@pytest.fixture
def other_clinic(db) -> Clinic:
    clinic = Clinic.objects.create(name="Hillside Infusion", code="hillside")
    Chair.objects.create(clinic=clinic, name="01", position=1)
    return clinic


@pytest.fixture
def nurse(clinic) -> User:
    return make_user(clinic, "nurse", "nurse", "Kwame Mensah", credential="RN")


@pytest.fixture
def colleague(clinic) -> User:
    return make_user(clinic, "nurse", "colleague", "Sofia Varga", credential="RN")


@pytest.fixture
def charge_nurse(clinic) -> User:
    return make_user(clinic, "charge nurse", "charge", "Joy Adeyemi", credential="RN")


@pytest.fixture
def prescriber(clinic) -> User:
    return make_user(clinic, "prescriber", "prescriber", "Ingrid Halvorsen")


@pytest.fixture
def pharmacist(clinic) -> User:
    return make_user(clinic, "pharmacist", "pharmacist", "Mei Tanaka")


@pytest.fixture
def admin(clinic) -> User:
    return make_user(clinic, "admin", "admin", "Robin Clarke")


@pytest.fixture
def auditor(clinic) -> User:
    return make_user(clinic, "auditor", "auditor", "Priya Nair")


@pytest.fixture
def stranger(other_clinic) -> User:
    """A nurse of another clinic."""
    return make_user(other_clinic, "nurse", "stranger", "Lena Brandt")


@pytest.fixture
def sign_in(client):
    """Sign a member of the cast in: `sign_in(nurse)` gives the client back."""

    def as_user(user: User):
        client.force_login(user)
        session = client.session
        now = timezone.now().isoformat()
        session[SIGNED_IN_AT], session[LAST_SEEN] = now, now
        session[SECOND_FACTOR] = True
        session.save()
        return client

    return as_user
