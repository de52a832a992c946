"""Pages of orders: the list, the wizard with its live plan, signing and verifying."""

import json
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import AuditEntry, Order, OrderStatus, OrderVersion, Signature
from sessions.services import order_plans, orders, protocols
from tests.conftest import PASSWORD
from tests.factories.orders import (
    active,
    at_risk,
    choices,
    draft,
    fresh,
    identity,
    make_patient,
    signed,
    weigh,
)
from tests.factories.protocols import actor, protocol_in_force, with_value

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def expires(now):
    return now.date() + timedelta(days=180)


@pytest.fixture
def patient(clinic, nurse, pharmacist, prescriber, now):
    protocol_in_force(clinic, author=pharmacist, approver=prescriber, at=now)
    return make_patient(nurse, at=now)


@pytest.fixture
def order(patient, prescriber, now, expires):
    return draft(patient, prescriber, at=now, expires_on=expires)


def typed(expires, **changed) -> dict:
    values = {
        "submission_key": str(uuid.uuid4()),
        "product": "privigen_10",
        "regimen": "cvid:0",
        "dose_g_per_kg": "0.4",
        "fixed_dose_g": "",
        "days": "1",
        "interval_weeks": "4",
        "cycles": "6",
        "weight_basis": "",
        "experience": "",
        "reason": "",
        "override_reason": "",
        "first_on": "",
        "review_on": "",
        "expires_on": expires.isoformat(),
        "instructions": "",
    }
    return values | changed


def signature(order, **changed) -> dict:
    return {
        "submission_key": str(uuid.uuid4()),
        "version": str(order.version),
        "initials": "ao",
        "birth_year": "1978",
        "password": PASSWORD,
    } | changed


def reason(order, text="Dose per day?") -> dict:
    return {
        "submission_key": str(uuid.uuid4()),
        "version": str(order.version),
        "reason": text,
    }


# The wizard


def test_an_order_is_drafted_and_then_shown(sign_in, prescriber, patient, expires):
    client = sign_in(prescriber)
    assert client.get(reverse("order-new", args=[patient.pk])).status_code == 200

    response = client.post(reverse("order-new", args=[patient.pk]), typed(expires))

    made = Order.objects.get()
    assert response.url == reverse("order-detail", args=[made.pk])
    text = client.get(response.url).content.decode()
    for words in ("28.8 g", "30 g = 300 mL", "345.6", "OKONKWO-FEATHERSTONEHAUGH"):
        assert words in text


def test_a_draft_sent_twice_is_one_order(sign_in, prescriber, patient, expires):
    client, data = sign_in(prescriber), typed(expires)
    url = reverse("order-new", args=[patient.pk])

    first, second = client.post(url, data), client.post(url, data)

    assert first.url == second.url
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dose_g_per_kg", "4"),
        ("dose_g_per_kg", "40"),
        ("dose_g_per_kg", "0,4"),
        ("dose_g_per_kg", ".4"),
        ("dose_g_per_kg", "4e-1"),
        ("dose_g_per_kg", "0_4"),
        ("dose_g_per_kg", "٠.٤"),
        ("dose_g_per_kg", "-0.4"),
        ("dose_g_per_kg", "0.4001"),
        ("dose_g_per_kg", ""),
        ("days", "0"),
        ("days", "1.5"),
        ("cycles", "61"),
        ("product", "carimune_nf_x"),
        ("regimen", "cvid:7"),
        ("expires_on", "2020-01-01"),
        ("expires_on", "soon"),
        ("recorded_by", "1"),
        ("weight_kg", "720"),
    ],
)
def test_what_cannot_be_right_is_refused_and_the_typing_kept(
    sign_in, prescriber, patient, expires, field, value
):
    data = typed(expires, instructions="Slow first hour", **{field: value})

    response = sign_in(prescriber).post(reverse("order-new", args=[patient.pk]), data)

    assert response.status_code == 422
    assert "Slow first hour" in response.content.decode()
    assert not Order.objects.exists()


