"""The log of credential changes, and how every worker follows it.

A change of a credential is written in the transaction that makes it. On Postgres the transaction also notifies,
and each worker listens; on SQLite each worker reads what is new every 500 ms (writers take the lock at BEGIN, so
ids appear in the order of commits). Whoever subscribes is told within a second, and at once in the worker that
made the change.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa
import structlog
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.tables import CredentialChange
from nimbus_gateway.database import Database, after_commit, new_id, now

ChangeKind = Literal["user", "session", "api-key", "compat-port"]
EVERYTHING = "everything"
"""Kind of the row that says that all of it may have changed; whoever does not know it understands the same."""
CHANNEL = "nimbus_credentials"
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 1.0
ANSWER_SECONDS = 3.0
KEEP = timedelta(hours=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A credential that changed. Without a subject: anything may have, because the log was not readable."""

    kind: ChangeKind | None = None
    subject: str = ""


class CredentialChanges:
    """Writes the log, follows it, and tells subscribers.

    `synced_at` is the monotonic time at which the log was last known to be followed without a gap.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._listeners: list[Callable[[Change], None]] = []
        self._cursor: int | None = None
        self._down = False
        self.synced_at = clock()

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Call a function, which must not block, for every change."""
        self._listeners.append(listener)

    async def record(self, session: AsyncSession, kind: ChangeKind, subject: uuid.UUID) -> None:
        """Write a change into the session's transaction."""
        session.add(CredentialChange(kind=kind, subject=subject))
        if not self._database.sqlite:
            await session.exec(select(sa.func.pg_notify(CHANNEL, f"{kind}:{subject}")))
        after_commit(session, self._deliver, Change(kind, str(subject)))

    async def record_everything(self, session: AsyncSession) -> None:
        """Write into the session's transaction that every credential may have changed."""
        row = CredentialChange(kind=EVERYTHING, subject=new_id())
        session.add(row)
        if not self._database.sqlite:
            await session.exec(select(sa.func.pg_notify(CHANNEL, f"{EVERYTHING}:{row.subject}")))
        after_commit(session, self._deliver, Change())

    def _deliver(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)

    async def start(self) -> None:
        """Find where the log ends, before anything is cached.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        if self._database.sqlite:
            async with self._database.read() as session:
                self._cursor = (await session.exec(select(sa.func.max(CredentialChange.id)))).one() or 0
        self.synced_at = self._clock()

    async def follow(self) -> None:
        """Follow the log until cancelled; a database that is away is tried again and again."""
        while True:
            try:
                await (self._poll() if self._database.sqlite else self._listen())
            except Exception as error:  # noqa: BLE001 - whatever it is: without this job no revocation is heard of
                if not self._down:
                    log.warning("cannot follow credential changes, trying again", reason=str(error).split("\n")[0])
                    self._down = True
            await asyncio.sleep(POLL_SECONDS)

    def _in_sync(self) -> None:
        if self._down:
            log.info("following credential changes again")
            self._down = False
        self.synced_at = self._clock()

    async def _poll(self) -> None:
        if self._clock() - self.synced_at > KEEP.total_seconds() / 2:
            self._cursor = None  # rows may have been cut off meanwhile
        async with self._database.read() as session:
            if self._cursor is None:
                self._cursor = (await session.exec(select(sa.func.max(CredentialChange.id)))).one() or 0
                self._deliver(Change())
            query = select(CredentialChange).where(col(CredentialChange.id) > self._cursor)
            rows = (await session.exec(query.order_by(col(CredentialChange.id)))).all()
        for row in rows:
            self._cursor = row.id
            self._deliver(_change(f"{row.kind}:{row.subject}"))
        self._in_sync()

    async def _listen(self) -> None:
        import psycopg  # noqa: PLC0415 - not needed on SQLite, and takes long

        dialect = self._database.engine.dialect
        arguments, options = dialect.create_connect_args(self._database.engine.url)
        options["connect_timeout"] = int(ANSWER_SECONDS)
        connection = await psycopg.AsyncConnection.connect(*arguments, autocommit=True, **options)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._deliver(Change())  # what happened before LISTEN is unknown
            self._in_sync()
            while True:
                async for notice in connection.notifies(timeout=HEARTBEAT_SECONDS):
                    self._deliver(_change(notice.payload))
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.execute("SELECT 1")
                self._in_sync()

    async def cut(self) -> None:
        """Delete rows that every worker has read long ago."""
        async with self._database.write() as session:
            old = col(CredentialChange.at) < now() - KEEP
            await session.exec(sa.delete(CredentialChange).where(old))


def _change(text: str) -> Change:
    kind, _, subject = text.partition(":")
    match kind:
        case "user" | "session" | "api-key" | "compat-port":
            return Change(kind, subject)
        case _:
            return Change()  # everything, or a newer worker's kind: too much is forgotten rather than too little
