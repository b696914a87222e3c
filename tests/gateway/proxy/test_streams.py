"""What is under way ends with the credential that opened it, and lasting streams with their plugin or its port."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from tests.support.connections import tcp_server
from tests.support.gateway import Answer, eventually, manifest, read_head, running_gateway, snapshot_plugin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUTES = [
    {"path": "/mine", "methods": ["GET", "POST"], "auth": "session"},
    {"path": "/keyed", "methods": ["GET"], "auth": "apikey"},
    {"path": "/open", "methods": ["GET"], "auth": "none"},
    {"path": "/events", "methods": ["GET"], "auth": "none", "tag": "compat:demo"},
]
COOKIE = "Cookie: nimbus_session=alice"
KEY = "X-Api-Key: nbk_good"


def endless(kind):
    """A plugin whose answers begin and never end; sets its event when the gateway has closed the connection."""
    closed = asyncio.Event()

    async def handler(reader, writer):
        if await read_head(reader) is None:
            return
        if kind is not None:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head.encode() + b"3\r\nabc\r\n")
        await reader.read()
        closed.set()

    return handler, closed


@asynccontextmanager
async def opened(tmp_path, kind, path, header):
    """A gateway with one answer under way; yields the gateway, the client's reader and the plugin's event."""
    handler, closed = endless(kind)
    async with (
        tcp_server(handler) as address,
        running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(f"GET /api/plugins/demo{path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        try:
            if kind is not None:
                await asyncio.wait_for(reader.readuntil(b"abc\r\n"), 3)
            else:
                await eventually(lambda: bool(gateway.state.upstreams._lent))
            yield gateway, reader, closed
        finally:
            writer.close()


class TestRevocation:
    @pytest.mark.parametrize(("path", "header", "name"), [("/mine", COOKIE, "alice"), ("/keyed", KEY, "nbk_good")])
    async def test_an_event_stream_ends_within_a_second(self, tmp_path, path, header, name):
        async with opened(tmp_path, "text/event-stream", path, header) as (gateway, reader, closed):
            gateway.authenticator.revoke(name)
            assert await asyncio.wait_for(reader.readexactly(5), 1) == b"0\r\n\r\n"
            await asyncio.wait_for(closed.wait(), 1)

    async def test_a_download_is_cut_and_never_ends_cleanly(self, tmp_path):
        async with opened(tmp_path, "video/mp4", "/mine", COOKIE) as (gateway, reader, closed):
            gateway.authenticator.revoke("alice")
            rest = b""
            try:
                rest = await asyncio.wait_for(reader.read(), 1)
            except ConnectionResetError:
                assert rest == b""
            assert b"0\r\n\r\n" not in rest
            await asyncio.wait_for(closed.wait(), 1)

    async def test_a_request_without_an_answer_yet_gets_401(self, tmp_path):
        async with opened(tmp_path, None, "/mine", COOKIE) as (gateway, reader, closed):
            gateway.authenticator.revoke("alice")
            answer = Answer.parse(await asyncio.wait_for(reader.readuntil(b"}"), 1))
            assert (answer.status, answer.json()["type"]) == (401, "/problems/unauthenticated")
            await asyncio.wait_for(closed.wait(), 1)

    async def test_others_go_on(self, tmp_path):
        async with opened(tmp_path, "text/event-stream", "/keyed", f"{KEY}\r\n{COOKIE}") as (gateway, reader, closed):
            asked = gateway.authenticator.asked
            gateway.authenticator.revoke("alice")  # the key let this one in, not the session
            await eventually(lambda: gateway.authenticator.asked > asked)
            assert not closed.is_set()
            assert not reader.at_eof()

    async def test_nothing_is_left_behind(self, tmp_path):
        async with opened(tmp_path, "text/event-stream", "/mine", COOKIE) as (gateway, _, closed):
            gateway.authenticator.revoke("alice")
            await asyncio.wait_for(closed.wait(), 1)
            await eventually(lambda: not gateway.state.streams._open)

    async def test_a_websocket_is_closed_with_the_reason(self, tmp_path):
        done = asyncio.Event()

        async def listen(socket):
            await socket.send("hello")
            await socket.wait_closed()
            done.set()

        async with (
            serve(listen, "127.0.0.1", 0) as server,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), server.sockets[0].getsockname())) as gateway,
        ):
            uri = f"ws://localhost:{gateway.port}/api/plugins/demo/mine"
            origin = f"http://localhost:{gateway.port}"
            async with connect(
                uri, proxy=None, origin=origin, additional_headers={"Cookie": "nimbus_session=alice"}
            ) as socket:
                assert await asyncio.wait_for(socket.recv(), 3) == "hello"
                gateway.authenticator.revoke("alice")
                with pytest.raises(ConnectionClosed) as caught:
                    await asyncio.wait_for(socket.recv(), 1)
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1008
                await asyncio.wait_for(done.wait(), 1)


class TestDisable:
    @pytest.mark.parametrize(("kind", "ends"), [("text/event-stream", True), ("video/mp4", False)])
    async def test_event_streams_end_and_other_answers_are_left_to_the_plugins_grace(self, tmp_path, kind, ends):
        async with opened(tmp_path, kind, "/open", "X: y") as (gateway, reader, closed):
            await gateway.publish(snapshot_plugin(manifest(ROUTES), None, state="stopping", enabled=False))
            if ends:
                assert await asyncio.wait_for(reader.readexactly(5), 1) == b"0\r\n\r\n"
                await asyncio.wait_for(closed.wait(), 1)
            else:
                await eventually(lambda: gateway.state.snapshots.current.routes["demo"].address is None)
                assert not closed.is_set()

    async def test_a_websocket_is_closed(self, tmp_path):
        async def listen(socket):
            await socket.wait_closed()

        async with (
            serve(listen, "127.0.0.1", 0) as server,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), server.sockets[0].getsockname())) as gateway,
            connect(f"ws://localhost:{gateway.port}/api/plugins/demo/open", proxy=None) as socket,
        ):
            await gateway.publish(snapshot_plugin(manifest(ROUTES), None, state="stopping", enabled=False))
            with pytest.raises(ConnectionClosed) as caught:
                await asyncio.wait_for(socket.recv(), 1)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.reason == "the plugin was disabled"


class TestCompatPort:
    """A port that is freed or given to another plugin: what came in on it does not go on for ever."""

    @pytest.mark.parametrize("now", [None, "another"])
    async def test_an_event_stream_ends_and_that_of_the_public_port_goes_on(self, tmp_path, now):
        handler, closed = endless("text/event-stream")
        async with (
            tcp_server(handler) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            port, ports = gateway.compat_ports[0], gateway.state.compat_ports
            ports.serve({port: "demo"})
            readers = []
            for there, path in ((port, "/events"), (gateway.port, "/api/plugins/demo/open")):
                reader, writer = await asyncio.open_connection("127.0.0.1", there)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                await asyncio.wait_for(reader.readuntil(b"abc\r\n"), 10)
                readers.append((reader, writer))
            gateway.state.streams.end_unmapped(ports.plugin_at)
            assert not closed.is_set()
            ports.serve(dict.fromkeys([port], now) if now else {})
            gateway.state.streams.end_unmapped(ports.plugin_at)
            [(ended, one), (lasting, other)] = readers
            assert await asyncio.wait_for(ended.readexactly(5), 10) == b"0\r\n\r\n"
            await asyncio.wait_for(closed.wait(), 10)
            assert len(gateway.state.streams._open) == 1
            assert not lasting.at_eof()
            one.close()
            other.close()

    async def test_a_websocket_is_closed(self, tmp_path):
        async def listen(socket):
            await socket.send("hello")
            await socket.wait_closed()

        async with (
            serve(listen, "127.0.0.1", 0) as server,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), server.sockets[0].getsockname())) as gateway,
        ):
            port, ports = gateway.compat_ports[0], gateway.state.compat_ports
            ports.serve({port: "demo"})
            async with connect(f"ws://localhost:{port}/events", proxy=None) as socket:
                assert await asyncio.wait_for(socket.recv(), 10) == "hello"
                ports.serve({})
                gateway.state.streams.end_unmapped(ports.plugin_at)
                with pytest.raises(ConnectionClosed) as caught:
                    await asyncio.wait_for(socket.recv(), 10)
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.reason == "the compatibility port leads to this plugin no longer"

    async def test_an_event_stream_that_begins_after_the_port_was_freed_ends_at_once(self, tmp_path):
        asked, answer = asyncio.Event(), asyncio.Event()

        async def handler(reader, writer):
            if await read_head(reader) is None:
                return
            asked.set()
            await answer.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            await reader.read()

        async with (
            tcp_server(handler) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            port, ports = gateway.compat_ports[0], gateway.state.compat_ports
            ports.serve({port: "demo"})
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.wait_for(asked.wait(), 10)
            ports.serve({})
            gateway.state.streams.end_unmapped(ports.plugin_at)
            answer.set()
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert await asyncio.wait_for(reader.readexactly(5), 10) == b"0\r\n\r\n"
            writer.close()

    @pytest.mark.parametrize("upgrade", ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"])
    async def test_a_request_that_waited_for_a_plugin_does_not_come_through_a_port_freed_meanwhile(
        self, tmp_path, upgrade
    ):
        handler, _ = endless("text/event-stream")
        async with (
            tcp_server(handler) as address,
            running_gateway(tmp_path, served := snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            await gateway.publish(served.model_copy(update={"holding": True, "upstream": None}))
            port, ports = gateway.compat_ports[0], gateway.state.compat_ports
            ports.serve({port: "demo"})
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            websocket = f"{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            extra = websocket if upgrade else ""
            writer.write(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n".encode())
            await eventually(lambda: gateway.state.held.waiting("demo") == 1)
            ports.serve({})
            await gateway.publish(served)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert head.startswith(b"HTTP/1.1 404 ")
            assert not gateway.state.streams._open
            writer.close()
