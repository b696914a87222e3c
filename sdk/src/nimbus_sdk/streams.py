"""Streams of events have no end of their own; they end with the plugin, so that no restart or upgrade waits for them.

Other requests that are under way at SIGTERM may take some seconds more. Whoever listens to events connects again.
Each answer is looked at, since any request may be answered so; by plain functions, as coroutines would cost more.
"""

import asyncio
from collections.abc import Awaitable

from starlette.types import Message, Send

_EVENTS = b"text/event-stream"


class EventStreams:
    """The requests that are being answered by streams of events."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended = False

    def serve_here(self) -> None:
        """The running loop is the one that requests come in on; to ask for it each time costs more than all else."""
        self._loop = asyncio.get_running_loop()

    def noting(self, send: Send) -> Send:
        """`send` of the running task, which answers one request; it tells when that is a stream of events."""
        task = asyncio.current_task(self._loop) or asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is answered by a task")

        def noted(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start" and _is_events(message):
                return self._begin(task, send, message)
            return send(message)

        return noted

    async def _begin(self, task: asyncio.Task[object], send: Send, start: Message) -> None:
        await send(start)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._ended:
            task.cancel()

    def end(self) -> None:
        """End all of them, and those that begin later: their tasks are cancelled."""
        self._ended = True
        for task in self._tasks:
            task.cancel()

    async def complete(self, send: Send, cancelled: asyncio.CancelledError) -> None:
        """Complete the answer of the running task, if it was `end` and nobody else that cancelled it.

        Raises:
            CancelledError: it was somebody else.
        """
        task = asyncio.current_task()
        if not self._ended or task is None or task not in self._tasks or task.uncancel():
            raise cancelled
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_events(message: Message) -> bool:
    for name, value in message.get("headers", ()):
        if name == b"content-length":  # it has an end; of a short answer this is the first header
            return False
        if name.lower() == b"content-type":
            return bool(value[: len(_EVENTS)].lower() == _EVENTS)
    return False
