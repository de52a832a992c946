"""Public codes of vital signs, scores, laboratory values, drugs and units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sessions.catalogue.sources import with_sources
from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.documents import Fields
from sessions.rules.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicCode:
    """One code, its display and unit, and whether anybody verified it."""

    key: str
    system: str
    code: str
    display: str
    unit: str
    source: Source


@cache
def codes(kind: str) -> dict[str, PublicCode]:
    """All codes of one kind (vital, score, lab, drug, unit), by key."""
    document = with_sources(read_toml(CATALOGUE / "codes.toml"))
    rows = Fields("codes", document).rows(kind)
    return {row.table["key"]: _code(row) for row in rows}


def _code(fields: Fields) -> PublicCode:
    read = PublicCode(
        key=fields.text("key"),
        system=fields.text("system"),
        code=fields.text("code"),
        display=fields.text("display"),
        unit=fields.text("unit", default=""),
        source=fields.source(),
    )
    fields.done()
    return read
