"""Second factors: authenticator apps, passkeys and recovery codes."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import pyotp
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from fido2.rpid import verify_rp_id
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from sessions.models import Factor, FactorKind, RecoveryCode, User
from sessions.services import sign_ins
from sessions.services.acts import Actor, Refused, act
from sessions.services.sealing import Unreadable, readable_secret, renewed, seal, unseal

STEP_SECONDS = 30
CODES = 10
CODE_GROUPS = 6
"""Groups of four letters of 31 in a recovery code: 118 bits."""
WRONG = _lazy("This code does not fit. Codes change every 30 seconds; use the newest.")
NO_PASSKEY = _lazy("The passkey was not accepted. Try again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A new factor; with the first one come recovery codes, shown once."""

    factor: Factor
    codes: tuple[str, ...] = ()


# ── authenticator app (RFC 6238) ───────────────────────────────────────────────


def new_secret() -> str:
    return pyotp.random_base32()


def address_for_app(user: User, secret: str) -> str:
    """What the QR code says: `otpauth://totp/…`."""
    issuer = _("IVIG Clinic {name}").format(name=user.clinic.name)
    return pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=issuer)


def add_app(
    *, name: str, secret: str, code: str, by: Actor, login_pk: int | None = None
) -> Added:
    """Add an authenticator app that has just shown a right code."""

    def made() -> Factor:
        step = matching_step(secret, code, at=by.at)
        if step is None:
            raise Refused(WRONG, field="code")
        return Factor(
            kind=FactorKind.APP, name=name, secret=seal(secret), last_step=step
        )

    return _add(made, by=by, login_pk=login_pk)


def matching_step(secret: str, code: str, *, at: datetime) -> int | None:
    """The time step this code belongs to: this one, or one before or after.

    A phone's clock may be half a minute off (RFC 6238, 5.2).
    """
    totp, now = pyotp.TOTP(secret), int(at.timestamp()) // STEP_SECONDS
    found = None
    for step in (now - 1, now, now + 1):
        if secrets.compare_digest(totp.generate_otp(step), code):
            found = step
    return found


def check_code(*, user: User, code: str, at: datetime) -> Factor | None:
    """The app that showed this code, if it was not used before (RFC 6238, 5.2).

    One that was sealed under a key since replaced is sealed anew.
    """
    if not re.fullmatch("[0-9]{6}", code):
        return None
    for factor in Factor.objects.filter(user=user, kind=FactorKind.APP):
        try:
            step = matching_step(unseal(factor.secret), code, at=at)
        except Unreadable:
            continue
        if step is None:
            continue
        unused = Q(last_step=None) | Q(last_step__lt=step)
        if Factor.objects.filter(unused, pk=factor.pk).update(
            last_step=step, last_used_at=at, secret=renewed(factor.secret)
        ):
            return factor
    return None


# ── passkey (WebAuthn) ─────────────────────────────────────────────────────────


