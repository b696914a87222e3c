"""One request and its answer on the short way: what the plugin sends is written to the client as it comes."""

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from nimbus_gateway.errors import (
    Cause,
    GatewayError,
    UnauthenticatedError,
    UpstreamFailedError,
    UpstreamTimeoutError,
    problem_parts,
)
from nimbus_gateway.proxy.connection import Connection
from nimbus_gateway.proxy.failures import ExchangeAbortedError, UpstreamClosedError, UpstreamError, UpstreamTimeout
from nimbus_gateway.proxy.headers import LENGTHLESS, header_lines, is_event_stream, response_headers
from nimbus_gateway.proxy.inline_request import Caller, Prepared, RawRequest
from nimbus_gateway.proxy.streams import OpenStream, StreamEndedError
from nimbus_gateway.proxy.upstream import REPEATABLE

if TYPE_CHECKING:
    from nimbus_gateway.state import GatewayState


class InlineClient(Protocol):
    """The server's protocol, as an exchange uses it."""

    peer: str
    scheme: str

    def write_head(self, exchange: "InlineExchange", status: int, lines: bytes, behind: bytes) -> None:
        """Write the status line, the server's own headers and these lines, and the first bytes behind them."""
        ...

    def write(self, data: bytes) -> None:
        """Write bytes of the answer."""
        ...

    @property
    def takes_no_more(self) -> bool:
        """The client is slow; `InlineExchange.client_reads_on` says when it is not any more."""
        ...

    def cut(self) -> None:
        """Cut the connection, so that the answer is seen to be incomplete."""
        ...

    def inline_done(self) -> None:
        """The answer is whole; the next request may come."""
        ...

    def take_long_way(self, exchange: "InlineExchange") -> None:
        """Nothing was answered: serve the exchange's request from the start on the long way."""
        ...


class _NoEvent:
    """uvicorn wakes a request's application by an event; here nobody waits."""

    def set(self) -> None:
        """Nothing to do."""


_NO_EVENT = _NoEvent()


