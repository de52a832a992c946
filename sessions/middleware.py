"""What holds for every request: presence, deny by default, no caching, NOT SAVED."""

from datetime import datetime, timedelta

from django.contrib import messages
from django.contrib.auth import logout
from django.db import DatabaseError
from django.utils import timezone

from sessions.views import refusals

SIGNED_IN_AT, LAST_SEEN = "signed_in_at", "last_seen"
# A new last-seen is written at most once a minute: a nurse's save costs one query less.
SEEN_EVERY = timedelta(seconds=60)
POLL = "polls"
"""Attribute of views that a timer calls; they never keep a login alive."""


class NotSaved:
    """A database that cannot write answers 503 NOT SAVED; nothing is half-saved."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if isinstance(exception, DatabaseError):
            return refusals.not_saved(request, exception)
        return None


class Presence:
    """Ends a login that was idle or lasted too long, and sets the clinic's clock."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        if request.user.is_authenticated and self._over(request):
            logout(request)
            messages.warning(
                request,
                "You were signed out, because the screen was not used for some time.",
            )
        if not request.user.is_authenticated:
            return self.get_response(request)
        with timezone.override(request.user.clinic.zone):
            return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        if request.user.is_authenticated and not getattr(view, POLL, False):
            now = timezone.now()
            seen = _moment(request.session.get(LAST_SEEN))
            if seen is None or now - seen >= SEEN_EVERY:
                request.session[LAST_SEEN] = now.isoformat()
        return None

    @staticmethod
    def _over(request) -> bool:
        clinic, now = request.user.clinic, timezone.now()
        since = _moment(request.session.get(SIGNED_IN_AT))
        seen = _moment(request.session.get(LAST_SEEN)) or since
        if clinic is None or since is None or seen is None:
            return True
        return now - seen > timedelta(
            minutes=clinic.idle_minutes
        ) or now - since > timedelta(hours=clinic.absolute_hours)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class DenyByDefault:
    """A view that does not say who may use it does not exist (SAFETY I14)."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        if not hasattr(view, "permission"):
            return refusals.not_found(request)
        return None


class NoStore:
    """No page of ours is kept by a browser or a proxy; static files are."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response.setdefault("Cache-Control", "no-store")
        return response
