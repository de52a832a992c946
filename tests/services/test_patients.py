import json
from datetime import date, timedelta
from decimal import Decimal

import pytest

from sessions.models import (
    Allergy,
    AuditEntry,
    Consent,
    Height,
    LabResult,
    Patient,
    Presence,
    RiskFactor,
    Weight,
)
from sessions.persons import person_of
from sessions.services.acts import Refused, Replayed, Stale
from sessions.services.patients import (
    amend_patient,
    record_allergy,
    record_consent,
    record_height,
    record_lab,
    record_risk_factor,
    record_risk_factors,
    record_weight,
    register_patient,
    statements_version,
    withdraw,
)
from tests.factories.patients import NINE, PatientFactory, WeightFactory, actor_of

WHO = {
    "mrn": "00412",
    "family_name": "Okonkwo",
    "given_names": "Adaeze",
    "birth_date": date(1978, 3, 14),
    "sex": "female",
}


@pytest.fixture
def patient(clinic, nurse):
    return PatientFactory(clinic=clinic, created_by=nurse)


@pytest.fixture
def by(nurse):
    return actor_of(nurse)


def test_registering_writes_the_person_and_the_audit(by):
    patient = register_patient(by=by, **WHO)

    entry = AuditEntry.objects.get(action="patient.register")
    assert entry.object_id == patient.pk
    assert entry.patient == patient
    assert json.loads(entry.detail)["after"]["birth_date"] == "1978-03-14"
    assert patient.version == 1


def test_a_record_number_belongs_to_one_patient_of_a_clinic(by, stranger):
    register_patient(by=by, **WHO)
    register_patient(by=actor_of(stranger), **WHO)

    with pytest.raises(Refused, match="already belongs") as refused:
        register_patient(by=by, **WHO | {"family_name": "Other"})

    assert refused.value.field == "mrn"
    assert Patient.objects.count() == 2


def test_registering_twice_with_one_key_registers_once(nurse):
    by = actor_of(nurse, key="5e0e3f1c-7d6e-4f2e-9a9b-0d3f3c6f5a11", content=WHO)
    patient = register_patient(by=by, **WHO)

    with pytest.raises(Replayed) as first:
        register_patient(by=by, **WHO)

    assert first.value.entry.object_id == patient.pk
    assert Patient.objects.count() == 1


def test_amending_keeps_before_and_after_in_the_audit(patient, by):
    old = patient.family_name

    amended = amend_patient(patient=patient, version=1, by=by, family_name="Weiß")

    assert amended.version == 2
    assert "weiss" in amended.search_text
    detail = json.loads(AuditEntry.objects.get(action="patient.amend").detail)
    assert detail["before"] == {"family_name": old}
    assert detail["after"] == {"family_name": "Weiß"}


def test_amending_from_an_old_screen_is_refused(patient, by):
    amend_patient(patient=patient, version=1, by=by, phone="1")

    with pytest.raises(Stale):
        amend_patient(patient=patient, version=1, by=by, phone="2")

    patient.refresh_from_db()
    assert patient.phone == "1"


def test_amending_nothing_makes_no_new_version(patient, by):
    amended = amend_patient(patient=patient, version=1, by=by, phone=patient.phone)

    assert amended.version == 1


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("okonk", True),
        ("OKONKWO adaeze", True),
        ("adaeze okon", True),
        ("00412", True),
        ("412", True),
        ("1978-03-14", True),
        ("14.3.1978", True),
        ("03/14/1978", True),
        ("14 mar 1978", True),
        ("okonkwo 1978", True),
        ("okonkwo 1979", False),
        ("nunez", False),
        ("%", False),
        ("_", False),
        ("", True),
    ],
)
def test_search_finds_any_part_in_any_order(clinic, by, words, found):
    register_patient(by=by, **WHO)

    assert Patient.objects.of(clinic).matching(words).exists() is found


@pytest.mark.parametrize(
    "words", ["nunez", "NÚÑEZ", "núñez maria", "o'brien", "obrien"]
)
def test_search_forgives_accents_case_and_apostrophes(clinic, by, words):
    who = WHO | {"family_name": "O'Brien-Núñez", "given_names": "María"}
    register_patient(by=by, **who)

    assert Patient.objects.of(clinic).matching(words).exists()


def test_a_correction_replaces_and_keeps_the_old_weight(patient, by, nurse):
    old = WeightFactory(patient=patient, recorded_by=nurse, weight_kg=Decimal(27))

    new = record_weight(
        patient=patient,
        weight_kg=Decimal(72),
        by=by,
        corrects=old,
        reason="Digits swapped.",
    )

    assert list(patient.weights.current()) == [new]
    assert new.event_time == old.event_time
    person = person_of(patient, clinic=patient.clinic, at=NINE)
    assert person.weight == new
    assert [row.words for row in person.weights.gone] == ["27 kg"]
    assert person.weights.gone[0].replaced_by.correction_reason == "Digits swapped."


