"""Raw bytes against the public port: refused by the guard, and the plugin is never reached."""

import asyncio
import inspect
import socket
import time

import pytest
import uvicorn
from nimbus_gateway.guard import pace, protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tests.support.connections import tcp_server
from tests.support.gateway import (
    Answer,
    Echo,
    eventually,
    manifest,
    read_head,
    respond,
    running_gateway,
    snapshot_plugin,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUTES = [
    {"path": "/{rest:path}", "methods": ["*"], "auth": "none"},
    {"path": "/", "methods": ["*"], "auth": "none"},
]


async def refused(tmp_path, *requests):
    """The answers to raw requests; asserts that the plugin saw none of them, with the short way to it open."""
    echo = Echo()
    async with (
        tcp_server(echo) as address,
        running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
    ):
        assert (await gateway.get("/api/plugins/demo/before")).status == 200
        echo.seen.clear()
        answers = [Answer.parse(await gateway.raw(request)) for request in requests]
    assert echo.seen == []
    return answers


def get(target, *headers, host="Host: localhost"):
    lines = [f"GET {target} HTTP/1.1", *([host] if host else []), "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


class TestPaths:
    @pytest.mark.parametrize(
        "target",
        [
            "/api/plugins/demo/../b",
            "/api/plugins/demo/..",
            "/api/plugins/demo/%2e%2e/b",
            "/api/plugins/demo/%252e%252e/b",
            "/api/plugins/demo/a%2fb",
            "/api/plugins/demo/a%5cb",
            "/api/plugins/demo/a\\b",
            "/api/plugins/demo/a%00",
            "/api/plugins/demo/a;b",
            "/api/plugins/demo/..;/b",
            "/api/plugins/demo//b",
            "//api/plugins/demo/b",
            "http://localhost/api/plugins/demo/b",
            "/api/plugins/demo/b#c",
            "/api/plugins/demo/\xe9",
            "/api/plugins/demo/_nimbus/health",
            "/api/plugins/demo/_NIMBUS/health",
            "/plugin-assets/../api/plugins/demo/b",
            "/plugin-assets/demo/%2e%2e/%2e%2e/etc/passwd",
        ],
    )
    async def test_each_encoding_is_refused(self, tmp_path, target):
        (answer,) = await refused(tmp_path, get(target))
        assert answer.status in {400, 404}
        assert answer.get("content-type") == "application/problem+json"


class TestFraming:
    @pytest.mark.parametrize(
        ("request_bytes", "status"),
        [
            (get("/api/plugins/demo/a", host=None), 400),
            (get("/api/plugins/demo/a").replace(b"GET", b"TRACE"), 405),
            (get("/api/plugins/demo/a", "Host: other.local"), 400),
            (get("/api/plugins/demo/a", host="Host: a/?x="), 400),
            (get("/api/plugins/demo/a", host="Host: evil.example"), 421),
            (get("/api/plugins/demo/a", "X-Big: " + "y" * 1_000_000), 431),
            (get("/api/plugins/demo/a", *["X-Many: y"] * 10_000), 431),
            (get("/api/plugins/demo/" + "a" * 40_000), 414),
            (get("/api/plugins/demo/a", "X-Control: a\x01b"), 400),
            (get("/api/plugins/demo/a", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
            (get("/api/plugins/demo/a", "Transfer-Encoding: gzip, chunked"), 400),
            (get("/api/plugins/demo/a", "Upgrade: h2c", "Connection: Upgrade", "Content-Length: 5"), 400),
            (b"GET /api/plugins/demo/a HTTP/1.1\nHost: localhost\n\n", 400),
            (b"GET /api/plugins/demo/a HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", 400),
            (b"GET /api/plugins/demo/a HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
            (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00", 400),
        ],
    )
    async def test_malformed_heads_are_refused(self, tmp_path, request_bytes, status):
        (answer,) = await refused(tmp_path, request_bytes)
        assert answer.status == status
        assert answer.json()["type"].startswith("/problems/")

    async def test_an_unknown_host_names_the_setting(self, tmp_path):
        (answer,) = await refused(tmp_path, get("/", host="Host: rebound.example"))
        assert "NIMBUS_ALLOWED_HOSTS" in answer.json()["detail"]

    async def test_nothing_is_smuggled_behind_a_body(self, tmp_path):
        echo = Echo()
        async with (
            tcp_server(echo) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            inner = b"GET /api/plugins/demo/inner HTTP/1.1\r\nHost: localhost\r\n\r\n"
            head = b"POST /api/plugins/demo/outer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            await gateway.raw(head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner)
            assert [request.target for request in echo.seen] == ["/outer"]
            assert echo.seen[0].body == inner

    async def test_pipelined_requests_are_answered_in_order(self, tmp_path):
        echo = Echo()
        async with (
            tcp_server(echo) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            first = b"GET /api/plugins/demo/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            raw = await gateway.raw(first + get("/api/plugins/demo/2"))
            assert raw.count(b"HTTP/1.1 200 OK") == 2
            assert raw.index(b'"/1"') < raw.index(b'"/2"')

    async def test_an_unknown_upgrade_is_answered_as_plain_http(self, tmp_path):
        echo = Echo()
        async with (
            tcp_server(echo) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            request = get("/api/plugins/demo/a", "Upgrade: h2c").replace(b"close", b"Upgrade, close")
            assert Answer.parse(await gateway.raw(request)).status == 200
            assert echo.seen[0].get("upgrade") is None


class TestTimes:
    async def test_slow_heads_are_closed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
        async with running_gateway(tmp_path) as gateway:
            started = time.monotonic()
            clients = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(50)]
            for _, writer in clients[:25]:
                writer.write(b"GET / HTTP/1.1\r\nHost: local")
            for reader, writer in clients:
                assert await asyncio.wait_for(reader.read(), 3) == b""
                writer.close()
            assert time.monotonic() - started < 3
            await eventually(lambda: gateway.server.server_state.connections == set())

    async def test_a_drip_does_not_buy_time(self, tmp_path, monkeypatch):
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.4)
        async with running_gateway(tmp_path) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(b"GET / HTTP/1.1\r\n")
            deadline = time.monotonic() + 4
            while not reader.at_eof() and time.monotonic() < deadline:
                writer.write(b"X: y\r\n")
                try:
                    await asyncio.wait_for(reader.read(1), 0.05)
                except (TimeoutError, ConnectionError):
                    continue
            assert reader.at_eof() or reader.exception() is not None
            writer.close()

    async def test_empty_lines_do_not_keep_an_idle_connection(self, tmp_path, monkeypatch):
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
        async with running_gateway(tmp_path) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
            await asyncio.wait_for(reader.readuntil(b"}"), 3)
            writer.write(b"\r\n")
            assert await asyncio.wait_for(reader.read(), 3) == b""
            writer.close()

    async def test_slow_bodies_are_closed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(protocol, "BODY_SECONDS", 0.3)
        echo = Echo()
        async with (
            tcp_server(echo) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            raw = await gateway.raw(
                b"POST /api/plugins/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"
            )
            assert raw == b""
            assert echo.seen == []


class TestConnections:
    async def test_what_follows_an_ignored_upgrade_is_no_request(self, tmp_path):
        echo = Echo()
        async with (
            tcp_server(echo) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            offer = get("/api/plugins/demo/a", "Upgrade: h2c").replace(b"Connection: close", b"Connection: Upgrade")
            writer.write(offer + b"POST /api/plugins/demo/b?x=")
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            writer.write(get("/api/plugins/demo/smuggled"))
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            assert [request.target for request in echo.seen] == ["/a"]

    @pytest.mark.parametrize(
        "offer",
        [
            b"POST /api/plugins/demo/a HTTP/1.1\r\nHost: localhost\r\n",
            b"GET /api/plugins/demo/a HTTP/1.0\r\nHost: localhost\r\n",
        ],
    )
    async def test_only_a_get_of_http_1_1_becomes_a_websocket(self, tmp_path, offer):
        echo = Echo()
        async with (
            tcp_server(echo) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            raw = await gateway.raw(offer + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert Answer.parse(raw).status == 200
            assert echo.seen[0].get("upgrade") is None

    async def test_a_connection_that_closes_waits_no_longer_than_another(self, tmp_path, monkeypatch):
        """Its client takes nothing and sends no more: the last bytes of the answer are not waited for forever."""
        monkeypatch.setattr(pace, "CROWDED_STALLED_SECONDS", 1.0)

        async def large(reader, writer):
            await read_head(reader)
            writer.write(respond(b"x" * 30_000_000))
            await writer.drain()

        async with (
            tcp_server(large) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", gateway.port))
            client.sendall(get("/api/plugins/demo/a"))
            await eventually(lambda: gateway.state.gates.of("demo").entered == 1)
            client.shutdown(socket.SHUT_WR)
            await eventually(lambda: not gateway.server.server_state.connections, 6)
            client.close()

    async def test_a_connection_that_is_not_listened_to_is_not_late(self, tmp_path, monkeypatch):
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
        answered = asyncio.Event()

        async def slow(reader, writer):
            while await read_head(reader) is not None:
                await asyncio.wait_for(answered.wait(), 5)
                writer.write(respond(b"whole"))

        async with (
            tcp_server(slow) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            one = get("/api/plugins/demo/a").replace(b"Connection: close\r\n", b"")
            writer.write(one + one + one[:20])
            asyncio.get_running_loop().call_later(1.5, answered.set)
            for _ in range(2):
                await asyncio.wait_for(reader.readuntil(b"whole"), 5)
            writer.close()


class TestLeanings:
    """What `GuardedProtocol` needs of uvicorn's internals: fails when an upgrade moves them."""

    def test_version(self):
        assert uvicorn.__version__ == "0.54.0"

    def test_members(self):
        for name in (
            *("connection_made", "connection_lost", "data_received", "shutdown", "resume_writing"),
            *("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_message_complete"),
            *("on_response_complete", "_start_asgi_task", "pause_writing"),
        ):
            assert callable(getattr(HttpToolsProtocol, name)), name
        source = inspect.getsource(HttpToolsProtocol)
        for name in ("self.cycle", "self.flow", "self.transport", "self.url", "self.headers", "self.app_state"):
            assert name in source
        assert "self.transport.close()" in inspect.getsource(RequestResponseCycle.send)
        assert "self.response_complete = True" in inspect.getsource(RequestResponseCycle.send)
