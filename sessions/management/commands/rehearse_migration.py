"""`rehearse_migration`: migrate a copy of a backup, and compare every value."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from sessions.backups import envelope, files
from sessions.backups.errors import BackupError
from sessions.backups.rehearsal import rehearse
from sessions.management.backup_commands import BackupCommand, described


class Command(BackupCommand):
    help = (
        "Restore a backup to a scratch place, migrate it there, and compare what was "
        "in it before and after: rows of every table, a checksum of every column, "
        "triggers, audit chain. Nothing else is touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        self.add_key_file(parser)

    def carry_out(self, **options: Any) -> None:
        path = options["file"]
        key = envelope.read_key(options["key_file"])
        path = files.newest_in(path) if path.is_dir() else path
        with files.scratch_copy(path, key=key) as (manifest, alias):
            self.stdout.write(f"{described(manifest)}.")
            done = rehearse(alias)
        if done.faults:
            raise BackupError("Do NOT migrate: " + "; ".join(done.faults) + ".")
        self.stdout.write(
            f"Migrated from {manifest.migration} to {done.migration}: {done.rows} rows "
            f"in {len(done.before)} tables, {done.columns} columns, every value as it "
            "was; triggers in place, audit chain whole."
        )
