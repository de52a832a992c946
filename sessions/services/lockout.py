"""Locks out who tries too often: an account, an address, somebody's signature.

A try is counted before it is checked and given back when it was right: of a hundred
tries sent at once, by any number of processes, only the allowed ones are checked. A
name that nobody has is counted like one that somebody has.
"""

import ipaddress
import json
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from sessions.models import AuditEntry, User, WrongTries
from sessions.services.acts import Actor, Refused, act

FORGOTTEN_AFTER = timedelta(days=1)
LONGEST_LOCK = timedelta(days=1)
_ADDRESS = "address:"


class LockedOut(Refused):
    """Too many wrong tries; nothing was checked."""

    def __init__(self, until: datetime, at: datetime, *, of_address: bool) -> None:
        minutes = max(1, -int((at - until).total_seconds() // 60))
        wait = (
            _("1 minute")
            if minutes == 1
            else _("{minutes} minutes").format(minutes=minutes)
        )
        super().__init__(
            _("Too many wrong tries from this network. Wait {wait}.").format(wait=wait)
            if of_address
            else _(
                "Too many wrong tries. Wait {wait}, or ask an admin of the "
                "clinic to unlock you."
            ).format(wait=wait),
            field="password",
        )
        self.until = until


def account(username: str) -> str:
    return f"account:{username}"


def signature(user: User) -> str:
    """Signing has a count of its own: strangers at the sign-in page cannot keep a
    nurse who is signed in from discharging a patient."""
    return f"signature:{user.pk}"


def address(text: str) -> str:
    """One household of addresses: a whole /64 of IPv6 belongs to one customer."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return f"{_ADDRESS}unknown"
    if found.version == 6 and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.version == 6:
        return f"{_ADDRESS}{ipaddress.ip_network((found, 64), strict=False)}"
    return f"{_ADDRESS}{found}"


def begin(*subjects: str, at: datetime) -> None:
    """Count one try of each subject as wrong, until it is given back.

    Raises `LockedOut` and counts nothing when one of them is locked.
    """
    with transaction.atomic():
        _forget(at)
        ordered = sorted(subjects, key=_hashed)
        rows = [(subject, _row(subject, at)) for subject in ordered]
        until, subject = max((row.locked_until or at, subject) for subject, row in rows)
        if until > at:
            raise LockedOut(until, at, of_address=subject.startswith(_ADDRESS))
        for subject, row in rows:
            _count(row, at, doubling=not subject.startswith(_ADDRESS))


def add_failure(subject: str, *, at: datetime) -> None:
    """Count a wrong try that was made at another door."""
    with transaction.atomic():
        row = _row(subject, at)
        if row.locked_until is None or row.locked_until <= at:
            _count(row, at, doubling=True)


def give_back(*subjects: str) -> None:
    """The try was right: it does not count, and what it locked is open again."""
    limit = settings.LOCK_AFTER_FAILURES
    with transaction.atomic():
        for row in _rows(subjects):
            if row.failures == limit:
                row.locked_until = None
            row.failures = max(0, row.failures - 1)
            row.save()


def clear(*subjects: str) -> None:
    """Start anew: somebody proved who they are, or an admin unlocked them."""
    WrongTries.objects.filter(subject__in=map(_hashed, subjects)).delete()


def locked_until(user: User, *, at: datetime) -> datetime | None:
    """When this user may sign in or sign again, or None when they may now."""
    subjects = [_hashed(account(user.username)), _hashed(signature(user))]
    rows = WrongTries.objects.filter(subject__in=subjects, locked_until__gt=at)
    return max((row.locked_until for row in rows), default=None)


def unlock(*, user: User, by: Actor) -> None:
    """Let somebody try again before their time; an act of an admin, who asked
    whether it was them."""
    with act("staff.unlock", by=by) as done:
        addresses = forgive(user, at=by.at)
        done.on(user, username=user.username, addresses=sorted(addresses))


def forgive(user: User, *, at: datetime) -> set[str]:
    """Drop what counts against a user, also where they tried in vain."""
    tried_from = _tried_from(user, since=at - FORGOTTEN_AFTER)
    clear(account(user.username), signature(user), *map(address, tried_from))
    return tried_from


def _tried_from(user: User, *, since: datetime) -> set[str]:
    """Addresses from which this account was tried in vain, as the audit has them."""
    details = AuditEntry.objects.filter(
        action="staff.sign-in-refused",
        object_type="user",
        object_id=user.pk,
        at__gte=since,
    ).values_list("detail", flat=True)
    return {json.loads(detail).get("address", "") for detail in details} - {""}


def _count(row: WrongTries, at: datetime, *, doubling: bool) -> None:
    """One more wrong try; at the limit the row is locked, each time for longer.

    An address is locked equally long each time, and forgets what is older than one
    lock: a whole clinic may stand behind it.
    """
    lock = timedelta(minutes=settings.LOCK_MINUTES)
    if row.locked_until is not None:
        row.locks, row.failures, row.locked_until = row.locks + 1, 0, None
    elif not doubling and at - row.last_at > lock:
        row.failures = 0
    row.failures, row.last_at = row.failures + 1, at
    if row.failures >= settings.LOCK_AFTER_FAILURES:
        times = 2 ** min(row.locks, 10) if doubling else 1
        row.locked_until = at + min(lock * times, LONGEST_LOCK)
    row.save()


def _row(subject: str, at: datetime) -> WrongTries:
    row, _ = WrongTries.objects.select_for_update().get_or_create(
        subject=_hashed(subject), defaults={"last_at": at}
    )
    return row


def _rows(subjects: tuple[str, ...]) -> list[WrongTries]:
    rows = WrongTries.objects.select_for_update().order_by("subject")
    return list(rows.filter(subject__in=map(_hashed, subjects)))


def _forget(at: datetime) -> None:
    """Drop what is long past, so that tries with made-up names fill no disk."""
    past = at - FORGOTTEN_AFTER - LONGEST_LOCK
    WrongTries.objects.filter(last_at__lt=past).delete()


def _hashed(subject: str) -> str:
    """In no language: what is counted in one has to be found in every other."""
    return salted_hmac("sign-in tries", subject, algorithm="sha256").hexdigest()
