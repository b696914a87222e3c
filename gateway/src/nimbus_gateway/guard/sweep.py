"""A look at every connection of a server, about twice a second, in portions so that no request waits for it."""

import asyncio
import math
from dataclasses import dataclass
from typing import Protocol, cast
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

from nimbus_gateway.guard.pace import CROWDED, STAYS_CROWDED_SECONDS

SWEEP_SECONDS = 0.5
_PORTION = 64
_MIN_PAUSE = 0.005


class Checked(Protocol):
    """A connection that is looked at."""

    def check(self, now: float, *, crowded: bool) -> None:
        """Close it when it is too slow, or its client has left."""
        ...


@dataclass(slots=True)
class _Sweeper:
    timer: asyncio.TimerHandle
    crowded_until: float = -math.inf


_sweepers: "WeakKeyDictionary[ServerState, _Sweeper]" = WeakKeyDictionary()


def sweep(loop: asyncio.AbstractEventLoop, server: ServerState) -> None:
    """Look at the server's connections from now on, for as long as there are any."""
    if server not in _sweepers:
        _sweepers[server] = _Sweeper(loop.call_later(SWEEP_SECONDS, _start, loop, server))


def _start(loop: asyncio.AbstractEventLoop, server: ServerState) -> None:
    # Every connection of our servers is one. Asking each whether it is took 30 ms with five thousand of them.
    connections = cast("list[Checked]", list(server.connections))
    if not connections:
        _sweepers.pop(server, None)
        return
    if len(connections) >= CROWDED:
        _sweepers[server].crowded_until = loop.time() + STAYS_CROWDED_SECONDS
    portions = [connections[start : start + _PORTION] for start in range(0, len(connections), _PORTION)]
    _go_on(loop, server, portions, max(SWEEP_SECONDS / len(portions), _MIN_PAUSE))


def _go_on(loop: asyncio.AbstractEventLoop, server: ServerState, portions: list[list[Checked]], pause: float) -> None:
    now = loop.time()
    sweeper = _sweepers[server]
    for connection in portions.pop():
        connection.check(now, crowded=now < sweeper.crowded_until)
    if portions:
        sweeper.timer = loop.call_later(pause, _go_on, loop, server, portions, pause)
    else:
        sweeper.timer = loop.call_later(pause, _start, loop, server)
