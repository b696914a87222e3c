"""HTTP requests to plugins, as a plain ASGI application: streamed in both directions, never buffered whole."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from starlette.types import Receive, Scope, Send

from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.errors import (
    GatewayError,
    PluginAsleepError,
    PluginHeldError,
    RequestTimeoutError,
    UnauthenticatedError,
    UpstreamFailedError,
    UpstreamTimeoutError,
)
from nimbus_gateway.guard.request import ClientConnection, RequestInfo, client_connection, request_info
from nimbus_gateway.proxy.admission import Provenance, Target, authorise, find_target
from nimbus_gateway.proxy.body import RequestBody, too_large
from nimbus_gateway.proxy.connection import Connection
from nimbus_gateway.proxy.failures import (
    ExchangeAbortedError,
    UpstreamClosedError,
    UpstreamConnectError,
    UpstreamError,
    UpstreamTimeout,
)
from nimbus_gateway.proxy.gates import Gate, Line
from nimbus_gateway.proxy.headers import (
    LENGTHLESS,
    Forwarding,
    Header,
    find_header,
    identity_headers,
    is_event_stream,
    response_headers,
    sort_request,
)
from nimbus_gateway.proxy.reader import AnswerReader
from nimbus_gateway.proxy.routes import PREFIX_SEGMENTS
from nimbus_gateway.proxy.streams import UNMAPPED, OpenStream, StreamEndedError, caller_of
from nimbus_gateway.proxy.upstream import REPEATABLE, request_head
from nimbus_gateway.state import GatewayState

BODY_IDLE_SECONDS = 25.0
"""Silence of a client in the middle of its body, when the route sets no idle time of its own; shorter than the
guard's, which cuts the connection without an answer."""
_CLIENT_GONE = 499


class _RevokedError(UpstreamError):
    """The caller may no longer see the answer."""


def make_traceparent() -> bytes:
    """A new W3C traceparent."""
    value = os.urandom(24).hex()
    return f"00-{value[:32]}-{value[32:]}-01".encode()


def provenance_of(headers: list[Header], info: RequestInfo) -> Provenance:
    """What the browser says about where a request came from."""
    return Provenance(find_header(headers, b"origin"), find_header(headers, b"sec-fetch-site"), info.own_origins)


def own_origins(info: RequestInfo, target: Target) -> tuple[str, str]:
    """The origins that mean the plugin itself when it redirects with a whole address."""
    host, port = target.address
    return info.client.origin, f"http://{host}:{port}"


def target_bytes(info: RequestInfo, query: bytes) -> bytes:
    """Path and query for the plugin: the client's own bytes behind the prefix."""
    path = info.path.raw_after(PREFIX_SEGMENTS) or b"/"
    return path + b"?" + query if query else path


async def outgoing_headers(
    state: GatewayState, scope: Scope, info: RequestInfo, target: Target, *, method: str, upgrade: bool = False
) -> tuple[list[Header], tuple[Principal, Credentials] | None]:
    """Authorise a request and write the headers that the plugin gets; also who the caller is, and by what.

    Raises:
        GatewayError: the caller is not let in.
    """
    sorted_request = sort_request(scope["headers"])
    principal = await authorise(
        target.route,
        sorted_request.credentials,
        state.authenticator,
        provenance_of(scope["headers"], info),
        method=method,
        upgrade=upgrade,
    )
    client = info.client
    forwarding = Forwarding(target.plugin.id, target.plugin.prefix, client.address, client.host, client.scheme)
    headers = [
        *sorted_request.passing,
        (b"x-request-id", info.id.encode()),
        (b"traceparent", sorted_request.traceparent or make_traceparent()),
        *forwarding.headers(),
    ]
    if principal is not None:
        headers += identity_headers(principal, state.signer.token(principal, target.plugin.id))
    return headers, caller_of(principal, sorted_request.credentials)


