"""A server of raw bytes in a test's event loop that leaves no connection open behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_TURNS = 3
"""Of the loop, from an accepted socket to its handler."""


@asynccontextmanager
async def tcp_server(handler: Handler, *, backlog: int = 100) -> AsyncIterator[tuple[str, int]]:
    """Serve on an ephemeral port, which is handed over. At the end every connection is cut off.

    A loop that ends with connections open leaks their sockets, and the collector tells of them in a later test.
    """
    open_now: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now[asyncio.current_task()] = writer
        try:
            # Cancelled is what the end of the server makes it; asyncio would log that as an error.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
        except RuntimeError:  # what uvloop says to a write after the other side has gone; asyncio drops it
            if not writer.is_closing():
                raise
        finally:
            del open_now[asyncio.current_task()]
            writer.close()

    server = await asyncio.start_server(tracked, "127.0.0.1", 0, backlog=backlog)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        tasks = [task for task in open_now if task is not None]
        for writer in list(open_now.values()):
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
