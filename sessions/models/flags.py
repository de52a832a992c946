"""Findings that were kept, and what people answered."""

from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalQuerySet, ClinicalRow
from sessions.models.fields import Choice, Count, Measure, Prose, Text
from sessions.models.infusions import SessionRow
from sessions.models.protocols import ProtocolVersion
from sessions.rules.language import inside


class FlagAction(models.TextChoices):
    """What the protocol calls for, lowest first."""

    OBSERVE = "observe", _lazy("Observe")
    REDUCE = "reduce", _lazy("Reduce")
    PAUSE = "pause", _lazy("Pause")
    STOP = "stop", _lazy("Stop, call")
    EMERGENCY = "emergency", _lazy("Emergency")


class FlagPriority(models.TextChoices):
    HIGH = "high", _lazy("High")
    MEDIUM = "medium", _lazy("Medium")
    LOW = "low", _lazy("Low")


class OverrideReason(models.TextChoices):
    """Why a rate is kept against the protocol; `other` needs words."""

    MEASURED_WRONGLY = "measured_wrongly", _lazy("Value measured wrongly: repeat set")
    KNOWN = "known", _lazy("Known for this patient, prescriber aware")
    POSITION = "position", _lazy("Position or movement")
    IMPROVING = "improving", _lazy("Already improving")
    OTHER = "other", _lazy("Other, in words")


class NotDoneReason(models.TextChoices):
    """How a check that could not run was confirmed by hand (I15)."""

    COMPARED = "compared_by_hand", _lazy("Compared by hand: within the order's limits")
    INFORMED = "informed", _lazy("Compared by hand, prescriber informed")
    OTHER = "other", _lazy("Other, in words")


class FlagQuerySet(ClinicalQuerySet):
    def with_state(self) -> Self:
        """Annotate `is_answered` and `is_closed` from the events, in one query."""
        events = FlagEvent.objects.filter(flag=OuterRef("pk"))
        return self.annotate(
            is_answered=Exists(events.current().filter(kind__in=FlagEvent.ANSWERS)),
            is_closed=Exists(events.filter(kind=FlagEvent.Kind.CLOSED)),
        )

    def open(self) -> Self:
        """Latched: open until a named user records an action or a reason."""
        return self.with_state().filter(is_answered=False, is_closed=False)


class Flag(SessionRow):
    """One finding kept word for word (FHIR DetectedIssue), with what it calls for.

    `findings` holds every finding of the save that raised it, the highest action
    first: rule, values with times, limit, source, missing inputs.
    """

    vitals = models.ForeignKey(
        "infusions.VitalSigns", models.PROTECT, null=True, related_name="flags"
    )
    reaction = models.ForeignKey(
        "infusions.Reaction", models.PROTECT, null=True, related_name="flags"
    )
    rule = Text(max_length=40)
    action = Choice(choices=FlagAction)
    priority = Choice(choices=FlagPriority)
    headline = Text(max_length=300)
    calls_for = Prose(max_length=1000)
    source = Prose(max_length=2000)
    rate_from_ml_per_h = Measure(low="0", high="2000", digits=8, places=2)
    rate_to_ml_per_h = Measure(low="0", high="2000", digits=8, places=2, null=True)
    rate_to_ml_per_kg_h = Measure(low="0", high="20", digits=9, places=6, null=True)
    restart_ml_per_h = Measure(low="0", high="2000", digits=8, places=2, null=True)
    recheck_minutes = Count(low=0, high=600, null=True)
    escalate_minutes = Count(low=0, high=600, null=True)
    findings = models.JSONField()
    protocol_version = models.ForeignKey(
        ProtocolVersion, models.PROTECT, related_name="flags"
    )

    objects = FlagQuerySet.as_manager()


class FlagEvent(ClinicalRow):
    """What happened to a flag after it was raised."""

    class Kind(models.TextChoices):
        SEEN_AGAIN = "seen_again", _lazy("Seen again")
        ANSWERED = "answered", _lazy("Answered by an act")
        OVERRIDDEN = "overridden", _lazy("Kept, with a reason")
        CALLED = "called", _lazy("Called")
        SETTLED = "settled", _lazy("Recheck: settled")
        NOT_SETTLED = "not_settled", _lazy("Recheck: not settled")
        CLOSED = "closed", _lazy("Closed")

    ANSWERS = (Kind.ANSWERED, Kind.OVERRIDDEN)

    flag = models.ForeignKey(Flag, models.PROTECT, related_name="events")
    kind = Choice(choices=Kind)
    action = Text(max_length=20, blank=True)
    reason_code = Text(max_length=40, blank=True)
    reason_text = Text(max_length=400, blank=True)
    rate_change = models.ForeignKey(
        "infusions.RateChange", models.PROTECT, null=True, related_name="flag_events"
    )
    vitals = models.ForeignKey(
        "infusions.VitalSigns", models.PROTECT, null=True, related_name="flag_events"
    )
    recheck_at = models.DateTimeField(null=True)

    class Meta(ClinicalRow.Meta):
        abstract = False
        ordering = ["event_time", "id"]
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.CheckConstraint(
                condition=~Q(kind="overridden") | ~Q(reason_code=""),
                name="override_has_a_coded_reason",
                violation_error_message=_lazy("An override needs a reason."),
            ),
        ]

    @property
    def words(self) -> str:
        """What happened, as lists of a flag's events write it."""
        kind = self.get_kind_display()
        if self.entered_in_error:
            return _("Taken back: {what}").format(what=inside(kind))
        return kind
