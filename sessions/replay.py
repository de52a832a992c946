"""A visit as it stood at a moment: what was known then, and what came later (H6).

Rows are only ever appended, so the record of a moment is the rows recorded by then;
header fields that move (stage, nurse) are read from the acts that moved them.
"""

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from sessions.charts import (
    SessionChart,
    charts_of,
    current_rows,
    read_course,
    recorded_by_then,
)
from sessions.models import (
    AuditEntry,
    Clinic,
    GivenMedicine,
    InfusionSession,
    Note,
    OrderVersion,
    Presence,
    ReactionOutcome,
    RiskFactor,
    Stage,
    StageChange,
    User,
)
from sessions.rules.language import inside
from sessions.rules.quantities import plain

JUDGING = ("late_entry_minutes", "pump_resolution_ml_per_h")
"""Settings of the clinic that a chart is judged by; the others only show it."""
NEW_NURSE = ("infusion.take-over", "infusion.assign-nurse")
"""Acts that give a visit another nurse; their detail says who it was before."""
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that was written down, in words."""

    at: datetime
    """When it was recorded: from then on it was known."""
    happened: datetime
    words: str
    state: str = ""
    icon: str = ""
    minute: int = 0
    is_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time that can be replayed, in whole minutes from check-in on."""

    begins: datetime
    ends: datetime
    events: tuple[Event, ...]

    @property
    def last(self) -> int:
        return self.minute_of(self.ends)

    def minute_of(self, moment: datetime) -> int:
        """The first minute at which something was known."""
        return max(math.ceil((moment - self.begins) / MINUTE), 0)

    def at(self, minute: int) -> datetime:
        """The moment of a minute; the last one is the end itself."""
        return min(self.begins + minute * MINUTE, self.ends)

    def before(self, minute: int) -> Event | None:
        """The last thing that became known before a minute."""
        return next((e for e in reversed(self.events) if e.minute < minute), None)

    def after(self, minute: int) -> Event | None:
        return next((event for event in self.events if event.minute > minute), None)

    def came_later(self, moment: datetime) -> list[Event]:
        """What had happened by a moment, and was not known then."""
        return [e for e in self.events if e.is_late and e.happened <= moment < e.at]


def span_of(session: InfusionSession, *, at: datetime) -> Span:
    """From check-in to the end of a visit, or to now, with all that was recorded."""
    chart = charts_of([session], at=at)[0]
    moves = list(StageChange.objects.filter(session=session))
    begins = min((row.recorded_at for row in moves), default=session.scheduled_at)
    begins = begins.replace(second=0, microsecond=0)
    changes = _settings_changes(session.clinic)
    found = sorted(_events(chart, moves), key=lambda event: event.at)
    over = session.stage in (Stage.DISCHARGED, Stage.CANCELLED)
    ends = found[-1].at if over and found else at
    span = Span(begins=begins, ends=max(ends, begins), events=())

    def is_late(event: Event) -> bool:
        minutes = _clinic_then(session.clinic, changes, event.at).late_entry_minutes
        return event.at - event.happened > timedelta(minutes=minutes)

    placed = tuple(
        replace(
            event,
            minute=span.minute_of(event.at),
            is_late=event.is_late or is_late(event),
        )
        for event in found
    )
    return replace(span, events=placed)


def chart_then(session: InfusionSession, *, at: datetime) -> SessionChart:
    """The visit as every screen showed it at a moment; nothing later is read."""
    chart = charts_of([_header_then(session, at)], at=at, known=at)[0]
    read_course(chart, at)
    return chart


def _header_then(session: InfusionSession, at: datetime) -> InfusionSession:
    """A copy of the header with stage, nurse, order, Start and clinic as they were."""
    then = copy.copy(session)
    then.clinic = _clinic_then(session.clinic, _settings_changes(session.clinic), at)
    moves = StageChange.objects.filter(recorded_by_then(at), session=session)
    last = moves.order_by("recorded_at", "pk").last()
    then.stage = last.to_stage if last else Stage.PLANNED
    if then.stage != Stage.DISCHARGED:
        then.outcome = ""
    start = getattr(session, "start", None)
    if start is not None and start.recorded_at > at:
        then._state.fields_cache["start"] = None
    then.order = copy.copy(session.order)
    versions = OrderVersion.objects.filter(recorded_by_then(at), order=session.order)
    related = versions.select_related("protocol_version__protocol", "prescriber")
    then.order.current = related.order_by("number").last()
    then.nurse = _nurse_then(session, at)
    factors = RiskFactor.objects.filter(
        recorded_by_then(at), patient=session.patient, key=RiskFactor.PREGNANCY
    )
    then.is_pregnant = any(
        row.presence == Presence.PRESENT for row in current_rows(factors)
    )
    return then


