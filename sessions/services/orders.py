"""Orders: planned by the rules, signed by one person, verified by another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sessions.catalogue.gate import risk_factors
from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.models import (
    Allergy,
    Clinic,
    Height,
    IdentityCheck,
    InfusionSession,
    Order,
    OrderMedicine,
    OrderStatus,
    OrderVersion,
    Patient,
    Presence,
    ProtocolVersion,
    Purpose,
    Reaction,
    Signature,
    Start,
    User,
    Weight,
)
from sessions.rules.bodies import is_over_65
from sessions.rules.dosing import Body, DosingError, Ordered
from sessions.rules.dosing_policy import DosingPolicy
from sessions.rules.labels import Indication, Product
from sessions.rules.plans import plan_document
from sessions.rules.quantities import exact, plain, to_decimal
from sessions.rules.screening import HARD
from sessions.rules.sources import Setting, Source
from sessions.rules.titration import Plan, PlanWarning, StartRule, plan, start_rule
from sessions.services import protocols
from sessions.services.acts import Actor, Refused, Stale, act
from sessions.services.medicines import SHORTEST_WORD, allergy_against

LB_PER_KG = ((Fraction(2), Fraction("2.4")), (Fraction("0.42"), Fraction("0.5")))
"""Ratios of two weights that look like pounds typed for kilograms (SAFETY 3)."""

NEEDS_REASON = {
    "dose_above_range",
    "dose_below_range",
    "dose_per_day_above_range",
    "investigational_no_sourced_dose",
    "investigational",
    "off_label",
    "waste",
    "fixed_dose",
    "weight_old",
    "dose_unlike_last",
    "dose_far_below",
    "experience_stated",
}
"""Soft warnings that a prescriber answers in words before the order is kept."""

OVER_65 = "over_65"
"""The one risk factor that follows from the birth date alone."""

BEFORE_START = {"volume_depletion"}
"""Hard stops of the catalogue that are put right on the day, not by another order."""

NEVER = {"dose_above_ceiling", "weight_lb_kg", "weight_too_old", "allergy"}
"""Hard stops that nobody can override: a number that is not believable, a medicine
that can be replaced."""

FAR_BELOW = 5
"""A course of less than this part of the highest published one is asked about (H5)."""

IMMUNOGLOBULIN = ("immunoglobulin", "immune globulin", "ivig", "gamma globulin")

FIELD_OF = {
    "dose": "dose_g_per_kg",
    "weight": "",
    "height": "weight_basis",
    "sex": "weight_basis",
    "region": "",
    "stock": "product",
}
"""Where the form shows what the rules call a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicineChoice:
    """One medicine to go with the course; `max_in_24h` is in the unit of the dose."""

    purpose: str
    medicine_key: str
    name: str
    dose: Decimal
    dose_unit: str
    route: str
    minutes_before: int | None = None
    gap_minutes: int | None = None
    max_in_24h: Decimal | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a prescriber chooses; everything else is computed or looked up.

    The dose is for the whole course: per kilogram, or in grams where the regimen is
    in grams. `weight_basis` empty is the clinic's policy; `experience` empty follows
    from the patient's own history. `override_reason` answers a contraindication.
    """

    product: str
    indication: str
    phase: str = ""
    dose_g_per_kg: Decimal | None = None
    fixed_dose_g: Decimal | None = None
    days: int = 1
    interval_weeks: Decimal | None = None
    cycles: int = 1
    weight_basis: str = ""
    treat_at_risk: bool = False
    experience: str = ""
    reason: str = ""
    override_reason: str = ""
    instructions: str = ""
    first_on: date | None = None
    review_on: date | None = None
    expires_on: date | None = None
    medicines: tuple[MedicineChoice, ...] = ()
    change_note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a patient that an order is computed from."""

    weight: Weight
    weight_before: Weight | None
    height: Height | None
    risks: frozenset[str]
    at_risk_because: tuple[str, ...]
    start: StartRule
    prior_reaction: bool
    allergies: tuple[Allergy, ...]
    last_dose_g_per_kg: Decimal | None
    protocol: ProtocolVersion
    policy: DosingPolicy

    @property
    def at_risk(self) -> bool:
        """Whether a risk factor on record lowers the ceiling."""
        return bool(self.at_risk_because)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telephone:
    """An order given by telephone: who gave it, and that it was read back."""

    prescriber: User
    read_back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Two identifiers of the patient, typed from the wristband (A2)."""

    initials: str
    birth_year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChange:
    """How far a weight is from the one an order was computed with."""

    ordered_kg: Decimal
    now_kg: Decimal
    percent: Decimal
    limit_percent: Decimal

    @property
    def crossed(self) -> bool:
        """Whether the order must be verified again (A4)."""
        return abs(self.percent) >= self.limit_percent


# Planning


def dosing_policy(clinic: Clinic, version: ProtocolVersion) -> DosingPolicy:
    """The protocol's dosing part with the resolution of this clinic's own pumps."""
    policy = version.policy.dosing
    pump = Setting(
        value=Decimal(clinic.pump_resolution_ml_per_h),
        source=Source(text=f"Clinic setting of {clinic.name}: pump resolution"),
    )
    if pump.value == policy.rounding.pump_ml_per_h.value:
        return policy
    return replace(policy, rounding=replace(policy.rounding, pump_ml_per_h=pump))


def facts_of(
    patient: Patient,
    *,
    clinic: Clinic,
    product_key: str,
    at: datetime,
    indication_key: str = "",
) -> Facts:
    """Look up what an order needs to know; refused without a weight or a protocol."""
    version = protocols.in_force(clinic)
    if version is None:
        raise Refused("No protocol is in force. Approve one before ordering.")
    weights = list(
        patient.weights.current()
        .filter(event_time__lte=at)
        .order_by("-event_time", "-id")[:2]
    )
    if not weights:
        raise Refused("No weight is recorded. Weigh the patient first.")
    policy = dosing_policy(clinic, version)
    risks = risks_of(patient, today=at.astimezone(clinic.zone).date())
    known = risk_factors()
    return Facts(
        weight=weights[0],
        weight_before=weights[1] if len(weights) > 1 else None,
        height=patient.heights.current().filter(event_time__lte=at).first(),
        risks=risks,
        at_risk_because=tuple(
            known[key].label
            for key in sorted(risks)
            if key in known and known[key].caps_rate
        ),
        start=_start_rule(patient, product_key, policy, at),
        prior_reaction=_reacted_before(patient, product_key),
        allergies=tuple(patient.allergys.current()),
        last_dose_g_per_kg=_last_dose(patient, indication_key),
        protocol=version,
        policy=policy,
    )


def risks_of(patient: Patient, *, today: date) -> frozenset[str]:
    """The keys of the risk factors on record as present, and the one of age."""
    rows = patient.riskfactors.current().order_by("event_time", "id")
    state = {row.key: row.presence for row in rows}
    found = {key for key, presence in state.items() if presence == Presence.PRESENT}
    if is_over_65(patient.birth_date, today):
        found.add(OVER_65)
    return frozenset(found)


def _start_rule(
    patient: Patient, product_key: str, policy: DosingPolicy, at: datetime
) -> StartRule:
    last = (
        Start.objects.current()
        .filter(session__patient=patient, session__entered_in_error=False)
        .filter(event_time__lte=at)
        .select_related("order_version")
        .order_by("-event_time")
        .first()
    )
    return start_rule(
        product_key=product_key,
        last_product_key=last.order_version.product_key if last else None,
        days_since_last=(at - last.event_time).days if last else None,
        policy=policy.intervals,
    )


def _reacted_before(patient: Patient, product_key: str) -> bool:
    return (
        Reaction.objects.current()
        .filter(
            session__patient=patient,
            session__entered_in_error=False,
            session__start__order_version__product_key=product_key,
        )
        .exists()
    )


def _last_dose(patient: Patient, indication_key: str) -> Decimal | None:
    """Grams per kilogram last signed for this indication, for comparison (H5)."""
    last = (
        OrderVersion.objects.filter(
            order__patient=patient,
            indication_key=indication_key,
            signatures__meaning=Signature.Meaning.PRESCRIBED,
            fixed_dose_g=None,
        )
        .order_by("-recorded_at", "-id")
        .first()
    )
    return last.dose_g_per_kg if last else None


def facts_for(
    patient: Patient, choices: Choices, clinic: Clinic, at: datetime
) -> Facts:
    """The facts that these choices are computed from."""
    return facts_of(
        patient,
        clinic=clinic,
        product_key=choices.product,
        indication_key=choices.indication,
        at=at,
    )


def plan_for(patient: Patient, choices: Choices, clinic: Clinic, at: datetime) -> Plan:
    """Compute what these choices mean; writes nothing and is the live preview."""
    facts = facts_for(patient, choices, clinic, at)
    return plan_from(facts, patient, choices, clinic, at)


def plan_from(
    facts: Facts, patient: Patient, choices: Choices, clinic: Clinic, at: datetime
) -> Plan:
    """Compute a plan from facts that were looked up before."""
    product, indication = _named(choices)
    experience = choices.experience or facts.start.experience
    try:
        made = plan(
            product=product,
            indication=indication,
            body=body_of(patient, facts, at.astimezone(clinic.zone).date()),
            ordered=Ordered(
                g_per_kg=choices.dose_g_per_kg,
                total_g=choices.fixed_dose_g,
                days=choices.days,
            ),
            policy=facts.policy,
            region=clinic.label_region,
            at_risk=facts.at_risk or choices.treat_at_risk,
            experience=experience,
            prior_reaction=facts.prior_reaction,
            weight_basis=choices.weight_basis or None,
            risks=facts.risks,
        )
    except DosingError as error:
        name = FIELD_OF.get(error.field, error.field)
        raise Refused(str(error), field=name) from error
    own = [
        *_own_warnings(facts, choices, made, clinic, at),
        *_product_allergies(facts.allergies, product),
    ]
    return replace(made, warnings=(*made.warnings, *own))


def _named(choices: Choices) -> tuple[Product, Indication]:
    product = products().get(choices.product)
    if product is None:
        raise Refused("Choose a product of the catalogue.", field="product")
    indication = indications().get(choices.indication)
    if indication is None:
        raise Refused("Choose an indication of the catalogue.", field="indication")
    return product, indication


def body_of(patient: Patient, facts: Facts, today: date) -> Body:
    """The measured body; a sex that is not recorded as female or male is unknown."""
    return Body(
        weight_kg=facts.weight.weight_kg,
        height_cm=facts.height.height_cm if facts.height else None,
        sex=patient.sex if patient.sex in ("female", "male") else None,
        age_years=patient.age_on(today),
        pregnant="pregnancy" in facts.risks,
    )


def _own_warnings(
    facts: Facts, choices: Choices, made: Plan, clinic: Clinic, at: datetime
):
    """What the patient's own history adds to the warnings of the rules."""
    policy = facts.policy
    yield from _weight_warnings(facts, clinic, at)
    yield from _contraindications(facts, made)
    if choices.fixed_dose_g is not None:
        yield from _fixed_too_much(made, policy)
        yield _warning(
            "fixed_dose",
            f"A fixed dose in grams: {plain(made.dose.course_g_per_kg, 3)} g/kg for "
            "this patient.",
            policy.dose_range.hard_times_highest.source,
        )
    yield from _far_below(made, policy)
    last, now = facts.last_dose_g_per_kg, choices.dose_g_per_kg
    if last and now and not Fraction(1, 4) < exact(now) / exact(last) < 4:
        yield _warning(
            "dose_unlike_last",
            f"{plain(now)} g/kg, but the last order was {plain(last)} g/kg. "
            "Is the point in the right place?",
            Source(text="The patient's last signed order"),
        )
    if choices.experience and choices.experience != facts.start.experience:
        yield _warning(
            "experience_stated",
            f"Ordered as {choices.experience} infusion; by the record it is "
            f"{facts.start.experience}: {facts.start.because}.",
            facts.start.source,
        )


