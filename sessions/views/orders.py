"""Orders: the list, the wizard with its live plan, and the page that signs."""

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.debug import sensitive_post_parameters

from sessions.access import access, actor, order_in_reach, patient_in_reach
from sessions.catalogue.indications import indications
from sessions.forms.orders import (
    STATUSES,
    OrderForm,
    PatientSearchForm,
    PreviewForm,
    ReasonForm,
    SignatureForm,
    TelephoneOrderForm,
    initial_of,
)
from sessions.models import (
    AuditEntry,
    Order,
    OrderStatus,
    OrderVersion,
    Patient,
    Purpose,
    Signature,
    User,
    Weight,
)
from sessions.persons import person_of
from sessions.rules.findings import Action
from sessions.rules.labels import Regimen
from sessions.rules.language import day_of_year, day_words, phrase
from sessions.rules.policy import Policy
from sessions.rules.quantities import plain
from sessions.rules.thresholds import Person
from sessions.rules.words import shortest
from sessions.services import order_plans, orders
from sessions.services.acts import Refused, view_of
from sessions.services.order_plans import Choices, MedicineChoice
from sessions.services.orders import Identity, Telephone
from sessions.services.sign_ins import confirm_password
from sessions.views.acting import STALE, attempt
from sessions.views.saving import SAVED, save

PAGE = 25
CLOSED = (OrderStatus.COMPLETED, OrderStatus.CANCELLED)
ACTS = {
    "order.draft": _lazy("Drafted"),
    "order.telephone": _lazy("Taken by telephone"),
    "order.change": _lazy("Changed"),
    "order.sign": _lazy("Signed"),
    "order.verify": _lazy("Verified"),
    "order.countersign": _lazy("Countersigned"),
    "order.return": _lazy("Returned"),
    "order.hold": _lazy("Held"),
    "order.resume": _lazy("Resumed"),
    "order.cancel": _lazy("Cancelled"),
    "order.complete": _lazy("Completed"),
}
"""Acts on an order as its history names them."""


# The list


@access("view_order", methods=("GET", "POST"))
def orders_list(request):
    """Orders by state and patient; what waits for somebody is said in words."""
    at, clinic = timezone.now(), request.clinic
    status = request.GET.get("status", "open")
    if status not in dict(STATUSES):
        raise Http404
    form = PatientSearchForm(request.POST or None)
    query = form.cleaned_data["q"] if form.is_valid() else ""
    found = _filtered(Order.objects.of(clinic), status)
    if query:
        patients = Patient.objects.of(clinic).matching(query)
        found = found.filter(patient__in=patients)
    paginator = Paginator(_with_details(found), 200 if query else PAGE)
    page = paginator.get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": _rows(page.object_list, clinic, at),
        "status": status,
        "q": query,
        "form": form,
        "query": f"status={status}&",
        "statuses": _counted(clinic),
        "may_draft": request.user.may("draft_order"),
    }
    status_code = 422 if form.errors else 200
    return render(request, "orders/list.html", context, status=status_code)


def _filtered(found, status: str):
    match status:
        case "all":
            return found
        case "open":
            return found.exclude(status__in=CLOSED)
        case "closed":
            return found.filter(status__in=CLOSED)
        case "countersign":
            return found.filter(_uncountersigned())
    return found.filter(status=status)


def _uncountersigned() -> Q:
    """Telephone orders whose prescriber has not signed yet."""
    done = OrderVersion.objects.filter(
        signatures__meaning=Signature.Meaning.COUNTERSIGNED
    )
    return (
        Q(current__by_telephone=True)
        & ~Q(current__in=done)
        & ~Q(status=OrderStatus.CANCELLED)
    )


def _counted(clinic) -> list[tuple[str, str, int]]:
    """Each filter with how many orders it would show."""
    found = Order.objects.of(clinic)
    return [
        (value, words, _filtered(found, value).count()) for value, words in STATUSES
    ]


def _with_details(found):
    return (
        found.select_related(
            "patient", "current__prescriber", "current__protocol_version__protocol"
        )
        .defer("current__plan", "current__protocol_version__document")
        .prefetch_related("current__signatures")
    )


