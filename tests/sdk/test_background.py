"""Tasks that run beside the requests."""

import asyncio

import pytest
from nimbus_sdk import Kv
from nimbus_sdk.testing import PluginTestClient

from tests.sdk.conftest import MakePlugin


def test_it_runs_from_start_to_end(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    seen: list[str] = []
    began = asyncio.Event()

    @plugin.background
    async def work(kv: Kv) -> None:
        try:
            await kv.put("began", True)
            began.set()
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    with PluginTestClient(plugin) as client:
        client.call(began.wait)
        assert client.core.kv["began"] is True
        [check] = client.health().checks
        assert (check.name, check.status) == ("work", "ok")
        assert seen == []
    assert seen == ["ended"]


def test_it_is_started_anew_and_the_plugin_says_what_is_wrong(
    make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nimbus_sdk.background.FIRST_PAUSE", 0.05)
    plugin = make_plugin()
    failed, again = asyncio.Event(), asyncio.Event()
    starts: list[int] = []

    @plugin.background
    async def work() -> None:
        starts.append(1)
        if len(starts) == 1:
            failed.set()
            raise OSError("the disk is full")
        await asyncio.wait_for(again.wait(), 10)

    async def until(status: str) -> None:
        async with asyncio.timeout(10):
            while client_status() != status:  # noqa: ASYNC110 - the health has no event
                await asyncio.sleep(0.01)

    def client_status() -> str:
        [check] = plugin.server.background.checks()
        return check.status

    with PluginTestClient(plugin) as client:
        client.call(failed.wait)
        client.call(lambda: until("degraded"))
        client.call(lambda: until("ok"))
        assert len(starts) == 2
        again.set()


def test_only_coroutines_run_there(make_plugin: MakePlugin) -> None:
    with pytest.raises(TypeError, match="async def"):
        make_plugin().background(lambda: None)
