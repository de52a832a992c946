"""`convert`: one rate in every unit."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

WHOLE = {
    "--product": "privigen_10",
    "--weight": "70",
    "--rate": "8",
    "--unit": "mg/kg/min",
}


def convert(**changes) -> str:
    arguments = {**WHOLE, **{f"--{key}": value for key, value in changes.items()}}
    words = [word for pair in arguments.items() if pair[1] is not None for word in pair]
    out = StringIO()
    call_command("convert", *words, "--json", stdout=out)
    return out.getvalue()


def test_the_answer_has_the_fixed_form():
    assert json.loads(convert()) == {
        "ml_per_kg_h": "4.8",
        "ml_per_kg_min": "0.08",
        "mg_per_kg_min": "8",
        "ml_per_h": "336",
        "pump_ml_per_h": "336",
    }


def test_what_does_not_end_has_six_decimals_and_the_pump_is_rounded_down():
    answer = json.loads(convert(product="octagam_5", weight="68.3", rate="3.33"))

    assert answer["ml_per_kg_h"] == "3.996"
    assert answer["ml_per_kg_min"] == "0.0666"
    assert answer["ml_per_h"] == "272.9268"
    assert answer["pump_ml_per_h"] == "272.9"


def test_a_discontinued_product_can_still_be_converted():
    answer = json.loads(convert(product="carimune_nf", rate="1"))

    assert answer["ml_per_kg_h"] == "1"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"product": "privigen"}, "product"),
        ({"product": None}, "product"),
        ({"weight": None}, "weight"),
        ({"weight": "0"}, "weight"),
        ({"weight": "70,5"}, "weight"),
        ({"weight": "7_0"}, "weight"),
        ({"weight": "1e2"}, "weight"),
        ({"weight": "٧٠"}, "weight"),
        ({"weight": ""}, "weight"),
        ({"rate": ".5"}, "rate"),
        ({"rate": "NaN"}, "rate"),
        ({"unit": "ml/kg/h"}, "unit"),
        ({"unit": "mL"}, "unit"),
        ({"unit": None}, "unit"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_value_ends_with_status_2_and_names_its_field(change, field):
    with pytest.raises(CommandError) as caught:
        convert(**change)

    assert caught.value.returncode == 2
    assert f"--{field}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_given_twice_is_refused():
    words = [word for pair in WHOLE.items() for word in pair]

    with pytest.raises(CommandError, match="--weight: given twice"):
        call_command("convert", *words, "--weight", "80")
