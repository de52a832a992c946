"""What a nurse's work leaves behind in a browser, in addresses and in the log: nothing.

And no page taken back, and no second tab, leads an entry to another patient (H1, H23).
"""

import json
import logging

import pytest
from playwright.sync_api import Page, expect

from sessions.models import Violation, VitalSigns
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.factories.visits import Morning
from tests.hostile.test_canaries import lookers, made, poison  # noqa: F401
from tests.journeys import stories
from tests.journeys.hands import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SAVE = "Save: alert, on air"
BOXES = ("Systolic", "Diastolic", "Pulse", "Resp.", "SpO₂", "Temp.")
SET = ("126", "77", "81", "15", "97", "36.9")
FALLEN = ("104", *SET[1:])
WORDS = ("okonkwo", "adaeze", "0048172265", "1978", "14 mar")
"""What names the patient of these tests, in small letters."""
WHO_SEE_PATIENTS = {"nurse", "charge nurse", "prescriber", "pharmacist", "auditor"}
SHARED = ("/board/", "/board/wall/", "/patients/", "/orders/", "/infusions/")
"""Lists that somebody else sees over a shoulder, or in the names of tabs."""
KEPT = """async () => {
  const kept = {local: {...localStorage}, session: {...sessionStorage}};
  kept.cookies = document.cookie;
  kept.history = JSON.stringify(history.state);
  kept.workers = (await navigator.serviceWorker.getRegistrations()).map((r) => r.scope);
  kept.caches = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const asked of await cache.keys()) {
      kept.caches.push(asked.url + await (await cache.match(asked)).text());
    }
  }
  kept.databases = [];
  for (const {name} of await indexedDB.databases()) {
    const base = await new Promise((done) => {
      indexedDB.open(name).onsuccess = (event) => done(event.target.result);
    });
    for (const store of base.objectStoreNames) {
      kept.databases.push(await new Promise((done) => {
        base.transaction(store).objectStore(store).getAll().onsuccess =
          (event) => done(event.target.result);
      }));
    }
  }
  return kept;
}"""


@pytest.fixture
def running(clock, cast) -> Morning:
    """Forty minutes on the first step."""
    morning = Morning.of(at=clock.now, **cast)
    morning.started()
    clock.go_on(minutes=40)
    return morning


def type_in(page: Page, values=SET) -> None:
    for label, value in zip(BOXES, values, strict=True):
        page.locator("#vitals-form").get_by_label(label).fill(value)


def saved(page: Page) -> None:
    page.locator("#vitals-form").get_by_role("button", name=SAVE).click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")


def named(text: str) -> list[str]:
    """Words of the patient in a text, in whatever letters."""
    return [word for word in WORDS if word in text.lower()]


def sign_out(page: Page) -> None:
    page.locator("button.who").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_label("User name")).to_be_visible()


def test_a_day_leaves_no_word_of_a_patient_and_back_shows_nothing(
    desk, running, nurse, caplog
):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("django.db.backends").setLevel(logging.INFO)
    page = desk()
    page.watch.may_refuse = {422}
    addresses = []
    page.context.on("request", lambda request: addresses.append(request.url))
    page.goto("/sign-in/?next=/patients/")
    page.get_by_label("User name").fill("nurse")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("searchbox").or_(page.locator("input[name=q]")).first.fill(
        "Okonkwo"
    )
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_contain_text("0048172265")
    titles = []
    for path in SHARED:
        page.goto(path)
        titles.append(page.title())
    page.goto(f"/patients/{running.patient.pk}/")
    expect(page.locator("body")).to_contain_text("OKONKWO", ignore_case=True)
    page.goto(f"/infusions/{running.visit.pk}/")
    type_in(page, ("1280", *SET[1:]))
    page.locator("#vitals-form").get_by_role("button", name=SAVE).click()
    expect(page.locator("#vitals-form .errors")).to_be_visible()
    type_in(page, FALLEN)
    saved(page)
    expect(page.locator("section.flag")).to_be_visible()
    page.goto(f"/infusions/{running.visit.pk}/record/")
    expect(page.locator("body")).to_contain_text("OKONKWO", ignore_case=True)

    kept = page.evaluate(KEPT)
    assert not named(json.dumps(kept)), kept
    assert kept["workers"] == []
    assert kept["cookies"] == ""  # ours are hidden from scripts
    assert len(addresses) > 10
    assert not [url for url in addresses if named(url)]
    assert not [title for title in titles if named(title)]
    assert not named(caplog.text)
    page.goto(f"/infusions/{running.visit.pk}/")
    sign_out(page)
    assert not named(json.dumps(page.evaluate(KEPT)))
    for _ in range(5):
        page.go_back()
        expect(page.get_by_label("Password")).to_be_visible()
        assert not named(page.content())


