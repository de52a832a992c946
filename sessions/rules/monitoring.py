"""When the next vital signs are due, what is late, and when a patient may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache

from sessions.rules.documents import Fields
from sessions.rules.findings import Finding, Priority
from sessions.rules.language import say
from sessions.rules.sources import Setting, Source
from sessions.rules.thresholds import Act, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The protocol's times, each with its source; minutes unless the name says days."""

    baseline_valid_minutes: Setting[Decimal]
    first_set_minutes: Setting[Decimal]
    before_step_minutes: Setting[Decimal]
    steady_minutes: Setting[Decimal]
    paused_minutes: Setting[Decimal]
    due_before_minutes: Setting[Decimal]
    late_after_minutes: Setting[Decimal]
    step_overdue_minutes: Setting[Decimal]
    observation_minutes: Setting[Decimal]
    observation_first_minutes: Setting[Decimal]
    discharge_set_minutes: Setting[Decimal]
    discharge_open_flags: Setting[Decimal]

    @classmethod
    def read(cls, table: Fields) -> Schedule:
        """Read the schedule."""
        schedule = cls(**{each.name: table.setting(each.name) for each in fields(cls)})
        table.done()
        return schedule


def span(minutes: Setting[Decimal]) -> timedelta:
    """The duration a setting in minutes names."""
    return _duration(minutes.value)


@cache
def _duration(minutes: Decimal) -> timedelta:
    """Minutes as a duration; a protocol has few, and reports ask for them often."""
    return timedelta(microseconds=int(minutes * 60_000_000))


RECHECK_MINUTES = 15
"""For a flag whose rule names no recheck: the shortest the protocol knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """What a flag owes until it has settled: a set at `at`, then every `minutes`."""

    at: datetime
    minutes: int = RECHECK_MINUTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What has happened so far in one session, as far as the schedule asks.

    `schedule_from` is the start of the schedule: the Start, or a later restart of the
    ladder (new lot, long pause). `step_due_at` is when the present rung's time is
    over, None at the top rung or while the rate is held. `rechecks` are owed by flags
    that wait for an answer, and by answered ones that have not settled. `vitals_at`
    are the times of complete sets, in any order.
    """

    phase: Phase
    schedule_from: datetime | None = None
    step_due_at: datetime | None = None
    paused_at: datetime | None = None
    ended_at: datetime | None = None
    observe_until: datetime | None = None
    rechecks: tuple[Recheck, ...] = ()
    vitals_at: tuple[datetime, ...] = ()

    def last_set(self) -> datetime | None:
        """When the latest complete set was taken."""
        return max(self.vitals_at, default=None)

    def set_since(self, moment: datetime) -> bool:
        """Whether a complete set was taken at or after a moment."""
        last = self.last_set()
        return last is not None and last >= moment


class Owed(Enum):
    """Which part of the schedule owes a set."""

    FIRST = "first"
    STEP = "step"
    STEADY = "steady"
    PAUSED = "paused"
    RECHECK = "recheck"
    END = "end"
    DISCHARGE = "discharge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When the next set is due, which part of the schedule owes it, why, and source."""

    owed: Owed
    at: datetime
    why: str
    source: Source


def next_vitals(course: Course, schedule: Schedule) -> Due | None:
    """Find the earliest set that is still owed; None when nothing is scheduled.

    A recheck asked for by a flag comes before the plan when it is earlier. The
    baseline has no clock of its own: the gate to Start asks for it. At home nobody
    measures.
    """
    return min(_owed(course, schedule), key=lambda due: due.at, default=None)


