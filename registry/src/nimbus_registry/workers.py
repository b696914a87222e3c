"""Which gateway worker serves which snapshot generation."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from nimbus_registry.pulse import Pulse

LIVE_SECONDS = 35.0
"""A worker counts as live this long after its last call began: a long-poll of 30 s and some slack."""

MAX_WORKERS = 256


GONE_SECONDS = 2.0
"""A worker whose call broke off counts as live this much longer: one that lives calls again at once."""


@dataclass(slots=True)
class Call:
    """The latest call of a worker: what it serves, and until when the worker counts as live.

    `busy` are addresses that it has requests under way with although its snapshot does not hold them any more.
    """

    serving: int | None
    live_until: float
    busy: frozenset[str] = frozenset()


class Workers:
    """The live gateway workers, as their snapshot calls tell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._workers: dict[str, Call] = {}
        self._pulse = Pulse()
        self.told_at = -math.inf
        """When a worker last told what is in use, monotonic."""

    def called(self, name: str, serving: int | None, busy: frozenset[str] = frozenset()) -> Call:
        """A worker asked for a snapshot, and by that said which generation it serves now."""
        self._forget_dead()
        if name not in self._workers and len(self._workers) >= MAX_WORKERS:
            self._workers.pop(min(self._workers, key=lambda known: self._workers[known].live_until))
        call = self._workers[name] = Call(serving, self._clock() + LIVE_SECONDS, busy)
        self._pulse.fire()
        return call

    def broke_off(self, call: Call) -> None:
        """The connection of a call was closed before its answer: the worker was killed, or calls again at once."""
        call.live_until = min(call.live_until, self._clock() + GONE_SECONDS)
        self._pulse.fire()

    def left(self, name: str) -> None:
        """A worker shut down."""
        if self._workers.pop(name, None) is not None:
            self._pulse.fire()

    def serve(self, generation: int) -> bool:
        """Whether every live worker serves this generation or a later one."""
        self._forget_dead()
        return all(worker.serving is not None and worker.serving >= generation for worker in self._workers.values())

    async def until_serving(self, generation: int, limit: float) -> bool:
        """Wait for that, at most `limit` seconds. A worker that dies meanwhile is not waited for."""
        deadline = self._clock() + limit
        while not self.serve(generation):
            if self._clock() >= deadline:
                return False
            await self._a_while(generation, deadline)
        return True

    async def until_idle(self, address: str, limit: float) -> bool:
        """Wait until no live worker has a request under way with an address that is served no more."""
        return await self._pulse.until(lambda: self._idle(address), limit)

    def _idle(self, address: str) -> bool:
        self._forget_dead()
        return all(address not in worker.busy for worker in self._workers.values())

    async def _a_while(self, generation: int, deadline: float) -> None:
        """Wait until they serve it, but not past the time at which the next of them counts as dead."""
        until = min(deadline, self._next_death())

        def news() -> bool:
            return self.serve(generation) or self._next_death() < until

        await self._pulse.until(news, max(0.01, until - self._clock()))

    def _next_death(self) -> float:
        return min((worker.live_until for worker in self._workers.values()), default=math.inf)

    def live(self) -> dict[str, int | None]:
        """Live workers and what they serve."""
        self._forget_dead()
        return {name: worker.serving for name, worker in self._workers.items()}

    def _forget_dead(self) -> None:
        now = self._clock()
        for name in [name for name, worker in self._workers.items() if worker.live_until < now]:
            del self._workers[name]
