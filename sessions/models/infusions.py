"""One visit: the administration of one order, from check-in to discharge."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalQuerySet, ClinicalRow, Owned
from sessions.models.clinics import Chair
from sessions.models.fields import Choice, Count, Measure, Prose, Text
from sessions.models.orders import Order, OrderVersion
from sessions.models.patients import Patient, Weight
from sessions.models.protocols import ProtocolVersion


class Stage(models.TextChoices):
    """Where a visit stands. Running or paused is the last rate change, not a stage."""

    PLANNED = "planned", _lazy("Planned")
    CHECKED_IN = "checked_in", _lazy("Checked in")
    ASSESSED = "assessed", _lazy("Assessed")
    INFUSING = "infusing", _lazy("Infusing")
    OBSERVING = "observing", _lazy("Observing")
    DISCHARGED = "discharged", _lazy("Discharged")
    CANCELLED = "cancelled", _lazy("Cancelled")


STAGE_MOVES = {
    Stage.PLANNED: {Stage.CHECKED_IN, Stage.CANCELLED},
    Stage.CHECKED_IN: {Stage.ASSESSED, Stage.CANCELLED},
    Stage.ASSESSED: {Stage.INFUSING, Stage.CANCELLED},
    Stage.INFUSING: {Stage.OBSERVING},
    Stage.OBSERVING: {Stage.DISCHARGED},
    Stage.DISCHARGED: set(),
    Stage.CANCELLED: set(),
}
"""The only moves there are; a database trigger refuses every other (C1)."""

IN_A_CHAIR = (Stage.CHECKED_IN, Stage.ASSESSED, Stage.INFUSING, Stage.OBSERVING)


class Outcome(models.TextChoices):
    COMPLETED = "completed", _lazy("Completed")
    STOPPED_EARLY = "stopped_early", _lazy("Stopped early")
    TRANSFERRED = "transferred", _lazy("Transferred")
    LEFT = "left", _lazy("Left against advice")
    DIED = "died", _lazy("Died")


class InfusionQuerySet(ClinicalQuerySet):
    def in_a_chair(self) -> Self:
        """Checked in and not yet discharged."""
        return self.filter(stage__in=IN_A_CHAIR, entered_in_error=False)

    def planned(self) -> Self:
        return self.filter(stage=Stage.PLANNED, entered_in_error=False)

    def with_order_version(self) -> Self:
        """Each with what it is given by, in the same query; no list shows the plans."""
        return self.select_related("order__current", "start__order_version").defer(
            *("order__current__plan", "start__order_version__plan"),
            *("start__plan", "start__gate"),
        )


class InfusionSession(Owned):
    """The header of a visit (FHIR Encounter): who, where, which stage."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="infusions")
    order = models.ForeignKey(Order, models.PROTECT, related_name="infusions")
    chair = models.ForeignKey(
        Chair, models.PROTECT, null=True, related_name="infusions"
    )
    nurse = models.ForeignKey(
        "infusions.User", models.PROTECT, null=True, related_name="infusions"
    )
    stage = Choice(choices=Stage, default=Stage.PLANNED)
    outcome = Choice(choices=Outcome, max_length=20, blank=True)
    scheduled_at = models.DateTimeField()
    cycle = Count(low=1, high=60, default=1)
    day = Count(low=1, high=10, default=1)
    entered_in_error = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey("infusions.User", models.PROTECT, related_name="+")

    objects = InfusionQuerySet.as_manager()

    class Meta:
        ordering = ["-scheduled_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(stage__in=IN_A_CHAIR, entered_in_error=False),
                name="one_open_session_per_patient",
                violation_error_message=_lazy(
                    "This patient already has an open session."
                ),
            ),
            models.UniqueConstraint(
                fields=["chair"],
                condition=Q(stage__in=IN_A_CHAIR, entered_in_error=False),
                name="one_open_session_per_chair",
                violation_error_message=_lazy("That chair is already taken."),
            ),
            models.CheckConstraint(
                condition=~Q(stage__in=IN_A_CHAIR) | Q(chair__isnull=False),
                name="open_session_has_a_chair",
            ),
            models.CheckConstraint(
                condition=(Q(stage=Stage.DISCHARGED) & ~Q(outcome=""))
                | (~Q(stage=Stage.DISCHARGED) & Q(outcome="")),
                name="outcome_only_at_discharge",
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "stage"], name="session_clinic_stage"),
            models.Index(fields=["clinic", "scheduled_at"], name="session_clinic_time"),
        ]

    @property
    def order_version(self) -> OrderVersion | None:
        """What the visit is given by: the version it was started with, once it was.

        An order that is changed meanwhile changes nothing at the chair (I8).
        """
        start = getattr(self, "start", None)
        return start.order_version if start else self.order.current


class SessionRow(ClinicalRow):
    """A clinical row of one visit."""

    session = models.ForeignKey(
        InfusionSession, models.PROTECT, related_name="%(class)ss"
    )

    class Meta(ClinicalRow.Meta):
        abstract = True
        ordering = ["event_time", "id"]


