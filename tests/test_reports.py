"""Reports against an independent recount: same rows, other code."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from sessions.charts import chart_of, for_charts
from sessions.models import Clinic, InfusionSession, Stage
from sessions.reports import flags, reactions, reductions, vitals
from sessions.reports.drawing import ROWS_DRAWN, picture
from sessions.reports.results import plain_text
from sessions.rules.owed import OwedState
from sessions.rules.statistics import per_100
from tests.conftest import make_user
from tests.factories.reports import WHEN, Ward

LATER = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
GRADES = ["mild", "moderate", "severe", "life-threatening"]


@pytest.fixture
def ward(clinic, nurse, prescriber) -> Ward:
    return Ward(clinic, nurse, prescriber)


@pytest.fixture
def other_ward(other_clinic) -> Ward:
    return Ward(
        other_clinic,
        make_user(other_clinic, "nurse", "other-nurse", "Ida Holm"),
        make_user(other_clinic, "prescriber", "other-doctor", "Per Lund"),
    )


def scope_of(kind, clinic, **given):
    asked = {
        "clinic": clinic,
        "at": LATER,
        "first": date(2026, 1, 1),
        "last": date(2026, 12, 31),
        "by": "product",
    }
    return kind(**(asked | given))


def count_reactions(clinic, **given):
    return reactions.count(scope_of(reactions.ReactionScope, clinic, **given))


def count_reductions(clinic, **given):
    return reductions.count(scope_of(reductions.ReductionScope, clinic, **given))


def count_vitals(clinic, **given):
    return vitals.count(scope_of(vitals.VitalsScope, clinic, **given))


def table(report, *keys):
    """The rows of a report as they were counted: label to numbers."""
    return {row.label: tuple(row.values.get(k) for k in keys) for row in report.rows}


# Reactions per 100 infusions


@pytest.mark.parametrize("seed", range(4))
def test_reactions_are_what_an_independent_recount_finds(ward, seed):
    chance = random.Random(seed)
    truth = []
    for number in range(12):
        product = chance.choice(["privigen_10", "gamunex_c_10"])
        session = ward.infusion(WHEN + timedelta(days=number), product_key=product)
        onsets = [
            (chance.randint(-30, 3000), chance.choice(GRADES))
            for _ in range(chance.randint(0, 3))
        ]
        for minutes, grade in onsets:
            ward.reaction(session, minutes, grade)
        ward.end(session, 120)
        truth.append((session.order.current.product_name, onsets))

    for place, lowest in enumerate(GRADES):
        for window, limit in (("infusion", 120), ("24", 1560), ("any", 10**6)):
            report = count_reactions(ward.clinic, grade=lowest, window=window)
            expected: dict[str, list[int]] = {}
            for product, onsets in truth:
                struck = any(
                    0 <= minutes <= limit and GRADES.index(grade) >= place
                    for minutes, grade in onsets
                )
                for label in (product, "All infusions"):
                    row = expected.setdefault(label, [0, 0])
                    row[0], row[1] = row[0] + struck, row[1] + 1
            found = table(report, "hits", "of")
            assert found == {label: tuple(row) for label, row in expected.items()}


def test_an_infusion_counts_once_however_many_reactions(ward):
    session = ward.infusion()
    for minutes in (10, 20, 30):
        ward.reaction(session, minutes)

    assert table(count_reactions(ward.clinic), "hits", "of", "rate")[
        "All infusions"
    ] == (1, 1, Decimal("100.0"))


def test_corrected_and_withdrawn_reactions_do_not_count(ward):
    graded_down = ward.infusion()
    ward.corrected(ward.reaction(graded_down, 10, "severe"), grade="mild")
    ward.end(graded_down, 60)
    gone = ward.infusion(WHEN + timedelta(days=1))
    ward.withdrawn(ward.reaction(gone, 10, "severe"))

    severe = count_reactions(ward.clinic, grade="severe")
    mild = count_reactions(ward.clinic)

    assert table(severe, "hits", "of")["All infusions"] == (0, 2)
    assert table(mild, "hits", "of")["All infusions"] == (1, 2)


def test_visits_cancelled_or_entered_in_error_are_left_out_and_said_so(ward):
    counted = ward.end(ward.infusion(), 60)
    in_error = ward.end(ward.infusion(WHEN + timedelta(days=1)), 60)
    InfusionSession.objects.filter(pk=in_error.pk).update(entered_in_error=True)
    InfusionSession.objects.create(
        clinic=ward.clinic,
        patient=counted.patient,
        order=counted.order,
        stage=Stage.CANCELLED,
        scheduled_at=WHEN,
        created_at=WHEN,
        created_by=ward.nurse,
    )

    report = count_reactions(ward.clinic)

    assert table(report, "of")["All infusions"] == (1,)
    assert report.left_out == (
        "1 visit cancelled before the start",
        "1 visit entered in error",
    )


def test_rows_of_another_clinic_are_never_counted(ward, other_ward):
    theirs = other_ward.infusion()
    other_ward.reaction(theirs, 10)
    other_ward.answered(other_ward.flag(theirs, 12), 15)

    for report in (
        count_reactions(ward.clinic),
        count_reductions(ward.clinic),
        count_vitals(ward.clinic),
    ):
        assert not report.is_found
        assert report.rows == ()


def test_a_lot_counts_in_each_infusion_that_used_it(ward):
    first = ward.infusion()
    ward.vial(first, "A1")
    ward.vial(first, "A1")
    ward.vial(first, "B2")
    ward.reaction(first, 10)
    ward.end(first, 60)
    second = ward.infusion(WHEN + timedelta(days=1))
    ward.vial(second, "B2")
    ward.withdrawn(ward.vial(second, "C3"))
    ward.end(second, 60)
    ward.infusion(WHEN + timedelta(days=2))
    name = first.order.current.product_name

    found = table(count_reactions(ward.clinic, by="lot"), "hits", "of")

    assert found == {
        f"{name}, lot A1": (1, 1),
        f"{name}, lot B2": (1, 2),
        "No vial recorded": (0, 1),
        "All infusions": (1, 3),
    }


def test_a_reaction_belongs_to_the_step_that_ran_when_it_began(ward):
    session = ward.infusion()
    ward.rate(session, 30, "step", step=2)
    ward.reaction(session, 30)  # the moment of the step: begun on step 1
    ward.rate(session, 60, "pause")
    ward.reaction(session, 70)
    ward.rate(session, 80, "resume", step=1)
    ward.end(session, 120)
    ward.reaction(session, 200)
    ward.infusion(WHEN + timedelta(days=1))

    report = count_reactions(ward.clinic, by="step")

    assert [row.label for row in report.rows] == [
        "Step 1",
        "Step 2",
        "While paused",
        "After the end",
        "All infusions",
    ]
    assert table(report, "hits", "of") == {
        "Step 1": (1, 2),
        "Step 2": (0, 1),
        "While paused": (1, 1),
        "After the end": (1, 1),
        "All infusions": (1, 2),
    }


def test_premedication_counts_when_it_was_given_before_the_start(ward):
    given = ward.infusion()
    ward.premedication(given)
    ward.end(given, 60)
    too_late = ward.infusion(WHEN + timedelta(days=1))
    ward.premedication(too_late, minutes=5)
    ward.end(too_late, 60)
    withdrawn = ward.infusion(WHEN + timedelta(days=2))
    ward.withdrawn(ward.premedication(withdrawn))

    report = count_reactions(ward.clinic, by="premedication")

    assert table(report, "of") == {
        "Premedication given": (1,),
        "No premedication given": (2,),
        "All infusions": (3,),
    }


def test_first_and_later_and_the_worst_grade_are_told_apart(ward):
    first = ward.infusion(experience="first")
    ward.reaction(first, 10, "moderate")
    ward.reaction(first, 20, "mild")
    ward.end(first, 60)
    ward.infusion(WHEN + timedelta(days=1))

    by_experience = count_reactions(ward.clinic, by="experience")
    by_grade = count_reactions(ward.clinic, by="grade")

    assert table(by_experience, "hits", "of") == {
        "First infusion": (1, 1),
        "Later infusion": (0, 1),
        "All infusions": (1, 2),
    }
    assert table(by_grade, "hits", "of") == {
        "Mild": (0, 2),
        "Moderate": (1, 2),
        "Severe": (0, 2),
        "Life-threatening": (0, 2),
        "All infusions": (1, 2),
    }


def test_small_groups_are_marked_and_stand_after_the_ranked_ones(ward):
    ward.infusion()

    report = count_reactions(ward.clinic)

    assert report.rows[0].is_small
    assert report.rows[0].note == "small, not ranked"
    assert picture(report).marks[0].is_small


def test_days_begin_at_midnight_in_the_clinics_zone_also_when_clocks_change(ward):
    Clinic.objects.filter(pk=ward.clinic.pk).update(time_zone="Europe/London")
    ward.clinic.refresh_from_db()
    # 29 March 2026 has 23 hours there: it ends at 23:00 UTC, not at midnight UTC.
    moments = {
        datetime(2026, 3, 28, 23, 59, tzinfo=UTC): 28,
        datetime(2026, 3, 29, 0, 0, tzinfo=UTC): 29,
        datetime(2026, 3, 29, 22, 59, tzinfo=UTC): 29,
        datetime(2026, 3, 29, 23, 0, tzinfo=UTC): 30,
        datetime(2026, 10, 24, 23, 0, tzinfo=UTC): 125,
        datetime(2026, 10, 25, 23, 59, tzinfo=UTC): 125,
        datetime(2026, 10, 26, 0, 0, tzinfo=UTC): 126,
    }
    for moment in moments:
        ward.end(ward.infusion(moment), 10, home=1)

    def on(month: int, day: int) -> int:
        asked = {"first": date(2026, month, day), "last": date(2026, month, day)}
        report = count_reactions(ward.clinic, **asked)
        return report.total.values["of"] if report.is_found else 0

    assert [on(3, 28), on(3, 29), on(3, 30)] == [1, 2, 1]
    assert [on(10, 24), on(10, 25), on(10, 26)] == [0, 2, 1]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/London", "Asia/Beirut", "America/New_York", "Pacific/Apia"]
)
def test_every_moment_belongs_to_exactly_one_day(clinic, zone):
    clinic.time_zone = zone
    today = date(2026, 1, 1)
    while today.year == 2026:
        tomorrow = today + timedelta(days=1)
        one, other = (
            scope_of(reactions.ReactionScope, clinic, first=day, last=day)
            for day in (today, tomorrow)
        )
        assert one.until == other.since
        assert one.until - one.since in {timedelta(hours=n) for n in (23, 24, 25)}
        today = tomorrow


def test_the_sentence_names_numerator_and_denominator(ward):
    ward.reaction(ward.infusion(), 10)

    sentence = plain_text(count_reactions(ward.clinic).sentence)

    assert sentence == (
        "Of 1 infusion started in the period, 1 had at least one reaction of grade "
        "mild or worse between the start and 24 h after the end: 100.0 per 100 "
        "(95 % interval 20.7 to 100.0)."
    )


def test_of_very_many_groups_the_largest_are_drawn_and_all_are_listed(ward):
    session = ward.infusion()
    for number in range(ROWS_DRAWN + 5):
        ward.vial(session, f"L{number:03}")

    report = count_reactions(ward.clinic, by="lot")

    assert len(report.groups) == ROWS_DRAWN + 5
    assert len(picture(report).marks) == ROWS_DRAWN
    assert "table has all" in picture(report).notes[0].text


# Time to a lower rate


@pytest.mark.parametrize("seed", range(4))
def test_times_are_what_an_independent_recount_finds(ward, seed):
    chance = random.Random(seed)
    waits, kept, of = [], 0, 0
    for number in range(10):
        session = ward.infusion(WHEN + timedelta(days=number))
        source = chance.choice(["flag", "reaction", "both"])
        raised = chance.randint(5, 30)
        wait = chance.randint(0, 40)
        reaction = ward.reaction(session, raised) if source != "flag" else None
        flag = ward.flag(session, raised + (reaction is not None), reaction=reaction)
        of += 1
        if chance.random() < 0.7:
            ward.answered(flag, raised + 1 + wait)
            waits.append(1 + wait)
        else:
            ward.event(flag, raised + 5, "overridden")
            kept += 1
        ward.end(session, 120)

    report = count_reductions(ward.clinic)

    total = report.total.values
    assert (total["of"], total["answered"], total["kept"]) == (of, len(waits), kept)
    assert total["neither"] == 0
    waits.sort()
    middle = Fraction(waits[(len(waits) - 1) // 2] + waits[len(waits) // 2], 2)
    assert total["median"] == Decimal(f"{float(middle):.1f}")
    assert total["longest"] == Decimal(waits[-1])


def test_a_reaction_and_its_flag_are_one_from_the_onset(ward):
    session = ward.infusion()
    reaction = ward.reaction(session, 10)
    flag = ward.flag(session, 14, reaction=reaction)
    ward.answered(flag, 17, reaction=reaction)

    found = table(count_reductions(ward.clinic, by="source"), "of", "median")

    assert found == {
        "Reactions, from onset": (1, Decimal("7.0")),
        "Reactions and flags": (1, Decimal("7.0")),
    }


def test_the_first_change_that_answers_ends_the_time(ward):
    session = ward.infusion()
    ward.rate(session, 30, "step", step=2)
    flag = ward.flag(session, 40)
    ward.rate(session, 42, "reduce", step=1)  # not an answer to this flag
    ward.rate(session, 50, "pause", flag=flag)
    ward.rate(session, 60, "stop", flag=flag)

    assert count_reductions(ward.clinic).total.values["median"] == Decimal("10.0")


def test_flags_that_called_for_less_than_a_reduction_do_not_count(ward):
    session = ward.infusion()
    ward.flag(session, 10, action="observe")

    assert not count_reductions(ward.clinic).is_found


def test_a_flag_while_the_pump_stood_still_does_not_count(ward):
    session = ward.infusion()
    ward.rate(session, 10, "pause")
    ward.flag(session, 12, action="stop")

    assert not count_reductions(ward.clinic).is_found


def test_an_answer_to_a_corrected_reaction_is_found_through_the_correction(ward):
    session = ward.infusion()
    first = ward.reaction(session, 10)
    change = ward.rate(session, 20, "pause", reaction=first)
    ward.corrected(first, event_time=ward.after(session, 15))
    ward.corrected(change, event_time=ward.after(session, 21))

    total = count_reductions(ward.clinic).total.values

    assert (total["of"], total["median"]) == (1, Decimal("6.0"))


def test_a_flag_that_a_corrected_reaction_closed_called_for_nothing(ward):
    session = ward.infusion()
    first = ward.reaction(session, 10)
    ward.event(ward.flag(session, 10, reaction=first, action="stop"), 12, "closed")
    newer = ward.corrected(first, grade="mild")
    assert not count_reductions(ward.clinic).is_found

    flag = ward.flag(session, 13, reaction=newer, action="reduce")
    ward.answered(flag, 15, reaction=newer)

    assert "Reduce" in table(count_reductions(ward.clinic, by="action"), "of")
    assert "Stop and call" not in table(
        count_reductions(ward.clinic, by="action"), "of"
    )


def test_a_withdrawn_change_of_rate_answers_nothing(ward):
    session = ward.infusion()
    flag = ward.flag(session, 10)
    ward.withdrawn(ward.answered(flag, 15))

    total = count_reductions(ward.clinic).total.values

    assert (total["of"], total["answered"], total["neither"]) == (1, 0, 1)


def test_a_flag_of_values_that_were_corrected_is_left_out_in_words(ward):
    session = ward.infusion()
    taken = ward.vitals(session, 15)
    ward.answered(ward.flag(session, 15, vitals=taken), 18)
    ward.corrected(taken, systolic_mmhg=130)

    report = count_reductions(ward.clinic)

    assert not report.is_found
    assert report.left_out == ("1 flag raised by values that were corrected since",)


def test_reactions_or_flags_can_be_asked_for_alone(ward):
    session = ward.infusion()
    ward.answered(ward.flag(session, 10), 12)
    reaction = ward.reaction(session, 11)
    ward.rate(session, 15, "stop", reaction=reaction)

    alone = {
        source: count_reductions(ward.clinic, source=source).total.values["of"]
        for source in ("", "reaction", "flag")
    }

    assert alone == {"": 2, "reaction": 1, "flag": 1}


# Vital signs on time


def test_what_was_owed_is_what_the_chart_showed_as_due(ward):
    """The chart is read before each set; the report must name the same due times."""
    session = ward.infusion()
    shown = []
    story = [(15, None), (28, 2), (41, None), (57, 3), (70, None), (128, None)]
    for minutes, step in story:
        due = chart_at(session, ward.after(session, minutes)).due
        shown.append((due.owed, due.at))
        ward.vitals(session, minutes)
        if step:
            ward.rate(session, minutes, "step", step=step)

    scope = scope_of(vitals.VitalsScope, ward.clinic)
    scope = replace(scope, at=ward.after(session, 129))
    owed, _ = vitals.owed_by_visit(scope)

    for each in owed[session.pk]:
        assert (each.owed, each.due_at) in shown
        assert each.state in (OwedState.ON_TIME, OwedState.LATE)


def test_what_a_flag_owed_is_what_the_chart_showed_as_due(ward):
    session = ward.infusion()
    shown = []

    def look(minutes: float, **values):
        due = chart_at(session, ward.after(session, minutes)).due
        shown.append((due.owed, due.at))
        return ward.vitals(session, minutes, **values)

    look(15)
    ward.flag(session, 15, priority="low", action="observe")
    ward.rate(session, 30, "step", step=2)
    low = ward.vitals(session, 44)
    flag = ward.flag(session, 44, vitals=low, recheck_minutes=10)
    look(54)
    look(64)
    ward.answered(flag, 66)
    ward.rate(session, 70, "resume", step=1)
    again = look(81)
    ward.event(flag, 81, "settled", vitals=again)
    look(99)

    scope = scope_of(vitals.VitalsScope, ward.clinic)
    scope = replace(scope, at=ward.after(session, 99))
    owed, _ = vitals.owed_by_visit(scope)

    found = [(each.owed, each.due_at) for each in owed[session.pk]]
    assert found == shown
    assert [each.owed.value for each in owed[session.pk]].count("recheck") == 3


def chart_at(session, moment):
    again = for_charts(InfusionSession.objects.all()).get(pk=session.pk)
    return chart_of(again, at=moment)


def test_sets_are_counted_by_state_and_part_of_the_schedule(ward):
    good = ward.infusion()
    ward.vitals(good, 14)
    ward.end(good, 18)
    ward.vitals(good, 18)
    ward.vitals(good, 37)
    bad = ward.infusion(WHEN + timedelta(days=1))
    ward.vitals(bad, 22)
    ward.end(bad, 40, home=21)

    report = count_vitals(ward.clinic, by="stage")

    keys = ("of", "on_time", "late", "missed")
    found = table(report, *keys)
    assert found["First set after the start"] == (2, 1, 1, 0)
    assert found["At the end"] == (2, 1, 0, 1)
    assert found["Before discharge"] == (2, 1, 0, 1)
    assert found["All sets owed"] == (6, 3, 1, 2)
    assert report.total.values["on_time_share"] == Decimal("50.0")


def test_an_incomplete_or_withdrawn_set_is_no_set(ward):
    session = ward.infusion()
    ward.vitals(session, 14, temperature_c=None)
    ward.withdrawn(ward.vitals(session, 15))
    late = ward.vitals(session, 16)
    ward.corrected(late, event_time=ward.after(session, 22))

    scope = scope_of(vitals.VitalsScope, ward.clinic)
    report = vitals.count(replace(scope, at=ward.after(session, 24)))

    assert table(report, "on_time", "late", "missed")["All sets owed"] == (0, 1, 0)


def test_a_set_that_can_still_be_taken_is_in_no_share(ward):
    session = ward.infusion()

    scope = scope_of(vitals.VitalsScope, ward.clinic)
    report = vitals.count(replace(scope, at=ward.after(session, 20)))

    assert report.total.values == {
        "of": 0,
        "on_time": 0,
        "late": 0,
        "missed": 0,
        "open": 1,
    }
    assert report.headline == "None owed so far"
    assert picture(report) is not None


def test_the_report_says_by_which_protocol_the_sets_were_owed(ward):
    session = ward.infusion()
    ward.vitals(session, 15)
    label = session.start.protocol_version.policy.label

    words = dict(count_vitals(ward.clinic).definitions)

    assert label in words["Owed"]
    assert "at most 5 minutes" in words["On time"]


# Flags and overrides


def count_flags(clinic, **given):
    return flags.count(scope_of(flags.FlagScope, clinic, **({"by": "rule"} | given)))


@pytest.mark.parametrize("seed", range(3))
def test_overrides_are_what_an_independent_recount_finds(ward, seed):
    chance = random.Random(seed)
    truth: dict[str, list[int]] = {}
    for number in range(8):
        session = ward.infusion(WHEN + timedelta(days=number))
        for minute in range(5, 5 + chance.randint(0, 4)):
            rule = chance.choice(["V-09", "V-24", "R-01"])
            fate = chance.choice(["acted", "kept", "open"])
            flag = ward.flag(session, minute, rule=rule)
            if fate == "acted":
                ward.answered(flag, minute + 1)
            if fate == "kept":
                ward.event(flag, minute + 1, "overridden")
            if chance.random() < 0.5:
                ward.event(flag, minute + 2, "seen_again")
            for label in (rule, "All flags"):
                row = truth.setdefault(label, [0, 0, 0, 0])
                row[0] += 1
                row[["acted", "kept", "open"].index(fate) + 1] += 1
        ward.end(session, 120)

    report = count_flags(ward.clinic)

    found = table(report, "of", "acted", "hits", "open")
    assert found == {label: tuple(row) for label, row in truth.items()}
    assert report.total.values["burden"] == per_100(Fraction(truth["All flags"][0], 8))


@pytest.mark.parametrize(
    ("kept", "of", "judged"),
    [(45, 50, False), (46, 50, True), (49, 49, False), (91, 100, True)],
)
def test_a_rule_overridden_in_more_than_nine_of_ten_of_fifty_goes_to_review(
    kept, of, judged
):
    assert flags.for_review(kept, of) is judged


def test_a_rule_for_review_is_named_in_headline_sentence_and_row(ward):
    session = ward.infusion()
    for minute in range(50):
        flag = ward.flag(session, minute, rule="V-24", action="observe")
        ward.event(flag, minute, "overridden")
        if minute < 49:
            ward.event(ward.flag(session, minute, rule="V-09"), minute, "overridden")
    ward.flag(session, 60, rule="V-10", action="stop", priority="high")

    report = count_flags(ward.clinic)

    assert report.headline == "1 rule for review"
    assert plain_text(report.sentence).endswith("For review: V-24.")
    notes = {row.label: row.note for row in report.rows}
    assert notes["V-24"] == "for review"
    assert notes["V-09"] == notes["V-10"] == "small, not ranked"
    assert notes["All flags"] == ""
    by_product = count_flags(ward.clinic, by="product")
    assert by_product.headline == "99.0 % overridden"
    assert [row.note for row in by_product.rows] == ["", ""]
    assert picture(report).kind == "forest"


def test_a_check_done_by_hand_is_no_override_and_what_was_taken_back_is_left_out(ward):
    session = ward.infusion()
    by_hand = ward.flag(session, 10, rule="CHECK-NOT-DONE", action="observe")
    ward.event(by_hand, 11, "overridden")
    ward.event(ward.flag(session, 12), 13, "closed")
    answered = ward.flag(session, 14, rule="V-09")
    ward.answered(answered, 15)
    ward.event(answered, 16, "closed")

    report = count_flags(ward.clinic)

    assert table(report, "of", "acted", "hits")["All flags"] == (2, 2, 0)
    assert report.left_out == ("1 flag whose cause was corrected or taken back",)


def test_flags_can_be_asked_for_by_what_they_called_for(ward):
    session = ward.infusion()
    ward.flag(session, 10, action="stop", priority="high")
    ward.flag(session, 12, action="observe", priority="low")

    both = count_flags(ward.clinic, by="action")
    stops = count_flags(ward.clinic, by="action", action="stop")

    assert [row.label for row in both.groups] == ["Observe", "Stop, call"]
    assert [row.label for row in stops.groups] == ["Stop, call"]
