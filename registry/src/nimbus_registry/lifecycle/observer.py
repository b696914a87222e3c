"""The newest observation of every plugin, shared by all who look."""

import asyncio
import time

from nimbus_registry.runtime.base import Observation, Runtime

_DEADLINE = 30.0


class Observer:
    """Looks at the runtime; callers that ask at the same time share one look."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = asyncio.Lock()
        self._seen: dict[tuple[str, int], Observation] = {}
        self.taken_at = -1.0

    def of(self, plugin_id: str, slot: int = 0) -> Observation | None:
        """What was seen last of one plugin's run in a slot."""
        return self._seen.get((plugin_id, slot))

    def serving(self, plugin_id: str, run_id: str | None) -> Observation | None:
        """The run that is the plugin's: the one of that id, else the first that there is."""
        runs = [run for (owner, _), run in sorted(self._seen.items()) if owner == plugin_id]
        return next((run for run in runs if run.run_id == run_id), runs[0] if runs else None)

    @property
    def plugin_ids(self) -> frozenset[str]:
        """The plugins that had a run when it looked last."""
        return frozenset(plugin_id for plugin_id, _ in self._seen)

    async def look(self, since: float | None = None) -> None:
        """Have an observation that began after `since` (monotonic; now when left out).

        Raises:
            RuntimeFailure: the engine does not answer.
            TimeoutError: it did not answer within 30 seconds.
        """
        asked_at = time.monotonic() if since is None else since
        async with self._lock:
            if self.taken_at > asked_at:
                return
            began = time.monotonic()
            async with asyncio.timeout(_DEADLINE):
                observations = await self._runtime.observe()
            self._seen = {(one.plugin_id, one.slot): one for one in observations}
            self.taken_at = began
