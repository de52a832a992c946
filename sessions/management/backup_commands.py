"""What the backup commands share: the key file, the clock, the audit, exit codes.

Exit codes: 0 done; 1 it failed, or the backup is not good; 2 asked for wrongly.
"""

import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError
from django.utils import timezone

from sessions.backups import files
from sessions.backups.errors import BackupError
from sessions.backups.manifest import Manifest
from sessions.backups.verification import missing_from_live
from sessions.management.strict_arguments import Once, StrictCommand
from sessions.services import backups
from sessions.services.acts import Actor


class BackupCommand(StrictCommand):
    """Says what went wrong in one line, and cleans up when it is told to stop."""

    def add_key_file(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--key-file",
            action=Once,
            type=Path,
            metavar="FILE",
            default=settings.BACKUP_KEY_FILE,
            help=f"default: {settings.BACKUP_KEY_FILE}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        before = signal.signal(signal.SIGTERM, _stopped)
        try:
            self.carry_out(**options)
        except BackupError as error:
            raise CommandError(str(error), returncode=error.status) from error
        except DatabaseError as error:
            said = " ".join(str(error).split())
            raise CommandError(f"The database refused: {said}", returncode=1) from error
        finally:
            signal.signal(signal.SIGTERM, before)

    def carry_out(self, **options: Any) -> None:
        raise NotImplementedError

    def verify(self, path: Path, key: bytes) -> Manifest:
        """Verify one file, and write it down when it is a backup of this record."""
        manifest = files.verify(path, key=key)
        missing = missing_from_live(manifest)
        if missing:
            raise BackupError(
                f"The backup is whole, but audit row {manifest.audit_sequence}, with "
                "which it ends, is not in this database: its audit was cut off or "
                "replaced since, or this is the backup of another record."
            )
        self.stdout.write(f"{path}: verified. {described(manifest)}.")
        if missing is None:
            self.stdout.write("Not written down: this database holds no audit yet.")
        else:
            backups.backup_verified(
                by=this_command(), file=path.name, **in_audit(manifest)
            )
        return manifest


def this_command() -> Actor:
    """Nobody is signed in at a command line; the moment is taken here, once."""
    return Actor.of(
        user=None, clinic=None, at=timezone.now(), workstation="command line"
    )


def in_audit(manifest: Manifest) -> dict[str, Any]:
    return {
        "made_at": manifest.made_at,
        "rows": manifest.total_rows,
        "audit_sequence": manifest.audit_sequence,
        "audit_hash": manifest.audit_hash,
        "content_sha256": manifest.content_sha256,
    }


def described(manifest: Manifest) -> str:
    made = manifest.made.strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"Made {made} by version {manifest.app_version} on {manifest.engine}: "
        f"{manifest.total_rows} rows in {len(manifest.rows)} tables, "
        f"audit row {manifest.audit_sequence} ({manifest.audit_hash[:12]}…)"
    )


def _stopped(*_signal: object) -> NoReturn:
    raise SystemExit(143)
