"""An open flag on the screen, with the acts that answer it and what follows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _

from sessions.charts import RaisedFlag, SessionChart
from sessions.models import Flag, FlagAction, NotDoneReason, OverrideReason
from sessions.rules.findings import NOT_DONE
from sessions.rules.monitoring import RECHECK_MINUTES
from sessions.rules.quantities import plain, shown
from sessions.rules.running import reduced
from sessions.views.now_bar import clock_of


@dataclass(slots=True, kw_only=True)
class ActButton:
    """One act of a flag, with what its confirmation says."""

    action: str
    words: str
    number: str = ""
    icon: str = ""
    look: str = ""
    rate: str = ""
    big: str = ""
    details: str = ""
    confirm: str = ""


@dataclass(slots=True, kw_only=True)
class FlagPanel:
    """An open flag with its acts and what follows."""

    raised: RaisedFlag
    buttons: list[ActButton]
    keep: str
    reasons: list[tuple[str, str]]
    path: list[tuple[str, str, str]]
    steps: list[str] = field(default_factory=list)
    base_at: datetime | None = None
    last_at: datetime | None = None
    now_at: datetime | None = None
    fresh: bool = False
    recheck_at: datetime | None = None

    @property
    def flag(self):
        return self.raised.flag

    @property
    def halts(self) -> bool:
        """Whether pause and stop stand on it: then they need no second place."""
        return {"pause", "stop"} <= {button.action for button in self.buttons}


def flag_panel(
    chart: SessionChart, raised: RaisedFlag, fresh_flag: Flag | None = None
) -> FlagPanel:
    """An open flag with the acts that are possible now, the expected one first."""
    flag = raised.flag
    recheck = chart.at + timedelta(minutes=flag.recheck_minutes or RECHECK_MINUTES)
    not_done = flag.rule == NOT_DONE
    running = chart.running.state == "running"
    severe = flag.reaction_id is not None and flag.priority == "high"
    keeps = running and flag.action != FlagAction.OBSERVE and not severe
    keep = (
        _("Keep {rate_ml_per_h} mL/h: needs a reason").format(
            rate_ml_per_h=plain(chart.rate_ml_per_h)
        )
        if keeps
        else ""
    )
    times = _times_of(flag)
    return FlagPanel(
        raised=raised,
        buttons=[] if not_done else _buttons(chart, flag, recheck),
        keep=_("Compared by hand: confirm") if not_done else keep,
        reasons=NotDoneReason.choices if not_done else OverrideReason.choices,
        path=[] if not_done else _path(chart, raised, recheck),
        steps=_steps(flag),
        base_at=times.get("baseline_at"),
        last_at=times.get("last_at"),
        now_at=times.get("at"),
        fresh=fresh_flag is not None and flag.pk == fresh_flag.pk,
        recheck_at=recheck,
    )


def _times_of(flag) -> dict[str, datetime]:
    for found in flag.findings:
        for value in found["values"]:
            return {
                name: datetime.fromisoformat(value[name])
                for name in ("at", "last_at", "baseline_at")
                if value.get(name)
            }
    return {}


def _steps(flag) -> list[str]:
    """What an emergency calls for, step by step, in the protocol's own words."""
    if flag.action != FlagAction.EMERGENCY or not flag.findings:
        return []
    words = flag.findings[0]["calls_for"].split(";")
    return [
        word.strip()[:1].upper() + word.strip()[1:] for word in words if word.strip()
    ]


