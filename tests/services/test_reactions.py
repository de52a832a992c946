"""Reactions: symptoms, grade, act and medicines in one save; the outcome later."""

from decimal import Decimal

import pytest

from sessions.charts import charts_of, for_charts
from sessions.models import (
    FlagEvent,
    GivenMedicine,
    InfusionSession,
    Reaction,
)
from sessions.services.acts import Refused
from sessions.services.reactions import proposed, record_outcome, record_reaction
from tests.factories.infusions import by, make_running, minutes
from tests.factories.rates import make_rate
from tests.factories.reactions import make_allergy, make_medicine, make_vial
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db
SEVERITIES = ("mild", "moderate", "severe")
ACTIONS = ("reduce", "pause", "stop", "continue")


@pytest.fixture
def running(clinic, nurse, prescriber):
    """A visit on its third step, 86.4 mL/h, from minute 60 on."""
    session = make_running(clinic, nurse, prescriber)
    make_rate(session, nurse, minutes(30), "step", "43.2", step=2)
    make_rate(session, nurse, minutes(60), "step", "86.4", step=3)
    return session


def chart(session, at):
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=minutes(at))[0]


def log(session, user, at=70, symptoms=(("headache", "mild"),), **given):
    given = {"action": "reduce", "to_ml_per_h": Decimal("43.2")} | given
    return record_reaction(
        session=session,
        symptoms=symptoms,
        by=by(user, minutes(at)),
        read_back=True,
        **given,
    )


def test_one_save_keeps_reaction_act_flag_and_answer(running, nurse):
    make_vial(running, nurse, lot="P100512345")

    saved = log(running, nurse, symptoms=[("headache", "mild"), ("flushing", "mild")])

    row = saved.reaction
    assert (row.grade, row.rate_ml_per_h, row.step) == ("mild", Decimal("86.4"), 3)
    assert (row.minutes_from_start, row.lots) == (70, "P100512345")
    assert row.volume_in_ml == Decimal("46.8")
    assert saved.rate_change.reaction == row
    assert saved.flag.action == "reduce"
    event = FlagEvent.objects.get(flag=saved.flag)
    assert (event.kind, event.rate_change) == ("answered", saved.rate_change)
    now = chart(running, 71)
    assert now.reactions[0].words == "Headache mild, flushing mild"
    assert now.rechecks[0].recheck_at == minutes(85)


def test_synonyms_find_their_reaction_and_unknown_words_are_refused(running, nurse):
    saved = log(running, nurse, symptoms=[("migraine", "mild")])
    assert saved.chart.reactions[0].symptoms[0].reaction_key == "headache"

    with pytest.raises(Refused, match="not a known reaction"):
        log(running, nurse, at=72, symptoms=[("the blues", "mild")])


def test_a_late_onset_takes_rate_and_step_of_its_moment(running, nurse):
    row = log(running, nurse, onset=minutes(40)).reaction

    assert (row.rate_ml_per_h, row.step) == (Decimal("43.2"), 2)
    assert row.minutes_from_start == 40


def test_a_reaction_told_of_after_the_end_belongs_to_its_onset(running, nurse):
    log(running, nurse, action="stop")

    row = log(running, nurse, at=90, action="continue", onset=minutes(40)).reaction

    assert row.phase == "infusing"


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_severe_reaction_is_never_closed_without_an_act(
    running, nurse, severity, action
):
    given = {"symptoms": [("headache", severity)], "action": action}
    if action == "continue":
        given["action_reason"] = "patient wishes it"

    try:
        log(running, nurse, **given)
    except Refused:
        assert severity == "severe"
        assert action == "continue"
        assert not Reaction.objects.exists()
        return

    still_open = [raised.flag.action for raised in chart(running, 71).open_flags]
    if severity == "severe" and action != "stop":
        assert still_open == ["stop"]
    if action == "stop":
        assert not still_open


