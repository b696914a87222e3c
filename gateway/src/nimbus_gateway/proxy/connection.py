"""One connection to a plugin: HTTP/1.1 framing of its answers, delivered to a sink as they arrive.

Past the head, a body with a Content-Length bypasses the parser and the bytes of the socket are handed on as they
are. Whoever consumes an answer (the sink) pauses the reading when it cannot keep up.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

import httptools

from nimbus_gateway.proxy.answer_head import (
    FIRST_FINAL,
    LAST_FINAL,
    MAX_HEADERS,
    NO_BODY,
    AnswerHead,
    Header,
    framing,
    read_head,
    split_head,
)
from nimbus_gateway.proxy.failures import (
    ExchangeAbortedError,
    UpstreamClosedError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)

MAX_HEAD = 64 * 1024
"""Bytes of an answer's head, and of trailers or chunk extensions in a row."""

_SWITCHING = 101
_FIRST_INTERIM = 100


class AnswerSink(Protocol):
    """Who consumes an answer. Called on the event loop; must not raise and must not block."""

    def arrived(self, chunks: list[bytes]) -> None:
        """The head, a piece of the body or the end has come: look at `head_done`, the chunks and `complete`."""
        ...

    def failed(self, error: UpstreamError) -> None:
        """There will be nothing more. Called once, and not after a complete answer has been delivered."""
        ...

    def writable(self) -> None:
        """The plugin takes more of the request again."""
        ...


