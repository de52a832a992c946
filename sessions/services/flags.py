"""Flags: raised with the save that found something, answered by an act or a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _

from sessions.charts import RaisedFlag, SeenReaction, SessionChart, is_complete
from sessions.models import (
    Flag,
    FlagAction,
    FlagEvent,
    FlagPriority,
    InfusionSession,
    NotDoneReason,
    OverrideReason,
    RateChange,
    Reaction,
    ReactionOutcome,
    VitalSigns,
)
from sessions.rules.findings import NOT_DONE, Action
from sessions.rules.monitoring import RECHECK_MINUTES, span
from sessions.rules.quantities import plain
from sessions.rules.running import per_kg
from sessions.services import rates
from sessions.services.acts import Actor, Refused, act
from sessions.services.assessments import (
    REACTION_SERIES,
    Judgement,
    escalated,
    finding_document,
)
from sessions.services.locks import locked_chart
from sessions.services.rates import Reason

ORDER = list(FlagAction.values)


@dataclass(slots=True, kw_only=True)
class Kept:
    """What a save did to the flags: the one it raised, and the events of others."""

    flag: Flag | None = None
    events: Sequence[FlagEvent] = ()


def answer_flag(
    session: InfusionSession,
    *,
    flag_id: int,
    action: str,
    by: Actor,
    to_ml_per_h: Decimal | None = None,
    read_back: bool = False,
    seen_version: int | None = None,
) -> FlagEvent | None:
    """Answer an open flag by an act, which this records itself (F4).

    `action` is observe, reduce, pause or stop. A stronger act answers milder flags of
    the visit too; an act milder than the flag calls for is recorded and leaves it open
    (the answer is then None). Opens the recheck timer (F5).
    """
    with act("flag.answer", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by, seen_version=seen_version)
        raised = _open(chart, flag_id)
        row = append_act(
            chart,
            action,
            to_ml_per_h=to_ml_per_h,
            read_back=read_back,
            by=by,
            flag=raised.flag,
        )
        if row is None and _level_of(chart, action) < _level(raised.flag):
            raise Refused(
                "The protocol calls for more: give a reason to keep the rate."
            )
        events = answer_all(chart, action, row=row, by=by, also=raised)
        done.on(raised.flag, action=action, rate=plain(chart.rate_ml_per_h))
    return next((event for event in events if event.flag_id == flag_id), None)


def override_flag(
    session: InfusionSession,
    *,
    flag_id: int,
    reason: Reason,
    by: Actor,
    seen_version: int | None = None,
) -> FlagEvent:
    """Keep the rate against the protocol, with a coded reason; opens the recheck."""
    with act("flag.override", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by, seen_version=seen_version)
        raised = _open(chart, flag_id)
        flag = raised.flag
        not_done = flag.rule == NOT_DONE
        reason.check(NotDoneReason if not_done else OverrideReason)
        if flag.reaction_id is not None and flag.priority == FlagPriority.HIGH:
            raise Refused(
                "A severe reaction cannot be closed without an act: pause or stop."
            )
        event = FlagEvent.objects.create(
            flag=flag,
            kind=FlagEvent.Kind.OVERRIDDEN,
            action="keep",
            reason_code=reason.code,
            reason_text=reason.text,
            recheck_at=None if not_done else _recheck_at(flag, by.moment),
            **by.stamp(),
        )
        done.on(flag, reason=reason.code)
    return event


def call_for_flag(
    session: InfusionSession, *, flag_id: int, who: str, by: Actor
) -> FlagEvent:
    """Write down who was called; answers a flag that calls for no other act."""
    with act("flag.call", by=by, patient=session.patient) as done:
        chart = locked_chart(session, by=by)
        raised = next((r for r in chart.flags if r.flag.pk == flag_id), None)
        if raised is None:
            raise Refused("That flag is not of this visit.")
        if not who.strip():
            raise Refused("Write who was called.", field="who")
        flag = raised.flag
        suffices = raised.is_open and flag.action == FlagAction.OBSERVE
        event = FlagEvent.objects.create(
            flag=flag,
            kind=FlagEvent.Kind.ANSWERED if suffices else FlagEvent.Kind.CALLED,
            action="call",
            reason_text=who,
            recheck_at=_recheck_at(flag, by.moment) if suffices else None,
            **by.stamp(),
        )
        done.on(flag, called=True)
    return event


# Inner parts: they run inside somebody's act, on a chart read under the lock.


def append_act(
    chart: SessionChart,
    action: str,
    *,
    by: Actor,
    to_ml_per_h: Decimal | None = None,
    read_back: bool = False,
    flag: Flag | None = None,
    reaction: Reaction | None = None,
) -> RateChange | None:
    """Do what a flag or a reaction is answered with; None when the rate stays."""
    links = {"flag": flag, "reaction": reaction, "by": by, "read_back": read_back}
    reason = Reason(code="flag" if flag else "reaction")
    if action == FlagAction.REDUCE:
        if to_ml_per_h is None:
            raise Refused("Say to which rate.", field="rate_ml_per_h")
        return rates.append_reduce(
            chart, to_ml_per_h=to_ml_per_h, reason=reason, **links
        )
    if action == FlagAction.PAUSE:
        return rates.append_pause(chart, reason=reason, **links)
    if action == FlagAction.STOP:
        return rates.append_stop(chart, reason=reason, **links)
    if action not in (FlagAction.OBSERVE, "continue"):
        raise Refused("Choose an act.", field="action")
    return None


def answer_all(
    chart: SessionChart,
    action: str,
    *,
    row: RateChange | None,
    by: Actor,
    also: RaisedFlag | None = None,
) -> list[FlagEvent]:
    """Answer every open flag that calls for no more than this act does."""
    done = _level_of(chart, action)
    answered = [
        raised
        for raised in chart.open_flags
        if (raised is also or row is not None)
        and _level(raised.flag) <= done
        and raised.flag.rule != NOT_DONE
    ]
    events = FlagEvent.objects.bulk_create(
        FlagEvent(
            flag=raised.flag,
            kind=FlagEvent.Kind.ANSWERED,
            action=action,
            rate_change=row,
            recheck_at=_recheck_at(raised.flag, by.moment),
            **by.stamp(),
        )
        for raised in answered
    )
    for raised, event in zip(answered, events, strict=True):
        event.by_name = by.user.name if by.user else ""
        raised.events.append(event)
    chart.derive()
    return events


def keep_judgement(
    chart: SessionChart,
    judgement: Judgement,
    *,
    by: Actor,
    vitals: VitalSigns | None = None,
    reaction: Reaction | None = None,
    again: SeenReaction | None = None,
) -> Kept:
    """Raise, repeat, settle or escalate flags for one save, all in its transaction.

    Findings of one save make one flag. A finding that an open flag already shows
    updates that flag; after an act it waits for its recheck; at the recheck it settles
    or escalates, and one that settled before and is back escalates too (F4, F5).
    `again` is a reaction that is judged a second time, as of its onset: its own flags
    stay as they are.
    """
    if judgement.fault:
        return Kept(flag=_raise_not_done(chart, judgement, vitals, reaction, by))
    moment = vitals.event_time if vitals else by.moment
    moment = again.reaction.event_time if again else moment
    own = again.ids if again else ()
    findings = [found for found in judgement.findings if found.action > Action.CONTINUE]
    found = {each.series or each.rule: each.action.value for each in findings}
    pressing = {
        each.series or each.rule
        for each in findings
        if each.action > Action.OBSERVE or each.escalates_minutes is not None
    }
    whole = not any(finding.missing for finding in judgement.findings)
    events, covered, goes_up, done = [], set(), "", Action.CONTINUE
    for raised in chart.flags:
        if raised.flag.reaction_id in own:
            continue
        event, reason = _after_save(
            chart, raised, found, pressing, moment, vitals, whole, by
        )
        if event is not None:
            events.append((raised, event))
        if reason:
            goes_up, done = reason, max(done, Action(raised.flag.action))
        else:
            covered |= _covered(chart, raised, found, moment)
    if goes_up:
        judgement = escalated(chart, judgement, goes_up, done=done)
    flag = None
    if judgement.raises_flag and (goes_up or set(found) - covered):
        flag = _raise(chart, judgement, vitals, reaction, by)
    written = FlagEvent.objects.bulk_create([event for _, event in events])
    for (raised, _event), event in zip(events, written, strict=True):
        event.by_name = by.user.name if by.user else ""
        raised.events.append(event)
    chart.derive()
    return Kept(flag=flag, events=written)


def close_corrected(
    chart: SessionChart,
    old: VitalSigns | SeenReaction,
    reason: str,
    by: Actor,
    *,
    owed_too: bool = False,
) -> None:
    """Close the open flags of a corrected row; its new values speak instead.

    With `owed_too` those that were answered and still owe a recheck: nothing is left
    to look at again.
    """
    for raised in chart.flags:
        waits = raised.is_open or (owed_too and raised.recheck_at is not None)
        if waits and _raised_by(raised.flag, old):
            _close(raised, reason, by)
    chart.derive()


def _raised_by(flag: Flag, row: VitalSigns | SeenReaction) -> bool:
    """Whether a flag was raised by a set, or by a reaction in any of its versions."""
    if isinstance(row, SeenReaction):
        return flag.reaction_id in row.ids
    return flag.vitals_id == row.pk


def take_back_verdicts(
    chart: SessionChart, old: VitalSigns, reason: str, by: Actor
) -> None:
    """Take back the rechecks that a corrected or withdrawn set had decided.

    The flag owes its recheck again until a set that counts has settled it (H21).
    """
    for raised in chart.flags:
        verdict = raised.verdict
        if verdict is not None and verdict.vitals_id == old.pk:
            _take_back(raised, verdict, reason, by)
    chart.derive()


def take_back_outcome(
    chart: SessionChart,
    seen: SeenReaction,
    old: ReactionOutcome,
    reason: str,
    by: Actor,
) -> None:
    """Take back what a withdrawn outcome had said about the flags of its reaction.

    A recheck that it decided is owed again; a flag that it raised is closed. Both were
    written in the very act that wrote the outcome down.
    """
    for raised in chart.flags:
        flag, verdict = raised.flag, raised.verdict
        if flag.reaction_id not in seen.ids:
            continue
        if flag.recorded_at == old.recorded_at and raised.is_open:
            _close(raised, reason, by)
        elif verdict is not None and verdict.recorded_at == old.recorded_at:
            _take_back(raised, verdict, reason, by)
    chart.derive()


def take_back_answers(
    chart: SessionChart, old: RateChange, reason: str, by: Actor
) -> None:
    """Take back what a change of rate answered that never happened as recorded.

    The flag waits for an answer again (H21).
    """
    for raised in chart.flags:
        answer = raised.answer
        if answer is not None and answer.rate_change_id == old.pk:
            _take_back(raised, answer, reason, by)
    chart.derive()


def _take_back(raised: RaisedFlag, said: FlagEvent, reason: str, by: Actor) -> None:
    event = FlagEvent.objects.create(
        flag=raised.flag,
        kind=said.kind,
        action=said.action,
        rate_change_id=said.rate_change_id,
        vitals_id=said.vitals_id,
        reason_code="corrected",
        reason_text=reason,
        supersedes=said,
        correction_reason=reason,
        entered_in_error=True,
        **by.stamp(),
    )
    event.by_name = by.user.name if by.user else ""
    raised.events.append(event)


def close_series(chart: SessionChart, series: str, reason: str, by: Actor) -> None:
    """Close what a series raised, answered or not: its cause was taken back."""
    for raised in chart.flags:
        if series in raised.series and not raised.is_closed:
            _close(raised, reason, by)
    chart.derive()


def _close(raised: RaisedFlag, reason: str, by: Actor) -> None:
    event = FlagEvent.objects.create(
        flag=raised.flag,
        kind=FlagEvent.Kind.CLOSED,
        reason_code="corrected",
        reason_text=reason,
        **by.stamp(),
    )
    event.by_name = by.user.name if by.user else ""
    raised.events.append(event)


def answer_by_earlier(
    chart: SessionChart, flag: Flag, row: RateChange, action: str, by: Actor
) -> None:
    """Answer a flag by a change that was made before it was raised, and recheck it."""
    raised = next(each for each in chart.flags if each.flag is flag)
    event = FlagEvent.objects.create(
        flag=flag,
        kind=FlagEvent.Kind.ANSWERED,
        action=action,
        rate_change=row,
        recheck_at=_recheck_at(flag, by.moment),
        **by.stamp(),
    )
    event.by_name = by.user.name if by.user else ""
    raised.events.append(event)
    chart.derive()


def settle_reaction(
    chart: SessionChart, seen: SeenReaction, *, settled: bool, by: Actor
) -> None:
    """Give the flags of a reaction their recheck's result: its outcome is known."""
    kind = FlagEvent.Kind.SETTLED if settled else FlagEvent.Kind.NOT_SETTLED
    for raised in chart.flags:
        if raised.flag.reaction_id in seen.ids and raised.recheck_at is not None:
            event = FlagEvent.objects.create(flag=raised.flag, kind=kind, **by.stamp())
            event.by_name = by.user.name if by.user else ""
            raised.events.append(event)


