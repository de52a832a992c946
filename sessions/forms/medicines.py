"""Forms for medicines given beside the immunoglobulin."""

from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm, WaitingForm
from sessions.forms.fields import MomentField, PlainText


class GiveForm(WaitingForm):
    """One dose of an ordered medicine, given now: a single button."""


class GivenEarlierForm(ClinicForm):
    """One dose of an ordered medicine that was given before it is written down."""

    event_time = MomentField(label=_lazy("Given at"))


class WithdrawForm(ClinicForm):
    """Why a row that was recorded by mistake is taken back."""

    reason = PlainText(max_length=200, label=_lazy("Why is it taken back?"))
