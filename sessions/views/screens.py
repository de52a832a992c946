"""What the session screen shows of a chart: its regions, and the acts they offer.

Only words and places for what `sessions.charts` worked out; no number is made here.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django_htmx.http import trigger_client_event

from sessions.access import ClinicRequest
from sessions.catalogue.reactions import vocabulary
from sessions.charts import RaisedFlag, SessionChart, read_course
from sessions.drawing import draw
from sessions.forms.reactions import PREFIX
from sessions.forms.vitals import VitalsForm, earliest_of
from sessions.models import (
    IN_A_CHAIR,
    Allergy,
    FlagAction,
    FlagPriority,
    NotDoneReason,
    OverrideReason,
    RateReason,
    ReactionOutcome,
    ResumeReason,
    Stage,
)
from sessions.rules.findings import NOT_DONE
from sessions.rules.language import say
from sessions.rules.monitoring import RECHECK_MINUTES, Owed
from sessions.rules.quantities import plain, shown
from sessions.rules.running import reduced
from sessions.services.notes import standing_note
from sessions.services.rates import lower_rungs, step_held
from sessions.services.records import rate_at

CHANGED = "visit-changed"
"""The event after which the drawing of a visit fetches itself anew."""

REGIONS = ("visit-now", "visit-acts", "visit-evidence")
"""Ids of the parts that every answer replaces at once."""


@dataclass(slots=True, kw_only=True)
class ActButton:
    """One act of a flag, with what its confirmation says."""

    action: str
    words: str
    number: str = ""
    icon: str = ""
    look: str = ""
    rate: str = ""
    big: str = ""
    details: str = ""
    confirm: str = ""


@dataclass(slots=True, kw_only=True)
class FlagPanel:
    """An open flag with its acts and what follows."""

    raised: RaisedFlag
    buttons: list[ActButton]
    keep: str
    reasons: list[tuple[str, str]]
    path: list[tuple[str, str, str]]
    steps: list[str] = field(default_factory=list)
    base_at: datetime | None = None
    last_at: datetime | None = None
    now_at: datetime | None = None
    fresh: bool = False
    recheck_at: datetime | None = None

    @property
    def flag(self):
        return self.raised.flag


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
    fresh = given.get("fresh_flag")
    step = None if step_held(chart, with_set_now=True) else chart.running.next_rung
    lower = lower_rungs(chart)
    context = {
        "chart": chart,
        "session": session,
        "patient": session.patient,
        "chair": session.chair,
        "now": chart.at,
        "new_key": new_key,
        "may_chart": may_chart,
        "may_override": request.user.may("override_hard_stop"),
        "bar": bar(chart),
        "panels": [flag_panel(chart, raised, fresh) for raised in chart.loud_flags],
        "low_panels": [
            flag_panel(chart, raised)
            for raised in chart.open_flags
            if raised.flag.priority == FlagPriority.LOW
        ],
        "rechecks": chart.rechecks,
        "form": given.get("form") or _fresh_form(chart, given),
        "saved": _saved(chart, given),
        "step": step,
        "step_details": _rung_details(chart, step.pump_ml_per_h) if step else "",
        "lower": lower[0] if lower else None,
        "lower_details": _rung_details(chart, lower[0].pump_ml_per_h) if lower else "",
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


def banner(chart: SessionChart) -> dict[str, Any]:
    """The patient, from the same visit as everything below."""
    session, version = chart.session, chart.order_version
    order = ""
    if version is not None:
        order = _("{product_name} · {given_g} g = {volume_ml} mL · v{number}").format(
            product_name=version.product_name,
            given_g=plain(version.given_g),
            volume_ml=plain(version.volume_ml),
            number=version.number,
        )
    return {
        "patient": session.patient,
        "chair": session.chair.name if session.chair else "",
        "allergies": list(Allergy.objects.filter(patient=session.patient).current()),
        "weight": chart.start.weight if chart.start else None,
        "order": order,
        "nurse": session.nurse,
    }


def bar(chart: SessionChart) -> dict[str, Any]:
    """The now bar: the same four cells in the same order in every state."""
    running = chart.running
    note = ""
    if running.projected_end_held and running.next_rung:
        held = _clock(chart, running.projected_end_held)
        note = _("on the ladder · {held} if held at {rate_ml_per_h} mL/h").format(
            held=held, rate_ml_per_h=plain(running.rate_ml_per_h)
        )
    weight = chart.start.dosing_weight_kg if chart.start else None
    return {
        "state": chart.state if chart.state != "flag-low" else _calm(chart),
        "icon": chart.icon if chart.state != "flag-low" else _calm(chart),
        "word": chart.word,
        "step_text": chart.step_text,
        "rate_ml_per_h": chart.rate_ml_per_h,
        "rate_ml_per_kg_h": chart.ml_per_kg_h,
        "weight_kg": weight,
        "cells": [_step_cell(chart), _vitals_cell(chart)],
        "given_ml": chart.volume_ml,
        "total_ml": chart.total_ml,
        "steps": chart.step_marks_ml,
        "ends_at": chart.ends_at,
        "ended": chart.ended_at is not None,
        "ends_note": note,
        "tells": _tells(chart),
        "address": reverse("infusion-bar", args=[chart.session.pk])
        if chart.session.stage in IN_A_CHAIR
        else "",
        "seen": bar_token(chart),
        "drawn": chart.session.version,
    }


def bar_token(chart: SessionChart) -> str:
    """Changes when the now bar would: with an act, a due time, and each minute."""
    due = chart.running.step_due_at
    step = due is not None and due <= chart.at
    minute = int(chart.at.timestamp()) // 60
    return f"{chart.session.version}.{chart.due_state}.{int(step)}.{minute}"


def _tells(chart: SessionChart) -> list[dict[str, Any]]:
    """What becomes due while the page is open: said once, and sounded when late."""
    pk, found = chart.session.pk, []
    due, late = chart.due, chart.late_from
    step, above = chart.running.step_due_at, chart.running.next_rung
    if due is not None:
        said = (due.at, _("Vitals due now"), 0)
        found.append((f"due-{pk}-{due.at:%d%H%M}", *said))
    if late is not None:
        found.append((f"late-{pk}-{due.at:%d%H%M}", late, _("Vitals late"), 2))
    held = chart.loud_flags or chart.rechecks
    if step is not None and above is not None and not held:
        rate = plain(above.pump_ml_per_h)
        words = _("Step %(step)d due: %(rate)s mL/h")
        words %= {"step": above.step, "rate": rate}
        found.append((f"step-{pk}-{step:%d%H%M}", step, words, 0))
    names = ("key", "at", "words", "pulses")
    return [dict(zip(names, each, strict=True)) for each in found]


def _calm(chart: SessionChart) -> str:
    if chart.session.stage == Stage.OBSERVING:
        return "observing"
    return "paused" if chart.running.state == "paused" else "running"


def _step_cell(chart: SessionChart) -> dict[str, Any]:
    running = chart.running
    if chart.session.stage in (Stage.OBSERVING, Stage.DISCHARGED):
        until = chart.observe_until
        if until is None or chart.at >= until:
            return {
                "title": _("Observation"),
                "value": _("Finished"),
                "sub": _until(chart),
            }
        return {
            "title": _("Observation"),
            "due": until,
            "unit": "min",
            "sub": _until(chart),
        }
    if running.state == "paused":
        proposed = chart.restart
        before = running.rate_before_pause_ml_per_h
        sub = (
            _("was {before} mL/h").format(before=plain(before))
            if before is not None
            else ""
        )
        if proposed is None:
            return {"title": _("Restart"), "value": "–", "sub": sub}
        return {
            "title": _("Restart proposed"),
            "value": plain(proposed.ml_per_h),
            "unit": "mL/h",
            "sub": sub,
        }
    above = running.next_rung
    if above is None:
        return {
            "title": _("Step"),
            "value": _("Highest"),
            "sub": _("the order's ceiling"),
        }
    title = _("Step {step}: {pump_ml_per_h} mL/h").format(
        step=above.step, pump_ml_per_h=plain(above.pump_ml_per_h)
    )
    held = step_held(chart, with_set_now=True)
    due = running.step_due_at
    if chart.loud_flags or chart.rechecks:
        return {"title": title, "value": _("Held"), "sub": held.rstrip(".")}
    if due is not None and due > chart.at:
        sub = _("from {time}, if tolerated").format(time=_clock(chart, due))
        return {"title": title, "due": due, "unit": "min", "sub": sub}
    if held:
        return {"title": title, "value": _("Held"), "sub": held.rstrip(".")}
    since = _("since {time}").format(time=_clock(chart, due)) if due else ""
    return {"title": title, "value": _("Due now"), "urgent": True, "sub": since}


def _until(chart: SessionChart) -> str:
    until = chart.observe_until
    return _("until {time}").format(time=_clock(chart, until)) if until else ""


def _vitals_cell(chart: SessionChart) -> dict[str, Any]:
    due, last = chart.due, chart.last_vitals
    sub = (
        _("last {time}").format(time=_clock(chart, last.event_time))
        if last
        else _("no set yet")
    )
    if due is None:
        return {"title": _("Vitals"), "value": "–", "sub": sub}
    word = {"late": _("Vitals late"), "due": _("Vitals due now")}.get(chart.due_state)
    title = word or (_("Recheck") if due.owed is Owed.RECHECK else _("Vitals"))
    return {
        "title": title,
        "due": due.at,
        "unit": "min",
        "sub": _("due {time} · {sub}").format(time=_clock(chart, due.at), sub=sub),
        "urgent": chart.due_state in ("due", "late"),
    }


def flag_panel(
    chart: SessionChart, raised: RaisedFlag, fresh_flag: Any = None
) -> FlagPanel:
    """An open flag with the acts that are possible now, the expected one first."""
    flag = raised.flag
    recheck = chart.at + timedelta(minutes=flag.recheck_minutes or RECHECK_MINUTES)
    not_done = flag.rule == NOT_DONE
    running = chart.running.state == "running"
    severe = flag.reaction_id is not None and flag.priority == "high"
    keeps = running and flag.action != FlagAction.OBSERVE and not severe
    keep = (
        _("Keep {rate_ml_per_h} mL/h: needs a reason").format(
            rate_ml_per_h=plain(chart.rate_ml_per_h)
        )
        if keeps
        else ""
    )
    times = _times_of(flag)
    return FlagPanel(
        raised=raised,
        buttons=[] if not_done else _buttons(chart, flag, recheck),
        keep=_("Compared by hand: confirm") if not_done else keep,
        reasons=NotDoneReason.choices if not_done else OverrideReason.choices,
        path=[] if not_done else _path(chart, raised, recheck),
        steps=_steps(flag),
        base_at=times.get("baseline_at"),
        last_at=times.get("last_at"),
        now_at=times.get("at"),
        fresh=fresh_flag is not None and flag.pk == fresh_flag.pk,
        recheck_at=recheck,
    )


def _times_of(flag) -> dict[str, datetime]:
    for found in flag.findings:
        for value in found["values"]:
            return {
                name: datetime.fromisoformat(value[name])
                for name in ("at", "last_at", "baseline_at")
                if value.get(name)
            }
    return {}


def _steps(flag) -> list[str]:
    """What an emergency calls for, step by step, in the protocol's own words."""
    if flag.action != FlagAction.EMERGENCY or not flag.findings:
        return []
    words = flag.findings[0]["calls_for"].split(";")
    return [
        word.strip()[:1].upper() + word.strip()[1:] for word in words if word.strip()
    ]


