"""What stands between a patient and the Start: read, judged, never written here.

The page of Start shows this, and the service that starts asks it again under its lock.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sessions.catalogue.gate import gate_catalogue
from sessions.catalogue.indications import indications
from sessions.catalogue.labs import lab_tests
from sessions.catalogue.products import products
from sessions.charts import SessionChart, chart_of, is_complete, vital_set
from sessions.models import (
    Allergy,
    Answer,
    Consent,
    GateOverride,
    InfusionSession,
    LabResult,
    OrderStatus,
    OrderVersion,
    Presence,
    ProtocolVersion,
    RiskFactor,
    Screening,
    Sex,
    Signature,
    Start,
    Vial,
    VitalSigns,
    Weight,
)
from sessions.rules.assessment import Chart, assess
from sessions.rules.dosing import Ordered
from sessions.rules.dosing_policy import DosingError, DosingPolicy
from sessions.rules.findings import Finding, Priority
from sessions.rules.labels import LabelError
from sessions.rules.ladders import Limit, Rung
from sessions.rules.monitoring import (
    Criterion,
    Departure,
    discharge,
    observation_minutes,
)
from sessions.rules.plans import plan_document
from sessions.rules.quantities import exact, plain, to_decimal
from sessions.rules.screening import (
    GateFacts,
    PremedicationFact,
    VialFact,
    gate,
)
from sessions.rules.sources import Setting, Source
from sessions.rules.thresholds import Phase, Reading
from sessions.rules.titration import Plan, StartRule, plan
from sessions.services import medicines, orders, protocols
from sessions.services.acts import Refused
from sessions.services.assessments import judge_vitals
from sessions.services.vials import current_vials, grams_of, today

logger = logging.getLogger(__name__)

TO_DO, HARD, WARNING = "to_do", "hard", "warning"
"""Not done yet; stopped until a prescriber signs; held until somebody says why."""

QUESTION_NAMES = (
    "infection_or_fever",
    "headache_after_last",
    "new_clot_or_chest_pain",
    "fluids_taken",
    "new_medicines",
    "live_vaccine",
    "pregnant",
    "emergency_kit_at_chair",
    "history_reviewed",
)
"""The answers of a `Screening`, in the order in which they are asked."""

AS_USUAL = {
    "infection_or_fever": Answer.NO,
    "headache_after_last": Answer.NO,
    "new_clot_or_chest_pain": Answer.NO,
    "fluids_taken": Answer.YES,
    "new_medicines": Answer.NO,
    "live_vaccine": Answer.NO,
    "pregnant": Answer.NO,
    "emergency_kit_at_chair": Answer.YES,
    "history_reviewed": Answer.YES,
}
"""What "all as usual" attests, in one tap, each word of it on the screen."""

WEIGHT_CONFIRMED = "weight-confirmed"
WEIGHT_RULES = (WEIGHT_CONFIRMED,)
SHORT_OF_DOSE = Decimal("0.05")
"""An infusion that ends with less than 95 % in ended early (SAFETY H22: 5 %)."""

NEVER_PASSED = {
    "identity",
    "order_current",
    "protocol_approved",
    "history_reviewed",
    "emergency_kit",
    "vials_recorded",
    "vials_expired",
    "vials_product",
    "vials_dose",
    "vials_inspected",
    "weight_missing",
    "baseline_age",
    "pump_read_back",
    "pregnancy_unknown",
}
"""Checks that are done, not overridden: no signature stands for a missing vial."""

ITEM_OF = {
    "identity": "identity",
    "line": "line",
    "height": "weight",
    "several_lots": "vials",
    "premedication_given": "premedication",
    "premedication_wait": "premedication",
    "pump_read_back": "pump",
    "order_current": "order",
    "protocol_approved": "order",
    "rate_table": "order",
    "indication": "order",
}
ITEMS = (
    *("order", "identity", "weight", "checks", "line"),
    *("premedication", "vials", "baseline", "pump"),
)
"""Places on the page of Start, in the order of the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One thing that holds the Start, and where on the page it is done.

    `kind` is `to_do`, `hard` or `warning`; `due_at` is set where only time is needed.
    """

    rule: str
    kind: str
    item: str
    text: str
    calls_for: str = ""
    clears: str = ""
    source: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A warning or hard stop that somebody passed, and with which reason."""

    hold: Hold
    override: GateOverride


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The ordered dose on today's ladder: computed anew at each look (D1)."""

    plan: Plan
    rule: StartRule
    protocol: ProtocolVersion
    first_infusion: bool
    brand_switch: bool
    long_gap: bool
    observation: Setting[Decimal]
    risks: frozenset[str]

    @property
    def observation_minutes(self) -> int:
        return int(self.observation.value)

    @property
    def document(self) -> dict[str, Any]:
        """The plan as the Start keeps it, with what made it today's."""
        return plan_document(self.plan) | {
            "today": {
                "experience_because": self.rule.because,
                "observation_minutes": self.observation_minutes,
                "observation_source": self.observation.source.label,
            }
        }


