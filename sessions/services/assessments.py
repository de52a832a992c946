"""From the rows of a visit to the rules and back: the one place that asks them.

A rule that fails is never silence: the answer then says CHECK NOT DONE (I15).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.reactions import labels, reaction
from sessions.charts import SessionChart, vital_set
from sessions.models import Stage, VitalSigns
from sessions.rules.assessment import Chart, assess, lot_findings
from sessions.rules.findings import Action, Finding, Severity, Value
from sessions.rules.language import inside, say
from sessions.rules.news2 import News2, News2Refused
from sessions.rules.policy import Policy
from sessions.rules.reactions import Symptom, worked_out_severity
from sessions.rules.recommendation import RatePosition, Recommendation, recommend
from sessions.rules.thresholds import Phase

logger = logging.getLogger(__name__)

REACTION_SERIES = ("reaction ", "timing ")
LOT_SERIES = "new lot "


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the rules said about one save; `fault` says why they could not speak.

    `measured` is the grade that the vital signs give to the symptoms they measure.
    """

    recommendation: Recommendation | None = None
    news2: News2 | News2Refused | None = None
    measured: Severity | None = None
    fault: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.recommendation.findings if self.recommendation else ()

    @property
    def raises_flag(self) -> bool:
        return bool(self.fault) or bool(
            self.recommendation and self.recommendation.raises_flag
        )


def judge_vitals(chart: SessionChart, row: VitalSigns) -> Judgement:
    """Hold a set of vital signs against the protocol, as of when it was taken.

    Symptoms that are still there take part in combinations; what a reaction itself
    calls for was said when it was recorded and is not said again here.
    """
    if chart.policy is None:
        return Judgement(fault=chart.policy_fault)
    try:
        asked = _question(chart, row, symptoms=_present_symptoms(chart, row.event_time))
        answer = assess(asked, chart.policy)
        kept = [f for f in answer.findings if not f.series.startswith(REACTION_SERIES)]
        recommendation = _recommend(chart, chart.policy, kept, asked.phase)
        return Judgement(recommendation=recommendation, news2=answer.news2)
    except Exception as error:  # a rule that fails must not cost the nurse her entry
        return _not_done(error)


def judge_reaction(
    chart: SessionChart,
    symptoms: tuple[Symptom, ...],
    *,
    onset: datetime,
    recurrence: bool,
    phase: Phase | None = None,
) -> Judgement:
    """Hold a reaction against the protocol, with the last set of vital signs.

    Kept is what the symptoms add: what the vital signs alone call for was said when
    they were saved. `phase` is for a chart that shows an earlier time.
    """
    if chart.policy is None:
        return Judgement(fault=chart.policy_fault)
    row = chart.last_vitals
    try:
        asked = replace(
            _question(chart, row, symptoms=symptoms),
            phase=phase or chart.phase,
            recurrence=recurrence,
            earlier_mild_reactions=sum(
                seen.reaction.grade == "mild" for seen in chart.reactions
            ),
            minutes_since_end=_minutes_since_end(chart, onset),
        )
        answer = assess(asked, chart.policy)
        alone = assess(replace(asked, symptoms=(), recurrence=False), chart.policy)
        said = {found.rule for found in alone.findings}
        kept = [found for found in answer.findings if found.rule not in said]
        recommendation = _recommend(chart, chart.policy, kept, asked.phase)
        measured = _measured(symptoms, alone.findings)
        return Judgement(
            recommendation=recommendation, news2=answer.news2, measured=measured
        )
    except Exception as error:
        return _not_done(error)


def _measured(
    symptoms: Iterable[Symptom], findings: tuple[Finding, ...]
) -> Severity | None:
    """The highest grade that vital signs give to one of these symptoms, if any."""
    grades = [
        worked_out_severity(reaction(symptom.reaction), findings)
        for symptom in symptoms
    ]
    return max((grade for grade in grades if grade is not None), default=None)


def judge_new_lot(chart: SessionChart, lot: str, before: Iterable[str]) -> Judgement:
    """Apply the clinic's rule for a vial of another lot in mid-session (C7).

    Each lot is a finding of its own: a third one is not the second one back again.
    """
    if chart.policy is None:
        return Judgement(fault=chart.policy_fault)
    try:
        found = lot_findings(
            chart.policy.monitoring.new_lot,
            phase=chart.phase,
            rate=rate_position(chart),
        )
        named = [
            replace(
                each,
                series=f"{LOT_SERIES}{lot}",
                because=say(
                    "{because} ({lot} after {before})",
                    because=each.because,
                    lot=lot,
                    before=", ".join(before),
                ),
            )
            for each in found
        ]
        return Judgement(
            recommendation=_recommend(chart, chart.policy, named, chart.phase)
        )
    except Exception as error:
        return _not_done(error)


def escalated(
    chart: SessionChart, judgement: Judgement, because: str, *, done: Action
) -> Judgement:
    """The same findings with the next action up: not settled, or back again (F5).

    `done` is what was called for before; the next action is higher than that.
    """
    if judgement.recommendation is None or chart.policy is None:
        return judgement
    head = judgement.findings[0]
    before = max(head.action, done)
    steps = (Action.REDUCE, Action.PAUSE, Action.STOP)
    action = next((step for step in steps if step > before), before)
    up = replace(
        head,
        action=action,
        because=f"{because}: {head.because}",
        short=f"{because}: {head.headline}",
        calls_for=f"{ESCALATED_WORDS[action]}; {inside(because)}",
        restarts=action is Action.PAUSE,
        source=chart.policy.monitoring.reactions.recurrence.source,
    )
    found = [up, *judgement.findings[1:]]
    recommendation = _recommend(chart, chart.policy, found, chart.phase)
    return replace(judgement, recommendation=recommendation)


