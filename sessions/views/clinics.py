"""First set-up of a server, and the settings of a clinic."""

from django.contrib import messages
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.access import PUBLIC, access
from sessions.forms.clinics import (
    ChairForm,
    ChangeChairForm,
    ClinicSettingsForm,
    SetUpForm,
)
from sessions.models import Chair, Clinic
from sessions.services import clinics, violations
from sessions.services.acts import Actor, Refused
from sessions.views.saving import SAVED, save

SECTIONS = (
    (_lazy("Labels, doses and pumps"), ("label_region", "pump_resolution_ml_per_h")),
    (
        _lazy("Charting"),
        (
            *("temperature_unit", "weight_valid_days", "late_entry_minutes"),
            *("future_minutes", "countersign_hours"),
        ),
    ),
    (
        _lazy("Signing in and screens"),
        (
            *("idle_minutes", "absolute_hours", "stale_seconds", "password_words"),
            "second_factor_roles",
        ),
    ),
    (
        _lazy("The clinic"),
        (
            *("name", "phone", "emergency_number", "time_zone", "language"),
            *("consent_required", "wall_initials"),
        ),
    ),
)
"""Fields of the settings page in the order they are shown."""


@access(PUBLIC, methods=("GET", "POST"))
def set_up(request):
    """Make the first clinic; once there is one, this address is gone."""
    if Clinic.objects.exists():
        raise Http404
    form = SetUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = {k: v for k, v in form.cleaned_data.items() if k != "again"}
        by = Actor.of(user=None, clinic=None, at=timezone.now())
        try:
            clinics.set_up_clinic(**values, by=by)
        except Refused as refused:
            form.add_error(refused.field or None, refused.message)
        else:
            messages.success(request, _("The clinic is set up. Sign in as its admin."))
            return redirect("sign-in")
    status = 422 if form.errors else 200
    return render(request, "clinics/set_up.html", {"form": form}, status=status)


@access("manage_settings", methods=("GET", "POST"))
def settings(request):
    """Every setting of the clinic on one page."""
    clinic, status = request.clinic, 200
    options = {"clinic": clinic, "at": timezone.now()}
    if request.method == "POST":
        form = ClinicSettingsForm(request.POST, **options)
        status = save(
            request,
            form,
            lambda by: clinics.change_clinic(
                clinic=clinic,
                changes=form.cleaned_data,
                seen=form.seen_version or 0,
                by=by,
            ),
        )
        if status == SAVED:
            messages.success(request, _("Settings saved."))
            return redirect("settings")
    else:
        form = ClinicSettingsForm(
            initial=ClinicSettingsForm.values_of(clinic), **options
        )
    context = {
        "form": form,
        "sections": [
            (title, [form[name] for name in names]) for title, names in SECTIONS
        ],
        "version": request.POST.get("version") or clinic.version,
        "stale": status == 409,
        "tab": "clinic",
        "violations": violations.recent(at=timezone.now()),
    }
    return render(request, "clinics/settings.html", context, status=status)


@access("manage_settings", methods=("GET", "POST"))
def chairs(request):
    """All chairs, and a form for one more."""
    form = ChairForm(request.POST or None, clinic=request.clinic, at=timezone.now())
    status = 200
    if request.method == "POST":
        status = save(
            request,
            form,
            lambda by: clinics.add_chair(
                clinic=request.clinic, name=form.cleaned_data["name"], by=by
            ),
        )
        if status == SAVED:
            messages.success(
                request, _("Chair {name} added.").format(name=form.cleaned_data["name"])
            )
            return redirect("chairs")
    context = {"form": form, "chairs": request.clinic.chairs.all(), "tab": "chairs"}
    return render(request, "clinics/chairs.html", context, status=status)


@access("manage_settings", methods=("GET", "POST"))
def chair(request, pk):
    """Rename one chair, or take it out of use; chairs are never deleted."""
    chair = get_object_or_404(
        Chair.objects.select_related("clinic"), pk=pk, clinic=request.clinic
    )
    options, status = {"clinic": request.clinic, "at": timezone.now()}, 200
    if request.method == "POST":
        form = ChangeChairForm(request.POST, **options)
        status = save(
            request,
            form,
            lambda by: clinics.change_chair(
                chair=chair, **form.cleaned_data, seen=form.seen_version or 0, by=by
            ),
        )
        if status == SAVED:
            messages.success(
                request, _("Chair {name} saved.").format(name=form.cleaned_data["name"])
            )
            return redirect("chairs")
    else:
        initial = {"name": chair.name, "active": chair.active}
        form = ChangeChairForm(initial=initial, **options)
    context = {
        "form": form,
        "chair": chair,
        "version": request.POST.get("version") or request.clinic.version,
        "stale": status == 409,
        "tab": "chairs",
    }
    return render(request, "clinics/chair.html", context, status=status)
