import gzip
import json
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from sessions.models import (
    Allergy,
    AuditEntry,
    Consent,
    Height,
    LabResult,
    Patient,
    RiskFactor,
    Weight,
)
from sessions.services.patients import record_risk_factor, record_weight
from sessions.views.patients import KINDS
from tests.factories.patients import PatientFactory, WeightFactory, actor_of
from tests.reading import tight
from tests.services.test_importing import everything

HTMX = {"HX-Request": "true"}
PERSON = {
    "mrn": "00412",
    "family_name": "Okonkwo",
    "given_names": "Adaeze",
    "birth_date": "1978-03-14",
    "sex": "female",
}
GOOD = {
    "weights": {"weight_kg": "72.5"},
    "heights": {"height_cm": "170.5"},
    "allergies": {"substance": "Latex", "reaction": "rash", "severity": "mild"},
    "labs": {"test": "creatinine", "value": "88", "unit": "umol/L"},
    "consents": {"given": "yes", "scope": "IVIG course", "expires_on": "{soon}"},
    "pregnancy": {"presence": "absent"},
    "risks": {"presence_diabetes": "present", "detail_diabetes": "type 2"},
}
MODELS = {
    "weights": Weight,
    "heights": Height,
    "allergies": Allergy,
    "labs": LabResult,
    "consents": Consent,
    "pregnancy": RiskFactor,
    "risks": RiskFactor,
}


@pytest.fixture
def patient(clinic, nurse):
    return PatientFactory(
        clinic=clinic, created_by=nurse, family_name="Okonkwo", mrn="0048172265"
    )


def address(name, patient, *args):
    return reverse(name, args=[patient.pk, *args])


def good(kind, **more):
    soon = (timezone.now() + timedelta(days=300)).strftime("%Y-%m-%d")
    key = str(uuid.uuid4())
    data = {name: text.format(soon=soon) for name, text in GOOD[kind].items()}
    return {"submission_key": key, **data, **more}


# the list


def test_the_list_shows_the_clinics_patients_only(sign_in, nurse, patient, stranger):
    PatientFactory(clinic=stranger.clinic, created_by=stranger, family_name="Elsewhere")

    page = sign_in(nurse).get(reverse("patients"))

    assert "OKONKWO" in page.text
    assert "ELSEWHERE" not in page.text


def test_a_search_is_posted_and_puts_nothing_in_an_address(sign_in, nurse, patient):
    page = sign_in(nurse).post(reverse("patients"), {"q": "okonkwo 1978"})

    assert page.status_code == 200
    assert "OKONKWO" in page.text
    assert "1 patient" in page.text
    assert "?q=" not in page.text


def test_a_live_search_answers_with_the_list_alone(sign_in, nurse, patient):
    page = sign_in(nurse).post(reverse("patients"), {"q": "okon"}, headers=HTMX)

    assert "OKONKWO" in page.text
    assert "<html" not in page.text


def test_a_query_in_the_address_is_ignored(sign_in, nurse, patient):
    page = sign_in(nurse).get(reverse("patients"), {"q": "nobody", "page": "7"})

    assert "OKONKWO" in page.text


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("zzz", 200),
        ("%", 200),
        ("' OR 1=1 --", 200),
        ("x" * 121, 422),
        ("ok\u0000on", 422),
        ("ok\u202eon", 422),
    ],
)
def test_a_hostile_search_finds_nobody(sign_in, nurse, patient, words, status):
    page = sign_in(nurse).post(reverse("patients"), {"q": words})

    assert page.status_code == status
    assert "OKONKWO" not in page.text


@pytest.mark.parametrize("number", ["2", "-1", "x", "999999999999", "0", ""])
def test_pages_of_the_list_never_fail(sign_in, nurse, clinic, number):
    for _ in range(30):
        PatientFactory(clinic=clinic, created_by=nurse)

    page = sign_in(nurse).post(reverse("patients"), {"q": "", "page": number})

    assert page.status_code == 200
    assert "30 patients" in page.text


def test_patients_easily_confused_are_marked_in_the_list(
    sign_in, nurse, patient, clinic
):
    PatientFactory(
        clinic=clinic, created_by=nurse, family_name="Okonkwe", given_names="Adaeze M."
    )
    PatientFactory(clinic=clinic, created_by=nurse, family_name="Zimmermann")

    page = sign_in(nurse).get(reverse("patients"))

    assert page.text.count("Similar name") == 2


