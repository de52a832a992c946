"""System checks: no figure of the catalogue without its source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from sessions.catalogue.default_protocol import default_policy
from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.catalogue.toml_files import CATALOGUE, read_toml

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
UNSEEN = "unverified (general knowledge)"
TOP = "top"


@register
def every_figure_has_a_source(
    app_configs: list[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse to start when a figure of the catalogue cannot say where it is from."""
    return [
        Error(f"{path.relative_to(CATALOGUE)}: {problem}", id="infusions.E001")
        for path in sorted(CATALOGUE.rglob("*.toml"))
        for problem in file_problems(path)
    ]


@register
def the_catalogue_can_be_read(
    app_configs: list[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse to start with a product, indication or default protocol that is wrong."""
    problems: list[CheckMessage] = []
    for read in (products, indications, default_policy):
        try:
            read()
        except (KeyError, ValueError, ArithmeticError) as error:
            problems.append(Error(f"{read.__name__}: {error!r}", id="infusions.E002"))
    return problems


def file_problems(path: Path) -> list[str]:
    """What is wrong with the sources of one file, in words."""
    try:
        document = read_toml(path)
    except ValueError as error:
        return [f"cannot be read: {error}"]
    return list(table_problems(document, TOP))


def table_problems(
    table: dict[str, Any], name: str, *, covered: bool = False
) -> Iterator[str]:
    """Walk a table and those inside it; each figure needs a source beside or above it.

    A source at the top of a file is that of its own figures alone: a whole file cannot
    be covered by one line. A figure is a number, a number written as text, or a list
    of either. A source is the text itself, or the keys of documents listed in
    `sources.toml`.
    """
    figures = [key for key, value in table.items() if _is_figure(value)]
    source = table.get("source")
    covered = covered or _is_source(source)
    if figures and not covered:
        yield f"{name}: {', '.join(figures)} has no source."
    unseen = isinstance(source, str) and source.startswith(UNSEEN)
    if unseen and table.get("verified", True):
        yield f"{name}: an unverified source must be marked verified = false."
    covered = covered and name != TOP
    for key, value in table.items():
        if isinstance(value, dict):
            yield from table_problems(value, f"{name}.{key}", covered=covered)
        elif isinstance(value, list):
            for index, entry in enumerate(value, start=1):
                if isinstance(entry, dict):
                    place = f"{name}.{key}[{index}]"
                    yield from table_problems(entry, place, covered=covered)


def _is_source(source: Any) -> bool:
    if isinstance(source, list):
        return bool(source) and _known_sources().issuperset(source)
    return isinstance(source, str) and bool(source.strip())


@cache
def _known_sources() -> frozenset[str]:
    return frozenset(read_toml(CATALOGUE / "sources.toml"))


def _is_figure(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, list):
        return any(_is_figure(entry) for entry in value)
    if isinstance(value, str):
        return NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float | Decimal)
