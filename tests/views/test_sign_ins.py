"""Signing in: the first step, the second, and what a role without a factor meets."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pyotp
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sessions.models import AuditEntry, Factor, Login, User
from sessions.services import factors
from sessions.services.acts import Actor
from tests.conftest import PASSWORD, make_user

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
HTMX = {"HX-Request": "true"}


def enter(client, username, password=PASSWORD, address="10.0.0.7", **fields):
    return client.post(
        reverse("sign-in"),
        {"username": username, "password": password, **fields},
        REMOTE_ADDR=address,
    )


def code(steps=0) -> str:
    return pyotp.TOTP(SECRET).at(timezone.now(), counter_offset=steps)


def add_app(user) -> factors.Added:
    """An app that was added an hour ago."""
    at = timezone.now() - timedelta(hours=1)
    return factors.add_app(
        name="my phone",
        secret=SECRET,
        code=pyotp.TOTP(SECRET).at(at),
        by=Actor.of(user=user, clinic=user.clinic, at=at),
    )


def step(client, **fields):
    return client.post(reverse("sign-in-step"), fields, REMOTE_ADDR="10.0.0.7")


def is_in(client) -> bool:
    return client.get(reverse("preferences")).status_code == 200


def text_of(answer) -> str:
    """The page without what is new in every answer."""
    text = re.sub(r'(csrfmiddlewaretoken" value=")\w+', r"\1", answer.content.decode())
    return re.sub(r"\d\d:\d\d:\d\d(\.\d+)?|data-now=\S+|datetime=\S+", "", text)


UNHEARD_OF = "a-name-of-no-page"


class TestUnknownAndKnown:
    """What is said about a name says nothing about whether somebody has it."""

    def both(self, nurse, tries=1):
        answers = []
        for name, address in (("nurse", "10.0.0.7"), (UNHEARD_OF, "10.0.0.8")):
            client = Client()
            for _ in range(tries):
                answer = enter(client, name, "wrong", address)
            answers.append(answer)
        return answers

    @pytest.mark.parametrize("tries", [1, 9, 10, 11, 12])
    def test_they_get_the_same_answer(self, nurse, tries):
        known, unknown = self.both(nurse, tries)

        assert known.status_code == unknown.status_code == (429 if tries > 10 else 422)
        assert text_of(known).replace("nurse", "") == text_of(unknown).replace(
            UNHEARD_OF, ""
        )

    def test_they_cost_the_same_work(self, nurse):
        """One hash of a password each, and the same number of queries."""
        enter(Client(), "nurse", "wrong", "10.0.0.1")
        enter(Client(), "nobody", "wrong", "10.0.0.2")
        counts = []
        for name, address in (("nurse", "10.0.0.1"), ("nobody", "10.0.0.2")):
            with (
                patch(
                    "django.contrib.auth.hashers.MD5PasswordHasher.encode",
                    autospec=True,
                    return_value="md5$x$y",
                ) as hashed,
                CaptureQueriesContext(connection) as queries,
            ):
                enter(Client(), name, "wrong", address)
            counts.append((hashed.call_count, len(queries)))

        assert counts[0] == counts[1]
        assert counts[0][0] == 1


class TestLockOut:
    def test_the_right_password_does_not_open_a_locked_account(self, nurse):
        for number in range(10):
            enter(Client(), "nurse", "wrong", f"10.0.1.{number}")

        answer = enter(Client(), "nurse")

        assert answer.status_code == 429
        assert "Wait 15 minutes" in answer.content.decode()
        last = AuditEntry.objects.order_by("-sequence").first()
        assert last.action == "staff.sign-in-refused"
        assert '"why": "locked"' in last.detail

    def test_one_password_tried_on_many_accounts_locks_the_address(self, clinic):
        for number in range(11):
            make_user(clinic, "nurse", f"nurse{number}", f"Nurse {number}")
        client = Client()
        for number in range(10):
            assert enter(client, f"nurse{number}", "Summer2026!").status_code == 422

        assert enter(client, "nurse10").status_code == 429
        assert enter(Client(), "nurse10", address="10.0.0.9").status_code == 302

    def test_ones_own_right_sign_ins_do_not_hide_the_guesses(self, nurse, colleague):
        """From one address: nine guesses, one's own password, nine guesses."""
        for _ in range(5):
            enter(Client(), "nurse", "wrong")
            enter(Client(), "colleague")
            enter(Client(), "nobody", "wrong")

        assert enter(Client(), "colleague").status_code == 429

    def test_behind_a_proxy_the_address_is_what_the_proxy_added(self, nurse, settings):
        settings.CLIENT_ADDRESS_HEADER = "X-Forwarded-For"
        Client().post(
            reverse("sign-in"),
            {"username": "nurse", "password": PASSWORD},
            headers={"X-Forwarded-For": "1.2.3.4, 192.0.2.9"},
        )

        assert Login.objects.get().address == "192.0.2.9"

    def test_without_that_setting_a_header_is_only_talk(self, nurse):
        for number in range(10):
            Client().post(
                reverse("sign-in"),
                {"username": f"guess{number}", "password": "wrong"},
                headers={"X-Forwarded-For": f"1.2.3.{number}"},
                REMOTE_ADDR="10.0.0.7",
            )

        assert enter(Client(), "nurse").status_code == 429

    def test_an_admin_sees_the_lock_and_opens_it(self, sign_in, admin, nurse):
        for number in range(10):
            enter(Client(), "nurse", "wrong", f"10.0.1.{number}")
        office = sign_in(admin)
        page = reverse("staff-change", args=[nurse.pk])
        assert "Locked until" in office.get(page).content.decode()

        answer = office.post(
            reverse("staff-unlock", args=[nurse.pk]),
            {"submission_key": str(uuid.uuid4())},
            follow=True,
        )

        assert "may sign in again" in answer.content.decode()
        assert "Locked until" not in office.get(page).content.decode()
        assert enter(Client(), "nurse").status_code == 302

    def test_unlocking_opens_the_place_too_where_it_was_typed(
        self, sign_in, admin, nurse
    ):
        """Ten slips at one workstation lock the account and the address."""
        for _ in range(10):
            enter(Client(), "nurse", "wrong")
        assert enter(Client(), "nurse").status_code == 429

        sign_in(admin).post(
            reverse("staff-unlock", args=[nurse.pk]),
            {"submission_key": str(uuid.uuid4())},
        )

        assert enter(Client(), "nurse").status_code == 302

    def test_a_new_one_time_password_unlocks_too(self, sign_in, admin, nurse):
        for number in range(10):
            enter(Client(), "nurse", "wrong", f"10.0.1.{number}")
        answer = sign_in(admin).post(
            reverse("staff-reset-password", args=[nurse.pk]),
            {"submission_key": str(uuid.uuid4())},
        )
        once = re.search(r"<code>(.+?)</code>", answer.content.decode())[1]

        assert enter(Client(), "nurse", once).status_code == 302


