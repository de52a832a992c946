"""What a request may reach, who it acts as, and what stands before it."""

import json
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language

from sessions import access, middleware
from sessions.access import (
    ENTERING,
    PUBLIC,
    SIGNED_IN,
    StaffBackend,
    order_in_reach,
    patient_in_reach,
    session_in_reach,
)
from sessions.models import AuditEntry
from sessions.services.acts import Actor
from tests.conftest import PASSWORD
from tests.factories.infusions import make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit(clinic, nurse, prescriber):
    return make_session(clinic, nurse, prescriber)


REACHES = [
    (session_in_reach, lambda visit: visit.pk),
    (patient_in_reach, lambda visit: visit.patient_id),
    (order_in_reach, lambda visit: visit.order_id),
]
NEEDED = {
    session_in_reach: lambda row: (row.patient.mrn, row.clinic.name, row.order.pk),
    patient_in_reach: lambda row: row.mrn,
    order_in_reach: lambda row: (
        row.clinic.name,
        row.patient.mrn,
        row.current.protocol_version.protocol.pk,
    ),
}
"""What a page says about the row it was given."""


@pytest.mark.parametrize(("reach", "of"), REACHES)
def test_ones_own_clinics_rows_are_found_whole_in_one_look(
    visit, clinic, reach, of, django_assert_num_queries
):
    pk = of(visit)
    with django_assert_num_queries(1):
        found = reach(SimpleNamespace(clinic=clinic), pk)
        NEEDED[reach](found)

    assert found.pk == pk


@pytest.mark.parametrize(("reach", "of"), REACHES)
def test_another_clinics_rows_do_not_exist(visit, other_clinic, reach, of):
    with pytest.raises(Http404):
        reach(SimpleNamespace(clinic=other_clinic), of(visit))


@pytest.mark.parametrize(("reach", "of"), REACHES)
def test_a_number_that_nobody_has_is_not_found(visit, clinic, reach, of):
    with pytest.raises(Http404):
        reach(SimpleNamespace(clinic=clinic), of(visit) + 1000)


def asking(rf, user, method="get", **headers):
    request = getattr(rf, method)("/somewhere/", headers=headers)
    request.user = user
    request.clinic = user.clinic if user.is_authenticated else None
    request.session = {middleware.SECOND_FACTOR: True}
    return request


class TestActor:
    def test_who_asks_where_when_and_with_what(self, rf, nurse):
        before = timezone.now()
        request = asking(rf, nurse, **{"User-Agent": "Browser " * 20})

        by = access.actor(request, key="k-1", content={"pulse": 76})

        assert (by.user, by.clinic, by.key) == (nurse, nurse.clinic, "k-1")
        assert by.workstation == ("Browser " * 20)[:80]
        assert before <= by.at <= timezone.now()
        same = Actor.of(
            user=nurse, clinic=nurse.clinic, at=by.at, key="k", content={"pulse": 76}
        )
        assert by.content_hash == same.content_hash

    def test_a_browser_that_says_nothing_is_called_nothing(self, rf, nurse):
        by = access.actor(asking(rf, nurse))

        assert (by.workstation, by.key, by.content_hash) == ("", "", "")


class TestBackend:
    def test_who_works_here_gets_in_with_the_right_password_alone(self, nurse):
        backend = StaffBackend()

        assert backend.authenticate(None, username="nurse", password=PASSWORD) == nurse
        assert backend.authenticate(None, username="nurse", password="wrong") is None
        assert backend.authenticate(None, username="nobody", password=PASSWORD) is None

    def test_who_left_gets_in_no_more_and_is_out_at_once(self, nurse):
        nurse.is_active = False
        nurse.save()

        backend = StaffBackend()
        assert backend.authenticate(None, username="nurse", password=PASSWORD) is None
        assert backend.get_user(nurse.pk) is None

    def test_a_user_comes_with_clinic_and_role_in_one_look(
        self, nurse, django_assert_num_queries
    ):
        with django_assert_num_queries(1):
            found = StaffBackend().get_user(nurse.pk)
            assert (found.clinic.code, found.role.name) == ("riverside", "nurse")


def view_for(permission, **given):
    return access.access(permission, **given)(lambda request: HttpResponse("inside"))


