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

from django.utils import timezone

from sessions.charts import SessionChart, vital_set
from sessions.models import STANDSTILL, FlagPriority, VitalSigns
from sessions.rules.findings import Action
from sessions.rules.quantities import plain
from sessions.rules.thresholds import Compare, Condition, Person, Phase, Side

LEFT, RIGHT, WIDTH = 124, 728, 800
TOP, GAP = 22, 5
MARGIN = timedelta(minutes=3)
FIRST_HOUR = timedelta(hours=1)
"""How much of the plan ahead is drawn at least."""
MARK_WIDTH = 16
"""Marks of medicines nearer than this are one mark."""

PANELS = (
    ("bp", "BP", "mmHg", "systolic_mmhg", 92, (50, 170), 20),
    ("pulse", "Pulse", "/min", "pulse", 56, (50, 130), 30),
    ("resp", "Respiration", "/min", "respiratory_rate", 46, (8, 28), 8),
    ("spo2", "SpO₂", "%", "spo2", 46, (88, 100), 4),
    ("temp", "Temperature", "°C", "temperature_c", 54, (Decimal("35.6"), 39), 1),
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


@dataclass(frozen=True, slots=True)
class Edge:
    """A value at which a rule begins to speak, on one side."""

    value: Fraction
    upper: bool
    action: Action


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
    sets = f"{len(chart.vitals)} sets" if len(chart.vitals) != 1 else "1 set"
    return Drawing(
        height=bottom + 36,
        panels=panels,
        rate=rate,
        blocks=blocks,
        plan=planned,
        times=_times(chart, axis, bottom),
        events=_events(chart, axis),
        medicines=_medicines(chart, axis),
        now_x=_t(axis.x(chart.at)) if chart.ended_at is None else "",
        foot=str(bottom),
        limits="; ".join(said),
        description=(
            f"Five panels of vital signs and the pump rate, {sets}. "
            "The table below holds every value."
        ),
    )


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


def edges_of(chart: SessionChart, measure: str) -> list[Edge]:
    """Where rules begin to speak about one vital sign, from this baseline.

    Only rules on that one value count; combinations cannot be drawn as a line.
    """
    if chart.policy is None:
        return []
    base = vital_set(chart.baseline)
    before = getattr(base, measure, None) if base else None
    patient = chart.session.patient
    day = timezone.localtime(chart.at).date()
    person = Person(
        age_years=Decimal(patient.age_on(day)),
        pregnant=chart.is_pregnant,
        weight_kg=chart.start.weight_kg if chart.start else None,
        spo2_scale=base.spo2_scale if base else 1,
    )
    found = []
    for rule in chart.policy.monitoring.thresholds:
        condition = rule.conditions[0]
        alone = len(rule.conditions) == 1 and not rule.signs
        if not alone or condition.measure != measure:
            continue
        if rule.speaks(person, Phase.INFUSING):
            for edge in _edges(condition, before, rule.act.action):
                if before is None or _beyond(edge, before) is False:
                    found.append(edge)
    return found


def _edges(
    condition: Condition, base: Decimal | int | None, action: Action
) -> Iterable[Edge]:
    limit = Fraction(condition.limit)
    compare = condition.compare
    if compare is Compare.VALUE:
        upper = condition.side in (Side.AT_LEAST, Side.ABOVE)
        yield Edge(limit, upper, action)
        return
    if base is None:
        return
    before = Fraction(base)
    if compare in (Compare.RISE, Compare.CHANGE):
        yield Edge(before + limit, True, action)
    if compare in (Compare.FALL, Compare.CHANGE):
        yield Edge(before - limit, False, action)
    if compare is Compare.FALL_PERCENT:
        yield Edge(before - before * limit / 100, False, action)
    if compare is Compare.RATIO:
        yield Edge(before * limit, True, action)


def _beyond(edge: Edge, base: Decimal | int) -> bool:
    """Whether the accepted baseline lies beyond a limit already: it is silent then."""
    return Fraction(base) > edge.value if edge.upper else Fraction(base) < edge.value


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
        unit=unit,
        top=str(top),
        height=str(height),
        bottom=str(top + height),
        title_y=str(top + height // 2 - 1),
        unit_y=str(top + height // 2 + 14),
        band=_band(edges, scale),
        edges=_edge_lines(edges, scale),
        grid=_grid(scale, grid),
        points=" ".join(
            f"{_t(axis.x(row.event_time))},{_t(scale.y(value))}"
            for row, value in measured
        ),
        marks=[_mark(key, axis, scale, row, value) for row, value in measured],
    )
    if measured:
        row, value = measured[-1]
        panel.value = _value_words(key, row, value)
        panel.value_y = _t(min(scale.y(value) + 5, top + height - 2))
    return panel, _edge_words(title, edges)


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


def _value_words(key: str, row: VitalSigns, value: Decimal | int) -> str:
    if key == "bp":
        low = "–" if row.diastolic_mmhg is None else str(row.diastolic_mmhg)
        return f"{value}/{low}"
    return plain(value, 1) if key == "temp" else plain(value)


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


def _strict(edges: list[Edge]) -> list[Edge]:
    """The nearest limit of each action that changes the rate, on each side."""
    kept: dict[tuple[bool, Action], Edge] = {}
    for edge in edges:
        if edge.action < Action.REDUCE:
            continue
        place = (edge.upper, edge.action)
        rival = kept.get(place)
        nearer = rival is None or (
            edge.value < rival.value if edge.upper else edge.value > rival.value
        )
        if nearer:
            kept[place] = edge
    return sorted(kept.values(), key=lambda edge: (edge.upper, edge.action))


def _edge_lines(edges: list[Edge], scale: _Scale) -> list[Line]:
    inside = {
        edge.value for edge in _strict(edges) if scale.low < edge.value < scale.high
    }
    return [Line(at=_t(scale.y(value))) for value in sorted(inside)]


def _edge_words(title: str, edges: list[Edge]) -> list[str]:
    """`systolic ≤ 108 reduce, ≤ 98 stop` for the line under the chart."""
    said = [
        f"{'≥' if edge.upper else '≤'} {plain(edge.value)} {edge.action.value}"
        for edge in _strict(edges)
        if edge.action in (Action.REDUCE, Action.STOP)
    ]
    name = {"BP": "systolic", "SpO₂": title}.get(title, title.lower())
    return [f"{name} {', '.join(said)}"] if said else []


def _grid(scale: _Scale, every: int) -> list[Line]:
    first = int(scale.low // every + 1) * every
    values = range(first, int(scale.high) + 1, every)
    return [
        Line(at=_t(scale.y(value)), label=str(value))
        for value in values
        if scale.low < value <= scale.high
    ][-6:]


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
        title="Pump rate",
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
        words = "start" if not count else f"+{every * count}"
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
                words=f"Flag: {_short(flag)}",
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
                words=f"Reaction: {seen.words}",
            )
        )
    events.sort(key=lambda event: float(event.x))
    for event in events[-1:]:
        x = float(event.x)
        right = x > (LEFT + RIGHT) / 2
        event.label = event.words[:44]
        event.anchor = "end" if right else "start"
        event.label_x = f"{x - 10 if right else x + 10:.1f}"
    return events


def _short(flag) -> str:
    """`systolic −24`, or the rule where no single value stands behind the flag."""
    for found in flag.findings:
        for value in found["values"]:
            return f"{value['label'].lower()} {value['change'] or value['now']}"
    return flag.get_action_display().lower()


def _t(value: float) -> str:
    """A place: one decimal, a point in any language."""
    return f"{value:.1f}"
