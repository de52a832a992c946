"""Vital signs on time, late and missed, by the schedule of the chart (I3)."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import (
    Flag,
    FlagEvent,
    FlagPriority,
    ProtocolVersion,
    RateChange,
    Stage,
    StageChange,
    Start,
    VitalSigns,
)
from sessions.reports.results import (
    Column,
    Report,
    Row,
    counted,
    ranked,
    said,
    written,
)
from sessions.reports.scope import (
    IN_ORDER,
    Scope,
    group_of,
    infusions,
    left_out,
)
from sessions.rules.monitoring import RECHECK_MINUTES, Owed
from sessions.rules.owed import FlagSpan, OwedSet, OwedState, Visit, owed_sets
from sessions.rules.plans import rungs_of
from sessions.rules.policy import Policy
from sessions.rules.quantities import plain
from sessions.rules.running import RateEvent
from sessions.rules.sources import DocumentError
from sessions.rules.statistics import per_100, wilson
from sessions.rules.vitals import COMPLETE

SMALL = 50
"""Under so many sets a share is shown but not ranked."""

GROUPINGS = {
    "product": _lazy("Product"),
    "stage": _lazy("Part of the schedule"),
    "month": _lazy("Month of the start"),
    "indication": _lazy("Indication"),
    "experience": _lazy("First or later"),
}

PARTS = {
    Owed.FIRST: _lazy("First set after the start"),
    Owed.STEP: _lazy("Before a step up"),
    Owed.STEADY: _lazy("At a steady rate"),
    Owed.PAUSED: _lazy("While paused"),
    Owed.RECHECK: _lazy("Recheck after a flag"),
    Owed.END: _lazy("At the end"),
    Owed.DISCHARGE: _lazy("Before discharge"),
}

ENDINGS = (FlagEvent.Kind.SETTLED, FlagEvent.Kind.NOT_SETTLED, FlagEvent.Kind.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsScope(Scope):
    """What the report on vital signs is asked for: the visits it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Visits whose protocol cannot be read: never counted as on time (I15)."""

    visits: int
    policies: tuple[Policy, ...]


def count(scope: VitalsScope) -> Report:
    """Count the sets owed in the visits of the period, whole and by group."""
    visits = infusions(scope)
    owed, unread = owed_by_visit(scope)
    tallies: dict[tuple, tuple[str, Counter]] = {}
    everything: Counter = Counter()
    for pk, sets in owed.items():
        group = (
            group_of(visits[pk], scope.by, scope.clinic) if _by_visit(scope) else None
        )
        for each in sets:
            order, label = group or ((list(Owed).index(each.owed),), PARTS[each.owed])
            tallies.setdefault(order, (label, Counter()))[1][each.state] += 1
            everything[each.state] += 1
    rows = [
        _row(label, tally)
        for _, (label, tally) in sorted(tallies.items(), key=lambda pair: pair[0])
    ]
    if scope.by not in IN_ORDER:
        rows = list(ranked(rows, "on_time_share"))
    total = _row(_("All sets owed"), everything, is_total=True)
    words = counted(
        unread.visits,
        "{count} infusion whose protocol cannot be read",
        "{count} infusions whose protocol cannot be read",
    )
    return Report(
        key="vitals",
        title=_("Vital signs on time"),
        headline=_headline(total),
        sentence=_sentence(total, len(owed)),
        left_out=(*left_out(scope), *([words] if unread.visits else [])),
        grouped=GROUPINGS[scope.by],
        columns=(
            Column(title=_("Sets owed"), keys=("of",)),
            Column(title=_("On time"), keys=("on_time",)),
            Column(title=_("Late"), keys=("late",)),
            Column(title=_("Missed"), keys=("missed",)),
            Column(title=_("On time, %"), keys=("on_time_share",), is_main=True),
            Column(title=_("95 % interval"), keys=("low", "high")),
            Column(title=_("Late, %"), keys=("late_share",)),
            Column(title=_("Missed, %"), keys=("missed_share",)),
            Column(title=_("Still open"), keys=("open",)),
        ),
        rows=(*rows, total) if everything else (),
        definitions=_definitions(unread.policies),
        caution=_("Sets that fell due together are one set."),
        is_found=bool(everything),
    )


def _by_visit(scope: VitalsScope) -> bool:
    return scope.by != "stage"


def _row(label: str, tally: Mapping[Any, int], *, is_total: bool = False) -> Row:
    on_time, late = tally[OwedState.ON_TIME], tally[OwedState.LATE]
    missed = tally[OwedState.MISSED]
    of = on_time + late + missed
    values: dict = {
        "of": of,
        "on_time": on_time,
        "late": late,
        "missed": missed,
        "open": tally[OwedState.OPEN],
    }
    found = wilson(on_time, of)
    if found is not None:
        values["on_time_share"] = per_100(found.share)
        values["low"], values["high"] = per_100(found.low), per_100(found.high)
        for key, number in (("late_share", late), ("missed_share", missed)):
            part = wilson(number, of)
            values[key] = per_100(part.share) if part else None
    is_small = of < SMALL
    note = _("small") if is_total else _("small, not ranked")
    return Row(
        label=label,
        values=values,
        is_small=is_small,
        is_total=is_total,
        note=note if is_small else "",
    )


def owed_by_visit(scope: VitalsScope) -> tuple[dict[int, tuple[OwedSet, ...]], Unread]:
    """What every started visit owed, by the schedule it was started with."""
    here = scope.started("session__start__")
    policies = _policies(scope)
    changes = _by_session(
        RateChange.objects.current()
        .filter(here)
        .order_by("event_time", "pk")
        .values_list("session_id", "event_time", "rate_ml_per_h", "kind")
    )
    complete = {f"{name}__isnull": False for name in COMPLETE}
    sets = _by_session(
        VitalSigns.objects.current()
        .filter(here, **complete)
        .order_by("event_time", "pk")
        .values_list("session_id", "event_time")
    )
    over = dict(
        StageChange.objects.current()
        .filter(here, to_stage=Stage.DISCHARGED)
        .values_list("session_id", "event_time")
    )
    flags = _flag_spans(scope, policies)
    starts = (
        Start.objects.filter(scope.started())
        .order_by("event_time", "pk")
        .values_list(
            "session_id", "observation_minutes", "protocol_version_id", "plan__rungs"
        )
    )
    found: dict[int, tuple[OwedSet, ...]] = {}
    unread, used = 0, {}
    for pk, observe_minutes, version, rungs in starts:
        policy = policies.get(version)
        if policy is None:
            unread += 1
            continue
        used[version] = policy
        visit = Visit(
            changes=tuple(
                RateEvent(at=at, ml_per_h=rate, kind=kind)
                for at, rate, kind in changes[pk]
            ),
            rungs=rungs_of({"rungs": rungs}),
            observe_minutes=observe_minutes,
            sets_at=tuple(at for (at,) in sets[pk]),
            flags=tuple(flags.get(pk, ())),
            over_at=over.get(pk),
            restart_minutes=policy.dosing.restart.minutes.value,
        )
        found[pk] = owed_sets(visit, policy.monitoring.schedule, at=scope.at)
    return found, Unread(visits=unread, policies=tuple(used.values()))


def _policies(scope: VitalsScope) -> dict[int, Policy]:
    """The policies of the started visits; one that cannot be read is missing."""
    found = {}
    used = Start.objects.filter(scope.started()).values("protocol_version")
    versions = ProtocolVersion.objects.of(scope.clinic).filter(pk__in=used)
    for version in versions.select_related("protocol"):
        try:
            found[version.pk] = version.policy
        except (DocumentError, ValueError):
            continue
    return found


def _flag_spans(
    scope: VitalsScope, policies: Mapping[int, Policy]
) -> dict[int, list[FlagSpan]]:
    """When each visit's flags were open and owed a recheck, as the chart reads it."""
    rows = (
        Flag.objects.filter(scope.started("session__start__"))
        .order_by("event_time", "pk", "events__event_time", "events__pk")
        .values_list(
            *("session_id", "pk", "rule", "session__start__protocol_version_id"),
            *("event_time", "priority", "recheck_minutes"),
            *("events__kind", "events__event_time", "events__recheck_at"),
            *("events__entered_in_error", "events__superseded_by"),
        )
    )
    flags: dict[int, tuple[int, FlagSpan, list]] = {}
    for session_id, pk, rule, version, *rest in rows:
        *raised, kind, at, recheck_at, withdraws, newer = rest
        span = _raised(*raised, begins_ladder=_begins(policies.get(version), rule))
        events = flags.setdefault(pk, (session_id, span, []))[2]
        if not withdraws and newer is None:
            events.append((kind, at, recheck_at))
    spans: dict[int, list[FlagSpan]] = defaultdict(list)
    for session_id, span, events in flags.values():
        spans[session_id].append(_followed(span, events))
    return spans