def _after_save(
    chart: SessionChart,
    raised: RaisedFlag,
    found: dict[str, str],
    pressing: set[str],
    moment: datetime,
    vitals: VitalSigns | None,
    whole: bool,
    by: Actor,
) -> tuple[FlagEvent | None, str]:
    """What a save means for an earlier flag: an event, and why it escalates if so.

    `found` is what the save shows, by series; `pressing` the part of it that calls for
    an act, or names a time by which somebody has to act. What only asks for another
    look goes up no act, beside a flag that did press as little as alone: a value that
    stays where it is calls for no lower rate (F5, H9).
    """
    kinds = FlagEvent.Kind
    same = set(raised.series) & set(found)
    pressed = set(raised.series) & pressing
    if raised.verdict is not None and raised.verdict.kind == kinds.CLOSED:
        return None, ""
    if raised.is_open:
        if not same:
            return None, ""
        overdue = raised.escalates_at is not None and moment >= raised.escalates_at
        event = _event(raised, kinds.SEEN_AGAIN, vitals, by)
        return event, _("Not acted on in time") if overdue else ""
    if raised.verdict is not None:
        if same and _stays(raised):
            return _event(raised, kinds.SEEN_AGAIN, vitals, by), ""
        if same and _stood_at(chart, raised, moment):
            own = vitals is not None and raised.flag.vitals_id == vitals.pk
            return None if own else _event(raised, kinds.SEEN_AGAIN, vitals, by), ""
        settled_at = _settled_at(chart, raised)
        later = settled_at is not None and moment >= settled_at
        back = pressed and later
        return None, _("Back again after it had settled") if back else ""
    if raised.recheck_at is None or vitals is None:
        return (_event(raised, kinds.SEEN_AGAIN, vitals, by) if same else None), ""
    if moment < raised.recheck_at - _window(chart):
        return (_event(raised, kinds.SEEN_AGAIN, vitals, by) if same else None), ""
    if pressed:
        event = _event(raised, kinds.NOT_SETTLED, vitals, by)
        return event, _("Not settled at the recheck")
    if same and not _presses(raised):
        return _event(raised, kinds.NOT_SETTLED, vitals, by), ""
    by_vitals = any(not name.startswith(REACTION_SERIES) for name in raised.series)
    if by_vitals and whole and is_complete(vitals):
        return _event(raised, kinds.SETTLED, vitals, by), ""
    return None, ""


