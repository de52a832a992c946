"""Medicines given beside the immunoglobulin: before the Start, and as needed.

A dose that was recorded and not given is taken back here.
"""

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from sessions.access import ClinicRequest, access, actor, session_in_reach
from sessions.forms.base import ClinicForm
from sessions.forms.corrections import WithdrawForm
from sessions.forms.medicines import GiveForm, GivenEarlierForm
from sessions.models import GivenMedicine, InfusionSession, OrderMedicine, Stage
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
    """One dose of an ordered medicine: given now by one tap, or at a typed time."""
    session = session_in_reach(request, pk)
    ordered = get_object_or_404(
        OrderMedicine.objects.filter(order_version__order=session.order),
        pk=ordered_pk,
    )
    earlier = "event_time" in request.POST
    form = (GivenEarlierForm if earlier else GiveForm)(
        request.POST,
        clinic=request.clinic,
        at=timezone.now(),
        auto_id=f"{'earlier' if earlier else 'give'}{ordered.pk}_%s",
    )
    status = save(
        request,
        form,
        lambda by: medicines.give(
            session=session,
            ordered=ordered,
            event_time=form.cleaned_data.get("event_time"),
            by=by,
        ),
    )
    if session.stage in infusions.BEFORE_START:
        return answer(request, session, "premedication", form, status)
    return _panel(request, session, form, status)


@access("chart", methods=("GET", "POST"))
def withdraw(request: ClinicRequest, pk: int, given_pk: int) -> HttpResponse:
    """Take back a dose that was recorded and not given; it stays readable."""
    session = session_in_reach(request, pk)
    # What was taken back already is refused in words, and a resend finds its answer.
    rows = GivenMedicine.objects.filter(session=session, entered_in_error=False)
    given = get_object_or_404(
        (rows.current() if request.method == "GET" else rows).select_related(
            "session__clinic", "session__patient", "ordered", "recorded_by"
        ),
        pk=given_pk,
    )
    form = WithdrawForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=timezone.now(),
        is_signed=session.stage == Stage.DISCHARGED,
    )
    if request.method == "GET":
        return _withdrawal(request, session, given, form, status=200)
    status = save(
        request,
        form,
        lambda by: medicines.withdraw_given(given=given, by=by, **form.why),
    )
    if status == SAVED:
        return redirect("infusion-detail", pk)
    return _withdrawal(request, session, given, form, status=status)


def _withdrawal(
    request: ClinicRequest,
    session: InfusionSession,
    given: GivenMedicine,
    form: WithdrawForm,
    *,
    status: int,
) -> HttpResponse:
    context = {
        "given": given,
        "session": session,
        "form": form,
        "banner": banner_of(session),
        "now": form.at,
    }
    return render(request, "medicines/withdraw.html", context, status=status)


def _panel(
    request: ClinicRequest, session: InfusionSession, form: ClinicForm, status: int
) -> HttpResponse:
    if status == SAVED and not request.htmx:
        return redirect("medicine-list", session.pk)
    if status == 409 and request.htmx:
        return conflict(request, form)
    context = panel_of(
        request,
        session,
        at=timezone.now(),
        bound=form if status != SAVED else None,
    )
    template = "_panel.html" if request.htmx else "list.html"
    return render(
        request,
        f"medicines/{template}",
        context | {"banner": banner_of(session)},
        status=200 if status == SAVED else status,
    )
