"""The audit page and its export."""

import csv
import hashlib
import io
from datetime import timedelta

import openpyxl
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from sessions.exports import cell_text
from sessions.forms.audit import OBJECTS
from sessions.models import AuditEntry
from sessions.services.acts import Actor, act
from sessions.storage import drop_triggers, install_triggers
from tests.conftest import NINE


def write(user, action, at=NINE, **detail):
    with act(action, by=Actor.of(user=user, clinic=user.clinic, at=at)) as done:
        done.on(user, **detail)


@pytest.fixture
def archive(sign_in, auditor, nurse, admin, stranger):
    write(nurse, "session.view")
    write(admin, "clinic.settings", before={"phone": ""}, after={"phone": "01 555"})
    write(nurse, "session.view", at=NINE + timedelta(days=1))
    write(stranger, "patient.view")
    return sign_in(auditor)


def rows_of(answer) -> list[int]:
    return [entry.sequence for entry in answer.context["page"]]


def test_newest_acts_of_this_clinic_come_first(archive):
    assert rows_of(archive.get(reverse("audit"))) == [3, 2, 1]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("action=clinic.settings", [2]),
        ("object=user&number={nurse}", [3, 1]),
        ("user={admin}", [2]),
        ("first=2026-03-03", [3]),
        ("last=2026-03-02", [2, 1]),
        ("user={nurse}&last=2026-03-02", [1]),
        ("nonsense=1", [3, 2, 1]),
    ],
)
def test_filters_narrow_the_rows(archive, nurse, admin, query, rows):
    query = query.format(nurse=nurse.pk, admin=admin.pk)

    assert rows_of(archive.get(f"{reverse('audit')}?{query}")) == rows


@pytest.mark.parametrize(
    "query",
    ["first=yesterday", "number=x%00", "user=1%20OR%201", "page=abc", "page=-1"],
)
def test_a_strange_query_does_no_harm(archive, query):
    assert archive.get(f"{reverse('audit')}?{query}").status_code == 200


def test_a_change_reads_as_before_and_after(archive):
    page = archive.get(reverse("audit")).content.decode()

    assert "– → 01 555" in page


def test_the_export_holds_the_rows_shown_and_is_itself_an_act(archive, nurse):
    answer = archive.post(reverse("audit-export"), {"user": nurse.pk})
    _, _, body = answer.content.decode().partition("\r\n\r\n")
    lines = list(csv.DictReader(body.splitlines()))

    assert [line["sequence"] for line in lines] == ["3", "1"]
    assert lines[0]["action"] == "session.view"
    entry = AuditEntry.objects.last()
    assert entry.action == "audit.export"
    assert hashlib.sha256(body.encode()).hexdigest() in entry.detail


def test_the_workbook_holds_the_same_rows_and_is_an_act_too(archive, nurse, clinic):
    as_csv = archive.post(reverse("audit-export"), {"user": nurse.pk})
    answer = archive.post(reverse("audit-export-xlsx"), {"user": nurse.pk})
    book = openpyxl.load_workbook(io.BytesIO(answer.content))

    _, _, body = as_csv.content.decode().partition("\r\n\r\n")
    rows = [["" if v is None else v for v in row] for row in book["Rows"].values]
    assert [[cell_text(cell) for cell in row] for row in rows] == list(
        csv.reader(body.splitlines())
    )
    about = dict(book["About"].values)
    assert about["Filters"] == f"user={nurse.pk}&"
    filters = f"days of the filters begin at midnight in {clinic.time_zone}"
    assert about["Times"] == f"in UTC; {filters}"
    entry = AuditEntry.objects.last()
    assert entry.action == "audit.export"
    assert '"format": "xlsx"' in entry.detail
    assert about["SHA-256 of the rows as CSV, heads included"] in entry.detail


def test_the_command_says_that_the_chain_is_unbroken(archive, capsys):
    call_command("verify_audit")

    assert "4 rows" in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_the_command_names_the_first_bad_row(archive):
    drop_triggers(connection)
    AuditEntry.objects.filter(sequence=2).update(action="nothing")
    install_triggers(connection)

    with pytest.raises(CommandError, match="row 2"):
        call_command("verify_audit")


def test_whatever_an_act_may_be_about_has_a_name_on_the_page():
    never = {
        *("auditentry", "onlooker", "violation", "wrongtries", "recoverycode"),
        *("protocol", "protocolevent", "ordermedicine", "stagechange"),
        "reactionsymptom",
    }
    models = apps.get_app_config("infusions").get_models()
    kinds = {model._meta.model_name for model in models} - never

    assert {kind for kind in kinds if kind not in dict(OBJECTS)} == set()
