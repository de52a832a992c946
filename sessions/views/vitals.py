"""Recording a set of vital signs; the answer holds values and flags together."""

from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone

from sessions.access import access, session_in_reach
from sessions.charts import charts_of
from sessions.forms.vitals import CorrectionForm
from sessions.models import Stage
from sessions.services.vitals import correct_vitals, record_vitals, withdraw_vitals
from sessions.views.acting import STALE, attempt
from sessions.views.screens import answer, banner, vitals_form, withdraw_form


@access("chart", methods=("POST",))
def record(request, pk):
    session = session_in_reach(request, pk)
    chart = charts_of([session], at=timezone.now())[0]
    form = vitals_form(chart, request.POST)
    tried = attempt(
        request,
        form,
        lambda by: record_vitals(
            session=session,
            by=by,
            chart=chart,
            step_up_to=form.step_up_to,
            read_back=form.step_up_to is not None,
            seen_version=form.seen_version,
            **form.values,
        ),
    )
    if not tried.saved:
        notice = tried.message if tried.status == STALE else ""
        # What the refused act had put on the chart was never saved: read it anew.
        chart = charts_of([session_in_reach(request, pk)], at=timezone.now())[0]
        return answer(request, chart, status=tried.status, form=form, notice=notice)
    if tried.result is None:
        return answer(request, chart, resent=True)
    saved = tried.result
    return answer(
        request,
        saved.chart,
        saved=saved.vitals,
        fresh_flag=saved.flag,
        step_not_taken=form.step_up_to is not None and saved.rate_change is None,
    )


@access("chart", methods=("GET", "POST"))
def correct(request, pk, vitals):
    """Write a set down anew; the first values stay readable beside it."""
    session = session_in_reach(request, pk)
    chart = charts_of([session], at=timezone.now())[0]
    old = next((row for row in chart.vitals if row.pk == vitals), None)
    if old is None:
        raise Http404
    if request.method == "GET":
        form = CorrectionForm.filled(old, **_about(chart, old))
        return _correction_page(request, chart, old, form, status=200)
    form = CorrectionForm(request.POST, **_about(chart, old))
    tried = attempt(
        request,
        form,
        lambda by: correct_vitals(
            session=session,
            vitals_id=vitals,
            by=by,
            seen_version=form.seen_version,
            **form.why,
            **form.values | {"event_time": form.moment(old)},
        ),
    )
    if tried.saved:
        return redirect("infusion-detail", pk=pk)
    return _correction_page(request, chart, old, form, status=tried.status)


@access("chart", methods=("POST",))
def withdraw(request, pk, vitals):
    """Withdraw a set that is another patient's or was never taken."""
    session = session_in_reach(request, pk)
    chart = charts_of([session], at=timezone.now())[0]
    old = next((row for row in chart.vitals if row.pk == vitals), None)
    if old is None:
        raise Http404
    form = withdraw_form(chart, request.POST)
    tried = attempt(
        request,
        form,
        lambda by: withdraw_vitals(
            session=session, vitals_id=vitals, by=by, **form.why
        ),
    )
    if tried.saved:
        return redirect("infusion-detail", pk=pk)
    shown = CorrectionForm.filled(old, **_about(chart, old))
    return _correction_page(
        request, chart, old, shown, status=tried.status, withdraw=form
    )


def _about(chart, old):
    """What the form of an earlier set compares with: the set before it."""
    drawn = vitals_form(chart)
    earlier = [row for row in chart.vitals if row.event_time < old.event_time]
    return {
        "clinic": drawn.clinic,
        "at": drawn.at,
        "age_years": int(drawn.age_years),
        "last": earlier[-1] if earlier else None,
        "baseline": chart.baseline,
        "earliest": drawn.earliest,
        "is_signed": chart.session.stage == Stage.DISCHARGED,
    }


def _correction_page(request, chart, old, form, *, status, withdraw=None):
    context = {
        "chart": chart,
        "session": chart.session,
        "old": old,
        "form": form,
        "withdraw": withdraw or withdraw_form(chart),
        "banner": banner(chart),
        "now": chart.at,
    }
    return render(request, "vitals/correct.html", context, status=status)
