"""Changes of rate: one step at a time, never above the ceiling, read back."""

from decimal import Decimal

import pytest

from sessions.charts import charts_of, for_charts
from sessions.models import InfusionSession, Order, RateChange, Signature, StageChange
from sessions.services import rates
from sessions.services.acts import Refused, Stale
from sessions.services.rates import Reason
from tests.conftest import PASSWORD
from tests.factories.infusions import by, make_running, minutes
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db
VITALS = Reason(code="vitals")


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber)


@pytest.fixture
def ready(running, nurse):
    """Thirty minutes on the first step, with a complete set in the window."""
    make_vitals(running, nurse, minutes(29))
    return running


@pytest.fixture
def third(running, nurse):
    """On the third step, 86.4 mL/h."""
    make_rate(running, nurse, minutes(30), "step", "43.2", step=2)
    make_rate(running, nurse, minutes(60), "step", "86.4", step=3)
    return running


def chart(session, at):
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=at)[0]


def step(session, user, at, to="43.2", **given):
    return rates.step_up(
        session, by=by(user, at), to_ml_per_h=Decimal(to), read_back=True, **given
    )


def paused(session, user, at=70):
    rates.pause(session, by=by(user, minutes(at)), read_back=True, reason=VITALS)
    return session


def test_a_step_up_is_the_next_rung_of_the_ladder(ready, nurse):
    row = step(ready, nurse, minutes(30))

    assert (row.kind, row.step) == ("step", 2)
    assert row.before_ml_per_h == Decimal("21.6")
    assert row.rate_ml_per_kg_h == Decimal("0.6")
    assert chart(ready, minutes(31)).rate_ml_per_h == Decimal("43.2")


def test_the_next_step_pressed_fifty_times_steps_once(ready, nurse):
    seen = ready.version
    refused = 0
    for _ in range(50):
        try:
            step(ready, nurse, minutes(30), seen_version=seen)
        except Refused:
            refused += 1

    assert refused == 49
    assert RateChange.objects.filter(kind="step").count() == 1


def test_a_stale_screen_is_told_both_versions(ready, nurse):
    make_vitals(ready, nurse, minutes(29.5))
    InfusionSession.objects.filter(pk=ready.pk).update(version=4)

    with pytest.raises(Stale, match=r"version 4, your screen shows 1.*21.6 mL/h"):
        step(ready, nurse, minutes(30), seen_version=1)

    assert InfusionSession.objects.get().version == 4


@pytest.mark.parametrize(
    ("at", "words"),
    [(29.9, "least time"), (46, "complete set")],
    ids=["too early", "set too old"],
)
def test_a_step_is_held_until_time_and_vitals_allow_it(ready, nurse, at, words):
    with pytest.raises(Refused, match=words):
        step(ready, nurse, minutes(at))


def test_a_set_that_was_not_tolerated_holds_the_step(ready, nurse):
    make_vitals(ready, nurse, minutes(29.5), tolerated=False)

    with pytest.raises(Refused, match="not tolerated"):
        step(ready, nurse, minutes(30))


def test_no_step_is_left_when_the_volume_is_in(third, nurse):
    make_vitals(third, nurse, minutes(299))
    assert chart(third, minutes(300)).is_volume_in

    with pytest.raises(Refused, match="The volume is in"):
        step(third, nurse, minutes(300), "172.8")


def test_without_read_back_nothing_changes(ready, nurse):
    with pytest.raises(Refused, match="Read the pump"):
        rates.step_up(
            ready,
            by=by(nurse, minutes(30)),
            to_ml_per_h=Decimal("43.2"),
            read_back=False,
        )


@pytest.mark.parametrize("status", ["on_hold", "cancelled"])
def test_an_order_that_is_not_in_force_holds_the_step(ready, nurse, status):
    Order.objects.update(status=status)

    with pytest.raises(Refused, match="order was changed or is on hold"):
        step(ready, nurse, minutes(30))


