"""Alarms of the other chairs, and who else looks, in the top bar of a visit."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from sessions import clocks
from sessions.access import ClinicRequest, access, actor
from sessions.alarms import alarms_of
from sessions.middleware import POLL
from sessions.services.onlookers import look


@access("view_patient")
def others(request: ClinicRequest) -> HttpResponse:
    """Open flags of every chair but the one on the screen; 204 while none changed.

    And who else has this visit open: each page that asks here is heard of so (H15); and
    that the server's clock was set (H14).
    """
    at = timezone.now()
    here = request.GET.get("but", "")
    known = here.isascii() and here.isdigit() and len(here) <= 10
    also = look(int(here), by=actor(request)) if known else []
    charts = [
        chart
        for chart in alarms_of(request.clinic, at=at)
        if str(chart.session.pk) != here
    ]
    parts = [f"{c.session.pk}.{c.loud_flags[0].flag.pk}" for c in charts]
    parts += [f"u{row.user_id}" for row in also]
    if step := clocks.server.step:
        parts.append(f"c{step.minutes}")
    shown = "-".join(parts)
    if request.GET.get("shown", "") == shown:
        return HttpResponse(status=204)
    context = {
        "alarms": charts,
        "also": also,
        "but": here,
        "shown": shown,
        "now": at,
    }
    return render(request, "components/_alarm.html", context)


setattr(others, POLL, True)
