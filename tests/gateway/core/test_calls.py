"""Calls from plugin to plugin, finding providers, and acting for a person."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from nimbus_gateway.auth.authenticator import hash_token
from nimbus_gateway.auth.credentials_store import load_session
from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.core.calls.app import PluginCalls
from nimbus_gateway.core.calls.rules import extended_chain
from nimbus_gateway.edge import Edge
from nimbus_gateway.errors import CallLoopError
from nimbus_gateway.guard.app import Guard
from nimbus_sdk.contracts.snapshot import SnapshotPlugin, Upstream
from nimbus_sdk.signing import verify_identity

from tests.gateway.core.sinks import serve_plugins
from tests.gateway.support import Nimbus, plugin, problem, token_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUTES = [
    {"path": "/search", "methods": ["GET", "POST"], "auth": "apikey", "scopes": ["target:read"]},
    {"path": "/admin", "methods": ["GET"], "auth": "session", "role": "admin"},
    {"path": "/open", "methods": ["GET"], "auth": "none"},
]


class Echo:
    """A plugin that answers with what it got."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[dict[str, Any]] = []


@asynccontextmanager
async def echoing() -> AsyncIterator[Echo]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            echo.requests.append({"line": first, "headers": headers, "body": body.decode()})
            answer = json.dumps({"you sent": body.decode()}).encode()
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\nX-Own: yes\r\n\r\n" % len(answer) + answer)
            await writer.drain()
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    echo = Echo(server.sockets[0].getsockname()[1])
    async with server:
        yield echo


def target(echo: Echo) -> SnapshotPlugin:
    made = plugin("target", routes=ROUTES, capabilities=["api", "downloader"])
    return made.model_copy(update={"upstream": Upstream(host="127.0.0.1", port=echo.port)})


def caller(nimbus: Nimbus, plugin_id: str) -> httpx.AsyncClient:
    """The core's whole listener, as a plugin calls it."""
    app = Edge(
        Guard(PluginCalls(nimbus.state, nimbus.core_app), nimbus.state.settings, any_host=True),
        nimbus.state.access_log,
        listener="core",
    )
    return nimbus.client(app, headers={"Authorization": f"Bearer {token_of(plugin_id)}"})


@pytest.fixture
async def echo(nimbus: Nimbus) -> AsyncIterator[Echo]:
    async with echoing() as found:
        await serve_plugins(
            nimbus,
            target(found),
            plugin("asker", grants=("plugins:call:target", "media:read")),
            plugin("other", grants=("plugins:call:elsewhere",)),
        )
        yield found


CALL = "/core/v1/plugins/target/call"


class TestCalls:
    async def test_are_passed_on_with_the_callers_name(self, nimbus: Nimbus, echo: Echo):
        answer = await caller(nimbus, "asker").post(f"{CALL}/search?q=a%20b", content="wanted")
        assert (answer.status_code, answer.json()) == (201, {"you sent": "wanted"})
        assert answer.headers["x-own"] == "yes"
        (seen,) = echo.requests
        assert seen["line"] == "POST /search?q=a%20b HTTP/1.1"
        headers = seen["headers"]
        assert headers["x-nimbus-caller-plugin"] == "asker"
        assert headers["x-nimbus-role"] == "plugin"
        assert headers["x-nimbus-call-chain"] == "asker"
        assert "x-nimbus-user-id" not in headers
        assert not any(token_of("asker") in value for value in headers.values())
        claims = verify_identity(headers["x-nimbus-identity"], nimbus.state.signer.key_set(), audience="target")
        assert claims.sub == "plugin:asker"

    async def test_need_the_permission(self, nimbus: Nimbus, echo: Echo):
        body = problem(await caller(nimbus, "other").get(f"{CALL}/search"), 403, "permission-missing")
        assert body["missing"] == "plugins:call:target"
        problem(await caller(nimbus, "nobody").get(f"{CALL}/search"), 401, "unauthenticated")
        assert echo.requests == []

    @pytest.mark.parametrize(
        ("path", "status", "kind"),
        [
            (f"{CALL}/admin", 403, "forbidden"),
            (f"{CALL}/undeclared", 404, "route-not-found"),
            (f"{CALL}/_nimbus/health", 404, "route-not-found"),
            (CALL, 404, "not-found"),
        ],
    )
    async def test_reach_only_what_is_declared(self, nimbus: Nimbus, echo: Echo, path: str, status: int, kind: str):
        problem(await caller(nimbus, "asker").get(path), status, kind)
        assert echo.requests == []

    async def test_a_circle_is_refused(self, nimbus: Nimbus, echo: Echo):
        headers = {"X-Nimbus-Call-Chain": "target,asker"}
        body = problem(await caller(nimbus, "asker").get(f"{CALL}/search", headers=headers), 508, "call-loop")
        assert "target → asker" in body["detail"]
        assert echo.requests == []

    async def test_other_calls_go_to_the_core(self, nimbus: Nimbus, echo: Echo):
        assert (await caller(nimbus, "asker").get("/core/v1/self")).json()["id"] == "asker"

    async def test_a_plugin_that_is_off_is_said_so(self, nimbus: Nimbus, echo: Echo):
        await serve_plugins(nimbus, plugin("target", state="disabled"), plugin("asker", grants=("plugins:call:*",)))
        problem(await caller(nimbus, "asker").get(f"{CALL}/search"), 404, "plugin-disabled")