@dataclass(slots=True, kw_only=True)
class Preparation:
    """One visit before its Start: what is known, what is done, what holds."""

    session: InfusionSession
    at: datetime
    chart: SessionChart
    version: OrderVersion
    protocol: ProtocolVersion | None
    weights: list[Weight]
    weight_confirmed: GateOverride | None
    allergies: list[Allergy]
    risk_factors: dict[str, RiskFactor]
    labs: dict[str, list[LabResult]]
    consent: Consent | None
    last_start: Start | None
    last_chart: SessionChart | None
    offers: list[medicines.Offer]
    vials: list[Vial]
    today: Today | None
    fault: str
    baseline_findings: tuple[Finding, ...] | None
    holds: list[Hold] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)

    # what is done

    @property
    def weight(self) -> Weight | None:
        return self.weights[0] if self.weights else None

    @property
    def weight_before(self) -> Weight | None:
        return self.weights[1] if len(self.weights) > 1 else None

    @property
    def weight_is_new(self) -> bool:
        """Measured on the clinic's day of this visit."""
        clinic = self.session.clinic
        return bool(self.weight) and (
            today(clinic, self.weight.event_time) == today(clinic, self.at)
        )

    @property
    def weight_change(self) -> orders.WeightChange | None:
        if self.weight is None:
            return None
        return orders.weight_change(self.version, self.weight.weight_kg)

    @property
    def identity(self):
        return self.chart.identity

    @property
    def screening(self) -> Screening | None:
        return self.chart.screening

    @property
    def line(self):
        return self.chart.line

    @property
    def baseline(self) -> VitalSigns | None:
        return self.chart.baseline

    @property
    def held_g(self) -> Decimal:
        return grams_of(self.vials)

    @property
    def missing_g(self) -> Decimal:
        return max(Decimal(0), self.version.given_g - self.held_g)

    @property
    def planned_vials_g(self) -> list[Decimal]:
        return [Decimal(size) for size in self.version.plan.get("vials_g", ())]

    @property
    def vials_to_come_g(self) -> list[Decimal]:
        """The sizes of the ordered vial set that are not at the chair yet."""
        left = list(self.planned_vials_g)
        for vial in self.vials:
            if vial.grams in left:
                left.remove(vial.grams)
        return left if self.missing_g else []

    @property
    def before(self) -> list[medicines.Offer]:
        return [offer for offer in self.offers if offer.ordered.purpose == "before"]

    @property
    def start_from(self) -> datetime | None:
        """The earliest Start that leaves every premedication its ordered time."""
        moments = [offer.start_from for offer in self.before if offer.start_from]
        return max(moments, default=None)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        return self.today.plan.rungs if self.today else ()

    @property
    def steps(self) -> tuple[Rung, ...]:
        return self.today.plan.steps if self.today else ()

    @property
    def first_rung(self) -> Rung | None:
        return self.rungs[0] if self.rungs else None

    @property
    def total_ml(self) -> Decimal | None:
        return self.today.plan.volume_ml if self.today else None

    @property
    def ends_at(self) -> datetime | None:
        """The projected end if it were started now."""
        if self.today is None:
            return None
        return self.at + timedelta(seconds=int(self.today.plan.duration_minutes * 60))

    def of_kind(self, kind: str) -> list[Hold]:
        return [hold for hold in self.holds if hold.kind == kind]

    @property
    def to_do(self) -> list[Hold]:
        return self.of_kind(TO_DO)

    @property
    def hard(self) -> list[Hold]:
        return self.of_kind(HARD)

    @property
    def warnings(self) -> list[Hold]:
        return self.of_kind(WARNING)

    def held(self, item: str) -> list[Hold]:
        return [hold for hold in self.holds if hold.item == item]

    @property
    def open_items(self) -> set[str]:
        """Items with something left to do."""
        return {hold.item for hold in self.holds if hold.kind == TO_DO}

    def document(self) -> dict[str, Any]:
        """What the gate looked like at the Start, as the Start keeps it."""
        return {
            "passed": [
                {
                    "rule": each.hold.rule,
                    "kind": each.hold.kind,
                    "found": each.hold.text,
                    "reason": each.override.reason_code,
                    "text": each.override.reason_text,
                    "by": str(each.override.recorded_by),
                }
                for each in self.passed
            ],
            "baseline": self.baseline.pk if self.baseline else None,
            "identity": self.identity.pk if self.identity else None,
            "screening": self.screening.pk if self.screening else None,
            "line": self.line.pk if self.line else None,
            "consent": self.consent.pk if self.consent else None,
            "vials": [vial.pk for vial in self.vials],
            "allergies": [_allergy_words(row) for row in self.allergies]
            or ["not recorded"],
        }


