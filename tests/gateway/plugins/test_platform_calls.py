"""The management listener: probes and lifecycle calls, with the step that failed."""

import asyncio
import json

import pytest
from nimbus_sdk.signing import verify_identity

from tests.support.connections import tcp_server
from tests.support.gateway import Answer, Echo, read_body, read_head, respond, running_gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TOKEN = "Authorization: Bearer service-token-of-the-tests-of-this-gateway"


async def call(gateway, path, body, *headers):
    raw = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: gateway-control:8082", "Connection: close", *headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(raw)}", "", ""]
    return Answer.parse(await gateway.raw("\r\n".join(lines).encode() + raw, port=gateway.management_port))


def answering(answer, seen=None):
    async def handler(reader, writer):
        request = await read_head(reader)
        request.body = await read_body(reader, request)
        if seen is not None:
            seen.append(request)
        writer.write(answer)
        await writer.drain()

    return handler


def upstream(address):
    return {"pluginId": "demo", "upstream": {"host": address[0], "port": address[1]}}


class TestProbe:
    async def test_a_healthy_plugin(self, tmp_path):
        seen = []
        healthy = respond(b'{"status":"degraded","version":"1","contract":[1,2]}')
        async with tcp_server(answering(healthy, seen)) as address, running_gateway(tmp_path) as gateway:
            result = (await call(gateway, "/internal/v1/probe", upstream(address), TOKEN)).json()
            assert result["ok"] is True
            assert result["health"]["contract"] == [1, 2]
            assert seen[0].target == "/_nimbus/health"
            claims = verify_identity(
                seen[0].get("x-nimbus-identity"), gateway.state.signer.key_set(), audience="demo", issuer="nimbus"
            )
            assert (claims.sub, claims.role) == ("platform", "platform")

    @pytest.mark.parametrize(
        ("answer", "hop", "status"),
        [
            (respond(b"broken", "500 Internal Server Error"), "http", 500),
            (respond(b'{"status":"ok"}', "503 Service Unavailable"), "http", 503),
            (respond(b"hello"), "handshake", 200),
            (b"SSH-2.0-OpenSSH_9\r\n", "http", None),
            (b"", "http", None),
        ],
    )
    async def test_what_fails_names_its_hop(self, tmp_path, answer, hop, status):
        async with tcp_server(answering(answer)) as address, running_gateway(tmp_path) as gateway:
            result = (await call(gateway, "/internal/v1/probe", upstream(address), TOKEN)).json()
            assert (result["ok"], result["hop"], result.get("status")) == (False, hop, status)
            assert result["detail"]

    async def test_nobody_there(self, tmp_path):
        async with tcp_server(Echo()) as address:
            pass
        async with running_gateway(tmp_path) as gateway:
            result = (await call(gateway, "/internal/v1/probe", upstream(address), TOKEN)).json()
            assert (result["ok"], result["hop"]) == (False, "connect")
            result = (await call(gateway, "/internal/v1/probe", upstream(("no-such-host.invalid", 1)), TOKEN)).json()
            assert (result["ok"], result["hop"]) == (False, "dns")

    async def test_a_silent_plugin_costs_the_probes_time_only(self, tmp_path):
        async def silent(reader, writer):
            await reader.read()

        async with tcp_server(silent) as address, running_gateway(tmp_path) as gateway:
            body = {**upstream(address), "timeout": 0.1}
            result = (await call(gateway, "/internal/v1/probe", body, TOKEN)).json()
            assert (result["ok"], result["hop"]) == (False, "http")

    async def test_an_answer_that_never_ends_costs_the_probes_time_only(self, tmp_path):
        async def dripping(reader, writer):
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:  # never silent for as long as the gateway's clock can tell
                writer.write(b"1\r\nx\r\n")
                await writer.drain()
                await asyncio.sleep(0.0005)

        async with tcp_server(dripping) as address, running_gateway(tmp_path) as gateway, asyncio.timeout(10):
            body = {**upstream(address), "timeout": 0.2}
            result = (await call(gateway, "/internal/v1/probe", body, TOKEN)).json()
            assert (result["ok"], result["hop"]) == (False, "http")
            assert result["detail"] == "the plugin's answer was not whole within 0.2 s"


class TestLifecycle:
    @pytest.mark.parametrize(
        ("status", "ok"),
        [("204 No Content", True), ("404 Not Found", True), ("500 Oops", False), ("302 Found", False)],
    )
    async def test_delivery(self, tmp_path, status, ok):
        seen = []
        async with tcp_server(answering(respond(b"", status), seen)) as address, running_gateway(tmp_path) as gateway:
            body = {**upstream(address), "event": {"event": "enabled", "version": "1.0.0"}}
            result = (await call(gateway, "/internal/v1/lifecycle", body, TOKEN)).json()
            assert (result["ok"], result["status"]) == (ok, int(status[:3]))
            assert seen[0].target == "/_nimbus/lifecycle"
            assert json.loads(seen[0].body)["event"] == "enabled"


class TestAccess:
    @pytest.mark.parametrize("header", ["X-Nothing: 1", "Authorization: Bearer wrong", "Authorization: Basic x"])
    async def test_the_service_token_is_needed(self, tmp_path, header):
        async with running_gateway(tmp_path) as gateway:
            for path in ("/internal/v1/probe", "/internal/v1/lifecycle", "/internal/v1/ui"):
                answer = await call(gateway, path, upstream(("127.0.0.1", 1)), header)
                assert (answer.status, answer.json()["type"]) == (401, "/problems/unauthenticated")

    async def test_the_public_port_knows_none_of_it(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            answer = await gateway.get("/internal/v1/probe", TOKEN, method="POST", body=b"{}")
            assert answer.status == 405

    async def test_metrics_count_by_route_template(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            await gateway.get("/api/plugins/nobody/x")
            raw = await gateway.raw(
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", port=gateway.management_port
            )
            assert b'nimbus_requests_total{cause="client",method="GET",plugin="",route="",status="404"}' in raw
