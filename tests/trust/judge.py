"""What must be true of a record after a crash, whatever was under way."""

from dataclasses import dataclass, field

from django.db import connections

from sessions.models import AuditEntry, Flag, FlagEvent, VitalSigns
from sessions.services.audit import verify_chain
from tests.postgres.cluster import ACCOUNT, SUPERUSER, Cluster

ACT = "vitals.record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One set that was posted: its key, its visit, and whether it calls for a flag."""

    key: str
    visit: int
    pulse: int
    fallen: bool


@dataclass(slots=True)
class Ledger:
    """What the writers sent; `taken` was acknowledged, the rest may be there or not."""

    taken: dict[str, Sent] = field(default_factory=dict)
    open: dict[str, Sent] = field(default_factory=dict)


def faults(alias: str, ledger: Ledger, *, after: int) -> list[str]:
    """Everything wrong with the sets whose id is above `after`; none is what we want.

    Each acknowledged set is there once with its values; each set that is there was
    sent, has its audit row with its key, and its flag when it calls for one.
    """
    found = []
    rows = {row.pk: row for row in VitalSigns.objects.using(alias).filter(pk__gt=after)}
    entries = list(
        AuditEntry.objects.using(alias).filter(action=ACT, object_id__gt=after)
    )
    sent = ledger.taken | ledger.open
    by_key = {entry.key: entry for entry in entries}
    flagged = set(
        Flag.objects.using(alias)
        .filter(vitals__gt=after)
        .values_list("vitals", flat=True)
    ) | set(
        FlagEvent.objects.using(alias)
        .filter(vitals__gt=after)
        .values_list("vitals", flat=True)
    )
    for key in ledger.taken.keys() - by_key.keys():
        found.append(f"acknowledged and lost: {key}")
    about = [entry.object_id for entry in entries]
    if len(set(about)) != len(about):
        found.append("two audit rows for one set")
    for pk in rows.keys() - set(about):
        found.append(f"set {pk} without its audit row")
    for entry in entries:
        row, post = rows.get(entry.object_id), sent.get(entry.key)
        if row is None:
            found.append(f"audit row {entry.sequence} without its set")
        elif post is None:
            found.append(f"set {row.pk} under a key that nobody sent: {entry.key}")
        elif (row.session_id, row.pulse) != (post.visit, post.pulse):
            found.append(f"set {row.pk} is not what was sent")
        elif post.fallen and row.pk not in flagged:
            found.append(f"set {row.pk} without its flag")
    return found + unsound(alias)


def unsound(alias: str) -> list[str]:
    """What SQLite itself finds wrong with its file; PostgreSQL: `damaged_pages`."""
    connection = connections[alias]
    if connection.vendor != "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        said = [word for (word,) in cursor.fetchall() if word != "ok"]
        cursor.execute("PRAGMA foreign_key_check")
        return said + [f"foreign key: {row}" for row in cursor.fetchall()]


def damaged_pages(made: Cluster) -> str:
    """What PostgreSQL itself finds wrong with its files; empty when all is sound.

    Checksums are compared while it is stopped; amcheck (of PostgreSQL 14 and later)
    reads every table and index once it runs again.
    """
    made.stop()
    try:
        made.run("pg_checksums", "--check", "-D", str(made.data))
        made.start()
        if (made.programs / "pg_amcheck").exists():
            made.run(
                *("pg_amcheck", "-h", str(made.folder), "-p", str(made.port)),
                *("-U", SUPERUSER, "-d", ACCOUNT),
                *("--install-missing", "--heapallindexed"),
            )
    except RuntimeError as found:
        return str(found)
    return ""


def broken_chain(alias: str) -> str:
    return verify_chain(using=alias).fault
