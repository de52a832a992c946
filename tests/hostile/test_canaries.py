"""Words in every column of the record stay words, on every page, print and file."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import openpyxl
import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.urls import reverse
from django.utils import timezone

from sessions import storage
from sessions.exports import STARTS_A_FORMULA
from sessions.models import AuditEntry, Violation
from sessions.models.fields import Choice
from sessions.sheets import XLSX
from sessions.views.replay import PARTS as PARTS_OF_REPLAY
from sessions.views.reports import KINDS
from tests.hostile import canaries, pages, world
from tests.hostile.fuzz import SHOWN_BY_ROLE
from tests.test_access_matrix import Address, rows_of

PDF = "application/pdf"
"""Here it is the page that it is drawn from (`_quickly`), and read as one."""
KEYS = {
    "correction_reason", "username", "password", "code", "time_zone", "initials",
    "second_factor_roles", "hash", "previous_hash", "content_hash", "key", "detail_",
    "sha256", "key_hash", "subject", "secret", "credential_id", "credential", "host",
    "code_hash", "object_type", "action", "role", "rule", "phase", "experience",
    "partial_reason", "temperature_as_typed", "dose_unit", "ceiling_binds", "test",
    "gtin", "substance_key", "reason_code",
}  # fmt: skip
"""Columns that hold a word of the product's own, which no form takes as typed."""
IN_JSON = {
    "Start.gate": {"text", "by", "found", "allergies"},
    "Flag.findings": {"because", "calls_for", "label", "limit_text", "note", "source"},
    "OrderVersion.plan": {"override_reason", "because", "text", "protocol", "product"},
}
"""Columns that hold a document, and the words of people that stand in it."""


def columns():
    """Each column of the record that holds words of people, with its model."""
    for model in apps.get_app_config("infusions").get_models():
        for column in model._meta.concrete_fields:
            words = isinstance(column, models.CharField | models.TextField)
            words &= (model, column.name) != (AuditEntry, "detail")  # a document
            chosen = isinstance(column, Choice) or column.choices
            own = column.name in KEYS or column.name.endswith("_key")
            if words and not chosen and not own:
                yield model, column


def poison(turn: int) -> dict[str, int]:
    """Write a canary into every column of people's words, around the triggers.

    Returns how many rows of each column hold one now.
    """
    storage.drop_triggers(connection)
    written = {}
    for number, (model, column) in enumerate(columns()):
        word = canaries.CANARIES[(turn + number) % len(canaries.CANARIES)]
        for shorter in ("<b hostile>", canaries.SHORTEST):
            if column.max_length is not None and column.max_length < len(word):
                word = shorter
        name = f"{model.__name__}.{column.name}"
        if column.unique or any(
            column.name in each.fields
            for each in model._meta.constraints
            if isinstance(each, models.UniqueConstraint)
        ):
            written[name] = 0
            for row in model.objects.all():
                text = f"{row.pk}{word}"[: column.max_length]
                found = model.objects.filter(pk=row.pk)
                written[name] += found.update(**{column.name: text})
        else:
            written[name] = model.objects.all().update(**{column.name: word})
    written |= poison_documents(turn)
    storage.install_triggers(connection)
    return written


def poison_documents(turn: int) -> dict[str, int]:
    """The same in the words of documents, which stay documents; of an act's detail in
    every word, and in a change from one value to another."""
    written = dict.fromkeys([*IN_JSON, "AuditEntry.detail"], 0)

    def word(number: int) -> str:
        return canaries.CANARIES[(turn + number) % len(canaries.CANARIES)]

    for number, (name, keys) in enumerate(IN_JSON.items()):
        model, column = name.split(".")
        for row in apps.get_model("infusions", model).objects.all():
            document = getattr(row, column)
            new = reworded(document, word(number), lambda key, keys=keys: key in keys)
            found = type(row).objects.filter(pk=row.pk)
            written[name] += new != document and found.update(**{column: new})
    for row in AuditEntry.objects.all():
        one, other = word(row.pk), word(row.pk + 1)
        detail = {"before": {"name": one}, "after": {"name": other}}
        detail |= reworded(json.loads(row.detail), one, lambda key: True)
        detail |= {"reason": one, "lots": [other, one]}
        written["AuditEntry.detail"] += AuditEntry.objects.filter(pk=row.pk).update(
            detail=json.dumps(detail, ensure_ascii=False)
        )
    return written


