"""A folder of sheets, one for each visit in a chair, for when the server is down (H7).

After each act on a patient the sheets of the clinic are brought up to date, outside
the transaction and after the answer (`sessions.middleware.Sheets`): a sheet that
cannot be written never fails a save, and none is more than one save old. The folder is
the server's own (0700, files 0600) and at no address; `docs/operations.md` says how a
clinic reaches it.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from threading import Timer
from typing import TextIO

from django.conf import settings
from django.db import connection, connections, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from sessions.bedsides import bedsides_of
from sessions.charts import for_charts
from sessions.models import Clinic, InfusionSession, Patient
from sessions.paper import page_alone

logger = logging.getLogger(__name__)

INDEX = "index.html"
LOCK_WAIT_S = 2
"""Longer than others take to write; who waits longer gives up, and says so."""
LOCKS = 16
"""Patients share so many locks: two of them rarely wait for each other."""
WRITTEN = re.compile(rb"<!-- written: (.*?) -->\s*$")
WRITTEN_AS = "<!-- written: {} -->\n"
"""Ends each file: the state of the record that lies in it."""
TAIL = 200
"""Bytes at the end of a file among which that line stands."""


@dataclass(slots=True, eq=False)
class _Refresh:
    """What is to be written once the transaction is saved.

    The patient's sheet is locked with the save and written after its answer: so the
    next save for this patient is not answered before this one is on its sheet.
    """

    clinic_id: int
    patients: set[int] = field(default_factory=set)
    locks: ExitStack = field(default_factory=ExitStack)

    def __call__(self) -> None:
        """Called when the transaction is saved."""
        before = _waiting_for(self.clinic_id)  # a second act of one request
        held = _shares(before.patients) if before else set()
        refresh = before or self
        with _failure_told():
            folder, mine = _folder(self.clinic_id), _shares(self.patients)
            _lock(refresh.locks, folder, mine - held)
            refresh.patients |= self.patients
            waiting = _after_answer.get()
            if waiting is None:
                self.write()
            elif before is None:
                waiting.append(self)

    def write_soon(self) -> None:
        """Write a little later, so that the answer is drawn and the line free first."""
        if settings.DOWNTIME_DELAY_S:
            with _failure_told():
                Timer(settings.DOWNTIME_DELAY_S, self._write_alone).start()
        else:
            self.write()

    def _write_alone(self) -> None:
        try:
            self.write()
        finally:
            connections.close_all()

    def write(self) -> None:
        with _failure_told():
            with self.locks:
                clinic = Clinic.objects.get(pk=self.clinic_id)
                visits = _visits(clinic)
                _write(clinic, visits, patients=self.patients)
            if not {_file_of(visit) for visit in visits} <= _there(folder_of(clinic)):
                refresh(clinic)  # a new server, or an emptied folder


@contextmanager
def _failure_told() -> Iterator[None]:
    """Whatever goes wrong with the sheets, the save stands."""
    try:
        yield
    except Exception as error:
        # Without its words: they may name a patient.
        logger.error("downtime sheets not written: %s", type(error).__name__)


_after_answer: ContextVar[list[_Refresh] | None] = ContextVar("sheets", default=None)


@contextmanager
def after_answer() -> Iterator[list[_Refresh]]:
    """Gather what is to be written: no nurse waits for it, as it takes its time."""
    waiting: list[_Refresh] = []
    token = _after_answer.set(waiting)
    try:
        yield waiting
    finally:
        _after_answer.reset(token)


def _waiting_for(clinic_id: int) -> _Refresh | None:
    """What this very request will write of a clinic when it is answered."""
    waiting = _after_answer.get() or []
    return next((each for each in waiting if each.clinic_id == clinic_id), None)


def after_act(clinic: Clinic | None, patient: Patient | None) -> None:
    """Ask for new sheets when the transaction is saved; once for each transaction."""
    if clinic is None or patient is None:
        return
    for _sids, waiting, _robust in connection.run_on_commit:
        if isinstance(waiting, _Refresh) and waiting.clinic_id == clinic.pk:
            waiting.patients.add(patient.pk)
            return
    transaction.on_commit(_Refresh(clinic.pk, {patient.pk}), robust=True)


def refresh(clinic: Clinic, *, everything: bool = False) -> int:
    """Write what is missing or old, or everything; remove what is over.

    Returns how many sheets were written. Raises `OSError` when the folder cannot be
    written, with all sheets that were there still whole.
    """
    folder = folder_of(clinic)
    with ExitStack() as locks:
        _lock(locks, folder, range(LOCKS))
        visits = _visits(clinic)
        old = {
            visit.patient_id
            for visit in visits
            if everything or _written(folder / _file_of(visit)) != _token(visit)
        }
        return _write(clinic, visits, patients=old)


def _write(clinic: Clinic, visits: list[InfusionSession], *, patients: set[int]) -> int:
    """Write the sheets of these patients; who writes has locked them."""
    folder = folder_of(clinic)
    at = timezone.now()
    old = [visit.pk for visit in visits if visit.patient_id in patients]
    with timezone.override(clinic.zone), translation.override(clinic.language):
        whole = for_charts(InfusionSession.objects.filter(pk__in=old))
        for side in bedsides_of(whole, at=at) if old else ():
            context = {"side": side, "banner": side.banner}
            context |= {"clinic": clinic, "now": at}
            page = page_alone("downtime/sheet.html", context)
            _replace(folder / _file_of(side.session), page, _token(side.session))
        if not _is_listed(folder, visits):
            _write_index(clinic, at)
    return len(old)


def _write_index(clinic: Clinic, at: datetime) -> None:
    """Write who is in a chair, and remove the sheets of who no longer is."""
    folder = folder_of(clinic)
    with ExitStack() as locks:
        _lock(locks, folder, [INDEX])
        visits = _visits(clinic)  # read under the lock: somebody may just have sat down
        context = {
            "visits": [(_file_of(visit), visit) for visit in visits],
            "clinic": clinic,
            "now": at,
        }
        page = page_alone("downtime/index.html", context)
        _replace(folder / INDEX, page, _listed(visits))
        for name in _there(folder) - {_file_of(visit) for visit in visits}:
            (folder / name).unlink(missing_ok=True)


def fault(clinic: Clinic) -> str:
    """Why the sheets are not up to date, in words; empty when they are.

    What is old is written now: a fault is only what could not be made good.
    """
    try:
        if _waiting_for(clinic.pk) or _is_current(clinic):
            return ""
        refresh(clinic)
    except OSError as error:
        why = error.strerror or type(error).__name__
    except Exception as error:
        logger.error("downtime sheets not written: %s", type(error).__name__)
        why = type(error).__name__
    else:
        return ""
    return _(
        "The downtime sheets are not up to date: %(why)s. "
        "Until they are, print the sheet of each visit from its page."
    ) % {"why": why}


def folder_of(clinic: Clinic) -> Path:
    """Where the sheets of a clinic lie."""
    return _folder(clinic.pk)


def _folder(clinic_id: int) -> Path:
    return Path(settings.DOWNTIME_FOLDER) / f"clinic-{clinic_id}"


def _is_current(clinic: Clinic) -> bool:
    folder, visits = folder_of(clinic), _visits(clinic)
    return _is_listed(folder, visits) and all(
        _written(folder / _file_of(each)) == _token(each) for each in visits
    )


def _is_listed(folder: Path, visits: list[InfusionSession]) -> bool:
    """Whether the index says what it should, and no sheet lies here beside it."""
    return _written(folder / INDEX) == _listed(visits) and (
        _there(folder) == {_file_of(visit) for visit in visits}
    )


def _visits(clinic: Clinic) -> list[InfusionSession]:
    """Who is in a chair, by chair."""
    seated = InfusionSession.objects.of(clinic).in_a_chair()
    related = seated.select_related("patient", "chair", "nurse")
    return list(related.order_by("chair__position", "chair__name", "pk"))


def _token(visit: InfusionSession) -> str:
    """Stands for a visit as it is: its version, and which record it belongs to."""
    return f"{visit.pk}.{visit.version}.{visit.created_at.timestamp():.0f}"


def _listed(visits: list[InfusionSession]) -> str:
    """Stands for what the index says of these visits."""
    lines = [
        (_file_of(each), str(each.patient), each.patient.mrn, each.stage, each.nurse_id)
        for each in visits
    ]
    return sha256(repr(lines).encode()).hexdigest()


def _there(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("chair-*.html")}


def _file_of(visit: InfusionSession) -> str:
    """`chair-07-S-123.html`: a chair for the eye, no name."""
    chair = re.sub(r"[^0-9A-Za-z]+", "-", visit.chair.name).strip("-") or "x"
    return f"chair-{chair}-S-{visit.pk}.html"


def _written(file: Path) -> str:
    """The state in which something lies here; empty where it does not."""
    try:
        with file.open("rb") as page:
            page.seek(max(file.stat().st_size - TAIL, 0))
            found = WRITTEN.search(page.read())
    except FileNotFoundError:
        return ""
    return found[1].decode() if found else ""


def _shares(patients: Iterable[int]) -> set[int]:
    return {patient % LOCKS for patient in patients}


def _lock(locks: ExitStack, folder: Path, names: Iterable[int | str]) -> None:
    """Hold these locks until `locks` is closed; taken in one order by everybody."""
    for name in sorted(names, key=str):
        locks.enter_context(_locked(folder, name))


def _locked(folder: Path, name: int | str) -> TextIO:
    """One lock of the folder, which is made, and closed to others, where it must be."""
    for each in (folder.parent, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
        if each.stat().st_mode & 0o077:
            each.chmod(0o700)
    lock = os.fdopen(
        os.open(folder / f".lock-{name}", os.O_RDWR | os.O_CREAT, 0o600), "r+"
    )
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                lock.close()
                raise
            time.sleep(0.005)
        else:
            return lock


def _replace(path: Path, page: str, written: str) -> None:
    """Put a page in place whole: whoever opens it finds the old one or the new one."""
    new = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    door = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(door, "w", encoding="utf-8") as file:
        file.write(page + WRITTEN_AS.format(written))
    new.replace(path)
