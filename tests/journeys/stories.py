"""Days that were lived before a test opens its browser, through the services."""

from datetime import timedelta
from decimal import Decimal

from sessions.models import InfusionSession, Outcome
from sessions.services import finish, infusions
from sessions.services.acts import Actor
from sessions.services.medicines import give
from sessions.services.vitals import record_vitals
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.factories.visits import READING, Morning

PACKS = {"20": "00761250431005", "10": "00761250431012", "5": "00761250431029"}
"""Grams of a vial, and the number on its pack."""
LOT = "P100512345"
FALL = READING | {"systolic_mmhg": 104}
"""24 mmHg under the baseline of 128: the protocol calls for a reduction."""


def scan_of(serial: str, grams: str = "10") -> str:
    """What a scanner types for a vial."""
    return f"01{PACKS[grams]}1728083110{LOT}\x1d21{serial}"


def save_set(morning: Morning, *, after: float, reading=READING, **given):
    """A set of so many minutes after the morning began."""
    return record_vitals(
        session=morning.fresh(), reading=reading, by=morning.by(after=after), **given
    )


def step_to(morning: Morning, step: int, *, after: float):
    """A good set, and with it the next step."""
    rate = Decimal(morning.fresh().start.plan["rungs"][step - 1]["pump_ml_per_h"])
    return save_set(morning, after=after, step_up_to=rate, read_back=True)


def end_early(morning: Morning, *, after: float) -> InfusionSession:
    """The rest of a visit: ended early, looked at, discharged an hour later."""
    finish.end_infusion(
        session=morning.fresh(), by=morning.by(after=after), reason_code="patient"
    )
    save_set(morning, after=after + 60)
    finish.discharge(
        session=morning.fresh(),
        by=morning.by(after=after + 61),
        outcome=Outcome.STOPPED_EARLY,
        reason_code="patient",
        password=PASSWORD,
    )
    return morning.fresh()


def second_visit(clock, cast, *, medicines=(), scanned=True) -> Morning:
    """35 g in three vials, whose packs this clinic knows; checked in today.

    Packs that were not `scanned` have no serial number: the clinic knows their lot.
    """
    today, earlier = clock.now, clock.now - timedelta(days=27)
    order = {"medicines": medicines, "dose_g_per_kg": Decimal("0.49")}
    morning = Morning.of(at=earlier, order=order, **cast)
    visit = visits.ready(
        morning.visit, nurse=morning.nurse, at=earlier, skip={"vials", "baseline"}
    )
    for grams, gtin in PACKS.items():
        code = {"serial": f"E{grams}", "gtin": gtin} if scanned else {}
        visits.vial(visit, nurse=morning.nurse, at=earlier, grams=grams, **code)
    for ordered in medicines and visit.order.current.medicines.all():
        give(session=visit, ordered=ordered, by=morning.by())
    save_set(morning, after=44, purpose="baseline")
    ready_at = earlier + timedelta(minutes=44)
    visits.pass_all_warnings(morning.fresh(), nurse=morning.nurse, at=ready_at)
    infusions.start(
        session=morning.fresh(),
        read_back_ml_per_h=Decimal("21.6"),
        by=morning.by(after=45),
    )
    end_early(morning, after=880)
    morning.at = today
    morning.visit = visits.checked_in(
        morning.order,
        charge_nurse=morning.charge_nurse,
        nurse=morning.nurse,
        at=today,
    )
    return morning


def by(user, at) -> Actor:
    return Actor.of(user=user, clinic=user.clinic, at=at)
