"""Tries mutants, each in a fork that has run nothing yet, one after the other.

Started by `python -m tests.mutation` where the mutants lie; their names come in one a
line. Before the first one the tests run once without any: they have to pass, and tell
which of them reach which function. A mutant meets those alone, the quick ones first.
"""

import functools
import gc
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import django
import pytest
from django.db import connection
from django.db.backends.base.creation import BaseDatabaseCreation
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from mutmut.state import state

CPU_SECONDS, SECONDS = 120, 900
"""A mutant whose tests take longer no longer ends."""
SLOW = (
    "second_engine_written_naively or uneventful_session_raises or "
    "restart_is_never_the_old_rate"
)
"""Tests that take long and would notice little more: the score can only be higher."""
ARGUMENTS = (
    *("-x", "-q", "--rootdir=.", "--tb=short", "-m", "not soak", "-k", f"not ({SLOW})"),
    *("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:rerunfailures"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
LAST = "last.log"
KEPT = functools._lru_cache_wrapper


class Reached:
    """Which functions each test calls, with nothing kept from the test before it."""

    def __init__(self) -> None:
        self.by_all: set[str] = set()
        self.by: dict[str, set[str]] = {}
        self.took: dict[str, float] = {}
        self.failed = ""

    def pytest_collection_finish(self) -> None:
        self.by_all = set(state()._stats)
        kept = [each for each in gc.get_objects() if type(each) is KEPT]
        self.kept = [each for each in kept if each.__module__.startswith("sessions.")]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        state()._stats.clear()
        for each in self.kept:
            each.cache_clear()

    def pytest_runtest_logreport(self, report) -> None:
        self.took[report.nodeid] = self.took.get(report.nodeid, 0) + report.duration
        self.failed = self.failed or (report.nodeid if report.failed else "")

    def pytest_runtest_logfinish(self, nodeid) -> None:
        for function in state()._stats:
            self.by.setdefault(function, set()).add(nodeid)

    def tests_of(self, mutant: str) -> list[str]:
        function = mutant.rpartition("__mutmut_")[0]
        tests = self.took if function in self.by_all else self.by.get(function, ())
        return sorted(tests, key=lambda test: self.took[test])


class These:
    """Run these tests in this order, and remember the first that failed."""

    def __init__(self, tests: list[str]) -> None:
        self.place = {test: place for place, test in enumerate(tests)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items) -> None:
        items[:] = [item for item in items if item.nodeid in self.place]
        items.sort(key=lambda item: self.place[item.nodeid])

    def pytest_runtest_logreport(self, report) -> None:
        self.failed = self.failed or (report.nodeid if report.failed else "")

    pytest_collectreport = pytest_runtest_logreport


def in_a_fork(mutant: str, do) -> dict:
    """What `do` answers with this mutant in place; without an answer, how it ended."""
    heard, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        os.environ["MUTANT_UNDER_TEST"] = mutant
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        signal.alarm(SECONDS)
        with open(LAST, "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            with os.fdopen(told, "w") as file:
                json.dump(do(), file)
        finally:
            os._exit(0)
    os.close(told)
    with os.fdopen(heard) as file:
        answer = file.read()
    _, status = os.waitpid(pid, 0)
    if answer:
        return json.loads(answer)
    return {"noticed": f"no answer, {os.waitstatus_to_exitcode(status)}"}


def look(tests: list[str]) -> dict:
    found = Reached()
    ended = int(pytest.main([*ARGUMENTS, *tests], plugins=[found]))
    return {
        "noticed": found.failed or (f"pytest: {ended}" if ended else ""),
        "by_all": sorted(found.by_all),
        "by": {function: sorted(tests) for function, tests in found.by.items()},
        "took": found.took,
    }


def meet(tests: list[str]) -> dict:
    these = These(tests)
    files = sorted({test.partition("::")[0] for test in tests})
    ended = int(pytest.main([*ARGUMENTS, *files], plugins=[these]))
    return {"noticed": these.failed or (f"pytest: {ended}" if ended else "")}


def meet_alone(mutant: str, tests: list[str]) -> dict:
    """The same from the first import on: of what modules call while they are read."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *ARGUMENTS, *tests],
        env=os.environ | {"MUTANT_UNDER_TEST": mutant},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return {"noticed": f"pytest: {ended.returncode}" if ended.returncode else ""}


def keep_the_tables() -> None:
    """Every fork begins with a copy of the migrated tables, and migrates no more."""
    name = str(connection.creation.create_test_db(verbosity=0, autoclobber=True))
    connection.close()
    tables = Path(name).read_bytes()

    def create_test_db(*_given, **_named) -> str:
        for beside in ("-wal", "-shm"):
            Path(name + beside).unlink(missing_ok=True)
        Path(name).write_bytes(tables)
        return name

    BaseDatabaseCreation.create_test_db = create_test_db


def main() -> None:
    file, *tests = sys.argv[1:]
    names = sys.stdin.read().split()
    os.environ["DJANGO_SETTINGS_MODULE"] = "ivig_clinic.settings"
    hypothesis_settings.register_profile(
        "mutation",
        phases=[phase for phase in Phase if phase is not Phase.shrink],
        derandomize=True,
        database=None,
    )
    hypothesis_settings.load_profile("mutation")
    os.environ["MUTANT_UNDER_TEST"] = "stats"
    django.setup()
    while_read = set(state()._stats)
    os.environ["MUTANT_UNDER_TEST"] = ""
    keep_the_tables()
    clean = in_a_fork("stats", lambda: look(tests))
    if clean["noticed"]:
        sys.exit(f"without a mutant it fails, too: {clean['noticed']}, see {LAST}")
    reached = Reached()
    reached.took, reached.by_all = clean["took"], set(clean["by_all"])
    reached.by = {name: set(tests) for name, tests in clean["by"].items()}
    with Path(file).open("a", buffering=1) as kept:
        for name in names:
            mine = reached.tests_of(name)
            if name.rpartition("__mutmut_")[0] in while_read:
                told = meet_alone(name, tests)
            else:
                told = in_a_fork(name, lambda mine=mine: meet(mine)) if mine else {}
            line = {"name": name, "noticed": told.get("noticed", ""), "by": len(mine)}
            print(json.dumps(line), file=kept)


if __name__ == "__main__":
    main()
