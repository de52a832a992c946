"""One visit, read whole: the only place where its state and next act are derived.

Session page, board, record, reports and exports take rate, volume, ends, due vitals
and state from here, so that each of them is one and the same number everywhere.
The chart reads and never writes; a service reads it under its own lock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.models import (
    IN_A_CHAIR,
    Flag,
    FlagAction,
    FlagEvent,
    FlagPriority,
    GateOverride,
    GivenMedicine,
    IdentityCheck,
    InfusionSession,
    LineCheck,
    OrderVersion,
    Presence,
    RateChange,
    RateKind,
    Reaction,
    ReactionOutcome,
    ReactionSymptom,
    RiskFactor,
    Screening,
    Stage,
    StageChange,
    Start,
    Vial,
    VitalSigns,
)
from sessions.rules.findings import Finding
from sessions.rules.ladders import Rung
from sessions.rules.language import inside, say
from sessions.rules.monitoring import (
    RECHECK_MINUTES,
    Course,
    Due,
    Recheck,
    next_vitals,
    span,
    state_at,
    time_findings,
)
from sessions.rules.plans import rungs_of
from sessions.rules.policy import Policy
from sessions.rules.quantities import plain
from sessions.rules.running import (
    RateEvent,
    Restart,
    Running,
    restart,
    running_state,
)
from sessions.rules.sources import DocumentError, Setting
from sessions.rules.thresholds import Phase
from sessions.rules.vitals import COMPLETE, VitalSet

RELATED = (
    "clinic",
    "patient",
    "chair",
    "nurse",
    "order__current__protocol_version__protocol",
    "order__current__prescriber",
    "start__order_version__prescriber",
    "start__protocol_version__protocol",
    "start__baseline",
    "start__weight",
)
"""What a chart reads beside the visit itself, in the same query."""

DEFERRED = (
    "order__current__protocol_version__document",
    "start__protocol_version__document",
    "start__gate",
)
"""Large documents: the policy is read once for each content and then remembered."""

PREGNANCY = "pregnancy"
"""The key of the risk factor that switches off NEWS2 (A8)."""


def for_charts(sessions: QuerySet) -> QuerySet:
    """Visits with all that a chart needs of them, still one query."""
    pregnant = RiskFactor.objects.current().filter(
        patient=OuterRef("patient"), key=PREGNANCY, presence=Presence.PRESENT
    )
    return (
        sessions.select_related(*RELATED)
        .defer(*DEFERRED)
        .annotate(is_pregnant=Exists(pregnant))
    )


@dataclass(slots=True, kw_only=True)
class RaisedFlag:
    """A flag with what happened to it since; open until a named user answers it."""

    flag: Flag
    events: list[FlagEvent] = field(default_factory=list)

    @property
    def answer(self) -> FlagEvent | None:
        """The newest act or reason that answered it."""
        answers = [event for event in self.events if event.kind in FlagEvent.ANSWERS]
        return answers[-1] if answers else None

    @property
    def is_open(self) -> bool:
        """Latched: nobody has recorded an act or a reason yet."""
        return self.answer is None and not self.is_closed

    @property
    def is_closed(self) -> bool:
        """What it was raised for was corrected or taken back."""
        return any(event.kind == FlagEvent.Kind.CLOSED for event in self.events)

    @property
    def verdict(self) -> FlagEvent | None:
        """The recheck's result, if its set was not taken back since, or the close."""
        verdicts = (FlagEvent.Kind.SETTLED, FlagEvent.Kind.NOT_SETTLED)
        ended = [e for e in self.events if e.kind in (*verdicts, FlagEvent.Kind.CLOSED)]
        gone = {event.supersedes_id for event in ended}
        kept = [e for e in ended if e.pk not in gone and not e.entered_in_error]
        return kept[-1] if kept else None

    @property
    def recheck_at(self) -> datetime | None:
        """When the recheck of an answered flag is due; None once it has a result."""
        if self.answer is None or self.verdict is not None:
            return None
        return self.answer.recheck_at

    @property
    def is_loud(self) -> bool:
        """Of medium or high priority: it holds the next step while it is open."""
        return self.flag.priority != FlagPriority.LOW

    @property
    def recheck(self) -> Recheck | None:
        """The sets it owes: as long as a loud one is open, and until it has settled."""
        minutes = self.flag.recheck_minutes or RECHECK_MINUTES
        if self.recheck_at is not None:
            return Recheck(at=self.recheck_at, minutes=minutes)
        if not (self.is_open and self.is_loud):
            return None
        first = self.flag.event_time + timedelta(minutes=minutes)
        return Recheck(at=first, minutes=minutes)

    @property
    def escalates_at(self) -> datetime | None:
        """When an unanswered flag counts as not acted on."""
        if not self.is_open or self.flag.escalate_minutes is None:
            return None
        return self.flag.event_time + timedelta(minutes=self.flag.escalate_minutes)

    def unanswered_minutes(self, at: datetime) -> int | None:
        """Whole minutes past the time by which it should have been answered."""
        by = self.escalates_at
        return None if by is None or at < by else int((at - by).total_seconds() // 60)

    @property
    def seen_again(self) -> list[FlagEvent]:
        """Later sets that showed the same finding."""
        return [e for e in self.events if e.kind == FlagEvent.Kind.SEEN_AGAIN]

    @property
    def calls(self) -> list[FlagEvent]:
        """Who was called about it."""
        return [e for e in self.events if e.kind == FlagEvent.Kind.CALLED]

    @property
    def series(self) -> dict[str, FlagAction]:
        """What it found, by series of rules, with the action each called for."""
        return {
            found.get("series") or found["rule"]: found["action"]
            for found in self.flag.findings
        }


@dataclass(slots=True, kw_only=True)
class SeenReaction:
    """A reaction with its symptoms; over when somebody said that it resolved."""

    reaction: Reaction
    symptoms: list[ReactionSymptom] = field(default_factory=list)
    is_over: bool = False

    @property
    def words(self) -> str:
        """`Headache mild, flushing mild`."""
        said = ", ".join(f"{inside(s.name)} {say(s.severity)}" for s in self.symptoms)
        return said[:1].upper() + said[1:]


class NextAct(NamedTuple):
    """The next thing somebody has to do for a visit, in a nurse's words.

    `key` is one of flag, vitals, step, resume, end, discharge, start, prepare, check_in
    and none; `at` is when it is due (`counts` "to") or since when it waits ("since").
    """

    key: str
    words: str
    number: str = ""
    at: datetime | None = None
    counts: str = "to"
    why: str = ""


CLOCK_SLACK = timedelta(minutes=2)
"""How far two acts may lie apart the wrong way round without a fault of the clock."""

STATES = (
    "flag-high",
    "flag-medium",
    "late",
    "flag-low",
    "paused",
    "running",
    "observing",
    "preparing",
    "planned",
    "discharged",
    "cancelled",
)
"""States of a visit, worst first, as the look names them."""

ICONS = {
    "flag-high": "high",
    "flag-medium": "medium",
    "flag-low": "low",
    "planned": "free",
    "discharged": "ok",
    "cancelled": "free",
}


@dataclass(slots=True, kw_only=True)
class SessionChart:
    """One visit at one moment: its rows, and what follows from them.

    `every_vitals` holds superseded and withdrawn sets too, `vitals` only those that
    count, in the order in which they happened. The parts from `medicines` on are read
    by `chart_of` only (`is_whole`).
    """

    session: InfusionSession
    at: datetime
    start: Start | None
    order_version: OrderVersion | None
    policy: Policy | None
    policy_fault: str
    rungs: tuple[Rung, ...]
    total_ml: Decimal
    every_vitals: list[VitalSigns]
    vitals: list[VitalSigns]
    rates: list[RateChange]
    reactions: list[SeenReaction]
    flags: list[RaisedFlag]
    is_pregnant: bool = False
    last_complete_at: datetime | None = None
    """The newest complete set, where the sets themselves were not read (`cards_of`)."""
    is_whole: bool = False
    medicines: list[GivenMedicine] = field(default_factory=list)
    vials: list[Vial] = field(default_factory=list)
    screening: Screening | None = None
    line: LineCheck | None = None
    identity: IdentityCheck | None = None
    overrides: list[GateOverride] = field(default_factory=list)
    stage_changes: list[StageChange] = field(default_factory=list)
    outcomes: list[ReactionOutcome] = field(default_factory=list)
    running: Running = field(init=False)
    due: Due | None = field(init=False)

    def __post_init__(self) -> None:
        self.derive()

    def stand_at(self, moment: datetime) -> None:
        """Look at the visit as it stood, or stands, at a moment."""
        self.at = moment
        self.derive()

    def derive(self) -> None:
        """Work out everything anew; for a service that has just added a row."""
        self.running = self.running_at(self.at)
        self.due = (
            next_vitals(self._course(), self.policy.monitoring.schedule)
            if self.policy
            else None
        )

    def running_at(self, moment: datetime) -> Running:
        """Where the infusion stood at a moment, from the recorded rate changes."""
        return running_state(
            [
                RateEvent(at=row.event_time, ml_per_h=row.rate_ml_per_h, kind=row.kind)
                for row in self.rates
            ],
            self.rungs,
            self.total_ml,
            moment,
            restart_minutes=self.policy.dosing.restart.minutes.value
            if self.policy
            else None,
        )

    # rate and volume

    @property
    def rate_ml_per_h(self) -> Decimal:
        """What the pump runs at: the last rate change, and nothing else."""
        return self.running.rate_ml_per_h

    @property
    def ml_per_kg_h(self) -> Decimal:
        return self.running.ml_per_kg_h

    @property
    def volume_ml(self) -> Decimal:
        """Volume given, the exact integral of the rate changes."""
        return self.running.volume_ml

    @property
    def left_ml(self) -> Decimal:
        return self.running.left_ml

    @property
    def ends_at(self) -> datetime | None:
        """Projected end if every next step is taken on time; past its end when over."""
        return self.ended_at or self.running.projected_end_on_ladder

    @property
    def started_at(self) -> datetime | None:
        return self.start.event_time if self.start else None

    @property
    def ended_at(self) -> datetime | None:
        """When the infusion was ended or stopped for good."""
        last = self.rates[-1] if self.rates else None
        over = last is not None and last.kind in (RateKind.STOP, RateKind.END)
        return last.event_time if over else None

    @property
    def observe_until(self) -> datetime | None:
        if self.ended_at is None or self.start is None:
            return None
        return self.ended_at + timedelta(minutes=self.start.observation_minutes)

    @property
    def minutes_from_start(self) -> int | None:
        if self.started_at is None:
            return None
        return int((self.at - self.started_at).total_seconds() // 60)

    @property
    def steps(self) -> tuple[Rung, ...]:
        """The rungs this dose reaches: what "step 3 of 5" counts."""
        return tuple(rung for rung in self.rungs if rung.reached)

    @property
    def step_text(self) -> str:
        """`step 3 of 5`; empty when nothing runs."""
        step = self.running.step
        return (
            _("step {step} of {steps}").format(
                step=step, steps=max(len(self.steps), step)
            )
            if step
            else ""
        )

    @property
    def step_marks_ml(self) -> list[Decimal]:
        """Volumes at which the ladder steps up: the lines of the volume bar."""
        return [rung.cumulative_ml for rung in self.steps[:-1]]

    @property
    def ceiling_ml_per_kg_h(self) -> Decimal | None:
        return self.order_version.ceiling_ml_per_kg_h if self.order_version else None

    @property
    def resolution_ml_per_h(self) -> Decimal:
        """How fine this clinic's pumps are: its setting, as plans use it too."""
        return self.session.clinic.pump_resolution_ml_per_h

    @property
    def restart(self) -> Restart | None:
        """What the protocol proposes after a pause; never the old rate (H11)."""
        before = self.running.rate_before_pause_ml_per_h
        if self.running.state != "paused" or before is None or self.policy is None:
            return None
        policy = self.policy.dosing.restart
        begins = [at for at in self._ladder_begins if at >= self.rates[-1].event_time]
        if begins:  # a new lot was opened while it stood still
            source = self.policy.monitoring.new_lot.source
            method = Setting(value="first_step", source=source)
            policy = replace(policy, method=method)
        return restart(
            policy,
            rate_before_ml_per_h=before,
            rungs=self.rungs,
            resolution_ml_per_h=self.resolution_ml_per_h,
        )

    @property
    def pause_until(self) -> datetime | None:
        """Until when the protocol pauses after a reaction, unless it settles later."""
        if self.restart is None or self.policy is None:
            return None
        pause = self.policy.dosing.restart.pause_minutes
        return self.rates[-1].event_time + span(pause)

    # vitals

    @property
    def phase(self) -> Phase:
        """Where in the session rules find a set of values now."""
        if self.session.stage == Stage.INFUSING:
            return Phase.INFUSING
        if self.session.stage == Stage.OBSERVING:
            return Phase.OBSERVING
        if self.session.stage == Stage.DISCHARGED:
            return Phase.AFTER
        return Phase.BASELINE

    @property
    def baseline(self) -> VitalSigns | None:
        """The set that changes are counted from: the one the Start was made with.

        A corrected baseline counts as corrected (H21). Before the Start it is the
        newest baseline set.
        """
        if self.start is None:
            taken = [row for row in self.vitals if row.purpose == "baseline"]
            return taken[-1] if taken else None
        newest = {row.supersedes_id: row for row in self.every_vitals}
        row = self.start.baseline
        while row.pk in newest and not newest[row.pk].entered_in_error:
            row = newest[row.pk]
        return row

    @property
    def last_vitals(self) -> VitalSigns | None:
        return self.vitals[-1] if self.vitals else None

    @property
    def due_state(self) -> str:
        """`ahead`, `due`, `late`, or empty when no set is owed."""
        if self.due is None or self.policy is None:
            return ""
        return state_at(self.due, self.at, self.policy.monitoring.schedule)

    @property
    def late_from(self) -> datetime | None:
        if self.due is None or self.policy is None:
            return None
        allowed = self.policy.monitoring.schedule.late_after_minutes.value
        return self.due.at + timedelta(minutes=int(allowed))

    def _course(self) -> Course:
        starts = [row.event_time for row in self.rates if row.kind in RESTARTS]
        starts += self._ladder_begins
        rechecks = [raised.recheck for raised in self.flags]
        last = self.rates[-1] if self.rates else None
        return Course(
            phase=self.phase,
            schedule_from=max(starts, default=None),
            step_due_at=self.running.step_due_at if not self.loud_flags else None,
            paused_at=last.event_time if last and last.kind == RateKind.PAUSE else None,
            ended_at=self.ended_at,
            observe_until=self.observe_until,
            rechecks=tuple(each for each in rechecks if each is not None),
            vitals_at=self._complete_sets_at(),
        )

    def begins_ladder(self, raised: RaisedFlag) -> bool:
        """Whether a flag stands for a new lot that begins the ladder again (C7)."""
        if self.policy is None:
            return False
        new_lot = self.policy.monitoring.new_lot
        named = raised.flag.rule == new_lot.rule
        return named and new_lot.act.first_step and not raised.is_closed

    @property
    def _ladder_begins(self) -> list[datetime]:
        return [each.flag.event_time for each in self.flags if self.begins_ladder(each)]

    def _complete_sets_at(self) -> tuple[datetime, ...]:
        if self.last_complete_at is not None:
            return (self.last_complete_at,)
        return tuple(row.event_time for row in self.vitals if is_complete(row))

    @property
    def time_findings(self) -> tuple[Finding, ...]:
        """What the clock alone has to say now: late vitals, a step held too long (F1).

        Worked out on every read, never stored.
        """
        if self.policy is None or self.session.stage not in IN_A_CHAIR:
            return ()
        held = self.loud_flags or self.rechecks
        return time_findings(
            due=self.due,
            step_due_at=None if held else self.running.step_due_at,
            at=self.at,
            schedule=self.policy.monitoring.schedule,
            rules=self.policy.monitoring.time_rules,
        )

    # flags

    @property
    def open_flags(self) -> list[RaisedFlag]:
        """Flags that wait for an answer, the highest action first, then the oldest."""
        waiting = [raised for raised in self.flags if raised.is_open]
        return sorted(
            waiting,
            key=lambda raised: (
                -list(FlagAction.values).index(raised.flag.action),
                raised.flag.event_time,
            ),
        )

    @property
    def loud_flags(self) -> list[RaisedFlag]:
        """Open flags that hold the next step: medium and high, not low."""
        return [raised for raised in self.open_flags if raised.is_loud]

    @property
    def rechecks(self) -> list[RaisedFlag]:
        """Answered flags whose recheck is still to come, the nearest first."""
        waiting = [raised for raised in self.flags if raised.recheck_at]
        return sorted(waiting, key=lambda raised: raised.recheck_at)

    # state and act

    @property
    def state(self) -> str:
        """One word for the look, the worst that is true (`STATES`)."""
        stage = self.session.stage
        if stage in (Stage.PLANNED, Stage.DISCHARGED, Stage.CANCELLED):
            return str(stage)
        loudest = self.open_flags[0].flag.priority if self.open_flags else None
        if loudest == FlagPriority.HIGH or self.is_unanswered:
            return "flag-high"
        if loudest == FlagPriority.MEDIUM:
            return "flag-medium"
        if self.due_state == "late":
            return "late"
        if loudest == FlagPriority.LOW:
            return "flag-low"
        if stage == Stage.OBSERVING:
            return "observing"
        if stage == Stage.INFUSING:
            return "paused" if self.running.state == "paused" else "running"
        return "preparing"

    @property
    def is_unanswered(self) -> bool:
        """A medium or high flag waits past its time: the next act up (F5)."""
        return any(
            raised.unanswered_minutes(self.at) is not None for raised in self.loud_flags
        )

    @property
    def is_volume_in(self) -> bool:
        """The whole volume is in and the pump still runs: the end is due."""
        return self.running.state == "running" and not self.left_ml

    @property
    def icon(self) -> str:
        return ICONS.get(self.state, self.state)

    @property
    def word(self) -> str:
        """The state in words: `Running, flag open`."""
        stage = self.session.stage
        if stage == Stage.INFUSING:
            words = _("Paused") if self.running.state == "paused" else _("Running")
        else:
            words = self.session.get_stage_display()
        if self.loud_flags:
            return _("{words}, flag open").format(words=words)
        return (
            _("{words}, vitals late").format(words=words)
            if self.state == "late"
            else words
        )

    @property
    def severity(self) -> int:
        """Place in the order of the board: smaller is worse."""
        return STATES.index(self.state)

    def recorded_after(self, moment: datetime) -> datetime | None:
        """When the newest row was recorded, if that lies after a moment of now.

        Then the server's clock went back: what is written down now would stand before
        what happened earlier. A few seconds between two who act at once are no fault.
        """
        rows = (
            *self.rates,
            *self.every_vitals,
            *(seen.reaction for seen in self.reactions),
            *(raised.flag for raised in self.flags),
        )
        newest = max((row.recorded_at for row in rows), default=moment)
        return newest if newest - moment > CLOCK_SLACK else None

    @property
    def fault(self) -> NextAct | None:
        """Why this visit cannot be judged now; no page may look as if it were (I15)."""
        if newest := self.recorded_after(self.at):
            local = newest.astimezone(self.session.clinic.zone)
            why = _("The last entry was recorded at {local}. Chart on paper.").format(
                local=f"{local:%H:%M}"
            )
            return NextAct("none", _("CLOCK WENT BACK"), why=why)
        if self.policy is None:
            return NextAct("none", _("CHECK NOT DONE"), why=self.policy_fault)
        return None

    @property
    def act(self) -> NextAct:
        """What is to be done next, most urgent first."""
        stage = self.session.stage
        if stage == Stage.PLANNED:
            return NextAct("check_in", _("Check in"), at=self.session.scheduled_at)
        if stage in (Stage.DISCHARGED, Stage.CANCELLED):
            return NextAct("none", self.session.get_stage_display())
        fault = self.fault
        if fault is not None and self.recorded_after(self.at):
            return fault
        if self.loud_flags:
            return _flag_act(self.loud_flags[0], self.at)
        if fault is not None:
            return fault
        if self.is_volume_in:
            why = _("the volume is in")
            return NextAct("end", _("End"), at=self.ends_at, counts="since", why=why)
        if self.due is not None and self.due_state == "late":
            return NextAct("vitals", _("Vitals"), at=self.due.at, why=self.due.why)
        planned = self._planned_act(stage)
        waits = planned.counts == "to" and (planned.at is None or planned.at > self.at)
        if self.open_flags and waits:
            return _flag_act(self.open_flags[0], self.at)
        return planned

    def _planned_act(self, stage: str) -> NextAct:
        """What the course of the visit itself asks for next."""
        if stage == Stage.OBSERVING:
            return self._observing_act()
        if stage != Stage.INFUSING:
            return self._preparing_act()
        if self.restart is not None:
            number = f"{plain(self.restart.ml_per_h)} mL/h"
            paused = self.rates[-1].event_time
            return NextAct("resume", _("Resume"), number, paused, "since", _("paused"))
        return self._running_act()

    def _running_act(self) -> NextAct:
        acts = []
        running = self.running
        if running.step_due_at is not None and running.next_rung is not None:
            number = (
                f"{plain(running.rate_ml_per_h)} → "
                f"{plain(running.next_rung.pump_ml_per_h)} mL/h"
            )
            acts.append(NextAct("step", _("Step up"), number, running.step_due_at))
        if self.due is not None:
            acts.append(
                NextAct("vitals", _("Vitals"), at=self.due.at, why=self.due.why)
            )
        if self.ends_at is not None:
            acts.append(NextAct("end", _("End"), at=self.ends_at))
        return min(acts, key=lambda act: act.at or self.at)

    def _observing_act(self) -> NextAct:
        acts = []
        if self.due is not None:
            acts.append(
                NextAct("vitals", _("Vitals"), at=self.due.at, why=self.due.why)
            )
        if self.observe_until is not None:
            acts.append(NextAct("discharge", _("Discharge"), at=self.observe_until))
        return min(
            acts,
            key=lambda act: act.at or self.at,
            default=NextAct("discharge", _("Discharge")),
        )

    def _preparing_act(self) -> NextAct:
        if self.session.stage == Stage.ASSESSED and self.rungs:
            number = f"{plain(self.rungs[0].pump_ml_per_h)} mL/h"
            return NextAct("start", _("Start"), number, self.session.scheduled_at)
        return NextAct("prepare", _("Prepare"), at=self.session.scheduled_at)


RESTARTS = (RateKind.START, RateKind.RESUME)
"""Kinds of rate change after which the schedule of vitals begins anew."""

ACT_WORDS = {
    FlagAction.OBSERVE: _lazy("Look again"),
    FlagAction.REDUCE: _lazy("Reduce"),
    FlagAction.PAUSE: _lazy("Pause"),
    FlagAction.STOP: _lazy("Stop, call"),
    FlagAction.EMERGENCY: _lazy("EMERGENCY"),
}


def _flag_act(raised: RaisedFlag, at: datetime) -> NextAct:
    flag = raised.flag
    over = raised.unanswered_minutes(at)
    why = (
        flag.headline
        if over is None
        else _("{over} min unanswered: {headline}").format(
            over=over, headline=flag.headline
        )
    )
    number = ""
    if flag.action == FlagAction.REDUCE and flag.rate_to_ml_per_h is not None:
        number = (
            f"{plain(flag.rate_from_ml_per_h)} → {plain(flag.rate_to_ml_per_h)} mL/h"
        )
    return NextAct(
        key="flag",
        words=ACT_WORDS[FlagAction(flag.action)],
        number=number,
        at=flag.event_time,
        counts="since",
        why=why,
    )


def is_complete(row: VitalSigns) -> bool:
    """Whether all six usual numbers were measured."""
    return all(getattr(row, name) is not None for name in COMPLETE)


def vital_set(row: VitalSigns | None) -> VitalSet | None:
    """The set as the rules read it; what was not measured stays missing."""
    if row is None:
        return None
    return VitalSet(
        **{name: getattr(row, name) for name in COMPLETE},
        spo2_scale=row.spo2_scale,
        on_oxygen=row.on_oxygen,
        consciousness=row.consciousness or None,
        pain=row.pain,
        at=row.event_time,
    )


def chart_of(session: InfusionSession, *, at: datetime) -> SessionChart:
    """One visit with every part of it; a constant number of queries."""
    chart = charts_of([session], at=at)[0]
    read_course(chart)
    read_preparation(chart)
    chart.is_whole = True
    return chart


def charts_of(
    sessions: Iterable[InfusionSession], *, at: datetime, known: datetime | None = None
) -> list[SessionChart]:
    """Many visits in four queries, however many: vitals, rates, reactions, flags.

    The visits come from `for_charts`, so that reading them costs one query more. Only
    rows that were recorded by `known` are read: then the chart is what it was then.
    """
    sessions = list(sessions)
    ids = [session.pk for session in sessions]
    vitals = _by_session(
        VitalSigns.objects.filter(
            recorded_by_then(known), session_id__in=ids
        ).select_related("recorded_by")
    )
    rates = _by_session(
        RateChange.objects.filter(
            recorded_by_then(known), session_id__in=ids
        ).select_related("recorded_by")
    )
    reactions, flags = _reactions(ids, known), _flags(ids, known)
    return [
        _chart(
            session,
            at=at,
            vitals=vitals[session.pk],
            rates=rates[session.pk],
            reactions=reactions[session.pk],
            flags=flags[session.pk],
        )
        for session in sessions
    ]


def recorded_by_then(known: datetime | None, path: str = "") -> Q:
    """Rows that were recorded by a moment; all of them without one."""
    return Q(**{f"{path}recorded_at__lte": known}) if known else Q()


def for_cards(sessions: QuerySet) -> QuerySet:
    """Visits for `cards_of`: with the time of the newest complete set, in one query."""
    complete = VitalSigns.objects.current().filter(
        session=OuterRef("pk"), **{f"{name}__isnull": False for name in COMPLETE}
    )
    newest = complete.order_by("-event_time").values("event_time")[:1]
    return for_charts(sessions).annotate(last_complete_at=Subquery(newest))


def cards_of(
    sessions: Iterable[InfusionSession], *, at: datetime
) -> list[SessionChart]:
    """Many visits as far as a card shows them: two queries, however many.

    Rates and flags are read; of the vitals only when the newest complete set was taken.
    """
    sessions = list(sessions)
    ids = [session.pk for session in sessions]
    rates = _by_session(RateChange.objects.filter(session_id__in=ids))
    flags = _flags(ids)
    return [
        _chart(session, at=at, rates=rates[session.pk], flags=flags[session.pk])
        for session in sessions
    ]


def _chart(
    session: InfusionSession,
    *,
    at: datetime,
    rates: list[RateChange],
    flags: list[RaisedFlag],
    vitals: Iterable[VitalSigns] = (),
    reactions: Iterable[SeenReaction] = (),
) -> SessionChart:
    vitals, reactions = list(vitals), list(reactions)
    start = getattr(session, "start", None)
    version = session.order_version
    policy, fault = _policy(start or version)
    pregnant = getattr(session, "is_pregnant", None)
    for raised in flags:
        if version is not None and _raised_under(raised.flag, start or version):
            raised.flag.protocol_version = (start or version).protocol_version
    return SessionChart(
        session=session,
        at=at,
        start=start,
        order_version=version,
        policy=policy,
        policy_fault=fault,
        rungs=rungs_of((start or version).plan) if start or version else (),
        total_ml=(start or version).volume_ml if start or version else Decimal(0),
        every_vitals=vitals,
        vitals=current_rows(vitals),
        rates=current_rows(rates),
        reactions=reactions,
        flags=flags,
        is_pregnant=bool(pregnant),
        last_complete_at=getattr(session, "last_complete_at", None),
    )


def _raised_under(flag: Flag, holder: Start | OrderVersion) -> bool:
    """Whether a flag was raised under the very version that the visit runs under."""
    return flag.protocol_version_id == holder.protocol_version_id


def _policy(holder: Start | OrderVersion | None) -> tuple[Policy | None, str]:
    if holder is None:
        return None, _("no order")
    try:
        return holder.protocol_version.policy, ""
    except (DocumentError, ValueError) as error:
        return None, _("the protocol cannot be read: {error}").format(error=error)


def current_rows(rows: Iterable[Any]) -> list[Any]:
    """Rows that no later row corrects or withdraws, in the order they happened."""
    rows = list(rows)
    superseded = {row.supersedes_id for row in rows if row.supersedes_id}
    kept = [r for r in rows if r.pk not in superseded and not r.entered_in_error]
    return sorted(kept, key=lambda row: (row.event_time, row.pk))


def _by_session(rows: Iterable[Any]) -> Mapping[int, list[Any]]:
    grouped: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row.session_id].append(row)
    return grouped


def _reactions(
    ids: list[int], known: datetime | None = None
) -> Mapping[int, list[SeenReaction]]:
    """Reactions with their symptoms, in one query: each reaction has a symptom."""
    resolved = ReactionOutcome.objects.current().filter(
        recorded_by_then(known),
        reaction=OuterRef("reaction"),
        kind__in=[ReactionOutcome.Kind.RESOLVED, ReactionOutcome.Kind.SEQUELAE],
    )
    symptoms = (
        ReactionSymptom.objects.filter(
            recorded_by_then(known, "reaction__"), reaction__session_id__in=ids
        )
        .select_related("reaction", "reaction__recorded_by")
        .annotate(is_over=Exists(resolved))
        .order_by("reaction__event_time", "reaction_id", "pk")
    )
    grouped: dict[int, dict[int, SeenReaction]] = defaultdict(dict)
    for symptom in symptoms:
        seen = grouped[symptom.reaction.session_id].setdefault(
            symptom.reaction_id,
            SeenReaction(reaction=symptom.reaction, is_over=symptom.is_over),
        )
        seen.symptoms.append(symptom)
    found: dict[int, list[SeenReaction]] = defaultdict(list)
    for session_id, seen_by_id in grouped.items():
        standing = current_rows(seen.reaction for seen in seen_by_id.values())
        found[session_id] = [seen_by_id[row.pk] for row in standing]
    return found


FLAG_COLUMNS = [column.attname for column in Flag._meta.concrete_fields]
EVENT_COLUMNS = [column.attname for column in FlagEvent._meta.concrete_fields]


def _flags(
    ids: list[int], known: datetime | None = None
) -> Mapping[int, list[RaisedFlag]]:
    """Flags with their events in one query, a join; a save may spend few."""
    rows = (
        Flag.objects.filter(recorded_by_then(known), session_id__in=ids)
        .order_by("event_time", "pk", "events__event_time", "events__pk")
        .values_list(
            *FLAG_COLUMNS,
            *(f"events__{name}" for name in EVENT_COLUMNS),
            "events__recorded_by__name",
        )
    )
    seen: dict[int, RaisedFlag] = {}
    grouped: dict[int, list[RaisedFlag]] = defaultdict(list)
    width = len(FLAG_COLUMNS)
    for row in rows:
        flag = Flag.from_db("default", FLAG_COLUMNS, row[:width])
        raised = seen.get(flag.pk)
        if raised is None:
            raised = seen[flag.pk] = RaisedFlag(flag=flag)
            grouped[flag.session_id].append(raised)
        *columns, name = row[width:]
        if columns[EVENT_COLUMNS.index("id")] is not None:
            event = FlagEvent.from_db("default", EVENT_COLUMNS, columns)
            event.by_name = name
            if known is None or event.recorded_at <= known:
                raised.events.append(event)
    return grouped


def read_course(chart: SessionChart, known: datetime | None = None) -> None:
    """Read what was given beside the rate: medicines and vials."""
    then, session = recorded_by_then(known), chart.session
    chart.medicines = current_rows(
        GivenMedicine.objects.filter(then, session=session).select_related(
            "recorded_by"
        )
    )
    chart.vials = current_rows(
        Vial.objects.filter(then, session=session).select_related("recorded_by", "end")
    )


def read_preparation(chart: SessionChart) -> None:
    """Read what was checked before the Start; for Start, record and reports."""
    session = chart.session
    chart.screening = _newest(Screening, session)
    chart.line = _newest(LineCheck, session)
    chart.identity = _newest(IdentityCheck, session)
    chart.overrides = current_rows(
        GateOverride.objects.filter(session=session).select_related("recorded_by")
    )
    chart.stage_changes = current_rows(
        StageChange.objects.filter(session=session).select_related("recorded_by")
    )
    chart.outcomes = current_rows(
        ReactionOutcome.objects.filter(session=session).select_related("recorded_by")
    )


def _newest(model: Any, session: InfusionSession) -> Any:
    rows = model.objects.filter(session=session).select_related("recorded_by")
    kept = current_rows(rows)
    return kept[-1] if kept else None
