"""Whose turn it is to write: a fair wait for SQLite's one lock.

SQLite's own wait looks at the lock ten times a second. Between writers that hardly
pause it is free for less than a thousandth, and taken by who asks just then: one of
eight waited the whole twenty seconds and was refused. Who asks at short, uneven
intervals has the same chance as everybody. PostgreSQL keeps a queue itself.
"""

import random
import sqlite3
import time

from django.db import OperationalError

SHORTEST_S, LONGEST_S = 0.001, 0.005


def wait_fairly(sender, connection, **_signal) -> None:
    """Make the transactions of a new connection wait so."""
    wrappers = connection.execute_wrappers
    if connection.vendor == "sqlite" and begin_in_turn not in wrappers:
        wrappers.append(begin_in_turn)


def begin_in_turn(execute, sql, params, many, context):
    """Ask for the lock until the connection's own limit of time is over."""
    if sql != "BEGIN IMMEDIATE":
        return execute(sql, params, many, context)
    door = context["connection"].connection
    (limit_ms,) = door.execute("PRAGMA busy_timeout").fetchone()
    ends = time.monotonic() + limit_ms / 1000
    door.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                return execute(sql, params, many, context)
            except OperationalError as error:
                if not _is_busy(error) or time.monotonic() >= ends:
                    raise
            # Chance keeps waiting writers apart; nothing secret hangs on it.
            time.sleep(random.uniform(SHORTEST_S, LONGEST_S))  # noqa: S311  # nosec B311
    finally:
        door.execute(f"PRAGMA busy_timeout = {limit_ms}")


def _is_busy(error: OperationalError) -> bool:
    """Another connection holds the lock; the low byte leaves out how."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY
