"""A reaction: chips with three parts, what was done, and later how it went on."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.reactions import vocabulary
from sessions.forms.base import WaitingForm
from sessions.forms.corrections import Correcting
from sessions.forms.fields import MomentField, NumberField, PlainText
from sessions.models import (
    Grade,
    OrderMedicine,
    Reaction,
    ReactionOutcome,
    ReactionSymptom,
)
from sessions.rules.language import say

SEVERITIES = (("mild", "mild"), ("moderate", "mod."), ("severe", "sev."))
PREFIX = "r-"

ACTIONS = (
    ("reduce", _lazy("Reduce")),
    ("pause", _lazy("Pause")),
    ("stop", _lazy("Stop, call")),
    ("continue", _lazy("Go on, with a reason")),
)


class SymptomsForm(WaitingForm):
    """What was seen, since when and how bad: symptoms by chip, onset, grade, note."""

    onset = MomentField(label=_lazy("Onset"), required=False)
    grade = forms.ChoiceField(
        choices=(("", _lazy("as worked out")), *Grade.choices),
        required=False,
        label=_lazy("Grade"),
        widget=forms.RadioSelect,
    )
    note = PlainText(max_length=1000, lines=True, required=False, label=_lazy("Note"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for reaction in vocabulary().reactions:
            self.fields[PREFIX + reaction.key] = forms.ChoiceField(
                choices=SEVERITIES, required=False, label=say(reaction.label)
            )

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """The tapped chips: key and severity, in the catalogue's order."""
        words = dict(SEVERITIES)
        tapped = self.data if self.is_bound else self.initial
        return [
            (reaction.key, severity)
            for reaction in vocabulary().reactions
            if (severity := tapped.get(PREFIX + reaction.key, "")) in words
        ]


class ReactionForm(SymptomsForm):
    """Symptoms, act and as-needed medicines; one save."""

    extra_fields = ("q",)

    def __init__(
        self, *args: Any, medicines: Iterable[OrderMedicine] = (), **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.fields["medicines"].choices = [(m.pk, str(m.name)) for m in medicines]

    action = forms.ChoiceField(
        choices=(("", _lazy("as the protocol calls for")), *ACTIONS),
        required=False,
        label=_lazy("Act"),
        widget=forms.RadioSelect,
    )
    do = forms.ChoiceField(choices=ACTIONS, required=False, label=_lazy("Save"))
    action_reason = PlainText(max_length=400, required=False, label=_lazy("Why go on"))
    rate_ml_per_h = NumberField(
        low="0", high="2000", places=2, label=_lazy("Rate"), unit="mL/h", required=False
    )
    medicines = forms.TypedMultipleChoiceField(
        coerce=int,
        required=False,
        label=_lazy("Give"),
        widget=forms.CheckboxSelectMultiple,
    )

    @property
    def grades(self) -> list[tuple[str, str]]:
        return list(Grade.choices)

    @property
    def grade_now(self) -> str:
        """The grade as it was changed by hand, if it was."""
        return self.data.get("grade", "")

    @property
    def medicines_now(self) -> list[int]:
        """The ticked medicines, while the form is still being filled."""
        ticked = self.data.getlist("medicines") if hasattr(self.data, "getlist") else []
        return [int(pk) for pk in ticked if pk.isascii() and pk.isdigit()]


class ReactionCorrectionForm(Correcting, SymptomsForm):
    """A reaction written down anew; the first entry stays readable beside it."""

    pressed_at = None  # it waits for nothing: a correction is made with the line up

    @classmethod
    def filled(
        cls, row: Reaction, symptoms: Iterable[ReactionSymptom], **options: Any
    ) -> "ReactionCorrectionForm":
        """The form with what stands now."""
        form = cls(**options)
        form.initial = {
            **{PREFIX + each.reaction_key: each.severity for each in symptoms},
            "onset": form.fields["onset"].as_typed(row.event_time),
            "grade": "" if row.grade == row.graded_by_rule else row.grade,
            "note": row.note,
        }
        return form

    def onset_since(self, old: Reaction) -> datetime | None:
        """The onset that was typed; None when it was left as shown, to the minute."""
        typed = self.cleaned_data["onset"]
        shown = old.event_time.replace(second=0, microsecond=0)
        return None if typed == shown else typed


class OutcomeForm(WaitingForm):
    """How a reaction went on; nothing is chosen beforehand (G3)."""

    kind = forms.ChoiceField(
        choices=ReactionOutcome.Kind,
        label=_lazy("Outcome"),
        widget=forms.RadioSelect,
        error_messages={"required": _lazy("Choose an outcome.")},
    )
    event_time = MomentField(label=_lazy("Since when"), required=False)
    note = PlainText(max_length=400, required=False, label=_lazy("Note"))
