"""What a plugin runs beside its requests, kept running."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nimbus_sdk.contracts.plugin_api import HealthCheck
from nimbus_sdk.injection import Hook

if TYPE_CHECKING:
    from nimbus_sdk.server import PluginServer

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
STEADY_SECONDS = 60.0
"""A task that ran so long has recovered: its next failure is a first one again."""

log = logging.getLogger("nimbus_sdk")


class Background:
    """Runs the author's background tasks and starts them anew when they fail.

    They begin when Nimbus says that the plugin is enabled: before, the core need not know the plugin's token yet.
    """

    def __init__(self, server: "PluginServer", hooks: Sequence[Hook]) -> None:
        self._server = server
        self._hooks = hooks
        self._failed: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every task, once."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._keep(hook), name=f"background {hook.name}") for hook in self._hooks
            ]

    async def aclose(self) -> None:
        """Cancel every task and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def checks(self) -> list[HealthCheck]:
        """How the tasks are, for the health answer."""
        return [
            HealthCheck(
                name=hook.name,
                status="degraded" if hook.name in self._failed else "ok",
                detail=self._failed.get(hook.name),
            )
            for hook in self._hooks
        ]

    async def _keep(self, hook: Hook) -> None:
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while True:
            started = clock()
            running = asyncio.create_task(hook(self._server), name=hook.name)
            done, _ = await asyncio.wait({running}, timeout=FIRST_PAUSE)
            if not done:
                self._failed.pop(hook.name, None)  # it runs again
            try:
                await running
            except asyncio.CancelledError:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                raise
            except Exception as error:
                log.exception("background task failed", extra={"nimbus_fields": {"task": hook.name}})
                self._failed[hook.name] = f"{type(error).__name__}: {error}"
            else:
                self._failed.pop(hook.name, None)
                return
            pause = FIRST_PAUSE if clock() - started > STEADY_SECONDS else pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
