"""A reaction or an outcome that was written down wrongly: corrected or withdrawn."""

from decimal import Decimal

import pytest

from sessions.models import (
    FlagEvent,
    Reaction,
    ReactionOutcome,
    Signature,
)
from sessions.replay import chart_then
from sessions.services import rates
from sessions.services.acts import Refused, Stale
from sessions.services.rate_corrections import withdraw_rate
from sessions.services.reaction_corrections import (
    correct_reaction,
    withdraw_outcome,
    withdraw_reaction,
)
from sessions.services.reactions import record_outcome
from tests.conftest import PASSWORD
from tests.factories.infusions import by, make_running, minutes
from tests.factories.rates import make_rate
from tests.factories.reactions import make_vial
from tests.factories.vitals import make_vitals
from tests.services.test_reactions import chart, log

pytestmark = pytest.mark.django_db
HEADACHE = [("headache", "mild")]


@pytest.fixture
def running(clinic, nurse, prescriber):
    """A visit on its third step, 86.4 mL/h, from minute 60 on."""
    session = make_running(clinic, nurse, prescriber)
    make_rate(session, nurse, minutes(30), "step", "43.2", step=2)
    make_rate(session, nurse, minutes(60), "step", "86.4", step=3)
    return session


def correct(session, user, row, at=80, **given):
    given = {"symptoms": HEADACHE, "reason": "typed wrongly"} | given
    return correct_reaction(
        session=session, reaction_id=row.pk, by=by(user, minutes(at)), **given
    )


def withdraw(session, user, row, at=80, **given):
    return withdraw_reaction(
        session=session,
        reaction_id=row.pk,
        reason="another patient's",
        by=by(user, minutes(at)),
        **given,
    )


def tell(session, user, row, kind="resolved", at=85, **given):
    return record_outcome(
        session=session,
        reaction_id=row.pk,
        kind=kind,
        by=by(user, minutes(at)),
        **given,
    )


def untell(session, user, row, at=88, **given):
    return withdraw_outcome(
        session=session,
        outcome_id=row.pk,
        reason="another patient's",
        by=by(user, minutes(at)),
        **given,
    )


def discharged(session):
    visit = type(session).objects.filter(pk=session.pk)
    visit.update(stage="observing")
    visit.update(stage="discharged", outcome="completed")
    session.refresh_from_db()
    return session


# ── correcting ─────────────────────────────────────────────────────────────────


def test_every_part_is_written_anew_and_the_first_entry_stays(running, nurse):
    make_vial(running, nurse, lot="P100512345")
    make_vitals(running, nurse, minutes(65))
    old = log(running, nurse, note="after coffee").reaction

    row = correct(
        running,
        nurse,
        old,
        symptoms=[("flushing", "moderate")],
        grade="severe",
        onset=minutes(40),
        note="before coffee",
    ).reaction

    seen = chart(running, 81).reactions[0]
    assert (seen.reaction, seen.first, seen.ids) == (row, old, {old.pk, row.pk})
    assert seen.words == "Flushing moderate"
    assert (row.grade, row.graded_by_rule) == ("severe", "moderate")
    assert (row.event_time, row.minutes_from_start) == (minutes(40), 40)
    assert (row.rate_ml_per_h, row.step) == (Decimal("43.2"), 2)
    assert (row.note, row.lots) == ("before coffee", "P100512345")
    assert (row.action, row.vitals) == ("reduce", old.vitals)
    first = Reaction.objects.get(pk=old.pk)
    assert (first.grade, first.note) == ("mild", "after coffee")
    assert row.correction_reason == "typed wrongly"
    assert [s.name for s in first.symptoms.all()] == ["Headache"]


def test_what_was_done_about_it_is_not_where_it_began(running, nurse):
    """The reduction of the same moment answered it: it began at the rate before."""
    old = log(running, nurse).reaction
    stopped = log(running, nurse, at=90, symptoms=[("rash", "mild")], action="stop")

    row = correct(running, nurse, old, symptoms=[("flushing", "mild")], at=95).reaction
    late = correct(
        running, nurse, stopped.reaction, symptoms=[("flushing", "mild")], at=96
    ).reaction

    assert (row.rate_ml_per_h, row.step) == (Decimal("86.4"), 3)
    assert row.volume_in_ml == old.volume_in_ml
    assert (late.rate_ml_per_h, late.phase) == (Decimal("43.2"), "infusing")


