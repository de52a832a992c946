"""What waited for the line is saved once, as of its press, under the same rules."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from sessions.models import (
    Flag,
    FlagEvent,
    GivenMedicine,
    RateChange,
    Reaction,
    ReactionOutcome,
    VitalSigns,
)
from sessions.services.rates import Reason, pause
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running
from tests.factories.moments import ago
from tests.factories.rates import make_rate
from tests.factories.reactions import make_medicine
from tests.factories.vitals import make_vitals
from tests.views.test_vitals import TYPED

pytestmark = pytest.mark.django_db
LATE = 'class="warn">late entry, '
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "visit-acts"}


@pytest.fixture
def running(clinic, nurse, prescriber):
    """Thirty-one minutes on the second step, 43.2 mL/h, with a fresh set."""
    session = make_running(clinic, nurse, prescriber, at=ago(61))
    make_rate(session, nurse, ago(31), "step", "43.2", step=2)
    make_vitals(session, nurse, ago(20))
    return session


@pytest.fixture
def send(running, nurse, sign_in):
    client = sign_in(nurse)

    def post(path, **values):
        data = {"submission_key": str(uuid.uuid4())} | values
        return client.post(f"/infusions/{running.pk}/{path}/", data, **HTMX)

    return post


def pressed(minutes: float) -> str:
    """A moment so many minutes ago, as the page writes it."""
    return ago(minutes).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_near(moment, minutes: float) -> bool:
    return abs(moment - ago(minutes)) < timedelta(seconds=5)


def flagged(running, nurse) -> Flag:
    return record_vitals(
        session=running,
        reading=NORMAL | {"systolic_mmhg": 104},
        by=by(nurse, ago(9)),
    ).flag


def test_a_set_stands_at_its_press_and_was_recorded_now(send, running):
    answer = send("vitals", **TYPED, pressed_at=pressed(5))

    row = VitalSigns.objects.latest("pk")
    assert answer.status_code == 200
    assert is_near(row.event_time, 5)
    assert is_near(row.recorded_at, 0)
    assert LATE not in answer.content.decode()


def test_a_set_that_waited_longer_than_the_limit_is_a_late_entry(send, running):
    answer = send("vitals", **TYPED, pressed_at=pressed(16))

    assert is_near(VitalSigns.objects.latest("pk").event_time, 16)
    assert LATE in answer.content.decode()


def test_a_typed_time_goes_before_the_moment_of_the_press(send, clinic):
    typed = ago(12).astimezone(clinic.zone).strftime("%Y-%m-%dT%H:%M%z")

    send("vitals", **TYPED, event_time=typed, pressed_at=pressed(5))

    assert abs(VitalSigns.objects.latest("pk").event_time - ago(12)) < timedelta(
        minutes=1, seconds=5
    )


def test_the_answer_that_was_lost_is_found_by_the_entry_sent_again(send):
    key = str(uuid.uuid4())
    send("vitals", **TYPED, submission_key=key)
    count = VitalSigns.objects.count()

    answer = send("vitals", **TYPED, submission_key=key, pressed_at=pressed(5))

    assert answer.status_code == 200
    assert VitalSigns.objects.count() == count


@pytest.mark.parametrize(
    "moment",
    [
        "2999-01-01T00:00:00Z",
        "2020-01-01T00:00:00Z",
        "2026-03-02T10:44",
        "yesterday",
        "2026-03-02T10:44:00+05:00",
        "2026-13-02T10:44:00Z",
        "\x00",
    ],
)
def test_a_moment_that_nobody_could_type_is_refused_and_the_set_kept(send, moment):
    count = VitalSigns.objects.count()

    answer = send("vitals", **TYPED, pressed_at=moment)

    assert answer.status_code == 422
    assert 'value="126"' in answer.content.decode()
    assert VitalSigns.objects.count() == count


def test_a_refused_set_keeps_the_moment_of_its_press(send):
    moment = pressed(5)

    page = send("vitals", **TYPED | {"pulse": "abc"}, pressed_at=moment).content

    assert f'name="pressed_at" value="{moment}"'.encode() in page


def test_a_pause_stands_at_its_press_and_gives_no_volume_since(send, running):
    answer = send(
        "rate/pause",
        read_back="on",
        reason_code="away",
        version=running.version,
        pressed_at=pressed(5),
    )

    row = RateChange.objects.latest("pk")
    assert answer.status_code == 200
    assert (row.kind, is_near(row.event_time, 5)) == ("pause", True)
    # 30 min at 21.6 and 26 min at 43.2 mL/h
    assert "29.5 of" in answer.content.decode()


def test_a_late_pause_is_called_a_late_entry(send, running):
    send("rate/pause", read_back="on", reason_code="away", pressed_at=pressed(16))

    page = send("rate/stop", read_back="on", reason_code="away").content.decode()

    assert page.count(LATE) == 1


def test_a_pause_from_before_the_last_change_is_refused(send, running):
    answer = send(
        "rate/pause", read_back="on", reason_code="away", pressed_at=pressed(32)
    )

    assert answer.status_code == 422
    assert "later change of rate" in answer.content.decode()


def test_a_page_a_few_seconds_behind_still_pauses_what_it_started(send, running, nurse):
    make_rate(running, nurse, ago(0), "reduce", "21.6", step=1)

    answer = send(
        "rate/pause", read_back="on", reason_code="away", pressed_at=pressed(0.05)
    )

    rows = list(RateChange.objects.order_by("event_time", "pk"))
    assert answer.status_code == 200
    assert rows[-1].kind == "pause"
    assert rows[-1].event_time >= rows[-2].event_time


def test_what_somebody_else_did_meanwhile_is_shown_and_not_overwritten(
    send, running, colleague
):
    seen = running.version
    pause(
        session=running,
        by=by(colleague, ago(3)),
        read_back=True,
        reason=Reason(code="patient"),
    )

    answer = send(
        "rate/reduce",
        read_back="on",
        reason_code="vitals",
        rate_ml_per_h="21.6",
        version=seen,
        pressed_at=pressed(5),
    )

    assert answer.status_code == 409
    assert "It now runs at 0 mL/h" in answer.content.decode()
    assert RateChange.objects.latest("pk").kind == "pause"


def test_a_step_that_waited_is_taken_as_of_its_press(send, running):
    answer = send(
        "vitals",
        **TYPED,
        step_up_to="86.4",
        version=running.version,
        pressed_at=pressed(0.5),
    )

    row = RateChange.objects.latest("pk")
    assert answer.status_code == 200
    assert (row.kind, is_near(row.event_time, 0.5)) == ("step", True)


def test_a_step_pressed_before_its_time_was_over_is_not_taken(send, running):
    answer = send("vitals", **TYPED, step_up_to="86.4", pressed_at=pressed(3))

    assert answer.status_code == 200
    assert "the step was not taken" in answer.content.decode()
    assert RateChange.objects.filter(kind="step").count() == 1


def test_a_flag_answered_offline_is_answered_then_and_rechecked_from_then(
    send, running, nurse
):
    flag = flagged(running, nurse)

    answer = send(
        f"flags/{flag.pk}/answer", action="pause", read_back="on", pressed_at=pressed(5)
    )

    event = FlagEvent.objects.get(flag=flag, kind="answered")
    assert answer.status_code == 200
    assert is_near(event.event_time, 5)
    assert is_near(RateChange.objects.latest("pk").event_time, 5)
    asked = flag.recheck_minutes or 15
    assert event.recheck_at - event.event_time == timedelta(minutes=asked)


def test_a_reaction_begins_at_its_press_unless_an_onset_was_typed(send, running):
    answer = send(
        "reactions",
        **{"r-headache": "mild"},
        do="pause",
        pressed_at=pressed(5),
    )

    row = Reaction.objects.latest("pk")
    assert answer.status_code == 200
    assert is_near(row.event_time, 5)
    assert is_near(RateChange.objects.latest("pk").event_time, 5)
    assert row.recorded_at - timezone.now() < timedelta(seconds=5)


def test_a_call_an_outcome_and_a_dose_stand_at_their_press(
    send, running, nurse, prescriber
):
    flag = flagged(running, nurse)
    send("reactions", **{"r-headache": "mild"}, do="pause", pressed_at=pressed(8))
    reaction = Reaction.objects.latest("pk")
    medicine = make_medicine(running, prescriber)

    answers = [
        send(f"flags/{flag.pk}/call", who="Ingrid", pressed_at=pressed(6)),
        send(
            f"reactions/{reaction.pk}/outcome", kind="resolved", pressed_at=pressed(5)
        ),
        send(f"medicines/{medicine.pk}/give", pressed_at=pressed(4)),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    call = FlagEvent.objects.get(action="call")
    rows = [call, ReactionOutcome.objects.get(), GivenMedicine.objects.get()]
    for row, minutes in zip(rows, (6, 5, 4), strict=True):
        assert is_near(row.event_time, minutes)
        assert is_near(row.recorded_at, 0)


def test_no_outcome_stands_before_its_reaction(send, running):
    send("reactions", **{"r-headache": "mild"}, do="pause", pressed_at=pressed(5))
    reaction = Reaction.objects.latest("pk")

    answer = send(
        f"reactions/{reaction.pk}/outcome", kind="resolved", pressed_at=pressed(6)
    )

    assert answer.status_code == 422
    assert "The outcome lies before the onset." in answer.content.decode()


def test_a_form_that_cannot_wait_takes_no_moment(send, running):
    answer = send("vials", lot="1", pressed_at=pressed(5))

    assert b"Unknown field: pressed_at" in answer.content
