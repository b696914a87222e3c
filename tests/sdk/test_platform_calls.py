"""Health, lifecycle and UI files: what only the platform calls."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from nimbus_sdk import Config, Degraded, LifecycleEvent, NotReady, Plugin, Settings
from nimbus_sdk.errors import ManifestError
from nimbus_sdk.testing import PluginTestClient
from nimbus_sdk.ui import collect

from tests.sdk.conftest import MakePlugin


class TestHealth:
    def test_it_says_version_and_contract(self, make_plugin: MakePlugin) -> None:
        with PluginTestClient(make_plugin()) as client:
            answer = client.as_platform().get("/_nimbus/health")
            assert answer.json() == {"status": "ok", "version": "1.2.3", "contract": [1], "checks": []}

    def test_checks_make_it_degraded_or_unready(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()
        state = {"error": None}

        @plugin.check
        async def database(log, config: Config) -> None:
            if state["error"]:
                raise state["error"]

        @plugin.check
        def disk() -> None:
            return None

        def ask() -> tuple[int, str, str | None]:
            answer = client.as_platform().get("/_nimbus/health")
            [check] = [c for c in answer.json()["checks"] if c["name"] == "database"]
            return answer.status_code, check["status"], check.get("detail")

        with PluginTestClient(plugin) as client:
            assert ask() == (200, "ok", None)
            state["error"] = Degraded("slow today")
            assert ask() == (200, "degraded", "slow today")
            assert client.health().status == "degraded"
            state["error"] = NotReady("no disk")
            assert ask() == (503, "failed", "no disk")
            state["error"] = KeyError("x")
            assert ask() == (503, "failed", "KeyError: 'x'")

    def test_a_check_that_hangs_fails_in_time(self, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nimbus_sdk.checks.CHECK_TIMEOUT", 0.05)
        plugin = make_plugin()

        @plugin.check
        async def stuck() -> None:
            await asyncio.Event().wait()

        with PluginTestClient(plugin) as client:
            answer = client.as_platform().get("/_nimbus/health")
            assert answer.status_code == 503
            assert "no answer" in answer.json()["checks"][0]["detail"]

    def test_who_may_ask_for_how_much(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.check
        def private() -> None:
            raise Degraded("the password of the database is old")

        with PluginTestClient(plugin) as client:
            bare = client.anonymous().get("/_nimbus/health")
            assert (bare.status_code, bare.json()["status"], bare.json()["checks"]) == (200, "degraded", [])
            assert client.as_user(role="admin").get("/_nimbus/health").status_code == 403
            assert client.send("GET", "/_nimbus/health", headers={"X-Nimbus-Identity": "x"}).status_code == 401


class TestLifecycle:
    def test_hooks_get_the_event_and_what_they_ask_for(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()
        seen: list[object] = []

        @plugin.on_enabled
        async def first(event: LifecycleEvent, media) -> None:
            seen.append((event.event, event.version, type(media).__name__))

        @plugin.on_enabled
        def second() -> None:
            seen.append("second")

        @plugin.on_config_changed
        async def third(event) -> None:
            seen.append(event.data)

        with PluginTestClient(plugin) as client:
            assert seen == [("enabled", "1.2.3", "Media"), "second"]
            client.lifecycle("config_changed", keys=["a"])
            assert seen[-1] == {"keys": ["a"]}

    def test_no_hook_is_no_interest(self, make_plugin: MakePlugin) -> None:
        with PluginTestClient(make_plugin()) as client:
            answer = client.as_platform().post("/_nimbus/lifecycle", json={"event": "disabled", "version": "1.2.3"})
            assert answer.status_code == 404

    @pytest.mark.parametrize("error", [NotReady("the token is missing"), RuntimeError("the token is missing")])
    def test_a_hook_that_fails_says_why(self, make_plugin: MakePlugin, error: Exception) -> None:
        plugin = make_plugin()

        @plugin.on_enabled
        def prepare() -> None:
            raise error

        with pytest.raises(AssertionError, match=r"prepare.*the token is missing"), PluginTestClient(plugin):
            pytest.fail("it was enabled")

    def test_only_the_platform_may_call(self, make_plugin: MakePlugin) -> None:
        with PluginTestClient(make_plugin()) as client:
            body = {"event": "disabled", "version": "1.2.3"}
            assert client.anonymous().post("/_nimbus/lifecycle", json=body).status_code == 401
            assert client.as_user(role="admin").post("/_nimbus/lifecycle", json=body).status_code == 403
            assert client.as_plugin("platform").post("/_nimbus/lifecycle", json=body).status_code == 403
            named_platform = client.as_user(user_id="platform", role="admin")
            assert named_platform.post("/_nimbus/lifecycle", json=body).status_code == 403
            assert client.anonymous().get("/_nimbus/ui").status_code == 401
            assert client.anonymous().get("/_nimbus/ui/web/main.js").status_code == 401

    @pytest.mark.parametrize(
        ("content", "status"), [(b"", 422), (b"[]", 422), (b'{"event":"x","version":"1"}', 422), (b"x" * 70_000, 413)]
    )
    def test_bad_bodies_are_refused(self, make_plugin: MakePlugin, content: bytes, status: int) -> None:
        with PluginTestClient(make_plugin()) as client:
            answer = client.as_platform().post("/_nimbus/lifecycle", content=content)
            assert answer.status_code == status

    def test_unknown_calls_are_404(self, make_plugin: MakePlugin) -> None:
        with PluginTestClient(make_plugin()) as client:
            for method, path in [("GET", "/_nimbus/lifecycle"), ("GET", "/_nimbus/"), ("GET", "/_nimbus/events")]:
                assert client.as_platform().request(method, path).status_code == 404

    def test_a_setting_that_the_plugin_changes_is_seen_at_once(self, make_plugin: MakePlugin) -> None:
        class Sample(Settings):
            limit: int = 0

        plugin = make_plugin()

        @plugin.get("/open")
        async def limit(settings: Sample) -> int:
            return settings.limit

        @plugin.get("/mine")
        async def raise_it(config: Config, settings: Sample) -> None:
            await config.set("limit", settings.limit + 1)

        with PluginTestClient(plugin) as client:
            assert client.anonymous().get("/open").json() == 3
            client.as_user().get("/mine")
            assert client.anonymous().get("/open").json() == 4

    def test_a_changed_setting_is_seen_at_once(self, make_plugin: MakePlugin) -> None:
        class Sample(Settings):
            limit: int = 0

        plugin = make_plugin()

        @plugin.get("/open")
        async def limit(settings: Sample) -> int:
            return settings.limit

        with PluginTestClient(plugin) as client:
            assert client.anonymous().get("/open").json() == 3
            client.core.config["limit"] = 8
            client.lifecycle("config_changed")
            assert client.anonymous().get("/open").json() == 8


class TestUserInterface:
    @pytest.fixture
    def plugin(self, make_plugin: MakePlugin, tmp_path: Path) -> Plugin:
        web = tmp_path / "web"
        (web / "chunks").mkdir(parents=True)
        (web / "node_modules" / "x").mkdir(parents=True)
        (web / "main.js").write_text("export default () => null")
        (web / "chunks" / "a-1.js").write_text("1")
        (web / "style.css").write_text("")
        for hidden in (".env", "README.md", "node_modules/x/index.js", "name with space.js"):
            (web / hidden).write_text("hidden")
        (web / "link.js").symlink_to("/etc/hostname")
        return make_plugin(ui={"bundle": "web/main.js"})

    def test_the_list_names_every_file_with_its_hash(self, plugin: Plugin) -> None:
        with PluginTestClient(plugin) as client:
            files = client.as_platform().get("/_nimbus/ui").json()["files"]
            assert sorted(files) == ["web/chunks/a-1.js", "web/main.js", "web/style.css"]
            for name, content in client.ui_files().items():
                assert hashlib.sha256(content).hexdigest() == files[name]

    @pytest.mark.parametrize(
        "name",
        [
            "web/.env",
            "manifest.json",
            "web/../manifest.json",
            "..%2fmanifest.json",
            "web%2f..%2fmanifest.json",
            "web",
        ],
    )
    def test_nothing_else_is_given_away(self, plugin: Plugin, name: str) -> None:
        with PluginTestClient(plugin) as client:
            assert client.as_platform().get(f"/_nimbus/ui/{name}").status_code == 404

    def test_scripts_are_scripts(self, plugin: Plugin) -> None:
        with PluginTestClient(plugin) as client:
            answer = client.as_platform().get("/_nimbus/ui/web/main.js")
            assert answer.headers["content-type"] == "text/javascript"

    def test_no_ui_is_404_and_a_missing_bundle_says_what_to_do(self, make_plugin: MakePlugin) -> None:
        with PluginTestClient(make_plugin()) as client:
            assert client.as_platform().get("/_nimbus/ui").status_code == 404
        with PluginTestClient(make_plugin(ui={"bundle": "dist/main.js"})) as client:
            answer = client.as_platform().get("/_nimbus/ui")
            assert (answer.status_code, "build it first" in answer.json()["detail"]) == (500, True)

    def test_a_bundle_at_the_root_is_that_file_alone(self, tmp_path: Path) -> None:
        (tmp_path / "main.js").write_text("1")
        (tmp_path / "secret.txt").write_text(json.dumps({}))
        assert list(collect(tmp_path, "main.js").files) == ["main.js"]

    def test_too_much_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nimbus_sdk.ui.MAX_BYTES", 3)
        (tmp_path / "web").mkdir()
        (tmp_path / "web" / "main.js").write_text("1234")
        with pytest.raises(ManifestError, match="4 bytes"):
            collect(tmp_path, "web/main.js")
