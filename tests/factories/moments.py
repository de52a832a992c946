"""Moments of visits that pages show: pages read the clock, so tests count from it."""

from datetime import datetime, timedelta

from django.utils import timezone

from sessions.forms.fields import MomentField
from sessions.models import Clinic


def ago(minutes: float) -> datetime:
    """So many minutes before now."""
    return timezone.now() - timedelta(minutes=minutes)


def typed(clinic: Clinic, moment: datetime) -> str:
    """A moment as somebody in the clinic writes it, in an hour that comes twice too."""
    field = MomentField()
    field.zone = clinic.zone
    return field.as_typed(moment)
