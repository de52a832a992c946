"""One chart in, one assessment out: the only way the rules are asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sessions.rules.findings import Action, Finding
from sessions.rules.language import inside, say
from sessions.rules.news2 import PARTS, News2, News2Refused, known_parts, news2
from sessions.rules.policy import MonitoringPolicy, Notice, Policy
from sessions.rules.reactions import ANY, Symptom, reaction_findings
from sessions.rules.recommendation import RatePosition, Recommendation, recommend
from sessions.rules.thresholds import (
    Comparison,
    Crossing,
    Person,
    Phase,
    Reading,
    compare_all,
)
from sessions.rules.vitals import VitalSet, in_words, missing_from, readings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is known of one patient at one save.

    `vitals` is the set of this save (or the last one, when a reaction is saved without
    one); in the phase `baseline` it is the baseline itself. `rate` is None when nobody
    said what is running. `labels` are the reactions' names on screen, by key.
    """

    age_years: Decimal
    pregnant: bool
    phase: Phase
    vitals: VitalSet | None
    baseline: VitalSet | None = None
    last: VitalSet | None = None
    symptoms: tuple[Symptom, ...] = ()
    weight_kg: Decimal | None = None
    rate: RatePosition | None = None
    recurrence: bool = False
    new_lot: bool = False
    earlier_mild_reactions: int = 0
    minutes_since_end: Decimal | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """All findings of one save, the one recommendation they make, and the score."""

    findings: tuple[Finding, ...]
    recommendation: Recommendation
    news2: News2 | News2Refused


def assess(chart: Chart, policy: Policy) -> Assessment:
    """Hold every rule of a policy against one chart.

    Missing values are a finding of their own and never count as normal. Raises
    `UnknownReaction` for a symptom that the policy has no rule for.
    """
    monitoring = policy.monitoring
    score = news2(
        chart.vitals,
        age_years=chart.age_years,
        pregnant=chart.pregnant,
        chart=monitoring.news2,
    )
    comparison = _compare(chart, monitoring, score)
    findings = (
        *(
            crossing.finding(chart.phase, _signs_text(chart, monitoring, crossing))
            for crossing in comparison.strictest()
        ),
        *_missing_findings(chart, comparison, monitoring.missing),
        *reaction_findings(
            chart.symptoms,
            rules=monitoring.reactions,
            labels=chart.labels,
            recurrence=chart.recurrence,
            earlier_mild=chart.earlier_mild_reactions,
        ),
        *_timing_findings(chart, monitoring),
        *(
            lot_findings(monitoring.new_lot, phase=chart.phase, rate=chart.rate)
            if chart.new_lot
            else ()
        ),
    )
    recommendation = recommend(
        findings,
        chart.rate,
        phase=chart.phase,
        protocol=policy.label,
        restart=policy.dosing.restart,
    )
    return Assessment(
        findings=recommendation.findings, recommendation=recommendation, news2=score
    )


def _compare(
    chart: Chart, monitoring: MonitoringPolicy, score: News2 | News2Refused
) -> Comparison:
    baseline = None if chart.phase is Phase.BASELINE else chart.baseline
    readings = readings_of(chart.vitals, baseline, chart.last)
    readings |= _score_readings(chart.vitals, baseline, monitoring, score)
    present = {symptom.reaction for symptom in chart.symptoms}
    return compare_all(
        monitoring.thresholds,
        readings,
        person=Person(
            age_years=chart.age_years,
            pregnant=chart.pregnant,
            weight_kg=chart.weight_kg,
            spo2_scale=chart.vitals.spo2_scale if chart.vitals else 1,
        ),
        phase=chart.phase,
        present_signs=frozenset(
            name
            for name, keys in monitoring.signs.items()
            if present & keys or (ANY in keys and present)
        ),
    )


