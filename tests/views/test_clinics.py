"""First set-up, settings and chairs."""

import uuid

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from sessions.forms.clinics import ClinicSettingsForm
from sessions.models import AuditEntry, Chair, Clinic, ProtocolVersion, User
from sessions.services.clinics import SETTINGS
from sessions.services.protocols import in_force

ANSWERS = {
    "name": "St. Brigid's Day Unit",
    "time_zone": "Europe/Dublin",
    "label_region": "eu",
    "chairs": "12",
    "admin_name": "Robin Clarke",
    "username": "robin",
    "password": "four quiet green hills",
    "again": "four quiet green hills",
}


class TestSetUp:
    def test_every_page_of_a_new_server_leads_there(self, client, db):
        answer = client.get("/settings/", follow=True)

        assert answer.redirect_chain[-1][0] == reverse("set-up")
        assert answer.status_code == 200

    def test_the_answers_make_a_clinic_with_chairs_an_admin_and_a_draft(
        self, client, db
    ):
        answer = client.post(reverse("set-up"), ANSWERS)

        clinic = Clinic.objects.get()
        assert answer.url == reverse("sign-in")
        assert (clinic.name, clinic.label_region) == ("St. Brigid's Day Unit", "eu")
        assert [chair.name for chair in clinic.chairs.all()][::11] == ["01", "12"]
        admin = User.objects.get()
        assert (admin.role.name, admin.clinic) == ("admin", clinic)
        assert admin.check_password(ANSWERS["password"])
        assert ProtocolVersion.objects.of(clinic).count() == 1
        assert in_force(clinic) is None
        assert set(AuditEntry.objects.values_list("clinic", "user")) == {
            (clinic.pk, admin.pk)
        }

    def test_afterwards_the_address_is_gone(self, client, clinic):
        assert client.get(reverse("set-up")).status_code == 404
        assert client.post(reverse("set-up"), ANSWERS).status_code == 404
        assert Clinic.objects.count() == 1

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("chairs", "1e2", "digits"),
            ("chairs", "0", "at least 1"),
            ("chairs", "201", "at most 200"),
            ("time_zone", "Mars/Olympus", "Select a valid choice"),
            ("password", "short", "at least 12"),
            ("again", "four quiet red hills", "differ"),
            ("username", "Robin!", "Only small letters"),
            ("name", "", "required"),
        ],
    )
    def test_a_bad_answer_makes_nothing(self, client, db, field, value, words):
        answer = client.post(reverse("set-up"), ANSWERS | {field: value})

        assert answer.status_code == 422
        assert words in answer.content.decode()
        assert "Robin Clarke" in answer.content.decode()
        assert not Clinic.objects.exists()

    def test_the_command_does_the_same_once(self, db, monkeypatch, capsys):
        monkeypatch.setenv("IVIG_ADMIN_PASSWORD", ANSWERS["password"])
        options = {k: v for k, v in ANSWERS.items() if k not in ("password", "again")}

        call_command("setup_clinic", **options)

        assert Clinic.objects.get().time_zone == "Europe/Dublin"
        assert "sign in as robin" in capsys.readouterr().out
        with pytest.raises(CommandError, match="already has a clinic"):
            call_command("setup_clinic", **options)

    def test_the_command_names_the_answer_that_is_wrong(self, db, monkeypatch):
        monkeypatch.setenv("IVIG_ADMIN_PASSWORD", "short")
        options = {k: v for k, v in ANSWERS.items() if k not in ("password", "again")}

        with pytest.raises(CommandError, match="--password"):
            call_command("setup_clinic", **options)


