"""Recalled lots: their vials are refused, and hold the Start of who has one."""

from decimal import Decimal

import pytest

from sessions.models import RecalledLot, Vial
from sessions.services import infusions, recalls, vials
from sessions.services.acts import Refused
from tests.conftest import NINE
from tests.factories import visits
from tests.factories.visits import Morning


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


def add(morning: Morning, **given) -> Vial:
    return visits.vial(morning.fresh(), nurse=morning.nurse, at=NINE, **given)


def called_back(morning: Morning, lot: str = "P100512345") -> RecalledLot:
    return recalls.recall_lot(
        product_key="privigen_10",
        lot=lot,
        reason="notice 2026-11, particles",
        by=morning.by(morning.pharmacist),
    )


@pytest.mark.parametrize("lot", ["P100512345", "p100512345"])
def test_a_vial_of_a_recalled_lot_is_refused_in_words(morning, lot):
    called_back(morning, lot)

    with pytest.raises(Refused, match="recalled on 2 Mar 2026: notice 2026-11"):
        add(morning)

    assert not Vial.objects.exists()
    assert add(morning, lot="P2")


def test_a_lot_recalled_after_its_scan_holds_the_start_until_it_is_taken_back(morning):
    morning.ready()
    assert not morning.holds()

    called_back(morning)

    held = [hold for hold in morning.holds() if hold.rule.startswith("recall-")]
    assert [hold.item for hold in held] == ["vials", "vials"]
    assert held[0].kind == "to_do"  # no reason passes it
    with pytest.raises(Refused):
        infusions.start(
            session=morning.visit,
            read_back_ml_per_h=Decimal("21.6"),
            by=morning.by(after=1),
        )


def test_a_recalled_lot_is_not_offered_again(morning):
    add(morning)
    clinic = morning.order.clinic
    assert vials.recent_lots(clinic, "privigen_10", at=NINE)

    called_back(morning)

    assert not vials.recent_lots(clinic, "privigen_10", at=NINE)


def test_a_lot_is_on_the_list_once_and_taken_off_with_a_reason(morning):
    row = called_back(morning)
    with pytest.raises(Refused, match="on the list already"):
        called_back(morning, "p100512345")

    recalls.lift_recall(recall=row, reason="another lot was meant", by=morning.by())

    assert add(morning)
    assert RecalledLot.objects.count() == 2
    with pytest.raises(Refused, match="already"):
        recalls.lift_recall(recall=row, reason="again", by=morning.by())


def test_the_list_names_the_visits_that_had_a_vial_of_the_lot(morning, other_clinic):
    vial = add(morning)
    called_back(morning)

    (entry,) = recalls.list_of(morning.order.clinic)

    assert entry.vials == [vial]
    assert recalls.list_of(other_clinic) == []
    assert recalls.find_recall(other_clinic, "privigen_10", vial.lot) is None
