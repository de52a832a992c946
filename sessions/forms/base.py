"""What every clinical form does: list its fields, refuse the rest, ask when odd."""

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from sessions.forms.fields import MomentField, PressField
from sessions.models import Clinic

CONFIRM = "confirmed"
KEY = "submission_key"
PRESSED = "pressed_at"
OUTSIDE = {"csrfmiddlewaretoken", KEY, CONFIRM, "version"}


class ClinicForm(forms.Form):
    """A form of one clinic at one moment, with a submission key made when rendered.

    `ask(field, question)` raises a soft question: the form stays invalid (422) until
    the same question about the same value comes back confirmed (H5).
    """

    extra_fields: tuple[str, ...] = ()
    """Names of submit buttons and the like that may come with the form."""

    def __init__(self, data=None, *, clinic: Clinic, at: datetime, **options) -> None:
        super().__init__(data, **options)
        self.clinic, self.at = clinic, at
        self.questions: dict[str, str] = {}
        for field in self.fields.values():
            if isinstance(field, MomentField):
                field.zone = clinic.zone
                field.latest = at + timedelta(minutes=clinic.future_minutes)

    @property
    def key(self) -> str:
        """The submission key: the one that came, or a new one for a fresh form."""
        posted = self.data.get(KEY, "") if self.is_bound else ""
        try:
            return str(uuid.UUID(posted))
        except ValueError:
            if not hasattr(self, "_key"):
                self._key = str(uuid.uuid4())
            return self._key

    @property
    def seen_version(self) -> int | None:
        """The version of the row the screen was drawn from, if it was sent."""
        text = self.data.get("version", "")
        whole = text.isascii() and text.isdigit() and len(text) <= 10
        return int(text) if whole else None

    @property
    def pressed(self) -> datetime | None:
        """When the button was pressed, if the entry waited for the line since."""
        return getattr(self, "cleaned_data", {}).get(PRESSED)

    @property
    def content(self) -> dict[str, list[str]]:
        """What was submitted, for recognising a resend; never a password.

        Nor when it was pressed: the same entry is sent with its moment once the line
        is back, and may have arrived without it before.
        """
        secret = {
            self.add_prefix(name)
            for name, field in self.fields.items()
            if isinstance(field.widget, forms.PasswordInput)
        }
        return {
            name: self.data.getlist(name)
            for name in sorted(self.data)
            if name not in {"csrfmiddlewaretoken", KEY, CONFIRM, PRESSED} | secret
        }

    def ask(self, field: str, question: str) -> None:
        """Hold the form until somebody says that this odd value is right."""
        self.questions[field] = question

    @property
    def confirm_token(self) -> str:
        """Stands for these questions about these values and no others."""
        text = repr([(f, q, self.data.get(f, "")) for f, q in self.questions.items()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def confirmed(self) -> bool:
        """True when odd values were asked about and said to be right."""
        return bool(self.questions) and self.data.get(CONFIRM) == self.confirm_token

    def full_clean(self) -> None:
        self.questions = {}
        super().full_clean()
        if self.is_bound:
            self._refuse_strange_fields()
            if self.questions and not self.confirmed and not self.errors:
                self.add_error(
                    None,
                    ValidationError(_("Is this right? Confirm or correct."), "ask"),
                )

    @property
    def asks(self) -> bool:
        """True when only questions stand between this form and the record."""
        return self.is_bound and any(
            error.code == "ask" for error in self.non_field_errors().as_data()
        )

    @property
    def all_questions(self) -> str:
        """What is asked before this is saved, in one sentence after another."""
        return " ".join(self.questions.values())

    @property
    def first_question_id(self) -> str:
        """The box to correct first."""
        return self[next(iter(self.questions))].id_for_label if self.questions else ""

    def _refuse_strange_fields(self) -> None:
        known = {self.add_prefix(name) for name in self.fields} | OUTSIDE
        known |= set(self.extra_fields)
        for name in self.data:
            if name not in known:
                self.add_error(None, _("Unknown field: {name}.").format(name=name[:40]))
            elif len(self.data.getlist(name)) > 1 and not self._many(name):
                self.add_error(None, _("{name}: sent twice.").format(name=name))

    def _many(self, name: str) -> bool:
        return isinstance(self.fields.get(name), forms.MultipleChoiceField)

    def add_refusal(self, refused: Any) -> None:
        """Show what a service refused at the field it names."""
        field = refused.field if refused.field in self.fields else None
        self.add_error(field, refused.message)


class WaitingForm(ClinicForm):
    """A form whose press may wait in the page until the line is back (K3)."""

    pressed_at = PressField()

    @property
    def pressed_text(self) -> str:
        """The moment of the press as it came, to be kept with what was typed."""
        return self.data.get(PRESSED, "") if self.pressed else ""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors.pop(PRESSED, None):  # nobody sees a hidden field's own error
            self.add_error(None, _("When this was pressed is not clear. Press again."))
        return data
