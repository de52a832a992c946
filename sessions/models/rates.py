"""Changes of the pump's rate. The rate now is the last of them, and nowhere else."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalRow
from sessions.models.fields import Choice, Count, Measure, Text
from sessions.models.infusions import SessionRow


class RateKind(models.TextChoices):
    START = "start", _lazy("Start")
    STEP = "step", _lazy("Step up")
    REDUCE = "reduce", _lazy("Reduce")
    PAUSE = "pause", _lazy("Pause")
    RESUME = "resume", _lazy("Resume")
    STOP = "stop", _lazy("Stop")
    END = "end", _lazy("End")


class RateReason(models.TextChoices):
    """Why a rate was changed by hand; `other` needs words."""

    VITALS = "vitals", _lazy("Vital signs")
    REACTION = "reaction", _lazy("Reaction or complaint")
    PATIENT = "patient", _lazy("Patient's wish")
    LINE = "line", _lazy("Line or pump")
    AWAY = "away", _lazy("Toilet, procedure")
    PRESCRIBER = "prescriber", _lazy("Prescriber's order")
    OTHER = "other", _lazy("Other, in words")


class ResumeReason(models.TextChoices):
    """Why an infusion goes on faster than the protocol proposes (H11)."""

    PRESCRIBER = "prescriber", _lazy("Prescriber's order")
    LINE = "line", _lazy("Paused for line or pump only")
    AWAY = "away", _lazy("Paused for toilet or procedure only")
    OTHER = "other", _lazy("Other, in words")


STANDSTILL = (RateKind.PAUSE, RateKind.STOP, RateKind.END)


class RateChange(SessionRow):
    """One change: from, to, why, who, when (D4).

    `rate_ml_per_kg_h` is the canonical rate; `rate_ml_per_h` is what the pump was
    set to and read back as, rounded down to its resolution.
    """

    kind = Choice(choices=RateKind)
    step = Count(low=0, high=40, null=True)
    before_ml_per_h = Measure(low="0", high="2000", digits=8, places=2)
    rate_ml_per_h = Measure(low="0", high="2000", digits=8, places=2)
    rate_ml_per_kg_h = Measure(low="0", high="20", digits=9, places=6)
    reason_code = Text(max_length=40, blank=True)
    reason_text = Text(max_length=400, blank=True)
    read_back = models.BooleanField(default=True)
    flag = models.ForeignKey(
        "infusions.Flag", models.PROTECT, null=True, related_name="rate_changes"
    )
    reaction = models.ForeignKey(
        "infusions.Reaction", models.PROTECT, null=True, related_name="rate_changes"
    )

    class Meta(SessionRow.Meta):
        abstract = False
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.CheckConstraint(
                condition=Q(kind__in=STANDSTILL, rate_ml_per_h=0, rate_ml_per_kg_h=0)
                | (~Q(kind__in=STANDSTILL) & Q(rate_ml_per_h__gt=0)),
                name="standstill_is_zero_and_running_is_not",
            ),
            models.CheckConstraint(
                condition=~Q(kind=RateKind.REDUCE)
                | Q(rate_ml_per_h__lt=models.F("before_ml_per_h")),
                name="reduce_goes_down",
            ),
            models.CheckConstraint(
                condition=~Q(kind=RateKind.STEP)
                | Q(rate_ml_per_h__gt=models.F("before_ml_per_h")),
                name="step_goes_up",
            ),
            models.UniqueConstraint(
                fields=["session"],
                condition=Q(kind=RateKind.START, supersedes=None),
                name="one_start_per_session",
            ),
        ]
