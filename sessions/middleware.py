"""What holds for every request: presence, deny by default, no caching, NOT SAVED."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError
from django.utils import timezone, translation
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.services import downtime, sign_ins
from sessions.services.acts import Actor, hurried
from sessions.views import refusals

SIGNED_IN_AT, LAST_SEEN = "signed_in_at", "last_seen"
SECOND_FACTOR = "second_factor"
"""In the session of who proved enough: with a second factor, or without where none is
asked for."""
LOGIN = "login"
"""In the session: the row of `Login` it belongs to."""
# A new last-seen is written at most once a minute: a nurse's save costs one query less.
SEEN_EVERY = timedelta(seconds=60)
POLL = "polls"
"""Attribute of views that a timer calls; they never keep a login alive."""


# When a login was last used, by its key, while the record could not be written.
_seen_unsaved: dict[str, datetime] = {}


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
        if request.user.is_authenticated and (why := self._over(request)):
            sign_ins.ran_out(
                by=Actor.of(
                    user=request.user, clinic=request.user.clinic, at=timezone.now()
                ),
                login_pk=request.session.get(LOGIN),
                why=why,
            )
            logout(request)
            messages.warning(
                request, _("You were signed out, because {why}.").format(why=why)
            )
        if not request.user.is_authenticated:
            return self.get_response(request)
        language, zone = request.user.language, request.user.clinic.zone
        with timezone.override(zone), translation.override(language):
            response = self.get_response(request)
            response.headers["Content-Language"] = language
            return response

    def process_view(self, request, view, args, kwargs):
        if request.user.is_authenticated and not getattr(view, POLL, False):
            now = timezone.now()
            seen = _moment(request.session.get(LAST_SEEN))
            if seen is None or now - seen >= SEEN_EVERY:
                self._remember(request, now)
        return None

    @staticmethod
    def _remember(request, now: datetime) -> None:
        """Write down that this login is in use; a disk that cannot write stops nobody.

        Then it is remembered here, so that who only reads is not signed out as idle.
        """
        request.session[LAST_SEEN] = now.isoformat()
        try:
            with hurried():
                request.session.save()
                sign_ins.seen(request.session.get(LOGIN), at=now)
        except (DatabaseError, UpdateError):
            _seen_unsaved[request.session.session_key] = now
        else:
            _seen_unsaved.pop(request.session.session_key, None)
        request.session.modified = False

    @staticmethod
    def _over(request) -> str:
        """Why this login is over, in words of who reads them; empty while it is not."""
        clinic, now = request.user.clinic, timezone.now()
        since = _moment(request.session.get(SIGNED_IN_AT))
        seen = _moment(request.session.get(LAST_SEEN)) or since
        unsaved = _seen_unsaved.get(request.session.session_key)
        if seen is not None and unsaved is not None:
            seen = max(seen, unsaved)
        if clinic is None or since is None or seen is None:
            return _lazy("this login is not complete")
        if now - since > timedelta(hours=clinic.absolute_hours):
            return format_lazy(
                _lazy("a login lasts {absolute_hours} hours at most"),
                absolute_hours=clinic.absolute_hours,
            )
        if now - seen > timedelta(minutes=clinic.idle_minutes):
            return format_lazy(
                _lazy("the screen was not used for {idle_minutes} minutes"),
                idle_minutes=clinic.idle_minutes,
            )
        return ""


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class Sheets:
    """Writes the downtime sheets of what was saved, once the answer is sent."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        with downtime.after_answer() as waiting:
            response = self.get_response(request)
        if waiting:
            close = response.close

            def write_and_close() -> None:
                for sheets in waiting:
                    sheets.write_soon()
                close()

            response.close = write_and_close
        return response


class DenyByDefault:
    """A view that does not say who may use it does not exist (I14)."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        if not hasattr(view, "permission"):
            return refusals.not_found(request)
        return None


class NoStore:
    """No page of ours is kept by a browser or a proxy; static files are.

    Each also says where the browser tells what it refused.
    """

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response.setdefault("Cache-Control", "no-store")
        if settings.HTTPS:
            response["Reporting-Endpoints"] = f'policy="{settings.VIOLATIONS}"'
        return response
