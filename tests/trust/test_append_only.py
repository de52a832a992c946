"""What was written down stays: no table is forgotten, no statement gets round (I1)."""

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

from sessions import storage
from sessions.models import AuditEntry, Chair, ClinicalQuerySet, Patient
from sessions.models.base import ClinicalRow
from sessions.services.acts import Actor, act
from tests.conftest import NINE, PRODUCT
from tests.test_storage import past_its_checks

STATE_OF_SIGN_IN = {"Factor", "Login", "RecoveryCode", "WallScreen", "WrongTries"}
STATE_OF_SERVER = {"Onlooker", "Violation"}
"""Holds no record of care and may be forgotten; the audit tells what happened."""
only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="REPLACE is SQLite's"
)
only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="TRUNCATE is PostgreSQL's"
)


def test_every_table_is_append_only_or_a_header_or_state():
    models = list(apps.get_app_config("infusions").get_models())
    names = {model.__name__ for model in models}
    written_once = {
        model.__name__
        for model in models
        if issubclass(model, ClinicalRow) or model is AuditEntry
    }

    state = STATE_OF_SIGN_IN | STATE_OF_SERVER
    assert names == written_once | set(storage.HEADERS) | state
    assert not written_once & (set(storage.HEADERS) | state)
    assert len(storage.append_only_tables()) == len(written_once)


def statement(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("table", storage.header_tables())
def test_no_header_can_be_deleted_by_raw_sql(db, table):
    with (
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        past_its_checks(cursor, table)
        with (
            pytest.raises(DatabaseError, match="rows are kept"),
            transaction.atomic(),
        ):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608
        transaction.set_rollback(True)


@only_postgresql
@pytest.mark.parametrize(
    "table", storage.append_only_tables() + storage.header_tables()
)
def test_no_table_can_be_emptied_as_a_whole(db, table):
    with pytest.raises(DatabaseError, match="append-only|rows are kept"):
        statement(f"TRUNCATE {table} CASCADE")


@only_sqlite
@pytest.mark.parametrize("table", storage.append_only_tables())
def test_replace_does_not_get_round_the_trigger(db, table):
    """REPLACE deletes without asking a DELETE trigger, unless triggers recurse."""
    with pytest.raises(DatabaseError, match="append-only"):
        replace_one_row(table)


def replace_one_row(table: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        columns = past_its_checks(cursor, table)
        names = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join("1" for _ in columns)
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            cursor.execute(f"REPLACE INTO {table} ({names}) VALUES ({values})")  # noqa: S608
        finally:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(username="x"),
        lambda rows: rows.delete(),
        lambda rows: rows.first().delete(),
        lambda rows: rows.bulk_update([rows.first()], ["username"]),
        lambda rows: rows.first().save(),
    ],
    ids=["update", "delete", "delete one", "bulk update", "save again"],
)
def test_the_orm_gets_no_further_than_raw_sql(admin, change):
    with act("test", by=Actor.of(user=admin, clinic=admin.clinic, at=NINE)):
        pass

    with pytest.raises((DatabaseError, AssertionError)), transaction.atomic():
        change(AuditEntry.objects.all())
    assert AuditEntry.objects.get().username == "admin"


def test_a_deletion_by_the_product_fails_any_test(clinic, monkeypatch):
    """The guard of every test sees a DELETE that comes from the product's code."""
    code = compile("rows.delete()", f"{PRODUCT}/services/made_up.py", "exec")

    with pytest.raises(AssertionError, match="the product deletes"):
        exec(code, {"rows": Chair.objects.filter(clinic=clinic)})  # noqa: S102
    assert isinstance(Patient.objects.all(), ClinicalQuerySet)
