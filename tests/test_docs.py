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


def sections(name: str) -> dict[str, str]:
    """The parts of a document under a heading of the second rank, by its first word."""
    text = (DOCS / name).read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.split()[0]: part for part in parts}


def lacking(hazards: dict[str, str]) -> list[str]:
    """Hazards with neither a test nor the plain words that there is none yet."""
    return [
        name
        for name in HAZARDS
        if not NAMED.search(hazards.get(name, ""))
        and NOT_YET not in hazards.get(name, "").lower()
    ]


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


def test_every_hazard_has_its_cause_control_risk_and_a_test_or_not_yet():
    hazards = sections("hazards.md")

    assert list(hazards) == HAZARDS
    assert lacking(hazards) == []
    for name, text in hazards.items():
        for part in ("Before:", "- Causes:", "- Control:", "- After:"):
            assert part in text, f"{name} lacks {part}"
        assert FILES.search(text), f"{name} names no file"


def test_a_hazard_without_a_test_is_noticed():
    bare = dict.fromkeys(HAZARDS, "- Tests: `tests/test_docs.py::test_x`")

    assert lacking(bare) == []
    assert lacking(bare | {"H7": "- Control: hope"}) == ["H7"]
    assert lacking(bare | {"H7": "Not yet: everything"}) == []
