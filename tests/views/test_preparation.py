"""The page of Start in the browser's words: with script, without, and by whom."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import (
    AuditEntry,
    GateOverride,
    IdentityCheck,
    LineCheck,
    Screening,
    Start,
    Vial,
    VitalSigns,
    Weight,
)
from sessions.services import protocols
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.factories.protocols import with_value
from tests.factories.visits import Morning

HX = {"HX-Request": "true"}
CODE = "010076125043100517{expiry}10P100512345\x1d21{serial}"
BASELINE = {
    "systolic_mmhg": "128",
    "diastolic_mmhg": "78",
    "pulse": "76",
    "respiratory_rate": "16",
    "spo2": "98",
    "temperature": "36.7",
    "consciousness": "A",
    "oxygen": "air",
}
VIAL = {
    "product_key": "privigen_10",
    "grams": "10",
    "lot": "P1",
    "expiry": (date.today() + timedelta(days=400)).isoformat(),  # noqa: DTZ011
}


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    return Morning.of(
        at=timezone.now() - timedelta(minutes=5),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )


@pytest.fixture
def http(sign_in, nurse):
    return sign_in(nurse)


def url(name: str, morning: Morning, *more) -> str:
    return reverse(name, args=[morning.visit.pk, *more])


def text(response) -> str:
    return response.content.decode()


ITEMS = {
    "infusion-identity": ({"identifiers": "AO1978"}, IdentityCheck),
    "infusion-weigh": ({"weight_kg": "72"}, Weight),
    "infusion-confirm-weight": ({}, GateOverride),
    "infusion-checks": ({"usual": "1"}, Screening),
    "infusion-line": (
        {"site": "left hand", "gauge": "22 G", "attempts": "1", "vip_score": "0"},
        LineCheck,
    ),
    "infusion-baseline": (BASELINE, VitalSigns),
    "vial-add": (VIAL, Vial),
}
BAD = {
    "infusion-identity": {"identifiers": "XX1978"},
    "infusion-weigh": {"weight_kg": "7_2"},
    "infusion-checks": {"detail": "well"},
    "infusion-line": {"site": "left foot", "gauge": "22 G"},
    "infusion-baseline": BASELINE | {"systolic_mmhg": "1280"},
    "vial-add": VIAL | {"expiry": "2020-01-01"},
}


def count(model, morning: Morning) -> int:
    if model is Weight:
        return Weight.objects.filter(patient=morning.patient).count()
    return model.objects.filter(session=morning.visit).count()


@pytest.mark.parametrize("name", ITEMS)
class TestEveryItem:
    def test_saves_and_answers_with_its_section_and_the_side(self, http, morning, name):
        data, model = ITEMS[name]
        before = count(model, morning)

        response = http.post(url(name, morning), data, headers=HX)

        assert response.status_code == 200, text(response)
        assert count(model, morning) == before + 1
        assert 'id="gate-side" hx-swap-oob="true"' in text(response)
        assert "<html" not in text(response)

    def test_goes_back_to_the_page_without_script(self, http, morning, name):
        data, model = ITEMS[name]
        before = count(model, morning)

        response = http.post(url(name, morning), data)

        assert response.status_code == 302
        assert response.url.startswith(url("infusion-prepare", morning))
        assert count(model, morning) == before + 1

    def test_the_same_submission_twice_is_one_row(self, http, morning, name):
        data, model = ITEMS[name]
        before = count(model, morning)
        key = {"submission_key": "6d2c1d6e-6a3c-4bb4-8a7b-0f2f6f0a5a10"}

        for _ in range(2):
            response = http.post(url(name, morning), data | key, headers=HX)
            assert response.status_code == 200

        assert count(model, morning) == before + 1

    def test_reads_nothing_by_get_and_is_closed_to_strangers(
        self, http, morning, name, sign_in, stranger, auditor
    ):
        data, model = ITEMS[name]
        before = count(model, morning)

        assert http.get(url(name, morning)).status_code in (405, 302)
        for user, status in ((stranger, 404), (auditor, 403)):
            response = sign_in(user).post(url(name, morning), data)
            assert response.status_code == status
            assert "Okonkwo" not in text(response)
        assert count(model, morning) == before

    def test_an_unknown_field_is_refused(self, http, morning, name):
        data, model = ITEMS[name]
        before = count(model, morning)

        response = http.post(
            url(name, morning), data | {"recorded_by": "1"}, headers=HX
        )

        assert response.status_code == 422
        assert count(model, morning) == before


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("headers", [HX, {}], ids=["htmx", "plain"])
def test_what_is_refused_keeps_the_typing(http, morning, name, headers):
    data, (_, model) = BAD[name], ITEMS[name]
    before = count(model, morning)

    response = http.post(url(name, morning), data, headers=headers)

    assert response.status_code == 422
    assert count(model, morning) == before
    for value in data.values():
        if value not in ("A", "air", "22 G", "left foot", "privigen_10"):
            assert value in text(response), value


def test_the_page_shows_patient_rate_and_what_holds(http, morning):
    response = http.get(url("infusion-prepare", morning))

    page = text(response)
    assert response.status_code == 200
    assert "OKONKWO, Adaeze Marie" in page
    assert "21.6" in page
    assert "Identity not checked" in page
    assert "Start held" in page
    assert "no earlier infusion on record" in page
    assert "not asked" in page
    assert AuditEntry.objects.filter(action="session.view").exists()


def test_unknown_history_is_never_shown_as_none(http, morning):
    page = text(http.get(url("infusion-prepare", morning)))

    assert re.search(r"risk factors: \d+ of \d+ not asked", page)
    assert "no risk factors" not in page.lower()


def test_an_auditor_reads_and_has_no_form(sign_in, auditor, morning):
    page = text(sign_in(auditor).get(url("infusion-prepare", morning)))

    assert "Identity not checked" in page
    assert f'action="{url("infusion-identity", morning)}"' not in page
    assert 'id="start-form"' not in page


def test_a_planned_visit_is_checked_in_first(http, morning):
    planned = visits.plan_session(
        order=morning.order,
        scheduled_at=timezone.now() + timedelta(days=3),
        by=morning.by(morning.charge_nurse),
    )

    response = http.get(reverse("infusion-prepare", args=[planned.pk]))

    assert response.url == reverse("infusion-check-in", args=[planned.pk])


def test_a_planned_visit_is_shown_to_who_charts_nothing(sign_in, morning):
    planned = visits.plan_session(
        order=morning.order,
        scheduled_at=morning.at + timedelta(days=28),
        by=morning.by(morning.charge_nurse),
    )

    for user in (morning.prescriber, morning.pharmacist):
        page = sign_in(user).get(
            reverse("infusion-detail", args=[planned.pk]), follow=True
        )
        assert page.status_code == 200
        assert "Prepare, chair –" in page.content.decode()


def test_a_mismatch_says_stop_and_saves_nothing(http, morning):
    response = http.post(
        url("infusion-identity", morning), {"identifiers": "OA 1978"}, headers=HX
    )

    assert "is not the patient of this visit" in text(response)
    assert not IdentityCheck.objects.filter(session=morning.visit).exists()


def test_pounds_for_kilograms_are_asked_about(http, morning):
    response = http.post(
        url("infusion-weigh", morning), {"weight_kg": "158.7"}, headers=HX
    )

    assert response.status_code == 422
    assert "lb or kg" in text(response)
    assert count(Weight, morning) == 1


def test_a_change_is_asked_about_by_the_clinics_own_limit(
    http, morning, admin, prescriber
):
    shipped = morning.order.current.protocol_version
    own = protocols.draft_version(
        protocol=shipped.protocol,
        document=with_value(
            shipped, "dosing", "weight", "change_percent", "value", value="5"
        ),
        note="Stricter",
        based_on=shipped,
        by=morning.by(admin),
    )
    protocols.approve_version(version=own, by=morning.by(prescriber))

    answer = http.post(url("infusion-weigh", morning), {"weight_kg": "76"}, headers=HX)

    assert answer.status_code == 422
    assert "5.6 % more" in text(answer)


def test_a_saved_weight_is_never_answered_as_a_fault(
    http, nurse, charge_nurse, prescriber, pharmacist, admin
):
    """The server's clock went back: the visit cannot move on, the weight is kept."""
    morning = Morning.of(
        at=timezone.now() - timedelta(days=3),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )
    later = 3 * 24 * 60 + 10
    morning.ready(after=later, skip={"weight", "baseline", "warnings"})

    answer = http.post(url("infusion-weigh", morning), {"weight_kg": "72"}, headers=HX)

    assert answer.status_code == 200
    assert count(Weight, morning) == 2