def test_one_entry_is_corrected_once(patient, by, nurse):
    old = WeightFactory(patient=patient, recorded_by=nurse)
    change = {"patient": patient, "weight_kg": Decimal(70), "by": by, "corrects": old}
    record_weight(**change, reason="First.")

    with pytest.raises(Stale):
        record_weight(**change, reason="Second.")

    assert Weight.objects.count() == 2


def test_a_correction_needs_a_reason(patient, by, nurse):
    old = WeightFactory(patient=patient, recorded_by=nurse)

    with pytest.raises(Refused, match="why"):
        record_weight(patient=patient, weight_kg=Decimal(70), by=by, corrects=old)


def test_an_entry_of_another_patient_is_not_corrected(patient, clinic, by, nurse):
    other = PatientFactory(clinic=clinic, created_by=nurse)
    old = WeightFactory(patient=other, recorded_by=nurse)

    with pytest.raises(Refused, match="another patient"):
        record_weight(
            patient=patient, weight_kg=Decimal(70), by=by, corrects=old, reason="x"
        )


def test_a_withdrawn_entry_counts_no_more_and_stays_readable(patient, by, nurse):
    row = WeightFactory(patient=patient, recorded_by=nurse)

    withdraw(row=row, reason="Other patient.", by=by)

    assert not patient.weights.current().exists()
    person = person_of(patient, clinic=patient.clinic, at=NINE)
    assert person.weight is None
    assert person.weights.gone[0].replaced_by.entered_in_error
    with pytest.raises(Stale):
        withdraw(row=row, reason="Again.", by=by)


@pytest.mark.parametrize("model", [Weight, Height, Allergy, LabResult, Consent])
def test_every_kind_of_row_can_be_withdrawn(patient, by, model):
    rows = {
        Weight: lambda: record_weight(patient=patient, weight_kg=Decimal(7), by=by),
        Height: lambda: record_height(patient=patient, height_cm=Decimal(70), by=by),
        Allergy: lambda: record_allergy(patient=patient, substance="Latex", by=by),
        LabResult: lambda: record_lab(
            patient=patient, test="iga", value=Decimal(1), unit="g/L", by=by
        ),
        Consent: lambda: record_consent(
            patient=patient, given=True, scope="x", expires_on=date(2027, 1, 1), by=by
        ),
    }
    row = rows[model]()

    gone = withdraw(row=row, reason="Entered for somebody else.", by=by)

    assert gone.supersedes == row
    assert not model.objects.current().exists()


def test_a_weight_outside_every_limit_is_refused_not_half_written(patient, by):
    with pytest.raises(Refused, match="outside its limits"):
        record_weight(patient=patient, weight_kg=Decimal(700), by=by)

    assert not Weight.objects.exists()
    assert not AuditEntry.objects.filter(action="patient.weigh").exists()


def test_none_known_cannot_stand_beside_an_allergy(patient, by):
    record_allergy(patient=patient, substance="Penicillin", by=by)

    with pytest.raises(Refused, match="on record"):
        record_allergy(patient=patient, none_known=True, by=by)


def test_an_allergy_takes_the_place_of_none_known(patient, by):
    record_allergy(patient=patient, none_known=True, by=by)

    record_allergy(patient=patient, substance="Penicillin", by=by)

    current = patient.allergys.current().get()
    assert (current.substance, current.none_known) == ("Penicillin", False)
    assert current.supersedes.none_known


def test_asking_again_keeps_one_statement_that_none_is_known(patient, by, nurse):
    record_allergy(patient=patient, none_known=True, by=by)
    later = actor_of(nurse, at=NINE + timedelta(days=30))

    record_allergy(patient=patient, none_known=True, by=later)

    assert patient.allergys.current().get().event_time == later.at


@pytest.mark.parametrize("twin", ["penicillin", "PENICILLÍN"])
def test_an_allergy_is_not_recorded_twice(patient, by, twin):
    record_allergy(patient=patient, substance="Penicillin", by=by)

    with pytest.raises(Refused, match="already on record"):
        record_allergy(patient=patient, substance=twin, by=by)


def test_an_allergy_names_a_substance_or_says_none(patient, by):
    with pytest.raises(Refused):
        record_allergy(patient=patient, by=by)
    with pytest.raises(Refused):
        record_allergy(patient=patient, by=by, substance="x", none_known=True)