def test_a_trace_would_be_noticed(desk, nurse):
    page = desk(nurse)
    page.goto("/board/")
    page.evaluate(
        """async () => {
          sessionStorage.setItem("draft", "Okonkwo");
          await (await caches.open("pages")).put("/x", new Response("0048172265"));
          await new Promise((done) => {
            const asked = indexedDB.open("waiting");
            asked.onupgradeneeded = () => asked.result.createObjectStore("sets");
            asked.onsuccess = () => {
              const put = asked.result.transaction("sets", "readwrite");
              put.objectStore("sets").put({name: "Adaeze"}, 1);
              put.oncomplete = done;
            };
          });
        }"""
    )

    found = named(json.dumps(page.evaluate(KEPT)))

    assert found == ["okonkwo", "adaeze", "0048172265"]


@pytest.fixture
def neighbour(running, clock) -> Morning:
    """Another patient in the next chair, forty minutes on the first step, too."""
    at = running.at
    other = Morning(
        at=at,
        nurse=running.nurse,
        charge_nurse=running.charge_nurse,
        prescriber=running.prescriber,
        pharmacist=running.pharmacist,
        admin=running.admin,
    )
    other.patient = visits.patient_known(
        other.nurse, at, mrn="7700001", family_name="Featherstonehaugh"
    )
    other.order = visits.active_order(
        other.patient, prescriber=other.prescriber, pharmacist=other.pharmacist, at=at
    )
    other.visit = visits.checked_in(
        other.order,
        charge_nurse=other.charge_nurse,
        nurse=other.nurse,
        at=at,
        chair="02",
    )
    other.started()
    return other


def pulses(morning: Morning) -> list[int]:
    rows = VitalSigns.objects.filter(session=morning.visit)
    return [row.pulse for row in rows.exclude(purpose="baseline").order_by("pk")]


def with_pulse(pulse: int) -> tuple[str, ...]:
    return ("126", "77", str(pulse), "15", "97", "36.9")


def test_two_tabs_and_back_write_each_set_on_its_own_patient(
    desk, running, neighbour, nurse
):
    first = desk(nurse)
    second = first.context.new_page()
    here, there = (f"/infusions/{each.visit.pk}/" for each in (running, neighbour))
    first.goto(here)
    second.goto(there)
    type_in(first, with_pulse(61))
    type_in(second, with_pulse(71))
    saved(second)
    saved(first)

    # The first tab goes to the neighbour and comes back; the second the other way.
    first.goto(there)
    first.go_back()
    expect(first.locator(".banner")).to_contain_text("OKONKWO", ignore_case=True)
    second.goto(here)
    second.go_back()
    expect(second.locator(".banner")).to_contain_text(
        "Featherstonehaugh", ignore_case=True
    )
    type_in(first, with_pulse(62))
    type_in(second, with_pulse(72))
    saved(first)
    saved(second)

    assert pulses(running) == [61, 62]
    assert pulses(neighbour) == [71, 72]


def test_back_shows_what_is_true_now(desk, running, colleague):
    page = desk(running.nurse)
    page.goto(f"/infusions/{running.visit.pk}/")
    page.goto("/board/")
    stories.save_set(
        running, after=41, reading=visits.READING | {"pulse": 99, "systolic_mmhg": 133}
    )

    page.go_back()

    expect(page.locator("main")).to_contain_text("133/78")


def test_what_the_policy_refuses_reaches_the_server(desk, nurse):
    page = desk(nurse)
    page.goto("/board/")
    with page.expect_response(lambda r: "/policy-violations/" in r.url) as told:
        page.evaluate(
            """() => {
              const part = document.createElement("p");
              part.setAttribute("style", "color: red");
              document.body.append(part);
            }"""
        )

    assert told.value.status == 204
    row = Violation.objects.get()
    assert (row.directive, row.blocked, row.page) == (
        "style-src-attr",
        "inline",
        "board",
    )
    assert any("CSP: style-src-attr" in fault for fault in page.watch.faults)
    page.watch.faults.clear()
    row.delete()


@pytest.mark.soak
@pytest.mark.parametrize("turn", range(0, 33, 4))
def test_no_canary_runs_in_a_browser(desk, made, live_server, turn):  # noqa: F811
    """Every page in Chromium, over a record full of canaries.

    As every role where a page offers each of them other forms, else as one. The policy
    may refuse nothing either: what would be refused is already wrong.
    """
    poison(turn)
    found, opened = [], set()
    for role, user in made.users.items():
        page = desk()
        page.watch.may_refuse = {404, 409, 422}
        page.add_init_script("window.hostile = () => console.error('a canary ran')")
        page.on("dialog", lambda dialog: dialog.dismiss())
        sign_in(page.context, user, live_server.url)
        for address, allowed, url in made.addresses("GET", every_way=True):
            if role not in lookers(address, allowed) or "export" in url or "pdf" in url:
                continue
            page.goto(url)
            found += [url] * (page.locator("[hostile], hostile").count() > 0)
            opened.add((address.name, role))
    Violation.objects.filter(count=0).delete()  # made up, and full of canaries
    assert not found
    for name in ("infusion-detail", "order-detail"):
        assert {role for shown, role in opened if shown == name} == WHO_SEE_PATIENTS
