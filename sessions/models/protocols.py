"""The clinic's policy: immutable versions, each approved by a second person."""

from typing import Self

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.base import ClinicalRow, Owned
from sessions.models.fields import Choice, Text
from sessions.rules.policy import Policy


class Protocol(Owned):
    """A named policy (FHIR PlanDefinition); its content is in its versions."""

    code = Text(max_length=40)
    name = Text(max_length=120)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "code"], name="protocol_code_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ProtocolVersionQuerySet(models.QuerySet):
    def of(self, clinic) -> Self:
        return self.filter(clinic=clinic)

    def in_force(self) -> Self:
        """Approved and not retired, newest approval first."""
        return (
            self.filter(events__kind=ProtocolEvent.Kind.APPROVED)
            .exclude(events__kind=ProtocolEvent.Kind.RETIRED)
            .order_by("-events__recorded_at", "-number")
            .distinct()
        )


class ProtocolVersion(ClinicalRow):
    """One version of a policy, word for word, as orders and flags cite it.

    `document` is what `sessions.rules.policy.Policy.from_document` reads; `sha256`
    is over its canonical text.
    """

    protocol = models.ForeignKey(Protocol, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    sha256 = Text(max_length=64)
    note = Text(max_length=400, blank=True)

    objects = ProtocolVersionQuerySet.as_manager()

    class Meta(ClinicalRow.Meta):
        abstract = False
        ordering = ["protocol", "-number"]
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.UniqueConstraint(
                fields=["protocol", "number"], name="protocol_number_once"
            ),
        ]

    def __str__(self) -> str:
        """As flags, orders and plans cite it: `Protocol 2026-1`."""
        return _("Protocol {code}-{number}").format(
            code=self.protocol.code, number=self.number
        )

    @property
    def policy(self) -> Policy:
        """The version as the rules read it, read once for each content.

        Raises `DocumentError` when the rules cannot read it. The document itself is
        large: rows that come without it (`defer`) fetch it only the first time.
        """
        known = (self.sha256, self.protocol.code, self.number)
        if known not in _policies:
            policy = Policy.from_document(
                self.document, code=self.protocol.code, version=self.number
            )
            if len(_policies) >= POLICIES_KEPT:
                _policies.clear()
            _policies[known] = policy
        return _policies[known]


POLICIES_KEPT = 64
_policies: dict[tuple[str, str, int], Policy] = {}


class ProtocolEvent(ClinicalRow):
    """A version was approved (by a second person) or retired."""

    class Kind(models.TextChoices):
        APPROVED = "approved", _lazy("approved")
        RETIRED = "retired", _lazy("retired")

    protocol_version = models.ForeignKey(
        ProtocolVersion, models.PROTECT, related_name="events"
    )
    kind = Choice(choices=Kind)

    class Meta(ClinicalRow.Meta):
        abstract = False
        ordering = ["recorded_at", "id"]
        constraints = [
            *ClinicalRow.Meta.constraints,
            models.UniqueConstraint(
                fields=["protocol_version", "kind"], name="protocol_event_once"
            ),
        ]