def _rows(found: Iterable[Order], clinic, at) -> list[dict[str, Any]]:
    found = list(found)
    weights: dict[int, Weight] = {}
    newest = Weight.objects.current().filter(patient__in={o.patient_id for o in found})
    for weight in newest.order_by("event_time", "id"):
        weights[weight.patient_id] = weight
    today = clinic.day_of(at)
    return [
        {
            "order": order,
            "version": order.current,
            "says": list(_says(order, weights.get(order.patient_id), at, today)),
        }
        for order in found
    ]


def _says(order: Order, weight, at, today):
    """What somebody must know of an order before opening it: words and a state."""
    version = order.current
    if order.status in CLOSED:
        return
    if version.expires_on < today:
        yield "flag-high", "high", _("expired")
    elif version.review_on and version.review_on <= today:
        yield "late", "late", _("review is due")
    if orders.awaits_countersignature(version):
        overdue = at > version.countersign_by
        words = _("countersignature overdue") if overdue else _("to be countersigned")
        yield (
            ("flag-high" if overdue else "late"),
            ("high" if overdue else "late"),
            words,
        )
    if weight and order_plans.weight_change(version, weight.weight_kg).crossed:
        yield "flag-medium", "medium", _("weight changed: verify again")


# The wizard


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
    if order.status in CLOSED:
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
        identity=_identity(form),
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


# The page of one order


@access("view_order")
def detail(request, pk):
    """One order as it was signed, and what may be done with it now."""
    order = order_in_reach(request, pk)
    by = actor(request)
    view_of("order.view", by=by, subject=order, patient=order.patient)
    return _page(request, order)


def _page(request, order, *, status=200, **bound):
    at, clinic, user = timezone.now(), request.clinic, request.user
    version = order.current
    versions = list(
        order.versions.select_related("recorded_by", "prescriber").prefetch_related(
            Prefetch(
                "signatures",
                Signature.objects.select_related("recorded_by").order_by("id"),
            )
        )
    )
    version = next(v for v in versions if v.pk == version.pk)
    person = person_of(order.patient, clinic=clinic, at=at)
    stops = orders.hard_stops(version)
    options = {"clinic": clinic, "at": at}
    history = _history(order)
    context = _version_context(version) | {
        "order": order,
        "banner": person.banner | {"order": ""},
        "stages": _stages(order, version),
        "stops": stops,
        "versions": versions,
        "changes": differences(versions[1], version) if len(versions) > 1 else [],
        "history": history,
        "returned": _returned(order, history),
        "weight_change": _weight_change(order, version, person.weight),
        "countersign": orders.awaits_countersignature(version),
        "countersign_overdue": orders.awaits_countersignature(version)
        and at > version.countersign_by,
        "sessions": list(
            order.infusions.select_related("chair").order_by("scheduled_at")[:30]
        ),
        "limits": _limits(version, person),
        "signature": SignatureForm(stops=bool(stops), **options),
        "reason_form": ReasonForm(**options, auto_id="reason_%s"),
        "may": _may(order, version, user),
        "stale": status == STALE,
    }
    return render(request, "orders/detail.html", context | bound, status=status)


def _version_context(version: OrderVersion) -> dict[str, Any]:
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


def _weight_change(order, version, weight):
    if weight is None or order.status in CLOSED:
        return None
    change = order_plans.weight_change(version, weight.weight_kg)
    return change if change.crossed else None


