"""A record of many visits for the reports, made in bulk and with chance in it.

Times lie on whole minutes, so that things happen at the same moment; one row in five
was corrected or withdrawn later, some of them twice. Visits of `PLAIN_YEAR` run without
a pause or a flag at the last step of their ladder: what vital signs they owed can be
worked out by hand. Those of `EVENTFUL_YEAR` have everything else.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sessions.models import (
    Clinic,
    Flag,
    FlagEvent,
    GivenMedicine,
    InfusionSession,
    OrderMedicine,
    RateChange,
    Reaction,
    Stage,
    StageChange,
    Start,
    User,
    Vial,
    VitalSigns,
)
from tests.factories.infusions import (
    NORMAL,
    make_order,
    make_patient,
    make_protocol,
    stamp,
)

PLAIN_YEAR, EVENTFUL_YEAR = 2024, 2025
GRADES = ("mild", "moderate", "severe", "life-threatening")
CALLED_FOR = ("observe", "reduce", "pause", "stop", "emergency")
OBSERVED_MINUTES = 20
KEPT = (Start, RateChange, VitalSigns, Reaction, Flag, FlagEvent, Vial, GivenMedicine)


@dataclass(slots=True)
class Maker:
    """Rows of one clinic, collected and then written model by model."""

    clinic: Clinic
    nurse: User
    prescriber: User
    dice: random.Random
    versions: list[Any] = field(default_factory=list)
    rows: dict[type, list[Any]] = field(default_factory=dict)

    def make(self, visits: int) -> int:
        """Make so many visits in each of both years; return how many rows there are."""
        self._order_products()
        for number in range(visits):
            for year in (PLAIN_YEAR, EVENTFUL_YEAR):
                begin = datetime(year, 1, 1, 8, tzinfo=UTC)
                at = begin + timedelta(minutes=self.dice.randrange(360 * 1440))
                self._visit(at, is_plain=year == PLAIN_YEAR, number=number)
        self._write()
        return sum(model.objects.filter(clinic=self.clinic).count() for model in KEPT)

    def _order_products(self) -> None:
        protocol = make_protocol(self.clinic, self.nurse, self.prescriber)
        for product in ("privigen_10", "gamunex_c_10", "octagam_10"):
            for indication in ("pi", "itp"):
                patient = make_patient(self.clinic, self.nurse)
                order = make_order(
                    patient,
                    prescriber=self.prescriber,
                    protocol=protocol,
                    product_key=product,
                    indication_key=indication,
                )
                medicine = OrderMedicine.objects.create(
                    order_version=order.current,
                    purpose=self.dice.choice(("before", "before", "as_needed")),
                    medicine_key="cetirizine_1",
                    name="Cetirizine",
                    dose=Decimal(10),
                    dose_unit="mg",
                    route="PO",
                    **stamp(self.prescriber, order.created_at),
                )
                self.versions.append((order, medicine))

    # One visit: objects that know each other, not yet written.

    def _visit(self, at: datetime, *, is_plain: bool, number: int) -> None:
        order, medicine = self.dice.choice(self.versions)
        version = order.current
        session = InfusionSession(
            clinic=self.clinic,
            patient=order.patient,
            order=order,
            nurse=self.nurse,
            stage=Stage.DISCHARGED,
            outcome="completed",
            scheduled_at=at,
            created_at=at,
            created_by=self.nurse,
            entered_in_error=number % 50 == 49,
        )
        baseline = self._set(session, at, -4, purpose="baseline")
        start = Start(
            session=session,
            order_version=version,
            protocol_version=version.protocol_version,
            weight=version.weight,
            weight_kg=version.weight_kg,
            dosing_weight_kg=version.dosing_weight_kg,
            baseline=baseline,
            volume_ml=version.volume_ml,
            experience=self.dice.choice(("first", "experienced", "experienced")),
            observation_minutes=OBSERVED_MINUTES,
            plan=version.plan,
            gate={},
            **stamp(self.nurse, at),
        )
        self._keep(session)
        self._keep(start)
        for _ in range(self.dice.choice((0, 1, 1, 2))):
            self._keep(self._vial(session, version, at))
        if self.dice.random() < 0.4:
            self._keep(self._given(session, medicine, at))
        if is_plain:
            self._plain(session, version, at)
        else:
            self._eventful(session, version, at)

    def _plain(self, session, version, at: datetime) -> None:
        rungs = version.plan["rungs"]
        top = Decimal(rungs[-1]["pump_ml_per_h"])
        self._rate(session, at, 0, "start", step=len(rungs), rate=top)
        end = self.dice.randrange(100, 300)
        self._rate(session, at, end, "end")
        due = 15
        while due < end - 7:
            missed, late = self.dice.random() < 0.15, self.dice.random() < 0.2
            taken = due + self.dice.randrange(*((6, 40) if late else (-4, 6)))
            if not missed and taken < end - 6:
                self._set(session, at, taken)
            due = (due if missed else taken) + 60
        if self.dice.random() < 0.3:  # one that is not whole counts for nothing
            self._set(session, at, self.dice.randrange(1, end - 6), temperature_c=None)
        for owed in (end, end + OBSERVED_MINUTES):
            if self.dice.random() < 0.85:
                self._set(session, at, owed + self.dice.randrange(1, 9))
        gone = end + self.dice.randrange(10, 60)
        self._discharge(session, at, gone)

    def _eventful(self, session, version, at: datetime) -> None:
        self._rate(session, at, 0, "start", step=1)
        minute, step, lowered = 0, 1, []
        for kind in self.dice.choices(("step", "reduce", "pause", "resume"), k=4):
            minute += self.dice.randrange(5, 40)
            step = {"step": step + 1, "reduce": max(1, step - 1)}.get(kind, step)
            went = self._rate(session, at, minute, kind, step=step)
            if kind in ("reduce", "pause"):
                lowered.append(went)
        end = minute + self.dice.randrange(5, 60)
        if self.dice.random() < 0.95:
            kind = self.dice.choice(("end", "end", "end", "stop"))
            lowered.append(self._rate(session, at, end, kind))
        sets = [self._set(session, at, self.dice.randrange(1, end)) for _ in range(4)]
        reactions = [
            self._reaction(session, at, self.dice.randrange(-5, end + 2000))
            if self.dice.random() < 0.2
            else self._reaction(session, at, self.dice.randrange(0, end + 30))
            for _ in range(self.dice.choice((0, 0, 1, 2)))
        ]
        for _ in range(self.dice.choice((0, 0, 1, 2))):
            raised = self.dice.choice((*sets, *reactions))
            self._flag(session, at, raised, lowered)
        self._discharge(session, at, end + 30)

    # Single rows.

    def _stamp(self, at: datetime, minutes: float) -> dict[str, Any]:
        return stamp(self.nurse, at + timedelta(minutes=minutes))

    def _set(self, session, at, minutes, **given) -> VitalSigns:
        values = {"purpose": "scheduled"} | NORMAL | given
        return self._keep(
            VitalSigns(session=session, **values, **self._stamp(at, minutes))
        )

    def _rate(
        self, session, at, minutes, kind, *, step=None, rate=Decimal(40)
    ) -> RateChange:
        stands = kind in ("pause", "stop", "end")
        rate = Decimal(0) if stands else rate
        return self._keep(
            RateChange(
                session=session,
                kind=kind,
                step=None if stands else step,
                before_ml_per_h=rate + (1 if kind == "reduce" else -1 if rate else 0),
                rate_ml_per_h=rate,
                rate_ml_per_kg_h=rate / 72,
                **self._stamp(at, minutes),
            )
        )

    def _reaction(self, session, at, minutes) -> Reaction:
        grade = self.dice.choice(GRADES)
        return self._keep(
            Reaction(
                session=session,
                grade=grade,
                graded_by_rule=grade,
                phase="infusing",
                rate_ml_per_h=Decimal(40),
                action=self.dice.choice(("continue", "reduce", "pause")),
                **self._stamp(at, minutes),
            )
        )

    def _flag(self, session, at, raised, lowered: list[RateChange]) -> None:
        """A flag of a set or a reaction: answered, kept with a reason, or neither."""
        is_reaction = isinstance(raised, Reaction)
        after = (raised.event_time - at) / timedelta(minutes=1)
        flag = self._keep(
            Flag(
                session=session,
                vitals=None if is_reaction else raised,
                reaction=raised if is_reaction else None,
                rule="V-07",
                action=self.dice.choice(CALLED_FOR),
                priority="medium",
                headline="Systolic fell",
                calls_for="a reduction",
                source="protocol",
                rate_from_ml_per_h=Decimal(40),
                findings=[],
                protocol_version=session.order.current.protocol_version,
                **self._stamp(at, after),
            )
        )
        answer = self.dice.choice((*lowered, None, None))
        said = {"flag": flag, **self._stamp(at, after + self.dice.randrange(1, 9))}
        if answer is not None:
            if self.dice.random() < 0.5:
                answer.flag = flag
            if is_reaction and self.dice.random() < 0.5:
                answer.reaction = raised
            if self.dice.random() < 0.7:
                self._keep(FlagEvent(kind="answered", rate_change=answer, **said))
        elif self.dice.random() < 0.6:
            self._keep(FlagEvent(kind="overridden", reason_code="known", **said))
        if self.dice.random() < 0.1:
            self._keep(FlagEvent(kind="closed", **said))

    def _vial(self, session, version, at) -> Vial:
        return Vial(
            session=session,
            product_key=version.product_key,
            product_name=version.product_name,
            lot=f"L{self.dice.randrange(12):02}",
            expiry=(at + timedelta(days=400)).date(),
            grams=Decimal(10),
            volume_ml=Decimal(100),
            **self._stamp(at, -10),
        )

    def _given(self, session, ordered, at) -> GivenMedicine:
        return GivenMedicine(
            session=session,
            ordered=ordered,
            medicine_key=ordered.medicine_key,
            name=ordered.name,
            dose=ordered.dose,
            dose_unit=ordered.dose_unit,
            route=ordered.route,
            **self._stamp(at, self.dice.randrange(-40, 20)),
        )

    def _discharge(self, session, at, minutes) -> None:
        self._keep(
            StageChange(
                session=session,
                from_stage=Stage.OBSERVING,
                to_stage=Stage.DISCHARGED,
                **self._stamp(at, minutes),
            )
        )

    def _keep(self, row: Any) -> Any:
        self.rows.setdefault(type(row), []).append(row)
        return row

    # Writing, parents first; a row that points to one learns its number then.

    def _write(self) -> None:
        order = (InfusionSession, VitalSigns, Start, Reaction, Flag, RateChange)
        for model in (*order, *(each for each in self.rows if each not in order)):
            rows = self.rows.get(model, [])
            model.objects.bulk_create(rows, batch_size=500)
        for model in (VitalSigns, Reaction, RateChange, Flag, FlagEvent):
            self._correct(model, self.rows.get(model, []))
        for model in (Vial, GivenMedicine):
            self._correct(model, self.rows.get(model, []))

    def _correct(self, model: type, rows: list[Any]) -> None:
        """Correct or withdraw one row in five, and one correction in five once more."""
        while rows:
            may = [row for row in rows if getattr(row, "kind", "") != "start"]
            newer = [self._corrected(row) for row in may if self.dice.random() < 0.2]
            rows = model.objects.bulk_create(newer, batch_size=500)
            rows = [row for row in rows if not row.entered_in_error]

    def _corrected(self, row: Any) -> Any:
        fields = {
            column.attname: getattr(row, column.attname)
            for column in row._meta.concrete_fields
            if column.attname != "id"
        } | {"supersedes_id": row.pk, "correction_reason": "typed wrongly"}
        if self.dice.random() < 0.4:
            return type(row)(**fields | {"entered_in_error": True})
        fields["event_time"] += timedelta(minutes=self.dice.randint(-9, 9))
        if isinstance(row, Reaction):
            fields["grade"] = self.dice.choice(GRADES)
        if isinstance(row, Vial):
            fields["lot"] = f"L{self.dice.randrange(12):02}"
        return type(row)(**fields)
