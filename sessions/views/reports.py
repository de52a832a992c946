"""Reports: counted, shown, printed and taken along; the same numbers each time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.access import ClinicRequest, access, actor
from sessions.exports import Table
from sessions.forms.reports import (
    FlagsForm,
    ReactionForm,
    ReductionForm,
    ReportForm,
    VitalsForm,
)
from sessions.reports import flags, reactions, reductions, vitals
from sessions.reports.drawing import Picture, picture
from sessions.reports.results import Report, plain_text
from sessions.reports.scope import Scope, known_filters
from sessions.services.acts import export_of, view_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One report: its name, what it answers, and how it is asked and counted."""

    key: str
    title: str
    answers: str
    form: type[ReportForm]
    scope: type[Scope]
    groupings: dict[str, str]
    count: Callable[..., Report]


KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            key="reactions",
            title=_lazy("Reactions per 100 infusions"),
            answers=_lazy(
                "How many infusions had a reaction, of which grade and "
                "when, with the interval in which the true rate may lie."
            ),
            form=ReactionForm,
            scope=reactions.ReactionScope,
            groupings=reactions.GROUPINGS,
            count=reactions.count,
        ),
        Kind(
            key="reductions",
            title=_lazy("Time to a lower rate"),
            answers=_lazy(
                "How long it took from the onset of a reaction, or from a "
                "flag, until the rate was reduced, paused or stopped in "
                "answer to it."
            ),
            form=ReductionForm,
            scope=reductions.ReductionScope,
            groupings=reductions.GROUPINGS,
            count=reductions.count,
        ),
        Kind(
            key="vitals",
            title=_lazy("Vital signs on time"),
            answers=_lazy(
                "Which sets of vital signs that the protocol asked for "
                "were taken on time, late or not at all."
            ),
            form=VitalsForm,
            scope=vitals.VitalsScope,
            groupings=vitals.GROUPINGS,
            count=vitals.count,
        ),
        Kind(
            key="flags",
            title=_lazy("Flags and overrides"),
            answers=_lazy(
                "How many flags each rule raised, how many were acted on and "
                "how many overridden, and which rules go to review."
            ),
            form=FlagsForm,
            scope=flags.FlagScope,
            groupings=flags.GROUPINGS,
            count=flags.count,
        ),
    )
}


@dataclass(slots=True, kw_only=True)
class Asked:
    """A question and, once it was understood, its answer."""

    kind: Kind
    form: ReportForm
    at: datetime
    scope: Scope | None = None
    report: Report | None = None
    file: Table | None = None
    picture: Picture | None = None
    context: dict = field(default_factory=dict)


@access("view_report")
def index(request: ClinicRequest) -> HttpResponse:
    """The reports there are, and what each answers."""
    return render(request, "reports/index.html", {"kinds": KINDS.values()})


@access("view_report")
def show(request: ClinicRequest, key: str) -> HttpResponse:
    """One report; the question stands above the answer, and either may be wrong."""
    asked = _ask(request, key)
    _seen(request, asked, "report.view")
    page = "reports/_report.html" if request.htmx else "reports/report.html"
    return render(request, page, asked.context, status=200 if asked.report else 422)


@access("view_report")
def printed(request: ClinicRequest, key: str) -> HttpResponse:
    """The same on paper."""
    asked = _ask(request, key)
    if asked.report is None:
        return render(request, "reports/report.html", asked.context, status=422)
    _seen(request, asked, "report.print")
    return render(request, "reports/print.html", asked.context)


@access("export_report")
def export(
    request: ClinicRequest, key: str, write: Callable[[Table], HttpResponse] = Table.csv
) -> HttpResponse:
    """The same as a file: CSV, or a workbook."""
    asked = _ask(request, key)
    if asked.file is None:
        return render(request, "reports/report.html", asked.context, status=422)
    told = _numbers_of(request, asked, asked.file)
    export_of("report.export", **told, format=write.__name__)
    return write(asked.file)


def _ask(request: ClinicRequest, key: str) -> Asked:
    """Read the question and count; an address outside the list is not there (404)."""
    kind = KINDS.get(key)
    if kind is None:
        raise Http404
    at = timezone.now()
    products, indications = known_filters(request.clinic)
    form = kind.form(
        request.GET,
        clinic=request.clinic,
        at=at,
        groupings=kind.groupings,
        products=products,
        indications=indications,
    )
    asked = Asked(kind=kind, form=form, at=at)
    if form.is_valid():
        asked.scope = kind.scope(**form.scope)
        asked.report = kind.count(asked.scope)
        asked.file = _file(request, asked.scope, asked.report)
        asked.picture = picture(asked.report)
    asked.context = {
        "kind": kind,
        "kinds": KINDS.values(),
        "form": form,
        "counted_at": at,
        "scope": asked.scope,
        "report": asked.report,
        "file": asked.file,
        "picture": asked.picture,
        "is_part": bool(request.htmx),
        "may_export": request.user.may("export_report"),
    }
    return asked


def _file(request: ClinicRequest, scope: Scope, report: Report) -> Table:
    about = [
        (_("Report"), report.title),
        (
            _("Period"),
            _("{days}, whole days in {time_zone}").format(
                days=scope.days, time_zone=scope.clinic.time_zone
            ),
        ),
        (
            _("Times"),
            _("{zones}; days begin at midnight there").format(zones=scope.zones),
        ),
        *scope.chosen,
        (_("Found"), plain_text(report.sentence) if report.is_found else _("0 match")),
        (_("Left out"), "; ".join(report.left_out) or _("nothing")),
        *report.definitions,
        (_("Caution"), report.caution),
    ]
    return Table(
        name=f"{report.key}-{scope.first}-to-{scope.last}",
        about=about,
        heads=report.heads,
        rows=report.file_rows,
        clinic=request.clinic,
        user=request.user,
        at=scope.at,
    )


def _seen(request: ClinicRequest, asked: Asked, action: str) -> None:
    """Write down who looked at which numbers."""
    if asked.file is not None:
        view_of(action, **_numbers_of(request, asked, asked.file))


def _numbers_of(request: ClinicRequest, asked: Asked, file: Table) -> dict[str, Any]:
    """Who asked, and which numbers they were given, as the audit keeps it."""
    return {
        "by": actor(request),
        "subject": request.clinic,
        "patient": None,
        "report": asked.kind.key,
        "question": asked.form.query,
        "period": asked.scope.days,
        "rows": file.row_count,
        "sha256": file.sha256,
    }
