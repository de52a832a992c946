"""Report pages: who sees them, what may be asked, and one set of numbers everywhere."""

import csv
import hashlib
import html
import io
import json
import re
from datetime import timedelta
from decimal import Decimal

import openpyxl
import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sessions.exports import cell_text
from sessions.models import AuditEntry
from sessions.services import acts
from tests.factories.reports import Ward
from tests.reading import tight

KEYS = ("reactions", "reductions", "vitals", "flags")
MAY_VIEW = ("charge_nurse", "prescriber", "pharmacist", "admin", "auditor")
MAY_EXPORT = ("pharmacist", "admin", "auditor")


@pytest.fixture
def ward(clinic, nurse, prescriber) -> Ward:
    return Ward(clinic, nurse, prescriber)


@pytest.fixture
def told(ward) -> Ward:
    """Three visits of today with a reaction, a flag answered, and sets taken."""
    now = timezone.now().replace(microsecond=0)
    for number, product in enumerate(("privigen_10", "privigen_10", "octagam_10")):
        at = now - timedelta(minutes=300 - number)
        session = ward.infusion(at, product_key=product)
        ward.vitals(session, 15 + 10 * number)
        if number != 1:
            reaction = ward.reaction(session, 30, "moderate")
            flag = ward.flag(session, 32, reaction=reaction)
            ward.answered(flag, 36 + number, reaction=reaction)
        ward.end(session, 60)
    return ward


def days(since: int = 1) -> str:
    """Yesterday to today, in UTC as the clinic of the tests has it."""
    today = timezone.now().date()
    return f"?period=days&first={today - timedelta(days=since)}&last={today}"


def numbers_of(page: str) -> list[list[str]]:
    """The table of a page as texts, row by row."""
    body = re.search(r"<caption.*?<tbody>(.*?)</tbody>", page, re.DOTALL)[1]
    found = []
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", tight(body), re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        label, *numbers = cells
        label, _, note = label.partition("<small>")
        cells = [label, *numbers, note]
        found.append([html.unescape(re.sub("<[^>]+>", "", cell)) for cell in cells])
    return found


def file_of(response) -> tuple[dict, list[list[str]], str]:
    text = response.content.decode().removeprefix("\ufeff")
    head, _, body = text.partition("\r\n\r\n")
    return (
        dict(csv.reader(io.StringIO(head))),
        list(csv.reader(io.StringIO(body))),
        body,
    )


def sheets_of(response) -> tuple[list[list], dict]:
    """The first sheet with numbers exact to their places, and the second as a dict."""
    book = openpyxl.load_workbook(io.BytesIO(response.content))
    rows = [
        [
            Decimal(f"{cell.value:.{len(cell.number_format.partition('.')[2])}f}")
            if isinstance(cell.value, float)
            else cell.value
            for cell in row
        ]
        for row in book["Rows"].iter_rows()
    ]
    return rows, {row[0].value: row[1].value for row in book["About"].iter_rows()}


@pytest.mark.parametrize("who", MAY_VIEW)
def test_those_who_review_see_every_report(sign_in, request, who, told):
    client = sign_in(request.getfixturevalue(who))

    assert client.get(reverse("reports")).status_code == 200
    for key in KEYS:
        assert client.get(reverse("report", args=[key])).status_code == 200
        assert client.get(reverse("report-print", args=[key])).status_code == 200


def test_a_nurse_sees_no_report(sign_in, nurse):
    client = sign_in(nurse)

    for name in ("report", "report-print", "report-export", "report-export-xlsx"):
        for key in KEYS:
            assert client.get(reverse(name, args=[key])).status_code == 403
    assert client.get(reverse("reports")).status_code == 403


@pytest.mark.parametrize("who", MAY_VIEW)
def test_only_those_who_may_export_are_offered_and_given_the_file(
    sign_in, request, who, told
):
    client = sign_in(request.getfixturevalue(who))
    address = reverse("report-export", args=["reactions"])

    page = client.get(reverse("report", args=["reactions"])).content.decode()

    may = who in MAY_EXPORT
    assert (address in page) is may
    assert client.get(address).status_code == (200 if may else 403)


def test_signed_out_nobody_sees_a_report(client, clinic):
    response = client.get(reverse("report", args=["reactions"]))

    assert response.status_code == 302
    assert reverse("sign-in") in response["Location"]