class TestVials:
    @pytest.fixture
    def scan(self, morning):
        when = timezone.now() + timedelta(days=400)
        return lambda serial, day=when: CODE.format(
            expiry=f"{day:%y%m%d}", serial=serial
        )

    def post(self, http, morning, **data):
        return http.post(url("vial-add", morning), data, headers=HX)

    def test_the_first_scan_of_a_pack_asks_and_the_second_knows(
        self, http, morning, scan
    ):
        first = self.post(http, morning, code=scan("A1"))
        assert first.status_code == 422
        assert "new here" in text(first)

        asked = {"product_key": "privigen_10", "grams": "10"}
        self.post(http, morning, code=scan("A1"), **asked)
        response = self.post(http, morning, code=scan("A2"))

        assert response.status_code == 200
        assert "20 of 30 g" in re.sub(r"<[^>]+>", "", text(response))

    def test_the_same_serial_is_refused(self, http, morning, scan):
        data = {"product_key": "privigen_10", "grams": "10"}
        self.post(http, morning, code=scan("A1"), **data)

        response = self.post(http, morning, code=scan("A1"), **data)

        assert response.status_code == 422
        assert "recorded already for this visit" in text(response)

    def test_an_expired_vial_is_refused(self, http, morning, scan):
        gone = timezone.now() - timedelta(days=1)

        response = self.post(
            http,
            morning,
            code=scan("A1", gone),
            product_key="privigen_10",
            grams="10",
        )

        assert "expired on" in text(response)
        assert not Vial.objects.exists()

    def test_another_product_is_refused(self, http, morning):
        response = self.post(http, morning, **VIAL | {"product_key": "octagam_10"})

        assert "The order is for Privigen" in text(response)

    def test_a_pack_recorded_as_something_else_is_refused(self, http, morning, scan):
        data = {"product_key": "privigen_10"}
        self.post(http, morning, code=scan("A1"), grams="10", **data)

        response = self.post(http, morning, code=scan("A2"), grams="20", **data)

        # The clinic's own record of the pack wins over what was typed beside it.
        assert response.status_code == 200
        assert set(Vial.objects.values_list("grams", flat=True)) == {Decimal(10)}

    def test_more_than_the_dose_is_refused(self, http, morning):
        for _ in range(3):
            self.post(http, morning, **VIAL)

        response = self.post(http, morning, **VIAL)

        assert "already hold 30 g" in text(response)

    def test_a_vial_is_taken_back_with_a_reason(self, http, morning):
        self.post(http, morning, **VIAL)
        vial = Vial.objects.get()
        address = url("vial-withdraw", morning, vial.pk)

        assert http.post(address, {"reason": ""}, headers=HX).status_code == 422
        response = http.post(address, {"reason": "wrong box"}, headers=HX)

        assert response.status_code == 200
        assert not Vial.objects.current().exists()
        assert Vial.objects.count() == 2