ESCALATED_WORDS = {
    Action.REDUCE: _lazy("the previous rate, a recheck and a call to the prescriber"),
    Action.PAUSE: _lazy("a pause and a call to the prescriber"),
    Action.STOP: _lazy("the end of this infusion and a call to the prescriber"),
    Action.EMERGENCY: _lazy("emergency treatment"),
}


def as_of_now(chart: SessionChart, judgement: Judgement) -> Judgement:
    """The same findings, and what they call for at the rate and in the phase of now."""
    if judgement.recommendation is None or chart.policy is None:
        return judgement
    recommendation = _recommend(chart, chart.policy, judgement.findings, chart.phase)
    return replace(judgement, recommendation=recommendation)


def rate_position(chart: SessionChart) -> RatePosition | None:
    """Where the infusion stands on its ladder; None before it began."""
    if chart.start is None or not chart.rungs:
        return None
    return RatePosition(
        rungs_ml_per_h=tuple(rung.pump_ml_per_h for rung in chart.rungs),
        present_ml_per_h=chart.rate_ml_per_h,
        resolution_ml_per_h=chart.resolution_ml_per_h,
    )


def phase_at(chart: SessionChart, moment: datetime) -> Phase:
    """The phase a set belongs to: a late entry is judged as of when it was taken."""
    if chart.started_at is None or moment < chart.started_at:
        return Phase.BASELINE
    if chart.ended_at is None or moment < chart.ended_at:
        return Phase.INFUSING
    return Phase.AFTER if chart.session.stage == Stage.DISCHARGED else Phase.OBSERVING


def _question(
    chart: SessionChart, row: VitalSigns | None, *, symptoms: tuple[Symptom, ...]
) -> Chart:
    moment = row.event_time if row else chart.at
    patient = chart.session.patient
    day = chart.session.clinic.day_of(moment)
    earlier = [v for v in chart.vitals if v.event_time < moment and v.pk != _pk(row)]
    return Chart(
        age_years=Decimal(patient.age_on(day)),
        pregnant=chart.is_pregnant,
        phase=phase_at(chart, moment),
        vitals=vital_set(row),
        baseline=vital_set(chart.baseline),
        last=vital_set(earlier[-1] if earlier else None),
        symptoms=symptoms,
        weight_kg=chart.start.weight_kg if chart.start else None,
        rate=rate_position(chart),
        labels=labels(),
    )


def _pk(row: VitalSigns | None) -> int | None:
    return row.pk if row else None


def _present_symptoms(chart: SessionChart, moment: datetime) -> tuple[Symptom, ...]:
    return tuple(
        Symptom(reaction=symptom.reaction_key, severity=Severity(symptom.severity))
        for seen in chart.reactions
        if not seen.is_over and seen.reaction.event_time <= moment
        for symptom in seen.symptoms
    )


def _minutes_since_end(chart: SessionChart, onset: datetime) -> Decimal | None:
    if chart.ended_at is None or onset < chart.ended_at:
        return None
    return Decimal(int((onset - chart.ended_at).total_seconds())) / 60


def _recommend(
    chart: SessionChart, policy: Policy, found: Iterable[Finding], phase: Phase
) -> Recommendation:
    return recommend(
        found,
        rate_position(chart),
        phase=phase,
        protocol=policy.label,
        restart=policy.dosing.restart,
    )


def _not_done(error: Exception) -> Judgement:
    logger.exception("a rule failed")
    return Judgement(
        fault=_("a rule failed ({name})").format(name=type(error).__name__)
    )


def news2_document(score: News2 | News2Refused | None) -> dict[str, Any] | None:
    """The score as it is kept with its set, or why there is none."""
    if score is None:
        return None
    if isinstance(score, News2Refused):
        named = {"missing": list(score.missing)} if score.missing else {}
        return {"refused": score.reason} | named
    return {"total": score.total, "band": score.band, "parts": dict(score.parts)}


def finding_document(found: Finding) -> dict[str, Any]:
    """One finding word for word, as the flag keeps and shows it."""
    return {
        "rule": found.rule,
        "series": found.series,
        "action": found.action.value,
        "severity": found.severity.value if found.severity else "",
        "because": found.because,
        "calls_for": found.calls_for,
        "source": found.source.label,
        "missing": list(found.missing),
        "note": found.note,
        "clears": found.clears,
        "values": [_value_document(value) for value in found.values],
    }


def _value_document(value: Value) -> dict[str, Any]:
    return {
        "name": value.name,
        "label": value.label,
        "unit": value.unit,
        "baseline": value.baseline,
        "last": value.last,
        "now": value.now,
        "change": value.change.replace("-", "\u2212"),
        "limit_text": value.limit_text,
        "at": value.at.isoformat() if value.at else None,
        "baseline_at": value.baseline_at.isoformat() if value.baseline_at else None,
        "last_at": value.last_at.isoformat() if value.last_at else None,
    }
