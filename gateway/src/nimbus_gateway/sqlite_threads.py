"""The threads of SQLite connections, so that closing the database can wait for every one of them.

Each connection does its work in a thread of its own. A transaction that is cancelled gives its connection up without
waiting for that thread, and a connection that is in use when the pool is disposed of stays open: either thread would
answer later, into an event loop that is closed by then.
"""

import asyncio
import time
from threading import Thread
from typing import Any
from weakref import WeakSet

import aiosqlite
import structlog

CLOSE_SECONDS = 10.0
"""How long closing waits. A statement that waits for a lock gives up after half of it (`busy_timeout`)."""

log = structlog.get_logger(__name__)


class SqliteThreads:
    """Makes an engine's connections (`connect_args["async_creator_fn"]`) and knows their threads."""

    def __init__(self) -> None:
        self._connections: WeakSet[aiosqlite.Connection] = WeakSet()
        self._threads: WeakSet[Thread] = WeakSet()

    def connect(self, path: str, **options: Any) -> aiosqlite.Connection:  # noqa: ANN401 - the driver's
        """A connection that is yet to be awaited, as `aiosqlite.connect` makes it."""
        connection = aiosqlite.connect(path, **options)
        thread = connection._thread  # noqa: SLF001 - nothing public names it; SQLAlchemy takes it the same way
        thread.daemon = True
        self._connections.add(connection)
        self._threads.add(thread)
        return connection

    async def end(self) -> None:
        """Stop what still runs and wait until it has ended; says in the log what has not after `CLOSE_SECONDS`."""
        if not any(thread.is_alive() for thread in self._threads):
            return
        for connection in list(self._connections):
            connection.stop()
        left = await asyncio.to_thread(_join, list(self._threads), time.monotonic() + CLOSE_SECONDS)
        if left:
            log.warning("connections to the SQLite database did not end in time", connections=left)


def _join(threads: list[Thread], deadline: float) -> int:
    """How many of the threads go on after the deadline."""
    for thread in threads:
        if thread.is_alive():
            thread.join(max(deadline - time.monotonic(), 0))
    return sum(thread.is_alive() for thread in threads)
