"""Whether a migration leaves every value as it was: rehearsed on a copy.

The copy is read through the database's own catalogue and not through the models, which
know the newest tables only.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command
from django.db import connections

from sessions import storage
from sessions.backups.manifest import migration_of
from sessions.services.audit import verify_chain

KEPT_BY_MIGRATE = frozenset(
    {
        *("django_migrations", "django_content_type"),
        *("auth_permission", "auth_group", "auth_group_permissions"),
    }
)
"""What `migrate` itself keeps up to date; nothing of anybody's record stands there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """One table: its rows, and for each column a checksum of all values in order."""

    rows: int
    columns: dict[str, str]


Prints = Mapping[str, Print]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What was compared, and everything by which it differs now."""

    before: Prints
    migration: str
    faults: list[str]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.before.values())

    @property
    def columns(self) -> int:
        return sum(len(table.columns) for table in self.before.values())


def rehearse(using: str, migrate: Callable[[str], None] | None = None) -> Rehearsal:
    """Migrate a copy to the newest tables, and compare it with what it was."""
    before = prints_of(using)
    (migrate or to_the_newest)(using)
    found = differences(before, prints_of(using))
    found += storage.faults(connections[using])
    chain = verify_chain(using=using)
    if chain.fault:
        found.append(f"audit row {chain.sequence}: {chain.fault}")
    newest = migration_of(connections[using])
    return Rehearsal(before=before, migration=newest, faults=found)


def to_the_newest(using: str) -> None:
    call_command("migrate", database=using, interactive=False, verbosity=0)


def prints_of(using: str) -> dict[str, Print]:
    """Count and sum up every table but those that `migrate` keeps."""
    tables = set(connections[using].introspection.table_names()) - KEPT_BY_MIGRATE
    return {table: _print_of(connections[using], table) for table in sorted(tables)}


def _print_of(connection: Any, table: str) -> Print:
    introspection, quoted = connection.introspection, connection.ops.quote_name
    with connection.cursor() as cursor:
        columns = [
            column.name for column in introspection.get_table_description(cursor, table)
        ]
        key = introspection.get_primary_key_column(cursor, table)
        # As text, so that another type or another number of digits shows as well.
        as_text = "quote({})" if connection.vendor == "sqlite" else "{}::text"
        values = ", ".join(as_text.format(quoted(name)) for name in columns)
        # Every part is a quoted name of the database's own catalogue.
        query = f"SELECT {values} FROM {quoted(table)} ORDER BY {quoted(key)}"  # noqa: S608  # nosec B608
        cursor.execute(query)
        digests, rows = [hashlib.sha256() for _ in columns], 0
        for row in cursor:
            rows += 1
            for digest, value in zip(digests, row, strict=True):
                digest.update(repr(value).encode())
    sums = (digest.hexdigest() for digest in digests)
    return Print(rows=rows, columns=dict(zip(columns, sums, strict=True)))


def differences(before: Prints, after: Prints) -> list[str]:
    """Everything that was there and is not, or is otherwise; what is new may be."""
    found = []
    for table, was in before.items():
        now = after.get(table)
        if now is None:
            found.append(f"{table} is gone")
        elif now.rows != was.rows:
            found.append(f"{table} had {was.rows} rows and has {now.rows}")
        else:
            for column, digest in was.columns.items():
                if column not in now.columns:
                    found.append(f"{table}.{column} is gone")
                elif now.columns[column] != digest:
                    found.append(f"{table}.{column} has other values")
    return found