def _fixed_too_much(made: Plan, policy: DosingPolicy):
    """Grams that suit an adult are refused for a body that is too small for them."""
    limits = policy.dose_range
    most = limits.unsourced_most_g_per_kg.value * limits.hard_times_highest.value
    if exact(made.dose.course_g_per_kg) > most:
        yield _warning(
            "dose_above_ceiling",
            f"{plain(made.dose.course_g, 2)} g is "
            f"{plain(made.dose.course_g_per_kg, 2)} g/kg for this patient, above "
            f"{plain(most)} g/kg.",
            limits.unsourced_most_g_per_kg.source,
            hard=True,
        )


def _far_below(made: Plan, policy: DosingPolicy):
    """A range that is open below still does not make a tenth of it plausible."""
    highest = [
        regimen.high_g_per_kg
        for regimen in made.indication.regimens
        if regimen.high_g_per_kg is not None
    ]
    dose = exact(made.dose.course_g_per_kg)
    if highest and made.dose.check.level == "ok" and dose * FAR_BELOW < max(highest):
        yield _warning(
            "dose_far_below",
            f"{plain(made.dose.course_g_per_kg, 3)} g/kg is far below the published "
            f"{plain(max(highest))} g/kg. Is the point in the right place?",
            policy.dose_range.hard_times_highest.source,
        )


