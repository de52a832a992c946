"""Acts on the rate from the session page."""

import uuid

import pytest

from sessions.models import InfusionSession, RateChange, Signature
from tests.conftest import PASSWORD
from tests.factories.infusions import make_running
from tests.factories.moments import ago
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals
from tests.reading import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "visit-acts"}


@pytest.fixture
def running(clinic, nurse, prescriber):
    """Thirty-one minutes on the second step, 43.2 mL/h, with a fresh set."""
    session = make_running(clinic, nurse, prescriber, at=ago(61))
    make_rate(session, nurse, ago(31), "step", "43.2", step=2)
    make_vitals(session, nurse, ago(2))
    return session


@pytest.fixture
def send(running, nurse, sign_in):
    client = sign_in(nurse)

    def post(act, headers=HTMX, **values):
        data = {"submission_key": str(uuid.uuid4()), "read_back": "on"} | values
        return client.post(f"/infusions/{running.pk}/rate/{act}/", data, **headers)

    return post


def rate_now(session) -> str:
    last = RateChange.objects.filter(session=session).latest("event_time", "pk")
    return f"{last.rate_ml_per_h.normalize():f}"


def test_reduce_answers_with_the_new_rate_everywhere(send, running):
    answer = send("reduce", rate_ml_per_h="21.6", reason_code="vitals")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert '<p class="big">21.6 <span class="unit">mL/h</span></p>' in page
    assert 'id="visit-now" hx-swap-oob="true"' in page
    assert rate_now(running) == "21.6"


def test_a_step_up_by_hand_follows_the_same_rules(send, running):
    assert send("step", rate_ml_per_h="86.4").status_code == 200
    assert send("step", rate_ml_per_h="172.8").status_code == 422
    assert rate_now(running) == "86.4"


def test_a_rate_that_was_not_sent_is_not_nought(send, running):
    answer = send("reduce", reason_code="vitals")

    assert answer.status_code == 422
    assert "Say to which rate" in answer.content.decode()
    assert rate_now(running) == "43.2"


def test_pause_and_resume(send, running):
    paused = send("pause", reason_code="away").content.decode()
    assert "After a reaction the protocol pauses for 30 min" in paused
    assert "pause 15 to 30 minutes; the longer end" in paused  # where it comes from
    refused = send("resume", rate_ml_per_h="43.2")

    assert refused.status_code == 422
    assert "Choose a reason" in refused.content.decode()
    assert send("resume", rate_ml_per_h="21.6").status_code == 200
    assert rate_now(running) == "21.6"


def test_stop_goes_on_to_observation(send, running):
    assert send("stop", reason_code="reaction").status_code == 200
    assert InfusionSession.objects.get().stage == "observing"


@pytest.mark.parametrize("act", ["reduce", "pause", "stop"])
def test_an_act_by_hand_without_reason_or_read_back_changes_nothing(send, running, act):
    assert send(act, rate_ml_per_h="21.6").status_code == 422
    assert send(act, rate_ml_per_h="21.6", read_back="", reason_code="line").status_code
    assert rate_now(running) == "43.2"


def test_a_stale_screen_is_refused_with_both_versions(send, running):
    send("pause", reason_code="line", version="1")

    answer = send("resume", rate_ml_per_h="21.6", version="1")

    assert answer.status_code == 409
    assert "your screen shows 1" in answer.content.decode()
    assert rate_now(running) == "0"


def test_the_same_press_twice_is_one_change(send, running):
    key = str(uuid.uuid4())
    given = {"submission_key": key, "rate_ml_per_h": "21.6", "reason_code": "line"}

    assert send("reduce", **given).status_code == 200
    assert send("reduce", **given).status_code == 200
    assert RateChange.objects.filter(kind="reduce").count() == 1


def test_an_unknown_act_does_not_exist(send):
    assert send("double").status_code == 404


@pytest.mark.parametrize("who", ["prescriber", "pharmacist", "admin", "auditor"])
def test_only_nurses_change_the_rate(running, sign_in, request, who):
    client = sign_in(request.getfixturevalue(who))

    answer = client.post(f"/infusions/{running.pk}/rate/pause/", {}, **HTMX)

    assert answer.status_code == 403


