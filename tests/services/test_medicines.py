"""Given medicines: ordered, checked for allergy, gap and maximum, exactly once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from sessions.models import GivenMedicine
from sessions.services import infusions, medicines, patients
from sessions.services.acts import Refused
from tests.conftest import NINE
from tests.factories import visits
from tests.factories.visits import Morning


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    return Morning.of(
        at=NINE,
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (visits.premedication(), visits.as_needed())},
    )


def give(
    morning: Morning, purpose: str, *, after: float = 0, given: float | None = None
) -> GivenMedicine:
    """Write a dose down so many minutes after the check-in; given then, or `given`."""
    ordered = morning.order.current.medicines.get(purpose=purpose)
    moment = None if given is None else NINE + timedelta(minutes=given)
    return medicines.give(
        session=morning.fresh(),
        ordered=ordered,
        event_time=moment,
        by=morning.by(after=after),
    )


def test_a_dose_is_kept_as_it_was_ordered(morning):
    row = give(morning, "before")

    assert (row.name, row.dose, row.dose_unit) == ("Cetirizine", 10, "mg")
    assert row.event_time == NINE


def test_premedication_is_given_once_in_a_visit(morning):
    give(morning, "before")

    with pytest.raises(Refused, match="given already"):
        give(morning, "before", after=5)


@pytest.mark.in_utc
def test_the_gap_between_doses_is_kept(morning):
    give(morning, "as_needed")

    with pytest.raises(Refused, match="next dose from 13:00"):
        give(morning, "as_needed", after=239)
    assert give(morning, "as_needed", after=240)


def test_the_most_in_a_day_is_kept(morning):
    give(morning, "as_needed")
    give(morning, "as_needed", after=240)

    with pytest.raises(Refused, match="1300 of at most 1300 mg"):
        give(morning, "as_needed", after=480)


def test_a_day_later_it_may_be_given_again(morning):
    give(morning, "as_needed")
    give(morning, "as_needed", after=240)

    assert give(morning, "as_needed", after=24 * 60)


def test_the_same_substance_under_another_name_counts(morning):
    infusions_row = give(morning, "as_needed")
    assert medicines.substances("acetaminophen_4", "Acetaminophen") == {"paracetamol"}
    assert medicines.substances("paracetamol_1", "Paracetamol") == {"paracetamol"}
    assert medicines.substances("acetaminophen_antihistamine_1", "x") == {
        "paracetamol",
        "antihistamine",
    }
    assert infusions_row.medicine_key == "acetaminophen_4"


@pytest.mark.parametrize(
    "substance", ["Acetaminophen", "paracetamol", "Tylenol", "all analgesic drugs"]
)
def test_an_allergy_by_any_name_refuses_it(morning, substance):
    patients.record_allergy(
        patient=morning.patient, substance=substance, reaction="hives", by=morning.by()
    )

    with pytest.raises(Refused, match="Allergy to"):
        give(morning, "as_needed")
    assert give(morning, "before")


def test_another_allergy_does_not(morning):
    patients.record_allergy(
        patient=morning.patient, substance="Penicillin", by=morning.by()
    )

    assert give(morning, "as_needed")


def test_a_dose_taken_back_does_not_count(morning):
    row = give(morning, "as_needed")
    medicines.withdraw_given(given=row, reason="not swallowed", by=morning.by())

    assert give(morning, "as_needed", after=1)
    assert GivenMedicine.objects.filter(session=morning.visit).count() == 3


def test_a_dose_is_taken_back_once_and_with_a_reason(morning):
    row = give(morning, "as_needed")

    with pytest.raises(Refused, match="Say why") as refused:
        medicines.withdraw_given(given=row, reason=" ", by=morning.by(after=1))
    assert refused.value.field == "correction_reason"
    gone = medicines.withdraw_given(given=row, reason="spat out", by=morning.by())
    for again in (row, gone):
        with pytest.raises(Refused, match="already taken back"):
            medicines.withdraw_given(given=again, reason="spat", by=morning.by())
    assert (gone.event_time, gone.entered_in_error) == (row.event_time, True)


def test_a_premedication_taken_back_is_owed_again(morning):
    row = give(morning, "before")
    assert "premedication" not in {hold.item for hold in due(morning)}

    medicines.withdraw_given(given=row, reason="vomited", by=morning.by(after=40))

    assert "premedication" in {hold.item for hold in due(morning)}
    assert give(morning, "before", after=41)


def due(morning: Morning):
    return morning.holds(after=40)


def test_a_dose_given_earlier_stands_at_its_time_and_is_late(morning):
    row = give(morning, "as_needed", given=10, after=30)

    assert row.event_time == NINE + timedelta(minutes=10)
    assert row.recorded_at == NINE + timedelta(minutes=30)
    assert row.is_late(morning.visit.clinic.late_entry_minutes)


@pytest.mark.in_utc
@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (-1, "before the check-in at 09:00"),
        (0, ""),
        (30, ""),
        (32, ""),
        (33, "lies in the future"),
    ],
)
def test_a_dose_is_given_between_the_check_in_and_now(morning, given, refusal):
    if not refusal:
        assert give(morning, "as_needed", given=given, after=30)
        return
    with pytest.raises(Refused, match=refusal) as refused:
        give(morning, "as_needed", given=given, after=30)
    assert refused.value.field == "event_time"


@pytest.mark.in_utc
@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (300 - 241, ""),
        (300 - 240, ""),
        (300 - 239, "next dose was given at 14:00 "),
        (300, "next dose from 18:00"),
        (300 + 239, "next dose from 18:00"),
        (300 + 240, ""),
        (300 + 241, ""),
    ],
)
def test_the_gap_is_kept_before_and_after_another_dose(morning, given, refusal):
    give(morning, "as_needed", after=300)

    if not refusal:
        assert give(morning, "as_needed", given=given, after=600)
        return
    with pytest.raises(Refused, match=refusal) as refused:
        give(morning, "as_needed", given=given, after=600)
    assert refused.value.field == "event_time"


@pytest.mark.in_utc
def test_the_next_dose_is_from_a_minute_at_which_it_is_taken(morning):
    give(morning, "as_needed", after=0.5)

    with pytest.raises(Refused, match="next dose from 13:01"):
        give(morning, "as_needed", given=240, after=245)
    assert give(morning, "as_needed", given=241, after=245)


@pytest.mark.parametrize(("given", "allowed"), [(59, True), (60, True), (61, False)])
def test_the_most_in_a_day_counts_the_doses_after_it_too(
    nurse, charge_nurse, prescriber, pharmacist, admin, given, allowed
):
    """Two doses a day later: the three lie in one day only if it was after 10:00."""
    morning = Morning.of(
        at=NINE,
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (visits.as_needed(gap_minutes=None),)},
    )
    give(morning, "as_needed", after=24 * 60 + 30)
    give(morning, "as_needed", after=25 * 60)

    if allowed:
        assert give(morning, "as_needed", given=given, after=26 * 60)
        return
    with pytest.raises(Refused, match="1300 of at most 1300 mg"):
        give(morning, "as_needed", given=given, after=26 * 60)


def test_premedication_is_not_given_before_one_that_was_given(morning):
    give(morning, "before", after=10)

    with pytest.raises(Refused, match="given already"):
        give(morning, "before", given=5, after=20)


def test_a_dose_a_minute_ahead_of_the_clock_counts_at_once(morning):
    give(morning, "as_needed", given=1, after=0)

    with pytest.raises(Refused, match="min between doses"):
        give(morning, "as_needed", after=0)


def test_a_medicine_of_another_order_is_refused(morning, prescriber, pharmacist):
    other = visits.active_order(
        morning.patient,
        prescriber=prescriber,
        pharmacist=pharmacist,
        at=NINE,
        medicines=(visits.as_needed(),),
    )

    with pytest.raises(Refused, match="not part of the order"):
        medicines.give(
            session=morning.visit,
            ordered=other.current.medicines.get(),
            by=morning.by(),
        )


def test_nothing_is_given_before_check_in(morning):
    infusions.cancel(session=morning.visit, reason="fever", by=morning.by())

    with pytest.raises(Refused, match="from check-in to discharge"):
        give(morning, "before")


@pytest.mark.in_utc
def test_offers_say_when_and_why_not(morning):
    give(morning, "before")
    give(morning, "as_needed")

    before, needed = sorted(
        medicines.offers(morning.fresh(), at=NINE + timedelta(minutes=10)),
        key=lambda offer: offer.ordered.purpose != "before",
    )

    assert before.start_from == NINE + timedelta(minutes=30)
    assert "next dose from 13:00 (240 min between doses)" in needed.refusal
    assert needed.given[0].dose == Decimal(650)


def test_an_offer_beyond_the_published_doses_of_a_visit_warns(
    nurse, charge_nurse, prescriber, pharmacist, admin, sign_in
):
    often = visits.as_needed(gap_minutes=None, max_in_24h=Decimal(4000))
    an_hour_ago = timezone.now() - timedelta(minutes=60)
    morning = Morning.of(
        at=an_hour_ago,
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (often,)},
    )

    def warning(after: int) -> str:
        at = an_hour_ago + timedelta(minutes=after)
        (offer,) = medicines.offers(morning.fresh(), at=at)
        assert offer.refusal == ""  # the order decides, and it allows more
        return offer.warning

    give(morning, "as_needed")
    assert warning(5) == ""
    second = give(morning, "as_needed", after=10)

    assert "2 of at most 2 doses in a visit" in warning(15)
    assert "Group Health" in warning(15)
    page = sign_in(nurse).get(f"/infusions/{morning.visit.pk}/medicines/")
    assert "2 of at most 2 doses in a visit" in page.content.decode()
    assert give(morning, "as_needed", after=20)

    medicines.withdraw_given(given=second, reason="not given", by=morning.by(after=25))
    assert warning(30) != ""  # two are left, and two are the most
