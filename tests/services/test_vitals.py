"""Recording vital signs: one act, with its score, its flags and what follows."""

from decimal import Decimal

import pytest
from django.db import DatabaseError

from sessions.charts import charts_of, for_charts
from sessions.models import (
    AuditEntry,
    Flag,
    FlagEvent,
    InfusionSession,
    Order,
    RateChange,
    RiskFactor,
    VitalSigns,
)
from sessions.services import assessments, flags, vitals
from sessions.services.acts import KeyReused, Refused, Replayed, Stale
from sessions.services.vitals import correct_vitals, record_vitals, withdraw_vitals
from tests.factories.infusions import NORMAL, by, make_running, minutes, stamp
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db
KEY = "7f1c9f8e-7d39-4a55-9a0e-2a2f6a1d9a10"


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber)


@pytest.fixture
def fast(running, nurse):
    """The same visit on its fourth step, 172.8 mL/h, for the last half minute."""
    make_rate(running, nurse, minutes(30), "step", "43.2", step=2)
    make_rate(running, nurse, minutes(60), "step", "86.4", step=3)
    make_rate(running, nurse, minutes(90), "step", "172.8", step=4)
    return running


def chart(session, at):
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=at)[0]


def save(session, user, at, **values):
    fresh = InfusionSession.objects.get(pk=session.pk)
    given = {
        name: values.pop(name)
        for name in ("event_time", "step_up_to", "read_back", "seen_version")
        if name in values
    }
    return record_vitals(
        session=fresh, reading=NORMAL | values, by=by(user, at), **given
    )


def test_a_quiet_set_is_saved_with_its_score_and_no_flag(running, nurse):
    saved = save(running, nurse, minutes(15))

    assert saved.flag is None
    assert saved.vitals.news2["total"] == 0
    assert saved.vitals.purpose == "scheduled"
    assert saved.vitals.due_at == minutes(15)
    assert AuditEntry.objects.filter(action="vitals.record").count() == 1


def test_a_fall_raises_its_flag_in_the_same_act(fast, nurse):
    saved = save(fast, nurse, minutes(105), systolic_mmhg=104)

    flag = saved.flag
    assert flag.vitals == saved.vitals
    assert flag.headline == "Systolic fell 24 mmHg, 128 → 104"
    assert "Protocol 2026-1, rule V-09, calls for 172.8 → 86.4 mL/h" in flag.calls_for
    assert (flag.action, flag.priority) == ("reduce", "medium")
    assert flag.rate_to_ml_per_h == Decimal("86.4")
    first = flag.findings[0]["values"][0]
    assert (first["baseline"], first["now"], first["change"]) == ("128", "104", "−24")
    assert first["limit_text"] == "fall of 20 mmHg or more"
    assert saved.chart.open_flags[0].flag == flag


def test_findings_of_one_save_make_one_flag_the_highest_action_first(fast, nurse):
    saved = save(fast, nurse, minutes(105), systolic_mmhg=96, temperature_c="37.8")

    assert Flag.objects.count() == 1
    actions = [found["action"] for found in saved.flag.findings]
    assert saved.flag.action == "stop"
    assert actions[0] == "stop"
    assert "reduce" in actions


def test_the_same_finding_again_updates_its_open_flag(fast, nurse):
    first = save(fast, nurse, minutes(105), systolic_mmhg=104).flag

    again = save(fast, nurse, minutes(110), systolic_mmhg=105)

    assert again.flag is None
    assert Flag.objects.count() == 1
    assert FlagEvent.objects.get(flag=first).kind == "seen_again"


def test_a_worse_finding_raises_a_second_flag_beside_the_first(fast, nurse):
    save(fast, nurse, minutes(105), systolic_mmhg=104)

    worse = save(fast, nurse, minutes(110), systolic_mmhg=96)

    assert worse.flag.action == "stop"
    assert [raised.flag.action for raised in worse.chart.open_flags] == [
        "stop",
        "reduce",
    ]


def test_a_normal_value_does_not_close_a_flag(fast, nurse):
    save(fast, nurse, minutes(105), systolic_mmhg=104)

    later = save(fast, nurse, minutes(112))

    assert len(later.chart.open_flags) == 1


def test_a_flag_that_nobody_answered_escalates_when_it_is_seen_again(fast, nurse):
    first = save(fast, nurse, minutes(105), systolic_mmhg=104).flag

    late = minutes(105 + first.escalate_minutes)
    again = save(fast, nurse, late, systolic_mmhg=104)

    assert again.flag.action == "pause"
    assert "Not acted on in time" in again.flag.headline


