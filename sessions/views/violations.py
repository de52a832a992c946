"""Where browsers tell what they refused because of the content policy."""

import json
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.http import HttpResponse
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from sessions.access import PUBLIC, access
from sessions.middleware import POLL
from sessions.pace import Pace
from sessions.services import violations
from sessions.services.violations import Report
from sessions.views.logins import client_address

LARGEST = 16_384
"""Bytes of a post; a browser's report has about one thousand."""
AT_ONCE = 10
"""Reports of one post that are counted."""
SERVER = re.compile(r"[a-z0-9.-]{1,60}(:\d{1,5})?|\[[0-9a-f:]{2,40}\](:\d{1,5})?")
SCHEME = re.compile(r"[a-z][a-z-]{1,24}")
WORDS = {"inline", "eval", "wasm-eval", "trusted-types-policy", "trusted-types-sink"}
ELSEWHERE, OTHER, SELF = "elsewhere", "other", "self"

_by_address = Pace(lambda: 20)
_by_all = Pace(lambda: 120)


@csrf_exempt
@access(PUBLIC, methods=("POST",))
def tell(request):
    """Take the reports of a browser, in the old form of one or the new of several.

    A browser sends them without a form and so without its token; they change nothing
    but counters.
    """
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST:
        return HttpResponse(status=413)
    if not (_by_address.allows(client_address(request)) and _by_all.allows("")):
        return HttpResponse(status=429)
    try:
        told = json.loads(request.body)
    except (ValueError, RecursionError):
        return HttpResponse(status=422)
    found = [report_of(body, request.get_host()) for body in bodies(told)]
    if not found:
        return HttpResponse(status=422)
    violations.count(found, at=timezone.now())
    return HttpResponse(status=204)


setattr(tell, POLL, True)


def bodies(told: Any) -> list[dict]:
    """The violations in what a browser sent: `report-uri` sends one, `report-to` any
    number among reports of other kinds."""
    if isinstance(told, dict):
        parts = [told.get("csp-report")]
    elif isinstance(told, list):
        violations = [
            part
            for part in told
            if isinstance(part, dict) and part.get("type") == "csp-violation"
        ]
        parts = [part.get("body") for part in violations[:AT_ONCE]]
    else:
        parts = []
    return [part for part in parts if isinstance(part, dict)]


def report_of(body: dict, host: str) -> Report:
    """The three things that are kept, each from a list or cut to what cannot name
    anybody: no path, no query, no id, no sample of the page."""

    def said(*names: str) -> str:
        text = next((body[name] for name in names if body.get(name)), "")
        return text[:2000] if isinstance(text, str) else ""

    directive = said("effectiveDirective", "effective-directive", "violated-directive")
    directive = directive.partition(" ")[0]
    known = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    base = directive.removesuffix("-elem").removesuffix("-attr")
    return Report(
        directive=directive if base in known else OTHER,
        blocked=_blocked(said("blockedURL", "blocked-uri"), host),
        page=_page(said("documentURL", "document-uri"), host),
    )


def _blocked(text: str, host: str) -> str:
    if text in WORDS:
        return text
    url = _split(text)
    if url is None:
        return OTHER
    if url.netloc == host:
        return SELF
    if url.scheme in ("http", "https", "ws", "wss") and SERVER.fullmatch(url.netloc):
        return f"{url.scheme}://{url.netloc}"
    scheme = url.scheme or text  # some browsers name the scheme alone: `data`
    return scheme if SCHEME.fullmatch(scheme) else OTHER


def _page(text: str, host: str) -> str:
    url = _split(text)
    if url is None or url.netloc != host:
        return ELSEWHERE
    try:
        return resolve(url.path).view_name[:60]
    except Resolver404:
        return ELSEWHERE


def _split(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:
        return None