def prepare(session: InfusionSession, *, at: datetime) -> Preparation:
    """Read everything the Start depends on, and judge it."""
    patient, clinic = session.patient, session.clinic
    version = session.order.current
    protocol = protocols.in_force(clinic)
    chart = chart_of(session, at=at)
    weights = list(
        patient.weights.current()
        .filter(event_time__lte=at)
        .select_related("recorded_by")
        .order_by("-event_time", "-id")[:6]
    )
    last = _last_start(session, at=at)
    made, fault = _today(session, version, protocol, last, at=at)
    overrides = chart.overrides
    prepared = Preparation(
        session=session,
        at=at,
        chart=chart,
        version=version,
        protocol=protocol,
        weights=weights,
        weight_confirmed=_confirmation(overrides, weights),
        allergies=list(Allergy.objects.filter(patient=patient).current()),
        risk_factors={
            row.key: row
            for row in RiskFactor.objects.filter(patient=patient)
            .current()
            .order_by("event_time", "id")
        },
        labs=_labs(session, at=at),
        consent=Consent.objects.filter(patient=patient, event_time__lte=at)
        .current()
        .order_by("-event_time", "-id")
        .first(),
        last_start=last,
        last_chart=chart_of(last.session, at=at) if last else None,
        offers=medicines.offers(session, at=at),
        vials=current_vials(session),
        today=made,
        fault=fault,
        baseline_findings=_baseline_findings(chart),
    )
    _judge(prepared, overrides)
    return prepared


def is_assessed(session: InfusionSession, *, at: datetime) -> bool:
    """Whether identity, weight and checks are done: then the visit is assessed (C1)."""
    weights = list(
        session.patient.weights.current()
        .filter(event_time__lte=at)
        .order_by("-event_time", "-id")[:1]
    )
    if not weights:
        return False
    overrides = list(GateOverride.objects.filter(session=session).current())
    clinic = session.clinic
    weighed = today(clinic, weights[0].event_time) == today(clinic, at)
    return (
        (weighed or _confirmation(overrides, weights) is not None)
        and session.identitychecks.current().exists()
        and session.screenings.current().exists()
    )


