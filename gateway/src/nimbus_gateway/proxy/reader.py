"""A plugin's answer for a coroutine: awaited piece by piece, with no more than `HIGH_WATER` bytes kept."""

import asyncio
from collections import deque

from nimbus_gateway.proxy.answer_head import Header
from nimbus_gateway.proxy.connection import Connection
from nimbus_gateway.proxy.failures import ExchangeAbortedError, UpstreamError

HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024


class AnswerReader:
    """One exchange on a connection, from `begin` on: write (and `drain`), `head`, `read` until it returns None."""

    def __init__(self, connection: Connection, *, head_request: bool, upgrade: bool = False) -> None:
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self._read_waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        connection.begin(self, head_request=head_request, upgrade=upgrade)

    # -- AnswerSink -------------------------------------------------------------------------------------------

    def arrived(self, chunks: list[bytes]) -> None:
        """Keep what came."""
        self.connection.allow(None)
        self._chunks += chunks
        self._buffered += sum(map(len, chunks))
        if self._buffered > HIGH_WATER:
            self.connection.pause_reading()
        _wake(self._read_waiter)

    def failed(self, error: UpstreamError) -> None:
        """Wake whoever waits: they raise it."""
        if isinstance(error, ExchangeAbortedError):
            self._chunks.clear()
        _wake(self._read_waiter)
        _wake(self._write_waiter)

    def writable(self) -> None:
        """Wake whoever waits to write."""
        _wake(self._write_waiter)

    # -- used by the owner ------------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """The whole answer has arrived (it may not all have been read)."""
        return self.connection.complete

    async def drain(self) -> None:
        """Wait until the plugin has taken enough of what was written.

        Raises:
            UpstreamError: it will take no more, and has not answered.
        """
        connection = self.connection
        while connection.write_paused and not connection.closed:
            self._write_waiter = self._loop.create_future()
            try:
                await self._write_waiter
            finally:
                self._write_waiter = None
        if connection.error is not None and not connection.head_done:
            raise connection.error

    async def head(self) -> list[Header]:
        """Wait for the head of the final answer; the connection's `status` is set then. Names are in lower case.

        Raises:
            UpstreamError: it did not come whole.
        """
        connection = self.connection
        while not connection.head_done:
            if connection.error is not None:
                raise connection.error
            await self._wait()
        return connection.headers

    async def read(self, idle: float | None) -> bytes | None:
        """The next bytes of the body, or None at its proper end.

        Args:
            idle: seconds that the plugin may be silent; None is no limit.

        Raises:
            UpstreamError: the body is cut off.
        """
        connection = self.connection
        while not self._chunks:
            if isinstance(connection.error, ExchangeAbortedError):
                raise connection.error
            if connection.complete:
                return None
            if connection.error is not None:
                raise connection.error
            connection.allow(idle)
            await self._wait()
        return self.read_nowait()

    def read_nowait(self) -> bytes | None:
        """The next bytes of the body when they are here already."""
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._buffered <= LOW_WATER:
            self.connection.resume_reading()
        return chunk

    @property
    def all_read(self) -> bool:
        """Nothing that came is left unread."""
        return not self._chunks

    async def _wait(self) -> None:
        self._read_waiter = self._loop.create_future()
        try:
            await self._read_waiter
        finally:
            self._read_waiter = None


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
