"""Authenticator apps, recovery codes, and what an admin takes away."""

import hashlib
import re
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from sessions.forms.sign_ins import RecoveryForm
from sessions.models import AuditEntry, Factor, FactorKind, RecoveryCode
from sessions.services import factors, sealing
from sessions.services.acts import Actor, Refused
from sessions.services.sealing import Unreadable, readable_secret, seal, unseal
from tests.conftest import NINE

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
STEP = timedelta(seconds=30)


def code_at(moment) -> str:
    return pyotp.TOTP(SECRET).at(moment)


def by(user, at=NINE) -> Actor:
    return Actor.of(user=user, clinic=user.clinic, at=at)


@pytest.fixture
def app(admin) -> factors.Added:
    return factors.add_app(
        name="my phone", secret=SECRET, code=code_at(NINE), by=by(admin)
    )


class TestApp:
    def test_it_is_taken_once_it_shows_a_right_code(self, admin):
        with pytest.raises(Refused) as refused:
            factors.add_app(name="phone", secret=SECRET, code="000000", by=by(admin))

        assert refused.value.field == "code"
        assert not factors.has_factor(admin)

    def test_its_secret_is_sealed_in_the_table(self, app):
        assert SECRET not in app.factor.secret
        assert unseal(app.factor.secret) == SECRET

    @pytest.mark.parametrize(
        ("steps", "accepted"),
        [(-2, False), (-1, True), (0, True), (1, True), (2, False)],
    )
    def test_a_clock_may_be_one_step_off(self, app, admin, steps, accepted):
        at = NINE + 10 * STEP
        found = factors.check_code(user=admin, code=code_at(at + steps * STEP), at=at)

        assert (found is not None) is accepted

    def test_a_code_counts_once(self, app, admin):
        at = NINE + 10 * STEP
        assert factors.check_code(user=admin, code=code_at(at), at=at)

        assert factors.check_code(user=admin, code=code_at(at), at=at) is None
        assert factors.check_code(user=admin, code=code_at(at), at=at + STEP) is None
        assert factors.check_code(user=admin, code=code_at(at - STEP), at=at) is None
        assert factors.check_code(user=admin, code=code_at(at + STEP), at=at)

    def test_the_code_it_was_added_with_does_not_sign_in(self, app, admin):
        assert factors.check_code(user=admin, code=code_at(NINE), at=NINE) is None

    def test_the_code_of_somebody_else_does_not_fit(self, app, nurse):
        at = NINE + 10 * STEP

        assert factors.check_code(user=nurse, code=code_at(at), at=at) is None

    @pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "-12345"])
    def test_what_is_no_code_is_none(self, app, admin, code):
        assert factors.check_code(user=admin, code=code, at=NINE) is None

    def test_sealed_with_a_lost_key_it_fits_nothing(self, app, admin, settings):
        settings.SECRET_KEY = "another"
        at = NINE + 10 * STEP

        assert factors.check_code(user=admin, code=code_at(at), at=at) is None

    def test_an_older_key_opens_once_more(self, app, admin, settings):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another"
        at = NINE + 10 * STEP

        assert factors.check_code(user=admin, code=code_at(at), at=at)
        app.factor.refresh_from_db()
        settings.SECRET_KEY_FALLBACKS = []
        assert unseal(app.factor.secret) == SECRET
        later = at + 2 * STEP
        assert factors.check_code(user=admin, code=code_at(later), at=later)
        assert Factor.objects.get().secret == app.factor.secret

    def test_a_demo_clinic_has_none(self, admin):
        admin.clinic.is_demo = True

        with pytest.raises(Refused, match="demo"):
            factors.add_app(
                name="phone", secret=SECRET, code=code_at(NINE), by=by(admin)
            )

    def test_the_audit_holds_no_secret(self, app):
        details = " ".join(AuditEntry.objects.values_list("detail", flat=True))

        assert "my phone" in details
        assert SECRET not in details
        assert not any(code in details for code in app.codes)


class TestRecoveryCodes:
    def test_ten_come_with_the_first_factor(self, app, admin):
        assert len(set(app.codes)) == factors.codes_left(admin) == 10
        assert all(re.fullmatch("([a-z2-9]{4}-){5}[a-z2-9]{4}", c) for c in app.codes)
        letters = len(app.codes[0].replace("-", ""))
        assert len(set(sealing._READABLE)) ** letters >= 2**112
        form = RecoveryForm({"recovery": f" {app.codes[0].replace('-', ' - ')} "})
        assert form.is_valid(), form.errors

    def test_only_their_hashes_are_kept(self, app):
        kept = set(RecoveryCode.objects.values_list("code_hash", flat=True))

        assert all(re.fullmatch("[0-9a-f]{64}", each) for each in kept)

    def test_a_second_factor_leaves_them(self, app, admin):
        second = "K" * 32
        added = factors.add_app(
            name="tablet",
            secret=second,
            code=pyotp.TOTP(second).at(NINE),
            by=by(admin),
        )

        assert added.codes == ()
        assert factors.use_recovery_code(user=admin, code=app.codes[0], at=NINE)

    def test_each_counts_once(self, app, admin):
        code = app.codes[3]
        assert factors.use_recovery_code(user=admin, code=code, at=NINE)

        assert not factors.use_recovery_code(user=admin, code=code, at=NINE)
        assert factors.codes_left(admin) == 9

    def test_one_of_sixteen_letters_as_they_were_once_made_still_counts(self, admin):
        code = "abcd-efgh-jkmn-2345"
        hashed = hashlib.sha256(f"{admin.pk}:abcdefghjkmn2345".encode()).hexdigest()
        RecoveryCode.objects.create(user=admin, code_hash=hashed, made_at=NINE)

        assert factors.use_recovery_code(user=admin, code=code, at=NINE)

    def test_it_may_be_typed_as_it_is_read(self, app, admin):
        typed = f" {app.codes[0].upper().replace('-', ' ')} "

        assert factors.use_recovery_code(user=admin, code=typed, at=NINE)

    def test_it_is_nobody_elses(self, app, nurse):
        assert not factors.use_recovery_code(user=nurse, code=app.codes[0], at=NINE)

    def test_new_ones_end_the_old_ones(self, app, admin):
        new = factors.new_recovery_codes(by=by(admin))

        assert not factors.use_recovery_code(user=admin, code=app.codes[0], at=NINE)
        assert factors.use_recovery_code(user=admin, code=new[0], at=NINE)

    def test_without_a_factor_there_are_none(self, nurse):
        with pytest.raises(Refused, match="first"):
            factors.new_recovery_codes(by=by(nurse))


