"""Recalled lots: once a lot is on the clinic's list, no vial of it is recorded."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sessions.catalogue.products import products
from sessions.models import Clinic, RecalledLot, Vial
from sessions.services.acts import Actor, Refused, act


@dataclass(slots=True, kw_only=True)
class Recall:
    """One entry of the list, and the vials of that lot which this clinic recorded."""

    row: RecalledLot
    vials: list[Vial] = field(default_factory=list)


def recall_lot(*, product_key: str, lot: str, reason: str, by: Actor) -> RecalledLot:
    """Put a lot on the clinic's list; from this moment its vials are refused."""
    with act("recall.add", by=by) as done:
        lot = lot.strip()
        if find_recall(by.clinic, product_key, lot) is not None:
            raise Refused("Lot {lot} is on the list already.", lot=lot, field="lot")
        row = RecalledLot.objects.create(
            product_key=product_key,
            product_name=products()[product_key].brand,
            lot=lot,
            reason=reason,
            **by.stamp(),
        )
        done.on(row, product=product_key, lot=lot, reason=reason)
    return row


def lift_recall(*, recall: RecalledLot, reason: str, by: Actor) -> RecalledLot:
    """Take a lot off the list again; both entries stay readable."""
    with act("recall.lift", by=by) as done:
        if not RecalledLot.objects.filter(pk=recall.pk).current().exists():
            raise Refused("This lot was taken off the list already.")
        row = RecalledLot.objects.create(
            product_key=recall.product_key,
            product_name=recall.product_name,
            lot=recall.lot,
            reason=recall.reason,
            supersedes=recall,
            correction_reason=reason,
            entered_in_error=True,
            **by.stamp(),
        )
        done.on(row, lot=recall.lot, reason=reason)
    return row


def find_recall(clinic: Clinic, product_key: str, lot: str) -> RecalledLot | None:
    """The entry for a lot of a product; how its letters are written does not matter."""
    return (
        RecalledLot.objects.of(clinic)
        .current()
        .filter(product_key=product_key, lot__iexact=lot.strip())
        .first()
    )


def recalled_among(clinic: Clinic, vials: Iterable[Any]) -> list[Any]:
    """The vials, or lots, that are on the list; no query when there are none."""
    vials = list(vials)
    if not vials:
        return []
    called = {
        (product, lot.casefold())
        for product, lot in RecalledLot.objects.of(clinic)
        .current()
        .values_list("product_key", "lot")
    }
    return [v for v in vials if (v.product_key, v.lot.casefold()) in called]


def list_of(clinic: Clinic) -> list[Recall]:
    """Every lot on the list, the newest first, with the vials recorded of it."""
    rows = list(
        RecalledLot.objects.of(clinic)
        .current()
        .select_related("recorded_by")
        .order_by("-recorded_at", "-pk")
    )
    used: dict[tuple[str, str], list[Vial]] = defaultdict(list)
    of_these = (
        Vial.objects.of(clinic)
        .current()
        .filter(product_key__in={row.product_key for row in rows})
        .order_by("-event_time")
        .only("product_key", "lot", "session", "event_time", "serial", "grams")
    )
    wanted = {(row.product_key, row.lot.casefold()) for row in rows}
    for vial in of_these.iterator():
        key = (vial.product_key, vial.lot.casefold())
        if key in wanted:
            used[key].append(vial)
    return [
        Recall(row=row, vials=used[row.product_key, row.lot.casefold()]) for row in rows
    ]
