"""Signing in and out, one's own settings, and who works here."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import (
    authenticate,
    login,
    logout,
    update_session_auth_hash,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from sessions.access import PUBLIC, SIGNED_IN, access, actor
from sessions.forms.staff import (
    AddStaffForm,
    ChangeStaffForm,
    OwnPasswordForm,
    PreferencesForm,
    ResetPasswordForm,
    SignInForm,
)
from sessions.middleware import LAST_SEEN, SIGNED_IN_AT
from sessions.models import Clinic, User
from sessions.services import staff
from sessions.services.acts import Actor
from sessions.views.saving import SAVED, save


@access(PUBLIC, methods=("GET", "POST"))
def sign_in(request):
    """Name and password; the same answer for an unknown name and a wrong password."""
    if request.user.is_authenticated:
        return redirect(_next(request))
    form = SignInForm(request.POST or None)
    if request.method == "GET" and not Clinic.objects.exists():
        return redirect("set-up")
    if request.method == "POST" and form.is_valid():
        user = authenticate(request, **form.cleaned_data)
        now = timezone.now()
        if user is not None and user.clinic_id:
            login(request, user)
            request.session[SIGNED_IN_AT] = now.isoformat()
            request.session[LAST_SEEN] = now.isoformat()
            request.clinic = user.clinic
            staff.signed_in(by=actor(request))
            if user.must_change_password:
                return redirect("own-password")
            return redirect(_next(request))
        staff.sign_in_refused(
            by=Actor.of(user=None, clinic=None, at=now),
            username=form.cleaned_data["username"],
        )
        form.add_error(None, "This name and password do not belong together.")
    context = {"form": form, "next": _wanted(request), "demo": _demo()}
    status = 422 if form.errors else 200
    return render(request, "staff/sign_in.html", context, status=status)


@access(SIGNED_IN, methods=("POST",))
def sign_out(request):
    staff.signed_out(by=actor(request))
    logout(request)
    response = redirect(settings.LOGOUT_REDIRECT_URL)
    response["Clear-Site-Data"] = '"cache", "storage"'
    return response


@access(SIGNED_IN, methods=("GET", "POST"))
def preferences(request):
    """How the screens behave for me."""
    user, options, status = request.user, _options(request), 200
    if request.method == "POST":
        form = PreferencesForm(request.POST, **options)
        status = save(
            request,
            form,
            lambda by: staff.change_preferences(user=user, **form.cleaned_data, by=by),
        )
        if status == SAVED:
            messages.success(request, "Saved.")
            return redirect("preferences")
    else:
        initial = {"auto_advance": user.auto_advance, "theme": user.theme}
        form = PreferencesForm(initial=initial, **options)
    return render(request, "staff/preferences.html", {"form": form}, status=status)


@access(SIGNED_IN, methods=("GET", "POST"))
def own_password(request):
    """Choose a new password; every other login of this user ends."""
    user, status = request.user, 200
    data = request.POST if request.method == "POST" else None
    form = OwnPasswordForm(data, user=user, **_options(request))
    if request.method == "POST":
        status = save(request, form, lambda by: _change_password(request, form, by))
        if status == SAVED:
            messages.success(request, "Your new password counts from now on.")
            return redirect("board")
    return render(request, "staff/own_password.html", {"form": form}, status=status)


@access("manage_staff")
def people(request):
    """Everybody who works or worked here."""
    everybody = User.objects.filter(clinic=request.clinic).select_related("role")
    context = {"people": everybody.order_by("-is_active", "name"), "tab": "staff"}
    return render(request, "staff/people.html", context)


@access("manage_staff", methods=("GET", "POST"))
def add(request):
    """A new member of staff, and the password for their first sign-in, shown once."""
    data = request.POST if request.method == "POST" else None
    form, status = AddStaffForm(data, **_options(request)), 200
    if request.method == "POST":
        made = []
        status = save(
            request,
            form,
            lambda by: made.extend(staff.add_staff(**form.cleaned_data, by=by)),
        )
        if status == SAVED:
            return _show_once(request, made)
    context = {"form": form, "tab": "staff"}
    return render(request, "staff/add.html", context, status=status)


@access("manage_staff", methods=("GET", "POST"))
def change(request, pk):
    """Name, role and whether somebody works here; a new role ends their logins."""
    user, options, status = _in_reach(request, pk), _options(request), 200
    if request.method == "POST":
        form = ChangeStaffForm(request.POST, **options)
        status = save(
            request,
            form,
            lambda by: staff.change_staff(user=user, **form.cleaned_data, by=by),
        )
        if status == SAVED:
            messages.success(request, f"{form.cleaned_data['name']} saved.")
            return redirect("staff")
    else:
        initial = {
            "name": user.name,
            "credential": user.credential,
            "phone": user.phone,
            "role": user.role.name if user.role else None,
            "is_active": user.is_active,
            "seen": user.seen_as,
        }
        form = ChangeStaffForm(initial=initial, **options)
    context = {
        "form": form,
        "person": user,
        "reset": ResetPasswordForm(**options),
        "stale": status == 409,
        "tab": "staff",
    }
    return render(request, "staff/change.html", context, status=status)


@access("manage_staff", methods=("POST",))
def reset_password(request, pk):
    """A one-time password for somebody who forgot theirs, shown once."""
    user, made = _in_reach(request, pk), []
    form = ResetPasswordForm(request.POST, **_options(request))
    status = save(
        request,
        form,
        lambda by: made.extend((user, staff.reset_password(user=user, by=by))),
    )
    if status == SAVED:
        return _show_once(request, made)
    for error in form.non_field_errors():
        messages.error(request, error)
    return redirect("staff-change", pk=pk)


def _change_password(request, form: OwnPasswordForm, by: Actor) -> None:
    values = form.cleaned_data
    user = staff.change_own_password(
        user=request.user, old=values["old"], new=values["new"], by=by
    )
    update_session_auth_hash(request, user)


def _show_once(request, made: list):
    """The page with the one-time password; a resend cannot show it again."""
    if not made:
        messages.warning(
            request, "Saved before. The password was shown once; reset it for another."
        )
        return redirect("staff")
    user, password = made
    context = {"made": user, "password": password, "tab": "staff"}
    return render(request, "staff/once.html", context)


def _in_reach(request, pk: int) -> User:
    users = User.objects.select_related("role")
    return get_object_or_404(users, pk=pk, clinic=request.clinic)


def _options(request) -> dict:
    return {"clinic": request.clinic, "at": timezone.now()}


def _wanted(request) -> str:
    return request.POST.get("next") or request.GET.get("next", "")


def _next(request) -> str:
    """Where the user wanted to go, if that is here."""
    target = _wanted(request)
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        return target
    return settings.LOGIN_REDIRECT_URL


def _demo() -> bool:
    return Clinic.objects.filter(is_demo=True).exists()
