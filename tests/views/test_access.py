"""Deny by default, at every address: signed out, not allowed, unmarked (I14)."""

import re
import uuid

import pytest
from django.contrib.auth.models import Group
from django.urls import URLPattern, URLResolver, path, reverse

from sessions import roles
from sessions.access import ENTERING, PUBLIC, SIGNED_IN
from sessions.models import AuditEntry
from sessions.models.staff import role_permissions
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
ROLE_ADDRESSES = [
    each
    for each in GUARDED
    if each.values[1].permission not in (SIGNED_IN, ENTERING)
]


def ask(client, address, view, **headers):
    method = "get" if "GET" in view.methods else "post"
    return getattr(client, method)(address, headers=headers)


def role_without(permission: str) -> str | None:
    lacking = (name for name, held in roles.ROLES.items() if permission not in held)
    return next(lacking, None)


@pytest.mark.parametrize(("address", "view"), ADDRESSES)
def test_every_view_says_who_may_use_it(address, view):
    known = {PUBLIC, ENTERING, SIGNED_IN, *roles.PERMISSIONS}

    assert view.permission in known


def test_only_sign_in_and_set_up_are_public():
    public = {each.id for each in ADDRESSES if each.values[1].permission == PUBLIC}

    assert public <= {"sign-in", "sign-in-step", "set-up"}


@pytest.mark.parametrize(("address", "view"), GUARDED)
@pytest.mark.parametrize("htmx", [False, True])
def test_signed_out_nothing_is_given_away(client, clinic, address, view, htmx):
    answer = ask(client, address, view, **({"HX-Request": "true"} if htmx else {}))

    if htmx or "GET" not in view.methods:
        assert answer.status_code == 401
        assert b"<html" not in answer.content or not htmx
    else:
        assert answer.status_code == 302
        assert answer.url.startswith(reverse("sign-in"))


@pytest.fixture
def _remembered_roles():
    """What a role holds is remembered by the process: forget it before and after."""
    role_permissions.cache_clear()
    yield
    role_permissions.cache_clear()


@pytest.mark.usefixtures("_remembered_roles")
@pytest.mark.parametrize(("address", "view"), ROLE_ADDRESSES)
@pytest.mark.parametrize("htmx", [False, True])
def test_without_the_permission_it_is_refused(sign_in, nurse, address, view, htmx):
    role = role_without(view.permission)
    if role is None:
        nurse.role.permissions.remove(
            *nurse.role.permissions.filter(codename=view.permission)
        )
        role_permissions.cache_clear()
    else:
        nurse.role = Group.objects.get(name=role)
        nurse.save(update_fields=["role"])
    client = sign_in(nurse)

    answer = ask(client, address, view, **({"HX-Request": "true"} if htmx else {}))

    assert answer.status_code == 403
    denied = AuditEntry.objects.get(action="access.denied")
    assert (denied.user, denied.clinic) == (nurse, nurse.clinic)


@pytest.mark.parametrize(("address", "view"), GUARDED)
def test_a_method_that_is_not_offered_is_refused(sign_in, admin, address, view):
    client = sign_in(admin)

    assert client.delete(address).status_code == 405
    assert client.put(address).status_code == 405
    assert AuditEntry.objects.count() == 0


@pytest.mark.parametrize("role", roles.ROLES)
@pytest.mark.parametrize(
    ("address", "view"),
    [each for each in ROLE_ADDRESSES if "999999" in each.values[0]],
)
def test_an_unknown_number_is_not_found(sign_in, nurse, role, address, view):
    if view.permission not in roles.ROLES[role]:
        pytest.skip("not this role's")
    nurse.role = Group.objects.get(name=role)
    nurse.save(update_fields=["role"])

    client = sign_in(nurse)
    for method in (each.lower() for each in view.methods):
        answer = getattr(client, method)(address, {"submission_key": str(uuid.uuid4())})
        assert answer.status_code == 404


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
