"""The now bar fetches itself: quiet while nothing changed, and honest when it did."""

import re

import pytest

from sessions.board import Card, Group
from sessions.charts import charts_of, for_charts
from sessions.models import InfusionSession
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running
from tests.factories.moments import ago
from tests.reading import tight

pytestmark = pytest.mark.django_db
FALL = NORMAL | {"systolic_mmhg": 104}


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber, at=ago(12))


def bar_of(page: str) -> str:
    return re.search(r'hx-get="(/infusions/\d+/now/[^"]+)"', page)[1].replace(
        "&amp;", "&"
    )


def test_an_unchanged_bar_is_not_swapped(running, nurse, sign_in):
    client = sign_in(nurse)
    address = bar_of(client.get(f"/infusions/{running.pk}/").content.decode())

    codes = {client.get(address).status_code for _ in range(2)}

    assert 204 in codes  # a minute may turn in between: then it is drawn once


def test_the_now_bar_says_when_somebody_else_charted(
    running, nurse, colleague, sign_in
):
    client = sign_in(nurse)
    address = bar_of(client.get(f"/infusions/{running.pk}/").content.decode())
    record_vitals(session=running, reading=FALL, by=by(colleague, ago(0)))

    answer = client.get(address)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Somebody else charted here since" in page
    assert "Running, flag open" in page
    # and goes on saying it, until the page itself is drawn anew
    again = client.get(bar_of(page).replace("seen=", "seen=0")).content.decode()
    assert "Somebody else charted here since" in again


def test_ones_own_save_is_nobody_elses(running, nurse, sign_in):
    record_vitals(session=running, reading=FALL, by=by(nurse, ago(0)))

    page = sign_in(nurse).get(f"/infusions/{running.pk}/").content.decode()

    assert "Somebody else charted" not in page


def test_what_becomes_due_and_late_is_told_once_each(running, nurse, sign_in):
    page = sign_in(nurse).get(f"/infusions/{running.pk}/").content.decode()

    told = re.findall(
        r'data-alarm="(\w+)-[^"]+" data-at="([^"]+)"[^>]*say="([^"]*)"', page
    )
    assert [(kind, words) for kind, _, words in told][:2] == [
        ("due", "Vitals due now"),
        ("late", "Vitals late"),
    ]
    assert told[0][1] < told[1][1]


def test_a_poll_keeps_no_login_alive(running, nurse, sign_in):
    client = sign_in(nurse)
    session = client.session
    session["last_seen"] = seen = ago(10).isoformat()
    session.save()

    client.get(f"/infusions/{running.pk}/now/?seen=&drawn=x")

    assert client.session["last_seen"] == seen


def test_a_card_tells_its_flag_before_its_late_vitals(running, nurse):
    def card() -> Card:
        fresh = for_charts(InfusionSession.objects).get(pk=running.pk)
        chart = charts_of([fresh], at=ago(-20))[0]
        return Card(chart=chart, group=Group.NOW)

    assert card().alarm.startswith("late-")
    assert card().pulses == 2
    saved = record_vitals(session=running, reading=FALL, by=by(nurse, ago(0)))
    assert (card().alarm, card().pulses) == (f"flag-{saved.flag.pk}", 3)


def test_a_score_stands_in_its_cell_and_colour_only_repeats_it(running, nurse, sign_in):
    record_vitals(
        session=running, reading=NORMAL | {"pulse": 112}, by=by(nurse, ago(0))
    )

    page = tight(sign_in(nurse).get(f"/infusions/{running.pk}/").content.decode())

    cell = re.search(r'<td[^>]* data-news="2">112<sup>(.*?)</sup></td>', page)
    assert cell[1] == '<span class="sr">NEWS2</span>2'
    assert page.count("data-news") == 1  # a total of 2 has no band, normal parts none
