"""Forms of a visit: planned, checked in, prepared, started, ended, discharged."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.forms.base import ClinicForm
from sessions.forms.fields import (
    DayField,
    MomentField,
    NumberField,
    PlainText,
    WholeField,
)
from sessions.models import (
    Answer,
    Chair,
    DischargeReason,
    EndReason,
    HardStopReason,
    OrderVersion,
    Outcome,
    User,
    WarningReason,
)
from sessions.rules.language import day_words, phrase
from sessions.rules.quantities import exact, plain

GAUGES = ("24 G", "22 G", "20 G", "18 G", phrase("Port"), "PICC")
SITES = (
    *(phrase("left forearm"), phrase("right forearm")),
    *(phrase("left hand"), phrase("right hand")),
    *(phrase("left elbow"), phrase("right elbow"), phrase("chest")),
)
VIP = (
    ("0", _lazy("0: healthy")),
    ("1", _lazy("1: slight pain or redness")),
    ("2", _lazy("2: two of pain, redness, swelling")),
    ("3", _lazy("3: all three, along the line")),
    ("4", _lazy("4: all three, and a hard vein")),
    ("5", _lazy("5: all of these, and fever")),
)
"""Visual infusion phlebitis score."""

QUESTIONS = {
    "infection_or_fever": (
        _lazy("Fever, infection or antibiotics since last time?"),
        _lazy("no infection"),
        _lazy("infection or fever"),
    ),
    "headache_after_last": (
        _lazy("Severe headache, stiff neck or light-shy after the last infusion?"),
        _lazy("no headache after last time"),
        _lazy("headache after last time"),
    ),
    "new_clot_or_chest_pain": (
        _lazy("New chest pain, breathlessness, limb swelling or a clot?"),
        _lazy("no new clot or chest pain"),
        _lazy("new clot or chest pain"),
    ),
    "fluids_taken": (
        _lazy("Has had enough to drink?"),
        _lazy("fluids taken"),
        _lazy("too little to drink"),
    ),
    "new_medicines": (
        _lazy("New medicines, a loop diuretic or nephrotoxic drugs?"),
        _lazy("no new medicines"),
        _lazy("new medicines"),
    ),
    "live_vaccine": (
        _lazy("A live vaccine recently, or one planned?"),
        _lazy("no live vaccine"),
        _lazy("live vaccine"),
    ),
    "pregnant": (
        _lazy("Possibly pregnant, or breastfeeding?"),
        _lazy("not pregnant, asked"),
        _lazy("pregnant or breastfeeding"),
    ),
    "emergency_kit_at_chair": (
        _lazy("Adrenaline, oxygen and somebody who answers a call at hand?"),
        _lazy("adrenaline and help at hand"),
        _lazy("no emergency kit"),
    ),
    "history_reviewed": (
        _lazy("Allergies, risks and the last reaction looked at?"),
        _lazy("history reviewed"),
        _lazy("history not reviewed"),
    ),
}
"""For each answer: the question, and how the usual and the other answer are written."""

PASSWORD = {
    "max_length": 200,
    "strip": False,
    "label": _lazy("Your password"),
    "widget": forms.PasswordInput(attrs={"autocomplete": "current-password"}),
}


def _reason(reasons: type[TextChoices], **options) -> forms.ChoiceField:
    options.setdefault("label", _lazy("Reason"))
    return forms.ChoiceField(
        choices=reasons.choices, widget=forms.RadioSelect, **options
    )


class PeopleForm(ClinicForm):
    """A form that offers the clinic's chairs and nurses."""

    def __init__(
        self, *args, chairs: Iterable[Chair], nurses: Iterable[User] = (), **options
    ) -> None:
        super().__init__(*args, **options)
        self.chairs = {str(chair.pk): chair for chair in chairs}
        self.nurses = {str(nurse.pk): nurse for nurse in nurses}
        nobody = [] if self.fields["chair"].required else [("", _("Later"))]
        self.fields["chair"].choices = [
            *nobody,
            *((key, chair.name) for key, chair in self.chairs.items()),
        ]
        if "nurse" in self.fields:
            self.fields["nurse"].choices = [
                ("", _("Later")),
                *((key, str(nurse)) for key, nurse in self.nurses.items()),
            ]

    @property
    def chair(self) -> Chair | None:
        return self.chairs.get(self.cleaned_data.get("chair", ""))

    @property
    def nurse(self) -> User | None:
        return self.nurses.get(self.cleaned_data.get("nurse", ""))


class ClockField(forms.CharField):
    """A time of day, `HH:MM`."""

    def __init__(self, **options) -> None:
        options.setdefault("widget", forms.TimeInput(attrs={"type": "time"}))
        super().__init__(**options)

    def to_python(self, value):
        if value in self.empty_values:
            return None
        if isinstance(value, time):
            return value
        if not re.fullmatch(r"[0-2][0-9]:[0-5][0-9]", str(value).strip(), re.ASCII):
            raise ValidationError(_("Write the time as HH:MM."))
        try:
            return time.fromisoformat(str(value).strip())
        except ValueError as error:
            raise ValidationError(_("There is no such time.")) from error


