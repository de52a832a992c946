"""`backup`: the whole record into one encrypted file, while the clinic works."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from sessions.backups import envelope, files
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
        "Back the whole record up into one compressed, encrypted file. Readers and "
        "writers go on meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--to",
            action=Once,
            type=Path,
            metavar="FOLDER",
            default=settings.BACKUP_FOLDER,
            help=f"default: {settings.BACKUP_FOLDER}",
        )
        self.add_key_file(parser)
        add("--new-key", action="store_true", help="make the key file first")
        add("--verify", action="store_true", help="restore it to a scratch place")

    def carry_out(self, **options: Any) -> None:
        key_file = options["key_file"]
        if options["new_key"]:
            key = envelope.new_key(key_file)
            self.stdout.write(
                f"New key in {key_file}. Keep a copy away from this machine: without "
                "it no backup can be read."
            )
        else:
            key = envelope.read_key(key_file)
        by = this_command()
        path, manifest = files.make(options["to"], key=key, at=by.at)
        size = path.stat().st_size
        self.stdout.write(f"{path}: {size} bytes. {described(manifest)}.")
        backups.backup_made(by=by, file=path.name, **in_audit(manifest))
        if options["verify"]:
            self.verify(path, key)
