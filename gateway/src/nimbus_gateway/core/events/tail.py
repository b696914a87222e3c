"""New events as they are committed by any worker, for people who watch. Best effort; deliveries do not use it."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from nimbus_sdk.contracts.events import CloudEvent
from sqlmodel import col, select

from nimbus_gateway.core.events.outbox import cloud_event
from nimbus_gateway.core.events.tables import EventRow
from nimbus_gateway.database import Database

POLL_SECONDS = 0.5
LATE = 200
"""A transaction may be committed after one with a higher number: the newest so many are looked at again."""
AT_ONCE = 500
QUEUE_SIZE = 256

Listener = asyncio.Queue[CloudEvent | None]


class EventTail:
    """Hands new events to everybody who listens in this worker; asks the database only while somebody does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[Listener] = set()
        self._somebody = asyncio.Event()

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """New events from now on; None stands for events that were missed by being too slow."""
        listener: Listener = asyncio.Queue(QUEUE_SIZE)
        self._listeners.add(listener)
        self._somebody.set()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def run(self) -> None:
        """Follow the events until cancelled."""
        with self._database.watch_events() as wake:
            while True:
                self._somebody.clear()
                if not self._listeners:
                    await self._somebody.wait()
                last, seen = await self._newest()
                while self._listeners:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await wake.wait()
                    wake.clear()
                    last, seen = await self._pass_on(last, seen)

    async def _newest(self) -> tuple[int, set[int]]:
        async with self._database.read() as session:
            last = (await session.exec(select(sa.func.max(col(EventRow.seq))))).one() or 0
            recent = select(EventRow.seq).where(col(EventRow.seq) > last - LATE)
            return last, {seq for seq in (await session.exec(recent)).all() if seq is not None}

    async def _pass_on(self, last: int, seen: set[int]) -> tuple[int, set[int]]:
        async with self._database.read() as session:
            query = (
                select(EventRow)
                .where(col(EventRow.seq) > last - LATE, col(EventRow.seq).not_in(seen) if seen else sa.true())
                .order_by(col(EventRow.seq))
                .limit(AT_ONCE)
            )
            rows = (await session.exec(query)).all()
        for row in rows:
            seq = row.seq or 0
            last = max(last, seq)
            seen.add(seq)
            for listener in self._listeners:
                _offer(listener, cloud_event(row))
        return last, {seq for seq in seen if seq > last - LATE}


def _offer(listener: Listener, event: CloudEvent) -> None:
    if listener.full():
        while not listener.empty():
            listener.get_nowait()
        listener.put_nowait(None)
    listener.put_nowait(event)
