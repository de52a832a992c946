"""What the pages of a visit share: the banner, and how an act is answered."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from sessions.access import ClinicRequest
from sessions.forms.base import ClinicForm
from sessions.models import (
    Allergy,
    InfusionSession,
    Presence,
    RiskFactor,
    User,
    Weight,
)


def banner_of(
    session: InfusionSession,
    *,
    allergies: Iterable[Allergy] | None = None,
    weight: Weight | None = None,
) -> dict[str, Any]:
    """Context of the banner of a visit; what is not given is read."""
    patient, version = session.patient, session.order_version
    if allergies is None:
        allergies = Allergy.objects.filter(patient=patient).current()
    if weight is None:
        weight = patient.weights.current().order_by("-event_time", "-id").first()
    return {
        "patient": patient,
        "chair": session.chair.name if session.chair else "",
        "allergies": list(allergies),
        "weight": weight,
        "order": version.words if version else "",
        "nurse": session.nurse,
    }


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
