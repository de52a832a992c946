"""The rate ladder before the infusion, and where an infusion stands on it.

Rates are per kilogram first (`ml_per_kg_h` is canonical); everything else follows
from them. No rung is ever above the ceiling, and pump rates are rounded down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from sessions.rules.dosing import (
    Body,
    Dose,
    DosingError,
    DosingPolicy,
    DosingWeight,
    IntervalPolicy,
    LadderPolicy,
    Ordered,
    RestartPolicy,
    dose,
    dosing_weight,
)
from sessions.rules.labels import (
    REGIONS,
    Indication,
    LabelLookup,
    LabelStep,
    Product,
    label_for,
)
from sessions.rules.quantities import (
    MINUTES_PER_HOUR,
    Number,
    exact,
    mg_per_kg_min,
    ml_per_h,
    ml_per_kg_h,
    plain,
    pump_rate,
    round_down,
    to_decimal,
    volume_ml,
)
from sessions.rules.sources import Source

PATIENT_CLASS_FLAGS = ("standard", "at_risk")
EXPERIENCES = ("first", "experienced")


# Ceiling


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
        text = "label: after an earlier reaction"
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
        text = "label: patients at risk" if is_label else "order set: patients at risk"
        return _step_limit("risk_cap", label.at_risk, text, policy=not is_label)
    cap = policy.ceiling.at_risk_mg_per_kg_min
    return Limit(
        kind="risk_cap",
        exact_ml_per_kg_h=ml_per_kg_h(
            cap.value, "mg/kg/min", weight_kg=1, g_per_100ml=product.g_per_100ml
        ),
        text="clinic policy for patients at risk: the label gives no figure",
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
            text="clinic's highest rate per kilogram",
            source=per_kg.source,
            from_policy=True,
        )
    if per_hour is not None:
        yield Limit(
            kind="clinic_cap",
            exact_ml_per_kg_h=exact(per_hour.value) / exact(weight_kg),
            text=f"clinic's highest rate, {plain(per_hour.value)} mL/h",
            source=per_hour.source,
            from_policy=True,
        )


# Ladder


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
    rates = [
        rate for rate in _unclipped(label, policy) if rate.exact_ml_per_kg_h < limit
    ]
    at_limit = next(
        (r for r in _unclipped(label, policy) if r.exact_ml_per_kg_h == limit), None
    )
    if at_limit is None:
        at_limit = _Rate(
            exact_ml_per_kg_h=limit,
            minutes=policy.minutes.value,
            source=top.source,
            from_policy=top.limit.from_policy,
            minutes_source=policy.minutes.source,
        )
    return [*rates, at_limit]


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
                "weight", "The first rate is below the pump's resolution."
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


# Start rule


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRule:
    """Whether an infusion counts as `first` or `experienced`, and why."""

    experience: str
    because: str
    source: Source


def start_rule(
    *,
    product_key: str,
    last_product_key: str | None,
    days_since_last: int | None,
    policy: IntervalPolicy,
) -> StartRule:
    """Treat a new patient, another brand or a long gap as a first infusion.

    A gap of exactly the limit is not yet long. A last infusion of unknown date is
    a first infusion: unknown is not recent.
    """
    source = policy.long_gap_weeks.source
    weeks = policy.long_gap_weeks.value
    if last_product_key is None:
        because = "no earlier infusion is recorded"
    elif last_product_key != product_key:
        because = f"the last product was another one ({last_product_key})"
    elif days_since_last is None:
        because = "the date of the last infusion is not known"
    elif days_since_last > weeks * 7:
        because = f"more than {plain(weeks)} weeks since the last infusion"
    else:
        return StartRule(
            experience="experienced",
            because=f"same product, at most {plain(weeks)} weeks ago",
            source=source,
        )
    return StartRule(experience="first", because=because, source=source)


# Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWarning:
    """Something to answer before the order is signed; `hard` cannot be signed at all."""

    code: str
    text: str
    hard: bool
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One day's infusion, computed: dose, vials, ceiling, ladder and warnings."""

    product: Product
    indication: Indication
    region: str
    body: Body
    at_risk: bool
    experience: str
    status: str
    weight: DosingWeight
    dose: Dose
    volume_ml: Decimal
    label: LabelLookup
    ceiling: Ceiling
    rungs: tuple[Rung, ...]
    warnings: tuple[PlanWarning, ...]

    @property
    def steps(self) -> tuple[Rung, ...]:
        """The rungs that this dose reaches."""
        return tuple(rung for rung in self.rungs if rung.reached)

    @property
    def duration_minutes(self) -> Decimal:
        """The minutes until the volume is in, without pauses."""
        return sum((rung.minutes for rung in self.rungs), Decimal(0))

    @property
    def hard_stops(self) -> tuple[PlanWarning, ...]:
        """The warnings that forbid the order."""
        return tuple(warning for warning in self.warnings if warning.hard)


