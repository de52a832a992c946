"""Clock changes, late entries and a clock that jumps: nothing lost or reordered."""

import csv
import html
import io
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from sessions.charts import SessionChart, chart_of
from sessions.forms.fields import MomentField
from sessions.models import (
    AuditEntry,
    Flag,
    InfusionSession,
    OrderMedicine,
    RateChange,
    VitalSigns,
)
from sessions.services import (
    finish,
    infusions,
    medicines,
    planning,
    preparation,
    rates,
    vials,
)
from sessions.services.acts import Refused
from sessions.services.records import record_of
from sessions.services.vitals import record_vitals
from tests.conftest import NINE, PASSWORD
from tests.factories import visits
from tests.factories.infusions import NORMAL, by, make_running
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals
from tests.hostile import world
from tests.reading import tight

CHANGES = [
    ("America/New_York", datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, 0, tzinfo=UTC)),
    ("Europe/London", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ("Europe/London", datetime(2026, 10, 25, 1, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
]
"""Zones with the moments at which their clocks change; Kolkata's never do."""


# ── typed times ────────────────────────────────────────────────────────────────


def typed(zone: str, text: str) -> datetime:
    field = MomentField()
    field.zone = ZoneInfo(zone)
    return field.clean(text)


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_each_minute_around_a_change_is_read_as_the_wall_clock_showed_it(zone, change):
    """The oracle walks through real minutes and notes what a wall clock shows."""
    showed: dict[str, list[datetime]] = defaultdict(list)
    for minute in range(-240, 241):
        moment = change + timedelta(minutes=minute)
        showed[f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"].append(moment)
    local = change.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    for minute in range(-150, 151):
        text = f"{local + timedelta(minutes=minute):%Y-%m-%dT%H:%M}"
        real = showed[text]
        if len(real) == 1:
            assert typed(zone, text) == real[0], text
            continue
        with pytest.raises(ValidationError) as refused:
            typed(zone, text)
        words = refused.value.messages[0]
        assert ("skipped" if not real else "twice") in words, text
        if real:
            offered = re.findall(r"[\dT:-]{16}[+-]\d{4}", words)
            assert [typed(zone, each) for each in offered] == real, text


def test_an_hour_that_came_twice_gets_a_box_with_room_for_its_offset():
    """A browser's own box for times cannot hold `2026-11-01T01:30-0500`."""

    class Form(forms.Form):
        at = MomentField()

    form = Form({"at": "2026-11-01T01:30"})
    form.fields["at"].zone = ZoneInfo("America/New_York")

    assert not form.is_valid()
    assert 'type="text"' in str(form["at"])
    assert 'value="2026-11-01T01:30"' in str(form["at"])
    assert 'type="datetime-local"' in str(Form()["at"])


@pytest.mark.parametrize(
    "text",
    [
        "2026-W01-1T10:00",
        "2026-01-01T10:00:00",
        "2026-01-01T10:00,5",
        "2026-01-01T10:00Z",
        "2026-01-01T24:00",
        "2026-01-01T10:00+05",
        "20260101T10:00",
        "2026-01-01 10:00",
        "٢٠٢٦-٠١-٠١T١٠:٠٠",
        "2026-01-01T10:00+99:00",
        "1899-12-31T23:59",
        "2101-01-01T00:00",
    ],
)
def test_a_time_in_any_other_shape_is_refused(text):
    with pytest.raises(ValidationError):
        typed("Europe/London", text)


# ── visits across a change ─────────────────────────────────────────────────────

COURSE = (
    (15, "step", "43.2"),
    (30, "step", "64.8"),
    (45, "reduce", "21.6"),
    (75, "step", "86.4"),
    (90, "pause", "0"),
)
"""Minutes after the start, the kind of change, the rate from then on in mL/h."""


def course(clinic, nurse, prescriber, at: datetime, chair: str) -> SessionChart:
    session = make_running(clinic, nurse, prescriber, at=at, chair=chair)
    for after, kind, rate in COURSE:
        make_rate(session, nurse, at + timedelta(minutes=after), kind, rate)
        make_vitals(session, nurse, at + timedelta(minutes=after))
    fresh = InfusionSession.objects.get(pk=session.pk)
    return chart_of(fresh, at=at + timedelta(minutes=120))


def by_hand(first: Decimal) -> Fraction:
    """Rate times time, piece by piece, in fractions."""
    steps = [
        (0, first),
        *((after, Decimal(rate)) for after, _, rate in COURSE),
        (120, 0),
    ]
    return sum(
        (
            Fraction(rate) * (until - after) / 60
            for (after, rate), (until, _) in zip(steps, steps[1:], strict=False)
        ),
        Fraction(0),
    )


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_a_visit_across_a_change_is_like_one_on_any_other_day(
    clinic, nurse, prescriber, zone, change
):
    clinic.time_zone = zone
    clinic.save()
    begin, plain_day = (
        change - timedelta(minutes=40),
        datetime(2026, 6, 9, 10, tzinfo=UTC),
    )

    across = course(clinic, nurse, prescriber, begin, "01")
    usual = course(clinic, nurse, prescriber, plain_day, "02")

    def told(chart: SessionChart, start: datetime) -> list:
        return [
            [row.event_time - start for row in (*chart.rates, *chart.vitals)],
            chart.volume_ml,
            chart.left_ml,
            chart.running.state,
            chart.running.minutes_at_step,
            chart.due and chart.due.at - start,
            chart.due_state,
        ]

    assert told(across, begin) == told(usual, plain_day)
    exactly = by_hand(across.rates[0].rate_ml_per_h)
    assert abs(Fraction(across.volume_ml) - exactly) < Fraction(1, 1000)


# ── late entries ───────────────────────────────────────────────────────────────

ENTRIES = 40
GAP = timedelta(minutes=5)


@pytest.fixture
def long_visit(clinic, nurse, prescriber):
    """A visit with room for forty sets, all but the odd ones in place."""
    at = timezone.now().replace(second=0, microsecond=0) - GAP * (ENTRIES + 6)
    session = make_running(clinic, nurse, prescriber, at=at)
    for place in range(ENTRIES):
        make_vitals(session, nurse, at + GAP * (place + 1), pulse=60 + place)
    return InfusionSession.objects.get(pk=session.pk), at


ODD = NORMAL | {"pulse": 71, "systolic_mmhg": 127}


def judge_late_entry(session, at, nurse, auditor, place: int) -> None:
    """One set more, between two others; everything that lists sets must agree."""
    when = at + GAP * (place + 1) + timedelta(minutes=2)
    now = timezone.now()
    at_once = counted_at_once(session, when, nurse, auditor)
    saved = record_vitals(
        session=session, reading=ODD, by=by(nurse, now), event_time=when
    )
    everything = VitalSigns.objects.filter(session=session)
    oracle = sorted((row.event_time, row.pk) for row in everything)

    chart = chart_of(InfusionSession.objects.get(pk=session.pk), at=now)
    listed = [(row.event_time, row.pk) for row in chart.vitals]
    printed = [
        (o.row.event_time, o.row.pk) for o in record_of(session, at=now).observed
    ]
    assert listed == printed == oracle
    assert chart.last_vitals.pk == oracle[-1][1]
    assert saved.flag is None
    assert saved.vitals.is_late(session.clinic.late_entry_minutes)
    assert counted(auditor, "vitals") == at_once

    wall = [f"{moment.astimezone(session.clinic.zone):%H:%M}" for moment, _ in oracle]
    for name in ("infusion-record", "infusion-record-pdf"):
        rows = sets_on(shown(world.browser_of(nurse), name, session.pk))
        assert [row[0] for row in rows] == wall, name
        late = [row for row in rows if "late entry" in row[-2]]
        taken = f"{when.astimezone(session.clinic.zone):%H:%M}"
        assert [row[:3] for row in late] == [[taken, "127/78", "71"]], name


def shown(client, name: str, *given) -> str:
    """A page, or what a PDF is drawn from, as words and tags."""
    answer = client.get(reverse(name, args=given))
    return html.unescape(
        (b"".join(answer) if answer.streaming else answer.content).decode()
    )


def sets_on(page: str) -> list[list[str]]:
    """The cells of each row of the record's table of sets."""
    table = tight(page).partition("Observations in order")[2].partition("</table>")[0]
    rows = re.findall(r"<tr.*?</tr>", table.partition("<tbody>")[2])
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.split(r"</t[hd]>", row)[:-1]]
        for row in rows
    ]


def counted_at_once(session, when: datetime, nurse, auditor) -> list[list[str]]:
    """What the report would count, had the set been written down when it was taken."""
    with transaction.atomic():
        make_vitals(session, nurse, when, **ODD)
        found = counted(auditor, "vitals")
        transaction.set_rollback(True)
    return found


def counted(auditor, report: str) -> list[list[str]]:
    """The rows of a report's file, from yesterday to today."""
    days = [timezone.now() - timedelta(days=days) for days in (2, -1)]
    asked = {"period": "days", "first": days[0].date(), "last": days[1].date()}
    address = reverse("report-export", args=[report])
    file = world.browser_of(auditor).get(address, asked | {"by": BY[report]})
    body = file.content.decode().partition("\r\n\r\n")[2]
    return list(csv.reader(io.StringIO(body)))[1:]


BY = {"vitals": "stage", "flags": "rule"}


@pytest.mark.parametrize(("minute", "on_time"), [(30, True), (32, True), (46, False)])
def test_a_late_entry_is_counted_at_the_time_it_was_taken(
    clinic, nurse, prescriber, auditor, minute, on_time
):
    """An hour without a set: in the export the one owed after 30 minutes was late."""
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=3)
    session = make_running(clinic, nurse, prescriber, at=at)
    for minutes in (15, 75, 90):
        make_vitals(session, nurse, at + timedelta(minutes=minutes))
    when = at + timedelta(minutes=minute)
    before = counted(auditor, "vitals")
    at_once = counted_at_once(session, when, nurse, auditor)

    record_vitals(
        session=session, reading=ODD, by=by(nurse, timezone.now()), event_time=when
    )

    assert counted(auditor, "vitals") == at_once
    assert (at_once != before) is on_time


