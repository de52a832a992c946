"""The screen at the chair: values at a touch, true times, and what is told once."""

import json
import re
import struct
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.factories.visits import Morning
from tests.journeys import stories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HEARD = """() => {
  window.tones = 0;
  const make = AudioContext.prototype.createOscillator;
  AudioContext.prototype.createOscillator = function () {
    window.tones += 1;
    return make.call(this);
  };
}"""
MOVED = """() => {
  // What the answer to a press moves, the press explains; everything else is counted.
  window.shifts = [];
  let answered = -Infinity;
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.xhr.clinic?.wrote) answered = performance.now();
  });
  new PerformanceObserver((list) => window.shifts.push(
    ...list.getEntries().filter(({ startTime }) => Math.abs(startTime - answered) > 300)
      .map((each) => each.sources.map(({ node }) => node?.outerHTML?.slice(0, 60))),
  )).observe({ type: "layout-shift", buffered: true });
}"""


@pytest.fixture
def running(cast) -> Morning:
    """Forty minutes under way, by the true clock; one good set after the baseline."""
    morning = Morning.of(at=timezone.now() - timedelta(minutes=40), **cast)
    morning.started()
    stories.step_to(morning, 2, after=31)
    return morning


@pytest.fixture
def at_chair(desk, running, nurse) -> Page:
    page = desk(nurse)
    page.goto(f"/infusions/{running.visit.pk}/")
    return page


def until(page: Page, truth: str) -> None:
    """Wait for something that only the page knows; the policy lets no page poll it."""
    for _ in range(80):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(100)
    raise AssertionError(truth)


def save(page: Page, *values: str) -> None:
    labels = ("Systolic", "Diastolic", "Pulse", "Resp.", "SpO₂", "Temp.")
    for label, value in zip(labels, values, strict=True):
        page.locator("#vitals-form").get_by_label(label).fill(value)
    page.get_by_role("button", name="Save: alert, on air").click()


def test_the_chart_is_read_by_keys_and_by_touch_and_follows_a_save(at_chair):
    page = at_chair
    reading = page.get_by_role("slider", name="Values at a time")
    line = page.locator("#visit-chart .cursor")
    expect(line).to_have_attribute("visibility", "hidden")

    reading.focus()
    page.keyboard.press("Home")

    first = reading.inner_text()
    for part in ("BP 128/78 mmHg", "pulse 76 /min", "respiration 16 /min"):
        assert part in first
    assert "SpO₂ 98 %" in first
    assert "temperature 36.7 °C" in first
    expect(reading).to_have_attribute("aria-valuetext", first)
    expect(line).not_to_have_attribute("visibility", "hidden")
    page.keyboard.press("End")
    assert "43.2 mL/h" in reading.inner_text()
    page.keyboard.press("ArrowRight")  # there is nothing later: it stays
    assert "43.2 mL/h" in reading.inner_text()

    strips = page.locator("#visit-chart .stop")
    strips.first.dispatch_event("pointerdown")  # nothing under the finger: it stays
    box = strips.first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    expect(reading).to_have_text(first)

    count = int(reading.get_attribute("aria-valuemax"))
    save(page, "124", "76", "80", "15", "98", "36.9")
    expect(reading).to_have_attribute("aria-valuemax", str(count + 1))
    expect(reading).to_have_text(first)  # what she chose to read stays chosen
    reading.focus()
    page.keyboard.press("End")
    assert "BP 124/76 mmHg" in reading.inner_text()


def test_nothing_moves_by_itself_and_the_cursor_stays(desk, running, nurse):
    page = desk(nurse)
    page.add_init_script(f"({MOVED})()")
    page.goto(f"/infusions/{running.visit.pk}/")
    pulse = page.locator("#vitals-form").get_by_label("Pulse")
    pulse.press_sequentially("8")
    with page.expect_response(lambda answer: "/now/" in answer.url):
        page.evaluate("document.body.dispatchEvent(new Event('visit-due'))")
    expect(pulse).to_be_focused()
    assert pulse.input_value() == "8"

    save(page, "104", "76", "80", "15", "98", "36.9")
    expect(page.locator("section.flag")).to_be_visible()
    expect(page.locator("#visit-chart")).to_contain_text("Flag:")
    page.wait_for_load_state("networkidle")

    assert page.evaluate("window.shifts") == []
    assert page.evaluate("document.activeElement !== document.body")


def left(page: Page) -> int:
    """Seconds on the countdown to the next set."""
    count = page.locator(".nowbar time[data-due]").last
    expect(count).not_to_have_text("?")  # until it has asked, it does not guess
    text = count.inner_text()
    sign, minutes, seconds = re.fullmatch(r"(\+?)(\d+):(\d\d)", text).groups()
    whole = int(minutes) * 60 + int(seconds)
    return -whole if sign else whole


