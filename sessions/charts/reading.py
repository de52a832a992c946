"""Reads visits whole, one or many, in a number of queries that does not grow."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from sessions.charts.chart import SessionChart
from sessions.charts.raised import RaisedFlag, SeenReaction
from sessions.models import (
    Flag,
    FlagEvent,
    GateOverride,
    GivenMedicine,
    IdentityCheck,
    InfusionSession,
    LineCheck,
    OrderVersion,
    Presence,
    RateChange,
    ReactionOutcome,
    ReactionSymptom,
    RiskFactor,
    Screening,
    StageChange,
    Start,
    Vial,
    VitalSigns,
)
from sessions.rules.plans import rungs_of
from sessions.rules.policy import Policy
from sessions.rules.sources import DocumentError
from sessions.rules.vitals import COMPLETE

RELATED = (
    "clinic",
    "patient",
    "chair",
    "nurse",
    "order__current__protocol_version__protocol",
    "order__current__prescriber",
    "start__order_version__prescriber",
    "start__protocol_version__protocol",
    "start__baseline",
    "start__weight",
)
"""What a chart reads beside the visit itself, in the same query."""

DEFERRED = (
    "order__current__protocol_version__document",
    "start__protocol_version__document",
    "start__gate",
)
"""Large documents: the policy is read once for each content and then remembered."""


def for_charts(sessions: QuerySet) -> QuerySet:
    """Visits with all that a chart needs of them, still one query."""
    pregnant = RiskFactor.objects.current().filter(
        patient=OuterRef("patient"), key=RiskFactor.PREGNANCY, presence=Presence.PRESENT
    )
    return (
        sessions.select_related(*RELATED)
        .defer(*DEFERRED)
        .annotate(is_pregnant=Exists(pregnant))
    )


def chart_of(session: InfusionSession, *, at: datetime) -> SessionChart:
    """One visit with every part of it; a constant number of queries."""
    chart = charts_of([session], at=at)[0]
    read_course(chart)
    read_preparation(chart)
    chart.is_whole = True
    return chart


def charts_of(
    sessions: Iterable[InfusionSession], *, at: datetime, known: datetime | None = None
) -> list[SessionChart]:
    """Many visits in four queries, however many: vitals, rates, reactions, flags.

    The visits come from `for_charts`, so that reading them costs one query more. Only
    rows that were recorded by `known` are read: then the chart is what it was then.
    """
    sessions = list(sessions)
    ids = [session.pk for session in sessions]
    vitals = _by_session(
        VitalSigns.objects.filter(
            recorded_by_then(known), session_id__in=ids
        ).select_related("recorded_by")
    )
    rates = _by_session(
        RateChange.objects.filter(
            recorded_by_then(known), session_id__in=ids
        ).select_related("recorded_by")
    )
    reactions, flags = _reactions(ids, known), _flags(ids, known)
    return [
        _chart(
            session,
            at=at,
            vitals=vitals[session.pk],
            rates=rates[session.pk],
            reactions=reactions[session.pk],
            flags=flags[session.pk],
        )
        for session in sessions
    ]


def recorded_by_then(known: datetime | None, path: str = "") -> Q:
    """Rows that were recorded by a moment; all of them without one."""
    return Q(**{f"{path}recorded_at__lte": known}) if known else Q()


def for_cards(sessions: QuerySet) -> QuerySet:
    """Visits for `cards_of`: with the time of the newest complete set, in one query."""
    complete = VitalSigns.objects.current().filter(
        session=OuterRef("pk"), **{f"{name}__isnull": False for name in COMPLETE}
    )
    newest = complete.order_by("-event_time").values("event_time")[:1]
    return for_charts(sessions).annotate(last_complete_at=Subquery(newest))


def cards_of(
    sessions: Iterable[InfusionSession], *, at: datetime
) -> list[SessionChart]:
    """Many visits as far as a card shows them: two queries, however many.

    Rates and flags are read; of the vitals only when the newest complete set was taken.
    """
    sessions = list(sessions)
    ids = [session.pk for session in sessions]
    rates = _by_session(RateChange.objects.filter(session_id__in=ids))
    flags = _flags(ids)
    return [
        _chart(session, at=at, rates=rates[session.pk], flags=flags[session.pk])
        for session in sessions
    ]


def _chart(
    session: InfusionSession,
    *,
    at: datetime,
    rates: list[RateChange],
    flags: list[RaisedFlag],
    vitals: Iterable[VitalSigns] = (),
    reactions: Iterable[SeenReaction] = (),
) -> SessionChart:
    vitals, reactions = list(vitals), list(reactions)
    start = getattr(session, "start", None)
    version = session.order_version
    policy, fault = _policy(start or version)
    pregnant = getattr(session, "is_pregnant", None)
    for raised in flags:
        if version is not None and _raised_under(raised.flag, start or version):
            raised.flag.protocol_version = (start or version).protocol_version
    return SessionChart(
        session=session,
        at=at,
        start=start,
        order_version=version,
        policy=policy,
        policy_fault=fault,
        rungs=rungs_of((start or version).plan) if start or version else (),
        total_ml=(start or version).volume_ml if start or version else Decimal(0),
        every_vitals=vitals,
        vitals=current_rows(vitals),
        every_rate=rates,
        rates=current_rows(rates),
        every_reaction=reactions,
        reactions=[seen for seen in reactions if seen.stands],
        flags=flags,
        is_pregnant=bool(pregnant),
        last_complete_at=getattr(session, "last_complete_at", None),
    )


def _raised_under(flag: Flag, holder: Start | OrderVersion) -> bool:
    """Whether a flag was raised under the very version that the visit runs under."""
    return flag.protocol_version_id == holder.protocol_version_id


def _policy(holder: Start | OrderVersion | None) -> tuple[Policy | None, str]:
    if holder is None:
        return None, _("no order")
    try:
        return holder.protocol_version.policy, ""
    except (DocumentError, ValueError) as error:
        return None, _("the protocol cannot be read: {error}").format(error=error)


def current_rows(rows: Iterable[Any]) -> list[Any]:
    """Rows that no later row corrects or withdraws, in the order they happened."""
    rows = list(rows)
    superseded = {row.supersedes_id for row in rows if row.supersedes_id}
    kept = [r for r in rows if r.pk not in superseded and not r.entered_in_error]
    return sorted(kept, key=lambda row: (row.event_time, row.pk))


def _by_session(rows: Iterable[Any]) -> Mapping[int, list[Any]]:
    grouped: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row.session_id].append(row)
    return grouped


def _reactions(
    ids: list[int], known: datetime | None = None
) -> Mapping[int, list[SeenReaction]]:
    """Every reaction with its symptoms, in one query: each row has a symptom.

    Those that were corrected or withdrawn are among them, in the order they happened.
    """
    resolved = ReactionOutcome.objects.filter(
        recorded_by_then(known),
        reaction=OuterRef("reaction"),
        kind__in=[ReactionOutcome.Kind.RESOLVED, ReactionOutcome.Kind.SEQUELAE],
        entered_in_error=False,
    ).exclude(
        Exists(
            ReactionOutcome.objects.filter(
                recorded_by_then(known), supersedes=OuterRef("pk")
            )
        )
    )
    symptoms = (
        ReactionSymptom.objects.filter(
            recorded_by_then(known, "reaction__"), reaction__session_id__in=ids
        )
        .select_related("reaction", "reaction__recorded_by")
        .annotate(is_over=Exists(resolved))
        .order_by("reaction_id", "pk")
    )
    grouped: dict[int, dict[int, SeenReaction]] = defaultdict(dict)
    for symptom in symptoms:
        seen = grouped[symptom.reaction.session_id].setdefault(
            symptom.reaction_id,
            SeenReaction(reaction=symptom.reaction, is_over=symptom.is_over),
        )
        seen.symptoms.append(symptom)
    for seen_by_id in grouped.values():
        _chain(seen_by_id)
    return defaultdict(
        list,
        {
            session_id: sorted(
                seen_by_id.values(),
                key=lambda seen: (seen.reaction.event_time, seen.reaction.pk),
            )
            for session_id, seen_by_id in grouped.items()
        },
    )


def _chain(seen_by_id: Mapping[int, SeenReaction]) -> None:
    """Tie each correction to what it corrects, the oldest row first."""
    for seen in seen_by_id.values():
        old = seen_by_id.get(seen.reaction.supersedes_id or 0)
        if old is not None:
            old.newer = seen.reaction
            seen.earlier = [*old.earlier, old.reaction]
            seen.is_over = seen.is_over or old.is_over


FLAG_COLUMNS = [column.attname for column in Flag._meta.concrete_fields]
EVENT_COLUMNS = [column.attname for column in FlagEvent._meta.concrete_fields]


def _flags(
    ids: list[int], known: datetime | None = None
) -> Mapping[int, list[RaisedFlag]]:
    """Flags with their events in one query, a join; a save may spend few."""
    rows = (
        Flag.objects.filter(recorded_by_then(known), session_id__in=ids)
        .order_by("event_time", "pk", "events__event_time", "events__pk")
        .values_list(
            *FLAG_COLUMNS,
            *(f"events__{name}" for name in EVENT_COLUMNS),
            "events__recorded_by__name",
        )
    )
    seen: dict[int, RaisedFlag] = {}
    grouped: dict[int, list[RaisedFlag]] = defaultdict(list)
    width = len(FLAG_COLUMNS)
    for row in rows:
        flag = Flag.from_db("default", FLAG_COLUMNS, row[:width])
        raised = seen.get(flag.pk)
        if raised is None:
            raised = seen[flag.pk] = RaisedFlag(flag=flag)
            grouped[flag.session_id].append(raised)
        *columns, name = row[width:]
        if columns[EVENT_COLUMNS.index("id")] is not None:
            event = FlagEvent.from_db("default", EVENT_COLUMNS, columns)
            event.by_name = name
            if known is None or event.recorded_at <= known:
                raised.events.append(event)
    return grouped


def read_course(chart: SessionChart, known: datetime | None = None) -> None:
    """Read what was given beside the rate: medicines and vials."""
    then, session = recorded_by_then(known), chart.session
    chart.every_medicine = list(
        GivenMedicine.objects.filter(then, session=session)
        .select_related("recorded_by")
        .order_by("event_time", "pk")
    )
    chart.medicines = current_rows(chart.every_medicine)
    chart.vials = current_rows(
        Vial.objects.filter(then, session=session).select_related("recorded_by", "end")
    )


def read_preparation(chart: SessionChart) -> None:
    """Read what was checked before the Start; for Start, record and reports."""
    session = chart.session
    chart.screening = _newest(Screening, session)
    chart.line = _newest(LineCheck, session)
    chart.identity = _newest(IdentityCheck, session)
    chart.overrides = current_rows(
        GateOverride.objects.filter(session=session).select_related("recorded_by")
    )
    chart.stage_changes = current_rows(
        StageChange.objects.filter(session=session).select_related("recorded_by")
    )
    outcomes = ReactionOutcome.objects.filter(session=session)
    chart.outcomes = list(
        outcomes.select_related("recorded_by").order_by("event_time", "pk")
    )


def _newest(model: Any, session: InfusionSession) -> Any:
    rows = model.objects.filter(session=session).select_related("recorded_by")
    kept = current_rows(rows)
    return kept[-1] if kept else None
