"""German is complete: every text of the product, with the same placeholders."""

import re
from decimal import Decimal

import pytest
from django.template import Context, Template
from django.utils import translation

from sessions import translations
from sessions.rules.language import say

PLACEHOLDER = re.compile(r"{\w+(?:![rsa])?}|%\(\w+\)s|%%|%n|\*\*|<[^>]+>")
LANGUAGES = translations.languages()


@pytest.fixture(scope="module", params=LANGUAGES)
def kept(request):
    return translations.kept(request.param)


@pytest.fixture(scope="module")
def found():
    return translations.messages()


def texts(message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


def said(message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_the_file_of_a_language_holds_exactly_the_texts_of_the_product(kept, found):
    """`manage.py translations` brings it up to date."""
    assert {each.id for each in kept if each.id} == {
        each.id for each in found if each.id
    }


def test_nothing_is_left_in_english(kept):
    assert not [
        each.id
        for each in kept
        if each.id and (each.fuzzy or not all(said(each) if each.string else [""]))
    ]


def test_placeholders_and_the_spaces_around_a_text_are_kept(kept):
    wrong = [
        each.id
        for each in kept
        if each.id and each.string and not all(fits(each, one) for one in said(each))
    ]

    assert not wrong


def fits(message, translated: str) -> bool:
    return any(
        sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(translated))
        and re.match(r"\s*", text)[0] == re.match(r"\s*", translated)[0]
        and re.search(r"\s*$", text)[0] == re.search(r"\s*$", translated)[0]
        for text in texts(message)
    )


def test_decimals_keep_their_point_in_every_language():
    """A dose is written the same everywhere."""
    with translation.override("de"):
        shown = Template("{{ rate }} {{ dose|num }} {{ big|num }}").render(
            Context({"rate": Decimal("1.5"), "dose": Decimal("0.40"), "big": 12345})
        )

    assert shown == "1.5 0.4 12,345"


def test_what_is_compiled_is_what_is_kept(kept):
    translations.compile_newer()
    with translation.override(str(kept.locale)):
        assert say("Pulse") == kept.get("Pulse").string
