"""Looking writes nothing but the audit; every answer carries the guarding headers."""

import uuid

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions.management.audited import audited_acts
from sessions.models import AuditEntry, Onlooker
from tests.hostile import pages, world
from tests.hostile.world import IN_PARTS
from tests.test_access_matrix import MATRIX, WITHOUT_TOKEN

ONLOOKERS = MATRIX["board-alarms"]["GET"]
"""Roles whose pages of a visit say that it is open there; each does once."""

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
    "report-uri": "/policy-violations/",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture
def made(clinic, other_clinic):
    return world.build(clinic, other_clinic)


def test_looking_at_everything_writes_nothing_to_the_record(made):
    before, first = world.record(), AuditEntry.objects.count()
    wrote, seen, parts = {}, 0, set()
    for address, allowed, url in made.addresses("GET", every_way=True):
        for role in allowed[:1] if address.kinds else allowed:
            browser = world.browser_of(made.users[role])
            writes = world.Writes()
            with connection.execute_wrapper(writes):
                whole, part = (
                    browser.get(url, headers=headers)
                    for headers in ({}, {"HX-Request": "true"})
                )
            seen += 2
            if is_page(whole) and not is_page(part):
                parts.add(address.name)
            if writes.tables or writes.deleted:
                wrote[url] = sorted(writes.tables | writes.deleted)
    after = world.record()
    before.pop("infusions_user")  # signing in stamps the last login
    after.pop("infusions_user")

    assert not wrote
    assert after == before
    assert seen > 150
    assert {name for name in parts if not name.startswith(IN_PARTS)} == set()
    assert Onlooker.objects.count() == len(ONLOOKERS)
    assert AuditEntry.objects.count() > first
    done = set(AuditEntry.objects.values_list("action", flat=True))
    assert len(done) > 20
    assert done <= set(audited_acts()), "docs/audited-acts.md lacks an act"


def is_page(answer) -> bool:
    """Whether a whole page came, not a part of one, a file or another address."""
    shown = answer.status_code == 200 and not answer.streaming
    return shown and b"<html" in answer.content[:400]


def test_a_write_while_looking_would_be_noticed(made):
    writes = world.Writes()
    with connection.execute_wrapper(writes):
        made.users["nurse"].save()
        Onlooker.objects.filter(pk=0).delete()

    assert writes.tables == {"infusions_user"}
    assert writes.deleted == {"infusions_onlooker"}


def test_every_post_needs_this_sites_own_token(made):
    """No token, somebody else's token, and a token from another site's page."""
    browsers = {
        role: world.browser_of(user, enforce_csrf_checks=True)
        for role, user in made.users.items()
    }
    before, wrong = world.record(), []
    other = Client(enforce_csrf_checks=True)
    other.get(reverse("sign-in"))
    for address, allowed, url in made.addresses("POST"):
        if not allowed or address.name in WITHOUT_TOKEN:
            continue
        browser = browsers[allowed[0]]
        for data, headers in (
            ({}, {}),
            ({"csrfmiddlewaretoken": "x" * 64}, {}),
            ({"csrfmiddlewaretoken": other.cookies["csrftoken"].value}, {}),
            ({}, {"X-CSRFToken": other.cookies["csrftoken"].value}),
            ({}, {"Origin": "https://elsewhere.example"}),
        ):
            data = data | {"submission_key": str(uuid.uuid4())}
            answer = browser.post(url, data, headers=headers)
            if answer.status_code != 403:
                wrong.append(f"{answer.status_code} {url} {data} {headers}")

    assert not wrong, "\n".join(wrong[:20])
    assert world.record() == before


def policy_of(answer) -> dict[str, str]:
    parts = answer.headers["Content-Security-Policy"].split(";")
    named = [part.strip().partition(" ") for part in parts if part.strip()]
    return {name: value for name, _, value in named}


def guarded(answer) -> list[str]:
    """What is missing of the headers that guard a browser."""
    missing = [
        f"{name}: {answer.headers.get(name)}"
        for name, value in HEADERS.items()
        if answer.headers.get(name) != value
    ]
    if "no-store" not in answer.headers.get("Cache-Control", ""):
        missing.append(f"Cache-Control: {answer.headers.get('Cache-Control')}")
    if policy_of(answer) != POLICY:
        missing.append(f"policy {policy_of(answer)}")
    return missing


def test_pages_fragments_files_and_refusals_carry_every_header(made, client):
    browsers = {role: world.browser_of(user) for role, user in made.users.items()}
    wrong = []

    def judge(answer, url):
        wrong.extend(f"{answer.status_code} {url}: {each}" for each in guarded(answer))

    for address, allowed, url in made.addresses("GET"):
        if address.kinds and url != address.at(
            {k: v[0] for k, v in made.ids.items()}
            | {kind: made.ids.get(kind, world.NOBODY)[0] for kind in address.kinds}
        ):
            continue
        for headers in ({}, {"HX-Request": "true"}):
            judge(browsers[allowed[0]].get(url, headers=headers), url)
    nurse = browsers["nurse"]
    for headers in ({}, {"HX-Request": "true"}):
        judge(nurse.get("/no/such/place/", headers=headers), "404")
        judge(nurse.get(reverse("settings"), headers=headers), "403")
        judge(nurse.put(reverse("board"), headers=headers), "405")
        judge(nurse.post(reverse("patient-register"), headers=headers), "422")
        judge(client.get(reverse("board"), headers=headers), "signed out")
        judge(client.post(reverse("sign-out"), headers=headers), "signed out")

    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_fault_of_ours_carries_every_header(made, monkeypatch, headers):
    def fails(*_given, **_named):
        raise RuntimeError("a fault with Ashgrove in its words")

    monkeypatch.setattr("sessions.views.board.render", fails)
    browser = world.browser_of(made.users["nurse"], raise_request_exception=False)

    answer = browser.get(reverse("board"), headers=headers)

    assert answer.status_code == 500
    assert guarded(answer) == []
    assert b"Ashgrove" not in answer.content
    assert "NOT SAVED" in answer.content.decode()


def test_static_files_carry_them_too_but_may_be_kept(client):
    for name in ("sessions/pages.css", "sessions/clinic.js"):
        answer = client.get(f"{settings.STATIC_URL}{name}")
        assert answer.status_code == 200, name
        assert policy_of(answer) == POLICY
        for header in ("X-Content-Type-Options", "Referrer-Policy"):
            assert answer.headers[header] == HEADERS[header]


def test_no_page_needs_more_than_the_policy_grants(made):
    """No inline script or style, no handler, nothing from another site."""
    browsers = {role: world.browser_of(user) for role, user in made.users.items()}
    wrong = []
    for _, allowed, url in made.addresses("GET"):
        answer = browsers[allowed[0]].get(url)
        if "html" not in answer.headers.get("Content-Type", ""):
            continue
        read = pages.read(answer.content.decode())
        wrong += [f"{url}: inline {text[:40]}" for text in read.scripts if text.strip()]
        for tag, given in read.elements:
            for name, value in given.items():
                if name == "style" or name.startswith(("on", "hx-on")):
                    wrong.append(f"{url}: <{tag} {name}={value[:40]}>")
                elsewhere = value.startswith(("http:", "https:", "//"))
                if name in ("src", "action") and elsewhere:
                    wrong.append(f"{url}: <{tag} {name}={value[:40]}>")

    assert not wrong, "\n".join(dict.fromkeys(wrong))
