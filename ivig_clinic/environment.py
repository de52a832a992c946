"""Reads settings from the environment, strictly: a wrong word is an error."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def load_file(path: Path) -> None:
    """Read `NAME=value` lines of a file into the environment; set names win."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.lstrip().startswith("#"):
            os.environ.setdefault(name.strip(), value.strip())


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    """Accept True, False or nothing; refuse every other word."""
    value = os.environ.get(name, "")
    if value == "":
        return default
    if value not in ("True", "False"):
        raise ImproperlyConfigured(f"{name} must be True or False, not {value!r}.")
    return value == "True"


def path(name: str, default: Path) -> Path:
    """A file or folder; empty means the default."""
    return Path(os.environ.get(name, "") or default)


def whole(name: str, default: int) -> int:
    """Accept a whole number above 0, or nothing; refuse every other word."""
    value = os.environ.get(name, "")
    if value == "":
        return default
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 10_000):
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]