def reworded(value, word: str, is_words: Callable[[str], bool], key: str = ""):
    """A document with another word wherever one stands under such a key."""
    if isinstance(value, dict):
        return {k: reworded(each, word, is_words, k) for k, each in value.items()}
    if isinstance(value, list):
        return [reworded(each, word, is_words, key) for each in value]
    return word if isinstance(value, str) and is_words(key) else value


AUDIT_PAGES = 3
"""So many hold the acts of the world."""


def walk(made: world.World):
    """Every page, fragment, print and file that anybody may look at.

    A page with a row in its address is read as every role that it offers other forms,
    else as one; a part of it is asked for once.
    """
    browsers = {role: world.browser_of(user) for role, user in made.users.items()}
    in_parts = set()
    for number in range(1, AUDIT_PAGES + 1):
        url = f"{reverse('audit')}?page={number}"
        yield url, "admin", browsers["admin"].get(url)
    for address, allowed, url in made.addresses("GET", every_way=True):
        for role in lookers(address, allowed) if address.kinds else allowed:
            yield url, role, browsers[role].get(url)
        for target in targets(address) if address.name not in in_parts else ():
            headers = {"HX-Request": "true", "HX-Target": target}
            answer = browsers[allowed[0]].get(url, headers=headers)
            yield f"{url} for #{target}", allowed[0], answer
            in_parts.add(address.name)
    for name in ("audit-export", "audit-export-xlsx"):
        yield reverse(name), "admin", browsers["admin"].post(reverse(name))


def lookers(address: Address, allowed: list[str]) -> list[str]:
    """As which roles a page is read: as each that it offers other forms, or as one."""
    return allowed if address.name.startswith(SHOWN_BY_ROLE) else allowed[:1]


def targets(address: Address) -> list[str]:
    """What asks for a part of a page; a made-up name where any gets the same."""
    if address.name == "infusion-replay":
        return list(PARTS_OF_REPLAY)
    return ["part"] if address.name.startswith(world.IN_PARTS) else []


