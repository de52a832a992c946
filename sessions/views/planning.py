"""Planning visits, seeing today's, checking in, moving and cancelling."""

from datetime import datetime, time, timedelta

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import (
    ClinicRequest,
    access,
    actor,
    order_in_reach,
    session_in_reach,
)
from sessions.forms.infusions import (
    AllocateForm,
    CancelForm,
    CheckInForm,
    PlanForm,
    TapForm,
)
from sessions.models import Chair, InfusionSession, Stage
from sessions.rules.quantities import exact
from sessions.services import infusions, planning
from sessions.services.acts import view_of
from sessions.views.saving import SAVED, save
from sessions.views.visits import banner_of, nurses_of

BACK = ("board", "nurses")
"""Pages that a visit is taken over from, beside its own."""


@access("view_patient")
def today(request: ClinicRequest) -> HttpResponse:
    """The visits of one day, in the order of their times."""
    at = timezone.now()
    day = _day(request.GET.get("day", ""), request.clinic.day_of(at))
    begins = datetime.combine(day, time.min, tzinfo=request.clinic.zone)
    ends = datetime.combine(
        day + timedelta(days=1), time.min, tzinfo=request.clinic.zone
    )
    visits = (
        InfusionSession.objects.of(request.clinic)
        .filter(scheduled_at__gte=begins, scheduled_at__lt=ends, entered_in_error=False)
        .with_order_version()
        .select_related("patient", "chair", "nurse", "clinic")
        .order_by("scheduled_at", "id")
    )
    context = {
        "visits": list(visits),
        "day": day,
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1),
        "is_today": day == request.clinic.day_of(at),
        "may_chart": request.user.may("chart"),
        "may_allocate": request.user.may("allocate"),
        "now": at,
    }
    return render(request, "infusions/today.html", context)


def _day(text: str, otherwise):
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        return otherwise
    return day if 2000 <= day.year <= 2100 else otherwise


@access("allocate", methods=("GET", "POST"))
def plan(request: ClinicRequest, pk: int) -> HttpResponse:
    """Turn what is left of an order's course into planned visits."""
    order = order_in_reach(request, pk)
    at, version = timezone.now(), order.current
    planned = list(
        planning.live_visits(order).select_related("chair", "nurse", "patient")
    )
    left = version.days * version.cycles - len(planned) if version else 0
    chairs = Chair.objects.filter(clinic=request.clinic, active=True)
    form = PlanForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=at,
        version=version,
        left=left,
        chairs=chairs,
        nurses=nurses_of(request.clinic),
        initial={
            "first": _next_day(version, planned, at, request.clinic.zone),
            "clock": "09:00",
            "visits": left,
        },
    )
    status = 200
    if request.method == "POST":

        def do(by):
            dates = planning.proposed_dates(
                version,
                first=form.cleaned_data["first"],
                clock=form.cleaned_data["clock"],
                zone=request.clinic.zone,
                already=len(planned),
            )[: form.cleaned_data["visits"]]
            planning.plan_sessions(
                order=order, dates=dates, chair=form.chair, nurse=form.nurse, by=by
            )

        status = save(request, form, do)
        if status == SAVED:
            messages.success(request, _("The visits are planned."))
            return redirect("infusion-plan", pk)
    context = {
        "order": order,
        "version": version,
        "planned": planned,
        "left": left,
        "form": form,
        "banner": banner_of_order(order),
        "now": at,
    }
    return render(request, "infusions/plan.html", context, status=status)


def _next_day(version, planned, at, zone):
    """The day the course asks for next; today when nothing is planned."""
    today = at.astimezone(zone).date()
    if not planned or version is None:
        return (version.first_on or today) if version else today
    last = planned[-1].scheduled_at.astimezone(zone).date()
    if len(planned) % version.days:
        return max(today, last + timedelta(days=1))
    apart = round(exact(version.interval_weeks or 0) * 7) - (version.days - 1)
    return max(today, last + timedelta(days=max(apart, 1)))


def banner_of_order(order):
    """The banner of a page about an order without a visit."""
    visit = InfusionSession(patient=order.patient, order=order, clinic=order.clinic)
    return banner_of(visit)


