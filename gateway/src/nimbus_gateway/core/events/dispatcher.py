"""Delivers events: a task for each subscriber that this worker has leased, so that one never waits for another."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events import queue
from nimbus_gateway.core.events.audience import is_schedule, plugin_of
from nimbus_gateway.core.events.queue import Pending
from nimbus_gateway.database import Database
from nimbus_gateway.errors import DatabaseUnavailableError

POLL_SECONDS = 0.5
RENEW_SECONDS = 5.0
SETTLE_SECONDS = 1.0
"""What was delivered is taken out of the queue at least so often."""
MOST_SUBSCRIBERS = 64
"""So many are delivered to at once by one worker; the others' turn comes when one is done. As many jobs run beside
them: a job may take an hour, and must not keep events waiting."""
MOST_JOBS_OF_ONE = 8
"""Jobs of one plugin at once, so that one whose jobs hang leaves room for others'."""
SLICE_SECONDS = 5.0
"""While there is no room for all, one that has had this long lets others go first."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a subscriber made of an event: `detail` says why it failed."""

    kind: Literal["done", "failed", "gone"]
    detail: str = ""


Deliver = Callable[[Pending], Awaitable[Outcome]]
"""One attempt, with a deadline of its own; never raises."""

FindTarget = Callable[[str], Awaitable[Deliver | None]]
"""How a subscriber is reached right now; None while it cannot be."""

Settled = Callable[[AsyncSession, Pending, Outcome], Awaitable[None]]
"""Is told of each event that has arrived or was given up, in the transaction that notes it."""


def has_room(name: str, active: Collection[str]) -> bool:
    """Whether one more subscriber is delivered to beside those that are. Pure."""
    if not is_schedule(name):
        return sum(not is_schedule(one) for one in active) < MOST_SUBSCRIBERS
    jobs = [plugin_of(one) for one in active if is_schedule(one)]
    return len(jobs) < MOST_SUBSCRIBERS and jobs.count(plugin_of(name)) < MOST_JOBS_OF_ONE


class Dispatcher:
    """Delivers what is due until cancelled.

    Args:
        database: the outbox.
        find_target: how a subscriber is reached.
        settled: is told what came of each event.
    """

    def __init__(self, database: Database, find_target: FindTarget, settled: Settled) -> None:
        self._database = database
        self._find_target = find_target
        self._settled = settled
        self._owner = secrets.token_hex(8)
        self._jitter = secrets.SystemRandom()
        self._active: set[str] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        with self._database.watch_events() as self._wake:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_leases(), name="renew event leases")
                while True:
                    self._wake.clear()
                    for name in await self._due():
                        if name not in self._active and has_room(name, self._active):
                            self._active.add(name)
                            group.create_task(self._serve(name), name=f"deliver events to {name}")
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await self._wake.wait()

    async def _due(self) -> list[str]:
        try:
            async with self._database.read() as session:
                return list(await queue.due_subscribers(session))
        except DatabaseUnavailableError:
            return []

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if not self._active:
                continue
            try:
                async with self._database.write() as session:
                    await queue.renew(session, list(self._active), self._owner)
            except DatabaseUnavailableError as error:
                log.warning("event leases could not be renewed", reason=error.detail)

    async def _serve(self, name: str) -> None:
        try:
            deliver = await self._find_target(name)
            if deliver is not None:
                async with self._leased(name) as mine:
                    started = time.monotonic()
                    while mine and await self._batch(name, deliver):
                        if time.monotonic() - started > SLICE_SECONDS and not has_room(name, self._active):
                            break
                        deliver = await self._find_target(name)
                        if deliver is None:
                            break
        except DatabaseUnavailableError as error:
            log.warning("events wait for the database", subscriber=name, reason=error.detail)
        except Exception:
            log.exception("deliveries broke off and are tried again", subscriber=name)
            with contextlib.suppress(DatabaseUnavailableError):
                async with self._database.write() as session:
                    await queue.pause(session, name)
        finally:
            self._active.discard(name)

    @asynccontextmanager
    async def _leased(self, name: str) -> AsyncIterator[bool]:
        async with self._database.write() as session:
            mine = await queue.lease(session, name, self._owner)
        try:
            yield mine
        finally:
            if mine:
                async with self._database.write() as session:
                    await queue.release(session, name, self._owner)
                # What was committed after the last look found the lease taken.
                self._wake.set()

    async def _batch(self, name: str, deliver: Deliver) -> bool:
        """Deliver some of the oldest events; False when nothing more is to be done now."""
        async with self._database.read() as session:
            waiting = await queue.oldest(session, name)
        arrived: list[Pending] = []
        last = Outcome("done")
        started = time.monotonic()
        try:
            for pending in waiting:
                last = await deliver(pending)
                if last.kind != "done":
                    break
                arrived.append(pending)
                if time.monotonic() - started > SETTLE_SECONDS:
                    break
        finally:
            # Also when cancelled: what has arrived is not delivered a second time.
            going_on = await self._settle(name, arrived, last, waiting)
        return going_on

    async def _settle(self, name: str, arrived: list[Pending], last: Outcome, waiting: list[Pending]) -> bool:
        if not arrived and last.kind == "done":
            return False
        given_up: Pending | None = None
        async with self._database.write() as session:
            await queue.arrived(session, name, [pending.id for pending in arrived])
            for pending in arrived:
                await self._settled(session, pending, Outcome("done"))
            if last.kind == "gone":
                await queue.unsubscribed(session, name)
                await self._settled(session, waiting[len(arrived)], last)
            elif last.kind == "failed":
                pending = waiting[len(arrived)]
                if await queue.failed(session, name, pending, last.detail, self._jitter.random()):
                    given_up = pending
                    await self._settled(session, pending, last)
        if last.kind == "gone":
            log.info("a subscriber wants no more events", subscriber=name)
        if given_up is not None:
            log.warning("an event was given up", subscriber=name, event=given_up.event.type, reason=last.detail)
        return last.kind == "done" or given_up is not None
