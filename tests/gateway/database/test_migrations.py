"""The schema: the same as the tables say, brought up to date once, never downwards."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from nimbus_gateway.audit.tables import AuditEntry
from nimbus_gateway.auth.tables import LoginAttempt
from nimbus_gateway.database import Database, UtcDateTime, async_url, new_id, parse_id
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.migrations import run, scripts
from nimbus_gateway.migrations.run import HEAD, SchemaTooNewError, migrate, open_sync_engine, prepare
from nimbus_gateway.migrations.scripts import alembic_config

from tests.support.postgres import temporary_database


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'gateway.db'}"
        return
    with temporary_database("nimbus_gateway") as url:
        yield url


def revision(url: str) -> str | None:
    engine = open_sync_engine(url)
    try:
        return run._current_revision(engine)
    finally:
        engine.dispose()


def test_the_migrations_make_what_the_tables_say(empty_url: str):
    migrate(empty_url)
    engine = open_sync_engine(empty_url)
    with engine.begin() as connection:
        command.check(alembic_config(connection))
    engine.dispose()


def test_downgrades_to_nothing_and_back(empty_url: str):
    migrate(empty_url)
    engine = open_sync_engine(empty_url)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
    migrate(empty_url)
    assert revision(empty_url) == HEAD


def test_webhook_addresses_of_older_audit_entries_are_shortened(empty_url: str):
    """Versions before 0012 wrote them out, and with many services the path is the secret."""
    engine = open_sync_engine(empty_url)
    written = {
        "webhook.create": {"url": "https://user:word@hooks.example.org:8443/services/T0/secret?key=secret"},
        "webhook.update": {"url": "https://hooks.example.org/…", "name": "ops"},
        "webhook.delete": {"url": "http://[broken/secret"},
        "webhook.secret": {},
        "plugin.install": {"url": "https://example.org/manifest.json"},
    }
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0011")
        rows = [
            AuditEntry(action=action, actor="host", detail=detail).model_dump() for action, detail in written.items()
        ]
        connection.execute(sa.insert(AuditEntry), rows)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0012")
        found = connection.execute(sa.select(AuditEntry.action, AuditEntry.detail)).all()
    engine.dispose()
    assert {row.action: row.detail for row in found} == {
        **written,
        "webhook.create": {"url": "https://hooks.example.org:8443/…"},
        "webhook.delete": {"url": "…"},
    }


def test_the_newest_revision_is_the_one_that_a_start_looks_for():
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_a_start_on_a_migrated_sqlite_imports_neither_alembic_nor_psycopg(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    migrate(url)
    script = (
        "import sys, nimbus_gateway.main; from nimbus_gateway.migrations.run import migrate; "
        f"migrate({url!r}); print(sorted({{'alembic', 'psycopg'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_many_at_once_migrate_once(empty_url: str):
    errors: list[BaseException] = []

    def start() -> None:
        try:
            migrate(empty_url)
        except BaseException as error:  # noqa: BLE001 - the assertion shows it
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert revision(empty_url) == HEAD


def test_a_newer_schema_is_refused(empty_url: str):
    migrate(empty_url)
    engine = open_sync_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SchemaTooNewError, match="9999"):
        migrate(empty_url)


def test_a_sqlite_file_is_copied_before_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    migrate(url)
    assert not list(tmp_path.glob("*.before-*"))
    upgraded: list[str] = []
    monkeypatch.setattr(run, "HEAD", "next")
    monkeypatch.setattr(scripts, "upgrade", lambda _: upgraded.append("next"))
    migrate(url)
    copy = tmp_path / f"gateway.db.before-{HEAD}"
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
    connection.close()
    assert upgraded == ["next"]


def test_the_sqlite_file_is_private(tmp_path: Path):
    migrate(f"sqlite:///{tmp_path / 'gateway.db'}")
    assert (tmp_path / "gateway.db").stat().st_mode & 0o077 == 0


@pytest.mark.anyio
async def test_start_waits_for_postgres_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    tries: list[str] = []

    def refuse_twice(url: str) -> None:
        tries.append(url)
        if len(tries) < 3:
            raise sa.exc.OperationalError("connect", None, ConnectionRefusedError("connection refused"))

    monkeypatch.setattr(run, "migrate", refuse_twice)
    monkeypatch.setattr(run, "RETRY_SECONDS", 0.01)
    await prepare("postgresql://nimbus:hunter2@db/nimbus")
    assert len(tries) == 3
    shown = capsys.readouterr().out
    assert shown.count("waiting for the gateway's database") == 2
    assert "connection refused" in shown
    assert "hunter2" not in shown


@pytest.mark.anyio
async def test_start_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "RETRY_SECONDS", 0.01)
    with pytest.raises(sa.exc.OperationalError):
        await prepare("postgresql://nimbus@127.0.0.1:1/nimbus", wait=0.05)


@pytest.mark.anyio
async def test_a_failed_block_leaves_nothing(database_url: str):
    database = Database(database_url)

    async def fail() -> None:
        async with database.write() as session:
            session.add(LoginAttempt(subject="x", attempt=new_id()))
            await session.flush()
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await fail()
    async with database.read() as session:
        count = (await (await session.connection()).execute(sa.text("SELECT count(*) FROM login_attempts"))).scalar()
    assert count == 0
    await database.close()


@pytest.mark.anyio
async def test_readers_do_not_wait_for_a_writer(database_url: str):
    database = Database(database_url)
    async with asyncio.timeout(5), database.write():
        await database.ping()
    await database.close()


@pytest.mark.anyio
async def test_a_full_or_locked_sqlite_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nimbus_gateway.database.SQLITE_BUSY_MILLISECONDS", 50)
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    migrate(url)
    database = Database(url)
    holder = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailableError):
        async with database.write() as session:
            await session.connection()
    holder.execute("ROLLBACK")
    holder.close()
    async with database.write() as session:
        await session.connection()
    await database.close()


def test_addresses():
    assert async_url("postgres://u:p@h/d").drivername == "postgresql+psycopg"
    assert async_url("sqlite:////a/b.db").drivername == "sqlite+aiosqlite"
    for wrong in ("mysql://h/d", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(ValueError, match=r"support|file"):
            async_url(wrong)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("01a20738-fd42-720a-9485-7e805bd2de20", True),
        ("01A20738-FD42-720A-9485-7E805BD2DE20", True),
        ("01a20738fd42720a94857e805bd2de20", False),
        ("{01a20738-fd42-720a-9485-7e805bd2de20}", False),
        ("", False),
    ],
)
def test_ids_have_one_form(text: str, good: bool):
    assert (parse_id(text) is not None) is good


def test_naive_times_are_refused():
    with pytest.raises(ValueError, match="time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), sa.dialects.sqlite.dialect())  # noqa: DTZ001
