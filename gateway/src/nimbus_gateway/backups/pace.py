"""How slow a client may be that takes or sends a backup: it keeps one of few places, and a file on the disk."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from nimbus_gateway.errors import RequestTimeoutError

LEAST_RATE: Final = 32 * 1024
"""Bytes a second, on average."""
GRACE_SECONDS: Final = 60.0
"""Before that counts."""


class Pace:
    """A deadline that moves on with what was transferred."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bytes = 0

    def add(self, size: int) -> None:
        """So many bytes more were transferred."""
        self._bytes += size

    def step(self) -> asyncio.Timeout:
        """The time limit of the next step, for `async with`; beyond it that raises TimeoutError."""
        return asyncio.timeout(time_left(time.monotonic() - self._began, self._bytes))


async def paced(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What a client sends, as long as it is not too slow.

    Raises:
        RequestTimeoutError: hardly anything comes.
    """
    pace = Pace()
    while True:
        try:
            async with pace.step():
                piece = await anext(pieces, None)
        except TimeoutError as error:
            raise RequestTimeoutError(
                f"The backup came slower than {LEAST_RATE} bytes a second. Nothing was changed."
            ) from error
        if piece is None:
            return
        pace.add(len(piece))
        yield piece


def time_left(elapsed: float, transferred: int) -> float:
    """Seconds that a client has for what comes next, after so many seconds and bytes. Pure."""
    return max(0.0, GRACE_SECONDS + transferred / LEAST_RATE - elapsed)
