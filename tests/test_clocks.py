"""The clock of the server is compared with the count that nobody can set."""

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sessions import clocks
from sessions.charts import CLOCK_SLACK

SLACK = int(CLOCK_SLACK.total_seconds())


@pytest.fixture
def machine(monkeypatch):
    """Clock and count of a machine, at seconds that a test sets."""
    shows = {"clock": 1_800_000_000, "count": 5_000}
    monkeypatch.setattr(clocks.time, "time", lambda: shows["clock"])
    monkeypatch.setattr(clocks, "_running_s", lambda: shows["count"])
    return shows


@pytest.mark.parametrize("way", [1, -1])
def test_it_is_said_from_the_second_after_the_limit_on(machine, way):
    compared = clocks.Compared()
    found = []
    for seconds in (SLACK - 1, SLACK, SLACK + 1):
        machine["clock"] = 1_800_000_000 + way * seconds
        found.append(compared.step)

    assert found[:2] == [None, None]
    assert found[2].minutes == way * 2


def test_time_that_passes_is_no_step_and_a_new_start_takes_the_clock_for_right(machine):
    compared = clocks.Compared()
    for name in machine:
        machine[name] += 90 * 24 * 3600
    assert compared.step is None

    machine["clock"] += 7200
    assert compared.step is not None
    assert clocks.Compared().step is None
    machine["clock"] -= 7200
    assert compared.step is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (7200, "was set 2 h 0 min ahead since"),
        (-7200, "was set back by 2 h 0 min since"),
        (7199.9, "was set 2 h 0 min ahead since"),
        (-121, "was set back by 2 min since"),
        (90 * 60, "was set 1 h 30 min ahead since"),
    ],
)
def test_it_says_how_far_and_which_way(machine, seconds, said):
    compared = clocks.Compared()
    machine["clock"] += seconds

    assert said in compared.step.words


def test_the_count_goes_on_by_itself():
    one = clocks._running_s()
    assert clocks._running_s() >= one > 0


def test_where_it_is_no_linux_there_is_a_count_too(monkeypatch):
    monkeypatch.delattr(clocks.time, "CLOCK_BOOTTIME", raising=False)

    assert clocks._running_s() > 0


@pytest.mark.django_db
def test_every_page_says_it_also_the_one_to_sign_in(nurse, sign_in):
    pages = {"sign-in": Client(), "patients": sign_in(nurse)}
    for name, browser in pages.items():
        before = browser.get(reverse(name)).content.decode()
        assert "CLOCK STEPPED" not in before, name
    with time_machine.travel(timezone.now() + 3 * CLOCK_SLACK):
        for name, browser in pages.items():
            page = browser.get(reverse(name)).content.decode()
            assert "CLOCK STEPPED" in page, name
