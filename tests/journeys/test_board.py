"""The board in a browser: live by polling, and honest when it is not."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection
from playwright.sync_api import expect

from tests.factories.visits import Morning
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
