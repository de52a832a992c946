"""What stood at each moment of a visit, in words: the readout of the chart.

A stop is a set, or something else that happened; all of one minute is one stop. Its
words hold every value with its unit, so that no mark has to be seen to be read.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.charts import SessionChart
from sessions.drawing.temperatures import shown, sign
from sessions.models import RateKind, VitalSigns
from sessions.rules.quantities import plain

MISSING = "–"
TOLD_RATES = (RateKind.START, RateKind.PAUSE, RateKind.RESUME, RateKind.STOP)


@dataclass(slots=True, kw_only=True)
class Stop:
    """One moment: its place, the strip of the chart that belongs to it, its words."""

    at: datetime
    words: str
    x: str = ""
    left: str = ""
    width: str = ""


def stops_of(chart: SessionChart) -> list[Stop]:
    """Every moment at which something was measured or happened, oldest first."""
    said: dict[datetime, list[str]] = defaultdict(list)
    for moment, words in _told(chart):
        said[moment.replace(second=0, microsecond=0)].append(words)
    stops = []
    for minute in sorted(said):
        clock = timezone.localtime(minute).strftime("%H:%M")
        stops.append(Stop(at=minute, words=" · ".join((clock, *said[minute]))))
    return stops


def _told(chart: SessionChart) -> Iterator[tuple[datetime, str]]:
    for row in chart.vitals:
        yield row.event_time, set_words(chart, row)
    for change in chart.rates:
        if change.kind in TOLD_RATES:
            rate = plain(change.rate_ml_per_h)
            yield change.event_time, f"{change.get_kind_display()} {rate} mL/h"
    for raised in chart.flags:
        yield (
            raised.flag.event_time,
            _("Flag: %(what)s") % {"what": raised.flag.headline},
        )
    for seen in chart.reactions:
        words = _("Reaction: %(what)s") % {"what": seen.words}
        yield seen.reaction.event_time, words
    for given in chart.medicines:
        dose = f"{given.name} {plain(given.dose)} {given.dose_unit}"
        yield given.event_time, _("Given: %(what)s") % {"what": dose}


def set_words(chart: SessionChart, row: VitalSigns) -> str:
    """Every number of a set with its unit, and the rate it was taken at."""
    low = MISSING if row.diastolic_mmhg is None else row.diastolic_mmhg
    high = MISSING if row.systolic_mmhg is None else row.systolic_mmhg
    warmth = MISSING
    if row.temperature_c is not None:
        warmth = plain(shown(chart, row.temperature_c), 1)
    score = (row.news2 or {}).get("total")
    rates = [r for r in chart.rates if r.event_time <= row.event_time]
    parts = [
        _("BP {high}/{low} mmHg").format(high=high, low=low),
        _("pulse {pulse} /min").format(pulse=_number(row.pulse)),
        _("respiration {rate} /min").format(rate=_number(row.respiratory_rate)),
        _("SpO₂ {spo2} %").format(spo2=_number(row.spo2)),
        _("temperature {warmth} {unit}").format(warmth=warmth, unit=sign(chart)),
    ]
    if score is not None:
        parts.append(f"NEWS2 {score}")
    if rates:
        parts.append(_("pump {rate} mL/h").format(rate=plain(rates[-1].rate_ml_per_h)))
    return ", ".join(parts)


def _number(value: int | None) -> str:
    return MISSING if value is None else str(value)
