"""First set-up, the clinic's settings, its chairs."""

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms

from sessions.forms.base import ClinicForm
from sessions.forms.fields import NumberField, PlainText, WholeField
from sessions.forms.staff import NewPasswordField, UsernameField, check_password_pair
from sessions.models import (
    ALWAYS_TWO_FACTORS,
    Clinic,
    LabelRegion,
    TemperatureUnit,
    User,
)
from sessions.roles import ROLES
from sessions.rules.quantities import plain

ZONES = [
    (name, name.replace("_", " "))
    for name in sorted(available_timezones())
    if "/" in name and not name.startswith(("Etc/", "posix/", "right/", "SystemV/"))
] + [("UTC", "UTC")]
"""Zones by place, because a place follows its own clock changes."""

_ZONE_HELP = "Every time on screen and paper is written in this zone."
_REGION_HELP = (
    "Whose label binds: the same vial has other rates and doses in another region."
)


class SetUpForm(forms.Form):
    """What a server needs before its first patient: a clinic, chairs and an admin."""

    name = PlainText(max_length=120, label="Name of the clinic")
    time_zone = forms.ChoiceField(choices=ZONES, initial="UTC", help_text=_ZONE_HELP)
    label_region = forms.ChoiceField(
        choices=LabelRegion.choices, help_text=_REGION_HELP
    )
    chairs = WholeField(
        low=1,
        high=200,
        initial="6",
        label="Number of chairs",
        help_text="They are called 01, 02 and so on; rename them later.",
    )
    admin_name = PlainText(max_length=120, label="Your name")
    username = UsernameField(label="Your user name")
    password = NewPasswordField(label="Your password")
    again = NewPasswordField(label="Your password again", help_text="")

    def clean(self) -> None:
        user = User(
            username=self.cleaned_data.get("username", ""),
            name=self.cleaned_data.get("admin_name", ""),
        )
        check_password_pair(self, name="password", again="again", user=user)


class RolesField(forms.MultipleChoiceField):
    """Roles, kept as one text: `charge nurse,nurse`."""

    def clean(self, value):
        return ",".join(sorted(super().clean(value)))


def _count(name: str, label: str, help_text: str) -> WholeField:
    """A form field with the limits of the clinic's column."""
    column = Clinic._meta.get_field(name)
    limits = f" From {column.low} to {column.high}."
    return WholeField(
        low=column.low, high=column.high, label=label, help_text=help_text + limits
    )


class ClinicSettingsForm(ClinicForm):
    """Every setting of a clinic, in plain words, with unit and limits."""

    name = PlainText(max_length=120, label="Name of the clinic")
    phone = PlainText(
        max_length=40,
        required=False,
        label="Telephone",
        help_text="Printed for patients on what they take home.",
    )
    emergency_number = PlainText(
        max_length=40,
        required=False,
        help_text="Shown on every emergency flag: who is called first.",
    )
    time_zone = forms.ChoiceField(choices=ZONES, help_text=_ZONE_HELP)
    label_region = forms.ChoiceField(
        choices=LabelRegion.choices,
        help_text=_REGION_HELP + " Orders keep the label they were made with.",
    )
    temperature_unit = forms.ChoiceField(
        choices=TemperatureUnit.choices,
        help_text="The unit nurses type. A value that fits only the other is refused.",
    )
    pump_resolution_ml_per_h = NumberField(
        low="0.01",
        high="10",
        places=2,
        label="Smallest step of the pumps, mL/h",
        help_text="Rates are rounded down to it. From 0.01 to 10.",
    )
    weight_valid_days = _count(
        "weight_valid_days",
        "A weight is valid for, days",
        "An older one is asked again before Start.",
    )
    countersign_hours = _count(
        "countersign_hours",
        "Telephone orders are countersigned within, hours",
        "After that the order stands in the work list as overdue.",
    )
    late_entry_minutes = _count(
        "late_entry_minutes",
        "Late entry after, minutes",
        "Entered later than this after it happened, an entry is labelled late.",
    )
    future_minutes = _count(
        "future_minutes",
        "Clocks may differ by, minutes",
        "A time further in the future is refused.",
    )
    idle_minutes = _count(
        "idle_minutes",
        "Sign out when unused for, minutes",
        "A screen that only refreshes itself counts as unused.",
    )
    absolute_hours = _count(
        "absolute_hours",
        "Sign out in any case after, hours",
        "A shift, at most.",
    )
    stale_seconds = _count(
        "stale_seconds",
        "The board is not live after, seconds",
        "Without news for this long it says NOT UPDATING and dims.",
    )
    second_factor_roles = RolesField(
        required=False,
        choices=[
            (role, role.capitalize())
            for role in ROLES
            if role not in ALWAYS_TWO_FACTORS
        ],
        widget=forms.CheckboxSelectMultiple,
        label="A second factor is also asked of",
        help_text="Admins and prescribers always need one. Who is in now goes on until "
        "the next sign-in.",
    )
    consent_required = forms.BooleanField(
        required=False, label="Start needs a valid consent to a blood product"
    )
    wall_initials = forms.BooleanField(
        required=False, label="The wall screen shows patients' initials"
    )

    @staticmethod
    def values_of(clinic: Clinic) -> dict[str, Any]:
        """What the form shows first: the settings as they are."""
        values = {n: getattr(clinic, n) for n in ClinicSettingsForm.base_fields}
        roles = filter(None, clinic.second_factor_roles.split(","))
        return {
            name: plain(value) if isinstance(value, Decimal) else value
            for name, value in values.items()
        } | {"second_factor_roles": list(roles)}


class ChairForm(ClinicForm):
    """A chair's name, and whether it is in use."""

    name = PlainText(max_length=20, help_text="What stands on it: 07, or Bay 2.")


class ChangeChairForm(ChairForm):
    active = forms.BooleanField(required=False, label="In use")
