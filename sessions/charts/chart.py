"""One visit at one moment, and all that follows from its rows."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.utils.translation import gettext as _

from sessions.charts.acts import NextAct, fault_of, next_act
from sessions.charts.raised import RaisedFlag, SeenReaction
from sessions.models import (
    IN_A_CHAIR,
    FlagAction,
    FlagPriority,
    GateOverride,
    GivenMedicine,
    IdentityCheck,
    InfusionSession,
    LineCheck,
    OrderVersion,
    RateChange,
    RateKind,
    ReactionOutcome,
    Screening,
    Stage,
    StageChange,
    Start,
    Vial,
    VitalSigns,
)
from sessions.rules.findings import Finding
from sessions.rules.ladders import Rung
from sessions.rules.monitoring import (
    Course,
    Due,
    next_vitals,
    span,
    state_at,
    time_findings,
)
from sessions.rules.policy import Policy
from sessions.rules.running import (
    RateEvent,
    Restart,
    Running,
    restart,
    running_state,
)
from sessions.rules.sources import Setting
from sessions.rules.thresholds import Phase
from sessions.rules.vitals import COMPLETE, VitalSet

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


RESTARTS = (RateKind.START, RateKind.RESUME)
"""Kinds of rate change after which the schedule of vitals begins anew."""


class Change(NamedTuple):
    """A change of rate, from what it changed, and the row that replaced it."""

    row: RateChange
    before_ml_per_h: Decimal
    replaced_by: RateChange | None


@dataclass(slots=True, kw_only=True)
class SessionChart:
    """One visit at one moment: its rows, and what follows from them.

    `every_vitals`, `every_rate`, `every_reaction` and `every_medicine` hold superseded
    and withdrawn rows too, `vitals`, `rates`, `reactions` and `medicines` only those
    that count, in the order in which they happened. The parts from `every_medicine` on
    are read by `chart_of` only (`is_whole`).
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
    every_rate: list[RateChange]
    rates: list[RateChange]
    every_reaction: list[SeenReaction]
    reactions: list[SeenReaction]
    flags: list[RaisedFlag]
    is_pregnant: bool = False
    last_complete_at: datetime | None = None
    """The newest complete set, where the sets themselves were not read (`cards_of`)."""
    is_whole: bool = False
    every_medicine: list[GivenMedicine] = field(default_factory=list)
    medicines: list[GivenMedicine] = field(default_factory=list)
    vials: list[Vial] = field(default_factory=list)
    screening: Screening | None = None
    line: LineCheck | None = None
    identity: IdentityCheck | None = None
    overrides: list[GateOverride] = field(default_factory=list)
    stage_changes: list[StageChange] = field(default_factory=list)
    outcomes: list[ReactionOutcome] = field(default_factory=list)
    """Every one that was written down, withdrawn ones and what withdrew them too."""
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
    def changes(self) -> list[Change]:
        """Each change of rate as a list of them reads, those replaced beside them."""
        replaced = {row.supersedes_id: row for row in self.every_rate}
        before, rate = {}, Decimal(0)
        for row in self.rates:
            before[row.pk], rate = rate, row.rate_ml_per_h
        rows = [row for row in self.every_rate if not row.entered_in_error]
        return [
            Change(
                row=row,
                before_ml_per_h=before.get(row.pk, row.before_ml_per_h),
                replaced_by=replaced.get(row.pk),
            )
            for row in sorted(rows, key=lambda row: (row.event_time, row.pk))
        ]

    @property
    def doses(self) -> list[tuple[GivenMedicine, GivenMedicine | None]]:
        """Each dose as a list of them reads, with the row that took it back, if any."""
        newer = {row.supersedes_id: row for row in self.every_medicine}
        rows = [row for row in self.every_medicine if not row.entered_in_error]
        return [(row, newer.get(row.pk)) for row in rows]

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
            *(seen.reaction for seen in self.every_reaction),
            *(raised.flag for raised in self.flags),
        )
        newest = max((row.recorded_at for row in rows), default=moment)
        return newest if newest - moment > CLOCK_SLACK else None

    @property
    def fault(self) -> NextAct | None:
        """Why this visit cannot be judged now."""
        return fault_of(self)

    @property
    def act(self) -> NextAct:
        """What is to be done next."""
        return next_act(self)


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
