"""Bodies through the gateway, both ways: streamed, bounded, and no faster than whoever takes them."""

import asyncio
import socket

import pytest

from tests.gateway.proxy.demo import GET, demo
from tests.support.connections import tcp_server
from tests.support.gateway import (
    Answer,
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


class TestBodies:
    async def test_uploads_are_streamed_by_length_and_in_chunks(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            body = bytes(range(256)) * 1024
            answer = await gateway.get("/api/plugins/demo/upload", method="POST", body=body)
            assert answer.status == 200
            assert echo.seen[0].body == body
            chunked = b"4\r\nabcd\r\n3;ext=1\r\nefg\r\n0\r\nX-Nimbus-Role: admin\r\n\r\n"
            raw = await gateway.raw(
                b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                b"Connection: close\r\n\r\n" + chunked
            )
            assert Answer.parse(raw).status == 200
            assert echo.seen[1].body == b"abcdefg"
            assert echo.seen[1].get("x-nimbus-role") is None

    async def test_an_upload_is_not_buffered(self, tmp_path):
        got = asyncio.Queue()

        async def handler(reader, writer):
            await read_head(reader)
            got.put_nowait(await reader.readexactly(5))
            got.put_nowait(await reader.readexactly(5))
            writer.write(respond())

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(
                b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nfirst"
            )
            assert await asyncio.wait_for(got.get(), 3) == b"first"
            writer.write(b"then.")
            assert await asyncio.wait_for(got.get(), 3) == b"then."
            assert b" 200 " in await asyncio.wait_for(reader.readline(), 3)
            writer.close()

    async def test_too_large_by_length_names_the_limit(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get("/api/plugins/demo/upload", method="POST", body=b"x" * (1024 * 1024 + 1))
            assert answer.status == 413
            assert answer.json()["limit"] == 1024 * 1024
            assert echo.seen == []

    async def test_too_large_in_chunks(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            raw = await gateway.raw(
                b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                b"Connection: close\r\n\r\n" + chunk * 17 + b"0\r\n\r\n"
            )
            assert Answer.parse(raw).status == 413
            assert echo.seen == []

    async def test_an_early_answer_arrives_and_the_connection_is_not_used_again(self, tmp_path):
        connections = 0

        async def handler(reader, writer):
            nonlocal connections
            connections += 1
            await read_head(reader)
            writer.write(respond(b"no", "403 Forbidden"))
            await writer.drain()
            await reader.read()

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            head = b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
            writer.write(head + b"some")
            assert b" 403 " in await asyncio.wait_for(reader.readline(), 3)
            writer.close()
            answer = await gateway.get("/api/plugins/demo/hello")
            assert (answer.status, connections) == (403, 2)

    async def test_a_client_that_stops_in_the_middle_of_its_body_is_told(self, tmp_path):
        async def handler(reader, writer):
            await read_head(reader)
            await reader.read()

        routes = [{"path": "/upload", "methods": ["POST"], "auth": "none", "timeout": "200ms"}]
        async with (
            tcp_server(handler) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(routes), address)) as gateway,
        ):
            head = b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(head + b"half")
            answer = Answer.parse(await asyncio.wait_for(reader.readuntil(b"}"), 5))
            assert (answer.status, answer.json()["type"]) == (408, "/problems/request-timeout")
            writer.close()

    async def test_a_client_that_waits_for_100_gets_it(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(
                b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
            )
            assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ok")
            assert Answer.parse(await asyncio.wait_for(reader.read(), 3)).json()["body"] == "ok"
            assert echo.seen[0].get("expect") is None
            writer.close()

    async def test_a_download_stalls_with_its_client(self, tmp_path):
        sent = 0

        async def handler(reader, writer):
            nonlocal sent
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
            chunk = b"x" * 100_000
            for _ in range(2000):
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=65536)
            writer.write(GET)
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
            before = -1
            while sent != before:  # until it stands still
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 40_000_000
            writer.transport.abort()

    async def test_whoever_is_slow_to_read_takes_no_place_of_the_plugin(self, tmp_path):
        """Wherever the answer waits: also with its last piece, which is another one by how much the kernel takes."""
        sizes = [number * 100_000 for number in range(1, 50)]

        async def handler(reader, writer):
            while (head := await read_head(reader)) is not None:
                size = int(await read_body(reader, head))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
                await writer.drain()

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            clients = []
            try:
                for size in sizes:
                    body = str(size).encode()
                    client = socket.socket()
                    clients.append(client)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    client.connect(("127.0.0.1", gateway.port))
                    client.sendall(
                        b"POST /api/plugins/demo/upload HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
                    )
                gate = gateway.state.gates.of("demo")
                await eventually(lambda: gate.entered == len(sizes) and gate.active == 0, 20)
            finally:
                for client in clients:
                    client.close()
