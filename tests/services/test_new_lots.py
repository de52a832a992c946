"""A vial of a new lot in mid-session: what the clinic's protocol makes of it (C7)."""

import copy
from datetime import timedelta
from decimal import Decimal

import pytest

from sessions.charts import charts_of, for_charts
from sessions.models import AuditEntry, Flag, InfusionSession, ProtocolVersion, Vial
from sessions.reports.vitals import VitalsScope, owed_by_visit
from sessions.services import flags, protocols, rates, vials
from tests.conftest import NINE
from tests.factories import visits
from tests.factories.rates import make_rate
from tests.factories.visits import Morning
from tests.factories.vitals import make_vitals


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    return Morning.of(
        at=NINE,
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )


def running(morning: Morning, act: str = "RECHECK") -> Morning:
    """A visit on its third step whose clinic calls for `act` at a new lot."""
    first = ProtocolVersion.objects.get()
    document = copy.deepcopy(first.document)
    document["monitoring"]["new_lot"]["act"] = act
    if document != first.document:
        draft = protocols.draft_version(
            protocol=first.protocol,
            document=document,
            note="a new lot begins the ladder again",
            based_on=first,
            by=morning.by(morning.admin),
        )
        protocols.approve_version(version=draft, by=morning.by(morning.prescriber))
    morning.started()
    for minutes, rate in ((30, "43.2"), (60, "86.4")):
        at = NINE + timedelta(minutes=minutes)
        make_rate(morning.visit, morning.nurse, at, "step", rate)
        make_vitals(morning.visit, morning.nurse, at)
    return morning


def another(morning: Morning, lot: str = "Q200", after: float = 70) -> Vial:
    at = NINE + timedelta(minutes=after)
    return visits.vial(morning.fresh(), nurse=morning.nurse, at=at, lot=lot)


def chart(morning: Morning, after: float):
    fresh = for_charts(InfusionSession.objects).get(pk=morning.visit.pk)
    return charts_of([fresh], at=NINE + timedelta(minutes=after))[0]


def owed(morning: Morning, after: float):
    due = chart(morning, after).due
    return due.owed.value, (due.at - NINE).total_seconds() / 60


def test_a_new_lot_in_mid_session_is_noted_in_the_same_act(morning):
    running(morning)
    acts = AuditEntry.objects.count()

    vial = another(morning)

    flag = Flag.objects.get()
    assert (flag.rule, flag.action, flag.priority) == ("M-02", "observe", "low")
    assert "Q200 after P100512345" in flag.headline
    assert flag.event_time == vial.event_time
    assert AuditEntry.objects.count() == acts + 1
    assert owed(morning, 71) == ("step", 90)


def test_a_rule_that_fails_says_so_and_the_vial_is_kept(morning, monkeypatch):
    running(morning)
    monkeypatch.setattr("sessions.services.assessments.lot_findings", None)

    assert another(morning)
    assert Flag.objects.get().headline.startswith("CHECK NOT DONE")


def test_the_same_lot_again_raises_nothing(morning):
    running(morning)

    another(morning, lot="P100512345")

    assert not Flag.objects.exists()


def test_two_lots_before_the_start_are_a_matter_of_the_gate(morning):
    visits.vial(morning.fresh(), nurse=morning.nurse, at=NINE, lot="P1", grams="20")
    visits.vial(morning.fresh(), nurse=morning.nurse, at=NINE, lot="P2")

    assert not Flag.objects.exists()
    assert "2 lots: P1, P2" in {hold.text for hold in morning.holds()}


def test_a_third_lot_is_not_the_second_one_back_again(morning):
    running(morning)
    another(morning)
    flags.answer_flag(
        morning.fresh(),
        flag_id=Flag.objects.get().pk,
        action="observe",
        by=morning.by(after=71),
    )
    make_vitals(morning.visit, morning.nurse, NINE + timedelta(minutes=86))

    another(morning, lot="R300", after=90)

    assert [flag.action for flag in Flag.objects.order_by("pk")] == ["observe"] * 2


def test_where_the_clinic_says_so_ladder_and_schedule_begin_again(morning):
    running(morning, "FIRST_STEP")
    another(morning)

    flag = Flag.objects.get()
    assert (flag.priority, flag.rate_to_ml_per_h) == ("medium", Decimal("21.6"))
    assert "86.4 → 21.6 mL/h" in flag.calls_for
    assert rates.step_held(chart(morning, 95)) == "Held while a flag is open."
    back_to_the_first_step(morning)
    now = chart(morning, 73)
    assert (now.rate_ml_per_h, now.running.step) == (Decimal("21.6"), 1)
    assert owed(morning, 73) == ("first", 85)
    assert now.running.step_due_at == NINE + timedelta(minutes=102)


def back_to_the_first_step(morning: Morning) -> None:
    flags.answer_flag(
        morning.fresh(),
        flag_id=Flag.objects.get().pk,
        action="reduce",
        to_ml_per_h=Decimal("21.6"),
        read_back=True,
        by=morning.by(after=72),
    )


def test_a_new_lot_during_a_pause_resumes_at_the_first_step(morning):
    running(morning, "FIRST_STEP")
    at = NINE + timedelta(minutes=65)
    make_rate(morning.visit, morning.nurse, at, "pause", "0")
    assert chart(morning, 66).restart.ml_per_h == Decimal("43.2")

    another(morning)

    assert Flag.objects.get().action == "observe"
    assert chart(morning, 71).restart.ml_per_h == Decimal("21.6")


def test_a_lot_typed_wrongly_takes_its_flag_back_with_it(morning):
    running(morning, "FIRST_STEP")
    wrong = another(morning)
    vials.withdraw_vial(vial=wrong, reason="misread", by=morning.by(after=72))

    now = chart(morning, 73)
    assert not now.open_flags
    assert owed(morning, 73) == ("step", 90)


def test_the_report_owes_what_the_chart_showed_after_a_new_lot(morning):
    running(morning, "FIRST_STEP")
    another(morning)
    back_to_the_first_step(morning)
    shown = owed(morning, 73)
    make_vitals(morning.visit, morning.nurse, NINE + timedelta(minutes=85))
    scope = VitalsScope(
        clinic=morning.visit.clinic,
        at=NINE + timedelta(minutes=86),
        first=NINE.date(),
        last=NINE.date(),
        by="stage",
    )

    found, _ = owed_by_visit(scope)

    last = found[morning.visit.pk][-1]
    assert shown == ("first", 85)
    assert (last.owed.value, last.due_at) == ("first", NINE + timedelta(minutes=85))
