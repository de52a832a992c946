"""The downtime sheet of one visit, to be printed while the server still answers."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from sessions.access import ClinicRequest, access, actor, session_in_reach
from sessions.bedsides import bedsides_of
from sessions.services.acts import view_of


@access("view_patient")
def sheet(request: ClinicRequest, pk: int) -> HttpResponse:
    """The same page as in the downtime folder, as the visit stands now (H7)."""
    session = session_in_reach(request, pk)
    at = timezone.now()
    (side,) = bedsides_of([session], at=at)
    view_of(
        "session.print",
        by=actor(request),
        subject=session,
        patient=session.patient,
        page="downtime sheet",
    )
    context = {"side": side, "banner": side.banner, "now": at}
    return render(request, "downtime/sheet.html", context)
