"""The clinic's protocol: what is in force, its versions, drafting and approving."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import access
from sessions.catalogue.reactions import labels
from sessions.forms.protocols import (
    DECIDED_ELSEWHERE,
    PARTS,
    SECTIONS,
    ApproveForm,
    ProtocolDraftForm,
    RetireForm,
    ShipForm,
    words_of,
)
from sessions.models import ProtocolEvent, ProtocolVersion
from sessions.rules.language import inside, phrase, say
from sessions.rules.policy import MonitoringPolicy
from sessions.rules.thresholds import Phase, Threshold
from sessions.rules.words import for_whom, threshold_words
from sessions.services import protocols
from sessions.services.sign_ins import confirm_password
from sessions.views.saving import SAVED, save

SCHEDULES = ("schedule", "reaction_course")


def version_in_reach(request, pk: int) -> ProtocolVersion:
    """A version of the user's clinic with its events, or 404."""
    return get_object_or_404(
        ProtocolVersion.objects.of(request.clinic)
        .select_related("protocol", "recorded_by")
        .prefetch_related(
            Prefetch(
                "events",
                ProtocolEvent.objects.select_related("recorded_by").order_by("id"),
            )
        ),
        pk=pk,
    )


def state_of(version: ProtocolVersion) -> str:
    """`draft`, `in force` or `retired`, said where it is shown."""
    kinds = {event.kind for event in version.events.all()}
    if ProtocolEvent.Kind.RETIRED in kinds:
        return phrase("retired")
    if ProtocolEvent.Kind.APPROVED in kinds:
        return phrase("in force")
    return phrase("draft")


@access("view_catalogue")
def versions(request):
    """Every version, newest first; the one in force is shown by its own page."""
    found = (
        ProtocolVersion.objects.of(request.clinic)
        .select_related("protocol", "recorded_by")
        .prefetch_related("events__recorded_by")
        .order_by("protocol__name", "-number")
    )
    rows = [{"version": each, "state": state_of(each)} for each in found]
    context = {
        "rows": rows,
        "in_force": next(
            (r["version"] for r in rows if r["state"] == "in force"), None
        ),
        "ship": ShipForm(clinic=request.clinic, at=timezone.now())
        if not rows
        else None,
        "may_draft": request.user.may("draft_protocol"),
        "tab": "protocol",
    }
    return render(request, "protocols/versions.html", context)


@access("view_catalogue")
def version(request, pk):
    """One version as tables, with what it changes and what may be done with it."""
    found = version_in_reach(request, pk)
    return _version_page(request, found)


def _version_page(request, found, *, approve=None, retire=None, status=200):
    at, clinic = timezone.now(), request.clinic
    state = state_of(found)
    current = protocols.in_force(clinic)
    may_approve = request.user.may("approve_protocol")
    own = found.recorded_by_id == request.user.pk
    context = {
        "version": found,
        "state": state,
        "own": own,
        "approve": approve or ApproveForm(clinic=clinic, at=at, prefix=None),
        "retire": retire or RetireForm(clinic=clinic, at=at, auto_id="retire_%s"),
        "show_approve": state == "draft" and may_approve and not own,
        "show_retire": state != "retired" and may_approve,
        "may_draft": request.user.may("draft_protocol"),
        "compared": current if current and current.pk != found.pk else None,
        "changes": list(changes(current.document, found.document))
        if current and current.pk != found.pk
        else [],
        "tab": "protocol",
    } | tables(found)
    return render(request, "protocols/version.html", context, status=status)


def tables(found: ProtocolVersion) -> dict[str, Any]:
    """A version's document as the tables of its page."""
    policy = found.policy.monitoring
    document = found.document
    return {
        "settings": [
            (SECTIONS[name], list(_settings(name, table)))
            for name, table in document["dosing"].items()
        ]
        + [
            (SECTIONS[name], list(_settings(name, document["monitoring"][name])))
            for name in SCHEDULES
        ],
        "acts": list(policy.acts.values()),
        "thresholds": [_threshold(rule) for rule in policy.thresholds],
        "labs": [_threshold(rule) for rule in policy.lab_thresholds],
        "reactions": _reactions(policy),
        "timing": policy.timing,
        "news2_source": policy.news2.source,
    }


