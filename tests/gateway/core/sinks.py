"""A plugin's HTTP side for the delivery tests: a real server that answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from nimbus_sdk.contracts.snapshot import Snapshot, SnapshotPlugin, Upstream

from tests.gateway.support import Nimbus, plugin

Answer = Callable[[dict[str, Any]], Awaitable[int]]


class Sink:
    """Events that arrived, in their order; `answer` decides the status of each."""

    def __init__(self) -> None:
        self.port = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        self.answer: Answer = self._fine
        self.says = b""
        self.keeps: Literal["closed", "open", "silently closed"] = "closed"
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._arrived = asyncio.Condition()

    @staticmethod
    async def _fine(_: dict[str, Any]) -> int:
        return 204

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while True:
                await self._answer_one(reader, writer)
                if self.keeps != "open":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        event = json.loads(body)
        status = await self.answer(event)
        async with self._arrived:
            self.heads.append(head)
            self.bodies.append(body)
            self.events.append(event)
            self._arrived.notify_all()
        close = "Connection: close\r\n" if self.keeps == "closed" else ""
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(self.says)}\r\n{close}\r\n".encode())
        writer.write(self.says)
        await writer.drain()

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._open:
            writer.close()

    async def until(self, count: int, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The events, once at least so many have arrived."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.events) >= count)
        return self.events

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]


@asynccontextmanager
async def open_sink() -> AsyncIterator[Sink]:
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield sink
        finally:
            sink.hang_up()


def listener(plugin_id: str, sink: Sink, *patterns: str, **changes: Any) -> SnapshotPlugin:
    """A plugin that runs at the sink and subscribes to the patterns."""
    document = {"events": {"subscribe": list(patterns)}, **changes}
    made = plugin(plugin_id, **document)
    return made.model_copy(update={"upstream": Upstream(host="127.0.0.1", port=sink.port)})


async def serve_plugins(nimbus: Nimbus, *plugins: SnapshotPlugin) -> None:
    """Make these the plugins of the snapshot, and wait until their subscriptions are known."""
    generation = nimbus.state.snapshots.current.generation + 1
    nimbus.state.snapshots.swap(Snapshot(generation=generation, instance="test", plugins=list(plugins)))
    admin = await nimbus.admin()
    wanted = {f"plugin:{one.detail.id}" for one in plugins if one.detail.enabled}
    async with asyncio.timeout(10):
        while True:
            found = (await admin.get("/api/admin/events/subscriptions")).json()["items"]
            if wanted <= {item["subscriber"] for item in found if item["status"] != "unsubscribed"}:
                return
            await asyncio.sleep(0.01)


async def subscription(nimbus: Nimbus, name: str) -> dict[str, Any]:
    items = (await (await nimbus.admin()).get("/api/admin/events/subscriptions")).json()["items"]
    (found,) = [item for item in items if item["subscriber"] == name]
    result: dict[str, Any] = found
    return result


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until the check holds."""
    async with asyncio.timeout(seconds):
        while True:
            if await check():
                return
            await asyncio.sleep(0.02)
