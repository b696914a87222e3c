"""The guard's part in the server: framing, header rules and time limits, before any application.

What is plainly for a plugin is handed to `proxy.inline` right here; everything else goes on to ASGI. It leans on
uvicorn's internals (the version is pinned; `tests/gateway/guard` fails loudly when they move).
"""

import asyncio
import math
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from nimbus_gateway.errors import (
    BadRequestError,
    GatewayError,
    HeadersTooLargeError,
    MethodNotAllowedError,
    problem_parts,
)
from nimbus_gateway.guard.connection import LINGER_SECONDS, ConnectionProtocol, queued
from nimbus_gateway.guard.headers import MAX_HEAD, MAX_HEADERS, check_headers, check_upgrade
from nimbus_gateway.guard.pace import CROWDED_IDLE_SECONDS
from nimbus_gateway.guard.path import MAX_TARGET, check_target
from nimbus_gateway.guard.sweep import SWEEP_SECONDS
from nimbus_gateway.proxy.inline_exchange import InlineExchange
from nimbus_gateway.proxy.inline_request import Prepared, RawRequest

if TYPE_CHECKING:
    from nimbus_gateway.proxy.inline import InlineProxy

log = structlog.get_logger(__name__)

HEAD_SECONDS = 10.0
"""From the first byte (or the connection's start) to the end of the head."""
BODY_SECONDS = 30.0
"""Silence in the middle of a body."""
LAST_REQUEST_SECONDS = 1.0
"""When the server stops, how long an idle connection may still bring a request, which is its last."""

_HEAD_END = b"\r\n\r\n"
_NOT_SERVED = frozenset({b"CONNECT", b"TRACE"})