class TestSecondStep:
    @pytest.fixture
    def app(self, prescriber):
        return add_app(prescriber)

    def test_a_password_alone_opens_nothing(self, client, app):
        answer = enter(client, "prescriber")

        assert answer.url == reverse("sign-in-step")
        assert not is_in(client)
        assert not Login.objects.exists()

    def test_a_code_opens_the_rest_and_leads_where_it_was_wanted(self, client, app):
        enter(client, "prescriber", next="/orders/")

        answer = step(client, code=code())

        assert (answer.status_code, answer.url) == (302, "/orders/")
        assert client.get("/orders/").status_code == 200
        entry = AuditEntry.objects.get(action="staff.sign-in")
        assert '"proof": "password and code"' in entry.detail

    def test_a_code_may_be_typed_in_two_halves(self, client, app):
        enter(client, "prescriber")
        digits = code()

        assert step(client, code=f"{digits[:3]} {digits[3:]}").status_code == 302

    def test_the_same_code_opens_no_second_browser(self, client, app):
        enter(client, "prescriber")
        digits = code()
        assert step(client, code=digits).status_code == 302
        other = Client()
        enter(other, "prescriber")

        answer = step(other, code=digits)

        assert answer.status_code == 422
        assert not is_in(other)

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"code": "12345"}, "six digits"),
            ({"code": "abcdef"}, "six digits"),
            ({"code": ""}, "required"),
            ({"recovery": "aaaa-bbbb-cccc-dddd"}, "not one of your codes"),
            ({"credential": "{}"}, "not accepted"),
            ({}, "required"),
        ],
    )
    def test_what_does_not_fit_is_said(self, client, app, fields, words):
        enter(client, "prescriber")

        answer = step(client, **fields)

        assert answer.status_code == 422
        assert words in answer.content.decode()
        assert not is_in(client)

    def test_ten_wrong_codes_lock_the_account(self, app):
        for number in range(10):
            client = Client()
            enter(client, "prescriber", address=f"10.0.1.{number}")
            client.post(
                reverse("sign-in-step"),
                {"code": "000000"},
                REMOTE_ADDR=f"10.0.1.{number}",
            )

        client = Client()
        assert enter(client, "prescriber").status_code == 429
        assert not is_in(client)

    def test_right_passwords_between_wrong_codes_forgive_nothing(self, client, app):
        for _ in range(9):
            enter(client, "prescriber")
            step(client, code="000000")
        enter(client, "prescriber")
        assert step(client, code="000000").status_code == 422

        assert step(client, code=code()).status_code == 429

    def test_a_recovery_code_signs_in_once_and_says_how_many_are_left(self, app):
        client = Client()
        enter(client, "prescriber")
        answer = client.post(
            reverse("sign-in-step"), {"recovery": app.codes[0]}, follow=True
        )
        assert "9 left" in answer.content.decode()
        assert is_in(client)

        again = Client()
        enter(again, "prescriber")
        assert step(again, recovery=app.codes[0]).status_code == 422
        assert not is_in(again)

    def test_without_a_first_step_there_is_no_second(self, client, app):
        answer = step(client, code=code())

        assert answer.url == reverse("sign-in")
        assert not is_in(client)

    def test_the_second_step_does_not_wait_for_ever(self, client, app):
        enter(client, "prescriber")
        session = client.session
        pending = session["second_step"]
        pending["at"] = (timezone.now() - timedelta(minutes=6)).isoformat()
        session["second_step"] = pending
        session.save()

        assert step(client, code=code()).url == reverse("sign-in")
        assert not is_in(client)

    def test_a_password_changed_meanwhile_ends_the_first_step(
        self, client, app, prescriber
    ):
        enter(client, "prescriber")
        prescriber.set_password("another long password")
        prescriber.save()

        assert step(client, code=code()).url == reverse("sign-in")

    def test_who_was_put_out_meanwhile_stays_out(self, client, app):
        enter(client, "prescriber")
        User.objects.filter(username="prescriber").update(is_active=False)

        assert step(client, code=code()).url == reverse("sign-in")
        assert not Login.objects.exists()
        assert not is_in(client)

    def test_a_nurse_who_added_one_is_asked_too(self, client, nurse):
        add_app(nurse)

        assert enter(client, "nurse").url == reverse("sign-in-step")

    def test_a_demo_clinic_asks_nobody_and_says_so(self, client, prescriber, app):
        prescriber.clinic.is_demo = True
        prescriber.clinic.save()
        page = client.get(reverse("sign-in")).content.decode()
        assert "demo clinic" in page
        assert "second factor" in page

        enter(client, "prescriber")

        assert is_in(client)

    def test_a_real_clinic_does_not_speak_of_a_demo(self, client, clinic):
        assert "demo" not in client.get(reverse("sign-in")).content.decode()


