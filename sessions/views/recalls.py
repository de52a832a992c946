"""The clinic's list of recalled lots: read by everybody, kept by a few."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import ClinicRequest, access
from sessions.forms.recalls import LiftForm, RecallForm
from sessions.models import RecalledLot
from sessions.services import recalls
from sessions.views.saving import SAVED, save


@access("view_catalogue")
def show(request: ClinicRequest) -> HttpResponse:
    """Every lot on the list, with the visits that had a vial of it."""
    return _page(request)


@access("keep_recalls", methods=("POST",))
def add(request: ClinicRequest) -> HttpResponse:
    """One lot more; from then on its vials are refused."""
    form = RecallForm(request.POST, clinic=request.clinic, at=timezone.now())
    status = save(
        request,
        form,
        lambda by: recalls.recall_lot(
            product_key=form.cleaned_data["product_key"],
            lot=form.cleaned_data["lot"],
            reason=form.cleaned_data["reason"],
            by=by,
        ),
    )
    if status != SAVED:
        return _page(request, form=form, status=status)
    words = _("Lot {lot} is on the list: its vials are refused from now on.")
    messages.success(request, words.format(lot=form.cleaned_data["lot"]))
    return redirect("recalls")


@access("keep_recalls", methods=("POST",))
def lift(request: ClinicRequest, pk: int) -> HttpResponse:
    """Take a lot off the list; both entries stay readable in the audit."""
    row = get_object_or_404(RecalledLot.objects.of(request.clinic), pk=pk)
    form = _lift_form(request, row, request.POST)
    status = save(
        request,
        form,
        lambda by: recalls.lift_recall(
            recall=row, reason=form.cleaned_data["reason"], by=by
        ),
    )
    if status != SAVED:
        return _page(request, lifting=(row.pk, form), status=status)
    messages.success(request, _("Lot {lot} may be used again.").format(lot=row.lot))
    return redirect("recalls")


def _lift_form(request: ClinicRequest, row: RecalledLot, data=None) -> LiftForm:
    return LiftForm(
        data, clinic=request.clinic, at=timezone.now(), auto_id=f"lift{row.pk}_%s"
    )


def _page(
    request: ClinicRequest,
    *,
    form: RecallForm | None = None,
    lifting: tuple[int, LiftForm] | None = None,
    status: int = 200,
) -> HttpResponse:
    entries = []
    for recall in recalls.list_of(request.clinic):
        held = lifting is not None and lifting[0] == recall.row.pk
        lift = lifting[1] if held else _lift_form(request, recall.row)
        entries.append({"recall": recall, "lift": lift, "open": held})
    context = {
        "entries": entries,
        "form": form or RecallForm(clinic=request.clinic, at=timezone.now()),
        "may_keep": request.user.may("keep_recalls"),
        "may_open": request.user.may("view_patient"),
        "tab": "recalls",
    }
    return render(request, "catalogue/recalls.html", context, status=status)
