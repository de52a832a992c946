"""Which coded conditions of an import state which risk factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.sources import Source, source_of

SNOMED = "http://snomed.info/sct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A risk factor that a code states; `even_resolved` when its history counts."""

    risk: str
    even_resolved: bool
    source: Source


@cache
def stated_risks() -> Mapping[str, tuple[Stated, ...]]:
    """The risk factors of every SNOMED CT code that states one."""
    found: dict[str, tuple[Stated, ...]] = {}
    for table in read_toml(CATALOGUE / "fhir_conditions.toml")["conditions"]:
        stated = Stated(
            risk=table["risk"],
            even_resolved=table.get("even_resolved", False),
            source=source_of(table, f"fhir_conditions.{table['risk']}"),
        )
        for code, _ in table["codes"]:
            found[code] = (*found.get(code, ()), stated)
    return MappingProxyType(found)


@cache
def no_known_allergy() -> str:
    """The SNOMED CT code that says that no allergy is known."""
    table = read_toml(CATALOGUE / "fhir_conditions.toml")
    return str(table["no_known_allergy"]["code"])
