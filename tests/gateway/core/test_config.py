"""Plugins' settings: their own calls and the administrators' form."""

import asyncio
import json
import threading
from typing import Any

import pytest
from nimbus_gateway.core.config import service
from nimbus_gateway.core.config.schema import document_problems, setting_problems
from nimbus_gateway.core.config.tables import PluginSetting
from nimbus_gateway.core.config.turns import MOST_AT_ONCE
from nimbus_gateway.errors import ConflictError, RegistryUnavailableError
from nimbus_gateway.plugins.platform_calls import build_management_api
from nimbus_sdk.contracts.snapshot import Snapshot, Upstream
from sqlmodel import select

from tests.gateway.support import Nimbus, plugin, problem

pytestmark = pytest.mark.anyio


async def put(client, key: str, value, **headers):
    return await client.put(f"/core/v1/config/{key}", json={"value": value}, headers=headers)


class TestOwnSettings:
    async def test_defaults_then_what_is_set_then_defaults_again(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        answer = await hello.get("/core/v1/config/greeting")
        assert (answer.json(), answer.headers["etag"]) == ({"value": "Hello"}, '"default"')
        stored = await put(hello, "greeting", "Servus")
        assert stored.status_code == 200
        again = await hello.get("/core/v1/config/greeting")
        assert again.json() == {"value": "Servus"}
        assert again.headers["etag"] == stored.headers["etag"]
        assert (await hello.get("/core/v1/config")).json() == {"values": {"greeting": "Servus"}}
        assert (await hello.delete("/core/v1/config/greeting")).status_code == 204
        assert (await hello.get("/core/v1/config/greeting")).json() == {"value": "Hello"}

    async def test_what_is_neither_set_nor_default_is_404(self, nimbus: Nimbus):
        problem(await nimbus.plugin("hello").get("/core/v1/config/retries"), 404, "not-found")
        assert (await nimbus.plugin("hello").delete("/core/v1/config/retries")).status_code == 204

    async def test_plugins_do_not_see_each_other(self, nimbus: Nimbus):
        await put(nimbus.plugin("hello"), "retries", 3)
        other = nimbus.plugin("other")
        problem(await other.get("/core/v1/config/retries"), 404, "not-found")
        assert (await other.get("/core/v1/config")).json() == {"values": {"greeting": "Hello"}}

    @pytest.mark.parametrize(
        ("key", "value", "path"),
        [
            ("greeting", 7, "/value"),
            ("greeting", "x" * 41, "/value"),
            ("retries", 10, "/value"),
            ("unknown", 1, ""),
        ],
    )
    async def test_values_must_fit_the_manifest(self, nimbus: Nimbus, key: str, value, path: str):
        body = problem(await put(nimbus.plugin("hello"), key, value), 422, "validation")
        assert body["errors"][0].get("path") == path

    @pytest.mark.parametrize("key", ["7up", "a b", "%00", "x" * 200])
    async def test_keys_are_plain(self, nimbus: Nimbus, key: str):
        problem(await put(nimbus.plugin("hello"), key, 1), 422, "validation")

    async def test_only_one_of_two_writers_wins(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        first = await put(hello, "retries", 1)
        tag = first.headers["etag"]
        assert (await put(hello, "retries", 2, **{"If-Match": tag})).status_code == 200
        problem(await put(hello, "retries", 3, **{"If-Match": tag}), 412, "precondition-failed")
        problem(await hello.delete("/core/v1/config/retries", headers={"If-Match": tag}), 412, "precondition-failed")
        assert (await hello.get("/core/v1/config/retries")).json() == {"value": 2}

    async def test_a_guard_on_nothing_fails(self, nimbus: Nimbus):
        problem(await put(nimbus.plugin("hello"), "retries", 1, **{"If-Match": "*"}), 412, "precondition-failed")

    async def test_secrets_are_sealed_in_the_database(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        assert (await put(hello, "token", "s3cret-value")).status_code == 200
        async with nimbus.state.database.read() as session:
            row = (await session.exec(select(PluginSetting))).one()
        assert "s3cret" not in str(row.content)
        assert (await hello.get("/core/v1/config/token")).json() == {"value": "s3cret-value"}

    async def test_without_a_schema_anything_json_is_kept(self, nimbus: Nimbus):
        free = plugin("free", settings=None)
        nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=[free]))
        client = nimbus.plugin("free")
        for value in (None, [1, {"a": None}], "text", 1.5, False):
            assert (await put(client, "any.thing", value)).status_code == 200
            assert (await client.get("/core/v1/config/any.thing")).json() == {"value": value}

    async def test_a_broken_schema_is_named(self, nimbus: Nimbus):
        broken = plugin("broken", settings={"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}})
        nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=[broken]))
        problem(await put(nimbus.plugin("broken"), "a", 1), 409, "conflict")


class TestForm:
    PATH = "/api/admin/plugins/hello/config"

    async def test_shows_no_secret(self, nimbus: Nimbus):
        await put(nimbus.plugin("hello"), "token", "s3cret-value")
        answer = await (await nimbus.admin()).get(self.PATH)
        assert "s3cret" not in answer.text
        assert answer.json()["secrets"] == {"token": True}
        assert answer.json()["schema"]["properties"]["retries"]["maximum"] == 9

    async def test_replaces_all_but_keeps_secrets_left_out(self, nimbus: Nimbus):
        admin, hello = await nimbus.admin(), nimbus.plugin("hello")
        await admin.put(self.PATH, json={"values": {"token": "s3cret-value", "retries": 2}})
        answer = await admin.put(self.PATH, json={"values": {"greeting": "Moin"}})
        assert answer.json()["values"] == {"greeting": "Moin"}
        assert (await hello.get("/core/v1/config")).json()["values"] == {"greeting": "Moin", "token": "s3cret-value"}
        answer = await admin.put(self.PATH, json={"values": {"token": None}})
        assert answer.json()["secrets"] == {"token": False}

    async def test_names_everything_that_is_wrong(self, nimbus: Nimbus):
        body = {"values": {"greeting": 1, "retries": 99, "token": "abc", "other": 1}}
        answer = await (await nimbus.admin()).put(self.PATH, json=body)
        found = problem(answer, 422, "validation")
        assert {error["path"] for error in found["errors"]} == {
            "/values",
            "/values/greeting",
            "/values/retries",
            "/values/token",
        }
        assert "abc" not in answer.text

    async def test_a_document_that_no_longer_fits_is_kept_and_shown_with_what_is_wrong(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        first = await admin.put(
            self.PATH, json={"values": {"greeting": "Moin", "token": "s3cret-value", "retries": 2}}
        )
        assert first.json()["problems"] == []
        schema = {
            "type": "object",
            "required": ["server"],
            "properties": {
                "greeting": {"type": "integer"},
                "token": {"type": "string", "x-secret": True, "maxLength": 3},
                "server": {"type": "string"},
            },
        }
        newer = plugin("hello", settings=schema)
        nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=[newer]))
        answer = await admin.get(self.PATH)
        assert answer.json()["values"] == {"greeting": "Moin", "retries": 2}
        assert {one["path"] for one in answer.json()["problems"]} == {"/values", "/values/greeting", "/values/token"}
        assert "s3cret" not in answer.text
        assert (await nimbus.plugin("hello").get("/core/v1/config")).json()["values"]["greeting"] == "Moin"

    async def test_a_schema_that_cannot_be_used_is_named(self, nimbus: Nimbus):
        broken = plugin("hello", settings={"type": "object", "properties": {"a": {"type": "no such type"}}})
        nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=[broken]))
        answer = await (await nimbus.admin()).get(self.PATH)
        assert answer.status_code == 200
        assert [one["path"] for one in answer.json()["problems"]] == ["/schema"]

    async def test_tells_the_running_plugin(self, nimbus: Nimbus):
        heard: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            heard.extend([head, await reader.readexactly(length)])
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        running = plugin("hello").model_copy(
            update={"upstream": Upstream(host="127.0.0.1", port=server.sockets[0].getsockname()[1])}
        )
        nimbus.state.snapshots.swap(
            Snapshot(generation=2, instance="test", plugins=[running, plugin("asleep", state="disabled")])
        )
        admin = await nimbus.admin()
        async with server, asyncio.timeout(10):
            told = (await admin.put(self.PATH, json={"values": {"retries": 1}})).json()["notified"]
        assert told is True
        assert heard[0].startswith(b"POST /_nimbus/lifecycle ")
        assert json.loads(heard[1])["event"] == "config_changed"
        gone = (await admin.put(self.PATH, json={"values": {"retries": 2}})).json()
        assert (gone["notified"], gone["values"]) == (False, {"retries": 2})
        asleep = (await admin.put("/api/admin/plugins/asleep/config", json={"values": {}})).json()
        assert asleep["notified"] is None

    async def test_others_write_while_settings_are_judged(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        begun, go_on = threading.Event(), threading.Event()

        def slow(*args: Any) -> list[Any]:
            begun.set()
            assert go_on.wait(10)
            return document_problems(*args)

        monkeypatch.setattr(service, "document_problems", slow)
        admin, hello = await nimbus.admin(), nimbus.plugin("hello")
        assert (await put(hello, "greeting", "Servus")).status_code == 200
        assert (await put(hello, "token", "s3cret-value")).status_code == 200
        replaced = asyncio.ensure_future(admin.put(self.PATH, json={"values": {"retries": 2}}))
        assert await asyncio.to_thread(begun.wait, 10)
        async with asyncio.timeout(4):
            assert (await put(nimbus.plugin("other"), "retries", 3)).status_code == 200
            assert (await hello.delete("/core/v1/config/greeting")).status_code == 204
        go_on.set()
        assert (await replaced).json()["values"] == {"retries": 2}
        begun.clear()
        go_on.clear()
        replaced = asyncio.ensure_future(admin.put(self.PATH, json={"values": {"retries": 4}}))
        assert await asyncio.to_thread(begun.wait, 10)
        assert (await hello.delete("/core/v1/config/token")).status_code == 204
        go_on.set()
        problem(await replaced, 409, "conflict")  # the secret that was to stay
        assert (await hello.get("/core/v1/config")).json()["values"]["retries"] == 2

    async def test_too_many_that_are_judged_at_once_are_asked_to_wait(
        self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
    ):
        go_on = threading.Event()

        def slow(*args: Any) -> list[Any]:
            assert go_on.wait(10)
            return setting_problems(*args)

        monkeypatch.setattr(service, "setting_problems", slow)
        hello = nimbus.plugin("hello")
        asked = [asyncio.ensure_future(put(hello, "retries", 1)) for _ in range(MOST_AT_ONCE + 1)]
        async with asyncio.timeout(10):
            [answer], waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            body = problem(await answer, 429, "rate-limited")
            assert "hello" in body["detail"]
            assert int((await answer).headers["retry-after"]) > 0
            go_on.set()
            assert {(await one).status_code for one in waiting} == {200}

    async def test_no_such_plugin(self, nimbus: Nimbus):
        problem(await (await nimbus.admin()).get("/api/admin/plugins/nope/config"), 404, "plugin-not-found")


SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "object", "required": ["b"]}}}


