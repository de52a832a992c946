"""Sentences of the rules, and dates, in the language of who reads them.

The rules write English. Whoever wires them up says how a sentence becomes another
language (`speak`); until then, and for every fixed command, English stands.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

_translate: Callable[[str], str] = str
_inside: Callable[[str], str] = str.lower


def speak(
    translate: Callable[[str], str], inside: Callable[[str], str] = str.lower
) -> None:
    """Say how sentences are translated, and how a label is written inside one."""
    global _translate, _inside
    _translate, _inside = translate, inside


def say(text: str, /, **values: object) -> str:
    """Say a sentence with its named values: `say("{fall} mmHg lower", fall=24)`.

    The sentence is looked up as it stands here, so it is never put together first.
    """
    words = _translate(text) if text else ""
    return words.format(**values) if values else words


def phrase(text: str) -> str:
    """Mark a text that is kept now and said later: `say(LABEL)`."""
    return text


def inside(words: object) -> str:
    """Write a label inside a sentence: small, where the language writes it so."""
    return _inside(str(words))


MONTHS = (
    *(phrase("Jan"), phrase("Feb"), phrase("Mar"), phrase("Apr")),
    *(phrase("May"), phrase("Jun"), phrase("Jul"), phrase("Aug")),
    *(phrase("Sep"), phrase("Oct"), phrase("Nov"), phrase("Dec")),
)
"""In three letters, as a date shows them."""


def day_words(day: date) -> str:
    """Write a date that cannot be misread: `14 Mar 1978`."""
    return say("{day} {year}", day=day_of_year(day), year=day.year)


def day_of_year(day: date) -> str:
    """Write a date where its year is plain: `14 Mar`."""
    return say("{day} {month}", day=day.day, month=say(MONTHS[day.month - 1]))
