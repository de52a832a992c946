"""The screens' words: found in the code, kept as .po for translators, compiled.

English stands in Python, templates and the catalogue; `locale/<language>` holds the
other languages. What is shown of the catalogue is named here, field by field: sources
and citations are never translated.
"""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

from sessions.catalogue.default_protocol import default_document
from sessions.catalogue.toml_files import CATALOGUE, read_toml
from sessions.forms.protocols import CHOICES, words_of
from sessions.rules.thresholds import Side

APP = Path(__file__).parent
MINUTES_AND_SIDES = {"recheck_minutes", "escalates_minutes", "within_hours"} | {
    side.value for side in Side
}
CALLS = {
    **dict.fromkeys(("_", "_lazy", "gettext", "gettext_lazy", "say", "phrase"), None),
    **dict.fromkeys(("Refused", "Stale", "KeyReused"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy", "plural"), (1, 2)),
    "counted": (2, 3),
}
"""Functions that take a text on screen: the first argument, or one and many."""
DONE = re.compile(
    r'"((?:access|audit|backup|clinic|flag|infusion|medicine|note|order|patient|protocol|rate'
    r'|reaction|recall|report|session|staff|vial|vitals)\.[a-z]+(?:-[a-z]+)*)"'
)
"""What was done, by its code: said in the list of the audit."""
SHOWN = {
    "checks.toml": {"text", "why", "clears", "calls_for", "note"},
    "risk_factors.toml": {"label", "changes", "clears"},
    "reactions.toml": {"label", "synonyms", "graded_by"},
    "follow_up.toml": {"event", "signs", "question", "calls_for", "note"},
    "labs.toml": {"name", "note", "words"},
    "medicines.toml": {"class", "for", "note"},
    "indications": {"name", "group", "phase", "dose_text", "days_text"}
    | {"interval_text", "note"},
    "products": {"text", "withdrawn", "note"},
    "protocol": {"calls_for", "because", "criteria", "restart_words", "term", "note"},
}
"""Fields of the catalogue's files that a screen shows in words."""


def messages() -> Catalog:
    """Every text of the product that a screen may show, with where it stands."""
    catalog = Catalog(project="IVIG Clinic", charset="utf-8", fuzzy=False)
    for place, text in sorted(_found(), key=lambda found: found[0]):
        catalog.add(text, locations=[(place, 0)])
    return catalog


def _found() -> Iterator[tuple[str, Any]]:
    for path in sorted(APP.rglob("*.py")):
        if "migrations" not in path.parts:
            source = path.read_text(encoding="utf-8")
            yield from _calls(path, source)
            yield from ((_place(path), code) for code in DONE.findall(source))
    for folder in settings.TEMPLATES[0]["DIRS"]:
        for path in sorted(folder.rglob("*.html")):
            text = templatize(path.read_text(encoding="utf-8"), str(path))
            lines = "\n".join(line.lstrip() for line in text.splitlines())
            yield from _calls(path, lines)
    for path in sorted(CATALOGUE.rglob("*.toml")):
        part = path.relative_to(CATALOGUE).parts[0]
        fields = SHOWN.get(part, set())
        for text in _texts(read_toml(path), fields):
            yield _place(path), text
    words = {word for known in CHOICES.values() for word in known}
    for name in sorted(words | set(_names(default_document()))):
        yield "sessions/catalogue/protocol", words_of(name)[0]


def _calls(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    source = io.BytesIO(text.encode())
    for _line, call, found, _comments in extract_python(source, CALLS, [], {}):
        given = found if isinstance(found, tuple) else (found,)
        places = CALLS[call]
        if places and len(given) >= places[1] and all(given[places[0] - 1 : places[1]]):
            yield _place(path), given[places[0] - 1 : places[1]]
        elif not places and given[0]:
            yield _place(path), given[0]


def _texts(value: Any, fields: set[str], field: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _texts(entry, fields, key)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry, fields, field)
    elif isinstance(value, str) and field in fields and any(map(str.isalpha, value)):
        yield value


def _names(value: Any, key: str = "") -> Iterator[str]:
    """Keys of the protocol that a screen spells out, and values that are words."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _names(entry, name)
            is_setting = isinstance(entry, dict) and "value" in entry
            if is_setting or key == "acts" or name in MINUTES_AND_SIDES:
                yield name.lower()
    elif isinstance(value, list):
        for entry in value:
            yield from _names(entry, key)
    elif key in ("measure", "compare"):
        yield value


def _place(path: Path) -> str:
    return str(path.relative_to(settings.BASE_DIR))


def file_of(language: str) -> Path:
    """The file in which translators of a language work."""
    return APP / "locale" / language / "LC_MESSAGES" / "django.po"


def languages() -> list[str]:
    """Every language that needs a file."""
    return [code for code, _name in settings.LANGUAGES if code != "en-gb"]


def kept(language: str) -> Catalog:
    with file_of(language).open("rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> Catalog:
    """Bring a language's file up to date: new texts are empty, dropped ones go."""
    path = file_of(language)
    known = kept(language) if path.exists() else Catalog(locale=language)
    catalog = Catalog(
        locale=language, project="IVIG Clinic", charset="utf-8", fuzzy=False
    )
    for message in messages():
        if message.id:
            before = known.get(message.id)
            catalog.add(
                message.id,
                before.string if before else None,
                locations=sorted(set(message.locations)),
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(
            file, catalog, width=88, omit_header=False, include_lineno=False,
            sort_output=False,
        )  # fmt: skip
    return catalog


def compile_newer() -> None:
    """Compile each language whose file changed: after a migrate nothing is stale.

    Compiled aside and moved into place, because workers may do so at the same time.
    """
    for language in languages():
        source = file_of(language)
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
            continue
        aside = target.with_suffix(f".{os.getpid()}")
        with aside.open("wb") as file:
            write_mo(file, kept(language))
        aside.replace(target)
