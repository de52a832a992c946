"""Orders: what is computed, who may do what, and what can never be saved."""

import json
import random
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command

from sessions.catalogue.indications import indications
from sessions.catalogue.products import products
from sessions.models import (
    AuditEntry,
    IdentityCheck,
    Order,
    OrderMedicine,
    OrderStatus,
    OrderVersion,
    Signature,
)
from sessions.rules.plans import rungs_of
from sessions.rules.quantities import plain
from sessions.services import order_plans, orders, protocols
from sessions.services.acts import KeyReused, Refused, Replayed, Stale
from sessions.services.order_plans import MedicineChoice
from sessions.services.orders import Identity, Telephone
from tests.conftest import NINE
from tests.factories.orders import (
    active,
    allergic,
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
KEY = "8c1f7c1e-3a4c-4a53-9d8c-3c8c74b6b4a1"
LATER = NINE + timedelta(hours=2)


@pytest.fixture
def protocol(clinic, pharmacist, prescriber):
    return protocol_in_force(clinic, author=pharmacist, approver=prescriber)


@pytest.fixture
def patient(protocol, nurse):
    return make_patient(nurse)


def paracetamol(**given):
    return MedicineChoice(
        **{
            "purpose": "as_needed",
            "medicine_key": "acetaminophen_4",
            "name": "Acetaminophen",
            "dose": Decimal(650),
            "dose_unit": "mg",
            "route": "PO",
            "gap_minutes": 240,
            "max_in_24h": Decimal(4000),
        }
        | given
    )


# Computing


def plan_for(patient, wanted, clinic, at):
    """The live preview."""
    facts = order_plans.facts_for(patient, wanted, clinic, at)
    return order_plans.plan_from(facts, patient, wanted, clinic, at)


def test_the_order_of_the_worked_example(patient, prescriber):
    version = draft(patient, prescriber).current

    assert plain(version.dose_g) == "28.8"
    assert plain(version.given_g) == "30"
    assert plain(version.volume_ml) == "300"
    assert plain(version.ceiling_ml_per_kg_h) == "4.8"
    pumps = [plain(rung.pump_ml_per_h) for rung in rungs_of(version.plan)]
    assert pumps == ["21.6", "43.2", "86.4", "172.8", "345.6"]
    assert version.plan["protocol"] == "Protocol 2026-1"


def test_the_preview_writes_nothing(patient, clinic, django_assert_num_queries):
    before = AuditEntry.objects.count()

    made = plan_for(patient, choices(), clinic, NINE)

    assert plain(made.dose.given_g) == "30"
    assert (Order.objects.count(), AuditEntry.objects.count()) == (0, before)


@pytest.mark.parametrize("seed", range(12))
def test_a_signed_order_has_the_numbers_of_the_plan_command(
    protocol, nurse, prescriber, capsys, seed
):
    pick = random.Random(seed)
    weight = f"{pick.randint(300, 1400) / 10}"
    product = pick.choice([p for p in products().values() if p.orderable])
    dose = pick.choice(["0.4", "0.5", "0.6"])
    patient = make_patient(nurse, weight_kg=weight)
    risky = pick.random() < 0.5
    if risky:
        at_risk(patient, "diabetes", by=nurse)
    order = signed(
        patient,
        prescriber=prescriber,
        product=product.key,
        dose_g_per_kg=Decimal(dose),
        reason="The patient has done well on it",
    )

    call_command(
        "plan",
        *("--product", product.key, "--indication", "cvid", "--weight", weight),
        *("--height", "168", "--sex", "female", "--dose", dose, "--json"),
        *("--patient-class", "at_risk" if risky else "standard"),
    )

    printed = json.loads(capsys.readouterr().out)
    stored = order.current.plan
    for key in printed.keys() - {"warnings"}:
        assert stored[key] == printed[key], key
    assert plain(order.current.given_g) == printed["given_g"]
    assert plain(order.current.volume_ml) == printed["volume_ml"]


def test_a_risk_factor_on_record_lowers_the_ceiling(patient, nurse, prescriber):
    at_risk(patient, "diabetes", by=nurse)

    version = draft(patient, prescriber).current

    assert version.at_risk
    assert version.ceiling_ml_per_kg_h == Decimal("1.92")
    assert [limit["kind"] for limit in version.plan["limits"] if limit["binds"]] == [
        "risk_cap"
    ]


def test_over_65_years_is_at_risk_without_anybody_saying_so(
    protocol, nurse, prescriber
):
    patient = make_patient(nurse, birth_date=date(1950, 1, 1))

    assert draft(patient, prescriber).current.at_risk


def test_the_pump_of_the_clinic_rounds(patient, clinic, prescriber):
    clinic.pump_resolution_ml_per_h = Decimal(1)
    clinic.save()
    patient.clinic.refresh_from_db()

    rungs = rungs_of(draft(patient, prescriber).current.plan)

    assert all(rung.pump_ml_per_h % 1 == 0 for rung in rungs)


def test_a_later_protocol_does_not_change_a_signed_order(
    patient, prescriber, pharmacist, protocol
):
    order = active(patient, prescriber=prescriber, pharmacist=pharmacist)
    before = json.dumps(order.current.plan)
    newer = protocols.draft_version(
        protocol=protocol.protocol,
        document=with_value(
            protocol, "dosing", "ladder", "minutes", "value", value="60"
        ),
        note="Slower",
        based_on=protocol,
        by=actor(pharmacist),
    )
    protocols.approve_version(version=newer, by=actor(prescriber))

    assert json.dumps(fresh(order).current.plan) == before
    assert fresh(order).current.protocol_version == protocol
    other = draft(patient, prescriber).current
    assert other.protocol_version == newer


def test_a_changed_catalogue_does_not_change_a_signed_order(
    patient, prescriber, monkeypatch
):
    order = signed(patient, prescriber=prescriber)
    before = rungs_of(order.current.plan)

    monkeypatch.setattr(order_plans, "products", lambda: {})

    assert rungs_of(fresh(order).current.plan) == before


# What is never saved


def valid_doses():
    pick = random.Random(7)
    sourced = [i for i in indications().values() if i.has_dose]
    for _ in range(1000):
        indication = pick.choice(sourced)
        regimen = pick.choice([r for r in indication.regimens if r.has_dose])
        if regimen.fixed_total_g is not None:
            yield indication, None, regimen.fixed_total_g
        else:
            low = regimen.low_g_per_kg or regimen.high_g_per_kg
            share = Decimal(pick.randint(0, 100)) / 100
            dose = low + (regimen.high_g_per_kg - low) * share
            yield indication, dose.quantize(Decimal("0.01")), None


def test_ten_times_a_valid_dose_is_never_saved(patient, clinic):
    facts = order_plans.facts_of(
        patient, clinic=clinic, product_key="privigen_10", at=NINE
    )
    for indication, per_kg, grams in valid_doses():
        made = order_plans.plan_from(
            facts,
            patient,
            choices(
                indication=indication.key,
                dose_g_per_kg=per_kg and per_kg * 10,
                fixed_dose_g=grams and grams * 10,
                days=5,
            ),
            clinic,
            NINE,
        )
        with pytest.raises(Refused):
            orders._refuse_unanswered(
                made, choices(reason="Yes", override_reason="Yes")
            )


def test_a_tenth_of_a_valid_dose_is_never_saved_without_a_reason(patient, clinic):
    facts = order_plans.facts_of(
        patient, clinic=clinic, product_key="privigen_10", at=NINE
    )
    for indication, per_kg, grams in valid_doses():
        made = order_plans.plan_from(
            facts,
            patient,
            choices(
                indication=indication.key,
                dose_g_per_kg=per_kg and per_kg / 10,
                fixed_dose_g=grams and grams / 10,
            ),
            clinic,
            NINE,
        )
        with pytest.raises(Refused):
            orders._refuse_unanswered(made, choices())


def test_a_tenth_of_a_valid_dose_asks_for_a_reason(patient, prescriber):
    with pytest.raises(Refused, match="below the published range") as refused:
        draft(patient, prescriber, dose_g_per_kg=Decimal("0.04"))

    assert refused.value.field == "reason"
    assert not Order.objects.exists()


def test_a_dose_above_the_ceiling_is_refused_whatever_the_reason(patient, prescriber):
    with pytest.raises(Refused, match="above the ceiling"):
        draft(
            patient,
            prescriber,
            dose_g_per_kg=Decimal(4),
            reason="I know",
            override_reason="I know",
        )

    assert not OrderVersion.objects.exists()


def test_a_dose_unlike_the_last_one_for_the_same_indication_is_asked_about(
    patient, prescriber
):
    itp = {"indication": "itp", "days": 2}
    signed(patient, prescriber=prescriber, dose_g_per_kg=Decimal(2), **itp)
    wanted = itp | {"dose_g_per_kg": Decimal("0.4")}

    with pytest.raises(Refused) as refused:
        draft(patient, prescriber, **wanted)

    assert refused.value.field == "reason"
    version = draft(patient, prescriber, reason="Small test dose", **wanted).current
    codes = {each["code"] for each in version.plan["cautions"]}
    assert "dose_unlike_last" in codes
    draft(patient, prescriber)  # another indication has its own doses


@pytest.mark.parametrize("pounds", ["158.7", "144", "172.8", "30.24", "36"])
def test_a_weight_in_pounds_stops_the_order(patient, nurse, prescriber, pounds):
    weigh(patient, pounds, by=nurse, at=NINE)

    with pytest.raises(Refused, match="pounds"):
        draft(patient, prescriber, reason="Yes", override_reason="Yes")


def test_an_old_weight_asks_and_a_very_old_one_stops(patient, prescriber):
    with pytest.raises(Refused, match="29 days old"):
        draft(patient, prescriber, at=NINE + timedelta(days=29))
    with pytest.raises(Refused, match="Weigh the patient first"):
        draft(
            patient,
            prescriber,
            at=NINE + timedelta(days=181),
            reason="Yes",
            override_reason="Yes",
        )


def test_without_a_weight_nothing_is_ordered(protocol, nurse, prescriber):
    with pytest.raises(Refused, match="No weight"):
        draft(make_patient(nurse, weight_kg=None), prescriber)


def test_without_a_protocol_in_force_nothing_is_ordered(nurse, prescriber):
    with pytest.raises(Refused, match="No protocol"):
        draft(make_patient(nurse), prescriber)


@pytest.mark.parametrize("key", [p.key for p in products().values() if not p.orderable])
def test_a_product_without_rates_is_refused_with_the_reason(patient, prescriber, key):
    with pytest.raises(Refused, match="cannot be ordered") as refused:
        draft(patient, prescriber, product=key)

    assert refused.value.field == "product"


def test_an_investigational_order_needs_a_dose_and_a_reason(patient, prescriber):
    wanted = {"indication": "rif", "phase": "", "dose_g_per_kg": Decimal("0.4")}
    with pytest.raises(Refused, match="no sourced dose"):
        draft(patient, prescriber, **wanted)

    version = draft(patient, prescriber, reason="Trial 7", **wanted).current

    assert version.investigational
    assert version.reason == "Trial 7"


def test_a_fixed_dose_still_shows_grams_per_kilogram(patient, prescriber):
    version = draft(
        patient,
        prescriber,
        indication="rpl_fixed",
        dose_g_per_kg=None,
        fixed_dose_g=Decimal(100),
        days=5,
        reason="Yamada",
        cycles=1,
    ).current

    assert version.fixed_dose_g == 100
    assert version.dose_g_per_kg == Decimal("1.388889")
    assert plain(version.dose_g) == "20"


def test_grams_for_an_adult_are_refused_for_a_small_body(protocol, nurse, prescriber):
    child = make_patient(
        nurse, weight_kg="12", height_cm="88", birth_date=date(2024, 1, 1)
    )

    with pytest.raises(Refused, match="8.33 g/kg"):
        draft(
            child,
            prescriber,
            indication="rpl_fixed",
            dose_g_per_kg=None,
            fixed_dose_g=Decimal(100),
            days=5,
            reason="As published",
            override_reason="As published",
        )


@pytest.mark.parametrize("region", ["us", "eu", "au", "ca"])
def test_every_product_can_be_planned_in_every_region_or_says_why_not(
    patient, clinic, region
):
    clinic.label_region = region
    for product in products().values():
        wanted = choices(product=product.key)
        if product.orderable:
            assert plan_for(patient, wanted, clinic, NINE).rungs
        else:
            with pytest.raises(Refused, match="cannot be ordered"):
                plan_for(patient, wanted, clinic, NINE)


# Contraindications and allergies


def test_a_contraindicated_product_needs_a_signed_override(
    patient, nurse, prescriber, pharmacist
):
    at_risk(patient, "hyperprolinaemia", by=nurse)
    with pytest.raises(Refused, match="hyperprolinaemia") as refused:
        draft(patient, prescriber)
    assert refused.value.field == "override_reason"

    order = draft(patient, prescriber, override_reason="Type I, agreed with metabolic")
    with pytest.raises(Refused, match="Confirm"):
        orders.sign_order(order=order, identity=identity(patient), by=actor(prescriber))
    orders.sign_order(
        order=order,
        identity=identity(patient),
        by=actor(prescriber),
        override=True,
    )

    meanings = set(Signature.objects.values_list("meaning", flat=True))
    assert meanings == {"prescribed", "overrode"}
    assert (
        order.current.plan["because"]["override_reason"]
        == "Type I, agreed with metabolic"
    )


def test_anti_iga_antibodies_speak_against_every_product(patient, nurse, prescriber):
    at_risk(patient, "iga_antibodies", by=nurse)

    with pytest.raises(Refused, match="IgA"):
        draft(patient, prescriber)


def test_a_medicine_the_patient_is_allergic_to_is_refused(patient, nurse, prescriber):
    allergic(patient, "Paracetamol", by=nurse)

    with pytest.raises(Refused, match="allergy"):
        draft(patient, prescriber, medicines=(paracetamol(),), override_reason="I know")


@pytest.mark.parametrize("substance", ["IVIG", "Privigen", "L-proline"])
def test_an_allergy_to_the_product_needs_a_signed_override(
    patient, nurse, prescriber, substance
):
    allergic(patient, substance, by=nurse)

    with pytest.raises(Refused, match="on record") as refused:
        draft(patient, prescriber)

    assert refused.value.field == "override_reason"


def test_another_allergy_does_not_stop_the_product(patient, nurse, prescriber):
    allergic(patient, "Penicillin", by=nurse)

    assert draft(patient, prescriber).current


def test_medicines_go_with_the_course(patient, prescriber):
    draft(patient, prescriber, medicines=(paracetamol(),))

    medicine = OrderMedicine.objects.get()
    assert (medicine.dose, medicine.gap_minutes, medicine.max_in_24h) == (
        650,
        240,
        4000,
    )


def test_a_medicine_as_needed_has_a_maximum(patient, prescriber):
    with pytest.raises(Refused, match="24 h"):
        draft(patient, prescriber, medicines=(paracetamol(max_in_24h=None),))
    assert not Order.objects.exists()


# Signing and verifying


def test_draft_signed_active(patient, prescriber, pharmacist):
    order = active(patient, prescriber=prescriber, pharmacist=pharmacist)

    assert order.status == OrderStatus.ACTIVE
    assert IdentityCheck.objects.count() == 2
    kinds = list(Signature.objects.order_by("id").values_list("meaning", flat=True))
    assert kinds == ["prescribed", "verified"]


def test_the_signer_cannot_verify(patient, prescriber):
    order = signed(patient, prescriber=prescriber)

    with pytest.raises(Refused, match="cannot verify"):
        orders.verify_order(
            order=order, identity=identity(patient), by=actor(prescriber)
        )


def test_whoever_wrote_the_order_cannot_verify_it(patient, prescriber, pharmacist):
    order = draft(patient, pharmacist)
    orders.sign_order(order=order, identity=identity(patient), by=actor(prescriber))

    with pytest.raises(Refused, match="cannot verify"):
        orders.verify_order(
            order=order, identity=identity(patient), by=actor(pharmacist)
        )


@pytest.mark.parametrize(("initials", "year"), [("XX", 1978), ("AO", 1979), ("", 1978)])
def test_two_wrong_identifiers_stop_a_signature(patient, prescriber, initials, year):
    order = draft(patient, prescriber)

    with pytest.raises(Refused, match="not this patient"):
        orders.sign_order(
            order=order,
            identity=Identity(initials=initials, birth_year=year),
            by=actor(prescriber),
        )
    assert fresh(order).status == OrderStatus.DRAFT
    assert not Signature.objects.exists()


def test_an_expired_order_cannot_be_signed(patient, prescriber):
    order = draft(patient, prescriber, expires_on=date(2026, 3, 10))

    with pytest.raises(Refused, match="expired"):
        orders.sign_order(
            order=order,
            identity=identity(patient),
            by=actor(prescriber, NINE + timedelta(days=9)),
        )


def test_a_returned_order_is_a_draft_again_and_says_why(
    patient, prescriber, pharmacist
):
    order = signed(patient, prescriber=prescriber)

    orders.return_order(order=order, reason="Dose per day?", by=actor(pharmacist))

    assert fresh(order).status == OrderStatus.DRAFT
    entry = AuditEntry.objects.get(action="order.return")
    assert json.loads(entry.detail)["reason"] == "Dose per day?"


def test_a_change_makes_a_new_version_to_be_signed_and_verified_again(
    patient, prescriber, pharmacist
):
    order = active(patient, prescriber=prescriber, pharmacist=pharmacist)

    orders.change_order(
        order=order,
        choices=choices(dose_g_per_kg=Decimal("0.6"), change_note="Trough too low"),
        by=actor(prescriber, LATER),
    )

    order = fresh(order)
    assert (order.status, order.current.number) == (OrderStatus.DRAFT, 2)
    assert order.versions.count() == 2
    assert plain(order.versions.get(number=1).dose_g_per_kg) == "0.4"
    assert not order.current.signatures.exists()


def test_the_verifier_of_a_changed_weight_sends_it_back(
    patient, nurse, prescriber, pharmacist
):
    order = signed(patient, prescriber=prescriber)
    weigh(patient, "80", by=nurse, at=LATER)

    with pytest.raises(Refused, match="weight has changed"):
        orders.verify_order(
            order=order, identity=identity(patient), by=actor(pharmacist, LATER)
        )


@pytest.mark.parametrize(
    ("kg", "crossed"),
    [("79.1", False), ("79.2", True), ("64.8", True), ("64.9", False)],
)
def test_a_weight_ten_percent_away_needs_verification_again(
    patient, prescriber, kg, crossed
):
    version = draft(patient, prescriber).current

    assert order_plans.weight_change(version, Decimal(kg)).crossed is crossed


def test_hold_resume_complete(patient, prescriber, pharmacist):
    order = active(patient, prescriber=prescriber, pharmacist=pharmacist)

    orders.hold_order(order=order, reason="Fever", by=actor(pharmacist))
    assert fresh(order).status == OrderStatus.ON_HOLD
    orders.resume_order(order=order, reason="Well again", by=actor(prescriber))
    orders.complete_order(order=order, by=actor(prescriber))

    assert fresh(order).status == OrderStatus.COMPLETED
    with pytest.raises(Refused):
        orders.cancel_order(order=order, reason="No", by=actor(prescriber))


def test_a_stale_screen_is_refused(patient, prescriber, pharmacist):
    order = signed(patient, prescriber=prescriber)
    seen = order.version
    orders.return_order(order=order, reason="Look again", by=actor(pharmacist))

    for act in (orders.return_order, orders.hold_order, orders.cancel_order):
        with pytest.raises(Stale):
            act(order=order, reason="x", by=actor(pharmacist), seen_version=seen)


def test_an_order_sent_twice_is_one_order(patient, prescriber):
    def send(**given):
        return orders.draft_order(
            patient=patient,
            choices=choices(**given),
            by=actor(prescriber, key=KEY, content=given),
        )

    made = send()
    with pytest.raises(Replayed) as again:
        send()
    with pytest.raises(KeyReused):
        send(dose_g_per_kg=Decimal("0.5"))

    assert again.value.entry.object_id == made.pk
    assert Order.objects.count() == 1


# Telephone orders


def by_telephone(patient, nurse, prescriber, **given):
    return orders.draft_order(
        patient=patient,
        choices=choices(),
        telephone=Telephone(**{"prescriber": prescriber, "read_back": True} | given),
        identity=identity(patient),
        by=actor(nurse),
    )


def test_a_telephone_order_names_its_prescriber_and_deadline(
    patient, nurse, prescriber
):
    order = by_telephone(patient, nurse, prescriber)

    assert order.status == OrderStatus.SIGNED
    assert order.current.prescriber == prescriber
    assert order.current.countersign_by == NINE + timedelta(hours=24)
    assert orders.awaits_countersignature(order.current)


def test_a_telephone_order_must_be_read_back_to_a_prescriber(
    patient, nurse, colleague, prescriber
):
    with pytest.raises(Refused, match="Read the order back"):
        by_telephone(patient, nurse, prescriber, read_back=False)
    with pytest.raises(Refused, match="prescriber of this clinic"):
        by_telephone(patient, nurse, colleague)
    assert not Order.objects.exists()


def test_only_the_prescriber_who_gave_it_countersigns(
    patient, nurse, prescriber, pharmacist
):
    order = by_telephone(patient, nurse, prescriber)
    orders.verify_order(order=order, identity=identity(patient), by=actor(pharmacist))

    with pytest.raises(Refused, match="Only the prescriber"):
        orders.countersign_order(
            order=order, identity=identity(patient), by=actor(pharmacist)
        )
    orders.countersign_order(
        order=order, identity=identity(patient), by=actor(prescriber, LATER)
    )

    assert not orders.awaits_countersignature(fresh(order).current)
    assert fresh(order).status == OrderStatus.ACTIVE
