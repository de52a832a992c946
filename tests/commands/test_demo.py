"""The demo's people, its clock, and the command that makes it."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from sessions.demo.people import PEOPLE
from sessions.demo.story import ZONES, zone_for
from sessions.models import Patient


@pytest.mark.parametrize("hour", range(24))
def test_it_is_daytime_in_the_demo_at_every_hour(hour):
    now = datetime(2026, 11, 20, hour, 30, tzinfo=UTC)

    zone = zone_for(now)

    assert zone.key in ZONES
    assert 11 <= now.astimezone(zone).hour < 17


def test_everybody_of_the_demo_is_told_apart():
    assert len({(person.family, person.given) for person in PEOPLE}) == len(PEOPLE)


def test_a_demo_is_never_made_over_a_clinic(clinic, capsys):
    with pytest.raises(CommandError, match="clinic already"):
        call_command("demo")
    call_command("demo", if_empty=True)

    assert "password" not in capsys.readouterr().out
    assert Patient.objects.count() == 0
