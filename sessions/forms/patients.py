"""Forms about a patient: who it is, what was measured, what is known."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.labs import LabTest, lab_tests, unit_words
from sessions.forms.base import ClinicForm
from sessions.forms.fields import DayField, MomentField, NumberField, PlainText
from sessions.models import (
    AuditEntry,
    Height,
    Patient,
    Presence,
    RiskFactor,
    Severity,
    Sex,
    Weight,
)
from sessions.rules.bodies import age_years, height_questions, weight_questions
from sessions.rules.language import day_words, say
from sessions.rules.names import Named
from sessions.rules.quantities import NumberError, parse_decimal, plain

PREGNANCY_DAYS = 300
"""Ahead of today a due date may lie: 40 weeks, and three more for what is counted
differently. A product choice that catches a wrong year, not a published figure."""
YEAR_DAYS = 365
"""How long consent to a blood product is taken to last: 12 months.

Source: RCH Melbourne IVIg guideline (`pre_infusion_checks`, consent for blood product).
"""
MEASURED = _lazy("Measured at")


class SearchForm(forms.Form):
    """What is looked for on the list of patients; sent by POST, never in an address."""

    q = PlainText(
        max_length=120,
        required=False,
        label=_lazy("Name, MRN or birth date"),
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )

    @property
    def page_number(self) -> int:
        text = self.data.get("page", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1


class AskingForm(ClinicForm):
    """A form that does not ask again about what it has already saved.

    After the first answer a resend would find itself: a person with that very name, a
    weight that has just become the last. The door answers it as the first time (I10).
    """

    def ask(self, field: str, question: str) -> None:
        if not AuditEntry.objects.filter(key=self.key).exists():
            super().ask(field, question)


class PatientForm(AskingForm):
    """A person; somebody who is easily confused with another is asked about."""

    mrn = PlainText(max_length=40, label="MRN")
    family_name = PlainText(max_length=120, label=_lazy("Surname"))
    given_names = PlainText(max_length=120, label=_lazy("Given names"))
    birth_date = DayField(label=_lazy("Birth date"))
    sex = forms.ChoiceField(
        choices=Sex.choices, widget=forms.RadioSelect, label=_lazy("Sex")
    )
    phone = PlainText(max_length=40, required=False, label=_lazy("Phone"))
    contact = PlainText(
        max_length=200, required=False, label=_lazy("Person to call, with phone")
    )
    note = PlainText(max_length=2000, required=False, lines=True, label=_lazy("Note"))

    def __init__(self, *args, patient: Patient | None = None, **options) -> None:
        self.patient = patient
        if patient is not None:
            fields = self.base_fields
            options["initial"] = {name: getattr(patient, name) for name in fields}
        super().__init__(*args, **options)
        self.alike: list[tuple[Patient, str]] = []

    def clean_birth_date(self) -> date:
        born = self.cleaned_data["birth_date"]
        if born > self.clinic.day_of(self.at):
            raise ValidationError(_("The birth date lies in the future."))
        return born

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if {"family_name", "given_names", "birth_date"} <= values.keys():
            self._ask_about_others(values)
        return values

    def _ask_about_others(self, values: Mapping[str, Any]) -> None:
        person = Named(**{name: values[name] for name in Named.__dataclass_fields__})
        patient = self.patient
        if patient is not None and person == named(patient):
            return
        everybody = Patient.objects.of(self.clinic)
        self.alike = everybody.similar_to(person, but=patient and patient.pk)
        if self.alike:
            others = "; ".join(_described(other, why) for other, why in self.alike[:3])
            self.ask(
                "family_name",
                _("Is this the same person? Already here: {others}.").format(
                    others=others
                ),
            )

    @property
    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.fields}


def named(patient: Patient) -> Named:
    """What tells this patient from another."""
    return Named(
        family_name=patient.family_name,
        given_names=patient.given_names,
        birth_date=patient.birth_date,
    )


def _described(patient: Patient, why: str) -> str:
    born = patient.birth_date
    return _("{patient}, born {born}, MRN {mrn} ({why})").format(
        patient=patient, born=day_words(born), mrn=patient.mrn, why=why
    )


class RowForm(AskingForm):
    """One row about a patient; with `corrects` it replaces that row and asks why."""

    event_time = MomentField(required=False, label=MEASURED)

    def __init__(
        self, *args, patient: Patient, corrects: Any = None, **options
    ) -> None:
        self.patient, self.corrects = patient, corrects
        if corrects is not None:
            options.setdefault("initial", self.initial_of(corrects))
        super().__init__(*args, **options)
        self.order_fields([name for name in self.fields if name != "event_time"])
        if corrects is not None:
            taken = self.fields["event_time"]
            taken.required = True
            self.initial["event_time"] = taken.as_typed(corrects.event_time)
            self.fields["reason"] = PlainText(
                max_length=200, label=_("Why is it corrected?")
            )

    def initial_of(self, row: Any) -> dict[str, Any]:
        """What the fields of the row to be corrected say now."""
        names = [name for name in self.base_fields if hasattr(row, name)]
        return {name: getattr(row, name) for name in names}

    @property
    def day(self) -> date:
        """The clinic's day of the entry."""
        moment = self.cleaned_data.get("event_time") or self.at
        return self.clinic.day_of(moment)

    @property
    def years(self) -> int:
        """The patient's age on that day."""
        return max(0, age_years(self.patient.birth_date, self.day))

    def clean_event_time(self):
        moment = self.cleaned_data["event_time"]
        if moment and self.clinic.day_of(moment) < (self.patient.birth_date):
            raise ValidationError(_("This lies before the patient's birth."))
        return moment

    def row_values(self) -> dict[str, Any]:
        """The values of the row itself, named as the service takes them."""
        raise NotImplementedError

    @property
    def values(self) -> dict[str, Any]:
        extra = {"event_time": self.cleaned_data["event_time"]}
        if self.corrects is not None:
            extra |= {"corrects": self.corrects, "reason": self.cleaned_data["reason"]}
        return {**self.row_values(), **extra}


