"""A new server: set it up, sign in, change a setting, add a nurse."""

import pyotp
import pytest
from playwright.sync_api import expect

from sessions.models import Clinic, User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_new_server_becomes_a_clinic_with_a_nurse(live_server, page, accessible):
    page.goto(f"{live_server.url}/settings/")
    page.get_by_label("Name of the clinic").fill("Riverside Infusion")
    page.get_by_label("Time zone").select_option("Europe/Dublin")
    page.get_by_label("Label region").select_option("eu")
    page.get_by_label("Number of chairs").fill("8")
    page.get_by_label("Your name").fill("Robin Clarke")
    page.get_by_label("Your user name").fill("robin")
    page.get_by_label("Your password", exact=True).fill("four quiet green hills")
    page.get_by_label("Your password again").fill("four quiet green hills")
    accessible()
    page.get_by_role("button", name="Set up").click()

    page.get_by_role("textbox", name="User name").fill("robin")
    page.get_by_label("Password").fill("four quiet green hills")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Add an authenticator app").click()
    page.get_by_text("No camera").click()
    secret = page.locator("details code").inner_text().replace(" ", "")
    page.get_by_label("Code the app shows now").fill(pyotp.TOTP(secret).now())
    page.get_by_label("Name it").fill("my phone")
    page.get_by_label("Your password again").fill("four quiet green hills")
    page.get_by_role("button", name="Add this app").click()
    page.get_by_role("link", name="go on").click()
    page.goto(f"{live_server.url}/settings/")
    accessible()
    page.get_by_label("Sign out when unused").fill("0")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("at least 1").first).to_be_visible()
    page.get_by_label("Sign out when unused").fill("20")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("Settings saved.")).to_be_visible()

    page.goto(f"{live_server.url}/settings/staff/add/")
    page.get_by_label("Name", exact=True).fill("Kwame Mensah")
    page.get_by_role("textbox", name="User name").fill("kwame")
    page.get_by_label("Nurse", exact=True).check()
    accessible()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("shown this once")).to_be_visible()

    assert Clinic.objects.get().idle_minutes == 20
    assert User.objects.get(username="kwame").must_change_password
