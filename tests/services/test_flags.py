"""Flags: answered by an act or a reason, rechecked, settled or escalated."""

from dataclasses import replace
from decimal import Decimal

import pytest

from sessions.charts import charts_of, for_charts
from sessions.models import FlagEvent, InfusionSession, RateChange
from sessions.services import rates
from sessions.services import vitals as vitals_service
from sessions.services.acts import Refused, Stale
from sessions.services.flags import answer_flag, call_for_flag, override_flag
from sessions.services.rates import Reason
from sessions.services.vitals import (
    correct_vitals,
    record_vitals,
    withdraw_vitals,
)
from tests.factories.infusions import NORMAL, by, make_running, minutes
from tests.factories.rates import make_rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def fast(clinic, nurse, prescriber):
    """A visit on its fourth step, 172.8 mL/h, from minute 90 on."""
    session = make_running(clinic, nurse, prescriber)
    make_rate(session, nurse, minutes(30), "step", "43.2", step=2)
    make_rate(session, nurse, minutes(60), "step", "86.4", step=3)
    make_rate(session, nurse, minutes(90), "step", "172.8", step=4)
    return session


def chart(session, at):
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=at)[0]


def save(session, user, at, *, taken=None, **values):
    return record_vitals(
        session=session,
        reading=NORMAL | values,
        by=by(user, minutes(at)),
        event_time=None if taken is None else minutes(taken),
    )


@pytest.fixture
def reduce_flag(fast, nurse):
    return save(fast, nurse, 105, systolic_mmhg=104).flag


@pytest.fixture
def stop_flag(fast, nurse):
    return save(fast, nurse, 105, systolic_mmhg=96).flag


def answer(session, flag, user, at, action, to=None, **given):
    return answer_flag(
        session,
        flag_id=flag.pk,
        action=action,
        by=by(user, minutes(at)),
        to_ml_per_h=Decimal(to) if to else None,
        read_back=True,
        **given,
    )


def test_the_answer_records_the_rate_change_and_opens_the_recheck(
    fast, nurse, reduce_flag
):
    event = answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    now = chart(fast, minutes(107))
    row = RateChange.objects.get(kind="reduce")
    assert (row.flag, row.rate_ml_per_h) == (reduce_flag, Decimal("86.4"))
    assert event.rate_change == row
    assert event.recheck_at == minutes(106 + reduce_flag.recheck_minutes)
    assert not now.open_flags
    assert now.due.at == event.recheck_at
    assert now.due.why == "recheck after a flag"


def test_while_a_flag_is_open_the_countdown_is_to_its_recheck(fast, nurse, reduce_flag):
    assert reduce_flag.recheck_minutes == 15
    assert due(fast, 106) == ("recheck", 120)
    save(fast, nurse, 121, systolic_mmhg=104)
    assert due(fast, 122) == ("recheck", 136)


def test_a_stop_is_looked_at_again_after_five_minutes(fast, nurse, stop_flag):
    assert due(fast, 106) == ("recheck", 110)


def test_a_low_flag_leaves_the_schedule_as_it_is(fast, nurse):
    flag = save(fast, nurse, 105, pulse=98).flag

    assert flag.priority == "low"
    assert due(fast, 106) == ("step", 120)


def due(session, at):
    owed = chart(session, minutes(at)).due
    return owed.owed.value, (owed.at - minutes(0)).total_seconds() / 60


def test_a_stronger_act_answers_milder_flags_too(fast, nurse, reduce_flag):
    worse = save(fast, nurse, 108, systolic_mmhg=96).flag

    answer(fast, worse, nurse, 109, "stop")

    now = chart(fast, minutes(110))
    assert not now.open_flags
    assert len(now.flags) == 2
    assert now.session.stage == "observing"


def test_a_milder_act_is_recorded_and_leaves_the_flag_open(fast, nurse, stop_flag):
    event = answer(fast, stop_flag, nurse, 106, "pause")

    now = chart(fast, minutes(107))
    assert event is None
    assert now.running.state == "paused"
    assert [raised.flag for raised in now.open_flags] == [stop_flag]


def test_looking_again_is_not_enough_where_more_is_called_for(fast, nurse, reduce_flag):
    with pytest.raises(Refused, match="calls for more"):
        answer(fast, reduce_flag, nurse, 106, "observe")


def test_while_nothing_runs_looking_again_is_enough(fast, nurse, reduce_flag):
    rates.pause(
        fast, by=by(nurse, minutes(106)), read_back=True, reason=Reason(code="vitals")
    )

    answer(fast, reduce_flag, nurse, 107, "observe")

    assert not chart(fast, minutes(108)).open_flags


