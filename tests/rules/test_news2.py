"""NEWS2 at every edge of every band.

Vectors: RCP NEWS2 2017 scoring bands, each band's lowest and highest value, typed from
the published table (bands confirmed against four independent public test suites).
"""

import csv
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from sessions.catalogue.default_protocol import default_document, default_policy
from sessions.rules.news2 import PARTS, News2, News2Refused, news2
from sessions.rules.policy import Policy
from sessions.rules.sources import DocumentError
from sessions.rules.vitals import VitalSet
from tests.rules.cast import WELL

CHART = default_policy().monitoring.news2
REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "news2.csv"

VECTORS = {
    "respiratory_rate": "0-8:3 9-11:1 12-20:0 21-24:2 25-60:3",
    "spo2 scale 1 air": "50-91:3 92-93:2 94-95:1 96-100:0",
    "spo2 scale 1 oxygen": "50-91:3 92-93:2 94-95:1 96-100:0",
    "spo2 scale 2 air": "50-83:3 84-85:2 86-87:1 88-92:0 93-100:0",
    "spo2 scale 2 oxygen": "50-83:3 84-85:2 86-87:1 88-92:0 93-94:1 95-96:2 97-100:3",
    "systolic_mmhg": "40-90:3 91-100:2 101-110:1 111-219:0 220-300:3",
    "pulse": "20-40:3 41-50:1 51-90:0 91-110:1 111-130:2 131-250:3",
    "temperature_c": "30.0-35.0:3 35.1-36.0:1 36.1-38.0:0 38.1-39.0:1 39.1-43.0:2",
}


def scored(vitals: VitalSet, age="50", pregnant=False):
    return news2(vitals, age_years=Decimal(age), pregnant=pregnant, chart=CHART)


def with_value(name: str, value: Decimal) -> VitalSet:
    if name.startswith("spo2"):
        return replace(
            WELL,
            spo2=int(value),
            spo2_scale=2 if "scale 2" in name else 1,
            on_oxygen="oxygen" in name,
        )
    return replace(WELL, **{name: value})


def bands(text: str):
    for band in text.split():
        values, score = band.split(":")
        low, high = values.split("-")
        yield Decimal(low), Decimal(high), int(score)


EDGES = [
    (name, value, score)
    for name, text in VECTORS.items()
    for low, high, score in bands(text)
    for value in (low, high)
]


@pytest.mark.parametrize(("name", "value", "score"), EDGES)
def test_every_edge_of_every_band_scores_as_published(name, value, score):
    result = scored(with_value(name, value))

    assert result.parts[name.split()[0]] == score


@pytest.mark.parametrize("name", VECTORS)
def test_bands_leave_no_gap(name):
    """Every value of the resolution has the score of the one band that holds it."""
    step = Decimal("0.1") if name == "temperature_c" else Decimal(1)
    table = list(bands(VECTORS[name]))
    value, last = table[0][0], table[-1][1]
    while value <= last:
        (expected,) = [score for low, high, score in table if low <= value <= high]

        assert scored(with_value(name, value)).parts[name.split()[0]] == expected
        value += step


@pytest.mark.parametrize("letter", ["C", "V", "P", "U"])
def test_not_alert_scores_three(letter):
    assert scored(replace(WELL, consciousness=letter)).parts["consciousness"] == 3


def test_oxygen_scores_two():
    assert scored(replace(WELL, on_oxygen=True)).parts["oxygen"] == 2
    assert scored(WELL).parts["oxygen"] == 0


@pytest.mark.parametrize(
    ("changes", "total", "band"),
    [
        ({}, 0, "none"),
        ({"pulse": 91}, 1, "low"),
        ({"pulse": 111, "respiratory_rate": 21}, 4, "low"),
        ({"pulse": 131}, 3, "low-medium"),
        ({"pulse": 131, "temperature_c": Decimal("36.0")}, 4, "low-medium"),
        ({"pulse": 131, "respiratory_rate": 21}, 5, "medium"),
        ({"pulse": 131, "respiratory_rate": 25}, 6, "medium"),
        ({"pulse": 131, "respiratory_rate": 25, "spo2": 95}, 7, "high"),
    ],
)
def test_totals_and_their_bands(changes, total, band):
    result = scored(replace(WELL, **changes))

    assert (result.total, result.band) == (total, band)


