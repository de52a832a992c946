"""The protocol this product ships: a draft that a clinic approves as its own."""

from __future__ import annotations

from functools import cache
from typing import Any

from sessions.catalogue.sources import with_sources
from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.policy import Policy

CODE = "2026"
VERSION = 1


def default_document() -> dict[str, Any]:
    """Make the shipped document: numbers as text, every source spelled out."""
    halves = CATALOGUE / "protocol"
    return {
        "dosing": with_sources(read_toml(halves / "dosing.toml")),
        "monitoring": with_sources(read_toml(halves / "monitoring.toml")),
    }


@cache
def default_policy() -> Policy:
    """Read the shipped document as the policy it is."""
    return Policy.from_document(default_document(), code=CODE, version=VERSION)