def weight_words(weight: Weight, zone) -> str:
    """The weight a confirmation speaks about: another one is not confirmed by it."""
    measured = weight.event_time.astimezone(zone)
    return f"{plain(weight.weight_kg)} kg of {measured:%-d %b %Y}"


def criteria(session: InfusionSession, *, at: datetime) -> tuple[Criterion, ...]:
    """The discharge criteria of the session's own protocol, checked now (H3)."""
    chart = chart_of(session, at=at)
    if chart.policy is None or chart.start is None:
        raise Refused(
            "CHECK NOT DONE: the protocol of this visit cannot be read. "
            "Ask the charge nurse."
        )
    return criteria_of(chart)


def criteria_of(chart: SessionChart) -> tuple[Criterion, ...]:
    """The same from a chart that was read already."""
    schedule = chart.policy.monitoring.schedule
    source = (
        schedule.observation_first_minutes
        if chart.start.experience == "first"
        else schedule.observation_minutes
    ).source
    complete = [row for row in chart.vitals if is_complete(row)]
    last = complete[-1] if complete else None
    found: tuple[Finding, ...] | None = ()
    if last is not None:
        judged = judge_vitals(chart, last)
        found = None if judged.fault else judged.findings
    return discharge(
        Departure(
            at=chart.at,
            ended_at=chart.ended_at,
            observe_minutes=Setting(
                value=Decimal(chart.start.observation_minutes), source=source
            ),
            last_set_at=last.event_time if last else None,
            last_set_findings=found,
            open_priorities=tuple(
                Priority(raised.flag.priority) for raised in chart.open_flags
            ),
        ),
        schedule,
    )


# Today's plan


def _last_start(session: InfusionSession, *, at: datetime) -> Start | None:
    """The patient's last infusion before this one; withdrawn visits do not count."""
    return (
        Start.objects.current()
        .filter(
            session__patient=session.patient,
            session__entered_in_error=False,
            event_time__lte=at,
        )
        .exclude(session=session)
        .select_related("order_version", "session__clinic", "session__patient")
        .order_by("-event_time")
        .first()
    )


def _today(
    session: InfusionSession,
    version: OrderVersion | None,
    protocol: ProtocolVersion | None,
    last: Start | None,
    *,
    at: datetime,
) -> tuple[Today | None, str]:
    """The signed dose on the ladder of today's weight, history and protocol.

    The grams stay as signed. The rates follow today's dosing weight by the order's
    rule, and never pass the ceiling that was signed.
    """
    if version is None:
        return None, "The order has no version yet."
    if protocol is None:
        return None, "No protocol is in force: the clinic approves one first."
    try:
        facts = orders.facts_of(
            session.patient,
            clinic=session.clinic,
            product_key=version.product_key,
            indication_key=version.indication_key,
            at=at,
        )
        made = plan(
            product=products()[version.product_key],
            indication=indications()[version.indication_key],
            body=orders.body_of(session.patient, facts, today(session.clinic, at)),
            ordered=Ordered(total_g=version.given_g * version.days, days=version.days),
            policy=_dose_as_signed(facts.policy),
            region=version.plan.get("region", session.clinic.label_region),
            at_risk=version.at_risk or facts.at_risk,
            experience=facts.start.experience,
            prior_reaction=facts.prior_reaction,
            weight_basis=version.weight_basis,
            tolerance=Limit(
                kind="order",
                exact_ml_per_kg_h=exact(version.ceiling_ml_per_kg_h),
                text="the ceiling of the signed order",
                source=Source(
                    text=f"Order {version.order_id}, version {version.number}"
                ),
                from_policy=False,
            ),
            risks=facts.risks,
        )
    except Refused as refused:
        return None, refused.message
    except (DosingError, LabelError, KeyError) as error:
        return None, f"The plan cannot be computed: {error}"
    if made.dose.given_g != version.given_g:
        return None, "The plan of today and the signed order differ in grams."
    first = facts.start.experience == "first"
    switched = (
        last is not None and last.order_version.product_key != version.product_key
    )
    made_today = Today(
        plan=made,
        rule=facts.start,
        protocol=protocol,
        first_infusion=first and last is None,
        brand_switch=first and switched,
        long_gap=first and last is not None and not switched,
        observation=observation_minutes(
            protocol.policy.monitoring.schedule, first_infusion=first
        ),
        risks=facts.risks,
    )
    return made_today, ""