def test_counts_and_lock_are_right_after_a_changed_clock_and_after_sleep(at_chair):
    page = at_chair
    ahead = timedelta()

    def answer(route):
        """Nothing new, at the server's time: its clock is moved with the sleep."""
        date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        route.fulfill(status=204, headers={"Date": date})

    for address in ("**/icon.svg", "**/now/**", "**/alarms/**"):
        page.route(address, answer)
    before = left(page)
    set_clock = """(ms) => {
      window.real ??= Date.now.bind(Date);
      Date.now = () => window.real() + ms;
    }"""

    page.evaluate(set_clock, -3_600_000)  # set back an hour: nothing jumps
    page.wait_for_timeout(1300)
    assert abs(before - left(page)) < 6

    page.evaluate(set_clock, 300_000)  # set ahead: the server is asked
    page.wait_for_timeout(2300)
    assert abs(before - left(page)) < 9

    ahead = timedelta(minutes=8)  # slept that long, and so went the server's clock
    page.evaluate(set_clock, 300_000 + 480_000)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(600)
    assert abs(before - 480 - left(page)) < 12

    lock = page.get_by_role("dialog", name="Locked")
    wake = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(set_clock, 780_000 + 3_600_000)  # set ahead by an hour: not unused
    page.evaluate(wake)
    page.wait_for_timeout(600)
    expect(lock).to_be_hidden()

    ahead = timedelta(minutes=28)  # slept for twenty more: unused
    page.evaluate(set_clock, 780_000 + 3_600_000 + 1_200_000)
    page.evaluate(wake)
    expect(lock).to_be_visible()


def test_what_becomes_late_is_said_once_and_sounds_where_it_was_asked(
    desk, cast, nurse
):
    running = Morning.of(at=timezone.now() - timedelta(minutes=12), **cast)
    running.started()
    page = desk(nurse)
    page.add_init_script(f"({HEARD})()")
    page.goto(f"/infusions/{running.visit.pk}/")
    page.route("**/icon.svg", lambda route: route.abort())
    page.watch.may_be_cut_off = True
    switch = page.locator("[data-sound-switch]")
    expect(switch).to_have_text("Sound off: tap")
    expect(switch).to_have_attribute("aria-pressed", "false")

    switch.click()
    expect(switch).to_have_text("Sound on")
    expect(switch).to_have_attribute("aria-pressed", "true")
    until(page, "window.tones === 3")  # the test: she hears it

    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => {
        const line = document.querySelector("#messages .spoken");
        if (line) window.said.push(line.textContent);
      }).observe(document.querySelector("#messages"), { childList: true });
      const real = Date.now.bind(Date);
      Date.now = () => real() + 14 * 60000;
    }""")
    until(page, "window.said.length > 0")
    page.wait_for_timeout(2200)
    said = " ".join(page.evaluate("window.said"))
    assert said.count("Vitals late") == 1
    assert page.evaluate("window.tones") == 5  # two pulses for late vital signs

    save(page, "104", "76", "80", "15", "98", "36.9")
    expect(page.locator("section.flag")).to_be_visible()
    until(page, "window.tones === 8")  # three for the flag
    switch.click()
    expect(switch).to_have_text("Sound off: tap")


def test_a_session_page_is_light_and_can_be_installed(desk, running, nurse):
    page = desk(nurse)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/infusions/{running.visit.pk}/")
    page.wait_for_load_state("networkidle")
    assert len(asked) <= 6, "\n".join(asked)

    link = page.locator("link[rel=manifest]").get_attribute("href")
    answer = page.request.get(link)
    manifest = json.loads(answer.text())
    assert manifest["display"] == "standalone"
    sizes = {}
    for icon in manifest["icons"]:
        file = finders.find(f"sessions/{icon['src']}")
        if file.endswith(".png"):
            with open(file, "rb") as png:
                wide, high = struct.unpack(">II", png.read(24)[16:])
            assert icon["sizes"] == f"{wide}x{high}"
            sizes[wide] = sizes.get(wide, "") + icon.get("purpose", "any")
    assert sizes == {192: "any", 512: "anymaskable"}
    # Nothing of a patient is ever kept by the browser.
    assert page.evaluate("navigator.serviceWorker.getRegistrations()") == []
    assert page.evaluate("caches.keys()") == []
    kept = page.evaluate("({ ...localStorage, ...sessionStorage })")
    assert set(kept.values()) <= {f"/infusions/{running.visit.pk}/"}  # htmx: the path
    manifest_from = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["manifest-src"]
    assert manifest_from == ["'self'"]
