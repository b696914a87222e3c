"""WebSockets to plugins: the upgrade is authenticated like any request, then both ends are joined.

The handshake is the two ends' own business: key, subprotocols and extensions pass as they are.
"""

import time
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from nimbus_gateway.errors import (
    GatewayError,
    PluginAsleepError,
    PluginHeldError,
    UpstreamFailedError,
    UpstreamTimeoutError,
)
from nimbus_gateway.guard.request import ClientConnection, client_connection, request_info
from nimbus_gateway.proxy.admission import Target, find_target
from nimbus_gateway.proxy.connection import Connection
from nimbus_gateway.proxy.failures import UpstreamConnectError, UpstreamError, UpstreamTimeout
from nimbus_gateway.proxy.headers import Header, connection_named, header_lines, response_headers
from nimbus_gateway.proxy.http import outgoing_headers, own_origins, target_bytes
from nimbus_gateway.proxy.reader import AnswerReader
from nimbus_gateway.proxy.routes import PREFIX_SEGMENTS
from nimbus_gateway.proxy.splice import GOING_AWAY, POLICY_VIOLATION, Splice
from nimbus_gateway.proxy.streams import CallbackStream
from nimbus_gateway.proxy.upstream import request_head
from nimbus_gateway.state import GatewayState

HANDSHAKE_SECONDS = 10.0
_SWITCHING = 101
_UPGRADE: list[Header] = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]


def is_websocket(scope: Scope) -> bool:
    """Whether a request asks for a WebSocket (RFC 6455, 4.2.1)."""
    headers: list[Header] = scope["headers"]
    upgrades = [value.strip().lower() for name, value in headers if name == b"upgrade"]
    return (
        scope["method"] == "GET"
        and scope["http_version"] == "1.1"
        and upgrades == [b"websocket"]
        and b"upgrade" in connection_named(headers)
    )


class WebSocketProxy:
    """Answers WebSocket upgrades to ``/api/plugins/{id}/…`` out of the plugin."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Proxy one WebSocket. Errors raise `GatewayError` as long as the upgrade has not been answered."""
        info = request_info(scope)
        client = client_connection(scope)
        if client is None:
            raise GatewayError("the server cannot hand a connection over")
        plugin_id, segments = info.path.segments[2], info.path.segments[PREFIX_SEGMENTS:]
        table = self._state.snapshots.current
        info.plugin = plugin_id if plugin_id in table.routes else None
        enabled, compat = self._state.settings.enable_plugins, info.compat
        try:
            target = find_target(table, plugin_id, segments, "GET", enabled=enabled, compat=compat)
        except (PluginAsleepError, PluginHeldError) as later:
            if isinstance(later, PluginAsleepError):
                await self._state.waker.wake_for(scope, info, later, method="GET", upgrade=True)
            turn = self._state.held.turn(plugin_id, segments, "GET", enabled=enabled, compat=compat)
            async with turn as target:
                await self._open(target, scope, client, send)
        else:
            await self._open(target, scope, client, send)

    async def _open(self, target: Target, scope: Scope, client: ClientConnection, send: Send) -> None:
        """Let the caller in and join it with the plugin."""
        info, plugin_id = request_info(scope), target.plugin.id
        info.route = target.route.template
        headers, caller = await outgoing_headers(self._state, scope, info, target, method="GET", upgrade=True)
        info.user = caller[0].subject if caller is not None else None
        gate = self._state.gates.of(plugin_id)
        await gate.enter()
        ending = _Ending()
        stream = CallbackStream(plugin_id, caller, ending, lasting=True, port=info.compat_port)
        self._state.streams.add(stream)
        try:
            self._state.compat_ports.check(info.compat_port, plugin_id)
            connection = await self._connect(target, gate.breaker.failed)
            try:
                head = request_head("GET", target_bytes(info, scope["query_string"]), headers + _UPGRADE)
                reader = await self._upgrade(connection, head, client)
                gate.breaker.succeeded()
                if connection.status == _SWITCHING:
                    await self._join(scope, connection, client, target, ending)
                else:
                    await self._refused(scope, reader, send, target)
            finally:
                self._state.upstreams.release(connection)
        finally:
            self._state.streams.discard(stream)
            gate.leave()

    async def _connect(self, target: Target, failed: Callable[[float], None]) -> Connection:
        try:
            return await self._state.upstreams.acquire(target.address, fresh=True)
        except UpstreamConnectError as error:
            failed(time.monotonic())
            raise UpstreamFailedError(str(error)) from error

    @staticmethod
    async def _upgrade(connection: Connection, head: bytes, client: ClientConnection) -> AnswerReader:
        """Send the upgrade request and wait for the head of the answer, whatever it is."""
        reader = AnswerReader(connection, head_request=False, upgrade=True)
        remove = client.on_gone(connection.abort)
        try:
            connection.write(head)
            connection.allow(HANDSHAKE_SECONDS)
            await reader.head()
        except UpstreamTimeout as error:
            raise UpstreamTimeoutError(f"no answer to the upgrade within {HANDSHAKE_SECONDS:g} s") from error
        except UpstreamError as error:
            raise UpstreamFailedError(f"the plugin did not answer the upgrade properly: {error}") from error
        finally:
            remove()
        return reader

    async def _join(
        self, scope: Scope, connection: Connection, client: ClientConnection, target: Target, ending: "_Ending"
    ) -> None:
        """Answer the upgrade and pass bytes on until both ends are closed."""
        info = request_info(scope)
        info.answered = info.upgraded = True
        answered = self._answer_headers(scope, connection.headers, target)
        plugin, early = connection.detach()
        splice = Splice(client, plugin)
        plugin.set_protocol(splice)
        client.upgrade(b"HTTP/1.1 101 Switching Protocols\r\n" + header_lines(answered + _UPGRADE) + b"\r\n", splice)
        ending.splice = splice
        if early:
            splice.data_received(early)
        plugin.resume_reading()
        if ending.reason is not None:
            splice.close(POLICY_VIOLATION, ending.reason)
        remove = client.on_stopping(lambda: splice.close(GOING_AWAY, "the gateway is stopping"))
        try:
            await splice.ended
        finally:
            remove()
            splice.cut()
            info.received, info.sent = splice.received, splice.sent

    async def _refused(self, scope: Scope, reader: AnswerReader, send: Send, target: Target) -> None:
        """Pass the plugin's refusal on, as the plain answer that it is."""
        request_info(scope).answered = True
        idle = target.route.idle_timeout or HANDSHAKE_SECONDS
        headers = self._answer_headers(scope, reader.connection.headers, target)
        await send({"type": "http.response.start", "status": reader.connection.status, "headers": headers})
        while (chunk := await reader.read(idle)) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @staticmethod
    def _answer_headers(scope: Scope, headers: list[Header], target: Target) -> list[Header]:
        info = request_info(scope)
        answered = response_headers(
            headers,
            prefix=target.plugin.prefix,
            origins=lambda: own_origins(info, target),
            trusted=target.plugin.trusted,
        )
        return [*answered, (b"x-request-id", info.id.encode())]


class _Ending:
    """Ends a WebSocket whose caller may go on no longer, or whose plugin is disabled."""

    splice: Splice | None = None
    reason: str | None = None

    def __call__(self, reason: str) -> None:
        self.reason = reason
        if self.splice is not None:
            self.splice.close(POLICY_VIOLATION, reason)