PLACES = [0, 19, ENTRIES - 1]


@pytest.mark.parametrize("place", PLACES)
def test_a_late_entry_stands_where_it_happened(long_visit, nurse, auditor, place):
    session, at = long_visit

    judge_late_entry(session, at, nurse, auditor, place)


@pytest.mark.parametrize("place", PLACES)
def test_a_late_fall_raises_its_flag_at_the_time_it_happened(
    long_visit, nurse, auditor, place
):
    session, at = long_visit
    when, now = at + GAP * (place + 1) + timedelta(minutes=2), timezone.now()
    low = NORMAL | {"systolic_mmhg": 104, "pulse": 60 + place}

    saved = record_vitals(
        session=session, reading=low, by=by(nurse, now), event_time=when
    )

    flag = saved.flag
    assert (flag.rule, flag.event_time, flag.vitals_id) == (
        "V-09",
        when,
        saved.vitals.pk,
    )
    assert "Systolic fell 24 mmHg, 128 → 104" in flag.headline
    assert flag.recorded_at == now
    raised = f"{when.astimezone(session.clinic.zone):%H:%M}"
    for name in ("infusion-record", "infusion-record-pdf"):
        page = tight(shown(world.browser_of(nurse), name, session.pk))
        assert f"▲ {raised} Flag, medium.</b>Systolic fell 24 mmHg" in page, name
    assert [row[:2] for row in counted(auditor, "flags")] == [
        ["V-09", "1"],
        ["All flags", "1"],
    ]


