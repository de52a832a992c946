"""What the documents claim holds: rules as shipped, every named test exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import call_command

from sessions.management.rulebook import clinical_rules, named_tests, rows

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NAMED = re.compile(r"tests/[\w/]+\.py(?:::\w+)*")
FILES = re.compile(r"`((?:sessions|ivig_clinic|templates)/[\w/.-]+)`")
NOT_YET = "not yet"
HAZARDS = [f"H{number}" for number in range(1, 33)]


@cache
def names_in(path: str) -> frozenset[str]:
    """Every test of a file, as `test_name` or `TestClass::test_name`."""
    file = ROOT / path
    if not file.exists():
        return frozenset()
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}::{each.name}"
                for each in node.body
                if isinstance(each, ast.FunctionDef)
            }
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return frozenset(name for name in found if "test_" in name)


def missing_tests(text: str) -> list[str]:
    """Tests a document names that are not there; a bare file must at least exist."""
    missing = []
    for named in dict.fromkeys(NAMED.findall(text)):
        path, _, name = named.partition("::")
        known = names_in(path)
        if (name and name not in known) or not (ROOT / path).exists():
            missing.append(named)
    return missing


def table(name: str) -> dict[str, list[str]]:
    """The rows of a document's tables by their first cell."""
    read = {}
    for line in (DOCS / name).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) > 2:
            read[cells[0]] = cells[1:]
    return read


def test_the_rules_are_written_down_as_they_are_shipped():
    written = (DOCS / "clinical-rules.md").read_text(encoding="utf-8")

    # run: python manage.py clinical_rules > docs/clinical-rules.md
    assert written == clinical_rules()


def test_the_command_prints_the_page(capsys):
    call_command("clinical_rules")

    assert capsys.readouterr().out == clinical_rules()


def test_each_rule_stands_once_with_a_source_and_a_test():
    text = clinical_rules()
    names = [line.split(" | ")[0] for line in rows(text)]

    assert len(names) == len(set(names)) > 400
    assert all(re.search(r" \| \[\d+\]", line) for line in rows(text))
    assert all(name.startswith("tests/") for name in named_tests(text))


@pytest.mark.parametrize(
    "document", sorted(path.name for path in DOCS.glob("**/*.md")), ids=str
)
def test_every_named_test_exists(document):
    (path,) = DOCS.glob(f"**/{document}")

    assert missing_tests(path.read_text(encoding="utf-8")) == []


def test_every_named_file_exists():
    for path in DOCS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for named in re.findall(
            r"`((?:sessions|ivig_clinic|templates)/[\w/.-]+)`", text
        ):
            assert (ROOT / named).exists(), f"{path.name} names {named}"


def test_a_test_that_does_not_exist_is_noticed():
    text = "`tests/test_docs.py::test_nobody_wrote` and `tests/test_nowhere.py`"

    assert missing_tests(text) == [
        "tests/test_docs.py::test_nobody_wrote",
        "tests/test_nowhere.py",
    ]
    assert missing_tests("`tests/test_docs.py::test_every_named_test_exists`") == []
