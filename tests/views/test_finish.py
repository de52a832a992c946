"""End, discharge, the record on paper, and a visit entered in error."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import AuditEntry, Flag, Outcome, Signature, Stage, VitalSigns
from sessions.services import finish
from sessions.services.vitals import correct_vitals, record_vitals
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.factories.visits import Morning


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    """A visit that was started two hours ago."""
    made = Morning.of(
        at=timezone.now() - timedelta(minutes=120),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )
    made.started()
    return made


@pytest.fixture
def http(sign_in, nurse):
    return sign_in(nurse)


@pytest.fixture
def observing(morning) -> Morning:
    finish.end_infusion(
        session=morning.visit, by=morning.by(after=60), reason_code="patient"
    )
    return morning


def url(name: str, morning: Morning) -> str:
    return reverse(name, args=[morning.visit.pk])


def text(response) -> str:
    return response.content.decode()


def words(response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text(response)).split())


class TestEnd:
    def test_an_early_end_with_a_reason(self, http, morning):
        page = http.get(url("infusion-end", morning))
        response = http.post(url("infusion-end", morning), {"reason_code": "patient"})

        assert "43.2" in words(page)
        assert response.status_code == 302
        assert morning.fresh().stage == Stage.OBSERVING

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ({}, "required"),
            ({"reason_code": "completed"}, "Choose why it ends early"),
            ({"reason_code": "other"}, "other reason"),
            ({"reason_code": "patient", "pump_ml": "4_3"}, "underscores"),
            ({"reason_code": "patient", "pump_ml": "60"}, "more than 5 % apart"),
            ({"reason_code": "patient", "event_time": "2020-01-01T00:00"}, "before"),
        ],
    )
    def test_what_is_refused_or_asked(self, http, morning, data, said):
        response = http.post(url("infusion-end", morning), data)

        assert response.status_code == 422
        assert said in words(response)
        assert morning.fresh().stage == Stage.INFUSING

    def test_a_pump_that_counted_alike_is_not_asked_about(self, http, morning):
        response = http.post(
            url("infusion-end", morning), {"reason_code": "patient", "pump_ml": "44"}
        )

        assert response.status_code == 302


class TestDischarge:
    data = {"outcome": Outcome.STOPPED_EARLY, "password": PASSWORD}

    def test_the_criteria_are_shown_with_their_sources(self, http, observing):
        page = words(http.get(url("infusion-discharge", observing)))

        assert "60 of 60 minutes observed" in page or "minutes observed" in page
        assert "No complete set since the end" in page
        assert "not met" in page

    def test_no_outcome_is_chosen_beforehand(self, http, observing):
        page = text(http.get(url("infusion-discharge", observing)))

        assert not re.search(r'name="outcome"[^>]*checked', page)

    def test_unmet_criteria_need_a_reason(self, http, observing):
        address = url("infusion-discharge", observing)

        refused = http.post(address, self.data)
        done = http.post(address, self.data | {"reason_code": "patient"})

        assert refused.status_code == 422
        assert "Not every criterion is met" in words(refused)
        assert done.url == url("infusion-record", observing)
        assert observing.fresh().stage == Stage.DISCHARGED

    def test_a_wrong_password_keeps_everything_but_the_password(self, http, observing):
        response = http.post(
            url("infusion-discharge", observing),
            self.data
            | {
                "password": "guess",
                "reason_code": "other",
                "reason_text": "taxi waits",
            },
        )

        assert response.status_code == 422
        assert "not your password" in words(response)
        assert "taxi waits" in text(response)
        assert "guess" not in text(response)
        assert not Signature.objects.filter(session=observing.visit).exists()

    def test_others_do_not_discharge(self, sign_in, auditor, stranger, observing):
        address = url("infusion-discharge", observing)

        assert sign_in(auditor).post(address, self.data).status_code == 403
        assert sign_in(stranger).post(address, self.data).status_code == 404


class TestRecord:
    def test_planned_against_actual_and_all_that_was_given(self, http, observing):
        page = words(http.get(url("infusion-record", observing)))

        assert "Dose 30 g 2.2 g" in page
        assert "Volume 300 mL 21.6 mL" in page
        assert "Steps 2 to 5 not reached" in page
        assert "278.4 mL of 300 mL not given: Patient&#x27;s wish" in page
        assert "lot P100512345" in page
        assert "NOT SIGNED" in page
        assert "BERG" not in page
        assert "OKONKWO, Adaeze Marie" in page

    def test_printing_is_written_to_the_audit(self, http, observing):
        http.get(url("infusion-record", observing))

        entry = AuditEntry.objects.get(action="session.print")
        assert entry.object_id == observing.visit.pk
        assert entry.patient_id == observing.patient.pk

    def test_a_correction_shows_both_values_and_why(self, http, observing):
        made = record_vitals(
            session=observing.visit,
            reading=visits.READING | {"pulse": 67},
            by=observing.by(after=70),
        )
        correct_vitals(
            session=observing.visit,
            vitals_id=made.vitals.pk,
            reading=visits.READING | {"pulse": 76},
            reason="digits swapped",
            by=observing.by(after=72),
        )

        response = http.get(url("infusion-record", observing))

        assert 'class="superseded"' in text(response)
        assert "corrected: digits swapped" in words(response)
        assert "67" in words(response)

    def test_a_signed_record_says_who_and_what(self, http, observing):
        http.post(
            url("infusion-discharge", observing),
            TestDischarge.data | {"reason_code": "patient"},
        )

        page = words(http.get(url("infusion-record", observing)))

        assert "SIGNED" in page
        assert "Kwame Mensah, RN" in page
        assert "This record is complete and correct" in page

    @pytest.mark.parametrize(
        ("name", "words_in"),
        [("vitals-correct", {"pulse": "76"}), ("vitals-withdraw", {})],
    )
    def test_what_corrects_a_signed_record_is_signed_too(
        self, http, observing, name, words_in
    ):
        made = record_vitals(
            session=observing.visit,
            reading=visits.READING | {"pulse": 67},
            by=observing.by(after=70),
        )
        http.post(
            url("infusion-discharge", observing),
            TestDischarge.data | {"reason_code": "patient"},
        )
        address = reverse(name, args=[observing.visit.pk, made.vitals.pk])
        page = reverse("vitals-correct", args=[observing.visit.pk, made.vitals.pk])
        visit = text(http.get(url("infusion-detail", observing)))
        asked = http.get(page).context
        first = asked["form"].initial
        typed = {n: v for n, v in first.items() if v not in (None, "", False)}
        data = typed if words_in else {}
        data |= words_in | {"correction_reason": "digits swapped"}

        missing = http.post(address, data)
        wrong = http.post(address, data | {"password": "guess"})
        kept = VitalSigns.objects.filter(supersedes=made.vitals).exists()
        right = http.post(address, data | {"password": PASSWORD})

        assert page in visit
        for change in observing.visit.ratechanges.all():
            assert reverse("rate-correct", args=[change.session_id, change.pk]) in visit
        assert {"password"} <= set(asked["form"].fields) & set(asked["withdraw"].fields)
        assert (missing.status_code, wrong.status_code) == (422, 422)
        assert "not your password" in words(wrong)
        assert not kept
        assert right.status_code == 302
        newer = VitalSigns.objects.get(supersedes=made.vitals)
        assert newer.correction_reason == "digits swapped"
        signed = Signature.objects.get(session=observing.visit, meaning="corrected")
        assert signed.signed_name == "Kwame Mensah, RN"
        record = words(http.get(url("infusion-record", observing)))
        assert "CORRECTED" in record
        assert "I correct this signed record" in record

    def test_a_flag_that_a_late_correction_raised_is_answered_on_the_page(
        self, http, observing
    ):
        made = record_vitals(
            session=observing.visit,
            reading=visits.READING,
            by=observing.by(after=70),
        )
        http.post(
            url("infusion-discharge", observing),
            TestDischarge.data | {"reason_code": "patient"},
        )
        address = reverse("vitals-correct", args=[observing.visit.pk, made.vitals.pk])
        first = http.get(address).context["form"].initial
        typed = {n: v for n, v in first.items() if v not in (None, "", False)}
        why = {"correction_reason": "read off the strip", "password": PASSWORD}
        http.post(address, typed | {"systolic_mmhg": "96"} | why)
        flag = Flag.objects.get(session=observing.visit)

        page = text(http.get(url("infusion-detail", observing)))
        answer = reverse("flag-answer", args=[observing.visit.pk, flag.pk])
        assert answer in page
        done = http.post(answer, {"action": "observe"})

        assert done.status_code in (200, 302)
        assert not Flag.objects.filter(session=observing.visit).open().exists()

    def test_a_correction_before_the_discharge_asks_for_no_password(
        self, http, observing
    ):
        made = record_vitals(
            session=observing.visit,
            reading=visits.READING,
            by=observing.by(after=70),
        )
        page = http.get(
            reverse("vitals-correct", args=[observing.visit.pk, made.vitals.pk])
        )

        assert "password" not in page.context["form"].fields
        assert "password" not in page.context["withdraw"].fields

    def test_it_is_closed_to_strangers_and_admins(
        self, sign_in, stranger, admin, observing
    ):
        for user, status in ((stranger, 404), (admin, 403)):
            response = sign_in(user).get(url("infusion-record", observing))
            assert response.status_code == status
            assert "Okonkwo" not in text(response)

    def test_a_visit_before_its_start_has_a_record_too(
        self, http, nurse, charge_nurse, prescriber, pharmacist, morning
    ):
        patient = visits.patient_known(nurse, morning.at, mrn="2", family_name="Berg")
        order = visits.active_order(
            patient, prescriber=prescriber, pharmacist=pharmacist, at=morning.at
        )
        visit = visits.checked_in(
            order, charge_nurse=charge_nurse, nurse=nurse, at=morning.at, chair="02"
        )

        response = http.get(reverse("infusion-record", args=[visit.pk]))

        assert response.status_code == 200
        assert "Not started" in words(response)


class TestError:
    def test_it_is_signed_and_the_record_says_so(self, http, morning):
        address = url("infusion-error", morning)

        refused = http.post(address, {"reason": "wrong patient", "password": "no"})
        done = http.post(address, {"reason": "wrong patient", "password": PASSWORD})

        assert refused.status_code == 422
        assert "wrong patient" in text(refused)
        assert done.status_code == 302
        page = words(http.get(url("infusion-record", morning)))
        assert "ENTERED IN ERROR" in page
        assert "wrong patient" in page
