"""Telling how far a backup or restore is, to whoever looks: not more often than somebody could read it."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from nimbus_sdk.contracts.system_backup import BackupProgress

_OFTEN: Final = 0.5

Told = Callable[[BackupProgress], None]
"""Writes it down, synchronously."""

log = structlog.get_logger("nimbus.backups")


class Teller:
    """Counts steps and tells them. Nothing ends because it could not be told."""

    def __init__(self, tell: Told) -> None:
        self._tell = tell
        self._told_at = 0.0
        self._now = BackupProgress(step="")

    async def say(self, step: str, *, done: int = 0, total: int = 0) -> None:
        """Tell what is done now."""
        self._now = BackupProgress(step=step, done=done, total=total)
        self._told_at = time.monotonic()
        await self._write(self._now)

    async def detail(self, text: str) -> None:
        """Tell more about it, when the last time is a while ago."""
        if time.monotonic() - self._told_at >= _OFTEN:
            self._told_at = time.monotonic()
            shown = self._now.model_copy(update={"step": f"{self._now.step} ({text})"})
            await self._write(shown)

    async def _write(self, progress: BackupProgress) -> None:
        try:
            await asyncio.to_thread(self._tell, progress)
        except OSError as error:
            log.warning("how far it is could not be written down", step=progress.step, reason=str(error))
