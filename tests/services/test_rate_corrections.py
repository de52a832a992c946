"""A change of rate that was written down wrongly: corrected or withdrawn, readable."""

from decimal import Decimal

import pytest

from sessions.charts import charts_of, for_charts
from sessions.models import FlagEvent, InfusionSession, RateChange, Signature
from sessions.services import flags, rates
from sessions.services.acts import Refused, Stale
from sessions.services.rate_corrections import correct_rate, withdraw_rate
from sessions.services.rates import Reason
from sessions.services.vitals import record_vitals
from tests.conftest import PASSWORD
from tests.factories.infusions import NORMAL, by, make_running, minutes
from tests.factories.rates import make_rate

pytestmark = pytest.mark.django_db
WHY = "read off the pump's log"


@pytest.fixture
def third(clinic, nurse, prescriber):
    """21.6 mL/h from the start, 43.2 from minute 30, 86.4 from minute 60."""
    visit = make_running(clinic, nurse, prescriber)
    make_rate(visit, nurse, minutes(30), "step", "43.2", step=2)
    make_rate(visit, nurse, minutes(60), "step", "86.4", step=3)
    return visit


def chart(session, at=90):
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=minutes(at))[0]


def at_minute(session, minute) -> RateChange:
    rows = RateChange.objects.filter(session=session, event_time=minutes(minute))
    return rows.latest("pk")


def local(session, minute):
    """A minute of the visit on the clock of its clinic."""
    return minutes(minute).astimezone(session.clinic.zone)


def correct(session, user, old, to, *, at=None, now=90, **given):
    return correct_rate(
        session=session,
        rate_id=old.pk,
        to_ml_per_h=Decimal(to),
        event_time=None if at is None else minutes(at),
        by=by(user, minutes(now)),
        **{"reason": WHY} | given,
    )


def withdraw(session, user, old, *, now=90, **given):
    return withdraw_rate(
        session=session,
        rate_id=old.pk,
        by=by(user, minutes(now)),
        **{"reason": WHY} | given,
    )


def test_a_corrected_rate_counts_in_rate_volume_and_step(third, nurse):
    assert chart(third).volume_ml == Decimal("75.6")

    row = correct(third, nurse, at_minute(third, 60), "64.8")

    now = chart(third)
    assert (now.rate_ml_per_h, now.running.step) == (Decimal("64.8"), 2)
    assert now.volume_ml == Decimal("64.8")
    assert (row.kind, row.before_ml_per_h) == ("step", Decimal("43.2"))
    assert row.rate_ml_per_kg_h == Decimal("0.9")


def test_the_first_entry_stays_with_the_reason_beside_it(third, nurse):
    old = at_minute(third, 60)
    row = correct(third, nurse, old, "64.8")

    struck, stands = chart(third).changes[-2:]
    assert (struck.row, struck.replaced_by) == (old, row)
    assert struck.row.rate_ml_per_h == Decimal("86.4")
    assert struck.replaced_by.correction_reason == WHY
    assert (stands.row, stands.replaced_by) == (row, None)


def test_a_corrected_time_moves_the_volume_and_the_next_step(third, nurse):
    correct(third, nurse, at_minute(third, 60), "86.4", at=50)

    now = chart(third)
    assert now.volume_ml == Decimal("82.8")
    assert now.running.step_due_at == minutes(80)


def test_what_follows_says_what_it_changed_from(third, nurse):
    correct(third, nurse, at_minute(third, 30), "32.4")

    assert [each.before_ml_per_h for each in chart(third).changes] == [
        Decimal(0),
        Decimal("21.6"),
        Decimal("21.6"),
        Decimal("32.4"),
    ]


def test_a_step_that_was_a_reduction_is_one(third, nurse):
    row = correct(third, nurse, at_minute(third, 60), "21.6")

    assert row.kind == "reduce"
    assert chart(third).running.step == 1


def test_the_start_may_have_run_at_another_rate(third, nurse):
    row = correct(third, nurse, at_minute(third, 0), "10.8")

    assert row.kind == "start"
    assert chart(third).volume_ml == Decimal("70.2")


def test_a_correction_is_corrected_again(third, nurse):
    once = correct(third, nurse, at_minute(third, 60), "64.8")
    correct(third, nurse, once, "86.4")

    assert chart(third).volume_ml == Decimal("75.6")
    with pytest.raises(Refused, match="corrected already"):
        correct(third, nurse, once, "43.3")


@pytest.mark.parametrize(
    ("minute", "to", "given", "words"),
    [
        (60, "86.4", {}, "Nothing was changed"),
        (60, "43.2", {}, "rate before it"),
        (60, "0", {}, "withdraw this and record the pause"),
        (60, "64.8", {"reason": " "}, "Write why"),
        (60, "64.8", {"at": 30}, "after {30} and before {90}"),
        (60, "64.8", {"at": 91}, "after {30} and before {90}"),
        (30, "64.8", {"at": 60}, "after {0} and before {60}"),
        (0, "21.6", {"at": 1}, "time of the Start stays"),
    ],
)
def test_what_cannot_have_been_is_refused(third, nurse, minute, to, given, words):
    said = words.format(*(f"{local(third, at):%H:%M:%S}" for at in range(91)))
    with pytest.raises(Refused, match=said):
        correct(third, nurse, at_minute(third, minute), to, **given)

    assert RateChange.objects.filter(session=third).count() == 3


