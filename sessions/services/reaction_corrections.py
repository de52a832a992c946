"""Correcting and withdrawing a reaction, or its outcome, that was written down wrongly.

The first entry stays readable, struck through, with the reason. What was done about it
was done: the act stays with the reaction, and so do the changes of rate made with it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sessions.charts import SeenReaction, SessionChart
from sessions.models import Flag, Grade, InfusionSession, Reaction, ReactionOutcome
from sessions.rules.findings import Action
from sessions.rules.reactions import Symptom
from sessions.services.acts import Actor, Refused, act
from sessions.services.assessments import (
    Judgement,
    as_of_now,
    judge_reaction,
    phase_at,
)
from sessions.services.flags import (
    answer_by_earlier,
    close_corrected,
    keep_judgement,
    settle_reaction,
    take_back_outcome,
)
from sessions.services.headers import confirm_correction, sign_correction
from sessions.services.locks import locked_chart
from sessions.services.reactions import (
    CONTINUE,
    OVER,
    RecordedReaction,
    append_reaction,
    called_for,
    is_back,
    rank,
    read_symptoms,
    runs,
    standing,
    symptoms_of,
    worked_out,
    write_symptoms,
)


def correct_reaction(
    *,
    session: InfusionSession,
    reaction_id: int,
    symptoms: Sequence[tuple[str, str]],
    reason: str,
    by: Actor,
    password: str = "",
    grade: str = "",
    onset: datetime | None = None,
    note: str = "",
    seen_version: int | None = None,
) -> RecordedReaction:
    """Write a reaction down anew; the first entry stays readable beside it.

    The rules are run again, as of its onset, for it and for the other reactions of the
    visit: a new flag is raised only where they call for more than was called for and
    done before (H21). `symptoms` and `grade` are as in `record_reaction`; without
    `onset` the time stays. A signed record is signed again.
    """
    confirm_correction(session, password=password, by=by)
    with act("reaction.correct", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by, seen_version=seen_version)
        seen = _to_replace(chart, reaction_id)
        _require(reason, "Write why it is corrected.")
        chosen, old = read_symptoms(symptoms), seen.reaction
        moment = onset or old.event_time
        _check_onset(seen, moment)
        with _as_of(chart, seen, moment):
            judgement = _judged(chart, chosen, moment)
            rule_grade = worked_out(chosen, judgement)
            _check_differs(seen, chosen, grade or rule_grade, moment, note)
            new = append_reaction(
                chart,
                chosen,
                by=by,
                onset=moment,
                grade=grade or rule_grade,
                graded_by_rule=rule_grade,
                vitals_id=old.vitals_id,
                action=old.action,
                action_reason=old.action_reason,
                note=note,
                supersedes=old,
                correction_reason=reason,
            )
        _check_held(chart, new.reaction, judgement)
        _replace(chart, seen, new)
        close_corrected(chart, seen, reason, by)
        flag = _flag_what_is_left(chart, new, judgement, by)
        _judge_others(chart, new, by)
        sign_correction(session, chart.session, by=by)
        row = new.reaction
        done.on(row, supersedes=old.pk, grade=row.grade, flag=flag.pk if flag else None)
    return RecordedReaction(reaction=row, chart=chart, flag=flag)


def withdraw_reaction(
    *,
    session: InfusionSession,
    reaction_id: int,
    reason: str,
    by: Actor,
    password: str = "",
) -> Reaction:
    """Withdraw a reaction that was another patient's, or none at all.

    Its flags are closed and owe no recheck. The rate stays where it was set.
    """
    confirm_correction(session, password=password, by=by)
    with act("reaction.withdraw", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by)
        seen = _to_replace(chart, reaction_id)
        _require(reason, "Write why it is withdrawn.")
        old = seen.reaction
        row = Reaction.objects.create(
            session=chart.session,
            **{name: getattr(old, name) for name in KEPT},
            supersedes=old,
            correction_reason=reason,
            entered_in_error=True,
            **by.stamp(event_time=old.event_time),
        )
        written = write_symptoms(row, symptoms_of(seen), by=by)
        gone = SeenReaction(reaction=row, symptoms=written)
        _replace(chart, seen, gone)
        close_corrected(chart, seen, reason, by, owed_too=True)
        _judge_others(chart, gone, by)
        sign_correction(session, chart.session, by=by)
        done.on(row, supersedes=old.pk)
    return row


def withdraw_outcome(
    *,
    session: InfusionSession,
    outcome_id: int,
    reason: str,
    by: Actor,
    password: str = "",
) -> ReactionOutcome:
    """Withdraw an outcome that is not how the reaction went on.

    What it had said about the flags of the reaction is taken back: a recheck is owed
    again, unless another outcome says too that the reaction is over.
    """
    confirm_correction(session, password=password, by=by)
    with act("reaction.withdraw-outcome", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by)
        told = ReactionOutcome.objects.filter(session=chart.session).current()
        old = told.filter(pk=outcome_id).first()
        if old is None:
            raise Refused("That outcome was withdrawn already.")
        _require(reason, "Write why it is withdrawn.")
        seen = standing(chart, old.reaction_id)
        row = ReactionOutcome.objects.create(
            session=chart.session,
            reaction_id=old.reaction_id,
            kind=old.kind,
            note=old.note,
            supersedes=old,
            correction_reason=reason,
            entered_in_error=True,
            **by.stamp(event_time=old.event_time),
        )
        take_back_outcome(chart, seen, old, reason, by)
        seen.is_over = told.filter(reaction_id__in=seen.ids, kind__in=OVER).exists()
        if seen.is_over:
            settle_reaction(chart, seen, settled=True, by=by)
        chart.derive()
        sign_correction(session, chart.session, by=by)
        done.on(row, supersedes=old.pk, kind=old.kind)
    return row


KEPT = (
    "grade",
    "graded_by_rule",
    "phase",
    "rate_ml_per_h",
    "step",
    "minutes_from_start",
    "volume_in_ml",
    "lots",
    "vitals_id",
    "action",
    "action_reason",
    "note",
)
"""What the row of a withdrawn reaction repeats of it."""


def _to_replace(chart: SessionChart, reaction_id: int) -> SeenReaction:
    """The reaction as it was shown; nobody corrects what somebody corrected since."""
    seen = next((s for s in chart.reactions if s.reaction.pk == reaction_id), None)
    if seen is None:
        raise Refused("That reaction was corrected already, or is not of this visit.")
    return seen


def _require(reason: str, words: str) -> None:
    if not reason.strip():
        raise Refused(words, field="correction_reason")


def _check_onset(seen: SeenReaction, moment: datetime) -> None:
    """An outcome cannot come before the reaction it is the outcome of."""
    later = ReactionOutcome.objects.filter(
        reaction_id__in=seen.ids, event_time__lt=moment
    )
    if later.current().exists():
        raise Refused("An outcome lies before this onset.", field="onset")


def _check_differs(
    seen: SeenReaction,
    symptoms: Sequence[Symptom],
    grade: str,
    moment: datetime,
    note: str,
) -> None:
    old = seen.reaction
    before = (set(symptoms_of(seen)), old.grade, old.event_time, old.note)
    if (set(symptoms), grade, moment, note) == before:
        raise Refused("Nothing was changed.")


def _check_held(chart: SessionChart, row: Reaction, judgement: Judgement) -> None:
    """A severe reaction is not run through, though only a hand graded it so (H26).

    Where the rules call for a pause or more, the flag holds the infusion instead.
    """
    advice = judgement.recommendation
    severe = max(row.grade, row.graded_by_rule, key=rank)
    if (
        row.action == CONTINUE
        and runs(chart)
        and rank(severe) >= rank(Grade.SEVERE)
        and (advice is None or advice.action < Action.PAUSE)
    ):
        raise Refused(
            "A severe reaction cannot be continued through: pause or stop first, then "
            "correct it.",
            field="grade",
        )


@contextmanager
def _as_of(
    chart: SessionChart, seen: SeenReaction, onset: datetime
) -> Iterator[SessionChart]:
    """The visit as it stood at an onset, before anything was done about the reaction.

    Earlier reactions and the rate of then are in sight, and the sets of vital signs
    that were there when the reaction was first written down.
    """
    now = chart.at, chart.rates, chart.reactions, chart.vitals
    chart.at = onset
    chart.rates = [
        row
        for row in chart.rates
        if row.event_time < onset
        or (row.event_time == onset and row.reaction_id not in seen.ids)
    ]
    chart.reactions = [
        other
        for other in chart.reactions
        if other.reaction.event_time <= onset and not other.ids & seen.ids
    ]
    known = max(seen.first.recorded_at, onset)
    chart.vitals = [row for row in chart.vitals if row.event_time <= known]
    chart.derive()
    try:
        yield chart
    finally:
        chart.at, chart.rates, chart.reactions, chart.vitals = now
        chart.derive()


def _judged(
    chart: SessionChart, symptoms: tuple[Symptom, ...], onset: datetime
) -> Judgement:
    """What the protocol says of a reaction, on the chart as of its onset."""
    return judge_reaction(
        chart,
        symptoms,
        onset=onset,
        recurrence=is_back(chart, symptoms),
        phase=phase_at(chart, onset),
    )


def _replace(chart: SessionChart, seen: SeenReaction, new: SeenReaction) -> None:
    """Put the new version on the chart in the place of the old one."""
    new.earlier, seen.newer = [*seen.earlier, seen.reaction], new.reaction
    new.is_over = seen.is_over
    chart.every_reaction.append(new)
    kept = [other for other in chart.reactions if other is not seen]
    if new.stands:
        kept.append(new)
    chart.reactions[:] = sorted(
        kept, key=lambda each: (each.reaction.event_time, each.reaction.pk)
    )


def _flag_what_is_left(
    chart: SessionChart, seen: SeenReaction, judgement: Judgement, by: Actor
) -> Flag | None:
    """Raise a flag if a reaction calls for more than its flags have called for.

    `judgement` is as of the onset. What was done with the reaction answers it, if that
    was enough; otherwise the flag says what is called for now. No stop is enough where
    emergency treatment is called for.
    """
    advice = judgement.recommendation
    if not judgement.raises_flag:
        return None
    if advice is not None and advice.action <= called_for(chart, seen):
        return None
    row, about = seen.reaction, {"reaction": seen.reaction, "again": seen, "by": by}
    taken = [
        each
        for each in chart.rates
        if each.reaction_id in seen.ids and each.kind == row.action
    ]
    if advice is None or not taken or advice.action > Action(row.action):
        return keep_judgement(chart, as_of_now(chart, judgement), **about).flag
    with _as_of(chart, seen, row.event_time):
        flag = keep_judgement(chart, judgement, **about).flag
    if flag is not None and Action(flag.action) <= Action(row.action):
        answer_by_earlier(chart, flag, taken[-1], row.action, by)
        if seen.is_over:
            settle_reaction(chart, seen, settled=True, by=by)
    return flag


def _judge_others(chart: SessionChart, changed: SeenReaction, by: Actor) -> None:
    """Hold the other reactions against the protocol again.

    A flag that was closed may have stood for one of them too, and one that was first
    may now be the same symptom again.
    """
    for seen in list(chart.reactions):
        if seen is changed or seen.is_over:
            continue
        onset = seen.reaction.event_time
        with _as_of(chart, seen, onset):
            judgement = _judged(chart, symptoms_of(seen), onset)
        if not judgement.fault:
            _flag_what_is_left(chart, seen, judgement, by)
