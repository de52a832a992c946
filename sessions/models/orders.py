"""A prescription for a course of IVIG, in immutable versions."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalQuerySet, ClinicalRow, Owned
from sessions.models.fields import Choice, Count, Measure, Prose, Text
from sessions.models.patients import Patient, Weight
from sessions.models.protocols import ProtocolVersion
from sessions.rules.quantities import plain


class OrderStatus(models.TextChoices):
    DRAFT = "draft", _lazy("Draft")
    SIGNED = "signed", _lazy("Signed, to be verified")
    ACTIVE = "active", _lazy("Active")
    ON_HOLD = "on_hold", _lazy("On hold")
    COMPLETED = "completed", _lazy("Completed")
    CANCELLED = "cancelled", _lazy("Cancelled")


CLOSED_ORDERS = (OrderStatus.COMPLETED, OrderStatus.CANCELLED)
"""What happens no more with an order."""

ORDER_MOVES = {
    OrderStatus.DRAFT: {OrderStatus.SIGNED, OrderStatus.CANCELLED},
    OrderStatus.SIGNED: {OrderStatus.ACTIVE, OrderStatus.DRAFT, OrderStatus.CANCELLED},
    OrderStatus.ACTIVE: {
        OrderStatus.ON_HOLD,
        OrderStatus.DRAFT,
        OrderStatus.COMPLETED,
        OrderStatus.CANCELLED,
    },
    OrderStatus.ON_HOLD: {
        OrderStatus.ACTIVE,
        OrderStatus.DRAFT,
        OrderStatus.CANCELLED,
    },
    OrderStatus.COMPLETED: set(),
    OrderStatus.CANCELLED: set(),
}
"""A change of an order makes a new version, which starts as a draft again."""


class Order(Owned):
    """The header of a prescription (FHIR MedicationRequest): where it stands."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="orders")
    status = Choice(choices=OrderStatus, default=OrderStatus.DRAFT)
    current = models.ForeignKey(
        "infusions.OrderVersion", models.PROTECT, null=True, related_name="+"
    )
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey("infusions.User", models.PROTECT, related_name="+")

    objects = ClinicalQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]


class Basis(models.TextChoices):
    ACTUAL = "actual", _lazy("Actual")
    IDEAL = "ideal", _lazy("Ideal (Devine)")
    ADJUSTED = "adjusted", _lazy("Adjusted")


class OrderVersion(ClinicalRow):
    """One version of an order, with all it was computed from (I8).

    `plan` is the document of `sessions.rules.titration.Plan`: dose lines, weights,
    vials, ceiling and ladder, word for word as they were signed.
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    product_key = Text(max_length=60)
    product_name = Text(max_length=120)
    concentration_g_per_100ml = Measure(low="1", high="20", digits=5, places=2)
    indication_key = Text(max_length=60)
    indication_name = Text(max_length=160)
    phase = Text(max_length=40, blank=True)
    weight = models.ForeignKey(Weight, models.PROTECT, related_name="+")
    weight_kg = Measure(low="0.2", high="650", digits=6, places=2)
    height_cm = Measure(low="20", high="280", digits=5, places=1, null=True)
    weight_basis = Choice(choices=Basis)
    dosing_weight_kg = Measure(low="0.2", high="650", digits=9, places=6)
    dose_g_per_kg = Measure(low="0", high="5", digits=8, places=6)
    fixed_dose_g = Measure(low="0", high="1000", digits=8, places=3, null=True)
    days = Count(low=1, high=10, default=1)
    interval_weeks = Measure(low="0", high="52", digits=4, places=1, null=True)
    cycles = Count(low=1, high=60, default=1)
    dose_g = Measure(low="0", high="1000", digits=10, places=6)
    given_g = Measure(low="0", high="1000", digits=10, places=6)
    volume_ml = Measure(low="0", high="20000", digits=12, places=6)
    ceiling_ml_per_kg_h = Measure(low="0", high="20", digits=9, places=6)
    ceiling_binds = Text(max_length=120)
    at_risk = models.BooleanField(default=False)
    experience = Text(max_length=20)
    plan = models.JSONField()
    protocol_version = models.ForeignKey(
        ProtocolVersion, models.PROTECT, related_name="+"
    )
    reason = Prose(max_length=1000, blank=True)
    investigational = models.BooleanField(default=False)
    instructions = Prose(max_length=2000, blank=True)
    first_on = models.DateField(null=True)
    review_on = models.DateField(null=True)
    expires_on = models.DateField()
    by_telephone = models.BooleanField(default=False)
    prescriber = models.ForeignKey(
        "infusions.User", models.PROTECT, related_name="+", null=True
    )
    countersign_by = models.DateTimeField(null=True)
    change_note = Text(max_length=400, blank=True)

    class Meta(ClinicalRow.Meta):
        abstract = False
        ordering = ["order", "-number"]
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.UniqueConstraint(
                fields=["order", "number"], name="order_version_number_once"
            ),
            models.CheckConstraint(
                condition=Q(by_telephone=False)
                | Q(prescriber__isnull=False, countersign_by__isnull=False),
                name="telephone_order_names_prescriber_and_deadline",
                violation_error_message=(
                    _lazy("A telephone order names the prescriber and a deadline.")
                ),
            ),
        ]

    @property
    def words(self) -> str:
        """What is given at one visit: `Privigen 10 % · 30 g = 300 mL · v3`."""
        return _("{product_name} · {given_g} g = {volume_ml} mL · v{number}").format(
            product_name=self.product_name,
            given_g=plain(self.given_g),
            volume_ml=plain(self.volume_ml),
            number=self.number,
        )


class Purpose(models.TextChoices):
    BEFORE = "before", _lazy("Before the infusion")
    AS_NEEDED = "as_needed", _lazy("As needed")


class OrderMedicine(ClinicalRow):
    """A medicine ordered with the course: premedication or as needed."""

    order_version = models.ForeignKey(
        OrderVersion, models.PROTECT, related_name="medicines"
    )
    purpose = Choice(choices=Purpose)
    medicine_key = Text(max_length=60)
    name = Text(max_length=120)
    dose = Measure(low="0", high="5000", digits=9, places=3)
    dose_unit = Text(max_length=10)
    route = Text(max_length=20)
    minutes_before = Count(low=0, high=600, null=True)
    gap_minutes = Count(low=0, high=10000, null=True)
    max_in_24h = Measure(low="0", high="20000", digits=9, places=3, null=True)
    source = Text(max_length=300, blank=True)
