"""Two tabs, two screens, the back button: nothing doubled, nothing shown as it was."""

import pytest
from playwright.sync_api import Page, expect

from sessions.models import RateChange
from tests.journeys.test_offline import pause
from tests.journeys.test_saving import SAVE, SET, running, sets, type_in, typed

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["running"]


@pytest.fixture
def page(desk, running, nurse) -> Page:
    page = desk(nurse)
    page.watch.may_refuse = {409, 422}
    page.goto(f"/infusions/{running.visit.pk}/")
    return page


def test_two_tabs_of_one_visit_keep_both_sets_and_one_change_of_rate(page):
    other = page.context.new_page()
    other.goto(page.url)
    for tab, systolic in ((page, "126"), (other, "127")):
        type_in(tab, (systolic, *SET[1:]))
        tab.get_by_role("button", name=SAVE).click()
        expect(tab.locator("#saved-h")).to_contain_text("Saved")
    assert sets() == 2

    pause(other)
    expect(other.locator(".nowbar")).to_contain_text("Paused")
    pause(page)

    alert = page.get_by_role("alert").filter(has_text="NOT SAVED").first
    expect(alert).to_contain_text("now runs at 0 mL/h")
    assert RateChange.objects.filter(kind="pause").count() == 1


def test_going_back_shows_what_is_so_now_and_an_empty_form(page):
    type_in(page)
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    page.goto("/board/")

    page.go_back()

    expect(page.get_by_role("region", name="Every set")).to_contain_text("126/77")
    assert typed(page) == ("",) * 6
    page.get_by_role("button", name="Save").first.click()
    page.wait_for_load_state("networkidle")
    assert sets() == 1


def test_who_else_has_the_visit_open_is_told(page, desk, colleague, nurse):
    other = desk(colleague)
    with other.expect_response("**/alarms/**"):
        other.goto(page.url)

    notice = other.get_by_text(f"Also open: {nurse.short_name} since")
    expect(notice).to_be_visible()
