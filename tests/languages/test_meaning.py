"""What holds an infusion is the same in every language; only its words differ."""

from datetime import timedelta

import pytest
from django.utils import translation

from sessions.charts import charts_of, for_charts
from sessions.models import Answer, Flag, InfusionSession
from sessions.services import preparation
from sessions.services.vitals import record_vitals
from sessions.views.now_bar import bar
from tests.conftest import NINE
from tests.factories import visits


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin):
    return visits.Morning.of(
        at=NINE,
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )


def test_a_question_nobody_asked_holds_the_start_alike_in_german(morning):
    morning.ready(answers={"pregnant": Answer.NOT_ASKED})

    def holds():
        found = preparation.prepare(morning.fresh(), at=NINE).holds
        return [(hold.rule, hold.kind, hold.text) for hold in found]

    english = holds()
    with translation.override("de"):
        german = holds()

    assert [each[:2] for each in german] == [each[:2] for each in english]
    assert english[0][:2] == ("G-57", "to_do")
    assert german[0][2] != english[0][2]


def test_a_step_held_by_an_open_flag_shows_no_time_in_german_either(morning):
    morning.started()
    falling = visits.READING | {"systolic_mmhg": 104}
    record_vitals(session=morning.fresh(), reading=falling, by=morning.by(after=10))
    assert Flag.objects.get().priority == "medium"
    [chart] = charts_of(
        [for_charts(InfusionSession.objects).get(pk=morning.visit.pk)],
        at=NINE + timedelta(minutes=11),
    )

    english = bar(chart)["cells"][0]
    with translation.override("de"):
        german = bar(chart)["cells"][0]

    assert english["value"] == "Held"
    assert english.keys() == german.keys()
    assert german["value"] not in ("", english["value"])