class InlineExchange(OpenStream):
    """One exchange, an `AnswerSink` of the connection to the plugin.

    It stands where uvicorn keeps a request's cycle, so that uvicorn's pipelining and shutdown see it: the attributes
    without a leading underscore that nothing here reads are uvicorn's.
    """

    _failure: GatewayError | None = None
    _framed = False
    _in_gate = True
    _owed = False
    _started = False
    _status = 0
    _sent = 0
    body = b""
    disconnected = False
    message_event = _NO_EVENT
    more_body = False
    response_complete = False

    def __init__(
        self,
        state: "GatewayState",
        client: InlineClient,
        prepared: Prepared,
        caller: Caller | None,
        *,
        connection: Connection,
        request_id: bytes,
    ) -> None:
        self._state = state
        self._client = client
        self._prepared = prepared
        self._chosen = chosen = prepared.chosen
        self._connection = connection
        self._request_id = request_id
        self.plugin_id = chosen.target.plugin.id
        self.caller = caller
        self.lasting = False
        self.port = None
        self.keep_alive = prepared.request.keep_alive
        self._started_at = time.monotonic()

    @property
    def request(self) -> RawRequest:
        """For starting anew on the long way."""
        return self._prepared.request

    def start(self, head: bytes) -> None:
        """Send the request.

        Raises:
            UpstreamError: the connection was lost unnoticed; nothing was sent.
        """
        connection = self._connection
        connection.begin(self, head_request=self._chosen.method == "HEAD")
        connection.write(head)
        connection.allow(self._chosen.target.route.response_timeout)
        self._state.streams.add(self)
        self._owed = True
        gate = self._chosen.gate
        gate.owed += 1
        self._state.loop_pace.sent(gate.owed)

    # -- AnswerSink -------------------------------------------------------------------------------------------

    def arrived(self, chunks: list[bytes]) -> None:
        """Pass it on."""
        connection = self._connection
        client = self._client
        complete = connection.complete
        if not self._started:
            self._begin_answer(chunks.pop(0) if chunks else b"")
        for chunk in chunks:
            self._sent += len(chunk)
            if self._framed:
                client.write(b"%x\r\n" % len(chunk))
                client.write(chunk)
                client.write(b"\r\n")
            else:
                client.write(chunk)
        if complete:
            if self._framed:
                client.write(b"0\r\n\r\n")
            self._finish()
        elif client.takes_no_more:
            self._leave_gate()  # from here the client is slow, not the plugin
            connection.allow(None)  # whether the client is too slow is the guard's to say
            connection.pause_reading()
        else:
            connection.allow(self._chosen.target.route.idle_timeout)

    def _begin_answer(self, first: bytes) -> None:
        connection = self._connection
        status = connection.status
        if connection.unsized and self._chosen.method != "HEAD":
            self._framed = True
        if not connection.complete:
            self.lasting = is_event_stream(connection.headers)
            if self.lasting and self._state.stopping.is_set():
                asyncio.get_running_loop().call_soon(self.server_stopping)
        self._sent = len(first)
        if self._framed and first:
            first = b"%x\r\n%b\r\n" % (len(first), first)
        self._started = True
        self._not_owed()
        self._status = status
        lines = b"%bx-request-id: %b\r\n" % (self._answer_lines(), self._request_id)
        self._client.write_head(self, status, lines, first)

    def _answer_lines(self) -> bytes:
        """The plugin's headers as the client gets them; worked out once for each head that repeats itself."""
        connection = self._connection
        known, end, plugin = connection.known, self._prepared.end, self._chosen.target.plugin
        if known is not None and (told := known.told) is not None and told[0] is end and told[1] is plugin:
            return told[2]
        headers = response_headers(
            connection.headers, prefix=plugin.prefix, origins=self._own_origins, trusted=plugin.trusted
        )
        if connection.status in LENGTHLESS:
            headers = [header for header in headers if header[0] != b"content-length"]
        elif self._framed:
            headers.append((b"transfer-encoding", b"chunked"))
        lines = header_lines(headers)
        if known is not None:
            known.told = end, plugin, lines
        return lines

    def failed(self, error: UpstreamError) -> None:
        """End the answer as honestly as it can be ended."""
        if self._failure is not None and not self._started:
            self._refuse(self._failure)
        elif isinstance(error, StreamEndedError) and self._started:
            if self._framed:
                self._client.write(b"0\r\n\r\n")
                self._finish()
            else:
                self._abandon("ended", cut=True)
        elif isinstance(error, ExchangeAbortedError):
            self._abandon("client-gone", cut=False)
        elif self._started:
            # An answer has begun and cannot be taken back: the client must see that it is not whole.
            self._abandon(str(error), cut=True)
        elif self._stale(error):
            self._give_back()
            self._client.take_long_way(self)
        else:
            timeout = isinstance(error, UpstreamTimeout)
            if timeout:
                self._chosen.gate.breaker.failed(time.monotonic())
            self._refuse((UpstreamTimeoutError if timeout else UpstreamFailedError)(str(error)), outcome=str(error))

    def writable(self) -> None:
        """Nothing waits to be written: there is no body."""

    # -- called by the server's protocol ----------------------------------------------------------------------

    def client_reads_on(self) -> None:
        """The client takes more again."""
        if not self._started:
            return  # it was slow to take the answer before
        self._connection.allow(self._chosen.target.route.idle_timeout)
        self._connection.resume_reading()

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""
        self._connection.abort()

    def server_stopping(self) -> None:
        """Streams that last end; the rest is finished."""
        if self.lasting and not self.response_complete:
            self._connection.abort(StreamEndedError("the gateway is stopping"))

    # -- OpenStream -------------------------------------------------------------------------------------------

    def end(self, reason: str) -> None:
        """End it from outside: the caller may go on no longer, or an event stream's plugin is disabled."""
        if self.lasting:
            self._connection.abort(StreamEndedError(reason))
        else:
            self._failure = UnauthenticatedError(reason)
            self._connection.abort(UpstreamError(reason))

    # -- ends -------------------------------------------------------------------------------------------------

    def _stale(self, error: UpstreamError) -> bool:
        """The plugin had closed the kept connection before the request reached it."""
        unread = self._connection.exchanges > 1 and not self._connection.received
        return isinstance(error, UpstreamClosedError) and unread and self._chosen.method in REPEATABLE

    def _give_back(self) -> None:
        self._state.streams.discard(self)
        self._state.upstreams.release(self._connection)
        self._leave_gate()
        self._not_owed()

    def _not_owed(self) -> None:
        if self._owed:
            self._owed = False
            gate = self._chosen.gate
            self._state.loop_pace.answered(gate.owed)
            gate.owed -= 1

    def _leave_gate(self) -> None:
        if self._in_gate:
            self._in_gate = False
            self._chosen.gate.leave()

    def _finish(self) -> None:
        """The answer is whole."""
        self._give_back()
        self._chosen.gate.breaker.succeeded()
        self._record("plugin")
        self.response_complete = True
        self._client.inline_done()

    def _refuse(self, error: GatewayError, outcome: str | None = None) -> None:
        """Answer with an error of the gateway's own."""
        self._give_back()
        status, headers, body = problem_parts(error, self._request_id.decode())
        headers.append((b"x-request-id", self._request_id))
        self._status, self._sent = status, len(body)
        self._client.write_head(self, status, header_lines(headers), b"" if self._chosen.method == "HEAD" else body)
        self._record(error.cause, outcome)
        self.response_complete = True
        self._client.inline_done()

    def _abandon(self, outcome: str, *, cut: bool) -> None:
        """Give it up in the middle."""
        self._give_back()
        self._record("plugin" if self._started else "client", outcome)
        self.response_complete = True
        if cut:
            self._client.cut()

    def _record(self, cause: Cause, outcome: str | None = None) -> None:
        chosen = self._chosen
        seconds = time.monotonic() - self._started_at
        chosen.tally.count(chosen.method, self._status, cause, seconds, received=0, sent=self._sent)
        log = self._state.access_log
        if log.wanted():
            log.record(
                self._prepared.logged,
                request_id=self._request_id.decode(),
                status=self._status,
                sent=self._sent,
                seconds=seconds,
                user=self.caller[0].subject if self.caller is not None else None,
                upstream_seconds=seconds,
                outcome=outcome,
            )

    def _own_origins(self) -> tuple[str, str]:
        host, port = self._chosen.target.address
        return self._prepared.end.info.origin, f"http://{host}:{port}"