def _begins(policy: Policy | None, rule: str) -> bool:
    """Whether a flag of this rule stands for a new lot that begins the ladder again."""
    if policy is None:
        return False
    new_lot = policy.monitoring.new_lot
    return rule == new_lot.rule and new_lot.act.first_step


def _raised(
    raised_at: datetime, priority: str, minutes: int | None, *, begins_ladder: bool
) -> FlagSpan:
    return FlagSpan(
        raised_at=raised_at,
        is_loud=priority != FlagPriority.LOW,
        minutes=minutes or RECHECK_MINUTES,
        begins_ladder=begins_ladder,
    )


def _followed(span: FlagSpan, events: list) -> FlagSpan:
    answers = [event for event in events if event[0] in FlagEvent.ANSWERS]
    endings = [event for event in events if event[0] in ENDINGS]
    closed = any(event[0] == FlagEvent.Kind.CLOSED for event in events)
    return replace(
        span,
        answered_at=answers[-1][1] if answers else None,
        recheck_at=answers[-1][2] if answers else None,
        over_at=endings[-1][1] if endings else None,
        begins_ladder=span.begins_ladder and not closed,
    )


def _by_session(rows) -> Mapping[int, list[tuple]]:
    grouped: dict[int, list[tuple]] = defaultdict(list)
    for session_id, *rest in rows:
        grouped[session_id].append(tuple(rest))
    return grouped


