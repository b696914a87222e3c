"""The database: its schema, its types, what it refuses, and what happens while it is away."""

# ruff: noqa: ASYNC110, PT012 - outages are polled for; a transaction raises at its end

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from nimbus_registry.database import Database, utcnow
from nimbus_registry.errors import DatabaseUnavailableError, StartError
from nimbus_registry.store import journal
from nimbus_registry.store.journal import GENERATION_BLOCK
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord
from nimbus_registry.store.schema import migrate
from nimbus_registry.store.tables import PluginRow, TransitionRow
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import StatementError
from sqlmodel import SQLModel, select

from tests.registry.conftest import Folder, World
from tests.support.cancellation import goes_on_after, threads_left_behind

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OURS = ("plugin", "transition", "counter")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()


def record(plugin_id: str = "hello") -> PluginRecord:
    now = utcnow()
    return PluginRecord(
        id=plugin_id, name="Hello", version="1", source="folder:x", created_at=now, updated_at=now, since=now
    )


def ledger_on(database: Database) -> Ledger:
    return Ledger(database, instance="test", trusts=lambda _, *, discovered: discovered)


class TestSchema:
    async def test_migrations_make_the_tables(self, database_url: str) -> None:
        async with opened(database_url) as database:
            await database.wait(5)
            await asyncio.gather(migrate(database), migrate(database))
            async with database.engine.connect() as connection:
                difference = await connection.run_sync(
                    lambda sync: compare_metadata(
                        MigrationContext.configure(sync, opts={"compare_type": True}), SQLModel.metadata
                    )
                )
        # Other packages' tables share SQLModel's metadata when their tests run in the same process.
        assert [entry for entry in difference if any(f"'{name}'" in str(entry) for name in OURS)] == []

    async def test_a_newer_schema_is_refused(self, database_url: str) -> None:
        async with opened(database_url) as database:
            await database.wait(5)
            await migrate(database)
            async with database.engine.begin() as connection:
                await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            with pytest.raises(StartError, match="newer than this Nimbus knows"):
                await migrate(database)

    async def test_sqlite_is_copied_before_it_is_changed(self, tmp_path: Path, sqlite_url: str) -> None:
        async with opened(sqlite_url) as database:
            await database.wait(5)
            await migrate(database)
            async with database.write() as session:
                session.add(record().row())
            async with database.engine.begin() as connection:
                await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("nimbus_registry.store.schema._behind", lambda _: True)
                patch.setattr("nimbus_registry.store.schema._upgrade", lambda _: None)
                await migrate(database)
        copy = tmp_path / "registry.db.before-upgrade-from-0000"
        assert copy.stat().st_mode & 0o777 == 0o600
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT id FROM plugin").fetchall() == [("hello",)]

    async def test_settings_of_sqlite(self, sqlite_url: str) -> None:
        async with opened(sqlite_url) as database:
            await database.wait(5)
            async with database.engine.connect() as connection:
                values = [
                    (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                    for name in ("journal_mode", "busy_timeout", "foreign_keys")
                ]
            assert values == ["wal", 5000, 1]


class TestTypes:
    async def test_times_are_utc(self, database_url: str) -> None:
        east = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5)))
        async with opened(database_url) as database:
            await database.wait(5)
            await migrate(database)
            async with database.write() as session:
                row = record().row()
                row.since = east
                session.add(row)
            async with database.read() as session:
                stored = (await session.exec(select(PluginRow))).one().since
            assert (stored, stored.tzinfo) == (east, UTC)
            with pytest.raises(StatementError, match="needs its zone"):
                async with database.write() as session:
                    row = record("other").row()
                    row.since = datetime(2026, 1, 2)  # noqa: DTZ001 - the naive time is the point
                    session.add(row)

    async def test_an_error_rolls_back(self, database_url: str) -> None:
        async with opened(database_url) as database:
            await database.wait(5)
            await migrate(database)
            with pytest.raises(RuntimeError, match="no"):
                async with database.write() as session:
                    session.add(record().row())
                    await session.flush()
                    raise RuntimeError("no")
            async with database.read() as session:
                assert (await session.exec(select(PluginRow))).all() == []

    async def test_writers_wait_for_each_other(self, database_url: str) -> None:
        async with opened(database_url) as database:
            await database.wait(5)
            await migrate(database)

            async def write(number: int) -> None:
                async with database.write() as session:
                    await session.exec(select(TransitionRow))
                    session.add(
                        TransitionRow(
                            plugin_id=str(number),
                            from_state=None,
                            to_state="ready",
                            at=utcnow(),
                            cause="x",
                            reason=None,
                        )
                    )

            await asyncio.gather(*(write(number) for number in range(20)))
            async with database.read() as session:
                assert len((await session.exec(select(TransitionRow))).all()) == 20


