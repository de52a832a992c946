"""What the pages of a visit share: the banner, and how an act is answered."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from sessions.access import ClinicRequest
from sessions.forms.base import ClinicForm
from sessions.models import (
    Allergy,
    InfusionSession,
    Order,
    Presence,
    RiskFactor,
    User,
    Weight,
)
from sessions.rules.quantities import plain


def banner_of(
    session: InfusionSession,
    *,
    allergies: Iterable[Allergy] | None = None,
    weight: Weight | None = None,
) -> dict[str, Any]:
    """Context of the banner of a visit; what is not given is read."""
    patient = session.patient
    if allergies is None:
        allergies = Allergy.objects.filter(patient=patient).current()
    if weight is None:
        weight = patient.weights.current().order_by("-event_time", "-id").first()
    return {
        "patient": patient,
        "chair": session.chair.name if session.chair else "",
        "allergies": list(allergies),
        "weight": weight,
        "order": order_words(session.order),
        "nurse": session.nurse,
    }


def order_words(order: Order) -> str:
    """`Privigen 10 % · 30 g = 300 mL · v3`."""
    version = order.current
    if version is None:
        return ""
    return _("{product_name} · {given_g} g = {volume_ml} mL · v{number}").format(
        product_name=version.product_name,
        given_g=plain(version.given_g),
        volume_ml=plain(version.volume_ml),
        number=version.number,
    )


def risk_words(factors: Iterable[RiskFactor], labels: dict[str, str]) -> str:
    """The present risk factors, by their names."""
    present = [row.key for row in factors if row.presence == Presence.PRESENT]
    return ", ".join(labels.get(key, key) for key in present)


def nurses_of(clinic) -> list[User]:
    """Who may run a visit here."""
    return list(
        User.objects.filter(
            clinic=clinic, is_active=True, role__permissions__codename="chart"
        ).order_by("name")
    )


def conflict(request: ClinicRequest, form: ClinicForm) -> HttpResponse:
    """409 for htmx: nothing is swapped, what was typed stays, the bar says why."""
    message = " ".join(str(error) for error in form.non_field_errors())
    return render(request, "infusions/_conflict.html", {"message": message}, status=409)