def test_the_list_costs_the_same_queries_for_one_patient_or_thirty(
    sign_in, nurse, clinic, django_assert_num_queries
):
    client = sign_in(nurse)
    PatientFactory(clinic=clinic, created_by=nurse)
    client.get(reverse("patients"))
    with django_assert_num_queries(5):
        client.get(reverse("patients"))
    for _ in range(30):
        PatientFactory(clinic=clinic, created_by=nurse)
    with django_assert_num_queries(5):
        client.get(reverse("patients"))


# who it is


def test_a_patient_is_registered_and_shown(sign_in, nurse):
    answer = sign_in(nurse).post(reverse("patient-register"), PERSON)

    patient = Patient.objects.get()
    assert answer.status_code == 302
    assert answer.url == reverse("patient-detail", args=[patient.pk])
    assert patient.created_by == nurse
    assert patient.mrn == "00412"


def test_a_resent_registration_leads_to_the_first(sign_in, nurse):
    client, data = sign_in(nurse), PERSON | {"submission_key": str(uuid.uuid4())}

    first = client.post(reverse("patient-register"), data)
    again = client.post(reverse("patient-register"), data)

    assert again.url == first.url
    assert Patient.objects.count() == 1


def test_the_key_of_one_registration_does_not_take_another(sign_in, nurse):
    client, data = sign_in(nurse), PERSON | {"submission_key": str(uuid.uuid4())}
    client.post(reverse("patient-register"), data)

    other = data | {"mrn": "5", "family_name": "Zimmermann", "birth_date": "1950-01-01"}
    answer = client.post(reverse("patient-register"), other)

    assert answer.status_code == 409
    assert "Zimmermann" in answer.text
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mrn", ""),
        ("mrn", "x" * 41),
        ("family_name", ""),
        ("family_name", "\u200b"),
        ("family_name", "Oko\u202enkwo"),
        ("family_name", "Oko\nnkwo"),
        ("given_names", "   "),
        ("birth_date", ""),
        ("birth_date", "1899-12-31"),
        ("birth_date", "2999-01-01"),
        ("birth_date", "1978-02-30"),
        ("birth_date", "14.03.1978"),
        ("birth_date", "１９７８-03-14"),
        ("sex", "robot"),
        ("sex", ""),
        ("clinic", "1"),
        ("created_by", "1"),
        ("search_text", "x"),
    ],
)
def test_a_registration_with_a_wrong_field_saves_nothing(sign_in, nurse, field, value):
    answer = sign_in(nurse).post(reverse("patient-register"), PERSON | {field: value})

    assert answer.status_code == 422
    assert "Adaeze" in answer.text or field == "given_names"
    assert not Patient.objects.exists()


def test_a_birth_date_in_the_clinics_tomorrow_is_refused(sign_in, nurse):
    tomorrow = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%d")
    answer = sign_in(nurse).post(
        reverse("patient-register"), PERSON | {"birth_date": tomorrow}
    )

    assert "lies in the future" in answer.text


def test_names_are_kept_in_one_normal_form(sign_in, nurse):
    sign_in(nurse).post(
        reverse("patient-register"), PERSON | {"family_name": "Mu\u0308ller"}
    )

    assert Patient.objects.get().family_name == "Müller"


def test_a_taken_record_number_is_refused_at_its_field(sign_in, nurse, patient):
    data = PERSON | {"mrn": patient.mrn, "family_name": "Zimmermann"}
    answer = sign_in(nurse).post(reverse("patient-register"), data)

    assert answer.status_code == 422
    assert "This MRN already belongs to a patient." in answer.text


def test_a_similar_person_is_asked_about_before_registering(sign_in, nurse, patient):
    client = sign_in(nurse)
    data = PERSON | {"family_name": "Okonkwe", "given_names": patient.given_names}

    asked = client.post(reverse("patient-register"), data)

    assert asked.status_code == 422
    assert "Is this the same person?" in asked.text
    assert patient.mrn in asked.text
    assert Patient.objects.count() == 1
    token = asked.context["form"].confirm_token
    confirmed = client.post(reverse("patient-register"), data | {"confirmed": token})
    assert confirmed.status_code == 302
    assert Patient.objects.count() == 2


def test_a_confirmation_of_one_person_does_not_pass_another(sign_in, nurse, patient):
    client = sign_in(nurse)
    data = PERSON | {"family_name": "Okonkwe", "given_names": patient.given_names}
    token = client.post(reverse("patient-register"), data).context["form"].confirm_token

    other = data | {"family_name": patient.family_name, "confirmed": token}

    assert client.post(reverse("patient-register"), other).status_code == 422


