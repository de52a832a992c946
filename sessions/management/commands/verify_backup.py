"""`verify_backup`: restore a backup to a scratch place and compare everything."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from sessions.backups import envelope, files
from sessions.management.backup_commands import BackupCommand


class Command(BackupCommand):
    help = (
        "Restore a backup to a scratch place and compare it: integrity, rows of every "
        "table, triggers, audit chain. A folder stands for its newest backup."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        self.add_key_file(parser)
        parser.add_argument(
            "--counts", action="store_true", help="print the rows of each table"
        )

    def carry_out(self, **options: Any) -> None:
        path = options["file"]
        key = envelope.read_key(options["key_file"])
        manifest = self.verify(files.newest_in(path) if path.is_dir() else path, key)
        if options["counts"]:
            for table, rows in manifest.rows.items():
                self.stdout.write(f"{rows:>9} {table}")
