"""Downloads, other plugins and schedules from within a plugin. How the calls behave is in test_work_parity."""

import httpx
import pytest
from nimbus_sdk import Download, Downloads, PermissionMissing, Plugins, Schedules
from nimbus_sdk.carried import carried
from nimbus_sdk.contracts.downloads import DOWNLOAD_REQUESTED
from nimbus_sdk.testing import PluginTestClient

from tests.sdk.conftest import MakePlugin


def test_a_provider_gets_its_work_without_subscribing(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(capabilities=["downloader"], permissions=["downloads:*"])

    @plugin.on(DOWNLOAD_REQUESTED)
    async def requested(data: Download, downloads: Downloads) -> None:
        await downloads.report(data.id, "completed", result={"path": "/films/a.mkv"})

    with PluginTestClient(plugin) as client:
        item = client.core.downloads.add("https://files.test/a.mkv")
        client.deliver(DOWNLOAD_REQUESTED, item.wire(), subject=item.id)
        assert client.core.downloads.items[item.id].state == "completed"
        assert client.core.downloads.items[item.id].result == {"path": "/films/a.mkv"}


def test_another_plugin_is_found_and_called(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(permissions=["plugins:call:indexer"])

    @plugin.get("/open")
    async def search(plugins: Plugins) -> list[str]:
        [found] = await plugins.find("indexer")
        answer = await plugins.call(found.id, "/search", method="POST", params={"q": "x y"}, json={"limit": 1})
        return list(answer.json())

    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path, request.url.params["q"]) == ("POST", "/search", "x y")
        return httpx.Response(200, json=["Metropolis"])

    with PluginTestClient(plugin) as client:
        client.core.plugins.add("indexer", answer, capabilities=["indexer"])
        assert client.anonymous().get("/open").json() == ["Metropolis"]
        client.core.permissions.clear()
        with pytest.raises(PermissionMissing, match="plugins:call:indexer"):
            client.call(lambda: plugin.core.plugins.call("indexer", "/search"))


def test_the_trace_and_the_chain_of_plugins_go_on(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(permissions=["plugins:call:indexer"])
    seen: list[tuple[str | None, str | None]] = []

    @plugin.get("/open")
    async def search(plugins: Plugins) -> dict[str, str]:
        await plugins.call("indexer", "/search")
        return carried(to_plugins=False)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers.get("traceparent"), request.headers.get("x-nimbus-call-chain")))
        return httpx.Response(200, json=[])

    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with PluginTestClient(plugin) as client:
        client.core.plugins.add("indexer", answer)
        headers = {"traceparent": trace, "X-Nimbus-Call-Chain": "a b"}
        assert client.anonymous().get("/open", headers=headers).json() == {"traceparent": trace}
        assert client.anonymous().get("/open").json() == {}
    assert seen == [(trace, "a b"), (None, None)]


def test_a_schedule_is_run_now(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(schedules=[{"id": "sweep", "cron": "0 3 * * *"}])

    @plugin.every("0 3 * * *")
    def sweep() -> None:
        """Nothing to do."""

    @plugin.get("/open")
    async def now(schedules: Schedules) -> list[str]:
        await schedules.run("sweep")
        return [f"{one.id} {one.last.cause if one.last else ''}" for one in await schedules.all()]

    with PluginTestClient(plugin) as client:
        assert client.anonymous().get("/open").json() == ["sweep manual"]
        assert [run.schedule for run in client.core.schedules.runs] == ["sweep"]
