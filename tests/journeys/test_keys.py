"""The work at the chair without a pointer, and what a screen reader is told of it."""

from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from sessions.models import Flag, RateChange, Reaction, VitalSigns
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.factories.visits import Morning

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

GOOD = ("128", "76", "82", "16", "98", "36.8")
FALLEN = ("104", "66", "80", "16", "98", "36.9")
WHERE = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return { words: "", fault: "the focus is lost" };
  const words = at.getAttribute("aria-label")
    || [...(at.labels ?? [])].map((each) => each.innerText).join(" ")
    || at.innerText || at.id;
  // The ring stands on the control itself, on the face of a hidden radio, on a card.
  const ring = [at, at.matches(".pick input") && at.nextElementSibling,
    at.closest(".card")].filter(Boolean).some((node) => {
    const style = getComputedStyle(node);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  });
  const face = at.matches(".pick input") ? at.nextElementSibling : at;
  const place = face.getBoundingClientRect();
  const x = [Math.max(place.left, 0), Math.min(place.right, innerWidth)];
  const y = [Math.max(place.top, 0), Math.min(place.bottom, innerHeight)];
  const met = document.elementFromPoint((x[0] + x[1]) / 2, (y[0] + y[1]) / 2);
  const seen = x[0] < x[1] && y[0] < y[1] && met
    && (at.contains(met) || met.contains(at) || met.closest("label")?.control === at);
  const fault = !ring ? "no ring" : !seen ? "not seen" : "";
  return { words, fault, part: at.outerHTML.slice(0, 120), x, y,
    met: met?.outerHTML.slice(0, 90) };
}"""


class Keys:
    """A nurse without a pointer: she walks by Tab and sees where she is."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def at(self) -> str:
        """The words of what has the focus, which can be seen there."""
        found = self.page.evaluate(WHERE)
        assert not found["fault"], found
        return found["words"]

    def to(self, words: str, *, key: str = "Tab", within: int = 90) -> None:
        """Walk until what has the focus is called so."""
        passed = []
        for _ in range(within):
            self.page.keyboard.press(key)
            passed.append(self.at())
            if words in passed[-1]:
                return
        raise AssertionError(f"{words!r} is not among {passed}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, *values: str) -> None:
        """Values into boxes that follow each other; Enter leads on to the next."""
        for place, value in enumerate(values):
            if place:
                self.press("Enter")
                self.at()
            self.page.keyboard.type(value)

    def keeps_its_place(self) -> None:
        """After an act the focus stands on something, and in reach of the eye."""
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(100)  # htmx settles what it swapped
        found = self.page.evaluate(WHERE)
        assert found["fault"] != "the focus is lost", found
        assert found["fault"] != "not seen", found


@pytest.fixture
def running(clock, cast) -> Morning:
    morning = Morning.of(
        at=clock.now, order={"medicines": (visits.as_needed(),)}, **cast
    )
    morning.started()
    clock.go_on(minutes=40)
    return morning


def test_a_nurse_works_without_a_pointer(desk, running):
    page = desk()
    keys = Keys(page)
    signed_in_at_the_board(keys)
    opened_the_visit(keys)
    stepped_up(keys)
    answered_a_flag(keys)
    recorded_a_reaction(keys)

    assert VitalSigns.objects.count() == 3
    assert Flag.objects.count() >= 1
    assert Reaction.objects.count() == 1


def signed_in_at_the_board(keys: Keys) -> None:
    page = keys.page
    page.goto("/sign-in/?next=/board/")
    if "User name" not in page.evaluate(WHERE)["words"]:
        keys.to("User name")
    page.keyboard.type("nurse")
    keys.to("Password")
    page.keyboard.type(PASSWORD)
    keys.press("Enter")
    expect(page.locator("#board")).to_be_visible()
    page.wait_for_load_state()


def opened_the_visit(keys: Keys) -> None:
    page = keys.page
    keys.press("Tab")
    assert keys.at() == "Skip to content"
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    keys.to("Okonkwo", within=12)
    keys.press("Enter")
    expect(page.locator("#vitals-form")).to_be_visible()
    page.wait_for_load_state()
    assert "Systolic" in keys.at()  # the cursor is where the next act is


def stepped_up(keys: Keys) -> None:
    page = keys.page
    keys.type(*GOOD)
    keys.to("Save and step up", within=6)
    keys.press("Enter")
    asks = page.get_by_role("dialog")
    expect(asks).to_be_visible()
    assert "Pump shows 43.2 mL/h" in keys.at()
    stays_in_the_dialog(keys)

    keys.press("Escape")
    expect(asks).to_be_hidden()
    assert "Save and step up" in keys.at()
    assert RateChange.objects.filter(kind="step").count() == 0
    keys.press("Enter")
    keys.press("Enter")
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    keys.keeps_its_place()
    assert RateChange.objects.latest("pk").rate_ml_per_h == Decimal("43.2")
    sees_every_stop(keys)
    assert "Systolic" in keys.at()  # the cursor is where the next act is, again


def sees_every_stop(keys: Keys) -> None:
    """Once through the page: what stands beside a long column is reached, too."""
    keys.to("Replay")
    keys.to("Systolic", key="Shift+Tab")


def stays_in_the_dialog(keys: Keys) -> None:
    """Tab and Shift+Tab go round in it, whatever stands behind."""
    inside = "document.activeElement.closest('.confirm:popover-open') !== null"
    for key in ["Tab"] * 7 + ["Shift+Tab"] * 7:
        keys.press(key)
        assert keys.page.evaluate(inside), keys.at()
    assert keys.page.get_by_role("dialog").get_attribute("aria-modal") == "true"


def answered_a_flag(keys: Keys) -> None:
    page = keys.page
    keys.type(*FALLEN)
    keys.to("Save: alert, on air", within=4)
    keys.press("Enter")
    flag = page.locator("section.flag")
    expect(flag).to_be_visible()
    keys.keeps_its_place()

    keys.to("Reduce", key="Shift+Tab")
    keys.press("Enter")
    assert "Pump shows 21.6 mL/h" in keys.at()
    stays_in_the_dialog(keys)
    keys.to("Pump shows 21.6 mL/h", within=4)
    keys.press("Enter")
    expect(flag).to_have_count(0)
    keys.keeps_its_place()


def recorded_a_reaction(keys: Keys) -> None:
    page = keys.page
    keys.to("All, or search")
    keys.press("Enter")
    expect(page.get_by_label("Search: what the patient says")).to_be_focused()
    stays_in_the_dialog(keys)
    keys.press("Escape")
    assert "All, or search" in keys.at()
    keys.to("Headache, mild", within=4)
    keys.press("Space")
    form = page.locator("#reaction-form")
    expect(form).to_be_visible()
    assert "Headache, mild" in keys.at()  # it opened beside her, and took nothing away
    keys.to(form.locator("[data-saves]").inner_text(), key="Shift+Tab")
    keys.press("Enter")
    expect(form).to_be_hidden()
    keys.keeps_its_place()


SAID = """() => {
  window.said = [];
  const lives = "[role=status], [role=alert], [aria-live]";
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      for (const node of addedNodes) {
        const text = node.textContent.trim();
        const inside = (node.nodeType === 1 ? node : target).closest(lives);
        if (text && inside) window.said.push(text);
        else if (node.nodeType === 1) {
          node.querySelectorAll("[role=alert]").forEach((each) =>
            window.said.push(each.textContent.trim()));
        }
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
}"""


def test_a_screen_reader_is_told_the_state_and_each_save_once(desk, running, nurse):
    page = desk(nurse)
    page.goto(f"/infusions/{running.visit.pk}/")
    bar = page.get_by_role("region", name="Infusion now")
    for words in ("Running", "21.6 mL/h", "0.3 mL/kg/h at 72 kg", "of 300 mL in"):
        assert words in bar.aria_snapshot(), bar.aria_snapshot()
    form = page.get_by_role("form", name="Vitals").aria_snapshot()
    for label in (
        "Systolic mmHg",
        "Diastolic mmHg",
        "Pulse /min",
        "Resp. /min",
        "SpO₂ %",
        "Temp. °C",
    ):
        assert f'textbox "{label}' in form, form
    chart = page.get_by_role("table", name="Observations, newest first")
    assert "128/78" in chart.aria_snapshot()
    picture = page.get_by_role("img", name="Observations and pump rate")
    assert picture.count() == 1

    page.evaluate(SAID)
    save(page, GOOD)
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    page.wait_for_load_state("networkidle")
    said = page.evaluate("window.said")
    assert len([words for words in said if words.startswith("Saved")]) == 1, said

    page.evaluate("window.said.length = 0")
    save(page, FALLEN)
    flag = page.locator("section.flag")
    expect(flag).to_be_visible()
    page.wait_for_load_state("networkidle")
    said = page.evaluate("window.said")
    alerts = [words for words in said if "Systolic fell 24 mmHg" in words]
    assert len(alerts) == 1, said
    tree = flag.aria_snapshot()
    for words in (
        'heading "Systolic fell 24 mmHg, 128 → 104"',
        'table "Values behind this flag"',
        'button "Pause at 0 mL/h"',
    ):
        assert words in tree, tree
    assert len([words for words in said if words.startswith("Saved")]) == 1, said


def save(page: Page, values: tuple[str, ...]) -> None:
    form = page.locator("#vitals-form")
    labels = ("Systolic", "Diastolic", "Pulse", "Resp.", "SpO₂", "Temp.")
    for label, value in zip(labels, values, strict=True):
        form.get_by_label(label).fill(value)
    form.get_by_role("button", name="Save: alert, on air").click()
