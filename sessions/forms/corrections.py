"""Why a row of a visit is corrected or withdrawn, and signed for where that is due."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm
from sessions.forms.fields import PlainText
from sessions.models import ClinicalRow


class Correcting(forms.Form):
    """The reason of a correction; the password too, once the record was signed.

    `is_signed` says that the visit was discharged: what corrects it is signed as well
    (SAFETY 6).
    """

    correction_reason = PlainText(
        max_length=200,
        label=_lazy("Why is it corrected?"),
        error_messages={"required": _lazy("Write why it is corrected.")},
    )

    def __init__(self, *args: Any, is_signed: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        if is_signed:
            self.fields["password"] = forms.CharField(
                max_length=200,
                strip=False,
                label=_lazy("Your password"),
                widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
            )

    @property
    def why(self) -> dict[str, str]:
        """Reason and password, as the services take them."""
        data = self.cleaned_data
        return {
            "reason": data["correction_reason"],
            "password": data.get("password", ""),
        }

    def moment(self, old: ClinicalRow) -> datetime | None:
        """The time that was typed; None when it was left as shown.

        A form shows minutes: what is left alone stays as it was, to the second.
        """
        typed = self.cleaned_data.get("event_time")
        shown = old.event_time.replace(second=0, microsecond=0)
        return None if typed == shown else typed


class WithdrawForm(Correcting, ClinicForm):
    """Why a row does not belong here at all."""

    correction_reason = PlainText(
        max_length=200,
        label=_lazy("Why is it withdrawn?"),
        error_messages={"required": _lazy("Write why it is withdrawn.")},
    )
