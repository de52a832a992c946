"""Whole records as older versions of the product left them, to be migrated.

`record_of_0001.json.xz` holds two clinics with a visit in every stage, and a row in
every table there was. It was written by the version that had no migration but the
first, and stays as it is: a record of today would not show what a migration does to
one of yesterday.
"""

import json
import lzma
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.color import no_style
from django.db import connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor

from ivig_clinic import databases
from sessions import storage
from sessions.backups.engines import opened
from tests.trust.server import another_database

FOLDER = Path(__file__).parent
FIRST = "0001_initial"


@contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    """An alias of a database without a table, on the engine that the tests run on."""
    if connection.vendor == "sqlite":
        with opened(databases.sqlite(folder / "old.sqlite3")) as alias:
            yield alias
        return
    with (
        another_database(os.environ["DATABASE_URL"]) as url,
        opened(databases.postgresql(url)) as alias,
    ):
        yield alias


@contextmanager
def record_of(migration: str, folder: Path) -> Iterator[str]:
    """An alias of the record as the version with that newest migration left it."""
    with empty_database(folder) as alias:
        old = connections[alias]
        executor = MigrationExecutor(old)
        leaves = executor.loader.graph.leaf_nodes()
        others = [(app, name) for app, name in leaves if app != "infusions"]
        state = executor.migrate([*others, ("infusions", migration)])
        _fill(old, state.apps, migration)
        storage.install_triggers(old)
        yield alias


def _fill(old: Any, apps: Any, migration: str) -> None:
    number = migration.partition("_")[0]
    packed = (FOLDER / f"record_of_{number}.json.xz").read_bytes()
    models = []
    with transaction.atomic(using=old.alias):
        for label, table in json.loads(lzma.decompress(packed)).items():
            models.append(apps.get_model(label))
            _insert(models[-1], old.alias, table["columns"], table["rows"])
        with old.cursor() as cursor:
            for statement in old.ops.sequence_reset_sql(no_style(), models):
                cursor.execute(statement)


def _insert(model: Any, alias: str, columns: list[str], rows: list[list]) -> None:
    fields = {field.attname: field for field in model._meta.concrete_fields}
    model.objects.using(alias).bulk_create(
        model(
            **{
                name: fields[name].to_python(value)
                for name, value in zip(columns, row, strict=True)
            }
        )
        for row in rows
    )
