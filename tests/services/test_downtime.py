"""Sheets for the time without the server: complete, closed, never in the way."""

import json
import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from sessions.middleware import Sheets
from sessions.models import Allergy, AuditEntry, InfusionSession, VitalSigns
from sessions.services import downtime, finish, infusions, notes, patients
from sessions.services.acts import Actor
from sessions.services.flags import answer_flag
from sessions.services.vitals import record_vitals
from tests.factories import visits
from tests.factories.visits import READING, Morning

FALL = READING | {"systolic_mmhg": 104}


@pytest.fixture(autouse=True)
def folder(tmp_path, settings) -> Path:
    settings.DOWNTIME_FOLDER = tmp_path / "sheets"
    return settings.DOWNTIME_FOLDER


@pytest.fixture
def morning(nurse, charge_nurse, prescriber, pharmacist, admin) -> Morning:
    """A visit started half an hour ago, of a patient who is allergic."""
    made = Morning.of(
        at=timezone.now() - timedelta(minutes=30),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
        order={"medicines": (visits.as_needed(),)},
    )
    made.started()
    return made


@pytest.fixture
def saving(django_capture_on_commit_callbacks):
    """A transaction of its own inside the test's; at its end sheets are written."""

    def saved(*, execute=True):
        connection.run_on_commit.clear()
        return django_capture_on_commit_callbacks(execute=execute)

    return saved


def sheet_of(morning: Morning) -> Path:
    folder = downtime.folder_of(morning.nurse.clinic)
    (found,) = folder.glob(f"chair-*-S-{morning.visit.pk}.html")
    return found


def words(path: Path) -> str:
    page = re.sub(
        r"<style>.*?</style>", " ", path.read_text(encoding="utf-8"), flags=16
    )
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_a_sheet_holds_all_that_a_nurse_needs(morning, saving):
    with saving():
        record_vitals(session=morning.fresh(), reading=FALL, by=morning.by(after=16))
        notes.write_note(
            session=morning.visit,
            text="Daughter waits outside.",
            replaces=None,
            by=morning.by(after=17),
        )

    said = words(sheet_of(morning))
    for part in (
        "01 OKONKWO, Adaeze Marie",
        "Born 14 Mar 1978",
        "MRN 0048172265",
        "none known",
        "Privigen 10% · 30 g = 300 mL · v1",
        "21.6 mL/h · 0.3 mL/kg/h · step 1 of 5",
        "▶ 1 21.6 0.3 30",
        "2 43.2 0.6 30",
        "Baseline",
        "128/78",
        "104/78",
        "−24/0",
        "▲",
        "Systolic fell 24 mmHg, 128 → 104",
        "systolic (mmHg) ≤ 108 reduce",
        "as needed: Acetaminophen 650 mg PO",
        "Daughter waits outside. (Kwame Mensah",
        "Ingrid Halvorsen",
        "To be written by hand",
        "late entry",
    ):
        assert part in said, part
    page = sheet_of(morning).read_text(encoding="utf-8")
    assert page.count("<td></td>") >= 7 * 9
    assert re.search(r"as recorded \d+ \w+ 20\d\d \d\d:\d\d", said)


def test_a_recheck_that_is_owed_stands_on_the_sheet(morning, saving):
    with saving():
        fall = record_vitals(
            session=morning.fresh(), reading=FALL, by=morning.by(after=16)
        )
        answer_flag(
            session=morning.fresh(),
            flag_id=fall.flag.pk,
            action="pause",
            to_ml_per_h=0,
            read_back=True,
            by=morning.by(after=17),
        )

    said = words(sheet_of(morning))
    assert re.search(r"Recheck \d\d:\d\d\. +Systolic fell 24 mmHg", said)
    assert "No open flag" not in said


def test_a_sheet_needs_no_server_and_runs_nothing(morning, saving):
    with saving():
        patients.record_allergy(
            patient=morning.patient, substance="<script>latex", by=morning.by()
        )

    page = sheet_of(morning).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;latex" in page
    assert not re.search(r'(href|src)="(?!#)', page)
    assert "default-src 'none'" in page


def test_folder_and_files_are_the_servers_own(morning, folder, saving):
    folder.mkdir(mode=0o755)
    with saving():
        infusions.record_line(
            session=morning.visit, site="hand", gauge="22 G", by=morning.by()
        )

    inside = downtime.folder_of(morning.nurse.clinic)
    for each in (folder, inside):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
    files = [*inside.iterdir()]
    kept = {path.name for path in files if not path.name.startswith(".lock-")}
    assert kept == {"index.html", sheet_of(morning).name}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert morning.patient.family_name not in " ".join(path.name for path in files)


def test_each_act_writes_once_and_after_it_is_saved(morning, saving):
    folder = downtime.folder_of(morning.nurse.clinic)
    with saving(execute=False) as callbacks:
        for minute in (15, 16):
            record_vitals(
                session=morning.fresh(), reading=READING, by=morning.by(after=minute)
            )
        assert not folder.exists()

    assert len(callbacks) == 1
    callbacks[0]()
    assert sheet_of(morning).exists()


