"""How much a plugin may keep: told near the limit, stopped beyond it, and started again by a person only."""

import pytest
from nimbus_registry.lifecycle import data_cap, health
from nimbus_sdk.contracts.control import ProbeResult

from tests.registry.conftest import Folder, Registry, World

MIB = 1024**2


def test_a_count_that_takes_long_is_made_seldom() -> None:
    assert data_cap.pause(0.1) == data_cap.INTERVAL_SECONDS
    assert data_cap.pause(60.0) == 1200.0


def test_nearly() -> None:
    assert not data_cap.nearly(90, 100)
    assert data_cap.nearly(91, 100)


@pytest.mark.anyio
class TestInARegistry:
    @pytest.fixture(autouse=True)
    def _quickly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(data_cap, "INTERVAL_SECONDS", 0.02)
        monkeypatch.setattr(health, "INTERVAL_SECONDS", 0.02)

    @staticmethod
    async def _started(registry: Registry) -> None:
        assert (await registry.ask("enable")).status_code == 200

    async def test_told_and_stopped_and_up_again(self, world: World, folder: Folder) -> None:
        folder.add(runtime={"image": "hello:1", "data": True})
        async with world.registry(max_data="100m") as registry:
            await self._started(registry)
            registry.runtime.sizes["hello"] = 95 * MIB
            await registry.until_state("degraded")
            reason = (await registry.plugin())["reason"]
            assert reason["code"] == "data-nearly-full"
            assert "95 MiB of data and may keep 100 MiB" in reason["message"]

            registry.runtime.sizes["hello"] = 101 * MIB
            await registry.until_state("quarantined")
            plugin = await registry.plugin()
            assert (plugin["enabled"], plugin["reason"]["code"]) == (True, "data-full")
            assert "NIMBUS_MAX_DATA" in plugin["reason"]["hint"]
            await registry.until(
                lambda: not any(run.phase == "running" for run in registry.runtime.engine.runs.values())
            )

            assert (await registry.ask("restart")).status_code == 200
            await registry.until_state("quarantined")
            registry.runtime.sizes["hello"] = MIB
            assert (await registry.ask("restart")).status_code == 200
            count = registry.runtime.calls["data_sizes"]
            await registry.until(lambda: registry.runtime.calls["data_sizes"] > count + 2)
            assert (await registry.plugin())["state"] == "ready"

    async def test_nothing_is_counted_for_plugins_without_data(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await self._started(registry)
            probes = registry.gateway.probes
            await registry.until(lambda: registry.gateway.probes > probes + 3)
            assert registry.runtime.calls["data_sizes"] == 0

    async def test_one_that_does_not_get_beyond_its_start_is_stopped_too(self, world: World, folder: Folder) -> None:
        folder.add(runtime={"image": "hello:1", "data": True, "timeouts": {"start": "10m"}})
        async with world.registry(max_data="100m") as registry:
            registry.gateway.health["hello"] = ProbeResult(ok=False, hop="connect", detail="refused")
            assert (await registry.ask("enable", wait=0)).status_code == 202
            await registry.until(lambda: "hello" in registry.runtime.engine.runs)
            await registry.until_state("starting")
            registry.runtime.sizes["hello"] = 101 * MIB
            await registry.until_state("quarantined")
            assert (await registry.plugin())["reason"]["code"] == "data-full"
            await registry.until(
                lambda: not any(run.phase == "running" for run in registry.runtime.engine.runs.values())
            )

    async def test_what_is_used_is_told(self, world: World, folder: Folder) -> None:
        folder.add(runtime={"image": "hello:1", "data": True})
        folder.add("other")
        async with world.registry(max_data="100m") as registry:
            registry.runtime.sizes["hello"] = 7
            await self._started(registry)
            record = registry.context.ledger.get("hello")
            await registry.until(lambda: record.data_used == 7)
            shown = (await registry.client.get("/v1/plugins/hello/metrics")).json()["data"]
            assert (shown["usedBytes"], shown["limitBytes"]) == (7, 100 * MIB)
            assert shown["measuredAt"]
            items = (await registry.client.get("/v1/metrics")).json()["items"]
            assert {item["pluginId"]: "usedBytes" in (item.get("data") or {}) for item in items} == {
                "hello": True,
                "other": False,
            }
            # What one beyond its limit keeps stays on show.
            registry.runtime.sizes["hello"] = 101 * MIB
            await registry.until_state("quarantined")
            shown = (await registry.client.get("/v1/plugins/hello/metrics")).json()["data"]
            assert shown["usedBytes"] == 101 * MIB