class TestDoor:
    def test_a_page_that_is_read_answers_head_too_and_nothing_else(self, rf, nurse):
        view = view_for(SIGNED_IN)

        assert view(asking(rf, nurse)).status_code == 200
        assert view(asking(rf, nurse, "head")).status_code == 200
        refused = view(asking(rf, nurse, "post"))
        assert (refused.status_code, refused["Allow"]) == (405, "GET, HEAD")

    def test_what_is_only_sent_answers_no_head(self, rf, nurse):
        refused = view_for(SIGNED_IN, methods=("POST",))(asking(rf, nurse, "head"))

        assert (refused.status_code, refused["Allow"]) == (405, "POST")

    def test_the_mark_says_what_it_asks_for(self):
        view = view_for("patient.read", methods=("POST",))

        assert (view.permission, view.methods) == ("patient.read", ("POST",))

    def test_only_a_public_page_opens_to_who_is_not_signed_in(self, client, rf):
        nobody = asking(rf, AnonymousUser())

        assert view_for(PUBLIC)(nobody).status_code == 200
        for permission in (ENTERING, SIGNED_IN, "patient.read"):
            answer = view_for(permission)(nobody)
            assert (answer.status_code, answer["Location"]) == (
                302,
                "/sign-in/?next=/somewhere/",
            )

    @pytest.mark.parametrize(
        ("permission", "status"), [(ENTERING, 200), (SIGNED_IN, 200), ("board", 302)]
    )
    def test_a_password_for_one_use_opens_ones_own_pages_alone(
        self, rf, nurse, permission, status
    ):
        nurse.must_change_password = True

        assert view_for(permission)(asking(rf, nurse)).status_code == status

    @pytest.mark.parametrize(
        ("permission", "status"), [(ENTERING, 200), (SIGNED_IN, 302), ("board", 302)]
    )
    def test_without_the_second_factor_only_the_way_in_and_out_is_open(
        self, rf, admin, permission, status
    ):
        request = asking(rf, admin)
        request.session = {}
        assert admin.needs_second_factor

        assert view_for(permission)(request).status_code == status

    def test_a_refusal_says_in_the_audit_what_was_asked_for_and_where(
        self, sign_in, admin
    ):
        sign_in(admin).get(reverse("patients"))

        detail = json.loads(AuditEntry.objects.get(action="access.denied").detail)
        assert detail["path"] == reverse("patients")
        assert not admin.may(detail["permission"])


class TestEveryAnswer:
    def test_a_database_that_cannot_write_answers_not_saved(self, client, rf, nurse):
        stage = middleware.NotSaved(None)

        answer = stage.process_exception(asking(rf, nurse), DatabaseError("full"))
        assert answer.status_code == 503
        assert "NOT SAVED" in answer.content.decode()
        assert "<html" in answer.content.decode()
        part = asking(rf, nurse)
        part.htmx = True
        answer = stage.process_exception(part, DatabaseError("full"))
        assert "NOT SAVED" in answer.content.decode()
        assert "<html" not in answer.content.decode()
        assert stage.process_exception(asking(rf, nurse), ValueError()) is None

    def test_sheets_are_asked_for_after_the_answer_and_before_it_closes(
        self, monkeypatch
    ):
        done = []
        sheet = SimpleNamespace(write_soon=lambda: done.append("asked for"))

        def save(request):
            middleware.downtime._after_answer.get().append(sheet)
            done.append("answered")
            return SimpleNamespace(close=lambda: done.append("closed"))

        answer = middleware.Sheets(save)(None)
        assert done == ["answered"]
        answer.close()
        assert done == ["answered", "asked for", "closed"]

    def test_without_a_sheet_the_answer_is_left_as_it_is(self):
        answer = SimpleNamespace(close=print)

        assert middleware.Sheets(lambda request: answer)(None).close is print

    def test_a_wall_screen_speaks_its_clinics_language_at_its_clock(self, rf, clinic):
        clinic.language, clinic.time_zone = "de", "Europe/Berlin"
        request = rf.get("/")

        told = access._for_wall(
            clinic,
            lambda _: (get_language(), timezone.get_current_timezone_name()),
            request,
        )

        assert told == ("de", "Europe/Berlin")
        assert request.clinic == clinic

    @pytest.mark.parametrize(
        ("https", "name"), [(True, "__Host-wall"), (False, "wall")]
    )
    def test_with_https_a_wall_screens_cookie_is_this_hosts_alone(
        self, settings, https, name
    ):
        settings.HTTPS = https

        assert access.wall_cookie() == name

    def test_a_view_that_says_how_long_it_may_be_kept_is_believed(self):
        given = HttpResponse(headers={"Cache-Control": "public"})

        assert middleware.NoStore(lambda _: given)(None)["Cache-Control"] == "public"

    @pytest.mark.parametrize(
        ("https", "told"), [(True, 'policy="/policy-violations/"'), (False, None)]
    )
    def test_with_https_it_says_where_refusals_are_told(self, settings, https, told):
        settings.HTTPS = https

        answer = middleware.NoStore(lambda _: HttpResponse())(None)
        assert answer.get("Reporting-Endpoints") == told
        assert answer["Cache-Control"] == "no-store"
