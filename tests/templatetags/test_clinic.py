"""How numbers, times and names are written."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.conf import settings
from django.template import engines
from django.utils import timezone, translation

from sessions.templatetags import clinic

TEMPLATES = Path(settings.BASE_DIR) / "templates"
NINE = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clinic_zone():
    with timezone.override(ZoneInfo("Europe/London")):
        yield


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("33.0"), "33"),
        (Decimal("0.50"), "0.5"),
        (Decimal("1200"), "1200"),
        (Decimal("9999.9"), "9999.9"),
        (Decimal("10000"), "10,000"),
        (30, "30"),
        (0, "0"),
        (None, "–"),
        ("", "–"),
    ],
)
def test_numbers_lose_trailing_zeros_and_never_turn_missing_into_zero(value, text):
    assert clinic.num(value) == text


def test_a_number_that_does_not_end_is_limited_by_the_template():
    assert clinic.num(Fraction(356, 3), 1) == "118.7"


def test_a_unit_stays_with_its_number():
    assert clinic.unit("86.4", "mL/h") == "86.4\N{NO-BREAK SPACE}mL/h"


@pytest.mark.parametrize(
    ("value", "text"),
    [(24, "+24"), (-24, "−24"), (Decimal("0.0"), "0"), (None, "–")],
)
def test_a_change_carries_its_sign(value, text):
    assert clinic.signed(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (Decimal("37"), "Cel", "37.0"),
        (Decimal("36.75"), "Cel", "36.8"),
        (Decimal("37.0"), "[degF]", "98.6"),
        (None, "Cel", "–"),
    ],
)
def test_a_temperature_always_has_one_decimal(value, unit, text):
    assert clinic.temp(value, unit) == text


def test_numbers_are_written_alike_in_every_language():
    page = engines["django"].from_string("{{ a|num }} {{ b|temp }} {{ a|svg }}")
    for language in ("en-gb", "de", "ar"):
        with translation.override(language):
            text = page.render({"a": Decimal("86.4"), "b": Decimal("36.5")})
            assert text == "86.4 36.5 86.4"


def test_times_stand_in_the_clinics_zone_on_both_sides_of_a_clock_change():
    before = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    after = before + timedelta(hours=1)
    assert [clinic.clock(before), clinic.zone(before)] == ["01:30", "BST"]
    assert [clinic.clock(after), clinic.zone(after)] == ["01:30", "GMT"]


def test_a_day_is_the_clinics_day():
    late_evening = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert clinic.day(late_evening) == "2 Jul 2026"
    assert clinic.day(date(1978, 3, 14)) == "14 Mar 1978"


def test_a_stamp_says_today_only_on_the_same_day():
    assert clinic.stamp(NINE, NINE + timedelta(hours=3)) == "today 09:00"
    assert clinic.stamp(NINE, NINE + timedelta(days=1)) == "20 Nov 2026, 09:00"


def test_an_attribute_holds_utc():
    moment = datetime(2026, 7, 1, 10, 0, tzinfo=ZoneInfo("Europe/London"))
    assert clinic.iso(moment) == "2026-07-01T09:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "whole", "exact"),
    [
        (288, "5", "4:48"),
        (60, "1", "1:00"),
        (1, "1", "0:01"),
        (0, "0", "0:00"),
        (-12, "0", "+0:12"),
        (-59, "0", "+0:59"),
        (-60, "+1", "+1:00"),
        (-569, "+9", "+9:29"),
    ],
)
def test_a_due_time_counts_begun_minutes_ahead_and_full_ones_behind(
    seconds, whole, exact
):
    due = NINE + timedelta(seconds=seconds)
    assert clinic.due_min(due, NINE) == whole
    assert clinic.due_clock(due, NINE) == exact


def test_late_is_said_from_the_first_full_minute():
    assert clinic.late(NINE, NINE + timedelta(seconds=59)) == ""
    assert clinic.late(NINE, NINE + timedelta(minutes=9, seconds=59)) == "+9 min late"


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "just now"), (3, "3 min ago"), (125, "2 h 5 min ago"), (1440, "20 Nov 2026")],
)
def test_an_age_is_cut_never_rounded(minutes, text):
    now = NINE + timedelta(minutes=minutes, seconds=59)
    assert clinic.ago_min(NINE, now) == text


def test_a_surname_stands_in_capitals():
    patient = SimpleNamespace(family_name="Straßer", given_names="Ada Marie")
    assert clinic.surname(patient) == "STRAẞER, Ada Marie"


@pytest.mark.parametrize(
    ("born", "text"),
    [
        (date(1978, 3, 14), "48 y"),
        (date(2024, 11, 20), "2 y"),
        (date(2024, 11, 21), "23 months"),
        (date(2026, 11, 10), "10 days"),
    ],
)
def test_an_age_of_a_child_is_finer(born, text):
    assert clinic.age(SimpleNamespace(birth_date=born), NINE) == text


def test_initials_leave_the_credential_out():
    assert clinic.initials("Kwame Mensah, RN") == "KM"
    assert clinic.initials("Cher") == "C"


def test_a_share_never_leaves_its_bar():
    assert clinic.percent_of(Decimal("75.6"), Decimal(300)) == "25.20%"
    assert clinic.percent_of(Decimal(310), Decimal(300)) == "100.00%"
    assert clinic.percent_of(None, Decimal(300)) == "0%"


def test_icons_and_sprite_name_the_same_things():
    sprite = (TEMPLATES / "components/_sprite.html").read_text()
    assert set(re.findall(r'<symbol id="i-(\w+)"', sprite)) == clinic.ICONS


def test_every_icon_named_in_a_template_exists():
    for path in TEMPLATES.rglob("*.html"):
        named = set(re.findall(r'{% icon "(\w*)" %}', path.read_text()))
        assert named <= clinic.ICONS, path


def test_an_unknown_icon_draws_nothing():
    assert clinic.icon('x"><script>') == ""


class Reading(forms.Form):
    pulse = forms.CharField(widget=forms.TextInput(attrs={"inputmode": "numeric"}))
    note = forms.CharField(widget=forms.Textarea, required=False)


def test_a_control_names_its_lines_and_its_error():
    form = Reading({"pulse": ""})
    shown = clinic.control(form["pulse"], was="76")
    assert 'class="box"' in shown
    assert 'aria-describedby="id_pulse_was id_pulse_error"' in shown
    assert 'aria-invalid="true"' in shown
    assert 'class="box text"' in clinic.control(form["note"])


@pytest.mark.parametrize("banned", [r"\sstyle=", r"\shx-on", r"<script>", r"\son\w+="])
def test_templates_keep_to_the_content_security_policy(banned):
    for path in TEMPLATES.rglob("*.html"):
        assert not re.search(banned, path.read_text()), path


@pytest.mark.parametrize(
    ("language", "score", "words"),
    [
        ("en-gb", {"refused": "", "missing": ["spo2"]}, "missing: SpO2"),
        (
            "en-gb",
            {"refused": "fehlt: respiratory_rate", "missing": ["respiratory_rate"]},
            "missing: respiratory rate",
        ),
        (
            "de",
            {"refused": "", "missing": ["respiratory_rate", "on_oxygen"]},
            "fehlt: Atemfrequenz, Luft oder Sauerstoff",
        ),
        ("de", {"refused": "pregnancy", "missing": []}, "Schwangerschaft"),
        ("de", {"refused": "under 16"}, "under 16"),
        ("de", {"total": 0, "band": "low", "parts": {}}, ""),
        ("de", None, ""),
    ],
)
def test_a_set_without_a_score_says_why_to_who_reads_it(language, score, words):
    with translation.override(language):
        assert clinic.unscored(score) == words


def test_what_was_not_measured_is_named_as_the_form_names_it():
    names = ["spo2", "baseline temperature_c", "the whole protocol"]

    assert clinic.measures(names) == (
        "SpO2, baseline of temperature, the whole protocol"
    )


@pytest.mark.parametrize(
    ("code", "typed", "words"),
    [
        ("asleep", "", "Asleep, not woken"),
        ("other", "cuff too small", "cuff too small"),
        ("gone", "", "gone"),
    ],
)
def test_a_set_that_is_not_whole_says_why_in_words(code, typed, words):
    row = SimpleNamespace(partial_reason=code, partial_text=typed)

    assert clinic.partial_words(row) == words


def test_minutes_since_a_moment_are_counted_as_the_page_counts_on():
    counted = [clinic.since_min(NINE - timedelta(seconds=s), NINE) for s in (0, 59, 60)]

    assert counted == ["0", "0", "1"]
    assert clinic.since_min(NINE, NINE - timedelta(minutes=2)) == "0"
    assert clinic.since_min(None, NINE) == "–"