def _buttons(chart: SessionChart, flag, recheck: datetime) -> list[ActButton]:
    state = chart.running.state
    again = _("recheck {time}").format(time=_clock(chart, recheck))
    observe = ActButton(
        action="observe",
        words=_("Look again") if state == "running" else _("Seen: look again"),
        number=_("at {time}").format(time=_clock(chart, recheck)),
        icon="late",
    )
    if state not in ("running", "paused"):
        return [observe]
    stop = ActButton(
        action="stop",
        words=_("Stop, call"),
        icon="stop",
        look="danger",
        rate="0",
        big="0",
        details=(
            _(
                "Ends this infusion with {volume_ml} of {total_ml} mL in; "
                "observation follows. {call}"
            ).format(
                volume_ml=shown(chart.volume_ml, 1),
                total_ml=plain(chart.total_ml),
                call=_call(chart),
            )
        ),
        confirm=_("Stopped, calling"),
    )
    if state == "paused":
        strong = flag.action in (FlagAction.STOP, FlagAction.EMERGENCY)
        return [stop] if strong else [observe, stop]
    pause = ActButton(
        action="pause",
        words=_("Pause at"),
        number="0 mL/h",
        icon="paused",
        rate="0",
        big="0",
        details=_("Paused time is not counted · {again}").format(again=again),
        confirm=_("Pump shows 0 mL/h"),
    )
    reduce = _reduce_button(chart, flag, again)
    order = {
        FlagAction.OBSERVE: [observe, reduce, pause, stop],
        FlagAction.REDUCE: [reduce or pause, pause if reduce else None, stop],
        FlagAction.PAUSE: [pause, stop],
        FlagAction.STOP: [stop, pause],
        FlagAction.EMERGENCY: [stop],
    }[FlagAction(flag.action)]
    return [button for button in order if button is not None]