def test_a_field_sent_twice_is_refused(sign_in, prescriber, patient, expires):
    data = typed(expires) | {"dose_g_per_kg": ["0.4", "0.8"]}

    response = sign_in(prescriber).post(reverse("order-new", args=[patient.pk]), data)

    assert response.status_code == 422
    assert not Order.objects.exists()


def test_medicines_are_taken_with_the_course(sign_in, prescriber, patient, expires):
    data = typed(
        expires,
        before0_key="cetirizine_1",
        before0_dose="10",
        before0_unit="mg",
        before0_route="PO",
        before0_minutes="30",
        needed0_key="acetaminophen_4",
        needed0_dose="650",
        needed0_unit="mg",
        needed0_route="PO",
        needed0_gap="240",
        needed0_max="4000",
    )
    client = sign_in(prescriber)

    client.post(reverse("order-new", args=[patient.pk]), data)

    made = Order.objects.get()
    assert made.current.medicines.count() == 2
    text = client.get(reverse("order-detail", args=[made.pk])).content.decode()
    assert "Cetirizine 10 mg PO, 30 min" in text
    assert "at most 4000 mg" in text


def test_a_medicine_that_is_not_whole_is_refused(sign_in, prescriber, patient, expires):
    data = typed(
        expires,
        needed0_key="acetaminophen_4",
        needed0_dose="650",
        needed0_unit="mg",
        needed0_route="PO",
    )

    response = sign_in(prescriber).post(reverse("order-new", args=[patient.pk]), data)

    assert response.status_code == 422
    assert {"needed0_gap", "needed0_max"} <= set(response.context["form"].errors)


# The preview


def test_the_preview_shows_the_plan_and_writes_nothing(
    sign_in, prescriber, patient, expires
):
    client = sign_in(prescriber)
    before = AuditEntry.objects.count()

    response = client.post(
        reverse("order-preview", args=[patient.pk]),
        typed(expires),
        headers={"HX-Request": "true"},
    )

    text = response.content.decode()
    assert response.status_code == 200
    assert "<html" not in text
    assert "30 g = 300 mL" in text
    assert "345.6" in text
    assert not Order.objects.exists()
    assert AuditEntry.objects.count() == before


def test_the_preview_without_script_is_the_whole_page(
    sign_in, prescriber, patient, expires
):
    response = sign_in(prescriber).post(
        reverse("order-new", args=[patient.pk]), typed(expires, show_plan="1")
    )

    text = response.content.decode()
    assert "<html" in text
    assert "30 g = 300 mL" in text
    assert 'value="0.4"' in text
    assert not Order.objects.exists()


def test_the_preview_waits_for_what_is_not_typed_yet(
    sign_in, prescriber, patient, expires
):
    response = sign_in(prescriber).post(
        reverse("order-preview", args=[patient.pk]),
        typed(expires, product=""),
        headers={"HX-Request": "true"},
    )

    assert response.status_code == 200
    assert "Choose product and regimen" in response.content.decode()


def test_the_preview_names_a_hard_stop(sign_in, prescriber, patient, nurse, expires):
    at_risk(patient, "hyperprolinaemia", by=nurse)

    text = (
        sign_in(prescriber)
        .post(
            reverse("order-preview", args=[patient.pk]),
            typed(expires),
            headers={"HX-Request": "true"},
        )
        .content.decode()
    )

    assert "Hard stop" in text
    assert "hyperprolinaemia" in text.lower()


def test_the_preview_has_the_numbers_that_are_kept(
    sign_in, prescriber, patient, expires
):
    client = sign_in(prescriber)
    shown = client.post(
        reverse("order-preview", args=[patient.pk]),
        typed(expires),
        headers={"HX-Request": "true"},
    ).context["plan"]

    client.post(reverse("order-new", args=[patient.pk]), typed(expires))

    assert json.loads(json.dumps(shown)) == OrderVersion.objects.get().plan


# Signing


