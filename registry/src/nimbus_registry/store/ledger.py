"""The registry's memory: every plugin, the snapshot generation, and a journal that makes changes durable.

Reads never wait for the database. What a person asks for is durable before it is answered; what the reconciler
observes is written behind, in order, and kept until the database takes it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog
from nimbus_sdk.contracts.control import TransitionPage
from nimbus_sdk.contracts.dependencies import PluginDependent
from nimbus_sdk.contracts.jobs import InstallJob
from nimbus_sdk.contracts.snapshot import PluginDetail, PluginState, Reason, Snapshot
from sqlmodel import select

from nimbus_registry.catalog.dependencies import dependents, needs
from nimbus_registry.database import Database, utcnow
from nimbus_registry.errors import PluginNotFoundError
from nimbus_registry.lifecycle.states import PREPARING, require_transition
from nimbus_registry.pulse import Pulse
from nimbus_registry.store import history
from nimbus_registry.store.journal import GENERATION, GENERATION_BLOCK, Journal
from nimbus_registry.store.record import PluginRecord
from nimbus_registry.store.tables import CounterRow, PluginRow

log = structlog.get_logger(__name__)

_PROGRESS_INTERVAL = 0.25
"""Seconds between two looks at what is going on; a pull of many layers says something far more often."""


class Trusts(Protocol):
    """Whether the operator trusts a plugin's code, by its id and whether it lies in the plugins folder."""

    def __call__(self, plugin_id: str, *, discovered: bool) -> bool:
        """True when its pages may do what their user may."""
        ...


