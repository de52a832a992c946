"""How old the newest backup is that was restored and found whole."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from sessions.models import AuditEntry
from sessions.services.backups import VERIFIED

LOOKED_AT = 50
"""An older backup may be verified after a newer one, but hardly this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupAge:
    """The newest verified backup, as admins see it; no `made_at` means there is none.

    `audit_sequence` and `audit_hash` are the end of the audit it was made with: what
    an auditor compares when somebody may have cut the audit off (I13).
    """

    at: datetime
    made_at: datetime | None = None
    verified_at: datetime | None = None
    file: str = ""
    audit_sequence: int = 0
    audit_hash: str = ""

    @property
    def limit_hours(self) -> int:
        return settings.BACKUP_ALARM_HOURS

    @property
    def hours(self) -> int:
        return int((self.at - self.made_at) / timedelta(hours=1)) if self.made_at else 0

    @property
    def overdue(self) -> bool:
        """Whether admins are alarmed: no verified backup, or one made too long ago."""
        limit = timedelta(hours=self.limit_hours)
        return self.made_at is None or self.at - self.made_at > limit


def age_of_last_verified(at: datetime) -> BackupAge:
    """Read the newest verified backup from the audit; one query, few rows.

    A server backs up all its clinics at once, so these rows belong to none.
    """
    entries = AuditEntry.objects.filter(clinic=None, action=VERIFIED).order_by("-at")
    found = [
        BackupAge(
            at=at,
            made_at=datetime.fromisoformat(detail["made_at"]),
            verified_at=verified_at,
            file=detail["file"],
            audit_sequence=detail["audit_sequence"],
            audit_hash=detail["audit_hash"],
        )
        for verified_at, detail in (
            (moment, json.loads(text))
            for moment, text in entries.values_list("at", "detail")[:LOOKED_AT]
        )
    ]
    return max(found, key=lambda each: each.made_at, default=BackupAge(at=at))