def test_sign_and_verify(sign_in, prescriber, pharmacist, order):
    url = reverse("order-sign", args=[order.pk])
    assert sign_in(prescriber).post(url, signature(order)).status_code == 302
    order = fresh(order)

    url = reverse("order-verify", args=[order.pk])
    assert sign_in(pharmacist).post(url, signature(order)).status_code == 302

    assert fresh(order).status == OrderStatus.ACTIVE
    text = (
        sign_in(pharmacist)
        .get(reverse("order-detail", args=[order.pk]))
        .content.decode()
    )
    assert "I prescribe this dose" in text


@pytest.mark.parametrize(
    "wrong", [{"password": "guess"}, {"initials": "XX"}, {"birth_year": "1987"}]
)
def test_a_wrong_password_or_identifier_signs_nothing(
    sign_in, prescriber, order, wrong
):
    response = sign_in(prescriber).post(
        reverse("order-sign", args=[order.pk]), signature(order, **wrong)
    )

    assert response.status_code == 422
    assert not Signature.objects.exists()
    assert PASSWORD not in response.content.decode()


def test_a_signature_on_a_stale_screen_is_refused(
    sign_in, prescriber, order, now, expires
):
    orders.change_order(
        order=order,
        choices=_changed(expires),
        by=actor(prescriber, now),
    )

    response = sign_in(prescriber).post(
        reverse("order-sign", args=[order.pk]), signature(order)
    )

    assert response.status_code == 409
    text = response.content.decode()
    assert "NOT SAVED" in text
    assert "version 2" in text
    assert not Signature.objects.exists()


def _changed(expires):
    return choices(
        dose_g_per_kg=Decimal("0.6"), expires_on=expires, change_note="Trough low"
    )


def test_the_signer_is_not_offered_verification_and_is_refused_it(
    sign_in, clinic, prescriber, pharmacist, patient, now, expires
):
    order = draft(patient, pharmacist, at=now, expires_on=expires)
    sign_in(prescriber).post(reverse("order-sign", args=[order.pk]), signature(order))
    order, client = fresh(order), sign_in(pharmacist)

    page = client.get(reverse("order-detail", args=[order.pk])).content.decode()
    response = client.post(reverse("order-verify", args=[order.pk]), signature(order))

    assert "another pharmacist" in page
    assert response.status_code == 422
    assert fresh(order).status == OrderStatus.SIGNED


@pytest.mark.parametrize(
    ("who", "name", "status"),
    [
        ("nurse", "order-sign", 403),
        ("pharmacist", "order-sign", 403),
        ("prescriber", "order-verify", 403),
        ("auditor", "order-hold", 403),
        ("admin", "order-detail", 403),
        ("stranger", "order-detail", 404),
        ("stranger", "order-hold", 404),
    ],
)
def test_who_may_do_what(request, sign_in, order, who, name, status):
    client = sign_in(request.getfixturevalue(who))
    url = reverse(name, args=[order.pk])

    response = client.get(url) if name == "order-detail" else client.post(url)

    assert response.status_code == status
    assert "Okonkwo" not in response.content.decode()


def test_return_with_reason_is_shown_to_the_prescriber(
    sign_in, prescriber, pharmacist, patient, now, expires
):
    order = signed(patient, prescriber=prescriber, at=now, expires_on=expires)
    client = sign_in(pharmacist)

    assert (
        client.post(
            reverse("order-return", args=[order.pk]), reason(order, "")
        ).status_code
        == 422
    )
    client.post(reverse("order-return", args=[order.pk]), reason(order))

    text = (
        sign_in(prescriber)
        .get(reverse("order-detail", args=[order.pk]))
        .content.decode()
    )
    assert "Dose per day?" in text
    assert fresh(order).status == OrderStatus.DRAFT


def test_hold_resume_complete_from_the_page(
    sign_in, prescriber, pharmacist, patient, now, expires
):
    order = active(
        patient,
        prescriber=prescriber,
        pharmacist=pharmacist,
        at=now,
        expires_on=expires,
    )
    client = sign_in(prescriber)
    for name, status in (
        ("order-hold", OrderStatus.ON_HOLD),
        ("order-resume", OrderStatus.ACTIVE),
        ("order-complete", OrderStatus.COMPLETED),
    ):
        client.post(reverse(name, args=[order.pk]), reason(order))
        order = fresh(order)
        assert order.status == status


