"""The record cannot be written: 503 and NOT SAVED, nothing in part, reading goes on.

Full disk, read-only disk, a lock held by another process, a database that is gone.
Each is over without a restart of the server (H28).
"""

import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from sessions.models import AuditEntry, VitalSigns
from tests.trust.disks import fill, small_disk
from tests.trust.judge import broken_chain, unsound
from tests.trust.server import CALM, FALLEN, Record, Server, copied, served

READ_WITHIN_S = 10
"""A reader waits two seconds for the audit and two for the last-seen row."""
only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="takes the disk from under SQLite's file"
)
only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a fault of PostgreSQL"
)


def count(record: Record) -> tuple[int, int]:
    """Sets, and acts that are no views: neither may grow while nothing is saved."""
    with record.read() as alias:
        acts = AuditEntry.objects.using(alias).exclude(action__contains="view")
        return VitalSigns.objects.using(alias).count(), acts.count()


def pages(server: Server) -> list[str]:
    """What a nurse must still be able to read."""
    visit = server.record.visits[0]
    return [
        "/board/",
        f"/infusions/{visit}/",
        f"/infusions/{visit}/record/",
        f"/patients/{server.record.seeded['patient']}/",
    ]


def refused(server: Server) -> None:
    """A set that calls for a flag is refused whole."""
    answer = server.vitals(server.record.visits[1], FALLEN)
    assert answer.status == 503, answer.text[-600:]
    assert "NOT SAVED" in answer.text


def reads_go_on(server: Server) -> float:
    """Every page answers, also for who was last seen long ago; the slowest, in s."""
    slowest = 0.0
    for address in pages(server):
        began = time.monotonic()
        answer = server.get(address, nurse=1)
        slowest = max(slowest, time.monotonic() - began)
        assert answer.status == 200, (address, answer.status, answer.text[-600:])
    assert slowest < READ_WITHIN_S
    return slowest


def proven(server: Server, *, reachable: bool = True) -> None:
    """During the outage: a save is refused, reads are not."""
    before = count(server.record) if reachable else None
    refused(server)
    if reachable:
        reads_go_on(server)
        assert count(server.record) == before


def recovered(server: Server, *, missed: bool) -> None:
    """After it, without a restart: saved at once, and the missed views written down."""
    sets, _ = count(server.record)
    assert server.vitals(server.record.visits[1], FALLEN).saved
    for _ in range(
        40
    ):  # the worker that missed the views tells of them at its next act
        server.get(f"/infusions/{server.record.visits[0]}/", nurse=2)
    with server.record.read() as alias:
        assert VitalSigns.objects.using(alias).count() == sets + 1
        assert broken_chain(alias) == ""
        assert unsound(alias) == []
        told = AuditEntry.objects.using(alias).filter(detail__contains="unaudited")
        assert told.exists() == missed


@pytest.fixture
def on_small_disk(template, tmp_path) -> Iterator[Server]:
    with small_disk(tmp_path / "disk", megabytes=24) as disk:
        record = copied(template, disk / "clinic.sqlite3")
        with served(record, tmp_path) as server:
            yield server


@only_sqlite
def test_a_full_disk_refuses_saves_and_reads_go_on(on_small_disk):
    server = on_small_disk
    assert server.vitals(server.record.visits[0], CALM).saved
    ballast = fill(server.record.file.parent)
    proven(server)
    ballast.unlink()
    recovered(server, missed=True)


@only_sqlite
def test_a_disk_that_fills_under_writers_keeps_what_it_acknowledged(on_small_disk):
    server, saved = on_small_disk, []
    ballast = fill(server.record.file.parent)
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - 400_000)
    statuses = set()
    for _ in range(400):
        answer = server.vitals(server.record.visits[len(saved) % 12], CALM)
        statuses.add(answer.status)
        if not answer.saved:
            break
        saved.append(1)
    assert statuses == {302, 503}
    proven(server)
    ballast.unlink()
    with server.record.read() as alias:
        after = server.record.seeded["last_vitals"]
        assert VitalSigns.objects.using(alias).filter(pk__gt=after).count() == len(
            saved
        )
    recovered(server, missed=True)


@only_sqlite
def test_a_read_only_disk_refuses_saves_and_reads_go_on(server):
    assert server.vitals(server.record.visits[0], CALM).saved
    with read_only(server.record.file.parent):
        proven(server)
    recovered(server, missed=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A read-only view of the folder lies over it for who opens a file anew."""
    here = str(folder)
    if subprocess.run(["mount", "--bind", here, here], capture_output=True).returncode:
        pytest.skip("only root may make a disk read-only")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", here], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", here], check=True)


# ── a lock that another process holds ──────────────────────────────────────────


@contextmanager
def locked(record: Record) -> Iterator[None]:
    """Another process holds what every writer needs."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(record.file, isolation_level=None)) as door:
            door.execute("BEGIN IMMEDIATE")
            yield
            door.execute("ROLLBACK")
        return
    with psycopg.connect(record.environment["DATABASE_URL"]) as door:
        tables = "infusions_auditentry, infusions_vitalsigns"
        door.execute(f"LOCK TABLE {tables} IN SHARE MODE")  # readers are let in
        yield
        door.rollback()


def test_a_lock_of_two_seconds_is_waited_out(server):
    saved = []
    with locked(server.record):
        nurse = threading.Thread(
            target=lambda: saved.append(server.vitals(server.record.visits[0], CALM))
        )
        nurse.start()
        time.sleep(2)
    nurse.join()

    assert saved[0].saved


@pytest.mark.soak
def test_a_lock_of_30_seconds_ends_in_not_saved_and_reads_go_on(server):
    before, answers, began = count(server.record), [], time.monotonic()

    def save() -> None:
        answers.append(server.vitals(server.record.visits[1], FALLEN))
        answers.append(time.monotonic() - began)

    with locked(server.record):
        nurse = threading.Thread(target=save)
        nurse.start()
        reads_go_on(server)
        time.sleep(max(0, 30 - (time.monotonic() - began)))
    nurse.join()
    answer, waited = answers
    assert (answer.status, "NOT SAVED" in answer.text) == (503, True)
    assert waited < 30
    assert count(server.record) == before
    recovered(server, missed=True)


# ── PostgreSQL ─────────────────────────────────────────────────────────────────


@only_postgresql
def test_a_read_only_postgresql_refuses_saves_and_reads_go_on(server):
    url = server.record.environment["DATABASE_URL"]
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as door:
        switch = f"ALTER DATABASE {name} SET default_transaction_read_only"
        door.execute(f"{switch} = on")
        end_others(door)
        try:
            proven(server)
        finally:
            door.execute("SET default_transaction_read_only = off")
            door.execute(f"{switch} = off")
        end_others(door)
    recovered(server, missed=True)


def end_others(door: psycopg.Connection) -> None:
    """A setting of a database reaches the next connection only."""
    door.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