def test_a_patient_of_another_clinic_is_not_named_in_the_question(
    sign_in, stranger, patient
):
    data = PERSON | {"given_names": patient.given_names}
    answer = sign_in(stranger).post(reverse("patient-register"), data)

    assert answer.status_code == 302
    assert patient.mrn not in answer.text


def test_amending_an_old_version_shows_both_and_keeps_the_typing(
    sign_in, nurse, patient
):
    client = sign_in(nurse)
    data = {name: str(getattr(patient, name)) for name in PERSON}
    url = address("patient-amend", patient)
    assert client.post(url, data | {"version": "1", "phone": "111"}).status_code == 302

    answer = client.post(url, data | {"version": "1", "phone": "222"})

    assert answer.status_code == 409
    assert 'value="222"' in answer.text
    assert "<b>111</b>" in answer.text
    patient.refresh_from_db()
    assert (patient.phone, patient.version) == ("111", 2)


def test_amending_without_a_version_is_refused(sign_in, nurse, patient):
    data = {name: str(getattr(patient, name)) for name in PERSON}

    answer = sign_in(nurse).post(address("patient-amend", patient), data)

    assert answer.status_code == 409


# one patient


def test_an_unknown_is_shown_as_unknown(sign_in, nurse, patient):
    page = sign_in(nurse).get(address("patient-detail", patient))

    assert "Nobody has asked yet: allergies are not known." in page.text
    assert "No weight is on record" in page.text
    assert "No consent is on record" in page.text
    assert "none known" not in page.text


def test_looking_at_a_patient_is_written_down(sign_in, auditor, patient):
    sign_in(auditor).get(address("patient-detail", patient))

    entry = AuditEntry.objects.get(action="patient.view")
    assert (entry.user, entry.patient) == (auditor, patient)


def test_the_patient_page_costs_the_same_queries_whatever_is_recorded(
    sign_in, nurse, patient, django_assert_num_queries
):
    client, url = sign_in(nurse), address("patient-detail", patient)
    client.get(url)
    queries = 17  # two of them the savepoint around the audit of the view
    with django_assert_num_queries(queries):
        client.get(url)
    for number in range(12):
        WeightFactory(
            patient=patient, recorded_by=nurse, weight_kg=Decimal(60 + number)
        )
        PatientFactory(clinic=patient.clinic, created_by=nurse)
    for key in ("diabetes", "migraine", "sepsis"):
        record_risk_factor(
            patient=patient, key=key, presence="present", by=actor_of(nurse)
        )
    with django_assert_num_queries(queries):
        client.get(url)


def test_the_banner_warns_of_a_similar_patient(sign_in, nurse, patient, clinic):
    PatientFactory(
        clinic=clinic, created_by=nurse, family_name="Okonkwo", given_names="Adaeze"
    )

    page = sign_in(nurse).get(address("patient-detail", patient))

    assert "Easily confused with" in page.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_row_of_each_kind_is_saved(sign_in, nurse, patient, kind, headers):
    url = address(f"patient-{kind}", patient)

    answer = sign_in(nurse).post(url, good(kind), headers=headers)

    row = MODELS[kind].objects.get()
    assert row.patient == patient
    assert row.recorded_by == nurse
    if headers:
        assert answer.status_code == 200
        assert "<html" not in answer.text
        assert 'id="banner" hx-swap-oob="true"' in answer.text
        assert 'role="status"' in answer.text
    else:
        assert answer.status_code == 302
        assert answer.url == address("patient-detail", patient) + f"#{kind}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_sent_twice_is_saved_once(sign_in, nurse, patient, kind):
    client, data = sign_in(nurse), good(kind)
    url = address(f"patient-{kind}", patient)

    statuses = [client.post(url, data).status_code for _ in range(3)]

    assert statuses == [302, 302, 302]
    assert MODELS[kind].objects.count() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "extra", [{"recorded_by": "1"}, {"patient": "9"}, {"entered_in_error": "on"}]
)
def test_a_field_that_is_not_on_the_form_is_refused(
    sign_in, nurse, patient, kind, extra
):
    url = address(f"patient-{kind}", patient)

    answer = sign_in(nurse).post(url, good(kind, **extra), headers=HTMX)

    assert answer.status_code == 422
    assert "Unknown field" in answer.text
    assert not MODELS[kind].objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_only_those_who_may_record_can(
    client, sign_in, patient, kind, prescriber, pharmacist, admin, auditor, stranger
):
    url = address(f"patient-{kind}", patient)
    assert client.post(url, good(kind), headers=HTMX).status_code == 401
    for user, status in (
        (pharmacist, 403),
        (admin, 403),
        (auditor, 403),
        (stranger, 404),
        (prescriber, 302),
    ):
        answer = sign_in(user).post(url, good(kind))
        assert answer.status_code == status, user
        assert status == 302 or patient.mrn not in answer.text
        assert sign_in(user).get(url).status_code == 405
    assert MODELS[kind].objects.count() == 1