class Connection(asyncio.Protocol):
    """A connection that takes one exchange after another.

    An exchange is: `begin` with a sink, `write`, the sink's calls, then the owner looks at `reusable` and calls
    `finish`. A failure of any kind makes the connection unusable.
    """

    def __init__(self, on_idle_lost: Callable[["Connection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_idle_lost = on_idle_lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._sink: AnswerSink | None = None
        self._read_paused = False
        self._deadline = math.inf
        self._allowed = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self.error: UpstreamError | None = None
        self.write_paused = False
        self.idle_since = 0.0
        self.exchanges = 0
        self._reset(head_request=False)

    def _reset(self, *, head_request: bool) -> None:
        self._head_request = head_request
        self._head_bytes = 0
        self._keep_alive = False
        self._length: int | None = None
        self._bypass = False
        self._until_close = False
        self._upgrade = False
        self._early = b""
        self._chunks: list[bytes] = []
        self.headers: list[Header] = []
        self.known: AnswerHead | None = None
        self.head_done = False
        self.complete = False
        self.status = 0
        self.received = False

    # -- used by the owner ------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it can take no exchange any more."""
        return self.error is not None or self._transport is None or self._transport.is_closing()

    @property
    def reusable(self) -> bool:
        """After an exchange: whether another one may follow."""
        return self.complete and self._keep_alive and not self.closed

    @property
    def unsized(self) -> bool:
        """The answer has a body whose length was not announced."""
        return self._length is None and not (self._head_request or self.status in NO_BODY)

    def begin(self, sink: AnswerSink, *, head_request: bool, upgrade: bool = False) -> None:
        """Start an exchange; nothing of an earlier one is left.

        Args:
            sink: consumes the answer.
            head_request: the answer has no body, whatever its head says.
            upgrade: the plugin may switch protocols; then the answer ends with its head, and `detach` follows.
        """
        self._reset(head_request=head_request)
        self._upgrade = upgrade
        self._sink = sink
        self.exchanges += 1

    def finish(self) -> None:
        """End an exchange; from now on any byte that arrives is an offence."""
        self._sink = None
        self.error = None  # whoever waited has been told; its traceback refers to this connection
        self._deadline = math.inf
        self.idle_since = self._loop.time()
        if self._bypass or self._head_request:
            self._parser = None  # it still waits for a body that it was not shown
        self.resume_reading()

    def write(self, data: bytes) -> None:
        """Queue bytes; look at `write_paused` between large ones.

        Raises:
            UpstreamError: the connection is gone.
        """
        if self.closed or self._transport is None:
            raise self.error or UpstreamClosedError("the plugin closed the connection")
        self._transport.write(data)

    def allow(self, seconds: float | None) -> None:
        """The plugin may be silent for so long from now on; None is no limit.

        One timer is moved along rather than one made for each exchange.
        """
        if seconds is None:
            self._deadline = math.inf
            return
        self._allowed = seconds
        self._deadline = self._loop.time() + seconds
        if self._deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self._deadline
            self._timer = self._loop.call_at(self._timer_at, self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, math.inf
        if self._sink is None or self._deadline == math.inf or self.closed:
            return
        if self._loop.time() < self._deadline:
            self._timer_at = self._deadline
            self._timer = self._loop.call_at(self._timer_at, self._tick)
        elif self.head_done:
            self._fail(UpstreamTimeout(f"the plugin sent nothing for {self._allowed:g} s"))
        else:
            self._fail(UpstreamTimeout(f"the plugin did not answer within {self._allowed:g} s"))

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """After a switch of protocols: the transport, paused, and what came behind the head."""
        transport = self._transport
        if transport is None:
            raise self.error or UpstreamClosedError("the plugin closed the connection")
        self._let_go()
        self._keep_alive = False
        return transport, self._early

    def pause_reading(self) -> None:
        """Take nothing more from the plugin until `resume_reading`."""
        if not self._read_paused and self._transport is not None and not self._transport.is_closing():
            self._read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._read_paused:
            self._read_paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def abort(self, error: UpstreamError | None = None) -> None:
        """Close at once; the sink gets `error`."""
        self._fail(error or ExchangeAbortedError("given up"))

    # -- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport, by how it was made

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whatever is under way and tell the pool."""
        detail = f"the plugin closed the connection: {exc}" if exc else "the plugin closed the connection"
        self._transport = None
        idle = self._sink is None
        if not self.complete or idle:
            self._fail(UpstreamClosedError(detail))
        elif self._sink is not None:
            self._sink.writable()
        self._let_go()
        if idle:
            self._on_idle_lost(self)

    def _let_go(self) -> None:
        """Refer to nothing that refers to this connection: then it is freed as soon as nobody needs it (ADR 23)."""
        self._transport = None
        self._parser = None
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    def eof_received(self) -> bool:
        """End of a body that lasts until close; anything else is cut off by `connection_lost`."""
        if self._sink is not None and self.head_done and self._until_close and not self.complete:
            self.complete = True
            self._deliver()
        return False

    def pause_writing(self) -> None:
        """The plugin takes no more for now."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The plugin takes more again."""
        self.write_paused = False
        if self._sink is not None:
            self._sink.writable()

    def data_received(self, data: bytes) -> None:
        """Parse, or pass body bytes on as they are."""
        if self._sink is None or self.complete:
            self._keep_alive = False
            if self._sink is None:
                self._fail(UpstreamProtocolError("the plugin sent bytes that nobody asked for"))
            return
        first = not self.received
        self.received = True
        if self._bypass:
            self._take(data)
        elif not (first and self._recognise(data)):
            error = self._parse(data)
            if error is not None:
                self._fail(error)
                return
        self._deliver()

    def _recognise(self, data: bytes) -> bool:
        """Take the head, and what is behind it, without the parser when it is a plain one; else leave everything."""
        end = split_head(data)
        known = read_head(data[:end]) if end and not self._upgrade else None
        if known is None or (self._head_request and known.length is None):
            return False
        self.known = known
        self.headers = known.headers
        self._begin_body(known.status, known.length, keep_alive=known.keep_alive)
        self._bypass = not self.complete
        if self._bypass:
            self._take(data[end:])
        elif len(data) > end:
            self._keep_alive = False
        return True

    def _parse(self, data: bytes) -> UpstreamError | None:
        self._head_bytes += len(data)
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as switched:
            if not self._upgrade or self.status != _SWITCHING:
                return UpstreamProtocolError("the plugin switched protocols unasked")
            self._early = data[switched.args[0] :]
            if self._transport is not None:
                self._transport.pause_reading()
        except httptools.HttpParserError as error:
            if not self.complete:
                return UpstreamProtocolError(f"the plugin's answer is not valid HTTP: {error}")
            self._keep_alive = False
        if self.head_done and (self._length is not None or self._until_close):
            self._bypass = not self.complete
        elif self._head_bytes > MAX_HEAD and not self.complete:
            return UpstreamProtocolError(f"the plugin's headers are larger than {MAX_HEAD} bytes")
        return None

    def _deliver(self) -> None:
        chunks = self._chunks
        if chunks:
            self._chunks = []
        if self._sink is not None and (self.head_done or self.complete):
            self._sink.arrived(chunks)

    def _take(self, data: bytes) -> None:
        """Body bytes; what goes beyond the announced length makes the connection unusable."""
        if self._length is not None:
            if len(data) > self._length:
                self._keep_alive = False
                data = data[: self._length]
            self._length -= len(data)
            self.complete = self._length == 0
        if data:
            self._chunks.append(data)

    def _fail(self, error: UpstreamError) -> None:
        first = self.error is None
        self.error = self.error or error
        self._keep_alive = False
        self._deadline = math.inf
        if self._transport is not None:
            self._transport.abort()
        if first and self._sink is not None:
            self._sink.failed(error)

    # -- httptools --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Bytes behind a whole answer are an offence."""
        if self.complete:
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect headers of the head; trailers are dropped."""
        if not self.head_done:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide how the body is framed (RFC 9112, 6.3)."""
        parser = self._parser
        assert parser is not None  # noqa: S101 - it is the one that calls
        if self.head_done:
            raise UpstreamProtocolError("a second answer")
        status = parser.get_status_code()
        if not _FIRST_INTERIM <= status <= LAST_FINAL:
            raise UpstreamProtocolError(f"{status} is no status code")
        if status < FIRST_FINAL:
            if status == _SWITCHING and self._upgrade:
                self.status = status
                self.head_done = self.complete = True
            elif status == _SWITCHING:
                raise UpstreamProtocolError("the plugin switched protocols unasked")
            else:
                self.headers = []
            return
        if len(self.headers) > MAX_HEADERS:
            raise UpstreamProtocolError(f"more than {MAX_HEADERS} headers")
        length, chunked = framing(self.headers)
        self._begin_body(status, length, keep_alive=parser.should_keep_alive())
        if not (self.complete or chunked or length is not None):
            self._until_close = True
            self._keep_alive = False

    def _begin_body(self, status: int, length: int | None, *, keep_alive: bool) -> None:
        self.status = status
        self.head_done = True
        self._keep_alive = keep_alive
        if self._head_request or status in NO_BODY:
            self.complete = True
        elif length is not None:
            self._length = length
            self.complete = length == 0

    def on_body(self, body: bytes) -> None:
        """Body bytes that the parser found behind the head or inside a chunk."""
        if self.complete:
            # An answer to HEAD, or 204 or 304, with a body: the next answer could not be told from it.
            self._keep_alive = False
            return
        self._head_bytes = 0
        self._take(body)

    def on_chunk_header(self) -> None:
        """A chunk begins: what is counted against the head's limit starts anew."""
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        """The parser saw the proper end."""
        if self.head_done and not self._until_close:
            self.complete = True
