"""Checks of settings beside the requests: one at a time for each plugin, so that none keeps the others waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from nimbus_gateway.errors import RateLimitedError

P = ParamSpec("P")
T = TypeVar("T")

MOST_AT_ONCE: Final = 8
"""Checks for one plugin, with the one that is under way."""
RETRY_SECONDS: Final = 2

_threads = ThreadPoolExecutor(2, thread_name_prefix="settings")


class _Turn:
    """One plugin's."""

    def __init__(self) -> None:
        self.asked = 0
        self.lock = asyncio.Lock()


_turns: dict[str, _Turn] = {}


async def aside(plugin_id: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Check a plugin's settings in a thread, so that requests go on meanwhile; two at a time in each worker.

    Raises:
        RateLimitedError: too many wait for this plugin's.
        Exception: what `work` raises.
    """
    turn = _turns.setdefault(plugin_id, _Turn())
    if turn.asked >= MOST_AT_ONCE:
        raise RateLimitedError(
            f"Settings of the plugin {plugin_id} are being checked already; try again in a moment.",
            retry_after=RETRY_SECONDS,
        )
    turn.asked += 1
    # A thread cannot be stopped: whoever asked may go, its turn lasts until the work is done.
    task = asyncio.create_task(_at_its_turn(plugin_id, turn, lambda: work(*args, **kwargs)))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(task)


async def _at_its_turn(plugin_id: str, turn: _Turn, work: Callable[[], T]) -> T:
    try:
        async with turn.lock:
            return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        turn.asked -= 1
        if not turn.asked:
            _turns.pop(plugin_id, None)
