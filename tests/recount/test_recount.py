"""Reports against an independent count of the same rows, corrections and all (H30)."""

import csv
import io
import random
from datetime import UTC, date, datetime
from itertools import product

import pytest
from django.db import connection
from django.urls import reverse

from sessions.models.base import ClinicalQuerySet
from sessions.reports import reactions, reductions, vitals
from sessions.reports.scope import Standing
from tests.conftest import make_user
from tests.recount import by_hand
from tests.recount.many_rows import EVENTFUL_YEAR, PLAIN_YEAR, Maker

pytestmark = pytest.mark.in_utc  # the hand's own SQL knows months of UTC alone
LATER = datetime(2026, 3, 1, tzinfo=UTC)
QUESTIONS = list(
    product(
        (PLAIN_YEAR, EVENTFUL_YEAR),
        reactions.GROUPINGS,
        by_hand.GRADES,
        reactions.WINDOW_WORDS,
    )
)


@pytest.fixture
def make(clinic, nurse, prescriber, other_clinic):
    """Make so many visits a year here, and some elsewhere that must count nowhere."""

    def rows(visits: int) -> int:
        stranger = make_user(other_clinic, "nurse", "other-nurse", "Ida Holm")
        doctor = make_user(other_clinic, "prescriber", "other-doctor", "Per Lund")
        Maker(other_clinic, stranger, doctor, random.Random(7)).make(visits // 10)
        made = Maker(clinic, nurse, prescriber, random.Random(30)).make(visits)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # What autovacuum does for a clinic; inside a test nobody sees the rows.
                cursor.execute("ANALYZE")
        return made

    return rows


def scope(kind, clinic, year: int, **given):
    days = {"first": date(year, 1, 1), "last": date(year, 12, 31)}
    return kind(**{"clinic": clinic, "at": LATER, "by": "product"} | days | given)


def figures(report, *keys) -> dict[str, tuple]:
    return {row.label: tuple(row.values.get(k) for k in keys) for row in report.rows}


def recount_reactions(clinic, questions) -> int:
    compared = 0
    for year, by, grade, window in questions:
        asked = {"by": by, "grade": grade, "window": window}
        report = reactions.count(scope(reactions.ReactionScope, clinic, year, **asked))
        by_sql = by_hand.reactions(clinic.pk, year, **asked)
        assert figures(report, "hits", "of") == by_sql, (year, asked)
        compared += len(by_sql)
    return compared


def recount_reductions(clinic) -> int:
    compared = 0
    for by, source in product(reductions.GROUPINGS, reductions.SOURCES):
        asked = {"by": by, "source": source}
        report = reductions.count(
            scope(reductions.ReductionScope, clinic, EVENTFUL_YEAR, **asked)
        )
        by_sql, corrected = by_hand.reductions(clinic.pk, EVENTFUL_YEAR, **asked)
        keys = ("of", "answered", "kept", "neither")
        assert figures(report, *keys) == {
            label: tuple(found[key] for key in keys) for label, found in by_sql.items()
        }, asked
        for row in report.rows:
            for key in ("median", "p90", "longest"):
                shown, value = row.values.get(key), by_sql[row.label].get(key)
                assert (shown is None) == (value is None), asked
                assert value is None or abs(float(shown) - value) <= 0.0501, asked
        told = [words for words in report.left_out if "corrected since" in words]
        assert bool(told) == bool(corrected)
        assert not told or told[0].startswith(f"{corrected} flag"), told
        compared += len(by_sql)
    return compared


def recount_vitals(clinic) -> int:
    report = vitals.count(scope(vitals.VitalsScope, clinic, PLAIN_YEAR, by="stage"))
    by_sql = by_hand.vitals(clinic.pk, PLAIN_YEAR)
    keys = ("on_time", "late", "missed")
    assert figures(report, *keys) == {
        label: tuple(found[key] for key in keys) for label, found in by_sql.items()
    }
    assert report.total.values["open"] == 0
    return len(by_sql)


def recount_files(clinic, browser) -> int:
    """The files hold what SQL counts, too."""
    year = EVENTFUL_YEAR
    by_sql = by_hand.reactions(clinic.pk, year, by="lot", grade="mild", window="24")
    lots = {label: [str(hits), str(of)] for label, (hits, of) in by_sql.items()}
    rows = file_of(browser, "reactions", year, "by=lot&grade=mild&window=24")
    assert {row[0]: row[1:3] for row in rows} == lots

    by_sql, _ = by_hand.reductions(clinic.pk, year, by="action", source="")
    calls = {
        label: [str(found["of"]), str(found["answered"])]
        for label, found in by_sql.items()
    }
    rows = file_of(browser, "reductions", year, "by=action")
    assert {row[0]: row[1:3] for row in rows} == calls

    by_sql = by_hand.vitals(clinic.pk, PLAIN_YEAR)
    sets = {
        label: [str(found[key]) for key in ("on_time", "late", "missed")]
        for label, found in by_sql.items()
    }
    rows = file_of(browser, "vitals", PLAIN_YEAR, "by=stage")
    assert {row[0]: row[2:5] for row in rows} == sets
    return len(lots) + len(calls) + len(sets)


def file_of(browser, key: str, year: int, question: str) -> list[list[str]]:
    days = f"period=days&first={year}-01-01&last={year}-12-31"
    answer = browser.get(f"{reverse('report-export', args=[key])}?{days}&{question}")
    _, _, body = answer.content.decode().partition("\r\n\r\n")
    return list(csv.reader(io.StringIO(body)))[1:]


def recount(clinic, browser, questions) -> int:
    return (
        recount_reactions(clinic, questions)
        + recount_reductions(clinic)
        + recount_vitals(clinic)
        + recount_files(clinic, browser)
    )


def test_every_report_is_what_sql_counts(clinic, make, sign_in, admin):
    assert make(90) > 2_000

    asked = random.Random(1).sample(QUESTIONS, 24)
    assert recount(clinic, sign_in(admin), asked) > 200


def every_row_stands(rows) -> Standing:
    rows = {row[0]: row for row in rows}
    return Standing(rows, {pk: pk for pk in rows})


def test_a_report_that_counts_superseded_rows_is_noticed(clinic, make, monkeypatch):
    make(40)
    monkeypatch.setattr(ClinicalQuerySet, "current", lambda rows: rows)
    monkeypatch.setattr(reductions, "standing", every_row_stands)

    with pytest.raises(AssertionError):
        recount_reactions(clinic, [(EVENTFUL_YEAR, "lot", "mild", "24")])
    with pytest.raises(AssertionError):
        recount_reductions(clinic)
    with pytest.raises(AssertionError):
        recount_vitals(clinic)


@pytest.mark.soak
def test_every_report_is_what_sql_counts_in_100_000_rows(clinic, make, sign_in, admin):
    rows = make(3_650)
    assert rows >= 100_000

    asked = random.Random(2).sample(QUESTIONS, 64)
    compared = recount(clinic, sign_in(admin), asked)
    print(f"{rows:,} rows: {compared:,} lines of reports are what SQL counts")
