"""Acts on the pump's rate: what the pump shows is read back, by hand needs a reason."""

from django import forms
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm, WaitingForm
from sessions.forms.fields import NumberField, PlainText
from sessions.models import RateReason, ResumeReason


class RateForm(WaitingForm):
    """One act on the rate; the pressed button says what the pump shows."""

    rate_ml_per_h = NumberField(
        low="0", high="2000", places=2, label=_lazy("Rate"), unit="mL/h", required=False
    )
    read_back = forms.BooleanField(required=False, label=_lazy("Pump shows this rate"))
    reason_code = forms.ChoiceField(
        choices=RateReason,
        required=False,
        label=_lazy("Reason"),
        widget=forms.RadioSelect,
    )
    reason_text = PlainText(max_length=400, required=False, label=_lazy("In words"))


class ResumeForm(RateForm):
    """Going on after a pause: the proposed rate, or another with a reason."""

    reason_code = forms.ChoiceField(
        choices=ResumeReason,
        required=False,
        label=_lazy("Why faster than proposed?"),
        widget=forms.RadioSelect,
    )


class OverrideForm(ClinicForm):
    """A prescriber's rate above the ceiling, signed with the password."""

    rate_ml_per_h = NumberField(
        low="0.01", high="2000", places=2, label=_lazy("Rate"), unit="mL/h"
    )
    reason_text = PlainText(max_length=400, label=_lazy("Why above the ceiling?"))
    password = forms.CharField(
        max_length=200,
        strip=False,
        label=_lazy("Your password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
