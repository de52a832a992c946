"""Every migration, rehearsed on a record of the first version (H32)."""

from collections.abc import Iterator

import pytest
from django.db import connections, transaction
from django.db.migrations.loader import MigrationLoader

from sessions.backups.rehearsal import Rehearsal, differences, prints_of, rehearse
from sessions.storage import append_only_tables, drop_triggers, header_tables
from tests.upgrades.old_records import FIRST, record_of


@pytest.fixture(scope="module")
def rehearsed(
    tmp_path_factory, django_db_setup, django_db_blocker
) -> Iterator[tuple[str, Rehearsal]]:
    """The record of the first version, migrated, with what was compared."""
    folder = tmp_path_factory.mktemp("old")
    with django_db_blocker.unblock(), record_of(FIRST, folder) as alias:
        yield alias, rehearse(alias)


def test_every_value_of_the_first_version_is_there_after_the_newest(rehearsed):
    _, done = rehearsed

    assert done.faults == []
    files = MigrationLoader(None).disk_migrations
    assert done.migration == max(name for app, name in files if app == "infusions")
    assert done.rows > 400
    assert done.columns > 400
    kept = {*append_only_tables(), *header_tables()} & done.before.keys()
    assert len(kept) > 30
    assert [name for name in kept if not done.before[name].rows] == []


HARM = {
    "a value rounded": (
        "UPDATE infusions_weight SET weight_kg = 71 WHERE weight_kg = 71.5",
        "infusions_weight.weight_kg has other values",
    ),
    "a text cut": (
        "UPDATE infusions_patient SET family_name = substr(family_name, 1, 5)",
        "infusions_patient.family_name has other values",
    ),
    "a moment moved": (
        "UPDATE infusions_start SET event_time = "
        "(SELECT max(at) FROM infusions_auditentry)",
        "infusions_start.event_time has other values",
    ),
    "rows lost": (
        "DELETE FROM infusions_vialend",
        "infusions_vialend had 2 rows and has 0",
    ),
    "a column dropped": (
        "ALTER TABLE infusions_reaction DROP COLUMN note",
        "infusions_reaction.note is gone",
    ),
    "a table dropped": (
        "DROP TABLE infusions_linecheck",
        "infusions_linecheck is gone",
    ),
}


def test_a_migration_that_harms_the_record_is_named(rehearsed):
    alias, _ = rehearsed
    before = prints_of(alias)
    for statement, words in HARM.values():
        with transaction.atomic(using=alias):
            drop_triggers(connections[alias])
            with connections[alias].cursor() as cursor:
                cursor.execute(statement)
            found = differences(before, prints_of(alias))
            transaction.set_rollback(True, using=alias)
        assert found == [words]


def test_triggers_and_the_audit_are_looked_at_after_a_migration(rehearsed):
    alias, _ = rehearsed

    def migrate(using: str) -> None:
        drop_triggers(connections[using])
        with connections[using].cursor() as cursor:
            cursor.execute(
                "UPDATE infusions_auditentry SET action = 'x' WHERE sequence = 3"
            )

    with transaction.atomic(using=alias):
        found = rehearse(alias, migrate).faults
        transaction.set_rollback(True, using=alias)

    assert "infusions_auditentry.action has other values" in found
    assert "audit row 3: its content was changed" in found
    assert any(fault.startswith("triggers missing: ") for fault in found)
