"""What the database itself holds, whatever code runs against it (I1, SAFETY 4)."""

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction

from sessions import roles, storage
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
from sessions.services.acts import Actor, act
from tests.conftest import NINE

only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="puts a row past its checks as SQLite allows"
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


@only_sqlite
@pytest.mark.parametrize("event", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("table", storage.append_only_tables())
def test_every_append_only_table_refuses_raw_sql(clinic, table, event):
    """The trigger fires for each row, so one row is put there past the foreign keys."""
    with pytest.raises(DatabaseError, match="append-only"):
        run_on_one_row(table, event)


def run_on_one_row(table: str, event: str) -> None:
    """A trigger only speaks when a row is touched: make one that keeps every CHECK."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("PRAGMA defer_foreign_keys = ON")
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            columns = connection.introspection.get_table_description(cursor, table)
            names = ", ".join(f'"{column.name}"' for column in columns)
            values = ", ".join("1" for _ in columns)
            cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({values})")  # noqa: S608
        finally:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
        first = columns[1].name
        cursor.execute(
            f"DELETE FROM {table}"  # noqa: S608
            if event == "DELETE"
            else f'UPDATE {table} SET "{first}" = "{first}"'  # noqa: S608
        )


@pytest.mark.parametrize("model", [Clinic, Chair, User])
def test_headers_are_never_deleted(admin, model):
    with pytest.raises(DatabaseError, match="are kept"):
        run(f"DELETE FROM {model._meta.db_table}")  # noqa: S608


@only_sqlite
@pytest.mark.parametrize("old", Stage)
@pytest.mark.parametrize("new", Stage)
def test_a_session_moves_only_as_the_stages_allow(db, old, new):
    assert moves("infusions_infusionsession", "stage", old, new) == (
        old == new or new in STAGE_MOVES[old]
    )


@only_sqlite
@pytest.mark.parametrize("old", OrderStatus)
@pytest.mark.parametrize("new", OrderStatus)
def test_an_order_moves_only_as_its_statuses_allow(db, old, new):
    assert moves("infusions_order", "status", old, new) == (
        old == new or new in ORDER_MOVES[old]
    )


def moves(table: str, column: str, old: str, new: str) -> bool:
    """Whether the database lets a row go from one word to another."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("PRAGMA defer_foreign_keys = ON")
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            columns = connection.introspection.get_table_description(cursor, table)
            names = ", ".join(f'"{each.name}"' for each in columns)
            values = ", ".join(
                f"'{old}'" if each.name == column else "1" for each in columns
            )
            cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({values})")  # noqa: S608
            try:
                cursor.execute(f"UPDATE {table} SET {column} = '{new}'")  # noqa: S608
            except DatabaseError:
                allowed = False
            else:
                allowed = True
        finally:
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
    run("DROP TRIGGER infusions_vitalsigns_no_update")

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
