"""Vials: opened for one visit, checked against its order, and what was left of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Max
from django.utils.translation import gettext as _

from sessions.catalogue.products import products
from sessions.models import Clinic, Flag, InfusionSession, Stage, Vial, VialEnd
from sessions.rules.labels import Product
from sessions.rules.language import day_words, inside
from sessions.rules.quantities import exact, plain, to_decimal, volume_ml
from sessions.services.acts import Actor, Refused, act
from sessions.services.assessments import LOT_SERIES, judge_new_lot
from sessions.services.flags import close_series, keep_judgement
from sessions.services.headers import refuse_time
from sessions.services.locks import locked_chart, refuse_backwards
from sessions.services.recalls import find_recall, recalled_among

OPENED_IN = (Stage.CHECKED_IN, Stage.ASSESSED, Stage.INFUSING)
"""Stages in which a vial may be opened for a visit."""
LOTS_SEEN_FOR = timedelta(days=90)
LOTS_OFFERED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A vial as this clinic opened it lately; one tap records another of the same."""

    product_key: str
    product_name: str
    grams: Decimal
    lot: str
    expiry: date


def pack_of(clinic: Clinic, gtin: str) -> tuple[str, Decimal] | None:
    """Product and grams of a pack this clinic has recorded before, by its GTIN."""
    row = (
        Vial.objects.of(clinic)
        .current()
        .filter(gtin=gtin)
        .order_by("-recorded_at")
        .values_list("product_key", "grams")
        .first()
    )
    return row if row else None


def recent_lots(clinic: Clinic, product_key: str, *, at: datetime) -> list[Lot]:
    """Lots of one product that were opened lately and have not expired."""
    rows = (
        Vial.objects.of(clinic)
        .current()
        .filter(
            product_key=product_key,
            expiry__gte=clinic.day_of(at),
            recorded_at__gte=at - LOTS_SEEN_FOR,
            serial="",
        )
        .values("product_key", "product_name", "grams", "lot", "expiry")
        .annotate(last=Max("recorded_at"), count=Count("id"))
        .order_by("-last")[:LOTS_OFFERED]
    )
    lots = [
        Lot(**{name: row[name] for name in Lot.__dataclass_fields__}) for row in rows
    ]
    called = {lot.lot for lot in recalled_among(clinic, lots)}
    return [lot for lot in lots if lot.lot not in called]


def grams_of(vials: Iterable[Vial]) -> Decimal:
    """What these vials hold together."""
    return sum((vial.grams for vial in vials), Decimal(0))


def add_vial(
    *,
    session: InfusionSession,
    product_key: str,
    grams: Decimal,
    lot: str,
    expiry: date,
    by: Actor,
    serial: str = "",
    gtin: str = "",
    event_time: datetime | None = None,
) -> Vial:
    """Record a vial opened for this visit, now or at `event_time`.

    Refuses another product than the order's, an expired vial, a recalled lot, a serial
    number that was used before, a pack recorded earlier as something else, before Start
    more than the dose needs, and a time before the check-in or in the future. A new lot
    in mid-session raises what the clinic's protocol says.
    """
    with act("vial.add", by=by, patient=session.patient) as done:
        header = _locked(session, by)
        product = products()[product_key]
        _refuse_unfit(header, product, grams, gtin)
        refuse_time(header, event_time, by=by)
        _refuse_expired(header, expiry, event_time or by.moment)
        _refuse_recalled(header, product_key, lot)
        _refuse_used(header, serial, gtin, product_key)
        held_before = current_vials(header)
        _refuse_too_many(header, held_before)
        vial = Vial.objects.create(
            session=header,
            product_key=product_key,
            product_name=product.brand,
            lot=lot.strip(),
            expiry=expiry,
            serial=serial,
            gtin=gtin,
            grams=grams,
            volume_ml=to_decimal(volume_ml(grams, product.g_per_100ml)),
            **by.stamp(event_time=event_time),
        )
        flag = _judge_lot(header, vial, held_before, by)
        done.on(vial, lot=vial.lot, grams=grams, flag=flag.pk if flag else None)
    return vial


def _judge_lot(
    header: InfusionSession, vial: Vial, before: list[Vial], by: Actor
) -> Flag | None:
    """Apply the clinic's rule for a new lot in mid-session, in the same act (C7)."""
    lots = list(dict.fromkeys(each.lot for each in before))
    if header.stage != Stage.INFUSING or not lots or vial.lot in lots:
        return None
    chart = locked_chart(header, by=by)
    judgement = judge_new_lot(chart, vial.lot, lots)
    return keep_judgement(chart, judgement, by=by).flag


def withdraw_vial(*, vial: Vial, reason: str, by: Actor) -> Vial:
    """Take back a vial recorded by mistake; the row stays readable in the history."""
    with act("vial.withdraw", by=by, patient=vial.session.patient) as done:
        header = _locked(vial.session, by)
        if not Vial.objects.filter(pk=vial.pk).current().exists():
            raise Refused("This vial was already taken back or corrected.")
        if VialEnd.objects.filter(vial=vial).exists():
            raise Refused("This vial is finished; it cannot be taken back.")
        if not reason.strip():
            raise Refused("Say why this vial is taken back.", field="reason")
        row = Vial.objects.create(
            session=header,
            supersedes=vial,
            correction_reason=reason,
            entered_in_error=True,
            **{
                name: getattr(vial, name)
                for name in (
                    "product_key",
                    "product_name",
                    "lot",
                    "expiry",
                    "serial",
                    "gtin",
                    "grams",
                    "volume_ml",
                    "looks_right",
                )
            },
            **by.stamp(event_time=vial.event_time),
        )
        _close_lot(header, vial, reason, by)
        done.on(row, reason=reason)
    return row


