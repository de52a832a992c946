"""The record as a file: the same page, on sheets that each name the patient."""

import hashlib
import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from sessions import paper
from sessions.models import AuditEntry
from sessions.services import acts, finish
from sessions.services.notes import write_note
from tests.factories.visits import Morning

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def observing(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    """A visit that was ended early an hour ago."""
    made = Morning.of(
        at=timezone.now() - timedelta(minutes=120),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )
    made.started()
    finish.end_infusion(session=made.visit, by=made.by(after=60), reason_code="patient")
    return made


@pytest.fixture
def _pango():
    """The system library that PDF needs: `.ci/browser` installs it."""
    try:
        paper._weasyprint()
    except paper.NoPdf:
        if os.environ.get("CI") == "true":
            pytest.fail("No Pango: see .ci/browser.")
        pytest.skip("No Pango: apt-get install libpango-1.0-0 libpangoft2-1.0-0.")


def pdf(client, morning: Morning):
    return client.get(reverse("infusion-record-pdf", args=[morning.visit.pk]))


def words_of(sheet) -> str:
    """All that stands on one sheet, margins included."""
    boxes = sheet._page_box.descendants()
    return " ".join(box.text for box in boxes if hasattr(box, "text"))


@pytest.mark.usefixtures("_pango")
def test_the_record_is_a_file_and_the_audit_knows_which(sign_in, nurse, observing):
    answer = pdf(sign_in(nurse), observing)
    file = b"".join(answer.streaming_content)

    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Cache-Control"] == "no-store"
    assert file.startswith(b"%PDF-")
    assert observing.patient.family_name not in answer.headers["Content-Disposition"]
    entry = AuditEntry.objects.get(action="session.export")
    assert (entry.object_id, entry.patient) == (observing.visit.pk, observing.patient)
    digest = hashlib.sha256(file).hexdigest()
    assert json.loads(entry.detail) == {"format": "pdf", "sha256": digest}


def test_no_file_leaves_that_the_audit_cannot_write_down(
    sign_in, nurse, observing, monkeypatch
):
    def full(*_args, **_given):
        raise OperationalError("database or disk is full")

    client = sign_in(nurse)
    monkeypatch.setattr(paper, "pdf_of", lambda page: b"%PDF-")
    monkeypatch.setattr(acts, "_unaudited", [])  # what is missed here is of here
    monkeypatch.setattr(AuditEntry, "save", full)

    answer = pdf(client, observing)

    assert answer.status_code == 503
    assert "NOT SAVED" in answer.content.decode()
    assert not answer.has_header("Content-Disposition")
    shown = client.get(reverse("infusion-record", args=[observing.visit.pk]))
    assert shown.status_code == 200  # reading goes on


@pytest.mark.usefixtures("_pango")
def test_every_sheet_names_the_patient_and_its_number(
    sign_in, nurse, observing, monkeypatch
):
    seen = []
    monkeypatch.setattr(paper, "pdf_of", lambda page: seen.append(page) or b"")
    pdf(sign_in(nurse), observing)

    sheets = paper.laid_out(seen[0]).pages

    assert len(sheets) >= 2
    for number, sheet in enumerate(sheets, start=1):
        words = words_of(sheet)
        assert "OKONKWO, Adaeze Marie" in words
        assert "0048172265" in words
        assert f"page {number} of {len(sheets)}" in words


def test_the_file_is_the_page_with_its_style_inside_and_nothing_to_fetch(
    sign_in, nurse, observing, monkeypatch
):
    seen = []
    monkeypatch.setattr(paper, "pdf_of", lambda page: seen.append(page) or b"")
    client = sign_in(nurse)
    pdf(client, observing)
    shown = client.get(reverse("infusion-record", args=[observing.visit.pk]))

    assert tables(seen[0]) == tables(shown.content.decode())
    assert len(tables(seen[0])) > 5
    assert "<script" not in seen[0]
    assert "<link" not in seen[0]
    assert "src=" not in seen[0]
    assert "default-src 'none'" in seen[0]


def tables(page: str) -> list[str]:
    """The tables of the page, without what only the clock changes."""
    return re.findall(r"<caption.*?</table>", page, re.DOTALL)


def test_the_page_is_drawn_outside_any_transaction(
    sign_in, nurse, observing, monkeypatch
):
    inside = []
    depth = len(connection.savepoint_ids)

    def draw(_page):
        inside.append(len(connection.savepoint_ids) - depth)
        return b""

    monkeypatch.setattr(paper, "pdf_of", draw)
    pdf(sign_in(nurse), observing)

    assert inside == [0]


def test_without_pango_the_page_says_so_and_still_prints(
    sign_in, nurse, observing, monkeypatch
):
    def missing(_page):
        raise paper.NoPdf("cannot load library 'libpango-1.0-0'")

    monkeypatch.setattr(paper, "pdf_of", missing)
    client = sign_in(nurse)
    answer = pdf(client, observing)
    page = client.get(answer.url).content.decode()

    assert answer.url == reverse("infusion-record", args=[observing.visit.pk])
    assert "lacks the library Pango" in page
    assert "OKONKWO, Adaeze Marie" in page
    assert not AuditEntry.objects.filter(action="session.export").exists()


def test_a_missing_library_is_an_answer_and_no_crash(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *given, **options):
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *given, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    paper._weasyprint.cache_clear()
    with pytest.raises(paper.NoPdf):
        paper.pdf_of("<p>x")
    monkeypatch.undo()
    paper._weasyprint.cache_clear()


def test_everything_in_the_drawing_has_its_look_on_paper():
    """SVG in a PDF sees no style but its own: a shape without one is a black box."""
    drawn = (ROOT / "templates/infusions/_chart.html").read_text(encoding="utf-8")
    css = ROOT / "sessions/static/sessions/alone-drawing.css"
    known = set(re.findall(r"\.([a-z][\w-]*)", css.read_text(encoding="utf-8")))
    svg = re.search(r"<svg.*</svg>", drawn, re.DOTALL)[0]
    plain = {"chart", "bp", "pulse", "resp", "spo2", "temp", "rate", "event"}
    used = {
        name
        for names in re.findall(r'class="([^"]*)"', re.sub(r"{[{%].*?[%}]}", " ", svg))
        for name in names.split()
    }

    nameless = {name for name in used - plain if not is_styled(name, known)}

    assert len(used) > 15
    assert not nameless


def is_styled(name: str, known: set[str]) -> bool:
    """Whether a class has a look; `n` stands for n0 to n3, as a number follows it."""
    return name in known or any(re.fullmatch(name + r"\d", each) for each in known)


def test_strangers_and_admins_get_no_file(sign_in, stranger, admin, observing):
    assert pdf(sign_in(stranger), observing).status_code == 404
    assert pdf(sign_in(admin), observing).status_code == 403


def test_every_note_is_in_the_record_and_the_older_ones_struck_out(
    sign_in, nurse, observing
):
    first = write_note(
        session=observing.visit,
        text="Slow line.",
        replaces=None,
        by=observing.by(after=61),
    )
    write_note(
        session=observing.visit,
        text="New line.",
        replaces=first.pk,
        by=observing.by(after=62),
    )
    page = sign_in(nurse).get(reverse("infusion-record", args=[observing.visit.pk]))

    said = re.findall(r'<p class="small([^"]*)">[^<]*(Slow|New) line', page.text)
    assert said == [(" superseded", "Slow"), ("", "New")]