def test_what_measured_it_then_grades_it_again(running, nurse):
    """The set of before the entry counts, late as it came after the onset."""
    make_vitals(running, nurse, minutes(68), temperature_c=Decimal("40.1"))
    fever = {"symptoms": [("fever", "mild")]}
    old = log(running, nurse, action="stop", onset=minutes(66), **fever).reaction
    make_vitals(running, nurse, minutes(75))

    row = correct(running, nurse, old, note="better", **fever).reaction

    assert (old.grade, row.grade, row.graded_by_rule) == ("severe",) * 3


def test_a_correction_that_changes_nothing_or_has_no_reason_is_refused(running, nurse):
    old = log(running, nurse).reaction

    with pytest.raises(Refused, match="Nothing was changed"):
        correct(running, nurse, old)
    with pytest.raises(Refused, match="Write why"):
        correct(running, nurse, old, note="better", reason=" ")
    with pytest.raises(Refused, match="at least one symptom"):
        correct(running, nurse, old, symptoms=[])
    newest = correct(running, nurse, old, note="better").reaction
    with pytest.raises(Refused, match="corrected already"):
        correct(running, nurse, old, note="worse")
    with pytest.raises(Stale):
        correct(running, nurse, newest, note="worse", seen_version=1)


def test_no_flag_is_raised_again_for_what_was_answered(running, nurse):
    """Reduced at the first rung below: the same call now would be a pause."""
    make_rate(running, nurse, minutes(65), "reduce", "43.2", step=2)
    old = log(running, nurse, to_ml_per_h=Decimal("21.6")).reaction

    flag = correct(running, nurse, old, symptoms=[("flushing", "mild")]).flag

    assert flag is None
    now = chart(running, 81)
    assert [raised.flag.action for raised in now.flags] == ["reduce"]
    assert now.rechecks[0].recheck_at == minutes(85)
    assert not FlagEvent.objects.filter(kind="seen_again").exists()


def test_a_correction_that_calls_for_more_raises_a_flag(running, nurse):
    old = log(running, nurse).reaction

    flag = correct(running, nurse, old, symptoms=[("headache", "severe")]).flag

    assert (flag.action, flag.reaction.supersedes) == ("stop", old)
    assert flag in [raised.flag for raised in chart(running, 81).open_flags]
    assert not FlagEvent.objects.filter(recorded_at=minutes(80)).exists()


def test_a_correction_that_calls_for_less_closes_the_open_flag(running, nurse):
    """Reduced where a stop was called for: what was done is enough for a mild one."""
    old = log(running, nurse, symptoms=[("headache", "severe")]).reaction
    assert [r.flag.action for r in chart(running, 71).open_flags] == ["stop"]

    saved = correct(running, nurse, old)

    now = chart(running, 81)
    assert now.flags[0].is_closed
    assert not now.open_flags
    assert saved.flag.action == "reduce"
    event = FlagEvent.objects.get(flag=saved.flag)
    assert (event.kind, event.rate_change.reaction) == ("answered", old)
    assert now.rechecks[0].recheck_at == minutes(95)


def test_a_flag_says_what_is_called_for_now_and_not_then(running, nurse):
    kept = {"action": "continue", "action_reason": "settled at once"}
    old = log(running, nurse, **kept).reaction
    make_rate(running, nurse, minutes(90), "step", "172.8", step=4)

    more = [("headache", "moderate")]
    flag = correct(running, nurse, old, at=100, symptoms=more).flag

    assert (flag.action, flag.rate_from_ml_per_h) == ("pause", Decimal("172.8"))
    assert flag.restart_ml_per_h == Decimal("86.4")


def test_what_is_back_after_it_had_settled_goes_up_and_stays_open(running, nurse):
    """Its own symptom was seen before, went by itself, and came back with this one."""
    flushing = {"symptoms": [("flushing", "mild")]}
    kept = {"action": "continue", "action_reason": "settled at once"}
    first = log(running, nurse, at=62, **kept, **flushing).reaction
    tell(running, nurse, first, at=65)
    old = log(running, nurse, symptoms=[("headache", "severe")]).reaction

    flag = correct(running, nurse, old, **flushing).flag

    assert flag.action == "pause"
    assert flag in [raised.flag for raised in chart(running, 81).open_flags]


