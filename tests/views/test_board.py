"""The board: every chair, worst first, one and the same numbers, and nothing else."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions import board
from sessions.charts import chart_of, for_charts
from sessions.models import Chair, InfusionSession
from tests.factories.infusions import make_running, make_session
from tests.factories.moments import ago
from tests.factories.rates import make_rate
from tests.factories.reports import Ward
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
IGNORED = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


@pytest.fixture
def running(clinic, nurse, prescriber):
    session = make_running(clinic, nurse, prescriber, at=ago(20), chair="02")
    make_vitals(session, nurse, ago(4))
    return session


def token_on(page: str) -> str:
    return re.search(r"token=([\d.]+)\"", page).group(1)


def text(client, address="/board/") -> str:
    return client.get(address).content.decode()


def test_the_worst_chair_comes_first(clinic, nurse, prescriber):
    quiet = make_running(clinic, nurse, prescriber, at=ago(20), chair="01")
    make_vitals(quiet, nurse, ago(4))
    late = make_running(clinic, nurse, prescriber, at=ago(60), chair="02")
    flagged = make_running(clinic, nurse, prescriber, at=ago(20), chair="03")
    make_vitals(flagged, nurse, ago(4))
    Ward(clinic, nurse, prescriber).flag(flagged, 18)
    before = make_session(clinic, nurse, prescriber, at=ago(5), chair="04")

    shown = board.board_of(board.seats_of(clinic, at=timezone.now()))

    assert [card.chart.session for card in shown.cards] == [
        flagged,
        late,
        quiet,
        before,
    ]
    assert [group.name for group, _ in shown.groups] == ["NOW", "UNDER_WAY", "AROUND"]
    assert [chair.name for chair in shown.free] == ["05", "06"]


def test_a_board_costs_six_statements_however_many_visits(
    clinic, nurse, prescriber, sign_in
):
    for number in range(1, 6):
        session = make_running(
            clinic, nurse, prescriber, at=ago(20), chair=f"{number:02}"
        )
        make_vitals(session, nurse, ago(4))
    client = sign_in(nurse)
    text(client)  # roles and the protocol are read once for each process

    with CaptureQueriesContext(connection) as caught:
        page = text(client, "/board/live/")

    asked = [
        query["sql"]
        for query in caught.captured_queries
        if not query["sql"].upper().startswith(IGNORED)
    ]
    assert page.count('class="card') >= 5
    assert len(asked) <= 6, asked


def test_an_unchanged_board_is_not_drawn_again(running, nurse, sign_in, monkeypatch):
    frozen = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: frozen)
    client = sign_in(nurse)
    token = token_on(text(client))

    same = client.get(f"/board/live/?token={token}", headers=HTMX)
    InfusionSession.objects.filter(pk=running.pk).update(version=2)
    moved = client.get(f"/board/live/?token={token}", headers=HTMX)

    assert (same.status_code, same.content) == (204, b"")
    assert moved.status_code == 200
    assert b"<html" not in moved.content


def test_a_poll_is_one_statement_beside_who_asks(running, nurse, sign_in, monkeypatch):
    frozen = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: frozen)
    client = sign_in(nurse)
    token = token_on(text(client))

    with CaptureQueriesContext(connection) as caught:
        answer = client.get(f"/board/live/?token={token}", headers=HTMX)

    assert answer.status_code == 204
    assert len(caught.captured_queries) == 3


def test_a_discharge_changes_the_token(clinic, running):
    at = timezone.now()
    before = board.seats_of(clinic, at=at).token
    InfusionSession.objects.filter(pk=running.pk).update(entered_in_error=True)

    assert board.seats_of(clinic, at=at).token != before


def test_clocks_move_although_nothing_happens(clinic, running):
    now = timezone.now()
    later = now + timedelta(seconds=board.TOKEN_SECONDS)

    tokens = {board.seats_of(clinic, at=at).token for at in (now, later)}

    assert len(tokens) == 2


def test_a_poll_does_not_keep_a_login_alive(running, nurse, sign_in):
    client = sign_in(nurse)
    session = client.session
    seen = (timezone.now() - timedelta(minutes=10)).isoformat()
    session["last_seen"] = seen
    session.save()

    client.get("/board/live/", headers=HTMX)

    assert client.session["last_seen"] == seen


def test_the_wall_has_no_name_in_the_page_at_all(running, nurse, sign_in):
    page = text(sign_in(nurse), "/board/wall/")

    assert running.patient.family_name not in page
    assert running.patient.given_names not in page
    assert running.patient.mrn not in page
    assert "mL/h" in page


def test_initials_stand_on_the_wall_where_the_clinic_chose_so(
    clinic, running, nurse, sign_in
):
    clinic.wall_initials = True
    clinic.save(update_fields=["wall_initials"])

    page = text(sign_in(nurse), "/board/wall/")

    assert f"<b>{running.patient.initials}</b>" in page


def test_an_admin_sees_the_chairs_and_no_patient(running, admin, sign_in):
    page = text(sign_in(admin))

    assert running.patient.family_name not in page
    assert "Running" in page


def test_another_clinics_chairs_are_not_there(running, stranger, sign_in):
    page = text(sign_in(stranger))

    assert running.patient.family_name not in page
    assert "Running" not in page


def test_signed_out_the_board_asks_to_sign_in(client, running):
    assert client.get("/board/").status_code == 302
    assert client.get("/board/live/", headers=HTMX).status_code == 401


def test_an_empty_day_is_said_in_words(clinic, nurse, sign_in):
    Chair.objects.filter(clinic=clinic).update(active=False)

    assert "No visit today." in text(sign_in(nurse))


def test_board_page_and_chart_show_one_and_the_same_rate(
    running, nurse, colleague, sign_in
):
    make_rate(running, nurse, ago(3), "step", "43.2", step=2)
    InfusionSession.objects.filter(pk=running.pk).update(version=3)
    fresh = for_charts(InfusionSession.objects).get(pk=running.pk)
    chart = chart_of(fresh, at=timezone.now())
    client = sign_in(nurse)

    on_board, on_wall = text(client), text(client, "/board/wall/")
    on_page = text(client, f"/infusions/{running.pk}/")

    assert str(chart.rate_ml_per_h.normalize()) == "43.2"
    assert "<b>43.2</b> mL/h" in on_board
    assert "<b>43.2</b> mL/h" in on_wall
    assert '<p class="big">43.2 ' in on_page
