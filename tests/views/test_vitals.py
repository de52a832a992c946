"""The vitals form: strict in what it takes, whole in what it answers."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.models import Flag, FlagEvent, InfusionSession, VitalSigns
from tests.factories.infusions import make_running
from tests.factories.moments import ago
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "visit-acts"}
TYPED = {
    "systolic_mmhg": "126",
    "diastolic_mmhg": "76",
    "pulse": "78",
    "respiratory_rate": "16",
    "spo2": "98",
    "temperature": "36.8",
    "consciousness": "A",
    "oxygen": "air",
    "spo2_scale": "1",
}


@pytest.fixture
def running(clinic, nurse, prescriber):
    """On its fourth step for fifteen minutes, with sets on the way."""
    session = make_running(clinic, nurse, prescriber, at=ago(105))
    make_rate(session, nurse, ago(75), "step", "43.2", step=2)
    make_rate(session, nurse, ago(45), "step", "86.4", step=3)
    make_rate(session, nurse, ago(15), "step", "172.8", step=4)
    make_vitals(session, nurse, ago(90))
    make_vitals(session, nurse, ago(15))
    return session


@pytest.fixture
def send(running, nurse, sign_in):
    client = sign_in(nurse)

    def post(headers=HTMX, **values):
        data = TYPED | {"submission_key": str(uuid.uuid4())} | values
        data = {name: value for name, value in data.items() if value is not None}
        return client.post(f"/infusions/{running.pk}/vitals/", data, **headers)

    return post


def text(answer) -> str:
    return answer.content.decode()


def test_the_answer_holds_the_saved_values_and_every_region(send):
    answer = send()

    assert answer.status_code == 200
    page = text(answer)
    for region in ("visit-now", "visit-acts", "visit-evidence"):
        assert page.count(f'id="{region}"') == 1
    assert "126/76" in page
    assert VitalSigns.objects.count() == 4


def test_the_flag_comes_with_the_answer_that_confirms_the_save(send):
    page = text(send(systolic_mmhg="104"))

    assert "104/76" in page
    assert 'role="alert"' in page
    assert "Systolic fell 24 mmHg, 128 → 104" in page
    assert "Protocol 2026-1, rule V-09, calls for 172.8 → 86.4 mL/h" in page
    assert "fall of 20 mmHg or more" in page
    assert "Pump shows 86.4 mL/h" in page


def test_without_script_the_page_comes_back_after_a_redirect(send, running):
    answer = send(headers={})

    assert answer.status_code == 302
    assert answer["Location"] == f"/infusions/{running.pk}/"


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("systolic_mmhg", "1280", "at most 999"),
        ("systolic_mmhg", "310", "Systolic 310: at most 300"),
        ("pulse", "7_8", "without underscores"),
        ("pulse", "7e1", "without an exponent"),
        ("pulse", "７８", "digits 0 to 9"),
        ("pulse", "78.5", "whole number"),
        ("temperature", "36,8", "point for decimals"),
        ("temperature", "36.85", "at most 1"),
        ("temperature", "98.6", "Did you mean °F? 98.6 °F is 37.0 °C"),
        ("spo2", "101", "at most 100"),
        ("systolic_mmhg", "70", "Are they swapped?"),
        ("diastolic_mmhg", "", "two values"),
        ("event_time", "2199-01-01T10:00", "1900 to"),
        ("event_time", "2099-01-01T10:00", "future"),
        ("event_time", "10:00", "YYYY-MM-DDTHH:MM"),
        ("pain", "11", "at most 10"),
        ("surprise", "1", "Unknown field"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_kept(send, field, typed, words):
    given = {field: typed}
    if field == "event_time" and typed.startswith("2199"):
        words = "between 1900"

    answer = send(**given)

    assert answer.status_code == 422
    page = text(answer)
    assert words.replace("'", "&#x27;") in page
    assert VitalSigns.objects.count() == 3
    if field != "surprise":
        assert f'value="{typed}"' in page or not typed


def test_an_implausible_value_is_asked_about_and_taken_when_confirmed(send):
    asked = send(pulse="180")

    assert asked.status_code == 422
    page = text(asked)
    assert "Pulse 180, last 76. Is this right?" in page
    token = page.split('name="confirmed" value="')[1].split('"')[0]
    saved = send(pulse="180", confirmed=token)
    assert saved.status_code == 200
    assert VitalSigns.objects.latest("pk").confirmed_implausible


def test_a_confirmation_counts_only_for_the_value_it_was_asked_about(send):
    page = text(send(pulse="180"))
    token = page.split('name="confirmed" value="')[1].split('"')[0]

    assert send(pulse="185", confirmed=token).status_code == 422


def test_a_partial_set_says_why(send):
    assert send(pulse="").status_code == 422

    answer = send(pulse="", respiratory_rate="", partial_reason="device")

    assert answer.status_code == 200
    assert VitalSigns.objects.latest("pk").partial_reason == "device"
    for words in (
        "partial: Device not at hand or faulty",
        "missing: respiratory rate, pulse",
        "Not measured: pulse, respiratory rate",
    ):
        assert words in " ".join(text(answer).split())
    assert "missing: respiratory_rate" not in text(answer)


def test_nothing_at_all_is_no_set(send):
    empty = dict.fromkeys(TYPED, "")

    assert send(**empty).status_code == 422


def test_a_fahrenheit_clinic_types_fahrenheit(send, clinic):
    type(clinic).objects.update(temperature_unit="[degF]")

    assert "Did you mean °F" in text(send(temperature="36.8"))
    send(temperature="98.6")

    row = VitalSigns.objects.latest("pk")
    assert str(row.temperature_c) == "37.0"
    assert row.temperature_as_typed == "98.6 °F"


def test_the_same_submission_twice_is_one_set(send):
    key = str(uuid.uuid4())

    first, second = send(submission_key=key), send(submission_key=key)

    assert (first.status_code, second.status_code) == (200, 200)
    assert "kept once" in text(second)
    assert VitalSigns.objects.count() == 4


def test_the_same_key_with_other_values_is_refused(send):
    key = str(uuid.uuid4())
    send(submission_key=key)

    answer = send(submission_key=key, pulse="90")

    assert answer.status_code == 409
    assert "data-notice" in text(answer)


@pytest.mark.parametrize("who", ["prescriber", "pharmacist", "admin", "auditor"])
def test_only_nurses_chart(running, sign_in, request, who):
    client = sign_in(request.getfixturevalue(who))

    answer = client.post(f"/infusions/{running.pk}/vitals/", TYPED, **HTMX)

    assert answer.status_code == 403


def test_another_clinics_visit_does_not_exist(running, sign_in, stranger):
    answer = sign_in(stranger).post(f"/infusions/{running.pk}/vitals/", TYPED, **HTMX)

    assert answer.status_code == 404
    assert running.patient.family_name not in text(answer)


def test_signed_out_nothing_is_lost_in_a_panel(running, client):
    answer = client.post(f"/infusions/{running.pk}/vitals/", TYPED, **HTMX)

    assert answer.status_code == 401
    assert "signed out" in text(answer)


def counted(send, **values) -> int:
    with CaptureQueriesContext(
        connection,
    ) as caught:
        assert send(**values).status_code == 200
    ignored = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
    return len(
        [
            query
            for query in caught.captured_queries
            if not query["sql"].upper().startswith(ignored)
        ]
    )


def test_a_save_costs_at_most_fourteen_statements(send):
    send()  # the protocol is read once for each process

    quiet = counted(send)
    flagged = counted(send, systolic_mmhg="104")
    seen_again = counted(send, systolic_mmhg="104")
    worse = counted(send, systolic_mmhg="96")

    assert quiet <= 12
    assert max(flagged, seen_again, worse) <= 14


def test_the_number_of_statements_does_not_grow_with_the_visit(send, running, nurse):
    send()
    before = counted(send)
    for minute in range(30):
        make_vitals(running, nurse, ago(60 + minute))

    assert counted(send) == before


def test_save_and_step_up_is_one_press(send, running):
    InfusionSession.objects.filter(pk=running.pk).update(version=3)
    rung = running.start.plan["rungs"][4]["pump_ml_per_h"]

    early = send(step_up_to=rung, version="3")

    page = text(early)
    assert "the step was not taken" in page
    assert VitalSigns.objects.count() == 4


def test_a_correction_is_a_new_set_and_the_old_one_stays_readable(
    send, running, nurse, client
):
    send(systolic_mmhg="104")
    wrong = VitalSigns.objects.latest("pk")
    address = f"/infusions/{running.pk}/vitals/{wrong.pk}/correct/"

    form = client.get(address)
    assert 'value="104"' in text(form)
    refused = client.post(address, TYPED | {"submission_key": str(uuid.uuid4())})
    assert refused.status_code == 422
    saved = client.post(
        address,
        TYPED
        | {"correction_reason": "104 for 124", "submission_key": str(uuid.uuid4())},
    )

    assert saved.status_code == 302
    page = text(client.get(f"/infusions/{running.pk}/"))
    assert "104 for 124" in page
    assert "104/76" in page
    assert Flag.objects.count() == 1
    assert FlagEvent.objects.filter(kind="closed").count() == 1


def test_a_set_of_another_patient_is_withdrawn_with_a_reason(send, running, client):
    send(systolic_mmhg="104")
    wrong = VitalSigns.objects.latest("pk")
    address = f"/infusions/{running.pk}/vitals/{wrong.pk}/withdraw/"

    assert client.post(address, {"correction_reason": ""}).status_code == 422
    assert client.post(address, {"correction_reason": "chair 4's"}).status_code == 302

    page = text(client.get(f"/infusions/{running.pk}/"))
    assert "chair 4&#x27;s" in page
    assert 'id="flag-' not in page


def test_a_refused_step_shows_nothing_that_was_not_saved(running, nurse, sign_in):
    make_rate(running, nurse, ago(14), "reduce", "43.2", step=2)
    client = sign_in(nurse)
    data = TYPED | {
        "systolic_mmhg": "121",
        "step_up_to": "86.4",
        "version": "77",
        "submission_key": str(uuid.uuid4()),
    }

    answer = client.post(f"/infusions/{running.pk}/vitals/", data)

    assert answer.status_code == 409
    assert "121/76" not in text(answer)
    assert 'value="121"' in text(answer)
    assert VitalSigns.objects.count() == 3


def test_a_correction_keeps_the_time_to_the_second(send, running, client):
    send()
    first = VitalSigns.objects.latest("pk")
    address = f"/infusions/{running.pk}/vitals/{first.pk}/correct/"
    shown = client.get(address).context["form"].initial["event_time"]

    client.post(
        address,
        TYPED
        | {
            "pulse": "80",
            "event_time": shown,
            "correction_reason": "typed wrongly",
            "submission_key": str(uuid.uuid4()),
        },
    )

    second = VitalSigns.objects.latest("pk")
    assert (second.supersedes, second.event_time) == (first, first.event_time)


def test_a_set_for_a_visit_that_was_discharged_meanwhile_is_not_swapped_away(
    send, running
):
    visits = InfusionSession.objects.filter(pk=running.pk)
    visits.update(stage="observing")
    visits.update(stage="discharged", outcome="completed")

    answer = send()

    # 409 leaves the form and its typing where they are, and says why.
    assert answer.status_code == 409
    assert "between check-in and discharge" in text(answer)
