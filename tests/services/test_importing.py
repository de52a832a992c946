import copy
import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sessions.models import (
    Allergy,
    AuditEntry,
    Height,
    Patient,
    Presence,
    RiskFactor,
    Weight,
)
from sessions.services.bundles import BundleError, read_document
from sessions.services.importing import import_bundle, importer_of
from sessions.services.patients import (
    record_risk_factor,
    record_weight,
    register_patient,
    withdraw,
)
from tests.factories.patients import NINE, actor_of

LATER = NINE + timedelta(days=1)
SNOMED = "http://snomed.info/sct"
OWNER = {"reference": "urn:uuid:p1"}


def patient(**changes):
    resource = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [
            {"system": "urn:x", "value": "other"},
            {"type": {"coding": [{"code": "MR"}]}, "value": "00412"},
        ],
        "name": [
            {"use": "maiden", "family": "Old", "given": ["Ana"]},
            {"use": "official", "family": "Núñez", "given": ["Ana", "María"]},
        ],
        "gender": "female",
        "birthDate": "1980-05-06",
        "telecom": [{"system": "phone", "value": "555-0101"}],
    } | changes
    return {"fullUrl": "urn:uuid:p1", "resource": resource}


def measured(id_="w1", loinc="29463-7", value="70.25", unit="kg", **changes):
    resource = {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "subject": OWNER,
        "effectiveDateTime": "2025-11-03T08:30:00+01:00",
        "valueQuantity": {
            "value": Decimal(value),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    } | changes
    return {"resource": resource}


def coded(kind, id_, code, name, status="active", owner="subject", **changes):
    resource = {
        "resourceType": kind,
        "id": id_,
        "clinicalStatus": {"coding": [{"code": status}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "code": {"coding": [{"system": SNOMED, "code": code}], "text": name},
        owner: OWNER,
        "recordedDate": "2020-02-03",
    } | changes
    return {"resource": resource}


def allergy(id_="a1", code="91935009", name="Allergy to peanuts", **changes):
    return coded("AllergyIntolerance", id_, code, name, owner="patient", **changes)


def bundle(*entries):
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}


def everything():
    return bundle(
        patient(),
        measured(),
        measured("h1", "8302-2", "1.70", "m"),
        allergy(),
        coded("Condition", "c1", "44054006", "Diabetes"),
        coded("Condition", "c2", "444814009", "Viral sinusitis"),
        {"resource": {"resourceType": "Claim", "id": "x"}},
    )


@pytest.fixture
def by(nurse):
    return actor_of(nurse, at=LATER)


def counts():
    models = (Patient, Weight, Height, Allergy, RiskFactor, AuditEntry)
    return [model.objects.count() for model in models]


def test_a_bundle_brings_the_patient_with_measures_allergies_and_risks(by):
    imported = import_bundle(everything(), by=by)

    person = Patient.objects.get()
    assert (person.mrn, str(person)) == ("00412", "NÚÑEZ, Ana María")
    assert person.imported_from == "fhir:Patient/p1"
    assert person.phone == "555-0101"
    weight, height = person.weights.get(), person.heights.get()
    assert (weight.weight_kg, weight.as_typed) == (Decimal("70.25"), "70.25 kg")
    assert weight.event_time == datetime(2025, 11, 3, 7, 30, tzinfo=UTC)
    assert weight.recorded_at == LATER
    assert weight.is_late(15)
    assert (height.height_cm, height.as_typed) == (Decimal("170.0"), "1.70 m")
    assert person.allergys.get().substance == "Allergy to peanuts"
    risk = person.riskfactors.get()
    assert (risk.key, risk.presence) == ("diabetes", Presence.PRESENT)
    assert risk.detail == "Diabetes"
    assert imported.lines[0] == (
        "created 1 patient, 1 weight, 1 height, 1 allergy, 1 risk factor; "
        "unchanged nothing"
    )


def test_what_is_not_kept_is_named_with_the_reason(by):
    lines = import_bundle(everything(), by=by).lines

    assert any("444814009 Viral sinusitis" in line for line in lines)
    assert any("not imported by this product: Claim 1" in line for line in lines)


def test_a_second_import_changes_nothing_not_even_the_audit(by):
    import_bundle(everything(), by=by)
    before = counts()

    imported = import_bundle(everything(), by=by)

    assert counts() == before
    assert not imported.created
    assert imported.unchanged.total() == 5


def test_a_later_file_adds_only_what_is_new(by):
    import_bundle(everything(), by=by)
    document = everything()
    document["entry"].append(measured("w2", value="71"))

    imported = import_bundle(document, by=by)

    assert dict(imported.created) == {"weight": 1}
    assert Weight.objects.count() == 2


@pytest.mark.parametrize(
    ("value", "unit", "kept"),
    [
        ("70.25", "kg", "70.25"),
        ("3390.13", "g", "3.39"),
        ("154.32", "[lb_av]", "70.00"),
        ("36.924039381818076", "kg", "36.92"),
    ],
)
def test_weights_are_converted_only_from_their_ucum_unit(by, value, unit, kept):
    import_bundle(bundle(patient(), measured(value=value, unit=unit)), by=by)

    weight = Weight.objects.get()
    assert weight.weight_kg == Decimal(kept)
    assert weight.as_typed == f"{value} {unit}"


@pytest.mark.parametrize(
    ("value", "unit", "kept"),
    [("170.18", "cm", "170.2"), ("67", "[in_i]", "170.2"), ("1.7", "m", "170")],
)
def test_heights_are_converted_only_from_their_ucum_unit(by, value, unit, kept):
    import_bundle(bundle(patient(), measured("h1", "8302-2", value, unit)), by=by)

    assert Height.objects.get().height_cm == Decimal(kept)


BROKEN = {
    "the unit is not UCUM's": (measured(unit="stone"), "unit 'stone'"),
    "the unit has no system": (
        measured(valueQuantity={"value": Decimal(70), "unit": "kg"}),
        "unit 'kg'",
    ),
    "the value is a text": (
        measured(valueQuantity={"value": "70"}),
        "not a number",
    ),
    "the weight is impossible": (measured(value="7025"), "impossible"),
    "the weight is zero": (measured(value="0"), "impossible"),
    "the weight is endless": (measured(value="1e999999"), "too many digits"),
    "the weight has no day": (measured(effectiveDateTime=None), "no day"),
    "the weight has half a day": (measured(effectiveDateTime="2025-11"), "no day"),
    "the time has no zone": (
        measured(effectiveDateTime="2025-11-03T08:30:00"),
        "no time zone",
    ),
    "the time is no time": (
        measured(effectiveDateTime="2025-11-33T08:30:00Z"),
        "no time",
    ),
    "the weight lies in the future": (
        measured(effectiveDateTime="2031-01-01"),
        "future",
    ),
    "the weight lies before birth": (
        measured(effectiveDateTime="1970-01-01"),
        "before the patient's birth",
    ),
    "the weight belongs to nobody": (measured(subject=None), "whose it is"),
    "the weight belongs to a stranger": (
        measured(subject={"reference": "Patient/other"}),
        "not in the file",
    ),
    "the allergy names nothing": (
        allergy(name="", code=""),
        "names no substance",
    ),
    "the same id stands twice": (patient(), "stands twice"),
    "the entry has no resource": ({"fullUrl": "urn:x"}, "has no resource"),
    "the resource has no type": ({"resource": {"id": "x"}}, "no resourceType"),
    "the resource has no id": (
        {"resource": {"resourceType": "Condition"}},
        "neither an id",
    ),
    "the allergy hides a direction mark": (
        allergy(name="Lat\u202eex"),
        "control character",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_is_refused_whole_when(by, case):
    entry, reason = BROKEN[case]
    before = counts()

    with pytest.raises(BundleError, match=reason) as refusal:
        import_bundle(bundle(patient(), measured("w0"), entry), by=by)

    assert counts() == before
    assert "entry " in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"birthDate": None}, "birthDate is missing"),
        ({"birthDate": "1980"}, "not a full day"),
        ({"birthDate": "1980-02-30"}, "not a full day"),
        ({"birthDate": "1899-12-31"}, "before 1900"),
        ({"birthDate": "2031-01-01"}, "in the future"),
        ({"name": []}, "no name"),
        ({"name": [{"family": "Núñez"}]}, "lacks the surname or the given name"),
        ({"name": "Núñez"}, "no name"),
        ({"identifier": []}, "no medical record number"),
        ({"identifier": ["x"]}, "no medical record number"),
        ({"gender": "unclear"}, "gender"),
        ({"name": [{"family": "N\u0000", "given": ["A"]}]}, "control character"),
        ({"name": [{"family": "N" * 200, "given": ["A"]}]}, "longer than"),
    ],
)
def test_a_patient_who_cannot_be_told_is_refused(by, changes, reason):
    with pytest.raises(BundleError, match=reason):
        import_bundle(bundle(patient(**changes)), by=by)

    assert not Patient.objects.exists()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"resourceType": "Patient"}, "holds Patient, not a Bundle"),
        ({}, "no resource at all"),
        ({"resourceType": "Bundle"}, "no entries"),
        ({"resourceType": "Bundle", "entry": {}}, "no entries"),
        (bundle(measured()), "no Patient"),
    ],
)
def test_only_a_bundle_with_a_patient_is_taken(by, document, reason):
    with pytest.raises(BundleError, match=reason):
        import_bundle(document, by=by)


