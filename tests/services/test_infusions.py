"""A visit from planning to discharge: each act in its order, or refused in words."""

from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from sessions.models import (
    STAGE_MOVES,
    AuditEntry,
    Chair,
    IdentityCheck,
    InfusionSession,
    Outcome,
    RateChange,
    Signature,
    Stage,
    StageChange,
    Start,
    Vial,
)
from sessions.services import finish, infusions, orders, planning, rates, vials
from sessions.services.acts import KeyReused, Refused, Replayed, Stale
from sessions.services.vitals import record_vitals
from tests.conftest import NINE, PASSWORD
from tests.factories import visits
from tests.factories.visits import Morning

KEY = "6d2c1d6e-6a3c-4bb4-8a7b-0f2f6f0a5a10"


@pytest.fixture
def cast(nurse, charge_nurse, prescriber, pharmacist, admin):
    return {
        "nurse": nurse,
        "charge_nurse": charge_nurse,
        "prescriber": prescriber,
        "pharmacist": pharmacist,
        "admin": admin,
    }


@pytest.fixture
def morning(cast) -> Morning:
    return Morning.of(at=NINE, **cast)


class TestPlanning:
    def test_a_course_becomes_visits_an_interval_apart(self, morning):
        version, zone = morning.order.current, morning.order.clinic.zone

        dates = planning.proposed_dates(
            version, first=date(2026, 3, 20), clock=time(9), zone=zone, already=1
        )

        days = [each.astimezone(zone).date() for each in dates]
        assert days[:2] == [date(2026, 3, 20), date(2026, 4, 17)]
        assert len(dates) == version.cycles - 1

    def test_the_hour_stays_the_same_over_a_change_of_clocks(self, morning):
        clinic = morning.order.clinic
        clinic.time_zone = "Europe/London"

        dates = planning.proposed_dates(
            morning.order.current,
            first=date(2026, 3, 20),
            clock=time(9),
            zone=clinic.zone,
        )

        assert {d.astimezone(clinic.zone).hour for d in dates} == {9}
        assert {d.hour for d in dates} == {8, 9}

    def test_days_of_a_cycle_follow_each_other(self, cast):
        morning = Morning.of(at=NINE, order={"days": 2, "cycles": 2}, **cast)

        made = planning.plan_sessions(
            order=morning.order,
            dates=[NINE + timedelta(days=d) for d in (1, 28, 29)],
            by=morning.by(cast["charge_nurse"]),
        )

        assert [(row.cycle, row.day) for row in made] == [(1, 2), (2, 1), (2, 2)]

    def test_a_cancelled_visit_leaves_its_place_in_the_course(
        self, morning, charge_nurse
    ):
        later = [NINE + timedelta(days=d) for d in (1, 2, 3)]
        by = morning.by(charge_nurse)
        planned = planning.plan_sessions(order=morning.order, dates=later, by=by)
        infusions.cancel(session=planned[0], reason="fever", by=by)

        again = visits.plan_session(
            order=morning.order, scheduled_at=NINE + timedelta(days=4), by=by
        )

        kept = [row.cycle for row in planning.live_visits(morning.order)]
        assert again.cycle == 2
        assert sorted(kept) == [1, 2, 3, 4]

    def test_no_more_visits_than_the_course_holds(self, morning, charge_nurse):
        dates = [NINE + timedelta(days=d) for d in range(1, 8)]

        with pytest.raises(Refused, match="5 more can be"):
            planning.plan_sessions(
                order=morning.order, dates=dates, by=morning.by(charge_nurse)
            )

    def test_no_visit_after_the_orders_last_day(self, morning, charge_nurse):
        with pytest.raises(Refused, match="last day"):
            visits.plan_session(
                order=morning.order,
                scheduled_at=NINE + timedelta(days=201),
                by=morning.by(charge_nurse),
            )

    def test_no_two_visits_of_a_course_on_one_day(self, morning, charge_nurse):
        with pytest.raises(Refused, match="already"):
            visits.plan_session(
                order=morning.order,
                scheduled_at=NINE + timedelta(hours=3),
                by=morning.by(charge_nurse),
            )

    @pytest.mark.parametrize(("days", "words"), [(0, "already"), (201, "last day")])
    def test_a_visit_moves_to_no_day_it_could_not_be_planned_on(
        self, morning, charge_nurse, days, words
    ):
        by = morning.by(charge_nurse)
        visit = visits.plan_session(
            order=morning.order, scheduled_at=NINE + timedelta(days=1), by=by
        )

        with pytest.raises(Refused, match=words):
            planning.allocate(
                session=visit,
                scheduled_at=NINE + timedelta(days=days, hours=3),
                chair=None,
                nurse=None,
                by=by,
            )

    def test_an_order_on_hold_plans_nothing(self, morning, charge_nurse, prescriber):
        orders.hold_order(
            order=morning.order, reason="fever", by=morning.by(prescriber)
        )

        with pytest.raises(Refused, match="on hold"):
            visits.plan_session(
                order=morning.order,
                scheduled_at=NINE + timedelta(days=28),
                by=morning.by(charge_nurse),
            )


