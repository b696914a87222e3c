"""Bringing the database to this version's schema: under a lock, with a copy first, never backwards."""

import asyncio
import fcntl
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text

from nimbus_registry import migrations
from nimbus_registry.database import Database
from nimbus_registry.errors import StartError

log = structlog.get_logger(__name__)

_LOCK_KEY = 0x6E696D62  # one advisory lock for the registry's schema
_LOCK_WAIT = 60.0


def revisions() -> list[str]:
    """The revisions that this version knows, oldest first: the numbers that the files' names begin with."""
    folder = Path(migrations.__file__).parent / "versions"
    return sorted(path.name.partition("_")[0] for path in folder.glob("[0-9]*_*.py"))


async def migrate(database: Database) -> None:
    """Upgrade to the newest schema; one process does it, others wait for it.

    Raises:
        StartError: the schema is newer than this version knows, or the lock is not free within a minute.
    """
    async with _file_lock(database.path), database.engine.begin() as connection:
        if not database.is_sqlite:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT:.0f}s'"))
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
        current = await connection.run_sync(_current)
        if not _behind(current):
            return
        if database.path is not None and current is not None:
            await asyncio.to_thread(_copy, database.path, current)
        await connection.run_sync(_upgrade)
        log.info("database schema upgraded", before=current, now=revisions()[-1])


def _behind(current: str | None) -> bool:
    """Whether an upgrade is needed.

    Raises:
        StartError: the revision is unknown, so a newer version made it.
    """
    known = revisions()
    if not known:
        raise StartError("the package holds no migrations; it was not built completely")
    if current is not None and current not in known:
        raise StartError(
            f"the database has schema {current}, which is newer than this Nimbus knows ({known[-1]}); "
            "start the newer version again, or restore the copy made before the upgrade"
        )
    return current != known[-1]


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    # Importing Alembic takes longer than all the rest of a start, and most starts find the schema current.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _copy(path: Path, revision: str) -> None:
    """A consistent copy of the file beside it, write-ahead log included."""
    target = path.with_name(f"{path.name}.before-upgrade-from-{revision}")
    with _closing(path) as source, _closing(target) as copy:
        source.backup(copy)
    target.chmod(0o600)
    log.info("database copied before its upgrade", copy=str(target))


@contextmanager
def _closing(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()


@asynccontextmanager
async def _file_lock(path: Path | None) -> AsyncIterator[None]:
    if path is None:
        yield
        return
    deadline = time.monotonic() + _LOCK_WAIT
    with path.with_name(path.name + ".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StartError(f"another process has held {file.name} for a minute") from None
                await asyncio.sleep(0.05)
        yield
