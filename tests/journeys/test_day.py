"""One day of one patient, in browsers, by everybody whose work it is."""

import csv
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from sessions.models import (
    Flag,
    GivenMedicine,
    InfusionSession,
    Order,
    RateChange,
    Stage,
)
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.journeys.stories import scan_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BOXES = ("Systolic", "Diastolic", "Pulse", "Resp.", "SpO₂", "Temp.")
GOOD = ("126", "78", "78", "16", "98", "36.8")
FALLEN = ("104", "66", "80", "16", "98", "36.9")


def test_a_day_from_order_to_report(desk, clock, clinic, cast):
    clinic.idle_minutes = 60
    clinic.save()
    visits.protocol_in_force(
        clinic, author=cast["admin"], approver=cast["prescriber"], at=clock.now
    )
    patient = visits.patient_known(cast["nurse"], clock.now - timedelta(days=20))
    today = f"{clock.now:%Y-%m-%d}"
    before = reports_of(desk(cast["admin"]), today)
    assert all("0 infusions match" in words for words in before.values())

    order = ordered(desk(cast["prescriber"]), patient)
    verified(desk(cast["pharmacist"]), order)
    visit = planned_and_checked_in(desk(cast["charge_nurse"]), order)

    page = desk()
    page.watch.may_refuse = {422}  # another birth year, a pack nobody knows yet
    page.goto(f"/sign-in/?next=/infusions/{visit.pk}/prepare/")
    page.get_by_label("User name").fill("nurse")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    prepared(page, clock)
    stepped_up(page, clock)
    flagged_and_reduced(page, clock, visit)
    reacted(page, clock, visit)
    paused_and_resumed(page, clock, visit)
    ended_and_discharged(page, clock, visit)
    recorded(page, visit)

    office = desk(cast["admin"])
    after = reports_of(office, today)
    assert "Of 1 infusion started in the period, 1 had" in after["reactions"]
    assert all(after[key] != before[key] for key in before)
    for key in after:
        downloaded(office, key, today)


def ordered(page: Page, patient) -> Order:
    """Weight-based, drafted and signed by the prescriber."""
    page.goto("/orders/")
    page.get_by_role("link", name="New order").click()
    page.goto(f"/orders/new/{patient.pk}/")
    page.get_by_label("product").select_option("privigen_10")
    page.get_by_label("Indication and regimen").select_option("pi:0")
    page.get_by_label("Dose of the course").fill("0.4")
    page.get_by_label("Every").fill("4")
    page.get_by_label("Cycles").fill("6")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("28.8")
    expect(plan).to_contain_text("30 g = 300 mL")
    medicine(page, "before0", "cetirizine_1", "10", minutes="30")
    medicine(page, "needed0", "acetaminophen_4", "650", gap="240", max="1300")
    page.watch.may_be_cut_off = True  # a preview on its way, when the page is left
    page.get_by_role("button", name="Keep as draft").click()

    expect(page.get_by_role("heading", name="Sign as prescriber")).to_be_visible()
    ladder = page.get_by_role("table", name="Rate ladder in three units")
    rates = [
        row.locator("td").first.inner_text() for row in ladder.locator("tr").all()[1:]
    ]
    assert rates == ["21.6", "43.2", "86.4", "172.8", "345.6"]
    page.watch.may_be_cut_off = False
    sign(page, "Sign 30 g")
    order = Order.objects.get(patient=patient)
    assert order.status == "signed"
    return order


def medicine(page: Page, name: str, key: str, dose: str, **times: str) -> None:
    field = page.locator(f"#id_{name}_key")
    if not field.is_visible():
        page.locator("details", has=field).first.locator("> summary").click()
    field.select_option(key)
    page.locator(f"#id_{name}_dose").fill(dose)
    for part, value in times.items():
        page.locator(f"#id_{name}_{part}").fill(value)


def sign(page: Page, button: str) -> None:
    page.get_by_label("Patient's initials").fill("AO")
    page.get_by_label("Birth year").fill("1978")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("button", name=button)).to_have_count(0)


def verified(page: Page, order: Order) -> None:
    page.goto(f"/orders/{order.pk}/")
    sign(page, "Verify 30 g")
    order.refresh_from_db()
    assert order.status == "active"


