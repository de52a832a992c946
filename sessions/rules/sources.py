"""Where a figure comes from, and how a policy document is read.

Every figure of this product, a fact of a label or a choice of a clinic, travels
with its source to the screen, the record and the export.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sessions.rules.language import say

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
        return say("{words} (not verified against the label)", words=self.text)


class DocumentError(ValueError):
    """A fact or policy document is incomplete or wrong; the message names the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[T]):
    """One value of a clinic's policy, with the source it was chosen from."""

    value: T
    source: Source
    note: str = ""


def source_of(entry: Mapping[str, Any], path: str) -> Source:
    """Read `source` and `verified` of one table, or refuse the table."""
    text = entry.get("source")
    if not isinstance(text, str) or not text.strip():
        raise DocumentError(f"{path}: this figure has no source.")
    verified = entry.get("verified", True)
    if not isinstance(verified, bool):
        raise DocumentError(f"{path}.verified: must be true or false.")
    return Source(text=text, verified=verified)