def plan(
    *,
    product: Product,
    indication: Indication,
    body: Body,
    ordered: Ordered,
    policy: DosingPolicy,
    region: str = "us",
    at_risk: bool = False,
    experience: str = "first",
    prior_reaction: bool = False,
    weight_basis: str | None = None,
    tolerance: Limit | None = None,
    stock: Mapping[Decimal, int] | None = None,
    risks: frozenset[str] = frozenset(),
) -> Plan:
    """Compute one day's infusion from a body, an order and a policy.

    Dose and rates use the same dosing weight, so that an adjusted weight lowers
    both. Raises `DosingError` naming the field that is missing or impossible.
    """
    _refuse_impossible(product, body, policy, region, experience)
    weight = dosing_weight(body, policy.dosing_weight, basis=weight_basis)
    given = dose(
        ordered,
        weight=weight,
        indication=indication,
        sizes_g=product.vials.sold_in(region),
        policy=policy,
        stock=stock,
    )
    volume = to_decimal(volume_ml(given.given_g, product.g_per_100ml))
    label = label_for(
        product,
        indication.key,
        region=region,
        patient_class="at_risk" if at_risk else "standard",
        experience=experience,
        prior_reaction=prior_reaction,
    )
    top = ceiling(
        label,
        product,
        policy,
        weight_kg=weight.exact_kg,
        at_risk=at_risk,
        tolerance=tolerance,
    )
    rungs = ladder(label, top, policy, weight_kg=weight.exact_kg, total_ml=volume)
    return Plan(
        product=product,
        indication=indication,
        region=region,
        body=body,
        at_risk=at_risk,
        experience=experience,
        status=indication.status_of(product.key),
        weight=weight,
        dose=given,
        volume_ml=volume,
        label=label,
        ceiling=top,
        rungs=rungs,
        warnings=tuple(
            _warnings(
                product, indication, body, weight, given, label, top, rungs, risks
            )
        ),
    )


def _refuse_impossible(
    product: Product, body: Body, policy: DosingPolicy, region: str, experience: str
) -> None:
    if not product.orderable:
        reason = product.not_orderable_because
        raise DosingError("product", f"{product.brand} cannot be ordered: {reason}")
    if region not in REGIONS:
        raise DosingError("region", f"Use one of {', '.join(REGIONS)}.")
    if experience not in EXPERIENCES:
        raise DosingError("experience", f"Use one of {', '.join(EXPERIENCES)}.")
    least, most = policy.weight.least_kg.value, policy.weight.most_kg.value
    if not least <= body.weight_kg <= most:
        raise DosingError(
            "weight", f"The weight must be from {plain(least)} to {plain(most)} kg."
        )