def test_pages_of_a_patient_are_for_the_clinic_and_its_roles(
    client, sign_in, patient, nurse, auditor, admin, stranger
):
    row = WeightFactory(patient=patient, recorded_by=nurse)
    detail, amend = (
        address("patient-detail", patient),
        address("patient-amend", patient),
    )
    correct = address("patient-weights-correct", patient, row.pk)
    withdraw = address("patient-weights-withdraw", patient, row.pk)
    for url in (detail, amend, correct, withdraw):
        assert client.get(url).status_code == 302
        for user, seen, edited in (
            (nurse, 200, 200),
            (auditor, 200, 403),
            (admin, 403, 403),
            (stranger, 404, 404),
        ):
            for headers in ({}, HTMX):
                answer = sign_in(user).get(url, headers=headers)
                assert answer.status_code == (seen if url == detail else edited)
                assert answer.status_code == 200 or patient.mrn not in answer.text
        client.logout()


def test_an_auditor_sees_no_form(sign_in, auditor, patient):
    page = sign_in(auditor).get(address("patient-detail", patient))

    assert "Record a weight" not in page.text
    assert "Amend" not in page.text


# weights


@pytest.mark.parametrize(
    "typed",
    [
        *("", " ", ".5", "72.", "+72", "-72", "7e1", "7_2", "72,5", "1,070"),
        *("٧٢", "７２", "0x48", "NaN", "72.505", "72 kg", "0", "0.1", "651", "7 2"),
    ],
)
def test_a_weight_that_is_no_plain_number_is_refused(sign_in, nurse, patient, typed):
    answer = sign_in(nurse).post(
        address("patient-weights", patient),
        good("weights", weight_kg=typed),
        headers=HTMX,
    )

    assert answer.status_code == 422
    assert not Weight.objects.exists()


@pytest.mark.parametrize(
    ("last", "typed", "question"),
    [
        ("72", "158.7", "lb or kg"),
        ("72", "80", "% more"),
        ("72", "720", None),
        ("72", "7.2", "unusual"),
        (None, "7.2", "unusual"),
    ],
)
def test_an_odd_weight_is_asked_about_and_saved_when_confirmed(
    sign_in, nurse, patient, last, typed, question
):
    if last:
        WeightFactory(patient=patient, recorded_by=nurse, weight_kg=Decimal(last))
    client, url = sign_in(nurse), address("patient-weights", patient)
    before = Weight.objects.count()
    data = good("weights", weight_kg=typed)

    asked = client.post(url, data, headers=HTMX)

    assert asked.status_code == 422
    assert f'value="{typed}"' in asked.text
    assert Weight.objects.count() == before
    if question is None:
        return
    assert question in asked.text
    token = asked.context["forms"]["weights"].confirm_token
    saved = client.post(url, data | {"confirmed": token}, headers=HTMX)
    assert saved.status_code == 200
    row = Weight.objects.order_by("-pk").first()
    assert row.confirmed_implausible
    assert row.as_typed == f"{typed} kg"


def test_a_made_up_confirmation_confirms_nothing(sign_in, nurse, patient):
    data = good("weights", weight_kg="7.2", confirmed="yes")

    answer = sign_in(nurse).post(address("patient-weights", patient), data)

    assert answer.status_code == 422
    assert not Weight.objects.exists()


def test_a_weight_from_yesterday_is_labelled_late(sign_in, nurse, patient):
    when = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    client = sign_in(nurse)

    answer = client.post(
        address("patient-weights", patient),
        good("weights", event_time=when),
        headers=HTMX,
    )

    assert "late entry" in answer.text


@pytest.mark.parametrize("when", ["2999-01-01T10:00", "1970-01-01T10:00", "yesterday"])
def test_a_weight_at_an_impossible_time_is_refused(sign_in, nurse, patient, when):
    answer = sign_in(nurse).post(
        address("patient-weights", patient), good("weights", event_time=when)
    )

    assert answer.status_code == 422
    assert not Weight.objects.exists()


