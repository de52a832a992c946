"""Which faults would no test notice: `make mutation`, or one part of it.

    python -m tests.mutation rules --sample 400 --seed 1
    python -m tests.mutation access --sample 100 --seed 1

Works on a copy of the last commit, one process, at the lowest priority. Of every
module so many mutants are drawn as its share of all; the seed draws the same again.
A mutant counts as noticed when a test fails or no longer ends.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SLOW = (
    "second_engine_written_naively or uneventful_session_raises or "
    "restart_is_never_the_old_rate"
)
"""Tests that take long and would notice little more: the score can only be higher."""
PARTS = {
    "rules": (
        ["sessions/rules/*.py"],
        ["tests/rules", "tests/catalogue"],
    ),
    "access": (
        [
            "sessions/access.py",
            "sessions/middleware.py",
            "sessions/services/lockout.py",
            "sessions/services/sign_ins.py",
        ],
        [
            "tests/views/test_access.py",
            "tests/views/test_sign_ins.py",
            "tests/services/test_lockout.py",
            "tests/services/test_sign_ins.py",
            "tests/test_presence.py",
        ],
    ),
}
NOTICED = {1: "failed", 3: "failed", -24: "timed out", 24: "timed out", 36: "timed out"}
BATCH = 50
"""Mutants in one run, so that a run that is cut short has drawn from every module."""


def copy_of_the_commit(into: Path) -> None:
    """The last commit as files, and what mutmut is to do with it."""
    archive = subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "x", "-C", into], check=True, input=archive.stdout)


def configure(copy: Path, modules: list[str], tests: list[str]) -> None:
    beside = sorted(
        each.name
        for each in copy.iterdir()
        if each.name not in ("sessions", "tests", "pyproject.toml")
    )
    arguments = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:rerunfailures"]
    settings = {
        "source_paths": ["sessions"],
        "only_mutate": modules,
        "also_copy": beside,
        "pytest_add_cli_args": [*arguments, "-m", "not soak", "-k", f"not ({SLOW})"],
        "pytest_add_cli_args_test_selection": tests,
        "use_git_change_detection": False,
        "track_dependencies": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with (copy / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def mutmut(copy: Path, *names: str) -> None:
    environment = os.environ | {
        "SECRET_KEY": "mutation",
        "DATABASE_FILE": str(copy / "mutants.sqlite3"),
        "DATABASE_URL": "",
    }
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    with (copy / "mutmut.log").open("a") as log:
        subprocess.run(command, cwd=copy, env=environment, stdout=log, stderr=log)


def results(copy: Path) -> dict[str, dict[str, int | None]]:
    """Every mutant by module, with how its tests ended; None before they ran."""
    found = {}
    for file in sorted((copy / "mutants" / "sessions").rglob("*.meta")):
        ended = json.loads(file.read_text())["exit_code_by_key"]
        if ended:
            module = file.relative_to(copy / "mutants").as_posix().removesuffix(".meta")
            found[module] = ended
    return found


def drawn(copy: Path, sample: int, seed: str) -> list[str]:
    """A share of every module's mutants, at least four of each, in a mixed order."""
    modules = results(copy)
    whole = sum(map(len, modules.values()))
    names = []
    for module, mutants in modules.items():
        count = min(len(mutants), max(4, -(-len(mutants) * sample // whole)))
        names += random.Random(f"{seed} {module}").sample(sorted(mutants), count)
    random.Random(seed).shuffle(names)
    return names


def report(copy: Path, names: list[str]) -> int:
    tried, missed, unnoticed = Counter(), Counter(), []
    for module, mutants in results(copy).items():
        for name in names:
            ended = mutants.get(name)
            if ended is None:
                continue
            tried[module] += 1
            if ended not in NOTICED:
                missed[module] += 1
                unnoticed.append(name)
    for module in sorted(tried):
        share = 100 * (tried[module] - missed[module]) / tried[module]
        print(f"{module:45} {tried[module]:5} tried {share:6.1f} % noticed")
    whole, lost = tried.total(), missed.total()
    if whole:
        print(
            f"{'all':45} {whole:5} tried {100 * (whole - lost) / whole:6.1f} % noticed"
        )
    for name in unnoticed:
        print("unnoticed:", name)
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--keep", type=Path, help="work here, and go on where it ended")
    asked = parser.parse_args()
    os.nice(15)
    copy = asked.keep or Path(tempfile.mkdtemp(prefix="mutation-"))
    if not (copy / "mutants").exists():
        copy.mkdir(exist_ok=True)
        copy_of_the_commit(copy)
        configure(copy, *PARTS[asked.part])
        mutmut(copy, "nothing of this name")
    names = drawn(copy, asked.sample, asked.seed)
    for first in range(0, len(names), BATCH):
        mutmut(copy, *names[first : first + BATCH])
        print(f"after {first + BATCH} of {len(names)}", flush=True)
    if report(copy, names) < len(names):
        sys.exit(f"not every mutant was tried: see {copy / 'mutmut.log'}")
    if asked.keep is None:
        shutil.rmtree(copy)


if __name__ == "__main__":
    main()
