"""A person who is treated, and what is known about them."""

from collections.abc import Iterable
from datetime import date
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalQuerySet, ClinicalRow, Owned
from sessions.models.fields import Choice, Measure, Prose, Text
from sessions.rules.names import Named, folded, possible_days, similar

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)


class Sex(models.TextChoices):
    """FHIR administrative gender."""

    FEMALE = "female", _lazy("Female")
    MALE = "male", _lazy("Male")
    OTHER = "other", _lazy("Other")
    UNKNOWN = "unknown", _lazy("Unknown")


class PatientQuerySet(ClinicalQuerySet):
    def matching(self, words: str) -> Self:
        """Patients of whom every word is part of a name, the MRN or the birth date."""
        every = Q()
        for word in words.casefold().split():
            every &= (
                Q(search_text__contains=word)
                | Q(search_text__contains=folded(word) or word)
                | Q(birth_date__in=possible_days(word))
            )
        return self.filter(every)

    def names(self) -> Self:
        """Only what tells one person from another: for comparing many."""
        return self.only("clinic_id", "mrn", "family_name", "given_names", "birth_date")

    def similar_to(self, person: Named, *, but: int | None = None) -> list:
        """Pairs of patient and reason for everybody easily confused with `person`."""
        return alike(person, self.names(), but=but)


def alike(person: Named, people: Iterable, *, but: int | None = None) -> list:
    """Pairs of patient and reason among `people`, without the one with id `but`."""
    found = [(other, similar(person, other)) for other in people if other.pk != but]
    return [(other, why) for other, why in found if why]


class Patient(Owned):
    """A person (FHIR Patient); the header may change, the audit keeps each change."""

    mrn = Text(max_length=40)
    family_name = Text(max_length=120)
    given_names = Text(max_length=120)
    birth_date = models.DateField()
    sex = Choice(choices=Sex)
    phone = Text(max_length=40, blank=True)
    contact = Text(max_length=200, blank=True)
    note = Prose(max_length=2000, blank=True)
    search_text = Text(max_length=420, editable=False)
    imported_from = Text(max_length=200, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey("infusions.User", models.PROTECT, related_name="+")

    objects = PatientQuerySet.as_manager()

    class Meta:
        ordering = ["family_name", "given_names", "birth_date"]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "mrn"],
                name="patient_mrn_once",
                violation_error_message=_lazy("This MRN already belongs to a patient."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.family_name.upper()}, {self.given_names}"

    @property
    def initials(self) -> str:
        """First letters of given name and surname, as on a wristband."""
        return f"{self.given_names.strip()[:1]}{self.family_name.strip()[:1]}".upper()

    def write_search_text(self) -> None:
        """Write down what a search looks in: MRN, birth date in many forms, names."""
        born = self.birth_date
        parts = (
            self.mrn.casefold(),
            f"{born:%Y-%m-%d %d.%m.%Y %d/%m/%Y} {born.day} {MONTHS[born.month - 1]}",
            f"{born.year} {folded(self.family_name)} {folded(self.given_names)}",
        )
        room = self._meta.get_field("search_text").max_length
        self.search_text = " ".join(parts)[:room]

    def age_on(self, day: date) -> int:
        """Completed years of life on `day`."""
        before = (day.month, day.day) < (self.birth_date.month, self.birth_date.day)
        return day.year - self.birth_date.year - before


class PatientRow(ClinicalRow):
    """A clinical row about a patient, in or outside a session."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="%(class)ss")

    class Meta(ClinicalRow.Meta):
        abstract = True
        ordering = ["-event_time", "-id"]


class Weight(PatientRow):
    """One measured body weight (FHIR Observation, LOINC 29463-7)."""

    weight_kg = Measure(low="0.2", high="650", digits=6, places=2)
    as_typed = Text(max_length=40)
    confirmed_implausible = models.BooleanField(default=False)
    source = Text(max_length=200, blank=True)


class Height(PatientRow):
    """One measured body height (FHIR Observation, LOINC 8302-2)."""

    height_cm = Measure(low="20", high="280", digits=5, places=1)
    as_typed = Text(max_length=40)
    source = Text(max_length=200, blank=True)

    class Meta(PatientRow.Meta):
        abstract = False


class Severity(models.TextChoices):
    UNKNOWN = "unknown", _lazy("not recorded")
    MILD = "mild", _lazy("mild")
    MODERATE = "moderate", _lazy("moderate")
    SEVERE = "severe", _lazy("severe")


class Allergy(PatientRow):
    """One allergy or intolerance, or the statement that none is known."""

    substance = Text(max_length=120)
    substance_key = Text(max_length=60, blank=True)
    reaction = Text(max_length=120, blank=True)
    severity = Choice(choices=Severity, default=Severity.UNKNOWN)
    none_known = models.BooleanField(default=False)
    source = Text(max_length=200, blank=True)


class Presence(models.TextChoices):
    """Unknown is a third state beside yes and no, and is shown."""

    PRESENT = "present", _lazy("Yes")
    ABSENT = "absent", _lazy("No")
    UNKNOWN = "unknown", _lazy("Not known")


class RiskFactor(PatientRow):
    """What is known of one risk factor of the catalogue (FHIR Condition)."""

    PREGNANCY = "pregnancy"
    """The key of the one that switches off NEWS2 (A8)."""

    key = Text(max_length=60)
    presence = Choice(choices=Presence)
    detail = Text(max_length=200, blank=True)
    due_date = models.DateField(null=True)
    supervisor = Text(max_length=120, blank=True)
    source = Text(max_length=200, blank=True)


class LabResult(PatientRow):
    """One laboratory result that counts for IVIG; the unit as reported (UCUM)."""

    test = Text(max_length=40)
    value = Measure(low="0", high="1000000", digits=12, places=4, null=True)
    value_text = Text(max_length=40, blank=True)
    unit = Text(max_length=20, blank=True)
    source = Text(max_length=200, blank=True)

    class Meta(PatientRow.Meta):
        abstract = False
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.CheckConstraint(
                condition=Q(value__isnull=False) | ~Q(value_text=""),
                name="labresult_has_a_value",
            ),
        ]


class Consent(PatientRow):
    """Consent to a blood product, its scope and expiry (FHIR Consent)."""

    given = models.BooleanField()
    scope = Text(max_length=200)
    expires_on = models.DateField()
    witness = Text(max_length=120, blank=True)
