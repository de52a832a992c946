"""The lock over a page: the same nurse goes on, another one begins anew."""

import pyotp
import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from sessions.models import AuditEntry, VitalSigns
from sessions.services import factors
from tests.conftest import PASSWORD
from tests.journeys.test_saving import SAVE, SET, running, sets, type_in, typed

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["running"]


@pytest.fixture
def page(desk, running, nurse) -> Page:
    page = desk(nurse)
    page.watch.may_refuse = {401, 403, 422}
    page.clock.install()
    page.goto(f"/infusions/{running.visit.pk}/")
    return page


def lock(page: Page):
    return page.get_by_role("dialog", name="Locked")


def unlock(page: Page, user, password=PASSWORD) -> None:
    lock(page).get_by_label("User name").fill(user.username)
    lock(page).get_by_label("Password").fill(password)
    lock(page).get_by_role("button", name="Unlock").click()


def is_seen(page: Page, words: str) -> bool:
    return page.get_by_text(words).first.is_visible()


def test_unused_for_the_clinics_minutes_it_locks_and_the_typing_stays(
    page, clock, nurse, running
):
    type_in(page)
    clock.go_on(16)
    page.clock.fast_forward(16 * 60_000)

    expect(lock(page)).to_be_visible()
    expect(lock(page)).to_contain_text(running.visit.chair.name)
    assert not is_seen(page, "OKONKWO")
    assert not page.get_by_role("button", name=SAVE).is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(lock(page)).to_be_visible()
    unlock(page, nurse, "not the password")
    expect(lock(page)).to_contain_text("do not belong together")
    unlock(page, nurse)

    expect(lock(page)).to_be_hidden()
    assert typed(page) == SET
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    assert VitalSigns.objects.latest("pk").recorded_by == nurse


def test_somebody_else_finds_an_empty_form_and_nothing_of_hers_is_saved(
    page, clock, nurse, colleague
):
    type_in(page)
    clock.go_on(16)
    page.clock.fast_forward(16 * 60_000)
    expect(lock(page)).to_be_visible()

    unlock(page, colleague)

    who = page.locator(".who")
    expect(who).to_contain_text(colleague.name)
    assert typed(page) == ("",) * 6
    type_in(page, ("118", *SET[1:]))
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    saved = VitalSigns.objects.exclude(purpose="baseline")
    assert [(row.recorded_by, row.systolic_mmhg) for row in saved] == [(colleague, 118)]
    acts = AuditEntry.objects.filter(action="vitals.record", user=nurse)
    assert acts.count() == 1  # her baseline of the morning


@pytest.mark.soak
def test_a_set_pressed_after_the_login_ended_is_saved_by_the_password(page, nurse):
    type_in(page)
    Session.objects.all().delete()
    page.get_by_role("button", name=SAVE).click()

    expect(lock(page)).to_be_visible()
    assert sets() == 0
    unlock(page, nurse)

    expect(page.locator("#saved-h")).to_contain_text("Saved")
    expect(page.locator("#offline")).to_be_hidden()
    assert sets() == 1


def test_what_she_pressed_is_never_sent_under_another_name(page, nurse, colleague):
    type_in(page)
    Session.objects.all().delete()
    page.get_by_role("button", name=SAVE).click()
    expect(lock(page)).to_be_visible()
    unlock(page, colleague)

    alert = lock(page).get_by_role("alert")
    expect(alert).to_contain_text(f"only when {nurse.name} unlocks")
    assert sets() == 0
    unlock(page, nurse)

    expect(page.locator("#saved-h")).to_contain_text("Saved")
    assert VitalSigns.objects.latest("pk").recorded_by == nurse
    assert sets() == 1


@pytest.mark.soak
def test_the_lock_ends_the_login_in_every_tab(page, nurse, running):
    page.get_by_role("button", name="account").click()
    page.get_by_role("button", name="Lock").click()
    expect(lock(page)).to_be_visible()

    other = page.context.new_page()
    other.goto("/board/")
    expect(other.get_by_role("button", name="Sign in")).to_be_visible()
    other.close()
    unlock(page, nurse)
    expect(lock(page)).to_be_hidden()