def test_chains():
    assert extended_chain("", "a1", "b1") == ("a1",)
    assert extended_chain("a1, b1", "c1", "d1") == ("a1", "b1", "c1")
    assert extended_chain("x y,<script>", "c1", "d1") == ("c1",)
    for given, caller_id, called in (("", "a1", "a1"), ("a1", "b1", "a1")):
        with pytest.raises(CallLoopError):
            extended_chain(given, caller_id, called)
    with pytest.raises(CallLoopError, match="8 plugins"):
        extended_chain(",".join(f"p{number}" for number in range(7)), "p8", "p9")


async def test_providers_are_found_by_capability(nimbus: Nimbus, echo: Echo):
    asker = nimbus.plugin("asker")
    (found,) = (await asker.get("/core/v1/plugins", params={"capability": "downloader"})).json()["items"]
    assert (found["id"], found["ready"], found["callable"]) == ("target", True, True)
    everybody = (await asker.get("/core/v1/plugins")).json()["items"]
    assert [item["id"] for item in everybody] == ["other", "target"]
    assert everybody[0]["callable"] is False


class TestOnBehalf:
    async def identity(self, nimbus: Nimbus, client: httpx.AsyncClient, audience: str = "asker") -> dict[str, str]:
        me = (await client.get("/api/auth/me")).json()
        async with nimbus.state.database.read() as session:
            found = await load_session(session, hash_token(client.cookies["nimbus_session"]))
        assert found is not None
        assert found.principal.id == me["id"]
        return {"X-Nimbus-On-Behalf-Of": nimbus.state.signer.token(found.principal, audience)}

    async def test_the_person_is_who_calls(self, nimbus: Nimbus, echo: Echo):
        admin = await nimbus.admin()
        headers = await self.identity(nimbus, admin)
        assert (await caller(nimbus, "asker").get(f"{CALL}/admin", headers=headers)).status_code == 201
        seen = echo.requests[0]["headers"]
        assert (seen["x-nimbus-user-name"], seen["x-nimbus-caller-plugin"]) == ("admin", "asker")
        assert "x-nimbus-on-behalf-of" not in seen
        claims = verify_identity(seen["x-nimbus-identity"], nimbus.state.signer.key_set(), audience="target")
        assert claims.role == "admin"

    async def test_only_what_both_may(self, nimbus: Nimbus, echo: Echo):
        user = await nimbus.user()
        headers = await self.identity(nimbus, user)
        problem(await caller(nimbus, "asker").get(f"{CALL}/admin", headers=headers), 403, "forbidden")
        problem(await caller(nimbus, "other").get(f"{CALL}/search", headers=headers), 403, "permission-missing")
        asker = nimbus.plugin("asker")
        assert (await asker.get("/core/v1/media", headers=headers)).status_code == 200
        refused = await asker.post("/core/v1/media", json={"kind": "movie", "title": "x"}, headers=headers)
        problem(refused, 403, "permission-missing")

    async def test_an_api_key_keeps_its_scopes(self, nimbus: Nimbus, echo: Echo):
        admin = await nimbus.admin()
        made = (await admin.post("/api/admin/api-keys", json={"name": "k", "scopes": ["other:read"]})).json()
        key = Principal("api-key", made["id"], "k", "user", frozenset({"target:read", "media:read"}))
        headers = {"X-Nimbus-On-Behalf-Of": nimbus.state.signer.token(key, "asker")}
        problem(await caller(nimbus, "asker").get(f"{CALL}/search", headers=headers), 403, "permission-missing")
        body = problem(await nimbus.plugin("asker").get("/core/v1/media", headers=headers), 403, "permission-missing")
        assert body["missing"] == "media:read"

    async def test_ends_with_the_session(self, nimbus: Nimbus, echo: Echo):
        user = await nimbus.user()
        headers = await self.identity(nimbus, user)
        await user.post("/api/auth/logout")
        problem(await nimbus.plugin("asker").get("/core/v1/media", headers=headers), 401, "unauthenticated")

    async def test_a_token_for_another_plugin_or_none_at_all(self, nimbus: Nimbus, echo: Echo):
        asker = nimbus.plugin("asker")
        elsewhere = await self.identity(nimbus, await nimbus.admin(), audience="target")
        platform = {"X-Nimbus-On-Behalf-Of": nimbus.state.signer.platform_token("asker")}
        for headers in (elsewhere, platform, {"X-Nimbus-On-Behalf-Of": "nonsense"}):
            problem(await asker.get("/core/v1/media", headers=headers), 401, "unauthenticated")