def test_a_missing_value_is_never_normal(running, nurse):
    saved = save(
        running, nurse, minutes(15), spo2=None, partial_reason="device", on_oxygen=None
    )

    assert saved.vitals.news2 == {
        "refused": "missing: spo2, on_oxygen",
        "missing": ["spo2", "on_oxygen"],
    }
    assert "spo2" in saved.flag.findings[0]["missing"]


def test_a_partial_set_needs_its_reason(running, nurse):
    with pytest.raises(Refused, match="not complete"):
        save(running, nurse, minutes(15), pulse=None)

    assert VitalSigns.objects.count() == 1


def test_a_rule_that_fails_says_check_not_done(running, nurse, monkeypatch):
    def broken(*_args):
        raise ZeroDivisionError

    monkeypatch.setattr(assessments, "assess", broken)

    saved = save(running, nurse, minutes(15))

    assert saved.vitals.pk
    assert saved.flag.headline.startswith("CHECK NOT DONE")
    assert saved.flag.priority == "medium"
    assert saved.chart.state == "flag-medium"


def test_a_check_not_done_is_closed_only_by_hand(running, nurse, monkeypatch):
    monkeypatch.setattr(assessments, "assess", lambda *_: 1 / 0)
    flag = save(running, nurse, minutes(15)).flag
    monkeypatch.undo()

    with pytest.raises(Refused, match="Choose a reason"):
        flags.override_flag(
            running,
            flag_id=flag.pk,
            reason=flags.Reason(code="known"),
            by=by(nurse, minutes(16)),
        )
    flags.override_flag(
        running,
        flag_id=flag.pk,
        reason=flags.Reason(code="compared_by_hand"),
        by=by(nurse, minutes(17)),
    )

    assert not chart(running, minutes(18)).open_flags


def test_nothing_is_saved_when_the_flag_cannot_be_written(fast, nurse, monkeypatch):
    def full(*_args, **_kwargs):
        raise DatabaseError("disk full")

    monkeypatch.setattr(Flag.objects, "create", full)

    with pytest.raises(DatabaseError):
        save(fast, nurse, minutes(105), systolic_mmhg=104)

    assert VitalSigns.objects.count() == 1
    assert not AuditEntry.objects.filter(action="vitals.record").exists()
    assert InfusionSession.objects.get().version == 1


def test_a_resend_is_saved_once(running, nurse):
    acting = by(nurse, minutes(15), key=KEY, content={"pulse": "76"})
    record_vitals(session=running, reading=NORMAL, by=acting)

    with pytest.raises(Replayed):
        record_vitals(session=running, reading=NORMAL, by=acting)
    with pytest.raises(KeyReused):
        record_vitals(
            session=running,
            reading=NORMAL,
            by=by(nurse, minutes(15), key=KEY, content={"pulse": "77"}),
        )

    assert VitalSigns.objects.count() == 2


def test_a_set_and_its_step_are_one_act(running, nurse):
    saved = save(
        running, nurse, minutes(30), step_up_to=Decimal("43.2"), read_back=True
    )

    assert saved.rate_change.rate_ml_per_h == Decimal("43.2")
    assert saved.chart.rate_ml_per_h == Decimal("43.2")
    assert AuditEntry.objects.filter(action="vitals.record-step").count() == 1


@pytest.mark.parametrize(
    ("at", "values"),
    [
        (29, {}),
        (30, {"systolic_mmhg": 104}),
        (30, {"tolerated": False}),
        (30, {"pulse": None, "partial_reason": "device"}),
    ],
    ids=["too early", "a flag", "not tolerated", "not complete"],
)
def test_a_set_that_speaks_against_the_step_is_kept_without_it(
    running, nurse, at, values
):
    saved = save(
        running,
        nurse,
        minutes(at),
        step_up_to=Decimal("43.2"),
        read_back=True,
        **values,
    )

    assert saved.vitals.pk
    assert saved.rate_change is None
    assert RateChange.objects.count() == 1


def test_a_step_with_another_number_than_the_ladders_is_refused(running, nurse):
    with pytest.raises(Stale):
        save(running, nurse, minutes(30), step_up_to=Decimal("86.4"), read_back=True)

    assert VitalSigns.objects.count() == 1


def test_a_late_set_stands_where_it_happened_and_says_so(running, nurse):
    save(running, nurse, minutes(40))

    late = save(running, nurse, minutes(45), event_time=minutes(20), systolic_mmhg=104)

    assert [row.event_time for row in late.chart.vitals][1:] == [
        minutes(20),
        minutes(40),
    ]
    assert late.vitals.is_late(15)
    assert late.flag.event_time == minutes(20)