def _settings_changes(clinic: Clinic) -> list[AuditEntry]:
    """Every change of the clinic's settings, the newest first."""
    found = AuditEntry.objects.filter(
        action="clinic.settings", object_type="clinic", object_id=clinic.pk
    )
    return list(found.order_by("-sequence"))


def _clinic_then(clinic: Clinic, changes: list[AuditEntry], at: datetime) -> Clinic:
    """A copy of the clinic with the settings that judged in force at a moment."""
    then = copy.copy(clinic)
    for change in changes:
        if change.at <= at:
            break
        for name, value in json.loads(change.detail)["before"].items():
            if name in JUDGING:
                setattr(then, name, Clinic._meta.get_field(name).to_python(value))
    return then


def _nurse_then(session: InfusionSession, at: datetime) -> User | None:
    """Who had the visit: whom the next one to take it over took it from."""
    later = _new_nurses(session).filter(at__gt=at).first()
    if later is None:
        return session.nurse
    before = json.loads(later.detail)["before"]
    return User.objects.filter(pk=before).first()


def _new_nurses(session: InfusionSession):
    about = Q(object_type="infusionsession", object_id=session.pk)
    found = AuditEntry.objects.filter(about, action__in=NEW_NURSE)
    return found.order_by("sequence")


def _events(chart: SessionChart, moves: list[StageChange]) -> Iterator[Event]:
    session = chart.session
    for move in moves:
        yield _event(move, str(Stage(move.to_stage).label))
    yield from _rates(chart)
    yield from _vitals(chart)
    for raised in chart.flags:
        flag = raised.flag
        look = {"state": f"flag-{flag.priority}", "icon": flag.priority}
        yield _event(flag, _("Flag: %(what)s") % {"what": flag.headline}, **look)
        for each in raised.events:
            what = {"kind": each.words, "what": flag.headline}
            yield _event(each, _("%(kind)s: %(what)s") % what)
    yield from _reactions(chart)
    yield from _others(session)


def _rates(chart: SessionChart) -> Iterator[Event]:
    for row in chart.every_rate:
        what = f"{row.get_kind_display()}: {plain(row.rate_ml_per_h)} mL/h"
        words = "%(what)s"
        if row.entered_in_error:
            words = _("Rate withdrawn, %(what)s")
        elif row.supersedes_id:
            words = _("Rate corrected, %(what)s")
        late = bool(row.supersedes_id)
        yield _event(row, words % {"what": what}, state="running", is_late=late)


def _vitals(chart: SessionChart) -> Iterator[Event]:
    for row in chart.every_vitals:
        values = f"{row.systolic_mmhg or '–'}/{row.diastolic_mmhg or '–'}"
        words = _("Vitals: %(values)s mmHg, pulse %(pulse)s /min")
        if row.entered_in_error:
            words = _("Vitals withdrawn: %(values)s mmHg, pulse %(pulse)s /min")
        elif row.supersedes_id:
            words = _("Vitals corrected: %(values)s mmHg, pulse %(pulse)s /min")
        words = words % {"values": values, "pulse": row.pulse or "–"}
        yield _event(row, words, is_late=bool(row.supersedes_id))


def _reactions(chart: SessionChart) -> Iterator[Event]:
    look = {"state": "flag-high", "icon": "rx"}
    for seen in chart.every_reaction:
        row, words = seen.reaction, _("Reaction: %(what)s")
        if row.entered_in_error:
            words = _("Reaction withdrawn: %(what)s")
        elif row.supersedes_id:
            words = _("Reaction corrected: %(what)s")
        words = words % {"what": seen.words}
        yield _event(row, words, is_late=bool(row.supersedes_id), **look)


def _others(session: InfusionSession) -> Iterator[Event]:
    """Outcomes, medicines, notes, and who took the visit over."""
    for row in ReactionOutcome.objects.filter(session=session):
        words, what = _("Reaction: %(what)s"), inside(row.get_kind_display())
        if row.entered_in_error:
            words = _("Outcome withdrawn: %(what)s")
        yield _event(row, words % {"what": what}, is_late=row.entered_in_error)
    for row in GivenMedicine.objects.filter(session=session):
        words = _("Given: %(what)s")
        dose = f"{row.name} {plain(row.dose)} {row.dose_unit}"
        if row.entered_in_error:
            words = _("Dose taken back: %(what)s")
        yield _event(row, words % {"what": dose}, is_late=row.entered_in_error)
    for row in Note.objects.filter(session=session).exclude(text=""):
        yield _event(row, _("Note: %(what)s") % {"what": row.text})
    for entry in _new_nurses(session).select_related("user"):
        yield Event(
            at=entry.at,
            happened=entry.at,
            words=_("Another nurse, by %(name)s") % {"name": entry.user.name},
        )


def _event(row: Any, words: str, **look: Any) -> Event:
    return Event(at=row.recorded_at, happened=row.event_time, words=words, **look)