def override(client, session, **values):
    data = {
        "rate_ml_per_h": "400",
        "reason_text": "tolerated for years",
        "password": PASSWORD,
        "submission_key": str(uuid.uuid4()),
    } | values
    return client.post(f"/infusions/{session.pk}/rate/override/", data, **HTMX)


def test_a_prescriber_signs_above_the_ceiling(running, prescriber, sign_in):
    client = sign_in(prescriber)

    wrong = override(client, running, password="guess")
    right = override(client, running)

    assert wrong.status_code == 422
    assert "not your password" in wrong.content.decode()
    assert "guess" not in wrong.content.decode()
    assert right.status_code == 200
    assert Signature.objects.get().signed_name == prescriber.name


def test_a_nurse_has_no_way_above_the_ceiling(running, nurse, sign_in, send):
    assert override(sign_in(nurse), running).status_code == 403
    assert send("step", rate_ml_per_h="400").status_code == 409
    assert rate_now(running) == "43.2"


class TestCorrection:
    """What was written down wrongly; the form stands under the list of changes."""

    why = {"correction_reason": "read off the pump's log"}

    def address(self, running, act="correct", kind="step"):
        row = RateChange.objects.get(session=running, kind=kind, supersedes=None)
        return f"/infusions/{running.pk}/rate/{row.pk}/{act}/"

    @pytest.fixture
    def http(self, sign_in, nurse):
        return sign_in(nurse)

    def test_the_form_shows_what_was_written_down(self, http, running):
        page = http.get(self.address(running))

        assert "21.6 → 43.2 mL/h" in page.content.decode()
        assert page.context["form"].initial["rate_ml_per_h"] == "43.2"

    def test_another_rate_counts_and_the_first_is_struck_through(self, http, running):
        page = http.get(self.address(running))
        time = page.context["form"].initial["event_time"]
        data = self.why | {"rate_ml_per_h": "32.4", "event_time": time}

        answer = http.post(self.address(running), data)

        assert answer.url == f"/infusions/{running.pk}/"
        first, second = RateChange.objects.filter(session=running, kind="step")
        assert second.event_time == first.event_time
        for url in (answer.url, f"/infusions/{running.pk}/record/"):
            shown = tight(http.get(url).content.decode())
            struck = [row for row in shown.split("<tr") if "superseded" in row[:40]]
            assert len(struck) == 1, url
            assert "43.2" in struck[0]
            assert "replaced" in struck[0]
            assert "read off the pump" in struck[0]
            assert "32.4" in shown
        assert rate_now(running) == "32.4"

    def test_a_withdrawn_step_is_gone_from_the_now_bar(self, http, running):
        answer = http.post(self.address(running, "withdraw"), self.why)

        page = http.get(answer.url).content.decode()
        assert '<p class="big">21.6 <span class="unit">mL/h</span></p>' in page

    def test_the_start_has_neither_a_time_to_change_nor_a_withdrawal(
        self, http, running
    ):
        context = http.get(self.address(running, kind="start")).context

        assert "event_time" not in context["form"].fields
        assert context["withdraw"] is None

    def test_a_rate_above_the_ceiling_is_asked_about(self, http, running):
        data = self.why | {"rate_ml_per_h": "432"}

        asked = http.post(self.address(running), data)
        token = asked.context["form"].confirm_token
        taken = http.post(self.address(running), data | {"confirmed": token})

        assert asked.status_code == 422
        assert "above the ceiling of this order" in asked.content.decode()
        assert taken.status_code == 302
        assert rate_now(running) == "432"

    @pytest.mark.parametrize("act", ["correct", "withdraw"])
    def test_without_a_reason_nothing_is_changed(self, http, running, act):
        answer = http.post(self.address(running, act), {"rate_ml_per_h": "32.4"})

        assert answer.status_code == 422
        assert rate_now(running) == "43.2"

    @pytest.mark.parametrize("act", ["correct", "withdraw"])
    def test_what_was_corrected_already_is_not_found(self, http, running, act):
        address = self.address(running, act)
        http.post(self.address(running, "withdraw"), self.why)

        assert http.post(address, self.why).status_code == 404