class TestLedger:
    async def test_generations_never_go_back(self, database_url: str) -> None:
        async with opened(database_url) as database:
            await database.wait(5)
            await migrate(database)
            first = ledger_on(database)
            await first.load()
            first.added(record(), "test")
            first.generation += GENERATION_BLOCK
            await first.flush()
            reached = first.generation
            second = ledger_on(database)
            await second.load()
            assert second.generation > reached
            assert set(second.records) == {"hello"}

    async def test_what_the_database_refuses_does_not_block_the_rest(self, postgres_url: str) -> None:
        async with opened(postgres_url) as database:
            await database.wait(5)
            await migrate(database)
            ledger = ledger_on(database)
            await ledger.load()
            bad = record("bad")
            bad.name = "a\x00b"
            ledger.added(bad, "test")
            ledger.added(record("other"), "test")
            await ledger.flush()
            async with database.read() as session:
                assert (await session.exec(select(PluginRow.id))).all() == ["other"]
            assert [item.to_state for item in (await ledger.transitions("other", after=0, limit=9)).items]
            bad.name = "good"
            ledger.touch(bad)
            await ledger.flush()
            async with database.read() as session:
                assert set((await session.exec(select(PluginRow.name))).all()) >= {"good"}

    async def test_a_write_that_is_cut_off_keeps_no_later_one_out(
        self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal, "_FINISH_SECONDS", 10.0)  # of a machine that stands still for a moment too
        async with opened(sqlite_url) as database:
            await database.wait(5)
            await migrate(database)
            ledger = ledger_on(database)
            await ledger.load()
            ledger.added(record(), "test")
            await ledger.flush()
            for number in range(60):
                writing = asyncio.create_task(ledger.flush())
                ledger.touch(ledger.records["hello"])
                await asyncio.sleep(number / 10_000)  # at every step of the write, one after the other
                writing.cancel()
                await asyncio.wait({writing})
                ledger.touch(ledger.records["hello"])
                async with asyncio.timeout(4):  # SQLite waits five seconds for a lock
                    await ledger.flush()


class Proxy:
    """A way to the database that can be closed."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self._url.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        self._writers.add(writer)
        there, back = await asyncio.open_connection(self._url.host, self._url.port)
        if self._server is None:  # closed meanwhile: nobody would end these two
            writer.transport.abort()
            back.transport.abort()
        self._writers.add(back)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except ConnectionError:
                return
            finally:
                target.close()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, back))
                group.create_task(pump(there, writer))
        finally:
            self._pumps.discard(task)


@pytest.mark.postgres
class TestOutage:
    async def test_waits_at_start_and_says_so(self, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        proxy = Proxy(postgres_url)
        url = await proxy.open()
        await proxy.close()
        async with opened(url) as database:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(database.wait(20))
                async with asyncio.timeout(10):
                    while "waiting for the database" not in capsys.readouterr().out:
                        await asyncio.sleep(0.05)
                assert not waiting.done()
                await proxy.open()
            await database.close()
            await proxy.close()
            with pytest.raises(StartError, match=r"did not answer for 0\.3 s"):
                await database.wait(0.3)

    async def test_reads_go_on_writes_are_refused_nothing_is_lost(
        self, postgres_url: str, world: World, folder: Folder
    ) -> None:
        folder.add()
        folder.add("other")
        proxy = Proxy(postgres_url)
        url = await proxy.open()
        async with world.registry(database_url=url) as registry:
            await registry.ask("enable")
            await proxy.close()
            assert (await registry.plugin())["state"] == "ready"
            assert (await registry.client.get("/v1/snapshot", params={"worker": "w"})).status_code == 200
            await registry.client.delete("/v1/workers/w")
            answer = await registry.ask("enable", "other")
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"] == "/problems/database-unavailable"
            assert answer.headers["retry-after"] == "5"
            assert (await registry.plugin("other"))["enabled"] is False
            ready = await registry.client.get("/readyz")
            assert (ready.status_code, ready.json()["database"]) == (503, "unavailable")
            # The reconciler's own work goes on: a restart needs no stored wish.
            assert (await registry.ask("restart")).status_code == 200
            await proxy.open()
            async with asyncio.timeout(10):
                while (await registry.ask("enable", "other")).status_code != 200:
                    await asyncio.sleep(0.05)
            assert (await registry.history()).count("ready") == 2
            token = registry.context.ledger.records["hello"].token_sha256
        await proxy.close()
        async with world.registry(database_url=postgres_url) as registry:
            assert registry.context.ledger.records["hello"].token_sha256 == token
            assert world.engine.started == 3


async def test_a_locked_sqlite_file_is_an_outage(sqlite_url: str, tmp_path: Path) -> None:
    async with opened(sqlite_url) as database:
        await database.wait(5)
        await migrate(database)
        with closing(sqlite3.connect(tmp_path / "registry.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await database.ping()
            with pytest.raises(DatabaseUnavailableError):
                async with database.write():
                    pytest.fail("nobody may write here")
            other.execute("ROLLBACK")
        async with database.write() as session:
            session.add(record().row())


async def test_a_lost_cancellation_is_found_at_the_end(database_url: str) -> None:
    async with opened(database_url) as database:
        assert not await goes_on_after(database.read)
        assert not await goes_on_after(database.write)
        assert not await goes_on_after(database.write, error=OSError("the connection broke"))


async def test_closing_waits_for_every_connection(sqlite_url: str, tmp_path: Path) -> None:
    async with opened(sqlite_url) as database:
        await database.wait(5)
        assert await threads_left_behind(database, tmp_path / "registry.db") == []
