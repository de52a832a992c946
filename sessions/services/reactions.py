"""Recording an adverse reaction with its act and its medicines, and how it went on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from sessions.catalogue.reactions import labels, vocabulary
from sessions.charts import SeenReaction, SessionChart
from sessions.models import (
    Flag,
    FlagAction,
    FlagEvent,
    GivenMedicine,
    Grade,
    InfusionSession,
    OrderMedicine,
    Purpose,
    RateChange,
    Reaction,
    ReactionOutcome,
    ReactionSymptom,
    Stage,
    Vial,
)
from sessions.rules.findings import Action, Severity
from sessions.rules.monitoring import RECHECK_MINUTES
from sessions.rules.reactions import Symptom, UnknownReaction
from sessions.rules.running import reduced
from sessions.services.acts import Actor, Refused, act
from sessions.services.assessments import (
    Judgement,
    escalated,
    judge_reaction,
    phase_at,
)
from sessions.services.flags import (
    answer_all,
    append_act,
    keep_judgement,
    settle_reaction,
)
from sessions.services.locks import locked_chart
from sessions.services.medicines import append_given

CONTINUE = "continue"
STAGES = (Stage.INFUSING, Stage.OBSERVING, Stage.DISCHARGED)
GRADES = list(Grade.values)
OVER = (ReactionOutcome.Kind.RESOLVED, ReactionOutcome.Kind.SEQUELAE)
WORSE = (ReactionOutcome.Kind.UNCHANGED, ReactionOutcome.Kind.WORSE)


@dataclass(slots=True, kw_only=True)
class RecordedReaction:
    """A saved reaction with what was done about it."""

    reaction: Reaction
    chart: SessionChart
    flag: Flag | None = None
    rate_change: RateChange | None = None
    medicines: tuple[GivenMedicine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is proposed at these symptoms, before anything is saved.

    `expected` is the act: what the protocol calls for, as far as it is still open.
    `reduce_to_ml_per_h` is the rung below, None where there is none or nothing runs.
    """

    judgement: Judgement
    grade: str
    is_severe: bool
    expected: str
    reduce_to_ml_per_h: Decimal | None


def proposed(
    chart: SessionChart, chosen: Sequence[tuple[str, str]], *, graded: str = ""
) -> Proposal | None:
    """Judge symptoms as their save will, and propose an act; None without any.

    `graded` is the grade by hand, empty if there is none. A severe reaction is stopped
    whatever its own row says (H26); a check that could not run proposes the pause.
    """
    if not chosen:
        return None
    symptoms = read_symptoms(chosen)
    judgement = judge_reaction(
        chart, symptoms, onset=chart.at, recurrence=is_back(chart, symptoms)
    )
    advice = judgement.recommendation
    action = advice.action if advice else Action.PAUSE
    grade = worked_out(symptoms, judgement)
    is_severe = rank(max(grade, graded, key=rank)) >= rank(Grade.SEVERE)
    if is_severe:
        action = max(Action.STOP, action)
    below = reduced(chart.rate_ml_per_h, chart.rungs) if runs(chart) else None
    return Proposal(
        judgement=judgement,
        grade=grade,
        is_severe=is_severe,
        expected=_expected(chart, action),
        reduce_to_ml_per_h=below.ml_per_h
        if below and below.action == FlagAction.REDUCE
        else None,
    )


def _expected(chart: SessionChart, action: Action) -> str:
    """An act as far as the pump's state leaves it open."""
    if runs(chart):
        by_name = {Action.EMERGENCY: FlagAction.STOP, Action.OBSERVE: CONTINUE}
        return str(by_name.get(action, action.value))
    if chart.running.state == "paused" and action >= Action.STOP:
        return str(FlagAction.STOP)
    return CONTINUE


