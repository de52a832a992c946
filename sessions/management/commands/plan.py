"""`plan`: the plan of one day's infusion, with the numbers that the screens show."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandParser

from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.management.policies import (
    PolicyCommand,
    add_policy_arguments,
    chosen_policy,
)
from sessions.management.strict_arguments import Once, number, refuse
from sessions.rules.dosing import Body, DosingError, Ordered
from sessions.rules.dosing_policy import BASES
from sessions.rules.labels import REGIONS
from sessions.rules.plans import plan_document
from sessions.rules.quantities import shown
from sessions.rules.titration import EXPERIENCES, PATIENT_CLASS_FLAGS, Plan, plan

ANSWER = (
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
)
"""The keys of the fixed form, out of the document that an order keeps."""


class Command(PolicyCommand):
    help = "Compute dose, vials and rate ladder of one day's infusion."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--product", required=True, action=Once, metavar="KEY")
        add("--indication", required=True, action=Once, metavar="KEY")
        add("--weight", required=True, action=Once, metavar="KG", type=_weight)
        add("--height", action=Once, metavar="CM", type=number(places=1, digits=3))
        add("--sex", action=Once, choices=("female", "male"))
        add("--weight-basis", action=Once, choices=BASES)
        dose = parser.add_mutually_exclusive_group(required=True)
        dose.add_argument("--dose", action=Once, metavar="G_PER_KG", type=_dose)
        dose.add_argument(
            "--grams",
            action=Once,
            metavar="G",
            type=number(places=3, digits=4),
            help="a fixed dose of the course in grams, in place of --dose",
        )
        add("--days", action=Once, metavar="N", default=1, type=_days)
        add(
            "--patient-class",
            action=Once,
            choices=PATIENT_CLASS_FLAGS,
            default="standard",
        )
        add("--experience", action=Once, choices=EXPERIENCES, default="first")
        add("--region", action=Once, choices=tuple(REGIONS))
        add_policy_arguments(parser)
        add("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = _plan(options)
        except DosingError as error:
            refuse(f"--{error.field.replace('_', '-')}: {error}")
        if options["json"]:
            self.stdout.write(json.dumps(answer(made), ensure_ascii=False))
        else:
            self.stdout.write(table(made))


def _weight(text: str) -> Decimal:
    return number(places=3, digits=3)(text)


def _dose(text: str) -> Decimal:
    return number(places=4, digits=2)(text)


def _days(text: str) -> int:
    return int(number(places=0, digits=2)(text))


def _plan(options: dict[str, Any]) -> Plan:
    product = products().get(options["product"])
    if product is None:
        refuse(f"--product: unknown product {options['product']}.")
    indication = indications().get(options["indication"])
    if indication is None:
        refuse(f"--indication: unknown indication {options['indication']}.")
    chosen = chosen_policy(
        clinic=options["clinic"],
        protocol=options["protocol"],
        version=options["version"],
    )
    return plan(
        product=product,
        indication=indication,
        body=Body(
            weight_kg=options["weight"],
            height_cm=options["height"],
            sex=options["sex"],
        ),
        ordered=Ordered(
            g_per_kg=options["dose"],
            total_g=options["grams"],
            days=options["days"],
        ),
        policy=chosen.dosing,
        region=options["region"] or chosen.region,
        at_risk=options["patient_class"] == "at_risk",
        experience=options["experience"],
        weight_basis=options["weight_basis"],
    )


def answer(made: Plan) -> dict[str, Any]:
    """The plan in the fixed form of the command."""
    document = plan_document(made)
    return {key: document[key] for key in ANSWER}


def table(made: Plan) -> str:
    """The plan for a reader: arithmetic, vials, ceiling, ladder, warnings."""
    dose, top = made.dose, made.ceiling
    lines = [
        f"{made.product.brand} for {made.indication.name} ({made.status})",
        f"Weight {shown(made.body.weight_kg)} kg, dosing weight "
        f"{shown(made.weight.kg, 2)} kg: {made.weight.because}",
        *(
            f"{line.name}: {line.arithmetic} = {shown(line.result, 3)} {line.unit}"
            for line in (*made.weight.lines, *dose.lines)
        ),
        f"Volume {shown(made.volume_ml, 2)} mL",
        f"Ceiling {shown(top.ml_per_kg_h, 3)} mL/kg/h = "
        f"{shown(top.mg_per_kg_min, 3)} mg/kg/min: {top.limit.text}",
        f"  source: {top.source.label}",
        "",
        "Step  mL/kg/h  mg/kg/min    mL/h  minutes       mL  total mL",
    ]
    lines += [
        f"{rung.step:>4}  {shown(rung.ml_per_kg_h, 3):>7}  "
        f"{shown(rung.mg_per_kg_min, 3):>9}  {shown(rung.pump_ml_per_h):>6}  "
        f"{shown(rung.minutes, 1):>7}  {shown(rung.volume_ml, 1):>7}  "
        f"{shown(rung.cumulative_ml, 1):>8}"
        for rung in made.steps
    ]
    lines += ["", f"Duration {shown(made.duration_minutes, 1)} minutes"]
    lines += [
        f"{'HARD STOP' if warning.hard else 'Warning'}: {warning.text}"
        for warning in made.warnings
    ]
    return "\n".join(lines)
