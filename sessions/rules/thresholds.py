"""The one mechanism for limits: a rule is conditions that must all hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from sessions.rules.documents import Fields
from sessions.rules.findings import Action, Finding, Severity, Value, shown
from sessions.rules.language import phrase, say
from sessions.rules.sources import Source


class Phase(Enum):
    """Where in the session a set of values belongs."""

    BASELINE = phrase("baseline")
    INFUSING = phrase("infusing")
    OBSERVING = phrase("observing")
    AFTER = phrase("after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured value now, at this session's baseline and in the last set.

    `words` spells a scale of words (consciousness) whose numbers are their places.
    """

    name: str
    label: str
    unit: str
    now: Decimal | None
    baseline: Decimal | None = None
    last: Decimal | None = None
    words: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    at: datetime | None = None
    baseline_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def change(self) -> Decimal:
        """By how much it changed since baseline; 0 when that is not known."""
        if self.now is None or self.baseline is None or self.words:
            return Decimal(0)
        return self.now - self.baseline

    def word(self, value: Decimal | None) -> str:
        """Write one value of this measure as it is shown."""
        if value is None:
            return ""
        return say(self.words[int(value)]) if self.words else shown(self.name, value)


class Compare(Enum):
    """What of a reading is compared with the limit."""

    VALUE = "value"
    RISE = "rise"
    FALL = "fall"
    CHANGE = "change"
    FALL_PERCENT = "fall_percent"
    RATIO = "ratio"

    @property
    def needs_baseline(self) -> bool:
        """Whether there is nothing to compare without a baseline."""
        return self is not Compare.VALUE

    def amount(self, now: Decimal, baseline: Decimal) -> Fraction:
        """Work out the compared amount exactly; ratios and percents are fractions."""
        change = Fraction(now) - Fraction(baseline)
        match self:
            case Compare.RISE:
                return change
            case Compare.FALL:
                return -change
            case Compare.CHANGE:
                return abs(change)
            case Compare.FALL_PERCENT:
                return -change * 100 / Fraction(baseline)
            case Compare.RATIO:
                return Fraction(now) / Fraction(baseline)
        return Fraction(now)


class Side(Enum):
    """On which side of a limit a rule speaks, and whether the limit itself counts."""

    AT_LEAST = "at_least"
    ABOVE = "above"
    AT_MOST = "at_most"
    BELOW = "below"

    def crossed(self, amount: Fraction, limit: Decimal) -> bool:
        """Whether an amount lies where the rule speaks."""
        edge = Fraction(limit)
        match self:
            case Side.AT_LEAST:
                return amount >= edge
            case Side.ABOVE:
                return amount > edge
            case Side.AT_MOST:
                return amount <= edge
        return amount < edge