def test_a_nurse_cannot_resume_a_held_order(
    sign_in, nurse, prescriber, pharmacist, patient, now, expires
):
    order = active(
        patient,
        prescriber=prescriber,
        pharmacist=pharmacist,
        at=now,
        expires_on=expires,
    )
    client = sign_in(nurse)
    client.post(reverse("order-hold", args=[order.pk]), reason(order))
    order = fresh(order)

    response = client.post(reverse("order-resume", args=[order.pk]), reason(order))

    assert response.status_code == 422
    assert fresh(order).status == OrderStatus.ON_HOLD


# Changing


def test_a_change_shows_what_differs(sign_in, prescriber, order, patient, now, expires):
    client = sign_in(prescriber)
    url = reverse("order-change", args=[order.pk])
    page = client.get(url)
    assert page.context["form"]["dose_g_per_kg"].value() == "0.4"
    assert "30 g = 300 mL" in page.content.decode()

    response = client.post(
        url,
        typed(
            expires,
            dose_g_per_kg="0.6",
            change_note="Trough low",
            version=str(order.version),
        ),
    )

    assert response.status_code == 302
    text = client.get(reverse("order-version", args=[order.pk, 1])).content.decode()
    assert "What differs" in text
    page = client.get(reverse("order-detail", args=[order.pk])).content.decode()
    assert "What this version changed against version 1" in page
    assert "<b>0.6</b>" in text


def test_a_changed_weight_is_shown_on_order_and_list(
    sign_in, nurse, prescriber, pharmacist, patient, now, expires
):
    order = active(
        patient,
        prescriber=prescriber,
        pharmacist=pharmacist,
        at=now,
        expires_on=expires,
    )
    weigh(patient, "80", by=nurse, at=timezone.now())
    begun = order.current.protocol_version
    later = protocols.draft_version(  # the order stays under the one it was made with
        protocol=begun.protocol,
        document=with_value(
            begun, "dosing", "weight", "change_percent", "value", value="20"
        ),
        note="Wider",
        based_on=begun,
        by=actor(pharmacist, now),
    )
    protocols.approve_version(version=later, by=actor(prescriber, now))
    client = sign_in(nurse)

    page = client.get(reverse("order-detail", args=[order.pk])).content.decode()
    listed = client.get(reverse("orders")).content.decode()

    known = client.get(reverse("patient-detail", args=[patient.pk])).content.decode()
    assert "was computed from 72 kg: 11.1 % different" in known
    assert "72 → 80 kg (+11.1 %, limit 10 %)" in page
    assert "weight changed: verify again" in listed


def test_the_page_of_a_signed_order_is_its_stored_plan(
    sign_in, prescriber, patient, now, expires, monkeypatch
):
    order = signed(patient, prescriber=prescriber, at=now, expires_on=expires)
    monkeypatch.setattr(order_plans, "plan", None)
    monkeypatch.setattr(order_plans, "products", None)

    text = (
        sign_in(prescriber)
        .get(reverse("order-detail", args=[order.pk]))
        .content.decode()
    )

    assert "30 g = 300 mL" in text


def test_looking_at_the_plan_of_a_change_without_script_changes_nothing(
    sign_in, prescriber, order, expires
):
    data = typed(
        expires, dose_g_per_kg="0.6", version=str(order.version), show_plan="1"
    )
    response = sign_in(prescriber).post(reverse("order-change", args=[order.pk]), data)

    text = response.content.decode()
    assert response.status_code == 200
    assert reverse("order-change", args=[order.pk]) in text
    assert "43.2 g" in text
    assert (Order.objects.count(), OrderVersion.objects.count()) == (1, 1)


