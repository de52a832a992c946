"""Acts on the pump's rate, each with the pump's number read back."""

from django.http import Http404
from django.utils import timezone

from sessions.access import access, session_in_reach
from sessions.forms.rates import OverrideForm, RateForm, ResumeForm
from sessions.services import rates
from sessions.services.acts import Refused
from sessions.services.rates import Reason
from sessions.views.acting import attempt
from sessions.views.screens import answer_act


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
