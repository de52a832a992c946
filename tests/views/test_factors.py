"""The page of one's own factors and logins, and what an admin may take away."""

import json
import re
import uuid

import pytest
from django.test import Client
from django.urls import reverse

from sessions.forms.clinics import ClinicSettingsForm
from sessions.models import AuditEntry, Factor, Login, RecoveryCode
from tests.conftest import PASSWORD
from tests.reading import tight
from tests.views.test_sign_ins import (
    HTMX,
    add_app,
    enrol,
    enter,
    is_in,
    secret_shown,
)

SAFARI = (
    "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


def post(client, url, /, *args, follow=False, headers=None, **fields):
    return client.post(
        reverse(url, args=args),
        {"submission_key": str(uuid.uuid4()), **fields},
        follow=follow,
        headers=headers,
    )


def tablet(user) -> Client:
    client = Client(headers={"User-Agent": SAFARI})
    enter(client, user.username)
    return client


class TestLogins:
    def page(self, client) -> str:
        return tight(client.get(reverse("security")).content.decode())

    def test_each_browser_is_named_with_address_and_times(self, client, nurse):
        enter(client, "nurse")
        tablet(nurse)

        page = self.page(client)

        assert "Safari on iPad" in page
        assert page.count("10.0.0.7") == 2
        assert page.count("this one</td>") == 1

    def test_one_of_them_is_signed_out(self, client, nurse):
        enter(client, "nurse")
        other = tablet(nurse)
        there = Login.objects.get(device="Safari on iPad")

        answer = post(client, "login-end", there.pk, follow=True)

        assert "signed out" in answer.content.decode()
        assert not is_in(other)
        assert is_in(client)
        assert "Safari on iPad" not in self.page(client)

    @pytest.mark.parametrize("headers", [None, HTMX])
    def test_all_others_are_signed_out(self, client, nurse, headers):
        enter(client, "nurse")
        others = [tablet(nurse), tablet(nurse)]

        post(client, "logins-end", headers=headers)

        assert not any(is_in(other) for other in others)
        assert is_in(client)

    @pytest.mark.parametrize("headers", [None, HTMX])
    def test_the_login_of_somebody_else_does_not_exist(
        self, client, nurse, colleague, headers
    ):
        enter(client, "nurse")
        other = tablet(colleague)
        theirs = Login.objects.get(user=colleague)

        assert post(client, "login-end", theirs.pk, headers=headers).status_code == 404
        assert is_in(other)

    def test_signing_out_ends_the_row(self, client, nurse):
        enter(client, "nurse")

        client.post(reverse("sign-out"))

        assert Login.objects.get().ended_at is not None

    def test_a_login_that_ran_out_says_why_and_is_written_down(self, client, nurse):
        enter(client, "nurse")
        session = client.session
        session["last_seen"] = "2026-01-01T00:00:00+00:00"
        session.save()

        answer = client.get("/me/", follow=True)

        assert "not used for 15 minutes" in answer.content.decode()
        entry = AuditEntry.objects.get(action="staff.sign-out-by-itself")
        assert entry.user == nurse
        assert Login.objects.get().ended_at is not None

    def test_why_a_login_ran_out_is_kept_in_the_clinics_language(self, client, nurse):
        enter(client, "nurse")
        nurse.clinic.language = "de"
        nurse.clinic.save()
        session = client.session
        session["last_seen"] = "2026-01-01T00:00:00+00:00"
        session.save()

        answer = client.get("/me/", follow=True)

        assert "not used for 15 minutes" in answer.content.decode()
        entry = AuditEntry.objects.get(action="staff.sign-out-by-itself")
        assert "15 Minuten" in json.loads(entry.detail)["why"]

    def test_a_login_that_lasted_too_long_says_so(self, client, nurse):
        enter(client, "nurse")
        session = client.session
        session["signed_in_at"] = "2026-01-01T00:00:00+00:00"
        session.save()

        answer = client.get("/me/", follow=True)

        assert "12 hours at most" in answer.content.decode()


class TestFactors:
    def test_a_nurse_adds_an_app_and_sees_it(self, sign_in, nurse):
        client = sign_in(nurse)

        enrol(client, secret_shown(client))

        page = client.get(reverse("security")).content.decode()
        assert "my phone" in page
        assert "10 of 10 left" in page

    def test_the_picture_is_plain_svg(self, sign_in, nurse):
        page = sign_in(nurse).get(reverse("factor-app"))
        picture = re.search(r"<svg[^>]*class=\"qr\".*?</svg>", page.content.decode())[0]

        assert "style" not in picture
        assert "<script" not in picture
        assert "'unsafe" not in page["Content-Security-Policy"]

    def test_the_secret_stays_the_same_until_it_is_used(self, sign_in, nurse):
        client = sign_in(nurse)
        secret = secret_shown(client)
        enrol(client, secret, code="000000")

        assert secret_shown(client) == secret
        enrol(client, secret)
        assert secret_shown(client) != secret

    @pytest.mark.parametrize("headers", [None, HTMX])
    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"password": "wrong"}, "not your password"),
            ({"password": ""}, "required"),
            ({"code": "000000"}, "does not fit"),
            ({"name": ""}, "required"),
            ({"secret": "x"}, "Unknown field"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_added(
        self, sign_in, nurse, changed, words, headers
    ):
        client = sign_in(nurse)

        answer = enrol(client, secret_shown(client), headers=headers, **changed)

        assert answer.status_code == 422
        assert words in answer.content.decode()
        assert not Factor.objects.exists()

    def test_removing_asks_for_the_password(self, sign_in, nurse):
        factor = add_app(nurse).factor
        nurse.refresh_from_db()
        client = sign_in(nurse)

        assert post(client, "factor-remove", factor.pk, password="x").status_code == 422
        assert Factor.objects.exists()
        answer = post(client, "factor-remove", factor.pk, password=PASSWORD)

        assert answer.url == reverse("security")
        assert not Factor.objects.exists()
        assert AuditEntry.objects.filter(action="staff.factor-remove").exists()

    def test_an_admin_keeps_at_least_one(self, sign_in, admin):
        factor = add_app(admin).factor
        admin.refresh_from_db()

        answer = post(sign_in(admin), "factor-remove", factor.pk, password=PASSWORD)

        assert answer.status_code == 422
        assert "add another" in answer.content.decode()

    @pytest.mark.parametrize("headers", [None, HTMX])
    def test_the_factor_of_somebody_else_does_not_exist(
        self, sign_in, nurse, colleague, headers
    ):
        factor = add_app(colleague).factor
        client = sign_in(nurse)

        page = client.get(reverse("factor-remove", args=[factor.pk]), headers=headers)
        posted = post(
            client, "factor-remove", factor.pk, password=PASSWORD, headers=headers
        )

        assert (page.status_code, posted.status_code) == (404, 404)
        assert Factor.objects.exists()

    def test_new_codes_ask_for_the_password_and_are_shown_once(self, sign_in, nurse):
        old = add_app(nurse).codes
        nurse.refresh_from_db()
        client, key = sign_in(nurse), str(uuid.uuid4())
        assert post(client, "recovery-codes", password="x").status_code == 422

        shown = post(
            client, "recovery-codes", password=PASSWORD, submission_key=key
        ).content.decode()
        again = post(
            client, "recovery-codes", password=PASSWORD, submission_key=key, follow=True
        ).content.decode()

        assert len(re.findall(r"<code>[a-z2-9-]{29}</code>", shown)) == 10
        assert not any(code in shown for code in old)
        assert "<code>" not in again
        assert RecoveryCode.objects.count() == 10

    def test_a_demo_clinic_says_that_it_is_off(self, sign_in, admin):
        admin.clinic.is_demo = True
        admin.clinic.save()
        client = sign_in(admin)

        page = client.get(reverse("security")).content.decode()

        assert "Off in a demo clinic" in page
        assert reverse("factor-app") not in page
        assert enrol(client, secret_shown(client)).status_code == 422

    def test_the_passkey_page_asks_the_browser_for_one(self, sign_in, nurse):
        page = sign_in(nurse).get(reverse("factor-passkey")).content.decode()

        assert 'data-passkey="create"' in page
        assert "passkey.js" in page
        assert "&quot;challenge&quot;" in page

    def test_its_script_is_on_no_other_page(self, sign_in, nurse):
        client = sign_in(nurse)

        for name in ("board", "preferences", "security", "factor-app"):
            assert "passkey.js" not in client.get(reverse(name)).content.decode()

    def test_at_a_number_it_says_why_not(self, sign_in, nurse):
        page = sign_in(nurse).get(
            reverse("factor-passkey"), headers={"host": "127.0.0.1"}
        )

        assert "by its name" in page.content.decode()
        assert "data-passkey=" not in page.content.decode()

    def test_an_answer_to_no_question_is_refused(self, sign_in, nurse):
        answer = post(
            sign_in(nurse),
            "factor-passkey",
            name="key",
            password=PASSWORD,
            credential='{"id": "x"}',
        )

        assert answer.status_code == 422
        assert "not accepted" in answer.content.decode()


class TestAdmin:
    def take(self, office, user, password=PASSWORD, **options):
        return post(
            office, "staff-forget-factors", user.pk, password=password, **options
        )

    def test_a_lost_phone_is_taken_away_and_ends_the_logins(
        self, sign_in, admin, nurse
    ):
        inside = Client()
        enter(inside, "nurse")
        enrol(inside, secret_shown(inside))
        assert is_in(inside)
        office = sign_in(admin)
        page = office.get(reverse("staff-change", args=[nurse.pk])).content.decode()
        assert "my phone" in page

        self.take(office, nurse)

        assert not Factor.objects.exists()
        assert not is_in(inside)
        assert is_in(office)

    def test_not_without_the_admins_password(self, sign_in, admin, nurse):
        add_app(nurse)

        answer = self.take(sign_in(admin), nurse, "wrong", follow=True)

        assert "not your password" in answer.content.decode()
        assert Factor.objects.exists()

    def test_not_ones_own_and_not_another_clinics(self, sign_in, admin, stranger):
        add_app(stranger)
        add_app(admin)
        admin.refresh_from_db()
        office = sign_in(admin)

        self.take(office, admin)

        assert self.take(office, stranger).status_code == 404
        assert post(office, "staff-unlock", stranger.pk).status_code == 404
        assert Factor.objects.count() == 2

    def test_the_clinic_asks_more_roles(self, sign_in, admin):
        office = sign_in(admin)
        fields = {
            name: value
            for name, value in ClinicSettingsForm.values_of(admin.clinic).items()
            if value is not False
        }
        fields["second_factor_roles"] = ["pharmacist", "nurse"]
        answer = post(office, "settings", **fields, version=admin.clinic.version)

        assert answer.status_code == 302
        admin.clinic.refresh_from_db()
        assert admin.clinic.second_factor_roles == "nurse,pharmacist"
        page = office.get(reverse("settings")).content.decode()
        assert re.search(r'value="nurse"[^>]*checked', page)

    @pytest.mark.parametrize("chosen", ["", "nurse"])
    def test_no_setting_releases_admins_and_prescribers(self, clinic, chosen):
        clinic.second_factor_roles = chosen

        assert clinic.asks_second_factor_of("admin")
        assert clinic.asks_second_factor_of("prescriber")
        clinic.is_demo = True
        assert not clinic.asks_second_factor_of("admin")
