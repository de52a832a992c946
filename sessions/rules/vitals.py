"""A set of vital signs: what it holds, what is plausible, what rules read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from sessions.rules.language import inside, phrase, say
from sessions.rules.sources import Source
from sessions.rules.thresholds import Reading

CONSCIOUSNESS = {
    "A": phrase("alert"),
    "C": phrase("new confusion"),
    "V": phrase("responds to voice"),
    "P": phrase("responds to pain"),
    "U": phrase("unresponsive"),
}
"""ACVPU, best first; the place in this table is what a limit compares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalSet:
    """One set of vital signs; None means that nobody measured it, never normal."""

    temperature_c: Decimal | None = None
    pulse: int | None = None
    systolic_mmhg: int | None = None
    diastolic_mmhg: int | None = None
    respiratory_rate: int | None = None
    spo2: int | None = None
    spo2_scale: int = 1
    on_oxygen: bool | None = None
    consciousness: str | None = None
    pain: int | None = None
    at: datetime | None = None


MEASURES: dict[str, tuple[str, str]] = {
    "temperature_c": (phrase("Temperature"), "°C"),
    "pulse": (phrase("Pulse"), "/min"),
    "systolic_mmhg": (phrase("Systolic"), "mmHg"),
    "diastolic_mmhg": (phrase("Diastolic"), "mmHg"),
    "respiratory_rate": (phrase("Respiratory rate"), "/min"),
    "spo2": ("SpO2", "%"),
    "consciousness": (phrase("Consciousness"), ""),
}
"""Each measured vital sign a limit may speak of: its name on screen and its unit."""

COMPLETE = ("temperature_c", "pulse", "systolic_mmhg", "diastolic_mmhg",
            "respiratory_rate", "spo2")  # fmt: skip
"""The six usual numbers of a full set."""


NAMES = {
    **{name: label for name, (label, _) in MEASURES.items()},
    "on_oxygen": phrase("Air or oxygen"),
}
"""What a missing value is called in a sentence."""


def in_words(missing: tuple[str, ...]) -> str:
    """Name missing values in a sentence: "pulse, baseline of temperature"."""
    words = []
    for name in missing:
        bare = name.removeprefix("baseline ")
        label = say(NAMES.get(bare, bare))
        label = label if label == "SpO2" else inside(label)
        words.append(label if bare == name else say("baseline of {label}", label=label))
    return ", ".join(words)


def missing_from(vitals: VitalSet | None) -> tuple[str, ...]:
    """Name those of the six usual numbers that nobody measured."""
    return tuple(
        name for name in COMPLETE if vitals is None or getattr(vitals, name) is None
    )


def readings_of(
    now: VitalSet | None, baseline: VitalSet | None, last: VitalSet | None = None
) -> dict[str, tuple[Reading, ...]]:
    """Pair each vital sign of a set with this session's baseline and the last set."""
    return {
        name: (
            Reading(
                name=name,
                label=label,
                unit=unit,
                now=_number(now, name),
                baseline=_number(baseline, name),
                last=_number(last, name),
                words=tuple(CONSCIOUSNESS.values()) if name == "consciousness" else (),
                at=now.at if now else None,
                baseline_at=baseline.at if baseline else None,
                last_at=last.at if last else None,
            ),
        )
        for name, (label, unit) in MEASURES.items()
    }


def _number(vitals: VitalSet | None, name: str) -> Decimal | None:
    value = getattr(vitals, name) if vitals else None
    if value is None:
        return None
    if name == "consciousness":
        return Decimal(list(CONSCIOUSNESS).index(value))
    return Decimal(value)


class Plausibility(Enum):
    """Whether a typed value can be true at all."""

    PLAUSIBLE = "plausible"
    IMPLAUSIBLE = "implausible"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlausibleRange:
    """What one field accepts: outside `hard` is refused, outside `soft` is asked."""

    hard_low: Decimal
    hard_high: Decimal
    soft_low: Decimal
    soft_high: Decimal
    source: Source

    def judge(self, value: Decimal) -> Plausibility:
        """Say whether a value is refused, asked about or taken."""
        if not self.hard_low <= value <= self.hard_high:
            return Plausibility.IMPOSSIBLE
        if not self.soft_low <= value <= self.soft_high:
            return Plausibility.IMPLAUSIBLE
        return Plausibility.PLAUSIBLE


def _policy(
    hard_low: str, hard_high: str, soft_low: str, soft_high: str
) -> PlausibleRange:
    return PlausibleRange(
        hard_low=Decimal(hard_low),
        hard_high=Decimal(hard_high),
        soft_low=Decimal(soft_low),
        soft_high=Decimal(soft_high),
        source=Source(text="Plausibility of typed values: our policy", verified=False),
    )


LIMITS: Mapping[str, Mapping[str, PlausibleRange]] = {
    "adult": {
        "temperature_c": _policy("25.0", "45.0", "34.0", "41.0"),
        "pulse": _policy("20", "300", "40", "160"),
        "systolic_mmhg": _policy("30", "300", "70", "220"),
        "diastolic_mmhg": _policy("10", "200", "35", "130"),
        "respiratory_rate": _policy("0", "100", "8", "40"),
        "spo2": _policy("30", "100", "85", "100"),
        "pain": _policy("0", "10", "0", "10"),
    },
    "child": {
        "temperature_c": _policy("25.0", "45.0", "34.0", "41.0"),
        "pulse": _policy("20", "300", "50", "200"),
        "systolic_mmhg": _policy("30", "300", "60", "160"),
        "diastolic_mmhg": _policy("10", "200", "25", "110"),
        "respiratory_rate": _policy("0", "120", "10", "60"),
        "spo2": _policy("30", "100", "85", "100"),
        "pain": _policy("0", "10", "0", "10"),
    },
    "infant": {
        "temperature_c": _policy("25.0", "45.0", "34.0", "41.0"),
        "pulse": _policy("20", "320", "70", "220"),
        "systolic_mmhg": _policy("20", "250", "40", "130"),
        "diastolic_mmhg": _policy("10", "180", "15", "90"),
        "respiratory_rate": _policy("0", "150", "15", "80"),
        "spo2": _policy("30", "100", "85", "100"),
        "pain": _policy("0", "10", "0", "10"),
    },
}
"""Typed values: hard limits refuse, soft limits ask. No source was found: policy."""

SOFT_CHANGES: Mapping[str, Decimal] = {
    "temperature_c": Decimal("2.0"),
    "pulse": Decimal(50),
    "systolic_mmhg": Decimal(50),
    "diastolic_mmhg": Decimal(40),
    "respiratory_rate": Decimal(15),
    "spo2": Decimal(10),
}
"""A change from the last set larger than this is asked about before it is saved."""


def age_band(age_years: Decimal) -> str:
    """Name the age band whose plausible ranges apply."""
    if age_years < 1:
        return "infant"
    return "child" if age_years < 16 else "adult"


def plausibility(
    name: str, value: Decimal, *, age_years: Decimal, last: Decimal | None = None
) -> Plausibility:
    """Judge one typed value by its age band, and by its change from the last set."""
    judged = LIMITS[age_band(age_years)][name].judge(value)
    if judged is Plausibility.PLAUSIBLE and last is not None:
        widest = SOFT_CHANGES.get(name)
        if widest is not None and abs(value - last) > widest:
            return Plausibility.IMPLAUSIBLE
    return judged