def _product_allergies(allergies: tuple[Allergy, ...], product: Product):
    """An allergy to immunoglobulin, to this brand or to what stabilises it."""
    contains = " ".join(
        fact.text.casefold() for fact in product.facts if fact.name == "Stabiliser"
    )
    brand = product.brand.casefold()
    for allergy in allergies:
        substance = allergy.substance.casefold().strip()
        if allergy.none_known or len(substance) < SHORTEST_WORD:
            continue
        to_all = any(word in substance for word in IMMUNOGLOBULIN)
        if to_all or substance in contains or substance.split()[0] in brand.split():
            yield _warning(
                "product_allergy",
                f"An allergy to {allergy.substance} is on record, and "
                f"{product.brand} is or contains it.",
                Source(text="The patient's record"),
                hard=True,
            )


def _contraindications(facts: Facts, made: Plan):
    """Risk factors on record that rule this product, or every one, out (H27)."""
    said = {warning.code for warning in made.warnings} | BEFORE_START
    for key, factor in risk_factors().items():
        if key not in facts.risks or key in said or factor.gate != HARD:
            continue
        if factor.concerns(made.product.key):
            yield _warning(
                key,
                f"{factor.label}: {factor.changes}. Clears: {factor.clears}.",
                factor.source,
                hard=True,
            )


