"""Indications and their published regimens: one TOML file each, read once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from sessions.catalogue.toml_files import read_folder
from sessions.rules.labels import Indication, Regimen
from sessions.rules.sources import DocumentError, source_of


@cache
def indications() -> Mapping[str, Indication]:
    """Every indication by key, investigational ones included."""
    files = read_folder("indications")
    return MappingProxyType({key: _indication(key, t) for key, t in files.items()})


def indication(key: str) -> Indication:
    """One indication; `KeyError` if the catalogue does not have it."""
    return indications()[key]


def _indication(key: str, table: Mapping[str, Any]) -> Indication:
    if table["key"] != key:
        raise DocumentError(
            f"indications/{key}: the key in the file is {table['key']}."
        )
    return Indication(
        key=key,
        name=table["name"],
        codes=table["codes"],
        group=table["group"],
        regimens=tuple(
            _regimen(regimen, f"indications/{key}.regimens")
            for regimen in table["regimens"]
        ),
    )


def _regimen(table: Mapping[str, Any], path: str) -> Regimen:
    def number(name: str) -> Decimal | None:
        return Decimal(table[name]) if name in table else None

    return Regimen(
        name=table["name"],
        phase=table["phase"],
        low_g_per_kg=number("low_g_per_kg"),
        high_g_per_kg=number("high_g_per_kg"),
        low_g_per_kg_day=number("low_g_per_kg_day"),
        high_g_per_kg_day=number("high_g_per_kg_day"),
        low_days=table.get("low_days"),
        high_days=table.get("high_days"),
        fixed_total_g=number("fixed_total_g"),
        dose_text=table["dose_text"],
        days_text=table["days_text"],
        interval_text=table["interval_text"],
        low_interval_weeks=number("low_interval_weeks"),
        high_interval_weeks=number("high_interval_weeks"),
        labelled_products=tuple(table["labelled_products"]),
        investigational=table["investigational"],
        note=table["note"],
        source=source_of(table, path),
    )
