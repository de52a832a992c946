"""Hazards of docs/hazards.md that no test of one part holds alone."""

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.follow_up import follow_up_calls, late_events
from sessions.catalogue.gate import gate_catalogue
from sessions.catalogue.indications import indication
from sessions.catalogue.products import products
from sessions.charts import SessionChart, charts_of, for_charts
from sessions.forms.fields import MomentField
from sessions.models import InfusionSession, RateKind, VitalSigns
from sessions.rules.bodies import (
    USUAL_BMI,
    USUAL_WEIGHT_KG,
    height_questions,
    weight_questions,
)
from sessions.rules.dosing import Body, Ordered
from sessions.rules.findings import Finding, Severity
from sessions.rules.quantities import plain
from sessions.rules.reactions import reaction_findings
from sessions.rules.recommendation import RatePosition, recommend
from sessions.rules.running import restart
from sessions.rules.thresholds import Crossing, Phase, Reading
from sessions.rules.titration import plan
from sessions.services import rates
from sessions.services.acts import Refused
from sessions.services.rates import Reason
from sessions.services.records import record_of
from sessions.services.vitals import correct_vitals, record_vitals
from tests.factories.infusions import NORMAL, by, make_running, minutes
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

ROOT = Path(__file__).parent.parent
LB_PER_KG = Fraction(100000000, 45359237)
POLICY = default_policy()


def chart_at(session: InfusionSession, at: datetime) -> SessionChart:
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=at)[0]


def rounded(value: Fraction, step: str) -> Decimal:
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(
        Decimal(step)
    )


# ── H3: pounds for kilograms ───────────────────────────────────────────────────


def test_a_weight_in_pounds_is_always_asked_about():
    pick = random.Random(3)
    for _ in range(1000):
        years = pick.randint(0, 95)
        last = Decimal(pick.randint(200, 20000)) / 100
        true = last * pick.randint(95, 105) / 100
        step = pick.choice(["0.1", "0.01", "1"]) if true > 10 else "0.01"
        for factor in (LB_PER_KG, 1 / LB_PER_KG):
            typed = rounded(Fraction(true) * factor, step)
            asked = weight_questions(
                typed,
                years=years,
                last_kg=last,
                height_cm=None,
                most_change_percent=Decimal(10),
            )
            assert asked, (last, typed)
            ratio = typed / last
            by_words = Decimal("2.0") <= ratio <= Decimal("2.4")
            if by_words or Decimal("0.42") <= ratio <= Decimal("0.50"):
                assert "lb or kg?" in asked[0], (last, typed)


def asked_about(weight: Decimal, *, years: int, height: Decimal | None = None) -> bool:
    return bool(
        weight_questions(
            weight,
            years=years,
            last_kg=None,
            height_cm=height,
            most_change_percent=Decimal(10),
        )
    )


def test_a_first_weight_that_is_unusual_for_its_age_is_asked_about():
    before = 0
    for under, low, high in USUAL_WEIGHT_KG:
        for years in (before, under - 1):
            for weight in (low, high):
                assert not asked_about(weight, years=years)
            assert asked_about(low - Decimal("0.1"), years=years)
            assert asked_about(high + Decimal("0.1"), years=years)
        before = under


def test_a_first_weight_that_does_not_fit_the_height_is_asked_about():
    least, most = USUAL_BMI
    metre_and_a_half = Decimal(150)
    for index, odd in ((least, False), (most, False)):
        weight = index * Decimal("2.25")
        if 35 <= weight <= 180:
            assert asked_about(weight, years=40, height=metre_and_a_half) is odd
    assert asked_about(Decimal("112.6"), years=40, height=metre_and_a_half)
    assert asked_about(Decimal("41.5"), years=40, height=Decimal(180))


def test_a_height_that_cannot_be_right_is_asked_about():
    def asked(height, **given):
        return bool(
            height_questions(
                Decimal(height), **({"years": 40, "last_cm": None} | given)
            )
        )

    assert [asked(cm) for cm in ("129.9", "130", "210", "210.1")] == [
        True,
        False,
        False,
        True,
    ]
    assert not asked("173", last_cm=Decimal(168))
    assert asked("173.1", last_cm=Decimal(168))
    assert asked("118", years=8, last_cm=Decimal(120))
    assert not asked("125", years=8, last_cm=Decimal(120))