def _presses(raised: RaisedFlag) -> bool:
    """Whether a flag asked for more than another look."""
    return raised.is_loud or raised.flag.escalate_minutes is not None


def _stays(raised: RaisedFlag) -> bool:
    """Whether it was looked at again, and is as it was: known, and no new flag."""
    kind = raised.verdict.kind if raised.verdict else ""
    return kind == FlagEvent.Kind.NOT_SETTLED and not _presses(raised)


def _settled_at(chart: SessionChart, raised: RaisedFlag) -> datetime | None:
    """When the set was taken, or the word said, with which a flag settled."""
    verdict = raised.verdict
    if verdict is None or verdict.kind != FlagEvent.Kind.SETTLED:
        return None
    taken = (row for row in chart.every_vitals if row.pk == verdict.vitals_id)
    return next((row.event_time for row in taken), verdict.event_time)


def _stood_at(chart: SessionChart, raised: RaisedFlag, moment: datetime) -> bool:
    """Whether a flag that has settled since stood at a moment: late sets lie there."""
    settled_at = _settled_at(chart, raised)
    return settled_at is not None and raised.flag.event_time <= moment < settled_at


def _covered(
    chart: SessionChart, raised: RaisedFlag, found: dict[str, str], moment: datetime
) -> set[str]:
    """Series that an earlier flag already shows, at this action or a higher one."""
    standing = raised.is_open or raised.recheck_at is not None or _stays(raised)
    if not standing and not _stood_at(chart, raised, moment):
        return set()
    level = ORDER.index(raised.flag.action)
    return {
        series
        for series, action in found.items()
        if series in raised.series and ORDER.index(action) <= level
    }


