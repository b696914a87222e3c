"""What stands in front of each plugin: how many requests at a time, and the circuit breaker. Per worker."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator

from nimbus_gateway.errors import PluginUnavailableError
from nimbus_gateway.proxy.breaker import Breaker

MAX_CONCURRENT = 512
"""Requests under way per plugin and worker."""
MAX_UPLOADS = 256
"""Of these, requests whose body still comes: slow senders cannot take all the places."""
MAX_QUEUED = 256
QUEUE_SECONDS = 2.0


class Line:
    """At most so many at a time; a few more wait in line for a short while."""

    __slots__ = ("_limit", "_queue", "_queued", "_seconds", "active", "entered")

    def __init__(self, limit: int, queued: int, seconds: float) -> None:
        self._limit = limit
        self._queued = queued
        self._seconds = seconds
        self._queue: deque[asyncio.Future[None]] = deque()
        self.active = 0
        """Those who are through."""
        self.entered = 0
        """Those who came so far."""

    def try_enter(self) -> bool:
        """Take a place when one is free and nobody waits; else leave everything as it is."""
        if self.active >= self._limit or self._queue:
            return False
        self.active += 1
        self.entered += 1
        return True

    async def enter(self) -> None:
        """Take a place; every `enter` that returns needs one `leave`.

        Raises:
            PluginUnavailableError: the line is full, or nobody left in time.
        """
        if Line.try_enter(self):
            return
        if len(self._queue) >= self._queued:
            raise self._busy()
        self.entered += 1
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave()
            elif turn in self._queue:
                self._queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def leave(self) -> None:
        """Give the place back, or on to the next in line."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.active -= 1

    @staticmethod
    def _busy() -> PluginUnavailableError:
        return PluginUnavailableError("the plugin has too many requests under way", retry_after=1)


class Gate(Line):
    """In front of one plugin.

    Attributes:
        breaker: keeps requests from a plugin that does not answer.
        owed: answers of the short way that the plugin has not begun.
        uploads: those of the requests whose body still comes; they are in this line too.
    """

    __slots__ = ("breaker", "owed", "uploads")

    def __init__(
        self,
        plugin_id: str = "",
        *,
        limit: int = MAX_CONCURRENT,
        queued: int = MAX_QUEUED,
        seconds: float = QUEUE_SECONDS,
    ) -> None:
        super().__init__(limit, queued, seconds)
        self.breaker = Breaker(plugin_id)
        self.owed = 0
        self.uploads = Line(MAX_UPLOADS, queued, seconds)

    def try_enter(self) -> bool:
        """Take a place when one is free, nobody waits and the breaker is closed; else leave everything as it is."""
        return self.breaker.closed and super().try_enter()

    async def enter(self) -> None:
        """Take a place; every `enter` that returns needs one `leave`.

        Raises:
            PluginUnavailableError: the breaker is open, the line is full, or nobody left in time.
        """
        self.breaker.admit(time.monotonic())
        await super().enter()


class PluginGates:
    """One gate per plugin, kept while the worker lives; there are as many as there were plugins."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def of(self, plugin_id: str) -> Gate:
        """The gate of a plugin that exists."""
        gate = self._gates.get(plugin_id)
        if gate is None:
            gate = self._gates[plugin_id] = Gate(plugin_id)
        return gate

    def __iter__(self) -> Iterator[tuple[str, Gate]]:
        return iter(list(self._gates.items()))