def test_a_look_writes_no_sheet(morning, nurse, sign_in, saving):
    client = sign_in(nurse)
    with saving(execute=False) as callbacks:
        client.get(reverse("infusion-detail", args=[morning.visit.pk]))

    assert callbacks == []
    assert AuditEntry.objects.filter(action="session.view").exists()


def test_what_is_written_about_the_patient_alone_is_on_the_sheet_too(morning, saving):
    downtime.refresh(morning.nurse.clinic)
    with saving():
        patients.record_allergy(
            patient=morning.patient, substance="latex", by=morning.by()
        )

    assert Allergy.objects.filter(substance="latex").exists()
    assert "latex" in words(sheet_of(morning))


def test_the_sheet_goes_when_the_visit_is_over(morning, saving):
    clinic = morning.nurse.clinic
    downtime.refresh(clinic)
    index = downtime.folder_of(clinic) / downtime.INDEX
    assert "OKONKWO, Adaeze Marie" in words(index)
    with saving():
        finish.mark_entered_in_error(
            session=morning.fresh(),
            reason="wrong patient",
            password="correct horse battery",
            by=morning.by(after=20),
        )

    assert not [*downtime.folder_of(clinic).glob("chair-*")]
    assert "OKONKWO" not in words(index)
    assert "Nobody is in a chair." in words(index)


def test_a_failed_write_never_fails_the_save_and_is_shown_until_it_is_good(
    morning, charge_nurse, nurse, folder, sign_in, saving
):
    folder.write_text("a file where the folder should be")
    with saving():
        record_vitals(session=morning.fresh(), reading=READING, by=morning.by(after=16))
    assert VitalSigns.objects.filter(session=morning.visit).count() == 2

    told = sign_in(charge_nurse).get(reverse("board")).content.decode()
    nurses_page = sign_in(nurse).get(reverse("board")).content.decode()
    folder.unlink()
    well = sign_in(charge_nurse).get(reverse("board")).content.decode()

    assert "The downtime sheets are not up to date: " in told
    assert "print the sheet of each visit from its page" in told
    assert "The downtime sheets" not in nurses_page
    assert "The downtime sheets" not in well
    assert "128/78" in words(sheet_of(morning))  # made good by looking


def test_another_record_in_the_same_folder_is_never_taken_for_this_one(morning):
    clinic = morning.nurse.clinic
    downtime.refresh(clinic)
    before = sheet_of(morning).read_text(encoding="utf-8")
    InfusionSession.objects.filter(pk=morning.visit.pk).update(
        created_at=morning.at - timedelta(days=3)
    )
    sheet_of(morning).write_text("of another record")

    assert downtime.fault(clinic) == ""
    assert "OKONKWO" in sheet_of(morning).read_text(encoding="utf-8")
    assert len(before) > 1000


