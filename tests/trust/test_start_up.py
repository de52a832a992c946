"""The server does not start on a database that may lose what it acknowledges."""

import subprocess
import sys
import time

import pytest
from django.db import connection, connections

from ivig_clinic import databases
from sessions import storage
from sessions.backups.engines import opened
from tests.postgres.cluster import cluster
from tests.trust.server import ROOT, environment, seeded

only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="a setting of SQLite"
)
only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a setting of PostgreSQL"
)


@only_sqlite
@pytest.mark.parametrize(
    ("unsafe", "said"),
    [
        ("synchronous=OFF", "PRAGMA synchronous is 0"),
        ("synchronous=NORMAL", "PRAGMA synchronous is 1"),
        ("journal_mode=DELETE", "PRAGMA journal_mode is delete"),
        ("foreign_keys=OFF", "PRAGMA foreign_keys is 0"),
        ("recursive_triggers=OFF", "PRAGMA recursive_triggers is 0"),
        ("mmap_size=1000000", "PRAGMA mmap_size is 1000000"),
        ("busy_timeout=0", "PRAGMA busy_timeout is 0"),
    ],
)
def test_an_unsafe_setting_of_sqlite_is_named(record, unsafe, said):
    settings = record.settings
    init = settings["OPTIONS"]["init_command"] + f"PRAGMA {unsafe};"
    options = settings["OPTIONS"] | {"init_command": init}
    with opened(settings | {"OPTIONS": options}) as alias:
        found = storage.faults(connections[alias])

    assert [fault for fault in found if fault.startswith(said)] == found != []


@only_sqlite
def test_writers_that_do_not_queue_are_named(record):
    options = record.settings["OPTIONS"] | {"transaction_mode": "DEFERRED"}
    with opened(record.settings | {"OPTIONS": options}) as alias:
        found = storage.faults(connections[alias])

    assert found == ["writers do not queue from their first statement"]


@only_sqlite
@pytest.mark.parametrize(
    ("version", "journal", "synchronous"),
    [((3, 40, 1), "delete", "3"), ((3, 51, 2), "delete", "3")],
)
def test_an_old_library_never_gets_a_write_ahead_log(
    record, monkeypatch, version, journal, synchronous
):
    """What 3.51.3 mended could tear a log that is reset at the wrong moment."""
    wal = record.settings
    monkeypatch.setattr(databases.sqlite3, "sqlite_version_info", version)
    with opened(wal) as alias:
        found = storage.faults(connections[alias])
    assert f"PRAGMA journal_mode is wal, not {journal}" in found
    assert f"PRAGMA synchronous is 2, not {synchronous}" in found

    with opened(databases.sqlite(record.file)) as alias:
        assert storage.faults(connections[alias]) == []


@only_sqlite
def test_gunicorn_does_not_serve_a_record_whose_triggers_are_gone(record, tmp_path):
    """As `make run` starts it: the door itself refuses, and says why."""
    with opened(record.settings) as alias:
        storage.drop_triggers(connections[alias])
    done = subprocess.run(
        [sys.executable, "-c", "import ivig_clinic.wsgi"],
        env=record.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert "Refusing to serve: triggers missing: " in done.stderr


@only_postgresql
def test_an_unsafe_setting_of_postgresql_is_named(tmp_path):
    """One at a time; a cluster that was made without checksums is one, too."""
    unsafe = {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "session_replication_role": "replica",
    }
    with cluster() as made:
        settings = databases.postgresql(made.url)
        seeded(environment(url=made.url), nurses=1, visits=1)

        def found(settings) -> list[str]:
            with opened(settings) as alias:
                return storage.faults(connections[alias])

        for name, value in unsafe.items():
            made.sql(f"ALTER SYSTEM SET {name} = {value}")
            made.sql("SELECT pg_reload_conf()")
            (said,) = eventually(lambda: found(settings | {"OPTIONS": {}}))
            assert said.startswith(f"SHOW {name} is {value}, not "), said
            # what a connection of ours sets, no setting of the cluster takes away
            assert len(found(settings)) == (name != "synchronous_commit")
            made.sql(f"ALTER SYSTEM RESET {name}")
            made.sql("SELECT pg_reload_conf()")
            assert eventually(lambda: not found(settings | {"OPTIONS": {}}))
        made.sql("ALTER SYSTEM SET data_sync_retry = on")
        made.stop()
        made.run("pg_checksums", "--disable", "-D", str(made.data))
        made.start()
        assert [each.partition(", not ")[0] for each in found(settings)] == [
            "SHOW data_sync_retry is on",
            "SHOW data_checksums is off",
        ]


def eventually(asked, *, within: float = 5):
    """What is asked for, as soon as there is something: a reload takes its moment."""
    until = time.monotonic() + within
    while not (answer := asked()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer
