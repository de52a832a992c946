"""Deny by default: each view says who may use it and how it finds its rows."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.utils import timezone, translation

from sessions import charts
from sessions.charts import SessionChart
from sessions.middleware import SECOND_FACTOR
from sessions.models import Clinic, InfusionSession, Order, Patient, User
from sessions.pace import Pace
from sessions.services import staff, walls
from sessions.services.acts import Actor
from sessions.views import refusals

PUBLIC = "public"
"""For the few views a signed-out person may use: sign-in and first-run set-up."""
SIGNED_IN = "signed-in"
"""For what every member of staff may do: own settings, their own logins."""
ENTERING = "entering"
"""For what somebody needs before anything else opens: an own password, a second
factor, the way out."""


class ClinicRequest(HttpRequest):
    """A request of a signed-in member of staff of one clinic."""

    user: User
    clinic: Clinic


class StaffBackend(BaseBackend):
    """Name and password; an unknown name costs the same time as a wrong password."""

    def authenticate(self, request, username=None, password=None, **_credentials):
        user = User.objects.filter(username=username).first()
        if user is None:
            make_password(password)
            return None
        return user if user.check_password(password) and user.is_active else None

    def get_user(self, user_id):
        return (
            User.objects.select_related("clinic", "role")
            .filter(pk=user_id, is_active=True)
            .first()
        )


def access(
    permission: str, *, methods: tuple[str, ...] = ("GET",), on_walls: bool = False
) -> Callable:
    """Mark a view with the permission it needs and the methods it takes.

    A view without this mark answers 404 (`sessions.middleware.DenyByDefault`). One that
    is `on_walls` also answers a wall screen, with nobody signed in and nobody named.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        allowed = (*methods, "HEAD") if "GET" in methods else methods

        @wraps(view)
        def guarded(request, *args, **kwargs):
            if request.method not in allowed:
                return HttpResponseNotAllowed(allowed)
            if permission != PUBLIC:
                if not request.user.is_authenticated:
                    clinic = walls.clinic_of(wall_key(request)) if on_walls else None
                    if clinic is None:
                        return refusals.sign_in_first(request)
                    return _for_wall(clinic, view, request, *args, **kwargs)
                request.clinic = request.user.clinic
                refusal = _too_fast(request, permission) or _what_stands_before(
                    request, permission
                )
                if refusal is not None:
                    return refusal
            return view(request, *args, **kwargs)

        guarded.permission = permission
        guarded.methods = methods
        return guarded

    return decorate


def wall_cookie() -> str:
    """The name of a wall screen's cookie; with HTTPS bound to this host alone."""
    return "__Host-wall" if settings.HTTPS else "wall"


def wall_key(request: HttpRequest) -> str:
    """The key of the browser, if it is a wall screen; no longer than one is."""
    return request.COOKIES.get(wall_cookie(), "")[:64]


def _for_wall(clinic: Clinic, view: Callable, request, *args, **kwargs) -> HttpResponse:
    """A view in the clinic's own language and zone."""
    request.clinic = clinic
    with timezone.override(clinic.zone), translation.override(clinic.language):
        return view(request, *args, **kwargs)


_acts = Pace(lambda: settings.ACTS_PER_MINUTE)
_told = Pace(lambda: 1)


def _too_fast(request: ClinicRequest, permission: str) -> HttpResponse | None:
    """The refusal of a login that posts faster than hands do; the way out is open.

    Written down once a minute, not each time.
    """
    if request.method != "POST" or permission == ENTERING:
        return None
    login = request.session.session_key
    if _acts.allows(login):
        return None
    if _told.allows(login):
        staff.too_fast(by=actor(request), path=request.path)
    return refusals.too_fast(request)


def _what_stands_before(request: ClinicRequest, permission: str) -> HttpResponse | None:
    """The refusal of who is signed in, but lacks a password, a factor or a right."""
    if permission == ENTERING:
        return None
    if request.user.must_change_password and permission != SIGNED_IN:
        return refusals.change_password_first(request)
    if request.user.needs_second_factor and not request.session.get(SECOND_FACTOR):
        return refusals.second_factor_first(request)
    if permission != SIGNED_IN and not request.user.may(permission):
        staff.access_denied(by=actor(request), permission=permission, path=request.path)
        return refusals.forbidden(request)
    return None


def actor(request: ClinicRequest, *, key: str = "", content: object = "") -> Actor:
    """Who acts, when (the moment is taken here, once), and with which submission."""
    return Actor.of(
        user=request.user,
        clinic=request.clinic,
        at=timezone.now(),
        workstation=request.headers.get("User-Agent", "")[:80],
        key=key,
        content=content,
    )


def session_in_reach(request: ClinicRequest, pk: int) -> InfusionSession:
    """The visit with this id in the user's clinic, or 404 without a word about it."""
    return get_object_or_404(
        charts.for_charts(InfusionSession.objects.of(request.clinic)), pk=pk
    )


def chart_in_reach(request: ClinicRequest, pk: int) -> SessionChart:
    """The visit with this id as it stands now, or 404."""
    session = session_in_reach(request, pk)
    return charts.charts_of([session], at=timezone.now())[0]


def patient_in_reach(request: ClinicRequest, pk: int) -> Patient:
    return get_object_or_404(Patient.objects.of(request.clinic), pk=pk)


def order_in_reach(request: ClinicRequest, pk: int) -> Order:
    return get_object_or_404(
        Order.objects.of(request.clinic).select_related(
            "clinic", "patient", "current__protocol_version__protocol"
        ),
        pk=pk,
    )
