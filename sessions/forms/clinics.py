"""First set-up, the clinic's settings, its chairs."""

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.text import capfirst, format_lazy
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _lazy

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

_ZONE_HELP = _lazy("Every time on screen and paper is written in this zone.")
_REGION_HELP = _lazy(
    "Whose label binds: the same vial has other rates and doses in another region."
)


class SetUpForm(forms.Form):
    """What a server needs before its first patient: a clinic, chairs and an admin."""

    name = PlainText(max_length=120, label=_lazy("Name of the clinic"))
    time_zone = forms.ChoiceField(
        choices=ZONES, initial="UTC", label=_lazy("Time zone"), help_text=_ZONE_HELP
    )
    label_region = forms.ChoiceField(
        choices=LabelRegion.choices,
        label=_lazy("Label region"),
        help_text=_REGION_HELP,
    )
    language = forms.ChoiceField(
        choices=settings.LANGUAGES,
        required=False,
        initial=get_language,
        label=_lazy("Language of the record"),
    )
    chairs = WholeField(
        low=1,
        high=200,
        initial="6",
        label=_lazy("Number of chairs"),
        help_text=_lazy("They are called 01, 02 and so on; rename them later."),
    )
    admin_name = PlainText(max_length=120, label=_lazy("Your name"))
    username = UsernameField(label=_lazy("Your user name"))
    password = NewPasswordField(label=_lazy("Your password"))
    again = NewPasswordField(label=_lazy("Your password again"), help_text="")

    def clean_language(self) -> str:
        return self.cleaned_data["language"] or settings.LANGUAGE_CODE

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
    limits = format_lazy(
        _lazy("From {low} to {high}."), low=column.low, high=column.high
    )
    return WholeField(
        low=column.low,
        high=column.high,
        label=label,
        help_text=format_lazy("{} {}", help_text, limits),
    )


class ClinicSettingsForm(ClinicForm):
    """Every setting of a clinic, in plain words, with unit and limits."""

    name = PlainText(max_length=120, label=_lazy("Name of the clinic"))
    phone = PlainText(
        max_length=40,
        required=False,
        label=_lazy("Telephone"),
        help_text=_lazy("Printed for patients on what they take home."),
    )
    emergency_number = PlainText(
        label=_lazy("Emergency number"),
        max_length=40,
        required=False,
        help_text=_lazy("Shown on every emergency flag: who is called first."),
    )
    time_zone = forms.ChoiceField(
        choices=ZONES, label=_lazy("Time zone"), help_text=_ZONE_HELP
    )
    language = forms.ChoiceField(
        choices=settings.LANGUAGES,
        label=_lazy("Language of the record"),
        help_text=_lazy(
            "Findings and reports are kept in it. Everybody may choose "
            "another language for their own screens."
        ),
    )
    label_region = forms.ChoiceField(
        choices=LabelRegion.choices,
        label=_lazy("Label region"),
        help_text=format_lazy(
            "{} {}", _REGION_HELP, _lazy("Orders keep the label they were made with.")
        ),
    )
    temperature_unit = forms.ChoiceField(
        choices=TemperatureUnit.choices,
        label=_lazy("Temperature unit"),
        help_text=_lazy(
            "The unit nurses type. A value that fits only the other is refused."
        ),
    )
    pump_resolution_ml_per_h = NumberField(
        low="0.01",
        high="10",
        places=2,
        label=_lazy("Smallest step of the pumps, mL/h"),
        help_text=_lazy("Rates are rounded down to it. From 0.01 to 10."),
    )
    weight_valid_days = _count(
        "weight_valid_days",
        _lazy("A weight is valid for, days"),
        _lazy("An older one is asked again before Start."),
    )
    countersign_hours = _count(
        "countersign_hours",
        _lazy("Telephone orders are countersigned within, hours"),
        _lazy("After that the order stands in the work list as overdue."),
    )
    late_entry_minutes = _count(
        "late_entry_minutes",
        _lazy("Late entry after, minutes"),
        _lazy("Entered later than this after it happened, an entry is labelled late."),
    )
    future_minutes = _count(
        "future_minutes",
        _lazy("Clocks may differ by, minutes"),
        _lazy("A time further in the future is refused."),
    )
    idle_minutes = _count(
        "idle_minutes",
        _lazy("Sign out when unused for, minutes"),
        _lazy("A screen that only refreshes itself counts as unused."),
    )
    absolute_hours = _count(
        "absolute_hours",
        _lazy("Sign out in any case after, hours"),
        _lazy("A shift, at most."),
    )
    stale_seconds = _count(
        "stale_seconds",
        _lazy("The board is not live after, seconds"),
        _lazy("Without news for this long it says NOT UPDATING and dims."),
    )
    second_factor_roles = RolesField(
        required=False,
        choices=[
            (role, capfirst(_lazy(role)))
            for role in ROLES
            if role not in ALWAYS_TWO_FACTORS
        ],
        widget=forms.CheckboxSelectMultiple,
        label=_lazy("A second factor is also asked of"),
        help_text=_lazy(
            "Admins and prescribers always need one. Who is in now "
            "goes on until the next sign-in."
        ),
    )
    password_words = PlainText(
        max_length=400,
        required=False,
        label=_lazy("Words no password may be made of"),
        help_text=_lazy(
            "Separated by commas: street, town, the team's nickname. The clinic's own "
            "name counts anyway."
        ),
    )
    consent_required = forms.BooleanField(
        required=False, label=_lazy("Start needs a valid consent to a blood product")
    )
    wall_initials = forms.BooleanField(
        required=False, label=_lazy("The wall screen shows patients' initials")
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

    name = PlainText(
        max_length=20,
        label=_lazy("Name"),
        help_text=_lazy("What stands on it: 07, or Bay 2."),
    )


class ChangeChairForm(ChairForm):
    active = forms.BooleanField(required=False, label=_lazy("In use"))


class WallForm(ClinicForm):
    """What a wall screen is called, so that the right one is ended."""

    name = PlainText(
        max_length=40,
        label=_lazy("Where it hangs"),
        help_text=_lazy("Corridor, or nurses' station."),
    )
