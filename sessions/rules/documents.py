"""Strict reading of documents: every key is known, every error names its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, TypeVar

from sessions.rules.sources import DocumentError, Setting, Source, source_of

E = TypeVar("E", bound=Enum)


@dataclass(slots=True)
class Fields:
    """One table of a document; what is read is ticked off, what is left is refused."""

    path: str
    table: Mapping[str, Any]
    read: set[str] = field(default_factory=set)

    def fail(self, key: str, problem: str) -> DocumentError:
        """Make the error for one key."""
        return DocumentError(f"{self.path}.{key}: {problem}".lstrip("."))

    def take(
        self, key: str, kind: type | tuple[type, ...], *, default: Any = ...
    ) -> Any:
        """Read a value of one type; without `default` it must be there."""
        self.read.add(key)
        if key not in self.table:
            if default is ...:
                raise self.fail(key, "is missing")
            return default
        value = self.table[key]
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            raise self.fail(key, f"is not valid: {value!r}")
        return value

    def text(self, key: str, *, default: Any = ...) -> str:
        """Read a text."""
        return str(self.take(key, str, default=default))

    def flag(self, key: str, *, default: bool) -> bool:
        """Read a yes or no."""
        return bool(self.take(key, bool, default=default))

    def number(self, key: str) -> Decimal:
        """Read a decimal written as text."""
        try:
            value = Decimal(self.text(key))
        except InvalidOperation as error:
            raise self.fail(key, "is not a number") from error
        if not value.is_finite():
            raise self.fail(key, "is not a number")
        return value

    def optional_number(self, key: str) -> Decimal | None:
        """Read a decimal that may be left out."""
        return self.number(key) if key in self.table else None

    def whole(self, key: str) -> int:
        """Read a whole number."""
        return int(self.take(key, int))

    def minutes(self, key: str) -> int:
        """Read a whole number above zero, written as text or number."""
        value = str(self.take(key, (str, int)))
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            raise self.fail(key, f"is not a whole number above zero: {value!r}")
        return int(value)

    def optional_minutes(self, key: str) -> int | None:
        """Read a whole number that may be left out."""
        return self.minutes(key) if key in self.table else None

    def texts(self, key: str, *, default: Any = ...) -> tuple[str, ...]:
        """Read a list of texts."""
        values = self.take(key, list, default=default)
        if not all(isinstance(value, str) for value in values):
            raise self.fail(key, "holds something that is not text")
        return tuple(values)

    def word(self, key: str, kind: type[E], *, default: Any = ...) -> E:
        """Read one word of an enumeration."""
        value = self.take(key, str, default=default)
        if isinstance(value, kind):
            return value
        try:
            return kind(value)
        except ValueError as error:
            known = ", ".join(str(member.value) for member in kind)
            raise self.fail(key, f"is {value!r}, not one of {known}") from error

    def tables(self, key: str) -> dict[str, Fields]:
        """Read a table of tables."""
        inside = self.child(key)
        return {name: inside.child(name) for name in inside.table}

    def child(self, key: str) -> Fields:
        """Read one table inside this one."""
        return Fields(f"{self.path}.{key}".lstrip("."), self.take(key, dict))

    def rows(self, key: str, *, default: Any = ...) -> list[Fields]:
        """Read a list of tables; a row is named by its rule or its place."""
        rows = []
        for place, row in enumerate(self.take(key, list, default=default)):
            if not isinstance(row, dict):
                raise self.fail(f"{key}[{place}]", f"is not valid: {row!r}")
            name = row.get("rule", place)
            rows.append(Fields(f"{self.path}.{key}[{name}]".lstrip("."), row))
        return rows

    def source(self) -> Source:
        """Read where the figures of this table come from; nothing goes without."""
        self.read |= {"source", "verified"}
        return source_of(self.table, self.path)

    def setting(self, key: str) -> Setting[Decimal]:
        """Read one chosen value with its own source and note."""
        fields = self.child(key)
        setting = Setting(
            value=fields.number("value"),
            source=fields.source(),
            note=fields.text("note", default=""),
        )
        fields.done()
        return setting

    def let_stand(self, key: str) -> None:
        """Leave a key that documents of before hold and nothing asks for any more."""
        self.read.add(key)

    def done(self) -> None:
        """Refuse what nobody read: an unknown key is a mistake, never ignored."""
        for key in self.table:
            if key not in self.read:
                raise self.fail(key, "is not a known key")
