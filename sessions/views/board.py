"""The board of every chair: for the nurses' station, and for the wall."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from sessions import board
from sessions.access import SIGNED_IN, ClinicRequest, access
from sessions.middleware import POLL
from sessions.views.screens import new_key


@access(SIGNED_IN)
def home(request: ClinicRequest) -> HttpResponse:
    """The first page of everybody: the board."""
    return redirect("board")


@access("view_board")
def show(request: ClinicRequest) -> HttpResponse:
    return _draw(request, "board/board.html")


@access("view_board", on_walls=True)
def wall(request: ClinicRequest) -> HttpResponse:
    """For a screen everybody in the room can read: no patient's name at all.

    Where nobody is signed in (a wall screen), no initials and no nurse's name either.
    """
    return _draw(request, "board/wall.html")


@access("view_board", on_walls=True)
def live(request: ClinicRequest) -> HttpResponse:
    """The polled region: 204 while nothing moved, so that nothing is swapped."""
    walled = "wall" in request.GET or not request.user.is_authenticated
    part = "board/_wall.html" if walled else "board/_board.html"
    seats = board.seats_of(request.clinic, at=timezone.now())
    if request.GET.get("token") == seats.token:
        return HttpResponse(status=204)
    return _draw(request, part, seats)


setattr(live, POLL, True)


def _draw(
    request: ClinicRequest, template: str, seats: board.Seats | None = None
) -> HttpResponse:
    seats = seats or board.seats_of(request.clinic, at=timezone.now())
    context = {
        "clinic": request.clinic,
        "board": board.board_of(seats),
        "token": seats.token,
        "new_key": new_key,
        "now": seats.at,
    }
    if request.user.is_authenticated:
        context |= {
            "names_nurses": True,
            "initials": request.clinic.wall_initials,
            "may_open": request.user.may("view_patient"),
            "taker": request.user.pk if request.user.may("chart") else None,
        }
    return render(request, template, context)
