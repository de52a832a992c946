"""A line that drops for minutes loses nothing: it is sent once, with its true time."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from sessions.models import (
    Flag,
    FlagEvent,
    GivenMedicine,
    InfusionSession,
    RateChange,
    Reaction,
    Stage,
    VitalSigns,
)
from sessions.services import rates
from sessions.services.vitals import record_vitals
from tests.conftest import PASSWORD
from tests.factories.reactions import make_medicine
from tests.factories.visits import READING
from tests.journeys.test_saving import SAVE, SET, running, sets, type_in, typed

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["running"]

BACK = "Save when back"
PAUSED = "Pump shows 0 mL/h"


@pytest.fixture
def page(desk, running, nurse) -> Page:
    """The session's page in front of its nurse, with a clock that can be moved."""
    page = desk(nurse)
    page.watch.may_be_cut_off = True
    page.clock.install()
    page.goto(f"/infusions/{running.visit.pk}/")
    return page


@pytest.fixture
def line(page, clock):
    """The line of the page: cut it, let minutes pass on both clocks, mend it."""

    class Line:
        def cut(self) -> None:
            page.context.set_offline(True)
            expect(page.locator("#offline")).to_contain_text("OFFLINE since")

        def go_on(self, minutes: float) -> None:
            clock.go_on(minutes)
            page.clock.fast_forward(int(minutes * 60_000))

        def mend(self) -> None:
            page.context.set_offline(False)
            expect(page.locator("#offline")).not_to_contain_text("OFFLINE")

    return Line()


def bar(page: Page):
    return page.locator("#offline")


def waiting(page: Page):
    return page.locator("tr[data-waiting]")


def pause(page: Page, reason="Staff") -> None:
    dialog = page.locator("#rate-pause")
    page.get_by_role("button", name="Pause", exact=True).click()
    dialog.locator("label.pick").first.click()
    dialog.get_by_role("button", name=PAUSED).click()


def changes() -> list[str]:
    return list(RateChange.objects.order_by("pk").values_list("kind", flat=True))


def test_a_set_pressed_in_a_cut_of_five_minutes_is_one_row_of_its_time(
    page, line, clock
):
    type_in(page, (*SET[:3], "", "", ""))
    line.cut()
    type_in(page)
    pressed = clock.now
    page.get_by_role("button", name=BACK).first.dblclick()

    expect(bar(page)).to_contain_text("1 entry waiting")
    expect(waiting(page)).to_contain_text("126/77")
    expect(waiting(page)).to_contain_text("waiting, not saved yet")
    assert typed(page) == ("",) * 6
    assert sets() == 0
    stored = page.evaluate(
        "() => JSON.stringify([{...localStorage, ...sessionStorage}])"
    )
    assert "systolic" not in stored
    assert "submission_key" not in stored
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="Board").click()
    page.wait_for_timeout(200)
    assert asked == ["beforeunload"]
    line.go_on(minutes=5)
    line.mend()

    expect(page.locator("#saved-h")).to_contain_text("Saved")
    expect(waiting(page)).to_have_count(0)
    expect(page.get_by_role("button", name=SAVE)).to_be_visible()
    saved = VitalSigns.objects.latest("pk")
    assert sets() == 1
    assert abs(saved.event_time - pressed) < timedelta(seconds=4)
    assert saved.recorded_at - saved.event_time > timedelta(minutes=4, seconds=50)
    assert page.get_by_text("late entry,").count() == 0


@pytest.mark.soak
def test_after_twenty_minutes_the_password_is_asked_and_it_is_a_late_entry(page, line):
    page.watch.may_refuse = {401}
    line.cut()
    type_in(page, ("104", *SET[1:]))
    page.get_by_role("button", name=BACK).first.click()
    line.go_on(minutes=14)
    page.keyboard.press("Shift")  # somebody is there: the page does not lock itself
    line.go_on(minutes=6)
    line.mend()

    lock = page.get_by_role("dialog", name="Locked")
    lock.get_by_label("Password").fill(PASSWORD)
    lock.get_by_role("button", name="Unlock").click()

    flag = page.locator("section.flag > .flag-grid h2")
    expect(flag.first).to_contain_text("128 → 104")
    expect(page.get_by_text("late entry,").first).to_be_visible()
    assert (sets(), Flag.objects.count()) == (1, 1)