@dataclass
class Looked:
    """What was seen on the walk, the forms on it by their shape, and what is alive.

    `leads` says where a role was sent to instead.
    """

    seen: set[tuple[str, str]] = field(default_factory=set)
    leads: dict[tuple[str, str], str] = field(default_factory=dict)
    forms: dict[tuple, tuple[pages.PageForm, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def circles(self) -> list[tuple[str, str]]:
        """From where a role is sent round for ever."""
        found = []
        for url, role in self.leads:
            passed, place = set(), url
            while place not in passed and (place, role) in self.leads:
                passed.add(place)
                place = self.leads[place, role]
            found += [(url, role)] * (place in passed)
        return found


def look(made: world.World) -> Looked:
    """Look at every page and into every file."""
    looked = Looked()
    for url, role, answer in walk(made):
        if answer.status_code in (301, 302, 303):
            looked.leads[url, role] = answer.url
        if answer.status_code >= 300:
            continue
        looked.seen.add((url, role))
        looked.problems += [f"{url} for {role}: {p}" for p in problems_of(answer)]
        if is_html(answer):
            for form in pages.forms_of(answer.content.decode(), url.split()[0]):
                looked.forms.setdefault(form.shape, (form, role))
    return looked


def is_html(answer) -> bool:
    return "html" in answer.headers.get("Content-Type", "")


def problems_of(answer) -> list[str]:
    """What a browser, a sheet or a template would do with one answer."""
    kind = answer.headers.get("Content-Type", "")
    if kind == XLSX:
        return formulas_of(answer)
    if "csv" in kind:
        return formulas(answer.content.decode())
    if not is_html(answer) and kind != PDF:
        return []
    text = (b"".join(answer) if answer.streaming else answer.content).decode()
    read = pages.read(text)
    found = canaries.alive(read.elements, read.scripts)
    return found + ["a template was worked out"] * bool(
        canaries.WORKED_OUT.search(text)
    )


def answers_with_canaries(made: world.World, forms: dict, turn: int) -> list[str]:
    """Send each form with a canary in every box of words; what comes back is read.

    What was typed stays in the form (I11), and stays words there too. Whatever was
    saved is taken back.
    """
    browsers = {role: world.browser_of(user) for role, user in made.users.items()}
    found, number = [], turn
    for form, role in forms.values():
        data = {}
        for name, control in form.controls.items():
            data[name] = control.values
            if not control.choices and control.kind != "hidden":
                number += 1
                data[name] = [canaries.CANARIES[number % len(canaries.CANARIES)]]
        headers = {"HX-Request": "true"} if number % 2 else {}
        with transaction.atomic():
            answer = browsers[role].post(form.action, data, headers=headers)
            transaction.set_rollback(True)
        if answer.status_code >= 500:
            found.append(f"{answer.status_code} {form.action} for {role}")
        found += [f"{form.action} for {role}: {each}" for each in problems_of(answer)]
    return found


def formulas(text: str) -> list[str]:
    """Cells of a file that a sheet would start to calculate."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    return [
        cell
        for row in rows
        for cell in row
        if cell.lstrip(" ")[:1] in STARTS_A_FORMULA and not _is_number(cell)
    ]


def formulas_of(answer) -> list[str]:
    """Cells of a workbook that would calculate or lead somewhere."""
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    return [
        f"{sheet.title}!{cell.coordinate}: {cell.value}"
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type not in ("s", "n") or cell.hyperlink
    ]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == ""
    return True


@pytest.fixture
def made(clinic, other_clinic):
    """The world, with what its people and its browsers left beside the record."""
    made, at = world.build(clinic, other_clinic), timezone.now() - timedelta(hours=1)
    for user in made.users.values():
        own = rows_of(user, at)
        made.ids |= {kind: made.ids.get(kind, []) + [pk] for kind, pk in own.items()}
    Violation.objects.create(
        directive="img-src", blocked="inline", page="board", first_at=at, last_at=at
    )
    return made


def test_the_worlds_record_has_words_in_many_columns():
    assert len(list(columns())) > 40


def test_no_canary_in_the_record_or_in_a_form_runs_anywhere(made):
    written = poison(turn=0)

    looked = look(made)
    found = looked.problems + answers_with_canaries(made, looked.forms, turn=0)

    assert [name for name, rows in written.items() if not rows] == []
    assert len(written) > 40
    assert len(looked.forms) > 80
    assert not found, "\n".join(dict.fromkeys(found))
    assert looked.circles == []
    visit, order = made.ids["session"][0], made.ids["order"][0]
    assert looked.seen >= {
        (reverse("infusion-record-pdf", args=[visit]), "nurse"),
        (reverse("infusion-detail", args=[visit]), "auditor"),
        (reverse("order-detail", args=[order]), "pharmacist"),
        (reverse("infusion-replay", args=[visit]) + " for #replay-moment", "nurse"),
        (reverse("audit-export-xlsx"), "admin"),
        *(
            (f"{reverse('report', args=[key])}?period=now", "charge nurse")
            for key in KINDS
        ),
    }


@pytest.mark.soak
@pytest.mark.parametrize("turn", range(len(canaries.CANARIES)))
def test_no_canary_in_any_column_or_box_runs_anywhere(made, turn):
    poison(turn)

    looked = look(made)
    found = looked.problems + answers_with_canaries(made, looked.forms, turn)

    assert not found, "\n".join(dict.fromkeys(found))


def test_the_walk_would_notice_one_that_is_alive():
    for word in (
        canaries.CANARIES[:2] + canaries.CANARIES[7:8] + canaries.CANARIES[14:17]
    ):
        read = pages.read(f"<p>{word}</p>")
        assert canaries.alive(read.elements, read.scripts), word
    read = pages.read('<a href="javascript:hostile()">a</a><a href="//hostile">b</a>')
    assert len(canaries.alive(read.elements, read.scripts)) >= 2
    assert canaries.alive(pages.read(canaries.SHORTEST).elements, [])
    assert formulas("a,=1+1\n") == ["=1+1"]
    ways = {("/a", "nurse"): "/b", ("/b", "nurse"): "/a", ("/c", "nurse"): "/d"}
    assert Looked(leads=ways).circles == [("/a", "nurse"), ("/b", "nurse")]