@pytest.mark.soak
def test_a_late_entry_at_every_position_of_forty(long_visit, nurse, auditor):
    session, at = long_visit
    for place in range(ENTRIES):
        with transaction.atomic():
            judge_late_entry(session, at, nurse, auditor, place)
            transaction.set_rollback(True)


# ── a clock that jumps ─────────────────────────────────────────────────────────

PAUSE = rates.Reason(code=rates.RateReason.values[0])


def test_a_clock_that_went_back_lets_nothing_stand_before_what_it_follows(
    clinic, nurse, prescriber
):
    at = timezone.now() - timedelta(minutes=30)
    session = make_running(clinic, nurse, prescriber, at=at)
    record_vitals(session=session, reading=NORMAL, by=by(nurse, at + GAP))
    before = rows_of(session)
    earlier = at - timedelta(hours=2)

    with pytest.raises(Refused, match="NOT SAVED: the server's clock went back"):
        rates.pause(session, by=by(nurse, earlier), read_back=True, reason=PAUSE)
    with pytest.raises(Refused, match="clock went back"):
        record_vitals(session=session, reading=NORMAL, by=by(nurse, earlier))

    assert rows_of(session) == before
    fresh = InfusionSession.objects.get(pk=session.pk)
    chart = chart_of(fresh, at=earlier)
    assert chart.act.words == "CLOCK WENT BACK"
    assert not Flag.objects.filter(session=session).exists()
    rates.pause(session, by=by(nurse, at + 2 * GAP), read_back=True, reason=PAUSE)


