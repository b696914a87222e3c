"""Writing behind: changes wait here, in order, until the database has taken them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from nimbus_registry.database import Database
from nimbus_registry.errors import DatabaseUnavailableError
from nimbus_registry.store import history
from nimbus_registry.store.tables import CounterRow, PluginRow, TransitionRow

log = structlog.get_logger(__name__)

GENERATION_BLOCK = 10_000
"""Generations are reserved in the database by the block, so that they never go back and cost no write each."""

GENERATION = "generation"
_MAX_PENDING = 10_000
_RETRY_SECONDS = 1.0
_FINISH_SECONDS = 1.0
"""A write takes milliseconds; a database that is down is not waited for."""


class Journal:
    """Pending changes of plugins, their transitions and the generation counter.

    Rows are asked for when they are written, so a flush always stores the newest state of a plugin.
    """

    def __init__(self, database: Database, row_of: Callable[[str], PluginRow | None]) -> None:
        self.reserved = 0
        self.writing = asyncio.Lock()
        self._database = database
        self._row_of = row_of
        self._changed: set[str] = set()
        self._transitions: deque[dict[str, Any]] = deque(maxlen=_MAX_PENDING)
        self._wake = asyncio.Event()

    def changed(self, plugin_id: str) -> None:
        """A plugin changed, appeared or went away."""
        self._changed.add(plugin_id)
        self._wake.set()

    def transition(self, **columns: Any) -> None:  # noqa: ANN401 - the columns of TransitionRow
        """A plugin changed its state."""
        self._transitions.append(columns)
        self._wake.set()

    async def flush(self, generation: int) -> None:
        """Write what is pending and keep the reserved generations ahead of `generation`.

        A write that has begun is finished when the caller is cancelled. Cut off, it would keep SQLite's lock until
        its connection is closed, and the last write of a registry that ends would wait for that in vain.

        Raises:
            DatabaseUnavailableError: it stays pending.
        """
        task = asyncio.create_task(self._flush(generation), name="journal write")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=_FINISH_SECONDS)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # it is pending still, and asyncio wants it looked at
            raise

    async def _flush(self, generation: int) -> None:
        async with self.writing:
            transitions, changed = list(self._transitions), self._changed
            reserved = self.reserved
            if generation > reserved - GENERATION_BLOCK // 2:
                reserved = generation + GENERATION_BLOCK
            if not (transitions or changed or reserved != self.reserved):
                return
            # What changes during the write is noted in the new set and written by the next flush.
            self._changed = set()
            try:
                await self._write(transitions, changed, reserved if reserved != self.reserved else None)
            except SQLAlchemyError:
                await self._write_what_can_be(transitions, changed, reserved)
            except BaseException:
                self._changed |= changed
                raise
            self.reserved = reserved
            for columns in transitions:
                if self._transitions and self._transitions[0] is columns:
                    self._transitions.popleft()

    async def _write_what_can_be(self, transitions: list[dict[str, Any]], changed: set[str], reserved: int) -> None:
        """The database is up and refuses something among these rows: it would for ever, and all that follows.

        Each plugin is written on its own, so that only the refused one is lost.
        """
        try:
            await self._write([], set(), reserved)
            for plugin_id in sorted(changed | {columns["plugin_id"] for columns in transitions}):
                own = [columns for columns in transitions if columns["plugin_id"] == plugin_id]
                try:
                    await self._write(own, {plugin_id} & changed, None)
                except SQLAlchemyError:
                    log.exception("changes were refused by the database and are lost", plugin=plugin_id)
        except BaseException:
            self._changed |= changed
            raise

    async def _write(self, transitions: list[dict[str, Any]], changed: set[str], reserved: int | None) -> None:
        async with self._database.write() as session:
            for plugin_id in sorted(changed):
                row = self._row_of(plugin_id)
                if row is not None:
                    await session.merge(row)
                elif (stored := await session.get(PluginRow, plugin_id)) is not None:
                    await session.delete(stored)
            if reserved is not None:
                await session.merge(CounterRow(name=GENERATION, value=reserved))
            session.add_all(TransitionRow(**columns) for columns in transitions)
            await session.flush()
            await history.prune(session, {columns["plugin_id"] for columns in transitions})

    async def keep_writing(self, generation: Callable[[], int]) -> None:
        """Write changes as they come, for as long as the registry runs; an outage only delays it."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush(generation())
            except DatabaseUnavailableError:
                self._wake.set()
                await asyncio.sleep(_RETRY_SECONDS)