class TestCheckIn:
    def test_a_chair_is_taken_once(self, morning, cast):
        other = visits.patient_known(cast["nurse"], NINE, mrn="2", family_name="Berg")
        order = visits.active_order(
            other,
            prescriber=cast["prescriber"],
            pharmacist=cast["pharmacist"],
            at=NINE,
        )

        with pytest.raises(Refused, match="taken"):
            visits.checked_in(
                order, charge_nurse=cast["charge_nurse"], nurse=cast["nurse"], at=NINE
            )

    def test_a_patient_has_one_open_visit(self, morning, cast):
        second = visits.plan_session(
            order=morning.order,
            scheduled_at=NINE + timedelta(days=1),
            by=morning.by(cast["charge_nurse"]),
        )

        with pytest.raises(Refused, match="already has an open visit"):
            infusions.check_in(
                session=second, chair=Chair.objects.get(name="02"), by=morning.by()
            )

    def test_the_database_refuses_a_second_open_visit_too(self, morning, cast):
        with pytest.raises(IntegrityError), transaction.atomic():
            InfusionSession.objects.create(
                clinic=morning.order.clinic,
                patient=morning.patient,
                order=morning.order,
                chair=Chair.objects.get(name="02"),
                stage=Stage.CHECKED_IN,
                scheduled_at=NINE,
                created_at=NINE,
                created_by=cast["nurse"],
            )

    def test_a_chair_of_another_clinic_is_no_chair(self, morning, other_clinic):
        planned = visits.plan_session(
            order=morning.order,
            scheduled_at=NINE + timedelta(days=1),
            by=morning.by(morning.charge_nurse),
        )

        with pytest.raises(Refused, match="chair of this clinic"):
            infusions.check_in(
                session=planned, chair=other_clinic.chairs.get(), by=morning.by()
            )

    def test_taking_over_changes_the_nurse_once(self, morning, colleague):
        infusions.take_over(session=morning.visit, by=morning.by(colleague))

        assert morning.fresh().nurse == colleague
        with pytest.raises(Refused, match="already"):
            infusions.take_over(session=morning.visit, by=morning.by(colleague))

    def test_a_visit_is_cancelled_with_a_reason_before_its_start(self, morning):
        with pytest.raises(Refused, match="Say why"):
            infusions.cancel(session=morning.visit, reason=" ", by=morning.by())

        infusions.cancel(session=morning.visit, reason="fever", by=morning.by())

        assert morning.fresh().stage == Stage.CANCELLED

    def test_a_stale_screen_is_refused_with_both_versions(self, morning, colleague):
        seen = morning.visit.version
        infusions.take_over(session=morning.visit, by=morning.by(colleague))

        with pytest.raises(Stale, match=rf"version {seen}, now it is version"):
            infusions.cancel(
                session=morning.visit, reason="no", by=morning.by(), seen_version=seen
            )