class GuardedProtocol(ConnectionProtocol):
    """One client connection. Refuses what is malformed or slow, and what is not is passed on."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._refusal: GatewayError | None = None
        self._in_head = True
        self._between = True
        self._sent: Prepared | None = None
        self._offered = False
        self._head_bytes = 0
        self._head_size = 0
        self._trailer_bytes = 0

    # -- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first head."""
        super().connection_made(transport)
        self._deadline = self.loop.time() + HEAD_SECONDS

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse what breaks a rule with a problem body and a closed connection."""
        if self._splice is not None:
            self._splice.client_data(data)
            return
        if self._deaf or self._offered:
            self._put_aside(data)
            return
        self._idle_until = math.inf
        between = self._between
        if between and self._send_again(data):
            return
        self._set_deadline(len(data))
        self._head_bytes += len(data)
        self._sent = None
        error = self._parse(data)
        if error is None and self._in_head and self._head_bytes > MAX_HEAD:
            error = HeadersTooLargeError(f"request line and headers are larger than {MAX_HEAD} bytes")
        if error is not None:
            self._refuse(error)
        elif not self._in_head:
            self._head_bytes = 0
            if between:
                self._remember(data)

    def _parse(self, data: bytes) -> GatewayError | None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if self._refusal is None:
                log.exception("a request failed unexpectedly", exc_info=error.__context__)
            return self._refusal or GatewayError()
        except httptools.HttpParserError as error:
            return BadRequestError(f"this is not valid HTTP: {error}")
        except httptools.HttpParserUpgrade as offered:
            # The request is answered as plain HTTP/1.1 and is the last, unless a plugin takes the upgrade: what
            # follows is for the new protocol, and must not be read as a request.
            self._offered = True
            self._early = data[offered.args[0] :]
            self.flow.pause_reading()
            if self.cycle is not None:
                self.cycle.keep_alive = False
        return None

    def _set_deadline(self, size: int) -> None:
        """Bytes came: of a body, or of a head that begins with them."""
        if self._in_body and not self._unwanted:
            self._body_pace.add(size)
            self._deadline = min(self.loop.time() + BODY_SECONDS, self._body_pace.deadline)
        elif self._deadline == math.inf and (self.cycle is None or self.cycle.response_complete):
            self._deadline = self.loop.time() + HEAD_SECONDS

    def _remember(self, data: bytes) -> None:
        """Recognise these bytes the next time, if they were one request of the short way and nothing else.

        The parser calls back for nothing that it skips (line ends before a request, all that follows a last one), so
        that the bytes are compared to what it read: they begin with its request line and end with their only head.
        Behind a last request the parser takes no other; a recognised one would leave it open.
        """
        sent, self._sent = self._sent, None
        if sent is None or not sent.request.keep_alive or not self._between or self._inline is None:
            return
        begins = data.startswith(b"%b %b HTTP/1.1\r\n" % (sent.request.method, sent.request.target))
        if begins and data.endswith(_HEAD_END) and data.find(_HEAD_END) == len(data) - len(_HEAD_END):
            self._inline.remember(data, sent)

    def _put_aside(self, data: bytes) -> None:
        """Bytes that are no request: dropped behind a refusal, kept behind an upgrade for whoever takes it."""
        if self._offered and not self._deaf:
            self._early += data
            if len(self._early) > MAX_HEAD:
                self.transport.abort()

    def _refuse(self, error: GatewayError) -> None:
        """Answer with an error, then take in and drop what still comes: a reset would take the answer along."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # an answer is under way on this connection: another one would be read as its part
            return
        status, headers, body = problem_parts(error)
        lines = [STATUS_LINE[status], b"connection: close\r\n"]
        lines += [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([*lines, b"\r\n", body]))
        self._deaf = True
        self._deadline = self.loop.time() + LINGER_SECONDS
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # -- httptools --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A new head starts."""
        self._between = False
        self._sent = None
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._head_bytes = 0
        self._head_size = 0
        self._trailer_bytes = 0
        if self._deadline == math.inf:
            self._deadline = self.loop.time() + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        """Collect the target, as far as it may be long."""
        super().on_url(url)
        if len(self.url) > MAX_TARGET:
            self._reject(check_target, self.url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header of the head; what comes behind a chunked body (trailers) is dropped."""
        if not self._in_head:
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > MAX_HEAD:
                self._refusal = HeadersTooLargeError("the trailers are too large")
                raise self._refusal
            return
        self.headers.append((name.lower(), value))
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD:
            self._refusal = HeadersTooLargeError(f"the headers are larger than {MAX_HEAD} bytes")
            raise self._refusal

    def on_headers_complete(self) -> None:
        """Check the whole head, then hand the request on."""
        self._reject(check_target, self.url)
        if self.parser.get_method() in _NOT_SERVED:
            self._refusal = MethodNotAllowedError("CONNECT and TRACE are not served")
            raise self._refusal
        if self._inline is not None and self._send_inline(self._inline):
            return
        self._reject(check_headers, self.headers)
        if self.parser.should_upgrade():
            self._reject(check_upgrade, self.headers)
            if self.cycle is not None and not self.cycle.response_complete:
                self._refusal = BadRequestError("an upgrade waits until the request before it is answered")
                raise self._refusal
        self._in_head = False
        self._in_body = True
        now = self.loop.time()
        self._body_pace.start(now)
        self._deadline = min(now + BODY_SECONDS, self._body_pace.deadline)
        self._make_scope(self.url, self.headers)
        super().on_headers_complete()
        if self._last:
            self.cycle.keep_alive = False
        self._be_patient(self.cycle)

    def _send_inline(self, inline: "InlineProxy") -> bool:
        """Start the request on the short way, if it is for that: nothing else is under way on this connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        parser = self.parser
        if len(self.headers) > MAX_HEADERS or parser.get_http_version() != "1.1" or parser.should_upgrade():
            return False
        request = RawRequest(parser.get_method(), self.url, self.headers, parser.should_keep_alive())
        prepared = inline.prepare(self, request)  # type: ignore[arg-type]  # see below
        if prepared is None or not self._start_inline(inline, prepared):
            return False
        self._sent = prepared
        self._in_head = False
        return True

    def _send_again(self, data: bytes) -> bool:
        """Start a request that is known by its bytes without parsing it; else leave everything as it is."""
        inline = self._inline
        if inline is None or (self.cycle is not None and not self.cycle.response_complete):
            return False
        try:
            prepared = inline.remembered(self, data)  # type: ignore[arg-type]  # see below
            if prepared is None or not self._start_inline(inline, prepared):
                return False
        except Exception:
            log.exception("a request failed unexpectedly")
            self._refuse(GatewayError())
            return True
        self._in_head = False
        self._deadline = math.inf
        return True

    def _start_inline(self, inline: "InlineProxy", prepared: Prepared) -> bool:
        exchange = inline.send(self, prepared)  # type: ignore[arg-type]  # see below
        if exchange is None:
            return False
        if self._last:
            exchange.keep_alive = False
        self.cycle = self._exchange = exchange  # type: ignore[assignment]  # a cycle as far as uvicorn looks
        return True

    def _reject(self, check: Callable[[Any], None], value: object) -> None:
        """Keep the error of a check: httptools turns it into one of its own."""
        try:
            check(value)
        except GatewayError as error:
            self._refusal = error
            raise

    def on_message_complete(self) -> None:
        """The request is whole; from here the application's own limits count."""
        self._in_body = False
        self._between = True
        self._deadline = math.inf
        if isinstance(self.cycle, InlineExchange):
            return  # it has no body, and may even be over
        if self._ended:
            self.transport.close()
            return
        super().on_message_complete()

    # -- called by the server and the sweep -------------------------------------------------------------------

    def shutdown(self) -> None:
        """The server begins to stop: event streams end, other requests are finished.

        An idle connection is not closed at once: its client may be sending a request just now, and could not know
        whether it was served. It has a moment to do so, and is told that it was the last.
        """
        gateway = self.app_state.get("gateway")
        if gateway is not None:
            gateway.stopping.set()
        if self._deaf:
            self.transport.close()
        exchange = self._exchange
        self._last = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._splice is None:
            self._idle_until = self.loop.time() + LAST_REQUEST_SECONDS
        if exchange is not None:
            exchange.keep_alive = False
            exchange.server_stopping()
        stopping, self._stopping = self._stopping, []
        for callback in stopping:
            callback()

    def check(self, now: float, *, crowded: bool) -> None:
        """Close the connection when it is too slow, or when its client left unseen."""
        waiting = self._undelivered()
        closing = self.transport.is_closing()
        if self._answer_pace.too_slow(now, self._written - waiting, waiting=waiting > 0, crowded=crowded or closing):
            self.transport.abort()  # one that is closing waits for what is written, too
            return
        if closing:
            return
        if self.flow.read_paused:
            if self._in_head:
                self._deadline = max(self._deadline, now + SWEEP_SECONDS)  # not listened to: not late
            if self._in_body and not self._unwanted:
                self._body_pace.rest(SWEEP_SECONDS)
                self._deadline = min(now + BODY_SECONDS, max(now + SWEEP_SECONDS, self._body_pace.deadline))
            if self._left():
                self.transport.abort()
                return
        if now > self._deadline:
            self.transport.abort()
            return
        until = self._idle_until - (self.timeout_keep_alive - CROWDED_IDLE_SECONDS if crowded else 0)
        # A request may have come that a busy loop has not read yet.
        if now > until and not queued(self._fd, termios.FIONREAD):
            self.transport.close()
