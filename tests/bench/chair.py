"""From pressing Save to the flag on the screen, in Chromium, and what a page costs.

Each visit that runs in the demo clinic is measured once with a set that calls for a
flag; then the record is put back as it was, and all are measured again. The clock
starts with the press itself and ends when the frame that shows the flag was drawn.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright

from sessions.demo.people import PASSWORD
from tests.journeys.chromium import FLAGS, browser_path

HOST, PORT = "127.0.0.1", 8199
MEASURED = 30
ROUNDS = 6
FALL = 25
"""mmHg under the baseline: the protocol calls for a lower rate."""
BOXES = ("Systolic", "Diastolic", "Pulse", "Resp.", "SpO₂", "Temp.")
# The promise is kept outside the page's wait, so that nothing of the test runs in it.
UNTIL_DRAWN = """() => {
  window.drawn = new Promise((done) => {
    let pressed = 0;
    document.addEventListener("click", (event) => { pressed = event.timeStamp; }, true);
    const watch = new MutationObserver(() => {
      const flag = document.querySelector("section.flag[data-state^=flag]");
      if (!pressed || !flag || !flag.checkVisibility()) return;
      watch.disconnect();
      // After the frame: a message is taken up once it was handed to the screen.
      requestAnimationFrame(() => {
        const after = new MessageChannel();
        after.port1.onmessage = () => done(performance.now() - pressed);
        after.port2.postMessage(0);
      });
    });
    watch.observe(document.body, { childList: true, subtree: true });
  });
}"""


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    """The product as `make run` starts it."""
    command = [sys.executable, "-m", "gunicorn", "ivig_clinic.wsgi"]
    command += ["--bind", f"{HOST}:{PORT}", "--workers", "2", "--threads", "4"]
    command += ["--no-control-socket", "--log-level", "warning"]
    server = subprocess.Popen(command, env=environment)
    try:
        for _ in range(300):
            try:
                HTTPConnection(HOST, PORT, timeout=2).request("GET", "/sign-in/")
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://{HOST}:{PORT}"
    finally:
        server.terminate()
        server.wait()


def sign_in(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{url}/sign-in/")
    page.get_by_label("User name").fill("nurse")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#board")
    return page


def running(page: Page, url: str) -> list[str]:
    """Addresses of visits without an open flag, as the board shows them."""
    calm = ".card:is([data-state=running], [data-state=late], [data-state=paused]) a.go"
    return [url + (a.get_attribute("href") or "") for a in page.locator(calm).all()]


def press_to_flag(page: Page, address: str) -> float | None:
    """Milliseconds from the press to the drawn flag; None where none is raised."""
    page.goto(address)
    form = page.locator("#vitals-form")
    for label in BOXES:
        box = form.get_by_label(label)
        base = page.locator(f"#{box.get_attribute('id')}_was b").first.inner_text()
        box.fill(str(int(base) - FALL) if label == "Systolic" else base)
    page.wait_for_timeout(150)
    page.evaluate(UNTIL_DRAWN)
    form.locator("button[type=submit]").first.click()
    try:
        page.wait_for_selector("section.flag", timeout=4000)
    except Error:  # the value was asked about, or calls for nothing here
        return None
    return page.evaluate("() => window.drawn")


def first_load(page: Page, address: str) -> tuple[int, int, int]:
    """Requests, bytes and bytes of script of a page nobody has opened before."""
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    kinds: dict[str, str] = {}
    sizes: dict[str, int] = {}
    wire.on(
        "Network.responseReceived",
        lambda told: kinds.__setitem__(told["requestId"], told["type"]),
    )
    wire.on(
        "Network.loadingFinished",
        lambda told: sizes.__setitem__(told["requestId"], told["encodedDataLength"]),
    )
    page.goto(address)
    page.wait_for_load_state("networkidle")
    script = sum(size for key, size in sizes.items() if kinds.get(key) == "Script")
    wire.detach()
    return len(sizes), int(sum(sizes.values())), int(script)


def measure(environment: dict[str, str]) -> None:
    """Measure on the database that the environment names, and leave it as it was."""
    record = Path(environment["DATABASE_FILE"])
    kept = record.with_suffix(".kept")
    shutil.copy(record, kept)
    taken: list[float] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        loaded = (0, 0, 0)
        for _ in range(ROUNDS):
            with served(environment) as url:
                page = sign_in(browser, url)
                visits = running(page, url)
                loaded = first_load(page, visits[0])
                press_to_flag(page, visits[0])  # the first one warms the workers up
                found = [press_to_flag(page, address) for address in visits[1:]]
                taken += [each for each in found if each is not None]
                page.context.close()
            for file in record.parent.glob(f"{record.name}*"):
                file.unlink()
            shutil.copy(kept, record)
            if len(taken) >= MEASURED:
                break
        browser.close()
    taken.sort()
    ninety = statistics.quantiles(taken, n=10)[-1]
    print(f"\nPress of Save to drawn flag, {len(taken)} presses in Chromium:")
    print(
        f"  median {statistics.median(taken):.0f} ms, 90th percentile {ninety:.0f} ms,"
    )
    print(f"  from {taken[0]:.0f} to {taken[-1]:.0f} ms; load {os.getloadavg()[0]:.1f}")
    print("First load of the session page, nothing in the browser's cache:")
    print(f"  {loaded[0]} requests, {loaded[1]} bytes, {loaded[2]} of them script")
