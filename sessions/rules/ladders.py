"""The rate ladder: its ceiling, and the rungs from the start up to it.

Rates are per kilogram first (`ml_per_kg_h` is canonical); everything else follows
from them. No rung is ever above the ceiling, and pump rates are rounded down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from sessions.rules.dosing_policy import DosingError, DosingPolicy, LadderPolicy
from sessions.rules.labels import LabelLookup, LabelStep, Product
from sessions.rules.language import say
from sessions.rules.quantities import (
    MINUTES_PER_HOUR,
    Number,
    exact,
    mg_per_kg_min,
    ml_per_h,
    ml_per_kg_h,
    plain,
    pump_rate,
    to_decimal,
)
from sessions.rules.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One reason not to go faster.

    `kind` is `label`, `risk_cap`, `tolerance` or `clinic_cap`. `from_policy` tells
    a clinic's choice from a fact of the label.
    """

    kind: str
    exact_ml_per_kg_h: Fraction
    text: str
    source: Source
    from_policy: bool

    @property
    def ml_per_kg_h(self) -> Decimal:
        """The rate as a decimal, cut (never raised) to six decimals."""
        return to_decimal(self.exact_ml_per_kg_h, rounding=ROUND_DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The lowest of all limits; `binds` says which one that is."""

    limit: Limit
    g_per_100ml: Decimal
    candidates: tuple[Limit, ...]

    @property
    def binds(self) -> str:
        """The kind of the limit that binds."""
        return self.limit.kind

    @property
    def exact_ml_per_kg_h(self) -> Fraction:
        """The highest rate per kilogram, exactly."""
        return self.limit.exact_ml_per_kg_h

    @property
    def ml_per_kg_h(self) -> Decimal:
        """The highest rate per kilogram."""
        return self.limit.ml_per_kg_h

    @property
    def mg_per_kg_min(self) -> Decimal:
        """The same rate in milligrams."""
        return to_decimal(mg_per_kg_min(self.exact_ml_per_kg_h, self.g_per_100ml))

    @property
    def source(self) -> Source:
        """Where the binding limit comes from."""
        return self.limit.source


def ceiling(
    label: LabelLookup,
    product: Product,
    policy: DosingPolicy,
    *,
    weight_kg: Number,
    at_risk: bool,
    tolerance: Limit | None = None,
) -> Ceiling:
    """Collect every limit that applies and take the lowest.

    A patient at risk for whom the label prints a figure gets that figure; only
    without one does the clinic's cap stand in, marked as policy. Of equal limits
    the label is named first.
    """
    limits = [_label_limit(label)]
    if at_risk:
        limits.append(_risk_limit(label, product, policy))
    if label.prior_reaction is not None:
        text = say("label: after an earlier reaction")
        limits.append(_step_limit("risk_cap", label.prior_reaction, text))
    if tolerance is not None:
        limits.append(tolerance)
    limits.extend(_clinic_limits(policy, weight_kg))
    lowest = min(limits, key=lambda limit: limit.exact_ml_per_kg_h)
    return Ceiling(
        limit=lowest, g_per_100ml=product.g_per_100ml, candidates=tuple(limits)
    )


def _step_limit(
    kind: str, step: LabelStep, text: str, *, policy: bool = False
) -> Limit:
    return Limit(
        kind=kind,
        exact_ml_per_kg_h=exact(step.ml_per_kg_h),
        text=text,
        source=step.source,
        from_policy=policy,
    )


def _label_limit(label: LabelLookup) -> Limit:
    return _step_limit("label", label.maximum, label.because)


def _risk_limit(label: LabelLookup, product: Product, policy: DosingPolicy) -> Limit:
    if label.at_risk is not None:
        is_label = label.at_risk_is_label
        text = (
            say("label: patients at risk")
            if is_label
            else say("order set: patients at risk")
        )
        return _step_limit("risk_cap", label.at_risk, text, policy=not is_label)
    cap = policy.ceiling.at_risk_mg_per_kg_min
    return Limit(
        kind="risk_cap",
        exact_ml_per_kg_h=ml_per_kg_h(
            cap.value, "mg/kg/min", weight_kg=1, g_per_100ml=product.g_per_100ml
        ),
        text=say("the clinic's cap for patients at risk, as the label gives no figure"),
        source=cap.source,
        from_policy=True,
    )


def _clinic_limits(policy: DosingPolicy, weight_kg: Number) -> Iterator[Limit]:
    """The clinic's absolute caps, where it has set any."""
    per_kg, per_hour = policy.ceiling.clinic_ml_per_kg_h, policy.ceiling.clinic_ml_per_h
    if per_kg is not None:
        yield Limit(
            kind="clinic_cap",
            exact_ml_per_kg_h=exact(per_kg.value),
            text=say("clinic's highest rate per kilogram"),
            source=per_kg.source,
            from_policy=True,
        )
    if per_hour is not None:
        yield Limit(
            kind="clinic_cap",
            exact_ml_per_kg_h=exact(per_hour.value) / exact(weight_kg),
            text=say(
                "clinic's highest rate, {value} mL/h", value=plain(per_hour.value)
            ),
            source=per_hour.source,
            from_policy=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rate of the ladder, with what runs in at it if all goes to plan.

    `min_minutes` is the least time before the next step; `None` on the last rung.
    A rung with no volume is above what this dose reaches. Minutes and volumes run
    at the pump's rate.
    """

    step: int
    ml_per_kg_h: Decimal
    mg_per_kg_min: Decimal
    ml_per_h: Decimal
    pump_ml_per_h: Decimal
    min_minutes: Decimal | None
    minutes: Decimal
    starts_minute: Decimal
    volume_ml: Decimal
    cumulative_ml: Decimal
    source: Source
    from_policy: bool
    minutes_source: Source | None

    @property
    def reached(self) -> bool:
        """Whether this dose lasts long enough to run at this rung."""
        return self.volume_ml > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """A rate of the ladder before weight and volume are known."""

    exact_ml_per_kg_h: Fraction
    minutes: Decimal
    source: Source
    from_policy: bool
    minutes_source: Source


def _climb(label: LabelLookup, top: Ceiling, policy: LadderPolicy) -> list[_Rate]:
    """All rates from the start to the ceiling; the last one is the ceiling.

    The label's own rates where it prints the steps. Where it prints a start and a
    maximum only, the rates between are the start multiplied again and again.
    """
    limit = top.exact_ml_per_kg_h
    rates = [r for r in _unclipped(label, policy) if r.exact_ml_per_kg_h <= limit]
    if rates and rates[-1].exact_ml_per_kg_h == limit:
        return rates
    capped = _Rate(
        exact_ml_per_kg_h=limit,
        minutes=policy.minutes.value,
        source=top.source,
        from_policy=top.limit.from_policy,
        minutes_source=policy.minutes.source,
    )
    return [*rates, capped]


def _unclipped(label: LabelLookup, policy: LadderPolicy) -> Iterator[_Rate]:
    before: Fraction | None = None
    for step in label.steps:
        printed = exact(step.ml_per_kg_h)
        if before is not None and not label.gives_steps:
            yield from _between(before, printed, policy)
        if before is None or printed > before:
            yield _printed(step, policy)
        before = printed


def _between(low: Fraction, high: Fraction, policy: LadderPolicy) -> Iterator[_Rate]:
    """The policy's rates strictly between two that the label prints."""
    rate = low * exact(policy.multiply_by.value)
    while rate < high:
        yield _Rate(
            exact_ml_per_kg_h=rate,
            minutes=policy.minutes.value,
            source=policy.multiply_by.source,
            from_policy=True,
            minutes_source=policy.minutes.source,
        )
        rate *= exact(policy.multiply_by.value)


def _printed(step: LabelStep, policy: LadderPolicy) -> _Rate:
    stated = step.min_minutes is not None
    return _Rate(
        exact_ml_per_kg_h=exact(step.ml_per_kg_h),
        minutes=step.min_minutes or policy.minutes.value,
        source=step.source,
        from_policy=False,
        minutes_source=step.source if stated else policy.minutes.source,
    )


def ladder(
    label: LabelLookup,
    top: Ceiling,
    policy: DosingPolicy,
    *,
    weight_kg: Number,
    total_ml: Number,
) -> tuple[Rung, ...]:
    """Build the rungs, and let the volume run in over them.

    Each rung runs its least minutes; the last one reached runs until the volume is
    in. The volumes of the rungs add up to `total_ml` exactly as printed.

    Raises `DosingError` when the first rate is finer than the pump can run.
    """
    rates = _climb(label, top, policy.ladder)
    resolution = policy.rounding.pump_ml_per_h.value
    total, run, minute = exact(total_ml), Fraction(0), Fraction(0)
    rungs: list[Rung] = []
    for step, rate in enumerate(rates, start=1):
        pump = pump_rate(rate.exact_ml_per_kg_h, weight_kg, resolution)
        if pump == 0:
            raise DosingError(
                "weight", say("The first rate is below the pump's resolution.")
            )
        last = step == len(rates)
        minutes = (total - run) * MINUTES_PER_HOUR / exact(pump)
        if not last:
            minutes = min(minutes, exact(rate.minutes))
        run_after = run + exact(pump) * minutes / MINUTES_PER_HOUR
        rungs.append(
            Rung(
                step=step,
                ml_per_kg_h=to_decimal(rate.exact_ml_per_kg_h, rounding=ROUND_DOWN),
                mg_per_kg_min=to_decimal(
                    mg_per_kg_min(rate.exact_ml_per_kg_h, top.g_per_100ml)
                ),
                ml_per_h=to_decimal(ml_per_h(rate.exact_ml_per_kg_h, weight_kg)),
                pump_ml_per_h=pump,
                min_minutes=None if last else rate.minutes,
                minutes=to_decimal(minutes),
                starts_minute=to_decimal(minute),
                # A difference of what is printed, so that the printed parts add up.
                volume_ml=to_decimal(run_after) - to_decimal(run),
                cumulative_ml=to_decimal(run_after),
                source=rate.source,
                from_policy=rate.from_policy,
                minutes_source=None if last else rate.minutes_source,
            )
        )
        run, minute = run_after, minute + minutes
    return tuple(rungs)
