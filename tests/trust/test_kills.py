"""The whole server, or the whole PostgreSQL, is killed while eight nurses save (H16).

Nothing that was acknowledged may be missing, nothing may be there in part, and what
was not acknowledged is sent again under its key and is then there once.
"""

import os
import random
import signal
import threading
import time
import uuid
from pathlib import Path

import pytest
from django.db import connection

from sessions.models import AuditEntry, VitalSigns
from tests.postgres.cluster import cluster
from tests.trust.judge import Ledger, Sent, broken_chain, faults
from tests.trust.server import (
    CALM,
    FALLEN,
    LOST,
    Record,
    Server,
    postgresql_record,
    sqlite_record,
)

WRITERS = 8
BACK_WITHIN_S = 10
only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="the server's kill is SQLite's crash"
)
only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="kills a PostgreSQL of its own"
)


class Writers:
    """Eight nurses who save without pause, each on visits of their own."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        self.server, self.ledger, self.dice = server, Ledger(), dice
        self.lock, self.end = threading.Lock(), threading.Event()
        self.refused: list[str] = []
        self.threads: list[threading.Thread] = []

    def send(self, sent: Sent, nurse: int) -> bool:
        """Post one set; True when the server said that it is saved."""
        reading = (FALLEN if sent.fallen else CALM) | {"pulse": str(sent.pulse)}
        with self.lock:
            self.ledger.open[sent.key] = sent
        answer = self.server.vitals(sent.visit, reading, key=sent.key, nurse=nurse)
        with self.lock:
            if answer.saved:
                self.ledger.taken[sent.key] = self.ledger.open.pop(sent.key)
            elif answer.status != 503:
                self.refused.append(f"{answer.status}: {answer.text[-400:]}")
        return answer.saved

    def work(self, nurse: int, dice: random.Random, *, on_after_loss: bool) -> None:
        visits = self.server.record.visits[nurse::WRITERS]
        while not self.end.is_set():
            sent = Sent(
                key=str(uuid.uuid4()),
                visit=dice.choice(visits),
                pulse=dice.randint(60, 90),
                fallen=dice.random() < 0.3,
            )
            try:
                if not self.send(sent, nurse):
                    time.sleep(0.1)
            except LOST:
                if not on_after_loss:
                    return

    def begin(self, *, on_after_loss: bool = False) -> None:
        self.end.clear()
        self.threads = [
            threading.Thread(
                target=self.work,
                args=(nurse, random.Random(self.dice.random())),
                kwargs={"on_after_loss": on_after_loss},
            )
            for nurse in range(WRITERS)
        ]
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        self.end.set()
        for thread in self.threads:
            thread.join()

    def send_one(self) -> None:
        visit = self.server.record.visits[0]
        one = Sent(key=str(uuid.uuid4()), visit=visit, pulse=70, fallen=False)
        assert self.send(one, 0), self.refused[-1:] or self.server.said()

    def send_again(self) -> int:
        """Send under its key what was not acknowledged; all of it is saved now."""
        again = list(self.ledger.open.values())
        for sent in again:
            nurse = next(
                n
                for n in range(WRITERS)
                if sent.visit in self.server.record.visits[n::WRITERS]
            )
            assert self.send(sent, nurse), self.refused[-1:] or self.server.said()
        return len(again)


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
