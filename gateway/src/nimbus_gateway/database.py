"""The gateway's database: engine, sessions and column types, the same on SQLite and Postgres.

Services never commit: `Database.write` and `Database.read` end the transaction when their block ends. SQLite
writers take the write lock at BEGIN (`BEGIN IMMEDIATE`), so that two writers queue instead of failing on upgrade
of a read lock; readers do not.
"""

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uuid_utils.compat
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL, Connection, Dialect, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.sqlite_threads import SqliteThreads

READ_ONLY = "nimbus_read_only"
SQLITE_BUSY_MILLISECONDS = 5000
CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10
POOL_SECONDS = 5
TRANSACTION_SECONDS = 15
RETRY_SECONDS = 2
AFTER_COMMIT = "nimbus_after_commit"
WAKE = "nimbus_wake"

UNAVAILABLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""What SQLAlchemy raises when the database is away, locked for too long, or full."""

_IN_THE_WAY = {"40001", "40P01"}
"""Postgres' serialization failure and deadlock."""

JSON_COLUMN = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""JSON, as JSONB where there is one. A column of it that may hold the JSON value null wraps its value."""

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A growing row id: SQLite counts up only columns of the exact type INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. Takes only aware datetimes and gives back aware ones, on SQLite too."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; refuses a naive datetime, whose moment nobody knows."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime for the database needs a time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Mark what SQLite gives back as UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel, registry=registry(metadata=sa.MetaData(naming_convention=_NAMES))):
    """Base of the gateway's tables. A registry of its own, so that another service's tables never mix in."""


def new_id() -> uuid.UUID:
    """A UUIDv7: ids sort by the time they were made."""
    return uuid_utils.compat.uuid7()


def now() -> datetime:
    """The present in UTC."""
    return datetime.now(UTC)


def parse_id(text: str) -> uuid.UUID | None:
    """The UUID in its canonical form, or None when the text is not one."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def is_sqlite(url: str | URL) -> bool:
    """Whether the address names a SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


def sqlite_path(url: str | URL) -> Path:
    """The file behind a SQLite address.

    Raises:
        ValueError: it names no file; a database in memory cannot be shared by workers.
    """
    database = make_url(url).database
    if not database or database == ":memory:":
        raise ValueError("Nimbus needs a SQLite file; a database in memory is not supported")
    return Path(database)


def async_url(url: str) -> URL:
    """The address with the asynchronous driver that Nimbus uses.

    Raises:
        ValueError: the address is neither SQLite nor Postgres.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            sqlite_path(parsed)
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise ValueError(f"{other!r} is not supported; use a sqlite:// or postgresql:// address")


def sync_url(url: str) -> URL:
    """The same database for the synchronous tools (Alembic)."""
    parsed = async_url(url)
    return parsed.set(drivername="sqlite+pysqlite") if is_sqlite(parsed) else parsed


def configure_sqlite(engine: sa.Engine) -> None:
    """Give every connection of a SQLite engine its pragmas and explicit transactions."""

    @event.listens_for(engine, "connect")
    def _connected(dbapi_connection: Any, _record: object) -> None:  # noqa: ANN401 - two drivers, no common type
        dbapi_connection.isolation_level = None  # the driver begins nothing on its own
        cursor = dbapi_connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"busy_timeout={SQLITE_BUSY_MILLISECONDS}",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def postgres_arguments() -> dict[str, object]:
    """How to connect to Postgres so that a dead server is noticed within seconds."""
    return {
        "connect_timeout": CONNECT_SECONDS,
        "options": f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c timezone=UTC",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": STATEMENT_SECONDS * 1000,
    }


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


@asynccontextmanager
async def _within_reach(seconds: float) -> AsyncIterator[None]:
    """Give a transaction its deadline, and name what it means when the database is not there."""
    with _counting_cancellations():
        try:
            async with asyncio.timeout(seconds):
                yield
        except (*UNAVAILABLE, TimeoutError) as error:
            raise DatabaseUnavailableError(
                "The database does not answer; try again in a moment.", retry_after=RETRY_SECONDS
            ) from error


def in_the_way(error: DatabaseUnavailableError) -> bool:
    """Whether only somebody else's transaction was in the way, so that the same may succeed a moment later. Pure."""
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "sqlstate", None) in _IN_THE_WAY or "database is locked" in str(cause)


