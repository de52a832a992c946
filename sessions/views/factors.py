"""One's own second factors, recovery codes, and the browsers one is signed in with."""

import json

import segno
from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from sessions.access import ENTERING, SIGNED_IN, access
from sessions.forms.sign_ins import (
    AddAppForm,
    AddPasskeyForm,
    EndLoginForm,
    PasswordAgainForm,
)
from sessions.middleware import LOGIN, SECOND_FACTOR
from sessions.models import Factor, Login
from sessions.services import factors, sign_ins
from sessions.services.sealing import Unreadable, seal, unseal
from sessions.views.logins import renew
from sessions.views.saving import SAVED, save
from sessions.views.screens import new_key
from sessions.views.sign_ins import host_of

APP_SECRET, CHALLENGE = "app_secret", "new_passkey_challenge"


@access(ENTERING)
def security(request):
    """What I sign in with, and where I am signed in."""
    user, options = request.user, _options(request)
    context = {
        "factors": user.factors.all(),
        "codes_left": factors.codes_left(user),
        "logins": sign_ins.open_logins(user, at=options["at"]),
        "this_login": request.session.get(LOGIN),
        "new_key": new_key,
        "owed": user.needs_second_factor and not request.session.get(SECOND_FACTOR),
        "passkeys": factors.can_have_passkeys(host_of(request)),
    }
    return render(request, "sign_ins/security.html", context)


@access(ENTERING, methods=("GET", "POST"))
def add_app(request):
    """Show the secret as a QR code; take the app once it shows a right code."""
    secret = _secret_of(request)
    data = request.POST if request.method == "POST" else None
    form, status, made = AddAppForm(data, **_options(request)), 200, []

    def do(by):
        values = form.cleaned_data
        sign_ins.confirm_password(by=by, password=values["password"])
        made.append(
            factors.add_app(
                name=values["name"],
                secret=secret,
                code=values["code"],
                by=by,
                login_pk=request.session.get(LOGIN),
            )
        )

    if request.method == "POST":
        status = save(request, form, do)
        if status == SAVED:
            request.session.pop(APP_SECRET, None)
            return _added(request, made)
    context = {
        "form": form,
        "picture": _picture(factors.address_for_app(request.user, secret)),
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
    }
    return render(request, "sign_ins/add_app.html", context, status=status)


@access(ENTERING, methods=("GET", "POST"))
def add_passkey(request):
    """Ask the browser for a passkey, and keep its public half."""
    host, status, made = host_of(request), 200, []
    data = request.POST if request.method == "POST" else None
    form = AddPasskeyForm(data, **_options(request))
    if request.method == "POST":
        state = request.session.pop(CHALLENGE, {})
        status = save(
            request, form, lambda by: made.append(_new(request, form, state, by))
        )
        if status == SAVED:
            return _added(request, made)
    options, request.session[CHALLENGE] = factors.ask_for_new_passkey(
        request.user, host=host
    )
    context = {
        "form": form,
        "options": json.dumps(options["publicKey"]),
        "possible": factors.can_have_passkeys(host),
    }
    return render(request, "sign_ins/add_passkey.html", context, status=status)


@access(SIGNED_IN, methods=("GET", "POST"))
def remove(request, pk):
    """Take one of my factors away, with my password."""
    factor = get_object_or_404(Factor, pk=pk, user=request.user)
    form, status = _password_form(request), 200
    if request.method == "POST":

        def do(by):
            sign_ins.confirm_password(by=by, password=form.cleaned_data["password"])
            factors.remove(factor_pk=pk, by=by)

        status = save(request, form, do)
        if status == SAVED:
            messages.success(request, _("{name} is removed.").format(name=factor.name))
            return redirect("security")
    context = {"form": form, "factor": factor}
    return render(request, "sign_ins/remove.html", context, status=status)


@access(SIGNED_IN, methods=("GET", "POST"))
def recovery_codes(request):
    """Ten new recovery codes, shown once."""
    form, status, made = _password_form(request), 200, []
    if request.method == "POST":

        def do(by):
            sign_ins.confirm_password(by=by, password=form.cleaned_data["password"])
            made.extend(factors.new_recovery_codes(by=by))

        status = save(request, form, do)
        if status == SAVED:
            return _show_codes(request, made)
    context = {"form": form, "codes_left": factors.codes_left(request.user)}
    return render(request, "sign_ins/new_codes.html", context, status=status)


@access(SIGNED_IN, methods=("POST",))
def end_login(request, pk):
    """Sign one of my other browsers out."""
    get_object_or_404(Login, pk=pk, user=request.user)
    form = EndLoginForm(request.POST, **_options(request))
    status = save(request, form, lambda by: sign_ins.end_login(login_pk=pk, by=by))
    return _ended(request, form, status, _("That browser is signed out."))


@access(SIGNED_IN, methods=("POST",))
def end_other_logins(request):
    """Sign me out everywhere but here."""
    form = EndLoginForm(request.POST, **_options(request))

    def do(by):
        mine = request.session.get(LOGIN)
        renew(request, sign_ins.end_other_logins(by=by, but=mine))

    status = save(request, form, do)
    return _ended(request, form, status, _("You are signed out everywhere else."))


def _new(request, form: AddPasskeyForm, state: dict, by) -> factors.Added:
    values = form.cleaned_data
    sign_ins.confirm_password(by=by, password=values["password"])
    return factors.add_passkey(
        name=values["name"],
        state=state,
        answer=values["credential"],
        host=host_of(request),
        by=by,
        login_pk=request.session.get(LOGIN),
    )


def _added(request, made: list[factors.Added]):
    """A login that gained a factor goes on under a new number, with all rights."""
    if made and made[0].codes:
        request.session[SECOND_FACTOR] = True
        renew(request, made[0].factor.user)
    if made and not made[0].codes:
        messages.success(
            request, _("{name} is added.").format(name=made[0].factor.name)
        )
        return redirect("security")
    return _show_codes(request, made[0].codes if made else ())


def _show_codes(request, codes):
    """The page with the codes; a resend cannot show them again."""
    if not codes:
        messages.warning(
            request, _("Saved before. Codes are shown once; make new ones for others.")
        )
        return redirect("security")
    return render(request, "sign_ins/codes.html", {"codes": codes})


def _ended(request, form, status: int, words: str):
    if status == SAVED:
        messages.success(request, words)
    for error in form.non_field_errors():
        messages.error(request, error)
    return redirect("security")


def _secret_of(request) -> str:
    """The secret of this enrolment: the same until it is used, so that a reload does
    not spoil what was scanned."""
    try:
        return unseal(request.session[APP_SECRET])
    except (KeyError, Unreadable):
        secret = factors.new_secret()
        request.session[APP_SECRET] = seal(secret)
        return secret


def _picture(text: str) -> SafeString:
    """A QR code as SVG of plain paths, black on white in every theme."""
    code = segno.make(text, error="m", micro=False)
    # Paths that segno draws; no typed words come through.
    return SafeString(  # nosec B703
        code.svg_inline(
            scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None
        )
    )


def _password_form(request) -> PasswordAgainForm:
    data = request.POST if request.method == "POST" else None
    return PasswordAgainForm(data, **_options(request))


def _options(request) -> dict:
    return {"clinic": request.clinic, "at": timezone.now()}
