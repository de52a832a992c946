"""NEWS2, scored exactly as published, or refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sessions.rules.documents import Fields
from sessions.rules.language import say
from sessions.rules.sources import Source
from sessions.rules.vitals import CONSCIOUSNESS, VitalSet

PARTS = {
    "respiratory_rate": "respiratory_rate",
    "spo2": "spo2",
    "oxygen": "on_oxygen",
    "systolic_mmhg": "systolic_mmhg",
    "pulse": "pulse",
    "consciousness": "consciousness",
    "temperature_c": "temperature_c",
}
"""The seven parts of the score, and the vital sign each is scored from."""
NUMBERS = ("respiratory_rate", "systolic_mmhg", "pulse", "temperature_c")
"""The parts that are scored by one table of bands, whatever else was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """Scores of one part: half-open bands that leave no gap.

    Each cut point ends a band below it; `last` is the score from the last one up.
    """

    cuts: tuple[tuple[Decimal, int], ...]
    last: int

    @classmethod
    def read(cls, fields: Fields) -> Bands:
        """Read the bands; cut points rise, and only the last band is open."""
        cuts: list[tuple[Decimal, int]] = []
        rows = fields.rows("bands")
        if not rows:
            raise fields.fail("bands", "holds no band")
        for row in rows[:-1]:
            below = row.number("below")
            if cuts and below <= cuts[-1][0]:
                raise row.fail("below", "cut points must rise")
            cuts.append((below, row.whole("score")))
            row.done()
        last = rows[-1].whole("score")
        rows[-1].done()
        fields.done()
        return cls(cuts=tuple(cuts), last=last)

    def score(self, value: Decimal) -> int:
        """Score one value."""
        return next((score for below, score in self.cuts if value < below), self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class News2Chart:
    """The published scoring table, with whom it may score and what its totals mean."""

    numbers: Mapping[str, Bands]
    spo2_scale_1: Bands
    spo2_scale_2_air: Bands
    spo2_scale_2_oxygen: Bands
    on_oxygen: int
    consciousness: Mapping[str, int]
    total_bands: Mapping[str, int]
    single_part: int
    single_part_band: str
    age_from: Decimal
    source: Source

    @classmethod
    def read(cls, fields: Fields) -> News2Chart:
        """Read the table."""
        bands = fields.child("bands")
        awake, totals = fields.child("consciousness"), fields.child("total_bands")
        chart = cls(
            spo2_scale_1=Bands.read(bands.child("spo2_scale_1")),
            spo2_scale_2_air=Bands.read(bands.child("spo2_scale_2_air")),
            spo2_scale_2_oxygen=Bands.read(bands.child("spo2_scale_2_oxygen")),
            numbers={name: Bands.read(bands.child(name)) for name in NUMBERS},
            on_oxygen=fields.whole("on_oxygen"),
            consciousness={letter: awake.whole(letter) for letter in CONSCIOUSNESS},
            total_bands={name: totals.whole(name) for name in totals.table},
            single_part=fields.whole("single_part"),
            single_part_band=fields.text("single_part_band"),
            age_from=fields.number("age_from"),
            source=fields.source(),
        )
        fields.text("note", default="")
        for table in (bands, awake, fields):
            table.done()
        return chart

    def part(self, name: str, vitals: VitalSet) -> int | None:
        """Score one part, or None when what it needs was not measured."""
        value = getattr(vitals, PARTS[name])
        if value is None:
            return None
        if name == "consciousness":
            return self.consciousness[value]
        if name == "oxygen":
            return self.on_oxygen if value else 0
        if name == "spo2":
            return self._spo2(Decimal(value), vitals)
        return self.numbers[name].score(Decimal(value))

    def _spo2(self, spo2: Decimal, vitals: VitalSet) -> int | None:
        if vitals.spo2_scale == 1:
            return self.spo2_scale_1.score(spo2)
        if vitals.on_oxygen is None:
            return None
        if vitals.on_oxygen:
            return self.spo2_scale_2_oxygen.score(spo2)
        return self.spo2_scale_2_air.score(spo2)

    def band(self, parts: Mapping[str, int]) -> str:
        """Name the clinical risk of a total: the highest band it reaches."""
        total = sum(parts.values())
        reached = [name for name, floor in self.total_bands.items() if total >= floor]
        risen = max(reached, key=lambda name: self.total_bands[name])
        medium = sorted(self.total_bands.values())[-2]
        if total < medium and self.single_part in parts.values():
            return self.single_part_band
        return risen


@dataclass(frozen=True, slots=True, kw_only=True)
class News2:
    """A complete score with the score of each part."""

    total: int
    band: str
    parts: Mapping[str, int]
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class News2Refused:
    """Why there is no score; `missing` names the vital signs nobody measured."""

    reason: str
    missing: tuple[str, ...] = ()


def known_parts(vitals: VitalSet | None, chart: News2Chart) -> dict[str, int]:
    """Score the parts that were measured; their sum is the least the total can be."""
    if vitals is None:
        return {}
    scored = {name: chart.part(name, vitals) for name in PARTS}
    return {name: score for name, score in scored.items() if score is not None}


def news2(
    vitals: VitalSet | None, *, age_years: Decimal, pregnant: bool, chart: News2Chart
) -> News2 | News2Refused:
    """Score a set, or refuse: under age, pregnant, or anything missing.

    A part that was not measured never counts as 0.
    """
    if age_years < chart.age_from:
        return News2Refused(reason=say("under {age_from}", age_from=chart.age_from))
    if pregnant:
        return News2Refused(reason=say("pregnancy"))
    needed = PARTS.values()
    missing = tuple(
        name for name in needed if vitals is None or getattr(vitals, name) is None
    )
    if missing:
        return News2Refused(
            reason=say("missing: {missing}", missing=", ".join(missing)),
            missing=missing,
        )
    parts = known_parts(vitals, chart)
    return News2(
        total=sum(parts.values()),
        band=chart.band(parts),
        parts=parts,
        source=chart.source,
    )