def _dose_as_signed(policy: DosingPolicy) -> DosingPolicy:
    """Take the grams as they were signed: nothing is rounded a second time."""
    rounding = policy.rounding
    return replace(
        policy,
        rounding=replace(rounding, dose_to=replace(rounding.dose_to, value="none")),
    )


def _confirmation(
    overrides: Iterable[GateOverride], weights: list[Weight]
) -> GateOverride | None:
    """That somebody confirmed the newest weight on record for this visit."""
    if not weights:
        return None
    wanted = weight_words(weights[0], weights[0].clinic.zone)
    return next(
        (
            row
            for row in overrides
            if row.rule == WEIGHT_CONFIRMED and row.found == wanted
        ),
        None,
    )


def _labs(session: InfusionSession, *, at: datetime) -> dict[str, list[LabResult]]:
    """Results by test, the newest first."""
    found: dict[str, list[LabResult]] = {}
    rows = (
        LabResult.objects.filter(patient=session.patient, event_time__lte=at)
        .current()
        .order_by("-event_time", "-id")
    )
    for row in rows:
        found.setdefault(row.test, []).append(row)
    return found


def _baseline_findings(chart: SessionChart) -> tuple[Finding, ...] | None:
    """What the rules say of the baseline; None when they could not speak (I15)."""
    row = chart.baseline
    if row is None:
        return ()
    if chart.policy is None:
        return None
    patient = chart.session.patient
    day = today(chart.session.clinic, row.event_time)
    try:
        return assess(
            Chart(
                age_years=Decimal(patient.age_on(day)),
                pregnant=chart.is_pregnant,
                phase=Phase.BASELINE,
                vitals=vital_set(row),
            ),
            chart.policy,
        ).findings
    except Exception:
        logger.exception("the baseline could not be judged")
        return None


# Judging


def _judge(prepared: Preparation, overrides: list[GateOverride]) -> None:
    """Fill in what holds and what was passed."""
    found = [*_own_holds(prepared), *_gate_holds(prepared)]
    signed = _signed(overrides)
    for hold in found:
        override = _override_of(hold, overrides, signed)
        if override is None:
            prepared.holds.append(hold)
        else:
            prepared.passed.append(Passed(hold=hold, override=override))
    prepared.holds.sort(key=lambda hold: ITEMS.index(hold.item))


def _signed(overrides: list[GateOverride]) -> set[int]:
    """The overrides that carry a signature; only these pass a hard stop."""
    return set(
        Signature.objects.filter(
            gate_override__in=overrides, meaning=Signature.Meaning.OVERRODE
        ).values_list("gate_override_id", flat=True)
    )


def _override_of(
    hold: Hold, overrides: list[GateOverride], signed: set[int]
) -> GateOverride | None:
    if hold.kind == TO_DO:
        return None
    for row in reversed(overrides):
        if row.rule != hold.rule:
            continue
        if hold.kind == WARNING:
            return row
        # A hard stop that finds something else than was signed for holds again.
        if row.pk in signed and row.found == hold.text:
            return row
    return None