def _close_lot(header: InfusionSession, vial: Vial, reason: str, by: Actor) -> None:
    """Close what a lot raised when its last vial was taken back."""
    if header.stage != Stage.INFUSING or vial.lot in {
        each.lot for each in current_vials(header)
    }:
        return
    chart = locked_chart(header, by=by)
    close_series(chart, f"{LOT_SERIES}{vial.lot}", reason, by)


def append_end(
    vial: Vial,
    *,
    waste_ml: Decimal,
    waste_reason: str,
    by: Actor,
    event_time: datetime | None,
) -> VialEnd:
    """Append the end of a vial inside an act."""
    return VialEnd.objects.create(
        session=vial.session,
        vial=vial,
        waste_ml=waste_ml,
        waste_reason=waste_reason if waste_ml else "",
        **by.stamp(event_time=event_time),
    )


def append_ends(
    header: InfusionSession,
    *,
    given_ml: Decimal,
    reason: str,
    by: Actor,
    event_time: datetime,
) -> Decimal:
    """Finish every open vial at the end; the rest is waste, the last vial first.

    Returns the waste in mL.
    """
    vials = current_vials(header)
    open_vials = [vial for vial in vials if not hasattr(vial, "end")]
    wasted = sum(
        (vial.end.waste_ml for vial in vials if hasattr(vial, "end")), Decimal(0)
    )
    held = sum((vial.volume_ml for vial in vials), Decimal(0)) - wasted
    rest = max(Decimal(0), held - given_ml)
    # The column keeps three decimals; what is cut is less than a drop.
    left = to_decimal(exact(rest)).quantize(Decimal("0.001"))
    for vial in reversed(open_vials):
        waste = min(left, vial.volume_ml)
        append_end(
            vial, waste_ml=waste, waste_reason=reason, by=by, event_time=event_time
        )
        left -= waste
    return rest


def current_vials(session: InfusionSession) -> list[Vial]:
    """The vials of a visit that nobody took back, in the order they were opened."""
    return list(
        Vial.objects.filter(session=session)
        .current()
        .select_related("end", "session", "recorded_by")
        .order_by("event_time", "id")
    )


def _locked(session: InfusionSession, by: Actor) -> InfusionSession:
    header = (
        InfusionSession.objects.select_for_update(of=("self",))
        .select_related("clinic", "patient", "order__current", "start__order_version")
        .get(pk=session.pk)
    )
    if header.entered_in_error or header.stage not in OPENED_IN:
        raise Refused(
            "This visit is {stage}: no vial can be changed.",
            stage=lambda: inside(header.get_stage_display()),
        )
    refuse_backwards(header, by=by)
    return header


def _refuse_unfit(
    header: InfusionSession, product: Product, grams: Decimal, gtin: str
) -> None:
    """Refuse another product than the visit's, a size it has not, another's pack."""
    version = header.order_version
    if product.key != version.product_key:
        raise Refused(
            "This is {brand}. The order is for {product_name}: set this vial aside.",
            brand=product.brand,
            product_name=version.product_name,
            field="product_key" if not gtin else "code",
        )
    if grams not in product.vials.grams:
        raise Refused(
            "{brand} has no vial of {grams} g.",
            brand=product.brand,
            grams=plain(grams),
            field="grams",
        )
    known = pack_of(header.clinic, gtin) if gtin else None
    if known and known != (product.key, grams):
        raise Refused(
            "This pack was recorded before as {brand} {known} g. "
            "Compare it with the label.",
            brand=products()[known[0]].brand,
            known=plain(known[1]),
            field="grams",
        )


def _refuse_too_many(header: InfusionSession, vials: list[Vial]) -> None:
    """Before the Start no vial is opened beyond those that hold the dose."""
    version, held = header.order_version, grams_of(vials)
    if header.stage != Stage.INFUSING and held >= version.given_g:
        raise Refused(
            "The vials already hold {held} g for {given_g} g. Take one "
            "away first if this one replaces it.",
            held=plain(held),
            given_g=plain(version.given_g),
            field="code",
        )


def _refuse_expired(header: InfusionSession, expiry: date, at: datetime) -> None:
    if expiry < header.clinic.day_of(at):
        raise Refused(
            "This vial expired on {expiry}. Set it aside.",
            expiry=lambda: day_words(expiry),
            field="expiry",
        )


def _refuse_recalled(header: InfusionSession, product_key: str, lot: str) -> None:
    recall = find_recall(header.clinic, product_key, lot)
    if recall is not None:
        raise Refused(
            "Lot {lot} was recalled on {day}: {reason} Set this vial aside.",
            lot=recall.lot,
            day=lambda: day_words(recall.recorded_at.astimezone(header.clinic.zone)),
            reason=f"{recall.reason.rstrip('.')}.",
            field="code",
        )


def _refuse_used(
    header: InfusionSession, serial: str, gtin: str, product_key: str
) -> None:
    if not serial:
        return
    used = (
        Vial.objects.of(header.clinic)
        .current()
        .filter(product_key=product_key, serial=serial, gtin=gtin)
        .first()
    )
    if used is None:
        return
    day = used.event_time.astimezone(header.clinic.zone)
    here = used.session_id == header.pk
    where = (
        _("for this visit")
        if here
        else _("for another visit on {day}").format(day=day_words(day))
    )
    raise Refused(
        "Serial {serial} was recorded already {where}. Take another vial.",
        serial=serial,
        where=where,
        field="code",
    )
