"""Keeps the CHECK of each column on PostgreSQL as its field says (`models.fields`).

Django alters a column there without its CHECK when the field brings its own, so a
column made longer would go on refusing what is now allowed. On SQLite the altered
table is built anew, with its checks.
"""

from django.apps import apps


def renew(connection) -> list[str]:
    """Replace each CHECK that no longer says what its field says; name the columns.

    PostgreSQL writes conditions in its own words, so the wanted ones are written by
    it too, on an empty copy of the table, and compared.
    """
    renewed = []
    for model in apps.get_app_config("infusions").get_models():
        table = model._meta.db_table
        wanted = _as_postgresql_says(connection, model)
        kept = {constraint.name for constraint in model._meta.constraints}
        have = {
            column: (name, condition)
            for name, column, condition in _checks(connection, table)
            if name not in kept
        }
        for column, condition in wanted.items():
            name, old = have.get(column, (f"{table}_{column}_check"[:63], ""))
            if old != condition:
                _replace(connection, table, name, condition, drop=bool(old))
                renewed.append(f"{table}.{column}")
    return renewed


def _as_postgresql_says(connection, model) -> dict[str, str]:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        table = quote(model._meta.db_table)
        cursor.execute(f"CREATE TEMPORARY TABLE wanted_checks (LIKE {table})")
        for field in model._meta.local_concrete_fields:
            condition = field.db_check(connection)
            if condition:
                cursor.execute(f"ALTER TABLE wanted_checks ADD CHECK ({condition})")
        found = {
            column: condition
            for _, column, condition in _checks(connection, "wanted_checks")
        }
        cursor.execute("DROP TABLE wanted_checks")
    return found


def _checks(connection, table: str) -> list[tuple[str, str, str]]:
    """Name, column and condition of every CHECK over a single column."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT con.conname, att.attname, pg_get_constraintdef(con.oid) "
            "FROM pg_constraint con JOIN pg_attribute att "
            "ON att.attrelid = con.conrelid AND att.attnum = con.conkey[1] "
            "WHERE con.conrelid = %s::regclass AND con.contype = 'c' "
            "AND cardinality(con.conkey) = 1",
            [table],
        )
        return cursor.fetchall()


def _replace(connection, table: str, name: str, condition: str, *, drop: bool) -> None:
    quote = connection.ops.quote_name
    away = f"DROP CONSTRAINT {quote(name)}, " if drop else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE {quote(table)} {away}ADD CONSTRAINT {quote(name)} {condition}"
        )
