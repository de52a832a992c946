"""The disk under PostgreSQL is full: 503, nothing in part, back without a restart.

What PostgreSQL does then is its own affair, and stands here as it is: without room for
its tables it refuses to write and goes on reading; without room for its write-ahead log
it stops itself, and until it runs again nothing can be read (H28).
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection

from sessions.models import VitalSigns
from tests.postgres.cluster import Cluster, cluster
from tests.trust.disks import fill, small_disk
from tests.trust.judge import broken_chain, faults
from tests.trust.nurses import WRITERS, Writers
from tests.trust.server import FALLEN, Server, postgresql_record, served

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="fills the disk of a PostgreSQL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """Eight nurses at a server on a PostgreSQL, a part of which has a small disk."""

    made: Cluster
    server: Server
    disk: Path
    writers: Writers


@contextmanager
def ward(folder: Path, part: str) -> Iterator[Ward]:
    """`part` is what lies on the small disk: `data` or `wal`."""
    with (
        tempfile.TemporaryDirectory(prefix="ivig-disk-") as place,
        small_disk(Path(place), megabytes=160) as disk,
        cluster(**{part: disk / part}) as made,
    ):
        record = postgresql_record(made.url, nurses=WRITERS, visits=16)
        with served(record, folder) as server:
            writers = Writers(server, random.Random(1))
            yield Ward(made=made, server=server, disk=disk, writers=writers)


def until(true: Callable[[], bool], *, within: float) -> None:
    ends = time.monotonic() + within
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.1)


def write_until_refused(here: Ward) -> Path:
    """Fill the disk while eight nurses save, and let them try until none can."""
    here.writers.begin(on_after_loss=True)
    time.sleep(1)
    ballast = fill(here.disk)
    try:
        until(lambda: here.writers.unsaved >= 5 * WRITERS, within=240)
    finally:
        here.writers.join()
    return ballast


def refused_whole(here: Ward, *, reads: int) -> None:
    """A set that calls for a flag is not saved, and every page answers `reads`."""
    visit = here.server.record.visits[0]
    answer = here.server.vitals(visit, FALLEN)
    assert (answer.status, "NOT SAVED" in answer.text) == (503, True), answer.text[
        -600:
    ]
    for page in ("/board/", f"/infusions/{visit}/", f"/infusions/{visit}/record/"):
        assert here.server.get(page, nurse=1).status == reads, page


def recovered(here: Ward) -> None:
    """There is room again, and our server was never restarted."""
    here.writers.send_one()
    resent = here.writers.send_again()
    after = here.server.record.seeded["last_vitals"]
    with here.server.record.read() as alias:
        assert faults(alias, here.writers.ledger, after=after) == []
        assert broken_chain(alias) == ""
        sets = VitalSigns.objects.using(alias).filter(pk__gt=after).count()
    assert here.writers.refused == []
    assert sets == len(here.writers.ledger.taken) > 0
    print(f"{sets} sets acknowledged, 0 lost, {resent} of them sent again")


def judged(here: Ward) -> list[str]:
    after = here.server.record.seeded["last_vitals"]
    with here.server.record.read() as alias:
        return faults(alias, here.writers.ledger, after=after)


def test_without_room_for_tables_saves_are_refused_and_reads_go_on(tmp_path, collected):
    with ward(tmp_path, "data") as here:
        ballast = write_until_refused(here)
        assert here.made.runs
        assert judged(here) == []
        refused_whole(here, reads=200)

        ballast.unlink()
        recovered(here)

        # At its next checkpoint PostgreSQL would have stopped itself.
        ballast = write_until_refused(here)
        with pytest.raises(RuntimeError, match="No space left"):
            here.made.sql("CHECKPOINT")
        until(lambda: not here.made.runs, within=60)
        refused_whole(here, reads=503)

        ballast.unlink()
        here.made.start()
        recovered(here)


@pytest.mark.soak
def test_without_room_for_its_log_postgresql_stops_and_comes_back(tmp_path, collected):
    with ward(tmp_path, "wal") as here:
        ballast = write_until_refused(here)
        until(lambda: not here.made.runs, within=60)
        refused_whole(here, reads=503)

        ballast.unlink()
        here.made.start()
        recovered(here)
