"""One version of a clinic's policy, read strictly from its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sessions.rules.documents import Fields
from sessions.rules.dosing import DosingPolicy
from sessions.rules.findings import Severity
from sessions.rules.language import say
from sessions.rules.monitoring import Schedule, TimeRules
from sessions.rules.news2 import News2Chart
from sessions.rules.reactions import ReactionRule, ReactionRules
from sessions.rules.sources import DocumentError, Source
from sessions.rules.thresholds import (
    EVERYBODY,
    Act,
    Condition,
    Phase,
    Population,
    Threshold,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingRule:
    """What an event some time after the end of the infusion calls for."""

    rule: str
    reaction: str
    within_hours: Decimal
    act: Act
    note: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A rule without a number: the situation itself is what it speaks about."""

    rule: str
    act: Act
    because: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringPolicy:
    """The monitoring half: what is watched, when, and what each finding calls for."""

    acts: Mapping[str, Act]
    thresholds: tuple[Threshold, ...]
    lab_thresholds: tuple[Threshold, ...]
    signs: Mapping[str, frozenset[str]]
    reactions: ReactionRules
    timing: tuple[TimingRule, ...]
    missing: Notice
    new_lot: Notice
    news2: News2Chart
    schedule: Schedule
    time_rules: TimeRules

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> MonitoringPolicy:
        """Read the monitoring half; a `DocumentError` names the key at fault."""
        fields = Fields("monitoring", document)
        acts = {
            code: Act.read(code, table) for code, table in fields.tables("acts").items()
        }
        signs = _read_signs(fields.child("signs"))
        populations = {
            name: Population.read(table)
            for name, table in fields.tables("populations").items()
        }
        reader = _RuleReader(acts=acts, signs=signs, populations=populations)
        policy = cls(
            acts=acts,
            signs=signs,
            thresholds=tuple(map(reader.threshold, fields.rows("thresholds"))),
            lab_thresholds=tuple(map(reader.threshold, fields.rows("lab_thresholds"))),
            reactions=_read_reactions(fields, acts),
            timing=tuple(map(reader.timing, fields.rows("timing"))),
            missing=reader.notice(fields.child("missing")),
            new_lot=reader.notice(fields.child("new_lot")),
            news2=News2Chart.read(fields.child("news2")),
            schedule=Schedule.read(fields.child("schedule")),
            time_rules=reader.time_rules(fields.child("time_rules")),
        )
        fields.done()
        policy.check()
        return policy

    def check(self) -> None:
        """Refuse a document whose rules contradict each other or name nothing."""
        rules = [rule.rule for rule in (*self.thresholds, *self.lab_thresholds)]
        rules += [rule.rule for rule in self.reactions.rows]
        rules += [rule.rule for rule in self.timing]
        twice = {rule for rule in rules if rules.count(rule) > 1}
        if twice:
            raise DocumentError(f"monitoring: rule {min(twice)} is there twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One immutable version of a clinic's protocol."""

    code: str
    version: int
    dosing: DosingPolicy
    monitoring: MonitoringPolicy

    @property
    def label(self) -> str:
        """How a recommendation cites it: "Protocol 2026-1"."""
        return say("Protocol {code}-{number}", code=self.code, number=self.version)

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, code: str, version: int
    ) -> Policy:
        """Read both halves; a `DocumentError` names the key at fault."""
        fields = Fields("", document)
        dosing, monitoring = (
            fields.take("dosing", dict),
            fields.take("monitoring", dict),
        )
        fields.done()
        return cls(
            code=code,
            version=version,
            dosing=DosingPolicy.from_document(dosing),
            monitoring=MonitoringPolicy.from_document(monitoring),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RuleReader:
    """Reads rules that name acts, groups of signs and populations of the document."""

    acts: Mapping[str, Act]
    signs: Mapping[str, frozenset[str]]
    populations: Mapping[str, Population]

    def act(self, fields: Fields) -> Act:
        code = fields.text("act")
        if code not in self.acts:
            raise fields.fail("act", f"names no act of this protocol: {code}")
        return self.acts[code]

    def threshold(self, fields: Fields) -> Threshold:
        conditions = tuple(map(Condition.read, fields.rows("when")))
        if not conditions:
            raise fields.fail("when", "holds no condition")
        changes = any(condition.compare.needs_baseline for condition in conditions)
        after_baseline = [phase for phase in Phase if phase is not Phase.BASELINE]
        phases = fields.texts("phases", default=[]) or [
            phase.value for phase in (after_baseline if changes else Phase)
        ]
        sign = fields.text("signs", default="")
        if sign and sign not in self.signs:
            raise fields.fail("signs", f"names no group of signs: {sign}")
        scale = fields.optional_minutes("spo2_scale")
        threshold = Threshold(
            rule=fields.text("rule"),
            series=fields.text("series"),
            conditions=conditions,
            act=self.act(fields),
            severity=_severity(fields),
            source=fields.source(),
            population=self._population(fields),
            spo2_scale=scale,
            signs=sign,
            phases=frozenset(Phase(phase) for phase in phases),
            calls_for=fields.text("calls_for", default=""),
            note=fields.text("note", default=""),
            on=fields.flag("on", default=True),
        )
        fields.done()
        return threshold

    def _population(self, fields: Fields) -> Population:
        name = fields.text("population", default="")
        if not name:
            return EVERYBODY
        if name not in self.populations:
            raise fields.fail("population", f"names no population: {name}")
        return self.populations[name]

    def timing(self, fields: Fields) -> TimingRule:
        rule = TimingRule(
            rule=fields.text("rule"),
            reaction=fields.text("reaction"),
            within_hours=fields.number("within_hours"),
            act=self.act(fields),
            note=fields.text("note", default=""),
            source=fields.source(),
        )
        fields.done()
        return rule

    def notice(self, fields: Fields) -> Notice:
        notice = Notice(
            rule=fields.text("rule"),
            act=self.act(fields),
            because=fields.text("because"),
            source=fields.source(),
        )
        fields.done()
        return notice

    def time_rules(self, fields: Fields) -> TimeRules:
        overdue = self.notice(fields.child("overdue"))
        step = self.notice(fields.child("step"))
        fields.done()
        return TimeRules(
            overdue_rule=overdue.rule,
            overdue=overdue.act,
            step_rule=step.rule,
            step=step.act,
        )


def _severity(fields: Fields) -> Severity | None:
    word = fields.text("severity", default="")
    return fields.word("severity", Severity) if word else None


def _read_signs(fields: Fields) -> Mapping[str, frozenset[str]]:
    signs = {name: frozenset(fields.texts(name)) for name in fields.table}
    fields.done()
    return signs


def _read_reactions(fields: Fields, acts: Mapping[str, Act]) -> ReactionRules:
    rows = tuple(ReactionRule.read(row, acts) for row in fields.rows("reactions"))
    by_rule = {row.rule: row for row in rows}
    course = fields.child("reaction_course")
    rules = {}
    for key in ("recurrence_rule", "repeated_mild_rule"):
        name = course.text(key)
        if name not in by_rule:
            raise course.fail(key, f"names no reaction rule: {name}")
        rules[key] = by_rule[name]
    repeated = course.setting("repeated_mild_from")
    course.done()
    return ReactionRules(
        rows=rows,
        recurrence=rules["recurrence_rule"],
        repeated_mild=rules["repeated_mild_rule"],
        repeated_mild_from=int(repeated.value),
    )
