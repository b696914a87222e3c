"""The plugin façade: lists from the snapshot, changes through the registry."""

import asyncio

import pytest
from nimbus_gateway.auth.principal import Credentials
from nimbus_gateway.errors import PluginFailedError, RegistryUnavailableError
from nimbus_gateway.plugins.log_lines import merged
from nimbus_gateway.plugins.logs import LogFollower
from nimbus_gateway.plugins.views import ui_manifest
from nimbus_sdk.contracts.control import LogLine
from nimbus_sdk.contracts.snapshot import Snapshot

from tests.gateway.support import Nimbus, plugin, problem, running_nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class TestList:
    async def test_shows_every_plugin_by_id(self, nimbus: Nimbus):
        items = (await (await nimbus.user()).get("/api/plugins")).json()["items"]
        assert [(item["id"], item["state"], item["enabled"]) for item in items] == [
            ("asleep", "disabled", False),
            ("hello", "ready", True),
            ("other", "ready", True),
        ]
        assert {"name", "version", "description", "author", "capabilities", "since"} <= items[0].keys()
        assert "manifest" not in items[0]

    async def test_pages(self, nimbus: Nimbus):
        user = await nimbus.user()
        first = (await user.get("/api/plugins", params={"limit": 2})).json()
        rest = (await user.get("/api/plugins", params={"limit": 2, "cursor": first["next"]})).json()
        assert [item["id"] for item in first["items"] + rest["items"]] == ["asleep", "hello", "other"]
        assert rest["next"] is None

    async def test_nobody_is_401(self, nimbus: Nimbus):
        problem(await nimbus.client().get("/api/plugins"), 401, "unauthenticated")

    async def test_an_api_key_with_the_scope(self, nimbus: Nimbus):
        assert (await (await nimbus.with_key("plugins:read")).get("/api/plugins")).status_code == 200

    async def test_needs_no_registry(self, nimbus: Nimbus):
        nimbus.registry.failure = RegistryUnavailableError("away")
        assert (await (await nimbus.user()).get("/api/plugins")).status_code == 200

    async def test_administrators_see_everything(self, nimbus: Nimbus):
        items = (await (await nimbus.admin()).get("/api/admin/plugins")).json()["items"]
        assert items[1]["manifest"]["runtime"]["process"]["command"] == ["python", "-m", "hello"]


class TestGet:
    async def test_shows_the_details(self, nimbus: Nimbus):
        assert (await (await nimbus.user()).get("/api/plugins/hello")).json()["source"] == "folder:hello"

    @pytest.mark.parametrize("plugin_id", ["nope", "%00", "x" * 300])
    async def test_unknown_is_404(self, nimbus: Nimbus, plugin_id: str):
        problem(await (await nimbus.user()).get(f"/api/plugins/{plugin_id}"), 404, "plugin-not-found")


class TestUiManifest:
    async def test_names_the_bundle_by_its_content(self, nimbus: Nimbus):
        found = (await (await nimbus.user()).get("/api/plugins/hello/ui-manifest")).json()
        assert found["bundleUrl"] == "/plugin-assets/hello/abc123/web/main.js"
        assert found["isolation"] == "module"
        assert [item["label"] for item in found["navItems"]] == ["Open"]

    async def test_administrators_get_their_navigation(self, nimbus: Nimbus):
        found = (await (await nimbus.admin()).get("/api/plugins/hello/ui-manifest")).json()
        assert [item["label"] for item in found["navItems"]] == ["Open", "Secret"]

    @pytest.mark.parametrize(
        ("trusted", "asked", "isolation", "reasons"),
        [
            (True, "module", "module", []),
            (True, "iframe", "iframe", ["manifest"]),
            (False, "module", "iframe", ["not-trusted"]),
            (False, "iframe", "iframe", ["not-trusted", "manifest"]),
        ],
    )
    async def test_no_manifest_makes_a_plugin_trusted(
        self, nimbus: Nimbus, trusted: bool, asked: str, isolation: str, reasons: list[str]
    ):
        ui = {"bundle": "web/main.js", "isolation": asked}
        hello = plugin("hello", trusted=trusted, ui=ui)
        nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=[hello]))
        user = await nimbus.user()
        one = (await user.get("/api/plugins/hello/ui-manifest")).json()
        assert (one["isolation"], one["sandboxReasons"]) == (isolation, reasons)
        assert (await user.get("/api/ui/manifests")).json()["items"] == [one]

    async def test_a_sleeping_plugin_has_none(self, nimbus: Nimbus):
        problem(await (await nimbus.user()).get("/api/plugins/asleep/ui-manifest"), 404, "not-found")

    async def test_all_that_serve(self, nimbus: Nimbus):
        items = (await (await nimbus.user()).get("/api/ui/manifests")).json()["items"]
        assert [item["pluginId"] for item in items] == ["hello", "other"]

    async def test_a_plugin_without_pages_has_none(self):
        assert ui_manifest(plugin("hello", ui=None), admin=True) is None