class HttpProxy:
    """Answers ``/api/plugins/{id}/…`` out of the plugin."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Proxy one request. Errors raise `GatewayError` as long as no answer has begun."""
        info = request_info(scope)
        plugin_id, segments = info.path.segments[2], info.path.segments[PREFIX_SEGMENTS:]
        info.plugin = plugin_id if plugin_id in self._state.snapshots.current.routes else None
        method: str = scope["method"]
        enabled, compat = self._state.settings.enable_plugins, info.compat
        table = self._state.snapshots.current
        try:
            target = find_target(table, plugin_id, segments, method, enabled=enabled, compat=compat)
        except (PluginAsleepError, PluginHeldError) as later:
            if isinstance(later, PluginAsleepError):
                await self._state.waker.wake_for(scope, info, later, method=method)
            turn = self._state.held.turn(plugin_id, segments, method, enabled=enabled, compat=compat)
            async with turn as target:
                await self._pass_on(target, scope, receive, send)
        else:
            await self._pass_on(target, scope, receive, send)

    async def _pass_on(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        info, method = request_info(scope), scope["method"]
        info.route = target.route.template
        headers, caller = await self.admit(scope, info, target, method)
        info.user = caller[0].subject if caller is not None else None
        body = RequestBody.of(scope["headers"], target.route.max_body)
        head = request_head(method, target_bytes(info, scope["query_string"]), headers + body.framing)
        exchange = _Exchange(self._state, target, caller, scope, receive=receive, send=send)
        self._state.compat_ports.check(info.compat_port, target.plugin.id)
        self._state.streams.add(exchange)
        try:
            await self._run(exchange, head, body)
        finally:
            self._state.streams.discard(exchange)

    async def admit(
        self, scope: Scope, info: RequestInfo, target: Target, method: str
    ) -> tuple[list[Header], tuple[Principal, Credentials] | None]:
        """Let a request in and write the headers that the plugin gets; also the caller, as `outgoing_headers`."""
        return await outgoing_headers(self._state, scope, info, target, method=method)

    async def _run(self, exchange: "_Exchange", head: bytes, body: RequestBody) -> None:
        gate = self._state.gates.of(exchange.plugin_id)
        if body.expected:
            await gate.uploads.enter()
            exchange.uploads = gate.uploads
        try:
            await gate.enter()
            started = time.monotonic()
            exchange.gate = gate
            try:
                await exchange.run(head, body, gate)
            finally:
                exchange.info.upstream_seconds = time.monotonic() - started
                exchange.leave_gate()
        finally:
            exchange.body_done()


@asynccontextmanager
async def _beside(work: Coroutine[object, object, None], name: str) -> AsyncIterator[None]:
    """Run `work` beside the block and end it with the block."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Exchange(OpenStream):
    """One request on its way to a plugin and its answer on the way back."""

    def __init__(
        self,
        state: GatewayState,
        target: Target,
        caller: tuple[Principal, Credentials] | None,
        scope: Scope,
        *,
        receive: Receive,
        send: Send,
    ) -> None:
        super().__init__(target.plugin.id, caller, port=request_info(scope).compat_port)
        self._pool = state.upstreams
        self._compat_ports = state.compat_ports
        self._target = target
        self.info = request_info(scope)
        self._method: str = scope["method"]
        self._receive = receive
        self._send = send
        self._client: ClientConnection | None = client_connection(scope)
        self._connection: Connection | None = None
        self._started = False
        self._failure: GatewayError | None = None
        self._body_sent = False
        self.uploads: Line | None = None
        self.gate: Gate | None = None

    async def run(self, head: bytes, body: RequestBody, gate: Gate) -> None:
        """Send the request and pass the answer on.

        Raises:
            GatewayError: no answer has begun and none will.
        """
        try:
            await self._attempt(head, body)
        except UpstreamError as error:
            if not self._started and isinstance(error, UpstreamConnectError | UpstreamTimeout):
                gate.breaker.failed(time.monotonic())
            self._conclude(error)
        finally:
            self._failure = None  # where it was raised, its traceback refers to this exchange
            if self._started:
                gate.breaker.succeeded()

    def leave_gate(self) -> None:
        """The plugin is done with it, or waits for a slow client only."""
        if self.gate is not None:
            self.gate.leave()
            self.gate = None

    def body_done(self) -> None:
        """The request's body takes no place any more."""
        if self.uploads is not None:
            self.uploads.leave()
            self.uploads = None

    def end(self, reason: str) -> None:
        """End it from outside: the caller may go on no longer, or an event stream's plugin is disabled."""
        if self.lasting:
            if self._connection is not None:
                self._connection.abort(StreamEndedError(reason))
            return
        self._failure = UnauthenticatedError(reason)
        if self._connection is not None:
            self._connection.abort(_RevokedError(reason))
        if self._started and self._client is not None:
            self._client.abort()  # it may be waiting for the client, not for the plugin

    def _conclude(self, error: UpstreamError) -> None:
        if self._failure is not None and not self._started:
            raise self._failure
        if isinstance(error, ExchangeAbortedError):
            self.info.outcome = "client-gone"
            return
        self.info.outcome = str(error)
        if self._started:
            # An answer has begun and cannot be taken back: the client must see that it is not whole.
            if self._client is not None:
                self._client.abort()
                return
            raise error
        if isinstance(error, UpstreamTimeout):
            raise UpstreamTimeoutError(str(error)) from error
        raise UpstreamFailedError(str(error)) from error

    async def _attempt(self, head: bytes, body: RequestBody) -> None:
        repeatable = self._method in REPEATABLE and not body.expected
        pool = self._pool
        for last in (False, True):
            connection = await pool.acquire(self._target.address, fresh=last, repeatable=repeatable)
            remove = self._client.on_gone(connection.abort) if self._client is not None else None
            self._connection = connection
            try:
                if self._failure is not None:
                    raise self._failure  # ended while the connection was made
                reader = AnswerReader(connection, head_request=self._method == "HEAD")
                await self._exchange(reader, head, body)
            except UpstreamClosedError:
                stale = connection.exchanges > 1 and not connection.received
                if last or not stale or not repeatable:
                    raise
            else:
                return
            finally:
                self._connection = None
                if remove is not None:
                    remove()
                pool.release(connection)

    async def _exchange(self, reader: AnswerReader, head: bytes, body: RequestBody) -> None:
        connection = reader.connection
        connection.write(head)
        if not body.expected:
            connection.allow(self._target.route.response_timeout)
            await self._answer(reader)
            return
        async with _beside(self._pump(reader, body), f"request body {self.info.id}"):
            await self._answer(reader)
        if not self._body_sent:
            connection.abort()  # the answer came early: what is left of the body would follow on this connection

    async def _pump(self, reader: AnswerReader, body: RequestBody) -> None:
        """Pass the client's body on. What goes wrong is left in `_failure` and ends the exchange."""
        connection = reader.connection
        idle = self._target.route.idle_timeout
        sent = 0
        more = True
        try:
            while more:
                try:
                    async with asyncio.timeout(idle or BODY_IDLE_SECONDS):
                        message = await self._receive()
                except TimeoutError:
                    self._fail(connection, RequestTimeoutError("the rest of the body did not come"))
                    return
                if message["type"] == "http.disconnect":
                    connection.abort()
                    return
                data, more = message.get("body", b""), message.get("more_body", False)
                sent += len(data)
                self.info.received = sent
                if sent > body.limit:
                    self._fail(connection, too_large(body.limit))
                    return
                framed = body.frame(data, more=more)
                if framed:
                    connection.write(framed)
                    async with asyncio.timeout(idle):
                        await reader.drain()
        except TimeoutError:
            self._fail(connection, UpstreamTimeoutError(f"the plugin took nothing of the body for {idle:g} s"))
        except UpstreamError:
            return  # whoever reads the answer sees the same, and more of it
        else:
            self._body_sent = True
            self.body_done()
            if not connection.head_done:
                connection.allow(self._target.route.response_timeout)

    def _fail(self, connection: Connection, failure: GatewayError) -> None:
        self._failure = failure
        connection.abort()

    async def _answer(self, reader: AnswerReader) -> None:
        headers = await reader.head()
        status = reader.connection.status
        plugin = self._target.plugin
        answered = response_headers(
            headers,
            prefix=plugin.prefix,
            origins=lambda: own_origins(self.info, self._target),
            trusted=plugin.trusted,
        )
        answered.append((b"x-request-id", self.info.id.encode()))
        if status in LENGTHLESS:
            answered = [(name, value) for name, value in answered if name != b"content-length"]
        self._started = self.info.answered = True
        await self._send({"type": "http.response.start", "status": status, "headers": answered})
        if is_event_stream(headers) and self._client is not None:
            await self._event_stream(reader, self._client)
        else:
            await self._stream(reader)

    async def _stream(self, reader: AnswerReader) -> None:
        idle = self._target.route.idle_timeout
        chunk = reader.read_nowait()
        while True:
            if chunk is None:
                chunk = await reader.read(idle)
            following = reader.read_nowait()
            more = following is not None or not reader.complete
            if self._client is not None and self._client.takes_no_more:
                self.leave_gate()  # from here the client is slow, not the plugin
            if not more:
                await self._send({"type": "http.response.body", "body": chunk or b"", "more_body": False})
                return
            try:
                async with asyncio.timeout(idle):
                    await self._send({"type": "http.response.body", "body": chunk or b"", "more_body": True})
            except TimeoutError:
                raise UpstreamTimeout("the client took nothing of the answer") from None
            chunk = following

    async def _event_stream(self, reader: AnswerReader, client: ClientConnection) -> None:
        self.lasting = True
        abort = reader.connection.abort
        remove = client.on_stopping(lambda: abort(StreamEndedError("the gateway is stopping")))
        if not self._compat_ports.leads_to(self.port, self._target.plugin.id):
            self.end(UNMAPPED)  # the port was freed before the answer began
        try:
            await self._stream(reader)
        except StreamEndedError:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.lasting = False
            remove()
