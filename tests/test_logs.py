"""A log says where a fault happened and of what kind, never with whose values."""

import io
import logging
import sys

import pytest
from django.urls import reverse

from ivig_clinic.logs import WithoutValues
from sessions.models import Patient
from sessions.services import assessments
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running
from tests.factories.moments import ago

NAME = "".join(("Quill", "feather"))  # in no line of the code


def console() -> logging.Handler:
    """The server's own handler, among those that pytest adds."""
    handlers = logging.getLogger().handlers
    return next(each for each in handlers if isinstance(each.formatter, WithoutValues))


@pytest.fixture
def logged(monkeypatch):
    """What the server would write to its log."""
    monkeypatch.setattr(console(), "stream", io.StringIO())
    return console().stream


@pytest.fixture
def session(clinic, nurse, prescriber):
    made = make_running(clinic, nurse, prescriber, at=ago(20))
    Patient.objects.update(family_name=NAME)
    return made


def fails(*_given, **_named):
    raise RuntimeError(f"a fault with {Patient.objects.first().family_name}")


def test_a_fault_of_a_page_names_the_place_and_not_the_patient(
    session, nurse, sign_in, monkeypatch, logged
):
    monkeypatch.setattr("sessions.views.infusions.full_screen", fails)
    browser = sign_in(nurse)
    browser.raise_request_exception = False
    address = reverse("infusion-detail", args=[session.pk])

    assert browser.get(address).status_code == 500
    assert f"ERROR django.request Internal Server Error: {address}" in logged.getvalue()
    assert "in fails\n" in logged.getvalue()
    assert NAME not in logged.getvalue()


def test_a_rule_that_fails_names_the_place_and_not_the_patient(
    session, nurse, monkeypatch, logged
):
    monkeypatch.setattr(assessments, "assess", fails)
    record_vitals(session=session, reading=NORMAL, by=by(nurse, ago(0)))

    assert "a rule failed" in logged.getvalue()
    assert "in fails\n" in logged.getvalue()
    assert NAME not in logged.getvalue()


def written(fault) -> str:
    """What the server's formatter makes of a fault, after another has formatted it."""
    try:
        fault()
    except BaseException:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "said", (), sys.exc_info()
        )
    assert NAME in logging.Formatter().format(record)
    return WithoutValues("{levelname} {message}", style="{").format(record)


def plain():
    raise ValueError(NAME)


def led_to():
    try:
        plain()
    except ValueError as fault:
        raise KeyError(NAME) from fault


def met_another():
    try:
        led_to()
    except KeyError:
        raise RuntimeError(NAME)  # noqa: B904 (what is tried here)


def hidden():
    try:
        plain()
    except ValueError:
        raise RuntimeError(NAME) from None


def together():
    raise ExceptionGroup(NAME, [KeyError(NAME), TypeError(NAME)])


def noted():
    fault = ValueError(NAME)
    fault.add_note(NAME)
    raise fault


def in_a_circle():
    one, two = ValueError(NAME), KeyError(NAME)
    one.__cause__, two.__cause__ = two, one
    raise one


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        (plain, ["ValueError"]),
        (led_to, ["ValueError", "KeyError"]),
        (met_another, ["ValueError", "KeyError", "RuntimeError"]),
        (hidden, ["RuntimeError"]),
        (together, ["KeyError", "TypeError", "ExceptionGroup"]),
        (noted, ["ValueError"]),
        (in_a_circle, ["KeyError", "ValueError"]),
    ],
)
def test_kinds_and_places_are_told_in_order_and_no_message(fault, kinds):
    lines = written(fault)

    assert NAME not in lines
    said = [f"builtins.{kind} (message not logged)" for kind in kinds]
    assert [each for each in lines.splitlines() if "not logged" in each] == said
    assert f"in {fault.__name__}\n" in lines
    assert lines.startswith("ERROR said\n")


def test_what_gunicorn_says_of_a_request_goes_the_same_way():
    ours = logging.getLogger("gunicorn.error")

    assert console() in ours.handlers
    assert not ours.propagate
