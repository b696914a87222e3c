"""The ends of the short way when plugin, client or gateway breaks in the middle."""

import asyncio
import contextlib
import time

import pytest

from tests.gateway.proxy.warm import read_answer_head, request, scripted, warm_gateway
from tests.support.gateway import (
    Answer,
    Echo,
    eventually,
    read_head,
    respond,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_mistake_of_our_own_is_not_the_clients(tmp_path, monkeypatch):
    async with warm_gateway(tmp_path, Echo()) as gateway:
        monkeypatch.setattr(gateway.state.inline, "prepare", None)
        answer = Answer.parse(await gateway.raw(request()))
        assert (answer.status, answer.json()["type"]) == (500, "/problems/internal")


class TestWhenThingsBreak:
    async def test_a_plugin_that_dies_in_the_middle_is_seen_to(self, tmp_path):
        async def cut(reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await writer.drain()
            writer.transport.abort()

        async with warm_gateway(tmp_path, scripted(respond(), cut)) as gateway:
            with contextlib.suppress(ConnectionError):
                raw = await gateway.raw(request())
                assert len(raw.partition(b"\r\n\r\n")[2]) < 100

    async def test_a_chunked_answer_that_is_cut_off_has_no_end(self, tmp_path):
        async def cut(reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await writer.drain()
            writer.transport.abort()

        async with warm_gateway(tmp_path, scripted(respond(), cut)) as gateway:
            with contextlib.suppress(ConnectionError):
                assert b"0\r\n\r\n" not in await gateway.raw(request())

    async def test_nonsense_is_a_502(self, tmp_path):
        async with warm_gateway(tmp_path, scripted(respond(), b"HTTP/9.9 what\r\n\r\n")) as gateway:
            answer = Answer.parse(await gateway.raw(request()))
            assert (answer.status, answer.json()["type"]) == (502, "/problems/upstream-failed")
            assert answer.json()["instance"] == answer.get("x-request-id")

    async def test_a_silent_plugin_is_a_504(self, tmp_path):
        async def silent(reader, writer):
            await reader.read()

        async with warm_gateway(tmp_path, scripted(respond(), silent)) as gateway:
            answer = Answer.parse(await gateway.raw(request("/slow")))
            assert (answer.status, answer.json()["type"]) == (504, "/problems/upstream-timeout")

    @pytest.mark.parametrize(("method", "status", "times"), [("GET", 200, 2), ("DELETE", 502, 1)])
    async def test_a_stale_connection(self, tmp_path, method, status, times):
        """The plugin closes when the request comes: repeated once if that is safe, never otherwise."""
        asked = []

        async def handler(reader, writer):
            head = await read_head(reader)
            asked.append(head.method)
            writer.write(respond())
            await writer.drain()
            if await read_head(reader) is not None:
                asked.append(method)
                writer.transport.abort()

        async with warm_gateway(tmp_path, handler) as gateway:
            asked.clear()
            assert Answer.parse(await gateway.raw(request(method=method))).status == status
            assert asked == [method] * times

    async def test_a_client_that_leaves_ends_the_plugins_work(self, tmp_path):
        gone = asyncio.Event()

        async def wait(reader, writer):
            await reader.read()
            gone.set()

        async with warm_gateway(tmp_path, scripted(respond(), wait)) as gateway:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(request())
            await eventually(lambda: gateway.state.gates.of("demo").active == 1)
            writer.close()
            await asyncio.wait_for(gone.wait(), 1)
            await eventually(lambda: gateway.state.gates.of("demo").active == 0)

    async def test_a_client_that_does_not_read_holds_the_plugin_back(self, tmp_path):
        sent = 0

        async def flood(reader, writer):
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
            for _ in range(2000):
                writer.write(b"x" * 100_000)
                await writer.drain()
                sent += 100_000

        async with warm_gateway(tmp_path, scripted(respond(), flood)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1024)
            writer.write(request(close=False))
            before = -1
            while sent != before:  # until it stands still
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 40_000_000
            head = await read_answer_head(reader)
            left = int(head["content-length"])
            while left:
                left -= len(await asyncio.wait_for(reader.read(1_000_000), 5))
            writer.close()

    async def test_a_revoked_caller_gets_no_more(self, tmp_path):
        async def trickle(reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n1")
            await reader.read()

        async with warm_gateway(tmp_path, scripted(respond(), trickle)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(request("/keyed", "X-Api-Key: nbk_good", close=False))
            await read_answer_head(reader)
            gateway.authenticator.revoke("nbk_good")
            async with asyncio.timeout(1):
                with contextlib.suppress(ConnectionError):
                    assert len(await reader.read()) < 100
            writer.close()

    async def test_an_event_stream_ends_properly_when_the_gateway_stops(self, tmp_path):
        async def events(reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"9\r\ndata: 1\n\n\r\n")
            await reader.read()

        async with warm_gateway(tmp_path, scripted(respond(), events)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(request(close=False))
            await read_answer_head(reader)
            assert await asyncio.wait_for(reader.readuntil(b"\n\n\r\n"), 2) == b"9\r\ndata: 1\n\n\r\n"
            gateway.server.should_exit = True
            assert await asyncio.wait_for(reader.read(), 3) == b"0\r\n\r\n"
            writer.close()


class TestBreaker:
    async def test_opens_after_five_timeouts_and_tries_again(self, tmp_path, monkeypatch):
        monkeypatch.setattr("nimbus_gateway.proxy.breaker.OPEN_SECONDS", 0.5)
        hangs = True

        async def handler(reader, writer):
            while (head := await read_head(reader)) is not None:
                if hangs and head.target == "/slow":
                    await reader.read()
                    return
                writer.write(respond())
                await writer.drain()

        async with warm_gateway(tmp_path, handler) as gateway:
            for _ in range(5):
                assert Answer.parse(await gateway.raw(request("/slow"))).status == 504
            refused = Answer.parse(await gateway.raw(request("/open")))
            assert (refused.status, refused.json()["type"]) == (503, "/problems/plugin-unavailable")
            assert int(refused.get("retry-after")) >= 1
            metrics = await gateway.raw(
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", port=gateway.management_port
            )
            assert b'nimbus_breaker_state{plugin="demo"} 2.0' in metrics
            hangs = False

            await eventually(lambda: gateway.state.gates.of("demo").breaker.state(time.monotonic()) == "half-open")
            assert Answer.parse(await gateway.raw(request("/slow"))).status == 200
            assert gateway.state.gates.of("demo").breaker.closed