class WeightForm(RowForm):
    """A measured weight in kg; what is possible but odd is asked about (H2, H3, H5)."""

    weight_kg = NumberField(
        low="0.2", high="650", places=2, unit="kg", label=_lazy("Weight")
    )

    def __init__(
        self,
        *args,
        weights: Iterable[Weight] = (),
        height: Height | None = None,
        most_change_percent: Decimal,
        **options,
    ) -> None:
        super().__init__(*args, **options)
        self.weights = [
            row for row in weights if self.corrects is None or row != self.corrects
        ]
        self.height, self.most_change_percent = height, most_change_percent

    def initial_of(self, row: Weight) -> dict[str, Any]:
        return {"weight_kg": plain(row.weight_kg)}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("weight_kg") is None or "event_time" in self.errors:
            return values
        last = self._before(values.get("event_time") or self.at)
        asked = weight_questions(
            values["weight_kg"],
            years=self.years,
            last_kg=last.weight_kg if last else None,
            height_cm=self.height.height_cm if self.height else None,
            most_change_percent=self.most_change_percent,
        )
        if asked:
            self.ask("weight_kg", " ".join(asked) + _(" Is this right?"))
        return values

    def _before(self, moment) -> Weight | None:
        """The weight measured last before the moment, else the earliest after it."""
        rows = sorted(self.weights, key=lambda row: (row.event_time, row.pk))
        before = [row for row in rows if row.event_time <= moment]
        return before[-1] if before else next(iter(rows), None)

    def row_values(self) -> dict[str, Any]:
        return {
            "weight_kg": self.cleaned_data["weight_kg"],
            "as_typed": f"{self.data['weight_kg'].strip()} kg",
            "confirmed_implausible": self.confirmed,
        }


class HeightForm(RowForm):
    """A measured height in cm."""

    height_cm = NumberField(
        low="20", high="280", places=1, unit="cm", label=_lazy("Height")
    )

    def __init__(self, *args, last: Height | None = None, **options) -> None:
        super().__init__(*args, **options)
        self.last = None if last == self.corrects else last

    def initial_of(self, row: Height) -> dict[str, Any]:
        return {"height_cm": plain(row.height_cm)}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("height_cm") is not None and "event_time" not in self.errors:
            asked = height_questions(
                values["height_cm"],
                years=self.years,
                last_cm=self.last.height_cm if self.last else None,
            )
            if asked:
                self.ask("height_cm", " ".join(asked) + _(" Is this right?"))
        return values

    def row_values(self) -> dict[str, Any]:
        return {
            "height_cm": self.cleaned_data["height_cm"],
            "as_typed": f"{self.data['height_cm'].strip()} cm",
        }


