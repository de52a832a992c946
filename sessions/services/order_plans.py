"""What an order means for one patient: computed, shown, never written here."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.catalogue.gate import risk_factors
from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.models import (
    Allergy,
    Clinic,
    Height,
    OrderVersion,
    Patient,
    Presence,
    ProtocolVersion,
    Reaction,
    RiskFactor,
    Signature,
    Start,
    Weight,
)
from sessions.rules.bodies import change_percent, is_over_65, looks_like_pounds
from sessions.rules.dosing import Body, DosingError, Ordered
from sessions.rules.dosing_policy import DosingPolicy
from sessions.rules.labels import Indication, Product
from sessions.rules.language import say
from sessions.rules.plans import plan_document
from sessions.rules.quantities import exact, plain, to_decimal
from sessions.rules.screening import HARD
from sessions.rules.sources import Setting, Source
from sessions.rules.titration import Plan, PlanWarning, StartRule, plan, start_rule
from sessions.services import protocols
from sessions.services.acts import Refused
from sessions.services.medicines import SHORTEST_WORD, allergy_against

OVER_65 = "over_65"
"""The one risk factor that follows from the birth date alone."""

BEFORE_START = {"volume_depletion"}
"""Hard stops of the catalogue that are put right on the day, not by another order."""

FAR_BELOW = 5
"""A course of less than this part of the highest published one is asked about (H5)."""

IMMUNOGLOBULIN = ("immunoglobulin", "immune globulin", "ivig", "gamma globulin")

EXPERIENCES = {
    "first": _lazy("a first infusion"),
    "experienced": _lazy("a later infusion"),
}

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
class WeightChange:
    """How far a weight is from the one an order was computed with, unrounded."""

    ordered_kg: Decimal
    now_kg: Decimal
    percent: Decimal
    limit_percent: Decimal

    @property
    def crossed(self) -> bool:
        """Whether the order must be verified again (A4)."""
        return abs(self.percent) >= self.limit_percent


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
    risks = risks_of(patient, today=clinic.day_of(at))
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
        start=_start_rule(patient, clinic, product_key, policy, at),
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
    patient: Patient,
    clinic: Clinic,
    product_key: str,
    policy: DosingPolicy,
    at: datetime,
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
        days_since_last=clinic.days_between(last.event_time, at) if last else None,
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


def plan_from(
    facts: Facts, patient: Patient, choices: Choices, clinic: Clinic, at: datetime
) -> Plan:
    """Compute what these choices mean; writes nothing and is the live preview."""
    product, indication = _named(choices)
    experience = choices.experience or facts.start.experience
    try:
        made = plan(
            product=product,
            indication=indication,
            body=body_of(patient, facts, clinic.day_of(at)),
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
        pregnant=RiskFactor.PREGNANCY in facts.risks,
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
            _("A fixed dose in grams: {course_g_per_kg} g/kg for this patient.").format(
                course_g_per_kg=plain(made.dose.course_g_per_kg, 3)
            ),
            policy.dose_range.hard_times_highest.source,
        )
    yield from _far_below(made, policy)
    last, now = facts.last_dose_g_per_kg, choices.dose_g_per_kg
    if last and now and not Fraction(1, 4) < exact(now) / exact(last) < 4:
        yield _warning(
            "dose_unlike_last",
            _(
                "{now} g/kg, but the last order was {last} g/kg. Is the "
                "point in the right place?"
            ).format(now=plain(now), last=plain(last)),
            Source(text="The patient's last signed order"),
        )
    if choices.experience and choices.experience != facts.start.experience:
        yield _warning(
            "experience_stated",
            _(
                "Ordered as {ordered}; by the record it is {recorded}: {because}."
            ).format(
                ordered=EXPERIENCES[choices.experience],
                recorded=EXPERIENCES[facts.start.experience],
                because=facts.start.because,
            ),
            facts.start.source,
        )


def _fixed_too_much(made: Plan, policy: DosingPolicy):
    """Grams that suit an adult are refused for a body that is too small for them."""
    limits = policy.dose_range
    most = limits.unsourced_most_g_per_kg.value * limits.hard_times_highest.value
    if exact(made.dose.course_g_per_kg) > most:
        yield _warning(
            "dose_above_ceiling",
            _(
                "{course_g} g is {course_g_per_kg} g/kg for this patient, "
                "above {most} g/kg."
            ).format(
                course_g=plain(made.dose.course_g, 2),
                course_g_per_kg=plain(made.dose.course_g_per_kg, 2),
                most=plain(most),
            ),
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
            _(
                "{course_g_per_kg} g/kg is far below the published "
                "{highest} g/kg. Is the point in the right place?"
            ).format(
                course_g_per_kg=plain(made.dose.course_g_per_kg, 3),
                highest=plain(max(highest)),
            ),
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
                _(
                    "An allergy to {substance} is on record, and {brand} is or "
                    "contains it."
                ).format(substance=allergy.substance, brand=product.brand),
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
                _("{label}: {changes}. Clears: {clears}.").format(
                    label=say(factor.label),
                    changes=say(factor.changes),
                    clears=say(factor.clears),
                ),
                factor.source,
                hard=True,
            )


def _weight_warnings(facts: Facts, clinic: Clinic, at: datetime):
    weight, before = facts.weight, facts.weight_before
    limits = facts.policy.weight
    days = clinic.days_between(weight.event_time, at)
    if days > limits.outer_limit_days.value:
        yield _warning(
            "weight_too_old",
            _(
                "The weight is {days} days old. Weigh the patient first "
                "(at most {value} days)."
            ).format(days=days, value=plain(limits.outer_limit_days.value)),
            limits.outer_limit_days.source,
            hard=True,
        )
    elif days > clinic.weight_valid_days:
        yield _warning(
            "weight_old",
            _(
                "The weight is {days} days old; the clinic asks again "
                "after {weight_valid_days}. Measure again, or say why it "
                "still holds."
            ).format(days=days, weight_valid_days=clinic.weight_valid_days),
            Source(text="Clinic setting: how long a weight is valid"),
        )
    if before is None:
        return
    if looks_like_pounds(weight.weight_kg, before.weight_kg):
        yield _warning(
            "weight_lb_kg",
            _(
                "{weight_kg} kg after {last_kg} kg: pounds typed for "
                "kilograms? Weigh again and correct the record."
            ).format(
                weight_kg=plain(weight.weight_kg), last_kg=plain(before.weight_kg)
            ),
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
    return WeightChange(
        ordered_kg=version.weight_kg,
        now_kg=weight_kg,
        percent=to_decimal(change_percent(weight_kg, version.weight_kg)),
        limit_percent=limit,
    )


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


def medicine_warnings(
    patient: Patient, medicines: tuple[MedicineChoice, ...]
) -> list[PlanWarning]:
    """Medicines that touch an allergy on record; unknown allergies are said too."""
    allergies = list(patient.allergys.current())
    if medicines and not allergies:
        return [
            _warning(
                "allergies_unknown",
                _("Allergies are not recorded: ask before any medicine is given."),
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
                    _("{name}: an allergy to {substance} is on record.").format(
                        name=medicine.name, substance=allergy.substance
                    ),
                    Source(text="The patient's record"),
                    hard=True,
                )
            )
    return found
