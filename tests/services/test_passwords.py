"""Passwords made of what everybody here knows are refused; other words are welcome."""

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.urls import reverse

from sessions.models import Clinic, User
from sessions.services.passwords import KnownHereValidator
from tests.conftest import PASSWORD

CLINIC = Clinic(
    name="Riverside Infusion", code="riverside", password_words="Elm Street, dragons"
)


@pytest.mark.parametrize(
    "password",
    [
        "riverside2026!!",
        "Riverside-Infusion-1",
        "elmstreet12345",
        "DRAGONS dragons dragons",
        "ivig clinic 2026",
        "Privigen10Privigen",
        "my riverside 1",
    ],
)
def test_words_everybody_here_knows_are_refused(password):
    with pytest.raises(ValidationError, match="knows this clinic"):
        KnownHereValidator().validate(password, User(clinic=CLINIC))


@pytest.mark.parametrize(
    "password",
    [
        "four quiet green hills",
        "correct horse battery",
        "two dragons over the river bank",
        "12345678901234",  # refused as common, elsewhere
    ],
)
def test_other_words_pass_also_beside_them(password):
    KnownHereValidator().validate(password, User(clinic=CLINIC))


def test_a_new_server_knows_at_least_its_own_words():
    with pytest.raises(ValidationError):
        validate_password("infusion clinic", User())


def test_an_admin_adds_words_and_a_nurse_cannot_use_them(sign_in, admin, nurse):
    client = sign_in(admin)
    page = client.get(reverse("settings"))
    form = page.context["form"]
    answer = client.post(
        reverse("settings"),
        {
            **{name: value for name, value in form.initial.items() if value},
            "password_words": "quillfeather, nightjarrow",
            "version": page.context["version"],
            "submission_key": form.key,
        },
    )
    assert answer.status_code == 302
    client = sign_in(nurse)
    address = reverse("own-password")
    chosen = "Quillfeather Nightjarrow"

    answer = client.post(address, {"old": PASSWORD, "new": chosen, "again": chosen})

    assert answer.status_code == 422
    assert "knows this clinic" in answer.content.decode()
    nurse.refresh_from_db()
    assert nurse.check_password(PASSWORD)