class AllergyForm(RowForm):
    """One allergy, or the statement that none is known."""

    substance = PlainText(max_length=120, required=False, label=_lazy("Substance"))
    reaction = PlainText(max_length=120, required=False, label=_lazy("What happened"))
    severity = forms.ChoiceField(
        choices=Severity.choices, required=False, label=_lazy("Severity")
    )
    none_known = forms.BooleanField(
        required=False, label=_lazy("No allergy known, asked now")
    )

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.fields["event_time"].label = _("Reported at")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if "substance" in self.errors:
            return values
        if values.get("none_known") and values.get("substance"):
            self.add_error("none_known", _("Name a substance or say none is known."))
        if not values.get("none_known") and not values.get("substance"):
            self.add_error("substance", _("Name the substance, or that none is known."))
        return values

    def row_values(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "substance": given["substance"],
            "reaction": given["reaction"],
            "severity": given["severity"] or Severity.UNKNOWN,
            "none_known": given["none_known"],
        }


class RiskFactorsForm(ClinicForm):
    """What is known of every risk factor, answered together.

    `factors` are those of the catalogue, `known` the newest statement about each. A
    factor left unanswered stays as it is.
    """

    def __init__(
        self,
        *args,
        patient: Patient,
        factors: Iterable[Any],
        known: Mapping[str, Any],
        **options,
    ) -> None:
        super().__init__(*args, **options)
        self.patient = patient
        self.factors, self.known = list(factors), known
        for factor in self.factors:
            row = known.get(factor.key)
            self.fields[f"presence_{factor.key}"] = forms.ChoiceField(
                choices=Presence.choices,
                required=False,
                widget=forms.RadioSelect,
                label=say(factor.label),
                initial=row.presence if row else None,
            )
            self.fields[f"detail_{factor.key}"] = PlainText(
                max_length=200,
                required=False,
                label=_("Detail"),
                widget=forms.TextInput(
                    attrs={
                        "aria-label": _("{label}: detail").format(
                            label=say(factor.label)
                        )
                    }
                ),
                initial=row.detail if row else "",
            )

    def rows(self) -> list[tuple[Any, Any, Any]]:
        """Each factor with its two fields."""
        return [
            (factor, self[f"presence_{factor.key}"], self[f"detail_{factor.key}"])
            for factor in self.factors
        ]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        for factor in self.factors:
            detail = values.get(f"detail_{factor.key}")
            if detail and not values.get(f"presence_{factor.key}"):
                self.add_error(f"presence_{factor.key}", _("Yes, no or not known?"))
        return values

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What was answered, named as the service takes it."""
        answers = []
        for factor in self.factors:
            presence = self.cleaned_data[f"presence_{factor.key}"]
            if not presence:
                continue
            answer = {
                "key": factor.key,
                "presence": presence,
                "detail": self.cleaned_data[f"detail_{factor.key}"],
            }
            answers.append(answer)
        return answers


class PregnancyForm(RowForm):
    """Pregnant or not, when it is due, and which physician supervises (A8)."""

    presence = forms.ChoiceField(
        choices=Presence.choices, widget=forms.RadioSelect, label=_lazy("Pregnant")
    )
    due_date = DayField(required=False, label=_lazy("Due date"))
    supervisor = PlainText(
        max_length=120, required=False, label=_lazy("Supervising physician")
    )
    detail = PlainText(max_length=200, required=False, label=_lazy("Detail"))

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.fields["event_time"].label = _("Said at")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        due = values.get("due_date")
        if values.get("presence") == Presence.PRESENT:
            if not values.get("supervisor"):
                self.add_error("supervisor", _("Name the physician who supervises."))
            first = self.day - timedelta(days=30)
            last = self.day + timedelta(days=PREGNANCY_DAYS)
            if due and not first <= due <= last:
                self.add_error(
                    "due_date", _("A due date lies within the next 300 days.")
                )
        elif due or values.get("supervisor"):
            self.add_error("due_date", _("Only when the patient is pregnant."))
        return values

    def row_values(self) -> dict[str, Any]:
        names = ("presence", "due_date", "supervisor", "detail")
        return {"key": RiskFactor.PREGNANCY, **{n: self.cleaned_data[n] for n in names}}


class LabForm(RowForm):
    """One laboratory result in the unit in which it was reported."""

    test = forms.ChoiceField(label=_lazy("Test"))
    value = PlainText(
        max_length=40,
        label=_lazy("Result"),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    unit = forms.ChoiceField(required=False, label=_lazy("Unit"))

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        tests = lab_tests()
        self.fields["test"].choices = [("", _("Choose"))] + [
            (key, say(test.name)) for key, test in tests.items()
        ]
        units = dict.fromkeys(unit for test in tests.values() for unit in test.units)
        self.fields["unit"].choices = [("", _("None"))] + [
            (unit, unit_words(unit)) for unit in units
        ]
        self.fields["event_time"].label = _("Sample taken at")

    def initial_of(self, row: Any) -> dict[str, Any]:
        value = row.value_text if row.value is None else plain(row.value)
        return {"test": row.test, "value": value, "unit": row.unit}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not values.get("test") or not values.get("value"):
            return values
        test = lab_tests()[values["test"]]
        if test.words:
            self._clean_word(test, values)
        elif values.get("unit") not in test.units:
            known = say(" or ").join(unit_words(unit) for unit in test.units)
            self.add_error(
                "unit",
                _("{name} is reported in {known}.").format(
                    name=say(test.name), known=known
                ),
            )
        else:
            self._clean_number(test, values)
        return values

    def _clean_word(self, test: LabTest, values: dict[str, Any]) -> None:
        typed = " ".join(values["value"].split()).casefold()
        spelt = {word.casefold(): word for word in test.words}
        spelt |= {say(word).casefold(): word for word in test.words}
        word = spelt.get(typed)
        if word is None:
            self.add_error(
                "value",
                _("Write one of: {words}.").format(
                    words=", ".join(map(say, test.words))
                ),
            )
        if values.get("unit"):
            self.add_error("unit", _("{name} has no unit.").format(name=say(test.name)))
        values["value_text"] = word

    def _clean_number(self, test: LabTest, values: dict[str, Any]) -> None:
        limits = test.units[values["unit"]]
        try:
            number = parse_decimal(values["value"], places=4, digits=8)
        except NumberError as error:
            self.add_error("value", str(error))
            return
        words = f"{say(test.name)} {plain(number)} {unit_words(values['unit'])}"
        if not limits.least <= number <= limits.most:
            self.add_error(
                "value",
                _("{words}: between {least} and {most}.").format(
                    words=words, least=plain(limits.least), most=plain(limits.most)
                ),
            )
        elif not limits.low <= number <= limits.high:
            self.ask(
                "value", _("{words} is unusual. Is the unit right?").format(words=words)
            )
        values["number"] = number

    def row_values(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "test": given["test"],
            "value": given.get("number"),
            "value_text": given.get("value_text") or "",
            "unit": given["unit"],
        }


class ConsentForm(RowForm):
    """Consent to a blood product: given or refused, for what, until when (A11)."""

    given = forms.ChoiceField(
        choices=[("yes", _lazy("Given")), ("no", _lazy("Refused or taken back"))],
        widget=forms.RadioSelect,
        label=_lazy("Consent"),
    )
    scope = PlainText(max_length=200, label=_lazy("For what"))
    expires_on = DayField(label=_lazy("Valid until"))
    witness = PlainText(max_length=120, required=False, label=_lazy("Witness"))

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        today = self.clinic.day_of(self.at)
        self.initial.setdefault(
            "scope", _("Immunoglobulin, a blood product, as a course")
        )
        self.initial.setdefault("expires_on", today + timedelta(days=YEAR_DAYS))
        self.fields["event_time"].label = _("Signed at")

    def initial_of(self, row: Any) -> dict[str, Any]:
        return {**super().initial_of(row), "given": "yes" if row.given else "no"}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        expires = values.get("expires_on")
        if expires is None or "event_time" in self.errors:
            return values
        if expires < self.day:
            self.add_error("expires_on", _("It would have ended before it was signed."))
        elif expires > self.day + timedelta(days=3 * YEAR_DAYS):
            self.add_error("expires_on", _("At most three years."))
        elif expires > self.day + timedelta(days=YEAR_DAYS + 1):
            self.ask("expires_on", _("Longer than 12 months. Is this right?"))
        return values

    def row_values(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "given": given["given"] == "yes",
            "scope": given["scope"],
            "expires_on": given["expires_on"],
            "witness": given["witness"],
        }


class WithdrawForm(ClinicForm):
    """Why a row was entered in error."""

    reason = PlainText(max_length=200, label=_lazy("Why was this entered in error?"))


class ImportForm(ClinicForm):
    """FHIR bundles from a file of the user's machine."""

    file = forms.FileField(
        label=_lazy("FHIR bundle (JSON, packed with gzip or not)"),
        max_length=200,
        widget=forms.FileInput(
            attrs={"accept": ".json,.gz,application/json,application/gzip"}
        ),
    )

    def _refuse_strange_fields(self) -> None:
        """Let the file stand beside the other fields; a second file is refused."""
        super()._refuse_strange_fields()
        for name in self.files:
            if name != "file" or len(self.files.getlist(name)) > 1:
                self.add_error(None, _("Send one file at a time."))