def _weight_warnings(facts: Facts, clinic: Clinic, at: datetime):
    weight, before = facts.weight, facts.weight_before
    limits = facts.policy.weight
    days = (at - weight.event_time).days
    if days > limits.outer_limit_days.value:
        yield _warning(
            "weight_too_old",
            f"The weight is {days} days old. Weigh the patient first "
            f"(at most {plain(limits.outer_limit_days.value)} days).",
            limits.outer_limit_days.source,
            hard=True,
        )
    elif days > clinic.weight_valid_days:
        yield _warning(
            "weight_old",
            f"The weight is {days} days old; the clinic asks again after "
            f"{clinic.weight_valid_days}. Measure again, or say why it still holds.",
            limits.max_age_days.source,
        )
    if before is None:
        return
    ratio = exact(weight.weight_kg) / exact(before.weight_kg)
    if any(low <= ratio <= high for low, high in LB_PER_KG):
        yield _warning(
            "weight_lb_kg",
            f"{plain(weight.weight_kg)} kg after {plain(before.weight_kg)} kg: pounds "
            "typed for kilograms? Weigh again and correct the record.",
            Source(text="Clinic policy: a ratio of 2.0 to 2.4 between two weights"),
            hard=True,
        )


def _warning(
    code: str, text: str, source: Source, *, hard: bool = False
) -> PlanWarning:
    return PlanWarning(code=code, text=text, hard=hard, source=source)


def weight_change(version: OrderVersion, weight_kg: Decimal) -> WeightChange:
    """Compare a weight with the order's own, by the order's own protocol."""
    limit = version.protocol_version.policy.dosing.weight.change_percent.value
    return change_between(version.weight_kg, weight_kg, limit)


def change_between(
    ordered_kg: Decimal, now_kg: Decimal, limit_percent: Decimal
) -> WeightChange:
    """How far one weight is from another, unrounded when it is judged."""
    change = exact(now_kg) - exact(ordered_kg)
    return WeightChange(
        ordered_kg=ordered_kg,
        now_kg=now_kg,
        percent=to_decimal(change * 100 / exact(ordered_kg)),
        limit_percent=limit_percent,
    )


# Writing


def draft_order(
    *,
    patient: Patient,
    choices: Choices,
    by: Actor,
    telephone: Telephone | None = None,
    identity: Identity | None = None,
) -> Order:
    """Write the first version of an order: a draft, or a telephone order.

    A telephone order counts as signed at once and goes to verification; the
    prescriber countersigns within the clinic's hours (B7).
    """
    with act("order.telephone" if telephone else "order.draft", by=by) as done:
        patient = Patient.objects.select_for_update().get(pk=patient.pk)
        order = Order.objects.create(
            clinic=patient.clinic,
            patient=patient,
            created_at=by.at,
            created_by=by.user,
        )
        version = _append_version(order, patient, choices, by, telephone=telephone)
        if telephone:
            _append_identity(version, patient, identity, by)
            _move(order, OrderStatus.SIGNED, current=version)
        else:
            _move(order, OrderStatus.DRAFT, current=version)
        done.on(order, patient=patient, version=version.number)
    return order


