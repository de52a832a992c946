"""Reactions: the words for them, and what the protocol calls for at each severity."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from sessions.rules.documents import Fields
from sessions.rules.findings import Finding, Severity
from sessions.rules.language import say
from sessions.rules.sources import Source
from sessions.rules.thresholds import Act

ANY = "any"
"""The reaction name of a rule that speaks about every reaction."""


class UnknownReaction(ValueError):
    """A word that no reaction of the catalogue answers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code of a public terminology."""

    system: str
    code: str
    display: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One adverse reaction: its key, its name on screen, and the words nurses use.

    `graded_by` names the series of vital-sign rules that grade it (a fever by the
    temperature); most reactions are graded by the nurse alone.
    """

    key: str
    label: str
    synonyms: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    graded_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One quick choice at the chair."""

    label: str
    reaction: str


def plain_word(word: str) -> str:
    """Fold case, spacing and marks, so that "Chest-pain" finds "chest pain"."""
    return " ".join(re.sub(r"[^\w]+|_", " ", word.casefold()).split())


@dataclass(frozen=True)
class Vocabulary:
    """All reactions that can be recorded, found by key, name or synonym."""

    reactions: tuple[Reaction, ...]
    chips: tuple[Chip, ...] = ()

    @cached_property
    def _by_word(self) -> Mapping[str, Reaction]:
        words: dict[str, Reaction] = {}
        for reaction in self.reactions:
            for word in (reaction.key, reaction.label, *reaction.synonyms):
                known = words.setdefault(plain_word(word), reaction)
                if known is not reaction:
                    raise ValueError(f"{word!r} names {known.key} and {reaction.key}")
        return words

    def find(self, word: str) -> Reaction:
        """Find the reaction a word means; an unknown word is an error."""
        try:
            return self._by_word[plain_word(word)]
        except KeyError:
            raise UnknownReaction(
                say("{word!r} is not a known reaction", word=word)
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One reaction seen, by its key, with the severity somebody gave it."""

    reaction: str
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionRule:
    """What the protocol calls for at some severities of one reaction."""

    rule: str
    reaction: str
    severities: tuple[Severity, ...]
    grade: str
    term: str
    criteria: str
    act: Act
    calls_for: str
    restart_words: str
    recheck_minutes: int | None
    note: str
    source: Source
    on: bool

    @classmethod
    def read(cls, fields: Fields, acts: Mapping[str, Act]) -> ReactionRule:
        """Read one rule."""
        code = fields.text("act")
        if code not in acts:
            raise fields.fail("act", f"names no act of this protocol: {code}")
        known = {severity.value: severity for severity in Severity}
        words = fields.texts("severity")
        if not words or not set(words) <= set(known):
            raise fields.fail("severity", f"is not a list of {', '.join(known)}")
        rule = cls(
            rule=fields.text("rule"),
            reaction=fields.text("reaction"),
            severities=tuple(sorted(known[word] for word in words)),
            grade=fields.text("grade"),
            term=fields.text("term"),
            criteria=fields.text("criteria"),
            act=acts[code],
            calls_for=fields.text("calls_for"),
            restart_words=fields.text("restart_words"),
            recheck_minutes=fields.optional_minutes("recheck_minutes"),
            note=fields.text("note", default=""),
            source=fields.source(),
            on=fields.flag("on", default=True),
        )
        fields.done()
        return rule

    def finding(self, because: str, severity: Severity) -> Finding:
        """Turn the rule into a finding."""
        return Finding(
            rule=self.rule,
            action=self.act.action,
            because=because,
            calls_for=say(self.calls_for),
            source=self.source,
            severity=severity,
            note=say(self.note),
            series=f"reaction {self.reaction}",
            restarts=self.act.restarts,
            recheck_minutes=self.recheck_minutes or self.act.recheck_minutes,
            escalates_minutes=self.act.escalates_minutes,
            work_list=self.act.work_list,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionRules:
    """All rules on reactions, with the two that look at the session's course."""

    rows: tuple[ReactionRule, ...]
    recurrence: ReactionRule
    repeated_mild: ReactionRule
    repeated_mild_from: int

    def listed(self, reaction: str) -> tuple[ReactionRule, ...]:
        """Give the rules of one reaction that are switched on."""
        return tuple(r for r in self.rows if r.on and r.reaction == reaction)

    def rule_for(self, reaction: str, severity: Severity) -> ReactionRule:
        """Choose the rule for a reaction at a severity.

        No row at that severity: the next higher listed row, else the highest listed.
        A rule on every reaction at that severity wins when it calls for more.
        """
        listed = self.listed(reaction)
        if not listed:
            raise UnknownReaction(
                say("{reaction!r} has no rule in this protocol", reaction=reaction)
            )
        exact = [rule for rule in listed if severity in rule.severities]
        higher = [rule for rule in listed if max(rule.severities) > severity]
        if exact:
            chosen = max(exact, key=lambda rule: rule.act.action)
        elif higher:
            chosen = min(higher, key=lambda rule: min(rule.severities))
        else:
            chosen = max(listed, key=lambda rule: max(rule.severities))
        general = [r for r in self.listed(ANY) if severity in r.severities]
        return max([chosen, *general], key=lambda rule: rule.act.action)


def reaction_findings(
    symptoms: Iterable[Symptom],
    *,
    rules: ReactionRules,
    labels: Mapping[str, str],
    recurrence: bool,
    earlier_mild: int,
) -> tuple[Finding, ...]:
    """Find what the protocol calls for at each symptom, and at their coming back."""
    found = []
    seen = tuple(dict.fromkeys(symptoms))
    for symptom in seen:
        rule = rules.rule_for(symptom.reaction, symptom.severity)
        label = say(labels.get(symptom.reaction, symptom.reaction))
        because = f"{label}, {say(symptom.severity.value)}"
        if symptom.severity not in rule.severities:
            row = say(" to ").join(say(severity.value) for severity in rule.severities)
            because += say(" (no row at this severity: the {row} row applies)", row=row)
        found.append(rule.finding(because, max(symptom.severity, min(rule.severities))))
    if recurrence:
        found.append(
            rules.recurrence.finding(
                say("Not settling after the first action, or back on restart"),
                max(rules.recurrence.severities),
            )
        )
    mild = [symptom for symptom in seen if symptom.severity is Severity.MILD]
    if mild and earlier_mild >= rules.repeated_mild_from:
        found.append(
            rules.repeated_mild.finding(
                say(
                    "A mild reaction after {earlier_mild} earlier in this session",
                    earlier_mild=earlier_mild,
                ),
                max(rules.repeated_mild.severities),
            )
        )
    return tuple(found)


def worked_out_severity(
    reaction: Reaction, findings: Iterable[Finding]
) -> Severity | None:
    """Grade a reaction from the vital signs that measure it, or None.

    The stricter of two rows sets the grade. Nothing is graded by default.
    """
    graded = [
        finding.severity
        for finding in findings
        if finding.series in reaction.graded_by and finding.severity is not None
    ]
    return max(graded, default=None)
