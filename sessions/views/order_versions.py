"""The versions of an order: one as it was, and what differs between two."""

from decimal import Decimal
from typing import Any

from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.access import access, actor, order_in_reach
from sessions.models import OrderVersion, Purpose
from sessions.persons import person_of
from sessions.rules.quantities import plain
from sessions.services import orders
from sessions.services.acts import view_of


@access("view_order")
def version(request, pk, number):
    """An earlier version as it was, and what the current one changed."""
    order = order_in_reach(request, pk)
    found = get_object_or_404(
        order.versions.select_related("recorded_by", "protocol_version__protocol"),
        number=number,
    )
    view_of("order.view", by=actor(request), subject=order, patient=order.patient)
    person = person_of(order.patient, clinic=request.clinic, at=timezone.now())
    context = version_context(found) | {
        "order": order,
        "banner": person.banner,
        "changes": differences(found, order.current),
    }
    return render(request, "orders/version.html", context)


def version_context(version: OrderVersion) -> dict[str, Any]:
    """What a page shows of one version: its plan, its warnings, its medicines."""
    medicines = list(version.medicines.current().order_by("id"))
    return {
        "version": version,
        "plan": version.plan,
        "interval_weeks": version.interval_weeks,
        "cycles": version.cycles,
        "reason": version.reason,
        "needs_reason": orders.NEEDS_REASON,
        "never": orders.NEVER,
        "before": [m for m in medicines if m.purpose == Purpose.BEFORE],
        "as_needed": [m for m in medicines if m.purpose == Purpose.AS_NEEDED],
    }


COMPARED = (
    ("product_name", _lazy("Product")),
    ("indication_name", _lazy("Indication")),
    ("phase", _lazy("Phase")),
    ("dose_g_per_kg", _lazy("Dose of the course, g/kg")),
    ("fixed_dose_g", _lazy("Fixed dose, g")),
    ("days", _lazy("Days")),
    ("dose_g", _lazy("Calculated a day, g")),
    ("given_g", _lazy("Given a day, g")),
    ("volume_ml", _lazy("Volume a day, mL")),
    ("interval_weeks", _lazy("Interval, weeks")),
    ("cycles", _lazy("Cycles")),
    ("weight_kg", _lazy("Weight, kg")),
    ("weight_basis", _lazy("Dosing weight")),
    ("dosing_weight_kg", _lazy("Dosing weight, kg")),
    ("ceiling_ml_per_kg_h", _lazy("Ceiling, mL/kg/h")),
    ("ceiling_binds", _lazy("What binds")),
    ("at_risk", _lazy("At risk")),
    ("experience", _lazy("Infusions before")),
    ("reason", _lazy("Reason")),
    ("instructions", _lazy("Instructions")),
    ("first_on", _lazy("First infusion")),
    ("review_on", _lazy("Review")),
    ("expires_on", _lazy("Valid until")),
)


def differences(before: OrderVersion, after: OrderVersion) -> list[dict[str, Any]]:
    """What differs between two versions, value by value."""
    rows = [
        {
            "label": label,
            "before": _written(getattr(before, name)),
            "after": _written(getattr(after, name)),
        }
        for name, label in COMPARED
    ]
    rows.append(
        {
            "label": _("Pump, mL/h"),
            "before": _pumps(before),
            "after": _pumps(after),
        }
    )
    rows.append(
        {
            "label": _("Medicines"),
            "before": _medicines(before),
            "after": _medicines(after),
        }
    )
    return [row for row in rows if row["before"] != row["after"]]


def _written(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return plain(value) if isinstance(value, Decimal) else str(value)


def _pumps(version: OrderVersion) -> str:
    return ", ".join(rung["pump_ml_per_h"] for rung in version.plan["rungs"])


def _medicines(version: OrderVersion) -> str:
    return "; ".join(
        f"{each.name} {plain(each.dose)} {each.dose_unit} {each.route}"
        for each in version.medicines.current().order_by("id")
    )
