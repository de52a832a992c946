"""Which visits a report counts, and the bulk reads that every report shares.

Every read starts from the clinic and from the Start of the visit, reads plain values
and never a row at a time: a report costs the same few queries however many visits.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import (
    Clinic,
    InfusionSession,
    OrderVersion,
    RateChange,
    RateKind,
    Stage,
    Start,
)
from sessions.reports.results import counted
from sessions.rules.language import MONTHS, day_words, say

OVER = (RateKind.STOP, RateKind.END)
DOWN = (RateKind.REDUCE, RateKind.PAUSE, RateKind.STOP)
FIRST_OR_LATER = {
    "first": _lazy("First infusion"),
    "experienced": _lazy("Later infusion"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What was asked for: one clinic, whole days in its zone, and the filters.

    `first` and `last` are both counted. `chosen` says the filters in words, for the
    page, the file and the audit.
    """

    clinic: Clinic
    at: datetime
    first: date
    last: date
    by: str
    product: str = ""
    indication: str = ""
    chosen: tuple[tuple[str, str], ...] = ()

    @property
    def since(self) -> datetime:
        """The first moment of the period: midnight in the clinic's zone."""
        return midnight(self.first, self.clinic)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return midnight(self.last + timedelta(days=1), self.clinic)

    @property
    def days(self) -> str:
        """`1 Nov 2025 to 31 Oct 2026`."""
        return _("{first} to {last}").format(
            first=day_words(self.first), last=day_words(self.last)
        )

    @property
    def zones(self) -> str:
        """The names the clinic's time had in the period: `GMT and BST`."""
        names: dict[str, None] = {}
        moment = self.since
        while moment < self.until:
            names.setdefault(moment.astimezone(self.clinic.zone).tzname() or "UTC")
            moment += timedelta(days=1)
        return _(" and ").join(names)

    def started(self, prefix: str = "") -> Q:
        """Visits that count: started in the period, not in error, and as filtered."""
        asked = {
            "clinic": self.clinic,
            "superseded_by": None,
            "entered_in_error": False,
            "session__entered_in_error": False,
            "event_time__gte": self.since,
            "event_time__lt": self.until,
        }
        if self.product:
            asked["order_version__product_key"] = self.product
        if self.indication:
            asked["order_version__indication_key"] = self.indication
        return Q(**{f"{prefix}{name}": value for name, value in asked.items()})


