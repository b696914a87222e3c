"""Requests whose head, or whose headers, came before are not read again, and nothing else stands for them."""

import asyncio
import base64
import json
from types import SimpleNamespace

import pytest
from nimbus_gateway.proxy.inline import InlineProxy
from nimbus_gateway.proxy.inline_exchange import InlineExchange

from tests.gateway.proxy.warm import ROUTES, ask, comparable, request, scripted, warm_gateway
from tests.support.connections import tcp_server
from tests.support.gateway import (
    Answer,
    Echo,
    manifest,
    read_head,
    respond,
    running_gateway,
    snapshot_plugin,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def remembered(gateway):
    """The heads that the gateway would recognise."""
    return list(gateway.state.inline._prepared)


class TestRecognition:
    """A request whose bytes came before is not read again."""

    @pytest.fixture
    def prepared(self, monkeypatch):
        """The requests that were read, one after another."""
        seen = []
        original = InlineProxy.prepare

        def noted(proxy, client, asked):
            seen.append(asked)
            return original(proxy, client, asked)

        monkeypatch.setattr(InlineProxy, "prepare", noted)
        return seen

    async def test_the_same_bytes(self, tmp_path, prepared, long_way):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            before = long_way.taken
            asked = request("/keyed", "X-Api-Key: nbk_good", close=False)
            first, second = [await ask(gateway, asked) for _ in range(2)]
            assert len([one for one in prepared if one.target == b"/api/plugins/demo/keyed"]) == 1
            assert comparable(first) == comparable(second)
            assert first.get("x-request-id") != second.get("x-request-id")
            told = [dict(answer.json()["headers"]) for answer in (first, second)]
            assert told[0]["x-request-id"] == first.get("x-request-id")
            assert told[1]["x-request-id"] == second.get("x-request-id")
            assert told[0]["traceparent"] != told[1]["traceparent"]
            assert long_way.taken == before

    async def test_a_revoked_key_is_found_out(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            asked = request("/keyed", "X-Api-Key: nbk_good", close=False)
            assert [(await ask(gateway, asked)).status for _ in range(2)] == [200, 200]
            gateway.authenticator.revoke("nbk_good")
            assert (await ask(gateway, asked)).status == 401

    async def test_a_new_route_table_counts(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            asked = request(close=False)
            assert [(await ask(gateway, asked)).status for _ in range(2)] == [200, 200]
            await gateway.publish(snapshot_plugin(manifest(ROUTES), None, enabled=False, state="disabled"))
            assert (await ask(gateway, asked)).status == 404

    async def test_on_one_connection_between_other_requests(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            known = request("/files/known", close=False)
            await ask(gateway, known)
            asked = [
                known,
                request("/mine", close=False),  # refused on the long way
                known,
                request("/files/new", close=False),
                known,
                request("/open", "Content-Length: 2", method="DELETE", close=False) + b"hi",
                known,
            ]
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            try:
                seen = []
                for one in asked:
                    writer.write(one)
                    async with asyncio.timeout(5):
                        head = await reader.readuntil(b"\r\n\r\n")
                        answer = Answer.parse(head)
                        body = await reader.readexactly(int(answer.get("content-length")))
                    seen.append((answer.status, json.loads(body).get("target")))
                assert seen == [
                    (200, "/files/known"),
                    (401, None),
                    (200, "/files/known"),
                    (200, "/files/new"),
                    (200, "/files/known"),
                    (200, "/open"),
                    (200, "/files/known"),
                ]
            finally:
                writer.close()

    async def test_bytes_with_something_behind_are_not_kept(self, tmp_path, prepared):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            pair = request("/files/1", close=False) + request("/files/2")
            for _ in range(2):
                raw = await gateway.raw(pair, limit=2)
                assert [target in raw for target in (b"/files/1", b"/files/2")] == [True, True]
            assert len([one for one in prepared if one.target.endswith(b"/files/1")]) == 2

    @pytest.mark.parametrize("nothing", [b"\r\n\r\n", b"\r\n\r", b"\n\n\n", b"\r\n"])
    async def test_line_ends_behind_a_request_are_not_that_request(self, tmp_path, nothing):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            try:
                writer.write(request("/keyed", "X-Api-Key: nbk_good", close=False))
                async with asyncio.timeout(5):
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(int(Answer.parse(head).get("content-length")))
                writer.write(nothing)
                writer.write(request("/files/next"))
                async with asyncio.timeout(5):
                    assert Answer.parse(await reader.read()).json()["target"] == "/files/next"
            finally:
                writer.close()
            behind = request("/files/behind")
            raw = await gateway.raw(nothing + behind)
            assert Answer.parse(raw).json()["target"] == "/files/behind"
            assert all(known.startswith(b"GET /api/plugins/demo/") for known in remembered(gateway))

    @pytest.mark.parametrize(
        "smuggled",
        [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            b"POST /api/auth/logout HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /x y z\0 bad\r\n\r\n",
        ],
    )
    async def test_what_follows_a_last_request_is_not_that_request(self, tmp_path, smuggled):
        """The parser drops it without a word; it must not come to stand for the request before."""
        arrived, release = asyncio.Event(), asyncio.Event()

        async def slow(_reader, writer):
            arrived.set()
            await release.wait()
            writer.write(respond(b"slow"))

        async with warm_gateway(tmp_path, scripted(respond(), slow)) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            try:
                writer.write(request("/keyed", "X-Api-Key: nbk_good"))
                async with asyncio.timeout(5):
                    await arrived.wait()
                    writer.write(smuggled)
                    await writer.drain()
                    await asyncio.sleep(0.05)
                    release.set()
                    assert Answer.parse(await reader.read()).body == b"slow"
            finally:
                writer.close()
            assert smuggled not in remembered(gateway)

    async def test_a_last_request_is_read_each_time(self, tmp_path, prepared):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            for _ in range(2):
                assert Answer.parse(await gateway.raw(request("/files/last", close=True))).status == 200
            assert len([one for one in prepared if one.target.endswith(b"/files/last")]) == 2

    async def test_a_stale_connection_behind_the_first_request_of_a_client(self, tmp_path, long_way):
        """It is repeated on the long way, which needs what the parser would have set."""
        asked = request("/files/again", close=False)
        answers = iter([respond(), respond(b"first"), None, respond(b"again")])

        async def plugin(reader, writer):
            while await read_head(reader) is not None:
                answer = next(answers)
                if answer is None:
                    writer.transport.abort()
                    return
                writer.write(answer)

        async with warm_gateway(tmp_path, plugin) as gateway:
            before = long_way.taken
            assert (await ask(gateway, asked)).body == b"first"
            assert (await ask(gateway, asked)).body == b"again"
            assert long_way.taken == before + 1

    async def test_a_mistake_of_our_own_is_a_500_here_too(self, tmp_path, monkeypatch):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            asked = request("/files/again", close=False)
            await ask(gateway, asked)
            monkeypatch.setattr(InlineExchange, "start", None)
            assert (await ask(gateway, asked)).status == 500
            assert gateway.state.gates.of("demo").active == 0

    async def test_a_mistake_of_our_own_behind_the_request_leaves_the_gate_once(self, tmp_path, monkeypatch):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            asked = request("/files/again", close=False)
            await ask(gateway, asked)
            loop_pace = gateway.state.loop_pace
            sent = loop_pace.sent

            def mistaken(theirs):
                sent(theirs)
                raise RuntimeError

            monkeypatch.setattr(loop_pace, "sent", mistaken)
            assert (await ask(gateway, asked)).status == 500
            gate = gateway.state.gates.of("demo")
            assert (gate.active, gate.owed, loop_pace.owed) == (0, 0, 0)
            assert not gateway.state.upstreams._lent

    async def test_a_mistake_of_our_own_in_recognising_is_a_500(self, tmp_path, monkeypatch):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            monkeypatch.setattr(gateway.state.inline, "remembered", None)
            assert (await ask(gateway, request(close=False))).status == 500

    async def test_long_paths_are_not_kept(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            for length, kept in ((3000, 0), (1000, 1)):
                before = len(gateway.state.inline._chosen)
                assert (await ask(gateway, request("/files/" + "a" * length, close=False))).status == 200
                assert len(gateway.state.inline._chosen) - before == kept

    async def test_a_head_in_pieces_is_read(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            asked = request("/files/whole", close=False)
            await ask(gateway, asked)
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            try:
                for piece in (asked[:30], asked[30:]):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.02)
                async with asyncio.timeout(5):
                    head = await reader.readuntil(b"\r\n\r\n")
                    body = await reader.readexactly(int(Answer.parse(head).get("content-length")))
                assert json.loads(body)["target"] == "/files/whole"
            finally:
                writer.close()

    async def test_a_lasting_answer_outlives_the_time_for_a_head(self, tmp_path, monkeypatch):
        monkeypatch.setattr("nimbus_gateway.guard.protocol.HEAD_SECONDS", 0.3)

        async def late(_reader, writer):
            await asyncio.sleep(2.5)  # the sweep has come by twice
            writer.write(respond(b"slow"))

        async with warm_gateway(tmp_path, scripted(respond(), respond(), late)) as gateway:
            asked = request("/files/slow", close=False)
            await ask(gateway, asked)
            assert (await ask(gateway, asked)).body == b"slow"


class TestRecognitionOfHeaders:
    """A request that differs from one before in its target only: its headers are not read again."""

    @pytest.fixture
    def parsed(self, monkeypatch):
        """Targets of the requests that the parser read."""
        seen = []
        original = InlineProxy.prepare

        def noted(proxy, client, asked):
            seen.append(asked.target)
            return original(proxy, client, asked)

        monkeypatch.setattr(InlineProxy, "prepare", noted)
        return seen

    async def test_another_target(self, tmp_path, parsed, long_way):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            await ask(gateway, request("/files/first?n=0", "X-Own: 1", close=False))
            before, read = long_way.taken, len(parsed)
            for target in ("/files/first?n=1", "/files/second", '/open?x=/../%2e%2e&y="', "/files/first?n=1"):
                told = (await ask(gateway, request(target, "X-Own: 1", close=False))).json()
                assert told["target"] == target
                assert dict(told["headers"])["x-own"] == "1"
                assert dict(told["headers"])["x-forwarded-prefix"] == "/api/plugins/demo"
            assert len(parsed) == read
            assert long_way.taken == before

    @pytest.mark.parametrize(
        ("headers", "path", "status"),
        [
            ((), "/keyed", 401),
            ((), "/mine", 401),
            (("X-Api-Key: nbk_good",), "/keyed", 200),
            (("X-Api-Key: nbk_good",), "/mine", 401),
            (("Cookie: nimbus_session=alice",), "/mine", 200),
            ((), "/nope", 404),
            ((), "/files/a%2fb", 400),
            ((), "/files/../open", 400),
            ((), "/files/%252e", 400),
        ],
    )
    async def test_each_route_asks_for_itself(self, tmp_path, headers, path, status):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            assert (await ask(gateway, request("/open", *headers, close=False))).status == 200
            for _ in range(2):
                assert (await ask(gateway, request(path, *headers, close=False))).status == status

    async def test_a_revoked_key_is_found_out(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            asked = [request(f"/keyed?n={number}", "X-Api-Key: nbk_good", close=False) for number in range(3)]
            assert [(await ask(gateway, one)).status for one in asked[:2]] == [200, 200]
            gateway.authenticator.revoked.add("nbk_good")  # before the listeners are told
            assert (await ask(gateway, asked[2])).status == 401

    async def test_each_plugin_has_its_own_token(self, tmp_path, parsed):
        key = ("X-Api-Key: nbk_good",)
        async with (
            tcp_server(Echo()) as one,
            tcp_server(Echo()) as other,
            running_gateway(
                tmp_path,
                snapshot_plugin(manifest(ROUTES), one),
                snapshot_plugin(manifest(ROUTES, "second"), other),
            ) as gateway,
        ):
            told = {}
            for _ in range(3):
                for plugin in ("demo", "second"):
                    asked = request("/keyed", *key, close=False).replace(
                        b"plugins/demo", b"plugins/%b" % plugin.encode()
                    )
                    told[plugin] = dict((await ask(gateway, asked)).json()["headers"])
            assert {plugin: headers["x-nimbus-plugin"] for plugin, headers in told.items()} == {
                "demo": "demo",
                "second": "second",
            }
            audiences = [
                json.loads(base64.urlsafe_b64decode(told[plugin]["x-nimbus-identity"].split(".")[1] + "=="))["aud"]
                for plugin in ("demo", "second")
            ]
            assert audiences == ["demo", "second"]
            assert len(parsed) == 3  # the first of each finds no connection, the second of one is kept

    @pytest.mark.parametrize(
        "line",
        [
            b"GET /api/plugins/demo/open HTTP/1.0",
            b"GET /api/plugins/demo/open HTTP/1.1 ",
            b"GET  /api/plugins/demo/open HTTP/1.1",
            b"GET /api/plugins/demo/o pen HTTP/1.1",
            b"GET /api/plugins/demo/open#f HTTP/1.1",
            b"GET /api/plugins/demo/\xc3\xa4 HTTP/1.1",
            b"GET /api/plugins/demo/a\0b HTTP/1.1",
            b"GET /api/plugins/demo/a\tb HTTP/1.1",
            b"GET http://evil.example/api/plugins/demo/open HTTP/1.1",
            b"GET //evil.example/api/plugins/demo/open HTTP/1.1",
            b"GET * HTTP/1.1",
            b"get /api/plugins/demo/open HTTP/1.1",
            b"TRACE /api/plugins/demo/open HTTP/1.1",
            b"CONNECT /api/plugins/demo/open HTTP/1.1",
            b"HEAD /api/plugins/demo/open HTTP/1.1",
            b"POST /api/plugins/demo/open HTTP/1.1",
            b"GET /api/plugins/demo/open HTTP/1.1\r\nX-More: 1",
            b"GET /api/plugins/demo/open HTTP/1.1\r\nContent-Length: 1",
            b"GET /api/plugins/demo/open HTTP/1.1\r\nHost: evil.example",
            b"\r\nGET /api/plugins/demo/open HTTP/1.1",
            b"GET /api/plugins/demo/open HTTP/1.1\r\n\r\nGET /api/plugins/demo/files/x HTTP/1.1",
            b"GET /api/plugins/demo/" + b"a" * 3000 + b" HTTP/1.1",
            b"GET /api/plugins/demo/open?" + b"a" * 17_000 + b" HTTP/1.1",
        ],
    )
    async def test_what_is_no_such_request_is_left_to_the_parser(self, tmp_path, line):
        """Known headers behind whatever stands for a request line."""
        async with warm_gateway(tmp_path, Echo()) as gateway:
            known = request("/files/known", close=False)
            for _ in range(2):
                assert (await ask(gateway, known)).status == 200
            headers = known.partition(b"\r\n")[2]
            client = SimpleNamespace(peer="127.0.0.1", scheme="http")
            inline = gateway.state.inline
            assert inline.remembered(client, line + b"\r\n" + headers) is None
            good = b"GET /api/plugins/demo/files/other HTTP/1.1\r\n" + headers
            assert inline.remembered(SimpleNamespace(peer="127.0.0.2", scheme="http"), good) is None
            assert inline.remembered(SimpleNamespace(peer="127.0.0.1", scheme="https"), good) is None
            assert inline.remembered(client, good + good) is None
            assert inline.remembered(client, good[:-2]) is None
            found = inline.remembered(client, good)
            assert found is not None
            assert found.request.target == b"/api/plugins/demo/files/other"
