"""Copying a whole database out and putting one in place, on both engines.

SQLite's online backup and `pg_dump` both read one moment while others write. A file
copy never does.
"""

import os
import shutil
import sqlite3
import subprocess  # nosec B404
from collections.abc import Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from django.db import connections
from django.db.utils import load_backend
from psycopg import sql

from ivig_clinic import databases
from sessions.backups.envelope import sync_folder
from sessions.backups.errors import BackupError, UsageError
from sessions.backups.manifest import Manifest, count

WAIT_SECONDS = 20


@contextmanager
def opened(settings: dict[str, Any]) -> Iterator[str]:
    """A further database for Django, under an alias that lasts for the block."""
    alias = f"backup-{uuid4().hex}"
    whole = deepcopy(connections["default"].settings_dict) | {
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0,
        **settings,
    }
    connections[alias] = load_backend(whole["ENGINE"]).DatabaseWrapper(whole, alias)
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]


def scratch_file(file: Path) -> dict[str, Any]:
    """Settings to read a restored file of SQLite."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "OPTIONS": {"init_command": "PRAGMA query_only=ON;"},
    }


def copy_out(to: Path, *, at: datetime, app_version: str) -> Manifest:
    """Copy the product's database into one file, and count that same moment."""
    live = connections["default"]
    if live.vendor == "sqlite":
        return _copy_sqlite(Path(live.settings_dict["NAME"]), to, at, app_version)
    return _dump(to, at, app_version)


# SQLite


def _copy_sqlite(live: Path, to: Path, at: datetime, app_version: str) -> Manifest:
    try:
        with _connected(live) as source, closing(sqlite3.connect(to)) as copy:
            # All pages in one step: one read transaction, never begun again because
            # somebody wrote. In a write-ahead log writers go on meanwhile.
            source.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"The database could not be copied: {error}.") from error
    with opened(scratch_file(to)) as alias:
        return count(alias, at=at, app_version=app_version)


@contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    """A database that is there; one that is not, is not made."""
    uri = f"{file.resolve().as_uri()}?mode=rw"
    with closing(
        sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
    ) as connection:
        yield connection


def put_sqlite(
    scratch: Path, target: Path, *, replace: bool, stamp: str
) -> Path | None:
    """Put a restored file in place; return where the database before it is kept.

    A database that is there is written over by SQLite itself, as one transaction under
    its own lock, after it was copied aside under that same lock: a server that is
    still running can lose nothing that it acknowledged.
    """
    kept = None
    try:
        if target.exists() and target.stat().st_size:
            kept = target.with_name(f"{target.name}.replaced-{stamp}")
            refuse_unless(replace, f"{target} holds a database")
            _overwrite(scratch, target, kept)
        else:
            with closing(_made(target)) as made, _connected(scratch) as source:
                made.execute("PRAGMA synchronous=EXTRA")
                source.backup(made, pages=-1)
        sync_folder(target.parent)
    except sqlite3.Error as error:
        raise BackupError(
            f"{target} could not be written: {error}. Stop the server first."
        ) from error
    except OSError as error:
        raise BackupError(f"{target}: {error.strerror}.") from error
    return kept


def refuse_unless(replace: bool, what: str) -> None:
    if not replace:
        raise UsageError(
            f"{what}, and a restore would take its place. With --replace it is moved "
            "aside, not deleted."
        )


