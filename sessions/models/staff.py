"""The people who use the product."""

import hashlib
from functools import lru_cache

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _lazy

from sessions.models.clinics import Clinic
from sessions.models.fields import Choice, Text


class Theme(models.TextChoices):
    SYSTEM = "", _lazy("As the device")
    LIGHT = "light", _lazy("Light")
    DARK = "dark", _lazy("Dark")


class StaffManager(BaseUserManager):
    def create_user(self, username: str, password: str, **fields) -> "User":
        """Add a member of staff; the password is hashed, never stored."""
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A member of staff (FHIR Practitioner) with one role in one clinic.

    The role is a Group; its permissions are the only ones a user has.
    """

    username = Text(max_length=60, unique=True)
    name = Text(max_length=120)
    credential = Text(max_length=20, blank=True)
    phone = Text(max_length=40, blank=True)
    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="staff", null=True)
    role = models.ForeignKey(Group, models.PROTECT, related_name="staff", null=True)
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=False)
    # Counted up to end every login of this user at once; see the session's hash.
    login_epoch = models.PositiveIntegerField(default=0)
    auto_advance = models.BooleanField(default=False)
    # Flags and late vital signs sound, where the browser lets a page sound.
    alarm_sound = models.BooleanField(default=False)
    theme = Choice(choices=Theme, max_length=5, blank=True, default=Theme.SYSTEM)
    # Of the screens; empty is the clinic's.
    own_language = Choice(
        choices=settings.LANGUAGES, max_length=10, blank=True, default=""
    )
    created_at = models.DateTimeField()

    objects = StaffManager()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}, {self.credential}" if self.credential else self.name

    @property
    def language(self) -> str:
        """The language of this user's screens."""
        return self.own_language or self.clinic.language

    @property
    def short_name(self) -> str:
        """`K. Mensah` for Kwame Mensah: enough on a card, not more."""
        first, _, rest = self.name.rpartition(" ")
        return f"{first[0]}. {rest}" if first else rest

    def may(self, permission: str) -> bool:
        """Whether the user's role holds a permission of `sessions.roles`."""
        return self.is_active and permission in self.permissions

    @property
    def permissions(self) -> frozenset[str]:
        """What the role holds; remembered, because roles change at migrations only."""
        return role_permissions(self.role_id) if self.role_id else frozenset()

    @property
    def needs_second_factor(self) -> bool:
        """Whether name and password alone let this user do nothing."""
        if self.clinic is None or self.role is None:
            return False
        return self.clinic.asks_second_factor_of(self.role.name)

    @property
    def seen_as(self) -> str:
        """Stands for what a screen shows of this user; a changed one is stale."""
        shown = (self.name, self.credential, self.phone, self.role_id, self.is_active)
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]

    def _get_session_auth_hash(self, secret=None):
        """Tie each login to password, role and epoch: changing one ends all of them."""
        return salted_hmac(
            "sessions.models.staff.User",
            f"{self.password}|{self.role_id}|{self.login_epoch}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()

    def get_session_auth_fallback_hash(self):
        """None: a new SECRET_KEY ends every login, whatever else the old one opens."""
        return iter(())


@lru_cache(maxsize=64)
def role_permissions(role_id: int) -> frozenset[str]:
    """The permissions of a role; `storage.install_roles` makes this forget."""
    return frozenset(
        Group.objects.get(pk=role_id).permissions.values_list("codename", flat=True)
    )