def test_going_on_against_the_protocol_needs_a_reason(running, nurse):
    with pytest.raises(Refused, match="Say why the infusion goes on"):
        log(running, nurse, action="continue")

    saved = log(running, nurse, action="continue", action_reason="settled at once")

    event = FlagEvent.objects.get(flag=saved.flag)
    assert (event.kind, event.reason_text) == ("overridden", "settled at once")
    assert chart(running, 71).rate_ml_per_h == Decimal("86.4")


def test_the_grade_may_be_changed_and_the_worked_out_one_is_kept(running, nurse):
    row = log(running, nurse, grade="moderate").reaction

    assert (row.grade, row.graded_by_rule) == ("moderate", "mild")


def test_what_measures_a_reaction_grades_it_too(running, nurse):
    """A fever of 40.1 °C is no mild one, and is not continued through (H26)."""
    fever, headache = [("fever", "mild")], [("headache", "mild")]
    make_vitals(running, nurse, minutes(68), temperature_c=Decimal("40.1"))

    assert proposed(chart(running, 70), headache).grade == "mild"
    assert proposed(chart(running, 70), fever).grade == "severe"
    with pytest.raises(Refused, match="cannot be continued through"):
        log(running, nurse, symptoms=fever, action="continue", action_reason="well")
    row = log(running, nurse, symptoms=fever, action="stop", grade="moderate").reaction

    assert (row.grade, row.graded_by_rule) == ("moderate", "severe")


def test_medicines_are_given_in_the_same_act(running, nurse, prescriber):
    paracetamol = make_medicine(running, prescriber)

    saved = log(running, nurse, medicine_ids=[paracetamol.pk])

    assert [row.name for row in saved.medicines] == ["Paracetamol"]


def test_an_allergy_holds_the_whole_save(running, nurse, prescriber):
    paracetamol = make_medicine(running, prescriber)
    make_allergy(running.patient, nurse, "Paracetamol")

    with pytest.raises(Refused, match="Allergy to Paracetamol"):
        log(running, nurse, medicine_ids=[paracetamol.pk])

    assert not Reaction.objects.exists()
    assert not GivenMedicine.objects.exists()
    assert chart(running, 71).rate_ml_per_h == Decimal("86.4")


def test_a_medicine_that_is_not_on_the_order_is_not_given(running, nurse):
    with pytest.raises(Refused, match="not on the order"):
        log(running, nurse, medicine_ids=[4711])


def test_nothing_is_called_resolved_before_somebody_says_so(running, nurse):
    log(running, nurse)

    seen = chart(running, 90).reactions[0]

    assert not seen.is_over


def test_a_resolved_reaction_settles_its_flag(running, nurse):
    row = log(running, nurse).reaction

    record_outcome(
        session=running, reaction_id=row.pk, kind="resolved", by=by(nurse, minutes(85))
    )

    now = chart(running, 86)
    assert now.reactions[0].is_over
    assert now.flags[0].verdict.kind == "settled"
    assert not now.rechecks


@pytest.mark.parametrize("kind", ["unchanged", "worse"])
def test_a_reaction_that_does_not_settle_escalates(running, nurse, kind):
    row = log(running, nurse).reaction

    record_outcome(
        session=running, reaction_id=row.pk, kind=kind, by=by(nurse, minutes(85))
    )

    now = chart(running, 86)
    assert now.flags[0].verdict.kind == "not_settled"
    assert now.open_flags[0].flag.action in ("pause", "stop")


def test_the_same_reaction_after_an_act_calls_for_more(running, nurse):
    log(running, nurse)

    proposal = proposed(chart(running, 80), [("headache", "mild")])
    back = log(running, nurse, at=80, action="stop")

    assert back.flag.action == "stop"
    assert proposal.expected == "stop"


def test_an_outcome_before_the_onset_is_refused(running, nurse):
    row = log(running, nurse).reaction

    with pytest.raises(Refused, match="before the onset"):
        record_outcome(
            session=running,
            reaction_id=row.pk,
            kind="resolved",
            event_time=minutes(10),
            by=by(nurse, minutes(85)),
        )
