"""Words in every column of the record stay words, on every page, print and file."""

import csv
import io

import openpyxl
import pytest
from django.apps import apps
from django.db import connection, models, transaction
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


def problems(made: world.World, forms: dict | None = None) -> list[str]:
    """What is alive on any page or in any file; `forms` gathers those of the pages."""
    found = []
    for url, role, answer in walk(made):
        if answer.streaming or answer.status_code >= 300:
            continue
        found += [f"{url} for {role}: {each}" for each in problems_of(answer)]
        if forms is not None and is_html(answer):
            for form in pages.forms_of(answer.content.decode(), url):
                forms.setdefault(form.shape, (form, role))
    return found


def is_html(answer) -> bool:
    return "html" in answer.headers.get("Content-Type", "")


def problems_of(answer) -> list[str]:
    """What a browser, a sheet or a template would do with one answer."""
    kind = answer.headers.get("Content-Type", "")
    if kind == XLSX:
        return formulas_of(answer)
    if "csv" in kind:
        return formulas(answer.content.decode())
    if kind == "application/pdf":
        return [word for word in (b"/JavaScript", b"/JS ") if word in answer.content]
    if not is_html(answer):
        return []
    text = answer.content.decode()
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
    return world.build(clinic, other_clinic)


def test_the_worlds_record_has_words_in_many_columns():
    assert len(list(columns())) > 40


def test_no_canary_in_the_record_or_in_a_form_runs_anywhere(made):
    written, forms = poison(turn=0), {}

    found = problems(made, forms) + answers_with_canaries(made, forms, turn=0)

    assert len(written) > 40
    assert len(forms) > 80
    assert not found, "\n".join(dict.fromkeys(found))


@pytest.mark.soak
@pytest.mark.parametrize("turn", range(len(canaries.CANARIES)))
def test_no_canary_in_any_column_or_box_runs_anywhere(made, turn):
    poison(turn)
    forms = {}

    found = problems(made, forms) + answers_with_canaries(made, forms, turn)

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