class TestStart:
    def start(self, http, morning, **data):
        posted = {"read_back": "21.6", "volume_limit": "300"} | data
        return http.post(url("infusion-start", morning), posted, headers=HX)

    def test_it_goes_to_the_session(self, http, morning):
        morning.ready()

        response = self.start(http, morning, version=morning.visit.version)

        assert response["HX-Redirect"] == url("infusion-detail", morning)
        assert Start.objects.count() == 1

    def test_without_script_too(self, http, morning):
        morning.ready()

        response = http.post(
            url("infusion-start", morning),
            {"read_back": "21.6", "volume_limit": "300"},
        )

        assert response.status_code == 302
        assert Start.objects.count() == 1

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"read_back": ""}, "Read the pump"),
            ({"read_back": "216"}, "step 1 is 21.6"),
            ({"volume_limit": "3000"}, "dose is 300 mL"),
            ({"read_back": "2_1.6"}, "underscores"),
        ],
    )
    def test_the_read_back_must_be_the_servers_number(self, http, morning, data, words):
        morning.ready()

        response = self.start(http, morning, **data)

        assert response.status_code == 422
        assert words in text(response)
        assert not Start.objects.exists()

    def test_a_held_start_is_refused_with_the_list(self, http, morning):
        morning.ready(skip={"second vial"})

        response = self.start(http, morning)

        assert response.status_code == 422
        assert "Start is held" in text(response)
        assert "10 g missing" in text(response)
        assert not Start.objects.exists()

    def test_a_stale_screen_answers_409_and_keeps_the_page(
        self, http, morning, colleague
    ):
        morning.ready()
        seen = morning.visit.version
        visits.infusions.take_over(session=morning.visit, by=morning.by(colleague))

        response = self.start(http, morning, version=seen)

        assert response.status_code == 409
        assert "data-notice" in text(response)
        assert f"showed version {seen}" in text(response)

    def test_an_expired_login_saves_nothing_and_says_so(self, http, morning):
        morning.ready()
        http.logout()

        response = self.start(http, morning)

        assert response.status_code == 401
        assert "NOT SAVED" in text(response)
        assert not Start.objects.exists()


