"""One recommendation out of many findings: the highest action wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from sessions.rules.dosing import RestartPolicy
from sessions.rules.findings import Action, Finding, Priority, worst_first
from sessions.rules.language import say
from sessions.rules.quantities import plain, round_down
from sessions.rules.thresholds import Phase

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePosition:
    """Where the infusion stands on its ladder, in the pump's own mL/h.

    `rungs_ml_per_h` are already rounded down to `resolution_ml_per_h`. A paused or
    stopped infusion has a present rate of 0. `step_up_due` says that the rung's time
    is over and the values asked for before a step up are there.
    """

    rungs_ml_per_h: tuple[Decimal, ...]
    present_ml_per_h: Decimal
    resolution_ml_per_h: Decimal
    step_up_due: bool = False

    @property
    def next_ml_per_h(self) -> Decimal | None:
        """The lowest rung above the present rate, None at the top."""
        above = [rate for rate in self.rungs_ml_per_h if rate > self.present_ml_per_h]
        return min(above, default=None)

    @property
    def first_ml_per_h(self) -> Decimal | None:
        """The first rung where it is below the present rate, else None."""
        first = min(self.rungs_ml_per_h, default=self.present_ml_per_h)
        return first if first < self.present_ml_per_h else None

    @property
    def previous_ml_per_h(self) -> Decimal | None:
        """The highest rung below the present rate, None at the first."""
        below = [rate for rate in self.rungs_ml_per_h if rate < self.present_ml_per_h]
        return max(below, default=None)

    def restart_ml_per_h(self, policy: RestartPolicy) -> Decimal | None:
        """Where to go on after a pause: never at the old rate (H11)."""
        proposed = {
            "half_rate": round_down(
                self.present_ml_per_h * policy.fraction.value, self.resolution_ml_per_h
            ),
            "previous_step": self.previous_ml_per_h,
            "first_step": min(self.rungs_ml_per_h, default=None),
        }[policy.method.value]
        if not proposed or proposed >= self.present_ml_per_h:
            return None
        return proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What the protocol calls for now: one act, one rate, one reason.

    `findings` are all findings of this save, the highest action first. A rate of None
    is not known here: nobody said what is running.
    """

    action: Action
    priority: Priority | None
    rate_from_ml_per_h: Decimal | None
    rate_ml_per_h: Decimal | None
    restart_ml_per_h: Decimal | None
    reason: str
    calls_for: str
    findings: tuple[Finding, ...]
    recheck_minutes: int | None
    escalates_minutes: int | None

    @property
    def head(self) -> Finding | None:
        """The finding that sets the action; None when nothing was found."""
        return self.findings[0] if self.findings else None

    @property
    def raises_flag(self) -> bool:
        """Whether this save makes a flag; what only adds to the work list does not."""
        return self.action > Action.CONTINUE


def recommend(
    findings: Iterable[Finding],
    rate: RatePosition | None,
    *,
    phase: Phase,
    protocol: str,
    restart: RestartPolicy,
) -> Recommendation:
    """Make one recommendation of all findings of one save.

    Reduce calls for the previous rung, or for the first one where the ladder begins
    again; at the first rung there is none, so it calls for a pause. Pause, stop and
    emergency call for 0, with a restart only where every pausing finding names one.
    Continue calls for the next rung when it is due.
    """
    ordered = worst_first(findings)
    action = ordered[0].action if ordered else Action.CONTINUE
    present = _present(rate, phase)
    if action is Action.REDUCE and present and _previous(rate) is None:
        action = Action.PAUSE
    rates = _Rates(
        present=present,
        called_for=_new_rate(action, ordered, rate, present),
        restart=_restart(action, ordered, rate, present, restart),
    )
    heads = [finding for finding in ordered if finding.action is ordered[0].action]
    return Recommendation(
        action=action,
        priority=action.priority,
        rate_from_ml_per_h=rates.present,
        rate_ml_per_h=rates.called_for,
        restart_ml_per_h=rates.restart,
        reason=_reason(action, ordered, rates, protocol),
        calls_for=_calls_for(action, ordered, rates),
        findings=ordered,
        recheck_minutes=_soonest(finding.recheck_minutes for finding in heads),
        escalates_minutes=_soonest(finding.escalates_minutes for finding in heads),
    )


