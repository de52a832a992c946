"""Sets of vital signs."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalRow
from sessions.models.fields import Choice, Count, Measure, Text
from sessions.models.infusions import InfusionSession, SessionRow


class VitalsPurpose(models.TextChoices):
    BASELINE = "baseline", _lazy("Baseline")
    SCHEDULED = "scheduled", _lazy("Scheduled")
    RECHECK = "recheck", _lazy("Recheck")
    END = "end", _lazy("End")
    OBSERVATION = "observation", _lazy("Observation")
    EXTRA = "extra", _lazy("Extra")


class Consciousness(models.TextChoices):
    """ACVPU, as NEWS2 names it."""

    ALERT = "A", _lazy("Alert")
    CONFUSED = "C", _lazy("New confusion")
    VOICE = "V", _lazy("Voice")
    PAIN = "P", _lazy("Pain")
    UNRESPONSIVE = "U", _lazy("Unresponsive")


class PartialReason(models.TextChoices):
    """Why a set is not complete; `other` needs words (E4)."""

    REFUSED = "refused", _lazy("Patient declined")
    ASLEEP = "asleep", _lazy("Asleep, not woken")
    DEVICE = "device", _lazy("Device not at hand or faulty")
    PROCEDURE = "procedure", _lazy("Procedure or transfer")
    EMERGENCY = "emergency", _lazy("Emergency: what could be had")
    RECHECK = "recheck", _lazy("Recheck of one value")
    OTHER = "other", _lazy("Other, in words")


class VitalSigns(SessionRow):
    """One set of vital signs (FHIR Observation, LOINC 85353-1): null, not measured."""

    session = models.ForeignKey(InfusionSession, models.PROTECT, related_name="vitals")
    purpose = Choice(choices=VitalsPurpose)
    systolic_mmhg = Count(low=20, high=350, null=True)
    diastolic_mmhg = Count(low=10, high=300, null=True)
    pulse = Count(low=0, high=400, null=True)
    respiratory_rate = Count(low=0, high=150, null=True)
    spo2 = Count(low=0, high=100, null=True)
    temperature_c = Measure(low="20", high="46", digits=4, places=1, null=True)
    temperature_as_typed = Text(max_length=12, blank=True)
    spo2_scale = Count(low=1, high=2, default=1)
    on_oxygen = models.BooleanField(null=True)
    oxygen_l_per_min = Measure(low="0", high="30", digits=4, places=1, null=True)
    consciousness = Choice(choices=Consciousness, max_length=1, blank=True)
    pain = Count(low=0, high=10, null=True)
    tolerated = models.BooleanField(null=True)
    partial_reason = Text(max_length=40, blank=True)
    partial_text = Text(max_length=200, blank=True)
    confirmed_implausible = models.BooleanField(default=False)
    news2 = models.JSONField(null=True)
    due_at = models.DateTimeField(null=True)
    """When the set was due as its form said; None where none was due or late then.

    Kept as evidence of what the nurse was shown, and asked by nothing: what was owed is
    worked out anew from the whole course (`rules.owed`), as later entries change it.
    """

    class Meta(SessionRow.Meta):
        abstract = False
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.CheckConstraint(
                condition=Q(systolic_mmhg=None)
                | Q(diastolic_mmhg=None)
                | Q(systolic_mmhg__gt=models.F("diastolic_mmhg")),
                name="systolic_above_diastolic",
                violation_error_message=_lazy("Systolic must be above diastolic."),
            ),
        ]
