"""One recommendation: the highest action, the right rate, never a command."""

from dataclasses import replace
from decimal import Decimal

import pytest

from sessions.catalogue.default_protocol import default_policy
from sessions.rules.findings import Action, Finding, Priority
from sessions.rules.recommendation import RatePosition, recommend
from sessions.rules.sources import Setting, Source
from sessions.rules.thresholds import Phase
from tests.rules.cast import at_step, judge

SOURCE = Source(text="a protocol")
RESTART = default_policy().dosing.restart


def finding(action: Action, **fields) -> Finding:
    return Finding(
        rule=f"X-{action.value}",
        action=action,
        because="Something",
        calls_for="an act",
        source=SOURCE,
        **fields,
    )


def recommended(*found, rate=None, phase=Phase.INFUSING, restart=RESTART):
    return recommend(
        found,
        at_step(3) if rate is None else rate,
        phase=phase,
        protocol="Protocol 2026-1",
        restart=restart,
    )


@pytest.mark.parametrize(
    ("action", "rate", "priority"),
    [
        (Action.OBSERVE, "84", Priority.LOW),
        (Action.REDUCE, "42", Priority.MEDIUM),
        (Action.PAUSE, "0", Priority.MEDIUM),
        (Action.STOP, "0", Priority.HIGH),
        (Action.EMERGENCY, "0", Priority.HIGH),
    ],
)
def test_each_action_has_its_rate_and_priority(action, rate, priority):
    call = recommended(finding(action))

    assert (call.action, call.rate_ml_per_h, call.priority) == (
        action,
        Decimal(rate),
        priority,
    )


def test_the_highest_action_wins_and_the_rest_is_listed_under_it():
    call = recommended(
        finding(Action.OBSERVE), finding(Action.STOP), finding(Action.REDUCE)
    )

    assert call.head.action is Action.STOP
    assert [found.action for found in call.findings] == [
        Action.STOP,
        Action.REDUCE,
        Action.OBSERVE,
    ]


@pytest.mark.parametrize(
    ("position", "rate"),
    [
        (at_step(3), "84"),
        (at_step(3, due=True), "168"),
        (at_step(5, due=True), "336"),  # the top rung
    ],
)
def test_continue_steps_up_only_when_the_step_is_due(position, rate):
    assert recommended(rate=position).rate_ml_per_h == Decimal(rate)


def test_a_low_finding_holds_the_step_up():
    call = recommended(finding(Action.OBSERVE), rate=at_step(3, due=True))

    assert call.rate_ml_per_h == 84


def test_at_the_first_rung_a_reduction_is_a_pause():
    call = recommended(finding(Action.REDUCE, restarts=True), rate=at_step(1))

    assert (call.action, call.rate_ml_per_h) == (Action.PAUSE, 0)
    assert call.restart_ml_per_h == Decimal("10.5")
    assert call.priority is Priority.MEDIUM


def test_without_a_rate_a_pause_names_no_restart():
    call = recommend(
        [finding(Action.PAUSE, restarts=True)],
        None,
        phase=Phase.INFUSING,
        protocol="Protocol 2026-1",
        restart=RESTART,
    )

    assert (call.action, call.restart_ml_per_h) == (Action.PAUSE, None)


def test_a_rate_between_rungs_is_reduced_to_the_rung_below_it():
    between = replace(at_step(3), present_ml_per_h=Decimal(50))

    assert recommended(finding(Action.REDUCE), rate=between).rate_ml_per_h == 42


@pytest.mark.parametrize("action", [Action.CONTINUE, Action.OBSERVE, Action.REDUCE])
def test_a_paused_infusion_is_never_started_by_a_recommendation(action):
    paused = replace(at_step(3, due=True), present_ml_per_h=Decimal(0))
    call = recommended(finding(action), rate=paused)

    assert call.rate_ml_per_h == 0
    assert call.restart_ml_per_h is None


