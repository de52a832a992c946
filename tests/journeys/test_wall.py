"""The wall with sixty visits of the record, as it hangs three metres away.

On a screen of 55 inches a pixel of 1920 is 0.63 mm. A letter is read at three metres
when its capital is about 8 mm high (a four-hundredth of the distance): a type of 17 px.
"""

from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from sessions.models import Chair, InfusionSession, Stage
from sessions.services.vitals import record_vitals
from tests.factories.infusions import NORMAL, by, make_patient, make_running
from tests.factories.rates import make_rate
from tests.factories.vitals import make_vitals

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHAIRS = 60
READ_AT_3_M = 17
MEASURE = """() => {
  const PARTS = ".act, .what, .card-top, .foot p";
  const size = (node) => node && parseFloat(getComputedStyle(node).fontSize);
  const cut = (node) => node.scrollWidth > node.clientWidth + 1
    || node.scrollHeight > node.clientHeight + 1;
  return {
    scrolls: cut(document.documentElement),
    cards: [...document.querySelectorAll(".card")].map((card) => {
      const place = card.getBoundingClientRect();
      return {
        chair: card.querySelector(".chair").textContent.trim().slice(-2),
        wide: card.classList.contains("w"),
        state: card.dataset.state,
        seen: place.bottom <= innerHeight && place.right <= innerWidth,
        cut: [card, ...card.querySelectorAll(PARTS)].some(cut),
        number: size(card.querySelector(".chair")),
        act: size(card.querySelector(".act .what")),
        count: size(card.querySelector(".act .in time")),
        state_word: size(card.querySelector(".pill")),
        rate: size(card.querySelector(".foot b")),
      };
    }),
  };
}"""


def seat(clinic, nurse, prescriber, number: int, now: datetime) -> InfusionSession:
    """One visit that is where such a visit is: most run, some call for somebody."""
    chair = f"{number:02}"
    ago = 20 + number * 4 % 150
    names = {"family_name": f"Nightjarrow{number}", "given_names": "Wren"}
    visit = make_running(
        clinic,
        nurse,
        prescriber,
        chair=chair,
        at=now - timedelta(minutes=ago),
        patient=make_patient(clinic, nurse, **names),
    )
    headers = InfusionSession.objects.filter(pk=visit.pk)
    if number % 12 == 1:  # late: its last set is the baseline
        return visit
    make_vitals(visit, nurse, now - timedelta(minutes=3 + number % 9))
    if number % 20 == 2:
        fallen = NORMAL | {"systolic_mmhg": 104 if number < 30 else 88}
        at = now - timedelta(minutes=2)
        record_vitals(session=visit, reading=fallen, by=by(nurse, at))
    elif number % 30 == 3:
        make_rate(visit, nurse, now - timedelta(minutes=5), "pause", "0")
    elif number % 12 == 4:
        make_rate(visit, nurse, now - timedelta(minutes=6), "end", "0")
        headers.update(stage=Stage.OBSERVING)
    return visit


@pytest.fixture
def sixty(clinic, nurse, prescriber):
    now = timezone.now()
    with transaction.atomic():
        for number in range(7, CHAIRS + 1):
            Chair.objects.create(clinic=clinic, name=f"{number:02}", position=number)
        for number in range(1, CHAIRS + 1):
            seat(clinic, nurse, prescriber, number, now)


def test_sixty_visits_are_read_at_three_metres_without_scrolling(
    desk, sixty, clinic, nurse
):
    clinic.wall_initials = True  # the fullest a card can be
    clinic.save()
    page = desk(nurse)
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto("/board/wall/")

    found = page.evaluate(MEASURE)

    cards = found["cards"]
    assert len(cards) == CHAIRS
    assert not found["scrolls"]
    assert [card for card in cards if not card["seen"] or card["cut"]] == []
    states = {card["state"] for card in cards}
    assert {"flag-high", "flag-medium", "late", "paused", "running"} <= states
    order = ["flag-high", "flag-medium", "late", "paused"]
    worst = [card["state"] for card in cards if card["wide"]]
    assert worst == sorted(worst, key=order.index)
    for card in cards:
        for part in ("number", "act", "count"):
            assert card[part] >= READ_AT_3_M, (part, card)
        assert card["state_word"] >= 14, card
    assert min(card["act"] for card in cards if card["wide"]) >= 22
    page_text = page.content()
    assert "Nightjarrow" not in page_text
    assert "Wren" not in page_text
