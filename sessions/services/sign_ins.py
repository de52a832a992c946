"""Signing in and out, the browsers somebody is signed in with, and signatures."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import F
from django.utils.translation import gettext as _

from sessions.models import AuditEntry, Login, User
from sessions.services import lockout, onlookers
from sessions.services.acts import Actor, Refused, act

KEPT = timedelta(days=30)
"""How long a login that ended stays in the table; the audit keeps it for good."""

_BROWSERS = (
    *(("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox")),
    *(("CriOS/", "Chrome"), ("FxiOS/", "Firefox"), ("Chrome/", "Chrome")),
    ("Safari/", "Safari"),
)
_DEVICES = (
    *(("iPad", "iPad"), ("iPhone", "iPhone"), ("Android", "Android")),
    *(("CrOS", "Chromebook"), ("Windows", "Windows"), ("Macintosh", "Mac")),
    ("Linux", "Linux"),
)


def device_words(user_agent: str) -> str:
    """What a browser says it is, in the words of its owner: `Safari on iPad`."""
    browser = next((word for sign, word in _BROWSERS if sign in user_agent), "")
    device = next((word for sign, word in _DEVICES if sign in user_agent), "")
    if browser and device:
        return _("{browser} on {device}").format(browser=browser, device=device)
    return browser or device or _("Unknown device")


def signed_in(
    *, by: Actor, session_key: str, user_agent: str, address: str, proof: str
) -> Login:
    """Write down who signed in where; `proof` says what they showed."""
    lockout.clear(lockout.account(by.user.username))
    lockout.give_back(lockout.address(address))
    with act("staff.sign-in", by=by) as done:
        _forget(by.at)
        login = Login.objects.create(
            user=by.user,
            key_hash=hashed(session_key),
            device=device_words(user_agent),
            address=address,
            signed_in_at=by.at,
            last_seen_at=by.at,
        )
        done.on(by.user, proof=proof, address=address, device=login.device)
    return login


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The sign-in before this one, and how often it was tried in vain since."""

    at: datetime
    device: str
    address: str
    wrong_tries: int


def sign_in_before(user: User) -> Before | None:
    """What somebody is told when they sign in, so that they notice another's hand.

    None at the first time, and when the last was longer ago than logins are kept.
    """
    last = Login.objects.filter(user=user).order_by("-signed_in_at").first()
    if last is None:
        return None
    wrong = AuditEntry.objects.filter(
        action="staff.sign-in-refused",
        object_type="user",
        object_id=user.pk,
        at__gt=last.signed_in_at,
    )
    return Before(
        at=last.signed_in_at,
        device=last.device,
        address=last.address,
        wrong_tries=wrong.count(),
    )


def signed_out(*, by: Actor, login_pk: int | None) -> None:
    with act("staff.sign-out", by=by) as done:
        Login.objects.filter(pk=login_pk, user=by.user).update(ended_at=by.at)
        done.on(by.user)


def ran_out(*, by: Actor, login_pk: int | None, why: str) -> None:
    """A login ended by itself; when that cannot be written, it has ended all the
    same. `why` may be words said late: they are kept in the record's language."""
    with suppress(DatabaseError), act("staff.sign-out-by-itself", by=by) as done:
        Login.objects.filter(pk=login_pk, user=by.user).update(ended_at=by.at)
        done.on(by.user, why=str(why))


def sign_in_refused(
    *, by: Actor, username: str, address: str, why: str = "password"
) -> None:
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
        done.detail.update(address=address, why=why)


def confirm_password(*, by: Actor, password: str) -> None:
    """Ask who signs to prove it; raises `Refused` at the field `password`.

    Stands before the act, never inside it: a password takes a third of a second to
    check, while an act holds the record; and a wrong one is written down although the
    act is not.
    """
    user = by.user
    lockout.begin(lockout.signature(user), at=by.at)
    if user.check_password(password):
        lockout.give_back(lockout.signature(user))
        return
    lockout.add_failure(lockout.account(user.username), at=by.at)
    with act("staff.password-refused", by=replace(by, key="", content_hash="")) as done:
        done.on(user)
    raise Refused("That is not your password.", field="password")


# ── where somebody is signed in ────────────────────────────────────────────────


def open_logins(user: User, *, at: datetime) -> list[Login]:
    """The browsers in which this user is signed in now, the last used first."""
    clinic = user.clinic
    return list(
        Login.objects.filter(
            user=user,
            ended_at=None,
            last_seen_at__gte=at - timedelta(minutes=clinic.idle_minutes + 1),
            signed_in_at__gte=at - timedelta(hours=clinic.absolute_hours),
        )
    )


def seen(login_pk: int | None, *, at: datetime) -> None:
    """Remember when a login was used; a disk that cannot write stops nobody."""
    if login_pk is None:
        return
    with suppress(DatabaseError):
        Login.objects.filter(pk=login_pk).update(last_seen_at=at)


def renewed(login_pk: int | None, *, session_key: str) -> None:
    """The login goes on under a new number."""
    Login.objects.filter(pk=login_pk).update(key_hash=hashed(session_key))


def end_login(*, login_pk: int, by: Actor) -> None:
    """Sign one's own other browser out."""
    with act("staff.end-login", by=by) as done:
        login = Login.objects.filter(pk=login_pk, user=by.user, ended_at=None).first()
        if login is None:
            raise Refused("That browser is signed out already.")
        login.ended_at = by.at
        login.save(update_fields=["ended_at"])
        _drop_session(login.key_hash, at=by.at)
        done.on(by.user, device=login.device, address=login.address)


def end_other_logins(*, by: Actor, but: int | None) -> User:
    """Sign out everywhere else; the caller renews this login's own proof."""
    with act("staff.end-other-logins", by=by) as done:
        user = User.objects.select_for_update(of=("self",)).get(pk=by.user.pk)
        ended = end_all(user, at=by.at, but=but)
        done.on(user, ended=ended)
    return user


def end_all(user: User, *, at: datetime, but: int | None = None) -> int:
    """End every login of a user inside an act that is already running.

    Counting up the epoch ends them whether this table knows them or not.
    """
    User.objects.filter(pk=user.pk).update(login_epoch=F("login_epoch") + 1)
    user.refresh_from_db(fields=["login_epoch"])
    others = Login.objects.filter(user=user, ended_at=None).exclude(pk=but)
    return others.update(ended_at=at)


def hashed(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()


def _drop_session(key_hash: str, *, at: datetime) -> None:
    """Delete the session with this hash; a server has a few hundred at most."""
    sessions = Session.objects.filter(expire_date__gt=at)
    for key in sessions.values_list("session_key", flat=True):
        if hashed(key) == key_hash:
            Session.objects.filter(session_key=key).delete()


def _forget(at: datetime) -> None:
    Session.objects.filter(expire_date__lt=at).delete()
    Login.objects.filter(last_seen_at__lt=at - KEPT).delete()
    onlookers.forget(at)
