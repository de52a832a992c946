"""Reading the catalogue's TOML files."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

CATALOGUE = Path(__file__).parent


def read_toml(path: Path) -> dict[str, Any]:
    """Read one file; decimals stay decimals, never floats."""
    return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def read_folder(name: str) -> dict[str, dict[str, Any]]:
    """Read every file of one folder of the catalogue, by its stem, in order."""
    paths = sorted((CATALOGUE / name).glob("*.toml"))
    return {path.stem: read_toml(path) for path in paths}