# ── H4: mL/kg/h and mL/h ───────────────────────────────────────────────────────


def ladders() -> Iterator[tuple[Decimal, tuple]]:
    """The ladder of some product at every weight from 2.0 to 200.0 kg."""
    orderable = [each for each in products().values() if each.orderable]
    for tenths in range(20, 2001):
        weight = Decimal(tenths) / 10
        made = plan(
            product=orderable[tenths % len(orderable)],
            indication=indication("pi"),
            body=Body(weight_kg=weight),
            ordered=Ordered(g_per_kg=Decimal("0.4"), days=1),
            policy=POLICY.dosing,
            experience="experienced",
        )
        yield weight, made.rungs


def test_a_rate_per_kilogram_is_never_the_rate_that_is_read_back():
    """Start and step up take one number only: never that of the other unit."""
    for weight, rungs in ladders():
        for rung in rungs:
            assert rung.ml_per_kg_h != rung.pump_ml_per_h, weight
            swapped_back = rung.ml_per_h * weight  # mL/h taken for mL/kg/h
            assert swapped_back != rung.pump_ml_per_h, weight


@pytest.fixture
def running(clinic, nurse, prescriber):
    """A visit of 72 kg on its third step, 86.4 mL/h."""
    session = make_running(clinic, nurse, prescriber)
    make_rate(session, nurse, minutes(30), "step", "43.2", step=2)
    make_rate(session, nurse, minutes(60), "step", "86.4", step=3)
    return session


def test_every_door_refuses_a_rate_in_the_other_unit(running, nurse, prescriber):
    make_vitals(running, nurse, minutes(89))
    now = chart_at(running, minutes(90))
    for rung in now.rungs:
        for typed in (rung.ml_per_kg_h, rung.pump_ml_per_h * 72):
            for act in (step_to, reduce_to, resume_at):
                with pytest.raises(Refused):
                    act(running, nurse, typed)
        with pytest.raises(Refused, match="not faster than now"):
            rates.override_ceiling(
                running,
                by=by(prescriber, minutes(90)),
                to_ml_per_h=rung.ml_per_kg_h,
                reason_text="In words",
                password="correct horse battery",
            )

    assert chart_at(running, minutes(91)).rate_ml_per_h == Decimal("86.4")


def step_to(session, user, typed):
    rates.step_up(session, by=by(user, minutes(90)), to_ml_per_h=typed, read_back=True)


def reduce_to(session, user, typed):
    rates.reduce(
        session,
        by=by(user, minutes(90)),
        to_ml_per_h=typed,
        read_back=True,
        reason=Reason(code="vitals"),
    )


def resume_at(session, user, typed, code: str = "prescriber", at=None):
    return rates.resume(
        session,
        by=by(user, at or minutes(90)),
        to_ml_per_h=typed,
        read_back=True,
        reason=Reason(code=code),
    )


# ── H11: after a pause never as before ─────────────────────────────────────────


@pytest.mark.parametrize("seed", range(6))
def test_no_path_resumes_above_the_permitted_rate_without_a_reason(
    clinic, nurse, prescriber, seed
):
    """Random walks over steps, reductions and pauses; each resume at every rate."""
    pick = random.Random(seed)
    session = make_running(clinic, nurse, prescriber)
    at = minutes(0)
    for _ in range(4):
        for _ in range(pick.randint(0, 2)):
            at += timedelta(minutes=31)
            make_rung(session, nurse, at, pick)
        at += timedelta(minutes=1)
        before = chart_at(session, at).rate_ml_per_h
        rates.pause(
            session, by=by(nurse, at), read_back=True, reason=Reason(code="vitals")
        )
        at += timedelta(minutes=pick.choice([1, 20]))
        now = chart_at(session, at)
        permitted = now.restart.ml_per_h
        assert permitted < before
        top = max(rung.pump_ml_per_h for rung in now.rungs)
        for typed in {*(r.pump_ml_per_h for r in now.rungs), before, top * 2}:
            if typed > permitted:
                with pytest.raises(Refused):
                    resume_at(session, nurse, typed, code="", at=at)
        with pytest.raises(Refused):
            resume_at(session, nurse, top * 2, at=at)
        row = resume_at(session, nurse, permitted, code="", at=at)
        assert row.rate_ml_per_h == permitted
        assert chart_at(session, at).running.minutes_at_step == 0


