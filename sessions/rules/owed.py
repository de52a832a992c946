"""Which sets of vital signs a visit owed, and what became of each of them.

The visit is walked through again with the schedule that the chart itself uses
(`sessions.rules.monitoring.next_vitals`): what the chart showed as due next is what
was owed, at that time and for that reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from sessions.rules.ladders import Rung
from sessions.rules.monitoring import (
    RECHECK_MINUTES,
    Course,
    Due,
    Owed,
    Recheck,
    Schedule,
    next_vitals,
    span,
)
from sessions.rules.running import END, PAUSE, RESUME, STOP, RateEvent, step_due_at
from sessions.rules.thresholds import Phase

SILENT_FOR = timedelta(hours=24)
"""After so long without any entry a visit that nobody closed owes nothing more."""

STARTS = {"start", RESUME}
"""Kinds of change after which the schedule begins anew."""


class OwedState(Enum):
    """What became of a set that was owed."""

    ON_TIME = "on time"
    LATE = "late"
    MISSED = "missed"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedSet:
    """One set that was owed at `due_at`, and when it was taken, if it was."""

    owed: Owed
    due_at: datetime
    state: OwedState
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSpan:
    """When a flag was open, when its recheck was owed, and when that was over.

    Only a loud one, of medium or high priority, holds the step and owes a recheck
    before somebody answers it. `begins_ladder` is true of a new lot with which the
    schedule began again.
    """

    raised_at: datetime
    answered_at: datetime | None = None
    recheck_at: datetime | None = None
    over_at: datetime | None = None
    is_loud: bool = True
    begins_ladder: bool = False
    minutes: int = RECHECK_MINUTES

    def holds(self, at: datetime) -> bool:
        """Whether it was loud and waited for an answer at a moment."""
        ends = [end for end in (self.answered_at, self.over_at) if end is not None]
        waits = self.raised_at <= at and not any(end <= at for end in ends)
        return self.is_loud and waits

    def recheck(self, at: datetime) -> Recheck | None:
        """The recheck it owed at a moment, as the chart showed it then."""
        if self.holds(at):
            first = self.raised_at + timedelta(minutes=self.minutes)
            return Recheck(at=first, minutes=self.minutes)
        answered = self.answered_at is not None and self.answered_at <= at
        over = self.over_at is not None and self.over_at <= at
        if self.recheck_at is None or not answered or over:
            return None
        return Recheck(at=self.recheck_at, minutes=self.minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What happened in one started visit, as far as the schedule asks.

    `changes` are the changes of rate and `sets_at` the times of complete sets, both in
    order; `over_at` is the discharge.
    """

    changes: tuple[RateEvent, ...]
    rungs: Sequence[Rung]
    observe_minutes: int
    sets_at: tuple[datetime, ...]
    flags: tuple[FlagSpan, ...] = ()
    over_at: datetime | None = None
    restart_minutes: Decimal | None = None


