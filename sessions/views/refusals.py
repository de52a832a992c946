"""Every way of saying no: a page for people, a fragment for htmx, never data."""

import logging
import sys

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

logger = logging.getLogger(__name__)


def _refuse(request, status: int, title: str, message: str) -> HttpResponse:
    fragment = getattr(request, "htmx", False)
    template = "refusals/_fragment.html" if fragment else "refusals/page.html"
    context = {"title": title, "message": message, "status": status}
    return render(request, template, context, status=status)


def sign_in_first(request) -> HttpResponse:
    """A page goes to sign-in and comes back; a fragment says NOT SAVED in place."""
    if getattr(request, "htmx", False) or request.method == "POST":
        return _refuse(
            request,
            401,
            _("NOT SAVED: you are signed out"),
            _(
                "Sign in again in another tab, then press the button "
                "again. What you typed is still here."
            ),
        )
    return redirect_to_login(request.get_full_path())


def change_password_first(request) -> HttpResponse:
    """A one-time password opens one page only: the one where it is changed."""
    if getattr(request, "htmx", False) or request.method == "POST":
        return _refuse(
            request,
            403,
            _("NOT SAVED: choose your own password first"),
            _("The password you signed in with is for one use."),
        )
    return redirect("own-password")


def second_factor_first(request) -> HttpResponse:
    """Without a second factor an admin or prescriber can only add one."""
    if getattr(request, "htmx", False) or request.method == "POST":
        return _refuse(
            request,
            403,
            _("NOT SAVED: add a second factor first"),
            _(
                "Your role signs in with two things: a password and an app "
                "or a passkey."
            ),
        )
    return redirect("security")


def forbidden(request, exception=None) -> HttpResponse:
    return _refuse(request, 403, _("Not allowed"), _("Your role does not allow this."))


def not_found(request, exception=None) -> HttpResponse:
    return _refuse(
        request,
        404,
        _("Not found"),
        _("There is nothing here, or not for your clinic."),
    )


def too_fast(request) -> HttpResponse:
    return _refuse(
        request,
        429,
        _("NOT SAVED: too many entries in one minute"),
        _(
            "Wait a minute, then press the button again. What you typed is still "
            "here; without script, go back to it."
        ),
    )


def bad_request(request, exception=None) -> HttpResponse:
    return _refuse(
        request, 400, _("Not understood"), _("The request was not understood.")
    )


def csrf_failed(request, reason="") -> HttpResponse:
    return _refuse(
        request,
        403,
        _("NOT SAVED: this form is no longer valid"),
        _(
            "Reload the page in another tab, then try again. What you "
            "typed is kept here."
        ),
    )


def not_saved(request, exception) -> HttpResponse:
    """The answer of a record that cannot be written, or not even be read."""
    logger.error("not saved: %s", type(exception).__name__)
    said = (
        503,
        _("NOT SAVED"),
        _(
            "The record could not be written. Nothing was saved; try "
            "again. If it goes on, chart on paper."
        ),
    )
    try:
        return _refuse(request, *said)
    except DatabaseError:  # nor can it be read who is signed in
        request.user = AnonymousUser()
        return _refuse(request, *said)


def server_error(request) -> HttpResponse:
    """A fault of ours; outside of views a database that cannot write comes here too."""
    error = sys.exception()
    if isinstance(error, DatabaseError | UpdateError):
        return not_saved(request, error)
    return _refuse(
        request,
        500,
        _("NOT SAVED: a fault of ours"),
        _("Nothing was saved. Try again; if it goes on, chart on paper and tell us."),
    )
