"""Keeps what a worker counts, minute by minute, and writes it to the database beside the proxied path."""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.database import Database, insert_of, now
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.metrics import Tally
from nimbus_gateway.traffic.counts import MINUTE, Counts
from nimbus_gateway.traffic.tables import TrafficRow

WRITE_SECONDS: Final = 10.0
KEPT: Final = timedelta(hours=25)
MOST_MINUTES: Final = 15
"""As many minutes wait for a database that is away; older ones are dropped."""
_ROWS_AT_ONCE: Final = 200

log = structlog.get_logger(__name__)


class TrafficRecorder:
    """Counts of one worker. Used on the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._worker = secrets.token_hex(8)
        self._minutes: dict[int, dict[str, Counts]] = {}
        self._changed: set[tuple[int, str]] = set()

    def add(self, tally: Tally) -> None:
        """Count what a route of a plugin has answered since the last call; what is not a plugin's is left out."""
        if not tally.plugin:
            return
        minute = int(self._clock()) // MINUTE * MINUTE
        plugins = self._minutes.setdefault(minute, {})
        plugins.setdefault(tally.plugin, Counts()).add_tally(tally)
        self._changed.add((minute, tally.plugin))
        while len(self._minutes) > MOST_MINUTES:
            dropped = min(self._minutes)
            del self._minutes[dropped]
            self._changed = {key for key in self._changed if key[0] != dropped}

    async def run(self, database: Database) -> None:
        """Write again and again, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write(database)
            except DatabaseUnavailableError as error:
                log.warning("the history of requests waits", reason=error.detail)

    async def write(self, database: Database) -> None:
        """Write what changed. A row holds all that was counted in its minute, so writing it again does no harm."""
        writing = sorted(self._changed)
        rows = [self._row(minute, plugin) for minute, plugin in writing]
        self._changed.clear()
        try:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                async with database.write() as session:
                    await _put(session, rows[start : start + _ROWS_AT_ONCE])
        except BaseException:
            self._changed.update(key for key in writing if key[0] in self._minutes)
            raise
        present = int(self._clock()) // MINUTE * MINUTE
        waiting = {minute for minute, _ in self._changed}
        self._minutes = {
            minute: plugins for minute, plugins in self._minutes.items() if minute >= present or minute in waiting
        }

    def _row(self, minute: int, plugin: str) -> dict[str, Any]:
        counts = self._minutes[minute][plugin]
        return {
            "plugin_id": plugin,
            "at": datetime.fromtimestamp(minute, UTC),
            "worker": self._worker,
            "requests": counts.requests,
            "client_errors": counts.errors["client"],
            "plugin_errors": counts.errors["plugin"],
            "gateway_errors": counts.errors["gateway"],
            "received": counts.received,
            "sent": counts.sent,
            "buckets": list(counts.buckets),
        }


_KEYS: Final = ("plugin_id", "at", "worker")


async def _put(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    statement = insert_of(session, TrafficRow).values(rows)
    values = {name: getattr(statement.excluded, name) for name in rows[0] if name not in _KEYS}
    await session.exec(statement.on_conflict_do_update(index_elements=list(_KEYS), set_=values))


async def cut_traffic(session: AsyncSession) -> None:
    """Delete what is older than anybody can ask for."""
    await session.exec(delete(TrafficRow).where(col(TrafficRow.at) < now() - KEPT))
