"""A backup made while the clinic works comes back row by row, or is refused (H32)."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from time import sleep

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from sessions import storage
from sessions.backups import engines, envelope, files, rehearsal
from sessions.backups.age import age_of_last_verified
from sessions.backups.errors import BackupError, UsageError
from sessions.backups.manifest import Manifest
from sessions.backups.verification import faults_of
from sessions.models import AuditEntry
from sessions.services.acts import Actor, act
from sessions.services.backups import MADE, RESTORED, VERIFIED, backup_verified
from sessions.services.patients import record_weight
from tests.conftest import NINE
from tests.factories.patients import PatientFactory, actor_of
from tests.test_backup_envelope import room_for

# Backups are read through a second connection, so the rows have to be committed.
pytestmark = pytest.mark.django_db(transaction=True)

KEY = bytes(range(32))
WRITERS = 4
POSTGRESQL = connection.vendor == "postgresql"


@pytest.fixture
def key_file(tmp_path) -> Path:
    path = tmp_path / "keys" / "backup.key"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(KEY.hex())
    return path


@pytest.fixture
def weighed(nurse) -> None:
    """A record with something in it."""
    patient = PatientFactory(clinic=nurse.clinic, created_by=nurse)
    for weight in ("71.5", "72"):
        record_weight(
            patient=patient, weight_kg=Decimal(weight), by=actor_of(nurse, NINE)
        )


@pytest.fixture
def elsewhere(tmp_path) -> Iterator[str]:
    """A place to restore to, as `--to` names it; taken away afterwards."""
    if not POSTGRESQL:
        yield str(tmp_path / "elsewhere.sqlite3")
        return
    live = connection.settings_dict
    name = f"elsewhere_{live['NAME']}"
    yield (
        f"postgresql://{live['USER']}:{live['PASSWORD']}"
        f"@{live['HOST']}:{live['PORT']}/{name}"
    )
    with engines._maintenance(live) as beside:
        found = beside.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{name}%"]
        )
        for (left,) in found.fetchall():
            beside.execute(f'DROP DATABASE "{left}"')


def settings_of(target: str) -> dict:
    if POSTGRESQL:
        return engines.postgresql_at(target)
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": target, "OPTIONS": {}}


def change(target: str, *statements: str) -> None:
    with (
        engines.opened(settings_of(target)) as alias,
        connections[alias].cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)


def rows_of(alias: str) -> dict[str, list[str]]:
    """Every row of every table, as text, in an order of its own."""
    found = {}
    with connections[alias].cursor() as cursor:
        for table in connections[alias].introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found


def rows_at(target: str) -> dict[str, list[str]]:
    with engines.opened(settings_of(target)) as alias:
        return rows_of(alias)


@contextmanager
def writing(nurse) -> Iterator[None]:
    """Nurses weigh patients, as fast as they can, until the block ends."""
    stop, failed = threading.Event(), []

    def weigh(patient) -> None:
        try:
            while not stop.is_set():
                record_weight(
                    patient=patient, weight_kg=Decimal("72"), by=actor_of(nurse, NINE)
                )
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    patients = [
        PatientFactory(clinic=nurse.clinic, created_by=nurse) for _ in range(WRITERS)
    ]
    threads = [threading.Thread(target=weigh, args=[each]) for each in patients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []


def wait_for_writes(number: int) -> None:
    wanted = AuditEntry.objects.count() + number
    while AuditEntry.objects.count() < wanted:
        sleep(0.02)


def back_up_under_writers(number: int, nurse, folder: Path, target: str) -> None:
    made = []
    with writing(nurse):
        for turn in range(number):
            wait_for_writes(WRITERS)
            made.append(files.make(folder, key=KEY, at=NINE + timedelta(minutes=turn)))
        wait_for_writes(WRITERS)
    assert len({manifest.audit_sequence for _, manifest in made}) == number
    made.append(files.make(folder, key=KEY, at=NINE + timedelta(hours=1)))
    live = rows_of("default")

    for path, manifest in made:
        files.restore(path, target, key=KEY, replace=True, at=manifest.made)
        restored = rows_at(target)
        expected = as_it_was(live, manifest)
        assert restored.keys() == expected.keys()
        for table, rows in expected.items():
            assert restored[table] == rows, table
    assert restored == live


def as_it_was(live: dict[str, list[str]], manifest: Manifest) -> dict[str, list[str]]:
    """The live rows without those that were written after the backup's moment.

    A weight belongs to the audit row of its act: it is there exactly when that is.
    """
    entries = AuditEntry.objects.filter(sequence__lte=manifest.audit_sequence)
    weights = set(
        entries.filter(action="patient.weigh").values_list("object_id", flat=True)
    )
    sequences = set(entries.values_list("sequence", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM infusions_auditentry")
        audited = [row for row in cursor.fetchall() if row[0] in sequences]
        cursor.execute("SELECT * FROM infusions_weight")
        weighed = [row for row in cursor.fetchall() if row[0] in weights]
    return live | {
        "infusions_auditentry": sorted(map(repr, audited)),
        "infusions_weight": sorted(map(repr, weighed)),
    }


def test_backups_made_under_writers_come_back_row_by_row(nurse, tmp_path, elsewhere):
    back_up_under_writers(3, nurse, tmp_path / "backups", elsewhere)


@pytest.mark.soak
def test_thirty_backups_made_under_writers_come_back(nurse, tmp_path, elsewhere):
    back_up_under_writers(30, nurse, tmp_path / "backups", elsewhere)


def test_nothing_is_left_in_the_clear(weighed, tmp_path):
    home = Path(connection.settings_dict["NAME"]).parent
    before = set() if POSTGRESQL else set(home.glob(".ivig-backup-*"))

    path, _ = files.make(tmp_path / "backups", key=KEY, at=NINE)
    files.verify(path, key=KEY)

    assert b"Okonkwo" not in path.read_bytes()
    assert list(path.parent.iterdir()) == [path]
    if not POSTGRESQL:
        assert set(home.glob(".ivig-backup-*")) == before


def trigger(name: str, table: str) -> str:
    return f"DROP TRIGGER {name}" + (f" ON {table}" if POSTGRESQL else "")


AUDIT = "infusions_auditentry"
TAMPERED = {
    "a row lost": (
        ["DELETE FROM auth_group_permissions"],
        "auth_group_permissions has 0 rows, the backup was made of",
    ),
    "a row added": (
        ["INSERT INTO auth_group (name) VALUES ('intruders')"],
        "auth_group has 7 rows, the backup was made of 6 rows",
    ),
    "a table lost": (["DROP TABLE django_session"], "django_session has no table"),
    "a trigger lost": (
        [trigger("infusions_weight_no_update", "infusions_weight")],
        "triggers missing: infusions_weight_no_update",
    ),
    "an audit row changed": (
        [
            trigger(f"{AUDIT}_no_update", AUDIT),
            "UPDATE infusions_auditentry SET action = 'other' WHERE sequence = 1",
        ],
        "audit row 1: its content was changed",
    ),
    "the audit cut": (
        [
            trigger(f"{AUDIT}_no_delete", AUDIT),
            "DELETE FROM infusions_auditentry WHERE sequence = 2",
        ],
        "the audit ends with another row",
    ),
    "a migration undone": (
        ["UPDATE django_migrations SET name = '0000_x' WHERE app = 'infusions'"],
        "migration 0000_x is not",
    ),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_what_a_restored_database_lacks_is_named(weighed, tmp_path, elsewhere, kind):
    statements, words = TAMPERED[kind]
    path, manifest = files.make(tmp_path, key=KEY, at=NINE)
    files.restore(path, elsewhere, key=KEY, replace=False, at=NINE)
    assert faults_at(elsewhere, manifest) == []

    change(elsewhere, *statements)

    assert any(words in fault for fault in faults_at(elsewhere, manifest))


def faults_at(target: str, manifest: Manifest) -> list[str]:
    with engines.opened(settings_of(target)) as alias:
        return faults_of(alias, manifest)


@pytest.mark.skipif(not POSTGRESQL, reason="SQLite's file comes back byte by byte")
def test_a_changed_value_is_noticed_after_a_dump(weighed, tmp_path, elsewhere):
    path, manifest = files.make(tmp_path, key=KEY, at=NINE)
    files.restore(path, elsewhere, key=KEY, replace=False, at=NINE)

    change(elsewhere, "UPDATE infusions_clinic SET phone = '1'")

    assert faults_at(elsewhere, manifest) == [
        "infusions_clinic has other values than the backup was made of"
    ]


@pytest.mark.skipif(POSTGRESQL, reason="PostgreSQL checks keys while it loads")
def test_a_row_that_points_nowhere_is_noticed(weighed, tmp_path, elsewhere):
    path, manifest = files.make(tmp_path, key=KEY, at=NINE)
    files.restore(path, elsewhere, key=KEY, replace=False, at=NINE)
    change(
        elsewhere,
        trigger("infusions_weight_no_update", "infusions_weight"),
        "PRAGMA foreign_keys = OFF",
        "UPDATE infusions_weight SET patient_id = 999",
    )

    found = faults_at(elsewhere, manifest)

    assert any("of infusions_weight points to no row of" in fault for fault in found)


@pytest.mark.skipif(POSTGRESQL, reason="pages of a file of SQLite")
def test_a_broken_page_is_noticed(weighed, tmp_path, elsewhere):
    path, manifest = files.make(tmp_path, key=KEY, at=NINE)
    files.restore(path, elsewhere, key=KEY, replace=False, at=NINE)
    with (
        engines.opened(settings_of(elsewhere)) as alias,
        connections[alias].cursor() as cursor,
    ):
        cursor.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'audit_clinic_at'"
        )
        (page,) = cursor.fetchone()
        cursor.execute("PRAGMA page_size")
        (size,) = cursor.fetchone()
    with Path(elsewhere).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))

    assert "database disk image is malformed" in faults_at(elsewhere, manifest)


def resealed(path: Path, change) -> Path:
    """A backup that was opened, changed and sealed again with the right key."""
    with path.open("rb") as file:
        line, _, content = b"".join(envelope.unseal(file, KEY)).partition(b"\n")
    changed = path.with_name("ivig-clinic-changed.backup")
    envelope.write_whole(changed, [b"\n".join(change(line, content))], KEY)
    return changed


def test_content_that_is_not_what_the_manifest_says_is_refused(weighed, tmp_path):
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    changed = resealed(path, lambda line, content: (line, content[:-1] + b"?"))

    with pytest.raises(BackupError, match="another SHA-256"):
        files.verify(changed, key=KEY)


@pytest.mark.parametrize("line", [b"{}", b"[]", b"no json", b'{"made_at": 1}'])
def test_a_manifest_of_another_form_is_refused(weighed, tmp_path, line):
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    changed = resealed(path, lambda _, content: (line, content))

    with pytest.raises(BackupError, match="of a form that this version does not know"):
        files.verify(changed, key=KEY)


def test_a_backup_of_a_newer_version_is_refused(weighed, tmp_path, elsewhere):
    path, manifest = files.make(tmp_path, key=KEY, at=NINE)
    known = manifest.migration.encode()
    changed = resealed(
        path, lambda line, content: (line.replace(known, b"9000_later"), content)
    )

    with pytest.raises(BackupError, match="Install that version"):
        files.restore(changed, elsewhere, key=KEY, replace=False, at=NINE)


def test_a_database_that_is_there_is_only_moved_aside(weighed, tmp_path, elsewhere):
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    files.restore(path, elsewhere, key=KEY, replace=False, at=NINE)
    change(elsewhere, "UPDATE infusions_clinic SET phone = 'before'")

    with pytest.raises(UsageError, match="--replace"):
        files.restore(path, elsewhere, key=KEY, replace=False, at=NINE)
    done = files.restore(path, elsewhere, key=KEY, replace=True, at=NINE)

    kept = elsewhere.rsplit("/", 1)[0] + "/" + done.kept.rsplit("/", 1)[-1]
    assert "before" in rows_at(kept)["infusions_clinic"][0]
    assert "before" not in rows_at(elsewhere)["infusions_clinic"][0]


def test_a_database_in_use_is_not_replaced(weighed, tmp_path, elsewhere, monkeypatch):
    monkeypatch.setattr(engines, "WAIT_SECONDS", 0.1)
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    files.restore(path, elsewhere, key=KEY, replace=False, at=NINE)

    with engines.opened(settings_of(elsewhere)) as alias:
        with connections[alias].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=WAL" if not POSTGRESQL else "SELECT 1")
            cursor.execute("UPDATE infusions_clinic SET phone = 'in use'")
        with pytest.raises(BackupError, match="Stop the server first"):
            files.restore(path, elsewhere, key=KEY, replace=True, at=NINE)

    assert "in use" in rows_at(elsewhere)["infusions_clinic"][0]


@pytest.mark.skipif(POSTGRESQL, reason="pg_dump is another process")
def test_a_full_disk_leaves_nothing_behind(weighed, tmp_path):
    home = Path(connection.settings_dict["NAME"]).parent
    before = set(home.glob(".ivig-backup-*"))

    with room_for(100_000), pytest.raises(BackupError, match="could not be copied"):
        files.make(tmp_path / "backups", key=KEY, at=NINE)

    assert list((tmp_path / "backups").iterdir()) == []
    assert set(home.glob(".ivig-backup-*")) == before


def test_the_commands_make_verify_and_restore(weighed, tmp_path, key_file, elsewhere):
    key, folder = f"--key-file={key_file}", tmp_path / "backups"

    call_command("backup", f"--to={folder}", key, "--verify")
    call_command("verify_backup", str(folder), key)
    (path,) = folder.iterdir()
    call_command("restore", str(path), f"--to={elsewhere}", key)

    told = list(AuditEntry.objects.values_list("action", flat=True))[-3:]
    assert told == [MADE, VERIFIED, VERIFIED]
    age = age_of_last_verified(timezone.now())
    assert age.file == path.name
    assert (age.hours, age.overdue, age.audit_sequence) == (0, False, 2)
    assert len(rows_at(elsewhere)["infusions_weight"]) == 2


def test_a_migration_is_rehearsed_on_a_backup_and_touches_nothing_else(
    weighed, tmp_path, key_file, capsys, monkeypatch
):
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    before, command = rows_of("default"), ("rehearse_migration", str(path))

    call_command(*command, f"--key-file={key_file}")
    assert "every value as it was" in capsys.readouterr().out

    def round_off(using: str) -> None:
        with connections[using].cursor() as cursor:
            storage.drop_triggers(connections[using])
            cursor.execute("UPDATE infusions_weight SET weight_kg = 72")

    monkeypatch.setattr(rehearsal, "to_the_newest", round_off)
    with pytest.raises(
        CommandError, match="Do NOT migrate: .*weight_kg has other"
    ) as no:
        call_command(*command, f"--key-file={key_file}")
    assert no.value.returncode == 1
    assert rows_of("default") == before
    assert list(tmp_path.glob("**/.ivig-*")) == []


@pytest.fixture
def _apart(weighed, tmp_path, monkeypatch):
    """The record in a file that no server or thread of another test has open."""
    if POSTGRESQL:
        yield
        return
    live, apart = connection.settings_dict["NAME"], tmp_path / "apart.sqlite3"
    with (
        closing(sqlite3.connect(live)) as source,
        closing(sqlite3.connect(apart)) as copy,
    ):
        source.backup(copy)
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(apart))
    yield
    connection.close()


@pytest.mark.usefixtures("_apart")
def test_a_record_that_comes_back_says_so(weighed, tmp_path, key_file):
    live = connection.settings_dict
    target = (
        f"postgresql://{live['USER']}:{live['PASSWORD']}"
        f"@{live['HOST']}:{live['PORT']}/{live['NAME']}"
        if POSTGRESQL
        else str(live["NAME"])
    )
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    connection.close()

    call_command(
        "restore", str(path), f"--to={target}", f"--key-file={key_file}", "--replace"
    )

    assert AuditEntry.objects.last().action == RESTORED
    with act("test", by=actor_of(AuditEntry.objects.get(sequence=1).user)):
        pass  # the record is in use again
    _drop_kept(target)


def _drop_kept(target: str) -> None:
    if not POSTGRESQL:
        for kept in Path(target).parent.glob(f"{Path(target).name}.replaced-*"):
            kept.unlink()
        return
    with engines._maintenance(connection.settings_dict) as beside:
        found = beside.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)",
            [f"{connection.settings_dict['NAME']}_replaced_"],
        )
        for (left,) in found.fetchall():
            beside.execute(f'DROP DATABASE "{left}"')


def test_an_audit_cut_off_since_the_backup_is_noticed(weighed, tmp_path, key_file):
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    storage.drop_triggers(connection)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM infusions_auditentry WHERE sequence = 2")
    storage.install_triggers(connection)

    with pytest.raises(CommandError, match="audit row 2, with which it ends"):
        call_command("verify_backup", str(path), f"--key-file={key_file}")

    assert not AuditEntry.objects.filter(action=VERIFIED).exists()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["backup", "--key-file=nowhere"], 2),
        (["verify_backup", "nowhere"], 2),
        (["verify_backup", "nowhere", "extra"], 1),  # argparse, called from code
        (["restore", "nowhere", "--to=nowhere/x.sqlite3"], 2),
    ],
)
def test_what_is_asked_for_wrongly_ends_with_2(db, key_file, arguments, status):
    if "--key-file=nowhere" not in arguments:
        arguments = [*arguments, f"--key-file={key_file}"]

    with pytest.raises(CommandError) as refused:
        call_command(*arguments)

    assert refused.value.returncode in (status, 2)


def test_a_backup_that_is_not_good_ends_with_1(weighed, tmp_path, key_file):
    path, _ = files.make(tmp_path, key=KEY, at=NINE)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(CommandError, match="damaged") as refused:
        call_command("verify_backup", str(path), f"--key-file={key_file}")

    assert refused.value.returncode == 1


def verified(made_at, *, at) -> None:
    backup_verified(
        by=actor_of_nobody(at),
        file=f"{made_at:%H}.backup",
        made_at=made_at.isoformat(),
        audit_sequence=1,
        audit_hash="ab" * 32,
    )


def actor_of_nobody(at) -> Actor:
    return Actor.of(user=None, clinic=None, at=at)


def test_admins_are_alarmed_while_no_backup_was_ever_verified(db):
    age = age_of_last_verified(NINE)

    assert age.overdue
    assert age.made_at is None


def test_admins_are_alarmed_after_the_limit_and_not_before(db, settings):
    verified(NINE, at=NINE + timedelta(hours=2))

    assert not age_of_last_verified(NINE + timedelta(hours=24)).overdue
    assert age_of_last_verified(NINE + timedelta(hours=24, seconds=1)).overdue
    settings.BACKUP_ALARM_HOURS = 48
    assert not age_of_last_verified(NINE + timedelta(hours=25)).overdue
    assert age_of_last_verified(NINE + timedelta(hours=25, minutes=59)).hours == 25


def test_an_older_backup_verified_later_does_not_make_the_newest_older(db):
    verified(NINE, at=NINE)
    verified(NINE - timedelta(days=3), at=NINE + timedelta(hours=1))

    assert age_of_last_verified(NINE + timedelta(hours=2)).made_at == NINE


def test_an_admin_sees_the_alarm_on_every_page_and_a_nurse_on_none(
    admin, nurse, sign_in
):
    words = "There is no verified backup of this record."

    assert words in sign_in(admin).get("/board/", follow=True).content.decode()
    assert sign_in(admin).get("/settings/").content.decode().count(words) == 1
    assert words not in sign_in(nurse).get("/board/", follow=True).content.decode()


def test_a_demo_clinic_shows_the_age_among_its_settings_only(admin, sign_in):
    type(admin.clinic).objects.update(is_demo=True)
    words = "There is no verified backup of this record."

    assert words not in sign_in(admin).get("/board/", follow=True).content.decode()
    assert words in sign_in(admin).get("/settings/").content.decode()


def test_the_age_of_a_verified_backup_stands_in_the_settings(admin, sign_in):
    now = timezone.now()
    verified(now - timedelta(hours=25), at=now - timedelta(hours=25))
    page = sign_in(admin).get("/settings/").content.decode()
    assert "The newest verified backup is older than 24 hours." in page

    verified(now - timedelta(hours=1), at=now)
    page = sign_in(admin).get("/settings/").content.decode()
    assert "Last verified backup made" in page
    assert "abababababab…" in page
    assert "older than" not in page
