"""Hazards of docs/hazards.md that no test of one part holds alone."""

import random
import re
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.follow_up import follow_up_calls, late_events
from sessions.catalogue.gate import gate_catalogue
from sessions.catalogue.indications import indication
from sessions.catalogue.products import products
from sessions.charts import SessionChart, charts_of, for_charts
from sessions.forms.fields import MomentField
from sessions.models import AuditEntry, InfusionSession, RateKind, VitalSigns
from sessions.rules.dosing import Body, Ordered
from sessions.rules.findings import Finding, Severity
from sessions.rules.quantities import plain
from sessions.rules.reactions import reaction_findings
from sessions.rules.recommendation import RatePosition, recommend
from sessions.rules.running import restart
from sessions.rules.thresholds import Crossing, Phase, Reading
from sessions.rules.titration import plan
from sessions.services import rates, vitals
from sessions.services.acts import Refused, Replayed
from sessions.services.rates import Reason
from sessions.services.records import record_of
from sessions.services.vitals import correct_vitals, record_vitals
from tests.factories.infusions import NORMAL, by, make_running, minutes
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

ROOT = Path(__file__).parent.parent
POLICY = default_policy()


def chart_at(session: InfusionSession, at: datetime) -> SessionChart:
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    return charts_of([fresh], at=at)[0]


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
    ("text", "kind"),
    [
        ("2026-11-01T05:59+00:00", "text"),
        ("2026-11-01T06:00+00:00", "text"),
        ("2026-11-01T06:59+00:00", "text"),
        ("2026-11-01T07:00+00:00", "datetime-local"),
        ("2026-11-01T04:59+00:00", "datetime-local"),
        ("2026-03-08T07:00+00:00", "datetime-local"),
    ],
)
def test_a_moment_that_is_shown_for_correction_is_read_back_as_itself(text, kind):
    """In an hour that comes twice the box holds the offset, and has room for it."""
    field, moment = MomentField(), datetime.fromisoformat(text)
    field.zone = ZoneInfo("America/New_York")

    shown = field.as_typed(moment)

    assert field.clean(shown) == moment
    assert field.widget.attrs.get("type", field.widget.input_type) == kind


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


# ── H12, H17: pressed at once ──────────────────────────────────────────────────


def at_once(threads: int, press) -> list[str]:
    """What many hands pressing at the same moment were told, one word each."""
    told, gate = [], threading.Barrier(threads)

    def work() -> None:
        try:
            gate.wait()
            press()
            told.append("saved")
        except Replayed:
            told.append("replayed")
        except Refused:
            told.append("refused")
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(told)


@pytest.mark.django_db(transaction=True)
def test_the_next_step_pressed_by_ten_hands_at_once_is_one_step(running, nurse):
    make_vitals(running, nurse, minutes(89))

    told = at_once(10, lambda: step_to(running, nurse, Decimal("172.8")))

    assert told == ["refused"] * 9 + ["saved"]
    assert chart_at(running, minutes(91)).rate_ml_per_h == Decimal("172.8")


@pytest.mark.django_db(transaction=True)
def test_one_submission_sent_ten_times_at_once_is_one_set(running, nurse):
    before = VitalSigns.objects.count()
    actor = by(
        nurse, minutes(80), key="5f1d7a52-4e0e-4a7e-8a55-9a7f9d6f3f10", content="same"
    )

    told = at_once(10, lambda: record_vitals(session=running, reading=NORMAL, by=actor))

    assert told == ["replayed"] * 9 + ["saved"]
    assert VitalSigns.objects.count() == before + 1


# ── H16, H28: what cannot be written is said, and nothing is half-written ──────


@pytest.mark.parametrize("htmx", [False, True])
def test_a_record_that_cannot_be_written_answers_not_saved(
    running, nurse, sign_in, monkeypatch, htmx
):
    def full(*_args, **_given):
        raise OperationalError("database or disk is full")

    client = sign_in(nurse)
    monkeypatch.setattr(vitals, "keep_judgement", full)
    before = (VitalSigns.objects.count(), AuditEntry.objects.count())

    answer = client.post(
        f"/infusions/{running.pk}/vitals/",
        TYPED | {"submission_key": str(uuid.uuid4())},
        headers={"HX-Request": "true"} if htmx else {},
    )

    assert answer.status_code == 503
    assert "NOT SAVED" in answer.content.decode()
    assert "disk" not in answer.content.decode()
    assert (VitalSigns.objects.count(), AuditEntry.objects.count()) == before
    assert client.get(f"/infusions/{running.pk}/").status_code == 200


# ── H20: blood pressure ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("systolic", "diastolic", "words"),
    [
        ("78", "128", "Are they swapped?"),
        ("78", "78", "must be above"),
        ("128/78", "", "128/78"),
        ("12878", "", "at most 999"),
        ("128", "", "two values"),
        ("", "78", "two values"),
    ],
)
def test_a_blood_pressure_is_two_values_in_their_order(
    running, nurse, sign_in, systolic, diastolic, words
):
    before = VitalSigns.objects.count()
    pressure = {"systolic_mmhg": systolic, "diastolic_mmhg": diastolic}

    answer = sign_in(nurse).post(
        f"/infusions/{running.pk}/vitals/",
        TYPED | pressure | {"submission_key": str(uuid.uuid4())},
    )

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert VitalSigns.objects.count() == before


def test_the_database_refuses_a_swapped_blood_pressure(running, nurse):
    swapped = NORMAL | {"systolic_mmhg": 78, "diastolic_mmhg": 128}

    with pytest.raises(IntegrityError), transaction.atomic():
        record_vitals(session=running, reading=swapped, by=by(nurse, minutes(80)))


# ── H24: the author is who is signed in, whatever is sent ──────────────────────

TYPED = {
    "systolic_mmhg": "128",
    "diastolic_mmhg": "78",
    "pulse": "76",
    "respiratory_rate": "16",
    "spo2": "98",
    "temperature": "36.7",
    "consciousness": "A",
    "oxygen": "air",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recorded_by", "1"),
        ("recorded_at", "2026-03-02T09:00"),
        ("clinic", "1"),
        ("session", "1"),
        ("stage", "discharged"),
        ("news2", "0"),
    ],
)
def test_author_time_place_and_results_are_never_taken_from_a_form(
    running, nurse, sign_in, name, value
):
    before = VitalSigns.objects.count()

    answer = sign_in(nurse).post(
        f"/infusions/{running.pk}/vitals/",
        TYPED | {"submission_key": str(uuid.uuid4()), name: value},
    )

    assert answer.status_code == 422
    assert VitalSigns.objects.count() == before


def test_a_form_that_one_nurse_opened_and_another_sends_is_the_senders(
    running, nurse, colleague, sign_in
):
    page = sign_in(nurse).get(f"/infusions/{running.pk}/").content.decode()
    key = re.search(r'name="submission_key" value="([^"]+)"', page)[1]

    answer = sign_in(colleague).post(
        f"/infusions/{running.pk}/vitals/", TYPED | {"submission_key": key}
    )

    assert answer.status_code == 302
    assert VitalSigns.objects.latest("pk").recorded_by == colleague


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