def _warnings(
    product: Product,
    indication: Indication,
    body: Body,
    weight: DosingWeight,
    given: Dose,
    label: LabelLookup,
    top: Ceiling,
    rungs: Sequence[Rung],
    risks: frozenset[str],
) -> Iterator[PlanWarning]:
    if given.check.level != "ok":
        yield PlanWarning(
            code=given.check.code,
            text=given.check.text,
            hard=given.check.level == "hard",
            source=given.check.source,
        )
    yield from _indication_warnings(product, indication)
    yield from _product_warnings(product, body, risks)
    if weight.refused:
        yield _soft("dosing_weight_refused", weight.refused, weight.source)
    if given.vials.waste_g:
        yield _soft(
            "waste",
            f"No sum of vials is near enough to {plain(given.calculated_g)} g: "
            f"{plain(given.vials.waste_g)} g are discarded.",
            product.vials.source,
        )
    if not label.stated:
        text = f"The rate is {label.because}."
        yield _soft("rate_not_stated", text, label.maximum.source)
    if label.at_risk_note and label.at_risk is None:
        text = f"Patients at risk: {label.at_risk_note}. {top.limit.text}."
        yield _soft("at_risk_without_figure", text, top.source)
    if any(not rung.source.verified for rung in rungs):
        yield _soft(
            "unverified_rate",
            "A rate of this plan is not verified against the label.",
            next(rung.source for rung in rungs if not rung.source.verified),
        )


def _indication_warnings(
    product: Product, indication: Indication
) -> Iterator[PlanWarning]:
    status = indication.status_of(product.key)
    if status != "labelled" and indication.has_dose:
        yield _soft(
            status.replace("-", "_"),
            f"{indication.name} is {status} for {product.brand}.",
            indication.regimens[0].source,
        )


def _product_warnings(
    product: Product, body: Body, risks: frozenset[str]
) -> Iterator[PlanWarning]:
    for caution in product.contraindicated_with:
        if not caution.risk or caution.risk in risks:
            yield PlanWarning(
                code=caution.code,
                text=caution.text,
                hard=caution.hard,
                source=caution.source,
            )
    limit = product.min_age
    if (
        limit is not None
        and body.age_years is not None
        and body.age_years < limit.years
    ):
        yield PlanWarning(
            code="min_age", text=limit.text, hard=limit.hard, source=limit.source
        )


def _soft(code: str, text: str, source: Source) -> PlanWarning:
    return PlanWarning(code=code, text=text, hard=False, source=source)


# Running


@dataclass(frozen=True, slots=True, kw_only=True)
class RateEvent:
    """One recorded change of rate; the pump runs at `ml_per_h` from `at` on."""

    at: datetime
    ml_per_h: Decimal
    kind: str


