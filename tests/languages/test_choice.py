"""Screens speak their reader's language, the record the clinic's."""

from decimal import Decimal

import pytest
from django.test import Client
from django.utils import translation

from sessions.rules.bodies import weight_questions
from sessions.services.acts import Refused, act
from sessions.services.medicines import give
from sessions.services.orders import hold_order
from sessions.services.rates import step_up
from sessions.services.vitals import record_vitals
from sessions.views.screens import all_chips
from tests.factories.infusions import NORMAL, by, make_running, minutes
from tests.factories.rates import make_rate
from tests.factories.reactions import make_medicine

pytestmark = pytest.mark.django_db


def german(user):
    user.own_language = "de"
    user.save()
    return user


def low_pressure(session, user):
    return record_vitals(
        session=session,
        reading=NORMAL | {"systolic_mmhg": 96},
        by=by(user, minutes(105)),
    ).flag


@pytest.fixture
def running(clinic, nurse, prescriber):
    session = make_running(clinic, nurse, prescriber)
    make_rate(session, nurse, minutes(30), "step", "43.2", step=2)
    return session


def test_before_signing_in_the_browser_is_asked(clinic):
    page = Client().get("/sign-in/", headers={"Accept-Language": "de-AT,de;q=0.9"})

    assert 'lang="de"' in page.content.decode()
    assert "Anmelden" in page.content.decode()
    assert page["Content-Language"] == "de"


def test_a_browser_of_an_unknown_language_reads_english(clinic):
    page = Client().get("/sign-in/", headers={"Accept-Language": "fi"})

    assert 'lang="en-gb"' in page.content.decode()


def test_a_user_without_a_choice_reads_the_clinics_language(sign_in, nurse):
    nurse.clinic.language = "de"
    nurse.clinic.save()

    page = sign_in(nurse).get("/board/", headers={"Accept-Language": "en"})

    assert 'lang="de"' in page.content.decode()


def test_a_user_chooses_a_language(sign_in, nurse):
    browser = sign_in(nurse)
    browser.post("/me/", {"theme": "", "language": "de"})

    page = browser.get("/me/").content.decode()

    nurse.refresh_from_db()
    assert nurse.own_language == "de"
    assert 'lang="de"' in page


def test_the_record_is_kept_in_the_clinics_language(running, nurse):
    """A German screen in an English clinic writes an English flag."""
    with translation.override("de"):
        flag = low_pressure(running, german(nurse))

    assert flag.headline == "Systolic fell 32 mmHg, 128 → 96"


def test_a_german_clinic_keeps_german(running, nurse):
    nurse.clinic.language = "de"
    nurse.clinic.save()

    flag = low_pressure(running, nurse)

    assert "ystolisch" in flag.headline
    assert "fell" not in flag.headline
    assert flag.headline.endswith("128 → 96")


def test_a_question_is_asked_whole(db):
    with translation.override("de"):
        asked = weight_questions(
            Decimal(80),
            years=40,
            last_kg=Decimal(72),
            height_cm=None,
            most_change_percent=Decimal(10),
        )

    assert asked == ["80 kg, zuletzt 72 kg: 11.1 % mehr."]


def test_a_refusal_is_worded_for_its_reader(clinic, nurse):
    with translation.override("de"):
        with (
            pytest.raises(Refused) as refused,
            act("patient.weigh", by=by(nurse, minutes(1))),
        ):
            raise Refused("There is already a chair {name}.", name="07")
        words = refused.value.message

    assert words != "There is already a chair 07."
    assert "07" in words
    assert refused.value.message == "There is already a chair 07."


@pytest.mark.in_utc
def test_words_inside_a_refusal_are_said_for_its_reader_too(running, nurse, prescriber):
    medicine = make_medicine(running, prescriber)
    give(session=running, ordered=medicine, by=by(nurse, minutes(40)))
    hold_order(order=running.order, reason="fever", by=by(prescriber, minutes(41)))
    again = (
        lambda: give(session=running, ordered=medicine, by=by(nurse, minutes(42))),
        lambda: hold_order(
            order=running.order, reason="fever", by=by(prescriber, minutes(42))
        ),
        lambda: step_up(
            running,
            to_ml_per_h=Decimal("86.4"),
            read_back=True,
            by=by(nurse, minutes(42)),
        ),
    )

    said = []
    with translation.override("de"):
        for do in again:
            with pytest.raises(Refused) as refused:
                do()
            said.append(refused.value.message)

    assert said == [
        "Paracetamol: nächste Dosis ab 13:52 (240 min zwischen Dosen).",
        "Status dieser Verordnung: Zurückgestellt; das ist jetzt nicht möglich.",
        "Die Mindestzeit auf dieser Stufe ist nicht vorbei.",
    ]


@pytest.mark.parametrize("word", ["Herzrasen", "herzr", "racing heart"])
def test_a_reaction_is_found_by_its_words_in_either_language(word):
    with translation.override("de"):
        found = all_chips({}, word)

    assert [each["legend"] for each in found] == ["Schneller Puls, Palpitationen"]
