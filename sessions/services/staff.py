"""Staff: who works here, in which role, and how they sign in."""

from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import Clinic, User
from sessions.services import lockout, sign_ins
from sessions.services.acts import Actor, Refused, Stale, act
from sessions.services.sealing import readable_secret

ADMIN = "admin"
PREFERENCES = ("auto_advance", "alarm_sound", "theme", "own_language")


def access_denied(*, by: Actor, permission: str, path: str) -> None:
    """Write down that somebody asked for what their role does not allow."""
    with act("access.denied", by=by) as done:
        done.detail.update(permission=permission, path=path[:200])


def too_fast(*, by: Actor, path: str) -> None:
    """Write down that a login posted faster than hands do, and was told to wait."""
    with act("access.too-fast", by=by) as done:
        done.detail.update(path=path[:200])


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
    once = "" if password else readable_secret()
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

    `seen` is `seen_as` of the user as the screen showed them. A login that ended so
    stays ended, also when the role comes back.
    """
    with act("staff.change", by=by) as done:
        user = _locked(user, seen)
        before = _shown(user)
        user.name, user.credential, user.phone = name, credential, phone
        user.role, user.is_active = Group.objects.get(name=role), is_active
        if before["role"] == ADMIN and before["is_active"]:
            _keep_an_admin(user, by)
        user.save(update_fields=["name", "credential", "phone", "role", "is_active"])
        after = _shown(user)
        if any(before[what] != after[what] for what in ("role", "is_active")):
            sign_ins.end_all(user, at=by.at)
        done.on(user, before=before, after=after)
    return user


def reset_password(*, user: User, by: Actor) -> str:
    """Give somebody a one-time password, shown once.

    Ends their logins, and unlocks them if they were locked.
    """
    if user.pk == by.user.pk:
        raise Refused("Change your own password under your name, at the top right.")
    once = readable_secret()
    with act("staff.reset-password", by=by) as done:
        user = User.objects.select_for_update().get(pk=user.pk)
        user.set_password(once)
        user.must_change_password = True
        user.save(update_fields=["password", "must_change_password"])
        sign_ins.end_all(user, at=by.at)
        lockout.forgive(user, at=by.at)
        done.on(user, username=user.username)
    return once


def change_own_password(
    *, old: str, new: str, by: Actor, login_pk: int | None = None
) -> User:
    """Set one's own password; every login of this user but `login_pk` ends."""
    try:
        sign_ins.confirm_password(by=by, password=old)
    except Refused as refused:
        raise Refused(refused.message, field="old") from refused
    if old == new:
        raise Refused("This is the password you have. Choose another.", field="new")
    with act("staff.change-own-password", by=by) as done:
        user = User.objects.select_for_update(of=("self",)).get(pk=by.user.pk)
        user.set_password(new)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
        sign_ins.end_all(user, at=by.at, but=login_pk)
        done.on(user)
    return user


def change_preferences(
    *,
    user: User,
    auto_advance: bool,
    theme: str,
    language: str,
    by: Actor,
    alarm_sound: bool = False,
) -> User:
    """Change how the screens behave for one user; nothing clinical."""
    with act("staff.preferences", by=by) as done:
        user = User.objects.select_for_update().get(pk=user.pk)
        before = {name: getattr(user, name) for name in PREFERENCES}
        user.auto_advance, user.theme = auto_advance, theme
        user.own_language, user.alarm_sound = language, alarm_sound
        user.save(update_fields=PREFERENCES)
        after = {name: getattr(user, name) for name in PREFERENCES}
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
            "{name} was changed by somebody else since this page was "
            "drawn: {role}, {state}.",
            name=now.name,
            role=_lazy(now.role.name) if now.role else "–",
            state=_lazy("active") if now.is_active else _lazy("not active"),
        )
    return now


def _keep_an_admin(user: User, by: Actor) -> None:
    """Refuse what would leave nobody who can manage the clinic."""
    if user.role.name == ADMIN and user.is_active:
        return
    admins = User.objects.filter(clinic=by.clinic, role__name=ADMIN, is_active=True)
    if not admins.exclude(pk=user.pk).exists():
        raise Refused("The clinic needs an admin: name another first.", field="role")