PAUSE, RESUME, STOP, END = "pause", "resume", "stop", "end"
STANDS_STILL = {PAUSE: "paused", STOP: "stopped", END: "ended"}
"""Kinds of event after which nothing runs, and the state each leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where an infusion stands at one moment, from its recorded rate changes alone.

    `state` is `not_started`, `running`, `paused`, `stopped` or `ended`. `step` is the
    highest rung at or below the present rate; `None` when nothing runs or the rate
    is below the first rung. Projected ends are `None` unless it is running.
    """

    state: str
    rate_ml_per_h: Decimal
    ml_per_kg_h: Decimal
    rate_before_pause_ml_per_h: Decimal | None
    step: int | None
    volume_ml: Decimal
    left_ml: Decimal
    minutes_at_step: Decimal
    step_due_at: datetime | None
    projected_end_on_ladder: datetime | None
    projected_end_held: datetime | None
    next_rung: Rung | None
    previous_rung: Rung | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateProposal:
    """A rate that the protocol calls for; `action` is `reduce` or `pause`."""

    action: str
    ml_per_h: Decimal
    ml_per_kg_h: Decimal
    step: int | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The rate to resume at, and how long to stay there before the next step."""

    ml_per_h: Decimal
    ml_per_kg_h: Decimal
    step: int | None
    minutes: Decimal
    pause_minutes: Decimal
    because: str
    source: Source


def volume_given_ml(events: Sequence[RateEvent], at: datetime) -> Fraction:
    """The exact integral of the recorded rates from the start to `at`.

    `events` are in order of event time. Changes after `at` do not count yet; while
    paused, stopped or ended nothing runs, whatever rate stands in the row.
    """
    total = Fraction(0)
    ends = [*(event.at for event in events[1:]), at]
    for event, until in zip(events, ends, strict=True):
        if event.at < at:
            seconds = _seconds(min(until, at) - event.at)
            total += exact(_rate_of(event)) * seconds / 3600
    return total


def _rate_of(event: RateEvent) -> Decimal:
    return Decimal(0) if event.kind in STANDS_STILL else event.ml_per_h


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)


def running_state(
    events: Sequence[RateEvent],
    rungs: Sequence[Rung],
    total_ml: Number,
    at: datetime,
    *,
    restart_minutes: Decimal | None = None,
) -> Running:
    """Work out rate, volume, step and ends at one moment.

    `restart_minutes` is the least time at the rate of a resume, from the protocol;
    it lengthens, never shortens, the time of the rung.
    """
    past = [event for event in events if event.at <= at]
    if not past:
        return _standing("not_started", exact(total_ml), Fraction(0), None)
    total = exact(total_ml)
    given = min(volume_given_ml(past, at), total)
    last = past[-1]
    if last.kind in STANDS_STILL:
        before = next((e for e in reversed(past) if e.kind not in STANDS_STILL), None)
        rate = before.ml_per_h if before else None
        return _standing(STANDS_STILL[last.kind], total, given, rate)
    since = _since(past)
    rate = last.ml_per_h
    rung, above = rung_at(rungs, rate), _above(rungs, rate)
    least = _least_minutes(rung, above, past, since, restart_minutes)
    due = None if least is None else since.at + _span(exact(least))
    left = total - given
    return Running(
        state="running",
        rate_ml_per_h=rate,
        ml_per_kg_h=per_kg(rate, rungs),
        rate_before_pause_ml_per_h=None,
        step=rung.step if rung else None,
        volume_ml=to_decimal(given),
        left_ml=to_decimal(total) - to_decimal(given),
        minutes_at_step=to_decimal(_seconds(at - since.at) / 60),
        step_due_at=due,
        projected_end_on_ladder=_end_on_ladder(at, rate, due, left, rungs),
        projected_end_held=_end_held(at, rate, left),
        next_rung=above,
        previous_rung=_below(rungs, rate),
    )


def _standing(
    state: str, total: Fraction, given: Fraction, before: Decimal | None
) -> Running:
    return Running(
        state=state,
        rate_ml_per_h=Decimal(0),
        ml_per_kg_h=Decimal(0),
        rate_before_pause_ml_per_h=before,
        step=None,
        volume_ml=to_decimal(given),
        left_ml=to_decimal(total) - to_decimal(given),
        minutes_at_step=Decimal(0),
        step_due_at=None,
        projected_end_on_ladder=None,
        projected_end_held=None,
        next_rung=None,
        previous_rung=None,
    )


def _since(past: Sequence[RateEvent]) -> RateEvent:
    """The event from which the present rate has run without a break."""
    since = past[-1]
    for event in reversed(past[:-1]):
        if _rate_of(event) != _rate_of(since):
            break
        since = event
    return since


def _least_minutes(
    rung: Rung | None,
    above: Rung | None,
    past: Sequence[RateEvent],
    since: RateEvent,
    restart_minutes: Decimal | None,
) -> Decimal | None:
    """The least minutes at the present rate; `None` when there is no next step."""
    if above is None:
        return None
    least = rung.min_minutes if rung else above.min_minutes
    if since.kind == RESUME and restart_minutes is not None:
        least = max(least or restart_minutes, restart_minutes)
    return least


def _end_held(at: datetime, rate: Number, left: Fraction) -> datetime | None:
    if rate == 0:
        return None
    return at + _span(left * MINUTES_PER_HOUR / exact(rate))


def _end_on_ladder(
    at: datetime,
    rate: Decimal,
    due: datetime | None,
    left: Fraction,
    rungs: Sequence[Rung],
) -> datetime | None:
    """When the volume is in if every next step is taken on time from now on."""
    while due is not None and (above := _above(rungs, rate)) is not None:
        start = max(due, at)
        run = exact(rate) * _seconds(start - at) / 3600
        if run >= left:
            break
        left, at, rate = left - run, start, above.pump_ml_per_h
        minutes = above.min_minutes
        due = None if minutes is None else at + _span(exact(minutes))
    return _end_held(at, rate, left)


def _span(minutes: Fraction) -> timedelta:
    """Minutes as a time span, rounded up to the microsecond."""
    return timedelta(microseconds=math.ceil(minutes * 60_000_000))


def rung_at(rungs: Sequence[Rung], rate_ml_per_h: Decimal) -> Rung | None:
    """The highest rung at or below a rate."""
    return next((r for r in reversed(rungs) if r.pump_ml_per_h <= rate_ml_per_h), None)


def _above(rungs: Sequence[Rung], rate: Decimal) -> Rung | None:
    return next((rung for rung in rungs if rung.pump_ml_per_h > rate), None)


def _below(rungs: Sequence[Rung], rate: Decimal) -> Rung | None:
    return next((rung for rung in reversed(rungs) if rung.pump_ml_per_h < rate), None)


def per_kg(rate_ml_per_h: Decimal, rungs: Sequence[Rung]) -> Decimal:
    """The rate per kilogram of a pump rate: the rung's own where it is a rung."""
    rung = rung_at(rungs, rate_ml_per_h)
    if rung is not None and rung.pump_ml_per_h == rate_ml_per_h:
        return rung.ml_per_kg_h
    first = rungs[0]
    weight = exact(first.ml_per_h) / exact(first.ml_per_kg_h)
    return to_decimal(exact(rate_ml_per_h) / weight)