class TestIdentity:
    @pytest.mark.parametrize("typed", ["AO", "ao", "A.O.", "a o", "A-O"])
    def test_initials_are_compared_without_dots_and_case(self, morning, typed):
        infusions.check_identity(
            session=morning.visit, initials=typed, birth_year=1978, by=morning.by()
        )

        assert IdentityCheck.objects.filter(session=morning.visit).count() == 1

    @pytest.mark.parametrize(("initials", "year"), [("OA", 1978), ("AO", 1987)])
    def test_another_person_is_refused_and_written_down(self, morning, initials, year):
        with pytest.raises(Refused, match="not the patient"):
            infusions.check_identity(
                session=morning.visit,
                initials=initials,
                birth_year=year,
                by=morning.by(key=KEY, content="x"),
            )

        assert not IdentityCheck.objects.filter(session=morning.visit).exists()
        entry = AuditEntry.objects.get(action="infusion.identity-mismatch")
        assert entry.object_id == morning.visit.pk
        assert entry.key is None

    def test_identity_weight_and_checks_make_the_visit_assessed(self, morning):
        morning.ready(skip={"line", "vials", "baseline", "warnings"})

        assert morning.visit.stage == Stage.ASSESSED


class TestStart:
    def test_it_writes_start_rate_and_stage_in_one_act(self, morning):
        visit = morning.started()
        start = Start.objects.get(session=visit)
        change = RateChange.objects.get(session=visit)

        assert visit.stage == Stage.INFUSING
        assert (change.kind, change.rate_ml_per_h) == ("start", Decimal("21.6"))
        assert change.event_time == start.event_time
        assert (start.weight_kg, start.volume_ml) == (72, 300)
        assert (start.experience, start.observation_minutes) == ("first", 60)
        assert start.baseline.systolic_mmhg == 128
        assert AuditEntry.objects.filter(action="infusion.start").count() == 1

    def test_the_same_press_twice_starts_once(self, morning):
        visit = morning.ready()
        press = {"session": visit, "read_back_ml_per_h": Decimal("21.6")}
        by = morning.by(key=KEY, content="start")

        infusions.start(**press, by=by)
        with pytest.raises(Replayed):
            infusions.start(**press, by=by)
        with pytest.raises(KeyReused):
            infusions.start(**press, by=morning.by(key=KEY, content="other"))
        with pytest.raises(Refused, match="infusing"):
            infusions.start(**press, by=morning.by())

        assert Start.objects.count() == RateChange.objects.count() == 1

    @pytest.mark.parametrize("shown", ["21.5", "216", "2.16", "43.2"])
    def test_another_rate_on_the_pump_is_refused(self, morning, shown):
        visit = morning.ready()

        with pytest.raises(Refused, match="step 1 is 21.6") as refused:
            infusions.start(
                session=visit, read_back_ml_per_h=Decimal(shown), by=morning.by()
            )

        assert refused.value.field == "read_back"
        assert not Start.objects.exists()

    def test_another_volume_limit_is_refused(self, morning):
        with pytest.raises(Refused, match="dose is 300 mL"):
            infusions.start(
                session=morning.ready(),
                read_back_ml_per_h=Decimal("21.6"),
                volume_limit_ml=Decimal("3000"),
                by=morning.by(),
            )

    def test_a_stale_screen_does_not_start(self, morning, colleague):
        visit = morning.ready()
        seen = visit.version
        infusions.take_over(session=visit, by=morning.by(colleague))

        with pytest.raises(Stale):
            infusions.start(
                session=visit,
                read_back_ml_per_h=Decimal("21.6"),
                by=morning.by(),
                seen_version=seen,
            )

        assert not Start.objects.exists()

    def test_rates_follow_the_weight_of_today_and_the_grams_stay(self, morning):
        morning.ready(weight_kg="70")
        infusions.start(
            session=morning.visit, read_back_ml_per_h=Decimal(21), by=morning.by()
        )
        start = Start.objects.get()

        assert (start.dosing_weight_kg, start.weight_kg) == (70, 70)
        assert start.plan["given_g"] == "30"
        assert start.plan["rungs"][0]["pump_ml_per_h"] == "21"

    def test_the_second_visit_within_eight_weeks_is_experienced(self, morning):
        self._finish(morning)
        second = self._next(morning, days=28)

        start = Start.objects.get(session=second)
        assert (start.experience, start.observation_minutes) == ("experienced", 20)

    def test_a_gap_of_more_than_eight_weeks_is_a_first_infusion_again(self, morning):
        self._finish(morning)
        second = self._next(morning, days=57)

        start = Start.objects.get(session=second)
        assert (start.experience, start.observation_minutes) == ("first", 60)

    @staticmethod
    def _finish(morning):
        morning.started()
        finish.end_infusion(
            session=morning.visit, by=morning.by(after=835), reason_code="completed"
        )
        _discharge(morning, after=840)

    @staticmethod
    def _next(morning, *, days):
        later = NINE + timedelta(days=days)
        visit = visits.checked_in(
            morning.order,
            charge_nurse=morning.charge_nurse,
            nurse=morning.nurse,
            at=later,
        )
        return visits.started(visit, nurse=morning.nurse, at=later)


