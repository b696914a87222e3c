"""What is left of a connection is freed when it ends, and no full collection has to look for it."""

import asyncio
import gc
from collections import Counter

import pytest
from nimbus_gateway import garbage

from tests.support.connections import tcp_server
from tests.support.gateway import eventually, manifest, read_head, respond, running_gateway, snapshot_plugin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUTES = [
    {"path": "/slow", "methods": ["GET", "POST"], "auth": "none", "timeout": "100ms"},
    {"path": "/{rest:path}", "methods": ["GET", "POST"], "auth": "none"},
]
LARGE = 4 * 1024 * 1024


async def plugin(reader, writer):
    """Answers by path."""
    while (request := await read_head(reader)) is not None:
        path = request.target.split("?")[0]
        if path == "/slow":
            await asyncio.sleep(30)
        elif path == "/broken":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return
        elif path == "/chunked":
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            )
            return
        elif path == "/ws":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            await reader.read()
            return
        elif path == "/nonsense":
            writer.write(b"nonsense\r\n\r\n")
            return
        elif path == "/large":
            writer.write(respond(b"x" * LARGE))
        else:
            writer.write(respond(b"ok"))
        await writer.drain()


def head(target, *lines, method="GET"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


CLOSE = "Connection: close"
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
CASES = {
    "nothing sent": b"",
    "half a head": head("/api/plugins/demo/open")[:-2],
    "short way, kept": head("/api/plugins/demo/open"),
    "short way, closed": head("/api/plugins/demo/open", CLOSE),
    "long way": head("/api/plugins/demo/open", CLOSE, "Content-Length: 2", method="POST") + b"{}",
    "two, one behind the other": head("/api/plugins/demo/open") + head("/api/plugins/demo/large", CLOSE),
    "half a body": head("/api/plugins/demo/open", "Content-Length: 9999", method="POST") + b"{",
    "half a body, refused": head("/api/plugins/demo/slow", "Content-Length: 9999", method="POST") + b"{",
    "not taken": head("/api/plugins/demo/large"),
    "not taken, long way": head("/api/plugins/demo/large", "Content-Length: 2", method="POST") + b"{}",
    "timed out": head("/api/plugins/demo/slow"),
    "timed out, long way": head("/api/plugins/demo/slow", "Content-Length: 2", method="POST") + b"{}",
    "cut off": head("/api/plugins/demo/broken"),
    "cut off, long way": head("/api/plugins/demo/broken", "Content-Length: 2", method="POST") + b"{}",
    "chunked, then closed": head("/api/plugins/demo/chunked"),
    "no HTTP from the plugin": head("/api/plugins/demo/nonsense", "Content-Length: 2", method="POST") + b"{}",
    "WebSocket": head("/api/plugins/demo/ws", *UPGRADE),
    "WebSocket, not taken": head("/api/plugins/demo/open", *UPGRADE),
    "refused by the guard": head("/api/plugins/demo/../open"),
    "no such plugin": head("/api/plugins/nobody/open"),
}


async def connect_and_leave(port, sent):
    """Send, see whether there is an answer, and go without reading it whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        try:
            async with asyncio.timeout(0.3):
                await reader.read(1000)
        except TimeoutError:
            pass  # nothing comes before the rest of the request: that is the case
    finally:
        writer.transport.abort()


def cycles_of_ours():
    """What only a collection finds, by type; of the gateway's own types, and exceptions with their tracebacks."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        names = Counter(f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.garbage)
        return {
            name: count
            for name, count in names.items()
            if name.startswith(("nimbus_gateway.guard", "nimbus_gateway.proxy", "nimbus_gateway.e", "uvicorn."))
        }
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("sent", CASES.values(), ids=CASES)
async def test_nothing_is_left_for_the_collector(tmp_path, sent):
    async with (
        tcp_server(plugin) as address,
        running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
    ):
        connections = gateway.server.server_state.connections
        await connect_and_leave(gateway.port, sent)  # what is made once is made now
        await eventually(lambda: not connections)
        gc.collect()
        gc.disable()
        try:
            await asyncio.gather(*(connect_and_leave(gateway.port, sent) for _ in range(5)))
            await eventually(lambda: not connections and not gateway.server.server_state.tasks)
            await asyncio.sleep(0.05)  # the last callbacks
            assert cycles_of_ours() == {}
        finally:
            gc.enable()


def test_what_is_there_at_the_start_is_left_out():
    usual = gc.get_threshold()
    try:
        garbage.pause()
        assert not gc.isenabled()
        garbage.leave_out_what_is_there()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == (*usual[:2], garbage.FULL_EVERY)
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
        gc.enable()


def test_a_process_that_was_not_paused_is_left_alone():
    """A gateway within another program, such as a test, changes nothing about that program's collector."""
    before = (gc.get_freeze_count(), gc.get_threshold())
    garbage.leave_out_what_is_there()
    assert (gc.get_freeze_count(), gc.get_threshold()) == before
