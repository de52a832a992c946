"""Pages in a language that wraps each text it is asked for: what is left is data."""

import re
from datetime import timedelta

from django.utils import timezone

from sessions.catalogue.products import products
from sessions.catalogue.toml_files import CATALOGUE, read_toml
from tests.hostile import world
from tests.languages import pseudo
from tests.languages.test_found import words_of

TYPED = {
    *("Sam", "nurse", "charge", "prescriber", "pharmacist", "admin", "auditor", "of"),
    *("Riverside", "Infusion", "riverside", "Zephyrine", "Adaeze", "Marie", "second"),
    *("quillfeather", "Quillfeather", "QUILLFEATHER", "dust", "course", "holiday"),
    *("waits", "for", "a", "result", "immunoglobulin", "AA", "AB", "ZQ"),
}
"""Names and notes of the people in these tests."""
NAMES = {
    *("English", "Deutsch", "microgram", "PO", "IM", "SNOMED", "CT", "ICD", "CM"),
    *(
        "CSL",
        "Behring",
        "SHA",
        "EMA",
        "mol",
        "CIDP",
        "Tz",
        "GMT",
        "VIP",
        "G",
        "Sp",
        "P",
        "O",
    ),
}
"""Languages, code systems and makers, which keep their own names."""
PUBLISHED = {"source", "display", "manufacturer", "drug"}
PUBLISHED |= {"dose", "codes", "route"}
"""Fields of the catalogue that stand as their source prints them."""
CODES = re.compile(
    r"\b(?:[A-Z]{1,2}-?\d[\w-]*|[A-Z]+_[A-Z_]+|RECHECK|REPORT|v\d+"
    r"|Ashgrove\d|ASHGROVE\d|\w+01"
    r"|[A-Z\d]{4}(?: [A-Z\d]{4})+|[\d-]+T[\d:]+Z|10⁹|SN|µmol|pe"
    r"|[\da-f]{16}|[\da-f]{64})\b",
)
"""Numbers of rules, lots and records, secrets and hashes, and what a citation was cut
down to."""
ASIDE = ("/audit/", "/settings/")
"""The audit's details are codes; the settings offer every time zone of the world."""


def published() -> list[str]:
    """Every text that is a citation or somebody's own name, the longest first."""
    found = {product.brand for product in products().values()}
    for path in CATALOGUE.rglob("*.toml"):
        table = read_toml(path)
        fields = PUBLISHED | ({"text"} if path.name == "sources.toml" else set())
        found |= set(_values(table, fields))
    return sorted((each for each in found if len(each) > 2), key=len, reverse=True)


def _values(value, fields, key=""):
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _values(entry, fields, name)
    elif isinstance(value, list):
        for entry in value:
            yield from _values(entry, fields, key)
    elif isinstance(value, str) and key in fields:
        yield value


def zone_words(clinic) -> re.Pattern:
    """What a clinic's clock is called in summer and winter, once or side by side."""
    today = timezone.now().astimezone(clinic.zone)
    days = (today - timedelta(days=back) for back in (0, 90, 180, 270))
    names = {name for day in days for name in re.findall("[A-Za-z]+", f"{day:%Z}")}
    return re.compile(f"(?:{'|'.join(names)})+")


def test_no_page_shows_a_text_that_was_not_looked_up(clinic, other_clinic):
    cited, bare, seen = published(), {}, 0
    zone = zone_words(clinic)
    with pseudo.spoken():
        made = world.build(clinic, other_clinic)
        browsers = {role: world.browser_of(user) for role, user in made.users.items()}
        for _address, allowed, url in made.addresses("GET"):
            if not allowed or url.startswith(ASIDE) or seen_often(url):
                continue
            answer = browsers[allowed[0]].get(url)
            if "html" not in answer.headers.get("Content-Type", ""):
                continue
            seen += 1
            for text in pseudo.shown_in(answer.content.decode()):
                left = without_data(text, cited)
                words = words_of(left) - TYPED - NAMES
                if any(not zone.fullmatch(word) for word in words):
                    bare.setdefault(left, url)

    assert not bare
    assert seen > 90


def without_data(text: str, cited: list[str]) -> str:
    """A text without citations, brands, codes and numbers."""
    if not words_of(text):
        return text
    cut = re.search(r"([^·:]{12,})…", text)
    if cut and any(cut[1].strip() in each for each in cited):
        text = text.replace(cut[0], " ")
    for each in cited:
        text = text.replace(each, " ")
    return CODES.sub(" ", text)


LATER = re.compile(
    r"/orders/new/[2-9]/|/orders/(9|\d\d)/change/|/patients/[2-9]/.+"
    r"|/infusions/[2-9]/(vials|medicines|error|allocate|cancel)/"
)


def seen_often(url: str) -> bool:
    """Pages of later rows that look like the first ones."""
    return bool(LATER.match(url))


def test_a_text_that_was_not_looked_up_is_left_over():
    page = '<p title="Late">⟦Pulse <b>76⟧</b> now</p><p>⟦Late⟧, ⟦cut</p><p>next</p>'

    assert pseudo.shown_in(page) == ["Late", "now", ",", "next"]
