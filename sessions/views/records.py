"""The record of one visit: on the screen, on paper and as PDF."""

import hashlib
import io

from django.contrib import messages
from django.http import FileResponse, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions import paper
from sessions.access import ClinicRequest, access, actor, session_in_reach
from sessions.drawing import draw
from sessions.models import (
    DischargeReason,
    HardStopReason,
    InfusionSession,
    Note,
    WarningReason,
)
from sessions.services.acts import export_of, view_of
from sessions.services.records import record_of
from sessions.views.preparation_words import answer_words
from sessions.views.visits import banner_of

PAGE = "infusions/record.html"
GATE_REASONS = (
    dict(DischargeReason.choices)
    | dict(HardStopReason.choices)
    | dict(WarningReason.choices)
)


@access("view_patient")
def show(request: ClinicRequest, pk: int) -> HttpResponse:
    """One visit on paper: planned against actual, and all that happened (H4)."""
    session = session_in_reach(request, pk)
    view_of(
        "session.print", by=actor(request), subject=session, patient=session.patient
    )
    return render(request, PAGE, _context(request, session))


@access("view_patient")
def as_pdf(request: ClinicRequest, pk: int) -> HttpResponse:
    """The same page as a file; the audit keeps which file it was."""
    session = session_in_reach(request, pk)
    try:
        file = paper.pdf_of(paper.page_alone(PAGE, _context(request, session), request))
    except paper.NoPdf:
        words = _(
            "This server cannot make PDF: it lacks the library Pango "
            "(see docs/operations.md). This page prints all the same."
        )
        messages.error(request, words)
        return redirect("infusion-record", pk)
    export_of(
        "session.export",
        by=actor(request),
        subject=session,
        patient=session.patient,
        format="pdf",
        sha256=hashlib.sha256(file).hexdigest(),
    )
    name = f"session-record-S-{session.pk}.pdf"
    return FileResponse(
        io.BytesIO(file),
        as_attachment=True,
        filename=name,
        content_type="application/pdf",
    )


def _context(request: ClinicRequest, session: InfusionSession) -> dict:
    at = timezone.now()
    record = record_of(session, at=at)
    start = record.chart.start
    return {
        "session": session,
        "record": record,
        "checked": answer_words(session, record.chart.screening),
        "drawing": draw(record.chart) if record.chart.rates else None,
        "gate_reasons": GATE_REASONS,
        "notes": Note.objects.filter(session=session).select_related(
            "recorded_by", "superseded_by"
        ),
        "may_chart": request.user.may("chart"),
        "banner": banner_of(session, weight=start.weight if start else None),
        "now": at,
    }