@pytest.mark.parametrize(
    ("method", "rate"),
    [("half_rate", "42"), ("previous_step", "42"), ("first_step", "21")],
)
def test_a_pause_names_the_restart_of_the_clinics_policy(method, rate):
    policy = replace(RESTART, method=Setting(value=method, source=SOURCE))
    call = recommended(finding(Action.PAUSE, restarts=True), restart=policy)

    assert call.restart_ml_per_h == Decimal(rate)


def test_a_restart_is_rounded_down_for_the_pump():
    odd = RatePosition(
        rungs_ml_per_h=(Decimal("33.3"),),
        present_ml_per_h=Decimal("33.3"),
        resolution_ml_per_h=Decimal("0.1"),
    )

    call = recommended(finding(Action.PAUSE, restarts=True), rate=odd)

    assert call.restart_ml_per_h == Decimal("16.6")


@pytest.mark.parametrize("method", ["half_rate", "previous_step", "first_step"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_restart_is_never_at_the_old_rate(method, step):
    policy = replace(RESTART, method=Setting(value=method, source=SOURCE))
    rate = at_step(step)
    call = recommended(finding(Action.PAUSE, restarts=True), rate=rate, restart=policy)

    assert call.restart_ml_per_h is None or (
        0 < call.restart_ml_per_h < rate.present_ml_per_h
    )


def test_one_pausing_finding_that_names_no_restart_takes_it_away():
    call = recommended(finding(Action.PAUSE, restarts=True), finding(Action.PAUSE))

    assert call.restart_ml_per_h is None


@pytest.mark.parametrize("action", [Action.STOP, Action.EMERGENCY])
def test_a_stop_names_no_restart(action):
    assert recommended(finding(action, restarts=True)).restart_ml_per_h is None


@pytest.mark.parametrize("phase", [Phase.BASELINE, Phase.OBSERVING, Phase.AFTER])
def test_nothing_runs_outside_the_infusion(phase):
    call = recommended(finding(Action.REDUCE), phase=phase)

    assert (call.rate_ml_per_h, call.action) == (0, Action.REDUCE)


def test_an_unknown_rate_stays_unknown_but_a_stop_is_zero():
    def call(action):
        return recommend(
            [finding(action)],
            None,
            phase=Phase.INFUSING,
            protocol="Protocol 2026-1",
            restart=RESTART,
        )

    assert call(Action.REDUCE).rate_ml_per_h is None
    assert call(Action.STOP).rate_ml_per_h == 0


def test_the_soonest_recheck_and_escalation_of_the_head_count():
    call = recommended(
        finding(Action.REDUCE, recheck_minutes=15, escalates_minutes=30),
        finding(Action.REDUCE, recheck_minutes=5),
        finding(Action.OBSERVE, recheck_minutes=1),
    )

    assert (call.recheck_minutes, call.escalates_minutes) == (5, 30)


def test_a_finding_for_the_work_list_alone_raises_no_flag():
    call = recommended(finding(Action.CONTINUE, work_list=True))

    assert not call.raises_flag
    assert call.priority is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((), "Protocol 2026-1: no rule calls for a change; 84 mL/h stays"),
        (
            (finding(Action.REDUCE),),
            "Protocol 2026-1, rule X-reduce, calls for 84 → 42 mL/h; an act. "
            "Something.",
        ),
        (
            (finding(Action.PAUSE, restarts=True),),
            "Protocol 2026-1, rule X-pause, calls for 84 → 0 mL/h, restart at 42 mL/h; "
            "an act. Something.",
        ),
        (
            (finding(Action.OBSERVE),),
            "Protocol 2026-1, rule X-observe, calls for an act; 84 mL/h stays. "
            "Something.",
        ),
    ],
)
def test_the_reason_cites_and_never_commands(found, reason):
    assert recommended(*found).reason == reason


def test_the_published_recheck_of_a_mild_hypotension_is_five_minutes():
    call = judge(seen=(("dizzy", "mild"),)).recommendation

    assert call.recheck_minutes == 5


def test_a_reduction_at_the_first_step_says_that_it_is_a_pause():
    call = recommended(finding(Action.REDUCE), rate=at_step(1))

    assert call.action is Action.PAUSE
    assert "a pause, because there is no lower rate" in call.calls_for
    assert "an act" not in call.calls_for
