"""Time from the onset of a reaction, or from a flag, to a lower rate (I2)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import Flag, FlagAction, FlagEvent, RateChange, Reaction
from sessions.reports.results import (
    Column,
    Report,
    Row,
    counted,
    plural,
    ranked,
    said,
    written,
)
from sessions.reports.scope import (
    DOWN,
    IN_ORDER,
    OVER,
    Change,
    Infusion,
    Scope,
    Standing,
    group_of,
    infusions,
    left_out,
    rate_changes,
    standing,
)
from sessions.rules.statistics import median, percentile, rounded

SMALL = 10
"""Under so many answers a 90th percentile is little more than the slowest one."""

GROUPINGS = {
    "product": _lazy("Product"),
    "month": _lazy("Month of the start"),
    "indication": _lazy("Indication"),
    "source": _lazy("Reaction or flag"),
    "action": _lazy("What was called for"),
    "experience": _lazy("First or later"),
}
SOURCES = {
    "": _lazy("Reactions and flags"),
    "reaction": _lazy("Reactions"),
    "flag": _lazy("Flags"),
}
SOURCE_WORDS = {
    "": plural("{count} reaction or flag", "{count} reactions and flags"),
    "reaction": plural("{count} reaction", "{count} reactions"),
    "flag": plural("{count} flag", "{count} flags"),
}
CALLS_FOR_LESS = (
    FlagAction.REDUCE,
    FlagAction.PAUSE,
    FlagAction.STOP,
    FlagAction.EMERGENCY,
)
ACTION_WORDS = {
    "": _lazy("Reaction without such a flag"),
    "reduce": _lazy("Reduce"),
    "pause": _lazy("Pause"),
    "stop": _lazy("Stop and call"),
    "emergency": _lazy("Emergency"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionScope(Scope):
    """What the report is asked for: `source` is empty, `reaction` or `flag`."""

    source: str = ""


class Call(NamedTuple):
    """Something that asked for a lower rate: where, when, and what became of it."""

    session_id: int
    source: str
    action: str
    at: datetime
    minutes: Fraction | None
    kept: bool


@dataclass(slots=True)
class Tally:
    """A group while it is counted."""

    label: str
    calls: list[Call] = field(default_factory=list)


def count(scope: ReductionScope) -> Report:
    """Measure how long it took to lower the rate, whole and by group."""
    visits = infusions(scope)
    calls, corrected = _calls(scope, visits)
    tallies: dict[tuple, Tally] = {}
    for call in calls:
        order, label = _group(scope, visits[call.session_id], call)
        tally = tallies.setdefault(order, Tally(label))
        tally.calls.append(call)
    rows = [
        _row(tally.label, tally.calls)
        for _, tally in sorted(tallies.items(), key=lambda pair: pair[0])
    ]
    if scope.by not in IN_ORDER | {"source", "action"}:
        rows = list(ranked(rows, "median"))
    total = _row(SOURCES[scope.source], calls, is_total=True)
    words = counted(
        corrected,
        "{count} flag raised by values that were corrected since",
        "{count} flags raised by values that were corrected since",
    )
    return Report(
        key="reductions",
        title=_("Time to a lower rate"),
        headline=_headline(total),
        sentence=_sentence(scope, total, len(visits)),
        left_out=(*left_out(scope), *([words] if corrected else [])),
        grouped=GROUPINGS[scope.by],
        columns=(
            Column(title=SOURCES[scope.source], keys=("of",)),
            Column(title=_("Rate lowered"), keys=("answered",)),
            Column(title=_("Median, min"), keys=("median",), is_main=True),
            Column(title=_("90th percentile, min"), keys=("p90",)),
            Column(title=_("Longest, min"), keys=("longest",)),
            Column(title=_("Kept with a reason"), keys=("kept",)),
            Column(title=_("Neither"), keys=("neither",)),
        ),
        rows=(*rows, total) if calls else (),
        definitions=_definitions(),
        caution=_("The times are those in the record: when a nurse says it happened."),
        is_found=bool(calls),
    )


def _group(scope: ReductionScope, visit: Infusion, call: Call):
    if scope.by == "source":
        label = _("Reactions, from onset") if call.source == "reaction" else _("Flags")
        return (call.source != "reaction",), label
    if scope.by == "action":
        return (list(ACTION_WORDS).index(call.action),), ACTION_WORDS[call.action]
    return group_of(visit, scope.by, scope.clinic)


def _row(label: str, calls: list[Call], *, is_total: bool = False) -> Row:
    times = [call.minutes for call in calls if call.minutes is not None]
    kept = sum(1 for call in calls if call.kept)
    values: dict = {
        "of": len(calls),
        "answered": len(times),
        "kept": kept,
        "neither": len(calls) - len(times) - kept,
    }
    if times:
        for key, value in (
            ("median", median(times)),
            ("p90", percentile(times, 90)),
            ("longest", max(times)),
        ):
            values[key] = rounded(value or Fraction(0), places=1)
    is_small = len(times) < SMALL
    note = _("small") if is_total else _("small, not ranked")
    return Row(
        label=label,
        values=values,
        is_small=is_small,
        is_total=is_total,
        note=note if is_small else "",
    )


CORRECTABLE = ("pk", "supersedes_id", "entered_in_error")
"""What `standing` asks of each row, before the columns that are counted."""


def _calls(
    scope: ReductionScope, visits: dict[int, Infusion]
) -> tuple[list[Call], int]:
    """Reactions and flags that asked for a lower rate while the pump ran.

    And how many flags are left out, because the set that raised them was corrected.
    """
    here = scope.started("session__start__")
    changes = rate_changes(scope)
    reactions = standing(
        Reaction.objects.filter(here).values_list(
            *CORRECTABLE, "session_id", "event_time", "action"
        )
    )
    flags = standing(
        Flag.objects.filter(here).values_list(
            *CORRECTABLE,
            *("session_id", "event_time", "action", "reaction_id"),
            "vitals__superseded_by__pk",
        )
    )
    answers = _answers(scope, changes, flags, reactions)
    by_flags, raised, corrected = _flag_calls(flags, reactions, changes, answers)
    by_reactions = _reaction_calls(visits, reactions, raised, changes, answers)
    found = {"flag": by_flags, "reaction": by_reactions}
    wanted = [scope.source] if scope.source else list(found)
    calls = [call for source in wanted for call in found[source]]
    return calls, corrected if "flag" in wanted else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Which standing changes lowered the rate for a flag or a reaction, by its id.

    And the flags against which the rate was kept, and those that were closed before
    anybody answered: what they were raised for was corrected.
    """

    for_flag: Mapping[int, list[Change]]
    for_reaction: Mapping[int, list[Change]]
    kept: frozenset[int]
    closed: frozenset[int]


