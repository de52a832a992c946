"""The bands of NEWS2 beside each panel, as nurses know them from the national chart.

A digit stands in each band that has room for one; colour only repeats it. There are
none in pregnancy, under the age from which the score counts, or without a protocol.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sessions.charts import SessionChart
from sessions.rules.news2 import Bands, News2Chart

ROOM_FOR_DIGIT = 11


@dataclass(slots=True, kw_only=True)
class Zone:
    """One band beside a panel: where it lies, and what it scores."""

    y: str
    height: str
    score: int
    digit_y: str = ""


def bands_of(chart: SessionChart, measure: str) -> Bands | None:
    """How NEWS2 scores one vital sign of this patient; None where it does not apply."""
    if chart.policy is None or chart.is_pregnant:
        return None
    published = chart.policy.monitoring.news2
    day = chart.session.clinic.day_of(chart.at)
    if chart.session.patient.age_on(day) < published.age_from:
        return None
    if measure == "spo2":
        return _saturation(chart, published)
    return published.numbers.get(measure)


def _saturation(chart: SessionChart, published: News2Chart) -> Bands | None:
    """Scale 1, or scale 2 as the last set was taken: on air or on oxygen."""
    last = chart.last_vitals
    if last is None or last.spo2_scale == 1:
        return published.spo2_scale_1
    if last.on_oxygen is None:
        return None
    return (
        published.spo2_scale_2_oxygen if last.on_oxygen else published.spo2_scale_2_air
    )


def spans(bands: Bands, low: float, high: float) -> Iterator[tuple[float, float, int]]:
    """From, to and score of every band that lies between two values."""
    begin = Decimal(str(low))
    end = Decimal(str(high))
    for below, score in (*bands.cuts, (end, bands.last)):
        upto = min(max(below, begin), end)
        if upto > begin:
            yield float(begin), float(upto), score
        begin = max(begin, upto)
