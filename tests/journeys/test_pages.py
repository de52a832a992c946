"""Every page of the product, in every size and in both themes.

No violation of axe's rules, nothing wider than its screen, nothing refused by the
content policy, no complaint in the console.
"""

import pytest

from sessions.models import Order
from sessions.services import flags, infusions, order_plans, orders, rates
from tests.factories import visits
from tests.factories.visits import Morning
from tests.journeys import stories
from tests.journeys.hands import look_over

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TABLET = [(1280, 800, "light"), (768, 1024, "dark")]
WALL = [(1920, 1080, "light"), (1920, 1080, "dark")]


@pytest.fixture
def looked_over(desk):
    """Open pages as a user and give what is wrong with them."""

    def tour(user, pages: dict[str, str], sizes=TABLET, page=None) -> list[str]:
        page = page or desk(user)
        found = []
        for name, path in pages.items():
            page.set_viewport_size({"width": 1280, "height": 800})
            answer = page.goto(path)
            if answer.status != 200:
                found.append(f"{name}: {answer.status}")
            found += look_over(page, sizes, name)
        return found

    return tour


@pytest.fixture
def ward(clock, cast) -> dict[str, Morning]:
    """One visit in each state, and an order in each."""
    at = clock.now
    first = Morning.of(at=at, **cast)
    days = {"start": first}
    names = ("running", "flag", "paused", "observing", "discharged")
    for place, name in enumerate(names, start=2):
        morning = Morning(at=at, **cast)
        morning.patient = visits.patient_known(
            morning.nurse,
            at,
            mrn=f"77{place:04}",
            family_name=f"{name.capitalize()}sson-Featherstonehaugh",
        )
        reliefs = (visits.premedication(), visits.as_needed())
        morning.order = visits.active_order(
            morning.patient,
            prescriber=morning.prescriber,
            pharmacist=morning.pharmacist,
            at=at,
            medicines=reliefs if name == "flag" else (),
        )
        morning.visit = visits.checked_in(
            morning.order,
            charge_nurse=morning.charge_nurse,
            nurse=morning.nurse,
            at=at,
            chair=f"{place:02}",
        )
        if name == "flag":
            for ordered in morning.order.current.medicines.filter(purpose="before"):
                stories.give(
                    session=morning.visit, ordered=ordered, by=morning.by(after=-31)
                )
        morning.started()
        days[name] = morning
    for name in ("flag", "paused", "discharged"):
        stories.step_to(days[name], 2, after=31)
    stories.save_set(days["flag"], after=45, reading=stories.FALL)
    rates.pause(
        session=days["paused"].fresh(),
        by=days["paused"].by(after=46),
        read_back=True,
        reason=rates.Reason(code="patient"),
    )
    infusions.end_infusion(
        session=days["observing"].fresh(),
        by=days["observing"].by(after=40),
        reason_code="patient",
    )
    answered(days["discharged"])
    stories.finish(days["discharged"], after=60)
    clock.go_on(minutes=125)
    return days


def answered(morning: Morning) -> None:
    """A fall, and the reduction it called for: the record has something to tell."""
    saved = stories.save_set(morning, after=45, reading=stories.FALL)
    flags.answer_flag(
        session=morning.fresh(),
        flag_id=saved.flag.pk,
        action="reduce",
        to_ml_per_h=stories.Decimal("21.6"),
        read_back=True,
        by=morning.by(after=46),
    )


