"""Runtime events to whoever listens. They are hints: a listener that is too slow misses some, and nothing breaks."""

import asyncio
from collections.abc import AsyncIterator

from nimbus_registry.runtime.base import RuntimeEvent

_QUEUED = 256


class Hints:
    """Hands each event to every listener. Belongs to one event loop."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[RuntimeEvent | None]] = set()
        self._closed = False

    def send(self, event: RuntimeEvent) -> None:
        """Give an event to all listeners that have room for it."""
        for queue in self._listeners:
            if not queue.full():
                queue.put_nowait(event)

    def close(self) -> None:
        """End every listener."""
        self._closed = True
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    def listen(self) -> AsyncIterator[RuntimeEvent]:
        """Events from this call on, until `close`."""
        queue: asyncio.Queue[RuntimeEvent | None] = asyncio.Queue(_QUEUED)
        if self._closed:
            queue.put_nowait(None)
        self._listeners.add(queue)
        return self._drain(queue)

    async def _drain(self, queue: asyncio.Queue[RuntimeEvent | None]) -> AsyncIterator[RuntimeEvent]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._listeners.discard(queue)