class TestSettings:
    @pytest.fixture
    def office(self, sign_in, admin):
        return sign_in(admin)

    def save(self, office, clinic, key=None, **changed):
        fields = {
            name: value
            for name, value in ClinicSettingsForm.values_of(clinic).items()
            if value is not False
        }
        fields |= {"version": clinic.version, **changed}
        key = key or str(uuid.uuid4())
        return office.post(reverse("settings"), {"submission_key": key, **fields})

    def test_there_is_a_field_for_every_setting(self):
        assert set(ClinicSettingsForm.base_fields) == set(SETTINGS)
        columns = {field.name for field in Clinic._meta.concrete_fields}
        assert columns - set(SETTINGS) == {"id", "code", "is_demo", "version"}

    @pytest.mark.parametrize("language", ["en-gb", "de"])
    def test_every_field_is_on_the_page(self, office, admin, language):
        type(admin).objects.filter(pk=admin.pk).update(own_language=language)
        page = office.get(reverse("settings")).content.decode()

        for name in SETTINGS:
            assert f'name="{name}"' in page

    def test_a_change_is_kept_with_what_was_before(self, office, clinic):
        answer = self.save(office, clinic, idle_minutes="20", phone="01 555 0199")

        clinic.refresh_from_db()
        assert answer.status_code == 302
        assert (clinic.idle_minutes, clinic.version) == (20, 2)
        detail = AuditEntry.objects.get(action="clinic.settings").detail
        assert '"before": {"idle_minutes": 15, "phone": ""}' in detail
        assert '"after": {"idle_minutes": 20, "phone": "01 555 0199"}' in detail

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("idle_minutes", "0", "at least 1"),
            ("idle_minutes", "61", "at most 60"),
            ("idle_minutes", "1.5", "whole"),
            ("weight_valid_days", "181", "at most 180"),
            ("pump_resolution_ml_per_h", "0.001", "decimal"),
            ("pump_resolution_ml_per_h", ".1", "0"),
            ("time_zone", "Nowhere", "Select a valid choice"),
            ("is_demo", "on", "Unknown field"),
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_changes(
        self, office, clinic, field, value, words
    ):
        answer = self.save(office, clinic, phone="01 555 0199", **{field: value})

        assert answer.status_code == 422
        assert words in answer.content.decode()
        assert "01 555 0199" in answer.content.decode()
        clinic.refresh_from_db()
        assert (clinic.phone, clinic.version) == ("", 1)

    def test_an_old_screen_changes_nothing(self, office, clinic):
        self.save(office, clinic, idle_minutes="20")

        answer = self.save(office, clinic, idle_minutes="25")

        assert answer.status_code == 409
        assert "Somebody else changed" in answer.content.decode()
        assert 'value="25"' in answer.content.decode()
        clinic.refresh_from_db()
        assert clinic.idle_minutes == 20

    def test_a_resend_is_one_change(self, office, clinic):
        key = str(uuid.uuid4())
        first = self.save(office, clinic, key=key, idle_minutes="20")
        again = self.save(office, clinic, key=key, idle_minutes="20")

        assert (first.status_code, again.status_code) == (302, 302)
        clinic.refresh_from_db()
        assert clinic.version == 2

    def test_a_chair_is_added_and_renamed_and_taken_out_of_use(self, office, clinic):
        key = {"submission_key": str(uuid.uuid4())}
        office.post(reverse("chairs"), {"name": "Bay 2"} | key)
        chair = Chair.objects.get(name="Bay 2")
        assert chair.position == 7

        clinic.refresh_from_db()
        answer = office.post(
            reverse("chair-change", args=[chair.pk]),
            {"name": "Bay 3", "version": clinic.version}
            | {"submission_key": str(uuid.uuid4())},
        )

        chair.refresh_from_db()
        assert answer.status_code == 302
        assert (chair.name, chair.active) == ("Bay 3", False)

    def test_two_chairs_cannot_have_one_name(self, office, clinic):
        answer = office.post(
            reverse("chairs"), {"name": "01", "submission_key": str(uuid.uuid4())}
        )

        assert answer.status_code == 422
        assert "already a chair 01" in answer.content.decode()

    def test_a_chair_of_another_clinic_does_not_exist(self, office, other_clinic):
        chair = other_clinic.chairs.get()

        answer = office.get(reverse("chair-change", args=[chair.pk]))
        assert answer.status_code == 404
