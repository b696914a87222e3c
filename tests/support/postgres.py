"""A Postgres database of one's own for a test session.

The server is the one NIMBUS_TEST_POSTGRES_URL names, else the private one of `deploy/dev/postgres.sh`. A missing
server skips the test and says so; on CI (CI=true) it fails it.
"""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

_SCRIPT = Path(__file__).parents[2] / "deploy" / "dev" / "postgres.sh"


@cache
def server_url() -> str | None:
    """`postgresql://…` of the server's maintenance database, or None when there is no server."""
    named = os.environ.get("NIMBUS_TEST_POSTGRES_URL")
    if named:
        return named
    try:
        answer = subprocess.run([_SCRIPT, "url"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def require_server() -> str:
    """The server's address; skips the test without one, or fails it on CI."""
    url = server_url()
    if url is None:
        missing = "no Postgres server: run deploy/dev/postgres.sh start or set NIMBUS_TEST_POSTGRES_URL"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return url


@contextmanager
def temporary_database(prefix: str = "nimbus_test") -> Iterator[str]:
    """Create an empty database and drop it at the end. Yields its `postgresql+psycopg://` address."""
    server = require_server()
    name = f"{prefix}_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield database_url(name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_url(name: str) -> str:
    """The SQLAlchemy address of a database on the server."""
    base, _, _ = require_server().rpartition("/")
    return f"{base}/{name}".replace("postgresql://", "postgresql+psycopg://", 1)
