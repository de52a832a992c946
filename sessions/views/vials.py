"""Vials of a visit: scanned or typed, and taken back."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from sessions.access import ClinicRequest, access, session_in_reach
from sessions.forms.medicines import WithdrawForm
from sessions.models import Vial
from sessions.services import infusions, vials
from sessions.views.preparation import answer, vial_form, vials_page
from sessions.views.saving import SAVED, save


@access("chart", methods=("GET", "POST"))
def add(request: ClinicRequest, pk: int) -> HttpResponse:
    """One vial into the visit: expired, wrong and used ones are refused in words.

    Before the Start it stands on the page of Start; later it is a page of its own.
    """
    session = session_in_reach(request, pk)
    if request.method == "GET":
        if session.stage in infusions.BEFORE_START:
            return redirect("infusion-prepare", pk)
        return vials_page(request, session)
    form = vial_form(request, request.POST)
    status = save(
        request,
        form,
        lambda by: vials.add_vial(
            session=session,
            by=by,
            event_time=form.cleaned_data["event_time"],
            **form.values,
        ),
    )
    return answer(request, session, "vials", form, status)


@access("chart", methods=("POST",))
def withdraw(request: ClinicRequest, pk: int, vial_pk: int) -> HttpResponse:
    """Take back a vial that was recorded by mistake."""
    session = session_in_reach(request, pk)
    vial = get_object_or_404(
        Vial.objects.filter(session=session).select_related("session__patient"),
        pk=vial_pk,
    )
    form = WithdrawForm(
        request.POST,
        clinic=request.clinic,
        at=timezone.now(),
        auto_id=f"back{vial.pk}_%s",
    )
    status = save(
        request,
        form,
        lambda by: vials.withdraw_vial(
            vial=vial, reason=form.cleaned_data["reason"], by=by
        ),
    )
    bound = {} if status == SAVED else {"taking_back": form}
    return answer(request, session, "vials", form, status, bound=bound)