def rows_of(session) -> tuple[int, int]:
    return (
        VitalSigns.objects.filter(session=session).count(),
        RateChange.objects.filter(session=session).count(),
    )


TWO_HOURS = 120
ACTS = {
    "check in": "planned",
    "move": "planned",
    "cancel": "planned",
    "identity": "here",
    "checks": "here",
    "line": "here",
    "weight": "here",
    "a vial": "here",
    "a vial back": "vial",
    "a medicine": "here",
    "a medicine back": "medicine",
    "start": "ready",
    "take over": "running",
    "end": "running",
    "discharge": "over",
}
"""Every act on a visit that reads no chart, and how far the visit has come before."""


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> visits.Morning:
    return visits.Morning.of(
        at=NINE,
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (visits.premedication(),)},
    )


def come_so_far(morning: visits.Morning, stage: str) -> dict:
    """Bring the visit there, minute by minute; what the act is about."""
    visit, found = morning.visit, {}
    if stage == "planned":
        date = NINE + timedelta(days=28)
        actor = morning.by(morning.charge_nurse)
        found["visit"] = visits.plan_session(
            order=morning.order, scheduled_at=date, by=actor
        )
    elif stage == "vial":
        found["vial"] = visits.vial(visit, nurse=morning.nurse, at=NINE)
    elif stage == "medicine":
        ordered = OrderMedicine.objects.get()
        found["dose"] = medicines.give(
            session=visit, ordered=ordered, by=morning.by(after=1)
        )
    elif stage == "ready":
        morning.ready(skip={"premedication"})
    elif stage in ("running", "over"):
        medicines.give(
            session=visit, ordered=OrderMedicine.objects.get(), by=morning.by()
        )
        morning.started(after=40)
    if stage == "over":
        finish.end_infusion(
            session=morning.visit, by=morning.by(after=60), reason_code="patient"
        )
    return found


def do(act: str, morning: visits.Morning, actor, *, visit=None, vial=None, dose=None):
    visit = visit or morning.fresh()
    named = {"session": visit, "by": actor}
    match act:
        case "check in":
            seat = visit.clinic.chairs.get(name="02")
            return infusions.check_in(chair=seat, **named)
        case "move":
            return planning.allocate(
                scheduled_at=visit.scheduled_at, chair=None, nurse=None, **named
            )
        case "cancel":
            return infusions.cancel(reason="fever", **named)
        case "identity":
            return infusions.check_identity(initials="AO", birth_year=1978, **named)
        case "checks":
            return infusions.attest_checks(answers=preparation.AS_USUAL, **named)
        case "line":
            return infusions.record_line(site="left hand", gauge="22 G", **named)
        case "weight":
            return infusions.confirm_weight(**named)
        case "a vial":
            return visits.vial(visit, nurse=actor.user, at=actor.at)
        case "a vial back":
            return vials.withdraw_vial(vial=vial, reason="wrong box", by=actor)
        case "a medicine":
            ordered = OrderMedicine.objects.get()
            return medicines.give(ordered=ordered, **named)
        case "a medicine back":
            return medicines.withdraw_given(given=dose, reason="spat out", by=actor)
        case "start":
            return infusions.start(read_back_ml_per_h=Decimal("21.6"), **named)
        case "take over":
            return infusions.take_over(**named)
        case "end":
            return finish.end_infusion(reason_code="patient", **named)
        case "discharge":
            return finish.discharge(
                outcome="left",
                reason_text="wants home",
                password=PASSWORD,
                **named,
            )
    raise ValueError(act)


