"""Who has which chair, and what the next shift is told (H2)."""

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sessions.models import AuditEntry, Note
from sessions.services import flags, reactions
from sessions.services.notes import write_note
from sessions.services.vitals import record_vitals
from tests.factories import visits
from tests.factories.visits import READING, Morning
from tests.reading import tight


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    """A visit with a fall answered by a reduction, a reaction and a note."""
    made = Morning.of(
        at=timezone.now() - timedelta(minutes=60),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )
    made.started()
    fall = record_vitals(
        session=made.fresh(),
        reading=READING | {"systolic_mmhg": 104},
        by=made.by(after=16),
    )
    flags.answer_flag(
        session=made.fresh(),
        flag_id=fall.flag.pk,
        action="pause",
        to_ml_per_h=0,
        read_back=True,
        by=made.by(after=17),
    )
    reactions.record_reaction(
        session=made.fresh(),
        symptoms=[("headache", "mild")],
        action="continue",
        action_reason="as told",
        by=made.by(after=20),
    )
    write_note(
        session=made.fresh(),
        text="Line at the elbow is slow.",
        replaces=None,
        by=made.by(after=21),
    )
    return made


def words(response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def take_over(client, morning: Morning, **data):
    address = reverse("infusion-take-over", args=[morning.visit.pk])
    return client.post(address, data)


class TestNurses:
    def test_each_nurse_with_her_chairs_and_what_is_next(
        self, morning, colleague, nurse, sign_in
    ):
        page = words(sign_in(nurse).get(reverse("nurses")))

        assert "Kwame Mensah, RN 1 chair" in page
        assert "01 Okonkwo, Adaeze Marie" in page
        assert "Sofia Varga, RN 0 chairs" in page
        assert "Give" not in page  # only who allocates gives chairs away

    def test_a_chair_is_taken_over_in_one_tap_from_the_board(
        self, morning, colleague, sign_in
    ):
        client = sign_in(colleague)
        board = client.get(reverse("board")).content.decode()
        address = reverse("infusion-take-over", args=[morning.visit.pk])
        form = re.search(rf'<form[^>]*action="{address}".*?</form>', tight(board))[0]
        version = re.search(r'name="version" value="(\d+)"', form)[1]
        answer = take_over(client, morning, version=version, back="board")

        assert 'aria-label="Take over chair 01"' in form
        assert "csrfmiddlewaretoken" in form
        assert answer.url == reverse("board")
        assert morning.fresh().nurse == colleague
        assert address not in client.get(reverse("board")).content.decode()

    def test_who_only_reads_takes_nothing_over(self, morning, auditor, sign_in):
        client = sign_in(auditor)

        assert "take-over" not in client.get(reverse("board")).content.decode()
        assert take_over(client, morning).status_code == 403

    def test_it_goes_back_to_no_other_page_than_those_known(
        self, morning, colleague, sign_in
    ):
        answer = take_over(sign_in(colleague), morning, back="//evil.example")

        assert answer.url == reverse("infusion-detail", args=[morning.visit.pk])

    def test_two_who_tap_at_once_are_told_who_was_first(
        self, morning, colleague, charge_nurse, sign_in
    ):
        version = str(morning.fresh().version)
        take_over(sign_in(colleague), morning, version=version)
        client = sign_in(charge_nurse)
        late = take_over(client, morning, version=version, back="nurses")

        assert morning.fresh().nurse == colleague
        assert "Somebody changed this visit" in words(client.get(late.url))

    def test_the_charge_nurse_gives_a_chair_to_a_nurse(
        self, morning, colleague, charge_nurse, sign_in
    ):
        client = sign_in(charge_nurse)
        page = client.get(reverse("nurses")).content.decode()
        address = reverse("infusion-assign", args=[morning.visit.pk])
        client.post(
            address, {"nurse": colleague.pk, "version": morning.fresh().version}
        )

        assert f'action="{address}"' in page
        assert morning.fresh().nurse == colleague
        entry = AuditEntry.objects.get(action="infusion.assign-nurse")
        assert json.loads(entry.detail) == {
            "before": morning.nurse.pk,
            "nurse": colleague.pk,
        }

    @pytest.mark.parametrize("who", ["", "999999", "stranger", "auditor"])
    def test_nobody_but_a_nurse_of_the_clinic_gets_a_chair(
        self, morning, charge_nurse, stranger, auditor, sign_in, who
    ):
        known = {"stranger": stranger.pk, "auditor": auditor.pk}
        client = sign_in(charge_nurse)
        address = reverse("infusion-assign", args=[morning.visit.pk])
        answer = client.post(address, {"nurse": known.get(who, who)})

        assert "NOT SAVED" in words(client.get(answer.url))
        assert morning.fresh().nurse == morning.nurse


class TestSheet:
    def test_it_tells_what_the_next_nurse_needs(self, morning, nurse, sign_in):
        page = words(sign_in(nurse).get(reverse("handover")))

        for part in (
            "Handover: Kwame Mensah, RN",
            "01 OKONKWO, Adaeze Marie born 14 Mar 1978",
            "Paused",
            "mL in",
            "Primary immunodeficiency",
            "Privigen 10% · 30 g = 300 mL · v1",
            "Allergies: none known",
            "104/78",
            "−24/0",
            "Recheck",
            "Headache mild",
            "Line at the elbow is slow. (Kwame Mensah",
            "vitals due",
            "Ingrid Halvorsen",
        ):
            assert part in page, part

    def test_the_whole_clinic_one_nurse_or_oneself(
        self, morning, nurse, colleague, sign_in
    ):
        client = sign_in(colleague)
        address = reverse("handover")

        mine = words(client.get(address))
        hers = words(client.get(f"{address}?nurse={nurse.pk}"))
        everybody = words(client.get(f"{address}?nurse=all"))
        odd = words(client.get(f"{address}?nurse=999999"))

        assert "No visit in a chair belongs to this nurse." in mine
        assert "OKONKWO" not in mine
        assert "OKONKWO" in hers
        assert "Handover: whole clinic" in everybody
        assert "OKONKWO" in everybody
        assert "OKONKWO" in odd

    def test_the_audit_knows_whose_records_were_on_it(self, morning, nurse, sign_in):
        sign_in(nurse).get(reverse("handover"))

        entry = AuditEntry.objects.get(action="handover.print")
        assert json.loads(entry.detail) == {
            "nurse": nurse.pk,
            "visits": [morning.visit.pk],
        }

    def test_another_clinic_is_not_on_it(self, morning, stranger, sign_in):
        page = words(sign_in(stranger).get(f"{reverse('handover')}?nurse=all"))

        assert "OKONKWO" not in page
        assert "Nobody is in a chair." in page

    def test_many_visits_cost_as_many_queries_as_one(self, morning, nurse, sign_in):
        client, address = sign_in(nurse), f"{reverse('handover')}?nurse=all"
        client.get(address)
        with CaptureQueriesContext(connection) as one:
            client.get(address)
        patient = visits.patient_known(morning.nurse, morning.at, mrn="8800")
        order = visits.active_order(
            patient,
            prescriber=morning.prescriber,
            pharmacist=morning.pharmacist,
            at=morning.at,
        )
        visits.checked_in(
            order,
            charge_nurse=morning.charge_nurse,
            nurse=morning.nurse,
            at=morning.at,
            chair="02",
        )
        with CaptureQueriesContext(connection) as two:
            client.get(address)

        assert len(two) == len(one)


class TestNote:
    def test_a_note_is_written_and_stands_on_the_visits_page(
        self, morning, colleague, sign_in
    ):
        client = sign_in(colleague)
        address = reverse("note-write", args=[morning.visit.pk])
        page = client.get(address).content.decode()
        standing = Note.objects.get()
        client.post(
            address, {"text": "Elbow is fine now.", "replaces": str(standing.pk)}
        )

        assert f'value="{standing.pk}"' in page
        assert "Line at the elbow is slow." in page
        shown = words(client.get(reverse("infusion-detail", args=[morning.visit.pk])))
        assert "Note: Elbow is fine now. Sofia Varga" in shown
        assert "is slow" not in shown

    def test_a_stale_note_keeps_what_was_typed(self, morning, colleague, sign_in):
        address = reverse("note-write", args=[morning.visit.pk])
        answer = sign_in(colleague).post(
            address, {"text": "Wants a blanket.", "replaces": ""}
        )

        assert answer.status_code == 409
        assert "Wants a blanket." in answer.content.decode()
        assert "Line at the elbow is slow." in words(answer)
        assert Note.objects.count() == 1

    @pytest.mark.parametrize("text", ["x" * 501, "a\u202eb", "a\x00b"])
    def test_what_is_no_note_is_refused(self, morning, nurse, sign_in, text):
        address = reverse("note-write", args=[morning.visit.pk])
        standing = Note.objects.get()
        answer = sign_in(nurse).post(
            address, {"text": text, "replaces": str(standing.pk)}
        )

        assert answer.status_code == 422
        assert Note.objects.get() == standing
