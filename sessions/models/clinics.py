"""A clinic, its chairs and its own settings."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.fields import Choice, Count, Measure, Text

ALWAYS_TWO_FACTORS = ("admin", "prescriber")
"""Who can change what others may do, or what a patient is given."""


class LabelRegion(models.TextChoices):
    """Which label of a product binds (the same vial has several)."""

    US = "us", _lazy("United States")
    EU = "eu", _lazy("European Union, United Kingdom")
    AU = "au", _lazy("Australia, New Zealand")
    CA = "ca", _lazy("Canada")


class TemperatureUnit(models.TextChoices):
    CELSIUS = "Cel", "°C"
    FAHRENHEIT = "[degF]", "°F"


class Clinic(models.Model):
    """One site. Every clinical row belongs to exactly one clinic.

    The numbers are the clinic's operational settings. Clinical policy (ladders,
    thresholds) is in `Protocol`.
    """

    name = Text(max_length=120)
    code = Text(max_length=20, unique=True)
    time_zone = Text(max_length=60, default="UTC")
    phone = Text(max_length=40, blank=True)
    emergency_number = Text(max_length=40, blank=True)
    label_region = Choice(choices=LabelRegion, default=LabelRegion.US)
    # Of the record and, where a user chose none, of the screens.
    language = Choice(
        choices=settings.LANGUAGES, max_length=10, default=settings.LANGUAGE_CODE
    )
    temperature_unit = Choice(choices=TemperatureUnit, default=TemperatureUnit.CELSIUS)
    pump_resolution_ml_per_h = Measure(
        low="0.01", high="10", digits=4, places=2, default="0.1"
    )
    weight_valid_days = Count(low=1, high=180, default=28)
    late_entry_minutes = Count(low=1, high=240, default=15)
    future_minutes = Count(low=0, high=15, default=2)
    idle_minutes = Count(low=1, high=60, default=15)
    absolute_hours = Count(low=1, high=24, default=12)
    stale_seconds = Count(low=10, high=300, default=30)
    countersign_hours = Count(low=1, high=168, default=24)
    consent_required = models.BooleanField(default=True)
    # Roles beyond admins and prescribers, separated by commas.
    second_factor_roles = Text(max_length=120, blank=True)
    # What no password may be made of, beside the clinic's name; separated by commas.
    password_words = Text(max_length=400, blank=True)
    wall_initials = models.BooleanField(default=False)
    is_demo = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def day_of(self, moment: datetime) -> date:
        """The day of this clinic's calendar on which a moment lies."""
        return moment.astimezone(self.zone).date()

    def days_between(self, since: datetime, until: datetime) -> int:
        """Days of this clinic's calendar from one moment to another."""
        return (self.day_of(until) - self.day_of(since)).days

    def asks_second_factor_of(self, role: str) -> bool:
        """Whether a role has to prove itself twice; never in a demo clinic.

        The roles of `ALWAYS_TWO_FACTORS` no setting can release.
        """
        chosen = self.second_factor_roles.split(",")
        return not self.is_demo and (role in ALWAYS_TWO_FACTORS or role in chosen)


class Chair(models.Model):
    """A place where one infusion runs."""

    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="chairs")
    name = Text(max_length=20)
    position = models.PositiveSmallIntegerField(default=0)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.UniqueConstraint(fields=["clinic", "name"], name="chair_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class WallScreen(models.Model):
    """A browser that shows the wall without anybody signed in, until an admin ends it.

    `key_hash` is SHA-256 of the key in that browser's cookie: who reads this table
    cannot make a wall of another browser.
    """

    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="wall_screens")
    name = Text(max_length=40)
    key_hash = Text(max_length=64, unique=True)
    opened_at = models.DateTimeField()
    opened_by = models.ForeignKey("infusions.User", models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["opened_at", "pk"]

    def __str__(self) -> str:
        return self.name