def test_reduce_goes_to_a_lower_rung_with_a_reason(third, nurse):
    row = rates.reduce(
        third,
        by=by(nurse, minutes(65)),
        to_ml_per_h=Decimal("43.2"),
        read_back=True,
        reason=Reason(code="other", text="cold arm"),
    )

    assert (row.kind, row.before_ml_per_h) == ("reduce", Decimal("86.4"))
    assert (row.reason_code, row.reason_text) == ("other", "cold arm")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason(), "Choose a reason"),
        (Reason(code="boredom"), "Choose a reason"),
        (Reason(code="other"), "in words"),
    ],
)
def test_a_change_by_hand_needs_a_coded_reason(third, nurse, reason, words):
    with pytest.raises(Refused, match=words):
        rates.pause(third, by=by(nurse, minutes(65)), read_back=True, reason=reason)


@pytest.mark.parametrize("to", ["86.4", "172.8", "50"])
def test_reduce_never_goes_up_or_off_the_ladder(third, nurse, to):
    with pytest.raises(Stale):
        rates.reduce(
            third,
            by=by(nurse, minutes(65)),
            to_ml_per_h=Decimal(to),
            read_back=True,
            reason=VITALS,
        )


def test_paused_time_is_not_counted(third, nurse):
    paused(third, nurse, 70)

    early, late = chart(third, minutes(70)), chart(third, minutes(95))

    assert early.volume_ml == late.volume_ml
    assert late.running.state == "paused"
    assert late.state in ("paused", "late")


def test_resume_is_proposed_below_the_old_rate(third, nurse):
    paused(third, nurse)

    proposed = chart(third, minutes(80)).restart

    assert proposed.ml_per_h == Decimal("43.2")
    row = rates.resume(
        third, by=by(nurse, minutes(80)), to_ml_per_h=proposed.ml_per_h, read_back=True
    )
    assert (row.kind, row.rate_ml_per_h) == ("resume", Decimal("43.2"))


def test_resuming_faster_than_proposed_needs_a_coded_reason(third, nurse):
    paused(third, nurse)
    given = {"to_ml_per_h": Decimal("86.4"), "read_back": True}

    with pytest.raises(Refused, match="Choose a reason"):
        rates.resume(third, by=by(nurse, minutes(80)), **given)
    row = rates.resume(
        third, by=by(nurse, minutes(80)), reason=Reason(code="line"), **given
    )

    assert (row.rate_ml_per_h, row.reason_code) == (Decimal("86.4"), "line")


def test_a_rate_that_is_no_step_of_the_order_cannot_be_resumed_at(third, nurse):
    paused(third, nurse)

    with pytest.raises(Refused, match="not a step"):
        rates.resume(
            third,
            by=by(nurse, minutes(80)),
            to_ml_per_h=Decimal("400"),
            read_back=True,
            reason=Reason(code="prescriber"),
        )


def test_stop_ends_the_infusion_and_goes_on_to_observation(third, nurse):
    rates.stop(third, by=by(nurse, minutes(65)), read_back=True, reason=VITALS)

    now = chart(third, minutes(66))
    assert now.session.stage == "observing"
    assert now.ended_at == minutes(65)
    assert now.rate_ml_per_h == 0
    assert StageChange.objects.get().to_stage == "observing"
    with pytest.raises(Refused, match="not running"):
        rates.pause(third, by=by(nurse, minutes(67)), read_back=True, reason=VITALS)


def test_a_prescriber_signs_a_rate_above_the_ceiling(third, prescriber):
    row = rates.override_ceiling(
        third,
        by=by(prescriber, minutes(65)),
        to_ml_per_h=Decimal("400"),
        reason_text="tolerated 5.5 mL/kg/h for years",
        password=PASSWORD,
    )

    signature = Signature.objects.get()
    assert signature.rate_change == row
    assert signature.meaning == "above_ceiling"
    assert chart(third, minutes(66)).rate_ml_per_h == Decimal("400")


@pytest.mark.parametrize(
    ("who", "password", "words"),
    [
        ("prescriber", "wrong", "not your password"),
        ("nurse", PASSWORD, "Only a prescriber"),
        ("charge_nurse", PASSWORD, "Only a prescriber"),
    ],
)
def test_nobody_else_goes_above_the_ceiling(third, request, who, password, words):
    user = request.getfixturevalue(who)

    with pytest.raises(Refused, match=words):
        rates.override_ceiling(
            third,
            by=by(user, minutes(65)),
            to_ml_per_h=Decimal("400"),
            reason_text="faster",
            password=password,
        )

    assert chart(third, minutes(66)).rate_ml_per_h == Decimal("86.4")
