"""Connections to plugins: kept, lent and closed per address, newest first; and small calls of the platform's own."""

import asyncio
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nimbus_gateway.proxy.answer_head import Header
from nimbus_gateway.proxy.connection import Connection
from nimbus_gateway.proxy.failures import (
    UpstreamClosedError,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from nimbus_gateway.proxy.reader import AnswerReader
from nimbus_gateway.proxy.routes import Address

CONNECT_SECONDS = 3.0
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that may be sent again when a kept connection turns out to be stale, if they have no body."""
MAX_IDLE = 256
"""Idle connections kept per plugin."""
IDLE_SECONDS = 4.0
"""Below the five seconds after which common Python servers close an idle connection."""
SAFE_IDLE_SECONDS = 2.0
"""A request that must not be repeated takes only a connection used this recently."""
_SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of `UpstreamPool.fetch`."""

    status: int
    headers: list[Header]
    body: bytes


def request_head(method: str, target: bytes, headers: Sequence[Header]) -> bytes:
    """The head of an HTTP/1.1 request."""
    lines = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\n"]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


class UpstreamPool:
    """Lends connections; the last one returned is lent first, so that the others can age and go."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Address, list[Connection]] = {}
        self._lent: dict[Connection, Address] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self, address: Address, *, fresh: bool = False, repeatable: bool = True) -> Connection:
        """A connection to `address`, idle or new.

        Args:
            address: host and port.
            fresh: make a new one.
            repeatable: the caller repeats its request when the connection turns out to be stale.

        Raises:
            UpstreamConnectError: none could be made.
        """
        connection = None if fresh else self.take(address, repeatable=repeatable)
        if connection is None:
            connection = await self._connect(address)
            self._lent[connection] = address
        return connection

    def take(self, address: Address, *, repeatable: bool) -> Connection | None:
        """An idle connection to `address`, if there is one; `repeatable` as for `acquire`."""
        idle = self._idle.get(address)
        if not idle:
            return None
        oldest = self._loop.time() - (IDLE_SECONDS if repeatable else SAFE_IDLE_SECONDS)
        while idle:
            connection = idle.pop()
            if connection.idle_since >= oldest and not connection.closed:
                self._lent[connection] = address
                return connection
            connection.abort()
        return None

    async def _connect(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()
        host, port = address
        if self._closed:
            raise UpstreamConnectError("the gateway is stopping", "connect")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(lambda: Connection(self._forget), host, port)
        except TimeoutError:
            message = f"no connection to {host}:{port} within {CONNECT_SECONDS:g} s"
            raise UpstreamConnectError(message, "connect") from None
        except socket.gaierror as error:
            raise UpstreamConnectError(f"the name {host!r} does not resolve: {error.strerror}", "dns") from error
        except OSError as error:
            raise UpstreamConnectError(
                f"no connection to {host}:{port}: {error.strerror or error}", "connect"
            ) from error
        return connection

    def release(self, connection: Connection) -> None:
        """Give a connection back. It is kept when its exchange ended whole and closed at once otherwise."""
        address = self._lent.pop(connection, None)
        reusable = connection.reusable
        connection.finish()
        if address is None or not reusable or self._closed:
            connection.abort()
            return
        idle = self._idle.setdefault(address, [])
        if len(idle) >= MAX_IDLE:
            idle.pop(0).abort()
        idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._expire)

    def in_use(self) -> set[Address]:
        """Where something is under way."""
        return set(self._lent.values())

    def keep_only(self, addresses: Collection[Address]) -> None:
        """Close idle connections to anywhere else, e.g. to plugins that were stopped."""
        for address in [address for address in self._idle if address not in addresses]:
            for connection in self._idle.pop(address):
                connection.abort()

    async def close(self) -> None:
        """Close everything, lent connections too."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self.keep_only(())
        for connection in list(self._lent):
            connection.abort()
        self._lent.clear()
        await asyncio.sleep(0)

    def _forget(self, connection: Connection) -> None:
        for idle in self._idle.values():
            if connection in idle:
                idle.remove(connection)
                return

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - IDLE_SECONDS
        for address, idle in list(self._idle.items()):
            for connection in [connection for connection in idle if connection.idle_since < oldest]:
                idle.remove(connection)
                connection.abort()
            if not idle:
                del self._idle[address]
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._expire) if self._idle else None

    async def fetch(
        self,
        address: Address,
        method: str,
        target: str,
        headers: Sequence[Header] = (),
        *,
        body: bytes | None = None,
        timeout: float,  # noqa: ASYNC109 - one deadline over all steps, with the step in the error
        limit: int,
        repeatable: bool = False,
    ) -> Answer:
        """One small call with the whole answer.

        Args:
            address: host and port.
            method: in capitals.
            target: path and query, encoded.
            headers: besides Host and framing; names in lower case.
            body: sent with its Content-Length.
            timeout: seconds for everything.
            limit: bytes of the answer's body.
            repeatable: it does no harm twice, so that it may go on a kept connection, and once more on a new one when
                that turns out to be stale. Else it has a connection of its own.

        Raises:
            UpstreamConnectError: no connection.
            UpstreamTimeout: not whole in time.
            UpstreamProtocolError: not HTTP, or larger than `limit`.
            UpstreamClosedError: cut off.
        """
        deadline = self._loop.time() + timeout
        late = UpstreamTimeout(f"the plugin's answer was not whole within {timeout:g} s")
        framing = [] if body is None else [(b"content-length", str(len(body)).encode())]
        host = f"{address[0]}:{address[1]}".encode("idna" if not address[0].isascii() else "ascii")
        head = request_head(method, target.encode("ascii"), [(b"host", host), *headers, *framing])
        connection = await self.acquire(address, fresh=not repeatable)
        try:
            return await self._exchange(connection, method, head, body, deadline=deadline, late=late, limit=limit)
        except UpstreamClosedError:
            if not repeatable or connection.exchanges <= 1 or connection.received:
                raise
        connection = await self.acquire(address, fresh=True)
        return await self._exchange(connection, method, head, body, deadline=deadline, late=late, limit=limit)

    async def _exchange(
        self,
        connection: Connection,
        method: str,
        head: bytes,
        body: bytes | None,
        *,
        deadline: float,
        late: UpstreamError,
        limit: int,
    ) -> Answer:
        # Of the whole answer: a plugin that sends a byte now and then is never silent for long.
        ending = self._loop.call_at(deadline, connection.abort, late)
        try:
            reader = AnswerReader(connection, head_request=method == "HEAD")
            connection.write(head)
            if body:
                connection.write(body)
            answered = await reader.head()
            chunks: list[bytes] = []
            size = 0
            while (chunk := await reader.read(None)) is not None:
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise UpstreamProtocolError(f"the answer is larger than {limit} bytes")
            return Answer(connection.status, list(answered), b"".join(chunks))
        finally:
            ending.cancel()
            self.release(connection)
