"""The real server on a scratch record: started, asked over HTTP, killed, judged."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from ivig_clinic import databases
from sessions.backups.engines import opened

HOST = "127.0.0.1"
ROOT = Path(__file__).parent.parent.parent
TOKEN = "t" * 32  # the form's token and the cookie's are the same, as Django asks
CALM = {
    "systolic_mmhg": "126",
    "diastolic_mmhg": "76",
    "pulse": "78",
    "respiratory_rate": "16",
    "spo2": "98",
    "temperature": "36.8",
    "consciousness": "A",
    "oxygen": "air",
    "spo2_scale": "1",
}
FALLEN = CALM | {"systolic_mmhg": "104"}
"""A fall of 24 mmHg from the baseline of 128: calls for a flag."""

LOST = (OSError, HTTPException)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A scratch database, and what was put there."""

    environment: dict[str, str]
    settings: dict[str, Any]
    seeded: dict[str, Any]

    @property
    def visits(self) -> list[int]:
        return self.seeded["visits"]

    @property
    def file(self) -> Path:
        return Path(self.settings["NAME"])

    @contextmanager
    def read(self) -> Iterator[str]:
        """An alias under which the test reads the record beside the server."""
        with opened(self.settings) as alias:
            yield alias


def environment(*, file: Path | str = "", url: str = "") -> dict[str, str]:
    return os.environ | {
        "DATABASE_FILE": str(file),
        "DATABASE_URL": url,
        "DOWNTIME_FOLDER": str(sheets_of(file, url)),
        "SECRET_KEY": "of-the-scratch-server-" * 3,
        "HTTPS": "False",
        "ACTS_PER_MINUTE": "9999",
        "DEBUG": "False",
        "ALLOWED_HOSTS": HOST,
        "PYTHONPATH": str(ROOT),
    }


def sheets_of(file: Path | str, url: str) -> Path:
    """Where a scratch server writes its downtime sheets."""
    if file:
        return Path(file).with_suffix(".downtime")
    return Path(tempfile.gettempdir()) / f"downtime-{url.rpartition('/')[2]}"


def seeded(environment: dict[str, str], *, nurses: int, visits: int) -> dict[str, Any]:
    """Migrate and fill a database in a process of its own, as settings need one."""
    words = ("-m", "tests.trust.seed", str(nurses), str(visits))
    done = subprocess.run(
        [sys.executable, *words],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def sqlite_record(file: Path, *, nurses: int, visits: int) -> Record:
    around = environment(file=file)
    return Record(
        environment=around,
        settings=databases.sqlite(file),
        seeded=seeded(around, nurses=nurses, visits=visits),
    )


def postgresql_record(url: str, *, nurses: int, visits: int) -> Record:
    around = environment(url=url)
    return Record(
        environment=around,
        settings=databases.postgresql(url),
        seeded=seeded(around, nurses=nurses, visits=visits),
    )


@contextmanager
def another_database(url: str) -> Iterator[str]:
    """A database of its own beside the one that the tests run on."""
    name = f"trust_{secrets.token_hex(4)}"
    base = url.rpartition("/")[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as door:
        door.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{base}/{name}"
    finally:
        with psycopg.connect(f"{base}/postgres", autocommit=True) as door:
            _drop(door, name)


def _drop(door: psycopg.Connection, name: str) -> None:
    """Drop a database; a worker of autovacuum in it is not ours to end, but goes."""
    for _ in range(20):
        try:
            door.execute(f"DROP DATABASE {name} WITH (FORCE)")
        except psycopg.errors.InsufficientPrivilege:
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"{name} could not be dropped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    text: str
    place: str = ""

    @property
    def saved(self) -> bool:
        """Without script a save is answered by a redirect to the visit."""
        return self.status == 302 and self.place.startswith("/infusions/")


@dataclass(slots=True, kw_only=True)
class Server:
    """Gunicorn as `make run` starts it, in a process group of its own."""

    record: Record
    log: Path
    port: int = 0
    process: subprocess.Popen | None = field(default=None)

    def start(self, *, within: float = 60) -> float:
        """Start and wait for the first answer; return the seconds it took."""
        began = time.monotonic()
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "gunicorn", "ivig_clinic.wsgi"]
        command += ["--bind", f"{HOST}:{self.port}", "--workers", "2", "--threads", "4"]
        command += ["--no-control-socket", "--log-level", "warning"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=self.record.environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while True:
            with suppress(*LOST):
                if self.get("/sign-in/", timeout=within).status == 200:
                    return time.monotonic() - began
            assert self.process.poll() is None, self.said()
            assert time.monotonic() - began < within, self.said()
            time.sleep(0.05)

    def kill(self) -> None:
        """`kill -9` of the master and all its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def get(self, address: str, *, nurse: int | None = None, timeout=60) -> Answer:
        return self._ask("GET", address, None, nurse, timeout)

    def post(
        self, address: str, fields: dict[str, str], *, nurse: int = 0, timeout=60
    ) -> Answer:
        body = urlencode(fields | {"csrfmiddlewaretoken": TOKEN})
        return self._ask("POST", address, body, nurse, timeout)

    def vitals(
        self, visit: int, reading: dict[str, str], *, key: str = "", nurse: int = 0
    ) -> Answer:
        """Save a set, without script: the answer to a save is a redirect."""
        fields = reading | {"submission_key": key or str(uuid.uuid4())}
        return self.post(f"/infusions/{visit}/vitals/", fields, nurse=nurse)

    def _ask(self, method, address, body, nurse, timeout) -> Answer:
        cookies = [f"csrftoken={TOKEN}"]
        if nurse is not None:
            cookies.append(f"sessionid={self.record.seeded['nurses'][nurse]}")
        headers = {"Cookie": "; ".join(cookies)}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        door = HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            door.request(method, address, body=body, headers=headers)
            answer = door.getresponse()
            text = answer.read().decode()
        finally:
            door.close()
        return Answer(
            status=answer.status,
            text=text,
            place=answer.headers.get("Location", ""),
        )


@contextmanager
def served(record: Record, folder: Path) -> Iterator[Server]:
    server = Server(record=record, log=folder / "server.log")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind((HOST, 0))
        return asked.getsockname()[1]


def copied(record: Record, file: Path) -> Record:
    """The same record in a file of its own; nobody may have it open."""
    shutil.copy(record.file, file)
    return Record(
        environment=environment(file=file),
        settings=databases.sqlite(file),
        seeded=record.seeded,
    )