def test_a_correction_keeps_the_first_value_and_closes_its_flag(fast, nurse):
    wrong = save(fast, nurse, minutes(105), systolic_mmhg=104)

    corrected = correct_vitals(
        session=fast,
        vitals_id=wrong.vitals.pk,
        reading=NORMAL | {"systolic_mmhg": 124},
        reason="typed 104 for 124",
        by=by(nurse, minutes(107)),
    )

    now = chart(fast, minutes(108))
    assert corrected.vitals.supersedes == wrong.vitals
    assert now.last_vitals.systolic_mmhg == 124
    assert [row.systolic_mmhg for row in now.every_vitals][-2:] == [104, 124]
    assert not now.open_flags
    assert now.flags[0].events[-1].reason_text == "typed 104 for 124"


def test_a_corrected_set_is_not_compared_with_what_it_corrects(fast, nurse):
    save(fast, nurse, minutes(100), systolic_mmhg=118)
    wrong = save(fast, nurse, minutes(105), systolic_mmhg=98)

    corrected = correct_vitals(
        session=fast,
        vitals_id=wrong.vitals.pk,
        reading=NORMAL | {"systolic_mmhg": 104},
        event_time=minutes(106),
        reason="typed 98 for 104, a minute later",
        by=by(nurse, minutes(108)),
    )

    assert corrected.flag.findings[0]["values"][0]["last"] == "118"


def test_a_corrected_baseline_runs_the_rules_again_for_later_sets(fast, nurse):
    save(fast, nurse, minutes(100), systolic_mmhg=115)
    baseline = chart(fast, minutes(101)).baseline

    correct_vitals(
        session=fast,
        vitals_id=baseline.pk,
        reading=NORMAL | {"systolic_mmhg": 138},
        reason="cuff was read wrongly",
        by=by(nurse, minutes(102)),
    )

    now = chart(fast, minutes(103))
    assert now.baseline.systolic_mmhg == 138
    assert now.open_flags[0].flag.vitals.systolic_mmhg == 115


def test_a_withdrawn_set_counts_nowhere(running, nurse):
    saved = save(running, nurse, minutes(15))

    withdraw_vitals(
        session=running,
        vitals_id=saved.vitals.pk,
        reason="another patient's",
        by=by(nurse, minutes(16)),
    )

    now = chart(running, minutes(17))
    assert len(now.vitals) == 1
    assert len(now.every_vitals) == 3


def test_sets_are_not_taken_after_discharge(running, nurse):
    InfusionSession.objects.filter(pk=running.pk).update(stage="observing")
    InfusionSession.objects.filter(pk=running.pk).update(
        stage="discharged", outcome="completed"
    )

    with pytest.raises(Refused, match="between check-in and discharge"):
        save(running, nurse, minutes(15))


def test_a_chart_read_before_is_used_again_only_if_nothing_changed(running, nurse):
    fresh = for_charts(InfusionSession.objects).get(pk=running.pk)
    before = charts_of([fresh], at=minutes(15))[0]
    make_vitals(running, nurse, minutes(14))
    InfusionSession.objects.filter(pk=running.pk).update(version=2)

    saved = record_vitals(
        session=fresh, chart=before, reading=NORMAL, by=by(nurse, minutes(15))
    )

    assert saved.chart is not before
    assert len(saved.chart.vitals) == 3


def test_no_step_is_taken_on_an_order_held_since_the_chart_was_read(running, nurse):
    fresh = for_charts(InfusionSession.objects).get(pk=running.pk)
    before = charts_of([fresh], at=minutes(30))[0]
    Order.objects.filter(pk=running.order_id).update(status="on_hold", version=9)

    with pytest.raises(Refused, match="on hold"):
        record_vitals(
            session=fresh,
            chart=before,
            reading=NORMAL,
            step_up_to=Decimal("43.2"),
            read_back=True,
            by=by(nurse, minutes(30)),
        )


def test_pregnancy_refuses_the_score(running, nurse):
    RiskFactor.objects.create(
        patient=running.patient,
        key="pregnancy",
        presence="present",
        **stamp(nurse, minutes(-60)),
    )

    saved = save(running, nurse, minutes(15))

    assert saved.vitals.news2 == {"refused": "pregnancy"}


def test_a_column_that_is_no_part_of_a_set_is_a_mistake_of_ours(running, nurse):
    with pytest.raises(TypeError, match="recorded_at"):
        vitals.record_vitals(
            session=running,
            reading=NORMAL | {"recorded_at": minutes(1)},
            by=by(nurse, minutes(15)),
        )
