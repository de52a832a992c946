"""The whole server, or the whole PostgreSQL, is killed while eight nurses save (H16).

Nothing that was acknowledged may be missing, nothing may be there in part, and what
was not acknowledged is sent again under its key and is then there once.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from django.db import connection

from sessions.models import AuditEntry, VitalSigns
from tests.postgres.cluster import cluster
from tests.trust.judge import broken_chain, damaged_pages, faults
from tests.trust.nurses import WRITERS, Writers
from tests.trust.server import Record, Server, postgresql_record, sqlite_record

BACK_WITHIN_S = 10
only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="the server's kill is SQLite's crash"
)
only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="kills a PostgreSQL of its own"
)


def kill_the_server(record: Record, folder: Path, *, kills: int, seed: int) -> None:
    server = Server(record=record, log=folder / "server.log")
    dice = random.Random(seed)
    writers = Writers(server, dice)
    slowest, resent = 0.0, 0
    after = record.seeded["last_vitals"]
    server.start()
    try:
        for kill in range(1, kills + 1):
            writers.begin()
            time.sleep(dice.uniform(0.05, 1.2))
            server.kill()
            writers.join()
            with record.read() as alias:
                assert faults(alias, writers.ledger, after=after) == [], kill
                if kill % 20 == 0:
                    assert broken_chain(alias) == ""
            began = time.monotonic()
            server.start()
            writers.send_one()
            slowest = max(slowest, time.monotonic() - began)
            assert slowest < BACK_WITHIN_S, f"kill {kill}: {slowest:.1f} s"
            resent += writers.send_again()
    finally:
        server.stop()
    told(record, writers, after, kills, resent, slowest)


def told(record, writers, after, kills, resent, slowest) -> None:
    """Judge the record a last time, and print the figures (`pytest -s` shows them)."""
    with record.read() as alias:
        assert faults(alias, writers.ledger, after=after) == []
        assert broken_chain(alias) == ""
        sets = VitalSigns.objects.using(alias).filter(pk__gt=after).count()
        audited = AuditEntry.objects.using(alias).count()
    assert writers.refused == []
    assert sets == len(writers.ledger.taken) > 0
    print(
        f"{kills} kills: {sets} sets acknowledged, 0 lost, {resent} sent again, "
        f"{audited} audit rows unbroken, back in {slowest:.1f} s at most"
    )


@only_sqlite
def test_a_killed_server_loses_nothing(record, tmp_path):
    kill_the_server(record, tmp_path, kills=5, seed=5)


@only_sqlite
@pytest.mark.soak
def test_a_server_killed_200_times_loses_nothing(tmp_path, collected):
    record = sqlite_record(tmp_path / "clinic.sqlite3", nurses=WRITERS, visits=96)
    kill_the_server(record, tmp_path, kills=200, seed=200)


def kill_postgresql(folder: Path, *, kills: int, seed: int) -> None:
    """The web server goes on and answers 503 until the database is back."""
    dice = random.Random(seed)
    with cluster() as made:
        record = postgresql_record(made.url, nurses=WRITERS, visits=48)
        server = Server(record=record, log=folder / "server.log")
        writers = Writers(server, dice)
        after = record.seeded["last_vitals"]
        slowest, resent = 0.0, 0
        server.start()
        try:
            for kill in range(1, kills + 1):
                writers.begin(on_after_loss=True)
                time.sleep(dice.uniform(0.1, 1.2))
                crash(made, hard=kill % 2 == 1)
                time.sleep(0.2)
                writers.join()
                began = time.monotonic()
                restart(made)
                writers.send_one()
                slowest = max(slowest, time.monotonic() - began)
                assert slowest < BACK_WITHIN_S, f"kill {kill}: {slowest:.1f} s"
                resent += writers.send_again()
                with record.read() as alias:
                    assert faults(alias, writers.ledger, after=after) == [], kill
        finally:
            server.stop()
        assert damaged_pages(made) == ""
        told(record, writers, after, kills, resent, slowest)


def crash(made, *, hard: bool) -> None:
    """SIGKILL to the postmaster, or its own immediate stop; neither writes a thing."""
    if not hard:
        made.stop("immediate")
        return
    os.kill(postmaster(made), signal.SIGKILL)


def postmaster(made) -> int:
    lines = (made.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    return int(lines[0])


def restart(made) -> None:
    """Start as soon as the last child of the killed postmaster is gone."""
    for attempt in range(50):
        try:
            made.start()
        except RuntimeError:
            if attempt == 49:
                raise
            time.sleep(0.1)
        else:
            return


@only_postgresql
def test_a_killed_postgresql_loses_nothing(tmp_path, collected):
    kill_postgresql(tmp_path, kills=2, seed=2)


@only_postgresql
@pytest.mark.soak
def test_a_postgresql_killed_50_times_loses_nothing(tmp_path, collected):
    kill_postgresql(tmp_path, kills=50, seed=50)


@only_postgresql
def test_a_damaged_page_would_be_noticed():
    with cluster() as made:
        files = (made.data / "base").rglob("[0-9]*")
        largest = max(files, key=lambda each: each.stat().st_size * each.is_file())
        assert damaged_pages(made) == ""
        made.stop()
        with largest.open("r+b") as file:
            file.seek(8192 + 4000)
            byte = file.read(1)[0]
            file.seek(8192 + 4000)
            file.write(bytes([byte ^ 1]))
        made.start()

        assert "checksum verification failed" in damaged_pages(made)
