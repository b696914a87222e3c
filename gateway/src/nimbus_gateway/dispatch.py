"""Which application answers which request: by the local port first, on the public port by the path.

Plain ASGI all the way to the proxy: FastAPI answers only what is its own.
"""

from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nimbus_gateway.errors import NotFoundError, PayloadTooLargeError
from nimbus_gateway.guard.request import request_info
from nimbus_gateway.plugins.api import OWN_WORKER_SECONDS
from nimbus_gateway.plugins.ui_assets import AssetApp
from nimbus_gateway.proxy.headers import find_header
from nimbus_gateway.proxy.http import HttpProxy
from nimbus_gateway.proxy.routes import is_plugin_route
from nimbus_gateway.proxy.websocket import WebSocketProxy, is_websocket
from nimbus_gateway.state import GatewayState
from nimbus_gateway.web import WebApp

MAX_API_BODY = 8 * 1024 * 1024
"""Bytes of a body of the gateway's own API, which reads bodies whole."""

GENERATION_HEADER = b"x-nimbus-generation"
"""The id of the last event that the caller has received."""
_DIGITS = 18

_UPLOAD_PARTS = 5
_OWN_PATHS = frozenset({"healthz", "readyz", "metrics"})


class LimitBody:
    """Keeps bodies of an application that reads them whole below a limit."""

    def __init__(self, app: ASGIApp, limit: int = MAX_API_BODY) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on.

        Raises:
            PayloadTooLargeError: its Content-Length is above the limit.
        """
        detail = f"the body is larger than {self._limit} bytes"
        length = find_header(scope["headers"], b"content-length")
        if length is not None and int(length) > self._limit:
            raise PayloadTooLargeError(detail)
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                # FastAPI passes this class through while it reads a body; any other becomes a 400.
                raise HTTPException(PayloadTooLargeError.status, detail)
            return message

        await self._app(scope, counted, send)


class PublicApp:
    """Behind the guard of the public port."""

    def __init__(self, state: GatewayState, api: ASGIApp) -> None:
        self._state = state
        self._api = LimitBody(api)
        self._uploads = api
        self._http = HttpProxy(state)
        self._websocket = WebSocketProxy(state)
        self._assets = AssetApp(state.assets, state.snapshots)
        self._web = WebApp(state.settings.web_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the upgrade to a WebSocket."""
        segments = request_info(scope).path.segments
        if is_websocket(scope):
            if not is_plugin_route(segments):
                raise NotFoundError("there is no WebSocket at this address")
            await self._websocket(scope, receive, send)
        elif is_plugin_route(segments):
            await self._http(scope, receive, send)
        elif segments[0] == "plugin-assets":
            await self._assets(scope, receive, send)
        elif _is_upload(segments):
            await self._uploads(scope, receive, send)
        elif segments[0] == "api" or (len(segments) == 1 and segments[0] in _OWN_PATHS):
            await self._catch_up(scope)
            await self._api(scope, receive, send)
        else:
            await self._web(scope, receive, send)

    async def _catch_up(self, scope: Scope) -> None:
        """Wait until this worker knows what another one has told the caller in its event stream, but not for long."""
        heard_of = find_header(scope["headers"], GENERATION_HEADER)
        if heard_of is not None and heard_of.isdigit() and len(heard_of) <= _DIGITS:
            await self._state.snapshots.wait_for(int(heard_of), OWN_WORKER_SECONDS)


def _is_upload(segments: Sequence[str]) -> bool:
    """Whether the body is a file that is not read whole, and has a limit of its own: a backup."""
    if tuple(segments) == ("api", "admin", "backups", "upload"):
        return True
    return len(segments) == _UPLOAD_PARTS and (*segments[:3], segments[4]) == ("api", "admin", "plugins", "restore")


class ByPort:
    """Chooses the application by the local port that a connection came in on."""

    def __init__(self, public: ASGIApp, others: Mapping[int, ASGIApp]) -> None:
        self._public = public
        self._others = dict(others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its listener's application."""
        server = scope.get("server")
        app = self._others.get(server[1], self._public) if server else self._public
        await app(scope, receive, send)
