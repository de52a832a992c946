"""Immunoglobulin products: one TOML file each, read once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from sessions.catalogue.toml_files import read_folder
from sessions.rules.labels import (
    PATIENT_CLASSES,
    AgeLimit,
    Caution,
    Fact,
    LabelRates,
    LabelStep,
    Product,
    Vials,
)
from sessions.rules.sources import DocumentError, source_of


@cache
def products() -> Mapping[str, Product]:
    """Every product by key, orderable or not."""
    return MappingProxyType(
        {key: _product(key, table) for key, table in read_folder("products").items()}
    )


def product(key: str) -> Product:
    """One product; `KeyError` if the catalogue does not have it."""
    return products()[key]


def _product(key: str, table: Mapping[str, Any]) -> Product:
    if table["key"] != key:
        raise DocumentError(f"products/{key}: the key in the file is {table['key']}.")
    return Product(
        key=key,
        brand=table["brand"],
        manufacturer=table["manufacturer"],
        g_per_100ml=Decimal(table["g_per_100ml"]),
        vials=_vials(table["vials"], f"products/{key}.vials"),
        facts=tuple(
            Fact(name=fact["name"], text=fact["text"], source=source_of(fact, key))
            for fact in table.get("facts", ())
        ),
        contraindicated_with=tuple(
            _caution(caution, f"products/{key}.contraindicated_with")
            for caution in table.get("contraindicated_with", ())
        ),
        min_age=_min_age(table.get("min_age"), f"products/{key}.min_age"),
        withdrawn=table["withdrawn"],
        rates=tuple(
            _rates(rates, f"products/{key}.rates") for rates in table.get("rates", ())
        ),
        note=table["note"],
        source=source_of(table, f"products/{key}"),
    )


def _vials(table: Mapping[str, Any], path: str) -> Vials:
    only_in = table.get("only_in", {})
    return Vials(
        grams=tuple(Decimal(grams) for grams in table["grams"]),
        only_in=tuple((Decimal(g), tuple(regions)) for g, regions in only_in.items()),
        source=source_of(table, path),
    )


def _caution(table: Mapping[str, Any], path: str) -> Caution:
    return Caution(
        code=table["code"],
        risk=table["risk"],
        hard=table["hard"],
        text=table["text"],
        source=source_of(table, path),
    )


def _min_age(table: Mapping[str, Any] | None, path: str) -> AgeLimit | None:
    if table is None:
        return None
    return AgeLimit(
        years=table["years"],
        hard=table["hard"],
        text=table["text"],
        source=source_of(table, path),
    )


def _rates(table: Mapping[str, Any], path: str) -> LabelRates:
    if table["patient_class"] not in PATIENT_CLASSES:
        raise DocumentError(f"{path}: unknown class {table['patient_class']}.")
    return LabelRates(
        indication_key=table["indication"],
        region=table["region"],
        patient_class=table["patient_class"],
        steps=tuple(_step(step, f"{path}.steps") for step in table.get("steps", ())),
        note=table["note"],
        source=source_of(table, path),
        is_label=table.get("is_label", True),
    )


def _step(table: Mapping[str, Any], path: str) -> LabelStep:
    minutes = table.get("min_minutes")
    return LabelStep(
        step=table["step"],
        ml_per_kg_h=Decimal(table["ml_per_kg_h"]),
        min_minutes=None if minutes is None else Decimal(minutes),
        is_max=table["is_max"],
        note=table["note"],
        source=source_of(table, path),
    )