def midnight(day: date, clinic: Clinic) -> datetime:
    """When a day begins in the clinic's zone; a day may have 23 or 25 hours."""
    return datetime.combine(day, time(), tzinfo=clinic.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Infusion:
    """One started visit, as far as a report groups it."""

    session_id: int
    started_at: datetime
    product: str
    product_name: str
    indication: str
    indication_name: str
    experience: str

    def month(self, clinic: Clinic) -> tuple[int, int]:
        local = self.started_at.astimezone(clinic.zone)
        return local.year, local.month


def infusions(scope: Scope) -> dict[int, Infusion]:
    """The visits that count, in the order in which they started."""
    rows = (
        Start.objects.filter(scope.started())
        .order_by("event_time", "pk")
        .values_list(
            "session_id",
            "event_time",
            "order_version__product_key",
            "order_version__product_name",
            "order_version__indication_key",
            "order_version__indication_name",
            "experience",
        )
    )
    names = [field.name for field in Infusion.__dataclass_fields__.values()]
    return {row[0]: Infusion(**dict(zip(names, row, strict=True))) for row in rows}


class Change(NamedTuple):
    """One change of rate that counts."""

    pk: int
    at: datetime
    kind: str
    step: int | None


def rate_changes(scope: Scope) -> Mapping[int, list[Change]]:
    """The changes of rate of every visit that counts, in order."""
    rows = (
        RateChange.objects.current()
        .filter(scope.started("session__start__"))
        .order_by("event_time", "pk")
        .values_list("session_id", "pk", "event_time", "kind", "step")
    )
    found: dict[int, list[Change]] = defaultdict(list)
    for session_id, *rest in rows:
        found[session_id].append(Change(*rest))
    return found


def ended_at(changes: Sequence[Change]) -> datetime | None:
    """When an infusion was ended or stopped for good."""
    over = bool(changes) and changes[-1].kind in OVER
    return changes[-1].at if over else None


class Standing(NamedTuple):
    """Which row stands for another now; None when it was withdrawn."""

    rows: dict[int, tuple[Any, ...]]
    heir: dict[int, int | None]


def standing(rows: Iterable[tuple[Any, ...]]) -> Standing:
    """Part rows that count from superseded ones, keeping what pointed to the old ones.

    Each row begins with its id, the id it supersedes, and whether it withdraws it.
    """
    rows = {row[0]: row for row in rows}
    newer = {row[1]: pk for pk, row in rows.items() if row[1] is not None}
    heir: dict[int, int | None] = {}
    for pk in rows:
        newest = pk
        while newest in newer:
            newest = newer[newest]
        heir[pk] = None if rows[newest][2] else newest
    kept = {pk: row for pk, row in rows.items() if heir[pk] == pk}
    return Standing(kept, heir)


def left_out(scope: Scope) -> tuple[str, ...]:
    """Visits of the period that no report counts, in words."""
    asked = Q(
        clinic=scope.clinic,
        scheduled_at__gte=scope.since,
        scheduled_at__lt=scope.until,
    )
    if scope.product:
        asked &= Q(order__current__product_key=scope.product)
    if scope.indication:
        asked &= Q(order__current__indication_key=scope.indication)
    found = InfusionSession.objects.filter(asked).aggregate(
        cancelled=Count("pk", filter=Q(stage=Stage.CANCELLED, entered_in_error=False)),
        in_error=Count("pk", filter=Q(entered_in_error=True)),
    )
    return tuple(
        words
        for number, words in (
            (
                found["cancelled"],
                counted(
                    found["cancelled"],
                    "{count} visit cancelled before the start",
                    "{count} visits cancelled before the start",
                ),
            ),
            (
                found["in_error"],
                counted(
                    found["in_error"],
                    "{count} visit entered in error",
                    "{count} visits entered in error",
                ),
            ),
        )
        if number
    )


Choices = list[tuple[str, str]]


def known_filters(clinic: Clinic) -> tuple[Choices, Choices]:
    """Products and indications of the clinic's started visits, for the filters."""
    rows = (
        OrderVersion.objects.filter(clinic=clinic, starts__isnull=False)
        .order_by()
        .values_list("product_key", "product_name", "indication_key", "indication_name")
        .distinct()
    )
    products: dict[str, str] = {}
    indications: dict[str, str] = {}
    for product, product_name, indication, indication_name in rows:
        products[product], indications[indication] = product_name, indication_name
    return _by_name(products), _by_name(indications)


def _by_name(names: dict[str, str]) -> Choices:
    return sorted(names.items(), key=lambda pair: (pair[1].casefold(), pair[0]))


class Group(NamedTuple):
    """A group of visits: what it is told apart by, its place, and its name."""

    order: tuple[Any, ...]
    label: str


def group_of(infusion: Infusion, by: str, clinic: Clinic) -> Group:
    """The group of a visit for the ways of grouping that every report has."""
    if by == "product":
        return Group((infusion.product,), infusion.product_name)
    if by == "indication":
        return Group((infusion.indication,), infusion.indication_name)
    if by == "experience":
        place = (infusion.experience != "first",)
        return Group(place, FIRST_OR_LATER.get(infusion.experience, _("Not recorded")))
    if by == "month":
        year, month = infusion.month(clinic)
        return Group((year, month), f"{say(MONTHS[month - 1])} {year}")
    raise ValueError(f"no report is grouped by {by}")


IN_ORDER = frozenset({"month", "experience", "step", "grade", "stage"})
"""Ways of grouping with an order of their own, which are never ranked."""
