"""The observation chart as plain coordinates: stacked panels on one time axis (E6).

Pure geometry from a chart to places and words; the template only puts them there.
Nothing here decides anything: limits come from the protocol, values from the record.
Places on the screen are floats, which no clinical number ever is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from sessions.charts import SessionChart
from sessions.drawing.limits import Edge, edge_words, edges_of, strict
from sessions.drawing.stops import Stop, stops_of
from sessions.drawing.temperatures import in_fahrenheit, shown, sign
from sessions.drawing.zones import ROOM_FOR_DIGIT, Zone, bands_of, spans
from sessions.models import STANDSTILL, FlagPriority, RateKind, VitalSigns
from sessions.rules.language import inside
from sessions.rules.quantities import plain

LEFT, RIGHT, WIDTH = 124, 712, 800
"""Where the time axis lies; from RIGHT to 728 stand the bands of NEWS2."""
TOP, GAP = 22, 5
MARGIN = timedelta(minutes=3)
FIRST_HOUR = timedelta(hours=1)
"""How much of the plan ahead is drawn at least."""
LETTER_WIDTH = 7
MARK_WIDTH = 16
"""Marks of medicines nearer than this are one mark."""

PANELS = (
    ("bp", _lazy("BP"), "mmHg", "systolic_mmhg", 92, (50, 170), 20),
    ("pulse", _lazy("Pulse"), "/min", "pulse", 56, (50, 130), 30),
    ("resp", _lazy("Respiration"), "/min", "respiratory_rate", 46, (8, 28), 8),
    ("spo2", _lazy("SpO₂"), "%", "spo2", 46, (88, 100), 4),
    ("temp", _lazy("Temperature"), "°C", "temperature_c", 54, (Decimal("35.6"), 39), 1),
)
"""Class, title, unit, column, height, least domain, distance of the grid lines."""

RATE_HEIGHT = 78


@dataclass(slots=True, kw_only=True)
class Line:
    """One horizontal or vertical line, already placed."""

    at: str
    label: str = ""
    second: str = ""


@dataclass(slots=True, kw_only=True)
class Mark:
    """One measured point; `y2` is the diastolic end of a pressure."""

    x: str
    y: str
    y2: str = ""
    d: str = ""


@dataclass(slots=True, kw_only=True)
class Panel:
    """One vital sign: frame, quiet band, limits, line and last value."""

    key: str
    title: str
    unit: str
    top: str
    height: str
    bottom: str
    title_y: str
    unit_y: str
    band: tuple[str, str] | None = None
    edges: list[Line] = field(default_factory=list)
    grid: list[Line] = field(default_factory=list)
    points: str = ""
    marks: list[Mark] = field(default_factory=list)
    zones: list[Zone] = field(default_factory=list)
    value: str = ""
    value_y: str = ""


@dataclass(slots=True, kw_only=True)
class Block:
    """One stretch of constant rate."""

    x: str
    y: str
    width: str
    height: str
    x2: str
    label_x: str = ""
    label_y: str = ""
    label: str = ""


@dataclass(slots=True, kw_only=True)
class Event:
    """A flag or a reaction through all panels."""

    state: str
    x: str
    path: str
    dash: str
    words: str
    label: str = ""
    label_x: str = ""
    anchor: str = "start"


@dataclass(slots=True, kw_only=True)
class Drawing:
    """The whole chart; every coordinate is text with a point as decimal mark."""

    height: int
    panels: list[Panel]
    rate: Panel
    blocks: list[Block]
    plan: str
    times: list[Line]
    events: list[Event]
    medicines: list[Line]
    pauses: list[Block]
    stops: list[Stop]
    now_x: str
    foot: str
    limits: str
    description: str


@dataclass(slots=True)
class _Axis:
    """From a time to a place between left and right."""

    begin: datetime
    end: datetime

    def x(self, moment: datetime) -> float:
        span = max((self.end - self.begin).total_seconds(), 60)
        part = (moment - self.begin).total_seconds() / span
        return LEFT + min(max(part, 0), 1) * (RIGHT - LEFT)


@dataclass(slots=True)
class _Scale:
    """From a value to a height inside one panel."""

    low: float
    high: float
    top: int
    height: int

    def y(self, value: Decimal | int | float | Fraction) -> float:
        part = (float(value) - self.low) / (self.high - self.low)
        return self.top + self.height - min(max(part, 0), 1) * self.height


def draw(chart: SessionChart) -> Drawing:
    """Place everything that is known of a visit."""
    axis = _axis(chart)
    top, panels = TOP, []
    said: list[str] = []
    for key, title, unit, column, height, domain, grid in PANELS:
        panel, words = _panel(
            chart, axis, (key, title, unit, column), top, height, domain, grid
        )
        panels.append(panel)
        said += words
        top += height + GAP
    rate, blocks, planned = _rate_panel(chart, axis, top)
    bottom = top + RATE_HEIGHT
    count = len(chart.vitals)
    sets = ngettext("%(count)d set", "%(count)d sets", count) % {"count": count}
    return Drawing(
        height=bottom + 36,
        panels=panels,
        rate=rate,
        blocks=blocks,
        plan=planned,
        times=_times(chart, axis, bottom),
        events=_events(chart, axis),
        medicines=_medicines(chart, axis),
        pauses=_pauses(chart, axis, top),
        stops=_stops(chart, axis),
        now_x=_t(axis.x(chart.at)) if chart.ended_at is None else "",
        foot=str(bottom),
        limits="; ".join(said),
        description=_(
            "Five panels of vital signs and the pump rate, %(sets)s. "
            "The table below holds every value."
        )
        % {"sets": sets},
    )


def _stops(chart: SessionChart, axis: _Axis) -> list[Stop]:
    """Each moment with its strip of the chart, up to half way to its neighbours."""
    stops = [s for s in stops_of(chart) if s.at <= axis.end]
    places = [axis.x(stop.at) for stop in stops]
    if not stops:
        return []
    edges = [LEFT, *((a + b) / 2 for a, b in pairwise(places)), 728]
    for stop, x, (left, right) in zip(stops, places, pairwise(edges), strict=True):
        stop.x, stop.left, stop.width = _t(x), _t(left), _t(max(right - left, 0))
    return stops


def _pauses(chart: SessionChart, axis: _Axis, top: int) -> list[Block]:
    """Stretches in which the pump stood still."""
    ends = [*(row.event_time for row in chart.rates[1:]), chart.ended_at or chart.at]
    found = []
    for row, until in zip(chart.rates, ends, strict=False):
        if row.kind != RateKind.PAUSE:
            continue
        x, x2 = axis.x(row.event_time), axis.x(until)
        block = Block(
            x=_t(x), y=str(top), width=_t(x2 - x), height=str(RATE_HEIGHT), x2=_t(x2)
        )
        if x2 - x >= 36:
            block.label, block.label_x = _("Pause"), _t((x + x2) / 2)
            block.label_y = str(top + 14)
        found.append(block)
    return found


def _medicines(chart: SessionChart, axis: _Axis) -> list[Line]:
    """Given medicines in order; those given together share one mark."""
    lines: list[Line] = []
    last = float("-inf")
    for row in sorted(chart.medicines, key=lambda given: given.event_time):
        if not axis.begin <= row.event_time <= axis.end:
            continue
        x = axis.x(row.event_time)
        if lines and x - last < MARK_WIDTH:
            lines[-1].label += f", {row.name}"
            continue
        lines.append(Line(at=_t(x), label=row.name))
        last = x
    return lines


def _axis(chart: SessionChart) -> _Axis:
    times = [row.event_time for row in (*chart.vitals, *chart.rates)]
    times += [raised.flag.event_time for raised in chart.flags]
    first = min(times, default=chart.at)
    if chart.ended_at is not None:
        last = max([*times, chart.observe_until or chart.ended_at])
        return _Axis(first - MARGIN, max(last, chart.ended_at) + MARGIN)
    last = max([*times, chart.at])
    ahead = chart.ends_at or last
    soon = max(last + (last - first), first + FIRST_HOUR)
    return _Axis(first - MARGIN, max(min(ahead, soon), last) + MARGIN)


def _panel(
    chart: SessionChart,
    axis: _Axis,
    names: tuple[str, str, str, str],
    top: int,
    height: int,
    domain: tuple,
    grid: int,
) -> tuple[Panel, list[str]]:
    key, title, unit, column = names
    values = [getattr(row, column) for row in chart.vitals]
    lows = [row.diastolic_mmhg for row in chart.vitals] if key == "bp" else []
    known = [float(v) for v in (*values, *lows) if v is not None]
    edges = edges_of(chart, column)
    scale = _Scale(
        min([float(domain[0]), *(v - 1 for v in known)]),
        max([float(domain[1]), *(v + 1 for v in known)]),
        top,
        height,
    )
    if key == "spo2":
        scale.high = 101.0
    rows = [(row, value) for row, value in zip(chart.vitals, values, strict=True)]
    measured = [(row, value) for row, value in rows if value is not None]
    panel = Panel(
        key=key,
        title=title,
        unit=sign(chart) if key == "temp" else unit,
        top=str(top),
        height=str(height),
        bottom=str(top + height),
        title_y=str(top + height // 2 - 1),
        unit_y=str(top + height // 2 + 14),
        band=_band(edges, scale),
        edges=_edge_lines(edges, scale),
        grid=_fahrenheit_grid(scale)
        if key == "temp" and in_fahrenheit(chart)
        else _grid(scale, grid),
        zones=_zones(chart, column, scale),
        points=" ".join(
            f"{_t(axis.x(row.event_time))},{_t(scale.y(value))}"
            for row, value in measured
        ),
        marks=[_mark(key, axis, scale, row, value) for row, value in measured],
    )
    if measured:
        row, value = measured[-1]
        panel.value = _value_words(chart, key, row, value)
        panel.value_y = _t(min(scale.y(value) + 5, top + height - 2))
    return panel, edge_words(chart, column, edges)


def _mark(
    key: str, axis: _Axis, scale: _Scale, row: VitalSigns, value: Decimal | int
) -> Mark:
    x, y = axis.x(row.event_time), scale.y(value)
    mark = Mark(x=_t(x), y=_t(y))
    if key == "bp" and row.diastolic_mmhg is not None:
        mark.y2 = _t(scale.y(row.diastolic_mmhg))
        low = scale.y(row.diastolic_mmhg)
        mark.d = f"M{_t(x - 4)} {_t(y - 4)}h8l-4 7z M{_t(x - 4)} {_t(low + 4)}h8l-4 -7z"
    elif key == "bp":
        mark.d = f"M{_t(x - 4)} {_t(y - 4)}h8l-4 7z"
    elif key == "resp":
        mark.d = f"M{_t(x - 3.2)} {_t(y - 3.2)}h6.4v6.4h-6.4z"
    elif key == "temp":
        mark.d = f"M{_t(x)} {_t(y - 4.6)}l4.6 4.6-4.6 4.6-4.6-4.6z"
    return mark


def _value_words(
    chart: SessionChart, key: str, row: VitalSigns, value: Decimal | int
) -> str:
    if key == "bp":
        low = "–" if row.diastolic_mmhg is None else str(row.diastolic_mmhg)
        return f"{value}/{low}"
    return plain(shown(chart, value), 1) if key == "temp" else plain(value)


def _band(edges: list[Edge], scale: _Scale) -> tuple[str, str] | None:
    """Where no rule speaks: between the nearest lower and the nearest upper limit."""
    if not edges:
        return None
    lower = max((e.value for e in edges if not e.upper), default=scale.low)
    upper = min((e.value for e in edges if e.upper), default=scale.high)
    if upper <= lower:
        return None
    y = scale.y(upper)
    return _t(y), _t(max(scale.y(lower) - y, 0))


def _edge_lines(edges: list[Edge], scale: _Scale) -> list[Line]:
    inside = {
        edge.value for edge in strict(edges) if scale.low < edge.value < scale.high
    }
    return [Line(at=_t(scale.y(value))) for value in sorted(inside)]


def _grid(scale: _Scale, every: int) -> list[Line]:
    first = int(scale.low // every + 1) * every
    values = range(first, int(scale.high) + 1, every)
    return [
        Line(at=_t(scale.y(value)), label=str(value))
        for value in values
        if scale.low < value <= scale.high
    ][-6:]


def _fahrenheit_grid(scale: _Scale) -> list[Line]:
    """Every second degree Fahrenheit, on a scale of degrees Celsius."""
    first = int((scale.low * 9 / 5 + 32) // 2 + 1) * 2
    last = int(scale.high * 9 / 5 + 32)
    return [
        Line(at=_t(scale.y((value - 32) * 5 / 9)), label=str(value))
        for value in range(first, last + 1, 2)
    ][-6:]


def _zones(chart: SessionChart, column: str, scale: _Scale) -> list[Zone]:
    bands = bands_of(chart, column)
    if bands is None:
        return []
    found = []
    for low, high, score in spans(bands, scale.low, scale.high):
        y, height = scale.y(high), scale.y(low) - scale.y(high)
        zone = Zone(y=_t(y), height=_t(height), score=score)
        if height >= ROOM_FOR_DIGIT:
            zone.digit_y = _t(y + height / 2 + 4)
        found.append(zone)
    return found


def _rate_panel(
    chart: SessionChart, axis: _Axis, top: int
) -> tuple[Panel, list[Block], str]:
    rates = [row.rate_ml_per_h for row in chart.rates]
    highest = max([*rates, *(rung.pump_ml_per_h for rung in chart.steps)], default=0)
    scale = _Scale(0.0, float(highest or 100) * 1.1, top, RATE_HEIGHT)
    every = next(
        (each for each in (10, 20, 50, 100, 200, 500) if highest / each <= 4), 1000
    )
    panel = Panel(
        key="rate",
        title=_("Pump rate"),
        unit="mL/h",
        top=str(top),
        height=str(RATE_HEIGHT),
        bottom=str(top + RATE_HEIGHT),
        title_y=str(top + RATE_HEIGHT // 2),
        unit_y=str(top + RATE_HEIGHT // 2 + 15),
        grid=_grid(scale, every),
    )
    blocks = list(_blocks(chart, axis, scale))
    if chart.rates and chart.ended_at is None:
        panel.value = plain(chart.rate_ml_per_h)
        panel.value_y = _t(min(scale.y(chart.rate_ml_per_h), top + 70) + 5)
    return panel, blocks, _planned(chart, axis, scale)


def _blocks(chart: SessionChart, axis: _Axis, scale: _Scale) -> Iterable[Block]:
    ends = [*(row.event_time for row in chart.rates[1:]), chart.ended_at or chart.at]
    ends = ends[: len(chart.rates)]  # nothing ran in a visit that never started
    bottom = scale.y(0)
    for row, until in zip(chart.rates, ends, strict=True):
        x, x2 = axis.x(row.event_time), axis.x(until)
        if row.kind in STANDSTILL or x2 <= x:
            continue
        y = scale.y(row.rate_ml_per_h)
        block = Block(
            x=_t(x), y=_t(y), width=_t(x2 - x), height=_t(bottom - y), x2=_t(x2)
        )
        if x2 - x >= 30:
            block.label = plain(row.rate_ml_per_h)
            block.label_x, block.label_y = _t((x + x2) / 2), _t(y - 5)
        yield block


def _planned(chart: SessionChart, axis: _Axis, scale: _Scale) -> str:
    """The ladder as it was ordered, from the Start on."""
    if chart.started_at is None or not chart.steps:
        return ""
    moment, path = chart.started_at, ""
    for rung in chart.steps:
        y = _t(scale.y(rung.pump_ml_per_h))
        path += f"{'V' if path else f'M{_t(axis.x(moment))} '}{y}"
        moment += timedelta(seconds=int(rung.minutes * 60))
        path += f"H{_t(axis.x(min(moment, axis.end)))}"
        if moment >= axis.end:
            return path
    return f"{path}V{_t(scale.y(0))}"


def _times(chart: SessionChart, axis: _Axis, bottom: int) -> list[Line]:
    start = chart.started_at or axis.begin
    hours = (axis.end - axis.begin).total_seconds() / 3600
    every = 30 if hours <= 4 else 60 if hours <= 8 else 120
    lines, count = [], 0
    while (moment := start + timedelta(minutes=every * count)) <= axis.end:
        words = _("start") if not count else f"+{every * count}"
        lines.append(
            Line(
                at=_t(axis.x(moment)),
                label=timezone.localtime(moment).strftime("%H:%M"),
                second=words if chart.started_at else "",
            )
        )
        count += 1
    return lines


def _events(chart: SessionChart, axis: _Axis) -> list[Event]:
    events = []
    for raised in chart.flags:
        flag = raised.flag
        if flag.priority == FlagPriority.LOW:
            continue
        x = axis.x(flag.event_time)
        events.append(
            Event(
                state=f"flag-{flag.priority}",
                x=_t(x),
                path=f"M{_t(x)} 5l7 12h-14z",
                dash="2 3",
                words=_("Flag: %(what)s") % {"what": _short(flag)},
            )
        )
    for seen in chart.reactions:
        x = axis.x(seen.reaction.event_time)
        events.append(
            Event(
                state="flag-high",
                x=_t(x),
                path=f"M{_t(x)} 3l7 7-7 7-7-7z",
                dash="6 3",
                words=_("Reaction: %(what)s") % {"what": seen.words},
            )
        )
    events.sort(key=lambda event: float(event.x))
    if events:
        _label(events[-1], events[:-1])
    return events


def _label(newest: Event, others: list[Event]) -> None:
    """Words beside the newest mark, where they cover no other one."""
    words, x = newest.words[:44], float(newest.x)
    wide = len(words) * LETTER_WIDTH + 20
    taken = [float(event.x) for event in others]
    if x + wide <= WIDTH and not any(x <= each < x + wide for each in taken):
        newest.label, newest.anchor, newest.label_x = words, "start", _t(x + 10)
    elif x - wide >= 0 and not any(x - wide < each <= x for each in taken):
        newest.label, newest.anchor, newest.label_x = words, "end", _t(x - 10)


def _short(flag) -> str:
    """`systolic −24`, or the rule where no single value stands behind the flag."""
    for found in flag.findings:
        for value in found["values"]:
            return f"{inside(value['label'])} {value['change'] or value['now']}"
    return inside(flag.get_action_display())


def _t(value: float) -> str:
    """A place: one decimal, a point in any language."""
    return f"{value:.1f}"
