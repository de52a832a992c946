"""One chart says what is true of a visit, for every page that shows it."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions.charts import SessionChart, chart_of, charts_of, for_charts
from sessions.drawing import draw
from sessions.models import InfusionSession, LineCheck, RateChange, VitalSigns
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running, minutes
from tests.factories.rates import make_rate
from tests.factories.reports import Ward
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber)


def chart(session, at) -> SessionChart:
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=at)[0]


def test_any_number_of_visits_costs_five_queries(
    clinic, nurse, prescriber, django_assert_num_queries
):
    for number in ("01", "02", "03", "04"):
        session = make_running(clinic, nurse, prescriber, chair=number)
        make_vitals(session, nurse, minutes(15))
    chart(session, minutes(20))  # the protocol is read once for each process

    with django_assert_num_queries(5):
        found = charts_of(
            for_charts(InfusionSession.objects.in_a_chair()), at=minutes(20)
        )

    assert [each.state for each in found] == ["running"] * 4


def test_a_whole_chart_holds_what_was_checked_before_the_start(running):
    fresh = for_charts(InfusionSession.objects).get(pk=running.pk)

    whole = chart_of(fresh, at=minutes(5))

    assert whole.is_whole
    assert (whole.medicines, whole.vials, whole.screening) == ([], [], None)


@pytest.mark.parametrize(
    ("minute", "state", "key"),
    [
        (1, "running", "vitals"),
        (14, "running", "vitals"),
        (20.1, "late", "vitals"),
    ],
)
def test_state_and_next_act_follow_the_schedule(running, minute, state, key):
    now = chart(running, minutes(minute))

    assert (now.state, now.act.key) == (state, key)
    assert now.act.at == minutes(15)


def test_after_the_first_set_the_next_step_is_next(running, nurse):
    make_vitals(running, nurse, minutes(15))

    now = chart(running, minutes(16))

    assert (now.act.key, now.act.number) == ("step", "21.6 → 43.2 mL/h")
    assert now.act.at == minutes(30)
    assert now.step_text == "step 1 of 5"


def test_a_pause_proposes_its_restart(running, nurse):
    make_vitals(running, nurse, minutes(15))
    make_rate(running, nurse, minutes(16), "pause", "0")

    now = chart(running, minutes(17))

    assert (now.state, now.act.key, now.act.number) == ("paused", "resume", "10.8 mL/h")
    assert now.ends_at is None
    assert now.pause_until == minutes(46)


def test_observation_lasts_from_the_end(running, nurse):
    make_rate(running, nurse, minutes(100), "end", "0")
    InfusionSession.objects.filter(pk=running.pk).update(stage="observing")
    make_vitals(running, nurse, minutes(100))

    now = chart(running, minutes(101))

    assert now.state == "observing"
    assert now.observe_until == minutes(120)
    assert now.due.at == minutes(120)


def test_an_unreadable_protocol_is_never_taken_as_quiet(running, monkeypatch):
    def broken(_version):
        raise ValueError("no limits")

    monkeypatch.setattr(
        "sessions.models.protocols.ProtocolVersion.policy", property(broken)
    )

    now = chart(running, minutes(5))

    assert now.act.words == "CHECK NOT DONE"
    assert "no limits" in now.act.why


def test_the_newest_correction_counts_and_all_stay_readable(running, nurse):
    first = make_vitals(running, nurse, minutes(15), pulse=20)
    second = make_vitals(
        running,
        nurse,
        minutes(15),
        pulse=88,
        supersedes=first,
        correction_reason="typed wrongly",
    )

    now = chart(running, minutes(16))

    assert now.last_vitals == second
    assert [row.pulse for row in now.every_vitals if row.purpose == "scheduled"] == [
        20,
        88,
    ]


def test_a_check_that_was_taken_back_does_not_count_again(running, nurse):
    line = {"session": running, "site": "left forearm", "gauge": "22 G"}
    first = LineCheck.objects.create(**line, **by(nurse, minutes(-20)).stamp())
    withdrawal = {"entered_in_error": True, "correction_reason": "of another patient"}
    fresh = for_charts(InfusionSession.objects).get(pk=running.pk)
    assert chart_of(fresh, at=minutes(1)).line == first

    taken_back = by(nurse, minutes(2)).stamp(event_time=first.event_time)
    LineCheck.objects.create(**line, supersedes=first, **withdrawal, **taken_back)

    assert chart_of(fresh, at=minutes(3)).line is None


KINDS = ("step", "reduce", "pause", "resume")


@st.composite
def histories(draw_from):
    """Changes of rate as they may follow one another, with the minutes between."""
    rate, last, changes = Decimal("21.6"), "start", []
    for _ in range(draw_from(st.integers(0, 12))):
        kind = draw_from(st.sampled_from(KINDS))
        if last == "pause" and kind != "resume":
            kind = "resume"
        elif last != "pause" and kind == "resume":
            kind = "pause"
        between = draw_from(st.integers(0, 40 * 60))
        if kind == "pause":
            new = Decimal(0)
        elif kind == "step":
            new = rate + draw_from(st.decimals("0.1", "40", places=1))
        elif kind == "resume":
            new = draw_from(st.decimals("0.1", "120", places=1))
        else:
            if rate <= Decimal("0.1"):
                continue
            new = draw_from(st.decimals("0.1", str(rate - Decimal("0.1")), places=1))
        changes.append((between, kind, new))
        last, rate = kind, new if kind != "pause" else rate
    return changes


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=histories(), after=st.integers(0, 3600))
def test_rate_is_the_last_change_and_volume_the_exact_integral(
    running, nurse, changes, after
):
    """The rows are built in memory: the chart reads nothing but what it is given."""
    base = chart(running, minutes(0))
    moment, rows = minutes(0), list(base.rates)
    for between, kind, rate in changes:
        moment += timedelta(seconds=between)
        rows.append(
            RateChange(
                pk=len(rows) + 1000, event_time=moment, kind=kind, rate_ml_per_h=rate
            )
        )
    base.rates, base.at = rows, moment + timedelta(seconds=after)

    base.derive()

    ends = [row.event_time for row in rows[1:]] + [base.at]
    exact = sum(
        Fraction(row.rate_ml_per_h) * Fraction((end - row.event_time).seconds, 3600)
        for row, end in zip(rows, ends, strict=True)
    )
    assert base.rate_ml_per_h == rows[-1].rate_ml_per_h
    given_ml = min(exact, Fraction(base.total_ml))
    assert abs(Fraction(base.volume_ml) - given_ml) <= Fraction(1, 1_000_000)
    assert base.volume_ml + base.left_ml == base.total_ml


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    values=st.lists(
        st.tuples(
            st.integers(-30, 600),
            st.one_of(st.none(), st.integers(30, 300)),
            st.one_of(st.none(), st.integers(0, 100)),
        ),
        max_size=20,
    )
)
def test_every_mark_of_the_drawing_lies_inside_its_panel(running, values):
    now = chart(running, minutes(30))
    now.vitals = [
        VitalSigns(
            **NORMAL | {"systolic_mmhg": systolic, "spo2": spo2, "diastolic_mmhg": 29},
            event_time=minutes(minute),
        )
        for minute, systolic, spo2 in sorted(values, key=lambda value: value[0])
    ]

    drawn = draw(now)

    for panel in drawn.panels:
        for mark in panel.marks:
            assert 124 <= Decimal(mark.x) <= 728
            assert Decimal(panel.top) <= Decimal(mark.y) <= Decimal(panel.bottom)


def test_the_drawing_names_the_limits_of_this_baseline(running, nurse):
    make_vitals(running, nurse, minutes(15))

    drawn = draw(chart(running, minutes(20)))

    assert "systolic (mmHg) ≤ 108 reduce, ≤ 98 stop" in drawn.limits
    assert "temperature (°C) ≥ 37.7 reduce, ≥ 38.2 stop" in drawn.limits
    assert drawn.panels[0].value == "128/78"


def test_a_low_flag_holds_nothing_and_waits_its_turn(running, nurse):
    record_vitals(
        session=running,
        reading=NORMAL | {"temperature_c": Decimal("35.9")},
        by=by(nurse, minutes(15)),
    )

    early, due = chart(running, minutes(16)), chart(running, minutes(30))

    assert early.open_flags[0].flag.priority == "low"
    assert not early.loud_flags
    assert (early.state, early.act.key) == ("flag-low", "flag")
    assert due.act.key == "step"


def test_when_the_volume_is_in_the_end_is_the_next_act_and_stays_where_it_was(running):
    first, later = (
        chart(running, minutes(60 * hours)) for hours in (24, 25)
    )  # 300 mL at 21.6 mL/h take 13 h 53 min

    assert first.is_volume_in
    assert (first.act.key, first.act.why) == ("end", "the volume is in")
    assert first.ends_at == later.ends_at == first.act.at
    assert minutes(833) < first.ends_at < minutes(834)


def test_a_flag_nobody_answered_in_time_is_shown_as_high(
    clinic, running, nurse, prescriber
):
    Ward(clinic, nurse, prescriber).flag(running, 20, escalate_minutes=15)

    before, after = chart(running, minutes(34)), chart(running, minutes(37))

    assert (before.state, after.state) == ("flag-medium", "flag-high")
    assert "unanswered" not in before.act.why
    assert after.act.why.startswith("2 min unanswered: Systolic fell 24")
