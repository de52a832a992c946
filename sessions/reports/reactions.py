"""Reactions per 100 infusions (I1)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import GivenMedicine, Grade, Purpose, Reaction, Vial
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
    Change,
    Group,
    Infusion,
    Scope,
    ended_at,
    group_of,
    infusions,
    left_out,
    rate_changes,
)
from sessions.rules.language import inside, say
from sessions.rules.statistics import per_100, wilson

SMALL = 50
"""Under so many infusions a rate is shown but not ranked."""

GRADES = tuple(Grade.values)

GROUPINGS = {
    "product": _lazy("Product"),
    "lot": _lazy("Lot"),
    "indication": _lazy("Indication"),
    "step": _lazy("Step of the ladder"),
    "premedication": _lazy("Premedication"),
    "experience": _lazy("First or later"),
    "grade": _lazy("Worst grade"),
    "month": _lazy("Month of the start"),
}

WINDOW_WORDS = {
    "24": _lazy("between the start and 24 h after the end"),
    "infusion": _lazy("between the start and the end of the infusion"),
    "72": _lazy("between the start and 72 h after the end"),
    "any": _lazy("at any time after the start"),
}

PREMEDICATED = Group((0,), _lazy("Premedication given"))
NOT_PREMEDICATED = Group((1,), _lazy("No premedication given"))
NO_VIAL = Group(("\uffff",), _lazy("No vial recorded"))
PAUSED = Group((1, 0), _lazy("While paused"))
NO_STEP = Group((0, 0), _lazy("Below the first step"))
AFTER_END = Group((2, 0), _lazy("After the end"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionScope(Scope):
    """What the report on reactions is asked for, beside the visits it counts."""

    grade: str = "mild"
    window: str = "24"


class Seen(NamedTuple):
    """A reaction that counts: when it began, and its grade as a place in `GRADES`."""

    at: datetime
    grade: int


@dataclass(slots=True)
class Tally:
    """A group while it is counted."""

    label: str
    of: int = 0
    hits: int = 0


def count(scope: ReactionScope) -> Report:
    """Count infusions with at least one reaction, whole and by group."""
    visits = infusions(scope)
    changes = rate_changes(scope)
    seen, early = _reactions(scope, visits, changes)
    tallies = _tally(scope, visits, changes, seen)
    rows = [
        _row(tally.label, tally.hits, tally.of)
        for _, tally in sorted(tallies.items(), key=lambda pair: pair[0])
    ]
    if scope.by not in IN_ORDER:
        rows = list(ranked(rows, "rate"))
    hits = sum(1 for pk in visits if seen.get(pk))
    total = _row(_everything(scope), hits, len(visits), is_total=True)
    return Report(
        key="reactions",
        title=_("Reactions per 100 infusions"),
        headline=_("{rate} per 100, {label}").format(
            rate=written(total.values.get("rate")), label=inside(total.label)
        ),
        sentence=_sentence(scope, total),
        left_out=(
            *left_out(scope),
            *(
                [
                    counted(
                        early,
                        "{count} reaction with an onset before the start",
                        "{count} reactions with an onset before the start",
                    )
                ]
                if early
                else []
            ),
        ),
        grouped=GROUPINGS[scope.by],
        columns=(
            Column(title=_("With a reaction"), keys=("hits",)),
            Column(title=_("Infusions"), keys=("of",)),
            Column(title=_("Per 100"), keys=("rate",), is_main=True),
            Column(title=_("95 % interval"), keys=("low", "high")),
        ),
        rows=(*rows, total) if visits else (),
        definitions=_definitions(scope, _unfinished(scope, visits, changes)),
        caution=_("Differences between groups are not adjusted for who received what."),
        is_found=bool(visits),
    )


def _row(label: str, hits: int, of: int, *, is_total: bool = False) -> Row:
    values: dict = {"hits": hits, "of": of}
    found = wilson(hits, of)
    if found is not None:
        values["rate"] = per_100(found.share)
        values["low"], values["high"] = per_100(found.low), per_100(found.high)
    is_small = of < SMALL
    compared = _("small") if is_total else _("small, not ranked")
    return Row(
        label=label,
        values=values,
        is_small=is_small,
        is_total=is_total,
        note=compared if is_small else "",
    )


def _everything(scope: Scope) -> str:
    parts = [
        text for name, text in scope.chosen if name in (_("Product"), _("Indication"))
    ]
    return ", ".join(parts) if parts else _("All infusions")


def _reactions(
    scope: ReactionScope,
    visits: dict[int, Infusion],
    changes: dict[int, list[Change]],
) -> tuple[dict[int, list[Seen]], int]:
    """Current reactions within the window and of the grade, by visit."""
    rows = (
        Reaction.objects.current()
        .filter(scope.started("session__start__"))
        .order_by("event_time", "pk")
        .values_list("session_id", "event_time", "grade")
    )
    lowest, early = GRADES.index(scope.grade), 0
    found: dict[int, list[Seen]] = defaultdict(list)
    for session_id, onset, grade in rows:
        visit, place = visits.get(session_id), GRADES.index(grade)
        if visit is None or place < lowest:
            continue
        if onset < visit.started_at:
            early += 1
            continue
        ends = _window_ends(scope.window, changes[session_id])
        if ends is None or onset <= ends:
            found[session_id].append(Seen(onset, place))
    return found, early


def _window_ends(window: str, changes: list[Change]) -> datetime | None:
    """The last moment of the window; None while it is open or has no end."""
    end = ended_at(changes)
    if end is None or window == "any":
        return None
    return end + timedelta(hours=0 if window == "infusion" else int(window))


def _unfinished(
    scope: ReactionScope,
    visits: dict[int, Infusion],
    changes: dict[int, list[Change]],
) -> int:
    """Visits whose window was not over when this was counted."""
    if scope.window == "any":
        return 0
    ends = (_window_ends(scope.window, changes[pk]) for pk in visits)
    return sum(1 for end in ends if end is None or end > scope.at)


def _tally(
    scope: ReactionScope,
    visits: dict[int, Infusion],
    changes: dict[int, list[Change]],
    seen: dict[int, list[Seen]],
) -> dict[tuple, Tally]:
    """Count each group's infusions and those with a reaction."""
    tallies: dict[tuple, Tally] = {}
    if scope.by == "grade":
        for place, word in enumerate(Grade.labels):
            if place >= GRADES.index(scope.grade):
                tallies[(place,)] = Tally(word)
    beside = _beside(scope)
    for pk, visit in visits.items():
        hits = seen.get(pk, [])
        if scope.by == "grade":
            worst = max((reaction.grade for reaction in hits), default=None)
            for order, tally in tallies.items():
                tally.of += 1
                tally.hits += order == (worst,)
            continue
        if scope.by == "step":
            groups = _steps(changes[pk])
            struck = {_step_at(changes[pk], reaction.at).order for reaction in hits}
        elif scope.by in ("lot", "premedication"):
            groups = beside.get(pk) or [_without(scope.by)]
            struck = {group.order for group in groups} if hits else set()
        else:
            groups = [group_of(visit, scope.by, scope.clinic)]
            struck = {groups[0].order} if hits else set()
        for group in groups:
            tally = tallies.setdefault(group.order, Tally(group.label))
            tally.label = group.label
            tally.of += 1
            tally.hits += group.order in struck
    return tallies


