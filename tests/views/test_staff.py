"""Signing in and out, one's own settings, and who works here."""

import re
import uuid

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from sessions.models import AuditEntry, User
from tests.conftest import PASSWORD

NEW = "seven quiet green hills"


def post(client, url, /, *args, key=None, follow=False, **fields):
    return client.post(
        reverse(url, args=args),
        {"submission_key": key or str(uuid.uuid4()), **fields},
        follow=follow,
    )


class TestSignIn:
    def enter(self, client, username, password=PASSWORD, **fields):
        return client.post(
            reverse("sign-in"), {"username": username, "password": password, **fields}
        )

    def test_name_and_password_open_the_product(self, client, nurse):
        answer = self.enter(client, "nurse", next="/me/")

        assert (answer.status_code, answer.url) == (302, "/me/")
        assert AuditEntry.objects.get().action == "staff.sign-in"

    def test_the_login_gets_a_new_number(self, client, nurse):
        client.get(reverse("sign-in"))
        session = client.session
        session["before"] = True
        session.save()
        before = session.session_key

        self.enter(client, "nurse")

        assert client.session.session_key != before

    @pytest.mark.parametrize(
        ("username", "password"),
        [("nurse", "wrong"), ("nobody", "wrong"), ("left", PASSWORD)],
    )
    def test_every_refusal_reads_the_same(self, client, nurse, username, password):
        User.objects.create_user(
            username="left",
            password=PASSWORD,
            name="Left Long Ago",
            clinic=nurse.clinic,
            role=nurse.role,
            is_active=False,
            created_at=nurse.created_at,
        )

        answer = self.enter(client, username, password)

        assert answer.status_code == 422
        assert "do not belong together" in answer.content.decode()
        assert AuditEntry.objects.get().action == "staff.sign-in-refused"

    def test_a_password_typed_as_a_name_is_not_kept(self, client, clinic):
        self.enter(client, "my secret password", "x")

        assert "secret" not in AuditEntry.objects.get().detail

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example"])
    def test_it_leads_to_no_other_server(self, client, nurse, target):
        answer = self.enter(client, "nurse", next=target)

        assert "evil" not in answer.url

    def test_signing_out_clears_the_browser(self, sign_in, nurse):
        client = sign_in(nurse)

        answer = client.post(reverse("sign-out"))

        assert answer["Clear-Site-Data"] == '"cache", "storage"'
        assert client.get(reverse("preferences")).status_code == 302


class TestOwnSettings:
    def test_theme_and_auto_advance_are_mine(self, sign_in, nurse):
        client = sign_in(nurse)

        answer = post(
            client, "preferences", theme="dark", auto_advance="on", alarm_sound="on"
        )

        nurse.refresh_from_db()
        assert answer.status_code == 302
        assert (nurse.theme, nurse.auto_advance) == ("dark", True)
        assert b"data-sound-wanted" in client.get(reverse("board")).content
        assert '"before"' in AuditEntry.objects.get().detail

    def test_an_unknown_theme_is_refused(self, sign_in, nurse):
        assert post(sign_in(nurse), "preferences", theme="pink").status_code == 422

    def change(self, client, old=PASSWORD, new=NEW, again=None, **options):
        again = new if again is None else again
        return post(client, "own-password", old=old, new=new, again=again, **options)

    def test_a_new_password_counts_and_this_login_goes_on(self, sign_in, nurse):
        client = sign_in(nurse)

        assert self.change(client).status_code == 302

        nurse.refresh_from_db()
        assert nurse.check_password(NEW)
        assert client.get(reverse("preferences")).status_code == 200
        entry = AuditEntry.objects.get()
        assert NEW not in entry.detail

    def test_another_login_of_the_same_user_ends(self, sign_in, nurse):
        other = Client()
        other.post(reverse("sign-in"), {"username": "nurse", "password": PASSWORD})
        self.change(sign_in(nurse))

        assert other.get(reverse("preferences")).status_code == 302

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"old": "wrong"}, "not your password"),
            ({"new": "short"}, "at least 12"),
            ({"new": "password1234"}, "too common"),
            ({"new": "kwame mensah 1"}, "too similar"),
            ({"again": "something else here"}, "differ"),
            ({"new": PASSWORD}, "Choose another"),
        ],
    )
    def test_a_bad_one_is_refused_in_words(self, sign_in, nurse, fields, words):
        answer = self.change(sign_in(nurse), **fields)

        assert answer.status_code == 422
        assert words in answer.content.decode()
        nurse.refresh_from_db()
        assert nurse.check_password(PASSWORD)

    def test_no_hash_of_a_password_is_kept_for_replays(self, sign_in, nurse):
        """Two submissions with other passwords are the same to the replay check."""
        client, key = sign_in(nurse), str(uuid.uuid4())
        self.change(client, key=key)

        assert (
            self.change(client, old=NEW, new=NEW + " two", key=key).status_code == 302
        )
        nurse.refresh_from_db()
        assert nurse.check_password(NEW)