def owed_sets(visit: Visit, schedule: Schedule, *, at: datetime) -> tuple[OwedSet, ...]:
    """List every set that had fallen due by `at`, in the order in which they did.

    A set is *on time* when it was taken before the chart called it late, *late* when
    it was taken after that, *missed* when the next one fell due or the visit moved on
    without it, and *open* while it can still be taken. A set that falls away before it
    is late (the infusion is paused, a flag is raised) was not owed. A set that nothing
    asked for moves the schedule on, as on the chart, and is not counted.
    """
    if not visit.changes:
        return ()
    return tuple(_Walk(visit=visit, schedule=schedule, at=at).run())


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One walk through a visit; `last` is the newest set, or one taken for granted."""

    visit: Visit
    schedule: Schedule
    at: datetime
    last: datetime | None = None
    counted: datetime | None = None
    due: Due | None = None
    found: list[OwedSet] = field(default_factory=list)
    passed: list[RateEvent] = field(default_factory=list)
    course: Course | None = None
    now: datetime | None = None

    def run(self) -> list[OwedSet]:
        start = self.visit.changes[0].at
        until, is_over = self._until()
        for taken in self.visit.sets_at:
            if taken <= start:
                self.last = taken
        entries = [
            (taken, 0) for taken in self.visit.sets_at if start < taken <= until
        ] + [(moment, 1) for moment in self._moments() if moment <= until]
        for moment, kind in sorted(entries):
            self._pass(moment)
            self.now = moment
            if kind == 0:
                self._take(moment)
            else:
                self._change(moment)
        self._pass(until)
        if self.due is not None and self.due.at <= until:
            self._keep(OwedState.MISSED if is_over else OwedState.OPEN)
        return self.found

    def _until(self) -> tuple[datetime, bool]:
        over = self.visit.over_at
        if over is not None and over <= self.at:
            return over, True
        newest = max(moment for moment in (*self._moments(), *self.visit.sets_at))
        return min(self.at, newest + SILENT_FOR), False

    def _moments(self) -> set[datetime]:
        """When anything but a set changed what the schedule owes."""
        moments = {change.at for change in self.visit.changes}
        for flag in self.visit.flags:
            ends = (flag.raised_at, flag.answered_at, flag.over_at)
            moments.update(end for end in ends if end is not None)
        first = self.visit.changes[0].at
        return {moment for moment in moments if moment >= first}

    def _pass(self, moment: datetime) -> None:
        """Miss every set whose successor fell due before this moment."""
        window = span(self.schedule.due_before_minutes)
        grace = span(self.schedule.late_after_minutes)
        while self.due is not None and self.due.at + grace < moment:
            following = self._next(last=self.due.at)
            if following is None or following.at <= self.due.at:
                return
            if following.at - window > moment:
                return
            self._keep(OwedState.MISSED)
            self.last, self.due = self.due.at, following

    def _take(self, taken: datetime) -> None:
        due = self.due
        if due is not None and taken >= self._counts_from(due):
            late = taken > due.at + span(self.schedule.late_after_minutes)
            self._keep(OwedState.LATE if late else OwedState.ON_TIME, taken)
            self.counted = taken
        self.last = taken
        self.due = self._next(last=taken)

    def _counts_from(self, due: Due) -> datetime:
        """The earliest set that counts for it, as on the chart."""
        if due.owed is Owed.FIRST:
            return self.visit.changes[0].at
        before = self.schedule.due_before_minutes
        if due.owed is Owed.STEP:
            before = self.schedule.before_step_minutes
        return due.at - span(before)

    def _change(self, moment: datetime) -> None:
        changes = [change for change in self.visit.changes if change.at <= moment]
        if len(changes) != len(self.passed):
            self.passed = changes
            self.course = self._course()
            if changes[-1].kind in (STOP, END):
                self._count_set_at_end(changes[-1].at)
        before, after = self.due, self._next(last=self.last)
        grace = span(self.schedule.late_after_minutes)
        if (
            before is not None
            and not _same(before, after)
            and before.at + grace < moment
        ):
            self._keep(OwedState.MISSED)
        self.due = after

    def _count_set_at_end(self, ended_at: datetime) -> None:
        """A set just before the end is the one owed at the end, and on time."""
        window = span(self.schedule.due_before_minutes)
        if self.last is None or self.last == self.counted:
            return
        if ended_at - window <= self.last <= ended_at:
            self.found.append(
                OwedSet(
                    owed=Owed.END,
                    due_at=ended_at,
                    state=OwedState.ON_TIME,
                    taken_at=self.last,
                )
            )
            self.counted = self.last

    def _next(self, *, last: datetime | None) -> Due | None:
        """What the chart showed as due next, if the newest set was taken at `last`."""
        flags, seen = self.visit.flags, self.now
        if self.course is None or seen is None:
            return None
        course = self.course
        if flags:
            rechecks = [flag.recheck(seen) for flag in flags]
            held = any(flag.holds(seen) for flag in flags)
            starts = [
                flag.raised_at
                for flag in flags
                if flag.begins_ladder and flag.raised_at <= seen
            ]
            if course.schedule_from is not None:
                starts.append(course.schedule_from)
            course = replace(
                course,
                schedule_from=max(starts, default=None),
                step_due_at=None if held else course.step_due_at,
                rechecks=tuple(each for each in rechecks if each is not None),
            )
        if last is not None:
            course = replace(course, vitals_at=(last,))
        return next_vitals(course, self.schedule)

    def _course(self) -> Course:
        """The course as the changes of rate so far have made it."""
        visit, changes, now = self.visit, self.passed, self.passed[-1]
        ended = now.at if now.kind in (STOP, END) else None
        observe = timedelta(minutes=visit.observe_minutes)
        starts = [change.at for change in changes if change.kind in STARTS]
        return Course(
            phase=Phase.OBSERVING if ended else Phase.INFUSING,
            schedule_from=starts[-1] if starts else None,
            step_due_at=step_due_at(
                changes, visit.rungs, restart_minutes=visit.restart_minutes
            ),
            paused_at=now.at if now.kind == PAUSE else None,
            ended_at=ended,
            observe_until=ended + observe if ended else None,
        )

    def _keep(self, state: OwedState, taken: datetime | None = None) -> None:
        if self.due is not None:
            self.found.append(
                OwedSet(
                    owed=self.due.owed,
                    due_at=self.due.at,
                    state=state,
                    taken_at=taken,
                )
            )


def _same(before: Due, after: Due | None) -> bool:
    return after is not None and (before.owed, before.at) == (after.owed, after.at)