def test_the_pages_of_a_nurse(looked_over, ward, nurse):
    pages = {"board": "/board/", "visits": "/infusions/"}
    for name, morning in ward.items():
        pages[f"session, {name}"] = f"/infusions/{morning.visit.pk}/"
    patient = ward["flag"].patient.pk
    discharged, observing = (ward[n].visit.pk for n in ("discharged", "observing"))
    running = ward["running"].visit.pk
    pages |= {
        "start": f"/infusions/{ward['start'].visit.pk}/prepare/",
        "vials": f"/infusions/{running}/vials/",
        "medicines": f"/infusions/{ward['flag'].visit.pk}/medicines/",
        "end": f"/infusions/{running}/end/",
        "correct a set": f"/infusions/{running}/vitals/{baseline_of(running)}/correct/",
        "discharge": f"/infusions/{observing}/discharge/",
        "record": f"/infusions/{discharged}/record/",
        "replay": f"/infusions/{discharged}/replay/?minute=46",
        "downtime sheet": f"/infusions/{running}/sheet/",
        "note": f"/infusions/{running}/note/",
        "nurses": "/board/nurses/",
        "handover": "/board/handover/?nurse=all",
        "cancel": f"/infusions/{ward['start'].visit.pk}/cancel/",
        "entered in error": f"/infusions/{running}/error/",
        "patients": "/patients/",
        "patient": f"/patients/{patient}/",
        "new patient": "/patients/new/",
        "catalogue": "/catalogue/",
        "product": "/catalogue/products/privigen_10/",
        "indications": "/catalogue/indications/",
        "indication": "/catalogue/indications/pi/",
        "reactions": "/catalogue/reactions/",
        "medicines known": "/catalogue/medicines/",
        "protocols": "/catalogue/protocol/",
        "my settings": "/me/",
        "security": "/me/security/",
    }

    found = looked_over(nurse, pages)
    assert not found, "\n".join(found)


def baseline_of(visit_pk: int) -> int:
    return visits.InfusionSession.objects.get(pk=visit_pk).start.baseline_id


def test_the_pages_of_who_orders_plans_and_reviews(
    looked_over, ward, cast, auditor, clock
):
    morning, at = ward["running"], clock.now
    patient = visits.patient_known(cast["nurse"], at, mrn="990001")
    choices = order_plans.Choices(
        product="privigen_10",
        indication="pi",
        phase="maintenance",
        dose_g_per_kg=stories.Decimal("0.4"),
        interval_weeks=stories.Decimal(4),
        cycles=6,
        expires_on=(at + stories.timedelta(days=200)).date(),
    )
    prescribed = morning.by(cast["prescriber"], after=130)
    draft = orders.draft_order(patient=patient, choices=choices, by=prescribed)
    signed = orders.draft_order(
        patient=ward["discharged"].patient, choices=choices, by=prescribed
    )
    who = orders.Identity(initials=ward["discharged"].patient.initials, birth_year=1978)
    orders.sign_order(order=signed, identity=who, by=prescribed)
    version = Order.objects.get(pk=draft.pk).current.protocol_version_id

    found = looked_over(
        cast["prescriber"],
        {
            "orders": "/orders/",
            "choose a patient": "/orders/new/",
            "new order": f"/orders/new/{patient.pk}/",
            "order, draft": f"/orders/{draft.pk}/",
            "change an order": f"/orders/{draft.pk}/change/",
            "protocol": f"/catalogue/protocol/{version}/",
            "running, to a prescriber": f"/infusions/{morning.visit.pk}/",
            "start, to a prescriber": f"/infusions/{ward['start'].visit.pk}/prepare/",
        },
    )
    found += looked_over(
        cast["pharmacist"],
        {
            "order, signed": f"/orders/{signed.pk}/",
            "order, active": f"/orders/{ward['flag'].order.pk}/",
            "reactions report": "/reports/reactions/",
        },
    )
    found += looked_over(
        cast["charge_nurse"],
        {
            "plan visits": f"/orders/{ward['start'].order.pk}/visits/",
            "board, charge nurse": "/board/",
        },
    )
    found += looked_over(
        cast["admin"],
        {
            "reports": "/reports/",
            "reductions report": "/reports/reductions/",
            "vitals report": "/reports/vitals/",
            "printed report": "/reports/reactions/print/",
            "settings": "/settings/",
            "chairs": "/settings/chairs/",
            "staff": "/settings/staff/",
            "add staff": "/settings/staff/add/",
            "a member of staff": f"/settings/staff/{cast['nurse'].pk}/",
        },
    )
    found += looked_over(auditor, {"audit": "/audit/"})

    assert not found, "\n".join(found)


def test_the_wall_and_the_signed_out_pages(looked_over, ward, cast, desk, clinic):
    found = looked_over(cast["nurse"], {"wall": "/board/wall/"}, sizes=WALL)
    found += looked_over(cast["nurse"], {"wide board": "/board/"}, sizes=WALL)
    found += looked_over(None, {"sign in": "/sign-in/"})
    page = desk(cast["nurse"])
    page.watch.may_refuse = {404}
    page.goto("/infusions/999999/")
    found += look_over(page, TABLET, "not found")

    assert not found, "\n".join(found)