@pytest.mark.parametrize(("at", "fits"), [(31, True), (59, True), (90, True)])
def test_a_time_between_its_neighbours_is_taken(third, nurse, at, fits):
    correct(third, nurse, at_minute(third, 60), "64.8", at=at)

    assert at_minute(third, at).rate_ml_per_h == Decimal("64.8")


def test_a_pause_keeps_its_zero(third, nurse):
    rates.pause(
        third, by=by(nurse, minutes(70)), read_back=True, reason=Reason(code="line")
    )

    with pytest.raises(Refused, match="stood still"):
        correct(third, nurse, at_minute(third, 70), "10")
    correct(third, nurse, at_minute(third, 70), "0", at=65)

    assert chart(third).volume_ml == Decimal("39.6")


def test_a_withdrawn_step_was_never_taken(third, nurse):
    withdraw(third, nurse, at_minute(third, 60))

    now = chart(third)
    assert (now.rate_ml_per_h, now.volume_ml) == (Decimal("43.2"), Decimal(54))
    struck = now.changes[-1]
    assert struck.replaced_by.entered_in_error
    assert len(now.changes) == 3


@pytest.mark.parametrize("kind", ["start", "stop"])
def test_what_moved_the_visit_on_is_not_withdrawn(third, nurse, kind):
    rates.stop(
        third, by=by(nurse, minutes(80)), read_back=True, reason=Reason(code="line")
    )
    old = RateChange.objects.get(session=third, kind=kind)

    with pytest.raises(Refused, match="not withdrawn"):
        withdraw(third, nurse, old)


def test_a_pause_is_withdrawn_after_what_needs_it(third, nurse):
    rates.pause(
        third, by=by(nurse, minutes(70)), read_back=True, reason=Reason(code="line")
    )
    rates.resume(
        third, by=by(nurse, minutes(72)), to_ml_per_h=Decimal("43.2"), read_back=True
    )
    pause, resume = at_minute(third, 70), at_minute(third, 72)

    said = f"Resume at {local(third, 72):%H:%M} needs this change"
    with pytest.raises(Refused, match=said):
        withdraw(third, nurse, pause)
    withdraw(third, nurse, resume)
    assert chart(third).running.state == "paused"
    withdraw(third, nurse, pause)

    assert chart(third).rate_ml_per_h == Decimal("86.4")


@pytest.fixture
def reduced(third, nurse):
    """A fall of pressure at minute 70, answered by a reduction at minute 71."""
    fallen = NORMAL | {"systolic_mmhg": 104}
    saved = record_vitals(session=third, reading=fallen, by=by(nurse, minutes(70)))
    flags.answer_flag(
        session=third,
        flag_id=saved.flag.pk,
        action="reduce",
        to_ml_per_h=Decimal("43.2"),
        read_back=True,
        by=by(nurse, minutes(71)),
    )
    assert not chart(third).open_flags
    return third


def test_a_flag_answered_by_a_withdrawn_reduction_is_open_again(reduced, nurse):
    withdraw(reduced, nurse, at_minute(reduced, 71))

    now = chart(reduced)
    assert [raised.flag.pk for raised in now.open_flags] == [now.flags[0].flag.pk]
    assert now.rechecks == []
    event = now.flags[0].events[-1]
    assert event.words == "Taken back: answered by an act"
    assert event.reason_text == WHY


def test_a_flag_answered_by_a_reduction_that_was_a_step_up_is_open_again(
    reduced, nurse
):
    correct(reduced, nurse, at_minute(reduced, 71), "172.8")

    assert chart(reduced).open_flags


def test_a_reduction_to_another_rate_still_answers_its_flag(reduced, nurse):
    correct(reduced, nurse, at_minute(reduced, 71), "21.6")

    assert not chart(reduced).open_flags
    assert not FlagEvent.objects.filter(entered_in_error=True).exists()


def test_a_signed_record_is_corrected_under_a_signature(third, nurse):
    rates.stop(
        third, by=by(nurse, minutes(80)), read_back=True, reason=Reason(code="line")
    )
    InfusionSession.objects.filter(pk=third.pk).update(
        stage="discharged", outcome="stopped_early"
    )
    seen = InfusionSession.objects.get(pk=third.pk)
    old = at_minute(third, 60)

    with pytest.raises(Refused, match="not your password"):
        correct(seen, nurse, old, "64.8", password="guess")
    with pytest.raises(Stale, match="discharged in the meantime"):
        correct(third, nurse, old, "64.8")
    assert RateChange.objects.filter(session=third).count() == 4

    correct(seen, nurse, old, "64.8", password=PASSWORD)

    signed = Signature.objects.get(session=third)
    assert (signed.meaning, signed.recorded_by) == ("corrected", nurse)


def test_a_stale_screen_corrects_nothing(third, nurse):
    with pytest.raises(Stale):
        correct(third, nurse, at_minute(third, 60), "64.8", seen_version=99)

    assert chart(third).volume_ml == Decimal("75.6")
