"""Vials: opened, taken back, finished, and what was left."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from sessions.models import Vial, VialEnd
from sessions.services import finish, infusions, orders, vials
from sessions.services.acts import Refused
from sessions.services.preparation import prepare
from tests.conftest import NINE
from tests.factories import visits
from tests.factories.orders import choices
from tests.factories.visits import Morning

GTIN = "00761250431005"


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


def add(morning: Morning, *, after: float = 0, **given) -> Vial:
    at = NINE + timedelta(minutes=after)
    return visits.vial(morning.fresh(), nurse=morning.nurse, at=at, **given)


def test_a_vial_knows_its_volume_from_the_product(morning):
    assert add(morning, grams="20").volume_ml == 200


@pytest.mark.parametrize("days", [0, 1])
def test_a_vial_may_be_used_on_its_last_day(morning, days):
    assert add(morning, expiry=(NINE + timedelta(days=days)).date())


def test_an_expired_vial_is_refused(morning):
    with pytest.raises(Refused, match="expired on 1 Mar 2026"):
        add(morning, expiry=(NINE - timedelta(days=1)).date())


@pytest.mark.in_utc
@pytest.mark.parametrize(
    ("opened", "refusal"),
    [
        (-1, "before the check-in at 09:00"),
        (0, ""),
        (32, ""),
        (33, "lies in the future"),
    ],
)
def test_a_vial_is_opened_between_the_check_in_and_now(morning, opened, refusal):
    moment = NINE + timedelta(minutes=opened)
    if not refusal:
        assert add(morning, after=30, event_time=moment).event_time == moment
        return
    with pytest.raises(Refused, match=refusal) as refused:
        add(morning, after=30, event_time=moment)
    assert refused.value.field == "event_time"


@pytest.mark.in_utc
def test_a_vial_opened_before_midnight_of_its_last_day_is_taken_after_it(morning):
    day = NINE.date()
    late = (15 * 60 - 5, 15 * 60 + 10)  # five to midnight, and ten past

    with pytest.raises(Refused, match="expired"):
        add(morning, after=late[1], expiry=day)
    opened = NINE + timedelta(minutes=late[0])
    assert add(morning, after=late[1], expiry=day, event_time=opened)


def test_another_product_is_refused(morning):
    with pytest.raises(Refused, match="The order is for Privigen"):
        add(morning, product_key="octagam_10")


def test_a_running_visit_takes_vials_of_what_it_was_started_with(morning, prescriber):
    """A new draft of the order changes nothing at the chair."""
    morning.started()
    orders.change_order(
        order=morning.order,
        choices=choices(
            product="octagam_10", reason="supply", change_note="another product"
        ),
        by=morning.by(prescriber, after=20),
    )

    assert add(morning, serial="B1", after=25)
    with pytest.raises(Refused, match="The order is for Privigen"):
        add(morning, product_key="octagam_10", serial="B2", after=26)
    assert prepare(morning.fresh(), at=NINE).version.product_key == "privigen_10"


def test_a_serial_is_used_once_in_the_clinic(morning):
    add(morning, serial="A1", gtin=GTIN)

    with pytest.raises(Refused, match="already for this visit"):
        add(morning, serial="A1", gtin=GTIN)
    assert add(morning, serial="A2", gtin=GTIN)


def test_a_vial_taken_back_frees_its_serial(morning):
    row = add(morning, serial="A1", gtin=GTIN)
    vials.withdraw_vial(vial=row, reason="wrong patient", by=morning.by())

    assert add(morning, serial="A1", gtin=GTIN)


def test_a_pack_is_known_after_its_first_scan(morning):
    clinic = morning.order.clinic
    assert vials.pack_of(clinic, GTIN) is None

    add(morning, serial="A1", gtin=GTIN)

    assert vials.pack_of(clinic, GTIN) == ("privigen_10", Decimal(10))
    with pytest.raises(Refused, match="recorded before as"):
        add(morning, serial="A2", gtin=GTIN, grams="20")


def test_a_pack_is_unknown_to_another_clinic(morning, other_clinic):
    add(morning, serial="A1", gtin=GTIN)

    assert vials.pack_of(other_clinic, GTIN) is None


def test_no_more_than_the_dose_before_the_start(morning):
    add(morning, grams="20")
    add(morning)

    with pytest.raises(Refused, match="already hold 30 g"):
        add(morning)


def test_the_database_wants_a_reason_for_waste(morning):
    row = add(morning)

    with pytest.raises(IntegrityError), transaction.atomic():
        VialEnd.objects.create(
            session=morning.visit,
            vial=row,
            waste_ml=Decimal(1),
            **morning.by().stamp(),
        )


def test_waste_written_before_the_end_is_not_counted_twice(morning):
    morning.started()
    row = vials.current_vials(morning.visit)[0]
    vials.append_end(
        row,
        waste_ml=Decimal(50),
        waste_reason="spilled",
        by=morning.by(after=30),
        event_time=None,
    )

    ended = finish.end_infusion(
        session=morning.visit, by=morning.by(after=60), reason_code="patient"
    )

    assert ended.given_ml == Decimal("21.6")
    assert ended.waste_ml == Decimal("300") - 50 - Decimal("21.6")


def test_lots_opened_lately_are_offered_without_a_serial(morning):
    add(morning)
    add(morning, serial="A1", lot="P2")

    offered = vials.recent_lots(morning.order.clinic, "privigen_10", at=NINE)

    assert [(lot.lot, lot.grams) for lot in offered] == [("P100512345", Decimal(10))]


def test_nothing_is_opened_for_a_visit_that_is_over(morning):
    infusions.cancel(session=morning.visit, reason="fever", by=morning.by())

    with pytest.raises(Refused, match="cancelled"):
        add(morning)
