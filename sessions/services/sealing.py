"""Secrets: made to be read out, or kept so that the table alone is no use.

Sealed with a key made from SECRET_KEY: a copy of the database, or a backup, opens
nothing without it.
"""

import base64
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext as _

_NONCE = 12
# Without letters and digits that are mistaken for each other when read aloud.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


def readable_secret(groups: int = 4) -> str:
    """Groups of four random letters, to be read out and typed: 19.8 bits each."""
    return "-".join(
        "".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(groups)
    )


class Unreadable(ValueError):
    """The text was sealed with another key, or altered."""


def seal(text: str) -> str:
    """Encrypt a short secret: AES-256-GCM, a new nonce each time, base64."""
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(_key(settings.SECRET_KEY)).encrypt(nonce, text.encode(), None)
    return base64.b64encode(nonce + sealed).decode()


def unseal(sealed: str) -> str:
    """The secret again; a key that was replaced still opens what it sealed."""
    raw = base64.b64decode(sealed)
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            plain = AESGCM(_key(secret)).decrypt(raw[:_NONCE], raw[_NONCE:], None)
        except InvalidTag:
            continue
        return plain.decode()
    raise Unreadable(_("sealed with another key"))


def renewed(sealed: str) -> str:
    """The same secret under the key of today; as it is, where that sealed it."""
    raw = base64.b64decode(sealed)
    try:
        AESGCM(_key(settings.SECRET_KEY)).decrypt(raw[:_NONCE], raw[_NONCE:], None)
    except InvalidTag:
        return seal(unseal(sealed))
    return sealed


def _key(secret: str) -> bytes:
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"second factors")
    return made.derive(secret.encode())