def test_a_file_with_a_bad_second_patient_keeps_nothing_of_the_first(by, nurse):
    register_patient(
        mrn="2",
        family_name="Somebody",
        given_names="Else",
        birth_date=datetime(1950, 1, 1, tzinfo=UTC).date(),
        sex="male",
        by=actor_of(nurse),
    )
    second = copy.deepcopy(patient(id="p2"))
    second["fullUrl"] = "urn:uuid:p2"
    second["resource"]["identifier"] = [
        {"type": {"coding": [{"code": "MR"}]}, "value": "2"}
    ]
    before = counts()

    with pytest.raises(BundleError, match="another patient"):
        import_bundle(bundle(patient(), measured(), second), by=by)

    assert counts() == before


def test_refuted_and_resolved_entries_are_left_out_and_named(by):
    refuted = {"verificationStatus": {"coding": [{"code": "refuted"}]}}
    imported = import_bundle(
        bundle(
            patient(),
            measured("w1", status="entered-in-error"),
            measured("w2", valueQuantity=None),
            allergy("a1", **refuted),
            allergy("a2", status="resolved"),
            coded("Condition", "c1", "44054006", "Diabetes", **refuted),
            coded("Condition", "c2", "37796009", "Migraine", status="resolved"),
        ),
        by=by,
    )

    assert dict(imported.created) == {"patient": 1}
    assert len(imported.left_out) == 6