def _reduce_button(chart: SessionChart, flag, again: str) -> ActButton | None:
    proposal = reduced(chart.rate_ml_per_h, chart.rungs)
    if proposal.action != "reduce":
        return None
    to = proposal.ml_per_h
    if flag.action == FlagAction.REDUCE and flag.rate_from_ml_per_h == (
        chart.rate_ml_per_h
    ):
        to = flag.rate_to_ml_per_h  # the first rung, where the ladder begins again
    number = plain(to)
    return ActButton(
        action="reduce",
        words=_("Reduce"),
        number=f"{plain(chart.rate_ml_per_h)} → {number} mL/h",
        icon="down",
        rate=number,
        big=number,
        details=f"{_rung_details(chart, to)} · {again}",
        confirm=_("Pump shows {number} mL/h").format(number=number),
    )


def _path(
    chart: SessionChart, raised: RaisedFlag, recheck: datetime
) -> list[tuple[str, str, str]]:
    flag = raised.flag
    minutes = flag.recheck_minutes or RECHECK_MINUTES
    by = raised.escalates_at
    given = (
        _("now: {volume_ml} mL in").format(volume_ml=shown(chart.volume_ml, 1))
        if chart.start
        else ""
    )
    return [
        (
            _("Act"),
            _("by {time}").format(time=_clock(chart, by)) if by else _("now"),
            given,
        ),
        (
            _("Recheck {time}").format(time=_clock(chart, recheck)),
            _("{minutes} min from the act").format(minutes=minutes),
            _("on card and board"),
        ),
        (_("Not settled?"), _("next action up"), _call(chart)),
    ]


def _call(chart: SessionChart) -> str:
    name = prescriber_of(chart)
    return _("call {name}").format(name=name) if name else _("call the prescriber")


def prescriber_of(chart: SessionChart) -> str:
    version = chart.order_version
    return version.prescriber.name if version and version.prescriber else ""


def _rung_details(chart: SessionChart, rate: Decimal) -> str:
    rung = next((r for r in chart.rungs if r.pump_ml_per_h == rate), None)
    if rung is None:
        return ""
    end = ""
    if rate and chart.left_ml:
        seconds = int(chart.left_ml / rate * 3600)
        held = _clock(chart, chart.at + timedelta(seconds=seconds))
        end = _(" · new end {held} at this rate").format(held=held)
    return _("{ml_per_kg_h} mL/kg/h · step {step}{end}").format(
        ml_per_kg_h=plain(rung.ml_per_kg_h), step=rung.step, end=end
    )


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


def _clock(chart: SessionChart, moment: datetime) -> str:
    return moment.astimezone(chart.session.clinic.zone).strftime("%H:%M")
