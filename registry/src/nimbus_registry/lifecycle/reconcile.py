"""The reconciler: one task per plugin, woken by people, by the engine's events, and every ten seconds."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from nimbus_registry.lifecycle.actor import Actor
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import PluginSpec, RuntimeFailure
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

PASS_SECONDS = 10.0
_EXIT_SECONDS = 2.5
_EXIT_GRACE = 2.0
_ENGINE_PAUSE = 2.0


class Reconciler:
    """Owns the plugins' tasks. Use `run` inside a task of its own; it ends only by cancellation."""

    def __init__(self, tools: Tools, *, source_dir: Callable[[PluginRecord], Path | None]) -> None:
        self._tools = tools
        self._source_dir = source_dir
        self._actors: dict[str, Actor] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        tools.ledger.moved = self._moved

    async def prime(self) -> None:
        """Look once and make every state honest, before anything is served.

        An engine that does not answer is no reason not to serve: the plugins keep the state they had.
        """
        try:
            await self._tools.observer.look()
        except (RuntimeFailure, TimeoutError) as error:
            log.warning("the engine does not answer; its plugins are looked at again later", error=str(error))
            return
        for record in list(self._tools.ledger.records.values()):
            self._actor(record).prime()

    async def run(self) -> None:
        """Reconcile for as long as the registry runs."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.refresh()
            group.create_task(self._watch(), name="engine events")
            group.create_task(self._passes(), name="periodic pass")

    def notice(self, plugin_id: str) -> None:
        """Something about this plugin changed."""
        record = self._tools.ledger.records.get(plugin_id)
        if record is not None:
            self._actor(record).notice()

    def configured(self, plugin_id: str) -> None:
        """Somebody changed this plugin's settings."""
        record = self._tools.ledger.records.get(plugin_id)
        if record is not None:
            self._actor(record).configured()

    def _moved(self, plugin_id: str) -> None:
        """A plugin's state changed: those that need it may start now, or know why they cannot."""
        for record in self._tools.ledger.records.values():
            wanted = record.manifest.dependencies if record.manifest else []
            if record.waiting and any(one.id == plugin_id for one in wanted):
                self._actor(record).notice()

    def spec_of(self, record: PluginRecord) -> PluginSpec | None:
        """What this plugin is to be run by; None while its manifest is invalid."""
        return self._actor(record).spec()

    def refresh(self) -> None:
        """Have a task for every plugin there is, and none for one that is gone."""
        for plugin_id in [known for known in self._actors if known not in self._tools.ledger.records]:
            del self._actors[plugin_id]
            task = self._tasks.pop(plugin_id, None)
            if task is not None:
                task.cancel()
        for record in list(self._tools.ledger.records.values()):
            self._actor(record).notice()

    def _actor(self, record: PluginRecord) -> Actor:
        actor = self._actors.get(record.id)
        if actor is None or actor.record is not record:
            actor = self._actors[record.id] = Actor(self._tools, record, source_dir=self._source_dir)
        if self._group is not None and record.id not in self._tasks:
            self._tasks[record.id] = self._group.create_task(actor.run(), name=f"plugin {record.id}")
        return actor

    async def _passes(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self.look_at_all()
            except (RuntimeFailure, TimeoutError) as error:
                log.warning("the engine does not answer", error=str(error))
            except Exception:
                log.exception("a pass failed")  # a mistake of ours must not end the registry
            self.refresh()
            await asyncio.sleep(max(0.0, began + PASS_SECONDS - time.monotonic()))

    async def look_at_all(self) -> None:
        """Observe everything, and let go of what no plugin needs: one pass, without what the plugins' tasks do.

        Raises:
            RuntimeFailure, TimeoutError: the engine does not answer.
        """
        await self._tools.observer.look()
        await self._sweep()

    async def _sweep(self) -> None:
        """Let go of what no plugin needs: pieces of unfinished starts, and runs of plugins nobody knows."""
        records = self._tools.ledger.records
        needed = {record.id for record in records.values() if record.enabled or record.busy}
        unknown = [plugin_id for plugin_id in self._tools.observer.plugin_ids if plugin_id not in records]
        async with asyncio.timeout(30):
            leftovers = await self._tools.runtime.observe_leftovers(frozenset(needed))
        for plugin_id in {found.plugin_id for found in leftovers if found.plugin_id} | set(unknown):
            what = [f"{found.kind} {found.name}" for found in leftovers if found.plugin_id == plugin_id]
            if plugin_id in self._actors:
                self._actors[plugin_id].has_leftovers()
            elif plugin_id not in records:
                log.warning("removing what an unknown plugin left behind", plugin=plugin_id, what=what)
                try:
                    await self._tools.runtime.remove(plugin_id)
                except RuntimeFailure as failure:
                    log.warning("it could not be removed; tried again later", plugin=plugin_id, error=failure.message)

    async def _watch(self) -> None:
        """Follow the engine's hints; each only makes the plugin's task look for itself."""
        while True:
            try:
                async for event in self._tools.runtime.watch():
                    if event.kind == "gateway-changed":
                        await self._tools.observer.look()
                        self.refresh()
                    elif event.plugin_id in self._actors and event.kind != "started":
                        await self._tools.observer.look()
                        self._actors[event.plugin_id].notice()
            except (RuntimeFailure, TimeoutError) as error:
                log.warning("the engine's events broke off", error=str(error))
            except Exception:
                log.exception("following the engine's events failed")
            await asyncio.sleep(_ENGINE_PAUSE)

    async def stop_all(self) -> None:
        """Stop every run of this instance, at the end of an embedded Nimbus. What is enabled stays enabled."""
        runtime = self._tools.runtime

        async def stop(plugin_id: str) -> None:
            try:
                await runtime.stop(plugin_id, _EXIT_GRACE)
                await runtime.remove(plugin_id)
            except RuntimeFailure as failure:
                log.warning("a plugin could not be stopped", plugin=plugin_id, error=failure.message)

        try:
            async with asyncio.timeout(_EXIT_SECONDS + _EXIT_GRACE), asyncio.TaskGroup() as group:
                for observation in await runtime.observe():
                    group.create_task(stop(observation.plugin_id), name=f"stop {observation.plugin_id}")
        except (RuntimeFailure, TimeoutError) as error:
            log.warning("not every plugin was stopped", error=str(error))
