"""Making, verifying and restoring a backup file, from the first step to the last."""

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any

from django.db import connections

from ivig_clinic import VERSION, databases
from sessions.backups import engines
from sessions.backups.envelope import CHUNK_BYTES, unseal, write_whole
from sessions.backups.errors import BackupError, UsageError
from sessions.backups.manifest import MOST_BYTES, Manifest
from sessions.backups.verification import faults_of, refuse_unknown_migrations

SUFFIX = ".backup"
STALE_SECONDS = 24 * 3600
"""What an interrupted run left behind is cleared away after a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Where a backup was put, and where the database before it is kept."""

    manifest: Manifest
    target: str
    kept: str | None


def make(folder: Path, *, key: bytes, at: datetime) -> tuple[Path, Manifest]:
    """Back the product's database up into a new file of `folder`."""
    path = folder / f"ivig-clinic-{stamp(at)}{SUFFIX}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {folder}: {error.strerror}.") from None
    _sweep(folder, ".ivig-clinic-*.part")
    with scratch_folder() as scratch:
        content = scratch / "content"
        counted = engines.copy_out(content, at=at, app_version=VERSION)
        if not counted.migration:
            raise UsageError("This database holds no record yet: manage.py migrate")
        manifest = replace(
            counted,
            content_bytes=content.stat().st_size,
            content_sha256=_sha256(content),
        )
        write_whole(path, _blocks(manifest, content), key)
    return path, manifest


def verify(path: Path, *, key: bytes) -> Manifest:
    """Restore a backup to a scratch place and compare it; raise what does not fit."""
    with scratch_folder() as scratch, _verified(path, key, scratch) as (manifest, _):
        return manifest


@contextmanager
def scratch_copy(path: Path, *, key: bytes) -> Iterator[tuple[Manifest, str]]:
    """A verified backup under an alias, to be written to; gone afterwards."""
    with (
        scratch_folder() as scratch,
        _verified(path, key, scratch) as (manifest, settings),
    ):
        if manifest.engine == "sqlite":
            settings = databases.sqlite(scratch / "content")
        with engines.opened(settings) as alias:
            yield manifest, alias


def restore(
    path: Path, target: str, *, key: bytes, replace: bool, at: datetime
) -> Restored:
    """Put a verified backup in place, and verify it there once more."""
    url = _is_url(target)
    place: Any = engines.postgresql_at(target) if url else Path(target)
    # Asked before the work is done; asked again when it is put in place.
    if url and engines.holds_tables(place):
        engines.refuse_unless(replace, f"The database {place['NAME']} holds tables")
    if not url:
        if not place.parent.is_dir():
            raise UsageError(f"There is no folder {place.parent}.")
        if place.exists() and place.stat().st_size:
            engines.refuse_unless(replace, f"{place} holds a database")
    beside = None if url else place.parent
    with (
        scratch_folder(beside) as scratch,
        _verified(path, key, scratch, target=target) as (manifest, found),
    ):
        if url:
            kept = engines.put_postgresql(
                found, place, replace=replace, stamp=stamp(at)
            )
            name = place["NAME"]
        else:
            kept = engines.put_sqlite(
                scratch / "content", place, replace=replace, stamp=stamp(at)
            )
            name = str(place)
        _raise(_faults(place if url else engines.scratch_file(place), manifest))
    return Restored(manifest=manifest, target=name, kept=kept and str(kept))


def _is_url(target: str) -> bool:
    return target.startswith(("postgresql://", "postgres://"))


_WHERE = {
    "postgresql": "This is a backup of PostgreSQL: --to postgresql://…/name.",
    "sqlite": "This is a backup of SQLite: --to names a file.",
}


@contextmanager
def _verified(
    path: Path, key: bytes, scratch: Path, *, target: str = ""
) -> Iterator[tuple[Manifest, dict[str, Any]]]:
    """A backup opened into a scratch folder or a scratch database, and verified.

    The scratch database stands beside the target, or else beside the live one.
    """
    content = scratch / "content"
    manifest = _open(path, key, content)
    if target and _is_url(target) != (manifest.engine == "postgresql"):
        raise UsageError(_WHERE[manifest.engine])
    refuse_unknown_migrations(manifest)
    if manifest.engine == "sqlite":
        settings = engines.scratch_file(content)
        _raise(_faults(settings, manifest))
        yield manifest, settings
        return
    live = connections["default"]
    if not target and live.vendor != "postgresql":
        raise UsageError(
            "This is a backup of PostgreSQL: it can be verified where DATABASE_URL "
            "names a PostgreSQL."
        )
    server = engines.postgresql_at(target) if target else live.settings_dict
    with engines.restored_postgresql(content, server) as settings:
        _raise(_faults(settings, manifest))
        yield manifest, settings


def _faults(settings: dict[str, Any], manifest: Manifest) -> list[str]:
    with engines.opened(settings) as alias:
        return faults_of(alias, manifest)


def _raise(faults: list[str]) -> None:
    if faults:
        raise BackupError("The backup is NOT good: " + "; ".join(faults) + ".")


def _open(path: Path, key: bytes, content: Path) -> Manifest:
    """Open the envelope into a file; every byte of it is authenticated on the way."""
    try:
        with path.open("rb") as file, content.open("xb") as plain:
            blocks = unseal(file, key)
            line, first = _first_line(blocks)
            digest = hashlib.sha256(first)
            plain.write(first)
            for block in blocks:
                digest.update(block)
                plain.write(block)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except OSError as error:
        raise BackupError(f"{path} could not be read: {error.strerror}.") from error
    manifest = Manifest.of(line)
    if digest.hexdigest() != manifest.content_sha256:
        raise BackupError("The backup is NOT good: its content has another SHA-256.")
    return manifest


def _first_line(blocks: Iterator[bytes]) -> tuple[bytes, bytes]:
    held = b""
    for block in blocks:
        held += block
        line, newline, rest = held.partition(b"\n")
        if newline:
            return line, rest
        if len(held) > MOST_BYTES:
            break
    raise BackupError("The backup is of a form that this version does not know.")


def _blocks(manifest: Manifest, content: Path) -> Iterator[bytes]:
    yield manifest.line()
    with content.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            yield block


def _sha256(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


@contextmanager
def scratch_folder(beside: Path | None = None) -> Iterator[Path]:
    """A closed folder for the plain copy, gone afterwards.

    It stands where the record stands in the clear anyway: never at the destination,
    which may be a stick or another machine.
    """
    live = connections["default"]
    if beside is None and live.vendor == "sqlite":
        beside = Path(live.settings_dict["NAME"]).resolve().parent
    home = beside or Path(gettempdir())
    _sweep(home, ".ivig-backup-*")
    try:
        folder = Path(mkdtemp(prefix=".ivig-backup-", dir=home))
    except OSError as error:
        raise BackupError(f"No room to work in {home}: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path, pattern: str) -> None:
    for left in folder.glob(pattern):
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def stamp(at: datetime) -> str:
    """UTC in a file's name, to the second."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def newest_in(folder: Path) -> Path:
    """The newest backup of a folder, by the time in its name."""
    found = max(folder.glob(f"ivig-clinic-*{SUFFIX}"), default=None)
    if found is None:
        raise UsageError(f"There is no backup in {folder}.")
    return found
