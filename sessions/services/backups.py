"""Writing down that the record was backed up, verified or restored."""

from typing import Any

from sessions.services.acts import Actor, act

MADE, VERIFIED, RESTORED = "backup.make", "backup.verified", "backup.restore"


def backup_made(*, by: Actor, file: str, **what: Any) -> None:
    """Every patient's record left the database: write down where to, and how far."""
    _written(MADE, by, file, what)


def backup_verified(*, by: Actor, file: str, **what: Any) -> None:
    """A backup was restored to a scratch place and found whole; `made_at` is its age.

    Admins are shown how old the newest one is.
    """
    _written(VERIFIED, by, file, what)


def backup_restored(*, by: Actor, file: str, **what: Any) -> None:
    """This record came out of a backup: what was written after it is not in it."""
    _written(RESTORED, by, file, what)


def _written(action: str, by: Actor, file: str, what: dict[str, Any]) -> None:
    with act(action, by=by) as done:
        done.detail |= {"file": file, **what}
