"""WebSockets through the gateway to a plugin."""

import asyncio
import contextlib
import os
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.connections import tcp_server
from tests.support.gateway import eventually, manifest, read_head, respond, running_gateway, snapshot_plugin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUTES = [
    {"path": "/open", "methods": ["GET"], "auth": "none"},
    {"path": "/mine", "methods": ["GET"], "auth": "session"},
]


@asynccontextmanager
async def gateway_with(tmp_path, handler, **options):
    """A gateway in front of a WebSocket plugin; yields the gateway and a function that opens a socket."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        address = server.sockets[0].getsockname()
        async with running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway:

            def opened(path="/open", **arguments):
                uri = f"ws://localhost:{gateway.port}/api/plugins/demo{path}"
                return connect(uri, proxy=None, **arguments)

            yield gateway, opened


async def echo(socket):
    async for message in socket:
        await socket.send(message)


class TestMessages:
    async def test_both_ways(self, tmp_path):
        large = {"max_size": 4_000_000}
        async with gateway_with(tmp_path, echo, **large) as (_, opened), opened(**large) as socket:
            for message in ("héllo", b"\x00\xff", "", "x" * 1_000_000, b"y" * 3_000_000):
                await socket.send(message)
                assert await asyncio.wait_for(socket.recv(), 5) == message

    async def test_fragments_arrive_as_one_message(self, tmp_path):
        async with gateway_with(tmp_path, echo) as (_, opened), opened() as socket:
            await socket.send(["a", "b", "c"])
            assert await asyncio.wait_for(socket.recv(), 5) == "abc"

    async def test_the_plugin_sees_path_query_and_caller(self, tmp_path):
        async def tell(socket):
            headers = socket.request.headers
            await socket.send(f"{socket.request.path} {headers.get('X-Nimbus-User-Id')} {headers.get('Cookie')}")

        async with gateway_with(tmp_path, tell) as (gateway, opened):
            headers = {"Cookie": "nimbus_session=alice; a=1"}
            origin = f"http://localhost:{gateway.port}"
            async with opened("/mine?x=%20", additional_headers=headers, origin=origin) as socket:
                assert await asyncio.wait_for(socket.recv(), 5) == "/mine?x=%20 0198-alice a=1"

    async def test_a_slow_reader_holds_the_plugin_back(self, tmp_path):
        sent = 0
        noise = os.urandom(50_000)  # what can be compressed is, from end to end

        async def flood(socket):
            nonlocal sent
            with contextlib.suppress(ConnectionClosed):
                for _ in range(4000):
                    await socket.send(noise)
                    sent += 50_000

        async with gateway_with(tmp_path, flood) as (_, opened), opened(max_queue=1) as socket:
            await asyncio.wait_for(socket.recv(), 5)
            before = -1
            while sent != before:  # until it stands still
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 40_000_000
            socket.transport.abort()


class TestHandshake:
    async def test_the_plugin_chooses_the_subprotocol(self, tmp_path):
        async with (
            gateway_with(tmp_path, echo, subprotocols=["two"]) as (_, opened),
            opened(subprotocols=["one", "two"]) as socket,
        ):
            assert socket.subprotocol == "two"

    @pytest.mark.parametrize(
        ("path", "headers", "origin", "status"),
        [
            ("/mine", {}, None, 401),
            ("/mine", {"Cookie": "nimbus_session=alice"}, "http://evil.example", 403),
            ("/mine", {"Cookie": "nimbus_session=alice"}, None, 403),
            ("/nope", {}, None, 404),
        ],
    )
    async def test_refusals_are_problems_and_the_plugin_is_not_reached(self, tmp_path, path, headers, origin, status):
        reached = []

        async def record(socket):
            reached.append(socket)

        async with gateway_with(tmp_path, record) as (_, opened):
            with pytest.raises(InvalidStatus) as caught:
                async with opened(path, additional_headers=headers, origin=origin):
                    pass
            response = caught.value.response
            assert response.status_code == status
            assert response.headers["content-type"] == "application/problem+json"
            assert reached == []

    async def test_one_that_comes_during_an_upgrade_waits_for_the_new_version(self, tmp_path):
        async def new(socket):
            await socket.send("the new version")

        async with (
            serve(new, "127.0.0.1", 0) as server,
            gateway_with(tmp_path, echo) as (gateway, opened),
            asyncio.timeout(20),
        ):
            old = snapshot_plugin(manifest(ROUTES), None)
            await gateway.publish(old.model_copy(update={"holding": True}))
            waiting = asyncio.ensure_future(opened())
            await eventually(lambda: gateway.state.held.waiting("demo") == 1)
            assert not waiting.done()
            await gateway.publish(snapshot_plugin(manifest(ROUTES), server.sockets[0].getsockname()))
            async with await waiting as socket:
                assert await socket.recv() == "the new version"

    async def test_a_refusal_is_no_error_of_the_gateway(self, tmp_path, caplog):
        async with gateway_with(tmp_path, echo) as (_, opened):
            with pytest.raises(InvalidStatus):
                async with opened("/mine"):
                    pass
        assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []

    async def test_an_application_that_forgets_to_answer_is_an_error(self, tmp_path, caplog):
        async with gateway_with(tmp_path, echo) as (gateway, opened):

            async def forgetful(scope, receive, send):
                await receive()

            gateway.server.config.loaded_app = forgetful
            with pytest.raises(InvalidStatus) as caught:
                async with opened():
                    pass
            assert caught.value.response.status_code == 500
        assert "returned without starting response" in caplog.text

    async def test_no_websocket_elsewhere(self, tmp_path):
        async with gateway_with(tmp_path, echo) as (gateway, _):
            with pytest.raises(InvalidStatus) as caught:
                async with connect(f"ws://localhost:{gateway.port}/api/system", proxy=None):
                    pass
            assert caught.value.response.status_code == 404

    async def test_the_plugins_refusal_is_passed_on(self, tmp_path):
        async def refuse(reader, writer):
            await read_head(reader)
            writer.write(respond(b"not today", "418 Teapot", ("Content-Type: text/plain",)))

        async with (
            tcp_server(refuse) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
        ):
            with pytest.raises(InvalidStatus) as caught:
                async with connect(f"ws://localhost:{gateway.port}/api/plugins/demo/open", proxy=None):
                    pass
            assert caught.value.response.status_code == 418
            assert caught.value.response.body == b"not today"

    async def test_a_plugin_that_is_not_there_is_a_502(self, tmp_path):
        async with tcp_server(echo) as address:
            pass
        async with running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway:
            with pytest.raises(InvalidStatus) as caught:
                async with connect(f"ws://localhost:{gateway.port}/api/plugins/demo/open", proxy=None):
                    pass
            assert caught.value.response.status_code == 502


class TestClosing:
    @pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "moved"), (4321, "own"), (3000, "x" * 100)])
    async def test_the_clients_code_reaches_the_plugin(self, tmp_path, code, reason):
        closed = asyncio.get_running_loop().create_future()

        async def wait(socket):
            await socket.wait_closed()
            closed.set_result((socket.close_code, socket.close_reason))

        async with gateway_with(tmp_path, wait) as (_, opened):
            async with opened() as socket:
                await socket.close(code, reason)
            assert await asyncio.wait_for(closed, 5) == (code, reason)

    @pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (1008, "no"), (4999, "own")])
    async def test_the_plugins_code_reaches_the_client(self, tmp_path, code, reason):
        async def close(socket):
            await socket.send("last words")
            await socket.close(code, reason)

        async with gateway_with(tmp_path, close) as (_, opened), opened() as socket:
            assert await asyncio.wait_for(socket.recv(), 5) == "last words"
            await asyncio.wait_for(socket.wait_closed(), 5)
            assert (socket.close_code, socket.close_reason) == (code, reason)

    async def test_a_plugin_that_dies_is_not_a_clean_close(self, tmp_path):
        async def die(socket):
            await socket.send("a")
            socket.transport.abort()

        async with gateway_with(tmp_path, die) as (_, opened), opened() as socket:
            await asyncio.wait_for(socket.wait_closed(), 5)
            assert socket.close_code == 1011

    async def test_a_client_that_dies_ends_the_plugins_socket(self, tmp_path):
        closed = asyncio.Event()

        async def wait(socket):
            await socket.wait_closed()
            closed.set()

        async with gateway_with(tmp_path, wait) as (_, opened):
            socket = await opened()
            socket.transport.abort()
            await asyncio.wait_for(closed.wait(), 3)

    async def test_shutdown_says_so(self, tmp_path):
        async with gateway_with(tmp_path, echo) as (gateway, opened), opened() as socket:
            await socket.send("a")
            await socket.recv()
            gateway.server.should_exit = True
            await asyncio.wait_for(socket.wait_closed(), 5)
            assert socket.close_code in {1001, 1012}
