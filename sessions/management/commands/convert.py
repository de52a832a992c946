"""`convert`: one rate in every unit, for one product and weight."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from sessions.catalogue.products import products
from sessions.management.policies import (
    PolicyCommand,
    add_policy_arguments,
    chosen_policy,
)
from sessions.management.strict_arguments import Once, number, refuse
from sessions.rules.quantities import (
    MINUTES_PER_HOUR,
    RATE_UNITS,
    json_number,
    mg_per_kg_min,
    ml_per_h,
    ml_per_kg_h,
    pump_rate,
)


class Command(PolicyCommand):
    help = "Convert an infusion rate between mL/kg/h, mL/kg/min, mg/kg/min and mL/h."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--product", required=True, action=Once, metavar="KEY")
        parser.add_argument(
            "--weight",
            required=True,
            action=Once,
            metavar="KG",
            type=number(places=3, digits=3),
        )
        parser.add_argument(
            "--rate",
            required=True,
            action=Once,
            metavar="NUMBER",
            type=number(places=6, digits=5),
        )
        parser.add_argument("--unit", required=True, action=Once, choices=RATE_UNITS)
        parser.add_argument("--json", action="store_true")
        add_policy_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        product = products().get(options["product"])
        if product is None:
            refuse(f"--product: unknown product {options['product']}.")
        weight = options["weight"]
        rate = ml_per_kg_h(
            options["rate"],
            options["unit"],
            weight_kg=weight,
            g_per_100ml=product.g_per_100ml,
        )
        chosen = chosen_policy(
            clinic=options["clinic"],
            protocol=options["protocol"],
            version=options["version"],
        )
        resolution = chosen.dosing.rounding.pump_ml_per_h.value
        answer = {
            "ml_per_kg_h": json_number(rate),
            "ml_per_kg_min": json_number(rate / MINUTES_PER_HOUR),
            "mg_per_kg_min": json_number(mg_per_kg_min(rate, product.g_per_100ml)),
            "ml_per_h": json_number(ml_per_h(rate, weight)),
            "pump_ml_per_h": json_number(pump_rate(rate, weight, resolution)),
        }
        if options["json"]:
            self.stdout.write(json.dumps(answer, ensure_ascii=False))
            return
        for name, value in answer.items():
            self.stdout.write(f"{name:<15}{value}")
