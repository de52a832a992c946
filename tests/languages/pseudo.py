"""A language that wraps every text in ⟦ ⟧: what stands outside was never looked up."""

import re
from contextlib import contextmanager
from html.parser import HTMLParser
from unittest import mock

from django.utils import translation
from django.utils.translation import trans_real

from sessions.models import User
from sessions.services import acts

CODE = "xx"
OPEN, CLOSE = "⟦", "⟧"
SHOWN = ("title", "placeholder", "aria-label", "alt", "data-busy")
"""Attributes that somebody reads or hears."""
BLOCKS = {"p", "div", "section", "li", "td", "th", "tr", "h1", "h2", "dd", "dt", "nav"}
"""Where a text that was cut short has ended in any case."""


class _Wrapping(trans_real.DjangoTranslation):
    """Looks nothing up, and marks that it was asked."""

    def __init__(self) -> None:
        super().__init__("en-gb")

    def gettext(self, message):
        return f"{OPEN}{message}{CLOSE}"

    def ngettext(self, one, many, number):
        return self.gettext(one if number == 1 else many)

    def pgettext(self, context, message):
        return self.gettext(message)

    def to_language(self):
        return CODE


def _record_language(clinic):
    return translation.override(CODE)


@contextmanager
def spoken():
    """Everything, the record too, is in the wrapping language."""
    wrapping = _Wrapping()
    with (
        mock.patch.dict(trans_real._translations, {CODE: wrapping}),
        mock.patch.object(User, "language", CODE),
        mock.patch.object(acts, "record_language", _record_language),
        translation.override(CODE),
    ):
        yield


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.inside: list[str] = []
        self.depth = 0
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style"):
            self.inside.append(tag)
        if tag in BLOCKS:
            self.depth = 0
        given = dict(attrs)
        self.found += [
            outside(value) for name, value in attrs if name in SHOWN and value
        ]
        if tag == "input" and given.get("type") in ("submit", "button", "reset"):
            self.found.append(given.get("value") or "")

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if self.inside or not data.strip():
            return
        left = ""
        for sign in data:  # one text may go on behind the elements within it
            if sign == CLOSE:
                self.depth -= 1
            elif sign == OPEN:
                self.depth += 1
            elif not self.depth:
                left += sign
        if left.strip():
            self.found.append(" ".join(left.split()))


def shown_in(html: str) -> list[str]:
    """Every text of a page that a reader sees or hears and that nobody looked up."""
    reader = _Reader()
    reader.feed(html)
    return reader.found


WRAPPED = re.compile(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}")


def outside(text: str) -> str:
    """What is left of a text when everything that was looked up is taken away."""
    before = None
    while before != text:
        before, text = text, WRAPPED.sub(" ", text)
    return text