def test_what_waits_goes_in_its_order_and_the_next_typing_stays(page, line, running):
    line.cut()
    type_in(page)
    page.get_by_role("button", name=BACK).first.click()
    line.go_on(minutes=2)
    pause(page)
    expect(bar(page)).to_contain_text("2 entries waiting")
    line.go_on(minutes=2)
    type_in(page, ("131", "79", "", "", "", ""))
    page.locator("#vitals-form").get_by_label("Pulse").press_sequentially("8")
    line.mend()

    expect(waiting(page)).to_have_count(0)
    expect(page.locator(".nowbar")).to_contain_text("Paused")
    assert typed(page) == ("131", "79", "8", "", "", "")
    expect(page.locator("#vitals-form").get_by_label("Pulse")).to_be_focused()
    saved, paused = VitalSigns.objects.latest("pk"), RateChange.objects.latest("pk")
    assert (sets(), paused.kind) == (1, "pause")
    apart = paused.event_time - saved.event_time
    assert abs(apart - timedelta(minutes=2)) < timedelta(seconds=10)


def test_an_answer_that_was_lost_after_the_save_is_found_again(page):
    lost = []

    def lose(route):
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    page.route("**/vitals/", lose)
    type_in(page)
    page.get_by_role("button", name=SAVE).click()

    expect(page.get_by_text("kept once")).to_be_visible()
    expect(waiting(page)).to_have_count(0)
    assert (lost, sets()) == ([200], 1)


@pytest.mark.soak
def test_a_server_that_hangs_is_given_up_and_asked_again(page, line):
    hung = []

    def hang(route):
        if hung:
            route.continue_()
        else:
            hung.append(route)

    page.route("**/vitals/", hang)
    type_in(page)
    page.get_by_role("button", name=SAVE).click()
    # The browser's own limit of the request, not one of the page's timers.
    expect(page.locator("#saved-h")).to_contain_text("Saved", timeout=25_000)

    assert sets() == 1


def test_what_is_refused_on_arrival_comes_back_with_its_reason_and_time(
    page, line, clock
):
    page.watch.may_refuse = {422}
    line.cut()
    type_in(page, ("1280", *SET[1:]))
    pressed = clock.now
    page.get_by_role("button", name=BACK).first.click()
    line.go_on(minutes=5)
    line.mend()

    errors = page.locator("#vitals-form .errors")
    expect(errors).to_contain_text("1280: at most")
    assert typed(page) == ("1280", *SET[1:])
    expect(page.locator("#vitals-form")).to_contain_text("when it was pressed")
    assert sets() == 0
    page.locator("#vitals-form").get_by_label("Systolic").fill("128")
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")
    event = VitalSigns.objects.latest("pk").event_time
    assert abs(event - pressed) < timedelta(seconds=4)


@pytest.mark.soak
def test_a_refused_entry_does_not_push_away_what_is_being_typed(page, line):
    page.watch.may_refuse = {422}
    line.cut()
    type_in(page, ("1280", *SET[1:]))
    page.get_by_role("button", name=BACK).first.click()
    page.locator("#vitals-form").get_by_label("Systolic").press_sequentially("13")
    line.mend()

    expect(bar(page)).to_contain_text("1280: at most")
    assert typed(page)[0] == "13"
    type_in(page)
    page.get_by_role("button", name=SAVE).click()

    expect(page.locator("#vitals-form .errors")).to_contain_text("1280: at most")
    assert typed(page)[0] == "1280"
    assert sets() == 1
    page.locator("#vitals-form").get_by_label("Systolic").fill("")


def test_the_loser_of_a_race_over_minutes_sees_both_and_decides(
    page, line, running, colleague
):
    page.watch.may_refuse = {409}
    line.cut()
    pause(page)
    record_vitals(
        session=running.fresh(), reading=READING, by=running.by(colleague, after=41)
    )
    line.go_on(minutes=5)
    line.mend()

    expect(bar(page)).to_contain_text("NOT SAVED: Pause: 0 mL/h")
    expect(bar(page)).to_contain_text("changed in the meantime")
    expect(page.locator("#visit-evidence")).to_contain_text(colleague.short_name)
    assert changes() == ["start"]
    page.get_by_role("button", name="Send it all the same").click()

    expect(page.locator(".nowbar")).to_contain_text("Paused")
    expect(bar(page)).to_be_hidden()
    row = RateChange.objects.latest("pk")
    assert row.kind == "pause"
    assert row.recorded_at - row.event_time > timedelta(minutes=4)


@pytest.mark.soak
def test_a_pause_that_lost_to_a_later_one_is_shown_until_it_is_left_out(
    page, line, running, colleague
):
    page.watch.may_refuse = {409, 422}
    line.cut()
    pause(page)
    rates.pause(
        session=running.fresh(),
        by=running.by(colleague, after=42),
        read_back=True,
        reason=rates.Reason(code="patient"),
    )
    line.go_on(minutes=5)
    line.mend()

    expect(bar(page)).to_contain_text("It now runs at 0 mL/h")
    expect(waiting(page)).to_contain_text("NOT SAVED")
    page.get_by_role("button", name="Leave it out").click()

    expect(bar(page)).to_be_hidden()
    assert changes() == ["start", "pause"]