def test_what_settled_since_does_not_make_an_earlier_one_come_back(running, nurse):
    flushing = {"symptoms": [("flushing", "mild")]}
    kept = {"action": "continue", "action_reason": "settled at once"}
    old = log(running, nurse, symptoms=[("headache", "severe")]).reaction
    later = log(running, nurse, at=72, **kept, **flushing).reaction
    tell(running, nurse, later, at=75)

    flag = correct(running, nurse, old, **flushing).flag

    assert flag.action == "reduce"
    assert not chart(running, 81).open_flags


def test_nothing_is_owed_for_a_reaction_that_is_over(running, nurse):
    old = log(running, nurse, symptoms=[("headache", "severe")]).reaction
    tell(running, nurse, old, at=75)

    flag = correct(running, nurse, old).flag

    now = chart(running, 81)
    assert flag.action == "reduce"
    assert not now.open_flags
    assert not now.rechecks


def test_an_act_that_was_withdrawn_answers_nothing(running, nurse):
    old = log(running, nurse, symptoms=[("headache", "severe")]).reaction
    withdraw_rate(
        session=running,
        rate_id=chart(running, 71).rates[-1].pk,
        reason="never made",
        by=by(nurse, minutes(75)),
    )

    flag = correct(running, nurse, old).flag

    assert flag in [raised.flag for raised in chart(running, 81).open_flags]


def test_a_severe_grade_by_hand_is_not_run_through(running, nurse):
    given = {"action": "continue", "action_reason": "settled at once"}
    old = log(running, nurse, **given).reaction

    with pytest.raises(Refused, match="pause or stop first"):
        correct(running, nurse, old, grade="severe")
    rates.pause(
        session=running,
        read_back=True,
        reason=rates.Reason(code=rates.RateReason.values[0]),
        by=by(nurse, minutes(82)),
    )
    assert correct(running, nurse, old, at=83, grade="severe").reaction.pk


def test_the_corrected_row_is_no_earlier_reaction_of_its_own(running, nurse):
    old = log(running, nurse).reaction

    saved = correct(running, nurse, old, note="better")

    assert saved.flag is None
    assert not chart(running, 81).open_flags


def test_a_reaction_that_came_later_is_no_earlier_one_either(running, nurse):
    old = log(running, nurse).reaction
    log(running, nurse, at=75, action="stop")

    assert correct(running, nurse, old, note="better").flag is None
    assert not FlagEvent.objects.filter(recorded_at=minutes(80)).exists()


def test_what_is_now_the_same_symptom_again_is_flagged(running, nurse):
    """The second headache follows an act for what turns out to be the first one."""
    old = log(running, nurse, symptoms=[("flushing", "mild")]).reaction
    kept = {"action": "continue", "action_reason": "settled at once"}
    again = log(running, nurse, at=75, **kept)
    assert again.flag.action == "reduce"

    correct(running, nurse, old)

    found = chart(running, 81).open_flags
    assert [(r.flag.action, r.flag.reaction) for r in found] == [
        ("stop", again.reaction)
    ]


def test_an_outcome_counts_for_every_version(running, nurse):
    old = log(running, nurse).reaction
    told = tell(running, nurse, old, at=78)

    row = correct(running, nurse, old, note="better").reaction
    more = correct(running, nurse, row, note="well", at=82).reaction

    seen = chart(running, 83).reactions[0]
    assert seen.is_over
    assert seen.ids == {old.pk, row.pk, more.pk}
    with pytest.raises(Refused, match="outcome lies before"):
        correct(running, nurse, more, onset=minutes(79), at=84)
    untell(running, nurse, told)
    assert not chart(running, 89).reactions[0].is_over


def test_an_outcome_that_comes_to_an_earlier_version_counts_for_the_newest(
    running, nurse
):
    old = log(running, nurse).reaction
    row = correct(running, nurse, old, note="better").reaction

    told = tell(running, nurse, old)

    now = chart(running, 86)
    assert told.reaction == row
    assert now.reactions[0].is_over
    assert now.flags[0].verdict.kind == "settled"


