"""Requests on compatibility ports: the same proxy, at the root, for API keys alone."""

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.gateway import Echo, manifest, running_gateway, snapshot_plugin, tcp_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TAG = "compat:sonarr"
ROUTES = [
    {"path": "/api/v3/series", "methods": ["GET", "POST"], "auth": "apikey", "scopes": ["demo:read"], "tag": TAG},
    {"path": "/api/v3/series/{id}", "methods": ["GET"], "auth": "apikey", "tag": TAG},
    {"path": "/ping", "methods": ["GET"], "auth": "none", "tag": TAG},
    {"path": "/files/{rest:path}", "methods": ["GET"], "auth": "none", "tag": TAG},
    {"path": "/mine", "methods": ["GET"], "auth": "session", "tag": TAG},
    {"path": "/else", "methods": ["GET"], "auth": "none"},
    {"path": "/", "methods": ["GET"], "auth": "none", "tag": TAG},
]
KEY = "X-Api-Key: nbk_good"


def run(test, echo=None, **options):
    """Run a test with a gateway whose first compatibility port is mapped."""

    async def inner(tmp_path):
        async with (
            tcp_server(echo or Echo()) as address,
            running_gateway(
                Path(tempfile.mkdtemp(dir=tmp_path)), snapshot_plugin(manifest(ROUTES), address), **options
            ) as gateway,
        ):
            gateway.state.compat_ports.serve({gateway.compat_ports[0]: "demo"})
            await test(gateway, gateway.compat_ports[0])

    return inner


class TestWhatAppears:
    @pytest.mark.parametrize(
        ("path", "headers", "status", "problem"),
        [
            ("/ping", (), 200, None),
            ("/", (), 200, None),
            ("/files/a/b", (), 200, None),
            ("/api/v3/series", (KEY,), 200, None),
            ("/api/v3/series?apikey=nbk_good", (), 200, None),
            ("/api/v3/series", ("Authorization: Bearer nbk_good",), 200, None),
            ("/api/v3/series", (), 401, "unauthenticated"),
            ("/api/v3/series?apikey=nbk_bad", (), 401, "unauthenticated"),
            ("/api/v3/series?apikey=other", (), 401, "unauthenticated"),
            ("/api/v3/series", ("Cookie: nimbus_session=admin",), 401, "unauthenticated"),
            ("/mine", ("Cookie: nimbus_session=alice",), 401, "unauthenticated"),
            ("/mine", (KEY,), 401, "unauthenticated"),
            ("/else", (), 404, "route-not-found"),
            ("/_nimbus/health", (), 404, "route-not-found"),
            ("/api/plugins/demo/ping", (), 404, "route-not-found"),
            ("/api/plugins", (KEY,), 404, "route-not-found"),
            ("/core/v1/self", (KEY,), 404, "route-not-found"),
            ("/healthz", (), 404, "route-not-found"),
            ("/metrics", (KEY,), 404, "route-not-found"),
            ("/ping/..%2felse", (), 400, "bad-request-path"),
            ("/./else", (), 400, "bad-request-path"),
        ],
    )
    async def test_its_own_routes_and_nothing_else(self, tmp_path, path, headers, status, problem):
        async def test(gateway, port):
            answer = await gateway.get(path, *headers, port=port)
            assert answer.status == status, answer.body
            if problem is not None:
                assert answer.json()["type"] == f"/problems/{problem}"

        await run(test)(tmp_path)

    async def test_an_unmapped_port_says_what_to_do(self, tmp_path):
        async def test(gateway, _):
            port = gateway.compat_ports[1]
            answer = await gateway.get("/ping", port=port)
            assert (answer.status, answer.json()["type"]) == (404, "/problems/compat-port-unmapped")
            assert f"/api/admin/compat-ports/{port}" in answer.json()["detail"]

        await run(test)(tmp_path)

    async def test_a_foreign_host_is_refused(self, tmp_path):
        async def test(gateway, port):
            raw = b"GET /ping HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
            assert (await gateway.raw(raw, port=port)).startswith(b"HTTP/1.1 421")

        await run(test)(tmp_path)

    async def test_the_key_of_the_address_counts_nowhere_else(self, tmp_path):
        async def test(gateway, _):
            answer = await gateway.get("/api/plugins/demo/api/v3/series?apikey=nbk_good")
            assert answer.status == 401

        await run(test)(tmp_path)

    async def test_a_plugin_that_is_gone_or_has_no_such_routes_any_more(self, tmp_path):
        async def test(gateway, port):
            await gateway.publish(snapshot_plugin(manifest([ROUTES[5]]), ("127.0.0.1", 9)))
            answer = await gateway.get("/else", port=port)
            assert (answer.status, answer.json()["type"]) == (404, "/problems/route-not-found")
            await gateway.publish()
            answer = await gateway.get("/ping", port=port)
            assert (answer.status, answer.json()["type"]) == (404, "/problems/plugin-not-found")

        await run(test)(tmp_path)


