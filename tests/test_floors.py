"""The house keeps its floors: imports only go down (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "sessions"
RULES = {"rules"}
FACTS = RULES | {"catalogue"}
MEMORY = FACTS | {"models"}
BELOW = {
    "rules": RULES,
    "catalogue": FACTS,
    "models": RULES | {"models"},
    "charts": MEMORY | {"charts"},
    "persons": MEMORY | {"persons"},
    "drawing": MEMORY | {"charts", "drawing"},
    "paper": {"paper"},
    "replay": MEMORY | {"charts", "replay"},
    "bedsides": MEMORY | {"charts", "drawing", "bedsides"},
    "services": MEMORY | {"charts", "bedsides", "paper", "services"},
    "forms": MEMORY | {"forms", "roles"},
    "board": MEMORY | {"charts", "board"},
    "reports": MEMORY | {"charts", "reports"},
    "exports": MEMORY | {"charts", "reports", "exports"},
    "sheets": MEMORY | {"exports", "sheets"},
}
OUTSIDE_OF_RULES = {"django", "datetime.now", "time", "os", "pathlib", "ivig_clinic"}


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def parts_imported_by(path: Path) -> set[str]:
    """The parts of the app one file imports: `models` for `sessions.models.rates`."""
    return {
        name.split(".")[1]
        for name in imports_of(path)
        if name.startswith("sessions.") and name.count(".")
    }


def files_of(part: str) -> list[Path]:
    return [*APP.glob(f"{part}.py"), *APP.glob(f"{part}/**/*.py")]


@pytest.mark.parametrize("part", BELOW)
def test_imports_go_down(part):
    for path in files_of(part):
        assert parts_imported_by(path) <= BELOW[part], path


def test_rules_know_neither_the_framework_nor_the_clock():
    for path in files_of("rules"):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & OUTSIDE_OF_RULES, path
        assert "float(" not in path.read_text(encoding="utf-8"), path


def test_a_floor_that_imports_up_is_caught(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from sessions.services.vitals import record_vitals\n")

    assert not parts_imported_by(wrong) <= BELOW["rules"]
