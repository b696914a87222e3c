"""Streams of events, and what becomes of them when the plugin is stopped."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nimbus_sdk.testing import PluginTestClient
from starlette.responses import StreamingResponse
from starlette.types import Message

from tests.sdk.conftest import MakePlugin


@pytest.mark.parametrize(
    ("media_type", "headers", "ends"),
    [
        ("text/event-stream", [(b"accept", b"text/event-stream")], True),
        ("text/event-stream", [(b"accept", b"*/*")], True),
        ("Text/Event-Stream; charset=utf-8", [], True),
        ("text/plain", [(b"accept", b"text/event-stream")], False),
    ],
)
def test_streams_of_events_end_at_a_stop(
    make_plugin: MakePlugin, media_type: str, headers: list[tuple[bytes, bytes]], *, ends: bool
) -> None:
    """At a stop the server ends what has no end of its own, whatever was asked for, and nothing else."""
    plugin = make_plugin()
    sent: list[Message] = []

    @plugin.get("/open", auth="none")
    async def stream() -> StreamingResponse:
        return StreamingResponse(body(), media_type=media_type)

    async def body() -> AsyncIterator[str]:
        yield "first"
        await go_on.wait()
        yield "last"

    async def receive() -> Message:
        await asyncio.Event().wait()  # nobody hangs up
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if message.get("body") == b"first":
            begun.set()

    async def stopped() -> None:
        scope = {"type": "http", "method": "GET", "path": "/open", "query_string": b"", "headers": headers}
        request = asyncio.create_task(plugin.server(scope, receive, send))
        async with asyncio.timeout(30):
            await begun.wait()
            plugin.server.streams.end()
            if not ends:
                await asyncio.sleep(0)
                go_on.set()
            await request

    begun, go_on = asyncio.Event(), asyncio.Event()
    with PluginTestClient(plugin) as client:
        client.call(stopped)
    bodies = [message["body"] for message in sent if message["type"] == "http.response.body"]
    assert bodies == ([b"first", b""] if ends else [b"first", b"last", b""])
    assert not sent[-1].get("more_body")
