"""Acts on the pump's rate, each with the pump's number read back."""

from decimal import Decimal

from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone

from sessions.access import access, session_in_reach
from sessions.charts import charts_of
from sessions.forms.rates import (
    OverrideForm,
    RateCorrectionForm,
    RateForm,
    ResumeForm,
)
from sessions.models import Stage
from sessions.services import rate_corrections, rates
from sessions.services.acts import Refused
from sessions.services.rates import Reason
from sessions.views.acting import attempt
from sessions.views.screens import answer_act, banner, withdraw_form


@access("chart", methods=("POST",))
def change(request, pk, act):
    """Step up, reduce, pause, resume or stop by hand."""
    if act not in ACTS:
        raise Http404
    form = ResumeForm if act == "resume" else RateForm
    return _act(request, pk, form, ACTS[act])


@access("override_hard_stop", methods=("POST",))
def override(request, pk):
    """A prescriber's signed rate above the ceiling (D5)."""
    return _act(
        request,
        pk,
        OverrideForm,
        lambda session, form, by: rates.override_ceiling(
            session,
            by=by,
            to_ml_per_h=form.cleaned_data["rate_ml_per_h"],
            reason_text=form.cleaned_data["reason_text"],
            password=form.cleaned_data["password"],
            seen_version=form.seen_version,
        ),
    )


@access("chart", methods=("GET", "POST"))
def correct(request, pk, rate):
    """Write down what the pump really did; the first entry stays readable."""
    session = session_in_reach(request, pk)
    chart, old = _standing(session, rate)
    form = _correction_form(chart, old, request.POST or None)
    if request.method == "GET":
        return _correction_page(request, chart, old, form, status=200)
    tried = attempt(
        request,
        form,
        lambda by: rate_corrections.correct_rate(
            session=session,
            rate_id=rate,
            to_ml_per_h=form.to_ml_per_h,
            event_time=form.moment(old),
            by=by,
            seen_version=form.seen_version,
            **form.why,
        ),
    )
    if tried.saved:
        return redirect("infusion-detail", pk=pk)
    return _correction_page(request, chart, old, form, status=tried.status)


@access("chart", methods=("POST",))
def withdraw(request, pk, rate):
    """Withdraw a change that was never made at the pump."""
    session = session_in_reach(request, pk)
    chart, old = _standing(session, rate)
    form = withdraw_form(chart, request.POST)
    tried = attempt(
        request,
        form,
        lambda by: rate_corrections.withdraw_rate(
            session=session, rate_id=rate, by=by, **form.why
        ),
    )
    if tried.saved:
        return redirect("infusion-detail", pk=pk)
    return _correction_page(
        request,
        chart,
        old,
        _correction_form(chart, old),
        status=tried.status,
        withdraw=form,
    )


def _standing(session, rate):
    chart = charts_of([session], at=timezone.now())[0]
    old = next((row for row in chart.rates if row.pk == rate), None)
    if old is None:
        raise Http404
    return chart, old


def _correction_form(chart, old, data=None):
    return RateCorrectionForm(
        data,
        clinic=chart.session.clinic,
        at=chart.at,
        old=old,
        top_ml_per_h=max((r.pump_ml_per_h for r in chart.rungs), default=Decimal(0)),
        is_signed=chart.session.stage == Stage.DISCHARGED,
    )


def _correction_page(request, chart, old, form, *, status, withdraw=None):
    may_withdraw = old.kind not in rate_corrections.LASTING
    context = {
        "chart": chart,
        "session": chart.session,
        "change": next(each for each in chart.changes if each.row.pk == old.pk),
        "form": form,
        "withdraw": (withdraw or withdraw_form(chart)) if may_withdraw else None,
        "banner": banner(chart),
        "now": chart.at,
    }
    return render(request, "rates/correct.html", context, status=status)


def _act(request, pk, form_class, do):
    session = session_in_reach(request, pk)
    form = form_class(request.POST, clinic=request.clinic, at=timezone.now())
    went = attempt(request, form, lambda by: do(session, form, by))
    return answer_act(request, pk, went, rate_form=form)


def _rate(form):
    rate = form.cleaned_data["rate_ml_per_h"]
    if rate is None:
        raise Refused("Say to which rate.", field="rate_ml_per_h")
    return {"to_ml_per_h": rate, **_read_back(form)}


def _read_back(form):
    return {
        "read_back": form.cleaned_data["read_back"],
        "seen_version": form.seen_version,
    }


def _reason(form):
    data = form.cleaned_data
    return Reason(code=data["reason_code"], text=data["reason_text"])


ACTS = {
    "step": lambda session, form, by: rates.step_up(session, by=by, **_rate(form)),
    "reduce": lambda session, form, by: rates.reduce(
        session, by=by, reason=_reason(form), **_rate(form)
    ),
    "pause": lambda session, form, by: rates.pause(
        session, by=by, reason=_reason(form), **_read_back(form)
    ),
    "resume": lambda session, form, by: rates.resume(
        session, by=by, reason=_reason(form), **_rate(form)
    ),
    "stop": lambda session, form, by: rates.stop(
        session, by=by, reason=_reason(form), **_read_back(form)
    ),
}
"""Acts by their word in the address."""
