"""What was written down wrongly is corrected: the new value counts everywhere, the
first stays readable with who, when and why (I1, E8, H21)."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from sessions import paper
from sessions.models import (
    Allergy,
    Consent,
    Height,
    LabResult,
    Presence,
    RiskFactor,
    VitalSigns,
    Weight,
)
from sessions.services import downtime, patients
from sessions.services.acts import Refused
from sessions.services.vitals import correct_vitals, record_vitals, withdraw_vitals
from tests.factories.infusions import NORMAL, by, make_patient, make_running
from tests.factories.moments import ago
from tests.reading import tight

REASON = "Read from the wrong line."


def record(kind: str, patient, user, *, minutes: float, **given):
    do = getattr(patients, f"record_{kind}")
    return do(patient=patient, by=by(user, ago(minutes)), **given)


KINDS = {
    "weight": (Weight, {"weight_kg": Decimal("71.3"), "as_typed": "71.3 kg"}),
    "height": (Height, {"height_cm": Decimal("161.5"), "as_typed": "161.5 cm"}),
    "allergy": (
        Allergy,
        {"substance": "Penicillin", "reaction": "wheals", "severity": "mild"},
    ),
    "risk_factor": (
        RiskFactor,
        {"key": "migraine", "presence": Presence.PRESENT, "detail": "weekly"},
    ),
    "lab": (
        LabResult,
        {"test": "creatinine", "value": Decimal("68"), "unit": "umol/L"},
    ),
    "consent": (
        Consent,
        {"given": True, "scope": "immunoglobulin", "expires_on": date(2027, 5, 1)},
    ),
}
CORRECTIONS = [
    ("weight", {"weight_kg": Decimal("73.1"), "as_typed": "73.1 kg"}, "73.1", "71.3"),
    ("height", {"height_cm": Decimal("165.1"), "as_typed": "1"}, "165.1", "161.5"),
    ("allergy", {"substance": "Latex"}, "Latex", "Penicillin"),
    ("allergy", {"reaction": "collapse"}, "collapse", "wheals"),
    ("allergy", {"severity": "severe"}, "severe", "mild"),
    ("risk_factor", {"presence": Presence.ABSENT, "detail": ""}, "No", "Yes"),
    ("risk_factor", {"detail": "daily"}, "daily", "weekly"),
    ("lab", {"value": Decimal("86")}, "86", "68"),
    ("lab", {"unit": "mg/dL"}, "mg/dL", "µmol/L"),
    ("lab", {"test": "haemoglobin"}, "haemoglobin", "creatinine"),
    ("consent", {"scope": "red cells"}, "red cells", "immunoglobulin"),
    ("consent", {"expires_on": date(2028, 6, 2)}, "2028", "2027"),
    ("consent", {"given": False}, "refused", "given"),
    ("consent", {"witness": "L. Brandt"}, "L. Brandt", "Given"),
    ("risk_factor", {"due_date": date(2027, 6, 2)}, "2 Jun 2027", "migraine"),
    ("risk_factor", {"supervisor": "Dr Roth"}, "Dr Roth", "migraine"),
    ("allergy", {"source": "Letter"}, "Letter", "Penicillin"),
]


@pytest.fixture
def patient(clinic, nurse):
    return make_patient(clinic, nurse)


@pytest.mark.parametrize(("kind", "change", "now", "before"), CORRECTIONS)
def test_a_corrected_entry_counts_and_the_first_stays_with_its_reason(
    patient, nurse, colleague, sign_in, kind, change, now, before
):
    model, first = KINDS[kind]
    old = record(kind, patient, nurse, minutes=30, **first)
    kept = {f.attname: getattr(old, f.attname) for f in model._meta.concrete_fields}

    new = record(
        kind,
        patient,
        colleague,
        minutes=10,
        **(first | change),
        corrects=old,
        reason=REASON,
    )

    assert list(model.objects.filter(patient=patient).current()) == [new]
    for name, value in change.items():
        assert getattr(new, name) == value
    old.refresh_from_db()
    assert kept == {
        f.attname: getattr(old, f.attname) for f in model._meta.concrete_fields
    }
    assert old.superseded_by == new
    assert (new.event_time, new.recorded_by) == (old.event_time, colleague)
    page = sign_in(nurse).get(f"/patients/{patient.pk}/").content.decode()
    struck = " ".join(re.findall("<s>(.*?)</s>", page, re.DOTALL))
    assert before.casefold() in struck.casefold()
    assert now.casefold() in re.sub("<s>.*?</s>", "", page).casefold()
    assert REASON in page


@pytest.mark.parametrize("kind", KINDS)
def test_a_withdrawn_entry_counts_no_more_and_stays_with_its_reason(
    patient, nurse, sign_in, kind
):
    model, first = KINDS[kind]
    old = record(kind, patient, nurse, minutes=30, **first)

    gone = patients.withdraw(row=old, reason=REASON, by=by(nurse, ago(10)))

    assert not model.objects.filter(patient=patient).current().exists()
    assert gone.entered_in_error
    assert model.objects.filter(pk=old.pk).exists()
    page = sign_in(nurse).get(f"/patients/{patient.pk}/").content.decode()
    assert REASON in page


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_corrected_without_a_reason_or_twice(patient, nurse, kind):
    model, first = KINDS[kind]
    old = record(kind, patient, nurse, minutes=30, **first)

    with pytest.raises(Refused, match="why"):
        record(kind, patient, nurse, minutes=9, **first, corrects=old, reason="")
    record(kind, patient, nurse, minutes=8, **first, corrects=old, reason=REASON)
    with pytest.raises(Refused, match="before you|already on record"):
        record(kind, patient, nurse, minutes=7, **first, corrects=old, reason=REASON)
    assert model.objects.filter(patient=patient).count() == 2


# ── a set of vital signs, on every page that shows it ──────────────────────────

FIELDS = {
    "systolic_mmhg": (133, "133/78"),
    "diastolic_mmhg": (69, "128/69"),
    "pulse": (83, ">83<"),
    "respiratory_rate": (18, ">18<"),
    "spo2": (96, ">96<"),
    "temperature_c": (Decimal("37.3"), "37.3"),
}
FIRST = {
    "systolic_mmhg": "128/78",
    "diastolic_mmhg": "128/78",
    "pulse": ">76<",
    "respiratory_rate": ">16<",
    "spo2": ">98<",
    "temperature_c": "36.7",
}


@pytest.fixture(autouse=True)
def _pdf_as_its_page(monkeypatch):
    """A PDF is drawn from a page alone: that page is read here, and quickly."""
    monkeypatch.setattr(paper, "pdf_of", str.encode)


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber, at=ago(60))


@pytest.mark.parametrize("field", FIELDS)
def test_a_corrected_set_shows_its_new_value_wherever_the_set_is_told_of(
    running, nurse, sign_in, field
):
    value, shown = FIELDS[field]
    wrong = record_vitals(session=running, reading=NORMAL, by=by(nurse, ago(20)))

    right = correct_vitals(
        session=running,
        vitals_id=wrong.vitals.pk,
        reading=NORMAL | {field: value},
        reason=REASON,
        by=by(nurse, ago(10)),
    )

    assert VitalSigns.objects.filter(session=running).current().count() == 2
    assert right.chart.last_vitals.pk == right.vitals.pk
    told = pages_of(running, sign_in(nurse))
    for name in ("visit", "record", "PDF"):
        page = tight(told[name])
        struck = [row for row in page.split("<tr") if "superseded" in row[:40]]
        assert len(struck) == 1, name
        assert FIRST[field] in struck[0]
        assert REASON in page
        counted = [
            row for row in page.split("<tr") if shown in row and row not in struck
        ]
        assert counted, (name, shown)
    for name in ("handover", "sheet", "downtime folder"):
        rows = tight(told[name]).split("<tr")
        (last,) = (row for row in rows if re.search(r">Last \d", row))
        assert shown in last, (name, shown)
        # The wrong one is no set of its own, and the baseline is another set.
        sets = [row for row in rows if FIRST[field] in row and ">Baseline " not in row]
        assert sets == [last] * (FIRST[field] in last), name


def pages_of(visit, client) -> dict[str, str]:
    """Every page, print and file that tells of the vital signs of a visit."""
    downtime.refresh(visit.clinic, everything=True)
    folder = downtime.folder_of(visit.clinic)
    (file,) = folder.glob(f"chair-*-S-{visit.pk}.html")
    answers = {
        name: client.get(reverse(address, args=given))
        for name, address, *given in (
            ("visit", "infusion-detail", visit.pk),
            ("record", "infusion-record", visit.pk),
            ("PDF", "infusion-record-pdf", visit.pk),
            ("sheet", "infusion-sheet", visit.pk),
            ("handover", "handover"),
            ("board", "board"),
        )
    }
    return {"downtime folder": file.read_text(encoding="utf-8")} | {
        name: (b"".join(answer) if answer.streaming else answer.content).decode()
        for name, answer in answers.items()
    }


FALL = "Systolic fell 24 mmHg, 128 → 104"


@pytest.mark.parametrize(("wrong", "right"), [(104, 133), (133, 104)])
def test_what_a_corrected_set_calls_for_stands_on_board_sheets_and_in_the_report(
    running, nurse, auditor, sign_in, wrong, right
):
    """A fall that was none calls for nothing any more; one that was missed does now."""
    entered = record_vitals(
        session=running,
        reading=NORMAL | {"systolic_mmhg": wrong},
        by=by(nurse, ago(20)),
    )
    stands = {wrong: entered.flag is not None}
    assert (FALL in pages_of(running, sign_in(nurse))["board"]) is stands[wrong]

    correct_vitals(
        session=running,
        vitals_id=entered.vitals.pk,
        reading=NORMAL | {"systolic_mmhg": right},
        reason=REASON,
        by=by(nurse, ago(10)),
    )

    told = pages_of(running, sign_in(nurse))
    for name in ("board", "handover", "sheet", "downtime folder"):
        assert (FALL in told[name]) is (right == 104), name
    assert ('class="flag' in told["visit"]) is (right == 104)
    asked = f"{reverse('report-export', args=['flags'])}?period=now"
    file = sign_in(auditor).get(asked).content.decode()
    taken_back = "1 flag whose cause was corrected or taken back" in file
    assert taken_back is (wrong == 104)
    assert ("\r\nV-09,1," in file) is (right == 104)


PAPER = ("handover", "sheet", "downtime folder")
CORRECTED_AT_THE_CHAIR = [
    ("allergy", {"substance": "Latex"}, "Latex", "Penicillin"),
    ("allergy", {"reaction": "collapse"}, "collapse", "wheals"),
    ("risk_factor", {"presence": Presence.ABSENT, "detail": ""}, "", "Migraine"),
]


@pytest.mark.parametrize(("kind", "change", "now", "before"), CORRECTED_AT_THE_CHAIR)
def test_what_was_corrected_of_the_patient_is_told_so_at_the_chair(
    running, nurse, sign_in, kind, change, now, before
):
    _, first = KINDS[kind]
    patient, client = running.patient, sign_in(nurse)
    old = record(kind, patient, nurse, minutes=30, **first)
    told = pages_of(running, client)
    where = [name for name, page in told.items() if before in page]
    expected = PAPER if kind == "risk_factor" else (*PAPER, "visit", "record", "PDF")
    assert set(where) >= set(expected)

    given = first | change
    record(kind, patient, nurse, minutes=9, **given, corrects=old, reason=REASON)

    told = pages_of(running, client)
    for name in where:
        assert now in told[name], name
        assert before not in told[name], name


def test_a_withdrawn_set_counts_nowhere(running, nurse, sign_in):
    wrong = record_vitals(
        session=running, reading=NORMAL | {"systolic_mmhg": 104}, by=by(nurse, ago(20))
    )
    assert wrong.flag is not None

    withdraw_vitals(
        session=running,
        vitals_id=wrong.vitals.pk,
        reason=REASON,
        by=by(nurse, ago(10)),
    )

    client = sign_in(nurse)
    page = client.get(f"/infusions/{running.pk}/").content.decode()
    assert "withdrawn" in page
    assert REASON in page
    board = client.get("/board/").content.decode()
    assert "104/78" not in board
    assert "rule V-09" not in board


@pytest.mark.parametrize("shift", [-12, 7])
def test_a_corrected_time_moves_the_set_on_every_page(running, nurse, shift):
    wrong = record_vitals(session=running, reading=NORMAL, by=by(nurse, ago(30)))
    later = record_vitals(
        session=running, reading=NORMAL | {"pulse": 81}, by=by(nurse, ago(25))
    )
    moved = wrong.vitals.event_time + timedelta(minutes=shift)

    right = correct_vitals(
        session=running,
        vitals_id=wrong.vitals.pk,
        reading=NORMAL,
        event_time=moved,
        reason=REASON,
        by=by(nurse, ago(10)),
    )

    order = [row.pk for row in right.chart.vitals]
    assert (order.index(right.vitals.pk) > order.index(later.vitals.pk)) is (shift > 5)
    assert right.vitals.event_time == moved
