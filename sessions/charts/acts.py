"""What has to be done next for a visit, most urgent first."""

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.charts.raised import RaisedFlag
from sessions.models import FlagAction, Stage
from sessions.rules.quantities import plain

if TYPE_CHECKING:
    from sessions.charts.chart import SessionChart


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


ACT_WORDS = {
    FlagAction.OBSERVE: _lazy("Look again"),
    FlagAction.REDUCE: _lazy("Reduce"),
    FlagAction.PAUSE: _lazy("Pause"),
    FlagAction.STOP: _lazy("Stop, call"),
    FlagAction.EMERGENCY: _lazy("EMERGENCY"),
}


def next_act(chart: "SessionChart") -> NextAct:
    """What is to be done next, most urgent first."""
    stage = chart.session.stage
    if stage == Stage.PLANNED:
        return NextAct("check_in", _("Check in"), at=chart.session.scheduled_at)
    if stage in (Stage.DISCHARGED, Stage.CANCELLED):
        return NextAct("none", chart.session.get_stage_display())
    fault = chart.fault
    if fault is not None and chart.recorded_after(chart.at):
        return fault
    if chart.loud_flags:
        return _flag_act(chart.loud_flags[0], chart.at)
    if fault is not None:
        return fault
    if chart.is_volume_in:
        why = _("the volume is in")
        return NextAct("end", _("End"), at=chart.ends_at, counts="since", why=why)
    if chart.due is not None and chart.due_state == "late":
        return NextAct("vitals", _("Vitals"), at=chart.due.at, why=chart.due.why)
    planned = _planned_act(chart, stage)
    waits = planned.counts == "to" and (planned.at is None or planned.at > chart.at)
    if chart.open_flags and waits:
        return _flag_act(chart.open_flags[0], chart.at)
    return planned


def fault_of(chart: "SessionChart") -> NextAct | None:
    """Why this visit cannot be judged now; no page may look as if it were (I15)."""
    if newest := chart.recorded_after(chart.at):
        local = newest.astimezone(chart.session.clinic.zone)
        why = _("The last entry was recorded at {local}. Chart on paper.").format(
            local=f"{local:%H:%M}"
        )
        return NextAct("none", _("CLOCK WENT BACK"), why=why)
    if chart.policy is None:
        return NextAct("none", _("CHECK NOT DONE"), why=chart.policy_fault)
    return None


def _planned_act(chart: "SessionChart", stage: str) -> NextAct:
    """What the course of the visit itself asks for next."""
    if stage == Stage.OBSERVING:
        return _observing_act(chart)
    if stage != Stage.INFUSING:
        return _preparing_act(chart)
    if chart.restart is not None:
        number = f"{plain(chart.restart.ml_per_h)} mL/h"
        paused = chart.rates[-1].event_time
        return NextAct("resume", _("Resume"), number, paused, "since", _("paused"))
    return _running_act(chart)


def _running_act(chart: "SessionChart") -> NextAct:
    acts = []
    running = chart.running
    if running.step_due_at is not None and running.next_rung is not None:
        number = (
            f"{plain(running.rate_ml_per_h)} → "
            f"{plain(running.next_rung.pump_ml_per_h)} mL/h"
        )
        acts.append(NextAct("step", _("Step up"), number, running.step_due_at))
    if chart.due is not None:
        acts.append(NextAct("vitals", _("Vitals"), at=chart.due.at, why=chart.due.why))
    if chart.ends_at is not None:
        acts.append(NextAct("end", _("End"), at=chart.ends_at))
    return min(acts, key=lambda act: act.at or chart.at)


def _observing_act(chart: "SessionChart") -> NextAct:
    acts = []
    if chart.due is not None:
        acts.append(NextAct("vitals", _("Vitals"), at=chart.due.at, why=chart.due.why))
    if chart.observe_until is not None:
        acts.append(NextAct("discharge", _("Discharge"), at=chart.observe_until))
    return min(
        acts,
        key=lambda act: act.at or chart.at,
        default=NextAct("discharge", _("Discharge")),
    )


def _preparing_act(chart: "SessionChart") -> NextAct:
    if chart.session.stage == Stage.ASSESSED and chart.rungs:
        number = f"{plain(chart.rungs[0].pump_ml_per_h)} mL/h"
        return NextAct("start", _("Start"), number, chart.session.scheduled_at)
    return NextAct("prepare", _("Prepare"), at=chart.session.scheduled_at)


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
