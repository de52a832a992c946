"""Planning, today's list, check-in, moving, cancelling, taking over."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import InfusionSession, Stage
from sessions.services import infusions, orders
from tests.factories import visits
from tests.factories.orders import choices
from tests.factories.visits import Morning


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
def planned(morning) -> InfusionSession:
    infusions.cancel(session=morning.visit, reason="fever", by=morning.by())
    return visits.planned(
        morning.order, charge_nurse=morning.charge_nurse, at=timezone.now()
    )


def text(response) -> str:
    return response.content.decode()


def test_a_visit_is_listed_with_what_it_was_started_with(sign_in, morning):
    """The order was changed to another product since."""
    morning.started()
    orders.change_order(
        order=morning.order,
        choices=choices(
            product="octagam_10",
            reason="supply",
            change_note="another product",
            expires_on=timezone.now().date() + timedelta(days=90),
        ),
        by=morning.by(morning.prescriber, after=1),
    )
    http = sign_in(morning.nurse)

    listed = text(http.get(reverse("infusion-today")))
    known = text(http.get(reverse("patient-detail", args=[morning.patient.pk])))
    record = text(http.get(reverse("infusion-record", args=[morning.visit.pk])))

    assert re.search("Privigen 10%,\\s+30\N{NO-BREAK SPACE}g", listed)
    assert "Octagam" not in listed
    assert re.search(r"Infusing, chair [^<]*, Privigen 10%", known)
    assert "Octagam" not in record


class TestPlan:
    def address(self, morning):
        return reverse("infusion-plan", args=[morning.order.pk])

    def data(self, **given):
        first = (timezone.now() + timedelta(days=28)).date().isoformat()
        return {"first": first, "clock": "09:00", "visits": "2"} | given

    def test_a_course_is_planned_an_interval_apart(
        self, sign_in, charge_nurse, morning
    ):
        http = sign_in(charge_nurse)

        page = http.get(self.address(morning))
        response = http.post(self.address(morning), self.data())

        assert "5 visits left to plan" in text(page)
        assert response.status_code == 302
        made = InfusionSession.objects.filter(stage=Stage.PLANNED)
        days = [row.scheduled_at.date() for row in made.order_by("scheduled_at")]
        assert days[1] - days[0] == timedelta(days=28)
        assert sorted(made.values_list("cycle", flat=True)) == [2, 3]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"visits": "6"}, "5 visits left"),
            ({"visits": "0"}, "at least 1"),
            ({"first": "2020-01-01"}, "This day is over"),
            ({"first": "31.12.2026"}, "YYYY-MM-DD"),
            ({"clock": "9"}, "HH:MM"),
            ({"clock": "29:00"}, "no such time"),
            ({"chair": "999"}, "valid choice"),
        ],
    )
    def test_what_cannot_be_planned_is_refused(
        self, sign_in, charge_nurse, morning, data, words
    ):
        response = sign_in(charge_nurse).post(self.address(morning), self.data(**data))

        assert response.status_code == 422
        assert words in text(response)
        assert not InfusionSession.objects.filter(stage=Stage.PLANNED).exists()

    def test_nurses_and_strangers_do_not_plan(
        self, sign_in, nurse, stranger, other_clinic, morning
    ):
        address = self.address(morning)

        assert sign_in(nurse).post(address, self.data()).status_code == 403
        assert sign_in(stranger).get(address).status_code in (403, 404)


class TestToday:
    def test_it_lists_the_day_and_leads_to_check_in(self, sign_in, nurse, planned):
        page = text(sign_in(nurse).get(reverse("infusion-today")))

        assert "Okonkwo, Adaeze Marie" in page
        assert reverse("infusion-check-in", args=[planned.pk]) in page

    @pytest.mark.parametrize("day", ["2020-02-31", "x", "9999-01-01", "\x00"])
    def test_a_strange_day_is_today(self, sign_in, nurse, planned, day):
        response = sign_in(nurse).get(reverse("infusion-today"), {"day": day})

        assert "Visits today" in text(response)

    def test_another_clinic_sees_none_of_it(self, sign_in, stranger, planned):
        page = text(sign_in(stranger).get(reverse("infusion-today")))

        assert "Okonkwo" not in page


class TestCheckIn:
    def address(self, planned):
        return reverse("infusion-check-in", args=[planned.pk])

    def test_a_chair_opens_the_visit(self, sign_in, nurse, clinic, planned):
        http = sign_in(nurse)
        chair = clinic.chairs.get(name="03")

        response = http.post(self.address(planned), {"chair": str(chair.pk)})

        visit = visits.fresh(planned)
        assert response.url == reverse("infusion-prepare", args=[planned.pk])
        assert (visit.stage, visit.chair, visit.nurse) == (
            Stage.CHECKED_IN,
            chair,
            nurse,
        )

    def test_another_day_is_asked_about(self, sign_in, nurse, clinic, morning):
        later = visits.plan_session(
            order=morning.order,
            scheduled_at=timezone.now() + timedelta(days=3),
            by=morning.by(),
        )
        infusions.cancel(session=morning.visit, reason="fever", by=morning.by())
        http = sign_in(nurse)
        data = {"chair": str(clinic.chairs.get(name="03").pk)}

        asked = http.post(self.address(later), data)
        token = asked.context["form"].confirm_token
        done = http.post(self.address(later), data | {"confirmed": token})

        assert asked.status_code == 422
        assert "Check in today?" in text(asked)
        assert done.status_code == 302

    def test_a_taken_chair_is_not_offered(self, sign_in, nurse, clinic, morning):
        later = visits.planned(
            morning.order,
            charge_nurse=morning.charge_nurse,
            at=timezone.now() + timedelta(days=1),
        )

        response = sign_in(nurse).post(
            self.address(later), {"chair": str(clinic.chairs.get(name="01").pk)}
        )

        assert response.status_code == 422

    def test_strangers_and_auditors_do_not(self, sign_in, stranger, auditor, planned):
        assert sign_in(stranger).get(self.address(planned)).status_code == 404
        assert sign_in(auditor).get(self.address(planned)).status_code == 403


def test_a_planned_visit_is_moved(sign_in, charge_nurse, clinic, planned):
    day = (timezone.now() + timedelta(days=2)).date()
    data = {
        "day": day.isoformat(),
        "clock": "14:30",
        "chair": str(clinic.chairs.get(name="05").pk),
        "nurse": "",
        "version": planned.version,
    }

    response = sign_in(charge_nurse).post(
        reverse("infusion-allocate", args=[planned.pk]), data
    )

    visit = visits.fresh(planned)
    assert response.status_code == 302
    assert f"{visit.scheduled_at.astimezone(clinic.zone):%H:%M}" == "14:30"
    assert visit.chair.name == "05"


def test_a_visit_is_cancelled_with_a_reason(sign_in, nurse, planned):
    address = reverse("infusion-cancel", args=[planned.pk])
    http = sign_in(nurse)

    assert http.post(address, {"reason": ""}).status_code == 422
    assert http.post(address, {"reason": "fever"}).status_code == 302
    assert visits.fresh(planned).stage == Stage.CANCELLED


def test_a_colleague_takes_over_in_one_tap(sign_in, colleague, morning):
    response = sign_in(colleague).post(
        reverse("infusion-take-over", args=[morning.visit.pk])
    )

    assert response.status_code == 302
    assert morning.fresh().nurse == colleague
