"""Wall screens: browsers that show the wall all day, with nobody signed in.

The key is a random number in a cookie of that browser alone; the wall is all it opens.
"""

import secrets

from sessions.models import Clinic, WallScreen
from sessions.services.acts import Actor, Refused, act
from sessions.services.sign_ins import hashed


def open_wall(*, name: str, old_key: str, by: Actor) -> tuple[WallScreen, str]:
    """Make a wall of this browser; what it was before (`old_key`) ends with it."""
    key = secrets.token_urlsafe(32)
    with act("clinic.wall-open", by=by) as done:
        before = WallScreen.objects.filter(clinic=by.clinic, key_hash=hashed(old_key))
        before.filter(ended_at=None).update(ended_at=by.at)
        wall = WallScreen.objects.create(
            clinic=by.clinic,
            name=name,
            key_hash=hashed(key),
            opened_at=by.at,
            opened_by=by.user,
        )
        done.on(wall, name=name)
    return wall, key


def end_wall(*, wall: WallScreen, by: Actor) -> WallScreen:
    """From its next look on, this screen shows nothing any more."""
    with act("clinic.wall-end", by=by) as done:
        wall = WallScreen.objects.select_for_update().get(pk=wall.pk)
        if wall.ended_at is not None:
            raise Refused("This wall screen was ended already.")
        wall.ended_at = by.at
        wall.save(update_fields=["ended_at"])
        done.on(wall, name=wall.name)
    return wall


def clinic_of(key: str) -> Clinic | None:
    """Whose wall a browser with this key shows; None when it is none, or was ended."""
    if not key:
        return None
    open_walls = WallScreen.objects.filter(ended_at=None).select_related("clinic")
    wall = open_walls.filter(key_hash=hashed(key)).first()
    return wall.clinic if wall else None
