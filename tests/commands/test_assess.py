"""`assess`: one chart a line in, one answer a line out, without a database."""

import copy
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).parents[2]

SAMPLE = {
    "id": "x1",
    "age_years": 50,
    "pregnant": False,
    "first_infusion": False,
    "minutes_since_start": 75,
    "minutes_at_step": 15,
    "phase": "infusing",
    "recurrence": False,
    "new_lot": False,
    "brand_switch": False,
    "minutes_since_end": None,
    "baseline": {
        "temperature_c": "36.8",
        "pulse": 76,
        "systolic_mmhg": 128,
        "diastolic_mmhg": 78,
        "respiratory_rate": 16,
        "spo2": 98,
    },
    "vitals": {
        "temperature_c": "36.9",
        "pulse": 78,
        "systolic_mmhg": 126,
        "diastolic_mmhg": 76,
        "respiratory_rate": 16,
        "spo2": 98,
        "spo2_scale": 1,
        "on_oxygen": False,
        "consciousness": "A",
    },
    "symptoms": [{"reaction": "headache", "severity": "mild"}],
    "rate": {
        "product": "privigen_10",
        "weight_kg": "70",
        "ladder_ml_per_kg_h": ["0.3", "0.6", "1.2", "2.4", "4.8"],
        "step": 3,
    },
}
DROP = object()


def chart(**changes):
    """The documented example with some keys changed; `a__b` reaches inside."""
    made = copy.deepcopy(SAMPLE)
    for path, value in changes.items():
        table = made
        *outer, last = [int(k) if k.isdigit() else k for k in path.split("__")]
        for key in outer:
            table = table[key]
        if value is DROP:
            del table[last]
        else:
            table[last] = value
    return made


@pytest.fixture
def ask(monkeypatch):
    def ask(*charts, **options):
        lines = [c if isinstance(c, str) else json.dumps(c) for c in charts]
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        out = io.StringIO()
        call_command("assess", stdout=out, **options)
        return [json.loads(line) for line in out.getvalue().splitlines()]

    return ask


def test_the_documented_example_is_answered_as_documented(ask):
    (answer,) = ask(SAMPLE)

    assert answer["id"] == "x1"
    assert (answer["action"], answer["rate_ml_per_h"]) == ("reduce", "42")
    (finding,) = answer["findings"]
    assert (finding["rule"], finding["action"]) == ("R-01", "reduce")
    assert finding["because"]
    assert finding["source"]
    assert answer["news2"] == {
        "total": 0,
        "band": "none",
        "parts": {
            "respiratory_rate": 0,
            "spo2": 0,
            "oxygen": 0,
            "systolic_mmhg": 0,
            "pulse": 0,
            "consciousness": 0,
            "temperature_c": 0,
        },
    }


@pytest.mark.parametrize(
    ("changes", "action", "rate", "restart"),
    [
        ({"symptoms": []}, "continue", "84", None),
        ({"symptoms": [], "minutes_at_step": 30}, "continue", "168", None),
        ({"symptoms": [], "minutes_at_step": 90, "rate__step": 5}, "continue", "336",
         None),
        ({"rate__step": 1}, "pause", "0", "10.5"),
        ({"symptoms__0__severity": "moderate"}, "pause", "0", "42"),
        ({"symptoms": [], "vitals__systolic_mmhg": 98}, "stop", "0", None),
        ({"symptoms": [], "vitals__consciousness": "C"}, "emergency", "0", None),
        ({"symptoms": [], "vitals__spo2": None}, "observe", "84", None),
        ({"rate__weight_kg": "70.4"}, "reduce", "42.2", None),  # 42.24, rounded down
    ],
)  # fmt: skip
def test_each_action_names_its_rate(ask, changes, action, rate, restart):
    (answer,) = ask(chart(**changes))

    assert (answer["action"], answer["rate_ml_per_h"]) == (action, rate)
    assert answer.get("restart_ml_per_h") == restart


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"age_years": 15}, "under 16"),
        ({"pregnant": True}, "pregnancy"),
        ({"vitals__spo2": DROP}, "missing: spo2"),
        ({"vitals__on_oxygen": None, "vitals__consciousness": None},
         "missing: on_oxygen, consciousness"),
    ],
)  # fmt: skip
def test_a_score_that_may_not_be_given_is_refused_with_the_reason(ask, changes, reason):
    (answer,) = ask(chart(**changes))

    assert answer["news2"] == {"refused": reason}


def test_numbers_may_be_text_or_numbers(ask):
    line = json.dumps(SAMPLE).replace('"36.9"', "36.9").replace("126", '"126"')

    assert ask(line) == ask(SAMPLE)


