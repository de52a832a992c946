"""Signing in and out."""

from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from sessions.access import PUBLIC, SIGNED_IN, access, actor
from sessions.forms.staff import SignInForm
from sessions.middleware import LAST_SEEN, SIGNED_IN_AT
from sessions.models import Clinic
from sessions.services import staff
from sessions.services.acts import Actor


@access(PUBLIC, methods=("GET", "POST"))
def sign_in(request):
    """Name and password; the same answer for an unknown name and a wrong password."""
    if request.user.is_authenticated:
        return redirect("board")
    form = SignInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = authenticate(request, **form.cleaned_data)
        now = timezone.now()
        if user is not None and user.clinic_id:
            login(request, user)
            request.session[SIGNED_IN_AT] = now.isoformat()
            request.session[LAST_SEEN] = now.isoformat()
            request.clinic = user.clinic
            staff.signed_in(by=actor(request))
            return redirect(_next(request))
        staff.sign_in_refused(
            by=Actor.of(user=None, clinic=None, at=now),
            username=form.cleaned_data["username"],
        )
        form.add_error(None, "This name and password do not belong together.")
    context = {"form": form, "next": request.GET.get("next", ""), "demo": _demo()}
    return render(request, "staff/sign_in.html", context, status=422 if form.errors else 200)


@access(SIGNED_IN, methods=("POST",))
def sign_out(request):
    staff.signed_out(by=actor(request))
    logout(request)
    response = redirect(settings.LOGOUT_REDIRECT_URL)
    response["Clear-Site-Data"] = '"cache", "storage"'
    return response


def _next(request) -> str:
    """Where the user wanted to go, if that is here."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        return target
    return settings.LOGIN_REDIRECT_URL


def _demo() -> bool:
    return Clinic.objects.filter(is_demo=True).exists()
