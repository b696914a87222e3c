"""Server-sent events (the WHATWG HTML standard, section 9.2): framing, and an answer that ends when it should."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SEND_SECONDS = 30.0
"""A client that takes nothing for so long is gone or stuck."""

PING = b": ping\n\n"


def frame(event: str | None, data: Any = None, event_id: str | None = None) -> bytes:  # noqa: ANN401 - any JSON
    """One event. An id without event and data only moves the client's Last-Event-ID."""
    lines = []
    if event_id is not None:
        lines.append(f"id: {event_id}")
    if event is not None:
        lines += [f"event: {event}", "data: " + json.dumps(data, separators=(",", ":"), ensure_ascii=True)]
    return ("\n".join(lines) + "\n\n").encode()


class EventStream(Response):
    """Sends what a generator yields until it ends, the client leaves, or the gateway stops.

    The generator is only asked for more when the client has taken what was there: nothing piles up.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes], stopping: asyncio.Event, status_code: int = 200) -> None:
        super().__init__(status_code=status_code)
        self._chunks = chunks
        self._stopping = stopping
        del self.headers["content-length"]
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        pump = asyncio.create_task(self._pump(send), name=f"events {scope['path']}")
        gone = asyncio.create_task(_left(receive), name="wait for the client to leave")
        stop = asyncio.create_task(self._stopping.wait(), name="wait for the gateway to stop")
        tasks = (pump, gone, stop)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._chunks.aclose()
        if pump.done() and not pump.cancelled() and (error := pump.exception()) is not None:
            if isinstance(error, TimeoutError | OSError):
                return  # the client is stuck or gone
            raise error
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async for chunk in self._chunks:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
