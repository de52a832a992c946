"""Opening a vial of a new lot in mid-session: the answer is the visit with its flag."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import Flag
from tests.factories.infusions import make_running
from tests.factories.reports import Ward

HX = {"HX-Request": "true"}


@pytest.fixture
def running(clinic, nurse, prescriber):
    at = timezone.now() - timedelta(minutes=50)
    session = make_running(clinic, nurse, prescriber, at=at)
    Ward(clinic, nurse, prescriber).vial(session, "A100")
    return session


@pytest.mark.parametrize("headers", [HX, {}], ids=["htmx", "plain"])
def test_a_new_lot_leads_to_the_visit_with_its_flag(running, nurse, sign_in, headers):
    client = sign_in(nurse)
    visit = reverse("infusion-detail", args=[running.pk])

    answer = open_vial(client, running, "B200", headers)

    assert answer.headers.get("HX-Redirect", answer.headers.get("Location")) == visit
    page = client.get(visit).content.decode()
    assert "B200 after A100" in page
    assert Flag.objects.get().rule == "M-02"


def test_the_same_lot_stays_at_the_vials(running, nurse, sign_in):
    answer = open_vial(sign_in(nurse), running, "A100", {})

    assert answer.url == reverse("vial-add", args=[running.pk])
    assert not Flag.objects.exists()


def open_vial(client, session, lot: str, headers: dict):
    return client.post(
        reverse("vial-add", args=[session.pk]),
        {
            "submission_key": f"key-of-{lot}-{len(headers)}",
            "product_key": "privigen_10",
            "grams": "10",
            "lot": lot,
            "expiry": (timezone.now() + timedelta(days=300)).date().isoformat(),
        },
        headers=headers,
    )