class TestNewNumber:
    """Session fixation: a number known before is worth nothing after."""

    def number(self, client):
        return client.cookies["sessionid"].value

    def plant(self, client):
        session = client.session
        session["planted"] = "by somebody else"
        session.save()
        client.cookies["sessionid"] = session.session_key
        return session.session_key

    def test_at_sign_in_and_nothing_of_before_is_kept(self, client, nurse):
        planted = self.plant(client)

        enter(client, "nurse")

        assert self.number(client) != planted
        assert "planted" not in client.session
        thief = Client()
        thief.cookies["sessionid"] = planted
        assert not is_in(thief)

    def test_at_each_of_two_steps(self, client, prescriber):
        add_app(prescriber)
        planted = self.plant(client)
        enter(client, "prescriber")
        between = self.number(client)

        step(client, code=code())

        assert len({planted, between, self.number(client)}) == 3
        thief = Client()
        thief.cookies["sessionid"] = between
        assert not is_in(thief)

    def test_when_a_factor_opens_the_rest(self, client, admin):
        enter(client, "admin")
        before = self.number(client)
        secret = secret_shown(client)

        added = enrol(client, secret)

        assert added.status_code == 200
        assert self.number(client) != before
        assert is_in(client)
        thief = Client()
        thief.cookies["sessionid"] = before
        assert not is_in(thief)

    def test_when_the_password_changes(self, client, nurse):
        enter(client, "nurse")
        before = self.number(client)

        client.post(
            reverse("own-password"),
            {
                "submission_key": str(uuid.uuid4()),
                "old": PASSWORD,
                "new": "seven quiet green hills",
                "again": "seven quiet green hills",
            },
        )

        assert self.number(client) != before
        assert is_in(client)
        assert Login.objects.get(ended_at=None).key_hash


def secret_shown(client) -> str:
    page = client.get(reverse("factor-app")).content.decode()
    return re.search(r"<code>([A-Z2-7 ]+)</code>", page)[1].replace(" ", "")


def enrol(client, shown, /, headers=None, **changed):
    fields = {
        "submission_key": str(uuid.uuid4()),
        "name": "my phone",
        "code": pyotp.TOTP(shown).now(),
        "password": PASSWORD,
    }
    return client.post(reverse("factor-app"), fields | changed, headers=headers)