def test_an_override_needs_a_coded_reason_and_opens_the_recheck(
    fast, nurse, reduce_flag
):
    for reason, words in (
        (Reason(), "Choose a reason"),
        (Reason(code="other"), "in words"),
    ):
        with pytest.raises(Refused, match=words):
            override_flag(
                fast, flag_id=reduce_flag.pk, reason=reason, by=by(nurse, minutes(106))
            )

    event = override_flag(
        fast,
        flag_id=reduce_flag.pk,
        reason=Reason(code="known"),
        by=by(nurse, minutes(106)),
    )

    assert (event.kind, event.reason_code) == ("overridden", "known")
    now = chart(fast, minutes(107))
    assert now.rate_ml_per_h == Decimal("172.8")
    assert now.rechecks[0].recheck_at == minutes(121)


def test_a_flag_is_answered_once(fast, nurse, colleague, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    with pytest.raises(Refused, match="answered already by Kwame Mensah"):
        answer(fast, reduce_flag, colleague, 106.1, "reduce", "43.2")

    assert RateChange.objects.filter(kind="reduce").count() == 1


def test_a_stale_answer_shows_what_stands_now(fast, nurse, colleague, reduce_flag):
    seen = InfusionSession.objects.get().version
    rates.reduce(
        fast,
        by=by(colleague, minutes(106)),
        to_ml_per_h=Decimal("86.4"),
        read_back=True,
        reason=Reason(code="vitals"),
    )

    with pytest.raises(Stale, match="86.4 mL/h"):
        answer(fast, reduce_flag, nurse, 107, "reduce", "86.4", seen_version=seen)


def test_a_recheck_that_is_quiet_settles_the_flag(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    save(fast, nurse, 121)

    now = chart(fast, minutes(122))
    assert now.flags[0].verdict.kind == "settled"
    assert not now.rechecks


def test_a_recheck_that_is_not_quiet_escalates(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    again = save(fast, nurse, 121, systolic_mmhg=104)

    assert again.flag.action == "pause"
    assert "Not settled at the recheck: Systolic fell" in again.flag.headline
    kinds = {e.kind for e in FlagEvent.objects.filter(flag=reduce_flag)}
    assert "not_settled" in kinds


def test_a_finding_that_settled_and_is_back_escalates(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")
    save(fast, nurse, 121)

    back = save(fast, nurse, 140, systolic_mmhg=104)

    assert back.flag.action == "pause"
    assert "Back again" in back.flag.headline


WEAK = {"systolic_mmhg": 109}
"""A fall of 19 mmHg from the baseline of 128, and one point of NEWS2: no more."""


def test_what_is_left_at_the_recheck_and_only_asks_for_a_look_escalates_nothing(
    fast, nurse, reduce_flag
):
    """The fall is over; one point of NEWS2 that came with it is still there."""
    assert {"systolic fall", "news2"} <= set(chart(fast, minutes(106)).flags[0].series)
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    saved = save(fast, nurse, 121, **WEAK)

    now = chart(fast, minutes(122))
    assert now.flags[0].verdict.kind == "settled"
    assert saved.flag is None


def test_a_weak_finding_that_is_back_brings_no_act_up_with_it(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")
    save(fast, nurse, 121)

    weak = save(fast, nurse, 140, **WEAK)
    strong = save(fast, nurse, 160, systolic_mmhg=104)

    assert weak.flag.action == "observe"
    assert strong.flag.action == "pause"
    assert "Back again" in strong.flag.headline


def test_a_clinics_reduction_without_a_time_limit_escalates_all_the_same(
    fast, nurse, reduce_flag, monkeypatch
):
    """The minutes of an act may be left empty: a fall that stays has not settled."""

    def without_limits(chart, judgement, **given):
        found = tuple(replace(f, escalates_minutes=None) for f in judgement.findings)
        if advice := judgement.recommendation:
            advice = replace(advice, findings=found, escalates_minutes=None)
        return keep_judgement(chart, replace(judgement, recommendation=advice), **given)

    keep_judgement = vitals_service.keep_judgement
    monkeypatch.setattr(vitals_service, "keep_judgement", without_limits)
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    again = save(fast, nurse, 121, systolic_mmhg=104)

    assert again.flag.action == "pause"
    assert "Not settled at the recheck" in again.flag.headline


def test_a_late_set_from_before_it_settled_is_not_back(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")
    save(fast, nurse, 121)

    late = save(fast, nurse, 130, taken=110, systolic_mmhg=104)
    worse = save(fast, nurse, 131, taken=111, systolic_mmhg=96)

    assert late.flag is None
    assert [event.kind for event in late.events] == [FlagEvent.Kind.SEEN_AGAIN]
    assert worse.flag.action == "stop"
    assert "Back again" not in worse.flag.headline


def test_a_corrected_baseline_does_not_bring_back_what_settled(
    fast, nurse, reduce_flag
):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")
    save(fast, nurse, 121)
    baseline = chart(fast, minutes(125)).baseline

    saved = correct_vitals(
        session=fast,
        vitals_id=baseline.pk,
        reading=NORMAL | {"systolic_mmhg": 130},
        reason="cuff was read wrongly",
        by=by(nurse, minutes(126)),
    )

    assert saved.flag is None


def test_a_recheck_that_is_taken_back_is_owed_again(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")
    quiet = save(fast, nurse, 121).vitals

    withdraw_vitals(
        session=fast,
        vitals_id=quiet.pk,
        reason="another patient's",
        by=by(nurse, minutes(122)),
    )

    now = chart(fast, minutes(123))
    assert [raised.flag for raised in now.rechecks] == [reduce_flag]
    assert now.flags[0].events[-1].words == "Taken back: recheck: settled"
    save(fast, nurse, 124)
    assert not chart(fast, minutes(125)).rechecks


def test_a_corrected_recheck_decides_anew(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")
    quiet = save(fast, nurse, 121).vitals

    saved = correct_vitals(
        session=fast,
        vitals_id=quiet.pk,
        reading=NORMAL | {"systolic_mmhg": 104},
        reason="typed 128 for 104",
        by=by(nurse, minutes(122)),
    )

    assert "Not settled at the recheck" in saved.flag.headline


def test_before_its_time_the_recheck_only_notes_that_it_is_still_there(
    fast, nurse, reduce_flag
):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    early = save(fast, nurse, 110, systolic_mmhg=105)

    assert early.flag is None
    assert FlagEvent.objects.filter(flag=reduce_flag, kind="seen_again").exists()


def test_the_next_step_is_held_until_the_recheck_has_settled(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    assert rates.step_held(chart(fast, minutes(137))).startswith("Held until")


def test_a_call_is_written_down_and_does_not_close_what_calls_for_more(
    fast, nurse, reduce_flag
):
    call_for_flag(
        fast,
        flag_id=reduce_flag.pk,
        who="Ingrid Halvorsen",
        by=by(nurse, minutes(106)),
    )

    raised = chart(fast, minutes(107)).flags[0]
    assert raised.calls[0].reason_text == "Ingrid Halvorsen"
    assert raised.is_open


def test_a_flag_of_another_visit_is_out_of_reach(
    clinic, nurse, prescriber, fast, reduce_flag
):
    other = make_running(clinic, nurse, prescriber, chair="04")

    with pytest.raises(Refused, match="not of this visit"):
        answer(other, reduce_flag, nurse, 106, "pause")


def test_each_escalation_goes_one_action_up(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")
    second = save(fast, nurse, 121, systolic_mmhg=104).flag
    answer(fast, second, nurse, 122, "pause")

    third = save(fast, nurse, 137, systolic_mmhg=104).flag

    assert [reduce_flag.action, second.action, third.action] == [
        "reduce",
        "pause",
        "stop",
    ]


def test_a_recheck_with_missing_values_settles_nothing(fast, nurse, reduce_flag):
    answer(fast, reduce_flag, nurse, 106, "reduce", "86.4")

    save(fast, nurse, 121, consciousness="", on_oxygen=None)

    assert chart(fast, minutes(122)).flags[0].verdict is None


def test_a_look_again_that_stays_as_it_was_calls_for_no_lower_rate(fast, nurse):
    """A pulse 22 above the baseline and steady: one low flag, however often seen."""
    flag = save(fast, nurse, 105, pulse=98).flag
    answer(fast, flag, nurse, 106, "observe")

    later = [save(fast, nurse, at, pulse=98).flag for at in (121, 136, 151)]

    assert later == [None, None, None]
    kinds = [event.kind for event in FlagEvent.objects.order_by("pk")]
    assert kinds == ["answered", "not_settled", "seen_again", "seen_again"]
    assert save(fast, nurse, 166, systolic_mmhg=104, pulse=98).flag.action == "reduce"


def test_a_look_again_that_settled_may_be_asked_for_again(fast, nurse):
    flag = save(fast, nurse, 105, pulse=98).flag
    answer(fast, flag, nurse, 106, "observe")
    assert save(fast, nurse, 121).flag is None

    again = save(fast, nurse, 136, pulse=98).flag

    assert (again.action, again.priority) == ("observe", "low")


def test_what_asks_for_a_call_when_confirmed_goes_up_when_it_is(fast, nurse):
    flag = save(fast, nurse, 105, respiratory_rate=22).flag
    answer(fast, flag, nurse, 106, "observe")

    assert flag.escalate_minutes == 30
    assert save(fast, nurse, 121, respiratory_rate=22).flag.action == "reduce"
