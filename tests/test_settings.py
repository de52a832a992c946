"""Settings are read strictly, and the defaults are the safe ones."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ivig_clinic import databases, environment

HOME = Path(__file__).parent.parent


def test_a_flag_takes_true_false_or_nothing(monkeypatch):
    for value, wanted in (("True", True), ("False", False), ("", True)):
        monkeypatch.setenv("SOME_FLAG", value)
        assert environment.flag("SOME_FLAG", True) is wanted


@pytest.mark.parametrize("value", ["true", "1", "yes", "TRUE "])
def test_a_flag_refuses_every_other_word(monkeypatch, value):
    monkeypatch.setenv("SOME_FLAG", value)

    with pytest.raises(ImproperlyConfigured, match="SOME_FLAG"):
        environment.flag("SOME_FLAG", False)


def test_a_file_never_overrides_what_is_set(monkeypatch, tmp_path):
    file = tmp_path / ".env"
    file.write_text("# a comment\nSOME_NAME=from the file\nOTHER_NAME=also\n")
    monkeypatch.setenv("SOME_NAME", "set before")
    monkeypatch.delenv("OTHER_NAME", raising=False)

    environment.load_file(file)

    assert os.environ.pop("OTHER_NAME") == "also"
    assert os.environ["SOME_NAME"] == "set before"


def test_sqlite_queues_writers_and_syncs_fully(tmp_path):
    options = databases.sqlite(tmp_path / "clinic.sqlite3")["OPTIONS"]

    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["timeout"] == 20
    assert "synchronous=FULL" in databases.sqlite_journal() or (
        "synchronous=EXTRA" in databases.sqlite_journal()
    )


def test_an_old_sqlite_gets_the_rollback_journal(monkeypatch):
    monkeypatch.setattr(databases.sqlite3, "sqlite_version_info", (3, 40, 1))

    assert databases.sqlite_journal() == (
        "PRAGMA journal_mode=DELETE;PRAGMA synchronous=EXTRA;"
    )


def test_a_postgresql_address_is_read_with_its_escapes():
    found = databases.postgresql("postgresql://us%40er:p%2Fw@db.example:5433/clinic")

    assert (found["USER"], found["PASSWORD"]) == ("us@er", "p/w")
    assert (found["HOST"], found["PORT"], found["NAME"]) == (
        "db.example",
        "5433",
        "clinic",
    )


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("postgresql://u:p@127.0.0.1:5432/clinic", {}),
        ("postgresql:///clinic", {}),
        ("postgresql://u:p@[::1]/clinic?sslmode=require", {"sslmode": "require"}),
        (
            "postgresql://u:p@db.example/clinic",
            {"sslmode": "verify-full", "sslrootcert": "roots"},
        ),
        (
            "postgresql://u:p@db.example/clinic?sslrootcert=%2Fetc%2Fclinic.pem",
            {"sslmode": "verify-full", "sslrootcert": "/etc/clinic.pem"},
        ),
        (
            "postgresql://u:p@10.0.0.7/clinic?sslmode=disable",
            {"sslmode": "disable"},
        ),
    ],
)
def test_another_machines_database_is_reached_over_proven_tls(
    monkeypatch, tmp_path, address, wanted
):
    monkeypatch.setattr(databases, "ROOTS", tmp_path)
    options = databases.postgresql(address)["OPTIONS"]

    found = {k: v for k, v in options.items() if k.startswith("ssl")}
    if found.get("sslrootcert") == str(tmp_path):
        found["sslrootcert"] = "roots"
    assert found == wanted


def test_a_database_address_takes_no_other_wish():
    with pytest.raises(ImproperlyConfigured, match="options"):
        databases.postgresql("postgresql://db/clinic?options=-c%20fsync%3Doff")


def test_another_database_is_refused():
    with pytest.raises(ImproperlyConfigured):
        databases.postgresql("mysql://db/clinic")


def test_the_policy_of_content_allows_nothing_inline():
    policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]

    assert policy["default-src"] == ["'none'"]
    assert "'unsafe-inline'" not in str(policy)
    assert "'unsafe-eval'" not in str(policy)


def test_polling_cannot_keep_a_login_alive_by_saving_each_request():
    assert settings.SESSION_SAVE_EVERY_REQUEST is False


def test_every_variable_that_is_read_is_explained():
    explained = (HOME / ".env.example").read_text(encoding="utf-8")
    source = (HOME / "ivig_clinic" / "settings.py").read_text(encoding="utf-8")

    read = set(re.findall(r'environment\.\w+\(\s*"([A-Z_]+)"', source)) | {"ADDRESS"}
    assert len(read) > 15
    assert {name for name in read if f"\n{name}=" not in explained} == set()


def test_a_key_that_was_replaced_is_read_beside_the_new_one(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "from ivig_clinic import settings as s;"
            "print(s.SECRET_KEY, s.SECRET_KEY_FALLBACKS)",
        ],
        cwd=HOME,
        env={
            "PATH": os.environ["PATH"],
            "SECRET_KEY": "new",
            "SECRET_KEY_FALLBACKS": "old, older,",
        },
        capture_output=True,
        text=True,
    )

    assert done.stdout == "new ['old', 'older']\n", done.stderr


def test_the_server_refuses_to_start_without_a_key(tmp_path):
    """As gunicorn does it: importing the door."""
    given = {
        "PATH": os.environ["PATH"],
        "DATABASE_FILE": str(tmp_path / "clinic.sqlite3"),
        "SECRET_KEY": "",
    }
    started = subprocess.run(
        [sys.executable, "-c", "import ivig_clinic.wsgi"],
        cwd=HOME,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode != 0
    assert "Refusing to serve" in started.stderr


def in_production(tmp_path, *words: str, **more: str) -> subprocess.CompletedProcess:
    """Run Python with the settings that docs/operations.md asks for."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=HOME,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "ivig_clinic.settings",
            "DATABASE_FILE": str(tmp_path / "clinic.sqlite3"),
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "infusions.clinic.example",
            "HTTPS": "True",
        }
        | more,
        capture_output=True,
        text=True,
        check=False,
    )


def test_with_https_cookies_belong_to_this_host_alone(tmp_path):
    show = (
        "import django; django.setup(); from django.conf import settings as s;"
        "print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.SECURE_HSTS_SECONDS);"
        "print(s.CONTENT_SECURITY_POLICY['DIRECTIVES']['report-to'])"
    )

    shown = in_production(tmp_path, "-c", show)

    assert shown.stdout.split() == ["__Host-sessionid", "True", "31536000", "policy"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [({}, ""), ({"HTTPS": "False"}, "W012"), ({"SECRET_KEY": "short"}, "W009")],
    ids=["as asked", "without https", "with a short key"],
)
def test_the_framework_finds_nothing_open_in_production(tmp_path, changed, told):
    deploy = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")

    checked = in_production(tmp_path, *deploy, **changed)

    assert (checked.returncode == 0) is (told == "")
    assert told in checked.stderr


def test_with_https_pages_say_where_violations_are_told(client, db, settings):
    settings.HTTPS = True

    header = client.get("/sign-in/").headers["Reporting-Endpoints"]

    assert header == 'policy="/policy-violations/"'