def _own_holds(prepared: Preparation) -> Iterable[Hold]:
    """What the record itself asks for, before any clinical rule speaks."""
    session, version = prepared.session, prepared.version
    order = session.order
    day = today(session.clinic, prepared.at)
    if order.status != OrderStatus.ACTIVE:
        yield _to_do(
            "order-status",
            "order",
            f"The order is {order.get_status_display().lower()}",
            clears="an active order",
        )
    if version.expires_on < day:
        yield _to_do(
            "order-expired",
            "order",
            f"The order expired on {version.expires_on:%-d %b %Y}",
            clears="a renewed order",
        )
    if _countersignature_late(version, prepared.at):
        yield Hold(
            rule="order-countersign",
            kind=HARD,
            item="order",
            text="The telephone order was not countersigned in time",
            clears="the prescriber's countersignature",
        )
    if prepared.fault:
        yield _to_do("plan", "order" if prepared.weights else "weight", prepared.fault)
    signed_for = {stop["code"] for stop in orders.hard_stops(version)}
    for warning in prepared.today.plan.hard_stops if prepared.today else ():
        if warning.code in signed_for:
            continue  # overridden with a signature when the order was signed
        yield Hold(
            rule=f"plan-{warning.code}"[:40],
            kind=HARD,
            item="order",
            text=warning.text,
            source=warning.source.label,
        )
    if prepared.weight and not (prepared.weight_is_new or prepared.weight_confirmed):
        yield _to_do(
            WEIGHT_CONFIRMED,
            "weight",
            _weight_words(prepared),
            clears="a weight of today, or the last one confirmed",
        )
    if prepared.screening is None:
        yield _to_do("checks", "checks", "Checks not attested")
    if prepared.line is None:
        yield _to_do("line", "line", "Line not recorded")
    if prepared.baseline is None:
        yield _to_do("baseline", "baseline", "Baseline vitals not saved")


def _weight_words(prepared: Preparation) -> str:
    days = (prepared.at - prepared.weight.event_time).days
    if days > prepared.session.clinic.weight_valid_days:
        return f"Weight is {days} days old: measure or confirm it"
    return "Weight not measured or confirmed today"


def _countersignature_late(version: OrderVersion, at: datetime) -> bool:
    if not version.by_telephone or version.countersign_by is None:
        return False
    if version.countersign_by > at:
        return False
    return not version.signatures.filter(
        meaning=Signature.Meaning.COUNTERSIGNED
    ).exists()


def _to_do(rule: str, item: str, text: str, *, clears: str = "") -> Hold:
    return Hold(rule=rule, kind=TO_DO, item=item, text=text, clears=clears)


def _gate_holds(prepared: Preparation) -> Iterable[Hold]:
    """What the gate's rules find in the facts of this visit."""
    try:
        policy = (prepared.protocol or prepared.version.protocol_version).policy
        result = gate(
            gate_facts(prepared),
            gate_catalogue(),
            policy.monitoring.lab_thresholds,
        )
    except Exception:
        logger.exception("the gate could not be judged")
        yield _to_do(
            "gate",
            "order",
            "CHECK NOT DONE: the checks before Start could not run. "
            "Start is not possible; ask the charge nurse",
        )
        return
    for finding in (*result.hard, *result.warnings):
        hold = _hold_of(prepared, finding)
        if hold is not None:
            yield hold


SAID_ELSEWHERE = {
    "order_current",
    "protocol_approved",
    "weight_missing",
    "weight_stale",
    "pump_read_back",
    "pregnancy_unknown",
}
"""Findings for which the record's own holds have better words, or another place."""


def _hold_of(prepared: Preparation, finding: Finding) -> Hold | None:
    key = finding.series
    if key in SAID_ELSEWHERE and not (key == "weight_missing" and prepared.weights):
        return None
    if key.startswith("baseline") and prepared.baseline is None:
        return None
    if key == "line" and prepared.line is None:
        return None
    unanswered = finding.because.endswith(("Not answered", ": not said"))
    if prepared.screening is None and unanswered and _item(key) == "checks":
        return None  # said once: the checks are not attested
    if key == "vials_recorded" and not prepared.vials:
        return None  # said once: the grams that are missing
    kind = HARD if finding.holds_start else WARNING
    if key in NEVER_PASSED or (unanswered and finding.holds_start):
        kind = TO_DO
    return Hold(
        rule=finding.rule,
        kind=kind,
        item=_item(key),
        text=_words(prepared, finding),
        calls_for=finding.calls_for,
        clears=finding.clears,
        source=finding.source.label,
        due_at=prepared.start_from if key == "premedication_wait" else None,
    )