def _owed(course: Course, schedule: Schedule) -> Iterable[Due]:
    if course.phase is Phase.AFTER:
        return
    for recheck in course.rechecks:
        yield Due(
            owed=Owed.RECHECK,
            at=_recheck_at(recheck, course, schedule),
            why=say("recheck after a flag"),
            source=schedule.paused_minutes.source,
        )
    match course.phase:
        case Phase.INFUSING if course.paused_at is not None:
            yield from _owed_while_paused(course.paused_at, course, schedule)
        case Phase.INFUSING if course.schedule_from is not None:
            yield from _owed_while_running(course.schedule_from, course, schedule)
        case Phase.OBSERVING if course.ended_at is not None:
            yield from _owed_after_end(course.ended_at, course, schedule)


def _recheck_at(recheck: Recheck, course: Course, schedule: Schedule) -> datetime:
    """The first one at its time; each later one counts from the set before it."""
    last = course.last_set()
    if last is None or last < recheck.at - span(schedule.due_before_minutes):
        return recheck.at
    return last + timedelta(minutes=recheck.minutes)


def _owed_while_running(
    since: datetime, course: Course, schedule: Schedule
) -> Iterable[Due]:
    if not course.set_since(since + timedelta(microseconds=1)):
        first = schedule.first_set_minutes
        yield Due(
            owed=Owed.FIRST,
            at=since + span(first),
            why=say("{value} minutes after the start", value=first.value),
            source=first.source,
        )
    if course.step_due_at is not None:
        before = schedule.before_step_minutes
        if not course.set_since(course.step_due_at - span(before)):
            yield Due(
                owed=Owed.STEP,
                at=course.step_due_at,
                why=say("before the step up"),
                source=before.source,
            )
    steady = schedule.steady_minutes
    yield Due(
        owed=Owed.STEADY,
        at=max(course.last_set() or since, since) + span(steady),
        why=say("every {value} minutes at a steady rate", value=steady.value),
        source=steady.source,
    )


def _owed_while_paused(
    paused_at: datetime, course: Course, schedule: Schedule
) -> Iterable[Due]:
    paused = schedule.paused_minutes
    yield Due(
        owed=Owed.PAUSED,
        at=max(course.last_set() or paused_at, paused_at) + span(paused),
        why=say("every {value} minutes while paused", value=paused.value),
        source=paused.source,
    )


def _owed_after_end(
    ended_at: datetime, course: Course, schedule: Schedule
) -> Iterable[Due]:
    """One set at the end, one more once before the patient goes."""
    window = span(schedule.due_before_minutes)
    if not course.set_since(ended_at - window):
        yield Due(
            owed=Owed.END,
            at=ended_at,
            why=say("at the end of the infusion"),
            source=schedule.observation_minutes.source,
        )
    until = course.observe_until
    if until is not None and not course.set_since(until - window):
        yield Due(
            owed=Owed.DISCHARGE,
            at=until,
            why=say("once before discharge"),
            source=schedule.observation_minutes.source,
        )


def state_at(due: Due, at: datetime, schedule: Schedule) -> str:
    """Say whether a set is `ahead`, `due` (its window is open) or `late`."""
    if at < due.at - span(schedule.due_before_minutes):
        return "ahead"
    return "due" if at <= due.at + span(schedule.late_after_minutes) else "late"


def observation_minutes(
    schedule: Schedule,
    *,
    first_infusion: bool,
    brand_switch: bool = False,
    long_gap: bool = False,
) -> Setting[Decimal]:
    """How long to observe: longer for a first infusion, another brand or a long gap."""
    if first_infusion or brand_switch or long_gap:
        return schedule.observation_first_minutes
    return schedule.observation_minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRules:
    """What the protocol calls for when the clock alone has something to say."""

    overdue_rule: str
    overdue: Act
    step_rule: str
    step: Act