def _discharge(morning, *, after, **given):
    return finish.discharge(
        session=morning.visit,
        by=morning.by(after=after),
        **{
            "outcome": Outcome.COMPLETED,
            "password": PASSWORD,
            "reason_code": "patient",
        }
        | given,
    )


class TestEnd:
    def test_the_whole_volume_ends_completed_without_waste(self, morning):
        morning.started()

        # All 300 mL at the first rate, 21.6 mL/h: 13 h 53 min 20 s.
        ended = finish.end_infusion(session=morning.visit, by=morning.by(after=835))

        assert morning.fresh().stage == Stage.OBSERVING
        assert (ended.given_ml, ended.waste_ml) == (300, 0)
        assert ended.rate_change.kind == "end"
        assert all(vial.end.waste_ml == 0 for vial in Vial.objects.all())

    def test_an_early_end_needs_a_reason_and_writes_the_rest_as_waste(self, morning):
        morning.started()

        with pytest.raises(Refused, match="21.6 of 300 mL"):
            finish.end_infusion(session=morning.visit, by=morning.by(after=60))
        ended = finish.end_infusion(
            session=morning.visit, by=morning.by(after=60), reason_code="patient"
        )

        assert ended.given_ml == Decimal("21.6")
        waste = [vial.end.waste_ml for vial in Vial.objects.order_by("id")]
        assert sum(waste) == Decimal("278.4")
        assert waste[1] == 100

    def test_an_unknown_reason_and_other_without_words_are_refused(self, morning):
        morning.started()

        for code, words in (("because", "Choose"), ("other", "other reason")):
            with pytest.raises(Refused, match=words):
                finish.end_infusion(
                    session=morning.visit, by=morning.by(after=60), reason_code=code
                )

    def test_it_does_not_end_before_its_last_change_of_rate(self, morning):
        morning.started()

        with pytest.raises(Refused, match="before its last change"):
            finish.end_infusion(
                session=morning.visit,
                by=morning.by(after=60),
                event_time=NINE - timedelta(minutes=1),
                reason_code="patient",
            )


