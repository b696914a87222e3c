"""Bytes between the event loop and threads, a piece at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from nimbus_registry.runtime.settled import settled

PIECE_SECONDS = 60.0
"""So long a thread waits for the next piece of an upload."""


class Feed:
    """What arrives in the event loop, for a thread to read. Made in the event loop."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            TimeoutError: nothing came for a minute.
        """
        while not self._buffer and not self._ended:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result(PIECE_SECONDS + 5)
            if piece is None:
                self._ended = True
            else:
                self._buffer += piece
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _next(self) -> bytes | None:
        async with asyncio.timeout(PIECE_SECONDS):
            return await anext(self._pieces, None)


async def in_thread(pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Pieces that a thread makes, each when it is asked for."""
    try:
        while (piece := await settled(asyncio.to_thread(next, pieces, None))) is not None:
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            await settled(asyncio.to_thread(close))
