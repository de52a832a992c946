"""Assess charts by the clinic's protocol, one JSON object a line in and out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions.catalogue.products import products
from sessions.catalogue.reactions import as_table, labels, vocabulary
from sessions.management.policies import add_policy_arguments, chosen_policy
from sessions.rules.assessment import Assessment, Chart, assess
from sessions.rules.findings import Finding, Severity
from sessions.rules.news2 import News2, News2Refused
from sessions.rules.policy import Policy
from sessions.rules.quantities import (
    NumberError,
    json_number,
    parse_decimal,
    pump_rate,
)
from sessions.rules.reactions import Symptom, UnknownReaction
from sessions.rules.recommendation import RatePosition
from sessions.rules.thresholds import Phase
from sessions.rules.vitals import (
    CONSCIOUSNESS,
    Plausibility,
    VitalSet,
    plausibility,
)

T = TypeVar("T")
REFUSED = 2

DEFAULTS: dict[str, Any] = {
    "id": None,
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
    "baseline": None,
    "vitals": None,
    "symptoms": [],
    "rate": {
        "product": "privigen_10",
        "weight_kg": "70",
        "ladder_ml_per_kg_h": ["0.3", "0.6", "1.2", "2.4", "4.8"],
        "step": 3,
    },
}
"""What a chart says where it says nothing; nothing measured is ever filled in."""


class Refused(ValueError):
    """A chart that cannot be read; the message starts with the field at fault."""


class Command(BaseCommand):
    """Read charts from standard input, print an assessment of each."""

    help = (
        "Reads one JSON object a line from standard input and prints one a line: what "
        "the clinic's protocol calls for, why, and the NEWS2 score. Keys left out take "
        "the documented example's values, but vital signs and symptoms never do."
    )
    requires_system_checks: list[str] = []

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        """Let `--version` name a protocol's version instead of Django's."""
        kwargs["conflict_handler"] = "resolve"
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        add_policy_arguments(parser)
        parser.add_argument(
            "--vocabulary",
            action="store_true",
            help="print the reactions with their synonyms, and stop",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Assess each line; the first that cannot be read ends the run."""
        if options["vocabulary"]:
            for entry in as_table():
                self.stdout.write(json.dumps(entry, ensure_ascii=False))
            return
        try:
            policy = chosen_policy(
                clinic=options["clinic"],
                protocol=options["protocol"],
                version=options["version"],
            ).policy
            for number, line in enumerate(sys.stdin, start=1):
                if line.strip():
                    self.stdout.write(_assess_line(line, number, policy))
        except UnicodeDecodeError:
            raise CommandError("the input is not UTF-8", returncode=REFUSED) from None
        except Refused as refusal:
            raise CommandError(str(refusal), returncode=REFUSED) from None


def _assess_line(line: str, number: int, policy: Policy) -> str:
    try:
        fields = Fields("", _read_json(line), allowed=tuple(DEFAULTS))
        chart = read_chart(fields, policy)
        answer = as_answer(fields.get("id"), assess(chart, policy))
    except Refused as refusal:
        raise Refused(f"line {number}: {refusal}") from None
    return json.dumps(answer, ensure_ascii=False)


