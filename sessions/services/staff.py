"""Staff: who works here, in which role, and how they sign in."""

import secrets
from dataclasses import replace

from django.contrib.auth.models import Group

from sessions.models import Clinic, User
from sessions.services.acts import Actor, Refused, Stale, act

ADMIN = "admin"
# Without letters and digits that are mistaken for each other when read aloud.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


def signed_in(*, by: Actor) -> None:
    with act("staff.sign-in", by=by) as done:
        done.on(by.user)


def signed_out(*, by: Actor) -> None:
    with act("staff.sign-out", by=by) as done:
        done.on(by.user)


def sign_in_refused(*, by: Actor, username: str) -> None:
    """Write down a failed sign-in, in the clinic of the name if there is one.

    An unknown name is not kept: people type passwords into the wrong box.
    """
    user = User.objects.select_related("clinic").filter(username=username).first()
    with act("staff.sign-in-refused", by=by) as done:
        if user:
            done.on(user, username=user.username)
            done.by = replace(by, clinic=user.clinic)
        else:
            done.detail["username"] = "unknown"


def access_denied(*, by: Actor, permission: str, path: str) -> None:
    """Write down that somebody asked for what their role does not allow."""
    with act("access.denied", by=by) as done:
        done.detail.update(permission=permission, path=path[:200])


def confirm_password(user: User, password: str) -> None:
    """Ask who signs to prove it; raises `Refused` at the field `password`."""
    if not user.check_password(password):
        raise Refused("That is not your password.", field="password")


def one_time_password() -> str:
    """A random password of four groups of four, to be read out and typed once."""
    letters = [secrets.choice(_READABLE) for _ in range(16)]
    return "-".join("".join(letters[at : at + 4]) for at in range(0, 16, 4))


def append_user(
    *,
    clinic: Clinic,
    username: str,
    password: str,
    name: str,
    role: str,
    by: Actor,
    credential: str = "",
    phone: str = "",
    must_change_password: bool = False,
) -> User:
    """Add a member of staff inside an act that is already running."""
    if User.objects.filter(username=username).exists():
        raise Refused("This user name is taken. Choose another.", field="username")
    return User.objects.create_user(
        username=username,
        password=password,
        name=name,
        credential=credential,
        phone=phone,
        clinic=clinic,
        role=Group.objects.get(name=role),
        must_change_password=must_change_password,
        created_at=by.at,
    )


def add_staff(
    *,
    username: str,
    name: str,
    role: str,
    by: Actor,
    credential: str = "",
    phone: str = "",
    password: str = "",
) -> tuple[User, str]:
    """Add a member of staff; without a password, one for the first sign-in is made.

    Returns the user and the one-time password, which is kept nowhere and must be
    changed at the first sign-in; an empty text when a password was given.
    """
    once = "" if password else one_time_password()
    with act("staff.add", by=by) as done:
        user = append_user(
            clinic=by.clinic,
            username=username,
            password=password or once,
            name=name,
            role=role,
            credential=credential,
            phone=phone,
            must_change_password=bool(once),
            by=by,
        )
        done.on(user, after=_shown(user))
    return user, once


def change_staff(
    *,
    user: User,
    name: str,
    credential: str,
    phone: str,
    role: str,
    is_active: bool,
    seen: str,
    by: Actor,
) -> User:
    """Change who somebody is here; a new role or none ends all of their logins.

    `seen` is `state_of` the user as the screen showed them. The login of a user
    carries a hash over password and role, so a change of role ends it at once.
    """
    with act("staff.change", by=by) as done:
        user = _locked(user, seen)
        before = _shown(user)
        user.name, user.credential, user.phone = name, credential, phone
        user.role, user.is_active = Group.objects.get(name=role), is_active
        if before["role"] == ADMIN and before["is_active"]:
            _keep_an_admin(user, by)
        user.save(update_fields=["name", "credential", "phone", "role", "is_active"])
        done.on(user, before=before, after=_shown(user))
    return user


def reset_password(*, user: User, by: Actor) -> str:
    """Give somebody a one-time password, shown once; ends all of their logins."""
    if user.pk == by.user.pk:
        raise Refused("Change your own password under your name, at the top right.")
    once = one_time_password()
    with act("staff.reset-password", by=by) as done:
        user = User.objects.select_for_update().get(pk=user.pk)
        user.set_password(once)
        user.must_change_password = True
        user.save(update_fields=["password", "must_change_password"])
        done.on(user, username=user.username)
    return once


def change_own_password(*, user: User, old: str, new: str, by: Actor) -> User:
    """Set one's own password; every other login of this user ends."""
    if not user.check_password(old):
        raise Refused("That is not your password.", field="old")
    if old == new:
        raise Refused("This is the password you have. Choose another.", field="new")
    with act("staff.change-own-password", by=by) as done:
        user = User.objects.select_for_update().get(pk=user.pk)
        user.set_password(new)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
        done.on(user)
    return user


def change_preferences(
    *, user: User, auto_advance: bool, theme: str, by: Actor
) -> User:
    """Change how the screens behave for one user; nothing clinical."""
    with act("staff.preferences", by=by) as done:
        user = User.objects.select_for_update().get(pk=user.pk)
        before = {"auto_advance": user.auto_advance, "theme": user.theme}
        user.auto_advance, user.theme = auto_advance, theme
        user.save(update_fields=["auto_advance", "theme"])
        after = {"auto_advance": auto_advance, "theme": theme}
        done.on(user, before=before, after=after)
    return user


def _shown(user: User) -> dict:
    """What a screen shows of a user, and what the audit keeps; never a password."""
    return {
        "username": user.username,
        "name": user.name,
        "credential": user.credential,
        "phone": user.phone,
        "role": user.role.name if user.role else "",
        "is_active": user.is_active,
    }


def _locked(user: User, seen: str) -> User:
    now = User.objects.select_for_update(of=("self",)).get(pk=user.pk)
    if now.seen_as != seen:
        raise Stale(
            f"{now.name} was changed by somebody else since this page was drawn: "
            f"{now.role}, {'active' if now.is_active else 'not active'}."
        )
    return now


def _keep_an_admin(user: User, by: Actor) -> None:
    """Refuse what would leave nobody who can manage the clinic."""
    if user.role.name == ADMIN and user.is_active:
        return
    admins = User.objects.filter(clinic=by.clinic, role__name=ADMIN, is_active=True)
    if not admins.exclude(pk=user.pk).exists():
        raise Refused("The clinic needs an admin: name another first.", field="role")