def test_the_highest_total_is_twenty():
    worst = VitalSet(
        temperature_c=Decimal("34.0"),
        pulse=140,
        systolic_mmhg=80,
        diastolic_mmhg=40,
        respiratory_rate=30,
        spo2=80,
        on_oxygen=True,
        consciousness="U",
    )

    assert scored(worst).total == 20


@pytest.mark.parametrize(
    ("age", "pregnant", "reason"),
    [
        ("15.999", False, "under 16"),
        ("15.999", True, "under 16"),
        ("30", True, "pregnancy"),
    ],
)
def test_it_is_refused_with_the_reason(age, pregnant, reason):
    assert scored(WELL, age, pregnant) == News2Refused(reason=reason)


def test_sixteen_is_scored():
    assert isinstance(scored(WELL, "16"), News2)


@pytest.mark.parametrize("name", PARTS.values())
def test_a_missing_part_refuses_the_score(name):
    result = scored(replace(WELL, **{name: None}))

    assert result == News2Refused(reason=f"missing: {name}", missing=(name,))


def test_all_that_is_missing_is_named_in_order():
    result = scored(replace(WELL, spo2=None, consciousness=None))

    assert result.reason == "missing: spo2, consciousness"


@pytest.mark.skipif(not REFERENCE.exists(), reason="no reference tables here")
def test_the_vectors_are_those_of_the_reference_table():
    names = {
        "respiration_rate": ["respiratory_rate"],
        "spo2_scale1": ["spo2 scale 1 air", "spo2 scale 1 oxygen"],
        "systolic_bp": ["systolic_mmhg"],
        "temperature": ["temperature_c"],
        "pulse": ["pulse"],
    }
    with REFERENCE.open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["row_type"] == "score"]
    for row in rows:
        if row["parameter"] in ("air_or_oxygen", "consciousness_acvpu"):
            continue
        scale_2 = ["spo2 scale 2 air", "spo2 scale 2 oxygen"]
        if "AIR" in row["condition"]:
            scale_2 = scale_2[:1]
        elif "OXYGEN" in row["condition"]:
            scale_2 = scale_2[1:]
        for name in names.get(row["parameter"], scale_2):
            for edge in (row["range_low"], row["range_high"]):
                if edge:
                    result = scored(with_value(name, Decimal(edge)))
                    assert result.parts[name.split()[0]] == int(row["score"]), row


def test_bands_that_do_not_rise_are_refused_by_their_key():
    document = default_document()
    rows = document["monitoring"]["news2"]["bands"]["pulse"]["bands"]
    rows[1]["below"] = rows[0]["below"]

    with pytest.raises(DocumentError) as refused:
        Policy.from_document(document, code="2026", version=1)

    assert str(refused.value) == (
        "monitoring.news2.bands.pulse.bands[1].below: cut points must rise"
    )


def test_a_part_without_a_band_is_refused_by_its_key():
    document = default_document()
    document["monitoring"]["news2"]["bands"]["pulse"]["bands"] = []

    with pytest.raises(DocumentError) as refused:
        Policy.from_document(document, code="2026", version=1)

    assert str(refused.value) == "monitoring.news2.bands.pulse.bands: holds no band"


def test_an_unknown_key_of_the_last_band_is_refused():
    document = default_document()
    document["monitoring"]["news2"]["bands"]["pulse"]["bands"][-1]["above"] = "1"

    with pytest.raises(DocumentError, match=r"bands\[5\]\.above: is not a known key"):
        Policy.from_document(document, code="2026", version=1)
