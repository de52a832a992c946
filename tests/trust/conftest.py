"""A record for real servers, made once for a run and copied for each test."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from tests.trust.server import (
    ROOT,
    Record,
    Server,
    another_database,
    copied,
    environment,
    postgresql_record,
    served,
    sqlite_record,
)


@pytest.fixture(autouse=True, scope="package")
def _reading_beside_the_server(django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def collected(tmp_path_factory) -> None:
    """The pages' files, which a server outside tests finds by their hashes."""
    common = tmp_path_factory.getbasetemp().parent
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())
    done = common / f"collected-{run}"
    with (common / "collected.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            subprocess.run(
                [sys.executable, "manage.py", "collectstatic", "--noinput", "-v", "0"],
                env=environment(file=common / "none.sqlite3"),
                cwd=ROOT,
                check=True,
            )
            done.touch()


@pytest.fixture(scope="session")
def template(tmp_path_factory, collected) -> Record:
    file = tmp_path_factory.mktemp("trust") / "template.sqlite3"
    return sqlite_record(file, nurses=10, visits=14)


@contextmanager
def fresh(request, folder: Path) -> Iterator[Record]:
    """A record on the engine that the tests run on."""
    if connection.vendor == "sqlite":
        template = request.getfixturevalue("template")
        yield copied(template, folder / "clinic.sqlite3")
        return
    request.getfixturevalue("collected")
    with another_database(os.environ["DATABASE_URL"]) as url:
        yield postgresql_record(url, nurses=10, visits=14)


@pytest.fixture
def record(request, tmp_path) -> Iterator[Record]:
    with fresh(request, tmp_path) as record:
        yield record


@pytest.fixture(scope="module")
def server(request, tmp_path_factory) -> Iterator[Server]:
    """One server for the tests of a file; each leaves it as well as it was."""
    folder = tmp_path_factory.mktemp("server")
    with fresh(request, folder) as record, served(record, folder) as server:
        yield server
