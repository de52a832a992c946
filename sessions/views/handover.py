"""Who has which chair, notes for the next nurse, and the sheet between shifts (H2)."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import ClinicRequest, access, actor, session_in_reach
from sessions.bedsides import bedsides_of
from sessions.charts import cards_of, for_cards, for_charts
from sessions.forms.handover import AssignForm, NoteForm
from sessions.models import InfusionSession, User
from sessions.services import infusions, notes
from sessions.services.acts import view_of
from sessions.views.acting import first_error
from sessions.views.saving import SAVED, save
from sessions.views.screens import new_key
from sessions.views.visits import banner_of, nurses_of

ME = "me"
"""Whose chairs a sheet is about, in its address: one's own; else a nurse, or all."""


@access("view_patient")
def nurses(request: ClinicRequest) -> HttpResponse:
    """Every visit in a chair by its nurse; taken over or given in one act."""
    at = timezone.now()
    seated = InfusionSession.objects.of(request.clinic).in_a_chair()
    charts = cards_of(for_cards(seated), at=at)
    charts.sort(key=lambda chart: chart.session.chair.position)
    staff = nurses_of(request.clinic)
    context = {
        "groups": _by_nurse(charts, staff),
        "may_chart": request.user.may("chart"),
        "may_allocate": request.user.may("allocate"),
        "staff": staff,
        "new_key": new_key,
        "now": at,
    }
    return render(request, "handover/nurses.html", context)


@access("allocate", methods=("POST",))
def assign(request: ClinicRequest, pk: int) -> HttpResponse:
    """The charge nurse gives one visit to a nurse."""
    session = session_in_reach(request, pk)
    form = AssignForm(
        request.POST,
        clinic=request.clinic,
        at=timezone.now(),
        nurses=nurses_of(request.clinic),
    )
    status = save(
        request,
        form,
        lambda by: infusions.assign_nurse(
            session=session,
            nurse=form.chosen,
            by=by,
            seen_version=form.seen_version,
        ),
    )
    if status == SAVED:
        words = _("Chair %(chair)s: %(nurse)s.")
        given = {"chair": session.chair or "–", "nurse": form.chosen.name}
        messages.success(request, words % given)
    else:
        messages.error(request, _("NOT SAVED: %(why)s") % {"why": first_error(form)})
    return redirect("nurses" if request.user.may("view_patient") else "board")


@access("view_patient")
def sheet(request: ClinicRequest) -> HttpResponse:
    """What the next shift has to know: one nurse's chairs, or all (H2)."""
    at = timezone.now()
    staff = {str(nurse.pk): nurse for nurse in nurses_of(request.clinic)}
    wanted = request.GET.get("nurse", ME)
    nurse = request.user if wanted == ME else staff.get(wanted)
    seated = InfusionSession.objects.of(request.clinic).in_a_chair()
    if nurse is not None:
        seated = seated.filter(nurse=nurse)
    visits = for_charts(seated).order_by("chair__position", "chair__name", "pk")
    sides = bedsides_of(visits, at=at)
    view_of(
        "handover.print",
        by=actor(request),
        subject=request.clinic,
        patient=None,
        nurse=nurse and nurse.pk,
        visits=[side.session.pk for side in sides],
    )
    context = {
        "sides": sides,
        "nurse": nurse,
        "staff": staff.values(),
        "now": at,
    }
    return render(request, "handover/sheet.html", context)


@access("chart", methods=("GET", "POST"))
def note(request: ClinicRequest, pk: int) -> HttpResponse:
    """What the next nurse of this visit should know."""
    session = session_in_reach(request, pk)
    at = timezone.now()
    standing = notes.standing_note(session)
    form = NoteForm(
        request.POST if request.method == "POST" else None,
        clinic=request.clinic,
        at=at,
        initial={
            "text": standing.text if standing else "",
            "replaces": str(standing.pk) if standing else "",
        },
    )
    status = 200
    if request.method == "POST":
        status = save(
            request,
            form,
            lambda by: notes.write_note(
                session=session,
                text=form.cleaned_data["text"],
                replaces=form.cleaned_data["replaces"],
                by=by,
            ),
        )
        if status == SAVED:
            messages.success(request, _("The note is saved."))
            return redirect("infusion-detail", pk)
    context = {
        "session": session,
        "form": form,
        "standing": standing,
        "banner": banner_of(session),
        "now": at,
    }
    return render(request, "handover/note.html", context, status=status)


def _by_nurse(charts: list, staff: list[User]) -> list[tuple[User | None, list]]:
    """Charts under their nurse; nurses without a chair last, nobody's chairs first."""
    found: dict[int | None, list] = {}
    for chart in charts:
        found.setdefault(chart.session.nurse_id, []).append(chart)
    named = {nurse.pk: nurse for nurse in staff}
    named |= {c.session.nurse_id: c.session.nurse for c in charts if c.session.nurse}
    nobody = [(None, found[None])] if None in found else []
    busy = sorted(
        ((nurse, found[pk]) for pk, nurse in named.items() if pk in found),
        key=lambda pair: pair[0].name,
    )
    idle = [(nurse, []) for nurse in staff if nurse.pk not in found]
    return [*nobody, *busy, *idle]