@pytest.mark.soak
def test_without_a_line_no_rate_goes_up_but_every_one_comes_down(page, line):
    expect(page.locator("[data-raises]").first).to_be_enabled()
    line.cut()

    expect(page.locator("[data-raises]").first).to_be_disabled()
    expect(bar(page)).to_contain_text("a higher rate needs the line")
    pause(page)
    expect(bar(page)).to_contain_text("1 entry waiting")
    line.mend()
    expect(page.locator(".nowbar")).to_contain_text("Paused")


@pytest.mark.soak
def test_a_flag_is_answered_without_a_line(page, line, clock):
    type_in(page, ("104", *SET[1:]))
    page.get_by_role("button", name=SAVE).click()
    expect(page.locator("section.flag")).to_be_visible()
    line.cut()
    expect(bar(page)).to_contain_text("phone or shout for help")
    expect(page.get_by_text("write medicines and vials on paper")).to_be_visible()
    expect(page.get_by_role("link", name="Give a medicine")).to_be_hidden()
    page.locator("section.flag summary").get_by_text("Call").click()
    page.get_by_label("Who was called").fill("Ingrid, by telephone")
    page.get_by_role("button", name="Called").click()
    expect(waiting(page)).to_contain_text("Call")
    page.locator("section.flag").get_by_role("button", name="Pause").click()
    page.get_by_role("button", name=PAUSED).first.click()
    pressed = clock.now
    expect(bar(page)).to_contain_text("2 entries waiting")
    line.go_on(minutes=5)
    line.mend()

    expect(page.locator(".nowbar")).to_contain_text("Paused")
    called, event = FlagEvent.objects.order_by("pk")
    assert (called.kind, called.reason_text) == ("called", "Ingrid, by telephone")
    for each in (called, event):
        assert abs(each.event_time - pressed) < timedelta(seconds=4)
    expect(page.get_by_role("link", name="Give a medicine")).to_be_visible()
    assert changes() == ["start", "pause"]


@pytest.mark.soak
def test_a_medicine_given_without_a_line_is_one_dose_of_its_time(
    page, line, clock, running, prescriber
):
    ordered = make_medicine(running.visit, prescriber)
    page.goto(f"/infusions/{running.visit.pk}/medicines/")
    give = page.get_by_role("button", name=f"Given now: {ordered.name}")
    line.cut()
    give.click()
    pressed = clock.now
    expect(bar(page)).to_contain_text("1 entry waiting")
    expect(give).to_be_disabled()
    line.go_on(minutes=5)
    line.mend()

    expect(page.locator("#medicines")).to_contain_text("next dose from")
    [dose] = GivenMedicine.objects.all()
    assert abs(dose.event_time - pressed) < timedelta(seconds=4)
    expect(bar(page)).to_be_hidden()


@pytest.mark.soak
def test_a_reaction_is_kept_without_the_protocols_advice(page, line, clock):
    line.cut()
    page.locator("#chips-form label.pick, #chips-form .chip label").first.click()
    blind = page.locator("#reaction-offline")
    blind.get_by_label("Paused: pump shows").check()
    blind.get_by_role("button", name=BACK).click()
    expect(bar(page)).to_contain_text("1 entry waiting")
    expect(blind).to_be_hidden()
    line.go_on(minutes=5)
    line.mend()

    expect(page.locator(".nowbar")).to_contain_text("Paused")
    row = Reaction.objects.get()
    assert row.recorded_at - row.event_time > timedelta(minutes=4, seconds=50)


@pytest.mark.soak
def test_a_step_cut_off_in_its_press_is_called_unchecked_until_it_is_taken(page):
    cut = []

    def drop(route):
        if cut:
            route.continue_()
        else:
            cut.append(route.abort())

    page.route("**/vitals/", drop)
    page.route("**/icon.svg", lambda route: route.abort())
    type_in(page)
    page.get_by_role("button", name="Save and step up").click()
    page.get_by_role("button", name="Pump shows 43.2 mL/h").click()

    expect(bar(page)).to_contain_text("No rule has looked at it yet")
    assert changes() == ["start"]
    page.unroute("**/icon.svg")

    expect(page.locator(".nowbar")).to_contain_text("43.2")
    expect(bar(page)).to_be_hidden()
    assert changes() == ["start", "step"]


@pytest.mark.soak
def test_a_set_for_a_visit_that_was_stopped_and_discharged_stays_in_sight(
    page, line, running, colleague
):
    page.watch.may_refuse = {409}
    line.cut()
    type_in(page)
    page.get_by_role("button", name=BACK).first.click()
    InfusionSession.objects.update(stage=Stage.OBSERVING)
    InfusionSession.objects.update(stage=Stage.DISCHARGED, outcome="completed")
    line.mend()

    expect(bar(page)).to_contain_text("between check-in and discharge")
    expect(waiting(page)).to_contain_text("126/77")
    page.get_by_role("button", name="Leave it out").click()
    expect(bar(page)).to_be_hidden()
