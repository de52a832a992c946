"""Which faults would no test notice: `make mutation`, or one part of it.

    python -m tests.mutation rules --sample 400 --seed 1
    python -m tests.mutation access --sample 100 --seed 1

Works on a copy of the last commit, one process, at the lowest priority. Of every
module so many mutants are drawn as its share of all; the seed draws the same again.
A mutant counts as noticed when a test fails or no longer ends. It fails when fewer than
`--least` percent of all were noticed.
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
            "tests/views/test_walls.py",
            "tests/services/test_lockout.py",
            "tests/services/test_sign_ins.py",
            "tests/test_pace.py",
            "tests/test_presence.py",
            "tests/test_reach.py",
        ],
    ),
}
GENERATE = """
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants
copy_src_dir()
copy_also_copy_files()
create_mutants(1)
"""
"""mutmut makes the mutants; `trial.py` tries them, each in a process that nothing has
run in before. mutmut's own run forks them from one in which every test has run: what
was read once and kept is then still right, and a mutant of it goes unnoticed."""
TRIED = "tried.jsonl"


def copy_of_the_commit(into: Path) -> None:
    """The last commit as files, and what mutmut is to do with it."""
    archive = subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "x", "-C", into], check=True, input=archive.stdout)


def generate(copy: Path, modules: list[str]) -> None:
    beside = sorted(
        each.name for each in copy.iterdir() if each.name not in ("sessions", "tests")
    )
    settings = {
        "source_paths": ["sessions"],
        "only_mutate": modules,
        "also_copy": [*beside, "tests"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with (copy / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")
    with (copy / "generated.log").open("w") as log:
        subprocess.run(
            [sys.executable, "-c", GENERATE], cwd=copy, check=True, stdout=log
        )


def mutants(copy: Path) -> dict[str, list[str]]:
    """Every mutant by module."""
    found = {}
    for file in sorted((copy / "mutants" / "sessions").rglob("*.meta")):
        names = sorted(json.loads(file.read_text())["exit_code_by_key"])
        if names:
            module = file.relative_to(copy / "mutants").as_posix().removesuffix(".meta")
            found[module] = names
    return found


def drawn(copy: Path, sample: int, seed: str) -> list[str]:
    """A share of every module's mutants, at least four of each, in a mixed order."""
    modules = mutants(copy)
    whole = sum(map(len, modules.values()))
    names = []
    for module, made in modules.items():
        count = min(len(made), max(4, -(-len(made) * sample // whole)))
        names += random.Random(f"{seed} {module}").sample(made, count)
    random.Random(seed).shuffle(names)
    return names


def tried(copy: Path) -> dict[str, str]:
    """Mutants that were tried, with the first test that noticed; empty for none."""
    file = copy / TRIED
    lines = file.read_text().splitlines() if file.exists() else ()
    return {each["name"]: each["noticed"] for each in map(json.loads, lines)}


def attempt(copy: Path, names: list[str], tests: list[str]) -> None:
    environment = os.environ | {
        "SECRET_KEY": "mutation",
        "DATABASE_FILE": str(copy / "mutants.sqlite3"),
        "DATABASE_URL": "",
    }
    subprocess.run(
        [sys.executable, "-m", "tests.mutation.trial", str(copy / TRIED), *tests],
        cwd=copy / "mutants",
        env=environment,
        check=True,
        text=True,
        input="\n".join(names),
    )


def report(copy: Path, names: list[str]) -> float:
    """Print what was noticed by module, and what was not; the share of all, percent."""
    known = tried(copy)
    tries, missed = Counter(), Counter()
    for module, made in mutants(copy).items():
        mine = set(made).intersection(names)
        tries[module] = len(mine)
        missed[module] = sum(not known[name] for name in mine)
    tries["all"], missed["all"] = tries.total(), missed.total()
    for module, count in tries.items():
        share = 100 * (count - missed[module]) / count  # the last one is of all
        print(f"{module:45} {count:5} tried {share:6.1f} % noticed")
    for name in names:
        if not known[name]:
            print("unnoticed:", name)
    return share


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--keep", type=Path, help="work here, and go on where it ended")
    parser.add_argument(
        "--least", type=float, default=90, help="percent that have to be noticed"
    )
    asked = parser.parse_args(arguments)
    os.nice(15)
    copy = asked.keep or Path(tempfile.mkdtemp(prefix="mutation-"))
    modules, tests = PARTS[asked.part]
    if not (copy / "mutants").exists():
        copy.mkdir(exist_ok=True)
        copy_of_the_commit(copy)
        generate(copy, modules)
    names = drawn(copy, asked.sample, asked.seed)
    attempt(copy, [name for name in names if name not in tried(copy)], tests)
    share = report(copy, names)
    if asked.keep is None:
        shutil.rmtree(copy)
    if share >= asked.least:
        return 0
    print(f"FAILED: {share:.1f} % noticed, at least {asked.least:g} % is wanted")
    return 1


if __name__ == "__main__":
    sys.exit(main())
