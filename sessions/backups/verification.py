"""Whether a restored database is the one that was backed up, and whole."""

from collections.abc import Iterator

from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader

from sessions import storage
from sessions.backups.errors import BackupError
from sessions.backups.manifest import Manifest, count
from sessions.models import AuditEntry
from sessions.services.audit import verify_chain


def refuse_unknown_migrations(manifest: Manifest) -> None:
    """A backup of a newer version holds what this one cannot check."""
    if manifest.migration not in _known_migrations():
        raise BackupError(
            f"The backup was made by version {manifest.app_version}, whose tables "
            f"({manifest.migration}) this version does not know. Install that version."
        )


def _known_migrations() -> set[str]:
    files = MigrationLoader(None).disk_migrations
    return {name for app, name in files if app == "infusions"}


def faults_of(using: str, manifest: Manifest) -> list[str]:
    """Everything by which a restored database differs from what was backed up."""
    found: list[str] = []
    try:
        for check in (_integrity, _counts, _triggers, _chain):
            found += check(using, manifest)
    except DatabaseError as error:  # it cannot even be read
        found.append(" ".join(str(error).split()))
    return found


def _integrity(using: str, manifest: Manifest) -> Iterator[str]:
    """Pages, indexes and keys; PostgreSQL checked its own while it loaded them."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        said = [row[0] for row in cursor.fetchall()]
        if said != ["ok"]:
            yield f"integrity check: {said[0]}"
        cursor.execute("PRAGMA foreign_key_check")
        for table, row, parent, _ in cursor.fetchall()[:1]:
            yield f"row {row} of {table} points to no row of {parent}"


def _counts(using: str, manifest: Manifest) -> Iterator[str]:
    found = count(using, at=manifest.made, app_version=manifest.app_version)
    for table in sorted(found.rows.keys() | manifest.rows.keys()):
        rows, wanted = found.rows.get(table), manifest.rows.get(table)
        if rows != wanted:
            yield f"{table} has {_rows(rows)}, the backup was made of {_rows(wanted)}"
        elif found.digests.get(table) != manifest.digests.get(table):
            yield f"{table} has other values than the backup was made of"
    if found.migration != manifest.migration:
        yield f"migration {found.migration} is not {manifest.migration}"


def _rows(number: int | None) -> str:
    return "no table" if number is None else f"{number} rows"


def _triggers(using: str, manifest: Manifest) -> Iterator[str]:
    """An older version had its own; `migrate`, which it needs, makes all of them."""
    if manifest.migration != max(_known_migrations()):
        return
    wanted = {name for name, _ in storage.trigger_names()}
    missing = wanted - storage.installed_triggers(connections[using])
    if missing:
        yield f"triggers missing: {', '.join(sorted(missing))}"


def _chain(using: str, manifest: Manifest) -> Iterator[str]:
    found = verify_chain(using=using)
    if found.fault:
        yield f"audit row {found.sequence}: {found.fault}"
    elif (found.rows, found.head_hash) != (
        manifest.audit_sequence,
        manifest.audit_hash,
    ):
        yield "the audit ends with another row than the backup was made of"


def missing_from_live(manifest: Manifest) -> bool | None:
    """Whether the live audit lacks the row that the backup ends with.

    Then its end was cut off or replaced since, or the backup is of another record.
    None when the live database holds no audit at all, as on a new machine.
    """
    table = AuditEntry._meta.db_table
    if table not in connections["default"].introspection.table_names():
        return None
    if not AuditEntry.objects.exists():
        return None
    same = AuditEntry.objects.filter(
        sequence=manifest.audit_sequence, hash=manifest.audit_hash
    )
    return bool(manifest.audit_sequence) and not same.exists()
