"""Waiting for a condition that other tasks bring about."""

import asyncio
from collections.abc import Callable


class Pulse:
    """Wakes every waiter at each change; each looks for itself whether its condition holds now."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def fire(self) -> None:
        """Say that something changed."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait until the condition holds, at most `limit` seconds. Returns whether it holds."""
        deadline = asyncio.get_running_loop().time() + limit
        while not condition():
            event = self._event
            try:
                async with asyncio.timeout_at(deadline):
                    await event.wait()
            except TimeoutError:
                return condition()
        return True
