"""Names of every length and script stand whole on each screen and push nothing."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sessions.forms.fields import PlainText
from sessions.services.infusions import take_over
from sessions.services.vitals import record_vitals
from tests.factories import visits
from tests.factories.visits import READING, Morning
from tests.journeys.hands import WIDER

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NAMES = (
    (f"{'Wolfeschlegelsteinhausenberger' * 2}dorff", "Hubert Blaine Adolphus Charles"),
    ("Llanfairpwllgwyngyll" * 6, ("Ana " * 30).strip()),
    (
        "\u0639\u0628\u062f \u0627\u0644\u0631\u062d\u0645\u0646",
        "\u0645\u062d\u0645\u062f",
    ),
    ("Nguy\u1ec5n-\U0001f33b", "Th\u1ecb \U0001f469\U0001f3fd\u200d\U0001f680"),
    (
        "Gro\u00df",
        "\u00c5ngstr\u00f6m \u4e2d\u6587 \u0939\u093f\u0928\u094d\u0926\u0940",
    ),
)
NAMED = ".banner .name, .go, .idline, .hand h2, tbody th"
CUT = """(nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth + 1
  || getComputedStyle(node).textOverflow === "ellipsis")
  .map((node) => node.textContent)"""


@pytest.fixture
def named(cast) -> list[Morning]:
    at = timezone.now() - timedelta(minutes=40)
    days = [Morning.of(at=at, **cast)]
    for place, (family, given) in enumerate(NAMES, start=2):
        field = PlainText(max_length=120)
        who = {"family_name": field.clean(family), "given_names": field.clean(given)}
        morning = Morning(at=at, **cast)
        morning.patient = visits.patient_known(
            morning.nurse, at, mrn=f"55{place:04}", **who
        )
        morning.order = visits.active_order(
            morning.patient,
            prescriber=morning.prescriber,
            pharmacist=morning.pharmacist,
            at=at,
        )
        morning.visit = visits.checked_in(
            morning.order,
            charge_nurse=morning.charge_nurse,
            nurse=morning.nurse,
            at=at,
            chair=f"{place:02}",
        )
        morning.started()
        days.append(morning)
    return days[1:]


def test_no_letter_is_lost_and_nothing_is_wider_than_the_screen(desk, named, nurse):
    page = desk(nurse)
    found = []
    pages = {"/board/": NAMES, "/patients/": NAMES, "/board/handover/": NAMES}
    for morning, name in zip(named, NAMES, strict=True):
        pages[f"/infusions/{morning.visit.pk}/"] = (name,)
    for paper in ("record", "sheet"):
        pages[f"/infusions/{named[1].visit.pk}/{paper}/"] = NAMES[1:2]
    for path, names in pages.items():
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(path)
        text = page.locator("body").inner_text()
        for family, given in names:
            capitals = family.replace("\u00df", "\u1e9e").upper()
            if given not in text or not (family in text or capitals in text):
                found.append(f"{path}: {family}, {given} is not whole")
        for width in (1280, 768, 320):
            page.set_viewport_size({"width": width, "height": 1024})
            found += [f"{path} at {width}: {each}" for each in page.evaluate(WIDER)]
            cut = page.locator(NAMED).evaluate_all(CUT)
            found += [f"{path} at {width} cuts {each}" for each in cut]

    # The longest state of a card, in a language with longer words, at another's chair.
    first = named[0]
    fallen = READING | {"systolic_mmhg": 88}
    record_vitals(session=first.fresh(), reading=fallen, by=first.by(after=30))
    take_over(session=first.fresh(), by=first.by(first.charge_nurse, after=31))
    nurse.own_language = "de"
    nurse.save()
    page.goto("/board/")
    assert "Meldung: Stopp, Anruf" in page.locator(".card").first.inner_text()
    for width in (1280, 768):
        page.set_viewport_size({"width": width, "height": 1024})
        cut = page.locator(".card").evaluate_all(CUT)
        found += [f"the card at {width} cuts {each}" for each in cut]

    assert not found, "\n".join(found)


def test_the_wall_shows_initials_of_every_script(desk, named, clinic, nurse):
    clinic.wall_initials = True
    clinic.save()
    page = desk(nurse)
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto("/board/wall/")

    text = page.locator("main").inner_text()
    for morning in named:
        assert morning.patient.initials in text
        assert morning.patient.given_names not in text
    assert page.evaluate(WIDER) == []
    assert page.locator(".card").evaluate_all(CUT) == []
