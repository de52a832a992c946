"""The sealed file: compressed, encrypted, and whole or not at all.

    8 bytes    IVIGBK01
    8 bytes    which key (from the key, tells nothing about it)
    16 bytes   salt: the file's own key is HKDF-SHA256(key, salt)
    chunks     AES-256-GCM over at most 1 MiB each, 16 bytes of tag at the end of each

The nonce of a chunk is its number (11 bytes) and 1 for the last chunk, else 0; the
first 32 bytes are authenticated with every chunk. So a changed byte, a chunk left
out, moved or repeated, a cut end and anything added are all noticed. The key of a
file is used for that file alone, so no nonce comes twice. This is the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár (2015).
"""

import os
import secrets
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sessions.backups.errors import BackupError, UsageError

MAGIC = b"IVIGBK01"
KEY_BYTES = 32
KEY_NAME_BYTES = 8
SALT_BYTES = 16
HEADER_BYTES = len(MAGIC) + KEY_NAME_BYTES + SALT_BYTES
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
COMPRESSION = 6


def new_key(path: Path) -> bytes:
    """Make a key file that only its owner reads; never over one that is there."""
    key = secrets.token_bytes(KEY_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"There is a key file already: {path}.") from None
    except OSError as error:
        raise UsageError(f"The key file {path}: {error.strerror}.") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{key.hex()}\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def read_key(path: Path) -> bytes:
    """Read a key file: 64 hexadecimal digits, readable by its owner alone."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise UsageError(
            f"There is no key file {path}. Make one: manage.py backup --new-key"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"The key file {path} cannot be read.") from None
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"Others can read the key file. First: chmod 600 {path}")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UsageError(f"{path} is not a key file: it needs 64 hexadecimal digits.")
    return key


def name_of(key: bytes) -> bytes:
    """Which key it is, so that a wrong one is told apart from a damaged file."""
    return _derived(key, b"", b"IVIG Clinic backup key name", KEY_NAME_BYTES)


def seal(blocks: Iterable[bytes], file: BinaryIO, key: bytes) -> None:
    """Write the header and every block, compressed and encrypted."""
    salt = secrets.token_bytes(SALT_BYTES)
    header = MAGIC + name_of(key) + salt
    cipher = _cipher(key, salt)
    file.write(header)
    for number, (chunk, last) in enumerate(_with_last(_chunks(_packed(blocks)))):
        file.write(cipher.encrypt(_nonce(number, last), chunk, header))


def unseal(file: BinaryIO, key: bytes) -> Iterator[bytes]:
    """Read the blocks back; raises `BackupError` at the first byte that is not ours."""
    header = file.read(HEADER_BYTES)
    if not header.startswith(MAGIC):
        raise BackupError("This is not a backup of IVIG Clinic.")
    if len(header) < HEADER_BYTES:
        raise BackupError("The backup is damaged: it ends in its first bytes.")
    name, salt = header[len(MAGIC) : -SALT_BYTES], header[-SALT_BYTES:]
    if name != name_of(key):
        raise BackupError(
            f"The key does not fit: the backup was made with key {name.hex()}, "
            f"this is key {name_of(key).hex()}."
        )
    return _unpacked(_opened(file, _cipher(key, salt), header))


def _opened(file: BinaryIO, cipher: AESGCM, header: bytes) -> Iterator[bytes]:
    sealed = iter(lambda: file.read(SEALED_BYTES), b"")
    number = -1
    for number, (chunk, last) in enumerate(_with_last(sealed)):
        try:
            yield cipher.decrypt(_nonce(number, last), chunk, header)
        except InvalidTag:
            raise BackupError(
                f"The backup is damaged: it was changed or cut in MiB {number + 1}."
            ) from None
    if number < 0:
        raise BackupError("The backup is damaged: it ends after its first bytes.")


def write_whole(path: Path, blocks: Iterable[bytes], key: bytes) -> None:
    """Write a sealed file that exists under its name only when it is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        if path.exists():
            raise BackupError(f"There is a file already: {path}.")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                seal(blocks, file, key)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except BaseException:
            with suppress(FileNotFoundError):
                part.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise BackupError(
            f"The backup could not be written to {path.parent}: {error.strerror}."
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, as fsync does for a file's content."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _derived(key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt or None, info).derive(key)


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(_derived(key, salt, b"IVIG Clinic backup", KEY_BYTES))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _with_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk, and whether it is the last one."""
    held: bytes | None = None
    for chunk in chunks:
        if held is not None:
            yield held, False
        held = chunk
    if held is not None:
        yield held, True


def _chunks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one size; the last may be shorter."""
    waiting = bytearray()
    for block in blocks:
        waiting += block
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
    if waiting:
        yield bytes(waiting)


def _packed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(COMPRESSION)
    for block in blocks:
        yield packer.compress(block)
    yield packer.flush()


def _unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    for block in blocks:
        while block:
            yield unpacker.decompress(block, CHUNK_BYTES)
            block = unpacker.unconsumed_tail
    yield unpacker.flush()
