"""Staying awake between the steps of a quick exchange: the event loop polls for a moment before it sleeps.

A process that sleeps in the kernel is woken by an interrupt of another core, and a core that has nothing else to do
has halted by then; on a virtual machine that takes longer than everything that the gateway does for a request. While
a client and a plugin answer one another quickly, the loop therefore asks the kernel again and again instead, for a
bounded time, as the kernel itself does for network devices (`SO_BUSY_POLL`, socket(7)).
"""

import asyncio
import math
import time
from collections.abc import Callable

MOST_OWED = 2
"""With more answers outstanding, the loop sleeps: what comes meanwhile is then handled at one go, and the plugins
have work for the cores."""


def is_worth_it(gap: float, window: float, owed: int) -> bool:
    """Whether to stay awake for what comes next.

    Args:
        gap: seconds between the last two steps: what has just been quick will likely be so again.
        window: the longest time to stay awake, in seconds; zero is never.
        owed: answers that plugins have not begun.
    """
    return gap < window and owed <= MOST_OWED


class BusyPoll:
    """Keeps one worker's event loop awake. Each step of an exchange on the short way is told to it.

    Args:
        window: the longest time from the last step on that the loop stays awake, in seconds; zero turns it off.
        stopping: set when the worker begins to stop.
        clock: monotonic seconds.
    """

    def __init__(
        self, window: float, stopping: asyncio.Event, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._window = window
        self._stopping = stopping
        self._clock = clock
        self._owed = 0
        self._last = -math.inf
        self._awake = False

    @property
    def owed(self) -> int:
        """Answers that plugins have not begun."""
        return self._owed

    @property
    def awake(self) -> bool:
        """Whether the loop is kept awake just now."""
        return self._awake

    def sent(self) -> None:
        """A request went to a plugin."""
        self._owed += 1
        self._step()

    def answered(self) -> None:
        """Its answer has begun, or will not come."""
        self._owed -= 1
        self._step()

    def _step(self) -> None:
        if not self._window or self._owed > MOST_OWED:
            return
        now = self._clock()
        gap, self._last = now - self._last, now
        if not self._awake and is_worth_it(gap, self._window, self._owed):
            self._awake = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Once each turn of the loop: as long as a callback is due, the loop looks for events without waiting."""
        rest = self._clock() - self._last
        self._awake = is_worth_it(rest, self._window, self._owed) and not self._stopping.is_set()
        if self._awake:
            asyncio.get_running_loop().call_soon(self._turn)
