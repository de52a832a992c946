"""Logging a reaction: chips open a filled form; one save does all of it."""

from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from sessions.access import access, chart_in_reach, session_in_reach
from sessions.catalogue.reactions import labels
from sessions.charts import charts_of, read_course
from sessions.forms.reactions import (
    OutcomeForm,
    ReactionCorrectionForm,
    ReactionForm,
)
from sessions.models import Reaction, ReactionOutcome, Stage
from sessions.rules.quantities import plain
from sessions.services.medicines import offers
from sessions.services.reaction_corrections import (
    correct_reaction,
    withdraw_outcome,
    withdraw_reaction,
)
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
    banner,
    chips,
    full_screen,
    withdraw_form,
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


@access("chart", methods=("GET", "POST"))
def correct(request, pk, reaction):
    """Write a reaction down anew; the first entry stays readable beside it."""
    session = session_in_reach(request, pk)
    chart, seen = _newest(session, reaction)
    if request.method == "GET":
        if not seen.stands:
            raise Http404
        form = _filled(chart, seen)
        return _correction_page(request, chart, seen, form, status=200)
    form = ReactionCorrectionForm(request.POST, **_about(chart))
    tried = attempt(
        request,
        form,
        lambda by: correct_reaction(
            session=session,
            reaction_id=reaction,
            symptoms=form.chosen,
            grade=form.cleaned_data["grade"],
            onset=form.onset_since(seen.reaction),
            note=form.cleaned_data["note"],
            by=by,
            seen_version=form.seen_version,
            **form.why,
        ),
    )
    if tried.saved:
        return redirect("infusion-detail", pk=pk)
    return _correction_page(request, chart, seen, form, status=tried.status)


@access("chart", methods=("POST",))
def withdraw(request, pk, reaction):
    """Withdraw a reaction that is another patient's, or was none."""
    session = session_in_reach(request, pk)
    chart, seen = _newest(session, reaction)
    form = withdraw_form(chart, request.POST)
    tried = attempt(
        request,
        form,
        lambda by: withdraw_reaction(
            session=session, reaction_id=reaction, by=by, **form.why
        ),
    )
    if tried.saved:
        return redirect("infusion-detail", pk=pk)
    shown = _filled(chart, seen)
    return _correction_page(
        request, chart, seen, shown, status=tried.status, withdraw=form
    )


@access("chart", methods=("POST",))
def withdraw_told(request, pk, outcome):
    """Withdraw an outcome; the reaction is asked about again."""
    session = session_in_reach(request, pk)
    old = get_object_or_404(
        ReactionOutcome, pk=outcome, session=session, entered_in_error=False
    )
    chart, seen = _newest(session, old.reaction_id)
    form = withdraw_form(chart, request.POST)
    tried = attempt(
        request,
        form,
        lambda by: withdraw_outcome(
            session=session, outcome_id=outcome, by=by, **form.why
        ),
    )
    if tried.saved:
        return redirect("infusion-detail", pk=pk)
    shown = _filled(chart, seen)
    return _correction_page(
        request, chart, seen, shown, status=tried.status, told={outcome: form}
    )


@access("chart", methods=("POST",))
def search(request, pk):
    """Reactions that any of their words finds; what was tapped stays in sight."""
    session = session_in_reach(request, pk)
    form = ReactionForm(request.POST, clinic=session.clinic, at=timezone.now())
    query = form.data.get("q", "")[:60]
    context = {"more": all_chips(dict(form.chosen), query), "query": query}
    return render(request, "reactions/_more.html", context)


def _newest(session, reaction):
    """The visit, and the newest version of one of its reactions, withdrawn or not.

    A resend of what withdrew it is answered like its first.
    """
    chart = charts_of([session], at=timezone.now())[0]
    every = [each for each in chart.every_reaction if each.is_newest]
    seen = next((each for each in every if reaction in each.ids), None)
    if seen is None:
        raise Http404
    return chart, seen


def _about(chart):
    return {
        "clinic": chart.session.clinic,
        "at": chart.at,
        "is_signed": chart.session.stage == Stage.DISCHARGED,
    }


def _filled(chart, seen):
    return ReactionCorrectionForm.filled(seen.reaction, seen.symptoms, **_about(chart))


def _correction_page(request, chart, seen, form, *, status, withdraw=None, told=None):
    """`withdraw` and `told` are forms of withdrawing that were refused, if any."""
    outcomes = ReactionOutcome.objects.filter(reaction_id__in=seen.ids).current()
    chosen = dict(form.chosen)
    context = {
        "chart": chart,
        "session": chart.session,
        "seen": seen,
        "form": form,
        "chips": chips(chosen),
        "more": all_chips(chosen),
        "withdraw": withdraw or withdraw_form(chart),
        "outcomes": [
            (row, _untold(chart, row, told or {})) for row in outcomes.order_by("pk")
        ],
        "banner": banner(chart),
        "now": chart.at,
    }
    return render(request, "reactions/correct.html", context, status=status)


def _untold(chart, row, bound):
    """The form that withdraws one outcome, with ids of its own on the page."""
    form = bound.get(row.pk) or withdraw_form(chart)
    form.auto_id = f"outcome{row.pk}_%s"
    return form


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
