"""When vital signs are due and late, how long to observe, and who may go."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sessions.catalogue.default_protocol import default_policy
from sessions.rules.findings import Action, Finding, Priority
from sessions.rules.monitoring import (
    Course,
    Departure,
    Due,
    Owed,
    Recheck,
    discharge,
    may_go,
    next_vitals,
    observation_minutes,
    state_at,
    time_findings,
)
from sessions.rules.sources import Source
from sessions.rules.thresholds import Phase

MONITORING = default_policy().monitoring
SCHEDULE = MONITORING.schedule
SOURCE = Source(text="a protocol")
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def after(minutes: int) -> datetime:
    return NINE + timedelta(minutes=minutes)


def running(*, sets=(), **facts) -> Course:
    return Course(
        phase=Phase.INFUSING,
        schedule_from=NINE,
        vitals_at=tuple(after(minutes) for minutes in sets),
        **facts,
    )


def owed(*minutes: int) -> tuple[Recheck, ...]:
    return tuple(Recheck(at=after(at), minutes=15) for at in minutes)


def minutes_due(course: Course) -> int:
    return int((next_vitals(course, SCHEDULE).at - NINE).total_seconds() // 60)


@pytest.mark.parametrize(
    ("course", "minutes", "why"),
    [
        (running(sets=[-5]), 15, "15 minutes after the start"),
        (running(sets=[-5, 15], step_due_at=after(30)), 30, "before the step up"),
        (running(sets=[-5, 15, 28], step_due_at=after(60)), 60, "before the step up"),
        (running(sets=[-5, 14], step_due_at=after(30)), 30, "before the step up"),
        (running(sets=[-5, 15]), 75, "every 60 minutes at a steady rate"),
        (running(sets=[-5, 15, 120]), 180, "every 60 minutes at a steady rate"),
        (running(sets=[-5, 15], step_due_at=after(200)), 75, "every 60 minutes"),
        (running(sets=[-5, 15], rechecks=owed(35)), 35, "recheck after a flag"),
        (running(sets=[15, 29], rechecks=owed(35)), 35, "recheck after a flag"),
        (running(sets=[15, 30], rechecks=owed(35)), 45, "recheck after a flag"),
        (running(sets=[15, 36], rechecks=owed(35)), 51, "recheck after a flag"),
        (running(sets=[15], rechecks=owed(50, 35)), 35, "recheck after a flag"),
        (running(sets=[-5, 15], rechecks=owed(90)), 75, "every 60 minutes"),
        (running(rechecks=owed(35)), 15, "15 minutes after the start"),
        (running(sets=[-5, 15], paused_at=after(40)), 55, "while paused"),
        (running(sets=[-5, 15, 50], paused_at=after(40)), 65, "while paused"),
    ],
)
def test_the_next_set_while_infusing(course, minutes, why):
    assert minutes_due(course) == minutes
    assert why in next_vitals(course, SCHEDULE).why


def test_a_set_within_the_window_counts_as_taken_before_the_step_up():
    early, in_time = (
        running(sets=[-5, 15, taken], step_due_at=after(45)) for taken in (34, 35)
    )

    assert minutes_due(early) == 45
    assert minutes_due(in_time) == 95


def test_a_restarted_ladder_begins_the_schedule_again():
    course = running(sets=[-5, 15, 60])
    again = replace(course, schedule_from=after(70))

    assert minutes_due(again) == 85


def test_late_sets_count_in_any_order():
    assert minutes_due(running(sets=[120, 15])) == 180


def observing(*sets: int) -> Course:
    return Course(
        phase=Phase.OBSERVING,
        schedule_from=NINE,
        ended_at=after(100),
        observe_until=after(120),
        vitals_at=tuple(after(minutes) for minutes in sets),
    )


@pytest.mark.parametrize(
    ("course", "minutes"),
    [(observing(60), 100), (observing(94), 100), (observing(95), 120),
     (observing(100), 120), (observing(100, 114), 120)],
)  # fmt: skip
def test_one_set_at_the_end_and_one_before_going(course, minutes):
    assert minutes_due(course) == minutes


def test_nothing_is_due_after_the_last_set_nor_before_the_start():
    assert next_vitals(observing(100, 115), SCHEDULE) is None
    assert next_vitals(Course(phase=Phase.BASELINE), SCHEDULE) is None
    assert next_vitals(Course(phase=Phase.AFTER), SCHEDULE) is None
    at_home = Course(phase=Phase.AFTER, rechecks=owed(35))
    assert next_vitals(at_home, SCHEDULE) is None


def test_a_flag_owes_its_recheck_before_the_start_and_after_the_end_too():
    for phase in (Phase.BASELINE, Phase.OBSERVING):
        due = next_vitals(Course(phase=phase, rechecks=owed(35)), SCHEDULE)
        assert (due.owed, due.at) == (Owed.RECHECK, after(35))


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(24, "ahead"), (25, "due"), (30, "due"), (35, "due"), (36, "late")],
)
def test_a_due_set_is_ahead_due_or_late(minutes, state):
    due = Due(owed=Owed.STEP, at=after(30), why="", source=SOURCE)

    assert state_at(due, after(minutes), SCHEDULE) == state


@pytest.mark.parametrize(
    ("facts", "minutes"),
    [
        ({"first_infusion": False}, 20),
        ({"first_infusion": True}, 60),
        ({"first_infusion": False, "brand_switch": True}, 60),
        ({"first_infusion": False, "long_gap": True}, 60),
    ],
)
def test_first_switched_or_long_ago_is_observed_longer(facts, minutes):
    assert observation_minutes(SCHEDULE, **facts).value == minutes


@pytest.mark.parametrize(
    ("minutes", "rules"),
    [(35, []), (36, ["T-11"]), (45, ["T-11"]), (46, ["T-11", "T-12"])],
)
def test_the_clock_alone_finds_what_is_late(minutes, rules):
    due = Due(owed=Owed.STEP, at=after(30), why="before the step up", source=SOURCE)

    found = time_findings(
        due=due,
        step_due_at=after(30),
        at=after(minutes),
        schedule=SCHEDULE,
        rules=MONITORING.time_rules,
    )

    assert [each.rule for each in found] == rules
    assert all(each.action is Action.OBSERVE for each in found)


# ── discharge (H3) ─────────────────────────────────────────────────────────────

READY = Departure(
    at=after(120),
    ended_at=after(100),
    observe_minutes=SCHEDULE.observation_minutes,
    last_set_at=after(118),
    last_set_findings=(),
)


def loud(action: Action) -> Finding:
    return Finding(
        rule="X-1",
        action=action,
        because="Something",
        calls_for="an act",
        source=SOURCE,
    )


def unmet(departure: Departure) -> list[str]:
    return [c.rule for c in discharge(departure, SCHEDULE) if not c.met]


def test_a_quiet_observed_patient_may_go():
    assert may_go(discharge(READY, SCHEDULE))


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"at": after(119)}, ["D-01"]),
        ({"ended_at": None}, ["D-01", "D-02"]),
        ({"last_set_at": None}, ["D-02"]),
        ({"last_set_at": after(99)}, ["D-02"]),
        ({"last_set_at": after(109)}, ["D-02"]),
        ({"last_set_at": after(110)}, []),
        ({"last_set_findings": None}, ["D-02"]),
        ({"last_set_findings": (loud(Action.REDUCE),)}, ["D-02"]),
        ({"last_set_findings": (loud(Action.OBSERVE),)}, []),
        ({"open_priorities": (Priority.HIGH,)}, ["D-03"]),
        ({"open_priorities": (Priority.MEDIUM,)}, ["D-03"]),
        ({"open_priorities": (Priority.LOW,)}, []),
    ],
)
def test_each_discharge_criterion_holds_by_rule(changes, rules):
    assert unmet(replace(READY, **changes)) == rules


def test_a_check_that_was_not_done_is_said_so():
    departure = replace(READY, last_set_findings=None)
    (criterion,) = [c for c in discharge(departure, SCHEDULE) if not c.met]

    assert "CHECK NOT DONE" in criterion.because