def reduced(rate_ml_per_h: Decimal, rungs: Sequence[Rung]) -> RateProposal:
    """The next lower rung; below or at the first rung, a pause."""
    below = _below(rungs, rate_ml_per_h)
    if below is None:
        return RateProposal(
            action=PAUSE,
            ml_per_h=Decimal(0),
            ml_per_kg_h=Decimal(0),
            step=None,
            because="already at the first step: there is no lower one",
        )
    return RateProposal(
        action="reduce",
        ml_per_h=below.pump_ml_per_h,
        ml_per_kg_h=below.ml_per_kg_h,
        step=below.step,
        because=f"back to step {below.step}",
    )


def restart(
    policy: RestartPolicy,
    *,
    rate_before_ml_per_h: Decimal,
    rungs: Sequence[Rung],
    resolution_ml_per_h: Decimal,
) -> Restart:
    """The rate to resume at after a pause or reaction: never the old one (H11)."""
    old = rate_before_ml_per_h
    rate, because = _restart_rate(policy, old, rungs, resolution_ml_per_h)
    rung = rung_at(rungs, rate)
    return Restart(
        ml_per_h=rate,
        ml_per_kg_h=per_kg(rate, rungs),
        step=rung.step if rung else None,
        minutes=policy.minutes.value,
        pause_minutes=policy.pause_minutes.value,
        because=because,
        source=policy.method.source,
    )


def _restart_rate(
    policy: RestartPolicy, old: Decimal, rungs: Sequence[Rung], resolution: Decimal
) -> tuple[Decimal, str]:
    below = _below(rungs, old)
    if policy.method.value == "previous_step" and below is not None:
        return below.pump_ml_per_h, f"the step below {plain(old)} mL/h"
    if policy.method.value == "first_step" and below is not None:
        return rungs[0].pump_ml_per_h, "the first step"
    part = plain(exact(policy.fraction.value) * 100)
    lower = round_down(exact(old) * exact(policy.fraction.value), resolution)
    return lower, f"{part} % of {plain(old)} mL/h, rounded down"
