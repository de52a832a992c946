"""The observation chart in words and bands: what it shows, and to whom it does not."""

from datetime import date

import pytest

from sessions.charts import SessionChart, charts_of, for_charts, read_course
from sessions.drawing import draw
from sessions.models import InfusionSession, RiskFactor, TemperatureUnit
from tests.factories.infusions import make_patient, make_running, minutes, stamp
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(clinic, nurse, prescriber):
    return make_running(clinic, nurse, prescriber)


def chart(session, at) -> SessionChart:
    fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
    found = charts_of([fresh], at=at)[0]
    read_course(found)
    return found


def zones(session) -> dict[str, list[int]]:
    panels = draw(chart(session, minutes(40))).panels
    return {panel.key: [zone.score for zone in panel.zones] for panel in panels}


def test_each_moment_is_said_whole_with_units(running, nurse):
    make_vitals(running, nurse, minutes(15), systolic_mmhg=104, temperature_c="37.2")

    stops = draw(chart(running, minutes(20))).stops

    words = stops[-1].words
    for part in (
        *("BP 104/78 mmHg", "pulse 76 /min", "respiration 16 /min", "SpO₂ 98 %"),
        *("temperature 37.2 °C", "pump 21.6 mL/h"),
    ):
        assert part in words
    assert words.startswith("09:27")


def test_what_was_not_measured_is_a_dash_never_a_number(running, nurse):
    make_vitals(running, nurse, minutes(15), pulse=None, temperature_c=None)

    words = draw(chart(running, minutes(20))).stops[-1].words

    assert "pulse – /min" in words
    assert "temperature – °C" in words
    assert "NEWS2" not in words


def test_the_strips_of_the_chart_lie_side_by_side(running, nurse):
    for minute in (15, 15.5, 30, 60):
        make_vitals(running, nurse, minutes(minute))

    stops = draw(chart(running, minutes(70))).stops

    edges = [(float(s.left), float(s.left) + float(s.width)) for s in stops]
    for (_, end), (begin, _) in zip(edges, edges[1:], strict=False):
        assert end == pytest.approx(begin, abs=0.2)
    assert len({stop.at for stop in stops}) == len(stops)  # a minute is one stop


def test_the_bands_beside_the_panels_are_those_of_the_national_chart(running):
    found = zones(running)

    # from the bottom up: 3 below 9, 1 to 11, 0 to 20, 2 to 24, 3 from 25 on
    assert found["resp"][-3:] == [0, 2, 3]
    assert found["bp"] == [3, 2, 1, 0]
    assert found["temp"][-1] == 1
    assert set(found["spo2"]) == {0, 1, 2, 3}


def test_no_bands_in_pregnancy_nor_under_sixteen(clinic, nurse, prescriber, running):
    RiskFactor.objects.create(
        patient=running.patient,
        key="pregnancy",
        presence="present",
        **stamp(nurse, minutes(-9)),
    )
    child = make_running(
        clinic,
        nurse,
        prescriber,
        chair="04",
        patient=make_patient(clinic, nurse, birth_date=date(2012, 5, 1)),
    )

    for visit in (running, child):
        assert not any(zones(visit).values())


def test_a_pause_is_hatched_as_long_as_it_lasts(running, nurse):
    make_rate(running, nurse, minutes(20), "pause", "0")
    make_rate(running, nurse, minutes(50), "resume", "10.8")

    drawing = draw(chart(running, minutes(60)))

    (pause,) = drawing.pauses
    blocks = [float(block.x) for block in drawing.blocks]
    assert float(pause.x2) == pytest.approx(blocks[-1], abs=0.2)
    assert pause.label == "Pause"


def test_temperatures_stand_in_the_clinics_unit(clinic, running, nurse):
    clinic.temperature_unit = TemperatureUnit.FAHRENHEIT
    clinic.save()
    make_vitals(running, nurse, minutes(15), temperature_c="37.0")

    drawing = draw(chart(running, minutes(20)))

    panel = next(panel for panel in drawing.panels if panel.key == "temp")
    assert (panel.unit, panel.value) == ("°F", "98.6")
    assert {"98", "100"} <= {line.label for line in panel.grid}
    assert "98.6 °F" in drawing.stops[-1].words