def change_order(
    *,
    order: Order,
    choices: Choices,
    by: Actor,
    seen_version: int | None = None,
) -> Order:
    """Add a version; the order is a draft again until it is signed and verified."""
    with act("order.change", by=by, patient=order.patient) as done:
        order = _locked(order, seen_version)
        if order.status in (OrderStatus.COMPLETED, OrderStatus.CANCELLED):
            raise Refused(f"This order is {order.get_status_display().lower()}.")
        if not choices.change_note.strip():
            raise Refused("Say in a few words what is changed.", field="change_note")
        before = order.current
        version = _append_version(order, order.patient, choices, by)
        _move(order, OrderStatus.DRAFT, current=version)
        done.on(order, version=version.number, before=before.number)
    return order


def sign_order(
    *,
    order: Order,
    identity: Identity,
    by: Actor,
    seen_version: int | None = None,
    override: bool = False,
) -> Signature:
    """Sign the current version as its prescriber.

    Contraindications in the plan must be overridden in the same act, by somebody who
    may; a dose above the ceiling cannot be signed by anybody.
    """
    with act("order.sign", by=by, patient=order.patient) as done:
        order = _locked(order, seen_version)
        version = order.current
        _require(order, OrderStatus.DRAFT, "Only a draft can be signed.")
        _refuse_expired(version, order.clinic, by.at)
        _append_identity(version, order.patient, identity, by)
        stops = hard_stops(version)
        if any(stop["code"] in NEVER for stop in stops):
            raise Refused("This order cannot be signed. Change it.")
        if stops:
            if not override:
                raise Refused(
                    "Confirm the override of each hard stop.", field="override"
                )
            if not by.user.may("override_hard_stop"):
                raise Refused("Your role may not override a hard stop.")
            _append_signature(version, Signature.Meaning.OVERRODE, by)
        signature = _append_signature(version, Signature.Meaning.PRESCRIBED, by)
        _move(order, OrderStatus.SIGNED)
        done.on(
            order,
            version=version.number,
            overrode=[stop["code"] for stop in stops],
        )
    return signature


def verify_order(
    *,
    order: Order,
    identity: Identity,
    by: Actor,
    seen_version: int | None = None,
) -> Signature:
    """Verify a signed order as pharmacist; sessions may be started from it then.

    Whoever wrote, signed or took down this version cannot verify it.
    """
    with act("order.verify", by=by, patient=order.patient) as done:
        order = _locked(order, seen_version)
        version = order.current
        _require(order, OrderStatus.SIGNED, "Only a signed order can be verified.")
        _refuse_expired(version, order.clinic, by.at)
        if _is_own(version, by):
            raise Refused("Whoever wrote or signed an order cannot verify it.")
        _append_identity(version, order.patient, identity, by)
        weight = order.patient.weights.current().first()
        if weight and weight_change(version, weight.weight_kg).crossed:
            raise Refused(
                "The weight has changed too far since this order was written. "
                "Return it, so that it is computed again."
            )
        signature = _append_signature(version, Signature.Meaning.VERIFIED, by)
        _move(order, OrderStatus.ACTIVE)
        done.on(order, version=version.number)
    return signature


def countersign_order(
    *,
    order: Order,
    identity: Identity,
    by: Actor,
    seen_version: int | None = None,
) -> Signature:
    """Countersign a telephone order as the prescriber who gave it."""
    with act("order.countersign", by=by, patient=order.patient) as done:
        order = _locked(order, seen_version)
        version = order.current
        if not awaits_countersignature(version):
            raise Refused("This order awaits no countersignature.")
        if by.user is None or version.prescriber_id != by.user.pk:
            raise Refused("Only the prescriber who gave this order countersigns it.")
        _append_identity(version, order.patient, identity, by)
        signature = _append_signature(version, Signature.Meaning.COUNTERSIGNED, by)
        _move(order, order.status)
        done.on(
            order,
            version=version.number,
            late=by.at > version.countersign_by,
        )
    return signature


