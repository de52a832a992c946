"""Signing in and out: name and password, then the second factor."""

import json
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, logout
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from sessions.access import ENTERING, PUBLIC, access, actor
from sessions.forms.sign_ins import (
    CodeForm,
    PasskeyAnswerForm,
    RecoveryForm,
    SignInForm,
)
from sessions.middleware import LOGIN
from sessions.models import Clinic, FactorKind, User
from sessions.services import factors, lockout, sign_ins
from sessions.services.acts import Actor
from sessions.views.logins import client_address, enter

PENDING, CHALLENGE = "second_step", "passkey_challenge"
"""In the session between the two steps: who typed a right password, and what the
passkey was asked."""
STEP_LASTS = timedelta(minutes=5)


@access(PUBLIC, methods=("GET", "POST"))
def sign_in(request):
    """Name and password; the same answer for an unknown name and a wrong password.

    Both are looked at also where somebody is signed in: the lock over a page asks here.
    """
    if request.user.is_authenticated and request.method == "GET":
        return redirect(_next(_wanted(request), request))
    if request.method == "GET" and not Clinic.objects.exists():
        return redirect("set-up")
    form, status = SignInForm(request.POST or None), 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                user = _who(request, **form.cleaned_data)
            except lockout.LockedOut as locked:
                form.add_error(None, locked.message)
                status = 429
            else:
                if user is not None:
                    return _first_step_done(request, user)
                form.add_error(
                    None, _("This name and password do not belong together.")
                )
    context = {"form": form, "next": _wanted(request), "demo": _demo()}
    return render(request, "sign_ins/sign_in.html", context, status=status)