def _present(rate: RatePosition | None, phase: Phase) -> Decimal | None:
    """Nothing runs outside the infusion; inside it, the rate may not be known."""
    if phase is not Phase.INFUSING:
        return ZERO
    return rate.present_ml_per_h if rate else None


def _previous(rate: RatePosition | None) -> Decimal | None:
    return rate.previous_ml_per_h if rate else None


def _new_rate(
    action: Action,
    ordered: tuple[Finding, ...],
    rate: RatePosition | None,
    present: Decimal | None,
) -> Decimal | None:
    if action.halts:
        return ZERO
    if rate is None or not present:
        return present
    if action is Action.REDUCE and any(found.first_step for found in ordered):
        return rate.first_ml_per_h
    if action is Action.REDUCE:
        return rate.previous_ml_per_h
    if action is Action.CONTINUE and rate.step_up_due and rate.next_ml_per_h:
        return rate.next_ml_per_h
    return present


def _restart(
    action: Action,
    ordered: tuple[Finding, ...],
    rate: RatePosition | None,
    present: Decimal | None,
    policy: RestartPolicy,
) -> Decimal | None:
    """Name a restart only where every finding that pauses names one."""
    if action is not Action.PAUSE or rate is None or not present:
        return None
    level = ordered[0].action
    if not all(found.restarts for found in ordered if found.action is level):
        return None
    return rate.restart_ml_per_h(policy)


def _soonest(minutes: Iterable[int | None]) -> int | None:
    return min((each for each in minutes if each is not None), default=None)


class _Rates(NamedTuple):
    """The rate now, the rate called for, and where to restart, ready to be written."""

    present: Decimal | None
    called_for: Decimal | None
    restart: Decimal | None

    @property
    def change(self) -> str:
        """The change in words; empty when there is none or it is not known."""
        if not self.present or self.called_for in (None, self.present):
            return ""
        text = f"{plain(self.present)} → {plain(self.called_for or ZERO)} mL/h"
        if self.restart is None:
            return text
        return say(
            "{words}, restart at {restart} mL/h",
            words=text,
            restart=plain(self.restart),
        )

    @property
    def unchanged(self) -> str:
        """The rate that stays; empty when it changes, or when nothing runs."""
        if not self.present or self.called_for != self.present:
            return ""
        return say("{present} mL/h stays", present=plain(self.present))


def _calls_for(action: Action, ordered: tuple[Finding, ...], rates: _Rates) -> str:
    words = ordered[0].calls_for if action > Action.CONTINUE else ""
    if ordered and action > ordered[0].action:  # a reduction at the first rung
        words = say("a pause, because there is no lower rate, and a recheck")
    return "; ".join(part for part in (rates.change, words, rates.unchanged) if part)


def _reason(
    action: Action, ordered: tuple[Finding, ...], rates: _Rates, protocol: str
) -> str:
    """Cite the protocol and its rule; never command (H31)."""
    if action is Action.CONTINUE:
        if rates.change:
            return say(
                "{protocol} calls for the next step, {change}",
                protocol=protocol,
                change=rates.change,
            )
        stays = f"; {rates.unchanged}" if rates.unchanged else ""
        return say(
            "{protocol}: no rule calls for a change{stays}",
            protocol=protocol,
            stays=stays,
        )
    calls_for = _calls_for(action, ordered, rates)
    head = ordered[0]
    return say(
        "{protocol}, rule {rule}, calls for {calls_for}. {because}.",
        protocol=protocol,
        rule=head.rule,
        calls_for=calls_for,
        because=head.because,
    )
