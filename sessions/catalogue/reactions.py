"""The reactions that can be recorded, with the words and codes for them."""

from __future__ import annotations

from functools import cache
from typing import Any

from sessions.catalogue.sources import with_sources
from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.documents import Fields
from sessions.rules.language import say
from sessions.rules.reactions import Chip, Code, Reaction, Vocabulary


@cache
def vocabulary() -> Vocabulary:
    """Read all reactions and the quick choices at the chair."""
    fields = Fields("reactions", with_sources(read_toml(CATALOGUE / "reactions.toml")))
    read = Vocabulary(
        reactions=tuple(_reaction(row) for row in fields.rows("reactions")),
        chips=tuple(_chip(row) for row in fields.rows("chips")),
    )
    fields.done()
    return read


def reaction(key: str) -> Reaction:
    """Give one reaction by its key."""
    return next(each for each in vocabulary().reactions if each.key == key)


def labels() -> dict[str, str]:
    """The name on screen of every reaction, by key."""
    return {each.key: say(each.label) for each in vocabulary().reactions}


def _reaction(fields: Fields) -> Reaction:
    read = Reaction(
        key=fields.text("key"),
        label=fields.text("label"),
        synonyms=fields.texts("synonyms"),
        graded_by=fields.texts("graded_by", default=[]),
        codes=tuple(_code(row) for row in fields.rows("codes", default=[])),
    )
    fields.done()
    return read


def _code(fields: Fields) -> Code:
    read = Code(
        system=fields.text("system"),
        code=fields.text("code"),
        display=fields.text("display"),
        source=fields.source(),
    )
    fields.done()
    return read


def _chip(fields: Fields) -> Chip:
    read = Chip(label=fields.text("label"), reaction=fields.text("reaction"))
    fields.done()
    return read


def as_table() -> list[dict[str, Any]]:
    """The vocabulary as plain tables, as `assess --vocabulary` prints it."""
    return [
        {"reaction": each.key, "label": each.label, "synonyms": list(each.synonyms)}
        for each in vocabulary().reactions
    ]
