"""The board: every chair of a clinic, worst first, in a constant number of queries.

It reads and never writes. A card shows the numbers of `sessions.charts` and computes
none; what is left here is the order of the cards.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.db.models import Count, Max, Q, Subquery, Sum
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.charts import SessionChart, cards_of, for_cards
from sessions.models import Chair, Clinic, InfusionSession, Stage
from sessions.models.infusions import InfusionQuerySet
from sessions.rules.language import inside

SOON = timedelta(minutes=5)
"""How far ahead an act counts as next."""
TOKEN_SECONDS = 15
"""An unchanged board is drawn anew this often, so that its clocks move."""
PLANNED_AHEAD = timedelta(hours=14)
PLANNED_BEHIND = timedelta(hours=10)


class Group(Enum):
    """Groups of cards by the time to act, most urgent first."""

    NOW = _lazy("Act now")
    SOON = _lazy("Due, or in 5 minutes")
    UNDER_WAY = _lazy("Under way")
    AROUND = _lazy("Before and after")


URGENT = ("flag-high", "flag-medium", "late")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One chair in use."""

    chart: SessionChart
    group: Group

    @property
    def state(self) -> str:
        return self.chart.state

    @property
    def wide(self) -> bool:
        """Double width on the wall: somebody has to act now."""
        return self.group is Group.NOW

    @property
    def pill(self) -> str:
        """The state as a card says it: `Flag: reduce`, `Late`, `Paused`."""
        if self.chart.open_flags:
            return _("Flag: {action}").format(
                action=inside(self.chart.open_flags[0].flag.get_action_display())
            )
        if self.state == "late":
            return _("Late")
        return self.chart.word

    @property
    def alarm(self) -> str:
        """What a screen tells once, in words and by sound; empty while all is calm."""
        if self.chart.loud_flags:
            return f"flag-{self.chart.loud_flags[0].flag.pk}"
        if self.state == "late" and self.chart.due is not None:
            return f"late-{self.chart.session.pk}-{self.chart.due.at:%d%H%M}"
        return ""

    @property
    def pulses(self) -> int:
        """How the alarm sounds: a flag more urgently than late vital signs."""
        return 3 if self.chart.loud_flags else 2

    @property
    def more_flags(self) -> int:
        """Open flags beyond the one the card names."""
        return max(0, len(self.chart.open_flags) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the board shows at one moment."""

    at: datetime
    cards: tuple[Card, ...]
    free: tuple[Chair, ...]
    planned: tuple[SessionChart, ...]
    chairs: int

    @property
    def groups(self) -> list[tuple[Group, list[Card]]]:
        """Groups that hold a card, in their order."""
        found = [(g, [c for c in self.cards if c.group is g]) for g in Group]
        return [(group, cards) for group, cards in found if cards]

    def count(self, *states: str) -> int:
        return sum(card.state in states for card in self.cards)

    @property
    def counts(self) -> list[tuple[int, str, str]]:
        """Number, words and look of each figure of the head line."""
        acting = self.count("flag-medium", "late")
        soon = sum(card.group is Group.SOON for card in self.cards)
        infusing = sum(c.chart.session.stage == Stage.INFUSING for c in self.cards)
        observing = sum(c.chart.session.stage == Stage.OBSERVING for c in self.cards)
        before = len(self.cards) - infusing - observing
        return [
            (self.count("flag-high"), _("stop"), "bad"),
            (acting, _("act now"), "warn"),
            (soon, _("within 5 min"), ""),
            (infusing, _("infusing"), ""),
            (observing, _("observing"), ""),
            (before, _("preparing"), ""),
            (len(self.free), _("free"), ""),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """The clinic's chairs, and the token that tells a changed board from this one.

    Each act on a visit raises its version, and a visit that comes or goes changes the
    count; the bucket lets clocks move. It covers one clinic: who may see its board
    sees all of it.
    """

    at: datetime
    clinic: Clinic
    chairs: tuple[Chair, ...]
    token: str


def seats_of(clinic: Clinic, *, at: datetime) -> Seats:
    """Chairs and token in one query: all that an unchanged board costs."""
    shown = _shown(clinic, at).order_by().values("clinic")
    figures = {
        "moved": Subquery(shown.annotate(figure=Sum("version")).values("figure")),
        "count": Subquery(shown.annotate(figure=Count("pk")).values("figure")),
        "last": Subquery(shown.annotate(figure=Max("pk")).values("figure")),
    }
    chairs = tuple(Chair.objects.filter(clinic=clinic, active=True).annotate(**figures))
    first = chairs[0] if chairs else None
    parts = [getattr(first, name, None) or 0 for name in figures]
    bucket = int(at.timestamp()) // TOKEN_SECONDS
    token = ".".join(str(part) for part in (clinic.pk, len(chairs), *parts, bucket))
    return Seats(at=at, clinic=clinic, chairs=chairs, token=token)


def board_of(seats: Seats) -> Board:
    """Every chair at one moment; three queries more, however many visits there are."""
    charts = cards_of(for_cards(_shown(seats.clinic, seats.at)), at=seats.at)
    seated = [chart for chart in charts if chart.session.stage != Stage.PLANNED]
    planned = [chart for chart in charts if chart.session.stage == Stage.PLANNED]
    taken = {chart.session.chair_id for chart in seated}
    return Board(
        at=seats.at,
        cards=tuple(sorted(map(card_of, seated), key=_worst_first)),
        free=tuple(chair for chair in seats.chairs if chair.pk not in taken),
        planned=tuple(sorted(planned, key=lambda chart: chart.session.scheduled_at)),
        chairs=len(seats.chairs),
    )


def _shown(clinic: Clinic, at: datetime) -> InfusionQuerySet:
    """Visits in a chair, and those planned for about today."""
    day = Q(scheduled_at__gte=at - PLANNED_BEHIND, scheduled_at__lte=at + PLANNED_AHEAD)
    visits = InfusionSession.objects.of(clinic)
    return visits.in_a_chair() | visits.planned().filter(day)


def card_of(chart: SessionChart) -> Card:
    """The card of one visit, at the moment of its chart."""
    return Card(chart=chart, group=_group(chart))


def _group(chart: SessionChart) -> Group:
    act = chart.act
    due = act.at is not None and act.counts == "to"
    if chart.state in (*URGENT, "paused") or chart.is_volume_in:
        return Group.NOW
    if chart.session.stage not in (Stage.INFUSING, Stage.OBSERVING):
        return Group.AROUND
    if due and act.at - chart.at <= SOON:
        return Group.SOON
    return Group.UNDER_WAY if chart.session.stage == Stage.INFUSING else Group.AROUND


def _worst_first(card: Card) -> tuple:
    act = card.chart.act
    waiting = act.at or card.chart.at
    return (
        list(Group).index(card.group),
        card.chart.severity if card.group is Group.NOW else 0,
        waiting,
        card.chart.session.chair.position if card.chart.session.chair else 0,
    )