def _read_json(line: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise Refused(f"{twice[0]}: is given twice")
        return dict(pairs)

    try:
        return json.loads(line, parse_float=Decimal, object_pairs_hook=once)
    except Refused:
        raise
    except (ValueError, RecursionError):
        raise Refused("is not JSON that can be read") from None


class Fields:
    """One JSON object of a chart, read strictly; each refusal names the field."""

    def __init__(self, path: str, value: Any, *, allowed: tuple[str, ...]) -> None:
        if not isinstance(value, dict):
            raise Refused(f"{path or 'chart'}: is not an object")
        self.path = path
        self.value = value
        for key in value:
            if key not in allowed:
                name = key if key.isidentifier() else repr(key)  # one line, always
                raise self.refuse(name, "is not a known key")

    def refuse(self, key: str, problem: str) -> Refused:
        """Make the refusal of one field."""
        return Refused(f"{self.path}{'.' if self.path else ''}{key}: {problem}")

    def get(self, key: str) -> Any:
        """Read a key, or what the documented example shows for it."""
        default = DEFAULTS.get(key) if not self.path else None
        return self.value.get(key, default)

    def flag(self, key: str) -> bool:
        """Read a yes or no."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.refuse(key, "is not true or false")
        return value

    def number(self, key: str, *, places: int, digits: int = 6) -> Decimal:
        """Read a number, written as number or text, in the strict grammar."""
        return self.parse(key, self.get(key), places=places, digits=digits)

    def parse(self, key: str, value: Any, *, places: int, digits: int = 6) -> Decimal:
        """Read one value of a key as a number."""
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise self.refuse(key, "is missing" if value is None else "is not a number")
        try:
            return parse_decimal(str(value), places=places, digits=digits)
        except NumberError as error:
            raise self.refuse(key, str(error)) from None

    def optional(self, key: str, read: Callable[[str], T]) -> T | None:
        """Read a value that may be missing; missing stays missing."""
        return None if self.get(key) is None else read(key)

    def word(self, key: str, allowed: tuple[str, ...]) -> str:
        """Read one of some words."""
        value = self.get(key)
        if value not in allowed:
            raise self.refuse(key, f"is not one of {', '.join(allowed)}")
        return str(value)


def read_chart(fields: Fields, policy: Policy) -> Chart:
    """Read a chart; `Refused` names the field that cannot be read."""
    age = fields.number("age_years", places=3, digits=3)
    minutes_at_step = fields.number("minutes_at_step", places=3)
    for key in ("first_infusion", "brand_switch"):
        fields.flag(key)  # they change the schedule, not what a chart calls for
    fields.number("minutes_since_start", places=3)
    phase = Phase(fields.word("phase", tuple(phase.value for phase in Phase)))
    vitals = _vitals(fields, "vitals", age)
    baseline = _vitals(fields, "baseline", age)
    rate = Fields("rate", fields.get("rate"), allowed=tuple(DEFAULTS["rate"]))
    weight_kg = rate.number("weight_kg", places=3, digits=3)
    if weight_kg == 0:
        raise rate.refuse("weight_kg", "is zero")
    return Chart(
        age_years=age,
        pregnant=fields.flag("pregnant"),
        phase=phase,
        vitals=vitals or baseline if phase is Phase.BASELINE else vitals,
        baseline=baseline,
        symptoms=_symptoms(fields),
        weight_kg=weight_kg,
        rate=_position(rate, weight_kg, minutes_at_step, policy),
        recurrence=fields.flag("recurrence"),
        new_lot=fields.flag("new_lot"),
        minutes_since_end=fields.optional(
            "minutes_since_end", lambda key: fields.number(key, places=3)
        ),
        labels=labels(),
    )


VITAL_PLACES = {
    "temperature_c": 1,
    "pulse": 0,
    "systolic_mmhg": 0,
    "diastolic_mmhg": 0,
    "respiratory_rate": 0,
    "spo2": 0,
    "pain": 0,
}


def _vitals(chart: Fields, key: str, age_years: Decimal) -> VitalSet | None:
    value = chart.get(key)
    if value is None:
        return None
    words = ("spo2_scale", "on_oxygen", "consciousness")
    fields = Fields(key, value, allowed=(*VITAL_PLACES, *words))

    def measured(name: str) -> Decimal:
        number = fields.number(name, places=VITAL_PLACES[name], digits=3)
        if plausibility(name, number, age_years=age_years) is Plausibility.IMPOSSIBLE:
            raise fields.refuse(name, f"cannot be {number}")
        return number

    numbers = {name: fields.optional(name, measured) for name in VITAL_PLACES}
    scale = fields.optional("spo2_scale", lambda name: fields.number(name, places=0))
    if scale not in (None, 1, 2):
        raise fields.refuse("spo2_scale", "is not 1 or 2")
    return VitalSet(
        temperature_c=numbers.pop("temperature_c"),
        **{name: None if n is None else int(n) for name, n in numbers.items()},
        spo2_scale=int(scale or 1),
        on_oxygen=fields.optional("on_oxygen", fields.flag),
        consciousness=fields.optional(
            "consciousness", lambda name: fields.word(name, tuple(CONSCIOUSNESS))
        ),
    )


def _symptoms(chart: Fields) -> tuple[Symptom, ...]:
    listed = chart.get("symptoms")
    if not isinstance(listed, list):
        raise chart.refuse("symptoms", "is not a list")
    return tuple(_symptom(place, entry) for place, entry in enumerate(listed))


def _symptom(place: int, entry: Any) -> Symptom:
    fields = Fields(f"symptoms[{place}]", entry, allowed=("reaction", "severity"))
    severity = fields.word("severity", tuple(each.value for each in Severity))
    word = fields.get("reaction")
    if not isinstance(word, str):
        raise fields.refuse("reaction", "is missing")
    try:
        reaction = vocabulary().find(word)
    except UnknownReaction as error:
        raise fields.refuse("reaction", str(error)) from None
    return Symptom(reaction=reaction.key, severity=Severity(severity))


def _position(
    fields: Fields, weight_kg: Decimal, minutes_at_step: Decimal, policy: Policy
) -> RatePosition:
    if fields.get("product") not in products():
        raise fields.refuse("product", "is not in the product catalogue")
    ladder = fields.get("ladder_ml_per_kg_h")
    if not isinstance(ladder, list) or not ladder:
        raise fields.refuse("ladder_ml_per_kg_h", "is not a list of rates")
    rates = [fields.parse("ladder_ml_per_kg_h", r, places=6) for r in ladder]
    if rates != sorted(set(rates)):
        raise fields.refuse("ladder_ml_per_kg_h", "does not rise")
    step = int(fields.number("step", places=0))
    if not 1 <= step <= len(rates):
        raise fields.refuse("step", f"is not between 1 and {len(rates)}")
    resolution = policy.dosing.rounding.pump_ml_per_h.value
    rungs = tuple(pump_rate(rate, weight_kg, resolution) for rate in rates)
    return RatePosition(
        rungs_ml_per_h=rungs,
        present_ml_per_h=rungs[step - 1],
        resolution_ml_per_h=resolution,
        step_up_due=minutes_at_step >= policy.dosing.ladder.minutes.value,
    )


def as_answer(chart_id: Any, assessment: Assessment) -> dict[str, Any]:
    """Write an assessment with numbers as decimal strings."""
    call = assessment.recommendation
    answer = {
        "id": chart_id,
        "action": call.action.value,
        "rate_ml_per_h": _number(call.rate_ml_per_h),
        "reason": call.reason,
        "findings": [_finding(finding) for finding in assessment.findings],
        "news2": _score(assessment.news2),
    }
    if call.restart_ml_per_h is not None:
        answer["restart_ml_per_h"] = _number(call.restart_ml_per_h)
    return answer


def _number(value: Decimal | None) -> str | None:
    return None if value is None else json_number(value)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "action": finding.action.value,
        "because": finding.because,
        "calls_for": finding.calls_for,
        "severity": finding.severity.value if finding.severity else None,
        "values": [
            {key: text for key, text in asdict(value).items() if text}
            for value in finding.values
        ],
        "missing": list(finding.missing),
        "source": finding.source.label,
    }


def _score(score: News2 | News2Refused) -> dict[str, Any]:
    if isinstance(score, News2Refused):
        return {"refused": score.reason}
    return {"total": score.total, "band": score.band, "parts": dict(score.parts)}
