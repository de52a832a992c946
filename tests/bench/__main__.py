"""`make bench`: Save to flag in Chromium, then saves and boards beside bare Django.

A demo clinic is made in a folder of its own; eight nurses save vital signs and poll the
board over HTTP, each with a login of their own.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from tests.bench import chair

CLIENTS, SECONDS = 8, 10
HOST, PORT, BARE_PORT = "127.0.0.1", 8197, 8198
READING = {
    "systolic_mmhg": "122",
    "diastolic_mmhg": "74",
    "pulse": "76",
    "respiratory_rate": "15",
    "spo2": "98",
    "temperature": "36.8",
    "consciousness": "A",
    "oxygen": "air",
}


class Browser:
    """One signed-in nurse: a kept connection, cookies and the form token."""

    def __init__(self, port: int) -> None:
        self.http = HTTPConnection(HOST, port, timeout=60)
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, address: str, **fields: str) -> tuple[int, str]:
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        body = None
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["HX-Request"] = "true"
            body = urlencode(fields)
        try:
            self.http.request(method, address, body=body, headers=headers)
            answer = self.http.getresponse()
        except (OSError, HTTPException):  # the server closed a connection at rest
            self.http.close()
            self.http.request(method, address, body=body, headers=headers)
            answer = self.http.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer.status, text

    def sign_in(self, password: str) -> None:
        _, page = self.ask("GET", "/sign-in/")
        status, _ = self.ask(
            "POST",
            "/sign-in/",
            username="nurse",
            password=password,
            csrfmiddlewaretoken=token_in(page),
        )
        if status != 302:
            raise SystemExit(f"signing in answered {status}")
        self.token = token_in(self.ask("GET", "/me/")[1])


def token_in(page: str) -> str:
    return re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)[1]


@contextmanager
def served(module: str, port: int, environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "gunicorn", module, "--bind", f"{HOST}:{port}"]
    command += ["--workers", "2", "--threads", "4", "--no-control-socket"]
    command += ["--log-level", "warning"]
    server = subprocess.Popen(command, env=environment)
    try:
        for _ in range(300):
            try:
                HTTPConnection(HOST, port, timeout=2).request("GET", "/sign-in/")
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


def measure(work: list[Callable[[], int]], wanted: int) -> tuple[float, list[float]]:
    """Let every client repeat its request; requests a second, and times in ms."""
    until = time.monotonic() + SECONDS

    def repeat(once: Callable[[], int]) -> list[float]:
        taken = []
        while time.monotonic() < until:
            began = time.monotonic()
            status = once()
            taken.append(1000 * (time.monotonic() - began))
            if status != wanted:
                raise SystemExit(f"answered {status}, not {wanted}")
        return taken

    began = time.monotonic()
    with ThreadPoolExecutor(len(work)) as pool:
        taken = [each for times in pool.map(repeat, work) for each in times]
    return len(taken) / (time.monotonic() - began), sorted(taken)


def report(name: str, found: tuple[float, list[float]]) -> None:
    rate, taken = found
    p95 = statistics.quantiles(taken, n=20)[-1]
    print(f"{name:<44}{rate:>9.1f}{statistics.median(taken):>9.1f}{p95:>9.1f}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "DATABASE_FILE": f"{folder}/bench.sqlite3",
            "DATABASE_URL": "",
            "BARE_FILE": f"{folder}/bare.sqlite3",
            "SECRET_KEY": uuid.uuid4().hex * 2,
            "HTTPS": "False",
            "DEBUG": "False",
        }
        manage = [sys.executable, str(Path("manage.py"))]
        for command in (["migrate"], ["collectstatic", "--noinput"]):
            subprocess.run(
                [*manage, *command, "--verbosity", "0"], env=environment, check=True
            )
        subprocess.run(
            [*manage, "demo"], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        show = "from sessions.models import InfusionSession as S;"
        show += (
            "print(*S.objects.filter(stage='infusing').values_list('pk', flat=True))"
        )
        shown = subprocess.run(
            [*manage, "shell", "--no-imports", "-c", show],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        sessions = [int(word) for word in shown.stdout.split()]
        chair.measure(environment)
        measure_all(environment, sessions)


def measure_all(environment: dict[str, str], sessions: list[int]) -> None:
    from sessions.demo.people import PASSWORD

    print(f"{CLIENTS} clients, 2 workers × 4 threads, {SECONDS} s each")
    print(f"{'':<44}{'req/s':>9}{'p50 ms':>9}{'p95 ms':>9}")
    with served("tests.bench.bare", BARE_PORT, environment):
        bare = [Browser(BARE_PORT) for _ in range(CLIENTS)]
        bare[0].ask("GET", "/")
        calls = [lambda each=each: each.ask("GET", "/")[0] for each in bare]
        report("bare Django: one view, one insert", measure(calls, 200))
    with served("ivig_clinic.wsgi", PORT, environment):
        nurses = [Browser(PORT) for _ in range(CLIENTS)]
        for nurse in nurses:
            nurse.sign_in(PASSWORD)

        def save(nurse: Browser, session: int) -> int:
            fields = READING | {"submission_key": str(uuid.uuid4())}
            fields["csrfmiddlewaretoken"] = nurse.token
            return nurse.ask("POST", f"/infusions/{session}/vitals/", **fields)[0]

        calls = [
            lambda nurse=nurse, session=session: save(nurse, session)
            for nurse, session in zip(nurses, sessions, strict=False)
        ]
        report("vital signs: rules, flags, audit, answer", measure(calls, 200))
        calls = [lambda n=n: n.ask("GET", "/board/live/")[0] for n in nurses]
        report("board of all chairs, drawn anew", measure(calls, 200))
        token = re.search(r"token=([\w.:-]+)", nurses[0].ask("GET", "/board/")[1])
        if token:
            poll = f"/board/live/?token={token[1]}"
            calls = [lambda n=n: n.ask("GET", poll)[0] for n in nurses]
            # The token carries a bucket of time, so some polls are drawn anew.
            found = measure_polls(calls)
            report("board polled with its token (204 or drawn)", found)


def measure_polls(calls: list[Callable[[], int]]) -> tuple[float, list[float]]:
    return measure([lambda c=c: c() and 204 for c in calls], 204)


if __name__ == "__main__":
    main()
