"""What the audit page can be narrowed to; anything else in the address is ignored."""

from datetime import datetime, time, timedelta
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.fields import DayField
from sessions.models import AuditEntry, Clinic, User

OBJECTS = (
    ("", _lazy("Anything")),
    ("infusionsession", _lazy("Visit")),
    ("order", _lazy("Order")),
    ("orderversion", _lazy("Order version")),
    ("patient", _lazy("Patient")),
    ("vitalsigns", _lazy("Vital signs")),
    ("ratechange", _lazy("Rate change")),
    ("flag", _lazy("Flag")),
    ("flagevent", _lazy("Answer to a flag")),
    ("reaction", _lazy("Reaction")),
    ("reactionoutcome", _lazy("Outcome of a reaction")),
    ("note", _lazy("Note")),
    ("vial", _lazy("Vial")),
    ("vialend", _lazy("End of a vial")),
    ("recalledlot", _lazy("Recalled lot")),
    ("givenmedicine", _lazy("Given medicine")),
    ("start", _lazy("Start")),
    ("identitycheck", _lazy("Identity check")),
    ("screening", _lazy("Checks before the Start")),
    ("linecheck", _lazy("Line")),
    ("gateoverride", _lazy("Warning or hard stop passed")),
    ("weight", _lazy("Weight")),
    ("height", _lazy("Height")),
    ("allergy", _lazy("Allergy")),
    ("riskfactor", _lazy("Risk factor")),
    ("labresult", _lazy("Laboratory result")),
    ("consent", _lazy("Consent")),
    ("clinic", _lazy("Clinic")),
    ("chair", _lazy("Chair")),
    ("wallscreen", _lazy("Wall screen")),
    ("user", _lazy("Member of staff")),
    ("factor", _lazy("Second factor")),
    ("login", _lazy("Login")),
    ("signature", _lazy("Signature")),
    ("protocolversion", _lazy("Protocol version")),
)

KINDS = dict(OBJECTS)


def act_words(code: str) -> str:
    """What was done in words: `infusion.check-in` is `Infusion: check in`."""
    said = _(code)
    if said != code:
        return said
    noun, _dot, verb = code.partition(".")
    return f"{noun.capitalize()}: {verb.replace('-', ' ')}" if verb else noun


def kind_words(kind: str) -> str:
    """What it was done to in words: `vitalsigns` is `Vital signs`."""
    return KINDS.get(kind, kind.capitalize())


class AuditFilter(forms.Form):
    """User, action, kind of object and days; all of them may be left open."""

    user = forms.ChoiceField(required=False, label=_lazy("Who"))
    action = forms.ChoiceField(required=False, label=_lazy("What was done"))
    object = forms.ChoiceField(required=False, label=_lazy("To what"), choices=OBJECTS)
    number = forms.CharField(
        required=False,
        max_length=18,
        label=_lazy("Number"),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "size": 6}),
    )
    first = DayField(required=False, label=_lazy("From"))
    last = DayField(required=False, label=_lazy("To"))

    def __init__(self, data, *, clinic: Clinic) -> None:
        super().__init__(data, label_suffix="")
        self.clinic = clinic
        users = User.objects.filter(clinic=clinic).order_by("name")
        self.fields["user"].choices = [
            ("", _("Anybody")),
            *((str(user.pk), f"{user.name} ({user.username})") for user in users),
        ]
        actions = (
            AuditEntry.objects.filter(clinic=clinic)
            .order_by("action")
            .values_list("action", flat=True)
            .distinct()
        )
        self.fields["action"].choices = [
            ("", _("Any act")),
            *((action, act_words(action)) for action in actions),
        ]

    def clean_number(self) -> int | None:
        text = self.cleaned_data["number"].strip()
        if text and not (text.isascii() and text.isdigit()):
            raise forms.ValidationError(_("Only digits."))
        return int(text) if text else None

    @property
    def conditions(self) -> dict:
        """The chosen filters as conditions on the audit; the days are the clinic's."""
        chosen = self.cleaned_data if self.is_valid() else {}
        zone = self.clinic.zone
        found = {
            "user_id": chosen.get("user"),
            "action": chosen.get("action"),
            "object_type": chosen.get("object"),
            "object_id": chosen.get("number"),
        }
        if first := chosen.get("first"):
            found["at__gte"] = datetime.combine(first, time(), tzinfo=zone)
        if last := chosen.get("last"):
            day_after = last + timedelta(days=1)
            found["at__lt"] = datetime.combine(day_after, time(), tzinfo=zone)
        return {name: value for name, value in found.items() if value}

    @property
    def query(self) -> str:
        """The chosen filters as they stand in an address, ending in "&"."""
        chosen = {n: self.data[n] for n in self.fields if self.data.get(n)}
        return urlencode(chosen) + "&" if chosen else ""
