"""How many taps and keys the daily work costs: signed in, on the board.

One tap is 1, one typed character is 1, Enter is 1; a scan is one press on its trigger.
The fifteen keys of a set, 128/76, 82, 16, 98, 36.8, nobody can avoid.
"""

from decimal import Decimal

import pytest
from playwright.sync_api import expect

from sessions.models import RateChange, Reaction, Start, VitalSigns
from tests.factories import visits
from tests.factories.visits import Morning
from tests.journeys import stories
from tests.journeys.hands import Hand

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SET = ("128", "76", "82", "16", "98", "36.8")


@pytest.fixture
def running(clock, cast) -> Morning:
    """Started forty minutes ago; cetirizine given, paracetamol ordered as needed."""
    as_needed = (visits.as_needed(),)
    morning = Morning.of(at=clock.now, order={"medicines": as_needed}, **cast)
    morning.started()
    clock.go_on(minutes=40)
    return morning


@pytest.fixture
def board(desk, nurse):
    """The board in front of a nurse; the first card leads to the visit."""

    def opened() -> Hand:
        page = desk(nurse)
        page.goto("/board/")
        return Hand(page)

    return opened


def card(hand: Hand):
    return hand.page.locator("#board .card a.go")


@pytest.mark.parametrize(("advances", "budget"), [(False, 22), (True, 17)])
def test_a_set_of_vitals(board, running, nurse, advances, budget):
    nurse.auto_advance = advances
    nurse.save()
    hand = board()

    hand.tap(card(hand))
    hand.six(*SET, advances=advances)
    hand.tap(hand.page.get_by_role("button", name="Save: alert, on air"))

    expect(hand.page.locator("#saved-h")).to_contain_text("Saved")
    hand.within(budget)
    saved = VitalSigns.objects.latest("pk")
    assert (saved.systolic_mmhg, saved.diastolic_mmhg, saved.pulse) == (128, 76, 82)
    assert (saved.respiratory_rate, saved.spo2) == (16, 98)
    assert saved.temperature_c == Decimal("36.8")


@pytest.mark.parametrize(("advances", "budget"), [(False, 23), (True, 18)])
def test_a_set_of_vitals_with_a_step_up(board, running, nurse, advances, budget):
    nurse.auto_advance = advances
    nurse.save()
    hand = board()

    hand.tap(card(hand))
    hand.six(*SET, advances=advances)
    hand.tap(hand.page.get_by_role("button", name="Save and step up"))
    hand.tap(hand.page.get_by_role("button", name="Pump shows 43.2 mL/h"))

    expect(hand.page.locator("#visit-now")).to_contain_text("43.2")
    expect(hand.page.locator("#saved-h")).to_contain_text("Saved")
    hand.within(budget)
    change = RateChange.objects.latest("pk")
    assert change.rate_ml_per_h == Decimal("43.2")


def test_a_reaction_that_reduces_the_rate_with_paracetamol(board, running):
    stories.step_to(running, 2, after=39)
    hand = board()

    react(hand)

    hand.within(6)
    assert Reaction.objects.count() == 1


def test_the_same_from_an_open_flag(board, running):
    stories.step_to(running, 2, after=39)
    stories.save_set(running, after=39.5, reading=stories.FALL)
    hand = board()

    hand.tap(card(hand))
    hand.tap(hand.page.locator("section.flag").get_by_role("button", name="Reduce"))
    hand.tap(hand.page.get_by_role("button", name="Pump shows 21.6 mL/h"))

    expect(hand.page.locator("#visit-now")).to_contain_text("Recheck")
    hand.within(3)


@pytest.mark.parametrize(("scanner", "budget"), [(True, 37), (False, 40)])
def test_a_start_with_three_vials_and_two_premedications(
    board, clinic, clock, cast, nurse, scanner, budget
):
    clinic.idle_minutes = 60  # she waits at the page for the premedication to work
    clinic.save()
    nurse.auto_advance = True
    nurse.save()
    morning = stories.second_visit(clock, cast, medicines=two_before(), scanned=scanner)
    hand = board()
    page = hand.page

    hand.tap(card(hand))
    expect(page.locator("#pre-identity input.box")).to_be_focused()
    hand.type("AO1978")
    expect(page.locator("#pre-identity .ok").first).to_be_visible()
    hand.type("72.4")  # with all its decimals it goes on by itself
    expect(page.locator("#pre-weight")).not_to_have_attribute("data-do", "")
    hand.tap(page.get_by_role("button", name="All as usual, asked now"))
    expect(page.locator("#pre-checks")).to_contain_text("attested")
    hand.tap(page.get_by_role("radio", name="Left forearm"))
    hand.tap(page.get_by_role("button", name="22 G"))
    expect(page.locator("#pre-line .ok").first).to_contain_text("22 G")
    for name in ("Cetirizine", "Acetaminophen"):
        hand.tap(page.get_by_role("button", name=f"Given now: {name}"))
        row = page.locator("#pre-premedication .got", has_text=name)
        expect(row).to_contain_text("given")
    for grams, held in (("20", "20"), ("10", "30"), ("5", "35")):
        if scanner:
            hand.scan(stories.scan_of(f"S{grams}", grams))
        else:
            hand.tap(page.get_by_role("button", name=f"{grams} g · P100512345"))
        expect(page.locator("#pre-vials .st")).to_contain_text(f"{held} of 35 g")
    clock.go_on(minutes=31)  # until the premedication works
    hand.six(*SET, advances=True)
    hand.tap(page.get_by_role("button", name="Save baseline"))
    expect(page.locator("#pre-baseline .st")).to_contain_text("saved")
    hand.tap(page.get_by_role("checkbox", name="Pump shows 21.7 mL/h"))
    hand.tap(page.get_by_role("button", name="Start", exact=True))

    expect(page.locator(".nowbar")).to_contain_text("21.7")
    hand.within(budget)
    assert Start.objects.filter(session=morning.visit).count() == 1


def two_before() -> tuple:
    paracetamol = {"medicine_key": "acetaminophen_1", "name": "Acetaminophen"}
    return (
        visits.premedication(),
        visits.premedication(dose=Decimal(650), **paracetamol),
    )


def react(hand: Hand) -> None:
    page = hand.page
    hand.tap(card(hand))
    hand.tap(page.get_by_role("radio", name="Headache, mild"))
    expect(page.locator("#rx-h")).to_contain_text("mild")
    hand.tap(page.get_by_role("radio", name="Flushing, mild"))
    expect(page.locator("#rx-h")).to_contain_text(",")
    form = page.locator("#reaction-form")
    hand.tap(form.locator("label", has_text="Acetaminophen"))
    hand.tap(form.get_by_role("button", name="Save"))
    expect(page.locator("#visit-now")).to_contain_text("21.6")
