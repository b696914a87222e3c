"""How the event loop goes on between the steps of exchanges: awake, asleep, or asleep for a moment whatever comes.

A process that sleeps in the kernel is woken by an interrupt of another core, and a core that has nothing else to do
has halted by then; on a virtual machine that takes longer than everything that the gateway does for a request. There
are two ways around it, both known from network devices:

- While a client and a plugin answer one another quickly, the loop asks the kernel again and again instead of
  sleeping, for a bounded time (busy polling, `SO_BUSY_POLL` in socket(7)).
- While a plugin has a backlog of requests, it needs no other at once, and the answer that it has just given can wait
  for the next ones: the loop lets them gather and takes them at one go (interrupt coalescing, `rx-usecs` in
  ethtool(8)). That spares the plugin's core as many interrupts and changes of process as the gateway's. As soon as
  another plugin owes an answer as well, the loop waits for nothing.

A step is a request that goes to a plugin, or an answer that begins.
"""

import asyncio
import math
import time
from collections.abc import Callable

MOST_OWED = 2
"""With more answers outstanding, the loop does not stay awake: the plugins have work for the cores."""

BACKLOG = 8
"""Answers that one plugin owes from which on it has a backlog."""
SHARE_OF_OWED = 2
"""A turn of the loop with at least this part of what is owed has gathered enough by itself."""
SHARE_OF_ANSWER = 8
"""Each rest is at most this part of the time that an answer takes now."""
_SMOOTHING = 1 / 8
_LONGEST_GAP = 0.002
"""Seconds; a longer pause between two steps says nothing about the next ones."""


def stays_awake(gap: float, window: float, owed: int) -> bool:
    """Whether to stay awake for what comes next.

    Args:
        gap: seconds between the last two steps: what has just been quick will likely be so again.
        window: the longest time to stay awake, in seconds; zero is never.
        owed: answers that plugins have not begun.
    """
    return gap < window and owed <= MOST_OWED


def rest_seconds(steps: int, owed: int, gap: float, longest: float) -> float:
    """For how many seconds to let steps gather, all of which are with the plugin that has a backlog.

    As many requests as are owed take `2 * gap` each, so that an answer takes `owed * 2 * gap` (Little's law).

    Args:
        steps: of this turn.
        owed: answers that plugins have not begun.
        gap: seconds between two steps, smoothed.
        longest: seconds; zero is no rest at all.
    """
    if gap > longest or steps * SHARE_OF_OWED > owed:
        return 0.0  # nothing would come meanwhile, or enough comes without
    return min(longest, owed * 2 * gap / SHARE_OF_ANSWER)


class LoopPace:
    """Paces one worker's event loop. Each step of an exchange on the short way is told to it.

    Args:
        window: the longest time from the last step on that the loop stays awake, in seconds; zero turns it off.
        longest_rest: the longest time for which steps may gather, in seconds; zero turns it off.
        stopping: set when the worker begins to stop.
        clock: monotonic seconds.
        sleep: stops the whole thread for some seconds.
    """

    def __init__(
        self,
        window: float,
        longest_rest: float,
        stopping: asyncio.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._window = window
        self._longest_rest = longest_rest
        self._stopping = stopping
        self._clock = clock
        self._sleep = sleep
        self._owed = 0
        self._last = -math.inf
        self._awake = False
        self._steps = 0
        self._backlogged = 0
        self._gap = _LONGEST_GAP
        self._last_turn = -math.inf

    @property
    def owed(self) -> int:
        """Answers that plugins have not begun."""
        return self._owed

    @property
    def awake(self) -> bool:
        """Whether the loop is kept awake just now."""
        return self._awake

    def sent(self, theirs: int) -> None:
        """A request went to a plugin, which owes so many answers now."""
        self._owed += 1
        self._step(backlog=theirs == self._owed >= BACKLOG)

    def answered(self, theirs: int) -> None:
        """An answer has begun, or will not come, of the so many that its plugin owed."""
        backlog = theirs == self._owed >= BACKLOG
        self._owed -= 1
        self._step(backlog=backlog)

    def _step(self, *, backlog: bool) -> None:
        """One with a plugin that has a backlog and owes all that is owed, or another."""
        self._steps += 1
        if backlog:
            self._backlogged += 1
            if self._backlogged == 1 and self._longest_rest:
                asyncio.get_running_loop().call_soon(self._coalesce)
        if not self._window or self._owed > MOST_OWED:
            return
        now = self._clock()
        gap, self._last = now - self._last, now
        if not self._awake and stays_awake(gap, self._window, self._owed):
            self._awake = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Once each turn of the loop: as long as a callback is due, the loop looks for events without waiting."""
        gap = self._clock() - self._last
        self._awake = stays_awake(gap, self._window, self._owed) and not self._stopping.is_set()
        if self._awake:
            asyncio.get_running_loop().call_soon(self._turn)

    def _coalesce(self) -> None:
        """After a turn with a step of a backlog: all that it wrote is on its way."""
        now = self._clock()
        steps, self._steps = self._steps, 0
        backlogged, self._backlogged = self._backlogged, 0
        gap = min(_LONGEST_GAP, (now - self._last_turn) / steps)
        self._gap += (gap - self._gap) * _SMOOTHING
        self._last_turn = now
        if backlogged == steps and (seconds := rest_seconds(steps, self._owed, self._gap, self._longest_rest)):
            self._sleep(seconds)
