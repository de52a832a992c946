"""Premedications and as-needed medicines that published order sets name."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.rules.documents import Fields
from sessions.rules.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Medicine:
    """One published way to give one medicine; `dose` is what the source prints."""

    key: str
    drug: str
    drug_class: str
    dose: str
    route: str
    use: str
    minutes_before: int | None
    max_per_session: Decimal | None
    purpose: str
    note: str
    source: Source


@cache
def medicines() -> tuple[Medicine, ...]:
    """Read all of them, in the order of the file."""
    fields = Fields("medicines", read_toml(CATALOGUE / "medicines.toml"))
    read = tuple(_medicine(row) for row in fields.rows("medicines"))
    fields.done()
    return read


def _medicine(fields: Fields) -> Medicine:
    read = Medicine(
        key=fields.text("key"),
        drug=fields.text("drug"),
        drug_class=fields.text("class"),
        dose=fields.text("dose"),
        route=fields.text("route"),
        use=fields.text("use"),
        minutes_before=fields.optional_minutes("minutes_before"),
        max_per_session=fields.optional_number("max_per_session"),
        purpose=fields.text("for"),
        note=fields.text("note", default=""),
        source=fields.source(),
    )
    fields.done()
    return read