def make_rung(session, nurse, at, pick):
    """One step up or down the ladder, as it might have been recorded."""
    now = chart_at(session, at)
    around = [now.running.next_rung, now.running.previous_rung]
    rung = pick.choice([each for each in around if each is not None])
    up = rung.pump_ml_per_h > now.rate_ml_per_h
    make_rate(
        session,
        nurse,
        at,
        RateKind.STEP if up else RateKind.REDUCE,
        str(rung.pump_ml_per_h),
        step=rung.step,
    )


def test_a_restart_is_below_the_old_rate_at_every_rung_of_every_ladder():
    for weight, rungs in ladders():
        if weight % 1:
            continue
        for rung in rungs:
            proposed = restart(
                POLICY.dosing.restart,
                rate_before_ml_per_h=rung.pump_ml_per_h,
                rungs=rungs,
                resolution_ml_per_h=Decimal("0.1"),
            )
            assert proposed.ml_per_h < rung.pump_ml_per_h, (weight, rung.step)


# ── H13: late entries stand where they happened ────────────────────────────────

SYSTOLIC = [128, 126, 119, 124, 121, 118, 122, 125]


@pytest.mark.parametrize("late", range(len(SYSTOLIC)))
def test_a_late_set_changes_nothing_but_its_label_wherever_it_belongs(
    clinic, nurse, colleague, prescriber, late
):
    on_time = recorded(make_running(clinic, nurse, prescriber, chair="01"), nurse)
    session = make_running(clinic, nurse, prescriber, chair="02")
    delayed = recorded(session, nurse, late=late)

    assert shown(delayed) == shown(on_time)
    assert delayed.last_vitals.event_time == on_time.last_vitals.event_time
    assert delayed.last_vitals.systolic_mmhg == SYSTOLIC[-1]
    assert (delayed.due, delayed.volume_ml) == (on_time.due, on_time.volume_ml)
    limit = clinic.late_entry_minutes
    assert [row.is_late(limit) for row in delayed.vitals[1:]] == [
        place == late for place in range(len(SYSTOLIC))
    ]
    printed = record_of(session, at=minutes(200)).observed
    assert [seen.row.systolic_mmhg for seen in printed][1:] == SYSTOLIC
    assert [seen.is_late for seen in printed][1 + late]


def recorded(session, nurse, *, late: int | None = None) -> SessionChart:
    """Eight sets ten minutes apart; one of them written down at the very end."""
    for place, systolic in enumerate(SYSTOLIC):
        if place != late:
            record_set(session, nurse, place, systolic, minutes(10 * (place + 1)))
    if late is not None:
        record_set(session, nurse, late, SYSTOLIC[late], minutes(120))
    return chart_at(session, minutes(121))


def record_set(session, nurse, place, systolic, written):
    record_vitals(
        session=session,
        reading=NORMAL | {"systolic_mmhg": systolic},
        by=by(nurse, written),
        event_time=minutes(10 * (place + 1)),
    )


def shown(chart: SessionChart) -> list:
    return [
        (row.event_time, row.systolic_mmhg, row.news2["total"])
        for row in chart.vitals[1:]
    ]


def test_a_late_set_is_judged_by_the_values_of_its_own_time(running, nurse):
    record_vitals(session=running, reading=NORMAL, by=by(nurse, minutes(70)))
    saved = record_vitals(
        session=running,
        reading=NORMAL | {"systolic_mmhg": 104},
        by=by(nurse, minutes(75)),
        event_time=minutes(20),
    )

    assert saved.flag.event_time == minutes(20)
    value = saved.flag.findings[0]["values"][0]
    assert (value["baseline"], value["now"]) == ("128", "104")
    assert datetime.fromisoformat(value["at"]) == minutes(20)


