"""What the session screen shows of a chart: its regions, and the acts they offer.

Only words and places for what `sessions.charts` worked out; no number is made here.
"""

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django_htmx.http import trigger_client_event

from sessions.access import ClinicRequest, chart_in_reach
from sessions.catalogue.reactions import vocabulary
from sessions.charts import RaisedFlag, SessionChart, read_course
from sessions.drawing import draw
from sessions.forms.corrections import WithdrawForm
from sessions.forms.reactions import PREFIX
from sessions.forms.vitals import VitalsForm, earliest_of
from sessions.models import (
    Allergy,
    FlagPriority,
    RateReason,
    ReactionOutcome,
    ResumeReason,
    Stage,
)
from sessions.rules.language import say
from sessions.rules.quantities import plain
from sessions.services.notes import standing_note
from sessions.services.rates import lower_rungs, step_held
from sessions.services.records import rate_at
from sessions.views.acting import Attempt
from sessions.views.flag_panels import flag_panel, prescriber_of, rung_details
from sessions.views.now_bar import bar

CHANGED = "visit-changed"
"""The event after which the drawing of a visit fetches itself anew."""

REGIONS = ("visit-now", "visit-acts", "visit-evidence")
"""Ids of the parts that every answer replaces at once."""


def new_key() -> str:
    """A submission key; called once for each form that is drawn."""
    return str(uuid.uuid4())


def vitals_form(chart: SessionChart, data=None, form=VitalsForm, **given) -> VitalsForm:
    """The form of one visit: its clinic, the patient's age, baseline and last set."""
    session = chart.session
    day = session.clinic.day_of(chart.at)
    return form(
        data,
        clinic=session.clinic,
        at=chart.at,
        age_years=session.patient.age_on(day),
        last=chart.last_vitals,
        baseline=chart.baseline,
        earliest=earliest_of(session.scheduled_at),
        **given,
    )


def screen(request: ClinicRequest, chart: SessionChart, **given: Any) -> dict[str, Any]:
    """Context of the three regions; costs no query."""
    session = chart.session
    may_chart = request.user.may("chart") and session.stage in (
        Stage.CHECKED_IN,
        Stage.ASSESSED,
        Stage.INFUSING,
        Stage.OBSERVING,
    )
    may_correct = request.user.may("chart") and not session.entered_in_error
    fresh = given.get("fresh_flag")
    step = None if step_held(chart, with_set_now=True) else chart.running.next_rung
    lower = lower_rungs(chart)
    panels = [flag_panel(chart, raised, fresh) for raised in chart.loud_flags]
    context = {
        "chart": chart,
        "session": session,
        "patient": session.patient,
        "chair": session.chair,
        "now": chart.at,
        "new_key": new_key,
        "may_chart": may_chart,
        "may_correct": may_correct,
        "may_override": request.user.may("override_hard_stop"),
        "bar": bar(chart),
        "panels": panels,
        "halted_above": any(panel.halts for panel in panels),
        "low_panels": [
            flag_panel(chart, raised)
            for raised in chart.open_flags
            if raised.flag.priority == FlagPriority.LOW
        ],
        "rechecks": chart.rechecks,
        "form": given.get("form") or _fresh_form(chart, given),
        "saved": _saved(chart, given),
        "step": step,
        "step_details": rung_details(chart, step.pump_ml_per_h) if step else "",
        "lower": lower[0] if lower else None,
        "lower_details": rung_details(chart, lower[0].pump_ml_per_h) if lower else "",
        "paused_since": chart.rates[-1].event_time if chart.rates else None,
        "prescriber": prescriber_of(chart),
        "reasons": RateReason.choices,
        "resume_reasons": ResumeReason.choices,
        "resume_choices": _resume_choices(chart),
        "outcomes": ReactionOutcome.Kind.choices,
        "unsettled": [seen for seen in chart.reactions if not seen.is_over],
        "rows": table_rows(chart),
        "regions": REGIONS,
        "target": request.htmx.target if request.htmx else None,
        "links": links(session.pk),
    }
    return context | given


def _fresh_form(chart: SessionChart, given: dict[str, Any]) -> VitalsForm:
    """An empty form; after another act what was typed in the old one stays in place."""
    form = vitals_form(chart)
    if given.get("keep_typing"):
        for name in form.fields:
            form.fields[name].widget.attrs["hx-preserve"] = "true"
    return form


def full_screen(
    request: ClinicRequest, chart: SessionChart, **given: Any
) -> dict[str, Any]:
    """Context of the whole page: the regions, the banner, chips, what was given."""
    if not chart.medicines and not chart.vials:
        read_course(chart)
    context = screen(request, chart, **given)
    return context | {
        "banner": banner(chart),
        "drawing": draw(chart),
        "note": standing_note(chart.session),
        "chips": chips({}),
        "more": all_chips({}),
        "target": None,
    }


def answer(
    request: ClinicRequest, chart: SessionChart, *, status: int = 200, **given: Any
) -> HttpResponse:
    """Answer an act: the regions for htmx, the page or a redirect for a plain form.

    What waited for the line is answered while something else is being typed.
    """
    if "Waited" in request.headers:
        given["keep_typing"] = True
    if request.htmx:
        context = screen(request, chart, **given)
        context["told"] = status == 200 and not given.get("resent")
        page = render(request, "infusions/_answer.html", context, status=status)
        return trigger_client_event(page, CHANGED) if status == 200 else page
    if status == 200:
        return redirect("infusion-detail", pk=chart.session.pk)
    context = full_screen(request, chart, **given)
    return render(request, "infusions/detail.html", context, status=status)


