"""Requests that come while a plugin's versions are exchanged: they wait for the new one, in a line with an end."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from nimbus_gateway.errors import PluginHeldError, PluginUnavailableError
from nimbus_gateway.proxy.admission import Target, find_target
from nimbus_gateway.snapshots import SnapshotStore

HELD_SECONDS = 45.0
"""The longest that a request waits: an upgrade that fails takes the new version's time and the old one's start."""
MOST_HELD = 1024
"""Requests that wait per plugin and worker."""
AT_ONCE = 32
"""So many of them are let go at a time: all at once would be more than a fresh plugin can take."""
TURN_SECONDS = 1.0
"""A request that lasts longer gives its turn to the next."""
RETRY_SECONDS = 5


class Held:
    """The waiting requests of one worker."""

    def __init__(self, snapshots: SnapshotStore) -> None:
        self._snapshots = snapshots
        self._waiting: Counter[str] = Counter()
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    def waiting(self, plugin_id: str) -> int:
        """How many wait for a plugin."""
        return self._waiting[plugin_id]

    @asynccontextmanager
    async def turn(
        self, plugin_id: str, segments: Sequence[str], method: str, *, enabled: bool, compat: bool = False
    ) -> AsyncIterator[Target]:
        """As `find_target`, for a request to a plugin whose versions are exchanged: it waits until its turn comes.

        Raises:
            GatewayError: as `find_target`; the line is full, or it took too long.
        """
        turns = self._turns[plugin_id]

        def find() -> Target:
            return find_target(self._snapshots.current, plugin_id, segments, method, enabled=enabled, compat=compat)

        target = await self._in_line(turns, plugin_id, find)
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                turns.release()

        timer = asyncio.get_running_loop().call_later(TURN_SECONDS, end)
        try:
            yield target
        finally:
            timer.cancel()
            end()

    async def _in_line(self, turns: asyncio.Semaphore, plugin_id: str, find: Callable[[], Target]) -> Target:
        """The target, and a turn that was taken."""
        if self._waiting[plugin_id] >= MOST_HELD:
            raise PluginUnavailableError(
                f"the plugin {plugin_id!r} is being upgraded, and too many requests wait for it",
                retry_after=RETRY_SECONDS,
            )
        self._waiting[plugin_id] += 1
        try:
            async with asyncio.timeout(HELD_SECONDS), self._snapshots.subscribe() as changes:
                while True:
                    await turns.acquire()
                    try:
                        return find()
                    except PluginHeldError:
                        turns.release()
                        await anext(changes)
                    except BaseException:
                        turns.release()
                        raise
        except TimeoutError:
            raise PluginUnavailableError(
                f"the plugin {plugin_id!r} is being upgraded, which takes longer than {HELD_SECONDS:g} s",
                retry_after=RETRY_SECONDS,
            ) from None
        finally:
            self._waiting[plugin_id] -= 1
            if not self._waiting[plugin_id]:
                del self._waiting[plugin_id]
