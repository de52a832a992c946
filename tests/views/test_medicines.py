"""Doses of a visit: given now or earlier, taken back, and who reads them."""

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import GivenMedicine, Signature, Vial
from sessions.services import finish, medicines
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.factories.moments import typed
from tests.factories.visits import Morning

TOLD = r"(\d\d:\d\d|Given:) Acetaminophen 650"
"""A dose as the handover sheet and the drawing name it."""
HX = {"HX-Request": "true"}
WHY = {"correction_reason": "given to the chair beside"}


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    """A visit that was checked in an hour ago."""
    return Morning.of(
        at=timezone.now() - timedelta(minutes=60),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (visits.premedication(), visits.as_needed())},
    )


@pytest.fixture
def http(sign_in, nurse):
    return sign_in(nurse)


def url(name: str, morning: Morning, *ids) -> str:
    return reverse(name, args=[morning.visit.pk, *ids])


def text(response) -> str:
    return response.content.decode()


def words(response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text(response)).split())


def ordered(morning: Morning, purpose: str) -> int:
    return morning.order.current.medicines.get(purpose=purpose).pk


def dose(morning: Morning, purpose: str, *, after: float) -> GivenMedicine:
    row = morning.order.current.medicines.get(purpose=purpose)
    by = morning.by(after=after)
    return medicines.give(session=morning.fresh(), ordered=row, by=by)


class TestGivenEarlier:
    @pytest.mark.parametrize("purpose", ["before", "as_needed"])
    def test_it_stands_at_its_time_as_a_late_entry(self, http, morning, purpose):
        if purpose == "as_needed":
            morning.started()
        earlier = timezone.now() - timedelta(minutes=30)
        page = "infusion-prepare" if purpose == "before" else "medicine-list"

        shown = http.get(url(page, morning))
        given = http.post(
            url("medicine-give", morning, ordered(morning, purpose)),
            {"event_time": typed(morning.visit.clinic, earlier)},
            headers=HX,
        )

        assert "Given earlier" in text(shown)
        assert given.status_code == 200
        assert "late entry" in text(given)
        row = GivenMedicine.objects.get()
        assert row.event_time == earlier.replace(second=0, microsecond=0)

    def test_without_a_time_nothing_is_given(self, http, morning):
        address = url("medicine-give", morning, ordered(morning, "before"))

        refused = http.post(address, {"event_time": ""}, headers=HX)

        assert refused.status_code == 422
        assert "This field is required" in text(refused)
        assert not GivenMedicine.objects.exists()

    @pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
    @pytest.mark.parametrize("started", [False, True])
    def test_what_was_typed_stays_when_it_is_refused(
        self, http, morning, started, headers
    ):
        purpose = "as_needed" if started else "before"
        if started:
            morning.started()
        box = typed(morning.visit.clinic, morning.at - timedelta(minutes=2))
        address = url("medicine-give", morning, ordered(morning, purpose))

        refused = http.post(address, {"event_time": box}, headers=headers)

        assert refused.status_code == 422
        assert "before the check-in" in words(refused)
        assert f'value="{box}"' in text(refused)
        assert not GivenMedicine.objects.exists()

    def test_a_dose_that_cannot_be_given_now_may_have_been_given_before(
        self, http, morning
    ):
        morning.started()
        row = dose(morning, "as_needed", after=59)

        page = text(http.get(url("medicine-list", morning)))

        assert "Given now: Acetaminophen" not in page
        assert "next dose from" in page
        assert "Given then: Acetaminophen" in page
        refused = http.post(
            url("medicine-give", morning, row.ordered_id),
            {
                "event_time": typed(
                    morning.visit.clinic, morning.at + timedelta(minutes=20)
                )
            },
        )
        assert "the next dose was given at" in words(refused)

    def test_what_no_time_would_change_offers_no_time(self, http, morning):
        dose(morning, "before", after=5)

        page = text(http.get(url("infusion-prepare", morning)))

        assert "Given earlier" not in page

    def test_a_vial_that_was_opened_earlier(self, http, morning):
        earlier = timezone.now() - timedelta(minutes=30)
        vial = {
            "product_key": "privigen_10",
            "grams": "20",
            "lot": "P100512345",
            "expiry": f"{morning.at + timedelta(days=400):%Y-%m-%d}",
        }
        address = url("vial-add", morning)
        before = typed(morning.visit.clinic, morning.at - timedelta(minutes=2))

        refused = http.post(address, vial | {"event_time": before}, headers=HX)
        taken = http.post(
            address,
            vial | {"event_time": typed(morning.visit.clinic, earlier)},
            headers=HX,
        )

        assert refused.status_code == 422
        assert "before the check-in" in words(refused)
        assert taken.status_code == 200
        row = Vial.objects.get()
        assert row.event_time == earlier.replace(second=0, microsecond=0)
        assert "late entry" in text(http.get(url("infusion-record", morning)))


