"""A plan as a document: what an order keeps word for word, and how it is read again.

The first keys are those of the command `plan`; the rest is what the order page shows.
Numbers are text, so that nothing is rounded on the way (a number that does not end has
six decimals). A signed order is shown from this document and never computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sessions.rules.dosing import Dose, DosingWeight, Line, VialSet, WeightOption
from sessions.rules.labels import Indication
from sessions.rules.language import phrase, say
from sessions.rules.quantities import exact, json_number, ml_per_h
from sessions.rules.sources import Source
from sessions.rules.titration import Limit, Plan, Rung


def plan_document(plan: Plan) -> dict[str, Any]:
    """Write a plan as JSON-able tables and texts."""
    dose, top = plan.dose, plan.ceiling
    return {
        "product": plan.product.key,
        "indication": plan.indication.key,
        "weight_kg": json_number(plan.body.weight_kg),
        "dosing_weight_kg": json_number(plan.weight.kg),
        "weight_basis": plan.weight.basis,
        "dose_g": json_number(dose.calculated_g),
        "given_g": json_number(dose.given_g),
        "dispensed_g": json_number(dose.vials.dispensed_g),
        "vials_g": [json_number(size) for size in dose.vials.vials_g],
        "volume_ml": json_number(plan.volume_ml),
        "ceiling": {
            "ml_per_kg_h": json_number(top.ml_per_kg_h),
            "mg_per_kg_min": json_number(top.mg_per_kg_min),
            "binds": top.binds,
            "source": top.source.label,
        },
        "steps": [_step(rung) for rung in plan.steps],
        "duration_minutes": json_number(plan.duration_minutes),
        "warnings": [warning.text for warning in plan.warnings],
        # What the page shows beside it
        "names": _names(plan),
        "region": plan.region,
        "at_risk": plan.at_risk,
        "experience": plan.experience,
        "status": plan.status,
        "height_cm": _optional(plan.body.height_cm),
        "age_years": plan.body.age_years,
        "course": _course(dose, plan.indication),
        "weights": _weights(plan),
        "vial_sets": [_vial_set(each) for each in (dose.vials, *dose.alternatives)],
        "label": {
            "because": plan.label.because,
            "stated": plan.label.stated,
            "gives_steps": plan.label.gives_steps,
        },
        "limits": [_limit(limit, plan) for limit in top.candidates],
        "rungs": [_rung(rung) for rung in plan.rungs],
        "cautions": [
            {
                "code": warning.code,
                "text": warning.text,
                "hard": warning.hard,
                "source": _source(warning.source),
            }
            for warning in plan.warnings
        ],
    }


def rungs_of(document: Mapping[str, Any]) -> tuple[Rung, ...]:
    """Read the whole ladder back, as it was signed."""
    return tuple(_read_rung(rung) for rung in document["rungs"])


def _step(rung: Rung) -> dict[str, Any]:
    """One step as the command `plan` prints it."""
    return {
        "step": rung.step,
        "ml_per_kg_h": json_number(rung.ml_per_kg_h),
        "mg_per_kg_min": json_number(rung.mg_per_kg_min),
        "ml_per_h": json_number(rung.ml_per_h),
        "pump_ml_per_h": json_number(rung.pump_ml_per_h),
        "minutes": json_number(rung.minutes),
        "volume_ml": json_number(rung.volume_ml),
        "source": rung.source.label,
    }


def _names(plan: Plan) -> dict[str, str]:
    return {
        "product": plan.product.brand,
        "manufacturer": plan.product.manufacturer,
        "g_per_100ml": json_number(plan.product.g_per_100ml),
        "ml_per_g": json_number(100 / exact(plan.product.g_per_100ml)),
        "indication": plan.indication.name,
    }


def _course(dose: Dose, indication: Indication) -> dict[str, Any]:
    return {
        "days": dose.days,
        "g_per_kg": json_number(dose.course_g_per_kg),
        "g": json_number(dose.course_g),
        "given_g": json_number(dose.course_given_g),
        "given_g_per_kg": json_number(dose.given_g_per_kg),
        "lines": [_line(line) for line in dose.lines],
        "check": {
            "level": dose.check.level,
            "code": dose.check.code,
            "text": dose.check.text,
            "source": _source(dose.check.source),
        },
        "indication_has_dose": indication.has_dose,
    }


def _weights(plan: Plan) -> dict[str, Any]:
    weight = plan.weight
    return {
        "because": weight.because,
        "refused": weight.refused,
        "bmi": _optional(weight.bmi),
        "source": _source(weight.source),
        "options": [_weight_option(option, weight, plan) for option in weight.options],
        "lines": [_line(line) for line in weight.lines],
    }


LINE_OF = {
    "ideal": phrase("Ideal weight (Devine)"),
    "adjusted": phrase("Adjusted weight"),
}
"""The line of arithmetic that belongs to each computed weight."""


def _weight_option(
    option: WeightOption, weight: DosingWeight, plan: Plan
) -> dict[str, Any]:
    """One weight with the day's grams it would lead to, computed from g/kg."""
    grams = None
    if option.exact_kg is not None:
        per_kg = exact(plan.dose.course_g) / weight.exact_kg
        grams = per_kg * option.exact_kg / plan.dose.days
    lines = {line.name: line.arithmetic for line in weight.lines}
    chosen = option.basis == weight.basis
    line = say(LINE_OF.get(option.basis, ""))
    because = option.excluded_because or lines.get(line, "")
    return {
        "basis": option.basis,
        "kg": _optional(option.kg),
        "dose_g": None if grams is None else json_number(grams),
        "because": weight.because if chosen and not because else because,
        "excluded": bool(option.excluded_because),
        "chosen": chosen,
    }


