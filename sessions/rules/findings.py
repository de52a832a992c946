"""What a rule found, and how strongly it calls for something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import total_ordering

from sessions.rules.language import phrase
from sessions.rules.quantities import plain
from sessions.rules.sources import Source

NOT_DONE = "CHECK-NOT-DONE"
"""The rule of the flag that stands for a check which could not run (I15)."""


class Priority(Enum):
    """How loudly a flag speaks: high interrupts, medium stays, low is listed."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@total_ordering
class Ordered(Enum):
    """A scale of words, lowest first, as the members are written."""

    @property
    def rank(self) -> int:
        """The place on the scale, from 0."""
        return list(type(self)).index(self)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.rank < other.rank


class Action(Ordered):
    """What a protocol calls for, mildest first; the highest of several wins."""

    CONTINUE = phrase("continue")
    OBSERVE = phrase("observe")
    REDUCE = phrase("reduce")
    PAUSE = phrase("pause")
    STOP = phrase("stop")
    EMERGENCY = phrase("emergency")

    @property
    def priority(self) -> Priority | None:
        """How loudly a flag with this action speaks; `continue` raises no flag."""
        return _PRIORITY.get(self)

    @property
    def halts(self) -> bool:
        """Whether nothing runs while this is called for."""
        return self >= Action.PAUSE


_PRIORITY = {
    Action.OBSERVE: Priority.LOW,
    Action.REDUCE: Priority.MEDIUM,
    Action.PAUSE: Priority.MEDIUM,
    Action.STOP: Priority.HIGH,
    Action.EMERGENCY: Priority.HIGH,
}


class Severity(Ordered):
    """How bad a reaction is, mildest first."""

    MILD = phrase("mild")
    MODERATE = phrase("moderate")
    SEVERE = phrase("severe")
    LIFE_THREATENING = phrase("life-threatening")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One measured value that a rule looked at, as it is shown, with its times.

    Numbers are words here: they were compared before, unrounded.
    """

    name: str
    label: str
    unit: str
    now: str
    baseline: str = ""
    last: str = ""
    change: str = ""
    limit_text: str = ""
    at: datetime | None = None
    baseline_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a rule found, with all that is needed to review it.

    `because` says what was found, `short` the same without its limit where there is
    one; `calls_for` names (never commands) what the protocol calls for, `clears` what
    would settle it. `holds_start` means no Start without a prescriber; `work_list`
    that it goes to the list of things to report; `restarts` that the protocol names a
    restart after the pause it calls for; `first_step` that the ladder begins again at
    its first rung.
    """

    rule: str
    action: Action
    because: str
    calls_for: str
    source: Source
    severity: Severity | None = None
    values: tuple[Value, ...] = ()
    missing: tuple[str, ...] = ()
    note: str = ""
    clears: str = ""
    series: str = ""
    short: str = ""
    restarts: bool = False
    first_step: bool = False
    recheck_minutes: int | None = None
    escalates_minutes: int | None = None
    accepted_baseline: bool = False
    holds_start: bool = False
    work_list: bool = False

    @property
    def headline(self) -> str:
        """What was found, as short as it is told."""
        return self.short or self.because

    @property
    def priority(self) -> Priority | None:
        """How loudly this finding speaks; None when it only adds to the work list."""
        return self.action.priority


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Order findings by action, the highest first; equals keep their order."""
    return tuple(sorted(findings, key=lambda found: -found.action.rank))


def shown(name: str, value: Decimal | int | str) -> str:
    """Write a measured value: a temperature with one decimal, others without zeros."""
    if isinstance(value, str):
        return value
    if name == "temperature_c":
        return plain(Decimal(value), 1)
    return plain(Decimal(value))
