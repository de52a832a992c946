"""`restore`: put a backup in place, verified before and after."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from sessions.backups import envelope, files
from sessions.backups.engines import postgresql_at
from sessions.management.backup_commands import (
    BackupCommand,
    described,
    in_audit,
    this_command,
)
from sessions.management.strict_arguments import Once
from sessions.services import backups


class Command(BackupCommand):
    help = (
        "Put a backup in place of a database. It is verified at a scratch place "
        "first; a database that is there is only moved aside, and only with --replace."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--to",
            action=Once,
            required=True,
            metavar="DATABASE",
            help="a file of SQLite, or postgresql://user:password@host:port/name",
        )
        self.add_key_file(parser)
        parser.add_argument("--replace", action="store_true")

    def carry_out(self, **options: Any) -> None:
        by = this_command()
        restored = files.restore(
            options["file"],
            options["to"],
            key=envelope.read_key(options["key_file"]),
            replace=options["replace"],
            at=by.at,
        )
        self.stdout.write(f"Restored to {restored.target} and verified there.")
        self.stdout.write(f"{described(restored.manifest)}.")
        if restored.kept:
            self.stdout.write(f"What was there before is kept in {restored.kept}.")
        if not _is_ours(options["to"]):
            return
        live = connections["default"]
        live.close()
        executor = MigrationExecutor(live)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("It is of an older version: now run manage.py migrate.")
        else:
            backups.backup_restored(
                by=by, file=options["file"].name, **in_audit(restored.manifest)
            )


def _is_ours(target: str) -> bool:
    """Whether this is the database that the product is set to use."""
    live = connections["default"]
    if live.vendor == "sqlite":
        return Path(target).resolve() == Path(live.settings_dict["NAME"]).resolve()
    ours, theirs = live.settings_dict, postgresql_at(target)
    return all(str(ours[part]) == theirs[part] for part in ("NAME", "HOST", "PORT"))
