"""Wall screens: which browsers are some, a new one, and the end of one."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions.access import ClinicRequest, access, actor, wall_cookie, wall_key
from sessions.forms.base import ClinicForm
from sessions.forms.clinics import WallForm
from sessions.middleware import LOGIN
from sessions.models import WallScreen
from sessions.services import sign_ins, walls
from sessions.views.acting import attempt
from sessions.views.saving import SAVED, save

YEAR = 365 * 24 * 60 * 60


@access("manage_settings", methods=("GET", "POST"))
def show(request: ClinicRequest) -> HttpResponse:
    """The wall screens, and a form that makes one of this very browser.

    Who did it is signed out here: a wall hangs where everybody passes.
    """
    options = {"clinic": request.clinic, "at": timezone.now()}
    form = WallForm(request.POST or None, **options)
    status = 200
    if request.method == "POST":
        went = attempt(
            request,
            form,
            lambda by: walls.open_wall(
                name=form.cleaned_data["name"], old_key=wall_key(request), by=by
            ),
        )
        if went.saved:
            return _as_wall(request, went.result)
        status = went.status
    found = request.clinic.wall_screens.filter(ended_at=None)
    context = {
        "form": form,
        "rows": [(wall, ClinicForm(**options).key) for wall in found],
        "tab": "walls",
    }
    return render(request, "clinics/walls.html", context, status=status)


def _as_wall(request: ClinicRequest, made: tuple[WallScreen, str] | None):
    """The wall itself; a press that was sent twice finds its key gone, and the list."""
    if made is None:
        return redirect("walls")
    sign_ins.signed_out(by=actor(request), login_pk=request.session.get(LOGIN))
    logout(request)
    response = redirect("board-wall")
    response.set_cookie(
        wall_cookie(),
        made[1],
        max_age=YEAR,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Strict",
    )
    return response


@access("manage_settings", methods=("POST",))
def end(request: ClinicRequest, pk: int) -> HttpResponse:
    """End one wall screen, wherever it hangs."""
    wall = get_object_or_404(request.clinic.wall_screens, pk=pk)
    form = ClinicForm(request.POST, clinic=request.clinic, at=timezone.now())
    if save(request, form, lambda by: walls.end_wall(wall=wall, by=by)) == SAVED:
        messages.success(request, _("{name} is ended.").format(name=wall.name))
    else:
        for error in form.non_field_errors():
            messages.error(request, error)
    return redirect("walls")
