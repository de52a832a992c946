"""Whole visits on which nothing happens: the flags that would be raised for nothing.

Each visit runs from its Start to the end of its observation by the schedule of the
chart: every set and every step at its time, through the services a nurse's save goes
through. A person's values scatter around their own rest as two measurements a few
minutes apart do; nothing is cut off, so that now and then a value alone looks like a
reaction, as it does on a ward.
"""

import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest

from sessions.charts import SessionChart, charts_of, for_charts
from sessions.models import Flag, InfusionSession, Stage
from sessions.services import finish, flags, rates
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, STARTED, by, make_patient, make_running

REST = {
    # the middle of a person's own rest, its spread between people, and the spread
    # from one measurement to the next
    "systolic_mmhg": (126, 12, None),
    "diastolic_mmhg": (76, 7, 4.0),
    "pulse": (74, 8, 4.5),
    "respiratory_rate": (15, 1.2, 1.0),
    "spo2": (97.6, 0.8, 0.6),
    "temperature_c": (36.7, 0.2, 0.13),
}
SYSTOLIC_SPREADS = (1.5, 2.5, 3.5, 4.65, 6.0)
"""mmHg, as likely as each other: inside the fifths of 15,317 adults (below 2.00, 3.00,
4.00, 5.30, above) whose pressure was taken three times in one visit (P Muntner et al.,
J Clin Hypertens 2012;14:165-171, NHANES III). The other spreads are assumed."""
LIMITS = {
    "systolic_mmhg": (111, 158),
    "pulse": (51, 90),
    "respiratory_rate": (12, 20),
    "spo2": (96, 100),
}
"""Rest that scores no point of NEWS2 (Royal College of Physicians, 2017), nor lies over
what rule V-18 asks about: a visit with other rest is not uneventful."""
SURPRISE_MMHG = 20
"""What rules V-09 and V-10 speak of. Such a fall in somebody who is well is measured
again at once, as on any ward, and the second value is written down."""
PRODUCTS = ("privigen_10", "gamunex_c_10", "octagam_10")


class Person:
    """Somebody who is well all day."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.rest = {
            name: self.within(name, dice.gauss(middle, between))
            for name, (middle, between, _) in REST.items()
        }
        self.spreads = {name: spread for name, (*_rest, spread) in REST.items()}
        self.spreads["systolic_mmhg"] = dice.choice(SYSTOLIC_SPREADS)

    @staticmethod
    def within(name: str, value: float) -> float:
        low, high = LIMITS.get(name, (0, 1000))
        return min(max(value, low), high)

    def measured(self) -> dict:
        values = {
            name: self.within(name, self.dice.gauss(self.rest[name], spread))
            if name == "spo2"
            else self.dice.gauss(self.rest[name], spread)
            for name, spread in self.spreads.items()
        }
        tenths = Decimal(round(values.pop("temperature_c") * 10)) / 10
        whole = {name: round(value) for name, value in values.items()}
        whole["diastolic_mmhg"] = min(
            whole["diastolic_mmhg"], whole["systolic_mmhg"] - 15
        )
        return NORMAL | whole | {"temperature_c": tenths}


class Visit:
    """One visit by the schedule, minute by minute, until nothing is owed any more."""

    def __init__(self, clinic, nurse, prescriber, number: int) -> None:
        dice = random.Random(number)
        self.nurse, self.person = nurse, Person(dice)
        born = date(1930 + dice.randrange(75), 1 + dice.randrange(12), 5)
        self.at = STARTED + timedelta(days=number)
        self.baseline = self.person.measured()
        self.session = make_running(
            clinic,
            nurse,
            prescriber,
            at=self.at,
            patient=make_patient(clinic, nurse, birth_date=born),
            baseline=self.baseline,
            experience=dice.choice(["first", "experienced"]),
            observation_minutes=dice.choice([20, 60]),
            product_key=dice.choice(PRODUCTS),
            weight_kg=str(dice.randrange(45, 110)),
        )
        self.sets = 0

    def chart(self) -> SessionChart:
        fresh = for_charts(InfusionSession.objects).get(pk=self.session.pk)
        return charts_of([fresh], at=self.at)[0]

    def run(self) -> None:
        while True:
            chart = self.chart()
            moments = [chart.due.at] if chart.due else []
            if chart.session.stage == Stage.INFUSING:
                held = rates.step_held(chart, with_set_now=True)
                step = None if held else chart.running.step_due_at
                moments += [each for each in (step, chart.ends_at) if each]
            elif not moments:
                break
            self.at = max(min(moments), self.at + timedelta(minutes=1))
            self.act(self.chart())
        InfusionSession.objects.filter(pk=self.session.pk).update(
            stage=Stage.DISCHARGED, outcome="completed"
        )

    def measured(self) -> dict:
        first = self.person.measured()
        fall = self.baseline["systolic_mmhg"] - first["systolic_mmhg"]
        return self.person.measured() if fall >= SURPRISE_MMHG else first

    def act(self, chart: SessionChart) -> None:
        if chart.is_volume_in:
            finish.end_infusion(session=chart.session, by=by(self.nurse, self.at))
            return
        held = rates.step_held(chart, with_set_now=True)
        to = chart.running.next_rung
        record_vitals(
            session=chart.session,
            reading=self.measured() | {"tolerated": True},
            step_up_to=None if held or to is None else to.pump_ml_per_h,
            read_back=True,
            by=by(self.nurse, self.at),
        )
        self.sets += 1
        for raised in self.chart().open_flags:
            flags.override_flag(
                chart.session,
                flag_id=raised.flag.pk,
                reason=rates.Reason(code="position"),
                by=by(self.nurse, self.at),
            )


def burden_of(numbers: range, clinic, nurse, prescriber) -> Counter:
    """Flags of each priority, and sets taken, over so many visits."""
    tally = Counter()
    for number in numbers:
        visit = Visit(clinic, nurse, prescriber, number)
        visit.run()
        tally["visits"] += 1
        tally["sets"] += visit.sets
    tally.update(Flag.objects.values_list("priority", flat=True))
    print(dict(tally))
    return tally


def test_a_few_uneventful_visits_raise_nothing_loud(clinic, nurse, prescriber):
    tally = burden_of(range(5), clinic, nurse, prescriber)

    assert tally["sets"] >= 5 * 5
    assert tally["high"] == 0
    assert tally["medium"] <= 1


@pytest.mark.soak
def test_200_uneventful_visits_raise_no_high_and_few_medium_flags(
    clinic, nurse, prescriber
):
    tally = burden_of(range(200), clinic, nurse, prescriber)

    assert tally["sets"] >= 200 * 5
    assert tally["high"] == 0
    assert tally["medium"] <= 200 * 0.2