class TestRemoving:
    def test_the_last_one_of_an_admin_stays(self, app, admin):
        with pytest.raises(Refused, match="add another"):
            factors.remove(factor_pk=app.factor.pk, by=by(admin))

        assert factors.has_factor(admin)

    def test_a_nurse_may_give_it_up_and_the_codes_go_with_it(self, nurse):
        added = factors.add_app(
            name="phone", secret=SECRET, code=code_at(NINE), by=by(nurse)
        )

        factors.remove(factor_pk=added.factor.pk, by=by(nurse))

        assert not factors.has_factor(nurse)
        assert not RecoveryCode.objects.exists()

    def test_nobody_removes_what_is_not_theirs(self, app, nurse):
        with pytest.raises(Refused):
            factors.remove(factor_pk=app.factor.pk, by=by(nurse))

    def test_an_admin_takes_all_of_somebody_away(self, admin, prescriber):
        factors.add_app(
            name="phone", secret=SECRET, code=code_at(NINE), by=by(prescriber)
        )
        prescriber.refresh_from_db()
        before = prescriber.get_session_auth_hash()

        factors.forget_all(user=prescriber, by=by(admin))

        prescriber.refresh_from_db()
        assert not factors.has_factor(prescriber)
        assert not RecoveryCode.objects.exists()
        assert prescriber.get_session_auth_hash() != before
        assert AuditEntry.objects.filter(action="staff.factors-forget").exists()

    def test_but_not_their_own(self, app, admin):
        with pytest.raises(Refused):
            factors.forget_all(user=admin, by=by(admin))


class TestPasskeyAnswers:
    @pytest.mark.parametrize("answer", ["", "{", "[]", "{}", '{"id": 1}', "null"])
    def test_what_is_no_answer_is_refused_in_words(self, admin, answer):
        _, state = factors.ask_for_new_passkey(admin, host="localhost")

        with pytest.raises(Refused, match="not accepted"):
            factors.add_passkey(
                name="key", state=state, answer=answer, host="localhost", by=by(admin)
            )
        assert (
            factors.check_passkey(
                user=admin, state=state, answer=answer, host="localhost", at=NINE
            )
            is None
        )

    @pytest.mark.parametrize(
        ("host", "possible"),
        [("localhost", True), ("ivig.example", True), ("127.0.0.1", False)]
        + [("::1", False), ("192.168.1.20", False)],
    )
    def test_a_number_has_no_passkeys(self, host, possible):
        assert factors.can_have_passkeys(host) is possible

    @pytest.mark.parametrize(
        ("origin", "ours"),
        [
            ("https://ivig.example", True),
            ("https://ivig.example:8443", True),
            ("http://ivig.example", False),
            ("https://evil.ivig.example", False),
            ("https://ivig.example.evil", False),
        ],
    )
    def test_only_a_page_of_this_very_host_may_answer(self, origin, ours):
        assert factors._server("ivig.example")._verify(origin) is ours


class TestSealing:
    def test_the_same_text_is_sealed_differently_each_time(self):
        assert seal("text") != seal("text")

    def test_an_altered_one_is_refused(self):
        sealed = seal("text")
        altered = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]

        with pytest.raises(Unreadable):
            unseal(altered)

    def test_a_secret_to_be_read_out_has_no_letters_that_look_alike(self):
        letters = "".join(readable_secret() for _ in range(200))

        assert not set(letters) & set("01ilo")


def test_a_factor_is_whole_or_the_database_refuses_it(admin):
    from django.db import IntegrityError

    with pytest.raises(IntegrityError, match="factor_is_whole"):
        Factor.objects.create(
            user=admin, kind=FactorKind.PASSKEY, name="half", created_at=NINE
        )


def test_a_resend_adds_nothing(admin):
    from sessions.services.acts import Replayed

    actor = replace(by(admin), key="5f1c3a52-0000-4000-8000-000000000001")
    added = factors.add_app(name="phone", secret=SECRET, code=code_at(NINE), by=actor)

    with pytest.raises(Replayed):
        factors.add_app(name="phone", secret=SECRET, code=code_at(NINE), by=actor)
    assert list(Factor.objects.all()) == [added.factor]
