"""One visit at any of its minutes, on a slider (H6)."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import replace_url

from sessions.access import ClinicRequest, access, actor, session_in_reach
from sessions.board import card_of
from sessions.drawing import draw
from sessions.replay import Span, chart_then, span_of
from sessions.services.acts import view_of
from sessions.views.flag_panels import flag_panel
from sessions.views.now_bar import bar
from sessions.views.screens import banner, table_rows

PARTS = {
    "replay": "infusions/_replay.html",
    "replay-moment": "infusions/_replay_moment.html",
}
"""What an answer draws, by the region that asked for it."""


@access("view_patient")
def show(request: ClinicRequest, pk: int) -> HttpResponse:
    """Board card, now bar, chart and flags as they were at a minute.

    Looking is audited when the page is opened, not at each move of the slider.
    """
    session = session_in_reach(request, pk)
    span = span_of(session, at=timezone.now())
    minute = _minute(request.GET.get("minute", ""), span)
    moment = span.at(minute)
    chart = chart_then(session, at=moment)
    part = PARTS.get(request.htmx.target or "") if request.htmx else None
    if part is None:
        view_of(
            "session.view",
            by=actor(request),
            subject=session,
            patient=session.patient,
            page="replay",
        )
    context = {
        "session": session,
        "span": span,
        "minute": minute,
        "moment": moment,
        "before": span.before(minute),
        "after": span.after(minute),
        "came_later": span.came_later(moment),
        "address": reverse("infusion-replay", args=[pk]),
        "chart": chart,
        "clinic": chart.session.clinic,
        "card": card_of(chart),
        "bar": bar(chart) | {"address": "", "tells": []},
        "panels": [flag_panel(chart, raised) for raised in chart.open_flags],
        "drawing": draw(chart) if chart.rates or chart.vitals else None,
        "rows": table_rows(chart),
        "may_chart": False,
    }
    if part is None:
        page = context | {"banner": banner(chart)}
        return render(request, "infusions/replay.html", page)
    answer = render(request, part, context | {"is_part": True})
    return replace_url(answer, f"{context['address']}?minute={minute}")


def _minute(text: str, span: Span) -> int:
    """The minute that was asked for; the end of the visit, or now, without one."""
    known = text.isascii() and text.isdigit() and len(text) <= 6
    return min(int(text), span.last) if known else span.last
