"""Alarms of the other chairs, in the top bar of a visit."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from sessions.access import ClinicRequest, access
from sessions.alarms import alarms_of
from sessions.middleware import POLL


@access("view_patient")
def others(request: ClinicRequest) -> HttpResponse:
    """Open flags of every chair but the one on the screen; 204 while none changed."""
    at = timezone.now()
    here = request.GET.get("but", "")
    charts = [
        chart
        for chart in alarms_of(request.clinic, at=at)
        if str(chart.session.pk) != here
    ]
    shown = "-".join(f"{c.session.pk}.{c.loud_flags[0].flag.pk}" for c in charts)
    if request.GET.get("shown", "") == shown:
        return HttpResponse(status=204)
    context = {"alarms": charts, "but": here, "shown": shown, "now": at}
    return render(request, "components/_alarm.html", context)


setattr(others, POLL, True)
