"""Who tries too often is locked out, for as long as it says, and nobody else."""

import json
from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.utils import translation

from sessions.models import AuditEntry, WrongTries
from sessions.services import lockout, sign_ins
from sessions.services.acts import Actor
from tests.conftest import NINE

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def fail(*subjects, times=1, at=NINE):
    for _ in range(times):
        lockout.begin(*subjects, at=at)


def is_locked(*subjects, at=NINE) -> bool:
    try:
        lockout.begin(*subjects, at=at)
    except lockout.LockedOut:
        return True
    lockout.give_back(*subjects)
    return False


def test_nine_wrong_tries_are_forgiven_and_ten_are_not():
    fail("account:nurse", times=9)
    assert not is_locked("account:nurse")

    fail("account:nurse")

    assert is_locked("account:nurse")
    assert not is_locked("account:colleague")


def test_a_lock_holds_in_every_language():
    """The language of the sign-in page is the browser's to choose."""
    with translation.override("en"):
        fail("account:nurse", times=10)

    with translation.override("de"):
        assert is_locked("account:nurse")


def test_the_number_of_tries_is_the_servers_setting(settings):
    settings.LOCK_AFTER_FAILURES = 3
    fail("account:nurse", times=3)

    assert is_locked("account:nurse")


def test_a_lock_says_how_long_it_lasts():
    fail("account:nurse", times=10)

    with pytest.raises(lockout.LockedOut, match="Wait 15 minutes"):
        lockout.begin("account:nurse", at=NINE)
    with pytest.raises(lockout.LockedOut, match="Wait 1 minute,"):
        lockout.begin("account:nurse", at=NINE + timedelta(minutes=14, seconds=30))


def test_nobody_is_sent_to_an_admin_who_cannot_help():
    """An admin unlocks accounts; an address opens by itself."""
    fail("address:10.0.0.7", times=10)

    with pytest.raises(lockout.LockedOut, match="this network. Wait 15 minutes.$"):
        lockout.begin("account:nurse", "address:10.0.0.7", at=NINE)


def test_a_locked_subject_is_not_locked_for_longer_by_trying():
    fail("account:nurse", times=10)
    for _ in range(20):
        assert is_locked("account:nurse", at=NINE + MINUTE)

    assert not is_locked("account:nurse", at=NINE + 15 * MINUTE)


def test_an_account_is_locked_twice_as_long_each_time_in_a_row():
    at, lengths = NINE, []
    for _ in range(9):
        fail("account:nurse", times=10, at=at)
        until = WrongTries.objects.get().locked_until
        lengths.append((until - at) // MINUTE)
        at = until

    assert lengths == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_an_address_is_locked_equally_long_each_time():
    at = NINE
    for _ in range(3):
        fail("address:10.0.0.7", times=10, at=at)
        until = WrongTries.objects.get().locked_until
        assert until - at == 15 * MINUTE
        at = until


def test_an_address_forgets_what_is_older_than_one_lock():
    """A whole clinic stands behind it: ten slips in a shift lock nobody out."""
    fail("address:10.0.0.7", times=9)
    fail("address:10.0.0.7", times=9, at=NINE + 16 * MINUTE)

    assert not is_locked("address:10.0.0.7", at=NINE + 16 * MINUTE)


def test_an_account_does_not_forget_so_soon():
    fail("account:nurse", times=9)
    fail("account:nurse", at=NINE + timedelta(hours=20))

    assert is_locked("account:nurse", at=NINE + timedelta(hours=20))


def test_many_accounts_from_one_address_lock_the_address():
    for number in range(10):
        fail(f"account:guess{number}", "address:10.0.0.7")

    assert is_locked("account:nurse", "address:10.0.0.7")
    assert not is_locked("account:nurse", "address:10.0.0.8")


def test_many_addresses_on_one_account_lock_the_account():
    for number in range(10):
        fail("account:nurse", f"address:10.0.0.{number}")

    assert is_locked("account:nurse", "address:10.0.1.1")


def test_a_locked_address_adds_nothing_to_an_account():
    fail("address:10.0.0.7", times=10)

    assert is_locked("account:nurse", "address:10.0.0.7")
    assert WrongTries.objects.count() == 1


def test_a_right_try_that_came_tenth_locks_nobody():
    fail("account:nurse", times=9)

    lockout.begin("account:nurse", at=NINE)
    lockout.give_back("account:nurse")

    assert not is_locked("account:nurse")


def test_a_wrong_try_at_another_door_adds_nothing_to_a_lock():
    fail("account:nurse", times=10)

    lockout.add_failure("account:nurse", at=NINE + MINUTE)

    assert WrongTries.objects.get().failures == 10
    assert not is_locked("account:nurse", at=NINE + 15 * MINUTE)


def test_a_name_is_kept_as_a_keyed_hash_alone():
    fail(lockout.account("my secret password"))

    assert "secret" not in WrongTries.objects.get().subject


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.8", False),
        ("::ffff:10.0.0.7", "10.0.0.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("not an address", "", True),
    ],
)
def test_one_household_of_addresses_is_one_subject(one, other, same):
    assert (lockout.address(one) == lockout.address(other)) is same


def test_old_rows_are_dropped():
    fail("account:nurse")

    fail("account:colleague", at=NINE + timedelta(days=3))

    assert WrongTries.objects.count() == 1


