"""Answers to a flag: an act, a coded reason, or a call."""

from django import forms
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import WaitingForm
from sessions.forms.fields import NumberField, PlainText
from sessions.models import NotDoneReason, OverrideReason

ACTIONS = (
    ("observe", _lazy("Look again")),
    ("reduce", _lazy("Reduce")),
    ("pause", _lazy("Pause")),
    ("stop", _lazy("Stop")),
)


class AnswerForm(WaitingForm):
    """An act that answers a flag; the pressed button says what the pump shows."""

    action = forms.ChoiceField(choices=ACTIONS, label=_lazy("Act"))
    rate_ml_per_h = NumberField(
        low="0", high="2000", places=2, label=_lazy("Rate"), unit="mL/h", required=False
    )
    read_back = forms.BooleanField(required=False, label=_lazy("Pump shows this rate"))


class OverrideForm(WaitingForm):
    """Keeping the rate against the protocol."""

    reason_code = forms.ChoiceField(
        choices=(*OverrideReason.choices, *NotDoneReason.choices[:2]),
        required=False,
        label=_lazy("Reason"),
        widget=forms.RadioSelect,
    )
    reason_text = PlainText(max_length=400, required=False, label=_lazy("In words"))


class CallForm(WaitingForm):
    """Who was called."""

    who = PlainText(max_length=200, required=False, label=_lazy("Who was called"))