class PlanForm(PeopleForm):
    """How many visits of a course to plan, from which day on."""

    first = DayField(label=_lazy("First day"))
    clock = ClockField(label=_lazy("Time"))
    visits = WholeField(low=1, high=60, label=_lazy("Visits"))
    chair = forms.ChoiceField(required=False, label=_lazy("Chair"))
    nurse = forms.ChoiceField(required=False, label=_lazy("Nurse"))

    def __init__(self, *args, version: OrderVersion, left: int, **options) -> None:
        super().__init__(*args, **options)
        self.version, self.left = version, left

    def clean_first(self):
        first = self.cleaned_data["first"]
        if first < self.clinic.day_of(self.at):
            raise ValidationError(_("This day is over."))
        return first

    def clean_visits(self):
        visits = self.cleaned_data["visits"]
        if visits > self.left:
            raise ValidationError(
                _("The course has {left} visits left to plan.").format(left=self.left)
            )
        return visits


class AllocateForm(PeopleForm):
    """Another time, chair or nurse for a planned visit."""

    day = DayField(label=_lazy("Day"))
    clock = ClockField(label=_lazy("Time"))
    chair = forms.ChoiceField(required=False, label=_lazy("Chair"))
    nurse = forms.ChoiceField(required=False, label=_lazy("Nurse"))

    def clean(self):
        given = super().clean()
        if given.get("day") and given.get("clock"):
            given["scheduled_at"] = datetime.combine(
                given["day"], given["clock"], tzinfo=self.clinic.zone
            )
        return given


class CheckInForm(PeopleForm):
    """The chair the patient sits down in; a visit of another day is asked about."""

    chair = forms.ChoiceField(widget=forms.RadioSelect, label=_lazy("Chair"))

    def __init__(self, *args, scheduled_at: datetime, **options) -> None:
        super().__init__(*args, **options)
        self.scheduled_at = scheduled_at

    def clean(self):
        given = super().clean()
        planned = self.clinic.day_of(self.scheduled_at)
        today = self.clinic.day_of(self.at)
        if planned != today:
            self.ask(
                "chair",
                _(
                    "This visit is planned for {planned}, today is {today}. "
                    "Check in today?"
                ).format(planned=day_words(planned), today=day_words(today)),
            )
        return given


class TapForm(ClinicForm):
    """One button: nothing to type, only a submission key and where to go back to."""

    extra_fields = ("back",)


class IdentityForm(ClinicForm):
    """Initials and birth year in one box, as they stand on the wristband (A2)."""

    identifiers = forms.CharField(
        max_length=16,
        label=_lazy("Initials and birth year"),
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "data-enter": "submit",
                "data-whole": r"\p{L}{2}\d{4}",
            }
        ),
    )

    def clean_identifiers(self):
        typed = self.cleaned_data["identifiers"].strip()
        match = re.fullmatch(r"([^\W\d_][\s.\-]*[^\W\d_])[\s.,\-]*([0-9]{4})", typed)
        if match is None:
            raise ValidationError(
                _(
                    "Type two initials and four digits of the birth year, such "
                    "as AB1970."
                )
            )
        self.initials = re.sub(r"[\s.\-]", "", match[1])
        self.birth_year = int(match[2])
        return typed


class ChecksForm(ClinicForm):
    """The day's answers; the button "all as usual" attests every usual one at once."""

    extra_fields = ("usual",)
    detail = PlainText(
        max_length=1000, required=False, lines=True, label=_lazy("In words")
    )

    def __init__(
        self,
        *args,
        usual: Mapping[str, Answer],
        leave_out: Sequence[str] = (),
        **options,
    ) -> None:
        super().__init__(*args, **options)
        self.usual = {k: v for k, v in usual.items() if k not in leave_out}
        for name in self.usual:
            self.fields[name] = forms.ChoiceField(
                choices=[
                    (Answer.YES, _("Yes")),
                    (Answer.NO, _("No")),
                    (Answer.NOT_ASKED, _("Not asked")),
                ],
                required=False,
                widget=forms.RadioSelect,
                label=QUESTIONS[name][0],
            )
        self.order_fields([*self.usual, "detail"])

    @property
    def as_usual(self) -> bool:
        return self.data.get("usual") == "1"

    @property
    def questions_asked(self):
        """The bound fields of the questions, in order."""
        return [self[name] for name in self.usual]

    @property
    def usual_words(self) -> list[str]:
        """What one tap attests, each word of it."""
        return [QUESTIONS[name][1] for name in self.usual]

    @property
    def answers(self) -> dict[str, Answer]:
        if self.as_usual:
            return dict(self.usual)
        return {
            name: Answer(self.cleaned_data[name] or Answer.NOT_ASKED)
            for name in self.usual
        }

    def clean(self):
        given = super().clean()
        if self.as_usual:
            return given
        if not any(given.get(name) for name in self.usual):
            self.add_error(
                None, _("Answer at least one question, or tap all as usual.")
            )
        unusual = [
            name
            for name, usual in self.usual.items()
            if given.get(name) in (Answer.YES, Answer.NO) and given[name] != usual
        ]
        if unusual and not given.get("detail"):
            self.add_error("detail", _("Say in a few words what the patient told."))
        return given


