"""What every row of the record has in common."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from sessions.models.fields import Text


class ClinicalQuerySet(models.QuerySet):
    """Look-ups that start from the clinic and leave superseded rows in history."""

    def of(self, clinic) -> Self:
        """Rows of one clinic; a stranger's rows do not exist for the asker."""
        return self.filter(clinic=clinic)

    def current(self) -> Self:
        """Rows that no later row corrects or withdraws."""
        return self.filter(superseded_by=None, entered_in_error=False)


class Owned(models.Model):
    """A row that belongs to one clinic."""

    clinic = models.ForeignKey("infusions.Clinic", models.PROTECT, related_name="+")

    class Meta:
        abstract = True


class ClinicalRow(Owned):
    """Something observed or done: appended, never edited or deleted (I1).

    `event_time` is when it happened, `recorded_at` when the server learned of it
    (I3); `recorded_by` is the signed-in user (I2). A correction is a new row that
    names the one it supersedes and why; `entered_in_error` withdraws it instead.
    """

    event_time = models.DateTimeField()
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey("infusions.User", models.PROTECT, related_name="+")
    workstation = Text(max_length=80, blank=True)
    app_version = Text(max_length=40)
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="superseded_by"
    )
    correction_reason = Text(max_length=200, blank=True)
    entered_in_error = models.BooleanField(default=False)

    objects = ClinicalQuerySet.as_manager()

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    supersedes=None, correction_reason="", entered_in_error=False
                )
                | (Q(supersedes__isnull=False) & ~Q(correction_reason="")),
                name="%(class)s_correction_has_reason",
                violation_error_message="A correction needs a reason.",
            )
        ]

    def is_late(self, limit_minutes: int) -> bool:
        """True for an entry written down later than the clinic's limit (I3)."""
        return (self.recorded_at - self.event_time).total_seconds() > limit_minutes * 60


def instant(moment: datetime) -> str:
    """A moment as it stands in exports and hashes: UTC, ISO 8601, microseconds."""
    return moment.isoformat(timespec="microseconds")
