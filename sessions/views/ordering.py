"""Ordering: for whom, then the choices beside the plan that they make."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import access, order_in_reach, patient_in_reach
from sessions.catalogue.indications import indications
from sessions.forms.orders import (
    OrderForm,
    PatientSearchForm,
    PreviewForm,
    TelephoneOrderForm,
    initial_of,
)
from sessions.models import CLOSED_ORDERS, Order, Patient, User
from sessions.persons import person_of
from sessions.rules.labels import Regimen
from sessions.rules.language import phrase
from sessions.services import order_plans, orders
from sessions.services.acts import Refused
from sessions.services.order_plans import Choices, MedicineChoice
from sessions.services.orders import Identity, Telephone
from sessions.views.acting import STALE, attempt
from sessions.views.order_versions import differences


@access("draft_order", methods=("GET", "POST"))
def choose_patient(request):
    """The first step: for whom."""
    form = PatientSearchForm(request.POST or None)
    query = form.cleaned_data["q"] if form.is_valid() else ""
    found = Patient.objects.of(request.clinic).matching(query)[:50] if query else []
    context = {"q": query, "form": form, "patients": found}
    return render(
        request,
        "orders/choose_patient.html",
        context,
        status=422 if form.errors else 200,
    )


@access("draft_order", methods=("GET", "POST"))
def new(request, patient_pk):
    """Draft an order for one patient."""
    patient = patient_in_reach(request, patient_pk)
    return _wizard(request, patient, OrderForm)


@access("telephone_order", methods=("GET", "POST"))
def telephone(request, patient_pk):
    """Take an order down by telephone and read it back."""
    patient = patient_in_reach(request, patient_pk)
    prescribers = User.objects.filter(
        clinic=request.clinic, is_active=True, role__permissions__codename="sign_order"
    )
    return _wizard(request, patient, TelephoneOrderForm, prescribers=prescribers)


@access("draft_order", methods=("GET", "POST"))
def change(request, pk):
    """Change an order: a new version, to be signed and verified again."""
    order = order_in_reach(request, pk)
    if order.status in CLOSED_ORDERS:
        raise Http404
    ordered = list(order.current.medicines.current())
    initial = initial_of(order.current, ordered) | {"version": order.version}
    return _wizard(
        request, order.patient, OrderForm, order=order, changing=True, initial=initial
    )


def _wizard(request, patient, kind, *, order=None, initial=None, **options):
    at, clinic, status = timezone.now(), request.clinic, 200
    options |= {"clinic": clinic, "at": at}
    if request.method == "GET":
        form, shown = kind(initial=initial, **options), {}
        if order is not None:
            shown = _previewed(patient, choices_of_version(order), clinic, at)
            shown["regimens"] = regimens_of(
                initial["regimen"], order.current.product_key
            )
    elif "show_plan" in request.POST:  # without script: look, and keep nothing
        form = kind(initial=request.POST.dict(), **options)
        shown = _preview(request, patient, at)
    else:
        form = kind(request.POST, **options)
        went = attempt(request, form, lambda by: _keep(form, patient, order, by))
        status = went.status
        if went.saved:
            waits = _("Saved. It waits for verification.")
            drafted = _("Saved. It is not signed yet.")
            by_telephone = kind is TelephoneOrderForm
            messages.success(request, waits if by_telephone else drafted)
            return redirect("order-detail", went.made_id)
        shown = _preview(request, patient, at)
    person = person_of(patient, clinic=clinic, at=at)
    context = shown | {
        "form": form,
        "patient": patient,
        "order": order,
        "person": person,
        "banner": person.banner,
        "version": request.POST.get("version") or (order.version if order else ""),
        "telephone": kind is TelephoneOrderForm,
        "may_telephone": request.user.may("telephone_order"),
        "needs_reason": orders.NEEDS_REASON,
    }
    if status == STALE and order is not None:
        context |= _as_it_stands(request, order)
    return render(request, "orders/form.html", context, status=status)


def _as_it_stands(request, order: Order) -> dict[str, Any]:
    """Beside the typed values, what somebody else made of the order meanwhile."""
    now = order_in_reach(request, order.pk)
    rows = differences(order.current, now.current) if now.current_id else []
    if not rows:
        before = now.versions.filter(number=now.current.number - 1).first()
        rows = differences(before, now.current) if before else []
    return {"stale": True, "order": now, "version": now.version, "changes": rows}


def _keep(form, patient, order, by):
    choices = _choices(form)
    if order is not None:
        return orders.change_order(
            order=order, choices=choices, by=by, seen_version=form.seen_version
        )
    if not isinstance(form, TelephoneOrderForm):
        return orders.draft_order(patient=patient, choices=choices, by=by)
    values = form.cleaned_data
    return orders.draft_order(
        patient=patient,
        choices=choices,
        telephone=Telephone(
            prescriber=values["prescriber"], read_back=values["read_back"]
        ),
        identity=identity_of(form),
        by=by,
    )


def _choices(form: OrderForm) -> Choices:
    medicines = tuple(MedicineChoice(**each) for each in form.medicines)
    return Choices(**form.choices, medicines=medicines)


def choices_of_version(order: Order) -> Choices:
    """What stands in the current version, to be computed anew."""
    version = order.current
    because = version.plan["because"]
    by_record = because["experience_by_record"]
    return Choices(
        product=version.product_key,
        indication=version.indication_key,
        phase=version.phase,
        dose_g_per_kg=None if version.fixed_dose_g else version.dose_g_per_kg,
        fixed_dose_g=version.fixed_dose_g,
        days=version.days,
        interval_weeks=version.interval_weeks,
        cycles=version.cycles,
        weight_basis=because.get("weight_basis", version.weight_basis),
        treat_at_risk=because["treat_at_risk"],
        experience=version.experience if version.experience != by_record else "",
    )


@access("draft_order", methods=("POST",))
def preview(request, patient_pk):
    """What the choices so far would mean, as a fragment; writes nothing."""
    patient, at = patient_in_reach(request, patient_pk), timezone.now()
    context = _preview(request, patient, at) | {"needs_reason": orders.NEEDS_REASON}
    return render(request, "orders/_preview.html", context)


def _preview(request, patient, at) -> dict[str, Any]:
    form = PreviewForm(request.POST, clinic=request.clinic, at=at, changing=True)
    form.is_valid()
    values = form.cleaned_data
    shown = {"typed_errors": form.typed_errors, "waiting": not form.computable}
    if values.get("regimen"):
        shown["regimens"] = regimens_of(values["regimen"], values.get("product", ""))
    if form.computable:
        shown |= _previewed(patient, _choices(form), request.clinic, at)
    return shown


def regimens_of(chosen: str, product_key: str) -> list[dict[str, Any]]:
    """Every published regimen of the chosen indication, as it stands for a product."""
    key, _, place = chosen.partition(":")
    found = indications()[key]
    return [
        {
            "regimen": regimen,
            "chosen": index == int(place),
            "standing": _standing(regimen, product_key),
        }
        for index, regimen in enumerate(found.regimens)
    ]


def _standing(regimen: Regimen, product_key: str) -> str:
    if regimen.investigational:
        return phrase("investigational")
    if not product_key:
        return phrase("labelled") if regimen.labelled_products else "off-label"
    return (
        phrase("labelled") if product_key in regimen.labelled_products else "off-label"
    )


def _previewed(patient, choices: Choices, clinic, at) -> dict[str, Any]:
    try:
        facts = order_plans.facts_for(patient, choices, clinic, at)
        made = order_plans.plan_from(facts, patient, choices, clinic, at)
    except Refused as refused:
        return {"refused": refused.message}
    extra = order_plans.medicine_warnings(patient, choices.medicines)
    made = replace(made, warnings=(*made.warnings, *extra))
    return {
        "plan": order_plans.document_of(made, facts, choices),
        "interval_weeks": choices.interval_weeks,
        "cycles": choices.cycles,
        "reason": choices.reason,
        "never": orders.NEVER,
    }


def identity_of(form) -> Identity:
    """The two identifiers as they were typed."""
    values = form.cleaned_data
    return Identity(initials=values["initials"], birth_year=values["birth_year"])
