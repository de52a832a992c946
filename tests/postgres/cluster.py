"""A PostgreSQL of our own for tests: made in a temporary folder, gone afterwards.

    python -m tests.postgres.cluster -m "not soak and not browser"

runs pytest with the given arguments on it. The cluster has checksums and every
setting of durability as it comes; it listens on a free port of this machine alone.
The product's account owns its database but is no superuser, as in a clinic.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "clinic"
SUPERUSER = "postgres"
INSTALL = ("apt-get", "-qq", "install", "-y", "--no-install-recommends", "postgresql")


class NoPostgreSQL(Exception):
    """There are no binaries and no way to install them; the message says what to do."""


def binaries() -> Path:
    """The newest PostgreSQL of Debian's packages; installs it when root may."""
    found = _newest()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "-qq", "update"], check=True, env=quiet)
        subprocess.run(INSTALL, check=True, env=quiet, stdout=subprocess.DEVNULL)
        found = _newest()
    if found is None:
        raise NoPostgreSQL(
            "PostgreSQL is missing. On Debian or Ubuntu: "
            "sudo apt-get install postgresql"
        )
    return found


def _newest() -> Path | None:
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda each: float(each.parent.name), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster; `stop("immediate")` is a crash, `start` recovers."""

    programs: Path
    folder: Path
    data: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """What `DATABASE_URL` says."""
        return f"postgresql://{ACCOUNT}:{self.password}@127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def runs(self) -> bool:
        """Whether there is a postmaster, be it one that recovers."""
        try:
            self.run("pg_ctl", "status", "-D", str(self.data))
        except RuntimeError:
            return False
        return True

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs; root lends it to a plain account."""
        command = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", SUPERUSER, "--", *command]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        if done.returncode:
            log = self.folder / "log"
            said = log.read_text(encoding="utf-8") if log.exists() else ""
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}{said[-2000:]}")

    def start(self) -> None:
        listen = f"-p {self.port} -c listen_addresses=127.0.0.1"
        log, place = self.folder / "log", self.folder
        options = f"{listen} -c unix_socket_directories={place}"
        self.run(
            *("pg_ctl", "start", "-w", "-D", str(self.data)),
            *("-l", str(log), "-o", options),
        )

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self.data))

    def sql(self, statement: str) -> None:
        """Run one statement as the superuser, through the socket in the folder."""
        self.run(
            *("psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder)),
            *("-p", str(self.port), "-U", SUPERUSER, "-d", "postgres"),
            *("-c", statement),
        )


@contextmanager
def cluster(*, data: Path | None = None, wal: Path | None = None) -> Iterator[Cluster]:
    """A fresh cluster with an empty database of the product's account.

    `data` and `wal` are folders for its tables and its write-ahead log, to lie on small
    disks of their own, in small pieces; a log without a folder lies with the tables.
    """
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="ivig-postgresql-"))
    for each in (folder, data, wal):
        if each is not None and os.geteuid() == 0:
            each.mkdir(exist_ok=True)
            shutil.chown(each, SUPERUSER)
    made = Cluster(
        programs=programs,
        folder=folder,
        data=data or folder / "data",
        port=_free_port(),
        password=secrets.token_hex(16),
    )
    try:
        # The socket is in a folder that is closed to others, so it may trust.
        made.run(
            *("initdb", "-D", str(made.data), "-U", SUPERUSER, "--data-checksums"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8"),
            *(["--wal-segsize=1"] if data or wal else []),
            *([f"--waldir={wal}"] if wal else []),
        )
        made.start()
        made.sql(f"CREATE ROLE {ACCOUNT} LOGIN CREATEDB PASSWORD '{made.password}'")
        made.sql(f"CREATE DATABASE {ACCOUNT} OWNER {ACCOUNT}")
        yield made
    finally:
        with suppress(RuntimeError):
            made.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def main(arguments: list[str]) -> int:
    def end(*_signal) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, end)
    try:
        with cluster() as made:
            return subprocess.run(
                [sys.executable, "-m", "pytest", *arguments],
                env=os.environ | {"DATABASE_URL": made.url},
            ).returncode
    except NoPostgreSQL as missing:
        sys.stderr.write(f"{missing}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
