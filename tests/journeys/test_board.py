"""The board in a browser: live by polling, and honest when it is not."""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection
from playwright.sync_api import expect

from tests.factories import visits
from tests.factories.visits import Morning
from tests.journeys import stories
from tests.journeys.hands import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def running(clock, cast) -> Morning:
    morning = Morning.of(at=clock.now, **cast)
    morning.started()
    clock.go_on(minutes=40)
    return morning


def is_poll(response) -> bool:
    return "/board/live/" in response.url


def test_an_unchanged_board_is_not_swapped_and_a_save_elsewhere_shows(
    desk, running, nurse, colleague
):
    page = desk(colleague)
    page.goto("/board/")
    page.locator("#board").evaluate("(board) => { board.untouched = true; }")
    untouched = "(board) => board.untouched === true"
    with page.expect_response(is_poll, timeout=9000) as first:
        pass
    for _ in range(3):  # a clock's bucket may turn in between: then look once more
        if first.value.status == 204:
            break
        page.locator("#board").evaluate("(board) => { board.untouched = true; }")
        with page.expect_response(is_poll, timeout=9000) as first:
            pass
    assert first.value.status == 204
    assert page.locator("#board").evaluate(untouched)
    card = page.locator(".card").first
    expect(card).to_have_attribute("data-state", "late")

    other = desk(nurse)
    other.goto(f"/infusions/{running.visit.pk}/")
    form = other.locator("#vitals-form")
    for label, value in (
        *(("Systolic", "104"), ("Diastolic", "70"), ("Pulse", "80")),
        *(("Resp.", "15"), ("SpO₂", "98"), ("Temp.", "36.8")),
    ):
        form.get_by_label(label).fill(value)
    form.get_by_role("button", name="Save: alert, on air").click()
    expect(other.locator("section.flag")).to_be_visible()

    expect(card).to_have_attribute("data-state", "flag-medium", timeout=6500)
    expect(card).to_contain_text("Systolic")


@pytest.fixture
def two_chairs(running, cast) -> tuple[Morning, Morning]:
    """The second patient stands below the first, until something happens to them."""
    at = running.at
    other = Morning(at=at, **cast)
    other.patient = visits.patient_known(
        cast["nurse"], at, mrn="7700002", family_name="Featherstonehaugh"
    )
    other.order = visits.active_order(
        other.patient,
        prescriber=cast["prescriber"],
        pharmacist=cast["pharmacist"],
        at=at,
    )
    other.visit = visits.checked_in(
        other.order,
        charge_nurse=cast["charge_nurse"],
        nurse=cast["nurse"],
        at=at,
        chair="02",
    )
    other.started()
    for morning in (running, other):
        stories.save_set(morning, after=39)
    return running, other


def order_of(page) -> list[str]:
    return page.locator(".card .go").evaluate_all("(all) => all.map((a) => a.id)")


def poll(page) -> None:
    """Ask for the board now, not in five seconds."""
    with page.expect_response(is_poll):
        page.evaluate("document.body.dispatchEvent(new Event('visit-due'))")
    page.wait_for_timeout(150)


def test_nothing_moves_under_a_finger_or_under_keys(desk, two_chairs, colleague):
    above, below = (f"card-{morning.visit.pk}" for morning in two_chairs)
    page = desk(colleague)
    page.goto("/board/")
    assert order_of(page) == [above, below]
    page.locator(f"#{above}").hover()
    page.mouse.down()
    stories.save_set(two_chairs[1], after=40, reading=stories.FALL)
    poll(page)

    assert order_of(page) == [above, below]
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"/infusions/{two_chairs[0].visit.pk}/$"))

    page.goto("/board/")
    assert order_of(page) == [below, above]
    page.locator(f"#{below}").focus()
    page.keyboard.press("Shift")
    stories.save_set(two_chairs[0], after=41, reading=stories.FALL)
    poll(page)
    assert order_of(page) == [below, above]
    page.wait_for_timeout(3000)
    poll(page)
    assert len(order_of(page)) == 2
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/infusions/{two_chairs[1].visit.pk}/$"))


def test_a_press_on_what_moved_that_very_moment_opens_nobody(
    desk, two_chairs, colleague
):
    page = desk(colleague)
    page.goto("/board/")
    page.evaluate(
        """() => document.addEventListener("htmx:afterSettle", () => {
          const first = document.querySelector(".card .go");
          for (const kind of ["pointerdown", "pointerup"]) {
            first.dispatchEvent(new PointerEvent(kind, {bubbles: true}));
          }
          first.click();
          window.pressed = first.id;
        })"""
    )
    stories.save_set(two_chairs[1], after=40, reading=stories.FALL)
    poll(page)

    assert page.evaluate("window.pressed") == f"card-{two_chairs[1].visit.pk}"
    expect(page).to_have_url(re.compile("/board/$"))
    page.wait_for_timeout(500)
    page.locator(f"#card-{two_chairs[1].visit.pk}").click()
    expect(page).to_have_url(re.compile(rf"/infusions/{two_chairs[1].visit.pk}/$"))


@contextmanager
def server_of_its_own():
    """The product in a process that can be killed, on the database of the test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "DATABASE_FILE": str(connection.settings_dict["NAME"]),
        "SECRET_KEY": settings.SECRET_KEY,
        "DEBUG": "True",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", str(port), "--noreload"],
        env=environment,
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(150):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_board_and_wall_whose_server_died_say_so(desk, clinic, nurse):
    clinic.stale_seconds = 10
    clinic.save()
    pages = []
    with server_of_its_own() as (process, url):
        for path in ("/board/", "/board/wall/"):
            page = desk()
            page.watch.may_be_cut_off = True
            sign_in(page.context, nurse, url)
            page.goto(f"{url}{path}")
            expect(page.locator("#board [data-updated]")).to_contain_text("updated")
            pages.append(page)
        process.kill()

        for page in pages:
            notice = page.locator("#board [data-updated]")
            expect(notice).to_contain_text("NOT UPDATING since", timeout=16000)
            spoken = page.locator("#messages .spoken")
            expect(spoken).to_contain_text("NOT UPDATING since")


def test_a_board_with_an_ended_login_says_so(desk, clinic, nurse):
    clinic.stale_seconds = 10
    clinic.save()
    page = desk(nurse)
    page.watch.may_refuse = {401}
    page.goto("/board/")
    page.context.clear_cookies()

    expect(page.locator("#board [data-updated]")).to_contain_text(
        "NOT UPDATING since", timeout=16000
    )