def return_order(
    *, order: Order, reason: str, by: Actor, seen_version: int | None = None
) -> Order:
    """Give a signed order back to be changed, and say why."""
    return _moved(
        "order.return",
        order,
        {OrderStatus.SIGNED},
        OrderStatus.DRAFT,
        reason=reason,
        by=by,
        seen_version=seen_version,
    )


def hold_order(
    *, order: Order, reason: str, by: Actor, seen_version: int | None = None
) -> Order:
    """Hold an active order: no session is started from it."""
    return _moved(
        "order.hold",
        order,
        {OrderStatus.ACTIVE},
        OrderStatus.ON_HOLD,
        reason=reason,
        by=by,
        seen_version=seen_version,
    )


def resume_order(
    *, order: Order, reason: str, by: Actor, seen_version: int | None = None
) -> Order:
    """Make a held order active again; a prescriber or pharmacist decides that."""
    _require_role(by, "sign_order", "verify_order")
    return _moved(
        "order.resume",
        order,
        {OrderStatus.ON_HOLD},
        OrderStatus.ACTIVE,
        reason=reason,
        by=by,
        seen_version=seen_version,
    )


def cancel_order(
    *, order: Order, reason: str, by: Actor, seen_version: int | None = None
) -> Order:
    """Cancel an order; once it was signed, only a prescriber or pharmacist does."""
    if order.status != OrderStatus.DRAFT:
        _require_role(by, "sign_order", "verify_order")
    return _moved(
        "order.cancel",
        order,
        {
            OrderStatus.DRAFT,
            OrderStatus.SIGNED,
            OrderStatus.ACTIVE,
            OrderStatus.ON_HOLD,
        },
        OrderStatus.CANCELLED,
        reason=reason,
        by=by,
        seen_version=seen_version,
    )


def complete_order(
    *, order: Order, by: Actor, reason: str = "", seen_version: int | None = None
) -> Order:
    """Close an order whose course is given."""
    _require_role(by, "sign_order", "verify_order")
    return _moved(
        "order.complete",
        order,
        {OrderStatus.ACTIVE},
        OrderStatus.COMPLETED,
        reason=reason or "The course is given.",
        by=by,
        seen_version=seen_version,
    )


# Reading


def hard_stops(version: OrderVersion) -> list[Mapping[str, Any]]:
    """The hard stops that stand in a version's plan."""
    return [each for each in version.plan["cautions"] if each["hard"]]


def awaits_countersignature(version: OrderVersion) -> bool:
    """Whether a telephone order still lacks its prescriber's signature."""
    return version.by_telephone and not any(
        each.meaning == Signature.Meaning.COUNTERSIGNED
        for each in version.signatures.all()
    )


def open_sessions(order: Order) -> int:
    """Visits of this order that are planned or under way."""
    sessions = InfusionSession.objects.filter(order=order)
    return sessions.planned().count() + sessions.in_a_chair().count()


def _require_role(by: Actor, *permissions: str) -> None:
    if by.user is None or not any(by.user.may(each) for each in permissions):
        raise Refused("A prescriber or pharmacist does this.")


# Inside an act


def _moved(
    action: str,
    order: Order,
    allowed: set[str],
    status: str,
    *,
    reason: str,
    by: Actor,
    seen_version: int | None,
) -> Order:
    with act(action, by=by, patient=order.patient) as done:
        order = _locked(order, seen_version)
        if order.status not in allowed:
            word = order.get_status_display().lower()
            raise Refused(f"This order is {word}; that cannot be done now.")
        if not reason.strip():
            raise Refused("Say why.", field="reason")
        _move(order, status)
        done.on(order, version=order.current.number, reason=reason.strip())
    return order


def _locked(order: Order, seen_version: int | None) -> Order:
    """The order's row, locked, unless it changed since the screen was drawn."""
    # `of` names the header alone: the current version is optional (outer join).
    locked = (
        Order.objects.select_for_update(of=("self",))
        .select_related("clinic", "patient", "current__protocol_version__protocol")
        .get(pk=order.pk)
    )
    if seen_version is not None and seen_version != locked.version:
        raise Stale(
            "Somebody changed this order since you opened it. Nothing was saved; "
            "look at it again."
        )
    return locked


def _move(order: Order, status: str, *, current: OrderVersion | None = None) -> None:
    order.status = status
    order.current = current or order.current
    order.version += 1
    order.save(update_fields=["status", "current", "version"])