class StageChange(SessionRow):
    """The visit moved from one stage to the next."""

    from_stage = Choice(choices=Stage)
    to_stage = Choice(choices=Stage)
    reason = Prose(max_length=500, blank=True)

    class Meta(SessionRow.Meta):
        abstract = False
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.CheckConstraint(
                condition=Q(from_stage=Stage.PLANNED, to_stage=Stage.CHECKED_IN)
                | Q(from_stage=Stage.CHECKED_IN, to_stage=Stage.ASSESSED)
                | Q(from_stage=Stage.ASSESSED, to_stage=Stage.INFUSING)
                | Q(from_stage=Stage.INFUSING, to_stage=Stage.OBSERVING)
                | Q(from_stage=Stage.OBSERVING, to_stage=Stage.DISCHARGED)
                | Q(
                    from_stage__in=[Stage.PLANNED, Stage.CHECKED_IN, Stage.ASSESSED],
                    to_stage=Stage.CANCELLED,
                ),
                name="stage_change_is_legal",
                violation_error_message=_lazy("A visit cannot move that way."),
            ),
        ]


class IdentityCheck(ClinicalRow):
    """Two identifiers typed from the wristband: initials and birth year (A2)."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    session = models.ForeignKey(
        InfusionSession, models.PROTECT, null=True, related_name="identitychecks"
    )
    order_version = models.ForeignKey(
        OrderVersion, models.PROTECT, null=True, related_name="identitychecks"
    )
    initials = Text(max_length=4)
    birth_year = Count(low=1900, high=2100)


class Answer(models.TextChoices):
    """Not asked is a third answer, shown as such, never as no."""

    YES = "yes", _lazy("Yes")
    NO = "no", _lazy("No")
    NOT_ASKED = "not_asked", _lazy("Not asked")


class Screening(SessionRow):
    """What the patient answered and the nurse saw before this infusion (C2)."""

    infection_or_fever = Choice(choices=Answer)
    headache_after_last = Choice(choices=Answer)
    new_clot_or_chest_pain = Choice(choices=Answer)
    fluids_taken = Choice(choices=Answer)
    new_medicines = Choice(choices=Answer)
    pregnant = Choice(choices=Answer)
    live_vaccine = Choice(choices=Answer, default=Answer.NOT_ASKED)
    emergency_kit_at_chair = Choice(choices=Answer)
    history_reviewed = Choice(choices=Answer)
    detail = Prose(max_length=1000, blank=True)


class LineCheck(SessionRow):
    """The intravenous line and its site (C5)."""

    site = Text(max_length=60)
    gauge = Text(max_length=10)
    attempts = Count(low=0, high=20, default=1)
    vip_score = Count(low=0, high=5, default=0)


class WarningReason(models.TextChoices):
    """Why a warning does not hold the Start."""

    PLANNED = "planned", _lazy("The plan allows for it")
    PRESCRIBER = "prescriber", _lazy("The prescriber knows and agrees")
    UNCHANGED = "unchanged", _lazy("Known, and unchanged for this patient")
    WAIVED = "waived", _lazy("Not needed for this patient")
    OTHER = "other", _lazy("Other")


class HardStopReason(models.TextChoices):
    """Why a prescriber starts in spite of a hard stop."""

    BENEFIT = "benefit", _lazy("Benefit outweighs the risk")
    MEASURES = "measures", _lazy("Measures are in place")
    EXAMINED = "examined", _lazy("I examined the patient")
    OTHER = "other", _lazy("Other")


class EndReason(models.TextChoices):
    """Why an infusion ends."""

    COMPLETED = "completed", _lazy("The volume is in")
    PRESCRIBER = "prescriber", _lazy("Prescriber's decision")
    PATIENT = "patient", _lazy("Patient's wish")
    REACTION = "reaction", _lazy("Reaction")
    LINE = "line", _lazy("No vein, line lost")
    PRODUCT = "product", _lazy("Product: vial broken, particles")
    TIME = "time", _lazy("The clinic closes")
    OTHER = "other", _lazy("Other")


class DischargeReason(models.TextChoices):
    """Why a patient goes although a criterion is not met."""

    PRESCRIBER = "prescriber", _lazy("The prescriber agrees")
    PATIENT = "patient", _lazy("Patient's wish, told of the risk")
    ACCOMPANIED = "accompanied", _lazy("Goes home accompanied")
    NOT_POSSIBLE = "not_possible", _lazy("A set could not be taken")
    OTHER = "other", _lazy("Other")


class GateOverride(SessionRow):
    """A warning passed with a coded reason, or a hard stop with a signature (C3)."""

    rule = Text(max_length=40)
    reason_code = Text(max_length=40)
    reason_text = Text(max_length=400, blank=True)
    found = Prose(max_length=1000, blank=True)
    """What the rule had found; a hard stop that finds something else holds again."""


class Start(SessionRow):
    """The moment an infusion began, with everything it was started from (I8)."""

    session = models.OneToOneField(
        InfusionSession, models.PROTECT, related_name="start"
    )
    order_version = models.ForeignKey(
        OrderVersion, models.PROTECT, related_name="starts"
    )
    protocol_version = models.ForeignKey(
        ProtocolVersion, models.PROTECT, related_name="+"
    )
    weight = models.ForeignKey(Weight, models.PROTECT, related_name="+")
    weight_kg = Measure(low="0.2", high="650", digits=6, places=2)
    dosing_weight_kg = Measure(low="0.2", high="650", digits=9, places=6)
    baseline = models.ForeignKey(
        "infusions.VitalSigns", models.PROTECT, related_name="+"
    )
    volume_ml = Measure(low="0", high="20000", digits=12, places=6)
    experience = Text(max_length=20)
    observation_minutes = Count(low=0, high=600)
    plan = models.JSONField()
    gate = models.JSONField()
