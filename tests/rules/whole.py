"""Whole answers of the rules, to the last word: what `data/whole_answers.json` holds.

`python -m tests.rules.whole` writes the file anew. Read what it changes: every line of
it is a figure, an act or a sentence that somebody acts on at a chair.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

from sessions.catalogue.default_protocol import default_document, default_policy
from sessions.catalogue.gate import gate_catalogue
from sessions.catalogue.indications import indication, indications
from sessions.catalogue.products import product
from sessions.rules.bodies import height_questions, weight_questions
from sessions.rules.dosing import Body, DosingError, Ordered
from sessions.rules.findings import Priority
from sessions.rules.ladders import Limit
from sessions.rules.monitoring import (
    Course,
    Departure,
    Recheck,
    discharge,
    next_vitals,
    time_findings,
)
from sessions.rules.names import Named, possible_days, similar
from sessions.rules.plans import plan_document
from sessions.rules.policy import Policy
from sessions.rules.quantities import json_number, plain, shown
from sessions.rules.running import RateEvent, reduced, restart, running_state
from sessions.rules.screening import GateFacts, PremedicationFact, VialFact, gate
from sessions.rules.sources import DocumentError, Setting, Source
from sessions.rules.thresholds import Phase, Reading
from sessions.rules.titration import plan, start_rule
from sessions.rules.vials import vial_sets
from sessions.rules.vitals import plausibility
from tests.rules.cast import WELL, judge

FILE = Path(__file__).parents[1] / "data" / "whole_answers.json"
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POLICY = default_policy()
EMPTY = (None, "", (), False)
D = Decimal


def plainly(value: Any) -> Any:
    """An answer as JSON: numbers as they are written, dataclasses by their fields.

    What is empty is left out, and a source is what a screen calls it.
    """
    if isinstance(value, Source):
        return value.label
    if is_dataclass(value) and not isinstance(value, type):
        told = {f.name: getattr(value, f.name) for f in fields(value)}
        return {k: plainly(v) for k, v in told.items() if v not in EMPTY}
    if isinstance(value, Decimal | Fraction):
        return f"{type(value).__name__} {value}"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plainly(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plainly(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(str(each) for each in value)
    return value


def refused(do: Callable[[], Any]) -> Any:
    """The answer, or the words of the refusal with the field they stand at."""
    try:
        return do()
    except DosingError as error:
        return {"refused": str(error), "field": error.field}
    except (DocumentError, ValueError) as error:
        return {"refused": str(error)}


# Plans


def planned(key: str, reason: str, kg: str, dose: str, **given: Any) -> Any:
    body = Body(
        weight_kg=D(kg),
        height_cm=given.pop("height", None),
        sex=given.pop("sex", None),
        age_years=given.pop("age", None),
        pregnant=given.pop("pregnant", None),
    )
    days = given.pop("days", 1)
    return refused(
        lambda: plan_document(
            plan(
                product=product(key),
                indication=indication(reason),
                body=body,
                ordered=Ordered(g_per_kg=D(dose), days=days),
                policy=given.pop("policy", POLICY.dosing),
                **given,
            )
        )
    )


def of_dosing(**values: str) -> Any:
    """The shipped dosing half with other values: `ladder__minutes`."""
    document = default_document()
    for path, value in values.items():
        table, key = path.split("__")
        document["dosing"][table][key]["value"] = value
    return Policy.from_document(document, code="2026", version=1).dosing


def plans() -> Iterator[tuple[str, Any]]:
    tall = {"height": D(168), "sex": "female", "age": 48, "pregnant": False}
    heavy = {"height": D(170), "sex": "male", "age": 60, "pregnant": False}
    yield "an ordinary plan", planned("privigen_10", "pi", "72", "0.4", **tall)
    yield (
        "a later infusion",
        planned("privigen_10", "pi", "72", "0.4", experience="experienced", **tall),
    )
    yield (
        "an adjusted weight over two days",
        planned(
            "gamunex_c_10", "cidp", "140", "2", days=2, weight_basis="adjusted", **heavy
        ),
    )
    yield (
        "an ideal weight, at risk",
        planned(
            *("privigen_10", "itp", "120", "1"),
            at_risk=True,
            weight_basis="ideal",
            **heavy,
        ),
    )
    yield (
        "tolerance binds",
        planned(
            "privigen_10",
            "pi",
            "72",
            "0.4",
            tolerance=Limit(
                kind="tolerance",
                exact_ml_per_kg_h=Fraction(2),
                text="tolerated on 2 March",
                source=Source(text="visit of 2 March"),
                from_policy=False,
            ),
            prior_reaction=True,
            risks=frozenset({"iga_deficiency", "hyperprolinaemia", "corn_allergy"}),
        ),
    )
    yield "a dose far above", planned("privigen_10", "pi", "72", "4.1", **tall)
    yield "a dose above", planned("privigen_10", "pi", "72", "1.2", **tall)
    yield "a dose below", planned("privigen_10", "pi", "72", "0.05", **tall)
    yield "a child in Europe", planned("privigen_10", "pi", "14.5", "0.4", region="eu")
    yield "no such region", planned("privigen_10", "pi", "72", "0.4", region="mars")
    yield "no weight", planned("privigen_10", "pi", "0.1", "0.4")
    yield (
        "no height for an ideal weight",
        planned("privigen_10", "pi", "72", "0.4", weight_basis="ideal"),
    )
    yield (
        "short stock",
        planned("privigen_10", "pi", "72", "0.4", stock={D(10): 1, D(20): 0}),
    )
    yield (
        "pregnant, ideal weight asked",
        planned(
            *("privigen_10", "pi", "90", "0.4"),
            weight_basis="ideal",
            **(tall | {"pregnant": True}),
        ),
    )
    for reason in sorted(indications()):
        done = planned("privigen_10", reason, "60", "0.4", **tall)
        kept = ("warnings", "label", "indication", "because", "refused", "field")
        short = {name: done[name] for name in kept if name in done}
        yield f"privigen_10 for {reason}", short
    for grams in ("0", "12.5", "37", "100000"):
        yield (
            f"vials for {grams} g",
            refused(
                lambda grams=grams: vial_sets(
                    D(grams), (D(5), D(10), D(20)), POLICY.dosing.rounding
                )
            ),
        )
    for last, days in (
        (None, None),
        ("privigen_10", 56),
        ("privigen_10", 57),
        ("privigen_10", None),
        ("octagam_10", 20),
    ):
        rule = start_rule(
            product_key="privigen_10",
            last_product_key=last,
            days_since_last=days,
            policy=POLICY.dosing.intervals,
        )
        yield f"{last} {days} days ago", rule


# The gate to Start

CATALOGUE = gate_catalogue()
LABS = POLICY.monitoring.lab_thresholds
READY = GateFacts(
    today=NINE.date(),
    age_years=D(50),
    attested={check.key: True for check in CATALOGUE.checks if check.attested},
    product="privigen_10",
    planned_g=D(40),
    dose_g_per_kg=D("0.5"),
    vials=(
        VialFact(
            product="privigen_10", grams=D(40), lot="L1", expires_on=date(2026, 3, 2)
        ),
    ),
    weight_kg=D(72),
    weight_age_days=0,
    order_weight_kg=D(72),
    consent_age_days=10,
    lab_age_days={"creatinine": 10, "haemoglobin": 10},
    answers={question.key: False for question in CATALOGUE.questions},
    blood_group="O+",
    pregnant=False,
    baseline=WELL,
    baseline_age_minutes=D(5),
    baseline_findings=(),
    planned_ml_per_h=D("21.6"),
    pump_shows_ml_per_h=D("21.6"),
)
NOTHING = GateFacts(
    today=NINE.date(), age_years=D(12), product="privigen_10", planned_g=D(40)
)


def lab(name: str, now: str, then: str | None = None) -> tuple[Reading, ...]:
    return (
        Reading(
            name=name,
            label=name.title(),
            unit="",
            now=D(now),
            baseline=D(then) if then else None,
            at=NINE,
        ),
    )


def gates() -> Iterator[tuple[str, Any]]:
    grave = judge({"systolic_mmhg": 88}, phase=Phase.BASELINE).findings
    vial = READY.vials[0]
    worst = replace(
        READY,
        attested={},
        vials=(
            replace(vial, lot="L2", grams=D(5), expires_on=date(2026, 3, 1)),
            replace(vial, product="octagam_10", lot="L3", grams=D(5)),
            replace(vial, lot="", expires_on=None, grams=D(5)),
        ),
        weight_kg=D(60),
        weight_age_days=40,
        height_needed=True,
        consent_age_days=800,
        lab_age_days={"creatinine": 900, "haemoglobin": 900},
        risk_factors={factor.key: True for factor in CATALOGUE.risk_factors},
        answers={question.key: True for question in CATALOGUE.questions},
        dose_g_per_kg=D(2),
        blood_group="A+",
        first_infusion=True,
        brand_switch=True,
        long_gap=True,
        pregnant=True,
        baseline=replace(WELL, spo2=None),
        baseline_age_minutes=D(30),
        baseline_findings=grave,
        product_names={"privigen_10": "Privigen 10%", "octagam_10": "Octagam 10%"},
        premedications=(
            PremedicationFact(name="Paracetamol", wait_minutes=D(30), minutes_ago=None),
            PremedicationFact(
                name="Cetirizine", wait_minutes=D(30), minutes_ago=D("12.5")
            ),
        ),
        pump_shows_ml_per_h=D("43.2"),
        lab_readings={
            "creatinine": lab("creatinine", "180", "90"),
            "haemoglobin_g_dl": lab("haemoglobin_g_dl", "9", "12"),
        },
    )
    yield "all is well", gate(READY, CATALOGUE, LABS)
    yield "nothing is known", gate(NOTHING, CATALOGUE, LABS)
    yield "all is wrong", refused(lambda: gate(worst, CATALOGUE, LABS))
    for name, changes in {
        "no vials": {"vials": ()},
        "unknown blood group": {"blood_group": None, "dose_g_per_kg": D(2)},
        "a child": {"age_years": D(15)},
        "a check not done": {"baseline_findings": None},
        "risks not known": {
            "risk_factors": {factor.key: None for factor in CATALOGUE.risk_factors}
        },
        "questions not asked": {"answers": {}},
        "on the last day": {"weight_age_days": 28, "consent_age_days": 365},
        "a day later": {"weight_age_days": 29, "consent_age_days": 366},
        "weight ten percent off": {"order_weight_kg": D(80)},
        "weight just under": {"order_weight_kg": D("79.9")},
    }.items():
        yield name, gate(replace(READY, **changes), CATALOGUE, LABS)
    yield "the catalogue itself", CATALOGUE


# Sets of vital signs and reactions


def assessments() -> Iterator[tuple[str, Any]]:
    cases: dict[str, tuple] = {
        "well": ({},),
        "a fall": ({"systolic_mmhg": 104},),
        "a deep fall with hives": ({"systolic_mmhg": 98}, {}, (("hives", "mild"),)),
        "a fever with rigors": ({"temperature_c": "38.4"}, {}, (("rigors", "mild"),)),
        "short of breath": ({"respiratory_rate": 26, "spo2": 89},),
        "not measured": ({"spo2": None, "consciousness": None},),
        "three reactions": (
            {},
            {},
            (("headache", "mild"), ("nausea", "moderate"), ("fever", "mild")),
        ),
        "anaphylaxis": ({"spo2": 88}, {}, (("anaphylaxis", "severe"),)),
        "confused, on oxygen": ({"consciousness": "C", "on_oxygen": True},),
        "scale 2": ({"spo2": 88, "spo2_scale": 2}, {"spo2": 90, "spo2_scale": 2}),
    }
    for name, case in cases.items():
        yield name, judge(*case)
    yield "a baseline that holds", judge({"systolic_mmhg": 88}, phase=Phase.BASELINE)
    yield "a baseline accepted", judge({"systolic_mmhg": 96}, phase=Phase.BASELINE)
    low, usual = {"systolic_mmhg": 60}, {"systolic_mmhg": 90}
    yield "an infant", judge(low, usual, age_years=D(0))
    yield "pregnant", judge({"systolic_mmhg": 80, "pulse": 120}, pregnant=True)
    yield (
        "at home, after the end",
        judge({}, {}, (("hives", "mild"),), phase=Phase.AFTER, minutes_since_end=D(60)),
    )
    yield "a new lot", judge(new_lot=True)
    yield "back again", judge({}, {}, (("headache", "mild"),), recurrence=True)
    yield "mild again", judge({}, {}, (("nausea", "mild"),), earlier_mild_reactions=2)
    yield "no rate known", judge({"systolic_mmhg": 104}, rate=None)


# The schedule, the end and the course of the rate


def after(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


def schedules() -> Iterator[tuple[str, Any]]:
    schedule = POLICY.monitoring.schedule
    running = Course(phase=Phase.INFUSING, schedule_from=NINE)
    courses = {
        "first": running,
        "step": replace(running, step_due_at=after(30), vitals_at=(after(15),)),
        "steady": replace(running, vitals_at=(after(15),)),
        "paused": replace(running, paused_at=after(20), vitals_at=(after(15),)),
        "recheck": replace(
            running, rechecks=(Recheck(at=after(25)),), vitals_at=(after(15),)
        ),
        "end": Course(
            phase=Phase.OBSERVING, ended_at=after(60), observe_until=after(80)
        ),
        "discharge": Course(
            phase=Phase.OBSERVING,
            ended_at=after(60),
            observe_until=after(80),
            vitals_at=(after(60),),
        ),
    }
    for name, course in courses.items():
        due = next_vitals(course, schedule)
        yield name, due
        found = time_findings(
            due=due,
            step_due_at=after(30),
            at=after(97.5),
            schedule=schedule,
            rules=POLICY.monitoring.time_rules,
        )
        yield f"{name}, late", found
    source = Source(text="a protocol")
    loud = judge({"systolic_mmhg": 104}).findings
    kept = judge({"pulse": 97}).findings
    for name, changes in {
        "not ended": {"ended_at": None},
        "too soon": {"at": after(69.9)},
        "no set": {"last_set_at": None},
        "an early set": {"last_set_at": after(69.9)},
        "a set from before": {"last_set_at": after(59)},
        "check not done": {"last_set_findings": None},
        "a loud set": {"last_set_findings": loud},
        "a quiet flag": {"last_set_findings": kept},
        "open flags": {"open_priorities": (Priority.LOW, Priority.HIGH)},
        "may go": {},
    }.items():
        given = {
            "at": after(80),
            "ended_at": after(60),
            "observe_minutes": Setting(value=D(20), source=source),
            "last_set_at": after(79),
            "last_set_findings": (),
        } | changes
        yield f"discharge: {name}", discharge(Departure(**given), schedule)


def courses() -> Iterator[tuple[str, Any]]:
    made = plan(
        product=product("privigen_10"),
        indication=indication("pi"),
        body=Body(weight_kg=D(72)),
        ordered=Ordered(g_per_kg=D("0.4")),
        policy=POLICY.dosing,
        experience="experienced",
    )
    changes = [
        (0, "21.6", "start"),
        (30, "43.2", "step"),
        (60, "86.4", "step"),
        (70, "0", "pause"),
        (90, "43.2", "resume"),
        (200, "0", "end"),
    ]
    events = [
        RateEvent(at=after(at), ml_per_h=D(rate), kind=kind)
        for at, rate, kind in changes
    ]
    for minute in (-1, 0, 15, 30, 65, 70, 80, 90, 119, 120, 150, 200, 300):
        state = running_state(
            events, made.rungs, made.volume_ml, after(minute), restart_minutes=D(30)
        )
        yield f"minute {minute}", state
    for rate in ("10", "21.6", "50", "86.4", "345.6"):
        yield f"reduced from {rate}", reduced(D(rate), made.rungs)
        for method in ("half_rate", "previous_step", "first_step"):
            dosing = of_dosing(restart__method=method)
            yield (
                f"restart from {rate}, {method}",
                restart(
                    dosing.restart,
                    rate_before_ml_per_h=D(rate),
                    rungs=made.rungs,
                    resolution_ml_per_h=D("0.1"),
                ),
            )


# Bodies, names, numbers


def questions() -> Iterator[tuple[str, Any]]:
    for kg, years, last, height in (
        ("72", 50, "72", "168"), ("158", 50, "72", "168"), ("33", 50, "72", None),
        ("72", 50, "60", None), ("20", 50, None, "168"), ("200", 50, None, "168"),
        ("5", 10, None, None), ("90", 10, None, None), ("40", 18, None, "190"),
        ("40", 17, None, "190"), ("79.2", 50, "72", None), ("79.1", 50, "72", None),
    ):  # fmt: skip
        asked = weight_questions(
            D(kg),
            years=years,
            last_kg=D(last) if last else None,
            height_cm=D(height) if height else None,
            most_change_percent=D(10),
        )
        yield f"{kg} kg at {years}, last {last}, {height} cm", asked
    for cm, years, last in (
        ("168", 50, "168"), ("120", 50, None), ("230", 18, None), ("120", 17, None),
        ("168", 50, "160"), ("168", 50, "158"), ("158", 50, "168"),
    ):  # fmt: skip
        last_cm = D(last) if last else None
        asked = height_questions(D(cm), years=years, last_cm=last_cm)
        yield f"{cm} cm at {years}, last {last}", asked
    ada = Named(
        family_name="Okonkwo", given_names="Adaeze", birth_date=date(1978, 3, 14)
    )
    for family, given, born in (
        ("Okonkwo", "Adaeze", date(1978, 3, 14)),
        ("Okonkwo", "Ada", date(1990, 1, 1)),
        ("Okonkwe", "Adaeze", date(1990, 1, 1)),
        ("Adaeze", "Okonkwo", date(1990, 1, 1)),
        ("Li", "Bo", date(1978, 3, 14)),
        ("Smith", "Jo", date(1990, 1, 1)),
    ):
        other = Named(family_name=family, given_names=given, birth_date=born)
        yield f"like {family} {given} {born}", similar(ada, other)
    for word in ("14031978", "03141978", "19780314", "140378", "14.3.1978", "3/14/78"):
        yield f"day {word}", possible_days(word)
    for value in (Fraction(1, 3), Fraction(1, 8), D("10"), D("0.50"), Fraction(12)):
        yield f"number {value!r}", [json_number(value), plain(value), shown(value)]
    for years in ("0.5", "3", "15.9", "16", "50"):
        told = {
            f"{name} {value}": plausibility(name, D(value), age_years=D(years)).value
            for name in ("systolic_mmhg", "pulse", "respiratory_rate", "spo2")
            for value in range(0, 320, 8)
        }
        yield f"limits at {years}", told


# Documents


def broken() -> Iterator[tuple[str, Any]]:
    """Each kind of value taken away, replaced, and one that nobody knows."""
    whole = default_document()
    seen = set()
    for path in _tables(whole):
        shape = tuple("n" if isinstance(step, int) else step for step in path)
        for key in [*_at(whole, path), "surplus"]:
            if (shape, key) in seen:
                continue
            seen.add((shape, key))
            name = ".".join(map(str, (*path, key)))
            for way in ("gone", "strange"):
                document = deepcopy(whole)
                table = _at(document, path)
                if way == "gone" and key != "surplus":
                    del table[key]
                else:
                    table[key] = {"strange": []} if way == "strange" else 1
                words = refused(
                    lambda document=document: (
                        Policy.from_document(document, code="2026", version=1).label
                    )
                )
                yield f"{name} {way}", words


def _tables(table: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every table of the document, of rows in a list the first two."""
    if isinstance(table, dict):
        yield path
        for key, value in table.items():
            yield from _tables(value, (*path, key))
    elif isinstance(table, list):
        for place, value in enumerate(table[:2]):
            yield from _tables(value, (*path, place))


def _at(table: Any, path: tuple) -> Any:
    for step in path:
        table = table[step]
    return table


SCENES: dict[str, Callable[[], Iterator[tuple[str, Any]]]] = {
    "plans": plans,
    "gate": gates,
    "assessments": assessments,
    "schedule": schedules,
    "course": courses,
    "questions": questions,
    "documents": broken,
}


def answers(scene: str) -> dict[str, Any]:
    return json.loads(json.dumps({name: plainly(a) for name, a in SCENES[scene]()}))


if __name__ == "__main__":
    told = {scene: answers(scene) for scene in SCENES}
    FILE.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