def test_a_change_on_a_stale_screen_shows_both_and_keeps_the_typing(
    sign_in, prescriber, order, now, expires
):
    orders.change_order(
        order=order, choices=_changed(expires), by=actor(prescriber, now)
    )
    client, url = sign_in(prescriber), reverse("order-change", args=[order.pk])
    data = typed(
        expires,
        dose_g_per_kg="0.5",
        change_note="Half a gram",
        version=str(order.version),
    )

    response = client.post(url, data)

    text = response.content.decode()
    assert response.status_code == 409
    assert "NOT SAVED" in text
    assert "version 2 by Ingrid Halvorsen" in text
    assert "<b>0.6</b>" in text
    assert 'value="0.5"' in text
    again = data | {"version": str(response.context["version"])}
    assert client.post(url, again).status_code == 302
    assert fresh(order).current.number == 3


def test_a_new_version_answers_its_own_warnings(
    sign_in, prescriber, patient, now, expires
):
    order = draft(
        patient,
        prescriber,
        at=now,
        expires_on=expires,
        dose_g_per_kg=Decimal("0.2"),
        reason="Half dose, agreed",
    )

    page = sign_in(prescriber).get(reverse("order-change", args=[order.pk]))

    assert page.context["form"]["reason"].value() in (None, "")
    assert "needs a reason" in page.content.decode()


# Telephone


def test_a_telephone_order_is_taken_verified_and_countersigned(
    sign_in, nurse, prescriber, pharmacist, patient, expires
):
    client = sign_in(nurse)
    url = reverse("order-telephone", args=[patient.pk])
    data = typed(
        expires,
        prescriber=str(prescriber.pk),
        initials="AO",
        birth_year="1978",
        read_back="on",
    )
    assert client.post(url, data | {"read_back": ""}).status_code == 422
    data["submission_key"] = str(uuid.uuid4())
    client.post(url, data)
    order = Order.objects.get()
    assert order.status == OrderStatus.SIGNED

    client = sign_in(prescriber)
    assert "To countersign" in client.get(reverse("orders")).content.decode()
    client.post(reverse("order-countersign", args=[order.pk]), signature(order))

    assert not orders.awaits_countersignature(fresh(order).current)


def test_an_overdue_countersignature_is_shown(
    sign_in, clinic, nurse, prescriber, pharmacist, now, expires
):
    then = now - timedelta(hours=clinic.countersign_hours, minutes=1)
    protocol_in_force(clinic, author=pharmacist, approver=prescriber, at=then)
    patient = make_patient(nurse, at=then)
    order = orders.draft_order(
        patient=patient,
        choices=choices(expires_on=expires),
        telephone=orders.Telephone(prescriber=prescriber, read_back=True),
        identity=identity(patient),
        by=actor(nurse, then),
    )
    client = sign_in(prescriber)

    page = client.get(reverse("order-detail", args=[order.pk])).content.decode()
    listed = client.get(reverse("orders") + "?status=countersign").content.decode()

    assert "Countersignature OVERDUE" in page
    assert "countersignature overdue" in listed


# The list


def test_the_list_finds_a_patient_without_a_name_in_the_address(sign_in, nurse, order):
    client = sign_in(nurse)

    found = client.post(reverse("orders") + "?status=all", {"q": "okonkwo"})
    none = client.post(reverse("orders") + "?status=all", {"q": "nobody"})

    assert "OKONKWO" in found.content.decode()
    assert "OKONKWO" not in none.content.decode()
    assert "hx-push-url" not in found.content.decode()


def test_an_unknown_filter_is_not_found(sign_in, nurse, order):
    assert sign_in(nurse).get(reverse("orders") + "?status=x").status_code == 404


def test_the_list_is_a_constant_number_of_queries(
    sign_in, nurse, prescriber, patient, now, expires, django_assert_max_num_queries
):
    client = sign_in(nurse)
    for _ in range(6):
        draft(patient, prescriber, at=now, expires_on=expires)

    with django_assert_max_num_queries(22):
        client.get(reverse("orders"))


def test_another_clinics_orders_do_not_exist(sign_in, stranger, order):
    text = sign_in(stranger).get(reverse("orders")).content.decode()

    assert "OKONKWO" not in text