def test_an_earlier_clot_counts_though_it_is_over(by):
    clot = coded("Condition", "c", "59282003", "Pulmonary embolism", status="resolved")
    import_bundle(bundle(patient(), clot), by=by)

    assert RiskFactor.objects.get().key == "thrombosis"


def test_two_conditions_of_one_risk_make_one_statement(by):
    import_bundle(
        bundle(
            patient(),
            coded("Condition", "c1", "431855005", "Kidney disease stage 1"),
            coded("Condition", "c2", "127013003", "Diabetic renal disease"),
        ),
        by=by,
    )

    rows = {row.key: row.detail for row in RiskFactor.objects.all()}
    assert rows == {
        "renal_impairment": "Kidney disease stage 1; Diabetic renal disease",
        "diabetes": "Diabetic renal disease",
    }


def test_what_the_clinic_said_itself_stands(by, nurse):
    import_bundle(bundle(patient()), by=by)
    person = Patient.objects.get()
    record_risk_factor(
        patient=person, key="diabetes", presence=Presence.ABSENT, by=actor_of(nurse)
    )
    diabetes = coded("Condition", "c1", "44054006", "Diabetes")

    imported = import_bundle(bundle(patient(), diabetes), by=by)

    assert RiskFactor.objects.get().presence == Presence.ABSENT
    assert any("the statement here stands" in line for line in imported.lines)


