"""Flags by rule: raised, acted on, overridden; which rules go to review (I4)."""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import Flag, FlagAction, FlagEvent
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
    Infusion,
    Scope,
    group_of,
    infusions,
    left_out,
)
from sessions.rules.findings import NOT_DONE
from sessions.rules.statistics import per_100, wilson

REVIEWED_FROM = 50
"""Under so many flags a rule is not judged."""
REVIEWED_ABOVE = Fraction(9, 10)
"""A rule that is overridden more often than this goes to review."""

GROUPINGS = {
    "rule": _lazy("Rule"),
    "action": _lazy("What was called for"),
    "product": _lazy("Product"),
    "month": _lazy("Month of the start"),
    "indication": _lazy("Indication"),
    "experience": _lazy("First or later"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagScope(Scope):
    """What the report on flags is asked for; `action` is empty or one of them."""

    action: str = ""


class Raised(NamedTuple):
    """A flag and what became of it: `acted`, `kept` or `open`."""

    session_id: int
    rule: str
    action: str
    became: str


@dataclass(slots=True)
class Tally:
    """A group while it is counted."""

    label: str
    flags: list[Raised] = field(default_factory=list)


def count(scope: FlagScope) -> Report:
    """Count what was raised and what became of it, whole and by group."""
    visits = infusions(scope)
    flags, corrected = _flags(scope)
    tallies: dict[tuple, Tally] = {}
    for flag in flags:
        order, label = _group(scope, visits[flag.session_id], flag)
        tallies.setdefault(order, Tally(label)).flags.append(flag)
    reviewed = [
        tally.label
        for tally in tallies.values()
        if scope.by == "rule" and for_review(_kept(tally.flags), len(tally.flags))
    ]
    rows = [
        _row(tally.label, tally.flags, len(visits), reviewed=tally.label in reviewed)
        for _order, tally in sorted(tallies.items(), key=lambda pair: pair[0])
    ]
    if scope.by not in IN_ORDER | {"action"}:
        rows = list(ranked(rows, "rate"))
    total = _row(_("All flags"), flags, len(visits), is_total=True)
    words = counted(
        corrected,
        "{count} flag whose cause was corrected or taken back",
        "{count} flags whose cause was corrected or taken back",
    )
    return Report(
        key="flags",
        title=_("Flags and overrides"),
        headline=_headline(total, reviewed),
        sentence=_sentence(total, len(visits), sorted(reviewed)),
        left_out=(*left_out(scope), *([words] if corrected else [])),
        grouped=GROUPINGS[scope.by],
        columns=(
            Column(title=_("Raised"), keys=("of",)),
            Column(title=_("Per 100 infusions"), keys=("burden",)),
            Column(title=_("Acted on"), keys=("acted",)),
            Column(title=_("Overridden"), keys=("hits",)),
            Column(title=_("Overridden, %"), keys=("rate",), is_main=True),
            Column(title=_("95 % interval"), keys=("low", "high")),
            Column(title=_("Neither"), keys=("open",)),
        ),
        rows=(*rows, total) if flags else (),
        definitions=_definitions(),
        caution=_("An override may be right: the share asks whether the rule is."),
        is_found=bool(flags),
    )


def _group(scope: FlagScope, visit: Infusion, flag: Raised):
    if scope.by == "rule":
        return (flag.rule,), flag.rule
    if scope.by == "action":
        place = list(FlagAction.values).index(flag.action)
        return (place,), str(FlagAction(flag.action).label)
    return group_of(visit, scope.by, scope.clinic)


def _row(
    label: str,
    flags: list[Raised],
    visits: int,
    *,
    is_total: bool = False,
    reviewed: bool = False,
) -> Row:
    became = [flag.became for flag in flags]
    of, hits = len(flags), _kept(flags)
    values: dict = {
        "of": of,
        "acted": became.count("acted"),
        "hits": hits,
        "open": became.count("open"),
    }
    if visits:
        values["burden"] = per_100(Fraction(of, visits))
    found = wilson(hits, of)
    if found is not None:
        values["rate"] = per_100(found.share)
        values["low"], values["high"] = per_100(found.low), per_100(found.high)
    is_small = of < REVIEWED_FROM
    note = ""
    if is_small:
        note = _("small") if is_total else _("small, not ranked")
    elif reviewed:
        note = _("for review")
    return Row(
        label=label, values=values, is_small=is_small, is_total=is_total, note=note
    )


def for_review(kept: int, of: int) -> bool:
    """Whether a rule was overridden so often that the clinic looks at it again."""
    return of >= REVIEWED_FROM and Fraction(kept, of) > REVIEWED_ABOVE


def _kept(flags: list[Raised]) -> int:
    return sum(flag.became == "kept" for flag in flags)


def _flags(scope: FlagScope) -> tuple[list[Raised], int]:
    """The flags that count, with what became of each, and how many were taken back."""
    wanted = {"action": scope.action} if scope.action else {}
    rows = (
        Flag.objects.current()
        .filter(scope.started("session__start__"), **wanted)
        .order_by("event_time", "pk", "events__event_time", "events__pk")
        .values_list(
            *("pk", "session_id", "rule", "action"),
            *("events__kind", "events__entered_in_error", "events__superseded_by"),
        )
    )
    kinds: dict[tuple, list[str]] = defaultdict(list)
    for *flag, kind, withdraws, newer in rows:
        kinds[tuple(flag)] += [] if withdraws or newer else [kind]
    found, corrected = [], 0
    for (_pk, session_id, rule, action), events in kinds.items():
        became = _became(rule, events)
        if became == "open" and FlagEvent.Kind.CLOSED in events:
            corrected += 1
            continue
        found.append(Raised(session_id, rule, action, became))
    return found, corrected


def _became(rule: str, events: list[str]) -> str:
    """What was done first; a check done by hand is an act, not an override."""
    answers = [kind for kind in events if kind in FlagEvent.ANSWERS]
    if not answers:
        return "open"
    overridden = answers[0] == FlagEvent.Kind.OVERRIDDEN and rule != NOT_DONE
    return "kept" if overridden else "acted"


def _headline(total: Row, reviewed: list[str]) -> str:
    if reviewed:
        return counted(
            len(reviewed), "{count} rule for review", "{count} rules for review"
        )
    return _("{share} % overridden").format(share=written(total.values.get("rate")))


def _sentence(total: Row, visits: int, reviewed: list[str]):
    values = total.values
    words = _(
        "**{flags}** were raised in {infusions} started in the period: **{acted}** "
        "were acted on and **{kept}** overridden with a reason, **{share} %** "
        "(95 % interval {low} to {high})."
    ).format(
        flags=counted(values["of"], "{count} flag", "{count} flags"),
        infusions=counted(visits, "{count} infusion", "{count} infusions"),
        acted=written(values["acted"]),
        kept=written(values["hits"]),
        share=written(values.get("rate")),
        low=written(values.get("low")),
        high=written(values.get("high")),
    )
    if reviewed:
        words += " " + _("For review: **{rules}**.").format(rules=", ".join(reviewed))
    return said(words)


def _definitions() -> tuple[tuple[str, str], ...]:
    return (
        (
            _("Raised"),
            _(
                "flags of infusions that were started, each under the rule that set "
                "its act; a repeated finding updates its flag and is not counted "
                "again. The page Protocol says what each rule is."
            ),
        ),
        (
            _("Acted on"),
            _(
                "answered by a change of rate, by looking again or by a call; a check "
                "that could not run and was done by hand counts here."
            ),
        ),
        (
            _("Overridden"),
            _("the rate was kept against the flag, with a coded reason."),
        ),
        (_("Neither"), _("nobody has answered it.")),
        (
            _("For review"),
            _(
                "a rule overridden in more than {share} % of at least {least} flags: "
                "whoever is responsible for the protocol decides whether its limit is "
                "right."
            ).format(share=int(REVIEWED_ABOVE * 100), least=REVIEWED_FROM),
        ),
        (
            _("95 % interval"),
            _("Wilson score interval (1927), of the share overridden."),
        ),
        (
            _("Small"),
            _(
                "under {least} flags: open mark, dashed, after the others, unranked."
            ).format(least=REVIEWED_FROM),
        ),
    )