def _made(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    return sqlite3.connect(file, timeout=WAIT_SECONDS, isolation_level=None)


def _overwrite(scratch: Path, target: Path, kept: Path) -> None:
    with _connected(target) as held:
        held.execute("PRAGMA locking_mode=EXCLUSIVE")
        held.execute("PRAGMA synchronous=EXTRA")
        held.execute("BEGIN EXCLUSIVE")
        held.execute("COMMIT")  # the lock stays until this connection closes
        with closing(_made(kept)) as aside:
            held.backup(aside, pages=-1)
        with _connected(scratch) as source:
            source.backup(held, pages=-1)


# PostgreSQL


def _dump(to: Path, at: datetime, app_version: str) -> Manifest:
    with opened({}) as alias:
        connection = connections[alias]
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            snapshot = cursor.fetchone()[0]
        run(
            "pg_dump",
            connection.settings_dict,
            *("--format=custom", "--compress=0", "--no-owner", "--no-privileges"),
            *(f"--snapshot={snapshot}", f"--file={to}"),
        )
        found = count(alias, at=at, app_version=app_version)
        connection.rollback()
    return found


def run(program: str, settings: dict[str, Any], *arguments: str) -> None:
    """Run one of PostgreSQL's programs; the password goes by the environment."""
    wanted = {
        "PGHOST": settings["HOST"],
        "PGPORT": settings["PORT"],
        "PGUSER": settings["USER"],
        "PGPASSWORD": settings["PASSWORD"],
        "PGDATABASE": settings["NAME"],
        "PGSSLMODE": settings["OPTIONS"].get("sslmode", ""),
        "PGSSLROOTCERT": settings["OPTIONS"].get("sslrootcert", ""),
    }
    environment = os.environ | {name: value for name, value in wanted.items() if value}
    # PostgreSQL's own programs, without a shell and without typed words.
    done = subprocess.run(  # noqa: S603  # nosec B603
        [_program(program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[:500]
        raise BackupError(f"{program} failed: {said or f'status {done.returncode}'}")


def _program(name: str) -> str:
    """The newest one: a dump must not be older than its server."""
    debian = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(debian, key=lambda each: float(each.parts[-3]), default=None)
    found = str(newest) if newest else shutil.which(name)
    if found is None:
        raise UsageError(
            f"{name} is missing. On Debian or Ubuntu: "
            "sudo apt-get install postgresql-client"
        )
    return found


def postgresql_at(url: str) -> dict[str, Any]:
    return databases.postgresql(url)


@contextmanager
def _maintenance(settings: dict[str, Any]) -> Iterator[psycopg.Connection]:
    """A connection beside the database, to make, rename and drop it."""
    with psycopg.connect(
        dbname="postgres",
        user=settings["USER"],
        password=settings["PASSWORD"],
        host=settings["HOST"],
        port=settings["PORT"] or 5432,
        autocommit=True,
    ) as connection:
        yield connection


@contextmanager
def restored_postgresql(dump: Path, settings: dict[str, Any]) -> Iterator[dict]:
    """Load a dump into a database of its own beside the given one.

    It is dropped at the end of the block, unless it was put in place meanwhile.
    """
    name = f"{settings['NAME'][:40]}_scratch_{uuid4().hex[:12]}"
    scratch = settings | {"NAME": name}
    try:
        with _maintenance(settings) as beside:
            beside.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(
                    sql.Identifier(name)
                )
            )
    except psycopg.Error as error:
        raise BackupError(
            "A database to restore into could not be made; the account needs "
            f"CREATEDB: {_said(error)}"
        ) from error
    try:
        run(
            "pg_restore",
            scratch,
            *("--no-owner", "--no-privileges", "--exit-on-error"),
            *("--single-transaction", f"--dbname={name}", str(dump)),
        )
        yield scratch
    finally:
        with _maintenance(settings) as beside:
            beside.execute(
                sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
            )


def holds_tables(settings: dict[str, Any]) -> bool | None:
    """Whether a database holds anything; None when there is no such database."""
    try:
        with _maintenance(settings) as beside:
            there = beside.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [settings["NAME"]]
            ).fetchone()
    except psycopg.Error as error:
        raise BackupError(f"PostgreSQL does not answer: {_said(error)}") from error
    if not there:
        return None
    with opened(settings) as alias:
        return bool(connections[alias].introspection.table_names())


def put_postgresql(
    scratch: dict[str, Any], target: dict[str, Any], *, replace: bool, stamp: str
) -> str | None:
    """Give the restored database its name; return the name of the one before it.

    PostgreSQL refuses while anybody is connected to either.
    """
    held = holds_tables(target)
    if held:
        refuse_unless(replace, f"The database {target['NAME']} holds tables")
    kept = f"{target['NAME'][:40]}_replaced_{stamp}".lower()
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    connections["default"].close()  # it may be the one to be replaced
    try:
        with _maintenance(target) as beside, beside.transaction():
            if held is not None:
                old = sql.Identifier(target["NAME"])
                beside.execute(rename.format(old, sql.Identifier(kept)))
            beside.execute(
                rename.format(
                    sql.Identifier(scratch["NAME"]), sql.Identifier(target["NAME"])
                )
            )
    except psycopg.Error as error:
        raise BackupError(
            f"The database {target['NAME']} could not be replaced: {_said(error)} "
            "Stop the server first."
        ) from error
    if held is False:
        with _maintenance(target) as beside:
            beside.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(kept)))
    return kept if held else None


def _said(error: Exception) -> str:
    return " ".join(str(error).split())