def test_a_row_withdrawn_here_does_not_come_back(by, nurse):
    import_bundle(bundle(patient(), measured()), by=by)
    withdraw(row=Weight.objects.get(), reason="Wrong scale.", by=actor_of(nurse))

    import_bundle(bundle(patient(), measured()), by=by)

    assert not Weight.objects.current().exists()


def test_a_value_that_changed_at_its_source_is_named_not_taken(by):
    import_bundle(bundle(patient(), measured()), by=by)

    imported = import_bundle(bundle(patient(), measured(value="80")), by=by)

    assert Weight.objects.get().weight_kg == Decimal("70.25")
    assert any("now 80 kg, kept as 70.25 kg" in line for line in imported.lines)


def test_no_known_allergy_is_a_statement(by):
    none = allergy(code="716186003", name="No known allergy")
    import_bundle(bundle(patient(), none), by=by)

    row = Allergy.objects.get()
    assert (row.none_known, row.substance) == (True, "")


def test_no_known_allergy_beside_an_allergy_is_left_out(by):
    none = allergy("a0", "716186003", "No known allergy")
    imported = import_bundle(bundle(patient(), none, allergy()), by=by)

    assert [row.none_known for row in Allergy.objects.all()] == [False]
    assert any("beside an allergy" in line for line in imported.lines)


def test_an_odd_weight_is_kept_and_pointed_out(by):
    imported = import_bundle(bundle(patient(), measured(value="7")), by=by)

    assert Weight.objects.get().weight_kg == 7
    assert any("7 kg is unusual at 45 years" in line for line in imported.lines)


def test_an_import_into_another_clinic_does_not_touch_this_one(by, stranger):
    import_bundle(everything(), by=by)
    import_bundle(everything(), by=actor_of(stranger, at=LATER))

    assert Patient.objects.count() == 2
    assert len({person.clinic_id for person in Patient.objects.all()}) == 2


def test_a_record_number_of_a_patient_already_here_adds_to_that_patient(by, nurse):
    person = register_patient(
        mrn="00412",
        family_name="NUNEZ",
        given_names="Ana",
        birth_date=datetime(1980, 5, 6, tzinfo=UTC).date(),
        sex="female",
        by=actor_of(nurse),
    )
    record_weight(patient=person, weight_kg=Decimal(69), by=actor_of(nurse))

    imported = import_bundle(bundle(patient(), measured()), by=by)

    assert Weight.objects.filter(patient=person).count() == 2
    assert any("differ from the record here" in line for line in imported.lines)


def test_nobody_can_sign_in_as_the_importer(clinic):
    user = importer_of(clinic, at=NINE)

    assert not user.is_active
    assert not user.has_usable_password()
    assert importer_of(clinic, at=LATER) == user


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[]", "does not hold a FHIR resource"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        ('{"a": "é"}'.encode("latin-1"), "not UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (gzip.compress(b'{"resourceType": "Bundle"}', mtime=0)[:-6], "cut off"),
        (b"\x1f\x8bnot packed at all", "broken"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(content, reason):
    with pytest.raises(BundleError, match=reason):
        read_document(content)


def test_packed_and_plain_files_read_the_same():
    plain = json.dumps({"resourceType": "Bundle", "x": 1.10}).encode()

    document = read_document(plain)

    assert document == read_document(gzip.compress(plain, mtime=0))
    assert document["x"] == Decimal("1.1")


def test_the_importer_stands_among_the_staff_without_a_role(sign_in, admin, clinic):
    importer_of(clinic, at=NINE)
    client = sign_in(admin)

    page = client.get("/settings/staff/")

    assert page.status_code == 200
    assert "FHIR import" in page.text
    user = clinic.staff.get(name="FHIR import")
    assert client.get(f"/settings/staff/{user.pk}/").status_code == 200
