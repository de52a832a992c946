"""Where an infusion stands, from its recorded rate changes alone.

Volume is the exact integral of the recorded rates; step, ends and restarts follow
from it and from the ladder that was ordered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sessions.rules.dosing_policy import RestartPolicy
from sessions.rules.ladders import Rung
from sessions.rules.language import say
from sessions.rules.quantities import (
    MINUTES_PER_HOUR,
    Number,
    exact,
    plain,
    round_down,
    to_decimal,
)
from sessions.rules.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RateEvent:
    """One recorded change of rate; the pump runs at `ml_per_h` from `at` on."""

    at: datetime
    ml_per_h: Decimal
    kind: str


START, PAUSE, RESUME, STOP, END = "start", "pause", "resume", "stop", "end"
STANDS_STILL = {PAUSE: "paused", STOP: "stopped", END: "ended"}
"""Kinds of event after which nothing runs, and the state each leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where an infusion stands at one moment, from its recorded rate changes alone.

    Once the volume is in, the projected ends are the moment it was in.

    `state` is `not_started`, `running`, `paused`, `stopped` or `ended`. `step` is the
    highest rung at or below the present rate; `None` when nothing runs or the rate
    is below the first rung. Projected ends are `None` unless it is running.
    """

    state: str
    rate_ml_per_h: Decimal
    ml_per_kg_h: Decimal
    rate_before_pause_ml_per_h: Decimal | None
    step: int | None
    volume_ml: Decimal
    left_ml: Decimal
    minutes_at_step: Decimal
    step_due_at: datetime | None
    projected_end_on_ladder: datetime | None
    projected_end_held: datetime | None
    next_rung: Rung | None
    previous_rung: Rung | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateProposal:
    """A rate that the protocol calls for; `action` is `reduce` or `pause`."""

    action: str
    ml_per_h: Decimal
    ml_per_kg_h: Decimal
    step: int | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The rate to resume at, and how long to stay there before the next step."""

    ml_per_h: Decimal
    ml_per_kg_h: Decimal
    step: int | None
    minutes: Decimal
    pause_minutes: Decimal
    because: str
    source: Source


def first_impossible(kinds: Sequence[str]) -> int | None:
    """The place of the first event that cannot follow those before it; None if all can.

    An infusion starts once and first, is changed and paused only while it runs, goes on
    only after a pause, and nothing comes after its stop or end.
    """
    state = "not_started"
    for place, kind in enumerate(kinds):
        if kind == START:
            possible = state == "not_started"
        elif kind == RESUME:
            possible = state == "paused"
        elif kind in (STOP, END):
            possible = state in ("running", "paused")
        else:
            possible = state == "running"
        if not possible:
            return place
        state = STANDS_STILL.get(kind, "running")
    return None


def volume_given_ml(events: Sequence[RateEvent], at: datetime) -> Fraction:
    """The exact integral of the recorded rates from the start to `at`.

    `events` are in order of event time. Changes after `at` do not count yet; while
    paused, stopped or ended nothing runs, whatever rate stands in the row.
    """
    total = Fraction(0)
    ends = [*(event.at for event in events[1:]), at]
    for event, until in zip(events, ends, strict=True):
        if event.at < at:
            seconds = _seconds(min(until, at) - event.at)
            total += exact(_rate_of(event)) * seconds / 3600
    return total


def volume_in_at(events: Sequence[RateEvent], total_ml: Number) -> datetime | None:
    """When the recorded rates had given the whole volume; None while some is left.

    Rounded up to the microsecond.
    """
    left = exact(total_ml)
    for event, after in zip(events, [*events[1:], None], strict=True):
        rate = exact(_rate_of(event))
        if rate == 0:
            continue
        full = event.at + _span(left * MINUTES_PER_HOUR / rate)
        if after is None or full <= after.at:
            return full
        left -= rate * _seconds(after.at - event.at) / 3600
    return None


def _rate_of(event: RateEvent) -> Decimal:
    return Decimal(0) if event.kind in STANDS_STILL else event.ml_per_h


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)


