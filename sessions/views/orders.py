"""Orders: the list, the page of one, and the acts that sign, verify and move it."""

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.debug import sensitive_post_parameters

from sessions.access import access, actor, order_in_reach
from sessions.forms.orders import STATUSES, PatientSearchForm, ReasonForm, SignatureForm
from sessions.models import (
    CLOSED_ORDERS,
    AuditEntry,
    Order,
    OrderStatus,
    OrderVersion,
    Patient,
    Signature,
    User,
    Weight,
)
from sessions.persons import person_of
from sessions.rules.findings import Action
from sessions.rules.language import day_of_year, day_words
from sessions.rules.policy import Policy
from sessions.rules.thresholds import Person
from sessions.rules.words import shortest
from sessions.services import order_plans, orders
from sessions.services.acts import view_of
from sessions.services.sign_ins import confirm_password
from sessions.views.acting import STALE
from sessions.views.order_versions import differences, version_context
from sessions.views.ordering import identity_of
from sessions.views.saving import SAVED, save

PAGE = 25
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
            return found.exclude(status__in=CLOSED_ORDERS)
        case "closed":
            return found.filter(status__in=CLOSED_ORDERS)
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
    if order.status in CLOSED_ORDERS:
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
    context = version_context(version) | {
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


def _weight_change(order, version, weight):
    if weight is None or order.status in CLOSED_ORDERS:
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
        "change": status not in CLOSED_ORDERS and user.may("draft_order"),
        "plan": status == OrderStatus.ACTIVE and user.may("allocate"),
        "hold": status == OrderStatus.ACTIVE and user.may("draft_order"),
        "resume": status == OrderStatus.ON_HOLD and (prescribes or verifies),
        "cancel": (status == OrderStatus.DRAFT and user.may("draft_order"))
        or (status not in CLOSED_ORDERS and (prescribes or verifies)),
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


# Acts on one order


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
            identity=identity_of(form),
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