def answer_act(
    request: ClinicRequest, pk: int, went: Attempt, **given: Any
) -> HttpResponse:
    """Answer an act with the visit as it stands now; `given` is for a refusal.

    What is typed beside it stays.
    """
    chart = chart_in_reach(request, pk)
    if went.saved:
        return answer(request, chart, keep_typing=True)
    given |= {"status": went.status, "notice": went.message}
    return answer(request, chart, keep_typing=True, **given)


def banner(chart: SessionChart) -> dict[str, Any]:
    """The patient, from the same visit as everything below."""
    session, version = chart.session, chart.order_version
    return {
        "patient": session.patient,
        "chair": session.chair.name if session.chair else "",
        "allergies": list(Allergy.objects.filter(patient=session.patient).current()),
        "weight": chart.start.weight if chart.start else None,
        "order": version.words if version else "",
        "nurse": session.nurse,
    }


def _resume_choices(chart: SessionChart) -> list[dict[str, Any]]:
    """Rates to go on at: the proposed one first, then slower and faster rungs."""
    proposed = chart.restart
    if proposed is None:
        return []
    rates = {rung.pump_ml_per_h for rung in chart.rungs} - {proposed.ml_per_h}
    return [
        {
            "rate": plain(rate),
            "faster": rate > proposed.ml_per_h,
            "proposed": rate == proposed.ml_per_h,
        }
        for rate in (proposed.ml_per_h, *sorted(rates))
    ]


def withdraw_form(chart: SessionChart, data: Any = None) -> WithdrawForm:
    """Why a row is withdrawn; it stands on one page with the form that corrects it."""
    return WithdrawForm(
        data,
        clinic=chart.session.clinic,
        at=chart.at,
        is_signed=chart.session.stage == Stage.DISCHARGED,
        auto_id="withdraw_%s",
    )


def table_rows(chart: SessionChart) -> list[dict[str, Any]]:
    """Every set, newest first, with the rate of its moment; corrected ones readable."""
    replaced = {
        row.supersedes_id: row for row in chart.every_vitals if row.supersedes_id
    }
    hits = {raised.flag.vitals_id: raised for raised in chart.flags}
    late_after = chart.session.clinic.late_entry_minutes
    rows = []
    for row in sorted(chart.every_vitals, key=lambda r: (r.event_time, r.pk))[::-1]:
        if row.entered_in_error:
            continue
        newer = replaced.get(row.pk)
        raised = hits.get(row.pk)
        rows.append(
            {
                "set": row,
                "rate": rate_at(chart, row),
                "late": row.is_late(late_after),
                "flag": raised.flag if raised else None,
                "replaced_by": newer,
                "is_baseline": chart.baseline is not None
                and chart.baseline.pk == row.pk,
                "hit": _hit_names(raised),
                "news": (row.news2 or {}).get("parts", {}),
                "news_band": NEWS2_LOOKS.get((row.news2 or {}).get("band"), 0),
            }
        )
    return rows


NEWS2_LOOKS = {"low-medium": 1, "medium": 2, "high": 3}
"""Bands of the total, with the look of a part that scores as much."""


def _hit_names(raised: RaisedFlag | None) -> set[str]:
    if raised is None:
        return set()
    return {
        value["name"] for found in raised.flag.findings for value in found["values"]
    }


def chips(chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The quick choices at the chair, with what was tapped."""
    return [
        {
            "name": PREFIX + chip.reaction,
            "legend": say(chip.label),
            "chosen": chosen.get(chip.reaction, ""),
        }
        for chip in vocabulary().chips
    ]


def all_chips(chosen: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    """Every reaction of the catalogue that a word finds, quick choices left out."""
    quick = {chip.reaction for chip in vocabulary().chips}
    words = query.casefold().split()
    found = []
    for reaction in vocabulary().reactions:
        text = " ".join(
            (
                *(reaction.label, *reaction.synonyms),
                *map(say, (reaction.label, *reaction.synonyms)),
            )
        ).casefold()
        if reaction.key in quick and reaction.key not in chosen and not words:
            continue
        if all(word in text for word in words) or reaction.key in chosen:
            found.append(
                {
                    "name": PREFIX + reaction.key,
                    "legend": say(reaction.label),
                    "chosen": chosen.get(reaction.key, ""),
                }
            )
    return [each for each in found if each["name"].removeprefix(PREFIX) not in quick]


def _saved(chart: SessionChart, given: dict[str, Any]) -> Any:
    """The set that was just saved, or the one whose flag is still open."""
    if given.get("saved"):
        return given["saved"]
    if chart.loud_flags and chart.loud_flags[0].flag.vitals_id:
        wanted = chart.loud_flags[0].flag.vitals_id
        last = chart.last_vitals
        return last if last is not None and last.pk == wanted else None
    return None


def links(pk: int) -> dict[str, str]:
    """The other pages of the visit: preparation, end, discharge, record."""
    names = ("prepare", "end", "discharge", "record")
    return {name: reverse(f"infusion-{name}", args=[pk]) for name in names}
