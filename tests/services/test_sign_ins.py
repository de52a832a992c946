"""Logins and their ends, and passwords at signatures."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session

from sessions.models import AuditEntry, Login
from sessions.services import lockout, sign_ins, staff
from sessions.services.acts import Actor, Refused
from tests.conftest import NINE, PASSWORD

pytestmark = pytest.mark.django_db
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


def by(user, at=NINE) -> Actor:
    return Actor.of(user=user, clinic=user.clinic, at=at)


def signed_in(user, at=NINE, agent=CHROME) -> tuple[Login, str]:
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session["who"] = user.pk
    session.create()
    login = sign_ins.signed_in(
        by=by(user, at),
        session_key=session.session_key,
        user_agent=agent,
        address="10.0.0.7",
        proof="password",
    )
    return login, session.session_key


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (CHROME, "Chrome on Windows"),
        (CHROME + " Edg/120.0", "Edge on Windows"),
        (SAFARI, "Safari on iPad"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Firefox/121.0", "Firefox on Linux"),
        ("curl/8.0", "Unknown device"),
        ("", "Unknown device"),
        ("<script>", "Unknown device"),
    ],
)
def test_a_browser_is_named_in_words(agent, words):
    assert sign_ins.device_words(agent) == words


def test_a_login_keeps_a_hash_of_its_number_alone(nurse):
    login, key = signed_in(nurse)

    assert key not in str(vars(login))
    assert login.key_hash == sign_ins.hashed(key)
    detail = AuditEntry.objects.get().detail
    assert '"address": "10.0.0.7"' in detail
    assert key not in detail


def test_a_right_sign_in_ends_the_count_of_wrong_ones(nurse):
    for _ in range(9):
        lockout.begin(lockout.account("nurse"), at=NINE)

    signed_in(nurse)
    for _ in range(9):
        lockout.begin(lockout.account("nurse"), at=NINE)

    assert lockout.locked_until(nurse, at=NINE) is None


def test_only_logins_that_still_hold_are_listed(nurse, colleague):
    now = NINE + timedelta(hours=13)
    old, _ = signed_in(nurse)
    idle, _ = signed_in(nurse, at=now - timedelta(minutes=20))
    good, _ = signed_in(nurse, at=now - timedelta(minutes=3))
    signed_in(colleague, at=now)
    sign_ins.seen(old.pk, at=now)

    assert sign_ins.open_logins(nurse, at=now) == [good]


def test_ending_one_login_ends_its_session_and_no_other(nurse):
    here, here_key = signed_in(nurse)
    there, there_key = signed_in(nurse, agent=SAFARI)

    sign_ins.end_login(login_pk=there.pk, by=by(nurse))

    assert list(Session.objects.values_list("session_key", flat=True)) == [here_key]
    assert sign_ins.open_logins(nurse, at=NINE) == [here]
    assert "Safari on iPad" in AuditEntry.objects.get(action="staff.end-login").detail


def test_nobody_ends_the_login_of_somebody_else(nurse, colleague):
    login, key = signed_in(nurse)

    with pytest.raises(Refused):
        sign_ins.end_login(login_pk=login.pk, by=by(colleague))

    assert Session.objects.filter(session_key=key).exists()


def test_signing_out_everywhere_else_changes_every_proof(nurse):
    here, _ = signed_in(nurse)
    signed_in(nurse, agent=SAFARI)
    before = nurse.get_session_auth_hash()

    user = sign_ins.end_other_logins(by=by(nurse), but=here.pk)

    assert user.get_session_auth_hash() != before
    assert sign_ins.open_logins(nurse, at=NINE) == [here]


def change(user, admin, **changed):
    values = {"name": user.name, "credential": user.credential, "phone": user.phone}
    values |= {"role": user.role.name, "is_active": user.is_active}
    return staff.change_staff(
        user=user, seen=user.seen_as, by=by(admin), **values | changed
    )


@pytest.mark.parametrize(
    "changed", [{"role": "charge nurse"}, {"is_active": False}], ids=str
)
def test_another_role_or_none_ends_every_login_for_good(nurse, admin, changed):
    """A login from before does not come back to life with the role."""
    signed_in(nurse)
    before = nurse.get_session_auth_hash()

    changed = change(nurse, admin, **changed)
    again = change(changed, admin, role="nurse", is_active=True)

    assert again.role == Group.objects.get(name="nurse")
    assert again.get_session_auth_hash() != before
    assert sign_ins.open_logins(nurse, at=NINE) == []


def test_another_telephone_ends_none(nurse, admin):
    login, _ = signed_in(nurse)
    before = nurse.get_session_auth_hash()

    assert change(nurse, admin, phone="01 555").get_session_auth_hash() == before
    assert sign_ins.open_logins(nurse, at=NINE) == [login]


class TestSignature:
    def sign(self, user, password, at=NINE):
        sign_ins.confirm_password(by=by(user, at), password=password)

    def test_a_right_password_leaves_no_trace(self, nurse):
        for _ in range(20):
            self.sign(nurse, PASSWORD)

        assert not AuditEntry.objects.exists()

    def test_ten_wrong_ones_lock_signing(self, nurse):
        for _ in range(10):
            with pytest.raises(Refused, match="not your password"):
                self.sign(nurse, "wrong")

        with pytest.raises(lockout.LockedOut):
            self.sign(nurse, PASSWORD)
        refused = AuditEntry.objects.filter(action="staff.password-refused")
        assert refused.count() == 10

    def test_they_lock_signing_in_too(self, nurse):
        for _ in range(10):
            with pytest.raises(Refused):
                self.sign(nurse, "wrong")

        with pytest.raises(lockout.LockedOut):
            lockout.begin(lockout.account("nurse"), at=NINE)

    def test_strangers_at_the_door_keep_nobody_from_signing(self, nurse):
        for _ in range(10):
            lockout.begin(lockout.account("nurse"), at=NINE)

        self.sign(nurse, PASSWORD)

    def test_wrong_ones_between_right_ones_still_count(self, nurse):
        for _ in range(10):
            self.sign(nurse, PASSWORD)
            with pytest.raises(Refused):
                self.sign(nurse, "wrong")

        with pytest.raises(lockout.LockedOut):
            self.sign(nurse, PASSWORD)