def _score_readings(
    vitals: VitalSet | None,
    baseline: VitalSet | None,
    monitoring: MonitoringPolicy,
    score: News2 | News2Refused,
) -> dict[str, tuple[Reading, ...]]:
    """What limits on NEWS2 read: its total, its parts, and its rise.

    A baseline of which not every part was measured still has a least possible total,
    the sum of its known parts; the rise compares only the parts both sets have.
    """
    if isinstance(score, News2Refused):
        refused = Reading(
            name="news2",
            label="NEWS2",
            unit="",
            now=None,
            missing=score.missing,
        )
        names = ("news2_total", "news2_part", "news2_rise")
        return {name: (refused,) for name in names}
    before = known_parts(baseline, monitoring.news2)
    shared = sum(score.parts[name] for name in before)

    def reading(label: str, now: int, then: int | None) -> Reading:
        return Reading(
            name="news2",
            label=label,
            unit="",
            now=Decimal(now),
            baseline=None if then is None else Decimal(then),
            at=vitals.at if vitals else None,
            baseline_at=baseline.at if baseline else None,
        )

    least = sum(before.values()) if before else None
    parts = tuple(
        reading(f"NEWS2 {in_words((PARTS[name],))}", points, before.get(name))
        for name, points in score.parts.items()
    )
    return {
        "news2_total": (reading("NEWS2", score.total, least),),
        "news2_part": parts,
        "news2_rise": (reading("NEWS2", shared, least),),
    }


def _signs_text(chart: Chart, monitoring: MonitoringPolicy, crossing: Crossing) -> str:
    """Name the signs that a rule asked for and found: ", with hives"."""
    group = crossing.threshold.signs
    if not group:
        return ""
    asked = monitoring.signs[group]
    names = dict.fromkeys(
        inside(say(chart.labels.get(symptom.reaction, symptom.reaction)))
        for symptom in chart.symptoms
        if symptom.reaction in asked or ANY in asked
    )
    return say(", with {names}", names=", ".join(names))


def _notice_finding(
    notice: Notice, because: str, missing: tuple[str, ...] = ()
) -> Finding:
    return Finding(
        rule=notice.rule,
        action=notice.act.action,
        because=because,
        calls_for=say(notice.act.calls_for),
        source=notice.source,
        missing=missing,
        series=notice.rule,
        first_step=notice.act.first_step,
        recheck_minutes=notice.act.recheck_minutes,
        escalates_minutes=notice.act.escalates_minutes,
    )


def _missing_findings(
    chart: Chart, comparison: Comparison, notice: Notice
) -> Iterable[Finding]:
    """One finding names all that is missing; at home nobody measures."""
    if chart.phase is Phase.AFTER and chart.vitals is None:
        return
    compared = chart.phase is not Phase.BASELINE
    before = missing_from(chart.baseline) if compared else ()
    missing = tuple(
        dict.fromkeys(
            (
                *missing_from(chart.vitals),
                *(f"baseline {name}" for name in before),
                *comparison.missing,
            )
        )
    )
    if missing:
        yield _notice_finding(
            notice, f"{say(notice.because)}: {in_words(missing)}", missing
        )


def _timing_findings(chart: Chart, monitoring: MonitoringPolicy) -> Iterable[Finding]:
    """What a reaction at this time after the end calls for, on top of its own rule."""
    if chart.minutes_since_end is None:
        return
    present = {symptom.reaction for symptom in chart.symptoms}
    for rule in monitoring.timing:
        meant = monitoring.signs.get(rule.reaction, frozenset({rule.reaction}))
        concerned = present if ANY in meant else present & meant
        if concerned and chart.minutes_since_end <= rule.within_hours * 60:
            names = ", ".join(
                say(chart.labels.get(key, key)) for key in sorted(concerned)
            )
            yield Finding(
                rule=rule.rule,
                action=rule.act.action,
                because=say(
                    "{names}, within {within_hours} h of the end",
                    names=names,
                    within_hours=rule.within_hours,
                ),
                calls_for=say(rule.act.calls_for),
                source=rule.source,
                note=say(rule.note),
                series=f"timing {rule.reaction}",
                recheck_minutes=rule.act.recheck_minutes,
                escalates_minutes=rule.act.escalates_minutes,
                work_list=rule.act.work_list,
            )


def lot_findings(
    notice: Notice, *, phase: Phase, rate: RatePosition | None
) -> tuple[Finding, ...]:
    """What a vial of another lot calls for in mid-session (C7).

    The clinic's act is a note, or the ladder from its first step again; at the first
    step there is no way down, and only the schedule begins again.
    """
    if phase is not Phase.INFUSING:
        return ()
    found = _notice_finding(notice, say(notice.because))
    if found.first_step and rate is not None and rate.first_ml_per_h is None:
        return (replace(found, action=Action.OBSERVE),)
    return (found,)
