"""Recording vital signs: one act, with its score, its flags and what follows."""


import pytest

from sessions.models import AuditEntry
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_running, minutes

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber)


def test_a_quiet_set_is_saved_with_its_score_and_no_flag(running, nurse):
    saved = record_vitals(session=running, reading=NORMAL, by=by(nurse, minutes(15)))

    assert saved.flag is None
    assert saved.vitals.news2 == {
        "total": 0,
        "band": "none",
        "parts": {
            "respiratory_rate": 0,
            "spo2": 0,
            "oxygen": 0,
            "systolic_mmhg": 0,
            "pulse": 0,
            "consciousness": 0,
            "temperature_c": 0,
        },
    }
    assert saved.vitals.purpose == "scheduled"
    assert AuditEntry.objects.filter(action="vitals.record").count() == 1


def test_a_fall_raises_its_flag_in_the_same_act(running, nurse):
    saved = record_vitals(
        session=running,
        reading=NORMAL | {"systolic_mmhg": 104},
        by=by(nurse, minutes(15)),
    )

    assert saved.flag.vitals == saved.vitals
    assert saved.chart.open_flags[0].flag == saved.flag
