"""Counts what browsers refused; they tell it by themselves, anybody could."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from sessions.models import Violation

KEPT = timedelta(days=30)
KINDS = 100
"""How many kinds are told apart: made-up reports fill no disk."""
OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a browser refused: the directive, what it was, and on which page."""

    directive: str
    blocked: str
    page: str


def count(reports: list[Report], *, at: datetime) -> None:
    """Count each report with its kind; kinds nobody told of for long are forgotten."""
    with transaction.atomic():
        Violation.objects.filter(last_at__lt=at - KEPT).delete()
        for report in reports:
            kind = {
                "directive": report.directive,
                "blocked": report.blocked,
                "page": report.page,
            }
            known = Violation.objects.filter(**kind).exists()
            if not known and Violation.objects.count() >= KINDS:
                kind = dict.fromkeys(kind, OTHERS)
            row, _ = Violation.objects.get_or_create(
                **kind, defaults={"first_at": at, "last_at": at}
            )
            Violation.objects.filter(pk=row.pk).update(count=F("count") + 1, last_at=at)


def recent(*, at: datetime) -> list[Violation]:
    """The kinds of the last 30 days, the newest first."""
    return list(Violation.objects.filter(last_at__gte=at - KEPT))