class TestDischarge:
    def _observing(self, morning):
        morning.started()
        finish.end_infusion(session=morning.visit, by=morning.by(after=835))

    def test_with_every_criterion_met_it_signs_the_record(self, morning):
        self._observing(morning)
        record_vitals(
            session=morning.visit, reading=visits.READING, by=morning.by(after=895)
        )

        signature = _discharge(morning, after=896, reason_code="")

        assert morning.fresh().stage == Stage.DISCHARGED
        assert morning.visit.outcome == Outcome.COMPLETED
        assert signature.meaning == Signature.Meaning.DISCHARGED
        assert signature.signed_name == "Kwame Mensah, RN"

    def test_an_unmet_criterion_needs_a_coded_reason_that_is_kept(self, morning):
        self._observing(morning)

        with pytest.raises(Refused, match="Not every criterion") as refused:
            _discharge(morning, after=840, reason_code="")
        assert refused.value.field == "reason_code"
        _discharge(morning, after=840, reason_code="patient")

        kept = morning.visit.gateoverrides.values_list("rule", "reason_code")
        assert {("D-01", "patient"), ("D-02", "patient")} <= set(kept)

    def test_a_wrong_password_discharges_nobody(self, morning):
        self._observing(morning)

        with pytest.raises(Refused, match="not your password"):
            _discharge(morning, after=900, password="wrong")

        assert morning.fresh().stage == Stage.OBSERVING
        assert not Signature.objects.filter(session=morning.visit).exists()

    def test_an_open_loud_flag_holds_the_discharge(self, morning):
        self._observing(morning)
        record_vitals(
            session=morning.visit,
            reading=visits.READING | {"systolic_mmhg": 84, "diastolic_mmhg": 50},
            by=morning.by(after=895),
        )

        with pytest.raises(Refused, match="open flags"):
            _discharge(morning, after=896)

    def test_a_transfer_needs_words_and_no_criterion(self, morning):
        self._observing(morning)

        with pytest.raises(Refused, match="Say what happened"):
            _discharge(morning, after=840, outcome=Outcome.TRANSFERRED, reason_code="")
        _discharge(
            morning,
            after=840,
            outcome=Outcome.TRANSFERRED,
            reason_code="",
            reason_text="to the emergency department",
        )

        assert morning.fresh().outcome == Outcome.TRANSFERRED

    def test_a_stopped_infusion_closes_its_vials_at_discharge(self, morning):
        morning.started()
        rates.stop(
            morning.visit,
            by=morning.by(after=60),
            read_back=True,
            reason=rates.Reason(code="patient"),
        )

        _discharge(morning, after=130, outcome=Outcome.STOPPED_EARLY)

        assert Vial.objects.filter(end__isnull=False).count() == 2


class TestEnteredInError:
    def test_it_is_signed_marked_and_readable(self, morning):
        morning.started()

        finish.mark_entered_in_error(
            session=morning.visit,
            reason="wrong patient",
            password=PASSWORD,
            by=morning.by(),
        )

        visit = morning.fresh()
        assert visit.entered_in_error
        assert Start.objects.filter(session=visit).exists()
        signature = Signature.objects.get(meaning="entered_in_error")
        assert signature.gate_override.reason_text == "wrong patient"
        assert not InfusionSession.objects.in_a_chair().filter(pk=visit.pk).exists()

    def test_nothing_can_be_added_to_it(self, morning):
        finish.mark_entered_in_error(
            session=morning.visit, reason="test", password=PASSWORD, by=morning.by()
        )

        with pytest.raises(Refused, match="entered in error"):
            infusions.record_line(
                session=morning.visit, site="chest", gauge="Port", by=morning.by()
            )
        with pytest.raises(Refused):
            visits.vial(morning.visit, nurse=morning.nurse, at=NINE)


ILLEGAL = [
    (old, new)
    for old in STAGE_MOVES
    for new in Stage
    if new not in STAGE_MOVES[old] and new != old
]


@pytest.mark.parametrize(("old", "new"), ILLEGAL)
def test_no_illegal_move_by_service_or_in_the_database(morning, old, new):
    visit = morning.visit
    visit.stage = old

    with pytest.raises(Refused, match="cannot become"):
        infusions.move(visit, new, by=morning.by())

    with pytest.raises(IntegrityError), transaction.atomic():
        StageChange.objects.create(
            session=visit, from_stage=old, to_stage=new, **morning.by().stamp()
        )
    if old == Stage.CHECKED_IN:
        changes = {"stage": new}
        if new == Stage.DISCHARGED:
            changes["outcome"] = Outcome.COMPLETED
        with pytest.raises(IntegrityError), transaction.atomic():
            InfusionSession.objects.filter(pk=visit.pk).update(**changes)


def test_vials_of_a_running_infusion_may_be_added(morning):
    morning.started()

    visits.vial(morning.visit, nurse=morning.nurse, at=NINE, lot="P2")

    assert len(vials.current_vials(morning.visit)) == 3
