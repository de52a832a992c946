"""What the database itself must hold: append-only tables, legal stages, safe settings.

Triggers are made in one idempotent place that runs after every migrate, because
SQLite drops them silently when it rebuilds a table.
"""

from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models

from sessions import column_checks, roles

# Headers move through their stages under a version number, but are never deleted.
HEADERS = ("Patient", "Order", "InfusionSession", "Clinic", "Chair", "User", "Protocol")


def append_only_tables() -> list[str]:
    """Every table whose rows are written once: clinical rows and the audit."""
    from sessions.models import AuditEntry, ClinicalRow

    return sorted(
        model._meta.db_table
        for model in apps.get_app_config("infusions").get_models()
        if issubclass(model, ClinicalRow | AuditEntry)
    )


def header_tables() -> list[str]:
    config = apps.get_app_config("infusions")
    return [config.get_model(name)._meta.db_table for name in HEADERS]


def prepare(sender, using: str, **_signal) -> None:
    """Install what migrations leave out; runs after each migrate, twice is no harm."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    if not set(append_only_tables()) <= tables:
        return  # migrated back to a time before these tables
    if connection.vendor == "postgresql":
        column_checks.renew(connection)
    install_roles(using)
    install_triggers(connection)


def install_roles(using: str) -> None:
    from django.contrib.auth.models import Group, Permission
    from django.contrib.contenttypes.models import ContentType

    from sessions.models import User
    from sessions.models.staff import role_permissions

    manager = ContentType.objects.db_manager(using)
    content_type = manager.get_for_model(User)
    permissions = {
        codename: Permission.objects.using(using).update_or_create(
            codename=codename,
            content_type=content_type,
            defaults={"name": name},
        )[0]
        for codename, name in roles.PERMISSIONS.items()
    }
    for role, codenames in roles.ROLES.items():
        group, _ = Group.objects.using(using).get_or_create(name=role)
        group.permissions.set([permissions[codename] for codename in codenames])
    role_permissions.cache_clear()


def install_triggers(connection) -> None:
    """Guard the tables that are there: an older version has not all of them."""
    there = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for statement in _statements(connection.vendor, there):
            cursor.execute(statement)


def drop_triggers(connection) -> None:
    """Take the triggers away: only for a test database that is about to be flushed."""
    with connection.cursor() as cursor:
        names = list(trigger_names())
        if connection.vendor == "postgresql":
            names += truncate_trigger_names()
        for name, table in names:
            on = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")


def trigger_names() -> Iterator[tuple[str, str]]:
    for table in append_only_tables():
        yield f"{table}_no_update", table
        yield f"{table}_no_delete", table
    for table in header_tables():
        yield f"{table}_no_delete", table
    yield "infusions_session_stage", "infusions_infusionsession"
    yield "infusions_order_status", "infusions_order"


def truncate_trigger_names() -> Iterator[tuple[str, str]]:
    """PostgreSQL empties a table without touching a row: refused by a trigger more."""
    for table in (*append_only_tables(), *header_tables()):
        yield f"{table}_no_truncate", table


def _guards() -> Iterator[tuple[str, str, str, str, str]]:
    """Name, table, event, condition and message of every trigger."""
    from sessions.models import ORDER_MOVES, STAGE_MOVES

    for table in append_only_tables():
        message = f"{table} is append-only"
        yield f"{table}_no_update", table, "UPDATE", "", message
        yield f"{table}_no_delete", table, "DELETE", "", message
    for table in header_tables():
        yield f"{table}_no_delete", table, "DELETE", "", f"{table} rows are kept"
    yield (
        "infusions_session_stage",
        "infusions_infusionsession",
        "UPDATE",
        _illegal("stage", STAGE_MOVES),
        "a session cannot move to that stage",
    )
    yield (
        "infusions_order_status",
        "infusions_order",
        "UPDATE",
        _illegal("status", ORDER_MOVES),
        "an order cannot move to that status",
    )


def _illegal(column: str, moves: dict[models.TextChoices, set]) -> str:
    legal = " OR ".join(
        f"(OLD.{column} = '{old.value}' AND NEW.{column} = '{new.value}')"
        for old, news in moves.items()
        for new in sorted(news)
    )
    return f"OLD.{column} <> NEW.{column} AND NOT ({legal})"


def _statements(vendor: str, there: set[str]) -> Iterator[str]:
    for name, table, event, condition, message in _guards():
        if table not in there:
            continue
        when = f"WHEN ({condition})" if condition else ""
        if vendor == "sqlite":
            yield f"DROP TRIGGER IF EXISTS {name}"
            yield (
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        else:
            yield (
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ "
                f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '23514'; END "
                f"$$ LANGUAGE plpgsql"
            )
            yield f"DROP TRIGGER IF EXISTS {name} ON {table}"
            yield (
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when} "
                f"EXECUTE FUNCTION {name}()"
            )
    if vendor == "postgresql":
        for name, table in truncate_trigger_names():
            if table not in there:
                continue
            # Deleting has the same words: rows are kept.
            yield (
                f"CREATE OR REPLACE TRIGGER {name} BEFORE TRUNCATE ON {table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_no_delete()"
            )


def installed_triggers(connection) -> set[str]:
    """Names of the triggers that fire: PostgreSQL keeps a disabled one in its list.

    Of its states only O (origin) and A (always) fire where people write.
    """
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger "
        "WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {name for (name,) in cursor.fetchall()}


def faults(connection) -> list[str]:
    """Everything that makes this database unsafe to write clinical rows to."""
    found = []
    wanted = {name for name, _ in trigger_names()}
    if connection.vendor == "postgresql":
        wanted |= {name for name, _ in truncate_trigger_names()}
    missing = wanted - installed_triggers(connection)
    if missing:
        names = ", ".join(sorted(missing))
        found.append(f"triggers missing: {names} (a disabled one counts as missing)")
    expected = (
        _sqlite_settings() if connection.vendor == "sqlite" else _POSTGRESQL_SETTINGS
    )
    if connection.vendor == "sqlite" and connection.transaction_mode != "IMMEDIATE":
        found.append("writers do not queue from their first statement")
    with connection.cursor() as cursor:
        for query, wanted in expected.items():
            cursor.execute(query)
            row = cursor.fetchone()
            value = str(row[0]).lower() if row else "not known"
            if value not in wanted:
                found.append(f"{query} is {value}, not {' or '.join(wanted)}")
    return found


def _sqlite_settings() -> dict[str, tuple[str, ...]]:
    from ivig_clinic.databases import WAL_IS_SAFE_FROM, sqlite3

    wal = sqlite3.sqlite_version_info >= WAL_IS_SAFE_FROM
    return {
        "PRAGMA journal_mode": ("wal",) if wal else ("delete",),
        "PRAGMA synchronous": ("2",) if wal else ("3",),
        "PRAGMA foreign_keys": ("1",),
        "PRAGMA recursive_triggers": ("1",),
        "PRAGMA mmap_size": ("0", "not known"),  # not built into every library
        "PRAGMA busy_timeout": ("20000",),
    }


_POSTGRESQL_SETTINGS = {
    "SHOW fsync": ("on",),
    "SHOW synchronous_commit": ("on", "remote_apply", "remote_write"),
    "SHOW full_page_writes": ("on",),
    "SHOW data_sync_retry": ("off",),
    "SHOW data_checksums": ("on",),
    "SHOW session_replication_role": ("origin", "local"),  # else no trigger fires
}


def refuse_unsafe() -> None:
    """Stop the server at start-up when a save could be lost or altered."""
    found = faults(connections["default"])
    if not settings.SECRET_KEY_GIVEN:
        found.append("SECRET_KEY is not set; see .env.example")
    if found:
        raise ImproperlyConfigured("Refusing to serve: " + "; ".join(found))
