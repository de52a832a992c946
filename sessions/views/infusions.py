"""The session page: one visit at the chair, and its parts."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from sessions.access import access, actor, chart_in_reach, session_in_reach
from sessions.charts import charts_of, read_course
from sessions.drawing import draw
from sessions.middleware import POLL
from sessions.models import Stage
from sessions.services.acts import view_of
from sessions.views.now_bar import bar, bar_token
from sessions.views.screens import full_screen

BEFORE_START = (Stage.PLANNED, Stage.CHECKED_IN, Stage.ASSESSED)


@access("view_patient")
def detail(request, pk):
    """A running, observing or finished visit; before the Start, its preparation."""
    session = session_in_reach(request, pk)
    if session.stage in BEFORE_START:
        return redirect("infusion-prepare", pk=pk)
    chart = charts_of([session], at=timezone.now())[0]
    by = actor(request)
    view_of("session.view", by=by, subject=session, patient=session.patient)
    return render(request, "infusions/detail.html", full_screen(request, chart))


@access("view_patient")
def now_bar(request, pk):
    """The infusion now, fetched again and again; 204 while it would show the same.

    Forms of the page keep what is typed; that somebody else charted is said beside.
    """
    chart = chart_in_reach(request, pk)
    if request.GET.get("seen", "") == bar_token(chart):
        return HttpResponse(status=204)
    drawn = request.GET.get("drawn", "")
    known = drawn.isdecimal() and len(drawn) < 10
    shown = bar(chart) | ({"drawn": int(drawn)} if known else {})
    if shown["drawn"] != chart.session.version:
        shown["elsewhere"] = reverse("infusion-detail", args=[pk])
    context = {"bar": shown, "now": chart.at}
    return render(request, "components/_nowbar.html", context)


setattr(now_bar, POLL, True)


@access("view_patient")
def drawing(request, pk):
    """The observation chart alone, fetched after each act of the page."""
    chart = chart_in_reach(request, pk)
    read_course(chart)
    context = {"chart": chart, "drawing": draw(chart), "now": chart.at}
    return render(request, "infusions/_chart.html", context)
