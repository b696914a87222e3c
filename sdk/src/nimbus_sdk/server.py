"""The running plugin: an ASGI app that knows who calls, answers the platform, and passes the rest to FastAPI."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nimbus_sdk.background import Background
from nimbus_sdk.callers import Caller, refusal
from nimbus_sdk.carried import KEPT, carry
from nimbus_sdk.client import Core
from nimbus_sdk.client.transport import preload
from nimbus_sdk.contracts.identity import HEADER_IDENTITY, HEADER_REQUEST_ID
from nimbus_sdk.contracts.manifest import Route
from nimbus_sdk.contracts.routes import RESERVED_PREFIX
from nimbus_sdk.environment import Environment
from nimbus_sdk.errors import ManifestError, Unavailable
from nimbus_sdk.events import Dispatcher
from nimbus_sdk.identity import IdentityVerifier, InvalidToken, KeysUnavailable, core_keys
from nimbus_sdk.injection import SCOPE_CALLER, SCOPE_SERVER
from nimbus_sdk.logs import Logger, PluginLogHandler, logger
from nimbus_sdk.platform_calls import PlatformCalls
from nimbus_sdk.problems import problem, send_problem
from nimbus_sdk.routing import Match, RouteTable
from nimbus_sdk.settings import Settings
from nimbus_sdk.streams import EventStreams

if TYPE_CHECKING:
    from nimbus_sdk.plugin import Plugin

SETTINGS_SECONDS = 2.0
"""How long loaded settings are taken as current."""

_CLAIMED = (b"x-nimbus-user", b"x-nimbus-role", b"x-nimbus-scopes", b"x-nimbus-caller")
_IDENTITY = HEADER_IDENTITY.lower().encode()
_NOTED = KEPT | {_IDENTITY}
_RESERVED = f"/{RESERVED_PREFIX}/"
AnySettings = TypeVar("AnySettings", bound=Settings)
log = logging.getLogger("nimbus_sdk")


class PluginServer:
    """A plugin with its connections: what `plugin.run()` serves.

    Args:
        plugin: the author's object.
        environment: what Nimbus started it with.
        core: the client of the core.
        verifier: verifies identity tokens.
        logs: where log lines are queued for the core; None keeps them on standard output.
    """

    def __init__(
        self,
        plugin: "Plugin",
        environment: Environment,
        *,
        core: Core | None = None,
        verifier: IdentityVerifier | None = None,
        logs: PluginLogHandler | None = None,
    ) -> None:
        plugin_id = environment.plugin_id or plugin.manifest.id
        if plugin_id != plugin.manifest.id:
            raise ManifestError(f"started as {plugin_id!r}, but the manifest is {plugin.manifest.id!r}")
        plugin.check_manifest()
        self.plugin = plugin
        self.environment = environment
        self._by_hand = core is None
        self.core = core or Core(environment.core_url, environment.token)
        self._verifier = verifier or IdentityVerifier(plugin_id, core_keys(environment.core_url))
        self._logs = logs
        self._table = RouteTable(plugin.manifest.routes)
        self.events = Dispatcher(self, plugin.subscriptions, plugin.jobs)
        self.background = Background(self, plugin.background_tasks)
        self._platform = PlatformCalls(self)
        self._app: ASGIApp = plugin.app
        self.streams = EventStreams()
        self._settings: dict[type[Settings], tuple[float, Settings]] = {}
        self.core.config.when_changed = self.forget_settings

    @property
    def log(self) -> Logger:
        """The plugin's logger."""
        return logger()

    async def settings(self, kind: type[AnySettings]) -> AnySettings:
        """The plugin's settings, at most `SETTINGS_SECONDS` old; older ones when the core cannot be reached.

        Started by hand, without a core, every setting has its default.

        Raises:
            NotReady: a setting without default is not set.
            Unavailable: the core cannot be reached, and could not since the start.
        """
        if self._by_hand and self.environment.core_url is None:
            return kind.of({})
        now = asyncio.get_running_loop().time()
        kept = self._settings.get(kind)
        if kept is not None and now - kept[0] < SETTINGS_SECONDS:
            return kept[1]  # type: ignore[return-value]
        try:
            loaded = await kind.load(self.core.config)
        except Unavailable:
            if kept is None:
                raise
            return kept[1]  # type: ignore[return-value]
        self._settings[kind] = (now, loaded)
        return loaded

    def forget_settings(self) -> None:
        """Load settings anew when they are next asked for."""
        self._settings = {kind: (float("-inf"), kept) for kind, (_, kept) in self._settings.items()}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Own what lives as long as the server: the log shipper, the first fetch of the keys, the core client."""
        self.streams.serve_here()
        background: list[asyncio.Task[None]] = []
        if self.environment.core_url is not None:
            background.append(asyncio.create_task(self._warm(), name="fetch identity keys"))
            if self._logs is not None:
                background.append(asyncio.create_task(self._logs.ship(self.core.logs.send), name="ship logs"))
        if self._by_hand and self.environment.core_url is None:
            self.background.start()  # nobody will say that it is enabled
        log.info("serving", extra={"nimbus_fields": {"version": self.plugin.manifest.version}})
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self.background.aclose()
            await self.events.aclose()
            await self.core.aclose()

    async def _warm(self) -> None:
        """What the first probe needs, then what the first call to the core needs, while the platform gets ready."""
        await self._verifier.warm()
        await asyncio.to_thread(preload)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Every request comes through here, so it looks at the headers once and copies nothing."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(_RESERVED) and kind == "http":
            await self._platform(scope, receive, send)
            return
        found = self._table.match(scope.get("method", "GET"), path)
        if found.route is None:
            await self._undeclared(found, scope, send)
            return
        headers = scope["headers"]
        noted = [pair for pair in headers if pair[0] in _NOTED]
        tokens = [value for name, value in noted if name == _IDENTITY]
        caller = self._verifier.known(tokens[0]) if len(tokens) == 1 else None
        if caller is None and tokens:
            try:
                caller = await self._recognised(tokens)
            except (InvalidToken, KeysUnavailable) as error:
                denied = _unrecognised(found.route, error)
            else:
                denied = refusal(found.route, caller)
        else:
            denied = refusal(found.route, caller)
        if denied is not None:
            await _refuse(scope, send, *denied)
            return
        carry(noted)
        scope[SCOPE_SERVER] = self
        scope[SCOPE_CALLER] = caller
        if caller is None:  # nothing vouches for what these say
            scope["headers"] = [pair for pair in headers if not pair[0].startswith(_CLAIMED)]
        try:
            await self._app(scope, receive, self.streams.noting(send))
        except asyncio.CancelledError as cancelled:
            await self.streams.complete(send, cancelled)

    async def _undeclared(self, found: Match, scope: Scope, send: Send) -> None:
        """Answer what no route of the manifest takes."""
        if found.allowed:
            allow = ", ".join(sorted(found.allowed))
            detail = f"{scope.get('method', 'GET')} is not declared for this path; {allow} is."
            await _refuse(scope, send, 405, detail, {"allow": allow})
        else:
            detail = f"{scope['path']} is not declared in the manifest, so Nimbus would never forward it."
            await _refuse(scope, send, 404, detail)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap the app's own lifespan: ours is up before it and down after it."""
        async with contextlib.AsyncExitStack() as stack:

            async def opening() -> Any:  # noqa: ANN401 - ASGI messages
                message = await receive()
                if message["type"] == "lifespan.startup":
                    await stack.enter_async_context(self.running())
                return message

            await self._app(scope, opening, send)

    async def caller(self, scope: Scope) -> Caller | None:
        """Who is behind a request; None when it carries no identity.

        Raises:
            InvalidToken: it carries one that does not hold.
            KeysUnavailable: it carries one that cannot be verified now.
        """
        tokens = [value for name, value in scope["headers"] if name == _IDENTITY]
        return await self._recognised(tokens) if tokens else None

    async def _recognised(self, tokens: list[bytes]) -> Caller:
        if len(tokens) > 1:
            raise InvalidToken("there is more than one")
        return await self._verifier.caller(tokens[0])


def _unrecognised(route: Route, error: InvalidToken | KeysUnavailable) -> tuple[int, str] | None:
    """Why whoever cannot be recognised may not use `route`; None when anybody may, and only the keys are missing."""
    if isinstance(error, InvalidToken):
        return 401, f"The identity token does not hold: {error}."
    if route.auth == "none":
        return None
    return 503, "Nobody can be recognised now: the core's keys cannot be fetched."


async def _refuse(scope: Scope, send: Send, status: int, detail: str, extra: dict[str, str] | None = None) -> None:
    """Answer a request, or close a WebSocket, before the app sees it."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": detail})
    else:
        request_id = Headers(scope=scope).get(HEADER_REQUEST_ID)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            extra = {**(extra or {}), "retry-after": "1"}
        await send_problem(send, problem(status, detail, request_id=request_id), extra)
