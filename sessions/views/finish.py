"""The end of an infusion, the discharge, and a visit entered in error."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import ClinicRequest, access, session_in_reach
from sessions.charts import chart_of
from sessions.forms.infusions import DischargeForm, EndForm, ErrorForm
from sessions.models import Outcome, Stage
from sessions.rules.monitoring import may_go
from sessions.services import departure, finish
from sessions.views.saving import SAVED, save
from sessions.views.visits import banner_of


@access("chart", methods=("GET", "POST"))
def end(request: ClinicRequest, pk: int) -> HttpResponse:
    """The volume is in, or the infusion ends early with a reason."""
    session = session_in_reach(request, pk)
    if session.stage != Stage.INFUSING and request.method == "GET":
        return redirect("infusion-detail", pk)
    at = timezone.now()
    chart = chart_of(session, at=at)
    whole = chart.volume_ml >= chart.total_ml * (1 - departure.SHORT_OF_DOSE)
    form = EndForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=at,
        given_ml=chart.volume_ml,
        initial={"reason_code": "completed"} if whole else {},
    )
    status = 200
    if request.method == "POST":
        status = save(
            request,
            form,
            lambda by: finish.end_infusion(
                session=session,
                by=by,
                seen_version=form.seen_version,
                **{
                    name: form.cleaned_data[name]
                    for name in ("reason_code", "reason_text", "pump_ml", "event_time")
                },
            ),
        )
        if status == SAVED:
            messages.success(
                request, _("The infusion has ended. Observation has begun.")
            )
            return redirect("infusion-detail", pk)
    context = {
        "session": session,
        "chart": chart,
        "form": form,
        "banner": banner_of(session),
        "now": at,
    }
    return render(request, "infusions/end.html", context, status=status)


@access("chart", methods=("GET", "POST"))
def discharge(request: ClinicRequest, pk: int) -> HttpResponse:
    """The criteria, checked by rule; the outcome, and the signature (H3)."""
    session = session_in_reach(request, pk)
    if session.stage == Stage.DISCHARGED and request.method == "GET":
        return redirect("infusion-record", pk)
    if session.stage != Stage.OBSERVING and request.method == "GET":
        return redirect("infusion-detail", pk)
    at = timezone.now()
    chart = chart_of(session, at=at)
    form = DischargeForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=at,
    )
    status = 200
    if request.method == "POST":

        def do(by) -> None:
            data = form.cleaned_data
            finish.discharge(
                session=session,
                outcome=Outcome(data["outcome"]),
                password=data["password"],
                reason_code=data["reason_code"],
                reason_text=data["reason_text"],
                by=by,
                seen_version=form.seen_version,
            )

        status = save(request, form, do)
        if status == SAVED:
            messages.success(request, _("Discharged. The record is signed."))
            return redirect("infusion-record", pk)
    judged = chart.policy is not None and chart.start is not None
    criteria = departure.criteria_of(chart) if judged else None
    context = {
        "session": session,
        "chart": chart,
        "criteria": criteria,
        "all_met": criteria is not None and may_go(criteria),
        "form": form,
        "banner": banner_of(session),
        "now": at,
    }
    return render(request, "infusions/discharge.html", context, status=status)


@access("chart", methods=("GET", "POST"))
def error(request: ClinicRequest, pk: int) -> HttpResponse:
    """Say, signed, that the whole visit should not be in the record."""
    session = session_in_reach(request, pk)
    form = ErrorForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=timezone.now(),
    )
    status = 200
    if request.method == "POST":
        status = save(
            request,
            form,
            lambda by: finish.mark_entered_in_error(
                session=session,
                reason=form.cleaned_data["reason"],
                password=form.cleaned_data["password"],
                by=by,
                seen_version=form.seen_version,
            ),
        )
        if status == SAVED:
            messages.success(request, _("The visit is marked as entered in error."))
            return redirect("infusion-record", pk)
    context = {
        "session": session,
        "form": form,
        "banner": banner_of(session),
        "now": form.at,
    }
    return render(request, "infusions/error.html", context, status=status)