def _headline(total: Row) -> str:
    share = total.values.get("on_time_share")
    return (
        _("{share} % on time").format(share=written(share))
        if share is not None
        else _("None owed so far")
    )


def _sentence(total: Row, visits: int):
    values = total.values
    begins = _(
        "Of **{sets}** of vital signs owed in {infusions} started in the period, "
        "**{on_time}** were taken on time: **{share} %** (95 % interval {low} to "
        "{high}). {late} were late, {missed} missed."
    ).format(
        sets=counted(values["of"], "{count} set", "{count} sets"),
        infusions=counted(visits, "{count} infusion", "{count} infusions"),
        on_time=written(values["on_time"]),
        share=written(values.get("on_time_share")),
        low=written(values.get("low")),
        high=written(values.get("high")),
        late=written(values["late"]),
        missed=written(values["missed"]),
    )
    ends = _("{count} can still be taken and are not in the shares.").format(
        count=written(values["open"])
    )
    return said(begins, ends if values["open"] else "")


def _definitions(policies: tuple[Policy, ...]) -> tuple[tuple[str, str], ...]:
    return (
        (
            _("Owed"),
            _(
                "what the chart showed as due next, by the protocol the "
                "infusion was started with ({policies}): first set, before "
                "each step up, at a steady rate, while paused, rechecks "
                "after flags, at the end and before discharge. The "
                "baseline is held by the gate to the start and not counted."
            ).format(policies=_schedules(policies)),
        ),
        (
            _("On time"),
            _("a complete set, taken at most {policies} after its time.").format(
                policies=_late(policies)
            ),
        ),
        (_("Late"), _("taken after that, before the next one was due.")),
        (
            _("Missed"),
            _(
                "the next one fell due, or the visit moved on (paused, "
                "ended, discharged), and no complete set had been taken."
            ),
        ),
        (
            _("Complete set"),
            _(
                "blood pressure, pulse, respiration, oxygen saturation and "
                "temperature. A set counts at the time it was taken, also "
                "when it was written down later; sets corrected or "
                "withdrawn since do not count."
            ),
        ),
        (
            _("Not counted"),
            _(
                "a set owed that fell away before it was late, and a set "
                "that nothing asked for; both move the schedule on, as on "
                "the chart. After 24 hours without any entry a visit owes "
                "nothing more."
            ),
        ),
        (_("95 % interval"), _("Wilson score interval (1927), of the share on time.")),
        (
            _("Small"),
            _(
                "under {least} sets: open mark, dashed, after the others, unranked."
            ).format(least=SMALL),
        ),
    )


def _schedules(policies: tuple[Policy, ...]) -> str:
    return ", ".join(dict.fromkeys(policy.label for policy in policies)) or _(
        "none yet"
    )


def _late(policies: tuple[Policy, ...]) -> str:
    minutes = sorted(
        {policy.monitoring.schedule.late_after_minutes.value for policy in policies}
    )
    words = _(" or ").join(plain(value) for value in minutes) or plain(Decimal(0))
    return _("{words} minutes").format(words=words)