def _answers(
    scope: ReductionScope,
    changes: Mapping[int, list[Change]],
    flags: Standing,
    reactions: Standing,
) -> Answers:
    down = {
        change.pk: change
        for rows in changes.values()
        for change in rows
        if change.kind in DOWN
    }
    links = standing(
        RateChange.objects.filter(scope.started("session__start__")).values_list(
            *CORRECTABLE, "flag_id", "reaction_id"
        )
    )
    for_flag: dict[int, list[Change]] = defaultdict(list)
    for_reaction: dict[int, list[Change]] = defaultdict(list)
    for pk, (*_correctable, flag_id, reaction_id) in links.rows.items():
        if pk not in down:
            continue
        if (flag := flags.heir.get(flag_id)) is not None:
            for_flag[flag].append(down[pk])
        if (reaction := reactions.heir.get(reaction_id)) is not None:
            for_reaction[reaction].append(down[pk])
    kept, answered, closed = set(), set(), set()
    kinds = (*FlagEvent.ANSWERS, FlagEvent.Kind.CLOSED)
    events = (
        FlagEvent.objects.current()
        .filter(scope.started("flag__session__start__"), kind__in=kinds)
        .values_list("flag_id", "kind", "rate_change_id")
    )
    for flag_id, kind, rate_change_id in events:
        flag = flags.heir.get(flag_id)
        if flag is None:
            continue
        (closed if kind == FlagEvent.Kind.CLOSED else answered).add(flag)
        pk = links.heir.get(rate_change_id)
        if pk in down:
            for_flag[flag].append(down[pk])
        if kind == FlagEvent.Kind.OVERRIDDEN:
            kept.add(flag)
    return Answers(
        for_flag=for_flag,
        for_reaction=for_reaction,
        kept=frozenset(kept),
        closed=frozenset(closed - answered),
    )


def _flag_calls(
    flags: Standing,
    reactions: Standing,
    changes: Mapping[int, list[Change]],
    answers: Answers,
) -> tuple[list[Call], dict[int, dict[int, str]], int]:
    """Flags that vital signs raised; those of each reaction, with what they call for.

    And how many were raised by values that were corrected since.
    """
    calls, corrected = [], 0
    raised: dict[int, dict[int, str]] = defaultdict(dict)
    for pk, row in flags.rows.items():
        *_correctable, session_id, at, action, reaction_id, newer = row
        if reaction_id is not None:
            heir = reactions.heir.get(reaction_id)
            if heir is not None:
                raised[heir][pk] = action
            continue
        if action not in CALLS_FOR_LESS or not _runs(changes[session_id], at):
            continue
        if newer is not None:
            corrected += 1
            continue
        minutes = _minutes(at, answers.for_flag.get(pk, []))
        kept = minutes is None and pk in answers.kept
        calls.append(Call(session_id, "flag", action, at, minutes, kept))
    return calls, raised, corrected


