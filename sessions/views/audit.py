"""The audit, for those who may read it: filtered, page by page, and as a file."""

import json
from collections.abc import Callable

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from sessions.access import access, actor
from sessions.exports import Table
from sessions.forms.audit import AuditFilter, act_words, kind_words
from sessions.models import AuditEntry, instant
from sessions.services.audit import exported

ROWS = 50
HEADS = (
    *("sequence", "at", "username", "role", "action", "object", "object_id"),
    *("patient_id", "detail", "workstation", "app_version", "hash"),
)


@access("view_audit")
def entries(request):
    """Who did what to which row, newest first."""
    form = AuditFilter(request.GET, clinic=request.clinic)
    page = Paginator(_found(request, form), ROWS).get_page(request.GET.get("page"))
    for entry in page:
        entry.lines = readable(json.loads(entry.detail))
        entry.act_words = act_words(entry.action)
        entry.kind_words = kind_words(entry.object_type)
    context = {"form": form, "page": page, "query": form.query}
    return render(request, "audit/entries.html", context)


@access("view_audit", methods=("POST",))
def export(request, write: Callable[[Table], HttpResponse] = Table.csv):
    """The rows found, as a file; that they were taken along is itself an act."""
    form = AuditFilter(request.POST, clinic=request.clinic)
    by = actor(request)
    local = by.at.astimezone(request.clinic.zone)
    zone = request.clinic.time_zone
    found = _found(request, form).iterator(chunk_size=500)
    file = Table(
        name=f"audit-{local:%Y-%m-%d}",
        about=[
            (_("Report"), _("Audit")),
            (_("Filters"), form.query or _("none")),
            (
                _("Times"),
                _("in UTC; days of the filters begin at midnight in {zone}").format(
                    zone=zone
                ),
            ),
        ],
        heads=HEADS,
        rows=[_cells(row) for row in found],
        clinic=request.clinic,
        user=request.user,
        at=by.at,
    )
    exported(
        by=by,
        filters=form.query,
        rows=file.row_count,
        sha256=file.sha256,
        format=write.__name__,
    )
    return write(file)


def readable(detail: dict, prefix: str = "") -> list[tuple[str, str]]:
    """The detail of a row as lines: what, and its value; before → after as one."""
    before, after = detail.get("before"), detail.get("after")
    lines = []
    if isinstance(before, dict) and isinstance(after, dict):
        for name in after:
            if before.get(name) != after[name]:
                change = f"{_word(before.get(name))} → {_word(after[name])}"
                lines.append((name.replace("_", " "), change))
        detail = {k: v for k, v in detail.items() if k not in ("before", "after")}
    for name, value in detail.items():
        title = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, dict):
            lines += readable(value, prefix=f"{name} ")
        else:
            lines.append((title, _word(value)))
    return lines


def _word(value) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(_word(part) for part in value)
    return "–" if value in ("", None) else str(value)


def _found(request, form: AuditFilter):
    rows = AuditEntry.objects.filter(clinic=request.clinic, **form.conditions)
    return rows.order_by("-sequence")


def _cells(row: AuditEntry) -> tuple:
    return (
        *(row.sequence, instant(row.at), row.username, row.role, row.action),
        *(row.object_type, row.object_id, row.patient_id, row.detail),
        *(row.workstation, row.app_version, row.hash),
    )
