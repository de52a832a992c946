"""What is typed is never lost and never saved twice, whatever happens at the press."""

from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from sessions.models import Flag, GivenMedicine, Stage, VitalSigns
from sessions.services import rates
from sessions.services.clinics import change_chair
from tests.factories import visits
from tests.factories.visits import Morning
from tests.journeys.stories import by

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BOXES = ("Systolic", "Diastolic", "Pulse", "Resp.", "SpO₂", "Temp.")
SET = ("126", "77", "81", "15", "97", "36.9")
SAVE = "Save: alert, on air"
PARACETAMOL = {
    "medicine_key": "acetaminophen_1",
    "name": "Acetaminophen",
    "dose": Decimal(650),
}


@pytest.fixture
def running(clock, cast) -> Morning:
    """Forty minutes on the first step."""
    morning = Morning.of(at=clock.now, **cast)
    morning.started()
    clock.go_on(minutes=40)
    return morning


@pytest.fixture
def at_chair(desk, running, nurse) -> Page:
    """The session's page, in front of its nurse."""
    page = desk(nurse)
    page.goto(f"/infusions/{running.visit.pk}/")
    return page


def type_in(page: Page, values=SET) -> None:
    for label, value in zip(BOXES, values, strict=True):
        page.locator("#vitals-form").get_by_label(label).fill(value)


def typed(page: Page) -> tuple[str, ...]:
    form = page.locator("#vitals-form")
    return tuple(form.get_by_label(label).input_value() for label in BOXES)


def sets() -> int:
    """Sets of the visit beyond its baseline."""
    return VitalSigns.objects.exclude(purpose="baseline").count()


def test_without_script_a_set_is_saved_and_its_flag_answered(desk, running, nurse):
    page = desk(nurse, java_script_enabled=False)
    page.goto(f"/infusions/{running.visit.pk}/")

    type_in(page, ("104", *SET[1:]))
    page.get_by_role("button", name=SAVE).click()

    expect(page.locator("section.flag > .flag-grid h2").first).to_contain_text(
        "128 → 104"
    )
    assert (sets(), Flag.objects.count()) == (1, 1)
    page.locator("section.flag").get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Pump shows 0 mL/h").first.click()
    expect(page.locator(".nowbar")).to_contain_text("Paused")
    assert running.fresh().ratechanges.latest("pk").kind == "pause"


def test_a_double_tap_saves_one_set(at_chair):
    type_in(at_chair)

    at_chair.get_by_role("button", name=SAVE).dblclick()

    expect(at_chair.locator("#saved-h")).to_contain_text("Saved")
    at_chair.wait_for_load_state("networkidle")
    assert sets() == 1


def test_a_double_tap_without_script_saves_one_set(desk, running, nurse):
    page = desk(nurse, java_script_enabled=False)
    page.goto(f"/infusions/{running.visit.pk}/")
    type_in(page)

    page.get_by_role("button", name=SAVE).dblclick()

    expect(page.get_by_role("region", name="Every set")).to_contain_text("126/77")
    page.wait_for_load_state("networkidle")
    assert sets() == 1


def test_the_slower_of_two_nurses_sees_both_rates_and_keeps_the_typing(
    at_chair, running, colleague, clock
):
    page = at_chair
    page.watch.may_refuse = {409}
    type_in(page)
    clock.go_on(minutes=2)
    rates.pause(
        session=running.fresh(),
        by=running.by(colleague, after=41),
        read_back=True,
        reason=rates.Reason(code="patient"),
    )
    page.get_by_role("button", name="Save and step up").click()
    page.get_by_role("button", name="Pump shows 43.2 mL/h").click()

    alert = page.get_by_role("alert").filter(has_text="NOT SAVED").first
    expect(alert).to_contain_text("NOT SAVED")
    expect(page.get_by_text("version").first).to_be_visible()
    assert typed(page) == SET
    assert sets() == 0
    assert running.fresh().ratechanges.latest("pk").kind == "pause"

    page.get_by_role("button", name="Show how it is now").click()

    expect(page.locator(".nowbar")).to_contain_text("Paused")
    assert typed(page) == SET
    assert "dirty" in page.locator("#vitals-form").evaluate("(f) => ({...f.dataset})")
    page.locator("#vitals-form").get_by_role("button", name=SAVE).click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    expect(page.locator("#not-saved")).to_be_hidden()
    assert VitalSigns.objects.latest("pk").systolic_mmhg == 126


