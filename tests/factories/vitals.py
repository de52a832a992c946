"""Sets of vital signs for tests."""

from datetime import datetime

from sessions.models import InfusionSession, User, VitalSigns
from tests.factories.infusions import NORMAL, stamp


def make_vitals(
    session: InfusionSession, user: User, at: datetime, **values
) -> VitalSigns:
    """A full, normal set unless told otherwise, taken and written down at `at`."""
    purpose = values.pop("purpose", "scheduled")
    return VitalSigns.objects.create(
        session=session, purpose=purpose, **(NORMAL | values), **stamp(user, at)
    )