@access(PUBLIC, methods=("GET", "POST"))
def second_step(request):
    """A code, a passkey or a recovery code, for who typed a right password just now."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    user = _pending(request)
    if user is None:
        request.session.pop(PENDING, None)
        messages.warning(request, _("That took too long. Sign in again."))
        return redirect("sign-in")
    forms, status = {}, 200
    if request.method == "POST":
        kind = next((name for name in _STEPS if name in request.POST), "code")
        form, check = _STEPS[kind]
        forms[kind] = form = form(request.POST)
        status = 422
        if form.is_valid():
            try:
                proof = _prove(request, user, kind, check, form.cleaned_data[kind])
            except lockout.LockedOut as locked:
                form.add_error(None, locked.message)
                status = 429
            else:
                if proof:
                    return _second_step_done(request, user, proof)
                form.add_error(None if kind == "credential" else kind, _NOT[kind])
    return _step_page(request, user, forms, status)


@access(ENTERING, methods=("POST",))
def sign_out(request):
    sign_ins.signed_out(by=actor(request), login_pk=request.session.get(LOGIN))
    logout(request)
    response = redirect(settings.LOGOUT_REDIRECT_URL)
    response["Clear-Site-Data"] = '"cache", "storage"'
    return response


def host_of(request) -> str:
    """The name in the address line, without port: what a passkey belongs to."""
    return urlsplit(f"//{request.get_host()}").hostname or ""


# ── the first step ─────────────────────────────────────────────────────────────


def _who(request, username: str, password: str) -> User | None:
    """The user these belong to; the try is counted and, when wrong, written down."""
    now, address = timezone.now(), client_address(request)
    subjects = lockout.account(username), lockout.address(address)
    try:
        lockout.begin(*subjects, at=now)
    except lockout.LockedOut:
        _refused(request, username, "locked")
        raise
    user = authenticate(request, username=username, password=password)
    if user is None or user.clinic is None:
        _refused(request, username, "password")
        return None
    return user


def _first_step_done(request, user: User):
    """In, or on to the second step."""
    asked = not user.clinic.is_demo and factors.has_factor(user)
    if not asked:
        enter(request, user, proof="password", proved=not user.needs_second_factor)
        if user.must_change_password:
            return redirect("own-password")
        return redirect(_next(_wanted(request), request))
    address = client_address(request)
    lockout.give_back(lockout.account(user.username), lockout.address(address))
    wanted = _wanted(request)
    request.session.flush()
    request.session[PENDING] = {
        "user": user.pk,
        "at": timezone.now().isoformat(),
        "hash": user.get_session_auth_hash(),
        "next": wanted,
    }
    return redirect("sign-in-step")


# ── the second step ────────────────────────────────────────────────────────────


def _pending(request) -> User | None:
    """Who typed a right password in this browser, not long ago and still right."""
    found = request.session.get(PENDING)
    if not found:
        return None
    if timezone.now() - datetime.fromisoformat(found["at"]) > STEP_LASTS:
        return None
    users = User.objects.select_related("clinic", "role")
    user = users.filter(pk=found["user"], is_active=True).first()
    if user is None or not constant_time_compare(
        found["hash"], user.get_session_auth_hash()
    ):
        return None
    return user


def _by_code(request, user: User, code: str) -> bool:
    return bool(factors.check_code(user=user, code=code, at=timezone.now()))


def _by_passkey(request, user: User, answer: str) -> bool:
    state = request.session.pop(CHALLENGE, None)
    return state is not None and bool(
        factors.check_passkey(
            user=user,
            state=state,
            answer=answer,
            host=host_of(request),
            at=timezone.now(),
        )
    )


def _by_recovery_code(request, user: User, code: str) -> bool:
    return factors.use_recovery_code(user=user, code=code, at=timezone.now())


_STEPS = {
    "code": (CodeForm, _by_code),
    "credential": (PasskeyAnswerForm, _by_passkey),
    "recovery": (RecoveryForm, _by_recovery_code),
}
_NOT = {
    "code": factors.WRONG,
    "credential": factors.NO_PASSKEY,
    "recovery": _lazy("This is not one of your codes, or it was used before."),
}


def _prove(request, user: User, kind: str, check, answer: str) -> str:
    """How somebody proved who they are, or nothing; the try is counted."""
    subjects = (
        lockout.account(user.username),
        lockout.address(client_address(request)),
    )
    try:
        lockout.begin(*subjects, at=timezone.now())
    except lockout.LockedOut:
        _refused(request, user.username, "locked")
        raise
    if check(request, user, answer):
        return kind
    _refused(request, user.username, f"second step: {kind}")
    return ""


def _second_step_done(request, user: User, proof: str):
    wanted = request.session[PENDING]["next"]
    enter(request, user, proof=f"password and {proof}", proved=True)
    if proof == "recovery":
        left = factors.codes_left(user)
        messages.warning(
            request,
            _(
                "A recovery code was used; {left} left. Make new ones, or "
                "add a new phone or key, under My settings."
            ).format(left=left),
        )
    if user.must_change_password:
        return redirect("own-password")
    return redirect(_next(wanted, request))


def _step_page(request, user: User, forms: dict, status: int):
    question = factors.ask_for_passkey(user, host=host_of(request))
    if question:
        options, request.session[CHALLENGE] = question
    kinds = set(user.factors.values_list("kind", flat=True))
    context = {
        "app": forms.get("code") or CodeForm(),
        "recovery": forms.get("recovery") or RecoveryForm(),
        "passkey": forms.get("credential") or PasskeyAnswerForm(),
        "failed": next(iter(forms.values()), None),
        "has_app": FactorKind.APP in kinds,
        "elsewhere": FactorKind.PASSKEY in kinds and not question,
        "options": json.dumps(options["publicKey"]) if question else "",
    }
    return render(request, "sign_ins/second_step.html", context, status=status)


# ── both ───────────────────────────────────────────────────────────────────────


def _refused(request, username: str, why: str) -> None:
    sign_ins.sign_in_refused(
        by=Actor.of(
            user=None,
            clinic=None,
            at=timezone.now(),
            workstation=request.headers.get("User-Agent", "")[:80],
        ),
        username=username,
        address=client_address(request),
        why=why,
    )


def _wanted(request) -> str:
    return request.POST.get("next") or request.GET.get("next", "")


def _next(target: str, request) -> str:
    """Where the user wanted to go, if that is here."""
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        return target
    return settings.LOGIN_REDIRECT_URL


def _demo() -> bool:
    return Clinic.objects.filter(is_demo=True).exists()
