"""Who else has a visit open (H15): told to each of them, kept by nobody."""

from contextlib import suppress
from datetime import datetime, timedelta

from django.db import DatabaseError

from sessions.models import InfusionSession, Onlooker
from sessions.services.acts import Actor, hurried

GONE = timedelta(seconds=45)
"""A page is heard of every ten seconds; after this long nobody looks at it any more."""
KEPT = timedelta(days=1)
HEARD_EVERY = timedelta(seconds=25)
"""How often that is written down: a poll in three."""


def look(session_pk: int, *, by: Actor) -> list[Onlooker]:
    """Say that this user has the visit open, and who else has.

    One query, and every 25 seconds two more. A disk that cannot write stops nobody.
    """
    here = list(
        Onlooker.objects.filter(
            session_id=session_pk,
            session__clinic=by.clinic,
            last_seen_at__gt=by.at - GONE,
        ).select_related("user")
    )
    own = next((row for row in here if row.user_id == by.user.pk), None)
    if own is None or by.at - own.last_seen_at >= HEARD_EVERY:
        with suppress(DatabaseError), hurried():
            _hear(session_pk, own, by)
    return [row for row in here if row is not own]


def forget(at: datetime) -> None:
    """Forget who looked a day ago: at a sign-in, as looking deletes nothing."""
    Onlooker.objects.filter(last_seen_at__lt=at - KEPT).delete()


def _hear(session_pk: int, own: Onlooker | None, by: Actor) -> None:
    here = InfusionSession.objects.of(by.clinic).filter(pk=session_pk)
    if own is None and not here.exists():
        return
    Onlooker.objects.update_or_create(
        session_id=session_pk,
        user=by.user,
        defaults={
            "last_seen_at": by.at,
            "since": own.since if own else by.at,
        },
    )