def running_state(
    events: Sequence[RateEvent],
    rungs: Sequence[Rung],
    total_ml: Number,
    at: datetime,
    *,
    restart_minutes: Decimal | None = None,
) -> Running:
    """Work out rate, volume, step and ends at one moment.

    `restart_minutes` is the least time at the rate of a resume, from the protocol;
    it lengthens, never shortens, the time of the rung.
    """
    past = [event for event in events if event.at <= at]
    if not past:
        return _standing("not_started", exact(total_ml), Fraction(0), None)
    total = exact(total_ml)
    given = min(volume_given_ml(past, at), total)
    last = past[-1]
    if last.kind in STANDS_STILL:
        before = next((e for e in reversed(past) if e.kind not in STANDS_STILL), None)
        rate = before.ml_per_h if before else None
        return _standing(STANDS_STILL[last.kind], total, given, rate)
    since = _since(past)
    rate = last.ml_per_h
    rung, above = rung_at(rungs, rate), _above(rungs, rate)
    due = step_due_at(past, rungs, restart_minutes=restart_minutes)
    left = total - given
    if left == 0:
        on_ladder = held = volume_in_at(past, total)
    else:
        on_ladder = _end_on_ladder(at, rate, due, left, rungs)
        held = _end_held(at, rate, left)
    return Running(
        state="running",
        rate_ml_per_h=rate,
        ml_per_kg_h=per_kg(rate, rungs),
        rate_before_pause_ml_per_h=None,
        step=rung.step if rung else None,
        volume_ml=to_decimal(given),
        left_ml=to_decimal(total) - to_decimal(given),
        minutes_at_step=to_decimal(_seconds(at - since.at) / 60),
        step_due_at=due,
        projected_end_on_ladder=on_ladder,
        projected_end_held=held,
        next_rung=above,
        previous_rung=_below(rungs, rate),
    )


def step_due_at(
    past: Sequence[RateEvent],
    rungs: Sequence[Rung],
    *,
    restart_minutes: Decimal | None = None,
) -> datetime | None:
    """When the time of the present rung is over, by the changes of rate so far.

    None when nothing runs, and at the top rung.
    """
    if not past or past[-1].kind in STANDS_STILL:
        return None
    rate, since = past[-1].ml_per_h, _since(past)
    rung, above = rung_at(rungs, rate), _above(rungs, rate)
    least = _least_minutes(rung, above, past, since, restart_minutes)
    return None if least is None else since.at + _span(exact(least))


def _standing(
    state: str, total: Fraction, given: Fraction, before: Decimal | None
) -> Running:
    return Running(
        state=state,
        rate_ml_per_h=Decimal(0),
        ml_per_kg_h=Decimal(0),
        rate_before_pause_ml_per_h=before,
        step=None,
        volume_ml=to_decimal(given),
        left_ml=to_decimal(total) - to_decimal(given),
        minutes_at_step=Decimal(0),
        step_due_at=None,
        projected_end_on_ladder=None,
        projected_end_held=None,
        next_rung=None,
        previous_rung=None,
    )


def _since(past: Sequence[RateEvent]) -> RateEvent:
    """The event from which the present rate has run without a break."""
    since = past[-1]
    for event in reversed(past[:-1]):
        if _rate_of(event) != _rate_of(since):
            break
        since = event
    return since


def _least_minutes(
    rung: Rung | None,
    above: Rung | None,
    past: Sequence[RateEvent],
    since: RateEvent,
    restart_minutes: Decimal | None,
) -> Decimal | None:
    """The least minutes at the present rate; `None` when there is no next step."""
    if above is None:
        return None
    least = rung.min_minutes if rung else above.min_minutes
    if since.kind == RESUME and restart_minutes is not None:
        least = max(least or restart_minutes, restart_minutes)
    return least


def _end_held(at: datetime, rate: Number, left: Fraction) -> datetime | None:
    if rate == 0:
        return None
    return at + _span(left * MINUTES_PER_HOUR / exact(rate))