def ask_for_new_passkey(user: User, *, host: str) -> tuple[dict, dict]:
    """What the browser is asked, and what the server remembers to check the answer."""
    options, state = _server(host).register_begin(
        PublicKeyCredentialUserEntity(
            id=f"user-{user.pk}".encode(), name=user.username, display_name=user.name
        ),
        credentials=[_credential(each) for each in _passkeys(user, host)],
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return _plain(options), state


def add_passkey(
    *,
    name: str,
    state: dict,
    answer: str,
    host: str,
    by: Actor,
    login_pk: int | None = None,
) -> Added:
    """Add the passkey that the browser has just made."""

    def made() -> Factor:
        try:
            new = _server(host).register_complete(state, json.loads(answer))
        except Exception as error:  # whatever a browser sends, it is refused in words
            raise Refused(NO_PASSKEY) from error
        credential = new.credential_data
        identifier = base64.urlsafe_b64encode(credential.credential_id).decode()
        if Factor.objects.filter(credential_id=identifier).exists():
            raise Refused("This passkey is added already.")
        return Factor(
            kind=FactorKind.PASSKEY,
            name=name,
            credential_id=identifier,
            credential=base64.b64encode(bytes(credential)).decode(),
            sign_count=new.counter,
            host=host,
        )

    return _add(made, by=by, login_pk=login_pk)


def ask_for_passkey(user: User, *, host: str) -> tuple[dict, dict] | None:
    """The question for a user who has passkeys for this host."""
    known = [_credential(each) for each in _passkeys(user, host)]
    if not known:
        return None
    options, state = _server(host).authenticate_begin(
        known, user_verification=UserVerificationRequirement.PREFERRED
    )
    return _plain(options), state


def check_passkey(
    *, user: User, state: dict, answer: str, host: str, at: datetime
) -> Factor | None:
    """The passkey that signed the server's question.

    A counter that does not go up is a copied key (WebAuthn, 6.1.1); keys without a
    counter always say 0.
    """
    factors = {bytes(_credential(each)): each for each in _passkeys(user, host)}
    try:
        response = AuthenticationResponse.from_dict(json.loads(answer))
        known = [AttestedCredentialData(raw) for raw in factors]
        used = _server(host).authenticate_complete(state, known, response)
    except Exception:  # whatever a browser sends, it is not this user's passkey
        return None
    count = response.response.authenticator_data.counter
    rows = Factor.objects.filter(pk=factors[bytes(used)].pk)
    grown = Q(sign_count__lt=count) if count else Q(sign_count=0)
    if not rows.filter(grown).update(sign_count=count, last_used_at=at):
        return None
    return factors[bytes(used)]


def can_have_passkeys(host: str) -> bool:
    """A browser makes passkeys for a name, never for a bare number like 127.0.0.1."""
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _server(host: str) -> Fido2Server:
    """Takes answers that a page of exactly this host gave, over a safe line."""

    def is_ours(origin: str) -> bool:
        return urlsplit(origin).hostname == host and verify_rp_id(host, origin)

    owner = PublicKeyCredentialRpEntity(id=host, name="IVIG Clinic")
    return Fido2Server(owner, verify_origin=is_ours)


def _passkeys(user: User, host: str) -> list[Factor]:
    return list(Factor.objects.filter(user=user, kind=FactorKind.PASSKEY, host=host))


def _credential(factor: Factor) -> AttestedCredentialData:
    return AttestedCredentialData(base64.b64decode(factor.credential))


def _plain(options: Any) -> dict:
    """Options as the browser's JSON has them: bytes become base64url."""
    return dict(options)


# ── recovery codes ─────────────────────────────────────────────────────────────


def new_recovery_codes(*, by: Actor) -> tuple[str, ...]:
    """Ten new codes; the old ones are worth nothing from now on."""
    with act("staff.recovery-codes", by=by) as done:
        if not Factor.objects.filter(user=by.user).exists():
            raise Refused("Add an authenticator app or a passkey first.")
        codes = _make_codes(by.user, at=by.at)
        done.on(by.user, count=len(codes))
    return codes


def use_recovery_code(*, user: User, code: str, at: datetime) -> bool:
    """Use up one code; it is right only once, however many ask at the same time."""
    rows = RecoveryCode.objects.filter(
        user=user, code_hash=_hash(user, _letters(code)), used_at=None
    )
    return rows.update(used_at=at) == 1


def codes_left(user: User) -> int:
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def _make_codes(user: User, *, at: datetime) -> tuple[str, ...]:
    """Each of 118 bits: too many to try, so a plain hash is enough (ASVS 5.0, 6.5.2).

    Codes of four groups, as they were made at first, stay good until new ones are made.
    """
    RecoveryCode.objects.filter(user=user).delete()
    codes = tuple(readable_secret(CODE_GROUPS) for _ in range(CODES))
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, code_hash=_hash(user, _letters(code)), made_at=at)
        for code in codes
    )
    return codes


def _letters(code: str) -> str:
    return re.sub(r"[\s-]", "", code.lower())


def _hash(user: User, letters: str) -> str:
    return hashlib.sha256(f"{user.pk}:{letters}".encode()).hexdigest()


# ── all of them ────────────────────────────────────────────────────────────────


def has_factor(user: User) -> bool:
    return Factor.objects.filter(user=user).exists()


def remove(*, factor_pk: int, by: Actor) -> None:
    """Take one factor away; who needs two things to sign in keeps at least one."""
    with act("staff.factor-remove", by=by) as done:
        user = User.objects.select_for_update(of=("self",)).get(pk=by.user.pk)
        factor = Factor.objects.filter(pk=factor_pk, user=user).first()
        if factor is None:
            raise Refused("This was removed already.")
        others = Factor.objects.filter(user=user).exclude(pk=factor.pk).exists()
        if not others and user.needs_second_factor:
            raise Refused(
                "Your role needs a second factor: add another before you remove this."
            )
        done.on(user, kind=factor.kind, name=factor.name)
        factor.delete()
        if not others:
            RecoveryCode.objects.filter(user=user).delete()


def forget_all(*, user: User, by: Actor) -> None:
    """Take every factor of somebody away, whose phone is lost; ends their logins.

    They add new ones at the next sign-in.
    """
    if by.user is not None and user.pk == by.user.pk:
        raise Refused("Change your own under your name, at the top right.")
    with act("staff.factors-forget", by=by) as done:
        user = User.objects.select_for_update(of=("self",)).get(pk=user.pk)
        kinds = list(Factor.objects.filter(user=user).values_list("kind", flat=True))
        Factor.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        sign_ins.end_all(user, at=by.at)
        done.on(user, username=user.username, removed=kinds)


def _add(made: Callable[[], Factor], *, by: Actor, login_pk: int | None) -> Added:
    """Add a factor; the first one ends every login but `login_pk`.

    Those other logins began with a password alone, and could add a factor of theirs.
    """
    if by.user.clinic.is_demo:
        raise Refused("A demo clinic has no second factors.")
    with act("staff.factor-add", by=by) as done:
        user = User.objects.select_for_update(of=("self",)).get(pk=by.user.pk)
        first, factor = not has_factor(user), made()
        factor.user, factor.created_at = user, by.at
        factor.save(force_insert=True)
        codes: tuple[str, ...] = ()
        if first:
            codes = _make_codes(user, at=by.at)
            sign_ins.end_all(user, at=by.at, but=login_pk)
        done.on(user, kind=factor.kind, name=factor.name)
    return Added(factor=factor, codes=codes)
