"""The dosing part of the shipped default protocol."""

from __future__ import annotations

from functools import cache
from typing import Any

from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.dosing_policy import DosingPolicy


def dosing_document() -> dict[str, Any]:
    """The document as shipped; numbers are text."""
    return read_toml(CATALOGUE / "protocol" / "dosing.toml")


@cache
def default_dosing_policy() -> DosingPolicy:
    """The same, read and checked."""
    return DosingPolicy.from_document(dosing_document())
