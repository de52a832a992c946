"""Moments of visits that pages show: pages read the clock, so tests count from it."""

from datetime import datetime, timedelta

from django.utils import timezone


def ago(minutes: float) -> datetime:
    """So many minutes before now."""
    return timezone.now() - timedelta(minutes=minutes)
