"""The slider of a replay, by finger and by keyboard, with script and without."""

import pytest
from playwright.sync_api import expect

from tests.factories.visits import Morning
from tests.journeys import stories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def day(clock, cast) -> Morning:
    """A visit of two hours with a fall of the pressure at minute 45."""
    morning = Morning.of(at=clock.now.replace(second=0, microsecond=0), **cast)
    morning.started()
    stories.save_set(morning, after=45, reading=stories.FALL)
    clock.go_on(minutes=120)
    return morning


def test_the_slider_shows_each_minute_and_counts_stand_still(desk, day, nurse):
    page = desk(nurse)
    page.goto(f"/infusions/{day.visit.pk}/")
    page.get_by_role("link", name="Replay").click()
    slider = page.get_by_role("slider", name="Minute from check-in")
    moment = page.locator("#replay-moment")
    expect(moment).to_contain_text("minute 121 of 121")

    slider.focus()
    page.keyboard.press("Home")
    expect(moment).to_contain_text("minute 0 of 121")
    expect(page.locator(".replay .flag")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(moment).to_contain_text("minute 1 of 121")
    expect(slider).to_be_focused()
    assert page.url.endswith("?minute=1")

    page.locator("#replay-on").focus()
    page.keyboard.press("Enter")
    expect(moment).to_contain_text("minute 45 of 121")
    expect(page.locator("#replay-on, #replay-back").first).to_be_visible()
    expect(page.locator(".replay .flag")).to_contain_text("Systolic fell 24 mmHg")
    expect(page.get_by_role("slider", name="Minute from")).to_have_value("45")

    counts = page.locator("#replay-moment [data-since]")
    before = counts.all_inner_texts()
    assert before
    page.wait_for_timeout(1300)
    assert counts.all_inner_texts() == before


def test_without_script_the_slider_is_a_form(desk, day, nurse):
    page = desk(nurse, java_script_enabled=False)
    page.goto(f"/infusions/{day.visit.pk}/replay/?minute=44")
    expect(page.locator(".replay .flag")).to_have_count(0)

    page.get_by_role("slider", name="Minute from check-in").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Show").click()

    expect(page.locator("#replay-moment")).to_contain_text("minute 45 of 121")
    expect(page.locator(".replay .flag")).to_contain_text("Systolic fell")
