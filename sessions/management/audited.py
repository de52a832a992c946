"""The acts that the audit writes down, read from the code that writes them."""

import ast
import re
from pathlib import Path

from sessions.forms.audit import act_words

APP = Path(__file__).parent.parent
NAME = re.compile(r"[a-z]+\.[a-z]+(-[a-z]+)*")
FILES = {"toml", "html", "po"}
"""Endings of files, which look alike."""

HEAD = """# What the audit writes down

Every act below is one row of the chain: number, moment in UTC, user name and role,
clinic, the row it was about, the patient if there was one, what was before and after or
why, browser, version, and the hash over all of it and over the row before
(`sessions/models/audit.py`). Rows are never changed or deleted; admins and auditors
read them under *Audit* and take them along as CSV or workbook. Passwords, codes and
keys are never in it.

The list is written from the code (`python manage.py audited_acts`).

| Act | In words |
|---|---|
"""


def audited_acts() -> list[str]:
    """Each act by its name, in order."""
    files = (*APP.glob("services/*.py"), *APP.glob("views/*.py"))
    found = (_names_in(path.read_text(encoding="utf-8")) for path in files)
    return sorted(set().union(*found))


def _names_in(code: str) -> set[str]:
    """The texts of a file that have the form of an act: `vitals.record`."""
    constants = (n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant))
    texts = (each.value for each in constants if isinstance(each.value, str))
    return {t for t in texts if NAME.fullmatch(t) and t.split(".")[1] not in FILES}


def page() -> str:
    """The whole page, as `docs/audited-acts.md` holds it."""
    lines = [f"| `{name}` | {act_words(name)} |" for name in audited_acts()]
    return HEAD + "\n".join(lines) + "\n"