def _event(
    raised: RaisedFlag, kind: FlagEvent.Kind, vitals: VitalSigns | None, by: Actor
) -> FlagEvent:
    return FlagEvent(flag=raised.flag, kind=kind, vitals=vitals, **by.stamp())


def _window(chart: SessionChart) -> timedelta:
    if chart.policy is None:
        return timedelta(0)
    return span(chart.policy.monitoring.schedule.due_before_minutes)


def _raise(
    chart: SessionChart,
    judgement: Judgement,
    vitals: VitalSigns | None,
    reaction: Reaction | None,
    by: Actor,
) -> Flag:
    advice, policy = judgement.recommendation, chart.policy
    if advice is None or advice.head is None or policy is None:
        raise ValueError("a flag needs a finding of a protocol")
    head, to = advice.head, advice.rate_ml_per_h
    return _keep(
        chart,
        by,
        vitals,
        reaction,
        rule=head.rule,
        action=advice.action.value,
        priority=advice.action.priority.value,
        headline=head.headline[:300],
        calls_for=(
            _("{label}, rule {rule}, calls for {calls_for}.").format(
                label=policy.label, rule=head.rule, calls_for=advice.calls_for
            )
        )[:1000],
        source=head.source.label[:2000],
        rate_to_ml_per_h=to,
        rate_to_ml_per_kg_h=per_kg(to, chart.rungs) if to and chart.rungs else None,
        restart_ml_per_h=advice.restart_ml_per_h,
        recheck_minutes=advice.recheck_minutes,
        escalate_minutes=advice.escalates_minutes,
        findings=[finding_document(found) for found in advice.findings],
    )