def record_reaction(
    *,
    session: InfusionSession,
    symptoms: Sequence[tuple[str, str]],
    action: str,
    by: Actor,
    grade: str = "",
    onset: datetime | None = None,
    to_ml_per_h: Decimal | None = None,
    read_back: bool = False,
    action_reason: str = "",
    medicine_ids: Sequence[int] = (),
    note: str = "",
    seen_version: int | None = None,
) -> RecordedReaction:
    """Save a reaction, its act, its flag and the medicines given; all or nothing.

    `symptoms` are pairs of a key of the catalogue and a severity. `action` is reduce,
    pause, stop or continue; continue needs a reason, and a severe reaction cannot be
    continued through at all (H26).
    """
    with act("reaction.record", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by, seen_version=seen_version)
        if chart.session.stage not in STAGES:
            raise Refused("A reaction is recorded from the Start on.")
        moment = onset or by.moment
        seen = read_symptoms(symptoms)
        judgement = judge_reaction(
            chart, seen, onset=moment, recurrence=is_back(chart, seen)
        )
        rule_grade = worked_out(seen, judgement)
        _check_action(chart, action, max(rule_grade, grade, key=rank))
        called = judgement.recommendation.action if judgement.recommendation else None
        milder = called is None or called > Action.OBSERVE
        if milder and action == CONTINUE and runs(chart) and not action_reason.strip():
            raise Refused("Say why the infusion goes on.", field="action_reason")
        appended = append_reaction(
            chart,
            seen,
            by=by,
            onset=moment,
            grade=grade or rule_grade,
            graded_by_rule=rule_grade,
            vitals=chart.last_vitals,
            action=action,
            action_reason=action_reason,
            note=note,
        )
        row = appended.reaction
        chart.every_reaction.append(appended)
        chart.reactions.append(appended)
        kept = keep_judgement(chart, judgement, by=by, reaction=row)
        change = append_act(
            chart,
            action,
            to_ml_per_h=to_ml_per_h,
            read_back=read_back,
            by=by,
            flag=kept.flag,
            reaction=row,
        )
        _answer(chart, kept.flag, action, action_reason, change, by)
        given = _give(chart, medicine_ids, by)
        done.on(row, grade=row.grade, action=action, medicines=len(given))
    return RecordedReaction(
        reaction=row, chart=chart, flag=kept.flag, rate_change=change, medicines=given
    )


def record_outcome(
    *,
    session: InfusionSession,
    reaction_id: int,
    kind: str,
    by: Actor,
    note: str = "",
    event_time: datetime | None = None,
) -> ReactionOutcome:
    """Write down how a reaction went on; not better escalates its flag (F5, G3)."""
    with act("reaction.outcome", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by)
        seen = standing(chart, reaction_id)
        if kind not in ReactionOutcome.Kind.values:
            raise Refused("Choose an outcome.", field="kind")
        if (event_time or by.moment) < seen.reaction.event_time:
            raise Refused("The outcome lies before the onset.", field="event_time")
        row = ReactionOutcome.objects.create(
            session=chart.session,
            reaction=seen.reaction,
            kind=kind,
            note=note,
            **by.stamp(event_time=event_time),
        )
        if kind in (*OVER, *WORSE):
            settle_reaction(chart, seen, settled=kind in OVER, by=by)
        if kind in WORSE:
            again = judge_reaction(
                chart, symptoms_of(seen), onset=by.moment, recurrence=False
            )
            if again.raises_flag:
                again = escalated(
                    chart,
                    again,
                    _("Not settling after the first action"),
                    done=called_for(chart, seen),
                )
            keep_judgement(chart, again, by=by, reaction=seen.reaction)
        done.on(row, kind=kind)
    return row


def standing(chart: SessionChart, reaction_id: int) -> SeenReaction:
    """A reaction of the visit as it stands now; an earlier version of it finds it too.

    Somebody may have corrected it since the page was drawn.
    """
    seen = next((each for each in chart.reactions if reaction_id in each.ids), None)
    if seen is None:
        raise Refused("That reaction was withdrawn, or is not of this visit.")
    return seen


def called_for(chart: SessionChart, seen: SeenReaction) -> Action:
    """The highest action that this reaction's flags called for so far.

    A flag that was closed speaks no more.
    """
    flags = [
        raised.flag
        for raised in chart.flags
        if raised.flag.reaction_id in seen.ids and not raised.is_closed
    ]
    return max((Action(flag.action) for flag in flags), default=Action.CONTINUE)


def worked_out(symptoms: Sequence[Symptom], judgement: Judgement) -> str:
    """The grade of the symptoms, of the protocol's rows, and of what measures them.

    A fever is no milder than its temperature; nothing is a default.
    """
    found = [judgement.measured, *(each.severity for each in judgement.findings)]
    severities = [symptom.severity for symptom in symptoms]
    return max(severities + [each for each in found if each is not None]).value


def read_symptoms(symptoms: Sequence[tuple[str, str]]) -> tuple[Symptom, ...]:
    if not symptoms:
        raise Refused("Choose at least one symptom.")
    try:
        return tuple(
            Symptom(reaction=vocabulary().find(word).key, severity=Severity(severity))
            for word, severity in symptoms
        )
    except UnknownReaction as error:
        raise Refused(f"{error}.") from error


