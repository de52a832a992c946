"""What a database holds, counted: kept in the backup, compared after a restore."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db import connections

from sessions.backups.errors import BackupError
from sessions.models import FIRST_PREVIOUS, AuditEntry

MOST_BYTES = 1 << 20
"""A manifest is one line of some kilobytes; a longer one is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The first line of a backup.

    `rows` counts the rows of each table. `digests` is there on PostgreSQL, where a
    dump is loaded anew: the sum of the MD5 of each row as text, so that a value that
    came back otherwise shows. On SQLite the file itself comes back, and
    `content_sha256` stands for all of it.
    """

    app_version: str
    made_at: str
    engine: str
    migration: str
    rows: dict[str, int]
    digests: dict[str, str]
    audit_sequence: int
    audit_hash: str
    content_bytes: int = 0
    content_sha256: str = ""

    @property
    def made(self) -> datetime:
        return datetime.fromisoformat(self.made_at)

    @property
    def total_rows(self) -> int:
        return sum(self.rows.values())

    def line(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "Manifest":
        try:
            found = cls(**json.loads(line))
            return replace(found, made_at=found.made.astimezone(UTC).isoformat())
        except (TypeError, ValueError, AttributeError):
            raise BackupError(
                "The backup is of a form that this version does not know."
            ) from None


def count(using: str, *, at: datetime, app_version: str) -> Manifest:
    """Count a database as it stands in the caller's transaction or copy."""
    connection = connections[using]
    tables = sorted(connection.introspection.table_names())
    counted = {name: _counted(connection, name) for name in tables}
    digests = {name: digest for name, (_, digest) in counted.items() if digest}
    head = None
    if AuditEntry._meta.db_table in counted:
        entries = AuditEntry.objects.using(using).order_by("-sequence")
        head = entries.values("sequence", "hash").first()
    return Manifest(
        app_version=app_version,
        made_at=at.astimezone(UTC).isoformat(),
        engine=connection.vendor,
        migration=migration_of(connection) if "django_migrations" in counted else "",
        rows={name: rows for name, (rows, _) in counted.items()},
        digests=digests,
        audit_sequence=head["sequence"] if head else 0,
        audit_hash=head["hash"] if head else FIRST_PREVIOUS,
    )


def _counted(connection: Any, table: str) -> tuple[int, str]:
    name = connection.ops.quote_name(table)
    digest = "''"
    if connection.vendor == "postgresql":
        of_row = "('x' || left(md5(each::text), 15))::bit(60)::bigint"
        digest = f"coalesce(sum({of_row}), 0)::text"
    # Both parts are ours: a quoted table of the models, a fixed expression.
    query = f"SELECT count(*), {digest} FROM {name} AS each"  # noqa: S608  # nosec B608
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def migration_of(connection: Any) -> str:
    """The newest of our migrations that this database has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(name) FROM django_migrations WHERE app = 'infusions'"
        )
        return cursor.fetchone()[0] or ""
