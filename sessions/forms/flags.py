"""Answers to a flag: an act, a coded reason, or a call."""

from django import forms

from sessions.forms.base import ClinicForm, WaitingForm
from sessions.forms.fields import NumberField, PlainText
from sessions.models import NotDoneReason, OverrideReason

ACTIONS = (
    ("observe", "Look again"),
    ("reduce", "Reduce"),
    ("pause", "Pause"),
    ("stop", "Stop"),
)


class AnswerForm(WaitingForm):
    """An act that answers a flag; the pressed button says what the pump shows."""

    action = forms.ChoiceField(choices=ACTIONS, label="Act")
    rate_ml_per_h = NumberField(
        low="0", high="2000", places=2, label="Rate", unit="mL/h", required=False
    )
    read_back = forms.BooleanField(required=False, label="Pump shows this rate")


class OverrideForm(WaitingForm):
    """Keeping the rate against the protocol."""

    reason_code = forms.ChoiceField(
        choices=(*OverrideReason.choices, *NotDoneReason.choices[:2]),
        required=False,
        label="Reason",
        widget=forms.RadioSelect,
    )
    reason_text = PlainText(max_length=400, required=False, label="In words")


class CallForm(ClinicForm):
    """Who was called."""

    who = PlainText(max_length=200, required=False, label="Who was called")