@access("chart", methods=("GET", "POST"))
def check_in(request: ClinicRequest, pk: int) -> HttpResponse:
    """The patient is here: choose a chair, and the visit is open."""
    session = session_in_reach(request, pk)
    if session.stage != Stage.PLANNED and request.method == "GET":
        return redirect("infusion-prepare", pk)
    at = timezone.now()
    taken = (
        InfusionSession.objects.of(request.clinic)
        .in_a_chair()
        .values_list("chair_id", flat=True)
    )
    free = Chair.objects.filter(clinic=request.clinic, active=True).exclude(
        pk__in=list(taken)
    )
    form = CheckInForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=at,
        chairs=free,
        scheduled_at=session.scheduled_at,
        initial={"chair": str(session.chair_id or "")},
    )
    status = 200
    if request.method == "POST":
        status = save(
            request,
            form,
            lambda by: infusions.check_in(
                session=session,
                chair=form.chair,
                by=by,
                seen_version=form.seen_version,
            ),
        )
        if status == SAVED:
            return redirect("infusion-prepare", pk)
    else:
        _viewed(request, session)
    context = {
        "session": session,
        "form": form,
        "banner": banner_of(session),
        "cancel_form": CancelForm(clinic=request.clinic, at=at, auto_id="cancel_%s"),
        "now": at,
    }
    return render(request, "infusions/check_in.html", context, status=status)


@access("allocate", methods=("GET", "POST"))
def allocate(request: ClinicRequest, pk: int) -> HttpResponse:
    """Another day, time, chair or nurse for a planned visit."""
    session = session_in_reach(request, pk)
    at = timezone.now()
    local = session.scheduled_at.astimezone(request.clinic.zone)
    form = AllocateForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=at,
        chairs=Chair.objects.filter(clinic=request.clinic, active=True),
        nurses=nurses_of(request.clinic),
        initial={
            "day": local.date(),
            "clock": f"{local:%H:%M}",
            "chair": str(session.chair_id or ""),
            "nurse": str(session.nurse_id or ""),
        },
    )
    status = 200
    if request.method == "POST":
        status = save(
            request,
            form,
            lambda by: planning.allocate(
                session=session,
                scheduled_at=form.cleaned_data["scheduled_at"],
                chair=form.chair,
                nurse=form.nurse,
                by=by,
                seen_version=form.seen_version,
            ),
        )
        if status == SAVED:
            messages.success(request, _("The visit is moved."))
            return redirect("infusion-plan", session.order_id)
    context = {
        "session": session,
        "form": form,
        "banner": banner_of(session),
        "now": at,
    }
    return render(request, "infusions/allocate.html", context, status=status)


@access("chart", methods=("GET", "POST"))
def cancel(request: ClinicRequest, pk: int) -> HttpResponse:
    """Call a visit off before its Start, with a reason."""
    session = session_in_reach(request, pk)
    form = CancelForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=timezone.now(),
    )
    status = 200
    if request.method == "POST":
        status = save(
            request,
            form,
            lambda by: infusions.cancel(
                session=session,
                reason=form.cleaned_data["reason"],
                by=by,
                seen_version=form.seen_version,
            ),
        )
        if status == SAVED:
            messages.success(request, _("The visit is cancelled."))
            return redirect("infusion-today")
    context = {
        "session": session,
        "form": form,
        "banner": banner_of(session),
        "now": form.at,
    }
    return render(request, "infusions/cancel.html", context, status=status)


@access("chart", methods=("POST",))
def take_over(request: ClinicRequest, pk: int) -> HttpResponse:
    """Become the nurse of this visit, in one tap."""
    session = session_in_reach(request, pk)
    form = TapForm(request.POST, clinic=request.clinic, at=timezone.now())
    status = save(
        request,
        form,
        lambda by: infusions.take_over(
            session=session, by=by, seen_version=form.seen_version
        ),
    )
    if status == SAVED:
        messages.success(request, _("You are the nurse of this visit now."))
    else:
        for error in form.non_field_errors():
            messages.error(request, error)
    # Who taps on a card stays on the board; the word only chooses from a list.
    if (back := request.POST.get("back", "")) in BACK:
        return redirect(back)
    return redirect("infusion-detail", pk)


def _viewed(request: ClinicRequest, session: InfusionSession) -> None:
    view_of("session.view", by=actor(request), subject=session, patient=session.patient)
