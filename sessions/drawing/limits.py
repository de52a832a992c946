"""Where rules begin to speak about one vital sign: the edges of the quiet band.

Nothing here decides anything: the limits come from the protocol of the visit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from django.utils.translation import gettext_lazy as _lazy

from sessions.charts import SessionChart, vital_set
from sessions.drawing.temperatures import shown, sign
from sessions.models import FlagAction
from sessions.rules.findings import Action
from sessions.rules.language import inside
from sessions.rules.quantities import plain
from sessions.rules.thresholds import Compare, Condition, Person, Phase, Side
from sessions.rules.vitals import MEASURES

NAMES = {
    "systolic_mmhg": _lazy("systolic"),
    "pulse": _lazy("pulse"),
    "respiratory_rate": _lazy("respiration"),
    "spo2": _lazy("SpO₂"),
    "temperature_c": _lazy("temperature"),
}
"""Vital signs in the line under the chart."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A value at which a rule begins to speak, on one side."""

    value: Fraction
    upper: bool
    action: Action


def edges_of(chart: SessionChart, measure: str) -> list[Edge]:
    """Where rules begin to speak about one vital sign, from this baseline.

    Only rules on that one value count; combinations cannot be drawn as a line.
    """
    if chart.policy is None:
        return []
    base = vital_set(chart.baseline)
    before = getattr(base, measure, None) if base else None
    patient = chart.session.patient
    day = chart.session.clinic.day_of(chart.at)
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


def strict(edges: list[Edge]) -> list[Edge]:
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


def edge_words(chart: SessionChart, measure: str, edges: list[Edge]) -> list[str]:
    """`systolic (mmHg) ≤ 108 reduce, ≤ 98 stop` for the line under the chart."""
    said = []
    warm = measure == "temperature_c"
    unit = sign(chart) if warm else MEASURES[measure][1]
    for edge in strict(edges):
        if edge.action not in (Action.REDUCE, Action.STOP):
            continue
        value = plain(shown(chart, edge.value), 1) if warm else plain(edge.value)
        called = inside(FlagAction(edge.action.value).label)
        said.append(f"{'≥' if edge.upper else '≤'} {value} {called}")
    return [f"{NAMES[measure]} ({unit}) {', '.join(said)}"] if said else []
