"""A replay shows what the screens showed: no more, and nothing that came later (H6)."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sessions import board
from sessions.charts import charts_of, for_charts, read_course
from sessions.drawing import draw
from sessions.models import AuditEntry, InfusionSession, Outcome
from sessions.replay import chart_then, span_of
from sessions.services import finish, flags, infusions, rates, reactions
from sessions.services.clinics import change_clinic
from sessions.services.rate_corrections import correct_rate
from sessions.services.vitals import correct_vitals, record_vitals
from sessions.views.now_bar import bar
from sessions.views.screens import table_rows
from tests.conftest import PASSWORD
from tests.factories.visits import READING, Morning

pytestmark = pytest.mark.django_db
FALL = READING | {"systolic_mmhg": 104}


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    return Morning.of(
        at=timezone.now() - timedelta(minutes=300),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )


def acts_of_a_day(morning: Morning, colleague):
    """A visit with everything in it: each act by its minute."""
    found = {}

    def save(minute: float, reading=READING, **given):
        return record_vitals(
            session=morning.fresh(),
            reading=reading,
            by=morning.by(after=minute),
            **given,
        )

    def fall() -> None:
        found["flag"] = save(46, FALL).flag

    def react() -> None:
        found["reaction"] = reactions.record_reaction(
            session=morning.fresh(),
            symptoms=[("headache", "mild")],
            action="continue",
            action_reason="as told",
            by=morning.by(after=70),
        ).reaction

    def correct(minute: float) -> None:
        correct_vitals(
            session=morning.fresh(),
            vitals_id=found["wrong"].pk,
            reading=READING | {"pulse": 84},
            reason="digits swapped",
            by=morning.by(after=minute),
        )

    def wrong() -> None:
        found["wrong"] = save(75, READING | {"pulse": 48}).vitals

    why = rates.Reason(code="patient")
    yield (
        1,
        lambda: infusions.record_line(
            session=morning.visit, site="hand", gauge="22 G", by=morning.by(after=1)
        ),
    )
    yield 2, lambda: morning.started(after=2)
    yield (
        33,
        lambda: save(33, step_up_to=Decimal("43.2"), read_back=True),
    )
    yield 46, fall
    yield (
        48,
        lambda: flags.answer_flag(
            session=morning.fresh(),
            flag_id=found["flag"].pk,
            action="reduce",
            to_ml_per_h=Decimal("21.6"),
            read_back=True,
            by=morning.by(after=48),
        ),
    )
    yield (
        50,
        lambda: infusions.take_over(
            session=morning.fresh(), by=morning.by(colleague, after=50)
        ),
    )
    yield (
        58,
        lambda: correct_rate(
            session=morning.fresh(),
            rate_id=morning.visit.ratechanges.get(kind="reduce").pk,
            to_ml_per_h=Decimal("21.6"),
            event_time=morning.by(after=47).at,
            reason="read off the pump's log",
            by=morning.by(after=58),
        ),
    )
    yield 64, lambda: save(64)
    yield 70, react
    yield 75, wrong
    yield (
        80,
        lambda: save(80, READING | {"pulse": 90}, event_time=morning.by(after=55).at),
    )
    yield 85, lambda: correct(85)
    yield (
        90,
        lambda: infusions.assign_nurse(
            session=morning.fresh(),
            nurse=morning.nurse,
            by=morning.by(morning.charge_nurse, after=90),
        ),
    )
    yield (
        95,
        lambda: rates.pause(
            session=morning.fresh(),
            by=morning.by(after=95),
            read_back=True,
            reason=why,
        ),
    )
    yield (
        100,
        lambda: rates.resume(
            session=morning.fresh(),
            by=morning.by(after=100),
            to_ml_per_h=Decimal("10.8"),
            read_back=True,
        ),
    )
    yield (
        120,
        lambda: finish.end_infusion(
            session=morning.fresh(), by=morning.by(after=120), reason_code="patient"
        ),
    )
    yield 150, lambda: save(150)
    yield (
        181,
        lambda: finish.discharge(
            session=morning.fresh(),
            by=morning.by(after=181),
            outcome=Outcome.STOPPED_EARLY,
            reason_code="patient",
            password=PASSWORD,
        ),
    )


def read(visit: InfusionSession) -> InfusionSession:
    return for_charts(InfusionSession.objects).get(pk=visit.pk)


def card_html(card: board.Card, at: datetime) -> str:
    context = {"card": card, "chart": card.chart, "now": at, "may_open": True}
    return render_to_string("board/_card.html", context)


def shown(visit: InfusionSession, at: datetime) -> dict:
    """What board and session page show at a moment, read as they read it."""
    now = board.board_of(board.seats_of(visit.clinic, at=at))
    cards = [card for card in now.cards if card.chart.session.pk == visit.pk]
    (chart,) = charts_of([read(visit)], at=at)
    read_course(chart)
    return seen(chart) | {"card": [card_html(card, at) for card in cards]}


def replayed(visit: InfusionSession, at: datetime) -> dict:
    chart = chart_then(read(visit), at=at)
    return seen(chart) | {"card": [card_html(board.card_of(chart), at)]}


def seen(chart) -> dict:
    rows = [
        {**row, "set": row["set"].pk, "flag": row["flag"] and row["flag"].pk}
        for row in table_rows(chart)
    ]
    rows = [row | {"replaced_by": getattr(row["replaced_by"], "pk", 0)} for row in rows]
    whole = bar(chart)
    for name in ("drawn", "seen"):
        whole.pop(name, None)  # the header's version, which no screen shows
    return {
        "bar": whole,
        "rows": rows,
        "drawing": draw(chart) if chart.rates else None,
        "state": (chart.state, chart.word, chart.act),
        "open": [(raised.flag.pk, raised.is_open) for raised in chart.flags],
        "nurse": chart.session.nurse,
        "stage": chart.session.stage,
    }


def test_at_each_event_it_equals_what_the_screens_showed_then(morning, colleague):
    then = {}
    for minute, act in acts_of_a_day(morning, colleague):
        act()
        for after in (minute, minute + 0.5):
            at = morning.at + timedelta(minutes=after)
            then[at] = shown(morning.visit, at)

    assert len(then) == 36
    for at, was in then.items():
        now = replayed(morning.visit, at)
        if not was["card"]:  # discharged: no more on the board
            now["card"] = []
        assert now == was, at
    states = {was["state"][0] for was in then.values()}
    assert states >= {"preparing", "running", "late", "flag-medium", "observing"}
    assert any(was["state"][1].startswith("Paused") for was in then.values())
    assert {was["nurse"] for was in then.values()} == {morning.nurse, colleague}


@pytest.fixture
def over(morning, colleague) -> Morning:
    for _minute, act in acts_of_a_day(morning, colleague):
        act()
    morning.fresh()
    return morning


def test_what_came_later_is_marked_and_not_shown(over):
    span = span_of(read(over.visit), at=timezone.now())
    at = over.by(after=60).at

    later = span.came_later(at)
    pulses = {row.pulse for row in chart_then(read(over.visit), at=at).vitals}

    assert [event.words for event in later] == ["Vitals: 128/78 mmHg, pulse 90 /min"]
    assert [event.happened for event in later] == [over.by(after=55).at]
    assert 90 not in pulses
    assert 48 in {
        row.pulse
        for row in chart_then(read(over.visit), at=over.by(after=84).at).vitals
    }
    corrected = span.came_later(over.by(after=84).at)
    assert [event.words for event in corrected] == [
        "Vitals corrected: 128/78 mmHg, pulse 84 /min"
    ]


def test_every_minute_of_the_slider_can_be_shown(over):
    span = span_of(read(over.visit), at=timezone.now())

    assert span.at(span.last) == span.ends == over.by(after=181).at
    assert [event.at for event in span.events] == sorted(e.at for e in span.events)
    for event in span.events:
        assert event.at <= span.at(event.minute)
        assert span.at(event.minute) - event.at < timedelta(minutes=1)
    assert span.before(0) is None
    assert span.after(span.last) is None
    words = " | ".join(event.words for event in span.events)
    for part in ("Infusing", "Pause: 0 mL/h", "Flag: Systolic fell", "Reaction: Head"):
        assert part in words


def test_a_running_visit_is_replayed_up_to_now(morning):
    morning.started(after=2)
    now = timezone.now()

    span = span_of(read(morning.visit), at=now)

    assert span.at(span.last) == now
    assert chart_then(read(morning.visit), at=now).running.state == "running"


def test_a_minute_is_judged_by_the_settings_of_its_time(morning, admin, nurse, sign_in):
    morning.started(after=2)
    record_vitals(
        session=morning.fresh(),
        reading=READING,
        by=morning.by(after=50),
        event_time=morning.by(after=30).at,
    )
    changes = {
        "late_entry_minutes": 30,
        "pump_resolution_ml_per_h": Decimal(1),
        "phone": "555 0199",
    }
    clinic = morning.visit.clinic
    by = morning.by(admin, after=60)
    change_clinic(clinic=clinic, changes=changes, seen=clinic.version, by=by)

    before, after = (
        chart_then(read(morning.visit), at=morning.by(after=minute).at)
        for minute in (55, 65)
    )
    span = span_of(read(morning.visit), at=timezone.now())

    assert before.resolution_ml_per_h == Decimal("0.1")
    assert after.resolution_ml_per_h == 1
    assert [row["late"] for row in table_rows(before)] == [True, False]
    assert [row["late"] for row in table_rows(after)] == [False, False]
    assert before.session.clinic.phone == "555 0199"  # it judges nothing
    assert [event.is_late for event in span.events if "128/78" in event.words][-1]
    client = sign_in(nurse)
    for chart, is_late in ((before, True), (after, False)):
        minute = f"?minute={span.minute_of(chart.at)}"
        said = page(client, morning, minute).content.decode()
        assert ("late entry, " in said) is is_late


def page(client, morning: Morning, query: str = "", **headers):
    address = reverse("infusion-replay", args=[morning.visit.pk])
    return client.get(f"{address}{query}", headers=headers)


def test_the_page_shows_a_minute_without_script_and_parts_with_it(over, nurse, sign_in):
    client = sign_in(nurse)
    whole = page(client, over, "?minute=47").content.decode()
    parts = {"HX-Request": "true", "HX-Target": "replay-moment"}
    part = page(client, over, "?minute=47", **parts)

    assert '<input type="range"' in whole
    assert '<button class="btn" type="submit">Show</button>' in whole
    assert "Systolic fell 24 mmHg" in whole
    assert "<html" not in part.content.decode()
    assert 'id="replay-moment"' in part.content.decode()
    assert part.headers["HX-Replace-Url"].endswith("?minute=47")
    views = AuditEntry.objects.filter(action="session.view")
    assert [entry.detail for entry in views] == ['{"page": "replay"}']


@pytest.mark.parametrize("odd", ["", "-1", "1e3", "999999", "x", "٣", "12345678901"])
def test_an_odd_minute_shows_the_end(over, nurse, sign_in, odd):
    answer = page(sign_in(nurse), over, f"?minute={odd}")

    assert answer.status_code == 200
    assert answer.context["minute"] == answer.context["span"].last


def test_it_costs_the_same_at_every_minute(over, nurse, sign_in):
    client = sign_in(nurse)
    page(client, over)
    counts = set()
    for minute in (1, 20, 60, 90, 150):
        with CaptureQueriesContext(connection) as caught:
            page(client, over, f"?minute={minute}", **{"HX-Request": "true"})
        counts.add(len(caught))

    assert max(counts) - min(counts) <= 1  # the nurse before, where there was another
    assert max(counts) < 50


def test_it_is_closed_to_strangers_and_admins(over, stranger, admin, sign_in):
    assert page(sign_in(stranger), over).status_code == 404
    assert page(sign_in(admin), over).status_code == 403
