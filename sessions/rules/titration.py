"""The plan of one day's infusion: dose, vials, ceiling, ladder and warnings.

The public face of titration: ladder and running state have modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sessions.rules.dosing import Body, Dose, DosingWeight, Ordered, dose, dosing_weight
from sessions.rules.dosing_policy import (
    DosingError,
    DosingPolicy,
    IntervalPolicy,
    RestartPolicy,
)
from sessions.rules.labels import (
    REGIONS,
    Indication,
    LabelLookup,
    Product,
    label_for,
)
from sessions.rules.ladders import Ceiling, Limit, Rung, ceiling, ladder
from sessions.rules.language import say
from sessions.rules.quantities import plain, to_decimal, volume_ml
from sessions.rules.running import (
    RateEvent,
    RateProposal,
    Restart,
    Running,
    reduced,
    restart,
    rung_at,
    running_state,
    volume_given_ml,
)
from sessions.rules.sources import Source

__all__ = [
    "Ceiling",
    "Limit",
    "Plan",
    "PlanWarning",
    "RateEvent",
    "RateProposal",
    "Restart",
    "RestartPolicy",
    "Rung",
    "Running",
    "StartRule",
    "ceiling",
    "ladder",
    "plan",
    "reduced",
    "restart",
    "rung_at",
    "running_state",
    "start_rule",
    "volume_given_ml",
]

PATIENT_CLASS_FLAGS = ("standard", "at_risk")
EXPERIENCES = ("first", "experienced")


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
        because = say("no earlier infusion is recorded")
    elif last_product_key != product_key:
        because = say("the last product was another one")
    elif days_since_last is None:
        because = say("the date of the last infusion is not known")
    elif days_since_last > weeks * 7:
        because = say(
            "more than {weeks} weeks since the last infusion", weeks=plain(weeks)
        )
    else:
        return StartRule(
            experience="experienced",
            because=say("same product, at most {weeks} weeks ago", weeks=plain(weeks)),
            source=source,
        )
    return StartRule(experience="first", because=because, source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWarning:
    """Something to answer before an order is signed; a hard one forbids signing."""

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
        raise DosingError(
            "product",
            say(
                "{brand} cannot be ordered: {reason}",
                brand=product.brand,
                reason=reason,
            ),
        )
    if region not in REGIONS:
        raise DosingError(
            "region", say("Use one of {known}.", known=", ".join(REGIONS))
        )
    if experience not in EXPERIENCES:
        raise DosingError(
            "experience",
            say("Use one of {known}.", known=", ".join(EXPERIENCES)),
        )
    least, most = policy.weight.least_kg.value, policy.weight.most_kg.value
    if not least <= body.weight_kg <= most:
        raise DosingError(
            "weight",
            say(
                "The weight must be from {least} to {most} kg.",
                least=plain(least),
                most=plain(most),
            ),
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
            say(
                "No sum of vials is near enough to {calculated_g} g: "
                "{waste_g} g are discarded.",
                calculated_g=plain(given.calculated_g),
                waste_g=plain(given.vials.waste_g),
            ),
            product.vials.source,
        )
    if not label.stated:
        text = say("The rate is {because}.", because=label.because)
        yield _soft("rate_not_stated", text, label.maximum.source)
    if label.experienced_note:
        yield _soft(
            "experienced_rates",
            say(
                "Rates for experienced patients: {experienced_note}.",
                experienced_note=say(label.experienced_note),
            ),
            label.maximum.source,
        )
    for limit in top.candidates:
        if limit.kind == "risk_cap" and limit.from_policy and label.at_risk is None:
            note = say(label.at_risk_note) or say("the label has no row for them")
            text = say(
                "Patients at risk: {note}; {words}.", note=note, words=limit.text
            )
            yield _soft("at_risk_without_figure", text, limit.source)
    if any(not rung.source.verified for rung in rungs):
        yield _soft(
            "unverified_rate",
            say("A rate of this plan is not verified against the label."),
            next(rung.source for rung in rungs if not rung.source.verified),
        )


def _indication_warnings(
    product: Product, indication: Indication
) -> Iterator[PlanWarning]:
    status = indication.status_of(product.key)
    if status != "labelled" and indication.has_dose:
        yield _soft(
            status.replace("-", "_"),
            say(
                "{name} is {status} for {brand}.",
                name=say(indication.name),
                status=say(status),
                brand=product.brand,
            ),
            indication.regimens[0].source,
        )


def _product_warnings(
    product: Product, body: Body, risks: frozenset[str]
) -> Iterator[PlanWarning]:
    for caution in product.contraindicated_with:
        if not caution.risk or caution.risk in risks:
            yield PlanWarning(
                code=caution.code,
                text=say(caution.text),
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
            code="min_age",
            text=say(limit.text),
            hard=limit.hard,
            source=limit.source,
        )


def _soft(code: str, text: str, source: Source) -> PlanWarning:
    return PlanWarning(code=code, text=text, hard=False, source=source)
