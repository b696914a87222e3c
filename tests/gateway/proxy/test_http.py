"""HTTP through the gateway to a plugin, on real sockets: which requests arrive, and with which headers."""

import pytest
from nimbus_sdk.signing import verify_identity

from tests.gateway.proxy.demo import demo, once
from tests.support.connections import tcp_server
from tests.support.gateway import (
    Echo,
    eventually,
    respond,
    running_gateway,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class TestRouting:
    async def test_path_and_query_arrive_as_the_client_wrote_them(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get("/api/plugins/demo/files/a%20b/c%C3%A9?x=1&y=%2F")
            assert answer.status == 200
            assert echo.seen[0].target == "/files/a%20b/c%C3%A9?x=1&y=%2F"

    async def test_the_root_needs_its_slash(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            assert (await gateway.get("/api/plugins/demo/")).json()["target"] == "/"
            assert (await gateway.get("/api/plugins/demo")).json() == {"api": "/api/plugins/demo", "method": "GET"}

    @pytest.mark.parametrize("name", ["enable", "disable", "ui-manifest"])
    async def test_the_reserved_calls_are_the_platforms_for_every_method(self, tmp_path, name):
        async with running_gateway(tmp_path, demo(("127.0.0.1", 1))) as gateway:
            for method in ("GET", "POST", "DELETE"):
                answer = await gateway.get(f"/api/plugins/demo/{name}", method=method)
                assert answer.json() == {"api": f"/api/plugins/demo/{name}", "method": method}

    @pytest.mark.parametrize(
        ("path", "method", "status", "problem"),
        [
            ("/api/plugins/demo/nope", "GET", 404, "route-not-found"),
            ("/api/plugins/demo/hello", "POST", 405, "method-not-allowed"),
            ("/api/plugins/demo/_nimbus/health", "GET", 404, "route-not-found"),
            ("/api/plugins/demo/%5Fnimbus/health", "GET", 404, "route-not-found"),
            ("/api/plugins/other/hello", "GET", 404, "plugin-not-found"),
        ],
    )
    async def test_what_is_not_declared_never_reaches_the_plugin(self, tmp_path, path, method, status, problem):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get(path, method=method)
            assert (answer.status, answer.json()["type"]) == (status, f"/problems/{problem}")
            assert answer.get("content-type") == "application/problem+json"
            assert answer.json()["instance"] == answer.get("x-request-id")
            assert echo.seen == []

    async def test_a_wrong_method_names_the_right_ones(self, tmp_path):
        async with running_gateway(tmp_path, demo(("127.0.0.1", 1))) as gateway:
            assert (await gateway.get("/api/plugins/demo/hello", method="PUT")).get("allow") == "GET, HEAD"

    @pytest.mark.parametrize(
        ("state", "enabled", "status", "problem"),
        [
            ("disabled", False, 404, "plugin-disabled"),
            ("stopping", False, 404, "plugin-disabled"),
            ("starting", True, 503, "plugin-unavailable"),
            ("backoff", True, 503, "plugin-unavailable"),
            ("invalid", False, 503, "plugin-unavailable"),
        ],
    )
    async def test_a_plugin_that_does_not_serve_says_why(self, tmp_path, state, enabled, status, problem):
        async with running_gateway(tmp_path, demo(None, state=state, enabled=enabled)) as gateway:
            answer = await gateway.get("/api/plugins/demo/hello")
            assert (answer.status, answer.json()["type"]) == (status, f"/problems/{problem}")
            assert (answer.get("retry-after") is not None) == (status == 503)

    async def test_switched_off_plugin_host(self, tmp_path):
        async with running_gateway(tmp_path, demo(("127.0.0.1", 1)), enable_plugins=False) as gateway:
            answer = await gateway.get("/api/plugins/demo/hello")
            assert (answer.status, answer.json()["type"]) == (404, "/problems/plugins-disabled")

    async def test_a_new_snapshot_is_served_at_once_and_kept_on_disk(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            assert (await gateway.get("/api/plugins/demo/hello")).status == 200
            await gateway.publish(demo(None, state="disabled", enabled=False))
            assert (await gateway.get("/api/plugins/demo/hello")).status == 404
            await eventually(lambda: b'"generation":2' in (tmp_path / "snapshot.json").read_bytes())
            # The worker acknowledges what it serves by its next call.
            await eventually(lambda: any("serving=2" in call for call in gateway.registry.calls))


class TestAuthorisation:
    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("/hello", (), 200),
            ("/me", (), 401),
            ("/me", ("Cookie: nimbus_session=alice",), 200),
            ("/me", ("Cookie: __Host-nimbus_session=alice",), 200),
            ("/me", ("Cookie: nimbus_session=stale",), 401),
            ("/me", ("Authorization: Bearer nbk_good",), 401),
            ("/keyed", (), 401),
            ("/keyed", ("Authorization: Bearer nbk_good",), 200),
            ("/keyed", ("X-Api-Key: nbk_good",), 200),
            ("/keyed", ("X-Api-Key: nbk_bad",), 401),
            ("/keyed", ("Cookie: nimbus_session=alice",), 200),
            ("/scoped", ("X-Api-Key: nbk_good",), 403),
            ("/scoped", ("Cookie: nimbus_session=alice",), 200),
            ("/admin", ("Cookie: nimbus_session=alice",), 403),
            ("/admin", ("Cookie: nimbus_session=admin",), 200),
        ],
    )
    async def test_each_route_has_its_rule(self, tmp_path, path, headers, status):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get(f"/api/plugins/demo{path}", *headers)
            assert answer.status == status
            assert len(echo.seen) == (status == 200)
            assert b"nbk_" not in answer.body
            assert b"alice" not in answer.body.lower() or status == 200

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ((), 403),
            (("Origin: http://evil.example",), 403),
            (("Origin: null",), 403),
            (("Origin: http://localhost",), 200),
            (("Origin: http://LOCALHOST:80",), 403),
            (("Sec-Fetch-Site: same-origin",), 200),
            (("Sec-Fetch-Site: cross-site",), 403),
            (("Sec-Fetch-Site: none",), 403),
        ],
    )
    async def test_a_cookie_changes_something_only_from_an_own_page(self, tmp_path, headers, status):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get(
                "/api/plugins/demo/me", "Cookie: nimbus_session=alice", *headers, method="POST", body=b"{}"
            )
            assert answer.status == status
            if status == 403:
                assert answer.json()["type"] == "/problems/csrf"

    async def test_an_api_key_needs_no_origin(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get("/api/plugins/demo/keyed", "X-Api-Key: nbk_good", method="POST", body=b"")
            assert answer.status == 200

    async def test_on_an_open_route_a_foreign_pages_cookie_is_worth_nothing(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            cookie = "Cookie: nimbus_session=alice"
            for origin, named in (("http://evil.example", None), ("http://localhost", "0198-alice")):
                answer = await gateway.get(
                    "/api/plugins/demo/upload", cookie, f"Origin: {origin}", method="POST", body=b"x"
                )
                assert answer.status == 200
                assert echo.seen[-1].get("x-nimbus-user-id") == named

    async def test_the_plugin_can_check_who_calls(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            await gateway.get("/api/plugins/demo/me", "Cookie: theirs=1; nimbus_session=alice; more=2")
            request = echo.seen[0]
            claims = verify_identity(
                request.get("x-nimbus-identity"), gateway.state.signer.key_set(), audience="demo"
            )
            assert (claims.sub, claims.name, claims.sid) == ("0198-alice", "Alice", "s-alice")
            assert request.get("cookie") == "theirs=1; more=2"
            assert request.get("x-nimbus-user-id") == "0198-alice"
            assert request.get("x-nimbus-role") == "user"


class TestHeaders:
    async def test_what_the_client_claims_does_not_arrive(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            await gateway.get(
                "/api/plugins/demo/hello",
                "X-Nimbus-User-Id: root",
                "X_Nimbus_Role: admin",
                "x.nimbus.scopes: all",
                "X-Forwarded-For: 1.2.3.4",
                "X_Forwarded_Prefix: /x",
                "Forwarded: for=1.2.3.4",
                "X-Custom: kept",
                "X-Secret: hop",
                "Connection: x-secret, x-nimbus-plugin",
                "Authorization: Bearer theirs",
                "X-Api-Key: nbk_unknown",
            )
            request = echo.seen[0]
            for name in ("x-nimbus-user-id", "x_nimbus_role", "x.nimbus.scopes", "x_forwarded_prefix", "forwarded"):
                assert request.get(name) is None
            assert request.all("x-forwarded-for") == ["127.0.0.1"]
            assert request.get("x-forwarded-prefix") == "/api/plugins/demo"
            assert request.get("x-forwarded-host") == request.get("host") == "localhost"
            assert request.get("x-nimbus-plugin") == "demo"
            assert request.get("x-custom") == "kept"
            assert request.get("x-secret") is None
            assert request.get("authorization") == "Bearer theirs"
            assert request.get("x-api-key") is None
            assert request.get("traceparent").startswith("00-")

    async def test_what_the_plugin_must_not_set_does_not_arrive(self, tmp_path):
        echo = Echo(
            headers=(
                "Set-Cookie: nimbus_session=stolen",
                "Set-Cookie: wide=1; Domain=example.org",
                "Set-Cookie: own=1; Path=/deep; HttpOnly",
                "X-Nimbus-Role: admin",
                "Service-Worker-Allowed: /",
                "Location: /next",
                "X-Fine: yes",
            )
        )
        async with tcp_server(echo) as address, running_gateway(tmp_path, demo(address)) as gateway:
            answer = await gateway.get("/api/plugins/demo/hello")
            assert answer.all("set-cookie") == ["own=1; HttpOnly; Path=/api/plugins/demo/deep"]
            assert answer.get("x-nimbus-role") is None
            assert answer.get("service-worker-allowed") is None
            assert answer.get("location") == "/api/plugins/demo/next"
            assert answer.get("x-fine") == "yes"
            assert len(answer.all("date")) == 1
            assert answer.get("x-request-id") == echo.seen[0].get("x-request-id")

    async def test_documents_of_an_untrusted_plugin_are_sandboxed(self, tmp_path):
        page = once(respond(b"<script>1</script>", headers=("Content-Type: text/html", "X-Content-Type-Options: no")))
        async with tcp_server(page) as address, running_gateway(tmp_path, demo(address, trusted=False)) as gateway:
            answer = await gateway.get("/api/plugins/demo/hello")
            assert answer.get("content-security-policy").startswith("sandbox ")
            assert answer.all("x-content-type-options") == ["nosniff"]

    async def test_trusted_proxies_are_believed(self, tmp_path):
        echo = Echo()
        async with (
            tcp_server(echo) as address,
            running_gateway(tmp_path, demo(address), trusted_proxies=["127.0.0.0/8"]) as gateway,
        ):
            await gateway.get(
                "/api/plugins/demo/hello",
                "X-Forwarded-For: 9.9.9.9, 203.0.113.7",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: localhost",
                "X-Request-Id: from-the-proxy",
            )
            request = echo.seen[0]
            assert request.get("x-forwarded-for") == "203.0.113.7"
            assert request.get("x-forwarded-proto") == "https"
            assert request.get("x-request-id") == "from-the-proxy"