class Ledger:
    """All plugins of the instance."""

    def __init__(
        self,
        database: Database,
        *,
        instance: str,
        trusts: Trusts,
        plugins_enabled: bool = True,
        safe_mode: bool = False,
        runtime: str | None = None,
    ) -> None:
        self.records: dict[str, PluginRecord] = {}
        self.generation = 0
        self.pulse = Pulse()
        self.safe_mode = safe_mode
        self.switched_on = plugins_enabled and not safe_mode
        self._database = database
        self._trusts = trusts
        self._header = {
            "instance": instance,
            "plugins_enabled": plugins_enabled,
            "safe_mode": safe_mode,
            "runtime": runtime,
        }
        self._journal = Journal(database, self._row)
        self.moved: Callable[[str], None] = _nobody
        self.installs: Callable[[], list[InstallJob]] = list
        self._bumped_at = 0.0
        self._soon: asyncio.TimerHandle | None = None
        self._document: tuple[int, bytes] = (-1, b"")

    async def load(self) -> None:
        """Read every plugin, and take a fresh block of generations."""
        async with self._database.write() as session:
            rows = (await session.exec(select(PluginRow))).all()
            counter = await session.get(CounterRow, GENERATION)
            if counter is None:
                counter = CounterRow(name=GENERATION, value=0)
            self.generation = counter.value + 1
            self._journal.reserved = counter.value = counter.value + GENERATION_BLOCK
            session.add(counter)
        self.records = {row.id: PluginRecord.from_row(row) for row in rows}

    def get(self, plugin_id: str) -> PluginRecord:
        """The plugin with this id.

        Raises:
            PluginNotFoundError: there is none.
        """
        record = self.records.get(plugin_id)
        if record is None:
            raise PluginNotFoundError(f"There is no plugin {plugin_id!r} here.")
        return record

    def detail(self, record: PluginRecord) -> PluginDetail:
        """The plugin as people see it."""
        return self._detail(record, dependents(self.records))

    def details(self) -> list[PluginDetail]:
        """Every plugin, by id."""
        index = dependents(self.records)
        return [self._detail(self.records[plugin_id], index) for plugin_id in sorted(self.records)]

    def _detail(self, record: PluginRecord, index: Mapping[str, list[PluginDependent]]) -> PluginDetail:
        return record.detail(
            trusted=self.trusted(record),
            dependencies=needs(self.records, record.manifest),
            dependents=index.get(record.id, []),
        )

    def snapshot(self) -> Snapshot:
        """Everything at this moment."""
        plugins = [self.records[detail.id].snapshot(detail) for detail in self.details()]
        return Snapshot.model_validate(
            {"generation": self.generation, **self._header, "plugins": plugins, "installs": self.installs()}
        )

    def snapshot_json(self) -> bytes:
        """The snapshot as the wire has it, made once per generation."""
        if self._document[0] != self.generation:
            text = self.snapshot().model_dump_json(by_alias=True, exclude_none=True)
            self._document = (self.generation, text.encode())
        return self._document[1]

    def move(self, record: PluginRecord, state: PluginState, cause: str, reason: Reason | None = None) -> None:
        """Take the plugin into a state, with a row in its history; nothing happens when it is there already."""
        if record.state == state:
            if record.reason != reason:
                record.reason = reason
                self.touch(record)
            return
        require_transition(record.state, state)
        now = utcnow()
        self._journal.transition(
            plugin_id=record.id,
            from_state=record.state,
            to_state=state,
            at=now,
            cause=cause[:120],
            reason=reason.wire() if reason else None,
        )
        log.info("plugin state", plugin=record.id, was=record.state, now=state, cause=cause, reason=_words(reason))
        record.state, record.since, record.reason, record.progress = state, now, reason, None
        self.touch(record)
        self.moved(record.id)

    def event(self, record: PluginRecord, cause: str, reason: Reason) -> None:
        """Put into a plugin's history what is no change of its state."""
        self._journal.transition(
            plugin_id=record.id,
            from_state=record.state,
            to_state=record.state,
            at=utcnow(),
            cause=cause[:120],
            reason=reason.wire(),
        )
        log.info("plugin event", plugin=record.id, state=record.state, cause=cause, reason=reason.message)

    def added(self, record: PluginRecord, cause: str) -> None:
        """Take in a new plugin."""
        self.records[record.id] = record
        self._journal.transition(
            plugin_id=record.id, from_state=None, to_state=record.state, at=utcnow(), cause=cause, reason=None
        )
        self.touch(record)

    def removed(self, record: PluginRecord) -> None:
        """Forget a plugin; its history stays."""
        del self.records[record.id]
        self._journal.changed(record.id)
        self._bump()

    def touch(self, record: PluginRecord) -> None:
        """Say that a plugin changed in a way that others see and that is kept."""
        record.updated_at = utcnow()
        self._journal.changed(record.id)
        self._bump()

    def note_progress(self, record: PluginRecord, line: str) -> None:
        """Show what is going on; it is not kept."""
        line = line.strip()[:200]
        if record.state not in PREPARING or not line or record.progress == line:
            return
        record.progress = line
        self.changed_soon()

    async def set_enabled(self, record: PluginRecord, *, enabled: bool) -> None:
        """Store what a person wants, durably, before anything acts on it.

        Raises:
            DatabaseUnavailableError: nothing was changed.
        """
        async with self._journal.writing:
            async with self._database.write() as session:
                await session.merge(record.row(enabled=enabled))
            record.enabled = enabled
        self.touch(record)

    async def flush(self) -> None:
        """Make every change durable.

        Raises:
            DatabaseUnavailableError: the changes hold in memory and are written when the database is back.
        """
        await self._journal.flush(self.generation)

    async def keep_writing(self) -> None:
        """Write changes behind, for as long as the registry runs."""
        await self._journal.keep_writing(lambda: self.generation)

    async def transitions(self, plugin_id: str | None, *, after: int, limit: int) -> TransitionPage:
        """A page of a plugin's history, or of everybody's, what is still pending included.

        Raises:
            DatabaseUnavailableError: the history cannot be read.
        """
        await self.flush()
        async with self._database.read() as session:
            return await history.page(session, plugin_id, after=after, limit=limit)

    def _row(self, plugin_id: str) -> PluginRow | None:
        record = self.records.get(plugin_id)
        return record.row() if record else None

    def changed(self) -> None:
        """Something of the snapshot changed that belongs to no plugin and is not kept."""
        self._bump()

    def changed_soon(self) -> None:
        """The same of what may change many times a second: shown four times, and the last change always."""
        if self._soon is None:
            wait = self._bumped_at + _PROGRESS_INTERVAL - time.monotonic()
            self._soon = asyncio.get_running_loop().call_later(max(wait, 0.0), self._bump)

    def trusted(self, record: PluginRecord) -> bool:
        """Whether the operator trusts its code."""
        return self._trusts(record.id, discovered=record.is_discovered)

    async def store(self, record: PluginRecord) -> None:
        """Say that a plugin changed, and have that durable before anything acts on it.

        Raises:
            DatabaseUnavailableError: the change holds in memory and is written when the database is back.
        """
        self.touch(record)
        await self.flush()

    def _bump(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._bumped_at = time.monotonic()
        self.generation += 1
        self.pulse.fire()


def _nobody(_: str) -> None:
    """Who is told of changed states before there is a reconciler."""


def _words(reason: Reason | None) -> str | None:
    return reason.message if reason else None
