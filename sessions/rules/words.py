"""Rules of a protocol in words, as pages show them to people who check them."""

from __future__ import annotations

from collections.abc import Iterable

from sessions.rules.language import phrase, say
from sessions.rules.thresholds import Condition, Reading, Side, Threshold
from sessions.rules.vitals import CONSCIOUSNESS, MEASURES

OTHER_MEASURES = {
    "news2_total": (phrase("NEWS2 total"), ""),
    "news2_part": (phrase("NEWS2, one value"), ""),
    "news2_rise": (phrase("NEWS2 total"), ""),
    "haemoglobin_g_dl": (phrase("Haemoglobin"), "g/dL"),
    "urine_ml_8h": (phrase("Urine in 8 h"), "mL"),
    "creatinine": (phrase("Creatinine"), ""),
}
"""What a limit may speak of beside vital signs: its name on screen and its unit."""


def threshold_words(rule: Threshold) -> list[str]:
    """Each condition of a rule: "Systolic: fall of 20 mmHg or more"."""
    return [
        f"{say(reading.label)}: {condition.limit_text(reading)}"
        for condition in rule.conditions
        for reading in [_reading(condition.measure)]
    ]


def _reading(measure: str) -> Reading:
    unknown = (measure.replace("_", " ").capitalize(), "")
    label, unit = MEASURES.get(measure) or OTHER_MEASURES.get(measure, unknown)
    words = tuple(CONSCIOUSNESS.values()) if measure == "consciousness" else ()
    return Reading(name=measure, label=label, unit=unit, now=None, words=words)


def shortest(rules: Iterable[Threshold]) -> list[str]:
    """What rules with the same action come to, each measure once in each way.

    Of two limits on the same side the one that speaks first stands for both, and a
    rule of several conditions says nothing new when one of them speaks alone.
    """
    rules = list(rules)
    first: dict[tuple[str, str, Side], Condition] = {}
    for rule in rules:
        if len(rule.conditions) == 1:
            [condition] = rule.conditions
            known = first.get(_way(condition))
            if known is None or _sooner(condition, known):
                first[_way(condition)] = condition
    words = [
        f"{say(_reading(c.measure).label)}: {c.limit_text(_reading(c.measure))}"
        for c in first.values()
    ]
    words += [
        say(" and ").join(threshold_words(rule))
        for rule in rules
        if len(rule.conditions) > 1
        and not any(_said(condition, first) for condition in rule.conditions)
    ]
    return words


def _way(condition: Condition) -> tuple[str, str, Side]:
    rising = condition.side in (Side.AT_LEAST, Side.ABOVE)
    side = Side.AT_LEAST if rising else Side.AT_MOST
    return condition.measure, condition.compare.value, side


def _sooner(one: Condition, other: Condition) -> bool:
    if _way(one)[2] is Side.AT_LEAST:
        return one.limit < other.limit
    return one.limit > other.limit


def _said(condition: Condition, first: dict[tuple[str, str, Side], Condition]) -> bool:
    known = first.get(_way(condition))
    return known is not None and not _sooner(condition, known)


def for_whom(rule: Threshold) -> str:
    """Whom a rule speaks about: "from 16 years, not in pregnancy"."""
    people, words = rule.population, []
    if people.age_from is not None:
        words.append(say("from {age_from} years", age_from=people.age_from))
    if people.age_below is not None:
        words.append(say("under {age_below} years", age_below=people.age_below))
    if people.or_weight_below_kg is not None:
        words.append(
            say(
                "or under {or_weight_below_kg} kg",
                or_weight_below_kg=people.or_weight_below_kg,
            )
        )
    if not people.in_pregnancy:
        words.append(say("not in pregnancy"))
    if rule.spo2_scale:
        words.append(say("SpO2 scale {spo2_scale}", spo2_scale=rule.spo2_scale))
    if rule.signs:
        words.append(say("with {signs} signs", signs=rule.signs))
    return ", ".join(words) or say("everybody")