def symptoms_of(seen: SeenReaction) -> tuple[Symptom, ...]:
    return tuple(
        Symptom(reaction=row.reaction_key, severity=Severity(row.severity))
        for row in seen.symptoms
    )


def is_back(chart: SessionChart, symptoms: Sequence[Symptom]) -> bool:
    """The same symptom again, after an act was taken for it in this visit."""
    keys = {symptom.reaction for symptom in symptoms}
    return any(
        keys & {row.reaction_key for row in seen.symptoms}
        and seen.reaction.action != CONTINUE
        for seen in chart.reactions
    )


def rank(grade: str) -> int:
    return GRADES.index(grade) if grade in GRADES else -1


def runs(chart: SessionChart) -> bool:
    return chart.running.state == "running"


def _check_action(chart: SessionChart, action: str, grade: str) -> None:
    if action == CONTINUE and runs(chart) and rank(grade) >= rank(Grade.SEVERE):
        raise Refused(
            "A severe reaction cannot be continued through: pause or stop.",
            field="action",
        )


def append_reaction(
    chart: SessionChart,
    symptoms: Sequence[Symptom],
    *,
    by: Actor,
    onset: datetime,
    **said: Any,
) -> SeenReaction:
    """Write a reaction down with its symptoms, and where the infusion stood then.

    `said` are the other columns of `Reaction`. It is not on the chart yet.
    """
    lots = (
        Vial.objects.filter(session=chart.session, event_time__lte=onset)
        .current()
        .order_by("event_time", "pk")
        .values_list("lot", flat=True)
    )
    then = chart.running_at(onset)
    minutes = None
    if chart.started_at is not None:
        minutes = int((onset - chart.started_at).total_seconds() // 60)
    row = Reaction.objects.create(
        session=chart.session,
        phase=phase_at(chart, onset).value,
        rate_ml_per_h=then.rate_ml_per_h,
        step=then.step,
        minutes_from_start=minutes,
        volume_in_ml=then.volume_ml,
        lots=", ".join(dict.fromkeys(lots))[:200],
        **said,
        **by.stamp(event_time=onset),
    )
    return SeenReaction(reaction=row, symptoms=write_symptoms(row, symptoms, by=by))


def write_symptoms(
    row: Reaction, symptoms: Sequence[Symptom], *, by: Actor
) -> list[ReactionSymptom]:
    """Write down the symptoms of a row; no reaction is read without any."""
    return ReactionSymptom.objects.bulk_create(
        ReactionSymptom(
            reaction=row,
            reaction_key=symptom.reaction,
            name=labels()[symptom.reaction],
            severity=symptom.severity.value,
            **by.stamp(event_time=row.event_time),
        )
        for symptom in symptoms
    )


def _answer(
    chart: SessionChart,
    flag: Flag | None,
    action: str,
    reason: str,
    change: RateChange | None,
    by: Actor,
) -> None:
    """The act taken with the reaction answers its flag, when it is enough."""
    if flag is None:
        if change is not None:
            answer_all(chart, action, row=change, by=by)
        return
    raised = next(each for each in chart.flags if each.flag is flag)
    if action != CONTINUE:
        answer_all(chart, action, row=change, by=by, also=raised)
    elif not runs(chart) or flag.action == FlagAction.OBSERVE:
        answer_all(chart, "observe", row=None, by=by, also=raised)
    else:
        minutes = flag.recheck_minutes or RECHECK_MINUTES
        event = FlagEvent.objects.create(
            flag=flag,
            kind=FlagEvent.Kind.OVERRIDDEN,
            action="keep",
            reason_code="other",
            reason_text=reason,
            recheck_at=by.moment + timedelta(minutes=minutes),
            **by.stamp(),
        )
        event.by_name = by.user.name if by.user else ""
        raised.events.append(event)
        chart.derive()


def _give(
    chart: SessionChart, medicine_ids: Sequence[int], by: Actor
) -> tuple[GivenMedicine, ...]:
    """Give as-needed medicines of the order in the same act; checks as anywhere."""
    if not medicine_ids:
        return ()
    ordered = OrderMedicine.objects.filter(
        order_version=chart.order_version, purpose=Purpose.AS_NEEDED
    ).in_bulk(list(medicine_ids))
    given = []
    for pk in medicine_ids:
        if pk not in ordered:
            raise Refused("That medicine is not on the order.", field="medicines")
        given.append(append_given(chart.session, ordered[pk], by=by))
    return tuple(given)