class LineForm(ClinicForm):
    """Site by one tap, gauge by the next, which also saves."""

    site = forms.ChoiceField(
        choices=[(site, capfirst(_lazy(site))) for site in SITES],
        widget=forms.RadioSelect,
        label=_lazy("Site"),
    )
    gauge = forms.ChoiceField(
        choices=[(gauge, _lazy(gauge)) for gauge in GAUGES],
        widget=forms.RadioSelect,
        label=_lazy("Gauge"),
    )
    attempts = WholeField(low=1, high=20, label=_lazy("Attempts"), initial=1)
    vip_score = forms.TypedChoiceField(
        choices=VIP, coerce=int, label=_lazy("VIP score"), initial="0"
    )


class WarningsForm(ClinicForm):
    """Warnings to go on in spite of, together, for one coded reason."""

    rules = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, label=_lazy("Warnings")
    )
    reason_code = _reason(WarningReason)
    reason_text = PlainText(required=False, max_length=400, label=_lazy("In words"))

    def __init__(self, *args, warnings: Sequence[tuple[str, str]], **options) -> None:
        options.setdefault("initial", {"rules": [rule for rule, _ in warnings]})
        super().__init__(*args, **options)
        self.fields["rules"].choices = list(warnings)

    def clean(self):
        return _other_needs_words(self, super().clean())


class OverrideForm(ClinicForm):
    """A prescriber's override of one hard stop, with the password."""

    rule = forms.CharField(max_length=40, widget=forms.HiddenInput)
    reason_code = _reason(HardStopReason)
    reason_text = PlainText(required=False, max_length=400, label=_lazy("In words"))
    password = forms.CharField(**PASSWORD)

    def clean(self):
        return _other_needs_words(self, super().clean())


class StartForm(ClinicForm):
    """The pump's rate and volume limit, read back by the nurse."""

    read_back = NumberField(
        low="0.01", high="2000", places=2, unit="mL/h", label=_lazy("The pump shows")
    )
    volume_limit = NumberField(
        low="0.1", high="20000", places=6, unit="mL", label=_lazy("Volume limit")
    )

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.fields["read_back"].error_messages["required"] = _(
            "Read the pump's rate and volume limit back first."
        )
        self.fields["volume_limit"].error_messages["required"] = _(
            "Read the pump's volume limit back first."
        )


class CancelForm(ClinicForm):
    """Why a visit is called off."""

    reason = PlainText(max_length=500, lines=True, label=_lazy("Why is it cancelled?"))


class EndForm(ClinicForm):
    """When and why the infusion ended, and what the pump counted."""

    reason_code = _reason(EndReason, label=_lazy("Why it ends"))
    reason_text = PlainText(required=False, max_length=400, label=_lazy("In words"))
    pump_ml = NumberField(
        required=False,
        low="0",
        high="20000",
        places=1,
        unit="mL",
        label=_lazy("Volume on the pump"),
    )
    event_time = MomentField(required=False, label=_lazy("Ended at, if not now"))

    def __init__(self, *args, given_ml: Decimal, **options) -> None:
        super().__init__(*args, **options)
        self.given_ml = given_ml

    def clean(self):
        given = _other_needs_words(self, super().clean())
        pump = given.get("pump_ml")
        if pump is not None and not given.get("event_time") and self._differs(pump):
            self.ask(
                "pump_ml",
                _(
                    "The pump counted {pump} mL, the recorded rates make "
                    "{given_ml} mL: more than 5 % apart. Is this right?"
                ).format(pump=plain(pump), given_ml=plain(self.given_ml, 1)),
            )
        return given

    def _differs(self, pump: Decimal) -> bool:
        """More than 5 % apart (H22)."""
        larger = max(pump, self.given_ml)
        return abs(exact(pump) - exact(self.given_ml)) * 20 > exact(larger)


class DischargeForm(ClinicForm):
    """How the visit ended, and the signature under its record."""

    outcome = forms.ChoiceField(
        choices=Outcome.choices, widget=forms.RadioSelect, label=_lazy("Outcome")
    )
    reason_code = _reason(DischargeReason, required=False)
    reason_text = PlainText(required=False, max_length=400, label=_lazy("In words"))
    password = forms.CharField(**PASSWORD)

    def clean(self):
        return _other_needs_words(self, super().clean())


class ErrorForm(ClinicForm):
    """Why a whole visit should not be in the record, and the signature."""

    reason = PlainText(
        max_length=400, lines=True, label=_lazy("Why was it entered in error?")
    )
    password = forms.CharField(**PASSWORD)


def _other_needs_words(form: ClinicForm, given: dict) -> dict:
    if given.get("reason_code") == "other" and not given.get("reason_text"):
        form.add_error("reason_text", _("Say what the other reason is."))
    return given
