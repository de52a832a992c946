"""Answering a flag: by an act, by a reason, by a call."""

from django.shortcuts import get_object_or_404
from django.utils import timezone

from sessions.access import access, session_in_reach
from sessions.forms.flags import AnswerForm, CallForm, OverrideForm
from sessions.models import Flag
from sessions.services.flags import answer_flag, call_for_flag, override_flag
from sessions.services.rates import Reason
from sessions.views.acting import attempt
from sessions.views.screens import answer_act


@access("chart", methods=("POST",))
def answer(request, pk, flag):
    """Answer a flag by an act, which is recorded with it (F4)."""
    return _act(
        request,
        pk,
        flag,
        AnswerForm,
        lambda session, form, by: answer_flag(
            session,
            flag_id=flag,
            action=form.cleaned_data["action"],
            to_ml_per_h=form.cleaned_data["rate_ml_per_h"],
            read_back=form.cleaned_data["read_back"],
            seen_version=form.seen_version,
            by=by,
        ),
    )


@access("chart", methods=("POST",))
def override(request, pk, flag):
    """Keep the rate against a flag, with a coded reason."""
    return _act(
        request,
        pk,
        flag,
        OverrideForm,
        lambda session, form, by: override_flag(
            session,
            flag_id=flag,
            reason=Reason(
                code=form.cleaned_data["reason_code"],
                text=form.cleaned_data["reason_text"],
            ),
            seen_version=form.seen_version,
            by=by,
        ),
    )


@access("chart", methods=("POST",))
def call(request, pk, flag):
    """Write down who was called about a flag."""
    return _act(
        request,
        pk,
        flag,
        CallForm,
        lambda session, form, by: call_for_flag(
            session, flag_id=flag, who=form.cleaned_data["who"], by=by
        ),
    )


def _act(request, pk, flag, form_class, do):
    session = session_in_reach(request, pk)
    get_object_or_404(Flag, pk=flag, session=session)
    form = form_class(request.POST, clinic=request.clinic, at=timezone.now())
    went = attempt(request, form, lambda by: do(session, form, by))
    return answer_act(request, pk, went, flag_form=form)
