"""The ASGI application of one worker: its life, and its parts put together."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from nimbus_gateway import garbage
from nimbus_gateway.auth.identity import IdentitySigner
from nimbus_gateway.compat.app import CompatApp
from nimbus_gateway.core.calls.app import PluginCalls
from nimbus_gateway.dispatch import ByPort, LimitBody, PublicApp
from nimbus_gateway.edge import Edge
from nimbus_gateway.guard.app import Guard
from nimbus_gateway.jobs import Job, kept_running
from nimbus_gateway.metrics import FLUSH_SECONDS, forget_dead_workers
from nimbus_gateway.plugins.platform_calls import build_management_api
from nimbus_gateway.plugins.ui_assets import AssetStore
from nimbus_gateway.proxy.inline import InlineProxy
from nimbus_gateway.proxy.upstream import UpstreamPool
from nimbus_gateway.registry_client import RegistryClient, SnapshotCache
from nimbus_gateway.service_token import load_service_token
from nimbus_gateway.settings import Settings
from nimbus_gateway.state import GatewayState

KEY_REFRESH_SECONDS = 60.0

log = structlog.get_logger("nimbus.gateway")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the shell does not make itself.

    Attributes:
        accounts: opens the database and sets `state.authenticator`.
        public_api: the FastAPI application of the public port.
        core_api: the FastAPI application that plugins call.
    """

    accounts: Callable[[GatewayState], AbstractAsyncContextManager[object]]
    public_api: Callable[[GatewayState], ASGIApp]
    core_api: Callable[[GatewayState], ASGIApp]


class Gateway:
    """One worker's application. Everything is opened by the lifespan's start and closed by its end."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._app: ASGIApp | None = None
        self.state = GatewayState(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or live through a lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif self._app is None:
            raise RuntimeError("a request came before the start or after the end")
        else:
            await self._app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        started = False
        try:
            async with self._open():
                if "state" in scope:
                    scope["state"]["gateway"] = self.state
                started = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            stage = "shutdown" if started else "startup"
            log.exception("the gateway failed", stage=stage)
            await send({"type": f"lifespan.{stage}.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        settings, state = self._settings, self.state
        data = settings.data_dir
        await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True)
        token = await asyncio.to_thread(load_service_token, settings.service_token_path)
        state.signer = await asyncio.to_thread(IdentitySigner, data / "signing-keys.json", settings.instance)
        state.assets = AssetStore(data / "assets")
        async with AsyncExitStack() as stack:
            state.upstreams = UpstreamPool()
            stack.push_async_callback(state.upstreams.close)
            worker = f"{socket.gethostname()}-{secrets.token_hex(4)}"
            cache = SnapshotCache(data / "snapshot.json")
            state.registry = RegistryClient(settings.registry_url, token, state.snapshots, cache, worker)
            state.registry.in_use = state.upstreams.in_use
            stack.push_async_callback(state.registry.close)
            state.registry.load_cached()
            await stack.enter_async_context(self._parts.accounts(state))
            await stack.enter_async_context(_background(self._jobs()))
            self._app = self._assemble(token)
            garbage.leave_out_what_is_there()
            log.info("the gateway is up", worker=worker, port=settings.port)
            yield
            state.stopping.set()
            self._app = None
            state.metrics.flush()
            state.access_log.flush()

    def _jobs(self) -> dict[str, Job]:
        return {
            "follow the registry": self.state.registry.watch,
            "close connections to stopped plugins": self._trim_connections,
            "end streams of revoked callers": lambda: self.state.streams.end_revoked(self.state.authenticator),
            "refresh the signing keys": self._refresh_keys,
            "hand the metrics on": self._flush_metrics,
            "tell what is in use": self.state.waker.report,
        }

    async def _trim_connections(self) -> None:
        async with self.state.snapshots.subscribe() as changes:
            async for old, table in changes:
                self.state.upstreams.keep_only({plugin.address for plugin in table.routes.values() if plugin.address})
                self.state.streams.end_disabled(table)
                for plugin_id, gate in self.state.gates:
                    before, now = old.routes.get(plugin_id), table.routes.get(plugin_id)
                    if before is None or now is None or before.address != now.address:
                        gate.breaker.reset()  # another process answers there now

    async def _refresh_keys(self) -> None:
        while True:
            await asyncio.sleep(KEY_REFRESH_SECONDS)
            await asyncio.to_thread(self.state.signer.refresh)

    async def _flush_metrics(self) -> None:
        await asyncio.to_thread(forget_dead_workers)
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.state.metrics.flush()

    def _assemble(self, token: str) -> ASGIApp:
        settings, state = self._settings, self.state

        def inner(app: ASGIApp, listener: str) -> ASGIApp:
            return Edge(Guard(app, settings, any_host=True), state.access_log, listener=listener)

        public = Guard(PublicApp(state, self._parts.public_api(state)), settings)
        state.inline = InlineProxy(state, public)
        compat = Edge(Guard(CompatApp(state), settings), state.access_log, state.metrics, listener="compat")
        return ByPort(
            Edge(public, state.access_log, state.metrics),
            {
                **dict.fromkeys(settings.compat_ports, compat),
                settings.core_port: inner(PluginCalls(state, LimitBody(self._parts.core_api(state))), "core"),
                settings.management_port: inner(LimitBody(build_management_api(state, token)), "management"),
            },
        )


@asynccontextmanager
async def _background(jobs: dict[str, Job]) -> AsyncIterator[None]:
    """Run jobs beside the block and cancel them with it; one that fails is started again."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(kept_running(name, job), name=name) for name, job in jobs.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