def _without(by: str) -> Group:
    return NO_VIAL if by == "lot" else NOT_PREMEDICATED


def _beside(scope: ReactionScope) -> dict[int, list[Group]]:
    """Lots, or whether a premedication was given, by visit; one read, when asked."""
    started = scope.started("session__start__")
    if scope.by == "lot":
        found: dict[int, dict[tuple, Group]] = defaultdict(dict)
        rows = (
            Vial.objects.current()
            .filter(started)
            .order_by("event_time", "pk")
            .values_list("session_id", "product_key", "product_name", "lot")
        )
        for session_id, key, name, lot in rows:
            order = (key, lot)
            found[session_id].setdefault(
                order, Group(order, _("{name}, lot {lot}").format(name=name, lot=lot))
            )
        return {pk: list(groups.values()) for pk, groups in found.items()}
    if scope.by == "premedication":
        before = (
            GivenMedicine.objects.current()
            .filter(started, ordered__purpose=Purpose.BEFORE)
            .values_list("session_id", "event_time", "session__start__event_time")
        )
        return {
            pk: [PREMEDICATED]
            for pk, given, started_at in before
            if given <= started_at
        }
    return {}


def _steps(changes: Iterable[Change]) -> list[Group]:
    """The steps a visit ran at, its pauses and its end; each once."""
    found: dict[tuple, Group] = {}
    for change in changes:
        group = _group_of_change(change)
        found.setdefault(group.order, group)
    return list(found.values())


