"""The short way through the gateway: the same answers as on the long way, and told of alike."""

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.proxy.warm import ROUTES, ask, comparable, read_answer_head, request, scripted, warm_gateway
from tests.support.gateway import (
    Answer,
    Echo,
    manifest,
    respond,
    snapshot_plugin,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


HEADERS = st.sampled_from(
    [
        "X-Api-Key: nbk_good",
        "X-Api-Key: theirs",
        "Authorization: Bearer nbk_good",
        "Authorization: Basic eA==",
        "Cookie: nimbus_session=alice; a=1",
        "Cookie: b=2",
        "X-Nimbus-User-Id: forged",
        "X_Nimbus.Role: admin",
        "X-Forwarded-For: 9.9.9.9",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "traceparent: nonsense",
        "Accept: */*",
        "accept: text/html",
        "TE: trailers",
        "Keep-Alive: timeout=5",
        "X-Own: 1",
        "X-Own: 2",
        "Proxy-Authorization: x",
        "X-Request-Id: mine",
        "Origin: http://evil.example",
        "Sec-Fetch-Site: same-origin",
    ]
)
REQUESTS = st.builds(
    lambda path, method, headers: request(path, *headers, method=method, close=False),
    st.sampled_from(["/open", "/open?a=%2F&b", "/files/a/b.txt", "/keyed", "/mine", "/nope", "/files/a%20b"]),
    st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS"]),
    st.lists(HEADERS, max_size=6),
)


class TestSameAsTheLongWay:
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(asked=st.lists(REQUESTS, min_size=5, max_size=15), trusted=st.booleans())
    def test_whatever_is_asked(self, tmp_path, monkeypatch, asked, trusted):
        asyncio.run(self._compare(tmp_path, monkeypatch, asked, trusted=trusted))

    async def _compare(self, tmp_path, monkeypatch, asked, *, trusted):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))  # the last example's snapshot is not this one's
        async with warm_gateway(folder, Echo(headers=("X-A: 1", "X-A: 2")), trusted=trusted) as gateway:
            for one in asked:
                short = comparable(await ask(gateway, one))
                recognised = comparable(await ask(gateway, one))
                with monkeypatch.context() as patched:
                    patched.setattr(gateway.state.inline, "prepare", lambda *_: None)
                    patched.setattr(gateway.state.inline, "remembered", lambda *_: None)
                    long = comparable(await ask(gateway, one))
                assert short == long, one
                assert recognised == long, one

    async def test_it_is_taken(self, tmp_path, long_way):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            before = long_way.taken
            answer = Answer.parse(await gateway.raw(request("/keyed", "X-Api-Key: nbk_good")))
            assert answer.status == 200
            assert dict(answer.json()["headers"])["x-nimbus-user-id"] == "key:k1"
            assert answer.get("server") == "nimbus"
            assert len(answer.all("date")) == 1
            assert long_way.taken == before

    @pytest.mark.parametrize(
        ("path", "headers", "method"),
        [
            ("/keyed", (), "GET"),
            ("/keyed", ("X-Api-Key: nbk_bad",), "GET"),
            ("/mine", ("Cookie: nimbus_session=alice", "Origin: http://evil.example"), "DELETE"),
            ("/nope", (), "GET"),
            ("/open", ("Content-Length: 0",), "DELETE"),
            ("/open", ("Expect: 100-continue",), "GET"),
            ("/open", ("Upgrade: h2c",), "GET"),
        ],
    )
    async def test_refusals_and_bodies_take_the_long_way(self, tmp_path, long_way, path, headers, method):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            before = long_way.taken
            await gateway.raw(request(path, *headers, method=method))
            assert long_way.taken == before + 1

    async def test_a_credential_that_is_not_in_memory_takes_the_long_way(self, tmp_path, long_way):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            gateway.authenticator.remembers = False
            before = long_way.taken
            answer = Answer.parse(await gateway.raw(request("/keyed", "X-Api-Key: nbk_good")))
            assert (answer.status, long_way.taken) == (200, before + 1)

    async def test_a_new_snapshot_counts_at_once(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            await gateway.publish(snapshot_plugin(manifest(ROUTES), None, enabled=False, state="disabled"))
            answer = Answer.parse(await gateway.raw(request()))
            assert (answer.status, answer.json()["type"]) == (404, "/problems/plugin-disabled")


class TestFraming:
    @pytest.mark.parametrize(
        ("sent", "body"),
        [
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
                b"abcde",
            ),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
            (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
            (respond(b"x" * 100_000), b"x" * 100_000),
            (respond(b"ok") + b"HTTP/1.1 100 Continue\r\n\r\n", b"ok"),
        ],
    )
    async def test_answers(self, tmp_path, long_way, sent, body):
        async with warm_gateway(tmp_path, scripted(respond(), sent, respond(b"next"))) as gateway:
            before = long_way.taken
            answer = Answer.parse(await gateway.raw(request()))
            assert answer.body == body
            assert answer.get("content-length") or answer.get("transfer-encoding") or answer.status in {204, 304}
            assert long_way.taken == before
            if b"100 Continue" not in sent:  # after an offence the connection is not used again
                assert Answer.parse(await gateway.raw(request())).body == b"next"
                assert long_way.taken == before

    async def test_a_body_that_lasts_until_close(self, tmp_path):
        async def close_delimited(reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
            writer.write_eof()

        async with warm_gateway(tmp_path, scripted(respond(), close_delimited)) as gateway:
            assert Answer.parse(await gateway.raw(request())).body == b"all of it"

    async def test_pipelined_requests_are_answered_in_order(self, tmp_path):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            paths = [f"/files/{number}" for number in range(5)]
            raw = await gateway.raw(b"".join(request(path, close=path == paths[-1]) for path in paths), limit=5)
            seen = [
                json.loads(line)["target"]
                for line in raw.split(b"\r\n\r\n")
                if line.startswith(b"{")
                for line in [line.split(b"HTTP/1.1")[0]]
            ]
            assert seen == paths

    async def test_a_kept_connection_serves_one_after_another(self, tmp_path, long_way):
        async with warm_gateway(tmp_path, Echo()) as gateway:
            before = long_way.taken
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            for number in range(20):
                writer.write(request(f"/files/{number}", close=False))
                head = await read_answer_head(reader)
                document = json.loads(await reader.readexactly(int(head["content-length"])))
                assert document["target"] == f"/files/{number}"
            writer.close()
            assert long_way.taken == before


class TestRecords:
    async def test_metrics_and_log_line(self, tmp_path, caplog):
        caplog.set_level("INFO", logger="nimbus.access")
        lines = []
        async with warm_gateway(tmp_path, Echo(), log_format="json") as gateway:
            gateway.state.access_log._write = lines.append
            gateway.state.access_log.flush()
            await gateway.raw(request("/files/a%22b?secret=1", "X-Api-Key: nbk_good"))
            await gateway.raw(request("/files/x", "X-Api-Key: nbk_good"))
            gateway.state.access_log.flush()
            entries = [json.loads(line) for line in "".join(lines).splitlines()]
            last = entries[-1]
            assert last["plugin"] == "demo"
            assert last["route"] == "/files/{rest:path}"
            assert last["path"] == "/api/plugins/demo/files/x"
            assert last["user"] == "key:k1"
            assert last["status"] == 200
            assert last["upstream_ms"] <= last["ms"] + 0.1
            assert entries[-2].keys() == last.keys()
            assert "secret" not in "".join(lines)
            metrics = await gateway.raw(
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", port=gateway.management_port
            )
            labels = b'{cause="plugin",method="GET",plugin="demo",route="/files/{rest:path}",status="200"}'
            assert b"nimbus_requests_total" + labels in metrics
            assert b'nimbus_request_seconds_count{plugin="demo",route="/files/{rest:path}"}' in metrics
