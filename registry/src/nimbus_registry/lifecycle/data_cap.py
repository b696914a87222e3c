"""The size of what plugins keep: counted again and again, because the engine's volumes have no limit of their own."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from nimbus_registry.database import utcnow
from nimbus_registry.lifecycle.states import ACTIVE
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

INTERVAL_SECONDS: Final = 30.0
_AT_MOST: Final = 20
"""Counting takes at most one part in so many of the time: it walks over every file."""
_NEARLY: Final = 0.9


def nearly(used: int, most: int) -> bool:
    """Whether so many bytes are to be told before they are too many. Pure."""
    return used > most * _NEARLY


def pause(took: float) -> float:
    """Seconds until the next count, after one that took so long. Pure."""
    return max(INTERVAL_SECONDS, took * _AT_MOST)


class DataCap:
    """Counts, and wakes the tasks of plugins that keep too much. `run` ends only by cancellation."""

    def __init__(self, tools: Tools, notice: Callable[[str], None]) -> None:
        self._tools = tools
        self._notice = notice

    async def run(self) -> None:
        """Count for as long as the registry runs."""
        while True:
            began = time.monotonic()
            try:
                await self.count()
            except (RuntimeFailure, TimeoutError) as error:
                log.info("the plugins' data could not be counted", reason=str(error))
            except Exception:
                log.exception("counting the plugins' data failed")  # a mistake of ours must not end the registry
            await asyncio.sleep(pause(time.monotonic() - began))

    async def count(self) -> None:
        """Count once. Nothing is counted while no plugin with data runs, unless one was never counted.

        One that does not get beyond its start runs and writes as well.

        Raises:
            RuntimeFailure: the engine does not answer.
        """
        keeping = [
            record
            for record in self._tools.ledger.records.values()
            if record.manifest is not None and record.manifest.runtime.data
        ]
        if not any(self._runs(record) or record.data_measured_at is None for record in keeping):
            return
        sizes = await self._tools.runtime.data_sizes()
        moment = utcnow()
        for record in keeping:
            used = sizes.get(record.id)
            record.data_used, record.data_measured_at = used, moment
            if used is not None and used > self._tools.policy.max_data and self._runs(record):
                record.data_excess = True
                self._notice(record.id)

    def _runs(self, record: PluginRecord) -> bool:
        run = self._tools.observer.of(record.id, record.installation.slot)
        return record.state in ACTIVE and run is not None and run.phase == "running"
