"""Routes, callers, injection and errors, through the test kit."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import APIRouter, HTTPException, Path, Query
from nimbus_sdk import (
    Caller,
    Config,
    Core,
    Logger,
    Media,
    NotReady,
    Plugin,
    Secret,
    Settings,
    User,
)
from nimbus_sdk.errors import ManifestError, RoutesDisagree
from nimbus_sdk.testing import PluginTestClient
from pydantic import BaseModel, field_validator

from tests.sdk.conftest import MakePlugin


class SampleSettings(Settings):
    limit: int = 3
    token: str = ""


class TestRoutes:
    def test_first_the_manifest_decides_then_the_handler_answers(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.get("/open", auth="none")
        def hello() -> dict[str, str]:
            return {"message": "hello"}

        with PluginTestClient(plugin) as client:
            assert client.anonymous().get("/open").json() == {"message": "hello"}
            undeclared = client.anonymous().get("/other")
            assert (undeclared.status_code, undeclared.json()["type"]) == (404, "/problems/not-found")
            assert "manifest" in undeclared.json()["detail"]
            wrong = client.anonymous().post("/open")
            assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
            assert wrong.headers["content-type"] == "application/problem+json"
            assert wrong.json()["instance"].startswith("test-")

    def test_routers_and_other_parts_of_fastapi_work(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()
        router = APIRouter(prefix="/admin")

        @router.get("/users/{name}")
        async def user(name: Annotated[str, Path(max_length=3)], page: Annotated[int, Query(ge=1)] = 1) -> str:
            return f"{name}:{page}"

        plugin.app.include_router(router)
        with PluginTestClient(plugin) as client:
            admin = client.as_user(role="admin")
            assert admin.get("/admin/users/ada", params={"page": 2}).json() == "ada:2"
            bad = admin.get("/admin/users/ada", params={"page": 0})
            assert bad.status_code == 422
            assert bad.json()["errors"][0]["path"] == "page"

    def test_body_errors_carry_json_pointers(self, make_plugin: MakePlugin) -> None:
        class Body(BaseModel):
            tags: list[int]

        plugin = make_plugin()

        @plugin.put("/items/{key}")
        async def put(key: str, body: Body) -> Body:
            return body

        with PluginTestClient(plugin) as client:
            answer = client.as_user().put("/items/1", json={"tags": [1, "x"]})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["path"] == "/tags/1"

    def test_body_errors_show_no_whole_body(self, make_plugin: MakePlugin) -> None:
        """It may hold a secret beside what is wrong."""

        class Body(BaseModel):
            name: str
            secret: str

            @field_validator("name")
            @classmethod
            def short(cls, name: str) -> str:
                if len(name) > 3:
                    raise ValueError("a short name")
                return name

        plugin = make_plugin()

        @plugin.put("/items/{key}")
        async def put(key: str, body: Body) -> Body:
            return body

        with PluginTestClient(plugin) as client:
            lacking = client.as_user().put("/items/1", json={"secret": "hush"})
            assert lacking.json()["errors"] == [{"path": "/name", "message": "Field required"}]
            wrong = client.as_user().put("/items/1", json={"name": "Archibald", "secret": "hush"})
            assert wrong.json()["errors"] == [{"path": "/name", "message": "a short name", "value": "Archibald"}]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"path": "/open", "auth": "session"}, "auth='session'"),
            ({"path": "/mine", "role": "admin"}, "role='admin'"),
            ({"path": "/items/{key}", "scopes": ["sample:write"]}, "scopes=['sample:write']"),
            ({"path": "/missing", "auth": "none"}, '{"path": "/missing", "methods": ["GET"], "auth": "none"}'),
            ({"path": "/items", "auth": "none"}, "is not in the manifest"),
        ],
    )
    def test_code_and_manifest_must_agree(self, make_plugin: MakePlugin, options: dict[str, str], words: str) -> None:
        plugin = make_plugin()

        @plugin.get(**options)
        async def handler() -> None:
            return None

        with pytest.raises(RoutesDisagree) as caught, PluginTestClient(plugin):
            pytest.fail("it started")
        assert words in str(caught.value)
        assert "handler" in str(caught.value)

    def test_a_rest_route_covers_what_lies_below(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.route("/admin/users/{name}", methods=["delete"], role="admin")
        async def remove(name: str) -> str:
            return name

        with PluginTestClient(plugin) as client:
            assert client.as_user(role="admin").delete("/admin/users/x").json() == "x"

    def test_a_broken_manifest_lists_everything(self, make_plugin: MakePlugin) -> None:
        with pytest.raises(ManifestError) as caught:
            make_plugin(id="No", version="one")
        assert "/id" in str(caught.value)
        assert "/version" in str(caught.value)


class TestCallers:
    @pytest.fixture
    def client(self, make_plugin: MakePlugin) -> PluginTestClient:
        plugin = make_plugin()

        @plugin.get("/open")
        async def open_(caller: Caller | None, user: User | None) -> list[str | None]:
            return [caller.kind if caller else None, user.name if user else None]

        @plugin.get("/mine")
        async def mine(caller: Caller) -> list[str]:
            return [caller.kind, caller.id]

        @plugin.get("/items/{key}")
        async def item(key: str, user: User) -> str:
            return user.id

        @plugin.get("/admin/x")
        async def admin(user) -> bool:
            return user.is_admin

        return PluginTestClient(plugin)

    def test_open_routes_may_know_who_calls(self, client: PluginTestClient) -> None:
        with client:
            assert client.anonymous().get("/open").json() == [None, None]
            assert client.as_user("ada").get("/open").json() == ["user", "ada"]
            assert client.as_api_key("k").get("/open").json() == ["api-key", None]

    def test_each_kind_of_caller_passes_where_it_may(self, client: PluginTestClient) -> None:
        with client:
            assert client.anonymous().get("/mine").status_code == 401
            assert client.as_user("ada").get("/mine").json() == ["user", "id-of-ada"]
            assert client.as_plugin("other").get("/mine").json() == ["plugin", "other"]
            assert client.as_api_key().get("/mine").status_code == 403
            assert client.as_api_key().get("/items/1").status_code == 403
            # Its permission to call this plugin stands for scopes; what is left is that it is nobody who signed in.
            assert "scope" not in client.as_plugin("other").get("/items/1").text.lower()
            with_scope = client.as_api_key(scopes=("sample:read",)).get("/items/1")
            assert (with_scope.status_code, with_scope.json()["detail"]) == (403, "This needs a signed-in user.")
            assert client.as_user().get("/items/1").status_code == 200
            assert client.as_user().get("/admin/x").status_code == 403
            assert client.as_user(role="admin").get("/admin/x").json() is True

    def test_a_header_without_a_token_is_worth_nothing(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.get("/open")
        async def headers(request: "Request") -> list[str]:
            return [name for name in request.headers if name.startswith("x-nimbus")]

        from fastapi import Request  # noqa: PLC0415 - the annotation above is resolved late

        headers.__globals__["Request"] = Request
        plugin = make_plugin()
        plugin.get("/open")(headers)
        with PluginTestClient(plugin) as client:
            forged = {"X-Nimbus-User-Id": "root", "X-Nimbus-Role": "admin", "X-Nimbus-Scopes": "*"}
            assert client.anonymous().get("/open", headers=forged).json() == ["x-nimbus-plugin"]

    @pytest.mark.parametrize("token", ["", "x", "a.b.c"])
    @pytest.mark.parametrize("path", ["/open", "/mine"])
    def test_a_bad_token_is_refused_everywhere(self, client: PluginTestClient, token: str, path: str) -> None:
        with client:
            answer = client.send("GET", path, headers={"X-Nimbus-Identity": token})
            assert answer.status_code == 401
            twice = [("X-Nimbus-Identity", token), ("X-Nimbus-Identity", token)]
            assert client.send("GET", path, headers=twice).status_code == 401

    def test_a_token_for_another_plugin_is_refused(self, client: PluginTestClient, make_plugin: MakePlugin) -> None:
        with client, PluginTestClient(make_plugin(id="other")) as other:
            token = other.headers_for({"sub": "u", "role": "user"})["X-Nimbus-Identity"]
            assert client.send("GET", "/mine", headers={"X-Nimbus-Identity": token}).status_code == 401


class TestInjection:
    def test_by_type_and_by_name(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.get("/open")
        async def typed(a: Media, b: Config, c: Core, d: Logger, *, e: SampleSettings) -> list[object]:
            d.info("seen", limit=e.limit)
            return [type(a).__name__, type(b).__name__, type(c).__name__, e.limit]

        @plugin.get("/mine")
        def named(media, config, core, log, user, *, q: int = 7) -> list[object]:
            return [type(media).__name__, type(config).__name__, type(core).__name__, user.id, q]

        with PluginTestClient(plugin) as client:
            client.core.config["limit"] = 9
            assert client.anonymous().get("/open").json() == ["Media", "Config", "Core", 9]
            assert client.as_user("x").get("/mine?q=8").json() == ["Media", "Config", "Core", "id-of-x", 8]

    def test_names_with_other_types_are_left_to_fastapi(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.get("/open")
        async def handler(media: str, log: int = 1) -> list[object]:
            return [media, log]

        with PluginTestClient(plugin) as client:
            assert client.anonymous().get("/open", params={"media": "m", "log": 2}).json() == ["m", 2]

    def test_handlers_stay_callable(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.get("/open")
        def handler(log, n: int = 2) -> int:
            return n + (log is None)

        assert handler(None) == 3

    def test_a_hook_that_wants_the_impossible_says_so(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()
        with pytest.raises(TypeError, match="'weather'"):

            @plugin.check
            def check(weather: str) -> None:
                return None

    def test_settings_without_value_make_it_not_ready(self, make_plugin: MakePlugin) -> None:
        class Strict(Settings):
            token: str

        plugin = make_plugin()

        @plugin.get("/open")
        async def handler(settings: Strict) -> str:
            return settings.token

        with PluginTestClient(plugin) as client:
            answer = client.anonymous().get("/open")
            assert (answer.status_code, "token" in answer.json()["detail"]) == (503, True)

    def test_the_last_settings_are_used_while_the_core_is_away(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.get("/open")
        async def handler(settings: SampleSettings) -> int:
            return settings.limit

        with PluginTestClient(plugin) as client:
            client.core.config["limit"] = 5
            assert client.anonymous().get("/open").json() == 5
            client.lifecycle("config_changed")
            with client.core.answering(503, retry_after=0):
                assert client.anonymous().get("/open").json() == 5


class TestErrors:
    @pytest.fixture
    def client(self, make_plugin: MakePlugin) -> PluginTestClient:
        plugin = make_plugin()

        @plugin.get("/open")
        async def handler(what: str, media: Media) -> None:
            match what:
                case "http":
                    raise HTTPException(418, "teapot", headers={"x-tea": "yes"})
                case "get":
                    await media.get("nothing")
                case "create":
                    await media.create("Bad Kind", "")
                case "ready":
                    raise NotReady("warming up")
                case "bug":
                    raise KeyError("secret")

        return PluginTestClient(plugin, raise_exceptions=False)

    def test_all_are_problems(self, client: PluginTestClient) -> None:
        with client:
            nobody = client.anonymous()

            def call(what: str) -> tuple[int, str, str]:
                answer = nobody.get("/open", params={"what": what})
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["instance"].startswith("test-")
                return answer.status_code, answer.json()["type"], answer.text

            assert call("http")[0] == 418
            assert call("get")[:2] == (404, "/problems/not-found")
            status, _, text = call("create")
            assert status == 422
            assert "/kind" in text
            assert "/title" in text
            assert call("ready")[:2] == (503, "/problems/plugin-unavailable")
            status, kind, text = call("bug")
            assert (status, kind) == (500, "/problems/plugin-failed")
            assert "secret" not in text
            client.core.permissions.clear()
            status, _, text = call("get")
            assert status == 500
            assert "media:read" in text
            client.core.permissions.add("media:read")
            with client.core.answering(503, retry_after=0):
                assert call("get")[:2] == (503, "/problems/plugin-unavailable")


class TestServing:
    def test_the_bare_app_recognises_nobody(self, make_plugin: MakePlugin) -> None:

        import httpx  # noqa: PLC0415

        plugin = make_plugin()

        @plugin.get("/mine")
        async def handler(user: User) -> str:
            return user.id

        async def call() -> int:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(plugin.app), base_url="http://x") as http:
                return (await http.get("/mine")).status_code

        assert asyncio.run(call()) == 401

    def test_a_manifest_of_another_plugin_does_not_start(
        self, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NIMBUS_PLUGIN_ID", "other")
        plugin: Plugin = make_plugin()
        with pytest.raises(ManifestError, match="'other'"):
            _ = plugin.server

    def test_the_apps_lifespan_runs(self, make_plugin: MakePlugin) -> None:
        from contextlib import asynccontextmanager  # noqa: PLC0415

        from fastapi import FastAPI  # noqa: PLC0415

        seen: list[str] = []

        @asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
            seen.append("up")
            yield
            seen.append("down")

        plugin = make_plugin()
        plugin.app.router.lifespan_context = lifespan
        with PluginTestClient(plugin):
            assert seen == ["up"]
        assert seen == ["up", "down"]

    def test_the_kit_must_be_opened(self, make_plugin: MakePlugin) -> None:
        with pytest.raises(RuntimeError, match="with statement"):
            PluginTestClient(make_plugin()).anonymous().get("/open")


class TestNestedSettings:
    def test_models_stand_in_their_places_so_that_secrets_are_seen(self) -> None:
        class Server(BaseModel):
            url: str
            key: Secret = ""

        class Mine(Settings):
            servers: list[Server] = []  # noqa: RUF012 - pydantic copies it
            main: Server | None = None

        properties = Mine.json_schema()["properties"]
        assert properties["servers"]["items"]["properties"]["key"]["x-secret"] is True
        assert properties["main"]["anyOf"][0]["properties"]["url"] == {"type": "string"}
        assert "$defs" not in Mine.json_schema()

    def test_a_model_that_holds_itself_is_refused(self) -> None:
        class Mine(Settings):
            node: "Node"

        class Node(BaseModel):
            below: "list[Node]" = []

        Node.model_rebuild(_types_namespace={"Node": Node})
        Mine.model_rebuild(_types_namespace={"Node": Node})
        with pytest.raises(TypeError, match="Node"):
            Mine.json_schema()