def _buttons(chart: SessionChart, flag, recheck: datetime) -> list[ActButton]:
    state = chart.running.state
    again = _("recheck {time}").format(time=clock_of(chart, recheck))
    observe = ActButton(
        action="observe",
        words=_("Look again") if state == "running" else _("Seen: look again"),
        number=_("at {time}").format(time=clock_of(chart, recheck)),
        icon="late",
    )
    if state not in ("running", "paused"):
        return [observe]
    stop = ActButton(
        action="stop",
        words=_("Stop, call"),
        icon="stop",
        look="danger",
        rate="0",
        big="0",
        details=(
            _(
                "Ends this infusion with {volume_ml} of {total_ml} mL in; "
                "observation follows. {call}"
            ).format(
                volume_ml=shown(chart.volume_ml, 1),
                total_ml=plain(chart.total_ml),
                call=_call(chart),
            )
        ),
        confirm=_("Stopped, calling"),
    )
    if state == "paused":
        strong = flag.action in (FlagAction.STOP, FlagAction.EMERGENCY)
        return [stop] if strong else [observe, stop]
    pause = ActButton(
        action="pause",
        words=_("Pause at"),
        number="0 mL/h",
        icon="paused",
        rate="0",
        big="0",
        details=_("Paused time is not counted · {again}").format(again=again),
        confirm=_("Pump shows 0 mL/h"),
    )
    reduce = _reduce_button(chart, flag, again)
    order = {
        FlagAction.OBSERVE: [observe, reduce, pause, stop],
        FlagAction.REDUCE: [reduce or pause, pause if reduce else None, stop],
        FlagAction.PAUSE: [pause, stop],
        FlagAction.STOP: [stop, pause],
        FlagAction.EMERGENCY: [stop],
    }[FlagAction(flag.action)]
    return [button for button in order if button is not None]


def _reduce_button(chart: SessionChart, flag, again: str) -> ActButton | None:
    proposal = reduced(chart.rate_ml_per_h, chart.rungs)
    if proposal.action != "reduce":
        return None
    to = proposal.ml_per_h
    if flag.action == FlagAction.REDUCE and flag.rate_from_ml_per_h == (
        chart.rate_ml_per_h
    ):
        to = flag.rate_to_ml_per_h  # the first rung, where the ladder begins again
    number = plain(to)
    return ActButton(
        action="reduce",
        words=_("Reduce"),
        number=f"{plain(chart.rate_ml_per_h)} → {number} mL/h",
        icon="down",
        rate=number,
        big=number,
        details=f"{rung_details(chart, to)} · {again}",
        confirm=_("Pump shows {number} mL/h").format(number=number),
    )


def _path(
    chart: SessionChart, raised: RaisedFlag, recheck: datetime
) -> list[tuple[str, str, str]]:
    flag = raised.flag
    minutes = flag.recheck_minutes or RECHECK_MINUTES
    by = raised.escalates_at
    given = (
        _("now: {volume_ml} mL in").format(volume_ml=shown(chart.volume_ml, 1))
        if chart.start
        else ""
    )
    return [
        (
            _("Act"),
            _("by {time}").format(time=clock_of(chart, by)) if by else _("now"),
            given,
        ),
        (
            _("Recheck {time}").format(time=clock_of(chart, recheck)),
            _("{minutes} min from the act").format(minutes=minutes),
            _("on card and board"),
        ),
        (_("Not settled?"), _("next action up"), _call(chart)),
    ]


def _call(chart: SessionChart) -> str:
    name = prescriber_of(chart)
    return _("call {name}").format(name=name) if name else _("call the prescriber")


def prescriber_of(chart: SessionChart) -> str:
    """Who gave the order by telephone; empty where nobody did."""
    version = chart.order_version
    return version.prescriber.name if version and version.prescriber else ""


def rung_details(chart: SessionChart, rate: Decimal) -> str:
    """A rung beside its rate in mL/h: mL/kg/h, step, and the end if it were held."""
    rung = next((r for r in chart.rungs if r.pump_ml_per_h == rate), None)
    if rung is None:
        return ""
    end = ""
    if rate and chart.left_ml:
        seconds = int(chart.left_ml / rate * 3600)
        held = clock_of(chart, chart.at + timedelta(seconds=seconds))
        end = _(" · new end {held} at this rate").format(held=held)
    return _("{ml_per_kg_h} mL/kg/h · step {step}{end}").format(
        ml_per_kg_h=plain(rung.ml_per_kg_h), step=rung.step, end=end
    )