def _reaction_calls(
    visits: dict[int, Infusion],
    reactions: Standing,
    raised: Mapping[int, dict[int, str]],
    changes: Mapping[int, list[Change]],
    answers: Answers,
) -> list[Call]:
    """Reactions whose flags called for less, or for which the rate was lowered."""
    calls = []
    for pk, (*_correctable, session_id, at, action) in reactions.rows.items():
        if session_id not in visits or not _runs(changes[session_id], at):
            continue
        mine = raised.get(pk, {})
        asked = [
            word
            for flag, word in mine.items()
            if word in CALLS_FOR_LESS and flag not in answers.closed
        ]
        found = list(answers.for_reaction.get(pk, []))
        found += [each for flag in mine for each in answers.for_flag.get(flag, [])]
        minutes = _minutes(at, found)
        if not asked and minutes is None:
            continue  # nothing called for less, and nobody lowered the rate for it
        highest = max(asked, key=list(ACTION_WORDS).index, default="")
        kept = minutes is None and (
            action == "continue" or any(flag in answers.kept for flag in mine)
        )
        calls.append(Call(session_id, "reaction", highest, at, minutes, kept))
    return calls


def _runs(changes: list[Change], moment: datetime) -> bool:
    """Whether the pump ran at a moment; a change at that very moment answers it."""
    now = None
    for change in changes:
        if change.at < moment or (now is None and change.at == moment):
            now = change
    return now is not None and now.kind != "pause" and now.kind not in OVER


def _minutes(since: datetime, changes: list[Change]) -> Fraction | None:
    """Minutes to the first of the changes that came after it."""
    later = [change.at for change in changes if change.at >= since]
    if not later:
        return None
    return Fraction((min(later) - since) // timedelta(microseconds=1), 60_000_000)


def _headline(total: Row) -> str:
    if total.values.get("median") is None:
        return _("The rate was not lowered")
    return _("Median {median} min").format(median=written(total.values["median"]))


def _sentence(scope: ReductionScope, total: Row, visits: int):
    values = total.values
    answered = _(
        "Of **{calls}** that called for less or were answered so, in {infusions} "
        "started in the period, the rate was lowered after **{answered}**."
    ).format(
        calls=counted(values["of"], *SOURCE_WORDS[scope.source]),
        infusions=counted(visits, "{count} infusion", "{count} infusions"),
        answered=written(values["answered"]),
    )
    if values.get("median") is None:
        return said(answered)
    times = _(
        "Half of them within **{median} min**, nine in ten within **{p90} min**."
    ).format(median=written(values["median"]), p90=written(values["p90"]))
    others = counted(
        values["kept"],
        "{count} rate was kept with a reason;",
        "{count} rates were kept with a reason;",
    )
    neither = _("{count} had neither.").format(count=written(values["neither"]))
    return said(answered, times, others, neither)


def _definitions() -> tuple[tuple[str, str], ...]:
    return (
        (
            _("From"),
            _(
                "the onset of a reaction as the nurse gave it, or the "
                "moment a flag was raised. A flag that a reaction raised "
                "is counted once, from the onset."
            ),
        ),
        (
            _("To"),
            _(
                "the first reduction, pause or stop that is recorded as "
                "the answer to it, read back from the pump."
            ),
        ),
        (
            _("Counted"),
            _(
                "reactions and flags while the pump ran, where the "
                "protocol called for a reduction, a pause or a stop, or "
                "where the rate was lowered in answer. Rows that were "
                "corrected or withdrawn since do not count; their "
                "corrections do."
            ),
        ),
        (
            _("Kept with a reason"),
            _(
                "the rate was kept against the flag and the reason is in "
                "the record. Neither: answered by watching, ended, or not "
                "answered."
            ),
        ),
        (
            _("Median, 90th percentile"),
            _(
                "linear between the two nearest times in order (type 7 of "
                "Hyndman and Fan, 1996), of those after which the rate was "
                "lowered."
            ),
        ),
        (
            _("Small"),
            _(
                "under {least} times: open mark, dashed, after the others, unranked."
            ).format(least=SMALL),
        ),
    )