class TestSignedInBefore:
    """What is said at sign-in, so that an owner notices another's hand."""

    def said(self, client) -> str:
        page = client.get(reverse("board"))
        return " ".join(str(message) for message in page.context["messages"])

    def test_the_first_time_nothing_is_said(self, client, nurse):
        enter(client, "nurse")

        assert self.said(client) == ""

    def test_then_when_with_what_and_from_where(self, client, clinic, nurse):
        clinic.time_zone = "Europe/Dublin"
        clinic.save()
        enter(Client(), "nurse", address="10.0.0.9")
        Login.objects.update(
            signed_in_at=datetime(2026, 7, 1, 8, 5, tzinfo=UTC),
            last_seen_at=timezone.now(),
            device="Safari on iPad",
        )

        enter(client, "nurse")

        said = self.said(client)
        assert "1 Jul 2026, 09:05, Safari on iPad, 10.0.0.9." in said
        assert "refused" not in said
        assert self.said(client) == ""

    def test_and_how_often_it_was_tried_in_vain_since(self, client, nurse, colleague):
        enter(Client(), "nurse", password="a wrong old guess")
        enter(Client(), "nurse")
        for _ in range(2):
            enter(Client(), "nurse", password="a wrong guess")
        enter(Client(), "colleague", password="a wrong guess")

        enter(client, "nurse")

        assert "2 tries to sign in as you were refused" in self.said(client)

    def test_a_second_step_tells_it_too(self, client, prescriber):
        add_app(prescriber)
        enter(Client(), "prescriber", password="a wrong guess")
        Login.objects.create(
            user=prescriber,
            key_hash="0" * 64,
            device="Edge on Windows",
            signed_in_at=timezone.now() - timedelta(days=2),
            last_seen_at=timezone.now(),
        )
        enter(client, "prescriber")
        step(client, code=code())

        assert "Edge on Windows" in self.said(client)


class TestEnrolmentIsDue:
    @pytest.mark.parametrize("role", ["admin", "prescriber"])
    @pytest.mark.parametrize(
        "path", ["/board/", "/me/", "/settings/staff/", "/patients/", "/audit/", "/"]
    )
    def test_nothing_else_opens(self, request, role, path):
        user = request.getfixturevalue(role)
        client = Client()
        enter(client, user.username)

        answer = client.get(path)
        fragment = client.get(path, headers=HTMX)
        posted = client.post("/me/", {"theme": "dark"})

        assert answer.url == reverse("security")
        assert (fragment.status_code, posted.status_code) == (403, 403)
        assert "second factor" in posted.content.decode()
        user.refresh_from_db()
        assert user.theme == ""

    def test_the_page_says_why_and_shows_no_menu(self, client, prescriber):
        enter(client, "prescriber")

        page = client.get(reverse("security")).content.decode()

        assert "Nothing else opens" in page
        assert 'aria-label="Main"' not in page

    def test_with_a_factor_the_rest_opens_and_codes_are_shown_once(self, client, admin):
        enter(client, "admin")
        secret, key = secret_shown(client), str(uuid.uuid4())

        page = enrol(client, secret, submission_key=key).content.decode()

        assert len(re.findall(r"<code>[a-z2-9-]{29}</code>", page)) == 10
        assert client.get(reverse("settings")).status_code == 200
        again = enrol(client, secret, submission_key=key)
        assert "<code>" not in again.content.decode()
        assert Factor.objects.count() == 1

    def test_no_parameter_and_no_header_gets_past(self, client, admin):
        enter(client, "admin")

        for path in ("/settings/?second_factor=True", "/settings/?next=/settings/"):
            assert client.get(path).url == reverse("security")
        assert client.get("/settings/", headers=HTMX).status_code == 403

    def test_a_password_typed_before_adds_no_factor_after(self, admin):
        """Two browsers with the password alone: once one has a factor, the other is
        out."""
        owner, thief = Client(), Client()
        enter(owner, "admin")
        enter(thief, "admin")
        theirs = secret_shown(thief)
        enrol(owner, secret_shown(owner))

        answer = enrol(thief, theirs)

        assert answer.status_code == 401
        assert Factor.objects.count() == 1
        assert is_in(owner)

    def test_a_role_the_clinic_chose_is_asked_at_the_next_sign_in(self, sign_in, nurse):
        inside = Client()
        enter(inside, "nurse")
        nurse.clinic.second_factor_roles = "charge nurse,nurse"
        nurse.clinic.save()
        assert is_in(inside)

        outside = Client()
        enter(outside, "nurse")

        assert outside.get("/board/").url == reverse("security")

    def test_other_roles_are_not_asked(self, client, nurse):
        enter(client, "nurse")

        assert client.get("/board/").status_code == 200

    def test_an_own_password_comes_first(self, client, admin):
        User.objects.filter(pk=admin.pk).update(must_change_password=True)

        assert enter(client, "admin").url == reverse("own-password")
        assert client.get(reverse("own-password")).status_code == 200


def test_a_new_key_of_the_server_signs_everybody_out(sign_in, nurse, settings):
    client = sign_in(nurse)
    assert is_in(client)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"

    assert not is_in(client)
