"""Rules of a protocol in words, as pages show them to people who check them."""

from __future__ import annotations

from sessions.rules.thresholds import Reading, Threshold
from sessions.rules.vitals import MEASURES

OTHER_MEASURES = {
    "news2_total": ("NEWS2 total", ""),
    "news2_part": ("NEWS2, one value", ""),
    "news2_rise": ("NEWS2 total", ""),
    "haemoglobin_g_dl": ("Haemoglobin", "g/dL"),
    "urine_ml_8h": ("Urine in 8 h", "mL"),
    "creatinine": ("Creatinine", ""),
}
"""What a limit may speak of beside vital signs: its name on screen and its unit."""


def threshold_words(rule: Threshold) -> list[str]:
    """Each condition of a rule: "Systolic: fall of 20 mmHg or more"."""
    return [
        f"{reading.label}: {condition.limit_text(reading)}"
        for condition in rule.conditions
        for reading in [_reading(condition.measure)]
    ]


def _reading(measure: str) -> Reading:
    unknown = (measure.replace("_", " ").capitalize(), "")
    label, unit = MEASURES.get(measure) or OTHER_MEASURES.get(measure, unknown)
    return Reading(name=measure, label=label, unit=unit, now=None)


def for_whom(rule: Threshold) -> str:
    """Whom a rule speaks about: "from 16 years, not in pregnancy"."""
    people, words = rule.population, []
    if people.age_from is not None:
        words.append(f"from {people.age_from} years")
    if people.age_below is not None:
        words.append(f"under {people.age_below} years")
    if people.or_weight_below_kg is not None:
        words.append(f"or under {people.or_weight_below_kg} kg")
    if not people.in_pregnancy:
        words.append("not in pregnancy")
    if rule.spo2_scale:
        words.append(f"SpO2 scale {rule.spo2_scale}")
    if rule.signs:
        words.append(f"with {rule.signs} signs")
    return ", ".join(words) or "everybody"