def _settings(section: str, table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, entry in table.items():
        label, unit = words_of(key)
        if isinstance(entry, Mapping) and (section, key) not in DECIDED_ELSEWHERE:
            yield {
                "label": label,
                "value": _value(entry["value"]),
                "unit": unit,
                "note": entry.get("note", ""),
                "source": entry["source"],
                "verified": entry.get("verified", True),
            }


def _value(value: Any) -> Any:
    """A number as it stands, a word of the protocol as a screen writes it."""
    is_word = isinstance(value, str) and value[:1].isalpha()
    return inside(words_of(value)[0]) if is_word else value


def _threshold(rule: Threshold) -> dict[str, Any]:
    return {
        "rule": rule,
        "words": threshold_words(rule),
        "phases": ", ".join(say(each.value) for each in Phase if each in rule.phases),
        "who": for_whom(rule),
    }


def _reactions(policy: MonitoringPolicy) -> list[dict[str, Any]]:
    named = labels()
    return [
        {
            "rule": rule,
            "name": named.get(rule.reaction, rule.reaction.replace("_", " ")),
            "severities": ", ".join(
                say(severity.value) for severity in rule.severities
            ),
        }
        for rule in policy.reactions.rows
    ]


def changes(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Every value that differs between two documents: its key, then, now."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from changes(before.get(key), after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        yield from changes(_by_rule(before), _by_rule(after), path)
    elif before != after:
        yield path.lstrip("."), _shown(before), _shown(after)


def _by_rule(rows: list[Any]) -> dict[str, Any]:
    return {
        str(row.get("rule", place) if isinstance(row, Mapping) else place): row
        for place, row in enumerate(rows)
    }


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@access("draft_protocol", methods=("GET", "POST"))
def draft(request, pk, part="doses"):
    """A copy of a version with other values in one part, kept as the next version."""
    base = version_in_reach(request, pk)
    if part not in PARTS:
        raise Http404
    options = {
        "clinic": request.clinic,
        "at": timezone.now(),
        "document": base.document,
        "part": part,
    }
    status = 200
    if request.method == "POST":
        form, made = ProtocolDraftForm(request.POST, **options), []
        status = save(
            request,
            form,
            lambda by: made.append(
                protocols.draft_version(
                    protocol=base.protocol,
                    document=form.edited(),
                    note=form.cleaned_data["note"],
                    based_on=base,
                    by=by,
                )
            ),
        )
        if status == SAVED:
            messages.success(request, _("Drafted. Somebody else approves it now."))
            return (
                redirect("protocol-version", made[0].pk)
                if made
                else redirect("protocols")
            )
    else:
        form = ProtocolDraftForm(**options)
    context = {
        "form": form,
        "base": base,
        "part": part,
        "parts": [(name, words) for name, (words, _) in PARTS.items()],
        "tab": "protocol",
    }
    return render(request, "protocols/draft.html", context, status=status)


@access("approve_protocol", methods=("POST",))
def approve(request, pk):
    """Put a version in force, signed by somebody who did not write it."""
    found = version_in_reach(request, pk)
    form = ApproveForm(request.POST, clinic=request.clinic, at=timezone.now())

    def do(by):
        confirm_password(by=by, password=form.cleaned_data["password"])
        return protocols.approve_version(version=found, by=by)

    status = save(request, form, do)
    if status == SAVED:
        messages.success(request, _("{found} is in force.").format(found=found))
        return redirect("protocol-version", found.pk)
    return _version_page(request, found, approve=form, status=status)


@access("approve_protocol", methods=("POST",))
def retire(request, pk):
    """Take a version out of use."""
    found = version_in_reach(request, pk)
    form = RetireForm(
        request.POST, clinic=request.clinic, at=timezone.now(), auto_id="retire_%s"
    )

    def do(by):
        confirm_password(by=by, password=form.cleaned_data["password"])
        return protocols.retire_version(
            version=found, reason=form.cleaned_data["reason"], by=by
        )

    status = save(request, form, do)
    if status == SAVED:
        messages.success(request, _("{found} is retired.").format(found=found))
        return redirect("protocol-version", found.pk)
    return _version_page(request, found, retire=form, status=status)


@access("draft_protocol", methods=("POST",))
def ship(request):
    """Take the shipped protocol as this clinic's first draft."""
    form = ShipForm(request.POST, clinic=request.clinic, at=timezone.now())
    status = save(
        request, form, lambda by: protocols.ship_default_protocol(request.clinic, by)
    )
    if status != SAVED:
        messages.error(request, " ".join(form.non_field_errors()) or _("Not saved."))
    return redirect("protocols")
