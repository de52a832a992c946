"""Staff: signing in and out, and the password asked again at a signature."""

from sessions.models import User
from sessions.services.acts import Actor, Refused, act


def signed_in(*, by: Actor) -> None:
    with act("staff.sign-in", by=by) as done:
        done.on(by.user)


def signed_out(*, by: Actor) -> None:
    with act("staff.sign-out", by=by) as done:
        done.on(by.user)


def sign_in_refused(*, by: Actor, username: str) -> None:
    """Write down a failed sign-in; the name as typed, never the password."""
    with act("staff.sign-in-refused", by=by) as done:
        done.detail["username"] = username[:60]


def confirm_password(user: User, password: str) -> None:
    """Ask who signs to prove it; raises `Refused` at the field `password`."""
    if not user.check_password(password):
        raise Refused("That is not your password.", field="password")
