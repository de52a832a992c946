"""Where a figure comes from, and how a policy document is read.

Every figure of this product, a fact of a label or a choice of a clinic, travels
with its source to the screen, the record and the export.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The document, section and date that a figure was read in.

    `verified` is false when nobody has seen the figure in a primary document; a
    screen that shows such a figure says so.
    """

    text: str
    verified: bool = True

    @property
    def label(self) -> str:
        """The text as a screen shows it, doubt included."""
        if self.verified:
            return self.text
        return f"{self.text} (not verified against the label)"


class DocumentError(ValueError):
    """A fact or policy document is incomplete or wrong; the message names the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[T]):
    """One value of a clinic's policy, with the source it was chosen from."""

    value: T
    source: Source
    note: str = ""


class Section:
    """One table of a policy document, read key by key.

    Each entry is a table `{value, source, verified, note}`. Whatever is missing,
    unknown or outside its limits is refused with the full name of the key, so
    that a mistyped policy cannot be approved.
    """

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        table = document.get(name)
        if not isinstance(table, Mapping):
            raise DocumentError(f"{name}: this table is missing.")
        self._name = name
        self._table = table
        self._read: set[str] = set()

    def number(
        self, key: str, *, above: Decimal | int = 0, most: Decimal | int | None = None
    ) -> Setting[Decimal]:
        """Read a number that is more than `above` and at most `most`."""
        raw = self._entry(key)["value"]
        path = f"{self._name}.{key}"
        if isinstance(raw, (bool, float)) or not isinstance(raw, (str, int, Decimal)):
            raise DocumentError(f'{path}: write the number as text, such as "0.5".')
        try:
            value = Decimal(raw)
        except InvalidOperation:
            raise DocumentError(f"{path}: {raw!r} is not a number.") from None
        if not value.is_finite():
            raise DocumentError(f"{path}: {raw!r} is not a number.")
        if value <= above:
            raise DocumentError(f"{path}: must be more than {above}.")
        if most is not None and value > most:
            raise DocumentError(f"{path}: must be at most {most}.")
        return self._setting(key, value)

    def optional_number(self, key: str) -> Setting[Decimal] | None:
        """Read a number that a clinic may leave out."""
        return self.number(key) if key in self._table else None

    def choice(self, key: str, allowed: tuple[str, ...]) -> Setting[str]:
        """Read a word that must be one of those allowed."""
        value = self._entry(key)["value"]
        if value not in allowed:
            listed = ", ".join(allowed)
            raise DocumentError(f"{self._name}.{key}: must be one of {listed}.")
        return self._setting(key, str(value))

    def done(self) -> None:
        """Refuse keys that nobody asked for: a typing mistake is not a policy."""
        unknown = sorted(set(self._table) - self._read)
        if unknown:
            raise DocumentError(f"{self._name}.{unknown[0]}: unknown key.")

    def _entry(self, key: str) -> Mapping[str, Any]:
        entry = self._table.get(key)
        if not isinstance(entry, Mapping) or "value" not in entry:
            raise DocumentError(f"{self._name}.{key}: this value is missing.")
        self._read.add(key)
        return entry

    def _setting(self, key: str, value: T) -> Setting[T]:
        entry = self._entry(key)
        source = source_of(entry, f"{self._name}.{key}")
        return Setting(value=value, source=source, note=str(entry.get("note", "")))


def source_of(entry: Mapping[str, Any], path: str) -> Source:
    """Read `source` and `verified` of one table, or refuse the table."""
    text = entry.get("source")
    if not isinstance(text, str) or not text.strip():
        raise DocumentError(f"{path}: this figure has no source.")
    verified = entry.get("verified", True)
    if not isinstance(verified, bool):
        raise DocumentError(f"{path}.verified: must be true or false.")
    return Source(text=text, verified=verified)