def planned_and_checked_in(page: Page, order: Order) -> InfusionSession:
    page.goto(f"/orders/{order.pk}/")
    page.get_by_role("link", name="Plan visits").click()
    page.get_by_role("textbox", name="Visits").fill("1")
    page.get_by_role("button", name="Plan these visits").click()
    expect(page.get_by_text("The visits are planned.")).to_be_visible()
    page.goto("/board/")
    page.get_by_role("link", name="Visits", exact=True).click()
    page.get_by_role("link", name="Check in").click()
    page.get_by_role("radio", name="01").check()
    page.get_by_role("button", name="Check in").click()
    expect(page.locator("#pre-identity")).to_be_visible()
    page.close()
    return InfusionSession.objects.get(order=order)


def prepared(page: Page, clock) -> None:
    """Everything before Start, and the Start with its read-back."""
    identity = page.locator("#pre-identity")
    identity.get_by_label("Initials and birth year").fill("AO1987")
    identity.get_by_role("button", name="Check").click()
    expect(identity.locator(".errors")).to_be_visible()
    identity.get_by_label("Initials and birth year").fill("AO1978")
    identity.get_by_role("button", name="Check").click()
    expect(identity.locator(".st")).to_contain_text("matches")

    page.locator("#pre-weight").get_by_label("Weight").fill("72")
    page.get_by_role("button", name="Save weight").click()
    expect(page.locator("#pre-weight .st")).to_contain_text("72 kg")
    page.get_by_role("button", name="All as usual, asked now").click()
    expect(page.locator("#pre-checks")).to_contain_text("no live vaccine")
    page.get_by_role("radio", name="Left forearm").check()
    page.get_by_role("button", name="22 G").click()
    expect(page.locator("#pre-line .st")).to_contain_text("22 G, left forearm")
    page.get_by_role("button", name="Given now: Cetirizine 10 mg").click()
    expect(page.locator("#pre-premedication")).to_contain_text("given")
    first_vial(page)
    for number in (2, 3):
        page.get_by_label("Scan vial").fill(scan_of(f"D{number}"))
        page.get_by_role("button", name="Save vial").click()
        expect(page.locator("#pre-vials .st")).to_contain_text(f"{number}0 of 30 g")

    clock.go_on(minutes=31)
    fill(page.locator("#pre-baseline"), ("128", "78", "76", "16", "98", "36.7"))
    page.locator("#pre-baseline").get_by_role("radio", name="Alert").check()
    page.locator("#pre-baseline").get_by_role("radio", name="Air").check()
    page.get_by_role("button", name="Save baseline").click()
    expect(page.locator("#pre-baseline .st")).to_contain_text("saved")
    warnings = page.locator("#gate-side form", has_text="Save reason")
    warnings.get_by_role("radio").first.check()
    warnings.get_by_role("button", name="Save reason").click()
    page.get_by_role("checkbox", name="Pump shows 21.6 mL/h").check()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".nowbar .big")).to_contain_text("21.6")
    expect(page.locator(".nowbar")).to_contain_text("of 300 mL")


def first_vial(page: Page) -> None:
    """The clinic does not know this pack yet: product and grams once, by hand."""
    page.get_by_label("Scan vial").fill(scan_of("D1"))
    page.get_by_role("button", name="Save vial").click()
    expect(page.locator("#pre-vials .errors")).to_be_visible()
    page.get_by_label("Product on the label").select_option("privigen_10")
    page.locator("#pre-vials").get_by_label("Grams").fill("10")
    page.get_by_role("button", name="Save vial").click()
    expect(page.locator("#pre-vials .st")).to_contain_text("10 of 30 g")


def fill(form, values) -> None:
    for label, value in zip(BOXES, values, strict=True):
        form.get_by_label(label, exact=False).first.fill(value)


def save(page: Page, values=GOOD) -> None:
    another = page.locator("#another-set:not([open]) > summary")
    if another.count():
        another.click()
    fill(page.locator("#vitals-form"), values)
    with page.expect_response(re.compile("/vitals/$")):
        page.locator("#vitals-form").get_by_role("button", name="Save: alert").click()
    expect(page.locator("#saved-h")).to_contain_text("Saved")


def stepped_up(page: Page, clock) -> None:
    for rate in ("43.2", "86.4"):
        clock.go_on(minutes=30.5)
        page.reload()
        fill(page.locator("#vitals-form"), GOOD)
        page.get_by_role("button", name="Save and step up").click()
        page.get_by_role("button", name=f"Pump shows {rate} mL/h").click()
        expect(page.locator(".nowbar .big")).to_contain_text(rate)


