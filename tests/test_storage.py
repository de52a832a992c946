"""What the database itself holds, whatever code runs against it (I1)."""

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction

from sessions import column_checks, roles, storage
from sessions.models import (
    ORDER_MOVES,
    STAGE_MOVES,
    AuditEntry,
    Chair,
    Clinic,
    OrderStatus,
    Stage,
    User,
)
from sessions.models.fields import Choice
from sessions.services.acts import Actor, act
from tests.conftest import NINE

only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="a setting of SQLite"
)


def run(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("table", storage.append_only_tables())
def test_every_append_only_table_has_both_triggers(db, table):
    installed = storage.installed_triggers(connection)

    assert {f"{table}_no_update", f"{table}_no_delete"} <= installed


def test_a_row_of_the_audit_cannot_be_changed_or_deleted(admin):
    with act("test", by=Actor.of(user=admin, clinic=admin.clinic, at=NINE)):
        pass

    with pytest.raises(DatabaseError, match="append-only"):
        run("UPDATE infusions_auditentry SET username = 'x'")
    with pytest.raises(DatabaseError, match="append-only"):
        run("DELETE FROM infusions_auditentry")
    assert AuditEntry.objects.get().username == "admin"


@pytest.mark.parametrize("event", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("table", storage.append_only_tables())
def test_every_append_only_table_refuses_raw_sql(clinic, table, event):
    """The trigger fires for each row, so one row is put there past the foreign keys."""
    with pytest.raises(DatabaseError, match="append-only"):
        run_on_one_row(table, event)


def run_on_one_row(table: str, event: str) -> None:
    """A trigger only speaks when a row is touched, so one is made."""
    with transaction.atomic(), connection.cursor() as cursor:
        columns = past_its_checks(cursor, table)
        first = columns[1]
        cursor.execute(
            f"DELETE FROM {table}"  # noqa: S608
            if event == "DELETE"
            else f'UPDATE {table} SET "{first}" = "{first}"'  # noqa: S608
        )


def past_its_checks(cursor, table: str, **texts: str) -> list[str]:
    """Put a row into a table past its keys and checks; return the columns.

    Only inside a transaction that is rolled back: PostgreSQL takes the constraints
    themselves away, SQLite stops looking at them.
    """
    described = connection.introspection.get_table_description(cursor, table)
    columns = [column.name for column in described]
    if connection.vendor == "sqlite":
        cursor.execute("PRAGMA defer_foreign_keys = ON")
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        given = {column: f"'{texts.get(column, 1)}'" for column in columns}
    else:
        found = connection.introspection.get_constraints(cursor, table)
        for name, constraint in found.items():
            if constraint["check"] or constraint["foreign_key"]:
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for column in columns[1:]:
            cursor.execute(f'ALTER TABLE {table} ALTER "{column}" DROP NOT NULL')
        given = {columns[0]: "1"} | {key: f"'{text}'" for key, text in texts.items()}
    names = ", ".join(f'"{column}"' for column in given)
    values = ", ".join(given.values())
    over = "OVERRIDING SYSTEM VALUE" if connection.vendor == "postgresql" else ""
    cursor.execute(f"INSERT INTO {table} ({names}) {over} VALUES ({values})")  # noqa: S608
    if connection.vendor == "sqlite":
        cursor.execute("PRAGMA ignore_check_constraints = OFF")
    return columns


@pytest.mark.parametrize("model", [Clinic, Chair, User])
def test_headers_are_never_deleted(admin, model):
    with pytest.raises(DatabaseError, match="are kept"):
        run(f"DELETE FROM {model._meta.db_table}")  # noqa: S608


@pytest.mark.parametrize("old", Stage)
@pytest.mark.parametrize("new", Stage)
def test_a_session_moves_only_as_the_stages_allow(db, old, new):
    assert moves("infusions_infusionsession", "stage", old, new) == (
        old == new or new in STAGE_MOVES[old]
    )


@pytest.mark.parametrize("old", OrderStatus)
@pytest.mark.parametrize("new", OrderStatus)
def test_an_order_moves_only_as_its_statuses_allow(db, old, new):
    assert moves("infusions_order", "status", old, new) == (
        old == new or new in ORDER_MOVES[old]
    )


def moves(table: str, column: str, old: str, new: str) -> bool:
    """Whether the database lets a row go from one word to another."""
    with transaction.atomic(), connection.cursor() as cursor:
        past_its_checks(cursor, table, **{column: old})
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            cursor.execute(f"UPDATE {table} SET {column} = '{new}'")  # noqa: S608
        except DatabaseError:
            allowed = False
        else:
            allowed = True
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
        transaction.set_rollback(True)
    return allowed


def test_triggers_may_be_installed_twice(db):
    storage.install_triggers(connection)
    storage.install_triggers(connection)

    names = {name for name, _ in storage.trigger_names()}
    assert names <= storage.installed_triggers(connection)


def test_a_missing_trigger_stops_the_server(db, settings):
    settings.SECRET_KEY_GIVEN = "given"
    storage.refuse_unsafe()
    run(f"DROP TRIGGER infusions_vitalsigns_no_update{on_its_table()}")

    with pytest.raises(ImproperlyConfigured, match="infusions_vitalsigns_no_update"):
        storage.refuse_unsafe()


@only_sqlite
@pytest.mark.parametrize(
    ("pragma", "unsafe"), [("synchronous", "OFF"), ("foreign_keys", "OFF")]
)
@pytest.mark.django_db(transaction=True)
def test_an_unsafe_setting_stops_the_server(settings, pragma, unsafe):
    settings.SECRET_KEY_GIVEN = "given"
    run_outside(f"PRAGMA {pragma} = {unsafe}")
    try:
        with pytest.raises(ImproperlyConfigured, match=f"PRAGMA {pragma}"):
            storage.refuse_unsafe()
    finally:
        connection.close()


def on_its_table() -> str:
    return " ON infusions_vitalsigns" if connection.vendor == "postgresql" else ""


def run_outside(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_no_secret_key_stops_the_server(db, settings):
    settings.SECRET_KEY_GIVEN = ""

    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        storage.refuse_unsafe()


@pytest.mark.parametrize("role", roles.ROLES)
def test_every_role_is_installed_with_its_permissions(db, role):
    group = Group.objects.get(name=role)

    held = set(group.permissions.values_list("codename", flat=True))
    assert held == roles.ROLES[role]


def test_every_permission_of_a_role_is_described():
    for held in roles.ROLES.values():
        assert held <= set(roles.PERMISSIONS)


def test_admins_cannot_chart_and_auditors_only_read():
    writing = {"chart", "edit_patient", "draft_order", "sign_order", "verify_order"}

    assert not roles.ROLES["admin"] & writing
    assert not roles.ROLES["auditor"] & (writing | {"manage_settings", "manage_staff"})


only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite builds an altered table anew"
)


@only_postgresql
def test_every_check_says_what_its_field_says(db):
    """A CHECK written at first must not outlive a field that was made longer."""
    assert column_checks.renew(connection) == []


@only_postgresql
def test_a_check_that_fell_behind_its_field_is_renewed(db):
    run("ALTER TABLE infusions_chair DROP CONSTRAINT infusions_chair_name_check")
    run(
        "ALTER TABLE infusions_chair ADD CONSTRAINT infusions_chair_name_check "
        "CHECK (length(name) <= 3)"
    )

    assert column_checks.renew(connection) == ["infusions_chair.name"]
    assert column_checks.renew(connection) == []


def test_a_new_word_of_a_choice_alters_its_column():
    """Django takes choices for a matter of forms; here they are a CHECK."""
    old, new = Choice(choices=[("a", "A")]), Choice(choices=[("a", "A"), ("b", "B")])
    for each in (old, new):
        each.set_attributes_from_name("stage")

    editor = connection.SchemaEditorClass(connection)
    assert editor._field_should_be_altered(old, new)


@only_postgresql
@pytest.mark.parametrize("unsafe", ["SHOW data_checksums", "SHOW fsync"])
def test_an_unsafe_cluster_stops_the_server(db, settings, monkeypatch, unsafe):
    settings.SECRET_KEY_GIVEN = "given"
    monkeypatch.setitem(storage._POSTGRESQL_SETTINGS, unsafe, ("what it never says",))

    with pytest.raises(ImproperlyConfigured, match=unsafe):
        storage.refuse_unsafe()


@only_postgresql
@pytest.mark.parametrize(
    ("state", "fires"),
    [("DISABLE", False), ("ENABLE REPLICA", False), ("ENABLE ALWAYS", True)],
)
def test_a_trigger_that_is_there_and_does_not_fire_stops_the_server(
    db, settings, state, fires
):
    settings.SECRET_KEY_GIVEN = "given"
    table = AuditEntry._meta.db_table
    with transaction.atomic():
        run(f"ALTER TABLE {table} {state} TRIGGER {table}_no_update")
        if fires:
            storage.refuse_unsafe()
        else:
            with pytest.raises(ImproperlyConfigured, match=f"{table}_no_update"):
                storage.refuse_unsafe()