def test_a_replay_shows_what_was_known_then(running, nurse):
    old = log(running, nurse).reaction
    told = tell(running, nurse, old, at=75)
    row = correct(running, nurse, old, symptoms=[("flushing", "mild")]).reaction
    untell(running, nurse, told)

    def then(at):
        return chart_then(running, at=minutes(at)).reactions[0]

    assert (then(79).words, then(79).is_over) == ("Headache mild", True)
    assert (then(81).words, then(81).reaction) == ("Flushing mild", row)
    assert (then(87).is_over, then(89).is_over) == (True, False)


# ── withdrawing ────────────────────────────────────────────────────────────────


def test_a_withdrawn_reaction_counts_no_more_and_the_rate_stays(running, nurse):
    old = log(running, nurse).reaction

    withdraw(running, nurse, old)

    now = chart(running, 81)
    assert not now.reactions
    assert not now.rechecks
    assert now.flags[0].is_closed
    assert now.rate_ml_per_h == Decimal("43.2")
    first, gone = now.every_reaction
    assert (first.newer, first.words) == (gone.reaction, "Headache mild")
    assert gone.reaction.correction_reason == "another patient's"
    with pytest.raises(Refused, match="corrected already"):
        withdraw(running, nurse, old)
    with pytest.raises(Refused, match="was withdrawn"):
        tell(running, nurse, old)


def test_a_withdrawn_reaction_closes_its_open_flag_and_is_no_first_one(running, nurse):
    old = log(running, nurse, symptoms=[("headache", "severe")]).reaction

    withdraw(running, nurse, old)

    assert not chart(running, 81).open_flags
    back = log(running, nurse, at=82, to_ml_per_h=Decimal("21.6"))
    assert back.flag.action == "reduce"


def test_a_flag_that_stood_for_two_reactions_is_raised_for_the_other(running, nurse):
    """While it is paused, looking again is no answer to a call for a stop."""
    make_rate(running, nurse, minutes(65), "pause", "0")
    looked = {"symptoms": [("headache", "severe")], "action": "continue"}
    old = log(running, nurse, **looked).reaction
    other = log(running, nurse, at=71, **looked)
    assert other.flag is None

    withdraw(running, nurse, old)

    found = chart(running, 81).open_flags
    assert [(r.flag.action, r.flag.reaction) for r in found] == [
        ("stop", other.reaction)
    ]


def test_a_withdrawn_outcome_owes_the_recheck_again(running, nurse):
    old = log(running, nurse).reaction
    told = tell(running, nurse, old)
    assert not chart(running, 86).rechecks

    untell(running, nurse, told)

    now = chart(running, 89)
    assert not now.reactions[0].is_over
    assert now.rechecks[0].recheck_at == minutes(85)
    assert ReactionOutcome.objects.get(pk=told.pk).kind == "resolved"
    with pytest.raises(Refused, match="withdrawn already"):
        untell(running, nurse, told)


def test_another_outcome_still_says_that_it_is_over(running, nurse):
    old = log(running, nurse).reaction
    told = tell(running, nurse, old)
    tell(running, nurse, old, at=86)

    untell(running, nurse, told)

    now = chart(running, 89)
    assert now.reactions[0].is_over
    assert not now.rechecks


def test_a_withdrawn_worsening_closes_the_flag_that_it_raised(running, nurse):
    old = log(running, nurse).reaction
    told = tell(running, nurse, old, kind="worse")
    assert chart(running, 86).open_flags

    untell(running, nurse, told)

    now = chart(running, 89)
    assert not now.open_flags
    assert now.rechecks[0].flag.reaction == old


# ── after the discharge ────────────────────────────────────────────────────────


@pytest.mark.parametrize("act", ["correct", "withdraw", "untell"])
def test_after_the_discharge_each_is_signed_with_the_password(running, nurse, act):
    old = log(running, nurse).reaction
    told = tell(running, nurse, old)
    over = discharged(running)
    do, row, given = {
        "correct": (correct, old, {"note": "better"}),
        "withdraw": (withdraw, old, {}),
        "untell": (untell, told, {}),
    }[act]

    for password in ("", "wrong"):
        with pytest.raises(Refused):
            do(over, nurse, row, at=300, password=password, **given)
    assert not Signature.objects.filter(meaning="corrected").exists()
    assert not type(row).objects.filter(supersedes=row).exists()

    do(over, nurse, row, at=300, password=PASSWORD, **given)

    assert Signature.objects.get(meaning="corrected").signed_name == str(nurse)