def _end_on_ladder(
    at: datetime,
    rate: Decimal,
    due: datetime | None,
    left: Fraction,
    rungs: Sequence[Rung],
) -> datetime | None:
    """When the volume is in if every next step is taken on time from now on."""
    while due is not None and (above := _above(rungs, rate)) is not None:
        start = max(due, at)
        run = exact(rate) * _seconds(start - at) / 3600
        if run >= left:
            break
        left, at, rate = left - run, start, above.pump_ml_per_h
        minutes = above.min_minutes
        due = None if minutes is None else at + _span(exact(minutes))
    return _end_held(at, rate, left)


def _span(minutes: Fraction) -> timedelta:
    """Minutes as a time span, rounded up to the microsecond."""
    return timedelta(microseconds=math.ceil(minutes * 60_000_000))


def rung_at(rungs: Sequence[Rung], rate_ml_per_h: Decimal) -> Rung | None:
    """The highest rung at or below a rate."""
    return next((r for r in reversed(rungs) if r.pump_ml_per_h <= rate_ml_per_h), None)


def _above(rungs: Sequence[Rung], rate: Decimal) -> Rung | None:
    return next((rung for rung in rungs if rung.pump_ml_per_h > rate), None)


def _below(rungs: Sequence[Rung], rate: Decimal) -> Rung | None:
    return next((rung for rung in reversed(rungs) if rung.pump_ml_per_h < rate), None)


def per_kg(rate_ml_per_h: Decimal, rungs: Sequence[Rung]) -> Decimal:
    """The rate per kilogram of a pump rate: the rung's own where it is a rung."""
    rung = rung_at(rungs, rate_ml_per_h)
    if rung is not None and rung.pump_ml_per_h == rate_ml_per_h:
        return rung.ml_per_kg_h
    first = rungs[0]
    weight = exact(first.ml_per_h) / exact(first.ml_per_kg_h)
    return to_decimal(exact(rate_ml_per_h) / weight)


def reduced(rate_ml_per_h: Decimal, rungs: Sequence[Rung]) -> RateProposal:
    """The next lower rung; below or at the first rung, a pause."""
    below = _below(rungs, rate_ml_per_h)
    if below is None:
        return RateProposal(
            action=PAUSE,
            ml_per_h=Decimal(0),
            ml_per_kg_h=Decimal(0),
            step=None,
            because=say("already at the first step: there is no lower one"),
        )
    return RateProposal(
        action="reduce",
        ml_per_h=below.pump_ml_per_h,
        ml_per_kg_h=below.ml_per_kg_h,
        step=below.step,
        because=say("back to step {step}", step=below.step),
    )


def restart(
    policy: RestartPolicy,
    *,
    rate_before_ml_per_h: Decimal,
    rungs: Sequence[Rung],
    resolution_ml_per_h: Decimal,
) -> Restart:
    """The rate to resume at after a pause or reaction: never the old one (H11)."""
    old = rate_before_ml_per_h
    rate, because = _restart_rate(policy, old, rungs, resolution_ml_per_h)
    rung = rung_at(rungs, rate)
    return Restart(
        ml_per_h=rate,
        ml_per_kg_h=per_kg(rate, rungs),
        step=rung.step if rung else None,
        minutes=policy.minutes.value,
        pause_minutes=policy.pause_minutes.value,
        because=because,
        source=policy.method.source,
    )


def _restart_rate(
    policy: RestartPolicy, old: Decimal, rungs: Sequence[Rung], resolution: Decimal
) -> tuple[Decimal, str]:
    below = _below(rungs, old)
    if policy.method.value == "previous_step" and below is not None:
        return below.pump_ml_per_h, say("the step below {old} mL/h", old=plain(old))
    if policy.method.value == "first_step" and below is not None:
        return rungs[0].pump_ml_per_h, say("the first step")
    part = plain(exact(policy.fraction.value) * 100)
    lower = round_down(exact(old) * exact(policy.fraction.value), resolution)
    return lower, say("{part} % of {old} mL/h, rounded down", part=part, old=plain(old))