def test_a_sheet_is_old_or_new_and_never_half(morning, monkeypatch):
    clinic = morning.nurse.clinic
    downtime.refresh(clinic)
    path = sheet_of(morning)
    before = path.read_bytes()
    real = Path.replace

    def cut_off(_self, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", cut_off)
    with pytest.raises(OSError, match="No space left"):
        downtime.refresh(clinic, everything=True)
    assert path.read_bytes() == before

    monkeypatch.setattr(Path, "replace", real)
    assert downtime.refresh(clinic, everything=True) == 1


def test_the_command_writes_all_anew(morning, capsys):
    downtime.refresh(morning.nurse.clinic)
    sheet_of(morning).write_text("spoilt")

    call_command("downtime")

    assert "OKONKWO" in sheet_of(morning).read_text(encoding="utf-8")
    assert "1 in " in capsys.readouterr().out


def test_the_page_of_one_visit_is_the_same_sheet_and_audited_as_a_print(
    morning, nurse, sign_in
):
    downtime.refresh(morning.nurse.clinic)
    page = sign_in(nurse).get(reverse("infusion-sheet", args=[morning.visit.pk]))

    shown = re.findall(r"<caption.*?</table>", page.content.decode(), re.DOTALL)
    filed = sheet_of(morning).read_text(encoding="utf-8")
    kept = re.findall(r"<caption.*?</table>", filed, re.DOTALL)
    # volume and its minute go on between the two
    assert [*map(len, shown)] == pytest.approx([*map(len, kept)], abs=4)
    assert shown[1:] == kept[1:]
    entry = AuditEntry.objects.get(action="session.print")
    assert json.loads(entry.detail) == {"page": "downtime sheet"}
    assert entry.patient == morning.patient


def test_many_visits_cost_as_many_queries_as_one(
    morning, django_assert_max_num_queries
):
    clinic = morning.nurse.clinic
    downtime.refresh(clinic)
    with django_assert_max_num_queries(20) as one:
        downtime.refresh(clinic, everything=True)
    other = visits.patient_known(morning.nurse, morning.at, mrn="8800")
    order = visits.active_order(
        other,
        prescriber=morning.prescriber,
        pharmacist=morning.pharmacist,
        at=morning.at,
    )
    visit = visits.checked_in(
        order,
        charge_nurse=morning.charge_nurse,
        nurse=morning.nurse,
        at=morning.at,
        chair="02",
    )
    visits.started(visit, nurse=morning.nurse, at=morning.at)
    downtime.refresh(clinic)

    with django_assert_max_num_queries(len(one.captured_queries)):
        assert downtime.refresh(clinic, everything=True) == 2


def test_an_act_without_a_patient_asks_for_nothing(clinic, admin):
    by = Actor.of(user=admin, clinic=clinic, at=timezone.now())
    downtime.after_act(by.clinic, None)

    assert connection.run_on_commit == []


def test_two_acts_of_one_request_are_written_once_after_its_answer(morning, saving):
    folder = downtime.folder_of(morning.nurse.clinic)
    began = timezone.now()
    with downtime.after_answer() as waiting:
        for site in ("hand", "elbow"):
            with saving():
                infusions.record_line(
                    session=morning.visit, site=site, gauge="22 G", by=morning.by()
                )
        assert downtime.fault(morning.nurse.clinic) == ""
        assert not (folder / downtime.INDEX).exists()

    assert len(waiting) == 1
    waiting[0].write()
    assert sheet_of(morning).exists()
    assert timezone.now() - began < timedelta(seconds=downtime.LOCK_WAIT_S)


def test_the_next_save_waits_until_this_one_is_on_its_sheet(
    morning, saving, monkeypatch
):
    """So no answer is given while the sheet is more than one save old."""
    monkeypatch.setattr(downtime, "LOCK_WAIT_S", 0.05)
    clinic = morning.nurse.clinic
    with downtime.after_answer() as waiting, saving():
        infusions.record_line(
            session=morning.visit, site="hand", gauge="22 G", by=morning.by()
        )

    with pytest.raises(BlockingIOError):
        downtime.refresh(clinic)
    waiting[0].write()
    assert downtime.refresh(clinic) == 0


def test_the_save_of_another_patient_waits_for_nobody(morning, saving, caplog):
    downtime.refresh(morning.nurse.clinic)
    other = visits.patient_known(morning.nurse, morning.at, mrn="8800")
    with downtime.after_answer() as first, saving():
        patients.record_allergy(
            patient=morning.patient, substance="latex", by=morning.by()
        )
    with downtime.after_answer() as second, saving():
        patients.record_allergy(patient=other, substance="latex", by=morning.by())

    second[0].write()
    first[0].write()
    assert other.pk % downtime.LOCKS != morning.patient.pk % downtime.LOCKS
    assert "latex" in words(sheet_of(morning))
    assert "downtime sheets" not in caplog.text


def test_a_request_about_two_patients_writes_both_once(morning, saving):
    other = visits.patient_known(morning.nurse, morning.at, mrn="8800")
    with downtime.after_answer() as waiting:
        for patient, substance in (
            (morning.patient, "latex"),
            (other, "latex"),
            (morning.patient, "nuts"),
        ):
            with saving():
                patients.record_allergy(
                    patient=patient, substance=substance, by=morning.by()
                )

    (refresh,) = waiting
    assert refresh.patients == {morning.patient.pk, other.pk}
    refresh.write()
    assert "nuts" in words(sheet_of(morning))


def test_a_sheet_of_who_sat_down_meanwhile_is_not_removed(morning):
    """Who read the chairs before is not who decides what lies there too much."""
    clinic = morning.nurse.clinic
    downtime.refresh(clinic)
    downtime._write(clinic, [], patients=set())

    assert sheet_of(morning).exists()


def test_a_post_is_answered_before_its_sheet_is_written(morning, saving):
    def answer(_request) -> HttpResponse:
        with saving():
            infusions.record_line(
                session=morning.visit, site="hand", gauge="22 G", by=morning.by()
            )
        return HttpResponse("saved")

    response = Sheets(answer)(None)

    assert not (downtime.folder_of(morning.nurse.clinic) / downtime.INDEX).exists()
    response.close()
    assert sheet_of(morning).exists()


def test_a_sheet_is_begun_when_the_answer_had_its_time(
    morning, saving, settings, monkeypatch
):
    settings.DOWNTIME_DELAY_S = 0.1
    later = []
    monkeypatch.setattr(downtime.connections, "close_all", lambda: later.append("shut"))
    monkeypatch.setattr(downtime, "Timer", lambda wait, do: Later(later, wait, do))
    with downtime.after_answer() as waiting, saving():
        patients.record_allergy(
            patient=morning.patient, substance="latex", by=morning.by()
        )
    waiting[0].write_soon()

    ((wait, write),) = later
    assert wait == 0.1
    assert not [*downtime.folder_of(morning.nurse.clinic).glob("chair-*")]
    write()
    assert "latex" in words(sheet_of(morning))
    assert later[-1] == "shut"


class Later:
    """A timer that a test lets go off."""

    def __init__(self, begun, wait, do) -> None:
        self.begun, self.what = begun, (wait, do)

    def start(self) -> None:
        self.begun.append(self.what)