class TestWhatThePluginGets:
    async def test_neither_key_nor_cookie(self, tmp_path):
        async def test(gateway, port):
            answer = await gateway.get(
                "/api/v3/series?a=%2F&apikey=nbk_good&b", "Cookie: nimbus_session=admin; own=1", port=port
            )
            seen = answer.json()
            names = {name.lower() for name, _ in seen["headers"]}
            assert seen["target"] == "/api/v3/series?a=%2F&b"
            assert not names & {"cookie", "x-api-key", "authorization", "x-forwarded-prefix"}
            headers = {name.lower(): value for name, value in seen["headers"]}
            assert (headers["x-nimbus-user-id"], headers["x-nimbus-plugin"]) == ("key:k1", "demo")
            assert "nbk_good" not in answer.body.decode()

        await run(test)(tmp_path)

    async def test_a_body(self, tmp_path):
        async def test(gateway, port):
            answer = await gateway.get("/api/v3/series", KEY, method="POST", body=b'{"title": "x"}', port=port)
            assert json.loads(answer.json()["body"]) == {"title": "x"}

        await run(test)(tmp_path)


class TestWhatTheClientGets:
    async def test_redirects_at_the_root_and_no_cookies(self, tmp_path):
        async def test(gateway, port):
            answer = await gateway.get("/ping", port=port)
            assert answer.get("location") == "/login"
            assert answer.all("set-cookie") == []

        echo = Echo(headers=("Location: /login", "Set-Cookie: a=1; Path=/"), status="302 Found")
        await run(test, echo)(tmp_path)


class TestWhatIsKept:
    async def test_no_log_line_and_no_metric_holds_the_key(self, tmp_path, caplog):
        lines = []

        async def test(gateway, port):
            gateway.state.access_log._write = lines.append
            for path in ("/api/v3/series?apikey=nbk_good", "/nope?ApiKey=nbk_good", "/ping?apikey=nbk_good"):
                await gateway.get(path, port=port)
            metrics = await gateway.get("/metrics", port=gateway.management_port)
            assert "nbk_" not in metrics.body.decode()
            gateway.state.access_log.flush()

        caplog.set_level("INFO", logger="nimbus.access")
        await run(test, log_format="json")(tmp_path)
        written = [json.loads(line) for line in "".join(lines).splitlines()]
        paths = {line["path"] for line in written if line["listener"] == "compat"}
        assert paths == {"/api/v3/series", "/nope", "/ping"}
        assert "nbk_" not in "".join(lines) + caplog.text


PATHS = st.sampled_from(
    [
        "/ping",
        "/ping?a=%2F&b",
        "/files/a%20b/c",
        "/files/a%2e",
        "/api/v3/series",
        "/api/v3/series/7",
        "/nope",
        "/mine",
    ]
)
HEADERS = st.sampled_from(
    [KEY, "X-Api-Key: theirs", "Authorization: Bearer nbk_good", "X-Nimbus-Role: admin", "X-Own: 1", "Accept: */*"]
)
_DIFFERENT = {"x-request-id", "traceparent", "x-nimbus-identity", "x-forwarded-prefix", "host", "x-forwarded-host"}


def comparable(answer):
    document = answer.json() if answer.body else {}
    if "headers" in document:
        document["headers"] = sorted(pair for pair in document["headers"] if pair[0].lower() not in _DIFFERENT)
    document.pop("instance", None)
    headers = sorted(pair for pair in answer.headers if pair[0] not in {"x-request-id", "date", "content-length"})
    return answer.status, headers, document


class TestSameAsOnThePublicPort:
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(
            st.tuples(PATHS, st.sampled_from(["GET", "POST", "HEAD"]), st.lists(HEADERS, max_size=3)), min_size=5
        )
    )
    def test_for_routes_that_appear_on_both(self, tmp_path, asked):
        async def test(gateway, port):
            for path, method, headers in asked:
                here = await gateway.get(path, *headers, method=method, port=port)
                there = await gateway.get(f"/api/plugins/demo{path}", *headers, method=method)
                assert comparable(here) == comparable(there), (path, method, headers)

        asyncio.run(run(test)(tmp_path))