def _vial_set(vials: VialSet) -> dict[str, Any]:
    return {
        "vials_g": [json_number(size) for size in vials.vials_g],
        "given_g": json_number(vials.given_g),
        "dispensed_g": json_number(vials.dispensed_g),
        "waste_g": json_number(vials.waste_g),
        "difference_percent": json_number(vials.difference_percent),
    }


def _limit(limit: Limit, plan: Plan) -> dict[str, Any]:
    """One limit per kilogram and, for the eye, in mL/h at this weight, exact."""
    kg = plan.weight.exact_kg
    return {
        "kind": limit.kind,
        "text": limit.text,
        "ml_per_kg_h": json_number(limit.ml_per_kg_h),
        "ml_per_h": json_number(ml_per_h(limit.exact_ml_per_kg_h, kg)),
        "from_policy": limit.from_policy,
        "binds": limit is plan.ceiling.limit,
        "source": _source(limit.source),
    }


def _rung(rung: Rung) -> dict[str, Any]:
    return _step(rung) | {
        "min_minutes": _optional(rung.min_minutes),
        "starts_minute": json_number(rung.starts_minute),
        "ends_minute": json_number(rung.starts_minute + rung.minutes),
        "cumulative_ml": json_number(rung.cumulative_ml),
        "source": _source(rung.source),
        "from_policy": rung.from_policy,
        "minutes_source": rung.minutes_source and _source(rung.minutes_source),
    }


def _read_rung(rung: Mapping[str, Any]) -> Rung:
    minutes, source = rung["min_minutes"], rung["minutes_source"]
    return Rung(
        step=rung["step"],
        ml_per_kg_h=Decimal(rung["ml_per_kg_h"]),
        mg_per_kg_min=Decimal(rung["mg_per_kg_min"]),
        ml_per_h=Decimal(rung["ml_per_h"]),
        pump_ml_per_h=Decimal(rung["pump_ml_per_h"]),
        min_minutes=None if minutes is None else Decimal(minutes),
        minutes=Decimal(rung["minutes"]),
        starts_minute=Decimal(rung["starts_minute"]),
        volume_ml=Decimal(rung["volume_ml"]),
        cumulative_ml=Decimal(rung["cumulative_ml"]),
        source=_read_source(rung["source"]),
        from_policy=rung["from_policy"],
        minutes_source=None if source is None else _read_source(source),
    )


def _line(line: Line) -> dict[str, str]:
    return {
        "name": line.name,
        "arithmetic": line.arithmetic,
        "result": json_number(line.result),
        "unit": line.unit,
    }


def _source(source: Source) -> dict[str, Any]:
    return {"text": source.text, "verified": source.verified}


def _read_source(source: Mapping[str, Any]) -> Source:
    return Source(text=source["text"], verified=source["verified"])


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else json_number(value)
