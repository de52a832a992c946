"""Forms of the handover: another nurse, and a note for her."""

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm
from sessions.forms.fields import PlainText
from sessions.models import Note, User


class AssignForm(ClinicForm):
    """Another nurse for one visit."""

    nurse = forms.ChoiceField(label=_lazy("Nurse"))

    def __init__(self, *args, nurses: Iterable[User], **options) -> None:
        super().__init__(*args, **options)
        self.nurses = {str(nurse.pk): nurse for nurse in nurses}
        self.fields["nurse"].choices = [
            (key, str(nurse)) for key, nurse in self.nurses.items()
        ]

    @property
    def chosen(self) -> User:
        return self.nurses[self.cleaned_data["nurse"]]


class NoteForm(ClinicForm):
    """One short text; the number of the note it was written over comes with it."""

    text = PlainText(
        max_length=Note._meta.get_field("text").max_length,
        lines=True,
        required=False,
        label=_lazy("For the next nurse"),
        help_text=_lazy("Empty when nothing is left to tell."),
    )
    replaces = forms.CharField(
        max_length=20, required=False, widget=forms.HiddenInput()
    )

    def clean_replaces(self) -> int | None:
        text = self.cleaned_data["replaces"]
        whole = text.isascii() and text.isdigit()
        return int(text) if whole else None
