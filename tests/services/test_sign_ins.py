"""Logins and their ends, and passwords at signatures."""

import json
from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import DatabaseError

from sessions.models import AuditEntry, Login, Onlooker
from sessions.services import lockout, sign_ins, staff
from sessions.services.acts import Actor, Refused
from tests.conftest import NINE, PASSWORD
from tests.factories.infusions import make_running

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


def test_a_sign_in_forgets_who_looked_at_a_visit_a_day_ago(clinic, nurse, prescriber):
    visit = make_running(clinic, nurse, prescriber, at=NINE)
    for user, hours in ((nurse, 25), (prescriber, 23)):
        seen = NINE - timedelta(hours=hours)
        Onlooker.objects.create(session=visit, user=user, since=seen, last_seen_at=seen)

    signed_in(nurse)

    assert list(Onlooker.objects.values_list("user", flat=True)) == [prescriber.pk]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (CHROME, "Chrome on Windows"),
        (CHROME + " Edg/120.0", "Edge on Windows"),
        (SAFARI, "Safari on iPad"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Firefox/121.0", "Firefox on Linux"),
        (CHROME + " OPR/106.0", "Opera on Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS) CriOS/120 Safari/604",
            "Chrome on iPhone",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS) FxiOS/120", "Firefox on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/120", "Chrome on Android"),
        ("Mozilla/5.0 (X11; CrOS x86_64) Chrome/120", "Chrome on Chromebook"),
        ("Mozilla/5.0 (Macintosh) Version/17 Safari/605", "Safari on Mac"),
        ("Kiosk (Windows)", "Windows"),
        ("Firefox/121.0", "Firefox"),
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


def detail_of(action) -> dict:
    return json.loads(AuditEntry.objects.get(action=action).detail)


def test_a_sign_in_keeps_who_when_with_what_and_from_where(nurse):
    login, key = signed_in(nurse)

    login.refresh_from_db()
    assert (login.user, login.device, login.address, login.ended_at) == (
        *(nurse, "Chrome on Windows", "10.0.0.7"),
        None,
    )
    assert (login.signed_in_at, login.last_seen_at) == (NINE, NINE)
    entry = AuditEntry.objects.get(action="staff.sign-in")
    assert (entry.user, entry.object_type, entry.object_id) == (nurse, "user", nurse.pk)
    assert json.loads(entry.detail) == {
        "proof": "password",
        "address": "10.0.0.7",
        "device": "Chrome on Windows",
    }


def test_a_right_sign_in_takes_back_the_try_of_its_address_alone(nurse):
    for _ in range(9):
        lockout.begin(lockout.address("10.0.0.7"), at=NINE)
    lockout.begin(lockout.account("nurse"), lockout.address("10.0.0.7"), at=NINE)

    signed_in(nurse)

    lockout.begin(lockout.address("10.0.0.7"), at=NINE)
    with pytest.raises(lockout.LockedOut):
        lockout.begin(lockout.address("10.0.0.7"), at=NINE)


def test_old_logins_and_sessions_are_dropped_at_a_sign_in(nurse):
    old, _ = signed_in(nurse, at=NINE - timedelta(days=30, seconds=1))
    kept, _ = signed_in(nurse, at=NINE - timedelta(days=30))
    for key, days in (("gone", -1), ("here", 1)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=NINE + timedelta(days=days)
        )

    signed_in(nurse)

    left = set(Login.objects.values_list("pk", flat=True))
    assert old.pk not in left
    assert kept.pk in left
    keys = set(Session.objects.values_list("session_key", flat=True))
    assert "gone" not in keys
    assert "here" in keys


def test_the_sign_in_before_is_the_newest_with_the_tries_since(nurse, colleague):
    assert sign_ins.sign_in_before(nurse) is None
    signed_in(nurse, at=NINE - timedelta(hours=5), agent=SAFARI)
    nobody = Actor.of(user=None, clinic=None, at=NINE - timedelta(hours=2))
    sign_ins.sign_in_refused(by=nobody, username="nurse", address="10.0.0.8")
    signed_in(nurse, at=NINE - timedelta(hours=1))
    signed_in(colleague)
    for username in ("nurse", "nurse", "colleague", "nobody"):
        nobody = Actor.of(user=None, clinic=None, at=NINE)
        sign_ins.sign_in_refused(by=nobody, username=username, address="10.0.0.8")

    assert sign_ins.sign_in_before(nurse) == sign_ins.Before(
        at=NINE - timedelta(hours=1),
        device="Chrome on Windows",
        address="10.0.0.7",
        wrong_tries=2,
    )


def test_a_refused_sign_in_is_kept_in_the_clinic_of_the_name(nurse):
    nobody = Actor.of(user=None, clinic=None, at=NINE)
    sign_ins.sign_in_refused(by=nobody, username="nurse", address="10.0.0.8")

    entry = AuditEntry.objects.get()
    assert (entry.clinic, entry.object_type, entry.object_id) == (
        *(nurse.clinic, "user"),
        nurse.pk,
    )
    assert json.loads(entry.detail) == {
        "username": "nurse",
        "address": "10.0.0.8",
        "why": "password",
    }


def test_what_was_typed_as_a_name_that_nobody_has_is_not_kept(clinic):
    nobody = Actor.of(user=None, clinic=clinic, at=NINE)
    sign_ins.sign_in_refused(
        by=nobody, username="my password", address="10.0.0.8", why="second step"
    )

    entry = AuditEntry.objects.get()
    assert (entry.clinic, entry.object_id) == (clinic, None)
    assert json.loads(entry.detail) == {
        "username": "unknown",
        "address": "10.0.0.8",
        "why": "second step",
    }


@pytest.mark.parametrize(
    ("end", "action", "detail"),
    [
        (sign_ins.signed_out, "staff.sign-out", {}),
        (
            lambda **given: sign_ins.ran_out(why="idle", **given),
            "staff.sign-out-by-itself",
            {"why": "idle"},
        ),
    ],
)
def test_a_login_that_ends_is_marked_and_written_down(
    nurse, colleague, end, action, detail
):
    login, _ = signed_in(nurse)
    other, _ = signed_in(nurse, agent=SAFARI)
    later = NINE + timedelta(hours=1)

    end(by=by(colleague, later), login_pk=login.pk)
    login.refresh_from_db()
    assert login.ended_at is None, "nobody ends somebody else's"
    AuditEntry.objects.filter(action=action)
    end(by=by(nurse, later), login_pk=login.pk)

    login.refresh_from_db()
    assert login.ended_at == later
    assert sign_ins.open_logins(nurse, at=NINE) == [other]
    entry = AuditEntry.objects.filter(action=action).last()
    assert (entry.user, entry.object_type, entry.object_id) == (nurse, "user", nurse.pk)
    assert json.loads(entry.detail) == detail


def test_a_login_that_cannot_be_marked_has_ended_all_the_same(nurse, monkeypatch):
    def full(*_given, **_named):
        raise DatabaseError("disk full")

    monkeypatch.setattr(sign_ins, "act", full)

    sign_ins.ran_out(by=by(nurse), login_pk=None, why="idle")


def test_a_login_holds_to_the_very_end_of_its_times(nurse):
    now = NINE + timedelta(hours=12)
    login, _ = signed_in(nurse)
    sign_ins.seen(login.pk, at=now - timedelta(minutes=16))
    assert sign_ins.open_logins(nurse, at=now) == [login]

    assert sign_ins.open_logins(nurse, at=now + timedelta(seconds=1)) == []
    sign_ins.seen(login.pk, at=now)
    assert sign_ins.open_logins(nurse, at=now) == [login]
    assert sign_ins.open_logins(nurse, at=now + timedelta(seconds=1)) == []


def test_a_login_that_is_not_listed_is_not_looked_for(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        sign_ins.seen(None, at=NINE)


def test_a_login_goes_on_under_a_new_number(nurse):
    login, _ = signed_in(nurse)
    other, _ = signed_in(nurse, agent=SAFARI)

    sign_ins.renewed(login.pk, session_key="new")

    login.refresh_from_db()
    assert login.key_hash == sign_ins.hashed("new")
    assert Login.objects.get(pk=other.pk).key_hash == other.key_hash


def test_a_login_that_ended_is_not_ended_again(nurse):
    login, _ = signed_in(nurse)
    later = NINE + timedelta(minutes=5)
    sign_ins.end_login(login_pk=login.pk, by=by(nurse, later))

    with pytest.raises(Refused, match="^That browser is signed out already.$"):
        sign_ins.end_login(
            login_pk=login.pk, by=by(nurse, later + timedelta(minutes=1))
        )

    login.refresh_from_db()
    assert login.ended_at == later
    assert detail_of("staff.end-login") == {
        "device": "Chrome on Windows",
        "address": "10.0.0.7",
    }


def test_ending_the_others_is_written_down_with_their_number(nurse, colleague):
    here, _ = signed_in(nurse)
    signed_in(nurse, agent=SAFARI)
    signed_in(nurse, agent=SAFARI)
    theirs, _ = signed_in(colleague)
    epoch = nurse.login_epoch

    user = sign_ins.end_other_logins(by=by(nurse), but=here.pk)

    assert user.login_epoch == epoch + 1
    ended = Login.objects.filter(ended_at=NINE)
    assert ended.count() == 2
    assert not ended.filter(pk__in=[here.pk, theirs.pk])
    entry = AuditEntry.objects.get(action="staff.end-other-logins")
    assert (entry.object_type, entry.object_id) == ("user", nurse.pk)
    assert json.loads(entry.detail) == {"ended": 2}


def test_a_wrong_password_at_a_signature_is_written_down_at_its_box(nurse):
    signing = Actor.of(user=nurse, clinic=nurse.clinic, at=NINE, key="k", content="x")

    with pytest.raises(Refused, match="^That is not your password.$") as told:
        sign_ins.confirm_password(by=signing, password="wrong")

    assert told.value.field == "password"
    entry = AuditEntry.objects.get(action="staff.password-refused")
    assert (entry.user, entry.object_id, entry.key) == (nurse, nurse.pk, None)
    assert entry.content_hash == "", "the same submission may be sent again, corrected"
