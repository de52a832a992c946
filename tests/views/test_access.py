"""Deny by default: every view is marked, every other one does not exist (I14).

Who gets what at which address is walked by `tests/test_access_matrix.py`.
"""

import re

import pytest
from django.urls import URLPattern, URLResolver, path, reverse

from sessions import roles
from sessions.access import ENTERING, PUBLIC, SIGNED_IN
from sessions.models import AuditEntry
from sessions.urls import urlpatterns


def walk(patterns, prefix="/"):
    for pattern in patterns:
        text = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, text)
        elif isinstance(pattern, URLPattern):
            yield re.sub(r"<\w+:\w+>|<\w+>", "999999", text), pattern


ADDRESSES = [
    pytest.param(address, pattern.callback, id=pattern.name or address)
    for address, pattern in walk(urlpatterns)
]
GUARDED = [each for each in ADDRESSES if each.values[1].permission != PUBLIC]


def test_every_view_says_who_may_use_it():
    known = {PUBLIC, ENTERING, SIGNED_IN, *roles.PERMISSIONS}

    assert {each.values[1].permission for each in ADDRESSES} <= known


def test_only_sign_in_set_up_and_what_a_browser_refused_are_public():
    public = {each.id for each in ADDRESSES if each.values[1].permission == PUBLIC}

    assert public <= {"sign-in", "sign-in-step", "set-up", "policy-violations"}


def test_a_refusal_for_want_of_permission_is_written_down(sign_in, admin):
    answer = sign_in(admin).get(reverse("patients"))

    assert answer.status_code == 403
    denied = AuditEntry.objects.get(action="access.denied")
    assert (denied.user, denied.clinic) == (admin, admin.clinic)


def test_a_method_that_is_not_offered_is_refused_and_leaves_nothing(sign_in, admin):
    client = sign_in(admin)

    answers = {
        (address, method): getattr(client, method)(address).status_code
        for address, _ in (each.values for each in GUARDED)
        for method in ("delete", "put")
    }

    assert set(answers.values()) == {405}, answers
    assert AuditEntry.objects.count() == 0


def unmarked(request):  # a view somebody forgot to mark
    raise AssertionError("must not run")


urlpatterns_with_unmarked = [*urlpatterns, path("unmarked/", unmarked)]


def test_a_view_without_a_mark_does_not_exist(sign_in, admin, settings):
    settings.ROOT_URLCONF = type(
        "Urls",
        (),
        {
            "urlpatterns": urlpatterns_with_unmarked,
            "handler404": "sessions.views.refusals.not_found",
        },
    )
    client = sign_in(admin)

    assert client.get("/unmarked/").status_code == 404


def test_pages_are_never_kept_by_a_browser(sign_in, admin):
    answer = sign_in(admin).get(reverse("settings"))

    assert answer["Cache-Control"] == "no-store"
