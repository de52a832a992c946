"""Adverse reactions: what was seen, how it was graded, how it went."""

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalRow
from sessions.models.fields import Choice, Count, Measure, Prose, Text
from sessions.models.infusions import SessionRow


class Grade(models.TextChoices):
    MILD = "mild", _lazy("Mild")
    MODERATE = "moderate", _lazy("Moderate")
    SEVERE = "severe", _lazy("Severe")
    LIFE_THREATENING = "life-threatening", _lazy("Life-threatening")


class Reaction(SessionRow):
    """One adverse reaction (FHIR AdverseEvent); `event_time` is its onset."""

    grade = Choice(choices=Grade)
    graded_by_rule = Choice(choices=Grade)
    phase = Text(max_length=20)
    rate_ml_per_h = Measure(low="0", high="2000", digits=8, places=2)
    step = Count(low=0, high=40, null=True)
    minutes_from_start = models.IntegerField(null=True)
    volume_in_ml = Measure(low="0", high="20000", digits=12, places=6, default="0")
    lots = Text(max_length=200, blank=True)
    vitals = models.ForeignKey(
        "infusions.VitalSigns", models.PROTECT, null=True, related_name="reactions"
    )
    action = Text(max_length=20)
    action_reason = Text(max_length=400, blank=True)
    note = Prose(max_length=1000, blank=True)


class ReactionSymptom(ClinicalRow):
    """One symptom of a reaction with its severity, by the catalogue's key."""

    reaction = models.ForeignKey(Reaction, models.PROTECT, related_name="symptoms")
    reaction_key = Text(max_length=60)
    name = Text(max_length=80)
    severity = Choice(choices=Grade)


class ReactionOutcome(SessionRow):
    """How a reaction went on; nothing is resolved before someone says so (G3)."""

    class Kind(models.TextChoices):
        RESOLVED = "resolved", _lazy("Resolved")
        IMPROVING = "improving", _lazy("Improving")
        UNCHANGED = "unchanged", _lazy("Unchanged")
        WORSE = "worse", _lazy("Worse")
        SEQUELAE = "sequelae", _lazy("Resolved with sequelae")
        UNKNOWN = "unknown", _lazy("Not known")
        FATAL = "fatal", _lazy("Fatal")

    reaction = models.ForeignKey(Reaction, models.PROTECT, related_name="outcomes")
    kind = Choice(choices=Kind)
    note = Text(max_length=400, blank=True)
