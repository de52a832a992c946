"""A backup file opens whole and unchanged with its key, or not at all (H32)."""

import io
import random
import resource
import signal
from contextlib import contextmanager

import pytest

from sessions.backups import envelope
from sessions.backups.errors import BackupError, UsageError

KEY = bytes(range(32))
HEADER, SEALED = envelope.HEADER_BYTES, envelope.SEALED_BYTES


def noise(size: int) -> bytes:
    """Bytes that do not get smaller, so that a test knows how many chunks there are."""
    return random.Random(size).randbytes(size)


def sealed(content: bytes, key: bytes = KEY) -> bytes:
    file = io.BytesIO()
    envelope.seal([content], file, key)
    return file.getvalue()


def opened(file: bytes, key: bytes = KEY) -> bytes:
    return b"".join(envelope.unseal(io.BytesIO(file), key))


@pytest.fixture(scope="module")
def three_chunks() -> bytes:
    file = sealed(noise(2 * envelope.CHUNK_BYTES + 5000))
    assert HEADER + 2 * SEALED < len(file) < HEADER + 3 * SEALED
    return file


@pytest.mark.parametrize("size", [0, 1, 5000, (1 << 20) - 300, 1 << 20, 3 << 20])
def test_what_was_sealed_comes_back(size):
    assert opened(sealed(noise(size))) == noise(size)


def test_what_gets_smaller_comes_back_whole():
    assert opened(sealed(b"the same again " * 1_000_000)) == (
        b"the same again " * 1_000_000
    )


def test_the_content_is_nowhere_in_the_file():
    assert b"Okonkwo" not in sealed(b"Okonkwo")


def test_the_same_content_never_makes_the_same_file():
    assert sealed(b"content") != sealed(b"content")


def test_another_key_is_refused_and_named():
    other = bytes(32)

    with pytest.raises(BackupError, match="key does not fit") as refused:
        opened(sealed(b"content", KEY), other)

    assert envelope.name_of(KEY).hex() in str(refused.value)
    assert envelope.name_of(other).hex() in str(refused.value)


def test_a_flipped_bit_in_any_byte_is_refused():
    file = sealed(b"a short record")

    for place in range(len(file)):
        changed = bytearray(file)
        changed[place] ^= 1
        with pytest.raises(BackupError):
            opened(bytes(changed))


def test_a_flipped_bit_anywhere_in_a_large_file_is_refused(three_chunks):
    for place in random.Random(4).sample(range(len(three_chunks)), 40):
        changed = bytearray(three_chunks)
        changed[place] ^= 128
        with pytest.raises(BackupError, match=r"damaged|does not fit|not a backup"):
            opened(bytes(changed))


@pytest.mark.parametrize("length", range(HEADER + 40))
def test_a_file_cut_anywhere_in_its_beginning_is_refused(length):
    file = sealed(b"a short record")

    with pytest.raises(BackupError, match=r"damaged|not a backup"):
        opened(file[: min(length, len(file) - 1)])


@pytest.mark.parametrize(
    "length",
    [HEADER, HEADER + SEALED, HEADER + 2 * SEALED, HEADER + 2 * SEALED + 100],
)
def test_a_file_cut_between_chunks_is_refused(three_chunks, length):
    """Each chunk that is left is whole: only the mark of the last one is missing."""
    with pytest.raises(BackupError, match="damaged"):
        opened(three_chunks[:length])


def test_chunks_cannot_be_swapped_left_out_repeated_or_added(three_chunks):
    head = three_chunks[:HEADER]
    first = three_chunks[HEADER : HEADER + SEALED]
    second = three_chunks[HEADER + SEALED : HEADER + 2 * SEALED]
    last = three_chunks[HEADER + 2 * SEALED :]
    assert opened(head + first + second + last)

    for order in (
        [second, first, last],
        [first, last],
        [second, last],
        [first, first, second, last],
        [first, second, last, last],
        [first, second, last, b"more"],
        [last],
    ):
        with pytest.raises(BackupError, match="damaged"):
            opened(head + b"".join(order))


def test_a_chunk_of_another_backup_does_not_fit(three_chunks):
    other = sealed(noise(2 * envelope.CHUNK_BYTES + 5000))

    with pytest.raises(BackupError, match="changed or cut in MiB 1"):
        opened(three_chunks[:HEADER] + other[HEADER:])


@pytest.mark.parametrize("file", [b"", b"SQLite format 3\x00" + bytes(200)])
def test_any_other_file_is_refused(file):
    with pytest.raises(BackupError, match="not a backup of IVIG Clinic"):
        opened(file)


def test_a_file_is_there_whole_and_closed_to_others(tmp_path):
    path = tmp_path / "one.backup"

    envelope.write_whole(path, [b"content"], KEY)

    assert opened(path.read_bytes()) == b"content"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    path = tmp_path / "one.backup"
    path.write_bytes(b"kept")

    with pytest.raises(BackupError, match="a file already"):
        envelope.write_whole(path, [b"content"], KEY)

    assert path.read_bytes() == b"kept"
    assert list(tmp_path.iterdir()) == [path]


@contextmanager
def room_for(size: int):
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_no_half_file(tmp_path):
    with room_for(2 << 20), pytest.raises(BackupError, match="could not be written"):
        envelope.write_whole(tmp_path / "one.backup", [noise(4 << 20)], KEY)

    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_no_half_file(tmp_path):
    def interrupted():
        yield noise(2 << 20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        envelope.write_whole(tmp_path / "one.backup", interrupted(), KEY)

    assert list(tmp_path.iterdir()) == []


def test_a_new_key_is_random_and_closed_to_others(tmp_path):
    path = tmp_path / "backup.key"

    key = envelope.new_key(path)

    assert envelope.read_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="a key file already"):
        envelope.new_key(path)
    assert envelope.new_key(tmp_path / "other.key") != key


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "backup.key"
    envelope.new_key(path)
    path.chmod(0o640)

    with pytest.raises(UsageError, match="chmod 600"):
        envelope.read_key(path)


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "zz" * 32, "é"])
def test_what_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "backup.key"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

    with pytest.raises(UsageError, match=r"not a key file|cannot be read"):
        envelope.read_key(path)


def test_a_missing_key_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match="--new-key"):
        envelope.read_key(tmp_path / "backup.key")
