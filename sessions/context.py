"""What every page shows around its content: clinic, clock, menu."""

from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from sessions import clocks
from sessions.backups.age import age_of_last_verified
from sessions.middleware import SECOND_FACTOR
from sessions.services import downtime

MENU = (
    ("board", _("Board"), "view_board"),
    ("patients", _("Patients"), "view_patient"),
    ("orders", _("Orders"), "view_order"),
    ("reports", _("Reports"), "view_report"),
    ("catalogue", _("Catalogue"), "view_catalogue"),
    ("audit", _("Audit"), "view_audit"),
    ("settings", _("Settings"), "manage_settings"),
)
"""URL name, word, permission; a section's pages share the first part of the path."""
SECTIONS = {"board": ("/board/", "/infusions/")}
"""Sections whose pages have more than one first part."""


def shell(request) -> dict:
    """Context of `base.html`; costs no query beyond the user's permissions.

    Who may manage settings costs one more, for the age of the backups; who may allocate
    chairs one more, to see whether the downtime sheets are up to date.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {
            "now": timezone.now(),
            "nav": [],
            "clinic": None,
            "user": user,
            "clock_step": clocks.server.step,
        }
    now = timezone.now()
    admin = user.may("manage_settings")
    entering = user.needs_second_factor and not request.session.get(SECOND_FACTOR)
    return {
        "user": user,
        "clinic": user.clinic,
        "now": now,
        "clock_step": clocks.server.step,
        "backup": SimpleLazyObject(lambda: age_of_last_verified(now))
        if admin
        else None,
        "sheets_fault": SimpleLazyObject(lambda: downtime.fault(user.clinic))
        if user.may("allocate") and user.clinic
        else "",
        "nav": [
            {
                "name": name,
                "url": reverse(name),
                "word": word,
                "current": request.path.startswith(SECTIONS.get(name, reverse(name))),
            }
            for name, word, permission in MENU
            if user.may(permission) and not entering
        ],
    }
