"""Names: how they are folded for search, and when two of them are easily confused."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from sessions.rules.language import say

NEAR = 2
"""Names this many slips of a key apart, or fewer, count as similar (hazard H1).

A product choice, not a published figure: two slips catch Jansen and Janssen, Maria and
Mariah, Smith and Smyth; three would call Lee and Ray alike.
"""

# Letters that Unicode does not take apart into a plain letter and a mark.
_PLAIN_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "ı": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
)
_INSIDE_A_WORD = re.compile(r"['`\u2019\u02bc.]")
_BETWEEN_WORDS = re.compile(r"[\s,\-\u2010-\u2015/]+")


@lru_cache(maxsize=65_536)
def folded(text: str) -> str:
    """The text as search compares it: no case, no accents, apostrophes or hyphens.

    `O'Brien-Núñez` becomes `obrien nunez`.
    """
    parts = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in parts if unicodedata.category(c) != "Mn")
    plain = _INSIDE_A_WORD.sub("", bare.translate(_PLAIN_LETTERS))
    return _BETWEEN_WORDS.sub(" ", plain).strip()


_DAY = re.compile(r"([0-9]{1,4})[./-]([0-9]{1,2})[./-]([0-9]{1,4})|([0-9]{8})")


def possible_days(word: str) -> list[date]:
    """Every day a word may mean: `1978-03-14`, `14.3.1978`, `03/14/1978`, `14031978`.

    Where day and month could be swapped, both days are meant: a search shows one
    patient too many rather than one too few.
    """
    match = _DAY.fullmatch(word)
    if not match:
        return []
    first, second, third, digits = match.groups()
    if digits:
        readings = [
            (digits[:4], digits[4:6], digits[6:]),
            (digits[4:], digits[2:4], digits[:2]),
            (digits[4:], digits[:2], digits[2:4]),
        ]
    elif len(first) == 4:
        readings = [(first, second, third)]
    else:
        readings = [(third, second, first), (third, first, second)]
    return [day for reading in readings if (day := _day(*reading))]


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day)) if int(year) >= 1900 else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What tells one person from another on a list."""

    family_name: str
    given_names: str
    birth_date: date


def similar(one: Named, other: Named) -> str:
    """Say in words why two people are easily confused; empty when they are not.

    The rule, in this order: same birth date with the same surname or given name; same
    name; surname and given name swapped; surname and (first) given name together at
    most two slips of a key apart; same birth date.
    """
    family, given = folded(one.family_name), folded(one.given_names)
    other_family, other_given = folded(other.family_name), folded(other.given_names)
    same_birth = one.birth_date == other.birth_date
    if (family, given) == (other_family, other_given):
        return say("same name and birth date") if same_birth else say("same name")
    if (family, given) == (other_given, other_family):
        return say("surname and given name swapped")
    if _near(family, given, other_family, other_given):
        words = say("almost the same name")
        return say("{words} and same birth date", words=words) if same_birth else words
    if same_birth and family == other_family:
        return say("same surname and birth date")
    return say("same birth date") if same_birth else ""


def _near(family: str, given: str, other_family: str, other_given: str) -> bool:
    """Whether both names together are at most `NEAR` slips apart.

    A second given name may be left out. A name of three letters or fewer may differ by
    one slip only: Li and Xu are two slips apart and not alike.
    """
    apart = slips(family, other_family, NEAR)
    if apart > _allowed(family, other_family):
        return False
    first, other_first = given.split(" ")[0], other_given.split(" ")[0]
    pairs = ((given, other_given), (first, other_first))
    return any(
        (found := slips(*pair, NEAR)) <= _allowed(*pair) and apart + found <= NEAR
        for pair in pairs
    )


def _allowed(one: str, other: str) -> int:
    return 1 if min(len(one), len(other)) <= 3 else NEAR


def slips(one: str, other: str, most: int) -> int:
    """Letters left out, added, changed or swapped with the next (Damerau-Levenshtein).

    Stops at `most + 1`: how far apart strangers are does not matter.
    """
    if one == other:
        return 0
    if abs(len(one) - len(other)) > most or len(set(one) ^ set(other)) > 2 * most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        now = [row]
        for column, facing in enumerate(other, start=1):
            best = min(
                last[column] + 1,
                now[column - 1] + 1,
                last[column - 1] + (letter != facing),
            )
            if (
                row > 1
                and column > 1
                and letter == other[column - 2]
                and one[row - 2] == facing
            ):
                best = min(best, before[column - 2] + 1)
            now.append(best)
        if min(now) > most:
            return most + 1
        before, last = last, now
    return last[-1]
