"""What browsers refused: taken, counted, shown to admins, and nothing else kept."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import Violation
from sessions.services import violations as service
from sessions.views import violations
from tests.conftest import NINE

ADDRESS = "/policy-violations/"
OLD = "application/csp-report"
NEW = "application/reports+json"


@pytest.fixture(autouse=True)
def _rested(monkeypatch):
    """Each test begins with a full hand of reports."""
    monkeypatch.setattr(violations, "_by_address", violations.Pace(lambda: 20))
    monkeypatch.setattr(violations, "_by_all", violations.Pace(lambda: 120))


def old(**told) -> str:
    return json.dumps(
        {
            "csp-report": {
                "document-uri": "http://testserver/patients/17/",
                "effective-directive": "style-src-attr",
                "violated-directive": "style-src-attr",
                "blocked-uri": "inline",
                "script-sample": "Okonkwo",
                "source-file": "http://testserver/patients/17/",
            }
            | told
        }
    )


def new(*bodies: dict) -> str:
    made = [
        {"type": "csp-violation", "url": "http://testserver/patients/17/", "body": body}
        for body in bodies
    ]
    return json.dumps([{"type": "deprecation", "body": {}}, *made])


def send(client, text: str | bytes, kind: str = OLD, **more):
    return client.post(ADDRESS, text, content_type=kind, **more)


def kept() -> list[tuple]:
    return list(Violation.objects.values_list("directive", "blocked", "page", "count"))


def test_the_old_form_is_counted_without_what_names_a_patient(client, db):
    for _ in range(3):
        assert send(client, old()).status_code == 204

    assert kept() == [("style-src-attr", "inline", "patient-detail", 3)]
    row = Violation.objects.values().get()
    assert "17" not in f"{row['directive']}{row['blocked']}{row['page']}"
    assert "Okonkwo" not in str(row)


def test_the_new_form_brings_several(client, db):
    body = {
        "documentURL": "http://testserver/board/?token=1",
        "effectiveDirective": "script-src-elem",
        "blockedURL": "https://hostile.example:8443/a/Okonkwo.js?mrn=0048172265",
    }

    answer = send(client, new(body, body | {"blockedURL": "inline"}), NEW)

    assert answer.status_code == 204
    assert set(kept()) == {
        ("script-src-elem", "https://hostile.example:8443", "board", 1),
        ("script-src-elem", "inline", "board", 1),
    }


@pytest.mark.parametrize(
    ("told", "row"),
    [
        ({"blocked-uri": "data"}, ("style-src-attr", "data", "patient-detail")),
        (
            {"blocked-uri": "data:text/html,Okonkwo"},
            ("style-src-attr", "data", "patient-detail"),
        ),
        (
            {"blocked-uri": "http://testserver/patients/17/x.png"},
            ("style-src-attr", "self", "patient-detail"),
        ),
        (
            {"blocked-uri": "https://Ökonkwo.example/"},
            ("style-src-attr", "https", "patient-detail"),
        ),
        (
            {"blocked-uri": "https://user:word@a.example/"},
            ("style-src-attr", "https", "patient-detail"),
        ),
        ({"blocked-uri": "http://[::1"}, ("style-src-attr", "other", "patient-detail")),
        ({"blocked-uri": "Okonkwo <b>"}, ("style-src-attr", "other", "patient-detail")),
        ({"blocked-uri": 7}, ("style-src-attr", "other", "patient-detail")),
        (
            {"document-uri": "http://testserver/patients/Okonkwo/"},
            ("style-src-attr", "inline", "elsewhere"),
        ),
        (
            {"document-uri": "https://elsewhere.example/board/"},
            ("style-src-attr", "inline", "elsewhere"),
        ),
        (
            {"effective-directive": "Okonkwo"},
            ("other", "inline", "patient-detail"),
        ),
        (
            {"effective-directive": "", "violated-directive": "img-src 'self'"},
            ("img-src", "inline", "patient-detail"),
        ),
    ],
)
def test_only_words_of_ours_and_names_of_servers_are_kept(client, db, told, row):
    assert send(client, old(**told)).status_code == 204
    assert kept() == [(*row, 1)]


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", "7", "null", '{"csp-report": 7}', '[{"type": []}]']
    + ["[" * 5000, b"\xff\xfe", '[{"type": "csp-violation", "body": "x"}]'],
)
def test_what_is_no_report_is_refused(client, db, text):
    assert send(client, text).status_code == 422
    assert kept() == []


def test_a_large_post_is_refused_unread(client, db):
    assert send(client, old(sample="x" * 20_000)).status_code == 413
    assert kept() == []


def test_of_many_in_one_post_the_first_are_counted(client, db):
    body = {"effectiveDirective": "img-src", "blockedURL": "inline", "documentURL": ""}

    send(client, new(*[body] * 30), NEW)

    assert kept() == [("img-src", "inline", "elsewhere", 10)]


def test_one_address_is_slowed_down_and_then_everybody(client, db, monkeypatch):
    monkeypatch.setattr(violations, "_by_all", violations.Pace(lambda: 25))

    ours = [send(client, old()).status_code for _ in range(22)]
    theirs = [
        send(client, old(), REMOTE_ADDR="10.0.0.2").status_code for _ in range(10)
    ]

    assert ours == [204] * 20 + [429] * 2
    assert theirs == [204] * 5 + [429] * 5


def test_made_up_kinds_fill_no_disk(db, monkeypatch):
    monkeypatch.setattr(service, "KINDS", 3)
    told = [
        service.Report(directive="img-src", blocked=f"https://{n}.example", page="x")
        for n in range(8)
    ]

    service.count(told, at=NINE)

    assert Violation.objects.count() == 4
    assert Violation.objects.get(blocked="others").count == 5


def test_what_nobody_told_of_for_30_days_is_forgotten(db):
    told = [service.Report(directive="img-src", blocked="inline", page="board")]
    service.count(told, at=NINE)

    assert len(service.recent(at=NINE + timedelta(days=29))) == 1
    assert service.recent(at=NINE + timedelta(days=31)) == []
    other = [service.Report(directive="img-src", blocked="data", page="board")]
    service.count(other, at=NINE + timedelta(days=31))
    assert [row.blocked for row in Violation.objects.all()] == ["data"]


def test_admins_see_what_was_refused_and_that_nothing_was(sign_in, admin, client):
    quiet = sign_in(admin).get(reverse("settings")).content.decode()
    assert "no browser refused anything" in quiet

    send(client, old())
    told = client.get(reverse("settings")).content.decode()

    assert "Browsers refused something on our pages" in told
    assert "style-src-attr" in told
    assert "patient-detail" in told


def test_a_report_keeps_no_login_alive(sign_in, nurse):
    client = sign_in(nurse)
    session = client.session
    earlier = (timezone.now() - timedelta(minutes=10)).isoformat()
    session["last_seen"] = earlier
    session.save()

    send(client, old())

    assert client.session["last_seen"] == earlier