async def test_other_settings_do_not_speak_against_one():
    assert setting_problems(SCHEMA, "c", 1) == []
    assert [found.path for found in setting_problems(SCHEMA, "a", {})] == ["/value"]
    assert [found.path for found in document_problems(SCHEMA, {})] == ["/values"]


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"properties": {"a": {"$ref": "#/nowhere"}}}])
async def test_schemas_that_are_none(schema: dict):
    with pytest.raises(ConflictError):
        setting_problems(schema, "a", 1)


WANTING = {
    "type": "object",
    "properties": {
        "token": {"type": "string", "x-secret": True},
        "url": {"type": "string", "default": "http://localhost"},
        "servers": {"type": "array", "items": {"type": "object", "required": ["host"]}},
    },
    "required": ["token", "url"],
}


class TestAskedByTheRegistry:
    """Whether settings fit the schema of a version that is to be started."""

    async def ask(self, nimbus: Nimbus, schema: dict[str, Any]) -> list[dict[str, Any]]:
        client = nimbus.client(build_management_api(nimbus.state, "service"))
        answer = await client.post(
            "/internal/v1/settings/check",
            json={"pluginId": "free", "schema": schema},
            headers={"authorization": "Bearer service"},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["problems"]

    async def test_names_what_is_missing_and_what_does_not_fit_but_no_value(self, nimbus: Nimbus):
        nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=[plugin("free", settings=None)]))
        free = nimbus.plugin("free")
        assert (await put(free, "servers", [{"host": "a"}, {"key": "s3cret"}, "s3cret"])).status_code == 200
        problems = await self.ask(nimbus, WANTING)
        assert [(one["path"], one["message"]) for one in problems] == [
            ("/token", "a value: it is required"),
            ("/servers/1/host", "a value: it is required"),
            ("/servers/2", "a value that fits the schema"),
        ]
        assert "s3cret" not in json.dumps(problems)
        assert (await put(free, "token", "long enough")).status_code == 200
        assert (await put(free, "servers", [])).status_code == 200
        assert await self.ask(nimbus, WANTING) == []

    async def test_the_registry_is_told_of_a_change_and_may_be_away(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        path = "/api/admin/plugins/hello/config"
        assert (await admin.put(path, json={"values": {"retries": 1}})).status_code == 200
        assert [plugin_id for plugin_id, _ in nimbus.registry.configured] == ["hello"]
        nimbus.registry.failure = RegistryUnavailableError("away")
        assert (await admin.put(path, json={"values": {"retries": 2}})).status_code == 200