def _item(key: str) -> str:
    if key in ITEM_OF:
        return ITEM_OF[key]
    for start in ("vials", "weight", "baseline"):
        if key.startswith(start):
            return start
    return "checks"


def _words(prepared: Preparation, finding: Finding) -> str:
    """The finding in a nurse's words, where the rule's are too short for a list."""
    if finding.series == "identity":
        return "Identity not checked"
    if finding.series == "vials_dose":
        return f"Vials: {plain(prepared.missing_g)} g missing"
    if finding.series == "premedication_wait" and prepared.start_from:
        local = prepared.start_from.astimezone(prepared.session.clinic.zone)
        return f"Premedication: earliest Start {local:%H:%M}"
    return finding.because


def gate_facts(prepared: Preparation) -> GateFacts:
    """Everything the gate looks at, taken from the rows of this visit."""
    session, version = prepared.session, prepared.version
    patient, at, day = session.patient, prepared.at, today(session.clinic, prepared.at)
    weight, first = prepared.weight, prepared.first_rung
    pregnancy = _pregnant(prepared)
    baseline = prepared.baseline
    return GateFacts(
        today=day,
        age_years=Decimal(patient.age_on(day)),
        attested=_attested(prepared),
        product=version.product_key,
        planned_g=version.given_g,
        dose_g_per_kg=version.dose_g_per_kg or None,
        vials=tuple(
            VialFact(
                product=vial.product_key,
                grams=vial.grams,
                lot=vial.lot,
                expires_on=vial.expiry,
            )
            for vial in prepared.vials
        ),
        weight_kg=weight.weight_kg if weight else None,
        weight_age_days=(at - weight.event_time).days if weight else None,
        order_weight_kg=version.weight_kg,
        height_needed=version.weight_basis != "actual",
        height_known=version.height_cm is not None,
        consent_age_days=_consent_age(prepared),
        lab_age_days=_lab_ages(prepared),
        lab_readings=_lab_readings(prepared),
        risk_factors={
            key: {Presence.PRESENT: True, Presence.ABSENT: False}.get(row.presence)
            for key, row in prepared.risk_factors.items()
        }
        | dict.fromkeys(prepared.today.risks if prepared.today else (), True),
        answers=_answers(prepared),
        blood_group=_blood_group(prepared),
        first_infusion=bool(prepared.today and prepared.today.first_infusion),
        brand_switch=bool(prepared.today and prepared.today.brand_switch),
        long_gap=bool(prepared.today and prepared.today.long_gap),
        pregnant=pregnancy,
        supervisor=_supervisor(prepared),
        baseline=vital_set(baseline),
        baseline_age_minutes=_minutes(at - baseline.event_time) if baseline else None,
        baseline_findings=prepared.baseline_findings,
        premedications=tuple(
            PremedicationFact(
                name=offer.ordered.name,
                wait_minutes=Decimal(offer.ordered.minutes_before or 0),
                minutes_ago=_minutes(at - offer.given[-1].event_time)
                if offer.given
                else None,
            )
            for offer in prepared.before
        ),
        # Read back with the press of Start itself, and compared there.
        planned_ml_per_h=first.pump_ml_per_h if first else None,
        pump_shows_ml_per_h=first.pump_ml_per_h if first else None,
    )


