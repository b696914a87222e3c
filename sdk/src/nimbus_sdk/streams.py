"""Streams of events have no end of their own; they end with the plugin, so that no restart or upgrade waits for them.

Other requests that are under way at SIGTERM may take some seconds more. Whoever listens to events connects again.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_EVENTS = b"text/event-stream"


class EventStreams:
    """An app some of whose answers are streams of events.

    Args:
        app: answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is answered by a task")

        async def noting(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start" and _is_events(message):
                self._tasks.add(task)
                if self._ended:
                    task.cancel()

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if task not in self._tasks or not self._ended or task.uncancel():
                raise
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """End all of them, and those that begin later."""
        self._ended = True
        for task in self._tasks:
            task.cancel()


def _is_events(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.lower().startswith(_EVENTS)
        for name, value in message.get("headers", ())
    )
