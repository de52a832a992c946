"""Medicines given beside the immunoglobulin: before the Start, and as needed."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from sessions.access import ClinicRequest, access, actor, session_in_reach
from sessions.forms.base import ClinicForm
from sessions.forms.medicines import GiveForm, WithdrawForm
from sessions.models import GivenMedicine, InfusionSession, OrderMedicine
from sessions.services import infusions, medicines
from sessions.services.acts import view_of
from sessions.views.preparation import answer, offer_rows
from sessions.views.saving import SAVED, save
from sessions.views.visits import banner_of, conflict


def panel_of(
    request: ClinicRequest,
    session: InfusionSession,
    *,
    at: datetime,
    bound: ClinicForm | None = None,
) -> dict[str, Any]:
    """Context of `medicines/_panel.html`, for the page of a session."""
    return {
        "session": session,
        "medicine_rows": offer_rows(request, medicines.offers(session, at=at), bound),
        "may_chart": request.user.may("chart"),
        "now": at,
    }


@access("view_patient")
def show(request: ClinicRequest, pk: int) -> HttpResponse:
    """What is ordered beside the immunoglobulin, and when it may be given."""
    session = session_in_reach(request, pk)
    at = timezone.now()
    view_of("session.view", by=actor(request), subject=session, patient=session.patient)
    context = panel_of(request, session, at=at) | {"banner": banner_of(session)}
    return render(request, "medicines/list.html", context)


@access("chart", methods=("POST",))
def give(request: ClinicRequest, pk: int, ordered_pk: int) -> HttpResponse:
    """One tap: one dose of an ordered medicine, given now."""
    session = session_in_reach(request, pk)
    ordered = get_object_or_404(
        OrderMedicine.objects.filter(order_version__order=session.order),
        pk=ordered_pk,
    )
    form = GiveForm(
        request.POST,
        clinic=request.clinic,
        at=timezone.now(),
        auto_id=f"give{ordered.pk}_%s",
    )
    status = save(
        request,
        form,
        lambda by: medicines.give(
            session=session,
            ordered=ordered,
            event_time=form.cleaned_data["event_time"],
            by=by,
        ),
    )
    if session.stage in infusions.BEFORE_START:
        return answer(request, session, "premedication", form, status)
    return _panel(request, session, form, status)


@access("chart", methods=("POST",))
def withdraw(request: ClinicRequest, pk: int, given_pk: int) -> HttpResponse:
    """Take back a dose that was recorded and not given."""
    session = session_in_reach(request, pk)
    given = get_object_or_404(
        GivenMedicine.objects.filter(session=session).select_related(
            "session__patient", "ordered"
        ),
        pk=given_pk,
    )
    form = WithdrawForm(request.POST, clinic=request.clinic, at=timezone.now())
    status = save(
        request,
        form,
        lambda by: medicines.withdraw_given(
            given=given, reason=form.cleaned_data["reason"], by=by
        ),
    )
    if session.stage in infusions.BEFORE_START:
        return answer(request, session, "premedication", form, status)
    return _panel(request, session, form, status)


def _panel(
    request: ClinicRequest, session: InfusionSession, form: ClinicForm, status: int
) -> HttpResponse:
    if not request.htmx:
        if status != SAVED:
            for error in form.non_field_errors():
                messages.error(request, error)
        return redirect("medicine-list", session.pk)
    if status == 409:
        return conflict(request, form)
    context = panel_of(
        request,
        session,
        at=timezone.now(),
        bound=form if status != SAVED else None,
    )
    return render(
        request,
        "medicines/_panel.html",
        context,
        status=200 if status == SAVED else status,
    )
