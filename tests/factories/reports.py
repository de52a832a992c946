"""Finished infusions for reports, row by row, with everything a report may count."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sessions.models import (
    Clinic,
    Flag,
    FlagEvent,
    GivenMedicine,
    InfusionSession,
    OrderMedicine,
    Outcome,
    RateChange,
    Reaction,
    Stage,
    StageChange,
    User,
    Vial,
)
from tests.factories.infusions import make_running, stamp
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

WHEN = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


class Ward:
    """One clinic's nurse and prescriber, who make infusions at chosen moments."""

    def __init__(self, clinic: Clinic, nurse: User, prescriber: User) -> None:
        self.clinic, self.nurse, self.prescriber = clinic, nurse, prescriber

    def infusion(self, at: datetime = WHEN, *, chair: str = "01", **given):
        """An infusion that was started at `at` and still runs."""
        return make_running(
            self.clinic, self.nurse, self.prescriber, at=at, chair=chair, **given
        )

    def rate(self, session: InfusionSession, minutes: float, kind: str, **given):
        """A change of rate; of the kinds that go on, to the step given."""
        step = given.pop("step", None)
        rate = session.start.plan["rungs"][step - 1]["pump_ml_per_h"] if step else "0"
        return make_rate(
            session,
            self.nurse,
            self.after(session, minutes),
            kind,
            rate,
            step=step,
            **given,
        )

    def vitals(self, session: InfusionSession, minutes: float, **given):
        return make_vitals(session, self.nurse, self.after(session, minutes), **given)

    def reaction(
        self, session: InfusionSession, minutes: float, grade: str = "mild", **given
    ) -> Reaction:
        return Reaction.objects.create(
            session=session,
            **{
                "grade": grade,
                "graded_by_rule": grade,
                "phase": "infusing",
                "rate_ml_per_h": Decimal("36"),
                "action": "reduce",
            }
            | given,
            **self.stamp(session, minutes),
        )

    def flag(
        self, session: InfusionSession, minutes: float, action: str = "reduce", **given
    ) -> Flag:
        return Flag.objects.create(
            session=session,
            **{
                "rule": "V-07",
                "action": action,
                "priority": "medium",
                "headline": "Systolic fell 24 mmHg, 128 → 104",
                "calls_for": "a reduction",
                "source": "protocol",
                "rate_from_ml_per_h": Decimal("36"),
                "findings": [],
                "protocol_version": session.start.protocol_version,
            }
            | given,
            **self.stamp(session, minutes),
        )

    def event(self, flag: Flag, minutes: float, kind: str, **given) -> FlagEvent:
        if kind == FlagEvent.Kind.OVERRIDDEN:
            given.setdefault("reason_code", "other")
        return FlagEvent.objects.create(
            flag=flag, kind=kind, **given, **self.stamp(flag.session, minutes)
        )

    def answered(
        self, flag: Flag, minutes: float, kind: str = "pause", **links
    ) -> RateChange:
        """A change of rate that answers a flag, linked as a save links it."""
        change = self.rate(flag.session, minutes, kind, flag=flag, **links)
        self.event(
            flag,
            minutes,
            "answered",
            action=kind,
            rate_change=change,
            recheck_at=self.after(flag.session, minutes + 15),
        )
        return change

    def vial(self, session: InfusionSession, lot: str) -> Vial:
        version = session.order.current
        return Vial.objects.create(
            session=session,
            product_key=version.product_key,
            product_name=version.product_name,
            lot=lot,
            expiry=(session.start.event_time + timedelta(days=400)).date(),
            grams=Decimal(10),
            volume_ml=Decimal(100),
            **self.stamp(session, -10),
        )

    def premedication(self, session: InfusionSession, minutes: float = -30):
        ordered, _ = OrderMedicine.objects.get_or_create(
            order_version=session.order.current,
            purpose="before",
            defaults={
                "medicine_key": "cetirizine_1",
                "name": "Cetirizine",
                "dose": Decimal(10),
                "dose_unit": "mg",
                "route": "PO",
                **self.stamp(session, -60),
            },
        )
        return GivenMedicine.objects.create(
            session=session,
            ordered=ordered,
            medicine_key="cetirizine_1",
            name="Cetirizine",
            dose=Decimal(10),
            dose_unit="mg",
            route="PO",
            **self.stamp(session, minutes),
        )

    def end(self, session: InfusionSession, minutes: float, *, home: float = 30):
        """End the infusion and let the patient go `home` minutes later."""
        self.rate(session, minutes, "end")
        self._move(session, minutes, Stage.INFUSING, Stage.OBSERVING)
        self._move(
            session,
            minutes + home,
            Stage.OBSERVING,
            Stage.DISCHARGED,
            outcome=Outcome.COMPLETED,
        )
        return session

    def _move(self, session, minutes, from_stage, to_stage, **header) -> None:
        StageChange.objects.create(
            session=session,
            from_stage=from_stage,
            to_stage=to_stage,
            **self.stamp(session, minutes),
        )
        InfusionSession.objects.filter(pk=session.pk).update(stage=to_stage, **header)

    def corrected(self, row, **changes):
        """The same row again with other values, in place of the first."""
        fields = {
            column.attname: getattr(row, column.attname)
            for column in row._meta.concrete_fields
            if column.attname != "id"
        }
        fields |= {"supersedes_id": row.pk, "correction_reason": "typed wrongly"}
        return type(row).objects.create(**(fields | changes))

    def withdrawn(self, row):
        return self.corrected(row, entered_in_error=True)

    def after(self, session: InfusionSession, minutes: float) -> datetime:
        return session.start.event_time + timedelta(minutes=minutes)

    def stamp(self, session: InfusionSession, minutes: float) -> dict:
        return stamp(self.nurse, self.after(session, minutes))
