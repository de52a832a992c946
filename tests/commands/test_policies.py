"""The commands compute by the clinic's own protocol when there is one."""

import io
import json
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from sessions.services import protocols
from tests.factories.protocols import actor, protocol_in_force, with_value

PRIVIGEN = ("--product", "privigen_10", "--weight", "72")
PLAN = (*PRIVIGEN, "--indication", "itp", "--dose", "1", "--json")


def plan(*words) -> dict:
    out = io.StringIO()
    call_command("plan", *PLAN, *words, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def version(clinic, pharmacist, prescriber):
    return protocol_in_force(clinic, author=pharmacist, approver=prescriber)


@pytest.fixture
def slower(version, pharmacist):
    """A draft whose steps take twice as long."""
    return protocols.draft_version(
        protocol=version.protocol,
        document=with_value(
            version, "dosing", "ladder", "minutes", "value", value="60"
        ),
        note="Slower",
        based_on=version,
        by=actor(pharmacist),
    )


def test_the_version_in_force_is_what_a_plan_follows(version, slower, prescriber):
    assert plan()["steps"][0]["minutes"] == "30"

    protocols.approve_version(version=slower, by=actor(prescriber))

    assert plan()["steps"][0]["minutes"] == "60"
    assert plan("--protocol", "2026", "--version", "1")["steps"][0]["minutes"] == "30"


def test_a_draft_can_be_tried_by_its_number(version, slower):
    assert plan("--version", "2")["steps"][0]["minutes"] == "60"


def test_without_an_approved_protocol_the_shipped_one_speaks(clinic):
    assert plan()["steps"][0]["minutes"] == "30"


def test_the_clinics_region_and_pump_are_those_of_the_screen(clinic, version):
    clinic.label_region, clinic.pump_resolution_ml_per_h = "eu", Decimal(1)
    clinic.save()

    made = plan()

    assert made["ceiling"]["ml_per_kg_h"] == "4.8"
    assert {step["pump_ml_per_h"] for step in made["steps"]} >= {"21", "43"}
    assert plan("--region", "us")["ceiling"]["ml_per_kg_h"] == "2.4"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--clinic", "nowhere"), "--clinic"),
        (("--protocol", "other"), "--protocol"),
        (("--version", "9"), "--version"),
    ],
)
def test_an_unknown_name_ends_the_command(version, words, named):
    with pytest.raises(CommandError, match=named):
        plan(*words)


def test_convert_takes_the_clinics_pump(clinic, version):
    clinic.pump_resolution_ml_per_h = Decimal(1)
    clinic.save()
    out = io.StringIO()

    call_command(
        "convert",
        *(*PRIVIGEN, "--rate", "0.3", "--unit", "mL/kg/h", "--json"),
        stdout=out,
    )

    assert json.loads(out.getvalue())["pump_ml_per_h"] == "21"


def test_another_clinics_protocol_by_its_code(version, other_clinic):
    assert plan("--clinic", other_clinic.code)["steps"][0]["minutes"] == "30"
