"""Following changes under the plugins folder, so that a new or edited manifest is seen at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from watchfiles import awatch

from nimbus_registry.catalog.discovery import MANIFEST

log = structlog.get_logger(__name__)

RESCAN_SECONDS = 30.0
"""A look without a hint: some mounts deliver no change events."""

_SETTLE_MS = 300
_MISSING_PAUSE = 5.0
_BREAK_PAUSE = 10.0


async def follow(folder: Path, changed: Callable[[], Awaitable[object]]) -> None:
    """Call `changed` after each burst of changes to a manifest or to the list of folders, until cancelled.

    Only the folder and its direct children are watched: what a plugin's own build writes below them may be
    thousands of folders and says nothing about its manifest.
    """
    while True:
        try:
            if await asyncio.to_thread(folder.is_dir):
                await _until_folders_change(folder, changed)
            else:
                await asyncio.sleep(_MISSING_PAUSE)
                if await asyncio.to_thread(folder.is_dir):
                    await changed()
        except Exception as error:  # noqa: BLE001 - the watcher has errors of its own, alone and in groups
            # Often the machine's limit of watches is used up: then a look now and then has to do.
            log.warning(
                "plugin folders cannot be watched; they are looked at every few seconds instead",
                folder=str(folder),
                error=str(error),
            )
            await _look(changed)
            await asyncio.sleep(_BREAK_PAUSE)


async def _until_folders_change(folder: Path, changed: Callable[[], Awaitable[object]]) -> None:
    children = await asyncio.to_thread(_children, folder)
    # The first turn looks in any case: something may have changed before the watch was there.
    rescan_at = 0.0
    async for changes in awatch(
        folder, *children, recursive=False, debounce=_SETTLE_MS, step=50, rust_timeout=1000, yield_on_timeout=True
    ):
        concerned = any(Path(path).name == MANIFEST for _, path in changes)
        now = await asyncio.to_thread(_children, folder)
        if concerned or now != children or time.monotonic() >= rescan_at:
            await changed()
            rescan_at = time.monotonic() + RESCAN_SECONDS
        if now != children or not await asyncio.to_thread(folder.is_dir):
            return


async def _look(changed: Callable[[], Awaitable[object]]) -> None:
    try:
        await changed()
    except Exception:
        log.exception("looking at the plugin folders failed")


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and _can_be_watched(entry.name))
    except FileNotFoundError:
        return []


def _can_be_watched(name: str) -> bool:
    """The watcher refuses names that are not UTF-8, and with them all the others."""
    return not name.startswith(".") and not any("\ud800" <= character <= "\udfff" for character in name)
