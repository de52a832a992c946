"""One act of one user is one transaction and one row of the audit chain.

The row that ends an act also records its submission key: a resend of the same
content finds its first answer (I9, I10, I13), without a table of its own.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import Model, Q, Subquery
from django.utils import translation

from ivig_clinic import VERSION
from sessions.models import FIRST_PREVIOUS, AuditEntry, Clinic, Patient, User
from sessions.rules.language import say

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

RETRIES = 3
GAVE_WAY = ("40001", "40P01")
"""PostgreSQL's codes of a serialisation failure and of a deadlock."""
HURRY_MS = 2000
"""Above the longest a writer queues behind others, below what a reader bears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, in which clinic, at which moment, with which submission.

    `at` is the server's clock. `pressed_at` is set for an entry that waited in a page
    until the line was back: what it did happened then.
    """

    user: User | None
    clinic: Clinic | None
    at: datetime
    pressed_at: datetime | None = None
    workstation: str = ""
    key: str = ""
    content_hash: str = ""

    @classmethod
    def of(cls, *, content: object = "", **given: Any) -> "Actor":
        """Make an actor; `content` is what was submitted, hashed for replays."""
        text = json.dumps(content, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(content_hash=digest if given.get("key") else "", **given)

    @property
    def moment(self) -> datetime:
        """When the act happened: at the press if it waited for the line, else now."""
        return self.pressed_at or self.at

    def stamp(self, *, event_time: datetime | None = None) -> dict[str, Any]:
        """The fields every clinical row carries: who, when, where, which version."""
        return {
            "clinic": self.clinic,
            "recorded_by": self.user,
            "recorded_at": self.at,
            "event_time": event_time or self.moment,
            "workstation": self.workstation,
            "app_version": VERSION,
        }


class Refused(Exception):
    """The act cannot be done; the message says why in a nurse's words.

    `field` names the form field it belongs to, `""` the whole form. A text or a value
    that is itself words is given as a function: it is called when the message is read.
    """

    def __init__(
        self, text: str | Callable[[], str], /, *, field: str = "", **values: object
    ) -> None:
        super().__init__(text)
        self.text, self.field, self.values = text, field, values

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """The sentence in the language of who reads it, which may not be the record's.

        `text` is looked up as it stands, so it is never put together before.
        """
        text, *values = (
            each() if callable(each) else each
            for each in (self.text, *self.values.values())
        )
        return say(str(text), **dict(zip(self.values, values, strict=True)))


class Stale(Refused):
    """Somebody else changed the row since the screen was drawn."""


class Replayed(Exception):
    """This very submission was taken before; `entry` is its row."""

    def __init__(self, entry: AuditEntry) -> None:
        super().__init__("already taken")
        self.entry = entry


class KeyReused(Refused):
    """The same submission key came with other content."""


@dataclass(slots=True)
class Act:
    """What an act touches, told to the audit when it ends."""

    action: str
    by: Actor
    subject: Model | None = None
    patient: Patient | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def on(self, subject: Model, *, patient: Patient | None = None, **detail) -> None:
        """Name the row this act is about; a resend is answered from it."""
        self.subject, self.detail = subject, self.detail | detail
        self.patient = patient or self.patient


def record_language(clinic: Clinic | None) -> AbstractContextManager[None]:
    """Speak the clinic's language: what the record keeps in words is kept in one."""
    return translation.override(clinic.language) if clinic else nullcontext()


changes_heard_by: list[Callable[[Clinic | None, Patient | None], None]] = []
"""Told of each act that changes the record, before it is saved (`sessions.apps`)."""


@contextmanager
def act(
    action: str, *, by: Actor, patient: Patient | None = None, changes: bool = True
) -> Iterator[Act]:
    """Run one act: all of it is saved with its audit row, or nothing is.

    Raises `Replayed` when the submission was taken before, `KeyReused` when its key
    came with other content.
    """
    with transaction.atomic(), record_language(by.clinic):
        head = _head_and_replay(by)
        done = Act(action=action, by=by, patient=patient)
        yield done
        missed = _append(head, done)
        for tell in changes_heard_by if changes else ():
            tell(by.clinic, done.patient)
    for moment in missed:  # only now: an act that fails must not lose the span
        with suppress(ValueError):
            _unaudited.remove(moment)


def view_of(
    action: str, *, by: Actor, subject: Model, patient: Patient | None, **detail: Any
) -> None:
    """Record that somebody looked; when the audit cannot be written, reading goes on.

    `detail` says what was looked at where the subject alone does not.
    """
    try:
        looking = act(action, by=by, patient=patient, changes=False)
        with hurried(), looking as done:
            done.on(subject, **detail)
    except DatabaseError as error:
        _unaudited.append(by.at)
        logger.error(
            "view not audited (%s): %s of %s %s by user %s at %s",
            type(error).__name__,
            action,
            subject._meta.model_name,
            subject.pk,
            by.user and by.user.pk,
            by.at.isoformat(),
        )


def export_of(
    action: str, *, by: Actor, subject: Model, patient: Patient | None, **detail: Any
) -> None:
    """Record that a file leaves; when the audit cannot be written, it does not."""
    with act(action, by=by, patient=patient, changes=False) as done:
        done.on(subject, **detail)


# Moments of views the audit could not take; the next act writes the span down. Should
# the server end before that, they stand in its log.
_unaudited: list[datetime] = []


@contextmanager
def hurried() -> Iterator[None]:
    """Wait `HURRY_MS` for a lock, not twenty seconds: for what must hold up no reader.

    Past Django's cursor, as it is no question to the record and counts as none.
    """
    connection.ensure_connection()
    door, sqlite = connection.connection, connection.vendor == "sqlite"
    with connection.wrap_database_errors:
        door.execute(
            f"PRAGMA busy_timeout = {HURRY_MS}"
            if sqlite
            else f"SET lock_timeout = {HURRY_MS}"
        )
    try:
        yield
    finally:
        if sqlite:
            usual = connection.settings_dict["OPTIONS"]["timeout"]
            door.execute(f"PRAGMA busy_timeout = {usual * 1000}")
        elif not door.closed:
            door.execute("SET lock_timeout = DEFAULT")


def retried(do: Callable[[Actor], Result], by: Actor) -> Result:
    """Do an act, and do it again when the database chose it to give way.

    PostgreSQL ends one of two transactions that wait for each other, wholly undone;
    with the same submission key it can only be done once (I10). SQLite's
    writers wait in a queue instead.
    """
    for _ in range(RETRIES):
        try:
            return do(by)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in GAVE_WAY:
                raise
    return do(by)


def _head_and_replay(by: Actor) -> AuditEntry | None:
    """Lock the chain, return its last row, and refuse a submission taken before."""
    if connection.vendor == "postgresql":  # past Django's cursor, as in `hurried`
        with connection.wrap_database_errors:
            connection.connection.execute("SELECT pg_advisory_xact_lock(7165001)")
    newest = AuditEntry.objects.order_by("-sequence").values("sequence")[:1]
    wanted = Q(sequence=Subquery(newest))
    if by.key:
        wanted |= Q(key=by.key)
    rows = list(AuditEntry.objects.filter(wanted).order_by("-sequence"))
    taken = next((row for row in rows if by.key and row.key == by.key), None)
    if taken:
        same = taken.content_hash == by.content_hash and taken.user_id == (
            by.user and by.user.pk
        )
        if same:
            raise Replayed(taken)
        raise KeyReused("This form was already sent with other values.")
    return rows[0] if rows else None


def _append(head: AuditEntry | None, done: Act) -> list[datetime]:
    """Write the act down; return the moments of missed views it tells of."""
    missed = list(_unaudited)
    if missed:
        span = [min(missed).isoformat(), max(missed).isoformat()]
        done.detail["unaudited_views"] = {"count": len(missed), "span": span}
    by, subject = done.by, done.subject
    entry = AuditEntry(
        sequence=head.sequence + 1 if head else 1,
        at=by.at,
        user=by.user,
        username=by.user.username if by.user else "",
        role=by.user.role.name if by.user and by.user.role_id else "",
        clinic=by.clinic,
        action=done.action,
        object_type=subject._meta.model_name if subject else "",
        object_id=subject.pk if subject else None,
        patient=done.patient,
        detail=json.dumps(done.detail, sort_keys=True, ensure_ascii=False, default=str),
        workstation=by.workstation,
        app_version=VERSION,
        key=by.key or None,
        content_hash=by.content_hash,
        previous_hash=head.hash if head else FIRST_PREVIOUS,
    )
    entry.hash = entry.digest()
    entry.save(force_insert=True)
    return missed