# ── H14: clocks and zones ──────────────────────────────────────────────────────


def typed_in(zone: str, text: str) -> datetime:
    field = MomentField()
    field.zone = ZoneInfo(zone)
    return field.clean(text)


@pytest.mark.parametrize(
    ("zone", "skipped", "twice", "apart"),
    [
        ("America/New_York", "2026-03-08T02:30", "2026-11-01T01:30", 60),
        ("Europe/London", "2026-03-29T01:30", "2026-10-25T01:30", 60),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-04-05T01:45", 30),
    ],
)
def test_an_hour_that_is_skipped_is_refused_and_one_that_comes_twice_is_asked(
    zone, skipped, twice, apart
):
    with pytest.raises(ValidationError, match="skipped"):
        typed_in(zone, skipped)
    with pytest.raises(ValidationError, match="occurred twice") as asked:
        typed_in(zone, twice)

    offered = re.findall(r"[+-]\d{4}", asked.value.messages[0])
    first, second = (
        typed_in(zone, f"{twice}{each[:3]}:{each[3:]}") for each in offered
    )
    assert second - first == timedelta(minutes=apart)
    assert first.tzinfo is UTC


@pytest.mark.parametrize(
    "zone",
    ["America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe"],
)
def test_every_quarter_of_an_hour_of_a_year_is_read_back_or_refused(zone):
    """What a nurse types is the moment the clinic's clock showed, or it is asked."""
    clock, start = ZoneInfo(zone), datetime(2026, 1, 1, tzinfo=UTC)
    refused = 0
    for quarter in range(0, 365 * 96, 3):
        moment = start + timedelta(minutes=15 * quarter)
        text = moment.astimezone(clock).strftime("%Y-%m-%dT%H:%M")
        try:
            assert typed_in(zone, text) == moment
        except ValidationError:
            refused += 1

    assert (refused > 0) is (zone != "Asia/Kolkata")
    assert refused <= 4


# ── H21: the corrected value counts everywhere ─────────────────────────────────

CORRECTED = {
    "systolic_mmhg": 124,
    "diastolic_mmhg": 74,
    "pulse": 81,
    "respiratory_rate": 17,
    "spo2": 97,
    "temperature_c": Decimal("36.9"),
    "spo2_scale": 2,
    "on_oxygen": True,
    "oxygen_l_per_min": Decimal("2"),
    "consciousness": "C",
    "pain": 3,
    "tolerated": False,
}


@pytest.mark.parametrize("field", CORRECTED)
def test_a_corrected_field_is_read_everywhere_and_the_first_value_stays(
    running, nurse, sign_in, field
):
    first = record_vitals(session=running, reading=NORMAL, by=by(nurse, minutes(70)))
    correct_vitals(
        session=running,
        vitals_id=first.vitals.pk,
        reading=NORMAL | {field: CORRECTED[field]},
        reason="read again",
        by=by(nurse, minutes(72)),
    )

    now = chart_at(running, minutes(73))
    assert getattr(now.last_vitals, field) == CORRECTED[field]
    assert [row for row in now.vitals if row.pk == first.vitals.pk] == []
    assert VitalSigns.objects.filter(session=running).current().count() == 2
    seen = {old.row.pk: old for old in record_of(running, at=minutes(74)).observed}
    assert seen[first.vitals.pk].newer == now.last_vitals
    assert getattr(seen[first.vitals.pk].row, field) == getattr(first.vitals, field)
    page = sign_in(nurse).get(f"/infusions/{running.pk}/record/").content.decode()
    assert "read again" in page


def test_rules_judge_by_the_corrected_value(running, nurse):
    wrong = record_vitals(session=running, reading=NORMAL, by=by(nurse, minutes(70)))

    corrected = correct_vitals(
        session=running,
        vitals_id=wrong.vitals.pk,
        reading=NORMAL | {"systolic_mmhg": 104},
        reason="read again",
        by=by(nurse, minutes(72)),
    )

    assert corrected.flag.rule == "V-09"
    assert chart_at(running, minutes(73)).open_flags[0].flag == corrected.flag


