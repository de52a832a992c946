"""Which sets a visit owed: every way in which one is taken, late, missed or void."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sessions.catalogue.default_protocol import default_policy
from sessions.rules.monitoring import Owed
from sessions.rules.owed import FlagSpan, OwedState, Visit, owed_sets
from sessions.rules.plans import rungs_of
from sessions.rules.running import RateEvent

START = datetime(2026, 3, 2, 9, 12, tzinfo=UTC)
MINUTES = {
    "first_set_minutes": "15",
    "before_step_minutes": "15",
    "steady_minutes": "60",
    "paused_minutes": "15",
    "due_before_minutes": "5",
    "late_after_minutes": "5",
}
SHIPPED = default_policy().monitoring.schedule
SCHEDULE = replace(
    SHIPPED,
    **{
        name: replace(getattr(SHIPPED, name), value=Decimal(value))
        for name, value in MINUTES.items()
    },
)
"""The shipped schedule with its figures pinned: a new default breaks nothing here."""

ON_TIME, LATE = OwedState.ON_TIME, OwedState.LATE
MISSED, OPEN = OwedState.MISSED, OwedState.OPEN


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def rung(step: int, rate: str, minutes: str | None) -> dict:
    source = {"text": "label", "verified": True}
    return {
        "step": step,
        "ml_per_kg_h": "0.5",
        "mg_per_kg_min": "0.5",
        "ml_per_h": rate,
        "pump_ml_per_h": rate,
        "min_minutes": minutes,
        "minutes": minutes or "200",
        "starts_minute": "0",
        "volume_ml": "10",
        "cumulative_ml": "10",
        "source": source,
        "from_policy": False,
        "minutes_source": source,
    }


def ladder(*rungs: dict):
    return rungs_of({"rungs": list(rungs)})


FLAT = ladder(rung(1, "100", None))
STEPS = ladder(rung(1, "36", "30"), rung(2, "72", "30"), rung(3, "144", None))


def visit(*sets: float, changes=(), rungs=FLAT, over=None, flags=()) -> Visit:
    rows = [(0, "start", "36" if rungs is STEPS else "100"), *changes]
    return Visit(
        changes=tuple(
            RateEvent(at=at(when), ml_per_h=Decimal(rate), kind=kind)
            for when, kind, rate in rows
        ),
        rungs=rungs,
        observe_minutes=20,
        sets_at=tuple(at(when) for when in sets),
        flags=tuple(flags),
        over_at=None if over is None else at(over),
        restart_minutes=Decimal(30),
    )


def found(given: Visit, until: float = 1000) -> list[tuple]:
    return [
        (each.owed.value, (each.due_at - START).total_seconds() / 60, each.state)
        for each in owed_sets(given, SCHEDULE, at=at(until))
    ]


@pytest.mark.parametrize(
    ("taken", "state"),
    [(1, ON_TIME), (15, ON_TIME), (20, ON_TIME), (20.1, LATE), (60, LATE)],
)
def test_the_first_set_is_late_more_than_five_minutes_after_its_time(taken, state):
    assert found(visit(-4, taken), until=taken + 1) == [("first", 15, state)]


def test_a_set_is_open_from_its_time_on_and_not_owed_before():
    assert found(visit(-4), until=14) == []
    assert found(visit(-4), until=15) == [("first", 15, OPEN)]
    assert found(visit(-4), until=69) == [("first", 15, OPEN)]


def test_a_set_is_missed_when_the_next_one_falls_due():
    assert found(visit(-4), until=75) == [("first", 15, MISSED), ("steady", 75, OPEN)]


def test_a_set_in_the_window_of_the_next_one_counts_for_the_next_one():
    assert found(visit(71), until=72) == [
        ("first", 15, MISSED),
        ("steady", 75, ON_TIME),
    ]
    assert found(visit(70), until=71) == [
        ("first", 15, MISSED),
        ("steady", 75, ON_TIME),
    ]
    assert found(visit(69), until=70) == [("first", 15, LATE)]


def test_a_set_that_nothing_asked_for_moves_the_schedule_and_is_not_counted():
    extra = visit(15, 40, 99)

    assert found(extra, until=100) == [("first", 15, ON_TIME), ("steady", 100, ON_TIME)]


def test_a_set_up_to_15_minutes_before_a_step_counts_for_the_step():
    changes = [(30, "step", "72"), (60, "step", "144")]

    assert found(visit(12, 29, 46, changes=changes, rungs=STEPS), until=61) == [
        ("first", 15, ON_TIME),
        ("step", 30, ON_TIME),
        ("step", 60, ON_TIME),
    ]


def test_a_late_step_waits_for_its_set():
    changes = [(37, "step", "72")]

    assert found(visit(12, 36, changes=changes, rungs=STEPS), until=38) == [
        ("first", 15, ON_TIME),
        ("step", 30, LATE),
    ]


def test_an_open_flag_holds_the_step_and_owes_its_own_recheck_instead():
    held = FlagSpan(raised_at=at(16))

    assert found(visit(14, 31, rungs=STEPS, flags=[held]), until=55) == [
        ("first", 15, ON_TIME),
        ("recheck", 31, ON_TIME),
        ("recheck", 46, OPEN),
    ]


def test_a_low_flag_holds_no_step_and_owes_nothing_before_it_is_answered():
    low = FlagSpan(raised_at=at(16), is_loud=False)

    assert found(visit(14, 29, rungs=STEPS, flags=[low]), until=40) == [
        ("first", 15, ON_TIME),
        ("step", 30, ON_TIME),
    ]


def test_a_closed_flag_owes_nothing_any_more():
    closed = FlagSpan(raised_at=at(16), over_at=at(20))

    assert found(visit(14, flags=[closed]), until=73) == [("first", 15, ON_TIME)]


@pytest.mark.parametrize(("minutes", "due"), [(5, 21), (30, 46)])
def test_each_flag_is_rechecked_after_its_own_minutes(minutes, due):
    flag = FlagSpan(raised_at=at(16), minutes=minutes)

    assert found(visit(14, flags=[flag]), until=due)[1:] == [("recheck", due, OPEN)]


@pytest.mark.parametrize(
    ("taken", "state"), [(44, ON_TIME), (45, ON_TIME), (50, ON_TIME), (51, LATE)]
)
def test_a_recheck_after_an_answer_is_owed(taken, state):
    flag = FlagSpan(
        raised_at=at(28),
        answered_at=at(30),
        recheck_at=at(45),
        over_at=at(taken),
    )

    assert found(visit(15, taken, flags=[flag]), until=taken + 1) == [
        ("first", 15, ON_TIME),
        ("recheck", 45, state),
    ]


def test_a_recheck_that_never_came_is_missed():
    flag = FlagSpan(raised_at=at(28), answered_at=at(30), recheck_at=at(45))

    assert found(visit(15, flags=[flag]), until=105) == [
        ("first", 15, ON_TIME),
        ("recheck", 45, MISSED),
        ("recheck", 60, MISSED),
        ("recheck", 75, MISSED),
        ("recheck", 90, MISSED),
        ("recheck", 105, OPEN),
    ]


def test_a_pause_asks_more_often_and_voids_what_was_not_late_yet():
    changes = [(70, "pause", "0"), (90, "resume", "50")]

    assert found(visit(15, 84, 104, changes=changes), until=105) == [
        ("first", 15, ON_TIME),
        ("paused", 85, ON_TIME),
        ("first", 105, ON_TIME),
    ]


@pytest.mark.parametrize(
    ("paused", "rows"), [(12, []), (18, []), (20, []), (20.1, [("first", 15, MISSED)])]
)
def test_a_pause_voids_a_set_until_it_is_late_and_not_after(paused, rows):
    changes = [(paused, "pause", "0")]

    assert found(visit(-4, changes=changes), until=paused + 1) == rows


def test_a_set_that_was_late_when_the_infusion_was_paused_is_missed():
    changes = [(81, "pause", "0")]

    assert found(visit(15, changes=changes), until=82) == [
        ("first", 15, ON_TIME),
        ("steady", 75, MISSED),
    ]


def test_end_and_discharge_owe_one_set_each():
    changes = [(60, "end", "0")]

    assert found(visit(15, 61, 79, changes=changes, over=85)) == [
        ("first", 15, ON_TIME),
        ("end", 60, ON_TIME),
        ("discharge", 80, ON_TIME),
    ]


def test_a_set_just_before_the_end_is_the_one_at_the_end():
    changes = [(60, "end", "0")]

    assert found(visit(15, 57, 79, changes=changes, over=85))[1:] == [
        ("end", 60, ON_TIME),
        ("discharge", 80, ON_TIME),
    ]
    (_, last, *_) = owed_sets(visit(15, 56, changes=changes), SCHEDULE, at=at(61))
    assert last.taken_at == at(56)


def test_what_is_owed_at_discharge_is_missed():
    changes = [(60, "end", "0")]

    assert found(visit(15, changes=changes, over=81))[1:] == [
        ("end", 60, MISSED),
        ("discharge", 80, MISSED),
    ]
    assert found(visit(15, 60, changes=changes, over=70))[1:] == [("end", 60, ON_TIME)]


def test_a_stop_leads_to_observation_too():
    changes = [(20, "stop", "0")]

    assert found(visit(15, 20, 40, changes=changes, over=41))[1:] == [
        ("end", 20, ON_TIME),
        ("discharge", 40, ON_TIME),
    ]


def test_a_visit_that_nobody_closed_owes_nothing_after_a_silent_day():
    forgotten = found(visit(15), until=10_000)

    assert len(forgotten) == 1 + 24
    assert forgotten[-1][2] is OPEN


def test_a_visit_without_a_start_owes_nothing():
    empty = Visit(changes=(), rungs=FLAT, observe_minutes=20, sets_at=())

    assert owed_sets(empty, SCHEDULE, at=at(100)) == ()


def test_the_time_taken_is_kept_with_the_set():
    (first,) = owed_sets(visit(22), SCHEDULE, at=at(23))

    assert first.taken_at == at(22)
    assert first.owed is Owed.FIRST