def _may(order: Order, version: OrderVersion, user: User) -> dict[str, bool]:
    """Which acts the page offers: by the order's state and the user's role."""
    status, own = order.status, orders.is_own(version, user)
    prescribes, verifies = user.may("sign_order"), user.may("verify_order")
    return {
        "sign": status == OrderStatus.DRAFT and prescribes,
        "verify": status == OrderStatus.SIGNED and verifies and not own,
        "own": status == OrderStatus.SIGNED and verifies and own,
        "return": status == OrderStatus.SIGNED and verifies,
        "countersign": orders.awaits_countersignature(version)
        and version.prescriber_id == user.pk,
        "change": status not in CLOSED and user.may("draft_order"),
        "plan": status == OrderStatus.ACTIVE and user.may("allocate"),
        "hold": status == OrderStatus.ACTIVE and user.may("draft_order"),
        "resume": status == OrderStatus.ON_HOLD and (prescribes or verifies),
        "cancel": (status == OrderStatus.DRAFT and user.may("draft_order"))
        or (status not in CLOSED and (prescribes or verifies)),
        "complete": status == OrderStatus.ACTIVE and (prescribes or verifies),
    }


def _signature(version: OrderVersion, *meanings: str) -> Signature | None:
    return next((s for s in version.signatures.all() if s.meaning in meanings), None)


def _stages(order: Order, version: OrderVersion) -> list[dict[str, Any]]:
    """Draft → Signed → Verification → Active, each with who and when."""
    meaning = Signature.Meaning
    signed = _signature(version, meaning.PRESCRIBED)
    verified = _signature(version, meaning.VERIFIED)
    place = {
        OrderStatus.DRAFT: 1,
        OrderStatus.SIGNED: 2,
        OrderStatus.ACTIVE: 3,
        OrderStatus.ON_HOLD: 3,
        OrderStatus.COMPLETED: 4,
    }.get(order.status, 0)
    words = [
        (_("Draft"), [_who(version)]),
        (_("Signed"), _signed_lines(version, signed)),
        (_("Verification"), [_who(verified)] if verified else [_("by a pharmacist")]),
        (_last_stage(order), _dates(version)),
    ]
    return [
        {
            "name": name,
            "lines": lines,
            "state": "done" if at_ < place else "now" if at_ == place else "ahead",
        }
        for at_, (name, lines) in enumerate(words)
    ]


def _who(row) -> str:
    moment = timezone.localtime(row.recorded_at)
    return f"{row.recorded_by}, {day_of_year(moment)} {moment:%H:%M}"


def _signed_lines(version: OrderVersion, signed: Signature | None) -> list[str]:
    if signed:
        return [
            _who(signed),
            _("means: {meaning}").format(meaning=signed.get_meaning_display()),
        ]
    if version.by_telephone:
        return [
            _("by telephone: {prescriber}").format(prescriber=version.prescriber),
            _("read back"),
        ]
    return [_("by the prescriber")]


def _dates(version: OrderVersion) -> list[str]:
    lines = [
        _("valid until {expires_on}").format(expires_on=day_words(version.expires_on))
    ]
    if version.review_on:
        lines.append(
            _("review {review_on}").format(review_on=day_words(version.review_on))
        )
    return lines


def _last_stage(order: Order) -> str:
    if order.status in (OrderStatus.DRAFT, OrderStatus.SIGNED):
        return _("Active")
    return order.get_status_display()


def _history(order: Order) -> list[dict[str, Any]]:
    """What was done with this order, newest first, with the reasons given."""
    entries = (
        AuditEntry.objects.filter(
            object_type="order", object_id=order.pk, action__in=ACTS
        )
        .select_related("user")
        .order_by("-sequence")
    )
    return [
        {"entry": each, "act": ACTS[each.action], "detail": json.loads(each.detail)}
        for each in entries
    ]


def _returned(order: Order, history: list[dict[str, Any]]):
    """The reason that stands over a draft which was given back."""
    if order.status == OrderStatus.DRAFT and history:
        newest = history[0]
        return newest if newest["entry"].action == "order.return" else None
    return None


def _limits(version: OrderVersion, person) -> list[tuple[str, list[str]]]:
    """The objective limits for slowing and stopping this patient's infusion (B5)."""
    policy: Policy = version.protocol_version.policy
    who = Person(
        age_years=person.years,
        pregnant=bool(person.is_pregnant),
        weight_kg=version.weight_kg,
    )
    return [
        (_("Reduce"), _limits_of(policy, who, {Action.REDUCE})),
        (_("Pause"), _limits_of(policy, who, {Action.PAUSE})),
        (_("Stop, call"), _limits_of(policy, who, {Action.STOP, Action.EMERGENCY})),
    ]