def _require(order: Order, status: str, message: str) -> None:
    if order.status != status:
        raise Refused(f"{message} This one is {order.get_status_display().lower()}.")


def _refuse_expired(version: OrderVersion, clinic: Clinic, at: datetime) -> None:
    if version.expires_on < at.astimezone(clinic.zone).date():
        raise Refused("This order has expired. Change it.")


def _is_own(version: OrderVersion, by: Actor) -> bool:
    """Whether this person wrote, signed or gave the version."""
    if by.user is None:
        return True
    involved = {version.recorded_by_id, version.prescriber_id}
    involved |= set(version.signatures.values_list("recorded_by", flat=True))
    return by.user.pk in involved


def _append_identity(
    version: OrderVersion, patient: Patient, identity: Identity | None, by: Actor
) -> None:
    """Keep the two identifiers; refuse when they are not this patient's."""
    right = (
        identity is not None
        and identity.initials.strip().upper() == patient.initials
        and identity.birth_year == patient.birth_date.year
    )
    if not right or identity is None:
        raise Refused(
            "Initials and birth year are not this patient's. Check who this is.",
            field="initials",
        )
    IdentityCheck.objects.create(
        patient=patient,
        order_version=version,
        initials=patient.initials,
        birth_year=identity.birth_year,
        **by.stamp(),
    )


def _append_signature(
    version: OrderVersion, meaning: Signature.Meaning, by: Actor
) -> Signature:
    return Signature.objects.create(
        order_version=version, meaning=meaning, signed_name=str(by.user), **by.stamp()
    )


def _append_version(
    order: Order,
    patient: Patient,
    choices: Choices,
    by: Actor,
    *,
    telephone: Telephone | None = None,
) -> OrderVersion:
    clinic, at = order.clinic, by.at
    facts = facts_for(patient, choices, clinic, at)
    made = plan_from(facts, patient, choices, clinic, at)
    _refuse_dates(choices, at.astimezone(clinic.zone).date())
    warnings = (*made.warnings, *medicine_warnings(patient, choices.medicines))
    made = replace(made, warnings=warnings)
    _refuse_unanswered(made, choices)
    if telephone:
        _refuse_telephone(telephone, made, clinic)
    fixed = choices.fixed_dose_g
    version = OrderVersion.objects.create(
        order=order,
        number=order.versions.count() + 1,
        product_key=made.product.key,
        product_name=made.product.brand,
        concentration_g_per_100ml=made.product.g_per_100ml,
        indication_key=made.indication.key,
        indication_name=made.indication.name,
        phase=choices.phase,
        weight=facts.weight,
        weight_kg=facts.weight.weight_kg,
        height_cm=facts.height.height_cm if facts.height else None,
        weight_basis=made.weight.basis,
        dosing_weight_kg=_six(made.weight.kg),
        dose_g_per_kg=_six(made.dose.course_g_per_kg),
        fixed_dose_g=fixed,
        days=choices.days,
        interval_weeks=choices.interval_weeks,
        cycles=choices.cycles,
        dose_g=_six(made.dose.calculated_g),
        given_g=_six(made.dose.given_g),
        volume_ml=_six(made.volume_ml),
        ceiling_ml_per_kg_h=made.ceiling.ml_per_kg_h,
        ceiling_binds=made.ceiling.limit.text[:120],
        at_risk=made.at_risk,
        experience=made.experience,
        plan=document_of(made, facts, choices),
        protocol_version=facts.protocol,
        reason=choices.reason,
        investigational=made.status == "investigational"
        or not made.indication.has_dose,
        instructions=choices.instructions,
        first_on=choices.first_on,
        review_on=choices.review_on,
        expires_on=choices.expires_on,
        by_telephone=telephone is not None,
        prescriber=telephone.prescriber if telephone else None,
        countersign_by=at + timedelta(hours=clinic.countersign_hours)
        if telephone
        else None,
        change_note=choices.change_note,
        **by.stamp(),
    )
    _append_medicines(version, choices.medicines, by)
    return version