# corrections


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_corrected_weight_counts_and_the_old_one_stays_readable(
    sign_in, nurse, patient, headers
):
    old = record_weight(
        patient=patient, weight_kg=Decimal(27), by=actor_of(nurse, timezone.now())
    )
    client, url = sign_in(nurse), address("patient-weights-correct", patient, old.pk)
    form = client.get(url).context["form"]
    data = {
        "weight_kg": "72",
        "event_time": form["event_time"].value(),
        "reason": "Digits swapped.",
    }

    answer = client.post(url, data, headers=headers)

    assert answer.status_code == 302
    page = client.get(address("patient-detail", patient))
    assert "<s>27 kg</s>" in tight(page.text)
    assert "Digits swapped." in page.text
    assert page.context["person"].weight.weight_kg == 72


def test_a_correction_without_a_reason_is_refused(sign_in, nurse, patient):
    row = WeightFactory(patient=patient, recorded_by=nurse)
    url = address("patient-weights-correct", patient, row.pk)

    data = {"weight_kg": "73", "event_time": "2026-03-02T09:00"}
    answer = sign_in(nurse).post(url, data)

    assert answer.status_code == 422
    assert Weight.objects.count() == 1


def test_a_second_correction_of_one_row_is_a_conflict(sign_in, nurse, patient):
    row = WeightFactory(patient=patient, recorded_by=nurse)
    client, url = sign_in(nurse), address("patient-weights-correct", patient, row.pk)
    data = {"weight_kg": "73", "event_time": "2026-03-02T09:00", "reason": "x"}
    assert client.post(url, data).status_code == 302

    answer = client.post(url, data | {"weight_kg": "74"})

    assert answer.status_code == 409
    assert Weight.objects.count() == 2


def test_a_row_of_another_patient_does_not_exist_here(sign_in, nurse, patient, clinic):
    other = PatientFactory(clinic=clinic, created_by=nurse)
    row = WeightFactory(patient=other, recorded_by=nurse)

    for task in ("correct", "withdraw"):
        url = address(f"patient-weights-{task}", patient, row.pk)
        assert sign_in(nurse).get(url).status_code == 404
        assert sign_in(nurse).post(url, {"reason": "x"}).status_code == 404
    assert Weight.objects.count() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_each_kind_is_withdrawn_with_a_reason(sign_in, nurse, patient, kind):
    client = sign_in(nurse)
    client.post(address(f"patient-{kind}", patient), good(kind))
    row = MODELS[kind].objects.get()
    url = address(f"patient-{kind}-withdraw", patient, row.pk)
    assert client.get(url).status_code == 200
    assert client.post(url, {"reason": ""}).status_code == 422

    answer = client.post(url, {"reason": "Entered for somebody else."})

    assert answer.status_code == 302
    assert not MODELS[kind].objects.current().exists()
    page = client.get(address("patient-detail", patient))
    assert "Entered for somebody else." in page.text


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "risks"])
def test_the_form_of_a_correction_holds_what_is_on_record(
    sign_in, nurse, patient, kind
):
    client = sign_in(nurse)
    client.post(address(f"patient-{kind}", patient), good(kind))
    row = MODELS[kind].objects.get()
    url = address(f"patient-{kind}-correct", patient, row.pk)
    form = client.get(url).context["form"]
    data = {
        name: form[name].value()
        for name in form.fields
        if form[name].value() not in (None, False)
    }

    answer = client.post(url, data | {"reason": "Checked."})

    assert answer.status_code == 302, answer.text
    assert MODELS[kind].objects.current().count() == 1