def test_the_slower_of_two_editors_sees_both_values_at_their_field(
    desk, clinic, admin, colleague
):
    chair = clinic.chairs.first()
    page = desk(admin)
    page.watch.may_refuse = {409}
    page.goto(f"/settings/chairs/{chair.pk}/")
    page.get_by_label("Name", exact=True).fill("Bay 3")
    change_chair(
        chair=chair,
        name="Bay 2",
        active=True,
        seen=clinic.version,
        by=by(colleague, timezone.now()),
    )
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#not-saved")).to_contain_text("NOT SAVED")

    page.get_by_role("button", name="Show how it is now").click()

    expect(page.locator(".is-now")).to_have_text("now: Bay 2")
    expect(page.locator("h1")).to_have_text("Chair Bay 2")
    assert page.get_by_label("Name", exact=True).input_value() == "Bay 3"
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#messages")).to_contain_text("Chair Bay 3 saved.")
    chair.refresh_from_db()
    assert chair.name == "Bay 3"


def test_impossible_values_come_back_with_every_other_one(at_chair):
    at_chair.watch.may_refuse = {422}
    impossible = ("1280", "77", "abc", "15", "97", "36.9")
    type_in(at_chair, impossible)

    at_chair.get_by_role("button", name=SAVE).click()

    errors = at_chair.locator("#vitals-form .errors")
    expect(errors).to_contain_text("1280: at most")
    expect(errors).to_be_focused()
    assert typed(at_chair) == impossible
    assert sets() == 0
    type_in(at_chair, ("128", *impossible[1:2], "81", *impossible[3:]))
    at_chair.get_by_role("button", name=SAVE).click()
    expect(at_chair.locator("#saved-h")).to_contain_text("Saved")
    assert sets() == 1


def test_an_unlikely_value_is_asked_about_and_yes_saves_it(at_chair):
    at_chair.watch.may_refuse = {422}
    type_in(at_chair, ("126", "77", "205", "15", "97", "36.9"))

    at_chair.get_by_role("button", name=SAVE).click()

    expect(at_chair.get_by_role("group", name="Please confirm")).to_contain_text("205")
    assert typed(at_chair)[2] == "205"
    assert sets() == 0
    at_chair.get_by_role("button", name="Yes, save it").click()
    expect(at_chair.locator("#saved-h")).to_contain_text("Saved")
    assert VitalSigns.objects.latest("pk").pulse == 205


def test_two_quick_taps_in_one_place_are_both_done_and_both_shown(
    desk, clock, cast, nurse
):
    before = (visits.premedication(), visits.premedication(**PARACETAMOL))
    morning = Morning.of(at=clock.now, order={"medicines": before}, **cast)
    page = desk(nurse)
    page.watch.may_miss_a_place = True
    page.goto(f"/infusions/{morning.visit.pk}/prepare/")

    buttons = page.locator("#pre-premedication button", has_text="Given now")
    buttons.evaluate_all("(all) => all.forEach((button) => button.click())")

    given = page.locator("#pre-premedication .got", has_text="given")
    expect(given).to_have_count(2)
    assert GivenMedicine.objects.count() == 2


def test_leaving_a_page_with_typing_in_it_is_asked_about(at_chair, running):
    at_chair.goto("/patients/")
    at_chair.goto(f"/infusions/{running.visit.pk}/")
    form = at_chair.locator("#vitals-form")
    form.get_by_label("Pulse").press_sequentially("8")
    asked = []
    at_chair.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))

    at_chair.get_by_role("link", name="Board").click()

    at_chair.wait_for_timeout(200)
    assert asked == ["beforeunload"]
    assert form.get_by_label("Pulse").input_value() == "8"
    form.get_by_label("Pulse").fill("")
    assert running.fresh().stage == Stage.INFUSING


@pytest.mark.parametrize("kind", ["CSV", "XLSX"])
def test_a_file_that_is_taken_along_leaves_its_button_as_it_was(desk, auditor, kind):
    page = desk(auditor)
    page.goto("/audit/")
    button = page.get_by_role("button", name=kind)

    for _ in range(2):
        with page.expect_download() as coming:
            button.click()
        assert coming.value.suggested_filename.endswith(f".{kind.lower()}")

    expect(button).to_be_enabled()
    expect(button).to_have_text(kind)