class TestPassing:
    def test_a_nurse_passes_warnings_with_a_reason(self, http, morning):
        morning.ready(skip={"warnings"})
        address = url("infusion-pass", morning)

        refused = http.post(address, {"rules": ["G-17"]}, headers=HX)
        passed = http.post(
            address, {"rules": ["G-17"], "reason_code": "planned"}, headers=HX
        )

        assert refused.status_code == 422
        assert passed.status_code == 200
        assert "Passed with a reason" in text(passed)

    def test_only_a_prescriber_overrides_and_with_the_password(
        self, http, morning, sign_in, prescriber
    ):
        morning.ready(reading={"systolic_mmhg": 88, "diastolic_mmhg": 50})
        address = url("infusion-override", morning)
        data = {"rule": "G-36", "reason_code": "examined", "password": PASSWORD}

        assert http.post(address, data, headers=HX).status_code == 403
        doctor = sign_in(prescriber)
        wrong = doctor.post(address, data | {"password": "no"}, headers=HX)
        right = doctor.post(address, data, headers=HX)

        assert wrong.status_code == 422
        assert PASSWORD not in text(wrong)
        assert right.status_code == 200
        assert "signed" in text(right)


def test_premedication_is_one_tap(
    nurse, charge_nurse, prescriber, pharmacist, admin, http
):
    morning = Morning.of(
        at=timezone.now() - timedelta(minutes=5),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (visits.premedication(),)},
    )
    ordered = morning.order.current.medicines.get()
    address = url("medicine-give", morning, ordered.pk)

    given = http.post(address, headers=HX)
    again = http.post(address, headers=HX)

    assert given.status_code == 200
    assert "wait" in text(given)
    assert again.status_code == 422
    assert "given already" in text(again)


def test_medicines_of_a_running_visit_have_a_page(
    nurse, charge_nurse, prescriber, pharmacist, admin, http
):
    morning = Morning.of(
        at=timezone.now() - timedelta(minutes=5),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (visits.as_needed(),)},
    )
    morning.started()
    ordered = morning.order.current.medicines.get()

    page = http.get(url("medicine-list", morning))
    given = http.post(url("medicine-give", morning, ordered.pk), headers=HX)
    again = http.post(url("medicine-give", morning, ordered.pk))

    assert "Given now: Acetaminophen 650 mg" in text(page)
    assert 'id="medicines"' in text(given)
    assert "next dose from" in text(given)
    assert again.status_code == 422
    assert 'role="alert"><span class="warn" data-notice>Acetaminophen' in text(again)


def test_a_vial_is_added_while_the_infusion_runs(http, morning):
    morning.started()

    page = http.get(url("vial-add", morning))
    added = http.post(url("vial-add", morning), VIAL, headers=HX)

    assert page.status_code == 200
    assert added.status_code == 200
    assert Vial.objects.count() == 3


def test_the_page_of_start_asks_a_constant_number_of_queries(
    http, morning, django_assert_max_num_queries
):
    http.get(url("infusion-prepare", morning))
    with django_assert_max_num_queries(45):
        http.get(url("infusion-prepare", morning))
