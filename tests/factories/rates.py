"""Changes of rate for tests, row by row as they would stand in the record."""

from datetime import datetime
from decimal import Decimal

from sessions.models import InfusionSession, RateChange, User
from tests.factories.infusions import stamp


def make_rate(
    session: InfusionSession, user: User, at: datetime, kind: str, rate: str, **given
) -> RateChange:
    """One change to `rate` mL/h; per kilogram by the weight of the Start."""
    last = session.ratechanges.order_by("-event_time", "-pk").first()
    per_kg = Decimal(rate) / session.start.dosing_weight_kg
    return RateChange.objects.create(
        session=session,
        kind=kind,
        before_ml_per_h=last.rate_ml_per_h if last else 0,
        rate_ml_per_h=Decimal(rate),
        rate_ml_per_kg_h=round(per_kg, 6),
        **given,
        **stamp(user, at),
    )