def document_of(made: Plan, facts: Facts, choices: Choices) -> dict[str, Any]:
    """The plan's document with what the record said about this patient."""
    return plan_document(made) | {
        "because": {
            "at_risk": list(facts.at_risk_because),
            "treat_at_risk": choices.treat_at_risk,
            "weight_basis": choices.weight_basis,
            "experience": facts.start.because,
            "experience_by_record": facts.start.experience,
            "override_reason": choices.override_reason,
            "weight_at": facts.weight.event_time.isoformat(),
            "pump_ml_per_h": plain(facts.policy.rounding.pump_ml_per_h.value),
            "dose_limit_percent": plain(facts.policy.rounding.dose_limit_percent.value),
        },
        "protocol": facts.protocol.policy.label,
    }


def _six(value: Decimal) -> Decimal:
    """A column of six decimals; the plan's document keeps the number itself."""
    return to_decimal(value).quantize(Decimal("0.000001"))


def _refuse_dates(choices: Choices, today: date) -> None:
    if choices.expires_on is None:
        raise Refused("Say until when this order is valid.", field="expires_on")
    if choices.expires_on < today:
        raise Refused("This day has passed.", field="expires_on")
    if choices.expires_on > today + timedelta(days=366):
        raise Refused("An order is valid for at most a year.", field="expires_on")
    if choices.review_on and not today <= choices.review_on <= choices.expires_on:
        raise Refused("Review before the order expires.", field="review_on")
    if choices.first_on and not today <= choices.first_on <= choices.expires_on:
        raise Refused("The first day lies outside the order.", field="first_on")
    if choices.cycles > 1 and choices.interval_weeks is None:
        raise Refused("Several cycles need an interval.", field="interval_weeks")


def _refuse_unanswered(made: Plan, choices: Choices) -> None:
    """Hard stops stand unless they are overridden; some warnings need a reason."""
    for stop in made.hard_stops:
        if stop.code in NEVER:
            where = "dose_g_per_kg" if stop.code == "dose_above_ceiling" else ""
            raise Refused(stop.text, field=where)
        if not choices.override_reason.strip():
            raise Refused(
                f"{stop.text} To order it all the same, say why it is overridden.",
                field="override_reason",
            )
    asked = [each for each in made.warnings if each.code in NEEDS_REASON]
    if asked and not choices.reason.strip():
        raise Refused(f"{asked[0].text} Give a reason.", field="reason")


def _refuse_telephone(telephone: Telephone, made: Plan, clinic: Clinic) -> None:
    if not telephone.read_back:
        raise Refused("Read the order back to the prescriber.", field="read_back")
    prescriber = telephone.prescriber
    if prescriber.clinic_id != clinic.pk or not prescriber.may("sign_order"):
        raise Refused("Choose a prescriber of this clinic.", field="prescriber")
    if made.hard_stops:
        raise Refused("A hard stop cannot be overridden by telephone.")


def medicine_warnings(
    patient: Patient, medicines: tuple[MedicineChoice, ...]
) -> list[PlanWarning]:
    """Medicines that touch an allergy on record; unknown allergies are said too."""
    allergies = list(patient.allergys.current())
    if medicines and not allergies:
        return [
            _warning(
                "allergies_unknown",
                "Allergies are not recorded: ask before any medicine is given.",
                Source(text="The patient's record"),
            )
        ]
    found = []
    for medicine in medicines:
        allergy = allergy_against(medicine.medicine_key, medicine.name, allergies)
        if allergy:
            found.append(
                _warning(
                    "allergy",
                    f"{medicine.name}: an allergy to {allergy.substance} is on record.",
                    Source(text="The patient's record"),
                    hard=True,
                )
            )
    return found


def _append_medicines(
    version: OrderVersion, medicines: tuple[MedicineChoice, ...], by: Actor
) -> None:
    for medicine in medicines:
        if medicine.purpose == Purpose.AS_NEEDED and medicine.max_in_24h is None:
            raise Refused(f"{medicine.name}: give the most in 24 h.")
        if medicine.max_in_24h is not None and medicine.max_in_24h < medicine.dose:
            raise Refused(f"{medicine.name}: one dose is more than the most in 24 h.")
        OrderMedicine.objects.create(
            order_version=version,
            purpose=medicine.purpose,
            medicine_key=medicine.medicine_key,
            name=medicine.name,
            dose=medicine.dose,
            dose_unit=medicine.dose_unit,
            route=medicine.route,
            minutes_before=medicine.minutes_before,
            gap_minutes=medicine.gap_minutes,
            max_in_24h=medicine.max_in_24h,
            source=medicine.source[:300],
            **by.stamp(),
        )
