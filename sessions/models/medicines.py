"""Medicines given beside the immunoglobulin."""

from django.db import models

from sessions.models.fields import Measure, Text
from sessions.models.infusions import SessionRow
from sessions.models.orders import OrderMedicine


class GivenMedicine(SessionRow):
    """One dose of one medicine, given at `event_time` (FHIR
    MedicationAdministration)."""

    ordered = models.ForeignKey(
        OrderMedicine, models.PROTECT, null=True, related_name="given"
    )
    medicine_key = Text(max_length=60)
    name = Text(max_length=120)
    dose = Measure(low="0", high="5000", digits=9, places=3)
    dose_unit = Text(max_length=10)
    route = Text(max_length=20)
