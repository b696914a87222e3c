"""Connections to plugins: kept, given up, and ended with the client's."""

import asyncio

import pytest

from tests.gateway.proxy.demo import GET, demo, once
from tests.support.connections import tcp_server
from tests.support.gateway import (
    Echo,
    eventually,
    manifest,
    read_body,
    read_head,
    respond,
    running_gateway,
    snapshot_plugin,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class TestConnections:
    async def test_connections_are_reused(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            for _ in range(5):
                assert (await gateway.get("/api/plugins/demo/hello")).status == 200
            assert echo.connections == 1

    async def test_bytes_behind_an_answer_are_not_taken_for_the_next_one(self, tmp_path):
        answer = respond(b"mine") + respond(b"smuggled")
        async with tcp_server(once(answer)) as address, running_gateway(tmp_path, demo(address)) as gateway:
            for _ in range(3):
                assert (await gateway.get("/api/plugins/demo/hello")).body == b"mine"

    async def test_a_stale_connection_is_repeated_once_for_get_and_never_for_post(self, tmp_path):
        requests = []

        async def handler(reader, writer):
            first = True
            while (request := await read_head(reader)) is not None:
                await read_body(reader, request)
                requests.append(request.method)
                if not first:
                    return  # closes under the second request
                first = False
                writer.write(respond())
                await writer.drain()

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            assert (await gateway.get("/api/plugins/demo/hello")).status == 200
            assert (await gateway.get("/api/plugins/demo/hello")).status == 200
            assert requests == ["GET", "GET", "GET"]
            answer = await gateway.get("/api/plugins/demo/upload", method="POST", body=b"once")
            assert answer.status == 502
            assert requests[3:] == ["POST"]

    async def test_a_client_that_leaves_ends_the_plugins_work(self, tmp_path):
        closed = asyncio.Event()
        reached = asyncio.Event()

        async def handler(reader, writer):
            await read_head(reader)
            reached.set()
            await reader.read()
            closed.set()

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(GET)
            await asyncio.wait_for(reached.wait(), 3)
            writer.close()
            await asyncio.wait_for(closed.wait(), 1)

    async def test_a_client_that_leaves_in_the_middle_of_an_upload_that_stalls(self, tmp_path):
        closed = asyncio.Event()
        go = asyncio.Event()

        async def handler(reader, writer):
            await read_head(reader)
            await go.wait()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(50_000_000)
            closed.set()

        routes = [{"path": "/upload", "methods": ["POST"], "auth": "none", "maxBody": "100m"}]
        async with (
            tcp_server(handler) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(routes), address)) as gateway,
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(
                b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n"
            )
            connections = gateway.server.server_state.connections
            while not any(connection.flow.read_paused for connection in connections):
                writer.write(b"x" * 20_000)
                await writer.drain()
                await asyncio.sleep(0)
            writer.transport.abort()
            await eventually(lambda: not connections, 3)
            go.set()
            await asyncio.wait_for(closed.wait(), 3)

    async def test_events_are_flushed_one_by_one_and_end_at_shutdown(self, tmp_path):
        go = asyncio.Queue()

        async def handler(reader, writer):
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                data = await go.get()
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                await writer.drain()

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(GET.replace(b"Connection: close\r\n", b""))
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
            for event in (b"data: 1\n\n", b"data: 2\n\n"):
                go.put_nowait(event)
                assert await asyncio.wait_for(reader.readuntil(b"\n\n\r\n"), 3) == b"9\r\n" + event + b"\r\n"
            gateway.server.should_exit = True
            assert await asyncio.wait_for(reader.read(), 3) == b"0\r\n\r\n"
            writer.close()