def test_a_report_that_does_not_exist_is_not_there(sign_in, admin):
    client = sign_in(admin)

    for name in ("report", "report-print", "report-export", "report-export-xlsx"):
        assert client.get(reverse(name, args=["nothing"])).status_code == 404


@pytest.mark.parametrize("key", KEYS)
def test_page_file_and_print_have_the_same_numbers(sign_in, admin, told, key):
    client = sign_in(admin)

    page = client.get(reverse("report", args=[key]) + days()).content.decode()
    paper = client.get(reverse("report-print", args=[key]) + days()).content.decode()
    response = client.get(reverse("report-export", args=[key]) + days())
    about, rows, body = file_of(response)

    shown = numbers_of(page)
    assert shown == numbers_of(paper)
    assert len(shown) == len(rows) - 1 == int(about["Rows"])
    for on_page, in_file in zip(shown, rows[1:], strict=True):
        split = [part for cell in on_page for part in cell.split(" to ")]
        known = [part for part in split if part not in ("–", "")]
        assert known == [cell for cell in in_file if cell != ""]
    digest = hashlib.sha256(body.encode()).hexdigest()
    assert about["SHA-256 of everything after the empty line"] == digest
    assert digest in page
    assert digest in paper
    answer = client.get(reverse("report-export-xlsx", args=[key]) + days())
    sheet, told_of_itself = sheets_of(answer)
    assert [[cell_text(cell) for cell in row] for row in sheet] == rows
    assert told_of_itself["SHA-256 of the rows as CSV, heads included"] == digest
    assert int(told_of_itself["Rows"]) == len(rows) - 1
    assert told_of_itself["Period"] == about["Period"]


def test_the_file_says_what_was_asked_and_found(sign_in, admin, told):
    query = days() + "&grade=moderate&product=privigen_10"

    response = sign_in(admin).get(reverse("report-export", args=["reactions"]) + query)
    about, rows, _ = file_of(response)

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith(
        'attachment; filename="reactions-'
    )
    assert about["Requested by"] == "Robin Clarke (admin)"
    assert about["Clinic"] == "Riverside Infusion"
    assert about["Grade"] == "Moderate or worse"
    assert about["Product"].startswith("Privigen")
    assert "Of 2 infusions started in the period, 1 had" in about["Found"]
    assert rows[0][:3] == ["Product", "With a reaction", "Infusions"]


@pytest.mark.parametrize("key", KEYS)
def test_htmx_gets_the_part_and_a_browser_the_page(sign_in, admin, told, key):
    client = sign_in(admin)
    address = reverse("report", args=[key]) + days()

    page = client.get(address).content.decode()
    part = client.get(address, headers={"HX-Request": "true"}).content.decode()

    assert page.startswith("<!doctype html>")
    assert part.lstrip().startswith('<div id="report">')
    assert numbers_of(page) == numbers_of(part)


HOSTILE = [
    "by=nurse",
    "by=session__patient__family_name",
    "by=product&by=lot",
    "session__clinic=1",
    "clinic=2",
    "product=%00",
    "product=nothing",
    "indication=pi%00",
    "period=13",
    "period=days",
    "period=days&first=2026-02-30&last=2026-03-01",
    "period=days&first=2026-03-02&last=2026-03-01",
    "period=days&first=1900-01-01&last=2100-01-01",
    "period=days&first=0001-01-01&last=9999-12-31",
    "period=days&first=２０２６-01-01&last=2026-01-02",
    "first=%00",
    "page=1",
    "%00=1",
    "<script>alert(1)</script>=1",
]


@pytest.mark.parametrize("query", HOSTILE)
@pytest.mark.parametrize(
    "name", ["report", "report-print", "report-export", "report-export-xlsx"]
)
def test_what_is_not_on_the_list_is_refused_with_the_form(
    sign_in, admin, clinic, name, query
):
    client = sign_in(admin)

    response = client.get(reverse(name, args=["reactions"]) + "?" + query)

    page = response.content.decode()
    assert response.status_code == 422
    assert "Not counted" in page
    assert 'name="by"' in page
    assert "<script>alert" not in page
    assert "SHA-256" not in page


@pytest.mark.parametrize("key", ["reductions", "vitals"])
def test_a_question_of_another_report_is_unknown(sign_in, admin, clinic, key):
    response = sign_in(admin).get(reverse("report", args=[key]) + "?grade=mild")

    assert response.status_code == 422


