"""Waking a plugin that sleeps until it is asked for: once, however many ask, and only for callers who are let in."""

import asyncio
from typing import TYPE_CHECKING

import structlog
from starlette.types import Scope

from nimbus_gateway.errors import GatewayError, PluginAsleepError, PluginUnavailableError
from nimbus_gateway.guard.request import RequestInfo
from nimbus_gateway.proxy.admission import Provenance, authorise
from nimbus_gateway.proxy.headers import find_header, sort_request
from nimbus_gateway.proxy.routes import CompiledPlugin, CompiledRoute

if TYPE_CHECKING:
    from nimbus_gateway.state import GatewayState

log = structlog.get_logger(__name__)

MOST_WAITING = 1024
"""Requests that wait per plugin and worker."""
RETRY_SECONDS = 5
SLACK_SECONDS = 5.0
LONGEST_SECONDS = 120.0
REPORT_SECONDS = 5.0


class Waker:
    """Wakes plugins for one worker, and tells the registry which are in use."""

    def __init__(self, state: "GatewayState") -> None:
        self._state = state
        self._waking: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, int] = {}
        self._entered: dict[str, int] = {}

    async def wake_for(
        self, scope: Scope, info: RequestInfo, asleep: PluginAsleepError, *, method: str, upgrade: bool = False
    ) -> None:
        """Let the caller in, as the route says, then have the plugin awake on this worker.

        Raises:
            GatewayError: the caller is not let in; the plugin did not start, or not in time.
        """
        plugin: CompiledPlugin = asleep.plugin
        route: CompiledRoute = asleep.route
        headers = scope["headers"]
        provenance = Provenance(
            find_header(headers, b"origin"), find_header(headers, b"sec-fetch-site"), info.own_origins
        )
        await authorise(
            route,
            sort_request(headers).credentials,
            self._state.authenticator,
            provenance,
            method=method,
            upgrade=upgrade,
        )
        await self.wake(plugin)

    async def wake(self, plugin: CompiledPlugin) -> None:
        """Have a plugin awake; all that ask at the same time wait for one start.

        Raises:
            PluginUnavailableError: it did not start, or not in time; or too many wait.
        """
        waiting = self._waiting.get(plugin.id, 0)
        if waiting >= MOST_WAITING:
            raise PluginUnavailableError("too many requests wait for the plugin's start", retry_after=RETRY_SECONDS)
        self._waiting[plugin.id] = waiting + 1
        try:
            task = self._waking.get(plugin.id)
            if task is None:
                task = asyncio.get_running_loop().create_task(self._wake(plugin), name=f"wake {plugin.id}")
                self._waking[plugin.id] = task
                task.add_done_callback(lambda _: self._waking.pop(plugin.id, None))
            # One who goes away does not end the start that the others wait for.
            await asyncio.shield(task)
        finally:
            self._waiting[plugin.id] -= 1
            if not self._waiting[plugin.id]:
                del self._waiting[plugin.id]

    async def _wake(self, plugin: CompiledPlugin) -> None:
        manifest = plugin.source.detail.manifest
        start = manifest.runtime.timeouts.start_seconds if manifest is not None else 0.0
        seconds = min(start + SLACK_SECONDS, LONGEST_SECONDS)
        try:
            result = await self._state.registry.wake(plugin.id, seconds)
        except GatewayError as error:
            raise PluginUnavailableError(
                f"the plugin {plugin.id!r} sleeps and could not be started: {error.detail or error.title}",
                retry_after=RETRY_SECONDS,
            ) from error
        await self._state.snapshots.wait_for(result.generation, SLACK_SECONDS)
        if not result.settled and self._state.snapshots.current.routes[plugin.id].address is None:
            raise PluginUnavailableError(
                f"the plugin {plugin.id!r} was not up within {seconds:g} s", retry_after=RETRY_SECONDS
            )

    def in_use(self) -> list[str]:
        """Plugins that run on demand and had a request since this was asked last, or have one under way."""
        used = []
        for plugin_id, gate in self._state.gates:
            plugin = self._state.snapshots.current.routes.get(plugin_id)
            if plugin is None or not plugin.on_demand:
                continue
            under_way = gate.active or self._state.streams.any_with(plugin_id)
            if under_way or gate.entered != self._entered.get(plugin_id, 0):
                used.append(plugin_id)
            self._entered[plugin_id] = gate.entered
        return used

    async def report(self) -> None:
        """Tell the registry what is in use, again and again; without such plugins there is nothing to tell."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            routes = self._state.snapshots.current.routes
            if not any(plugin.on_demand and plugin.address is not None for plugin in routes.values()):
                continue
            try:
                await self._state.registry.tell_in_use(self.in_use())
            except GatewayError as error:
                log.info("the registry could not be told what is in use", reason=str(error))
