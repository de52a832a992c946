"""The chain of acts: every write, sign-in, refusal, view, export, print and setting."""

import hashlib
import json

from django.db import models

from sessions.models.base import instant
from sessions.models.fields import Text

FIRST_PREVIOUS = "0" * 64


class AuditEntry(models.Model):
    """One act of one user (FHIR AuditEvent).

    `sequence` has no gaps; `hash` is SHA-256 over the row's canonical content and
    the hash before it, so that a change, deletion, insertion or swap shows
    (I13). The row is also the record that a submission was taken: `key` is unique,
    so a resend finds its first answer (I10).
    """

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    user = models.ForeignKey(
        "infusions.User", models.PROTECT, null=True, related_name="+"
    )
    username = Text(max_length=60, blank=True)
    role = Text(max_length=40, blank=True)
    clinic = models.ForeignKey(
        "infusions.Clinic", models.PROTECT, null=True, related_name="+"
    )
    action = Text(max_length=60)
    object_type = Text(max_length=60, blank=True)
    object_id = models.BigIntegerField(null=True)
    patient = models.ForeignKey(
        "infusions.Patient", models.PROTECT, null=True, related_name="+"
    )
    detail = models.TextField(default="{}")
    workstation = Text(max_length=80, blank=True)
    app_version = Text(max_length=40)
    key = Text(max_length=40, unique=True, null=True)
    content_hash = Text(max_length=64, blank=True)
    previous_hash = Text(max_length=64)
    hash = Text(max_length=64, unique=True)

    class Meta:
        ordering = ["sequence"]
        indexes = [
            models.Index(fields=["clinic", "at"], name="audit_clinic_at"),
            models.Index(fields=["object_type", "object_id"], name="audit_object"),
        ]

    def canonical(self) -> str:
        """The content that is hashed, the same text on every machine."""
        return json.dumps(
            [
                self.sequence,
                instant(self.at),
                self.user_id,
                self.username,
                self.role,
                self.clinic_id,
                self.action,
                self.object_type,
                self.object_id,
                self.patient_id,
                self.detail,
                self.workstation,
                self.app_version,
                self.key,
                self.content_hash,
                self.previous_hash,
            ],
            ensure_ascii=False,
            separators=(",", ":"),
        )

    def digest(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()