_SIDE_WORDS = {
    Side.AT_LEAST: phrase("{limit} or more"),
    Side.ABOVE: phrase("more than {limit}"),
    Side.AT_MOST: phrase("{limit} or less"),
    Side.BELOW: phrase("less than {limit}"),
}
_COMPARE_WORDS = {
    Compare.VALUE: "{limit}",
    Compare.RISE: phrase("rise of {limit}"),
    Compare.FALL: phrase("fall of {limit}"),
    Compare.CHANGE: phrase("change of {limit}"),
    Compare.FALL_PERCENT: phrase("fall of {limit} of baseline"),
    Compare.RATIO: phrase("{limit} times baseline"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison of one measure with one limit."""

    measure: str
    compare: Compare
    side: Side
    limit: Decimal

    @classmethod
    def read(cls, fields: Fields) -> Condition:
        """Read a condition: a measure, what is compared, and exactly one limit."""
        sides = [side for side in Side if side.value in fields.table]
        if len(sides) != 1:
            raise fields.fail("at_least", "a condition has exactly one limit")
        condition = cls(
            measure=fields.text("measure"),
            compare=fields.word("compare", Compare),
            side=sides[0],
            limit=fields.number(sides[0].value),
        )
        fields.done()
        return condition

    def holds(self, reading: Reading) -> bool | None:
        """Whether it holds for a reading; None when a value it needs is missing."""
        if reading.now is None:
            return None
        if not self.compare.needs_baseline:
            return self.side.crossed(Fraction(reading.now), self.limit)
        if not reading.baseline and self._divides:
            return None
        if reading.baseline is None:
            return None
        amount = self.compare.amount(reading.now, reading.baseline)
        return self.side.crossed(amount, self.limit)

    @property
    def _divides(self) -> bool:
        return self.compare in (Compare.FALL_PERCENT, Compare.RATIO)

    def held_at_baseline(self, reading: Reading) -> bool:
        """Whether the accepted baseline already lay beyond this absolute limit."""
        return (
            self.compare is Compare.VALUE
            and reading.baseline is not None
            and self.side.crossed(Fraction(reading.baseline), self.limit)
        )

    def lacks(self, reading: Reading) -> tuple[str, ...]:
        """Name the values without which this condition cannot be judged."""
        if reading.now is None:
            return reading.missing or (reading.name,)
        if self.compare.needs_baseline and not reading.baseline:
            return (f"baseline {reading.name}",)
        return ()

    def limit_text(self, reading: Reading) -> str:
        """Write the limit in words: "fall of 20 mmHg or more"."""
        if reading.words:
            return say("{word} or worse", word=say(reading.words[int(self.limit)]))
        unit = {Compare.FALL_PERCENT: "%", Compare.RATIO: ""}.get(
            self.compare, reading.unit
        )
        number = f"{shown(reading.name, self.limit)} {unit}".strip()
        side = say(_SIDE_WORDS[self.side], limit=number)
        return say(_COMPARE_WORDS[self.compare], limit=side)

    def found_text(self, reading: Reading) -> str:
        """Write what was found: "Systolic fell 24 mmHg, 128 → 104"."""
        now, unit = reading.word(reading.now), reading.unit
        if not self.compare.needs_baseline or reading.words:
            return f"{say(reading.label)} {now} {unit}".strip()
        change = reading.change
        size = f"{shown(reading.name, abs(change))} {unit}".rstrip()
        then = reading.word(reading.baseline)
        moved = (
            phrase("{label} rose {size}, {then} → {now}")
            if change > 0
            else phrase("{label} fell {size}, {then} → {now}")
        )
        return say(moved, label=say(reading.label), size=size, then=then, now=now)

    def value(self, reading: Reading) -> Value:
        """Keep the reading as a finding shows it."""
        return Value(
            name=reading.name,
            label=say(reading.label),
            unit=reading.unit,
            now=reading.word(reading.now),
            baseline=reading.word(reading.baseline),
            last=reading.word(reading.last),
            change=f"{reading.change:+f}" if reading.change else "",
            limit_text=self.limit_text(reading),
            at=reading.at,
            baseline_at=reading.baseline_at,
            last_at=reading.last_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What decides which rules speak about a person."""

    age_years: Decimal
    pregnant: bool
    weight_kg: Decimal | None = None
    spo2_scale: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Whom a rule speaks about: an age band, or a weight below it, not in pregnancy."""

    age_from: Decimal | None = None
    age_below: Decimal | None = None
    or_weight_below_kg: Decimal | None = None
    in_pregnancy: bool = True
    source: Source | None = None

    @classmethod
    def read(cls, fields: Fields) -> Population:
        """Read a population."""
        population = cls(
            age_from=fields.optional_number("age_from"),
            age_below=fields.optional_number("age_below"),
            or_weight_below_kg=fields.optional_number("or_weight_below_kg"),
            in_pregnancy=fields.flag("in_pregnancy", default=True),
            source=fields.source(),
        )
        fields.done()
        return population

    def includes(self, person: Person) -> bool:
        """Whether a person belongs to it."""
        if person.pregnant and not self.in_pregnancy:
            return False
        if (
            self.or_weight_below_kg is not None
            and person.weight_kg is not None
            and person.weight_kg < self.or_weight_below_kg
        ):
            return True
        from_age = self.age_from is None or person.age_years >= self.age_from
        return from_age and (
            self.age_below is None or person.age_years < self.age_below
        )


EVERYBODY = Population()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What one code of the protocol calls for, and the times that follow it.

    `first_step` means that the ladder and the schedule begin again at the first rung.
    """

    code: str
    action: Action
    calls_for: str
    recheck_minutes: int | None
    escalates_minutes: int | None
    restarts: bool
    first_step: bool
    holds_start: bool
    work_list: bool
    note: str
    source: Source

    @classmethod
    def read(cls, code: str, fields: Fields) -> Act:
        """Read one act of the protocol."""
        act = cls(
            code=code,
            action=fields.word("action", Action),
            calls_for=fields.text("calls_for"),
            recheck_minutes=fields.optional_minutes("recheck_minutes"),
            escalates_minutes=fields.optional_minutes("escalates_minutes"),
            restarts=fields.flag("restarts", default=False),
            first_step=fields.flag("first_step", default=False),
            holds_start=fields.flag("holds_start", default=False),
            work_list=fields.flag("work_list", default=False),
            note=fields.text("note", default=""),
            source=fields.source(),
        )
        fields.done()
        return act


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One rule on measured values: all its conditions hold, for the people it means.

    Rules of one `series` speak of one finding: of those that hold, the strictest is
    reported. `signs` names a group of reactions, one of which is present.
    """

    rule: str
    series: str
    conditions: tuple[Condition, ...]
    act: Act
    severity: Severity | None
    source: Source
    population: Population
    spo2_scale: int | None
    signs: str
    phases: frozenset[Phase]
    calls_for: str
    note: str
    on: bool

    @property
    def absolute(self) -> bool:
        """Whether the rule is one bare limit, which an accepted baseline silences."""
        return (
            len(self.conditions) == 1
            and not self.conditions[0].compare.needs_baseline
            and not self.signs
        )

    def speaks(self, person: Person, phase: Phase) -> bool:
        """Whether the rule is switched on and meant for this person and phase."""
        return (
            self.on
            and phase in self.phases
            and self.population.includes(person)
            and self.spo2_scale in (None, person.spo2_scale)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A threshold that was crossed, by which readings."""

    threshold: Threshold
    readings: tuple[tuple[Condition, Reading], ...]

    def finding(self, phase: Phase, signs_text: str) -> Finding:
        """Say what was found, with its values, limit and source.

        At baseline a milder limit is the patient's own normal: it is kept as one low
        finding, while a stop or an emergency there holds the Start.
        """
        rule, act = self.threshold, self.threshold.act
        at_baseline = phase is Phase.BASELINE
        grave = act.action >= Action.STOP
        accepted = at_baseline and not grave and act.action > Action.CONTINUE
        found = say(" and ").join(c.found_text(reading) for c, reading in self.readings)
        limits = say(" and ").join(
            c.limit_text(reading) for c, reading in self.readings
        )
        because = say(
            "{found}{signs_text} (limit: {limits})",
            found=found,
            signs_text=signs_text,
            limits=limits,
        )
        return Finding(
            rule=rule.rule,
            action=Action.OBSERVE if accepted else act.action,
            because=say("{because}, at baseline", because=because)
            if at_baseline
            else because,
            calls_for=say(rule.calls_for or act.calls_for),
            source=rule.source,
            severity=rule.severity,
            values=tuple(c.value(reading) for c, reading in self.readings),
            note=say(rule.note),
            series=rule.series,
            short=f"{found}{signs_text}",
            restarts=act.restarts,
            recheck_minutes=act.recheck_minutes,
            escalates_minutes=act.escalates_minutes,
            accepted_baseline=accepted,
            holds_start=at_baseline and (grave or act.holds_start),
            work_list=act.work_list,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a set of readings crossed, and which values were missing to judge it."""

    crossings: tuple[Crossing, ...]
    missing: tuple[str, ...]

    def strictest(self) -> tuple[Crossing, ...]:
        """Keep, of each series, the strictest crossing: action first, then place."""
        kept: dict[str, Crossing] = {}
        for crossing in self.crossings:
            rule = crossing.threshold
            rival = kept.get(rule.series)
            if rival is None or rule.act.action >= rival.threshold.act.action:
                kept[rule.series] = crossing
        return tuple(kept.values())


def compare_all(
    thresholds: Iterable[Threshold],
    readings: Mapping[str, tuple[Reading, ...]],
    *,
    person: Person,
    phase: Phase,
    present_signs: frozenset[str],
) -> Comparison:
    """Hold every rule that speaks against the readings.

    Three answers for each condition: yes, no, cannot be judged. A rule with a "no"
    among its conditions is not crossed, whatever is missing; otherwise each missing
    value is named. A limit that the accepted baseline already crosses stays silent.
    """
    crossings, missing = [], []
    for rule in thresholds:
        if not rule.speaks(person, phase) or (
            rule.signs and rule.signs not in present_signs
        ):
            continue
        met: list[tuple[Condition, Reading]] = []
        lacking: list[str] = []
        refuted = False
        for condition in rule.conditions:
            pairs = [(condition, reading) for reading in readings[condition.measure]]
            holding = [pair for pair in pairs if condition.holds(pair[1])]
            if rule.absolute:
                holding = [p for p in holding if not condition.held_at_baseline(p[1])]
            if holding:
                met += holding
                continue
            unjudged = [r for c, r in pairs if c.holds(r) is None]
            lacking += [name for r in unjudged for name in condition.lacks(r)]
            refuted = refuted or not unjudged
        if refuted:
            continue
        if lacking:
            missing += lacking
        elif met:
            crossings.append(Crossing(threshold=rule, readings=tuple(met)))
    return Comparison(crossings=tuple(crossings), missing=tuple(dict.fromkeys(missing)))