def _limits_of(policy: Policy, who: Person, actions: set[Action]) -> list[str]:
    return shortest(
        rule
        for rule in policy.monitoring.thresholds
        if rule.on
        and rule.act.action in actions
        and rule.population.includes(who)
        and rule.spo2_scale in (None, who.spo2_scale)
        and not rule.signs
    )


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
    context = _version_context(found) | {
        "order": order,
        "banner": person.banner,
        "changes": differences(found, order.current),
    }
    return render(request, "orders/version.html", context)


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


# Acts on one order


def _identity(form) -> Identity:
    values = form.cleaned_data
    return Identity(initials=values["initials"], birth_year=values["birth_year"])


def _signed_act(request, pk, door, said):
    order = order_in_reach(request, pk)
    stops = bool(orders.hard_stops(order.current)) and door is orders.sign_order
    form = SignatureForm(
        request.POST, clinic=request.clinic, at=timezone.now(), stops=stops
    )

    def do(by):
        confirm_password(by=by, password=form.cleaned_data["password"])
        extra = {"override": form.cleaned_data.get("override", False)} if stops else {}
        return door(
            order=order,
            identity=_identity(form),
            by=by,
            seen_version=form.seen_version or 0,
            **extra,
        )

    status = save(request, form, do)
    if status == SAVED:
        messages.success(request, said)
        return redirect("order-detail", order.pk)
    return _page(request, order_in_reach(request, pk), status=status, signature=form)


@sensitive_post_parameters("password")
@access("sign_order", methods=("POST",))
def sign(request, pk):
    """Sign as prescriber: initials, birth year, password."""
    return _signed_act(
        request, pk, orders.sign_order, _("Signed. A pharmacist verifies it.")
    )


@sensitive_post_parameters("password")
@access("verify_order", methods=("POST",))
def verify(request, pk):
    """Verify as pharmacist: initials, birth year, password."""
    return _signed_act(
        request, pk, orders.verify_order, _("Verified. The order is active.")
    )


@sensitive_post_parameters("password")
@access("sign_order", methods=("POST",))
def countersign(request, pk):
    """Countersign a telephone order as the prescriber who gave it."""
    return _signed_act(request, pk, orders.countersign_order, _("Countersigned."))


def _reasoned_act(request, pk, door, act, said):
    order = order_in_reach(request, pk)
    form = ReasonForm(
        request.POST, clinic=request.clinic, at=timezone.now(), auto_id="reason_%s"
    )
    status = save(
        request,
        form,
        lambda by: door(
            order=order,
            reason=form.cleaned_data["reason"],
            by=by,
            seen_version=form.seen_version or 0,
        ),
    )
    if status == SAVED:
        messages.success(request, said)
        return redirect("order-detail", order.pk)
    again = order_in_reach(request, pk)
    return _page(request, again, status=status, reason_form=form, asked=act)


@access("verify_order", methods=("POST",))
def give_back(request, pk):
    """Return a signed order to its prescriber, and say why."""
    return _reasoned_act(request, pk, orders.return_order, "return", _("Returned."))


@access("draft_order", methods=("POST",))
def hold(request, pk):
    """Hold an active order: nothing is started from it."""
    return _reasoned_act(request, pk, orders.hold_order, "hold", _("On hold."))


@access("draft_order", methods=("POST",))
def resume(request, pk):
    """Make a held order active again."""
    return _reasoned_act(request, pk, orders.resume_order, "resume", _("Active again."))


@access("draft_order", methods=("POST",))
def cancel(request, pk):
    """Cancel an order."""
    return _reasoned_act(request, pk, orders.cancel_order, "cancel", _("Cancelled."))


@access("draft_order", methods=("POST",))
def complete(request, pk):
    """Close an order whose course is given."""
    return _reasoned_act(
        request, pk, orders.complete_order, "complete", _("Completed.")
    )
