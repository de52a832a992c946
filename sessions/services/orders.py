"""Orders: planned by the rules, signed by one person, verified by another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from sessions.models import (
    Clinic,
    IdentityCheck,
    Order,
    OrderMedicine,
    OrderStatus,
    OrderVersion,
    Patient,
    Purpose,
    Signature,
    User,
)
from sessions.rules.language import inside, phrase, say
from sessions.rules.quantities import to_decimal
from sessions.rules.titration import Plan
from sessions.services.acts import Actor, Refused, Stale, act, record_language
from sessions.services.order_plans import (
    Choices,
    MedicineChoice,
    document_of,
    facts_for,
    medicine_warnings,
    plan_from,
    weight_change,
)

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

NEVER = {"dose_above_ceiling", "weight_lb_kg", "weight_too_old", "allergy"}
"""Hard stops that nobody can override: a number that is not believable, a medicine
that can be replaced."""


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
            raise Refused(
                "This order is {status}.",
                status=lambda: inside(order.get_status_display()),
            )
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
        _require(order, OrderStatus.DRAFT, phrase("Only a draft can be signed."))
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
        words = phrase("Only a signed order can be verified.")
        _require(order, OrderStatus.SIGNED, words)
        _refuse_expired(version, order.clinic, by.at)
        if is_own(version, by.user):
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
    with record_language(by.clinic):
        given = _("The course is given.")
    return _moved(
        "order.complete",
        order,
        {OrderStatus.ACTIVE},
        OrderStatus.COMPLETED,
        reason=reason or given,
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


def is_own(version: OrderVersion, user: User | None) -> bool:
    """Whether this person wrote, signed or gave the version; another verifies it."""
    if user is None:
        return True
    involved = {each.recorded_by_id for each in version.signatures.all()}
    return user.pk in involved | {version.recorded_by_id, version.prescriber_id}


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
            raise Refused(
                "This order is {word}; that cannot be done now.",
                word=lambda: inside(order.get_status_display()),
            )
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
        raise Refused(
            "{words} This one is {status}.",
            words=lambda: say(message),
            status=lambda: inside(order.get_status_display()),
        )


def _refuse_expired(version: OrderVersion, clinic: Clinic, at: datetime) -> None:
    if version.expires_on < clinic.day_of(at):
        raise Refused("This order has expired. Change it.")


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
    _refuse_dates(choices, clinic.day_of(at))
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
        indication_name=say(made.indication.name),
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
                "{words} To order it all the same, say why it is overridden.",
                words=stop.text,
                field="override_reason",
            )
    asked = [each for each in made.warnings if each.code in NEEDS_REASON]
    if asked and not choices.reason.strip():
        raise Refused("{words} Give a reason.", words=asked[0].text, field="reason")


def _refuse_telephone(telephone: Telephone, made: Plan, clinic: Clinic) -> None:
    if not telephone.read_back:
        raise Refused("Read the order back to the prescriber.", field="read_back")
    prescriber = telephone.prescriber
    if prescriber.clinic_id != clinic.pk or not prescriber.may("sign_order"):
        raise Refused("Choose a prescriber of this clinic.", field="prescriber")
    if made.hard_stops:
        raise Refused("A hard stop cannot be overridden by telephone.")


def _append_medicines(
    version: OrderVersion, medicines: tuple[MedicineChoice, ...], by: Actor
) -> None:
    for medicine in medicines:
        if medicine.purpose == Purpose.AS_NEEDED and medicine.max_in_24h is None:
            raise Refused("{name}: give the most in 24 h.", name=medicine.name)
        if medicine.max_in_24h is not None and medicine.max_in_24h < medicine.dose:
            raise Refused(
                "{name}: one dose is more than the most in 24 h.", name=medicine.name
            )
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
