"""Words in every column of the record stay words, on every page, print and file."""

import csv
import io

import openpyxl
import pytest
from django.apps import apps
from django.db import connection, models
from django.urls import reverse

from sessions import storage
from sessions.exports import STARTS_A_FORMULA
from sessions.models.fields import Choice
from sessions.sheets import XLSX
from tests.hostile import canaries, pages, world

KEYS = {
    "correction_reason", "username", "password", "code", "time_zone", "initials",
    "second_factor_roles", "hash", "previous_hash", "content_hash", "key", "detail_",
    "sha256", "key_hash", "subject", "secret", "credential_id", "credential", "host",
    "code_hash", "object_type", "action", "role", "rule", "phase", "experience",
    "partial_reason", "temperature_as_typed", "dose_unit", "ceiling_binds", "test",
    "gtin", "substance_key", "reason_code",
}  # fmt: skip
"""Columns that hold a word of the product's own, which no form takes as typed."""


def columns():
    """Each column of the record that holds words of people, with its model."""
    for model in apps.get_app_config("infusions").get_models():
        if model._meta.model_name in ("auditentry", "factor", "login", "wrongtries"):
            continue
        for column in model._meta.concrete_fields:
            words = isinstance(column, models.CharField | models.TextField)
            chosen = isinstance(column, Choice) or column.choices
            own = column.name in KEYS or column.name.endswith("_key")
            if words and not chosen and not own:
                yield model, column


def poison(turn: int) -> dict[str, str]:
    """Write a canary into every column of people's words, around the triggers."""
    storage.drop_triggers(connection)
    written = {}
    for number, (model, column) in enumerate(columns()):
        word = canaries.CANARIES[(turn + number) % len(canaries.CANARIES)]
        if column.max_length is not None and column.max_length < len(word):
            word = "<b hostile>"
        if column.max_length is not None and column.max_length < len(word):
            continue
        if column.unique or any(
            column.name in each.fields
            for each in model._meta.constraints
            if isinstance(each, models.UniqueConstraint)
        ):
            for row in model.objects.all():
                text = f"{row.pk}{word}"[: column.max_length]
                model.objects.filter(pk=row.pk).update(**{column.name: text})
        else:
            model.objects.all().update(**{column.name: word})
        written[f"{model.__name__}.{column.name}"] = word
    storage.install_triggers(connection)
    return written


def walk(made: world.World):
    """Every page, fragment, print and file that anybody may look at."""
    browsers = {role: world.browser_of(user) for role, user in made.users.items()}
    for address, allowed, url in made.addresses("GET"):
        for role in allowed[:1] if address.kinds else allowed:
            yield url, role, browsers[role].get(url)
    for name in ("audit-export", "audit-export-xlsx"):
        yield reverse(name), "admin", browsers["admin"].post(reverse(name))


def problems(made: world.World) -> list[str]:
    found = []
    for url, role, answer in walk(made):
        kind = answer.headers.get("Content-Type", "")
        if answer.streaming or answer.status_code >= 300:
            continue
        if kind == XLSX:
            found += [f"{url} for {role}: {each}" for each in formulas_of(answer)]
            continue
        text = answer.content.decode()
        if "html" in kind:
            read = pages.read(text)
            alive = canaries.alive(read.elements, read.scripts)
            if canaries.WORKED_OUT.search(text):
                alive.append("a template was worked out")
            found += [f"{url} for {role}: {each}" for each in alive]
        elif "csv" in kind:
            found += [f"{url} for {role}: {each}" for each in formulas(text)]
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
    return world.build(clinic, other_clinic)


def test_the_worlds_record_has_words_in_many_columns():
    assert len(list(columns())) > 40


def test_no_canary_in_the_record_runs_anywhere(made):
    written = poison(turn=0)

    found = problems(made)

    assert len(written) > 40

    assert not found, "\n".join(dict.fromkeys(found))


@pytest.mark.soak
@pytest.mark.parametrize("turn", range(len(canaries.CANARIES)))
def test_no_canary_in_any_column_runs_anywhere(made, turn):
    poison(turn)

    found = problems(made)

    assert not found, "\n".join(dict.fromkeys(found))


def test_the_walk_would_notice_one_that_is_alive():
    for word in (
        canaries.CANARIES[:2] + canaries.CANARIES[7:8] + canaries.CANARIES[14:17]
    ):
        read = pages.read(f"<p>{word}</p>")
        assert canaries.alive(read.elements, read.scripts), word
    read = pages.read('<a href="javascript:hostile()">a</a><a href="//hostile">b</a>')
    assert len(canaries.alive(read.elements, read.scripts)) >= 2
    assert formulas("a,=1+1\n") == ["=1+1"]


def test_words_posted_in_a_refused_form_come_back_as_words(made):
    """What was typed stays in the form (I11), and stays words there too."""
    browser = world.browser_of(made.users["nurse"])
    patient = made.ids["patient"][0]
    for word in canaries.CANARIES:
        answer = browser.post(
            reverse("patient-amend", args=[patient]),
            {
                "mrn": word,
                "family_name": word,
                "given_names": word,
                "note": word,
                "phone": word,
                "birth_date": word,
                word: word,
            },
        )
        read = pages.read(answer.content.decode())
        assert answer.status_code == 422
        assert not canaries.alive(read.elements, read.scripts), word