def time_findings(
    *,
    due: Due | None,
    step_due_at: datetime | None,
    at: datetime,
    schedule: Schedule,
    rules: TimeRules,
) -> tuple[Finding, ...]:
    """Find what is late now: a set of vital signs, or a rung held past its time."""
    found = []
    if due is not None and state_at(due, at, schedule) == "late":
        minutes = int((at - due.at).total_seconds() // 60)
        found.append(
            Finding(
                rule=rules.overdue_rule,
                action=rules.overdue.action,
                because=say(
                    "Vital signs {minutes} minutes late ({why})",
                    minutes=minutes,
                    why=due.why,
                ),
                calls_for=say(rules.overdue.calls_for),
                source=due.source,
                series="time vitals",
            )
        )
    if step_due_at is not None:
        overdue = at - step_due_at
        if overdue > span(schedule.step_overdue_minutes):
            minutes = int(overdue.total_seconds() // 60)
            found.append(
                Finding(
                    rule=rules.step_rule,
                    action=rules.step.action,
                    because=say(
                        "This step has run {minutes} minutes past its time",
                        minutes=minutes,
                    ),
                    calls_for=say(rules.step.calls_for),
                    source=schedule.step_overdue_minutes.source,
                    series="time step",
                )
            )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One condition for going home, and whether it is met."""

    rule: str
    text: str
    met: bool
    because: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What decides a discharge: the clock, the last set, and the open flags.

    `last_set_findings` are the findings of the last complete set; None says that its
    check was not done, which is never the same as nothing found.
    """

    at: datetime
    ended_at: datetime | None
    observe_minutes: Setting[Decimal]
    last_set_at: datetime | None
    last_set_findings: tuple[Finding, ...] | None
    open_priorities: tuple[Priority, ...] = ()


def discharge(departure: Departure, schedule: Schedule) -> tuple[Criterion, ...]:
    """Check each discharge criterion; the patient may go when all are met (H3)."""
    return (
        _observed_long_enough(departure),
        _last_set_in_window(departure, schedule),
        _no_open_flag(departure, schedule),
    )


def may_go(criteria: Iterable[Criterion]) -> bool:
    """Whether every criterion is met."""
    return all(criterion.met for criterion in criteria)


def _observed_long_enough(departure: Departure) -> Criterion:
    needed = departure.observe_minutes
    met, because = False, say("The infusion has not ended")
    if departure.ended_at is not None:
        minutes = int((departure.at - departure.ended_at).total_seconds() // 60)
        met = departure.at >= departure.ended_at + span(needed)
        because = say(
            "{minutes} of {value} minutes observed", minutes=minutes, value=needed.value
        )
    return Criterion(
        rule="D-01",
        text=say("Observed for {value} minutes after the end", value=needed.value),
        met=met,
        because=because,
        source=needed.source,
    )


def _last_set_in_window(departure: Departure, schedule: Schedule) -> Criterion:
    """The set counts from just before the observation is over, and must be quiet."""
    last, found = departure.last_set_at, departure.last_set_findings
    met = False
    if departure.ended_at is None or last is None or last < departure.ended_at:
        because = say("No complete set since the end")
    elif last < departure.ended_at + span(departure.observe_minutes) - span(
        schedule.discharge_set_minutes
    ):
        because = say("The last set is from early in the observation")
    elif found is None:
        because = say("CHECK NOT DONE on the last set")
    elif loud := [f for f in found if f.priority in (Priority.HIGH, Priority.MEDIUM)]:
        because = say(
            "The last set raised {rule}: {because}",
            rule=loud[0].rule,
            because=loud[0].because,
        )
    else:
        met, because = True, say("The last set is complete and within its limits")
    return Criterion(
        rule="D-02",
        text=say("A complete set before discharge, within limits"),
        met=met,
        because=because,
        source=schedule.discharge_set_minutes.source,
    )


def _no_open_flag(departure: Departure, schedule: Schedule) -> Criterion:
    count = sum(
        priority in (Priority.HIGH, Priority.MEDIUM)
        for priority in departure.open_priorities
    )
    return Criterion(
        rule="D-03",
        text=say("No open flag of high or medium priority"),
        met=count <= schedule.discharge_open_flags.value,
        because=say("{count} open", count=count) if count else say("None open"),
        source=schedule.discharge_open_flags.source,
    )