# ── H31: a rule cites, it never commands ───────────────────────────────────────

COMMANDS = re.compile(
    r"\b(set|turn|put|programme?|adjust) (the |your )?(pump|rate|infusion|drip)\b"
    r"|\b(administer|inject|infuse)\b"
    r"|(^|[.;:] )(give|stop|slow|pause|reduce|increase|start) (the|a|an|it|[0-9]+)\b",
    re.IGNORECASE,
)


def findings_of_every_rule() -> Iterator[Finding]:
    """What each rule of protocol and gate says when it speaks."""
    for rule in (*POLICY.monitoring.thresholds, *POLICY.monitoring.lab_thresholds):
        readings = tuple((each, reading_for(each)) for each in rule.conditions)
        yield Crossing(threshold=rule, readings=readings).finding(Phase.INFUSING, "")
    for rule in POLICY.monitoring.reactions.rows:
        for severity in rule.severities:
            yield rule.finding(f"{rule.term}, {severity.value}", severity)
    for check in gate_catalogue().checks:
        yield check.finding(check.text)


def reading_for(condition) -> Reading:
    """A reading beyond the limit: what is shown of it matters here, not its size."""
    return Reading(
        name=condition.measure,
        label=condition.measure.replace("_", " "),
        unit="",
        now=condition.limit,
        baseline=condition.limit + 1,
        at=minutes(15),
    )


RATE = RatePosition(
    rungs_ml_per_h=(Decimal(21), Decimal(42), Decimal(84)),
    present_ml_per_h=Decimal(84),
    resolution_ml_per_h=Decimal("0.1"),
)


def test_every_rule_shows_its_name_version_values_and_source():
    seen = 0
    for found in findings_of_every_rule():
        seen += 1
        assert found.rule
        assert found.because
        assert found.calls_for
        assert found.source.text.strip()
        assert found.source.verified or "not verified" in found.source.label
        answer = recommend(
            [found],
            RATE,
            phase=Phase.INFUSING,
            protocol=POLICY.label,
            restart=POLICY.dosing.restart,
        )
        assert answer.reason.startswith(POLICY.label)
        if answer.raises_flag:
            assert f"rule {found.rule}" in answer.reason
            assert found.because in answer.reason
    assert seen > 150


def test_every_measured_finding_keeps_its_values_with_time_and_limit():
    for rule in POLICY.monitoring.thresholds:
        readings = tuple((each, reading_for(each)) for each in rule.conditions)
        found = Crossing(threshold=rule, readings=readings).finding(Phase.INFUSING, "")
        assert len(found.values) == len(rule.conditions)
        for value in found.values:
            assert (value.now, value.limit_text) != ("", "")
            assert value.at == minutes(15)


def test_no_finding_commands():
    for found in findings_of_every_rule():
        for text in (found.because, found.calls_for, found.clears):
            assert not COMMANDS.search(text), f"{found.rule}: {text}"
    for event in (*late_events(), *follow_up_calls()):
        assert not COMMANDS.search(event.calls_for), event.key
    for severity in Severity:
        for found in reaction_findings(
            (),
            rules=POLICY.monitoring.reactions,
            labels={},
            recurrence=severity is Severity.SEVERE,
            earlier_mild=0,
        ):
            assert not COMMANDS.search(found.because)


def test_no_template_commands_the_pump_or_a_medicine():
    pump = re.compile(
        r"\b(set|turn|put|programme?|adjust) (the |your )?(pump|infusion|drip)\b"
        r"|\b(administer|inject) (the |a |[0-9])",
        re.IGNORECASE,
    )
    for path in (ROOT / "templates").glob("**/*.html"):
        found = pump.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path.name}: {found}"


def test_the_text_check_knows_a_command():
    for text in (
        "Set the pump to 35 mL/h",
        "Rash. Give 10 mg cetirizine",
        "administer adrenaline",
        "Stop the infusion",
    ):
        assert COMMANDS.search(text), text
    assert not COMMANDS.search("a stop; a call to the prescriber")
    assert plain(Decimal("35.0")) == "35"