def flagged_and_reduced(page: Page, clock, visit) -> None:
    """The flag comes with the answer to the save; Reduce is on it."""
    clock.go_on(minutes=15)
    save(page, FALLEN)
    panel = page.locator("section.flag")
    expect(panel).to_contain_text("128 → 104")
    expect(panel).to_contain_text("86.4 → 43.2 mL/h")
    panel.get_by_role("button", name="Reduce").click()
    panel.get_by_role("button", name="Pump shows 43.2 mL/h").click()
    expect(page.get_by_role("region", name="Recheck")).to_be_visible()
    expect(page.locator(".nowbar .big")).to_contain_text("43.2")
    flag = Flag.objects.get(session=visit)
    assert flag.rate_changes.get().rate_ml_per_h == Decimal("43.2")

    clock.go_on(minutes=15)
    save(page)
    expect(page.get_by_role("region", name="Recheck")).to_have_count(0)
    assert flag.events.filter(kind="settled").exists()


def reacted(page: Page, clock, visit) -> None:
    clock.go_on(minutes=10)
    page.get_by_role("radio", name="Headache, mild").click()
    expect(page.locator("#rx-h")).to_contain_text("mild")
    page.get_by_role("radio", name="Flushing, mild").click()
    form = page.locator("#reaction-form")
    expect(form.locator("#rx-h")).to_contain_text("Flushing")
    form.locator("label", has_text="Acetaminophen").click()
    form.get_by_role("button", name="Save: pump shows 21.6 mL/h").click()
    expect(page.locator(".nowbar .big")).to_contain_text("21.6")
    given = GivenMedicine.objects.filter(session=visit).order_by("pk")
    assert [row.medicine_key for row in given] == ["cetirizine_1", "acetaminophen_4"]


def paused_and_resumed(page: Page, clock, visit) -> None:
    clock.go_on(minutes=10)
    page.get_by_role("button", name="Pause", exact=True).click()
    sure = page.locator("#rate-pause")
    sure.get_by_role("radio").first.check()
    sure.get_by_role("button", name="Pump shows 0 mL/h").click()
    expect(page.locator(".nowbar")).to_contain_text("Paused")
    clock.go_on(minutes=10)
    save(page)
    page.get_by_role("button", name="Resume at").click()
    page.locator("#rate-resume").get_by_role("button", name="Pump shows").click()
    expect(page.locator(".nowbar")).not_to_contain_text("Paused")
    last = RateChange.objects.filter(session=visit).latest("pk")
    assert last.kind == "resume"
    assert 0 < last.rate_ml_per_h <= Decimal("21.6")


def ended_and_discharged(page: Page, clock, visit) -> None:
    clock.go_on(minutes=20)
    page.reload()
    page.get_by_role("link", name="End the infusion").click()
    page.get_by_role("radio", name="Patient's wish").check()
    page.get_by_role("button", name="The pump stands: end and observe").click()
    expect(page.locator(".nowbar")).to_contain_text("Observ")
    for _ in range(2):
        clock.go_on(minutes=31)
        page.reload()
        save(page)
    page.get_by_role("link", name="Discharge").click()
    page.get_by_role("radio", name="Stopped early").check()
    reason = page.get_by_role("group", name="Reason")
    if reason.count():
        reason.get_by_role("radio").first.check()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Sign and discharge").click()
    expect(page.get_by_role("button", name="Sign and discharge")).to_have_count(0)
    visit.refresh_from_db()
    assert visit.stage == Stage.DISCHARGED


def recorded(page: Page, visit) -> None:
    """The record on paper tells the whole day with the same numbers."""
    page.goto(f"/infusions/{visit.pk}/record/")
    expect(page.get_by_text("SIGNED", exact=True)).to_be_visible()
    rates = page.get_by_role("table", name="Rate changes")
    steps = [
        tuple(cell.inner_text() for cell in row.locator("td").all()[:3])
        for row in rates.locator("tbody tr").all()
    ]
    stored = RateChange.objects.filter(session=visit).order_by("pk")
    assert [Decimal(to) for _, _, to in steps] == [row.rate_ml_per_h for row in stored]
    for words in ("128 → 104", "Headache", "Cetirizine", "P100512345", "AO 1978"):
        expect(page.locator("main")).to_contain_text(words)


def reports_of(page: Page, day: str) -> dict[str, str]:
    """What each report answers about today, in words."""
    answers = {}
    for key in ("reactions", "reductions", "vitals"):
        page.goto(f"/reports/{key}/?period=days&first={day}&last={day}")
        answers[key] = page.locator("section", has=page.locator("#answer")).inner_text()
    return answers


def downloaded(page: Page, key: str, day: str) -> None:
    page.goto(f"/reports/{key}/?period=days&first={day}&last={day}")
    with page.expect_download() as coming:
        page.get_by_role("link", name="CSV").click()
    with open(coming.value.path(), newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 3, key