class TestStaff:
    @pytest.fixture
    def office(self, sign_in, admin):
        return sign_in(admin)

    def details(self, user, **changed):
        return {
            "name": user.name,
            "credential": user.credential,
            "phone": user.phone,
            "role": user.role.name,
            "is_active": "on",
            "seen": user.seen_as,
        } | changed

    def test_everybody_of_this_clinic_is_listed_and_nobody_else(
        self, office, nurse, stranger
    ):
        page = office.get(reverse("staff")).content.decode()

        assert "Kwame Mensah" in page
        assert stranger.name not in page

    def test_a_new_nurse_gets_a_password_for_one_sign_in(self, office):
        answer = post(
            office, "staff-add", name="Lea Roy", username="lea", role="nurse",
            credential="RN", phone="",
        )  # fmt: skip
        password = re.search(r"<code>(.+?)</code>", answer.content.decode())[1]

        tablet = Client()
        entered = tablet.post(
            reverse("sign-in"), {"username": "lea", "password": password}
        )
        assert entered.url == reverse("own-password")
        blocked = tablet.get(reverse("audit"))
        assert blocked.url == reverse("own-password")
        changed = post(tablet, "own-password", old=password, new=NEW, again=NEW)
        assert changed.status_code == 302
        assert not User.objects.get(username="lea").must_change_password
        assert password not in "".join(
            AuditEntry.objects.values_list("detail", flat=True)
        )

    def test_a_resend_shows_no_password_and_adds_nobody(self, office):
        fields = {"name": "Lea Roy", "username": "lea", "role": "nurse"}
        fields |= {"credential": "", "phone": "", "key": str(uuid.uuid4())}
        post(office, "staff-add", **fields)

        again = post(office, "staff-add", follow=True, **fields)

        assert User.objects.filter(username="lea").count() == 1
        assert "<code>" not in again.content.decode()
        assert "shown once" in again.content.decode()

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("username", "nurse", "taken"),
            ("username", "Lea Roy", "Only small letters"),
            ("role", "surgeon", "Select a valid choice"),
            ("name", "\u202eyoR", "control character"),
            ("is_superuser", "on", "Unknown field"),
        ],
    )
    def test_what_cannot_be_is_refused_and_kept_in_the_form(
        self, office, nurse, field, value, words
    ):
        fields = {"name": "Lea Roy", "username": "lea", "role": "nurse"}

        answer = post(office, "staff-add", **fields | {field: value})

        assert answer.status_code == 422
        assert words in answer.content.decode()
        assert 'value="Lea Roy"' in answer.content.decode() or field == "name"

    def test_another_role_ends_every_login(self, office, nurse):
        tablet = Client()
        tablet.post(reverse("sign-in"), {"username": "nurse", "password": PASSWORD})
        assert tablet.get(reverse("preferences")).status_code == 200

        post(
            office, "staff-change", nurse.pk,
            **self.details(nurse, role="charge nurse"),
        )  # fmt: skip

        assert tablet.get(reverse("preferences")).status_code == 302
        detail = AuditEntry.objects.get(action="staff.change").detail
        assert '"role": "charge nurse"' in detail
        assert '"role": "nurse"' in detail

    def test_who_left_is_out_at_once(self, office, nurse):
        tablet = Client()
        tablet.post(reverse("sign-in"), {"username": "nurse", "password": PASSWORD})

        fields = self.details(nurse)
        del fields["is_active"]
        post(office, "staff-change", nurse.pk, **fields)

        assert tablet.get(reverse("preferences")).status_code == 302

    def test_an_old_screen_changes_nothing(self, office, nurse):
        fields = self.details(nurse, name="Kwame A. Mensah")
        nurse.role = Group.objects.get(name="charge nurse")
        nurse.save(update_fields=["role"])

        answer = post(office, "staff-change", nurse.pk, **fields)

        assert answer.status_code == 409
        assert 'value="Kwame A. Mensah"' in answer.content.decode()
        nurse.refresh_from_db()
        assert nurse.name == "Kwame Mensah"

    def test_the_last_admin_stays(self, office, admin):
        answer = post(
            office, "staff-change", admin.pk, **self.details(admin, role="nurse")
        )

        assert answer.status_code == 422
        assert "needs an admin" in answer.content.decode()

    def test_a_forgotten_password_is_made_anew(self, office, nurse):
        answer = post(office, "staff-reset-password", nurse.pk)
        password = re.search(r"<code>(.+?)</code>", answer.content.decode())[1]

        nurse.refresh_from_db()
        assert nurse.check_password(password)
        assert nurse.must_change_password

    def test_ones_own_password_is_not_reset_here(self, office, admin):
        answer = post(office, "staff-reset-password", admin.pk, follow=True)

        assert "your own password" in answer.content.decode()
        admin.refresh_from_db()
        assert admin.check_password(PASSWORD)

    def test_staff_of_another_clinic_do_not_exist(self, office, stranger):
        assert (
            office.get(reverse("staff-change", args=[stranger.pk])).status_code == 404
        )
        assert post(office, "staff-reset-password", stranger.pk).status_code == 404
