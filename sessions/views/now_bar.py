"""The now bar of a visit: its state, its rate, and what becomes due when.

Only words and places for what `sessions.charts` worked out; no number is made here.
"""

from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from sessions.charts import SessionChart
from sessions.models import IN_A_CHAIR, Stage
from sessions.rules.monitoring import Owed
from sessions.rules.quantities import plain
from sessions.services.rates import step_held


def bar(chart: SessionChart) -> dict[str, Any]:
    """The now bar: the same four cells in the same order in every state."""
    running = chart.running
    note = ""
    if running.projected_end_held and running.next_rung:
        held = clock_of(chart, running.projected_end_held)
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
        sub = _("from {time}, if tolerated").format(time=clock_of(chart, due))
        return {"title": title, "due": due, "unit": "min", "sub": sub}
    if held:
        return {"title": title, "value": _("Held"), "sub": held.rstrip(".")}
    since = _("since {time}").format(time=clock_of(chart, due)) if due else ""
    return {"title": title, "value": _("Due now"), "urgent": True, "sub": since}


def _until(chart: SessionChart) -> str:
    until = chart.observe_until
    return _("until {time}").format(time=clock_of(chart, until)) if until else ""


def _vitals_cell(chart: SessionChart) -> dict[str, Any]:
    due, last = chart.due, chart.last_vitals
    sub = (
        _("last {time}").format(time=clock_of(chart, last.event_time))
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
        "sub": _("due {time} · {sub}").format(time=clock_of(chart, due.at), sub=sub),
        "urgent": chart.due_state in ("due", "late"),
    }


def clock_of(chart: SessionChart, moment: datetime) -> str:
    """A moment by the clinic's clock: `14:05`."""
    return moment.astimezone(chart.session.clinic.zone).strftime("%H:%M")
