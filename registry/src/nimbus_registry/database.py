"""The database: SQLite or Postgres behind one async engine, with the same tables and types on both."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import JSON, DateTime, Dialect, TypeDecorator, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential

from nimbus_registry.errors import DatabaseUnavailableError, StartError
from nimbus_registry.sqlite_threads import SqliteThreads

log = structlog.get_logger(__name__)

JsonColumn = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""JSON on SQLite, JSONB on Postgres; None is SQL NULL."""

_STATEMENT_DEADLINE = 10.0
_READ_ONLY = "nimbus_read_only"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on both databases; SQLite has no zone and keeps the UTC clock time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody could say which zone they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs its zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _cancellations() -> int:
    """How often the running task was asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


@contextmanager
def _counting_cancellations() -> Iterator[None]:
    """End the task behind the block, however that ends, if it was asked to meanwhile.

    What waits for a connection can lose a cancellation that comes when the connection does (`asyncio.wait_for` of
    Python 3.11, gh-86296): a job would go on for ever, and whoever stops it would wait as long.

    Raises:
        asyncio.CancelledError: it was.
    """
    before = _cancellations()
    try:
        yield
    except Exception as error:
        if _cancellations() > before:
            raise asyncio.CancelledError from error
        raise
    if _cancellations() > before:
        raise asyncio.CancelledError


class Database:
    """Sessions on one database, each a transaction that commits at its end or rolls back."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._threads = SqliteThreads()
        options: dict[str, Any] = {"hide_parameters": True}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": 5.0, "async_creator_fn": self._threads.connect}
        else:
            options |= {
                "pool_size": 5,
                "max_overflow": 5,
                "pool_timeout": 5,
                "pool_pre_ping": True,
                "connect_args": {"connect_timeout": 5, "options": "-c statement_timeout=8000 -c timezone=UTC"},
            }
        self.engine: AsyncEngine = create_async_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None on Postgres."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may write: committed at the end, rolled back on any error.

        Raises:
            DatabaseUnavailableError: the database does not answer in time; nothing was committed.
        """
        async with self._session(read_only=False) as session:
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads; on SQLite it waits for no writer.

        Raises:
            DatabaseUnavailableError: the database does not answer in time.
        """
        async with self._session(read_only=True) as session:
            yield session

    @asynccontextmanager
    async def _session(self, *, read_only: bool) -> AsyncIterator[AsyncSession]:
        with _counting_cancellations():
            try:
                async with (
                    asyncio.timeout(_STATEMENT_DEADLINE),
                    AsyncSession(self.engine, expire_on_commit=False) as session,
                    session.begin(),
                ):
                    await session.connection(execution_options={_READ_ONLY: read_only})
                    yield session
            except (DBAPIError, TimeoutError, OSError) as error:
                if isinstance(error, DBAPIError) and not _is_outage(error):
                    raise
                log.warning("database does not answer", error=_first_line(error))
                raise DatabaseUnavailableError("The database does not answer; nothing was changed.") from error
            except SQLAlchemyError as error:
                if type(error).__name__ != "TimeoutError":  # the pool's own, not a subclass of the built-in one
                    raise
                raise DatabaseUnavailableError("The database has no free connection; nothing was changed.") from error

    async def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            DatabaseUnavailableError: there was none.
        """
        async with self.read() as session:
            await session.connection()

    async def wait(self, limit: float) -> None:
        """Wait until the database answers, saying so in the log at every try.

        Raises:
            StartError: it does not answer within `limit` seconds.
        """
        attempts = AsyncRetrying(
            retry=retry_if_exception_type((DBAPIError, OSError)),
            stop=stop_after_delay(limit),
            wait=wait_exponential(multiplier=0.25, max=5),
            before_sleep=_say_waiting,
            reraise=True,
        )
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            async for attempt in attempts:
                with attempt:
                    async with self.engine.connect() as connection:
                        await connection.execute(text("SELECT 1"))
        except (DBAPIError, OSError) as error:
            raise StartError(
                f"the database at {self.url!r} did not answer for {limit:g} s: {_first_line(error)}"
            ) from error

    async def close(self) -> None:
        """Close every connection, and wait for those that a cancelled task left behind."""
        await self.engine.dispose()
        await self._threads.end()


def utcnow() -> datetime:
    """The time that is stored: aware, UTC, in whole milliseconds so that both databases give it back alike."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's adapted connection
    # The driver's own transaction handling would begin DEFERRED and late; SQLAlchemy's begin event does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "busy_timeout=5000", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: a transaction that reads first can then never fail with SQLITE_BUSY.
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _is_outage(error: DBAPIError) -> bool:
    """Whether the database as a whole is at fault (down, locked, full), not the statement."""
    name = type(error.orig).__name__
    return (
        error.connection_invalidated
        or isinstance(error.orig, sqlite3.OperationalError)
        or name
        in {
            "OperationalError",
            "AdminShutdown",
            "CannotConnectNow",
            "ConnectionTimeout",
            "CrashShutdown",
            "DiskFull",
            "InterfaceError",
            "QueryCanceled",
            "ReadOnlySqlTransaction",
        }
    )


def _say_waiting(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0
    log.warning(
        "waiting for the database",
        attempt=state.attempt_number,
        next_try_in=f"{pause:.1f} s",
        error=_first_line(error),
    )


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