def _step_at(changes: Iterable[Change], moment: datetime) -> Group:
    """The step the pump ran at when a reaction began, by the recorded changes.

    A change at the same moment is the answer to the reaction, not its cause; but the
    Start is where it began.
    """
    now = None
    for change in changes:
        if change.at < moment or now is None:
            now = change
    return _group_of_change(now) if now is not None else NO_STEP


def _group_of_change(change: Change) -> Group:
    if change.kind in ("stop", "end"):
        return AFTER_END
    if change.kind == "pause":
        return PAUSED
    if change.step is None:
        return NO_STEP
    return Group((0, change.step), _("Step {step}").format(step=change.step))


def _sentence(scope: ReactionScope, total: Row):
    values = total.values
    return said(
        _(
            "Of **{infusions}** started in the period, **{hits}** had at least one "
            "reaction of grade {grade} {window}: **{rate} per 100** (95 % interval "
            "{low} to {high})."
        ).format(
            infusions=counted(values["of"], "{count} infusion", "{count} infusions"),
            hits=written(values["hits"]),
            grade=_grade_words(scope.grade),
            window=WINDOW_WORDS[scope.window],
            rate=written(values.get("rate")),
            low=written(values.get("low")),
            high=written(values.get("high")),
        )
    )


def _grade_words(grade: str) -> str:
    words = say(grade)
    return words if grade == GRADES[-1] else _("{grade} or worse").format(grade=words)


def _definitions(scope: ReactionScope, unfinished: int) -> tuple[tuple[str, str], ...]:
    found = [
        (
            _("Infusion"),
            _(
                "a visit whose infusion was started in the period. Rows "
                "that were corrected or withdrawn since do not count; "
                "their corrections do."
            ),
        ),
        (
            _("With a reaction"),
            _(
                "counted once per infusion, however many reactions or "
                "symptoms: an onset {window}, grade {grade} as the "
                "nurse saved it."
            ).format(
                window=WINDOW_WORDS[scope.window], grade=_grade_words(scope.grade)
            ),
        ),
        (
            _("95 % interval"),
            _("Wilson score interval (1927), without continuity correction."),
        ),
        (
            _("Small"),
            _(
                "under {least} infusions: open mark, dashed, after the "
                "others and not ranked."
            ).format(least=SMALL),
        ),
    ]
    by = {
        "lot": (
            _("Lot"),
            _(
                "an infusion with vials of two lots counts under both, so "
                "the lots do not add up to all infusions."
            ),
        ),
        "step": (
            _("Step"),
            _(
                "of the infusions that ran at a step, those with a "
                "reaction that began there, by the recorded changes of "
                "rate. An infusion counts at each step it reached."
            ),
        ),
        "premedication": (
            _("Premedication given"),
            _(
                "at least one dose of a medicine ordered before the "
                "infusion was recorded as given before the start."
            ),
        ),
        "experience": (
            _("First"),
            _(
                "as the order was made: the first infusion, or one treated "
                "as the first after another brand or a long gap."
            ),
        ),
        "grade": (
            _("Worst grade"),
            _(
                "the highest grade among an infusion's reactions; each "
                "infusion counts under one grade."
            ),
        ),
    }
    if scope.by in by:
        found.append(by[scope.by])
    if unfinished:
        found.append(
            (
                _("Not over yet"),
                counted(
                    unfinished,
                    "{count} infusion had not reached the end of the window when this "
                    "was counted; a later reaction may be missing.",
                    "{count} infusions had not reached the end of the window when this "
                    "was counted; a later reaction may be missing.",
                ),
            )
        )
    return tuple(found)
