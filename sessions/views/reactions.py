"""Logging a reaction: chips open a filled form; one save does all of it."""

from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from sessions.access import access, chart_in_reach, session_in_reach
from sessions.catalogue.reactions import labels
from sessions.charts import charts_of, read_course
from sessions.forms.reactions import OutcomeForm, ReactionForm
from sessions.models import Reaction
from sessions.rules.quantities import plain
from sessions.services.medicines import offers
from sessions.services.reactions import (
    proposed,
    record_outcome,
    record_reaction,
)
from sessions.views.acting import attempt
from sessions.views.screens import (
    all_chips,
    answer,
    answer_act,
    chips,
    full_screen,
)


@access("chart", methods=("POST",))
def draft(request, pk):
    """What a reaction would say and propose; writes nothing."""
    chart = chart_in_reach(request, pk)
    _form, context = _draft(request, chart)
    return _page(request, chart, context, status=200)


@access("chart", methods=("POST",))
def record(request, pk):
    """Save a reaction with its act and its medicines, all in one."""
    session = session_in_reach(request, pk)
    chart = charts_of([session], at=timezone.now())[0]
    form, context = _draft(request, chart)
    tried = attempt(
        request,
        form,
        lambda by: record_reaction(
            session=session,
            symptoms=form.chosen,
            action=form.cleaned_data["do"],
            by=by,
            grade=form.cleaned_data["grade"],
            onset=form.cleaned_data["onset"],
            to_ml_per_h=form.cleaned_data["rate_ml_per_h"],
            read_back=bool(form.cleaned_data["do"]),
            action_reason=form.cleaned_data["action_reason"],
            medicine_ids=form.cleaned_data["medicines"],
            note=form.cleaned_data["note"],
            seen_version=form.seen_version,
        ),
    )
    if not tried.saved:
        return _page(
            request,
            chart,
            context | {"notice": tried.message},
            status=tried.status,
        )
    fresh = chart_in_reach(request, pk)
    saved = tried.result
    return answer(
        request,
        fresh,
        reaction_saved=saved.reaction if saved else None,
        fresh_flag=saved.flag if saved else None,
        redraw_chips=True,
        keep_typing=True,
        chips=chips({}),
    )


@access("chart", methods=("POST",))
def outcome(request, pk, reaction):
    """How a reaction went on; nothing is assumed (G3)."""
    session = session_in_reach(request, pk)
    get_object_or_404(Reaction, pk=reaction, session=session)
    form = OutcomeForm(request.POST, clinic=request.clinic, at=timezone.now())
    went = attempt(
        request,
        form,
        lambda by: record_outcome(
            session=session,
            reaction_id=reaction,
            kind=form.cleaned_data["kind"],
            event_time=form.cleaned_data["event_time"],
            note=form.cleaned_data["note"],
            by=by,
        ),
    )
    return answer_act(request, pk, went)


@access("chart", methods=("POST",))
def search(request, pk):
    """Reactions that any of their words finds; what was tapped stays in sight."""
    session = session_in_reach(request, pk)
    form = ReactionForm(request.POST, clinic=session.clinic, at=timezone.now())
    query = form.data.get("q", "")[:60]
    context = {"more": all_chips(dict(form.chosen), query), "query": query}
    return render(request, "reactions/_more.html", context)


def _draft(request, chart):
    """The form with all that is worked out beside it: grade, rule, act, medicines."""
    given = [
        o for o in offers(chart.session, at=chart.at) if o.ordered.purpose != "before"
    ]
    form = ReactionForm(
        request.POST,
        clinic=request.clinic,
        at=chart.at,
        medicines=[offer.ordered for offer in given],
    )
    chosen = form.chosen
    names = labels()
    read_course(chart)
    context = {
        "rx": form,
        "chosen": [(names[key], severity) for key, severity in chosen],
        "chips": chips(dict(chosen)),
        "query": form.data.get("q", ""),
        "more": all_chips(dict(chosen), form.data.get("q", "")),
        "offers": given,
        "proposal": _proposal(chart, form),
        "lots": ", ".join(dict.fromkeys(vial.lot for vial in chart.vials)),
    }
    return form, context


def _proposal(chart, form):
    """What the protocol calls for at these symptoms: grade, act, rate, in words."""
    running = chart.running.state
    found = proposed(chart, form.chosen, graded=form.data.get("grade", ""))
    if found is None:
        return {"action": "continue", "grade": "", "words": ""}
    advice, fault = found.judgement.recommendation, found.judgement.fault
    pressed = form.data.get("action", "") or found.expected
    rate = "" if found.reduce_to_ml_per_h is None else plain(found.reduce_to_ml_per_h)
    return {
        "action": pressed,
        "expected": found.expected,
        "grade": found.grade,
        "words": fault or (advice.reason if advice else ""),
        "reduce_to": rate,
        "read_back": rate if pressed == "reduce" else "0",
        "running": running,
        "severe": found.is_severe,
    }


def _page(request, chart, context, *, status):
    if request.htmx:
        shown = full_screen(request, chart, **context) | context
        shown["target"] = request.htmx.target
        return render(request, "reactions/_answer.html", shown, status=status)
    shown = full_screen(request, chart, **context) | context
    return render(request, "infusions/detail.html", shown, status=status)
