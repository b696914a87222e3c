"""How answers of plugins are framed, and what becomes of those that are broken."""

import time

import pytest

from tests.gateway.proxy.demo import GET, demo, once, run_raw
from tests.support.connections import tcp_server
from tests.support.gateway import (
    Answer,
    Echo,
    dechunk,
    read_head,
    running_gateway,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class TestFramingOfAnswers:
    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
            (
                (
                    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
                    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
                ),
                b"x",
            ),
        ],
    )
    async def test_whole_answers(self, tmp_path, answer, body):
        got = Answer.parse(await run_raw(tmp_path, once(answer), GET))
        assert (got.status, got.body) == (200, body)

    async def test_an_answer_that_lasts_until_close(self, tmp_path):
        async def handler(reader, writer):
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")

        assert Answer.parse(await run_raw(tmp_path, handler, GET)).body == b"all of it"

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    async def test_answers_without_a_body(self, tmp_path, status):
        answer = f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()
        got = Answer.parse(await run_raw(tmp_path, once(answer), GET))
        assert (got.status, got.body, got.get("etag")) == (int(status[:3]), b"", "x")

    async def test_head_keeps_its_length_and_its_connection(self, tmp_path):
        connections = 0

        async def handler(reader, writer):
            nonlocal connections
            connections += 1
            while (request := await read_head(reader)) is not None:
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if request.method == "HEAD" else b"hello")
                )

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get("/api/plugins/demo/hello", method="HEAD")
            assert (answer.status, answer.get("content-length"), answer.body) == (200, "5", b"")
            assert (await gateway.get("/api/plugins/demo/hello")).body == b"hello"
            assert connections == 1

    @pytest.mark.parametrize(
        "answer",
        [
            b"not http at all\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000,
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
            b"HTTP/1.1 799 Beyond\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 099 Below\r\nContent-Length: 0\r\n\r\n",
        ],
    )
    async def test_broken_answers_are_a_502(self, tmp_path, answer):
        got = Answer.parse(await run_raw(tmp_path, once(answer), GET))
        assert (got.status, got.json()["type"]) == (502, "/problems/upstream-failed")

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        ],
    )
    async def test_a_cut_answer_is_seen_to_be_cut(self, tmp_path, answer):
        async def handler(reader, writer):
            await read_head(reader)
            writer.write(answer)

        try:
            raw = await run_raw(tmp_path, handler, GET)
        except ConnectionResetError:
            return
        head, _, body = raw.partition(b"\r\n\r\n")
        if b"content-length: 100" in head:
            assert len(body) < 100
        elif head:
            with pytest.raises(ValueError):
                dechunk(body)

    async def test_a_plugin_that_is_not_there_is_a_502(self, tmp_path):
        async with tcp_server(Echo()) as address:
            pass
        async with running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get("/api/plugins/demo/hello")
            assert (answer.status, answer.json()["type"]) == (502, "/problems/upstream-failed")

    async def test_a_plugin_that_hangs_is_a_504_at_its_routes_time(self, tmp_path):
        async def handler(reader, writer):
            await reader.read()

        async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
            started = time.monotonic()
            answer = await gateway.get("/api/plugins/demo/slow")
            assert (answer.status, answer.json()["type"]) == (504, "/problems/upstream-timeout")
            assert time.monotonic() - started < 2
