"""Wires the app: its label, and what the database needs after each migrate."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.translation import get_language, gettext


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
        from sessions import checks, clocks, storage, turns
        from sessions.rules import language
        from sessions.services import acts, downtime

        del checks  # imported so that Django knows its checks
        del clocks  # imported so that it compares from the start on
        language.speak(gettext, _inside)
        if downtime.after_act not in acts.changes_heard_by:
            acts.changes_heard_by.append(downtime.after_act)
        connection_created.connect(turns.wait_fairly)
        post_migrate.connect(storage.prepare, sender=self)
        post_migrate.connect(_compile_words, sender=self)


def _inside(words: str) -> str:
    """A label inside a sentence: German writes nouns with a capital everywhere."""
    return words if get_language() == "de" else words.lower()


def _compile_words(sender, **_signal) -> None:
    from sessions import translations

    translations.compile_newer()