class TestTakenBack:
    def test_every_dose_has_a_way_back_where_it_stands(self, http, morning):
        before = dose(morning, "before", after=0)
        first = url("medicine-withdraw", morning, before.pk)
        assert first in text(http.get(url("infusion-prepare", morning)))
        morning.started()
        needed = dose(morning, "as_needed", after=10)

        for page in ("infusion-detail", "medicine-list"):
            shown = text(http.get(url(page, morning)))
            for row in (before, needed):
                assert url("medicine-withdraw", morning, row.pk) in shown, page
        asked = words(http.get(first))
        assert "Take back: Cetirizine" in asked
        assert "Why is it withdrawn?" in asked
        assert "Your password" not in asked

    def test_it_stays_readable_with_the_reason_and_counts_nowhere(self, http, morning):
        morning.started()
        row = dose(morning, "as_needed", after=10)
        address = url("medicine-withdraw", morning, row.pk)
        read_elsewhere = (url("infusion-drawing", morning), reverse("handover"))
        for page in read_elsewhere:
            assert re.search(TOLD, words(http.get(page))), page

        answer = http.post(address, WHY)

        assert answer.url == url("infusion-detail", morning)
        for page in read_elsewhere:
            assert not re.search(TOLD, words(http.get(page))), page
        visit = text(http.get(answer.url))
        assert "<s>Acetaminophen 650 mg PO</s>" in visit
        assert address not in visit
        record = text(http.get(url("infusion-record", morning)))
        struck = [part for part in record.split("<tr") if "superseded" in part[:30]]
        assert ["Acetaminophen" in part for part in struck] == [True]
        for page in (visit, record):
            assert "withdrawn" in page
            assert WHY["correction_reason"] in page
        replay = words(http.get(url("infusion-replay", morning)))
        assert replay.count("Given: Acetaminophen") == 1
        assert "Dose taken back: Acetaminophen 650 mg" in replay
        offered = text(http.get(url("medicine-list", morning)))
        assert "<s>given " in offered
        assert "Given now: Acetaminophen" in offered

    @pytest.mark.parametrize("data", [{}, {"correction_reason": "  "}])
    def test_without_a_reason_it_stands(self, http, morning, data):
        row = dose(morning, "before", after=5)

        refused = http.post(url("medicine-withdraw", morning, row.pk), data)

        assert refused.status_code == 422
        assert "Write why it is withdrawn" in words(refused)
        assert GivenMedicine.objects.current().get() == row

    def test_the_same_press_twice_takes_it_back_once(self, http, morning):
        row = dose(morning, "before", after=5)
        address = url("medicine-withdraw", morning, row.pk)
        data = WHY | {"submission_key": str(uuid.uuid4())}

        answers = [http.post(address, data) for _ in range(2)]
        other = http.post(address, WHY)

        assert [answer.status_code for answer in answers] == [302, 302]
        assert GivenMedicine.objects.filter(supersedes=row).count() == 1
        assert other.status_code == 422
        assert "already taken back" in words(other)
        assert http.get(address).status_code == 404

    def test_after_the_discharge_it_is_signed(self, http, morning):
        morning.started()
        row = dose(morning, "as_needed", after=10)
        finish.end_infusion(
            session=morning.visit, by=morning.by(after=20), reason_code="patient"
        )
        http.post(
            url("infusion-discharge", morning),
            {
                "outcome": "stopped_early",
                "reason_code": "patient",
                "password": PASSWORD,
            },
        )
        address = url("medicine-withdraw", morning, row.pk)
        assert address in text(http.get(url("infusion-detail", morning)))
        assert "Your password" in words(http.get(address))

        missing = http.post(address, WHY)
        wrong = http.post(address, WHY | {"password": "guess"})
        kept = GivenMedicine.objects.filter(supersedes=row).exists()
        right = http.post(address, WHY | {"password": PASSWORD})

        assert (missing.status_code, wrong.status_code) == (422, 422)
        assert "not your password" in words(wrong)
        assert "guess" not in text(wrong)
        assert not kept
        assert right.status_code == 302
        signed = Signature.objects.get(session=morning.visit, meaning="corrected")
        assert signed.signed_name == "Kwame Mensah, RN"
        record = words(http.get(url("infusion-record", morning)))
        assert "I correct this signed record" in record

    def test_a_dose_of_another_visit_is_not_found(self, http, morning, prescriber):
        row = dose(morning, "before", after=5)
        other = reverse("medicine-withdraw", args=[morning.visit.pk + 1, row.pk])

        assert http.get(other).status_code == 404
