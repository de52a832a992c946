"""What is installed is what was looked at: every version pinned, every file by hash."""

import re
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,]+\])?(?:==([\w.]+))?", re.MULTILINE)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def listed(name: str) -> dict[str, str | None]:
    """The lines of the readable list, each with its version if it names one."""
    text = (HOME / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"[A-Za-z]", line)]
    return {plain(m[1]): m[2] for line in lines if (m := PINNED.match(line))}


def locked(text: str) -> dict[str, tuple[str, str, int]]:
    """Version, marker and number of hashes of each package of a lock."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)
    found = {}
    for entry in filter(str.strip, entries):
        head, *rest = entry.split(" \\\n")
        name, _, version = head.rstrip().partition("==")
        version, _, marker = version.partition(" ; ")
        hashes = [
            each for each in rest if re.match(r" +--hash=sha256:[0-9a-f]{64}", each)
        ]
        found[plain(name)] = (version, marker, len(hashes))
    return found


def lock(name: str) -> dict[str, tuple[str, str, int]]:
    return locked((HOME / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_holds_every_line_of_the_list(name):
    """Changed a line? `make lock` writes what it brings along."""
    held = lock(f"{name}.lock")

    for package, version in listed(f"{name}.txt").items():
        assert package in held, f"run `make lock`: {package}"
        if version is not None:
            assert held[package][0] == version, f"run `make lock`: {package}"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_is_pinned_with_hashes_and_no_server_is_named(name):
    text = (HOME / name).read_text(encoding="utf-8")

    assert len(lock(name)) > 20
    assert all(count > 0 for _, _, count in lock(name).values())
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_tests_run_on_what_the_product_runs_on():
    product, tests = lock("requirements.lock"), lock("requirements-dev.lock")

    assert all(tests[name] == held for name, held in product.items())


def test_the_newer_sqlite_is_only_asked_for_where_it_exists():
    _, marker, _ = lock("requirements.lock")["pysqlite3"]

    assert "platform_machine == 'x86_64'" in marker
    assert "sys_platform == 'linux'" in marker


def test_make_installs_by_hash():
    steps = (HOME / "Makefile").read_text(encoding="utf-8")

    installs = re.findall(r"\$\(PIP\) (.*)", steps)
    assert [line for line in installs if "-r " in line] == [
        "--require-hashes -r requirements.lock",
        "--require-hashes -r requirements-dev.lock",
    ]


def test_a_package_without_a_hash_would_be_noticed():
    held = locked(
        "django==5.2 ; python_version > '3' \\\n    --hash=sha256:x\ncsp==4\n"
    )

    assert held == {"django": ("5.2", "python_version > '3'", 0), "csp": ("4", "", 0)}