# the other kinds


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("heights", {"height_cm": "1.7"}, "at least 20"),
        ("heights", {"height_cm": "90"}, "unusual for an adult"),
        ("allergies", {"substance": ""}, "Name the substance"),
        ("allergies", {"none_known": "on"}, "Name a substance or say none"),
        ("labs", {"value": "88", "unit": "g/L"}, "is reported in"),
        ("labs", {"value": "8.8e1"}, "without an exponent"),
        ("labs", {"value": "8800"}, "between 5 and 2700"),
        ("labs", {"value": "0.9"}, "between 5 and 2700"),
        ("labs", {"value": "1000"}, "is unusual"),
        ("labs", {"test": "blood_group", "value": "Z", "unit": ""}, "Write one of"),
        ("labs", {"test": "wonder"}, "wonder"),
        ("consents", {"expires_on": "2020-01-01"}, "ended before"),
        ("consents", {"expires_on": "2099-01-01"}, "At most three years"),
        ("consents", {"given": ""}, "required"),
        ("pregnancy", {"presence": "present"}, "Name the physician"),
        (
            "pregnancy",
            {"presence": "present", "supervisor": "Dr Osei", "due_date": "2031-01-01"},
            "within the next 300 days",
        ),
        ("pregnancy", {"due_date": "2026-12-01"}, "Only when the patient is pregnant"),
        ("risks", {"presence_diabetes": "", "detail_diabetes": "x"}, "Yes, no or not"),
        ("risks", {"presence_diabetes": "maybe"}, "maybe"),
        ("risks", {"presence_wonder": "present"}, "Unknown field"),
    ],
)
def test_what_cannot_be_right_is_refused_in_words(
    sign_in, nurse, patient, kind, changes, words
):
    answer = sign_in(nurse).post(
        address(f"patient-{kind}", patient), good(kind, **changes), headers=HTMX
    )

    assert answer.status_code == 422
    assert words in answer.text
    assert not MODELS[kind].objects.exists()


def test_risk_factors_from_an_old_screen_are_not_taken(sign_in, nurse, patient):
    record_risk_factor(
        patient=patient, key="diabetes", presence="present", by=actor_of(nurse)
    )
    client, url = sign_in(nurse), address("patient-risks", patient)
    old = good("risks", version="0", presence_diabetes="absent", detail_diabetes="")

    assert client.post(url, old).status_code == 409
    answer = client.post(url, old, headers=HTMX)

    assert answer.status_code == 422
    assert "NOT SAVED" in answer.text
    assert RiskFactor.objects.get().presence == "present"
    fresh = answer.context["risks_version"]
    assert client.post(url, old | {"version": fresh}).status_code == 302
    assert RiskFactor.objects.current().get().presence == "absent"


def test_what_a_risk_factor_changes_stands_beside_it(sign_in, nurse, patient):
    page = sign_in(nurse).get(address("patient-detail", patient))

    assert "the at-risk rate ceiling" in page.text
    assert "a contraindication for products with L-proline" in page.text
    assert "Privigen" in page.text


def test_patient_names_are_escaped(sign_in, nurse, clinic):
    patient = PatientFactory(
        clinic=clinic, created_by=nurse, family_name="<script>alert(1)</script>"
    )
    client = sign_in(nurse)

    for url in (address("patient-detail", patient), reverse("patients")):
        assert "<script>alert" not in client.get(url).text.casefold()


@pytest.mark.parametrize("number", ["9" * 25, "0", "9" * 5000])
def test_a_number_too_large_for_any_row_finds_nothing(sign_in, nurse, clinic, number):
    assert sign_in(nurse).get(f"/patients/{number}/").status_code == 404


@pytest.mark.parametrize("version", ["9" * 5000, "-1", "x", "１", ""])
def test_a_version_that_is_no_version_is_a_conflict(sign_in, nurse, patient, version):
    data = {name: str(getattr(patient, name)) for name in PERSON}

    answer = sign_in(nurse).post(
        address("patient-amend", patient), data | {"version": version}
    )

    assert answer.status_code == 409


# import


def upload(client, content, name="a.json"):
    file = SimpleUploadedFile(name, content)
    return client.post(reverse("patient-import"), {"file": file})


def test_a_bundle_is_imported_in_the_browser_by_who_sends_it(sign_in, nurse):
    client = sign_in(nurse)
    content = json.dumps(everything(), default=float).encode()

    first, again = upload(client, content), upload(client, gzip.compress(content))

    assert "created 1 patient, 1 weight" in first.text
    assert "states no risk factor" in first.text
    assert "created nothing; unchanged 1 patient" in again.text
    assert Patient.objects.get().created_by == nurse


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\x1f\x8b", b'{"resourceType": "Patient"}']
)
def test_a_file_that_cannot_be_imported_is_refused_in_words(sign_in, nurse, content):
    answer = upload(sign_in(nurse), content)

    assert answer.status_code == 422
    assert not Patient.objects.exists()


def test_an_import_without_a_file_is_refused(sign_in, nurse):
    assert sign_in(nurse).post(reverse("patient-import")).status_code == 422


def test_only_those_who_may_record_patients_import(sign_in, auditor, admin):
    content = json.dumps(everything(), default=float).encode()

    for user in (auditor, admin):
        assert upload(sign_in(user), content).status_code == 403
        assert sign_in(user).get(reverse("patient-import")).status_code == 403
    assert not Patient.objects.exists()