class Database:
    """An engine and the two kinds of transaction that the gateway uses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = is_sqlite(url)
        target = async_url(url)
        self._threads = SqliteThreads()
        if self.sqlite:
            self.engine: AsyncEngine = create_async_engine(
                target,
                pool_size=8,
                max_overflow=4,
                pool_timeout=POOL_SECONDS,
                connect_args={"async_creator_fn": self._threads.connect},
            )
            configure_sqlite(self.engine.sync_engine)
        else:
            self.engine = create_async_engine(
                target,
                pool_size=8,
                max_overflow=8,
                pool_timeout=POOL_SECONDS,
                pool_pre_ping=True,
                pool_recycle=1800,
                connect_args=postgres_arguments(),
            )
        self._waiting: list[asyncio.Event] = []
        self._writers = async_sessionmaker(
            self.engine, class_=AsyncSession, expire_on_commit=False, info={WAKE: self._wake}
        )
        self._readers = async_sessionmaker(
            self.engine.execution_options(**{READ_ONLY: True}), class_=AsyncSession, expire_on_commit=False
        )

    @asynccontextmanager
    async def write(self, seconds: float = TRANSACTION_SECONDS) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end of the block, rolled back when the block raises.

        Args:
            seconds: its deadline; with another than the usual one, single statements may take as long.

        Raises:
            DatabaseUnavailableError: the database does not answer, or not in time.
        """
        async with _within_reach(seconds), self._writers() as session:  # closing it rolls back what is left
            if seconds > TRANSACTION_SECONDS:
                await self._allow(session, seconds)
            yield session
            await session.commit()
            for callback in session.info.pop(AFTER_COMMIT, ()):
                callback()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads; never waits for a writer on SQLite."""
        async with _within_reach(TRANSACTION_SECONDS), self._readers() as session:
            yield session

    @asynccontextmanager
    async def snapshot(self, seconds: float) -> AsyncIterator[AsyncSession]:
        """A long transaction that reads everything as it is at one moment.

        Raises:
            DatabaseUnavailableError: the database does not answer, or not within `seconds`.
        """
        async with _within_reach(seconds), self._readers() as session:
            if not self.sqlite:  # whose readers see one moment anyway
                await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            await self._allow(session, seconds)
            yield session

    async def _allow(self, session: AsyncSession, seconds: float) -> None:
        if not self.sqlite:
            await session.exec(select(sa.func.set_config("statement_timeout", f"{int(seconds)}s", sa.true())))

    @contextmanager
    def watch_events(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever this worker has committed something for the outbox."""
        woken = asyncio.Event()
        self._waiting.append(woken)
        try:
            yield woken
        finally:
            self._waiting.remove(woken)

    def _wake(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    async def ping(self) -> None:
        """Ask the database for the smallest thing.

        Raises:
            DatabaseUnavailableError: it does not answer.
        """
        async with self.read() as session:
            await session.exec(select(sa.literal(1)))

    async def close(self) -> None:
        """Close every connection, and wait for those that a cancelled task left behind."""
        await self.engine.dispose()
        await self._threads.end()


def after_commit(session: AsyncSession, callback: Callable[..., None], *arguments: object) -> None:
    """Run a callback once the session's transaction is committed, and never when it is rolled back."""
    session.info.setdefault(AFTER_COMMIT, []).append(functools.partial(callback, *arguments))


def insert_of(session: AsyncSession, table: type[Table]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, which both databases have and SQLAlchemy words for each by itself."""
    return postgresql.insert(table) if session.get_bind().dialect.name == "postgresql" else sqlite.insert(table)


async def insert_ignoring(session: AsyncSession, table: type[Table], *rows: Mapping[str, Any]) -> int:
    """Add rows unless ones with their keys are there already; how many were added."""
    if not rows:
        return 0
    statement = insert_of(session, table).values([dict(row) for row in rows])
    return (await session.exec(statement.on_conflict_do_nothing())).rowcount


def storable(text: str) -> str:
    """Text of elsewhere as every database keeps it: Postgres takes neither NUL nor half a surrogate pair. Pure."""
    return text.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


async def lock(session: AsyncSession, name: str) -> None:
    """Hold a named lock until the transaction ends. SQLite's writers are alone already."""
    if session.get_bind().dialect.name == "postgresql":
        await session.exec(select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))
