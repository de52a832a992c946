"""`plan`: the fixed form, the same numbers as the rules, and no database."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).parents[2]
WHOLE = {
    "--product": "privigen_10",
    "--indication": "pi",
    "--weight": "72",
    "--dose": "0.4",
}


def words_of(changes) -> list[str]:
    named = {f"--{key.replace('_', '-')}": value for key, value in changes.items()}
    arguments = {**WHOLE, **named}
    return [word for pair in arguments.items() if pair[1] is not None for word in pair]


def text_of(*flags: str, **changes: str | None) -> str:
    out = StringIO()
    call_command("plan", *words_of(changes), *flags, stdout=out)
    return out.getvalue()


def plan_of(**changes: str | None) -> dict:
    return json.loads(text_of("--json", **changes))


def test_the_answer_has_the_fixed_form():
    answer = plan_of()

    assert list(answer) == [
        "product",
        "indication",
        "weight_kg",
        "dosing_weight_kg",
        "weight_basis",
        "dose_g",
        "given_g",
        "dispensed_g",
        "vials_g",
        "volume_ml",
        "ceiling",
        "steps",
        "duration_minutes",
        "warnings",
    ]
    assert answer["dose_g"] == "28.8"
    assert answer["given_g"] == answer["dispensed_g"] == "30"
    assert answer["vials_g"] == ["20", "10"]
    assert answer["volume_ml"] == "300"
    assert set(answer["ceiling"]) == {"mg_per_kg_min", "ml_per_kg_h", "binds", "source"}
    assert answer["ceiling"]["binds"] == "label"
    first = answer["steps"][0]
    assert first.pop("source")
    assert first == {
        "step": 1,
        "ml_per_kg_h": "0.3",
        "mg_per_kg_min": "0.5",
        "ml_per_h": "21.6",
        "pump_ml_per_h": "21.6",
        "minutes": "30",
        "volume_ml": "10.8",
    }
    assert answer["duration_minutes"] == "143.958333"
    assert answer["warnings"] == []


def test_the_plan_is_for_one_day_of_the_course():
    answer = plan_of(indication="gbs", dose="2", days="5")

    assert answer["dose_g"] == "28.8"


def test_an_adjusted_weight_lowers_dose_and_rate():
    answer = plan_of(weight="120", height="177.8", sex="male", weight_basis="adjusted")

    assert answer["weight_kg"] == "120"
    assert answer["dosing_weight_kg"] == "91.8"
    assert answer["dose_g"] == "36.72"
    assert answer["steps"][0]["ml_per_h"] == "27.54"
    assert answer["steps"][0]["pump_ml_per_h"] == "27.5"


def test_a_dosing_weight_that_does_not_end_has_six_decimals():
    answer = plan_of(weight="120", height="170", sex="male", weight_basis="ideal")

    assert answer["dosing_weight_kg"] == "65.937008"
    assert answer["dose_g"] == "26.374803"


def test_patients_at_risk_get_the_clinics_cap():
    ceiling = plan_of(patient_class="at_risk")["ceiling"]

    assert (ceiling["mg_per_kg_min"], ceiling["binds"]) == ("3.2", "risk_cap")


def test_the_region_decides_whose_label_is_read():
    answer = plan_of(indication="itp", region="eu", dose="1")

    assert answer["ceiling"]["ml_per_kg_h"] == "4.8"


def test_fixed_grams_are_planned_too():
    answer = plan_of(indication="rpl_fixed", dose=None, grams="100", days="5")

    assert answer["given_g"] == "20"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"product": "privigen"}, "product"),
        ({"product": "carimune_nf"}, "product"),
        ({"indication": "flu"}, "indication"),
        ({"indication": None}, "indication"),
        ({"weight": None}, "weight"),
        ({"weight": "72kg"}, "weight"),
        ({"weight": "0"}, "weight"),
        ({"weight": "351"}, "weight"),
        ({"dose": None}, "dose"),
        ({"dose": ",4"}, "dose"),
        ({"dose": "90"}, "dose"),
        ({"grams": "30"}, "grams"),
        ({"days": "0"}, "days"),
        ({"days": "1.5"}, "days"),
        ({"sex": "f"}, "sex"),
        ({"height": "1,70"}, "height"),
        ({"weight_basis": "ideal"}, "height"),
        ({"weight_basis": "ideal", "height": "170"}, "sex"),
        ({"weight_basis": "lean"}, "weight-basis"),
        ({"patient_class": "risky"}, "patient-class"),
        ({"experience": "some"}, "experience"),
        ({"region": "mars"}, "region"),
        ({"wieght": "70"}, "wieght"),
    ],
)
def test_a_wrong_value_ends_with_status_2_and_names_its_field(change, field):
    with pytest.raises(CommandError) as caught:
        plan_of(**change)

    assert caught.value.returncode == 2
    assert f"--{field}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_table_can_be_read():
    text = text_of(weight="71.3", dose="1.3", indication="gbs")

    assert "1.3 g/kg × 71.3 kg = 92.69 g" in text
    assert "Ceiling 2.4 mL/kg/h = 4 mg/kg/min: not stated for this indication" in text
    assert "Warning: 1.3 g/kg is below the published range 2 g/kg." in text
    assert "   1      0.3        0.5    21.3       30" in text


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_FILE": "/nowhere/at/all.sqlite3"}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_the_command_line_without_a_database():
    done = run("plan", *words_of({}), "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["given_g"] == "30"


@pytest.mark.parametrize(
    "change", [{"weight": "7_0"}, {"product": "x"}, {"dose": None}]
)
def test_from_the_command_line_an_error_is_one_line_and_status_2(change):
    done = run("plan", *words_of(change), "--json")

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"--{next(iter(change))}" in done.stderr
