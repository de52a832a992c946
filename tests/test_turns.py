"""Writers of SQLite wait in turn, for as long as their connection may."""

import sqlite3
from contextlib import closing, contextmanager

import pytest
from django.db import OperationalError, connection, transaction

from sessions import turns

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the lock of SQLite"),
]


@contextmanager
def held():
    """Another process writes."""
    file = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(file, isolation_level=None)) as door:
        door.execute("BEGIN IMMEDIATE")
        yield door


def limit_ms() -> int:
    return connection.connection.execute("PRAGMA busy_timeout").fetchone()[0]


def test_who_waits_asks_often_and_gets_the_lock_when_it_is_free(monkeypatch):
    connection.ensure_connection()
    waits = []
    with held() as door:

        def wait(seconds: float) -> None:
            waits.append(seconds)
            assert limit_ms() == 0
            if len(waits) == 3:
                door.execute("ROLLBACK")

        monkeypatch.setattr(turns.time, "sleep", wait)
        with transaction.atomic():
            assert limit_ms() == 20_000

    assert len(waits) == 3
    assert len(set(waits)) == 3
    assert all(turns.SHORTEST_S <= each <= turns.LONGEST_S for each in waits)


def test_the_wait_ends_with_the_connections_own_limit():
    connection.ensure_connection()
    connection.connection.execute("PRAGMA busy_timeout = 50")
    with held(), pytest.raises(OperationalError, match="locked"), transaction.atomic():
        raise AssertionError("two writers at once")

    assert limit_ms() == 50
    connection.close()


def test_what_is_no_matter_of_turns_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(turns.time, "sleep", lambda _: pytest.fail("waited"))
    with (
        transaction.atomic(),
        pytest.raises(OperationalError, match="within a transaction"),
        connection.cursor() as cursor,
    ):
        cursor.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="syntax"), connection.cursor() as cursor:
        cursor.execute("BEGIN WHENEVER")
