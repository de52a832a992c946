"""Signing in with a phone, a passkey and a recovery code, in a real browser."""

import re

import pyotp
import pytest
from playwright.sync_api import expect

from sessions.models import Factor, FactorKind, Login, WrongTries
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def door(live_server):
    """The server by its name: a bare number has no passkeys."""
    return live_server.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def security_key(page):
    """A key in a drawer of Chromium's own: it answers as a real one would."""
    chrome = page.context.new_cdp_session(page)
    chrome.send("WebAuthn.enable")
    added = chrome.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "usb",
                "hasResidentKey": False,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return chrome, added["authenticatorId"]


@pytest.fixture
def refusals_of_policy(page):
    """What the content policy refused while the test ran."""
    found = []
    page.on(
        "console",
        lambda message: (
            found.append(message.text)
            if "Content Security Policy" in message.text
            else None
        ),
    )
    return found


def type_password(page, door, user, path="/"):
    page.goto(f"{door}/sign-in/?next={path}")
    page.get_by_label("User name").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def add_passkey(page):
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name it").fill("blue key")
    page.get_by_label("Your password again").fill(PASSWORD)
    page.get_by_role("button", name="Make a passkey").click()


def sign_out(page):
    page.get_by_role("button", name=re.compile("account")).click()
    page.get_by_role("button", name="Sign out", exact=True).click()


def test_an_admin_adds_a_phone_and_signs_in_with_it(
    door, page, admin, accessible, refusals_of_policy
):
    type_password(page, door, admin, "/settings/")
    expect(page.get_by_text("Nothing else opens")).to_be_visible()
    accessible()

    page.get_by_role("link", name="Add an authenticator app").click()
    accessible()
    page.get_by_text("No camera").click()
    secret = page.locator("details code").inner_text().replace(" ", "")
    assert pyotp.TOTP(secret).now()
    page.get_by_label("Code the app shows now").fill(pyotp.TOTP(secret).now())
    page.get_by_label("Name it").fill("my phone")
    page.get_by_label("Your password again").fill(PASSWORD)
    page.get_by_role("button", name="Add this app").click()
    expect(page.get_by_text("shown this once")).to_be_visible()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    accessible()
    page.get_by_role("link", name="go on").click()
    expect(page).to_have_url(re.compile("/board/"))

    sign_out(page)
    type_password(page, door, admin, "/settings/")
    accessible()
    # The code that added the app is used up; the next step's counts at once.
    step = pyotp.TOTP(secret)
    page.get_by_label("Code from the app").fill(
        step.generate_otp(Factor.objects.get().last_step + 1)
    )
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/settings/"))

    sign_out(page)
    type_password(page, door, admin)
    page.get_by_text("recovery code").first.click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Use this code").click()
    expect(page.get_by_text("9 left")).to_be_visible()
    assert refusals_of_policy == []


def test_a_prescriber_signs_in_with_a_passkey(
    door, page, prescriber, security_key, accessible, refusals_of_policy
):
    type_password(page, door, prescriber)
    page.get_by_role("link", name="Add a passkey").click()
    accessible()
    page.go_back()
    add_passkey(page)
    expect(page.get_by_text("shown this once")).to_be_visible()
    factor = Factor.objects.get()
    assert (factor.kind, factor.host) == (FactorKind.PASSKEY, "localhost")
    page.get_by_role("link", name="go on").click()

    sign_out(page)
    type_password(page, door, prescriber, "/orders/")
    accessible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(re.compile("/orders/"))

    factor.refresh_from_db()
    assert factor.sign_count > 0
    assert factor.last_used_at is not None
    assert refusals_of_policy == []


def test_a_copied_passkey_is_refused(door, page, prescriber, security_key):
    """Its counter lags behind what the server has seen of the other copy."""
    type_password(page, door, prescriber)
    add_passkey(page)
    page.get_by_role("link", name="go on").click()
    Factor.objects.update(sign_count=1000)

    sign_out(page)
    type_password(page, door, prescriber)
    page.get_by_role("button", name="Use a passkey").click()

    expect(page.get_by_text("not accepted")).to_be_visible()
    page.goto(f"{door}/me/")
    expect(page).to_have_url(re.compile("/sign-in/"))
    assert WrongTries.objects.filter(failures=1).count() == 2


def test_the_key_of_somebody_else_opens_nothing(
    door, page, prescriber, admin, security_key
):
    for user in (prescriber, admin):
        type_password(page, door, user)
        add_passkey(page)
        expect(page.get_by_text("shown this once")).to_be_visible()
        page.get_by_role("link", name="go on").click()
        sign_out(page)
    chrome, key = security_key
    kept = chrome.send("WebAuthn.getCredentials", {"authenticatorId": key})
    mine = Factor.objects.get(user=admin).credential_id.rstrip("=")
    for each in kept["credentials"]:
        found = each["credentialId"].replace("+", "-").replace("/", "_").rstrip("=")
        if found == mine:
            chrome.send(
                "WebAuthn.removeCredential",
                {"authenticatorId": key, "credentialId": each["credentialId"]},
            )

    type_password(page, door, admin)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("[data-passkey-says]")).not_to_be_empty()

    page.goto(f"{door}/me/")
    expect(page).to_have_url(re.compile("/sign-in/"))


def test_a_nurse_sees_where_she_is_signed_in_and_ends_it(
    door, page, browser, nurse, accessible
):
    other = browser.new_context()
    tablet = other.new_page()
    type_password(tablet, door, nurse)
    expect(tablet).to_have_url(re.compile("/board/"))
    type_password(page, door, nurse, "/me/security/")
    accessible()
    assert page.get_by_role("row").count() == 3

    page.get_by_role("button", name=re.compile("Sign out Chrome")).click()
    expect(page.get_by_text("That browser is signed out.")).to_be_visible()
    tablet.goto(f"{door}/me/")
    expect(tablet).to_have_url(re.compile("/sign-in/"))
    other.close()
    assert Login.objects.filter(ended_at=None).count() == 1
