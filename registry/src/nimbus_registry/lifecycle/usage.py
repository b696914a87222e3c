"""What plugins use: sampled in turn, kept for an hour as it was and for a day in means, in bounded memory."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from nimbus_sdk.contracts.inspection import DataUse, PluginMetrics, PluginMetricsPage, Span, UsageSample

from nimbus_registry.database import utcnow
from nimbus_registry.lifecycle import backoff
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import Observation, PluginSpec, RuntimeFailure, Stats
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

INTERVAL_SECONDS: Final = 10.0
KEPT_SAMPLES: Final = 360
"""An hour."""
COARSE: Final = timedelta(minutes=5)
KEPT_COARSE: Final = 288
"""A day."""
_SPANS: Final[dict[Span, timedelta]] = {"6h": timedelta(hours=6), "24h": timedelta(hours=24)}
_AT_ONCE: Final = 4
_STATS_DEADLINE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of one run at one monotonic time."""

    run_id: str
    at: float
    stats: Stats


@dataclass(slots=True)
class _Kept:
    newest: Reading | None = None
    history: deque[UsageSample] = field(default_factory=lambda: deque(maxlen=KEPT_SAMPLES))
    coarse: deque[UsageSample] = field(default_factory=lambda: deque(maxlen=KEPT_COARSE))
    gathering: list[UsageSample] = field(default_factory=list)

    def add(self, taken: UsageSample) -> None:
        self.history.append(taken)
        if self.gathering and taken.at - self.gathering[0].at >= COARSE:
            self.coarse.append(mean(self.gathering))
            self.gathering.clear()
        self.gathering.append(taken)

    def over(self, span: Span, moment: datetime) -> list[UsageSample]:
        if span == "1h":
            return list(self.history)
        since = moment - _SPANS[span]
        newest = [mean(self.gathering)] if self.gathering else []
        return [found for found in (*self.coarse, *newest) if found.at >= since]


def sample(before: Reading | None, now: Reading, at: datetime) -> UsageSample:
    """Rates out of two readings; without one of the same run before there are none. Pure."""
    if before is None or before.run_id != now.run_id or now.at <= before.at:
        return UsageSample(at=at, memory=now.stats.memory)
    seconds = now.at - before.at

    def rate(new: float | None, old: float | None) -> float | None:
        return None if new is None or old is None else round(max(0.0, new - old) / seconds, 4)

    return UsageSample(
        at=at,
        memory=now.stats.memory,
        cpu=rate(now.stats.cpu_seconds, before.stats.cpu_seconds),
        received=rate(now.stats.network_received, before.stats.network_received),
        sent=rate(now.stats.network_sent, before.stats.network_sent),
    )


def mean(samples: Sequence[UsageSample]) -> UsageSample:
    """One sample for several: the rates' means, and the highest memory, which a limit is held against. Pure."""

    def over(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(sum(known) / len(known), 4) if known else None

    return UsageSample(
        at=samples[0].at,
        memory=max(taken.memory for taken in samples),
        cpu=over([taken.cpu for taken in samples]),
        received=over([taken.received for taken in samples]),
        sent=over([taken.sent for taken in samples]),
    )


class Usage:
    """Samples every running plugin. Use `run` inside a task of its own; it ends only by cancellation."""

    def __init__(self, tools: Tools, spec_of: Callable[[PluginRecord], PluginSpec | None]) -> None:
        self._tools = tools
        self._spec_of = spec_of
        self._kept: dict[str, _Kept] = {}
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Sample for as long as the registry runs."""
        while True:
            began = time.monotonic()
            try:
                await self.take()
            except Exception:
                log.exception("sampling failed")  # a mistake of ours must not end the registry
            await asyncio.sleep(max(0.1, began + INTERVAL_SECONDS - time.monotonic()))

    async def take(self) -> None:
        """Take one sample of every plugin that runs, and forget those that are gone."""
        async with self._reading:
            records = self._tools.ledger.records
            for gone in [plugin_id for plugin_id in self._kept if plugin_id not in records]:
                del self._kept[gone]
            runs = [self._tools.observer.serving(record.id, record.run_id) for record in records.values()]
            places = asyncio.Semaphore(_AT_ONCE)

            async def read(run: Observation) -> None:
                async with places:
                    await self._read(run)

            async with asyncio.TaskGroup() as group:
                for run in runs:
                    if run is not None and run.phase == "running":
                        group.create_task(read(run), name=f"sample {run.plugin_id}")

    async def _read(self, run: Observation) -> None:
        try:
            async with asyncio.timeout(_STATS_DEADLINE):
                stats = await self._tools.runtime.stats(run.plugin_id, run.slot)
        except (RuntimeFailure, TimeoutError):
            return
        if stats is None:
            return
        kept = self._kept.setdefault(run.plugin_id, _Kept())
        reading = Reading(run.run_id, time.monotonic(), stats)
        kept.add(sample(kept.newest, reading, utcnow()))
        kept.newest = reading

    def metrics(self, record: PluginRecord, *, span: Span | None = "1h") -> PluginMetrics:
        """What is known of one plugin; without a span no history."""
        kept = self._kept.get(record.id, _Kept())
        run = self._tools.observer.serving(record.id, record.run_id)
        running = run is not None and run.phase == "running"
        fresh = (
            kept.newest if running and run is not None and kept.newest and kept.newest.run_id == run.run_id else None
        )
        spec = self._spec_of(record)
        return PluginMetrics(
            plugin_id=record.id,
            state=record.state,
            running_since=run.started_at if running and run is not None else None,
            restarts=record.restarts,
            failures=len(backoff.counting(record.failures, time.time())),
            memory_limit=spec.limits.memory if spec else None,
            cpu_limit=spec.limits.cpus if spec else None,
            cpu_seconds=fresh.stats.cpu_seconds if fresh else None,
            network_received=fresh.stats.network_received if fresh else None,
            network_sent=fresh.stats.network_sent if fresh else None,
            data=self._data(record),
            current=kept.history[-1] if fresh else None,
            interval=INTERVAL_SECONDS,
            history=kept.over(span, utcnow()) if span else [],
        )

    def _data(self, record: PluginRecord) -> DataUse | None:
        keeps = record.manifest is not None and record.manifest.runtime.data
        if not keeps or record.data_used is None or record.data_measured_at is None:
            return None
        most = self._tools.policy.max_data
        return DataUse(used_bytes=record.data_used, limit_bytes=most, measured_at=record.data_measured_at)

    def page(self) -> PluginMetricsPage:
        """Every plugin's metrics, without history."""
        records = self._tools.ledger.records
        return PluginMetricsPage(items=[self.metrics(records[key], span=None) for key in sorted(records)])
