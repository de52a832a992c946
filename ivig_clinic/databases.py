"""Chooses the database and the settings under which it may lose nothing."""

import sqlite3
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# Older libraries can corrupt a write-ahead log that is reset at the wrong moment
# (SQLite release notes, 3.51.3): they get the rollback journal instead.
WAL_IS_SAFE_FROM = (3, 51, 3)
HERE = ("", "localhost", "127.0.0.1", "::1")
"""Hosts whose line never leaves the machine."""
PROVEN = "verify-full"
ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
"""Where Debian keeps the roots it trusts; programs before PostgreSQL 16 need a file."""


def sqlite_journal() -> str:
    if sqlite3.sqlite_version_info >= WAL_IS_SAFE_FROM:
        return "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;"
    return "PRAGMA journal_mode=DELETE;PRAGMA synchronous=EXTRA;"


def sqlite(file: Path) -> dict:
    """One file on a local disk; writers queue from their first statement."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # With recursive triggers, REPLACE too asks those that refuse a DELETE.
            "init_command": sqlite_journal()
            + "PRAGMA mmap_size=0;PRAGMA recursive_triggers=ON;",
        },
        # A file, never memory: a live server and its test share it between threads.
        "TEST": {"NAME": file.parent / f"test-{file.name}"},
    }


def postgresql(url: str) -> dict:
    """`postgresql://user:password@host:port/name`, durable and pooled."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured("DATABASE_URL must start with postgresql://")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 600,
        "OPTIONS": {
            # Waits are as long as SQLite's; a host that went silent is given up.
            "options": "-c synchronous_commit=on -c lock_timeout=20000",
            "connect_timeout": 5,
            "tcp_user_timeout": 20_000,
            **_encryption(parts.hostname or "", parts.query),
        },
    }


def _encryption(host: str, query: str) -> dict[str, str]:
    """Another machine is reached over TLS that proves its name, or as the address says.

    `?sslmode=…&sslrootcert=…` at the end of the address; nothing else may stand there.
    """
    given = dict(parse_qsl(query, keep_blank_values=True))
    strange = set(given) - {"sslmode", "sslrootcert"}
    if strange:
        raise ImproperlyConfigured(f"DATABASE_URL: not known: {sorted(strange)}")
    if host in HERE or given.get("sslmode", PROVEN) != PROVEN:
        return given
    roots = str(ROOTS) if ROOTS.exists() else "system"
    return {"sslmode": PROVEN, "sslrootcert": roots} | given
