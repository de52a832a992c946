"""Acts on the pump's rate: what the pump shows is read back, by hand needs a reason."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm, WaitingForm
from sessions.forms.corrections import Correcting
from sessions.forms.fields import MomentField, NumberField, PlainText
from sessions.models import STANDSTILL, RateChange, RateKind, RateReason, ResumeReason
from sessions.rules.quantities import plain


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


class RateCorrectionForm(Correcting, ClinicForm):
    """At which rate the pump really ran, and from when.

    `top_ml_per_h` is the ceiling of the order; a rate above it is asked about.
    """

    rate_ml_per_h = NumberField(
        low="0.01", high="2000", places=2, label=_lazy("The pump ran at"), unit="mL/h"
    )
    event_time = MomentField(label=_lazy("From when"), required=False)

    def __init__(
        self, *args: Any, old: RateChange, top_ml_per_h: Decimal, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.top_ml_per_h = top_ml_per_h
        self.initial = {
            "rate_ml_per_h": plain(old.rate_ml_per_h),
            "event_time": self.fields["event_time"].as_typed(old.event_time),
        }
        if old.kind in STANDSTILL:
            del self.fields["rate_ml_per_h"]
        if old.kind == RateKind.START:
            del self.fields["event_time"]
        self.order_fields(("rate_ml_per_h", "event_time"))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        rate = data.get("rate_ml_per_h")
        if rate is not None and rate > self.top_ml_per_h:
            words = _(
                "{rate} mL/h is above the ceiling of this order, {top} mL/h. Did the "
                "pump really run at it? Then tell the prescriber."
            )
            top = plain(self.top_ml_per_h)
            self.ask("rate_ml_per_h", words.format(rate=plain(rate), top=top))
        return data

    @property
    def to_ml_per_h(self) -> Decimal:
        """What the pump ran at; zero where it stood still."""
        return self.cleaned_data.get("rate_ml_per_h", Decimal(0))
