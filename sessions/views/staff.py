"""One's own settings, and who works here."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import ENTERING, SIGNED_IN, access
from sessions.forms.sign_ins import PasswordAgainForm
from sessions.forms.staff import (
    AddStaffForm,
    ChangeStaffForm,
    OwnPasswordForm,
    PreferencesForm,
    ResetPasswordForm,
)
from sessions.middleware import LOGIN
from sessions.models import User
from sessions.services import factors, lockout, sign_ins, staff
from sessions.services.acts import Actor
from sessions.views.logins import renew
from sessions.views.saving import SAVED, save


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
            messages.success(request, _("Saved."))
            return redirect("preferences")
    else:
        initial = {
            "auto_advance": user.auto_advance,
            "alarm_sound": user.alarm_sound,
            "theme": user.theme,
            "language": user.own_language,
        }
        form = PreferencesForm(initial=initial, **options)
    return render(request, "staff/preferences.html", {"form": form}, status=status)


@access(ENTERING, methods=("GET", "POST"))
def own_password(request):
    """Choose a new password; every other login of this user ends."""
    user, status = request.user, 200
    data = request.POST if request.method == "POST" else None
    form = OwnPasswordForm(data, user=user, **_options(request))
    if request.method == "POST":
        status = save(request, form, lambda by: _change_password(request, form, by))
        if status == SAVED:
            messages.success(request, _("Your new password counts from now on."))
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
            messages.success(
                request, _("{name} saved.").format(name=form.cleaned_data["name"])
            )
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
    } | _sign_in_of(request, user)
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
    return _after(request, form, pk)


@access("manage_staff", methods=("POST",))
def unlock(request, pk):
    """Let somebody try again who typed a wrong password too often."""
    user = _in_reach(request, pk)
    form = ResetPasswordForm(request.POST, **_options(request))
    status = save(request, form, lambda by: lockout.unlock(user=user, by=by))
    if status == SAVED:
        messages.success(request, _("{name} may sign in again.").format(name=user.name))
    return _after(request, form, pk)


@access("manage_staff", methods=("POST",))
def forget_factors(request, pk):
    """Take away the second factors of somebody whose phone is lost."""
    user = _in_reach(request, pk)
    form = PasswordAgainForm(request.POST, **_options(request))

    def do(by):
        sign_ins.confirm_password(by=by, password=form.cleaned_data["password"])
        factors.forget_all(user=user, by=by)

    if save(request, form, do) == SAVED:
        messages.success(
            request,
            _("{name} adds a new one at the next sign-in.").format(name=user.name),
        )
    return _after(request, form, pk)


def _after(request, form, pk: int):
    """Back to the page of this person; what was refused stands at its top."""
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, error)
    return redirect("staff-change", pk=pk)


def _sign_in_of(request, user: User) -> dict:
    """Whether somebody is locked, and what they sign in with."""
    return {
        "locked_until": lockout.locked_until(user, at=timezone.now()),
        "factors": user.factors.all(),
        "codes_left": factors.codes_left(user),
        "again": PasswordAgainForm(auto_id="again_%s", **_options(request)),
        "unlocking": ResetPasswordForm(**_options(request)),
        "myself": user.pk == request.user.pk,
    }


def _change_password(request, form: OwnPasswordForm, by: Actor) -> None:
    values = form.cleaned_data
    user = staff.change_own_password(
        old=values["old"],
        new=values["new"],
        login_pk=request.session.get(LOGIN),
        by=by,
    )
    renew(request, user)


def _show_once(request, made: list):
    """The page with the one-time password; a resend cannot show it again."""
    if not made:
        messages.warning(
            request,
            _("Saved before. The password was shown once; reset it for another."),
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
