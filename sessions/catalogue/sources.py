"""The documents that monitoring facts and policies cite by a short key."""

from __future__ import annotations

from functools import cache
from typing import Any

from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.sources import DocumentError, Source


@cache
def cited_sources() -> dict[str, Source]:
    """Read every document of `sources.toml`, by its key."""
    table = read_toml(CATALOGUE / "sources.toml")
    return {
        key: Source(text=entry["text"], verified=entry.get("verified", True))
        for key, entry in table.items()
    }


def cite(keys: list[str]) -> Source:
    """Join the documents that some keys name; one unverified marks the whole."""
    known = cited_sources()
    unknown = [key for key in keys if key not in known]
    if unknown or not keys:
        raise DocumentError(f"source: no such document: {unknown}")
    return Source(
        text="; ".join(known[key].text for key in keys),
        verified=all(known[key].verified for key in keys),
    )


def with_sources(value: Any) -> Any:
    """Copy a table, each list of source keys in it spelled out as text and mark."""
    if isinstance(value, list):
        return [with_sources(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    copied = {key: with_sources(entry) for key, entry in value.items()}
    if isinstance(value.get("source"), list):
        source = cite(value["source"])
        copied |= {"source": source.text, "verified": source.verified}
    return copied