def test_keys_left_out_take_the_documented_value_but_nothing_measured_does(ask):
    kept = {key: SAMPLE[key] for key in ("id", "baseline", "vitals")}
    (short,) = ask(kept)
    (bare,) = ask({"id": "x2"})

    assert (short["action"], short["rate_ml_per_h"]) == ("continue", "84")
    assert bare["action"] == "observe"
    assert "spo2" in bare["findings"][0]["missing"]


def test_many_lines_make_as_many_answers_and_blank_ones_none(ask):
    answers = ask(SAMPLE, "", chart(id="x2"))

    assert [answer["id"] for answer in answers] == ["x1", "x2"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"vitals__pulsee": 80}, "vitals.pulsee"),
        ({"vitals__pulse": "7_8"}, "vitals.pulse"),
        ({"vitals__pulse": "78.5"}, "vitals.pulse"),
        ({"vitals__pulse": True}, "vitals.pulse"),
        ({"vitals__pulse": [78]}, "vitals.pulse"),
        ({"vitals__temperature_c": "36,9"}, "vitals.temperature_c"),
        ({"vitals__temperature_c": "98.6"}, "vitals.temperature_c"),
        ({"vitals__spo2": 101}, "vitals.spo2"),
        ({"vitals__spo2_scale": 3}, "vitals.spo2_scale"),
        ({"vitals__on_oxygen": "no"}, "vitals.on_oxygen"),
        ({"vitals__consciousness": "B"}, "vitals.consciousness"),
        ({"baseline__spo2": -1}, "baseline.spo2"),
        ({"baseline": []}, "baseline"),
        ({"age_years": None}, "age_years"),
        ({"pregnant": "no"}, "pregnant"),
        ({"phase": "resting"}, "phase"),
        ({"minutes_at_step": "1e2"}, "minutes_at_step"),
        ({"symptoms": None}, "symptoms"),
        ({"symptoms": [{"reaction": "headache"}]}, "symptoms[0].severity"),
        ({"symptoms": [{"severity": "mild"}]}, "symptoms[0].reaction"),
        (
            {"symptoms": [{"reaction": "hiccups", "severity": "mild"}]},
            "symptoms[0].reaction",
        ),
        ({"rate__product": "water_10"}, "rate.product"),
        ({"rate__weight_kg": DROP}, "rate.weight_kg"),
        ({"rate__weight_kg": "0"}, "rate.weight_kg"),
        ({"rate__ladder_ml_per_kg_h": []}, "rate.ladder_ml_per_kg_h"),
        ({"rate__ladder_ml_per_kg_h": ["2", "1"]}, "rate.ladder_ml_per_kg_h"),
        ({"rate__step": 6}, "rate.step"),
        ({"rate__step": 0}, "rate.step"),
        ({"rate__unit": "mL/h"}, "rate.unit"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line_naming_the_field(
    ask, changes, field
):
    with pytest.raises(CommandError, match="line 1: ") as refusal:
        ask(chart(**changes))

    assert refusal.value.returncode == 2
    assert str(refusal.value).startswith(f"line 1: {field}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"pulse": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"a\\nb": 1}', r"line 1: 'a\\nb': is not a known key"),
        ("[]", "chart: is not an object"),
        ('{"id": 1, "id": 2}', "id: is given twice"),
    ],
)
def test_a_line_that_is_no_chart_is_refused(ask, line, message):
    with pytest.raises(CommandError, match=message):
        ask(line)


def test_bytes_that_are_no_text_are_refused(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(b"\xff\xfe{}"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", stream)

    with pytest.raises(CommandError, match="UTF-8") as refusal:
        call_command("assess")

    assert refusal.value.returncode == 2


def test_an_unknown_protocol_is_refused(ask):
    with pytest.raises(CommandError, match="--protocol"):
        ask(SAMPLE, protocol="other")
    with pytest.raises(CommandError, match="--version"):
        ask(SAMPLE, version=7)


def test_the_shipped_protocol_can_be_named(ask):
    assert ask(SAMPLE, protocol="2026", version=1) == ask(SAMPLE)


def test_the_vocabulary_lists_every_reaction_with_its_words(capsys):
    call_command("assess", vocabulary=True)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    hives = next(line for line in lines if line["reaction"] == "urticaria")
    assert "hives" in [word.lower() for word in (hives["label"], *hives["synonyms"])]
    assert len(lines) == 25


def test_the_command_runs_alone_and_exits_with_two():
    """Status and streams as a script sees them; no database is needed."""

    def run(line):
        return subprocess.run(
            [sys.executable, "manage.py", "assess", "--protocol", "2026"],
            input=line,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "DATABASE_FILE": "/nowhere/at/all.sqlite3"},
            check=False,
        )

    good, bad = run(json.dumps(SAMPLE)), run(json.dumps(chart(vitals__pulse="x")))

    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["action"] == "reduce"
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "vitals.pulse" in bad.stderr
    assert len(bad.stderr.splitlines()) == 1