def _minutes(span: timedelta) -> Decimal:
    return Decimal(int(span.total_seconds() // 60))


def _attested(prepared: Preparation) -> Mapping[str, bool]:
    screening, order = prepared.screening, prepared.session.order
    kit = bool(screening) and screening.emergency_kit_at_chair == Answer.YES
    reviewed = bool(screening) and screening.history_reviewed == Answer.YES
    return {
        "identity": prepared.identity is not None,
        "order_current": order.status == OrderStatus.ACTIVE,
        "protocol_approved": prepared.protocol is not None,
        "history_reviewed": reviewed,
        "last_reaction_reviewed": reviewed,
        "indication": True,
        "vials_inspected": all(vial.looks_right for vial in prepared.vials),
        "rate_table": prepared.today is not None,
        "line": prepared.line is not None,
        "emergency_kit": kit,
        "responder": kit,
    }


YES_NO = {Answer.YES: True, Answer.NO: False}


def _answers(prepared: Preparation) -> Mapping[str, bool | None]:
    """The day's answers by the gate's keys; not asked stays None."""
    said = prepared.screening
    if said is None:
        return {}
    fluids = YES_NO.get(said.fluids_taken)
    return {
        "infection": YES_NO.get(said.infection_or_fever),
        "headache_after_last": YES_NO.get(said.headache_after_last),
        "clot_or_chest_pain": YES_NO.get(said.new_clot_or_chest_pain),
        "dehydrated": None if fluids is None else not fluids,
        "new_medicines": YES_NO.get(said.new_medicines),
        "live_vaccine": YES_NO.get(said.live_vaccine),
        "possibly_pregnant": _said_pregnant(prepared),
    }


def asks_pregnancy(session: InfusionSession) -> bool:
    """The question is for everybody who is not recorded as male."""
    return session.patient.sex != Sex.MALE


def _said_pregnant(prepared: Preparation) -> bool | None:
    if not asks_pregnancy(prepared.session):
        return False
    return YES_NO.get(prepared.screening.pregnant) if prepared.screening else None


def _pregnant(prepared: Preparation) -> bool | None:
    row = prepared.risk_factors.get("pregnancy")
    if row is not None and row.presence == Presence.PRESENT:
        return True
    return _said_pregnant(prepared)


def _supervisor(prepared: Preparation) -> str:
    row = prepared.risk_factors.get("pregnancy")
    return row.supervisor if row else ""


def _consent_age(prepared: Preparation) -> int | None:
    """Days since consent was given; None when there is none that holds today.

    A clinic that takes consent elsewhere has switched the question off.
    """
    if not prepared.session.clinic.consent_required:
        return 0
    consent = prepared.consent
    day = today(prepared.session.clinic, prepared.at)
    if consent is None or not consent.given or consent.expires_on < day:
        return None
    return (prepared.at - consent.event_time).days


def _lab_ages(prepared: Preparation) -> Mapping[str, int]:
    ages = {
        test: (prepared.at - rows[0].event_time).days
        for test, rows in prepared.labs.items()
    }
    # An eGFR answers the same question as a creatinine.
    kidney = [ages[test] for test in ("creatinine", "egfr") if test in ages]
    if kidney:
        ages["creatinine"] = min(kidney)
    return ages


def _lab_readings(prepared: Preparation) -> Mapping[str, tuple[Reading, ...]]:
    """Changes of laboratory results since the one before, in the same unit."""
    readings = {}
    for test, measure, per in (
        ("creatinine", "creatinine", {}),
        ("haemoglobin", "haemoglobin_g_dl", {"g/L": 10, "g/dL": 1}),
    ):
        rows = [row for row in prepared.labs.get(test, ()) if row.value is not None]
        if len(rows) < 2 or (not per and rows[0].unit != rows[1].unit):
            continue
        if per and not {rows[0].unit, rows[1].unit} <= set(per):
            continue
        now, before = (
            to_decimal(exact(row.value) / per.get(row.unit, 1)) for row in rows[:2]
        )
        known = lab_tests().get(test)
        readings[measure] = (
            Reading(
                name=measure,
                label=known.name if known else test,
                unit="g/dL" if per else rows[0].unit,
                now=now,
                baseline=before,
                at=rows[0].event_time,
                baseline_at=rows[1].event_time,
            ),
        )
    return readings


def _blood_group(prepared: Preparation) -> str | None:
    rows = prepared.labs.get("blood_group")
    return (rows[0].value_text or None) if rows else None


def _allergy_words(row: Allergy) -> str:
    if row.none_known:
        return "none known"
    return f"{row.substance}: {row.reaction}" if row.reaction else row.substance
