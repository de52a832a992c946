"""Wires the app: its label, and what the database needs after each migrate."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SessionsConfig(AppConfig):
    """IVIG infusion sessions.

    The package is `sessions`, so its default label would collide with
    `django.contrib.sessions`. The label names our tables, permissions and
    migrations; it was fixed before the first migration and does not change.
    """

    name = "sessions"
    label = "infusions"
    verbose_name = "IVIG infusion sessions"

    def ready(self) -> None:
        from sessions import checks, storage

        del checks  # imported so that Django knows its checks
        post_migrate.connect(storage.prepare, sender=self)
