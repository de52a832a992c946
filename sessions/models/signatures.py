"""Signatures: a password asked again, with what it means."""

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalRow
from sessions.models.fields import Choice, Text
from sessions.models.infusions import GateOverride, InfusionSession
from sessions.models.orders import OrderVersion
from sessions.models.rates import RateChange


class Signature(ClinicalRow):
    """Name, time and meaning of one signature."""

    class Meaning(models.TextChoices):
        PRESCRIBED = "prescribed", _lazy("I prescribe this dose")
        VERIFIED = "verified", _lazy("I have verified this order")
        COUNTERSIGNED = "countersigned", _lazy("I countersign this telephone order")
        DISCHARGED = "discharged", _lazy("This record is complete and correct")
        OVERRODE = "overrode", _lazy("I override this hard stop")
        ABOVE_CEILING = "above_ceiling", _lazy("I order this rate above the ceiling")
        ENTERED_IN_ERROR = "entered_in_error", _lazy("This record was entered in error")
        CORRECTED = "corrected", _lazy("I correct this signed record")

    meaning = Choice(choices=Meaning)
    signed_name = Text(max_length=160)
    order_version = models.ForeignKey(
        OrderVersion, models.PROTECT, null=True, related_name="signatures"
    )
    session = models.ForeignKey(
        InfusionSession, models.PROTECT, null=True, related_name="signatures"
    )
    gate_override = models.OneToOneField(
        GateOverride, models.PROTECT, null=True, related_name="signature"
    )
    rate_change = models.OneToOneField(
        RateChange, models.PROTECT, null=True, related_name="signature"
    )
