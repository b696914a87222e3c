"""A speed limit that all downloads share."""

import asyncio
from collections.abc import Callable

BURST_SECONDS = 0.25


class Throttle:
    """A token bucket of bytes.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.rate = 0.0
        """Bytes a second; 0 is no limit."""
        self._clock = clock
        self._debt_until = clock()

    async def take(self, size: int) -> None:
        """Count bytes that came, and wait as long as they are too many."""
        if self.rate <= 0:
            return
        now = self._clock()
        self._debt_until = max(self._debt_until, now - BURST_SECONDS) + size / self.rate
        if self._debt_until > now:
            await asyncio.sleep(self._debt_until - now)
