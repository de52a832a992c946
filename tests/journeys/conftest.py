"""A real Chromium, signed in as one of the cast.

Without a browser the journeys are skipped and say so; in CI that is a failure.
"""

import os

import pytest
from django.utils import timezone

from sessions.middleware import LAST_SEEN, SECOND_FACTOR, SIGNED_IN_AT
from sessions.models import Violation
from tests.conftest import PASSWORD
from tests.journeys.chromium import FLAGS, browser_path
from tests.journeys.hands import Clock, Watch, sign_in


@pytest.fixture(autouse=True, scope="session")
def _needs_a_browser():
    if browser_path():
        return
    message = "No Chromium: apt-get install chromium, or set IVIG_CHROMIUM."
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {
        **browser_type_launch_args,
        "executable_path": browser_path(),
        "args": list(FLAGS),
    }


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    viewport = {"width": 1280, "height": 800}
    return {**browser_context_args, "viewport": viewport, "locale": "en-GB"}


@pytest.fixture
def walk_in(live_server, page):
    """Type name and password as `user` would: gives the page back, signed in."""

    def as_user(user, path="/"):
        page.goto(f"{live_server.url}/sign-in/?next={path}")
        page.get_by_label("User name").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        return page

    return as_user


@pytest.fixture
def browse_as(live_server, page, client):
    """Open pages as `user` without typing: `browse_as(nurse)("/board/")`."""

    def as_user(user):
        client.force_login(user)
        session = client.session
        now = timezone.now().isoformat()
        session[SIGNED_IN_AT], session[LAST_SEEN] = now, now
        session[SECOND_FACTOR] = True
        session.save()
        cookie = client.cookies["sessionid"].value
        page.context.add_cookies(
            [{"name": "sessionid", "value": cookie, "url": live_server.url}]
        )

        def open_page(path):
            page.goto(f"{live_server.url}{path}")
            return page

        return open_page

    return as_user


@pytest.fixture
def accessible(page):
    """Fail with the list of axe's violations on the page as it stands."""
    from axe_playwright_python.sync_playwright import Axe

    def check():
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()

    return check


@pytest.fixture
def clock(monkeypatch):
    """The server's clock, at nine; move it with `clock.go_on(minutes=30)`."""
    return Clock(monkeypatch)


@pytest.fixture
def desk(live_server, new_context, clinic):
    """Open a browser of one's own, signed in: `desk(nurse)` gives its first page.

    At the end nothing may have been refused by the content policy, nor complained
    of in a console; `page.watch` says what a test does on purpose.
    """
    watches = []

    def opened(user=None, **options):
        context = new_context(base_url=live_server.url, **options)
        context.set_default_timeout(8000)
        watch = Watch(context)
        watches.append(watch)
        if user is not None:
            sign_in(context, user, live_server.url)
        page = context.new_page()
        page.watch = watch
        return page

    yield opened
    faults = [fault for watch in watches for fault in watch.faults]
    faults += [f"told by a browser: {row}" for row in Violation.objects.values()]
    assert not faults, "\n".join(faults)


@pytest.fixture
def cast(nurse, charge_nurse, prescriber, pharmacist, admin):
    return {
        "nurse": nurse,
        "charge_nurse": charge_nurse,
        "prescriber": prescriber,
        "pharmacist": pharmacist,
        "admin": admin,
    }
