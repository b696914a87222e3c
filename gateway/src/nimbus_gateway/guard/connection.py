"""One client connection of the server, as the rest of the gateway uses it: written to, watched, handed over.

The base of `guard.protocol.GuardedProtocol`, which decides what is let in.
"""

import asyncio
import fcntl
import math
import socket
import sys
import termios
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from nimbus_gateway.guard.pace import AnswerPace, BodyPace
from nimbus_gateway.guard.request import CONNECTION_KEY
from nimbus_gateway.guard.sweep import sweep
from nimbus_gateway.proxy.headers import header_lines
from nimbus_gateway.proxy.inline_exchange import InlineExchange

if TYPE_CHECKING:
    from nimbus_gateway.guard.headers import Header
    from nimbus_gateway.proxy.inline import InlineProxy
    from nimbus_gateway.proxy.splice import Splice

LINGER_SECONDS = 5.0
"""How long a body that nobody wants is still taken in, so that the answer is not lost in a reset."""
COALESCED = 16 * 1024
"""A piece of a body up to this size is copied behind the head, so that both go out in one write."""

_ESTABLISHED = frozenset({1, 4, 5})
"""TCP states in which the client may still read: ESTABLISHED, FIN_WAIT1, FIN_WAIT2."""


class ConnectionProtocol(HttpToolsProtocol):
    """One client connection: what the proxy, the short way and the sweep call."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gone: list[Callable[[], None]] = []
        self._stopping: list[Callable[[], None]] = []
        self._in_body = False
        self._ended = False
        self._deaf = False
        self._deadline = math.inf
        self._body_pace = BodyPace()
        self._answer_pace = AnswerPace()
        self._written = 0
        self._last = False
        self._fd = -1
        self._running: RequestResponseCycle | None = None
        self._idle_until = math.inf
        self._inline: InlineProxy | None = None
        self._exchange: InlineExchange | None = None
        self._splice: Splice | None = None
        self._early = b""
        self.peer = ""
        self.url = b""
        self.headers = []

    # -- ClientConnection, for the proxy ----------------------------------------------------------------------

    def on_gone(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the client has gone."""
        if self.transport.is_closing():
            self.loop.call_soon(callback)
            return lambda: None
        self._gone.append(callback)
        return lambda: _discard(self._gone, callback)

    def on_stopping(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the server begins to stop, soon if it has."""
        if self._last:
            self.loop.call_soon(callback)
        self._stopping.append(callback)
        return lambda: _discard(self._stopping, callback)

    def upgrade(self, head: bytes, splice: "Splice") -> None:
        """Answer an upgrade request with `head`; from now on the connection's bytes are the splice's."""
        if self._running is not None:
            self._running.response_started = self._running.response_complete = True
        self._deadline = self._idle_until = math.inf
        self._splice = None if self.transport.is_closing() else splice
        self.write(head)
        early, self._early = self._early, b""
        if early:
            splice.client_data(early)
        self.flow.resume_reading()

    def abort(self) -> None:
        """Cut the connection without ending the answer."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.abort()

    @property
    def _unwanted(self) -> bool:
        """The answer is complete: what still comes of the body is only taken in to be polite."""
        return self.cycle is not None and self.cycle.response_complete

    # -- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note who is at the other end and which way to plugins is open."""
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else "127.0.0.1"
        gateway = self.app_state.get("gateway")
        if gateway is not None and self.server is not None and self.server[1] == gateway.settings.port:
            self._inline = gateway.inline
        sock = transport.get_extra_info("socket")
        self._fd = -1 if sock is None else sock.fileno()
        sweep(self.loop, self.server_state)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever works for this client."""
        super().connection_lost(exc)
        if self._running is not None:  # uvicorn tells the latest request only, which may be waiting behind this one
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        if self._exchange is not None:
            self._exchange.client_gone()
        if self._splice is not None:
            self._splice.client_lost()
        gone, self._gone = self._gone, []
        for callback in gone:
            callback()
        self._let_go()

    def _let_go(self) -> None:
        """Refer to no request any more.

        Each request refers to its connection; if the connection referred to it, both would wait for a full garbage
        collection, which stops every request of the worker.
        """
        self.cycle = self._running = self._exchange = self._splice = None  # type: ignore[assignment]
        self.scope = None  # type: ignore[assignment]
        self.headers = []
        self._stopping = []

    def resume_writing(self) -> None:
        """The client takes more again."""
        super().resume_writing()
        if self._exchange is not None:
            self._exchange.client_reads_on()
        if self._splice is not None:
            self._splice.client_reads_on()

    def pause_writing(self) -> None:
        """The client takes no more for now."""
        super().pause_writing()
        if self._splice is not None:
            self._splice.client_takes_no_more()

    # -- requests on their way to ASGI ------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Note which request is under way: others may be waiting behind it."""
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _make_scope(self, url: bytes, headers: "Sequence[Header]") -> None:
        """What uvicorn makes at a message's begin: here, only when the request goes on to ASGI."""
        super().on_message_begin()
        self.url = url
        self.headers += headers
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        self.scope["extensions"] = {CONNECTION_KEY: self}  # type: ignore[dict-item]

    def _be_patient(self, cycle: RequestResponseCycle | None) -> None:
        if cycle is not None and cycle.transport is self.transport:
            cycle.transport = _PatientTransport(self.transport, self._write_out, self._end)  # type: ignore[assignment]

    def _end(self) -> None:
        """Close after an answer. While a body is still coming in, a plain close would be a reset (RFC 9112, 9.6)."""
        if self._in_body and not self.transport.is_closing() and self.transport.can_write_eof():
            self._ended = True
            self._deadline = self.loop.time() + LINGER_SECONDS
            self.flow.resume_reading()
            self.transport.write_eof()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Start the next request that has come already, or wait for one.

        uvicorn makes a timer for each wait; here the sweep looks. A body that came too late to matter is not taken
        in for long.
        """
        if self._ended:
            return
        now = self.loop.time()
        if self._in_body:
            self._deadline = now + LINGER_SECONDS
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._idle_until = now + self.timeout_keep_alive

    # -- InlineClient -----------------------------------------------------------------------------------------

    def write_head(self, exchange: "InlineExchange", status: int, lines: bytes, behind: bytes) -> None:
        """Write the status line, the server's own headers and these lines, and the first bytes behind them."""
        end = b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n"
        head = (STATUS_LINE[status], _server_lines(self.server_state), lines, end)
        if len(behind) <= COALESCED:
            self.write(b"".join((*head, behind)))
        else:
            self.write(b"".join(head))
            self.write(behind)

    def write(self, data: bytes) -> None:
        """Write bytes of the answer."""
        if not self.transport.is_closing():
            self._write_out(data)

    def _write_out(self, data: bytes) -> None:
        self._written += len(data)
        self.transport.write(data)

    @property
    def takes_no_more(self) -> bool:
        """The client is slow; `InlineExchange.client_reads_on` says when it is not any more."""
        return self.flow.write_paused

    def cut(self) -> None:
        """Cut the connection, so that the answer is seen to be incomplete."""
        self._exchange = None
        self.transport.abort()

    def inline_done(self) -> None:
        """The answer is whole; the next request may come."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def take_long_way(self, exchange: "InlineExchange") -> None:
        """Nothing was answered: serve the exchange's request from the start on the long way."""
        self._exchange = None
        if self.transport.is_closing():
            return
        request = exchange.request
        latest = (self.url, self.headers, self.scope)  # of the next request, if its head has begun to come
        self._make_scope(request.target, request.headers)
        path, _, query = request.target.partition(b"?")
        self.scope["method"] = request.method.decode("ascii")
        self.scope["path"] = path.decode("ascii")
        self.scope["raw_path"] = path
        self.scope["query_string"] = query
        cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=exchange.keep_alive,
            on_response=self.on_response_complete,
        )
        self._be_patient(cycle)
        cycle.more_body = False
        cycle.message_event.set()
        if self.cycle is exchange:  # type: ignore[comparison-overlap]  # see `_send_inline`
            self.cycle = cycle
        self.url, self.headers, self.scope = latest
        self._start_asgi_task(cycle, self.app)

    # -- what the kernel knows of the client ------------------------------------------------------------------

    def _undelivered(self) -> int:
        """Bytes written that the client's system has not acknowledged: ours, and the kernel's."""
        return self.transport.get_write_buffer_size() + queued(self._fd, termios.TIOCOUTQ)

    def _left(self) -> bool:
        """Whether the client has closed: with reading paused, the event loop does not say."""
        sock = self.transport.get_extra_info("socket")
        if sock is None:
            return False
        try:
            with socket.socket(fileno=socket.dup(sock.fileno())) as twin:
                state = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        except OSError:
            return True
        return state not in _ESTABLISHED


def queued(fd: int, direction: int) -> int:
    """Bytes that the kernel holds of a socket: `TIOCOUTQ` unacknowledged, `FIONREAD` unread (tcp(7))."""
    try:
        return int.from_bytes(fcntl.ioctl(fd, direction, b"\0\0\0\0"), sys.byteorder)
    except OSError:
        return 0


def _server_lines(server_state: ServerState) -> bytes:
    """The headers that uvicorn puts into each answer, such as the date, which it makes anew each second."""
    global _known_server_lines  # noqa: PLW0603 - one server a process
    headers = server_state.default_headers
    if _known_server_lines[0] is not headers:
        _known_server_lines = headers, header_lines(headers)
    return _known_server_lines[1]


_known_server_lines: tuple[object, bytes] = (None, b"")


class _PatientTransport:
    """What an answer is written to: its `close` leaves room for the rest of the request's body."""

    def __init__(
        self, transport: asyncio.Transport, write: Callable[[bytes], None], close: Callable[[], None]
    ) -> None:
        self.write = write
        self.is_closing = transport.is_closing
        self.close = close


def _discard(callbacks: list[Callable[[], None]], callback: Callable[[], None]) -> None:
    if callback in callbacks:
        callbacks.remove(callback)
