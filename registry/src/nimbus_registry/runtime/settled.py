"""Waiting for work that must not be left half done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def settled(work: Coroutine[Any, Any, T]) -> T:
    """Run short work to its end even when the caller is cancelled; the cancellation is passed on after it.

    A thread cannot be stopped: without this, what it makes would appear after the caller has cleaned up.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait({task})
        if task.done() and not task.cancelled():
            task.exception()  # it is of no interest any more, and asyncio wants it looked at
        raise