@pytest.mark.parametrize("key", KEYS)
def test_nothing_found_says_so_and_shows_no_rate(sign_in, admin, clinic, key):
    page = sign_in(admin).get(reverse("report", args=[key])).content.decode()

    assert "0 infusions match" in page
    assert "0.0" not in page.partition("<main")[2].partition("What was counted")[0]
    assert '<svg class="chart' not in page


@pytest.mark.parametrize("key", KEYS)
def test_another_clinics_rows_are_on_no_page(sign_in, stranger, told, key):
    stranger.role = type(stranger.role).objects.get(name="admin")
    stranger.save()
    client = sign_in(stranger)

    page = client.get(reverse("report", args=[key]) + days()).content.decode()

    assert "0 infusions match" in page
    assert "Privigen" not in page


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("report", "report.view"),
        ("report-print", "report.print"),
        ("report-export", "report.export"),
        ("report-export-xlsx", "report.export"),
    ],
)
def test_every_look_and_every_file_is_in_the_audit(sign_in, admin, told, name, action):
    client = sign_in(admin)

    client.get(reverse(name, args=["vitals"]) + days() + "&by=stage")

    entry = AuditEntry.objects.latest("sequence")
    detail = json.loads(entry.detail)
    assert (entry.action, entry.user) == (action, admin)
    assert entry.object_type == "clinic"
    assert detail["report"] == "vitals"
    assert "by=stage" in detail["question"]
    assert len(detail["sha256"]) == 64


@pytest.mark.parametrize("name", ["report-export", "report-export-xlsx"])
def test_no_file_leaves_that_the_audit_cannot_write_down(
    sign_in, admin, told, name, monkeypatch
):
    def full(*_args, **_given):
        raise OperationalError("database or disk is full")

    client = sign_in(admin)
    monkeypatch.setattr(acts, "_unaudited", [])  # what is missed here is of here
    monkeypatch.setattr(AuditEntry, "save", full)

    answer = client.get(reverse(name, args=["vitals"]) + days())

    assert answer.status_code == 503
    assert "NOT SAVED" in answer.content.decode()
    assert not answer.has_header("Content-Disposition")
    shown = client.get(reverse("report", args=["vitals"]) + days())
    assert shown.status_code == 200  # reading goes on


def test_a_refused_question_is_no_look(sign_in, admin, clinic):
    client = sign_in(admin)
    before = AuditEntry.objects.count()

    client.get(reverse("report", args=["vitals"]) + "?by=nothing")

    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize(
    ("key", "by", "most"),
    [
        ("reactions", "product", 11),
        ("reactions", "lot", 12),
        ("reductions", "month", 14),
        ("vitals", "stage", 15),
        ("flags", "rule", 11),
    ],
)
def test_the_number_of_queries_is_small_and_does_not_grow(
    sign_in, admin, told, key, by, most
):
    client = sign_in(admin)
    address = reverse("report", args=[key]) + days(3) + f"&by={by}"
    client.get(address)  # the protocol is read once for each process
    few = queries_of(client, address)

    now = timezone.now()
    for number in range(4):
        session = told.infusion(now - timedelta(days=1, minutes=number))
        told.vial(session, f"L{number}")
        told.answered(told.flag(session, 10), 12)
        told.end(session, 30)

    assert queries_of(client, address) == few <= most


def queries_of(client, address: str) -> int:
    """Statements of one page, sign-in check and audit included, transactions not."""
    ignored = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    with CaptureQueriesContext(connection) as caught:
        assert client.get(address).status_code == 200
    return sum(not q["sql"].upper().startswith(ignored) for q in caught)


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_a_report_is_only_read(sign_in, admin, method):
    client = sign_in(admin)

    assert (
        getattr(client, method)(reverse("report", args=["vitals"])).status_code == 405
    )


def test_periods_are_whole_months_and_years_in_the_clinics_zone(sign_in, admin, clinic):
    client = sign_in(admin)
    today = clinic.day_of(timezone.now())

    for period, first in (
        ("year", today.replace(month=1, day=1)),
        ("now", today.replace(day=1)),
    ):
        query = f"?period={period}"
        page = client.get(reverse("report", args=["reactions"]) + query)
        scope = page.context["scope"]
        assert (scope.first, scope.last) == (first, today)
    for period in ("1", "3", "12", "24"):
        page = client.get(reverse("report", args=["reactions"]) + f"?period={period}")
        scope = page.context["scope"]
        months = (today.year - scope.first.year) * 12 + today.month - scope.first.month
        assert months == int(period)
        assert scope.first.day == 1
        assert scope.last == today.replace(day=1) - timedelta(days=1)