def _raise_not_done(
    chart: SessionChart,
    judgement: Judgement,
    vitals: VitalSigns | None,
    reaction: Reaction | None,
    by: Actor,
) -> Flag:
    """The check did not run: say so as a flag, never as silence (I15)."""
    because = _("CHECK NOT DONE: {fault}").format(fault=judgement.fault)[:300]
    calls_for = _("Compare the values with the order by hand, then confirm.")
    return _keep(
        chart,
        by,
        vitals,
        reaction,
        rule=NOT_DONE,
        action=FlagAction.OBSERVE,
        priority=FlagPriority.MEDIUM,
        headline=because,
        calls_for=calls_for,
        source=_("This product: a check that cannot run is never taken as passed."),
        findings=[
            {
                "rule": NOT_DONE,
                "series": NOT_DONE,
                "action": FlagAction.OBSERVE.value,
                "severity": "",
                "because": because,
                "calls_for": calls_for,
                "source": "",
                "missing": [_("all limits")],
                "note": "",
                "clears": "",
                "values": [],
            }
        ],
    )


def _keep(
    chart: SessionChart,
    by: Actor,
    vitals: VitalSigns | None,
    reaction: Reaction | None,
    **said,
) -> Flag:
    """Write the flag down and put it on the chart that the answer is drawn from."""
    holder = chart.start or chart.order_version
    if holder is None:
        raise Refused("This visit has no order yet.")
    flag = Flag.objects.create(
        session=chart.session,
        vitals=vitals,
        reaction=reaction,
        rate_from_ml_per_h=chart.rate_ml_per_h,
        protocol_version=holder.protocol_version,
        **said,
        **by.stamp(event_time=vitals.event_time if vitals else None),
    )
    chart.flags.append(RaisedFlag(flag=flag))
    return flag


def _open(chart: SessionChart, flag_id: int) -> RaisedFlag:
    raised = next((r for r in chart.flags if r.flag.pk == flag_id), None)
    if raised is None:
        raise Refused("That flag is not of this visit.")
    if not raised.is_open:
        who = getattr(raised.answer, "by_name", "") if raised.answer else ""
        if who:
            raise Refused("This flag was answered already by {who}.", who=who)
        raise Refused("This flag was answered already.")
    return raised


def _level(flag: Flag) -> int:
    """How much a flag calls for; of the pump an emergency calls for a stop."""
    return min(ORDER.index(flag.action), ORDER.index(FlagAction.STOP))


def _level_of(chart: SessionChart, action: str) -> int:
    """How much an act does: while nothing runs, looking again is a pause."""
    state = chart.running.state
    if action == FlagAction.OBSERVE and state != "running":
        stands = FlagAction.PAUSE if state == "paused" else FlagAction.STOP
        return ORDER.index(stands)
    return ORDER.index(action) if action in ORDER else -1


def _recheck_at(flag: Flag, at: datetime) -> datetime:
    minutes = flag.recheck_minutes or RECHECK_MINUTES
    return at + timedelta(minutes=minutes)