def test_of_two_statements_about_one_risk_the_newer_counts(patient, by):
    say = {"patient": patient, "key": "pregnancy", "by": by}
    record_risk_factor(**say, presence=Presence.PRESENT, supervisor="Dr Osei")

    record_risk_factor(**say, presence=Presence.ABSENT)

    row = RiskFactor.objects.current().get()
    assert row.presence == Presence.ABSENT
    assert row.supersedes.presence == Presence.PRESENT


def test_answers_that_change_nothing_add_nothing(patient, by):
    answers = [
        {"key": "diabetes", "presence": "present", "detail": "type 2"},
        {"key": "migraine", "presence": "absent", "detail": ""},
    ]
    record_risk_factors(patient=patient, answers=answers, by=by)
    answers[1] = answers[1] | {"presence": "present"}

    rows = record_risk_factors(patient=patient, answers=answers, by=by)

    assert [row.key for row in rows] == ["migraine"]


def test_an_old_screen_takes_no_answer_back(patient, by):
    seen = statements_version(patient)
    record_risk_factor(patient=patient, key="diabetes", presence="present", by=by)

    with pytest.raises(Stale, match="NOT SAVED"):
        record_risk_factors(
            patient=patient,
            answers=[{"key": "diabetes", "presence": "absent"}],
            by=by,
            version=seen,
        )

    assert RiskFactor.objects.current().get().presence == "present"


def test_what_nobody_asked_is_not_known_never_no(patient):
    person = person_of(patient, clinic=patient.clinic, at=NINE)

    states = {state.factor.key: state for state in person.risk_factors}
    assert states["diabetes"].presence == Presence.UNKNOWN
    assert states["over_65"].presence == Presence.ABSENT
    assert person.is_pregnant is None
    assert not person.consent_counts


def test_age_over_65_follows_from_the_birth_date(clinic, nurse):
    born = date(1960, 3, 2)
    patient = PatientFactory(clinic=clinic, created_by=nurse, birth_date=born)

    for days, over in ((0, True), (-1, False)):
        at = NINE + timedelta(days=days)
        person = person_of(patient, clinic=clinic, at=at)
        keys = {state.factor.key for state in person.present}
        assert ("over_65" in keys) is over


def test_a_blood_group_answers_its_own_risk_factor(patient, by):
    record_lab(patient=patient, test="blood_group", value_text="A", by=by)

    person = person_of(patient, clinic=patient.clinic, at=NINE)
    assert "blood_group_not_o" in {state.factor.key for state in person.present}


@pytest.mark.parametrize(("days", "old"), [(28, False), (29, True)])
def test_a_weight_older_than_the_clinic_allows_is_asked_again(
    patient, nurse, days, old
):
    WeightFactory(patient=patient, recorded_by=nurse)

    person = person_of(patient, clinic=patient.clinic, at=NINE + timedelta(days=days))

    assert person.weight_days == days
    assert person.weight_is_old is old


@pytest.mark.parametrize(("days", "old"), [(90, False), (91, True)])
def test_a_result_older_than_its_window_counts_no_more(patient, by, days, old):
    record_lab(
        patient=patient, test="creatinine", value=Decimal(88), unit="umol/L", by=by
    )

    person = person_of(patient, clinic=patient.clinic, at=NINE + timedelta(days=days))

    state = next(s for s in person.lab_states if s.test.key == "creatinine")
    assert (state.value, state.is_old) == ("88 µmol/L", old)


@pytest.mark.parametrize(("day", "counts"), [(2, True), (3, False)])
def test_consent_counts_until_its_last_day(patient, by, day, counts):
    record_consent(
        patient=patient, given=True, scope="IVIG", expires_on=date(2026, 3, 2), by=by
    )

    at = NINE + timedelta(days=day - 2)

    assert person_of(patient, clinic=patient.clinic, at=at).consent_counts is counts


def test_consent_taken_back_counts_no_more(patient, by, nurse):
    say = {"patient": patient, "scope": "IVIG", "expires_on": date(2027, 3, 2)}
    record_consent(given=True, by=by, **say)
    record_consent(given=False, by=actor_of(nurse, at=NINE + timedelta(hours=1)), **say)

    at = NINE + timedelta(days=1)

    assert not person_of(patient, clinic=patient.clinic, at=at).consent_counts


def test_ideal_weight_is_not_used_where_it_is_excluded(clinic, nurse, by):
    child = PatientFactory(clinic=clinic, created_by=nurse, birth_date=date(2018, 1, 1))
    record_weight(patient=child, weight_kg=Decimal(25), by=by)
    record_height(patient=child, height_cm=Decimal(125), by=by)

    body = person_of(child, clinic=clinic, at=NINE).body

    assert body.bmi == Decimal(16)
    assert {o.basis: o.excluded_because for o in body.options} == {
        "actual": "",
        "ideal": "under 18 years",
        "adjusted": "under 18 years",
    }
