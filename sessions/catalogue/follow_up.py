"""What may come after an infusion: windows, questions, and when to call."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from sessions.catalogue.sources import with_sources
from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.documents import Fields
from sessions.rules.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterEvent:
    """One late event, or one follow-up call, with its window after the end."""

    key: str
    event: str
    from_hours: Decimal
    to_hours: Decimal
    signs: str
    question: str
    calls_for: str
    note: str
    source: Source

    def covers(self, hours: Decimal) -> bool:
        """Whether so many hours after the end lie in the window, both ends included."""
        return self.from_hours <= hours <= self.to_hours


def late_events() -> tuple[AfterEvent, ...]:
    """Every late event that is asked about."""
    return _read("windows")


def follow_up_calls() -> tuple[AfterEvent, ...]:
    """The calls that are due after an infusion."""
    return _read("calls")


@cache
def _read(kind: str) -> tuple[AfterEvent, ...]:
    document = with_sources(read_toml(CATALOGUE / "follow_up.toml"))
    return tuple(_event(row) for row in Fields("follow_up", document).rows(kind))


def _event(fields: Fields) -> AfterEvent:
    read = AfterEvent(
        key=fields.text("key"),
        event=fields.text("event"),
        from_hours=fields.number("from_hours"),
        to_hours=fields.number("to_hours"),
        signs=fields.text("signs"),
        question=fields.text("question", default=""),
        calls_for=fields.text("calls_for"),
        note=fields.text("note", default=""),
        source=fields.source(),
    )
    fields.done()
    return read
