"""Laboratory results that count for IVIG, their units and their windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.sources import Source, source_of

UNIT_WORDS = {
    "umol/L": "µmol/L",
    "mL/min/{1.73_m2}": "mL/min/1.73 m²",
    "10*9/L": "10⁹/L",
}
"""UCUM units as a screen writes them, where they are written differently."""


LIMITS = ("least", "most", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What can be typed in one unit: refused past `most`, asked about past `high`."""

    least: Decimal
    most: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LabTest:
    """One test; `words` are the only answers of a test that is no number."""

    key: str
    name: str
    loinc: str
    units: Mapping[str, Limits]
    words: tuple[str, ...]
    valid_days: int | None
    valid_source: Source
    note: str


@cache
def lab_tests() -> Mapping[str, LabTest]:
    """Every test by key, in the order in which a page shows them."""
    tables = read_toml(CATALOGUE / "labs.toml")
    return MappingProxyType({key: _test(key, table) for key, table in tables.items()})


def unit_words(unit: str) -> str:
    """A UCUM unit as a person writes it."""
    return UNIT_WORDS.get(unit, unit)


def _test(key: str, table: Mapping[str, Any]) -> LabTest:
    return LabTest(
        key=key,
        name=table["name"],
        loinc=table.get("loinc", ""),
        units=MappingProxyType(
            {
                unit: Limits(**{name: Decimal(limits[name]) for name in LIMITS})
                for unit, limits in table.get("units", {}).items()
            }
        ),
        words=tuple(table.get("words", ())),
        valid_days=table.get("valid_days"),
        valid_source=source_of(table, f"labs.{key}"),
        note=table.get("note", ""),
    )