@pytest.mark.parametrize(("act", "stage"), ACTS.items())
def test_no_act_on_a_visit_is_taken_from_a_clock_that_went_back(
    morning, colleague, act, stage
):
    found = come_so_far(morning, stage)
    before = AuditEntry.objects.count()
    kept = morning.fresh().version

    with pytest.raises(Refused, match="NOT SAVED: the server's clock went back"):
        do(act, morning, morning.by(colleague, after=-TWO_HOURS), **found)

    fresh = morning.fresh()
    assert fresh.version == kept
    tried = AuditEntry.objects.filter(sequence__gt=before)
    assert not tried.exclude(action__startswith="staff.").exists()
    if act not in ("start", "check in"):  # held by something else at that moment
        do(act, morning, morning.by(colleague, after=61), **found)


def test_two_who_act_at_once_are_no_fault_of_the_clock(clinic, nurse, prescriber):
    at = timezone.now() - timedelta(minutes=30)
    session = make_running(clinic, nurse, prescriber, at=at)
    record_vitals(session=session, reading=NORMAL, by=by(nurse, at + GAP))

    second = by(nurse, at + GAP - timedelta(seconds=20))
    rates.pause(session, by=second, read_back=True, reason=PAUSE)


def test_a_clock_that_went_ahead_raises_no_flags_and_gives_no_volume_twice(
    clinic, nurse, prescriber
):
    at = timezone.now() - timedelta(minutes=30)
    session = make_running(clinic, nurse, prescriber, at=at)
    ahead = at + timedelta(hours=2, minutes=10)

    saved = record_vitals(session=session, reading=NORMAL, by=by(nurse, ahead))
    again = record_vitals(session=session, reading=NORMAL, by=by(nurse, ahead + GAP))

    assert saved.flag is None
    assert again.flag is None
    assert not Flag.objects.filter(session=session).exists()
    times = [row.event_time for row in again.chart.vitals]
    assert times == sorted(times)
    assert again.chart.volume_ml <= again.chart.total_ml


def test_a_clock_that_went_ahead_is_said_on_board_wall_and_visit_until_it_is_right(
    clinic, nurse, prescriber, sign_in
):
    session = make_running(clinic, nurse, prescriber, at=timezone.now() - GAP)
    visit = reverse("infusion-detail", args=[session.pk])
    alarms, live = reverse("board-alarms"), reverse("board-live")
    addresses = [reverse("board"), reverse("board-wall"), visit]
    addresses += [f"{live}?token=old", f"{live}?wall=1&token=old"]
    said = "CLOCK STEPPED: The server's clock was set 2 h 0 min ahead since it started."

    def shown(address: str) -> str:
        return html.unescape(sign_in(nurse).get(address).content.decode())

    with time_machine.travel(timezone.now() + timedelta(minutes=TWO_HOURS)):
        for address in addresses:
            assert shown(address).count(f"<b>{said}") == 1, address
        swapped = re.search('<div id="clock-step" hx-swap-oob.*', shown(alarms), re.S)
        assert said in swapped[0]
        kept = re.search(r"shown=([\w.-]+)\"", shown(alarms))[1]
        assert sign_in(nurse).get(alarms, {"shown": kept}).status_code == 204

    for address in (*addresses, f"{alarms}?shown={kept}"):
        assert shown(address), address
        assert "CLOCK STEPPED" not in shown(address), address
    assert not Flag.objects.filter(session=session).exists()


def test_a_clock_that_went_back_is_said_on_board_and_visit_and_by_the_save(
    clinic, nurse, prescriber, sign_in
):
    later = timezone.now() + timedelta(hours=2)
    session = make_running(clinic, nurse, prescriber, at=later)
    client = sign_in(nurse)

    for address in (reverse("infusion-detail", args=[session.pk]), reverse("board")):
        assert "CLOCK WENT BACK" in client.get(address).content.decode(), address
    answer = client.post(
        reverse("vitals-record", args=[session.pk]),
        {
            "systolic_mmhg": "131",
            "diastolic_mmhg": "78",
            "pulse": "76",
            "respiratory_rate": "16",
            "spo2": "98",
            "temperature": "36.7",
            "consciousness": "A",
            "oxygen": "air",
        },
    )

    assert answer.status_code == 422
    assert "clock went back" in html.unescape(answer.content.decode())
    assert 'value="131"' in answer.content.decode()
