"""How somebody proves who they are, where they are signed in, and wrong tries."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.fields import Choice, Text

EMPTY = ""
"""A column without a secret; a literal there looks like a password to a scanner."""


class FactorKind(models.TextChoices):
    APP = "app", _lazy("Authenticator app")
    PASSKEY = "passkey", _lazy("Passkey")


class Factor(models.Model):
    """A second thing, beside the password, that only its owner has.

    An authenticator app shares `secret` with the server (sealed: `services.sealing`)
    and counts in steps of 30 seconds; `last_step` is the newest one that was used, so
    that no code counts twice. A passkey has only its public half here, for one `host`.
    """

    user = models.ForeignKey("infusions.User", models.PROTECT, related_name="factors")
    kind = Choice(choices=FactorKind)
    name = Text(max_length=40)
    secret = Text(max_length=400, blank=True)
    last_step = models.BigIntegerField(null=True)
    credential_id = Text(max_length=1400, unique=True, null=True)
    credential = Text(max_length=6000, blank=True)
    sign_count = models.BigIntegerField(default=0)
    host = Text(max_length=255, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=FactorKind.APP, credential_id=None) & ~Q(secret=EMPTY)
                | Q(kind=FactorKind.PASSKEY, credential_id__isnull=False, secret=EMPTY)
                & ~Q(credential=""),
                name="factor_is_whole",
                violation_error_message=_lazy("A factor needs its secret or its key."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"


class RecoveryCode(models.Model):
    """One of ten codes for the day the phone is lost; only its hash is kept."""

    user = models.ForeignKey(
        "infusions.User", models.PROTECT, related_name="recovery_codes"
    )
    code_hash = Text(max_length=64)
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "code_hash"], name="recovery_code_once"
            )
        ]


class Login(models.Model):
    """One browser in which somebody is signed in.

    `key_hash` is SHA-256 of the number in the browser's cookie: who reads this table
    cannot take the login over.
    """

    user = models.ForeignKey("infusions.User", models.PROTECT, related_name="logins")
    key_hash = Text(max_length=64, unique=True)
    device = Text(max_length=60)
    address = Text(max_length=45, blank=True)
    signed_in_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-last_seen_at"]
        indexes = [models.Index(fields=["user", "ended_at"], name="login_open")]


class WrongTries(models.Model):
    """How often one account, address or signature was tried in vain, and until when
    it is locked.

    `subject` is a keyed hash: people type passwords into the box of the name, and a
    name that nobody has is counted like one that somebody has.
    """

    subject = Text(max_length=64, unique=True)
    failures = models.PositiveIntegerField(default=0)
    locks = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["last_at"], name="wrong_tries_last")]
