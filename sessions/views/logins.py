"""The login of one browser: how it begins, and how it goes on under a new number."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sessions.access import actor
from sessions.middleware import LAST_SEEN, LOGIN, SECOND_FACTOR, SIGNED_IN_AT
from sessions.models import User
from sessions.services import sign_ins
from sessions.templatetags.clinic import stamp


def client_address(request) -> str:
    """The browser's address, as the connection has it or as our own proxy says.

    A proxy adds to the end of the list it was sent; what stands before it anybody may
    have written.
    """
    header = settings.CLIENT_ADDRESS_HEADER
    listed = request.headers.get(header, "") if header else ""
    return (listed.split(",")[-1].strip() or request.META.get("REMOTE_ADDR", ""))[:45]


def enter(request, user: User, *, proof: str, proved: bool) -> None:
    """Sign somebody in who showed all that is asked; nothing of before is kept.

    `proved` is false for who has yet to add a second factor: only that is open then.
    """
    request.session.flush()
    before = sign_ins.sign_in_before(user)
    login(request, user)
    by_now = timezone.now().isoformat()
    request.session[SIGNED_IN_AT] = request.session[LAST_SEEN] = by_now
    request.clinic = user.clinic
    row = sign_ins.signed_in(
        by=actor(request),
        session_key=request.session.session_key,
        user_agent=request.headers.get("User-Agent", ""),
        address=client_address(request),
        proof=proof,
    )
    request.session[LOGIN] = row.pk
    if before is not None:
        _tell(request, before)
    if proved:
        request.session[SECOND_FACTOR] = True


def _tell(request, before: sign_ins.Before) -> None:
    """Say when, where and how often this name was used before: its owner knows."""
    user = request.user
    with timezone.override(user.clinic.zone), translation.override(user.language):
        words = _("You signed in before: {when}, {device}, {address}.").format(
            when=stamp(before.at, timezone.now()),
            device=before.device,
            address=before.address or _("address not known"),
        )
        if not before.wrong_tries:
            messages.info(request, words)
            return
        tries = ngettext(
            "Since then {number} try to sign in as you was refused. If that was not "
            "you, tell an admin.",
            "Since then {number} tries to sign in as you were refused. If that was not "
            "you, tell an admin.",
            before.wrong_tries,
        ).format(number=before.wrong_tries)
        messages.warning(request, f"{words} {tries}")


def renew(request, user: User) -> None:
    """A new number for this login, because it may do something else from now on."""
    update_session_auth_hash(request, user)
    sign_ins.renewed(
        request.session.get(LOGIN), session_key=request.session.session_key
    )