@pytest.mark.soak
def test_what_polls_keeps_no_login_alive_and_use_in_one_tab_keeps_the_other_open(
    page, clock, nurse, running
):
    board = page.context.new_page()
    board.watch = page.watch
    board.clock.install()
    board.goto("/board/")
    for _ in range(3):
        clock.go_on(6)
        page.keyboard.press("Shift")
        page.clock.fast_forward(6 * 60_000)
        board.clock.fast_forward(6 * 60_000)

    # The server ended the login: its next poll says so.
    expect(lock(board)).to_be_visible(timeout=9000)
    assert Session.objects.count() == 0


@pytest.mark.soak
def test_a_tablet_that_slept_is_locked_when_it_wakes(page, clock):
    type_in(page)
    clock.go_on(60)
    page.clock.set_system_time(page.evaluate("Date.now()") / 1000 + 3600)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(lock(page)).to_be_visible()
    assert typed(page) == SET


@pytest.mark.soak
def test_a_plain_form_that_was_typed_in_for_long_keeps_its_typing(page, clock, nurse):
    page.goto("/patients/new/")
    page.get_by_label("Surname").fill("Featherstonehaugh")
    page.get_by_label("Given names").fill("Ada")
    page.get_by_label("Birth date").fill("1961-02-03")
    page.get_by_label("MRN").fill("771")
    page.get_by_label("Female", exact=True).check()
    for _ in range(3):
        clock.go_on(6)
        page.clock.fast_forward(6 * 60_000)
        page.keyboard.press("Shift")
    page.get_by_role("button", name="Register").click()

    expect(lock(page)).to_be_visible()
    unlock(page, nurse)
    expect(lock(page)).to_be_hidden()
    assert page.get_by_label("Surname").input_value() == "Featherstonehaugh"
    page.get_by_role("button", name="Register").click()
    expect(page.locator(".banner")).to_contain_text("FEATHERSTONEHAUGH")


@pytest.mark.soak
def test_who_signs_in_with_two_things_unlocks_with_both(page, clock, nurse, running):
    type_in(page)
    secret = pyotp.random_base32()
    by = running.by(nurse)
    code = pyotp.TOTP(secret).at(by.at)
    factors.add_app(name="phone", secret=secret, code=code, by=by)
    clock.go_on(16)
    page.clock.fast_forward(16 * 60_000)
    unlock(page, nurse)

    with page.context.expect_page() as opened:
        lock(page).get_by_role("link", name="Second step").click()
    step = opened.value
    step.get_by_label("Code from the app").fill(pyotp.TOTP(secret).at(clock.now))
    step.get_by_role("button", name="Sign in").click()
    expect(step.locator("main")).to_contain_text("My settings")
    step.close()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(lock(page)).to_be_hidden()
    assert typed(page) == SET
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")


@pytest.mark.soak
def test_what_waits_is_not_sent_when_somebody_else_signed_in_meanwhile(
    page, nurse, colleague
):
    page.watch.may_be_cut_off = True
    page.route("**/vitals/", lambda route: route.abort())
    page.route("**/icon.svg", lambda route: route.abort())
    type_in(page)
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("#offline")).to_contain_text("1 entry waiting")
    other = page.context.new_page()
    other.goto("/board/")
    other.get_by_role("button", name="account").click()
    other.get_by_role("button", name="Sign out").click()
    other.get_by_label("User name").fill(colleague.username)
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect(other.locator("#board")).to_be_visible()
    page.unroute("**/vitals/")
    page.unroute("**/icon.svg")

    page.get_by_role("button", name="Send it all the same").click()
    alert = lock(page).get_by_role("alert")
    expect(alert).to_contain_text(f"only when {nurse.name} unlocks")
    assert sets() == 0
    unlock(page, nurse)
    expect(lock(page)).to_be_hidden()
    page.get_by_role("button", name="Send it all the same").click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    assert VitalSigns.objects.latest("pk").recorded_by == nurse
    assert sets() == 1
