"""The snapshot that this worker serves: swapped whole, waited for, followed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from nimbus_sdk.contracts.snapshot import Snapshot

from nimbus_gateway.proxy.routes import EMPTY, CompiledSnapshot, compile_snapshot

Change = tuple[CompiledSnapshot, CompiledSnapshot]
"""The snapshot before and the one after."""


class SnapshotStore:
    """Holds the compiled snapshot of this worker. Everything runs on the event loop; nothing locks."""

    def __init__(self) -> None:
        self._current = EMPTY
        self._changed = asyncio.Event()
        self._loaded = False

    @property
    def current(self) -> CompiledSnapshot:
        """What is served right now; empty, with generation 0, before the first snapshot."""
        return self._current

    @property
    def loaded(self) -> bool:
        """Whether a snapshot has come yet, from the registry or from disk."""
        return self._loaded

    def swap(self, snapshot: Snapshot) -> None:
        """Serve a new snapshot from now on and wake everybody who waits."""
        self._current = compile_snapshot(snapshot, self._current)
        self._loaded = True
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for(self, generation: int, timeout: float) -> bool:  # noqa: ASYNC109 - a plain answer, no error
        """Wait until this worker serves `generation` or a later one; False when `timeout` seconds passed first."""
        try:
            async with asyncio.timeout(timeout):
                while self._current.generation < generation:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Change]]:
        """Follow the changes from now on. A slow follower gets several changes as one, so nothing piles up."""
        changes = self._follow(self._current)
        try:
            yield changes
        finally:
            await changes.aclose()

    async def _follow(self, seen: CompiledSnapshot) -> AsyncGenerator[Change, None]:
        while True:
            while self._current is seen:
                await self._changed.wait()
            old, seen = seen, self._current
            yield old, seen