class TestEnable:
    async def test_answers_when_this_worker_serves_it(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        answer = await admin.post("/api/plugins/asleep/enable", params={"wait": 30})
        assert answer.status_code == 200
        assert answer.json()["plugin"]["state"] == "ready"
        assert answer.json()["settled"] is True
        verb, plugin_id, cause, wait = nimbus.registry.asked[0]
        assert (verb, plugin_id, wait) == ("enable", "asleep", 30)
        assert cause.startswith("user:")
        assert (await admin.get("/api/plugins/asleep")).json()["state"] == "ready"

    async def test_is_202_while_under_way(self, nimbus: Nimbus):
        nimbus.registry.settled = False
        answer = await (await nimbus.admin()).post("/api/plugins/asleep/enable")
        assert answer.status_code == 202
        assert answer.json()["settled"] is False

    async def test_a_failure_is_409_with_the_reason(self, nimbus: Nimbus):
        nimbus.registry.failure = PluginFailedError("it exited", extra={"plugin": {"id": "asleep"}})
        body = problem(await (await nimbus.admin()).post("/api/plugins/asleep/enable"), 409, "plugin-failed")
        assert body["detail"] == "it exited"
        assert body["plugin"] == {"id": "asleep"}

    async def test_is_recorded(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        await admin.post("/api/plugins/asleep/enable")
        nimbus.registry.failure = PluginFailedError("it exited")
        await admin.post("/api/plugins/asleep/enable")
        items = (await admin.get("/api/admin/audit", params={"action": "plugin.enable"})).json()["items"]
        assert [(item["target"], item["outcome"]) for item in items] == [
            ("plugin:asleep", "failed"),
            ("plugin:asleep", "done"),
        ]

    @pytest.mark.parametrize("verb", ["enable", "disable"])
    async def test_only_for_administrators_from_this_site(self, nimbus: Nimbus, verb: str):
        path = f"/api/plugins/hello/{verb}"
        problem(await nimbus.client().post(path), 401, "unauthenticated")
        problem(await (await nimbus.user()).post(path), 403, "forbidden")
        problem(await (await nimbus.with_key("plugins:read")).post(path), 403, "permission-missing")
        admin = await nimbus.admin()
        problem(await admin.post(path, headers={"Origin": "http://evil.test"}), 403, "csrf")
        assert nimbus.registry.asked == []
        assert (await (await nimbus.with_key("plugins:write")).post(path)).status_code == 200

    async def test_unknown_is_404_and_an_absent_registry_503(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        problem(await admin.post("/api/plugins/nope/enable"), 404, "plugin-not-found")
        nimbus.registry.failure = RegistryUnavailableError("away", retry_after=2)
        answer = await admin.post("/api/plugins/hello/enable")
        problem(answer, 503, "registry-unavailable")
        assert answer.headers["retry-after"] == "2"

    @pytest.mark.parametrize("wait", ["-1", "121", "soon"])
    async def test_waits_are_bounded(self, nimbus: Nimbus, wait: str):
        answer = await (await nimbus.admin()).post("/api/plugins/hello/enable", params={"wait": wait})
        problem(answer, 422, "validation")

    async def test_with_the_plugin_host_off(self, tmp_path, database_url):
        async with running_nimbus(tmp_path, database_url, enable_plugins=False) as nimbus:
            admin = await nimbus.admin()
            problem(await admin.post("/api/plugins/hello/enable"), 404, "plugins-disabled")
            system = (await admin.get("/api/system")).json()
            assert system["pluginsEnabled"] is False
            assert "switched off" in system["notices"][0]["message"]


class TestDisable:
    async def test_disables(self, nimbus: Nimbus):
        answer = await (await nimbus.admin()).post("/api/plugins/hello/disable", params={"wait": 5})
        assert answer.status_code == 200
        assert answer.json()["plugin"]["enabled"] is False


class TestAdministration:
    async def test_restart_scan_and_history(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        assert (await admin.post("/api/admin/plugins/hello/restart")).status_code == 200
        assert (await admin.post("/api/admin/plugins/scan")).json()["added"] == ["fresh"]
        assert (await admin.get("/api/admin/plugins/hello/transitions")).json() == {"items": [], "next": None}
        problem(await admin.get("/api/admin/plugins/nope/transitions"), 404, "plugin-not-found")
        nimbus.registry.failure = RegistryUnavailableError("away")
        problem(await admin.post("/api/admin/plugins/scan"), 503, "registry-unavailable")


def line(cursor: str, at: str | None = None) -> LogLine:
    return LogLine(cursor=cursor, at=at, stream="stdout", text=cursor)


class TestLogs:
    async def test_merges_what_is_printed_and_what_is_sent(self, nimbus: Nimbus):
        nimbus.registry.lines = [line("p1", "2026-01-01T00:00:00Z"), line("p2", "2026-01-03T00:00:00Z")]
        entries = [{"message": "between", "at": "2026-01-02T00:00:00Z", "level": "warning", "fields": {"n": 1}}]
        await nimbus.plugin("hello").post("/core/v1/logs", json={"entries": entries})
        answer = await (await nimbus.admin()).get("/api/admin/plugins/hello/logs")
        assert answer.headers["content-type"].startswith("text/event-stream")
        texts = [part for part in answer.text.split("\n") if part.startswith("data: ")]
        assert "p1" in texts[0]
        assert "WARNING between n=1" in texts[1]
        assert "p2" in texts[2]
        assert answer.text.rstrip().endswith("event: end\ndata: {}")

    async def test_a_client_that_comes_back_gets_the_rest(self, nimbus: Nimbus):
        nimbus.registry.lines = [line("a"), line("b"), line("c")]
        admin = await nimbus.admin()
        answer = await admin.get("/api/admin/plugins/hello/logs", headers={"Last-Event-ID": "b"})
        assert [part for part in answer.text.split("\n") if part.startswith("id: ")] == ["id: c"]

    async def test_unknown_is_404_and_an_absent_registry_503(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        problem(await admin.get("/api/admin/plugins/nope/logs"), 404, "plugin-not-found")
        nimbus.registry.reachable = False
        problem(await admin.get("/api/admin/plugins/hello/logs"), 503, "registry-unavailable")

    async def test_following_shows_new_lines_and_ends_with_the_session(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        credentials = Credentials(session_cookie=admin.cookies["nimbus_session"])
        principal = await nimbus.state.authenticator.authenticate(credentials)
        follower = LogFollower(nimbus.state, "hello", tail=10, seen=None)
        stream = follower.stream(await follower.beginning(), principal, credentials, follow=True)
        async with asyncio.timeout(10):
            await anext(stream)
            await nimbus.plugin("hello").post("/core/v1/logs", json={"entries": [{"message": "news"}]})
            assert b"INFO news" in await anext(stream)
            await admin.post("/api/auth/logout")
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    async def test_lines_without_a_time_stay_where_they_are(self):
        printed = [line("1", "2026-01-01T00:00:01Z"), line("2"), line("3", "2026-01-01T00:00:05Z")]
        sent = [line("x", "2026-01-01T00:00:03Z"), line("y", "nonsense")]
        assert [found.cursor for found in merged(printed, sent, 10)] == ["1", "2", "x", "y", "3"]
        assert [found.cursor for found in merged(printed, sent, 2)] == ["y", "3"]