def test_an_admin_unlocks_account_and_signature(admin, nurse):
    fail(lockout.account("nurse"), times=10)
    fail(lockout.signature(nurse), times=10)
    assert lockout.locked_until(nurse, at=NINE) == NINE + 15 * MINUTE

    lockout.unlock(user=nurse, by=Actor.of(user=admin, clinic=admin.clinic, at=NINE))

    assert lockout.locked_until(nurse, at=NINE) is None
    entry = AuditEntry.objects.get(action="staff.unlock")
    assert (entry.user, entry.object_id) == (admin, nurse.pk)
    assert json.loads(entry.detail) == {"username": "nurse", "addresses": []}


def refused(user, address, at=NINE):
    by = Actor.of(user=None, clinic=user.clinic, at=at)
    sign_ins.sign_in_refused(by=by, username=user.username, address=address)


def test_an_admin_opens_the_places_of_a_day_where_this_user_slipped(
    admin, nurse, colleague
):
    later = NINE + timedelta(days=1)
    refused(nurse, "10.0.0.6", at=NINE - MINUTE)
    refused(nurse, "10.0.0.7")
    refused(nurse, "")
    refused(nurse, "10.0.0.8", at=later)
    refused(colleague, "10.0.0.9", at=later)
    places = [f"address:10.0.0.{end}" for end in (6, 7, 8, 9)]
    for place in places:
        fail(place, times=10, at=later)

    lockout.unlock(user=nurse, by=Actor.of(user=admin, clinic=admin.clinic, at=later))

    assert [is_locked(place, at=later) for place in places] == [
        True,
        False,
        False,
        True,
    ]
    detail = json.loads(AuditEntry.objects.get(action="staff.unlock").detail)
    assert detail["addresses"] == ["10.0.0.7", "10.0.0.8"]


def test_of_two_locks_the_longer_one_speaks(nurse):
    fail("address:10.0.0.7", times=10)
    fail("account:nurse", times=10, at=NINE + MINUTE)

    with pytest.raises(lockout.LockedOut, match="ask an admin") as told:
        lockout.begin("account:nurse", "address:10.0.0.7", at=NINE + MINUTE)
    assert told.value.until == NINE + 16 * MINUTE
    assert told.value.field == "password"
    assert str(told.value) == (
        "Too many wrong tries. Wait 15 minutes, or ask an admin of the clinic to "
        "unlock you."
    )


def test_a_locked_network_is_told_so():
    fail("address:10.0.0.7", times=10)

    with pytest.raises(lockout.LockedOut) as told:
        lockout.begin("address:10.0.0.7", at=NINE)
    assert str(told.value) == (
        "Too many wrong tries from this network. Wait 15 minutes."
    )


@pytest.mark.parametrize(("seconds", "wait"), [(0, "1 minute"), (61, "2 minutes")])
def test_minutes_are_rounded_up(seconds, wait):
    until = NINE + timedelta(seconds=seconds)

    told = lockout.LockedOut(until, NINE, of_address=True)
    assert f"Wait {wait}." in str(told)


def test_a_lock_ends_at_its_moment(nurse):
    fail(lockout.account("nurse"), times=10)
    fail(lockout.signature(nurse), times=10, at=NINE + 5 * MINUTE)

    assert lockout.locked_until(nurse, at=NINE) == NINE + 20 * MINUTE
    assert lockout.locked_until(nurse, at=NINE + 20 * MINUTE) is None


def test_an_address_forgets_after_more_than_one_lock_and_not_before():
    fail("address:10.0.0.7", times=9)
    fail("address:10.0.0.7", at=NINE + 15 * MINUTE)

    assert is_locked("address:10.0.0.7", at=NINE + 15 * MINUTE)


def test_a_try_that_was_right_opens_what_it_locked_and_no_more(settings):
    fail("account:nurse", times=9)
    fail("account:colleague", times=10)
    lockout.begin("account:nurse", at=NINE)
    lockout.give_back("account:nurse")

    row = WrongTries.objects.get(subject=lockout._hashed("account:nurse"))
    assert (row.failures, row.locked_until) == (9, None)
    assert is_locked("account:colleague")
    lockout.give_back("account:nobody")
    for _ in range(12):
        lockout.give_back("account:nurse")
    row.refresh_from_db()
    assert row.failures == 0


def test_a_wrong_try_at_another_door_counts_and_locks_as_here():
    for _ in range(9):
        lockout.add_failure("account:nurse", at=NINE)
    assert not is_locked("account:nurse")

    lockout.add_failure("account:nurse", at=NINE)
    until = WrongTries.objects.get().locked_until
    assert until == NINE + 15 * MINUTE
    for _ in range(10):
        lockout.add_failure("account:nurse", at=until)
    assert WrongTries.objects.get().locked_until == until + 30 * MINUTE


def test_rows_are_kept_for_two_days_and_no_longer():
    fail("account:nurse")
    fail("account:colleague", at=NINE + timedelta(days=2))
    assert WrongTries.objects.count() == 2

    fail("account:colleague", at=NINE + timedelta(days=2, seconds=1))
    assert WrongTries.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_fifty_tries_at_once_ten_are_checked():
    checked = []

    def guess():
        try:
            lockout.begin("account:nurse", "address:10.0.0.7", at=NINE)
        except lockout.LockedOut:
            pass
        else:
            checked.append(1)
        finally:
            connection.close()

    guesses = [Thread(target=guess) for _ in range(50)]
    for each in guesses:
        each.start()
    for each in guesses:
        each.join()

    assert len(checked) == 10
