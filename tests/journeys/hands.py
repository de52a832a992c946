"""Hands that count, eyes that check, and a clock that can be moved on."""

import re
import wsgiref.handlers
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from django.test import Client
from django.utils import timezone
from playwright.sync_api import BrowserContext, Locator, Page, expect

from sessions.middleware import LAST_SEEN, SECOND_FACTOR, SIGNED_IN_AT
from sessions.models import User

WIDER = """() => {
  const page = document.documentElement;
  return page.scrollWidth > page.clientWidth
    ? [...document.querySelectorAll("body *")]
        .filter((each) => each.getBoundingClientRect().right > page.clientWidth + 1)
        .slice(0, 4).map((each) => each.outerHTML.slice(0, 90))
        .concat(`${page.scrollWidth} px in ${page.clientWidth} px`)
    : [];
}"""
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation",
  (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));"""
REFUSED = re.compile(r"Failed to load resource.* status of (4\d\d)")
FAULTS = re.compile(r"ERR_(CONNECTION|EMPTY_RESPONSE|INTERNET_DISCONNECTED|FAILED)")


class Clock:
    """The server's clock: nine in the morning, until it is moved on."""

    def __init__(self, monkeypatch) -> None:
        real = timezone.now
        nine = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0)
        self.ahead = nine - real()
        monkeypatch.setattr(timezone, "now", lambda: real() + self.ahead)
        # Pages learn the time from the head of each answer, too.
        monkeypatch.setattr(
            wsgiref.handlers, "format_date_time", lambda _: self._header()
        )

    def go_on(self, minutes: float) -> None:
        self.ahead += timedelta(minutes=minutes)

    @property
    def now(self) -> datetime:
        return timezone.now()

    def _header(self) -> str:
        return format_datetime(self.now, usegmt=True)


class Hand:
    """Taps and types as a nurse does, and counts: a tap, a character, Enter are 1."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.steps: list[tuple[int, str]] = []

    @property
    def count(self) -> int:
        return sum(number for number, _ in self.steps)

    def tap(self, target: Locator) -> None:
        self.steps.append((1, f"tap {_words_of(target)!r}"))
        target.click()

    def type(self, text: str) -> None:
        """Type where the cursor stands; without a cursor the typing is lost."""
        self._find_cursor(text)
        self.steps.append((len(text), f"type {text!r}"))
        self.page.keyboard.type(text)

    def enter(self) -> None:
        self.steps.append((1, "Enter"))
        self.page.keyboard.press("Enter")

    def scan(self, code: str) -> None:
        """One press on the scanner's trigger, which types and sends."""
        self._find_cursor(code)
        self.steps.append((1, "scan"))
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Enter")

    def _find_cursor(self, text: str) -> None:
        cursor = self.page.locator("input.box:focus")
        expect(cursor, f"a cursor for {text!r}, after {self}").to_have_count(1)

    def six(self, *values: str, advances: bool) -> None:
        """The six usual numbers; Enter between them unless the fields go on alone."""
        for place, value in enumerate(values):
            self.type(value)
            if not advances and place < len(values) - 1:
                self.enter()

    def within(self, budget: int) -> None:
        print(f"{self.count} of {budget}: {self}")  # shown by `pytest -s`
        assert self.count <= budget, f"{self.count} in place of {budget}: {self}"

    def __str__(self) -> str:
        return ", ".join(f"{words} ({number})" for number, words in self.steps)


class Watch:
    """Everything a browser complains about while somebody works in it."""

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self.may_refuse: set[int] = set()
        self.may_be_cut_off = False
        self.may_miss_a_place = False
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("response", self._response)

    def _console(self, message) -> None:
        if message.type not in ("error", "warning"):
            return
        refused = REFUSED.search(message.text)
        if refused and int(refused[1]) in self.may_refuse:
            return
        if self.may_be_cut_off and FAULTS.search(message.text):
            return
        if message.text.startswith("Response Status Error Code") and self.may_refuse:
            return  # htmx says a refused request a second time
        if self.may_be_cut_off and message.text.startswith("htmx:"):
            return
        if self.may_miss_a_place and "oobErrorNoTarget" in message.text:
            return
        self.faults.append(f"{message.type}: {message.text} ({message.page.url})")

    def _response(self, response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status}: {response.url}")


def sign_in(context: BrowserContext, user: User, url: str) -> None:
    """Give the browser a login of this user, with all its factors."""
    client = Client()
    client.force_login(user)
    session = client.session
    now = timezone.now().isoformat()
    session[SIGNED_IN_AT] = session[LAST_SEEN] = now
    session[SECOND_FACTOR] = True
    session.save()
    value = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": value, "url": url}])


def _words_of(target: Locator) -> str:
    return (target.get_attribute("aria-label") or target.inner_text())[:40]
