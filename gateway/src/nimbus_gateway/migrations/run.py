"""Bring the database up to date at start: under a lock, after a copy, never downwards."""

import asyncio
import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import structlog

from nimbus_gateway.database import configure_sqlite, is_sqlite, postgres_arguments, sqlite_path, sync_url

HEAD = "0013"
"""The newest revision under `versions`; known without Alembic, which takes long to import."""
LOCK_KEY = 0x6E696D6277  # "nimbw": one advisory lock of the gateway's database
LOCK_SECONDS = 60.0
WAIT_SECONDS = 300.0
RETRY_SECONDS = 2.0

log = structlog.get_logger(__name__)


class SchemaTooNewError(RuntimeError):
    """A newer Nimbus has migrated this database; this one must not touch it."""


class MigrationLockError(RuntimeError):
    """Another process holds the migration lock for too long."""


def open_sync_engine(url: str) -> sa.Engine:
    """A one-off engine for migrations."""
    target = sync_url(url)
    if is_sqlite(target):
        sqlite_path(target).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(target, poolclass=sa.NullPool)
        configure_sqlite(engine)
        return engine
    arguments = postgres_arguments() | {"options": "-c timezone=UTC"}  # a migration may take its time
    return sa.create_engine(target, poolclass=sa.NullPool, connect_args=arguments)


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise MigrationLockError(f"{path} is locked by another process") from None
                time.sleep(0.05)
        yield


@contextmanager
def _advisory_lock(engine: sa.Engine) -> Iterator[None]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + LOCK_SECONDS
        while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LOCK_KEY))):
            if time.monotonic() > deadline:
                raise MigrationLockError("another process holds the migration lock of the gateway's database")
            time.sleep(0.05)
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK_KEY)))


def _current_revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found


def _copy_sqlite(path: Path, revision: str) -> Path:
    """Copy the file beside itself, through SQLite, so that what is still in the WAL comes along."""
    target = path.with_name(f"{path.name}.before-{revision}")
    source = sqlite3.connect(path)
    copy = sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()
    target.chmod(0o600)
    return target


def migrate(url: str) -> None:
    """Bring the schema to the newest revision. Several processes may call it at once.

    Raises:
        SchemaTooNewError: the database has a revision that this version does not know.
        MigrationLockError: another process holds the lock for more than a minute.
        sqlalchemy.exc.OperationalError: the database does not answer.
    """
    engine = open_sync_engine(url)
    sqlite = is_sqlite(url)
    path = sqlite_path(sync_url(url)) if sqlite else None
    lock = _file_lock(path.with_name(f"{path.name}.lock")) if path else _advisory_lock(engine)
    try:
        with lock:
            if path is not None:
                path.touch(mode=0o600)
            current = _current_revision(engine)
            if current == HEAD:
                return
            from nimbus_gateway.migrations import scripts  # noqa: PLC0415 - takes long, and is seldom needed

            if current is not None and current not in scripts.known_revisions():
                raise SchemaTooNewError(
                    f"the gateway's database has schema {current}, which this version does not know: "
                    "start the newer Nimbus again, or restore the copy that was made before the upgrade"
                )
            if path is not None and current is not None:
                log.info("database copied before its migration", copy=str(_copy_sqlite(path, current)))
            with engine.begin() as connection:
                scripts.upgrade(connection)
            log.info("database migrated", before=current, after=HEAD)
    finally:
        engine.dispose()


async def prepare(url: str, *, wait: float = WAIT_SECONDS) -> None:
    """Wait for the database, then migrate it. Each failed try is one plain log line.

    Raises:
        sqlalchemy.exc.OperationalError: the database did not answer for `wait` seconds.
        SchemaTooNewError, MigrationLockError: as `migrate`.
    """
    deadline = time.monotonic() + wait
    shown = sync_url(url).render_as_string(hide_password=True)
    attempt = 0
    while True:
        attempt += 1
        try:
            await asyncio.to_thread(migrate, url)
        except sa.exc.OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig and str(error.orig).strip() else str(error)
            left = deadline - time.monotonic()
            if is_sqlite(url) or left <= 0:
                log.error("the gateway's database does not answer, giving up", database=shown, reason=reason)  # noqa: TRY400 - the reason is the message
                raise
            log.warning(
                "waiting for the gateway's database",
                database=shown,
                reason=reason,
                attempt=attempt,
                gives_up_in=round(left),
            )
            await asyncio.sleep(RETRY_SECONDS)
        else:
            if attempt > 1:
                log.info("the gateway's database answers", database=shown, attempt=attempt)
            return
