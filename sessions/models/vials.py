"""What was opened, what was left of it, and what must not be opened."""

from django.db import models

from sessions.models.base import ClinicalRow
from sessions.models.fields import Measure, Text
from sessions.models.infusions import SessionRow


class Vial(SessionRow):
    """One vial opened for one visit (FHIR Medication.batch)."""

    product_key = Text(max_length=60)
    product_name = Text(max_length=120)
    lot = Text(max_length=40)
    expiry = models.DateField()
    serial = Text(max_length=40, blank=True)
    gtin = Text(max_length=14, blank=True)
    grams = Measure(low="0.1", high="100", digits=6, places=2)
    volume_ml = Measure(low="1", high="2000", digits=9, places=3)
    looks_right = models.BooleanField(default=True)


class RecalledLot(ClinicalRow):
    """A lot that was called back: none of its vials is recorded for a visit any more.

    Withdrawn, with a reason, when the lot may be used again.
    """

    product_key = Text(max_length=60)
    product_name = Text(max_length=120)
    lot = Text(max_length=40)
    reason = Text(max_length=300)


class VialEnd(SessionRow):
    """A vial was finished; what it held beyond the infusion is waste, with a reason."""

    vial = models.OneToOneField(Vial, models.PROTECT, related_name="end")
    waste_ml = Measure(low="0", high="2000", digits=9, places=3, default="0")
    waste_reason = Text(max_length=120, blank=True)

    class Meta(SessionRow.Meta):
        abstract = False
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(waste_ml=0) | ~models.Q(waste_reason=""),
                name="waste_has_a_reason",
            ),
        ]
