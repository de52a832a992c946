"""What holds a Start: each thing alone, and what passes it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import translation

from sessions.models import Answer, Signature, Start
from sessions.persons import person_of
from sessions.services import (
    gate,
    infusions,
    medicines,
    order_plans,
    orders,
    patients,
    preparation,
    protocols,
)
from sessions.services.acts import Refused
from sessions.services.vitals import record_vitals
from tests.conftest import NINE, PASSWORD
from tests.factories import visits
from tests.factories.protocols import actor, protocol_in_force, with_value
from tests.factories.visits import Morning

HARD, TO_DO, WARNING = gate.HARD, gate.TO_DO, gate.WARNING


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


def press(morning: Morning, *, after: float = 0) -> Start:
    return infusions.start(
        session=morning.fresh(),
        read_back_ml_per_h=Decimal("21.6"),
        by=morning.by(after=after),
    )


def rules(morning: Morning, *, after: float = 0) -> list[tuple[str, str]]:
    return [(hold.rule, hold.kind) for hold in morning.holds(after=after)]


def held_by(morning: Morning, *expected: tuple[str, str], after: float = 0) -> None:
    """The Start is held by exactly these, and by nothing that was not broken."""
    assert rules(morning, after=after) == list(expected)
    with pytest.raises(Refused, match="Start is held"):
        press(morning, after=after)
    assert not Start.objects.exists()


def test_nothing_holds_an_ordinary_morning(morning):
    morning.ready()

    assert rules(morning) == []
    assert press(morning)


@pytest.mark.parametrize(
    ("skipped", "rule"),
    [
        ("identity", "G-01"),
        ("checks", "checks"),
        ("line", "line"),
        ("vials", "G-25"),
        ("second vial", "G-25"),
        ("baseline", "baseline"),
    ],
)
def test_what_is_not_done_holds_the_start_alone(morning, skipped, rule):
    morning.ready(skip={skipped})

    held_by(morning, (rule, TO_DO))


@pytest.mark.parametrize(
    ("answers", "rule", "kind"),
    [
        ({"new_clot_or_chest_pain": Answer.YES}, "G-53", HARD),
        ({"fluids_taken": Answer.NO}, "G-54", HARD),
        ({"infection_or_fever": Answer.YES}, "G-51", WARNING),
        ({"headache_after_last": Answer.YES}, "G-52", WARNING),
        ({"new_medicines": Answer.YES}, "G-55", WARNING),
        ({"live_vaccine": Answer.YES}, "G-56", WARNING),
        ({"infection_or_fever": Answer.NOT_ASKED}, "G-51", TO_DO),
        ({"new_clot_or_chest_pain": Answer.NOT_ASKED}, "G-53", TO_DO),
        ({"pregnant": Answer.NOT_ASKED}, "G-57", TO_DO),
        ({"emergency_kit_at_chair": Answer.NO}, "G-30", TO_DO),
        ({"history_reviewed": Answer.NO}, "G-04", TO_DO),
    ],
)
def test_an_answer_that_is_not_the_usual_one_holds(morning, answers, rule, kind):
    morning.ready(answers=answers, skip={"warnings"})
    pass_first_infusion(morning)

    assert (rule, kind) in rules(morning)
    assert {found for found, _ in rules(morning)} <= {rule, "G-31", "G-05"}
    with pytest.raises(Refused, match="Start is held"):
        press(morning)


def pass_first_infusion(morning: Morning) -> None:
    infusions.pass_warnings(
        session=morning.visit,
        rules=["G-17"],
        reason_code="planned",
        by=morning.by(),
    )


def test_pregnancy_without_a_supervisor_holds(morning):
    morning.ready(answers={"pregnant": Answer.YES})

    held_by(morning, ("G-21", HARD))


def test_a_man_is_not_asked_about_pregnancy(cast):
    morning = Morning.of(at=NINE, patient={"sex": "male"}, **cast)

    morning.ready(answers={"pregnant": Answer.NOT_ASKED})

    assert rules(morning) == []


class TestWeight:
    def test_an_old_weight_is_measured_or_confirmed(self, morning):
        morning.ready(skip={"weight", "baseline"})
        later = 60 * 24 * 3
        record_baseline(morning, after=later)

        assert ("weight-confirmed", TO_DO) in rules(morning, after=later)
        infusions.confirm_weight(session=morning.fresh(), by=morning.by(after=later))
        assert rules(morning, after=later) == []
        with translation.override("de"):  # whoever reads it
            assert rules(morning, after=later) == []

    def test_its_age_is_the_one_on_the_patients_page(self, morning):
        """Days of the calendar: the 29th begins at midnight, not at nine."""
        later = (29 * 24 - 4) * 60
        morning.ready(skip={"weight", "baseline"})
        at = NINE + timedelta(minutes=later)

        held = {hold.rule: hold.text for hold in morning.holds(after=later)}

        person = person_of(morning.patient, clinic=morning.nurse.clinic, at=at)
        assert (person.weight_days, person.weight_is_old) == (29, True)
        assert held["weight-confirmed"].startswith("Weight is 29 days old")

    def test_a_confirmation_speaks_of_one_weight_only(self, morning):
        later = 60 * 24 * 3
        morning.ready(skip={"weight", "baseline"})
        infusions.confirm_weight(session=morning.fresh(), by=morning.by(after=later))
        patients.record_weight(
            patient=morning.patient,
            weight_kg=Decimal("73"),
            by=morning.by(),
            event_time=NINE + timedelta(minutes=10),
        )
        record_baseline(morning, after=later)

        assert ("weight-confirmed", TO_DO) in rules(morning, after=later)

    @pytest.mark.parametrize("kg", ["79.2", "64.8"])
    def test_ten_percent_sends_the_order_back(self, morning, kg):
        morning.ready(weight_kg=kg)

        held_by(morning, ("G-10", HARD))

    @pytest.mark.parametrize("kg", ["79.1", "64.9"])
    def test_just_under_ten_percent_does_not(self, morning, kg):
        morning.ready(weight_kg=kg)

        assert rules(morning) == []


class TestOrder:
    def test_an_order_on_hold(self, morning, prescriber):
        morning.ready()
        orders.hold_order(
            order=morning.order, reason="fever", by=morning.by(prescriber)
        )

        held_by(morning, ("order-status", TO_DO))

    def test_a_changed_order_waits_for_signature_and_verification(
        self, morning, prescriber
    ):
        morning.ready()
        choices = order_plans.Choices(
            product="privigen_10",
            indication="pi",
            dose_g_per_kg=Decimal("0.4"),
            expires_on=(NINE + timedelta(days=90)).date(),
            change_note="again",
        )
        orders.change_order(
            order=morning.order, choices=choices, by=morning.by(prescriber)
        )

        held_by(morning, ("order-status", TO_DO))

    def test_an_expired_order(self, cast):
        morning = Morning.of(at=NINE, order={"expires_on": NINE.date()}, **cast)
        tomorrow = 24 * 60
        morning.ready(after=tomorrow)

        held_by(morning, ("order-expired", TO_DO), after=tomorrow)

    def test_a_clinic_without_a_protocol_in_force(self, morning, prescriber):
        morning.ready()
        version = protocols.in_force(morning.order.clinic)
        protocols.retire_version(
            version=version, reason="review", by=morning.by(prescriber)
        )

        found = rules(morning)

        assert ("plan", TO_DO) in found
        with pytest.raises(Refused, match="No protocol is in force"):
            press(morning)


class TestRecord:
    def test_a_missing_consent(self, morning):
        morning.ready()
        patients.record_consent(
            patient=morning.patient,
            given=False,
            scope="immunoglobulin",
            expires_on=(NINE + timedelta(days=300)).date(),
            by=morning.by(),
        )

        held_by(morning, ("G-07", HARD))

    def test_a_consent_that_expired_yesterday(self, morning):
        morning.ready()
        patients.record_consent(
            patient=morning.patient,
            given=True,
            scope="immunoglobulin",
            expires_on=(NINE - timedelta(days=1)).date(),
            by=morning.by(),
        )

        held_by(morning, ("G-07", HARD))

    def test_a_clinic_that_takes_consent_elsewhere_does_not_ask(self, morning):
        clinic = morning.order.clinic
        clinic.consent_required = False
        clinic.save(update_fields=["consent_required"])
        morning.ready()
        patients.record_consent(
            patient=morning.patient,
            given=False,
            scope="immunoglobulin",
            expires_on=(NINE + timedelta(days=300)).date(),
            by=morning.by(),
        )

        assert rules(morning) == []

    def test_no_creatinine_on_file(self, morning):
        row = morning.patient.labresults.get(test="creatinine")
        patients.withdraw(row=row, reason="other patient", by=morning.by())
        morning.ready()

        held_by(morning, ("G-12", HARD))

    def test_creatinine_half_as_high_again_as_before(self, morning):
        patients.record_lab(
            patient=morning.patient,
            test="creatinine",
            value=Decimal("103"),
            unit="umol/L",
            event_time=NINE + timedelta(minutes=1),
            by=morning.by(after=1),
        )
        morning.ready(after=2)

        held_by(morning, ("L-02", HARD), after=2)

    @pytest.mark.parametrize(
        "key", ["ig_anaphylaxis", "iga_antibodies", "volume_depletion"]
    )
    def test_a_contraindication_on_record(self, morning, key):
        patients.record_risk_factor(
            patient=morning.patient, key=key, presence="present", by=morning.by()
        )
        morning.ready()

        found = rules(morning)

        assert found
        assert all(kind == HARD for _, kind in found)
        assert (f"G-risk-{key}", HARD) in found
        with pytest.raises(Refused, match="Start is held"):
            press(morning)

    def test_the_products_own_contraindication(self, morning):
        patients.record_risk_factor(
            patient=morning.patient,
            key="hyperprolinaemia",
            presence="present",
            by=morning.by(),
        )
        morning.ready()

        assert {kind for _, kind in rules(morning)} == {HARD}


def record_baseline(morning: Morning, *, after: float = 0, **values) -> None:
    record_vitals(
        session=morning.fresh(),
        reading=visits.READING | values,
        by=morning.by(after=after),
        purpose="baseline",
    )


class TestBaseline:
    def test_it_is_valid_for_fifteen_minutes(self, morning):
        morning.ready()

        assert rules(morning, after=15) == []
        held_by(morning, ("G-35", TO_DO), after=16)

    def test_an_incomplete_one_holds(self, morning):
        morning.ready(
            reading={"spo2": None, "partial_reason": "device"},
        )

        assert ("G-34", HARD) in rules(morning)

    def test_one_beyond_the_limits_needs_a_prescriber(self, morning):
        morning.ready(reading={"systolic_mmhg": 88, "diastolic_mmhg": 50})

        held_by(morning, ("G-36", HARD))

    def test_a_better_one_clears_it(self, morning):
        morning.ready(reading={"systolic_mmhg": 88, "diastolic_mmhg": 50})

        record_baseline(morning, after=5)

        assert rules(morning, after=5) == []


class TestPassing:
    def test_warnings_hold_until_somebody_says_why(self, morning):
        morning.ready(skip={"warnings"})
        held_by(morning, ("G-17", WARNING))

        pass_first_infusion(morning)

        assert rules(morning) == []
        start = press(morning)
        assert start.gate["passed"][0]["rule"] == "G-17"
        assert start.gate["passed"][0]["by"] == "Kwame Mensah, RN"

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"reason_code": ""}, "Choose a reason"),
            ({"reason_code": "because"}, "Choose a reason"),
            ({"reason_code": "other"}, "other reason"),
            ({"rules": ["G-99"]}, "changed"),
            ({"rules": []}, "changed"),
        ],
    )
    def test_a_reason_is_coded_and_the_warning_is_there(self, morning, given, words):
        morning.ready(skip={"warnings"})

        with pytest.raises(Refused, match=words):
            infusions.pass_warnings(
                session=morning.visit,
                by=morning.by(),
                **{"rules": ["G-17"], "reason_code": "planned"} | given,
            )

    def test_a_nurse_cannot_pass_a_hard_stop_as_a_warning(self, morning):
        morning.ready(weight_kg="80")

        with pytest.raises(Refused, match="changed"):
            infusions.pass_warnings(
                session=morning.visit,
                rules=["G-10"],
                reason_code="planned",
                by=morning.by(),
            )

    def override(self, morning, user, **given):
        return infusions.override_gate(
            session=morning.fresh(),
            by=morning.by(user),
            **{"rule": "G-36", "reason_code": "examined", "password": PASSWORD} | given,
        )

    def test_a_prescriber_overrides_a_hard_stop_with_a_signature(
        self, morning, prescriber
    ):
        morning.ready(reading={"systolic_mmhg": 88, "diastolic_mmhg": 50})

        row = self.override(morning, prescriber)

        assert row.signature.meaning == Signature.Meaning.OVERRODE
        assert "88" in row.found
        with translation.override("de"):  # a German screen in an English clinic
            assert rules(morning) == []
        assert press(morning)

    def test_a_nurse_and_a_wrong_password_do_not(self, morning, nurse, prescriber):
        morning.ready(reading={"systolic_mmhg": 88, "diastolic_mmhg": 50})

        with pytest.raises(Refused, match="Only a prescriber"):
            self.override(morning, nurse)
        with pytest.raises(Refused, match="not your password"):
            self.override(morning, prescriber, password="wrong")

        held_by(morning, ("G-36", HARD))

    def test_a_hard_stop_that_finds_something_else_holds_again(
        self, morning, prescriber
    ):
        morning.ready(reading={"systolic_mmhg": 88, "diastolic_mmhg": 50})
        self.override(morning, prescriber)

        record_baseline(morning, after=2, systolic_mmhg=82, diastolic_mmhg=48)

        assert rules(morning, after=2) == [("G-36", HARD)]

    def test_what_is_not_done_nobody_overrides(self, morning, prescriber):
        morning.ready(skip={"second vial"})

        with pytest.raises(Refused, match="has to be done"):
            self.override(morning, prescriber, rule="G-25")


class TestPremedication:
    @pytest.fixture
    def treated(self, cast) -> Morning:
        return Morning.of(
            at=NINE, order={"medicines": (visits.premedication(),)}, **cast
        )

    @pytest.mark.in_utc
    def test_it_is_given_and_has_its_minutes(self, treated):
        treated.ready(skip={"warnings"})
        pass_first_infusion(treated)
        assert rules(treated) == [("G-32", WARNING)]

        ordered = treated.order.current.medicines.get()
        medicines.give(session=treated.visit, ordered=ordered, by=treated.by())
        [hold] = treated.holds(after=10)
        assert (hold.rule, hold.due_at) == ("G-33", NINE + timedelta(minutes=30))
        assert "earliest Start 09:30" in hold.text

        record_baseline(treated, after=30)
        assert rules(treated, after=30) == []

    def test_it_can_be_passed_with_a_reason(self, treated):
        treated.ready()

        assert rules(treated) == []


def test_two_lots_are_a_warning(morning):
    morning.ready(skip={"second vial", "warnings"})
    visits.vial(morning.visit, nurse=morning.nurse, at=NINE, lot="P2")
    pass_first_infusion(morning)

    held_by(morning, ("G-27", WARNING))


@pytest.fixture
def strict(cast, monkeypatch) -> Morning:
    """A clinic whose own protocol is stricter than what is published."""
    shipped = protocol_in_force(
        cast["nurse"].clinic, author=cast["admin"], approver=cast["prescriber"]
    )
    document = with_value(
        shipped, "dosing", "weight", "change_percent", "value", value="5"
    )
    schedule = document["monitoring"]["schedule"]
    schedule["baseline_valid_minutes"]["value"] = "5"
    own = protocols.draft_version(
        protocol=shipped.protocol,
        document=document,
        note="Stricter",
        based_on=shipped,
        by=actor(cast["admin"]),
    )
    protocols.approve_version(version=own, by=actor(cast["prescriber"]))
    monkeypatch.setattr(visits, "protocol_in_force", lambda *_, **_given: None)
    return Morning.of(at=NINE, **cast)


def test_the_clinics_own_limits_hold_the_start(strict):
    strict.ready(weight_kg="75.6")

    found = {hold.rule: hold for hold in strict.holds(after=6)}

    assert sorted(found) == ["G-10", "G-35"]
    assert found["G-35"].text == "Baseline is 6 minutes old, valid for 5"


def test_a_rule_that_fails_holds_the_start_and_says_so(morning, monkeypatch):
    morning.ready()

    def broken(*_args, **_more):
        raise ZeroDivisionError

    monkeypatch.setattr(gate, "gate", broken)

    [hold] = morning.holds()
    assert "CHECK NOT DONE" in hold.text
    with pytest.raises(Refused, match="CHECK NOT DONE"):
        press(morning)


def test_the_signed_ceiling_is_never_passed(morning):
    prepared = preparation.prepare(morning.fresh(), at=NINE)

    top = max(rung.ml_per_kg_h for rung in prepared.rungs)
    assert top <= morning.order.current.ceiling_ml_per_kg_h
