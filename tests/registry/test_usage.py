"""What plugins use: rates between two readings, and samples of a running registry."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from nimbus_registry.lifecycle import usage
from nimbus_registry.lifecycle.usage import KEPT_COARSE, Reading, mean, sample
from nimbus_registry.runtime.base import ExitStatus, Stats
from nimbus_sdk.contracts.inspection import UsageSample

from tests.registry.conftest import Folder, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = Reading("run-1", 100.0, Stats(1.0, 1000, 500, 50))


def test_rates_are_means_between_two_readings() -> None:
    found = sample(BEFORE, Reading("run-1", 110.0, Stats(6.0, 2000, 1500, 50)), NOW)
    assert (found.cpu, found.memory, found.received, found.sent) == (0.5, 2000, 100.0, 0.0)


def test_the_first_reading_of_a_run_has_no_rates() -> None:
    found = sample(BEFORE, Reading("run-2", 110.0, Stats(0.1, 10, 1, 1)), NOW)
    assert (found.cpu, found.memory, found.received) == (None, 10, None)


def test_what_a_runtime_cannot_tell_stays_unknown() -> None:
    found = sample(BEFORE, Reading("run-1", 110.0, Stats(1.0, 10)), NOW)
    assert (found.cpu, found.received, found.sent) == (0.0, None, None)


def test_a_mean_has_the_rates_that_are_known_and_the_highest_memory() -> None:
    found = mean([UsageSample(at=NOW, memory=10, cpu=None), UsageSample(at=NOW, memory=30, cpu=0.5, sent=4.0)])
    assert (found.memory, found.cpu, found.sent, found.received) == (30, 0.5, 4.0, None)


def test_a_day_is_kept_in_means_of_five_minutes_and_no_more() -> None:
    kept = usage._Kept()
    for index in range(26 * 360):  # 26 hours of samples, ten seconds apart
        kept.add(UsageSample(at=NOW + timedelta(seconds=10 * index), memory=index))
    end = NOW + timedelta(hours=26)
    assert len(kept.over("1h", end)) == usage.KEPT_SAMPLES
    six, day = kept.over("6h", end), kept.over("24h", end)
    assert (len(six), len(day)) == (6 * 12, KEPT_COARSE)
    assert {later.at - earlier.at for earlier, later in itertools.pairwise(day)} == {usage.COARSE}
    assert day[-1].memory == 26 * 360 - 1
    assert len(kept.gathering) <= 30


@pytest.mark.anyio
@pytest.mark.slow
class TestInARegistry:
    async def test_current_limits_and_history(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            registry.runtime.used["hello"] = Stats(2.0, 4096, 10, 20)
            await registry.context.usage.take()
            await registry.context.usage.take()
            found = (await registry.client.get("/v1/plugins/hello/metrics")).json()
            assert found["current"]["memory"] == 4096
            assert found["memoryLimit"] == 256 * 1024**2
            assert (found["restarts"], found["networkSent"]) == (0, 20)
            assert len(found["history"]) >= 2

    async def test_a_restart_counts_and_old_figures_are_not_the_new_runs(
        self, world: World, folder: Folder, fast: None
    ) -> None:
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            registry.runtime.used["hello"] = Stats(2.0, 4096)
            await registry.context.usage.take()
            registry.runtime.crash("hello", ExitStatus(code=1))
            await registry.until(lambda: world.engine.started == 2)
            await registry.until_state("ready")
            found = (await registry.client.get("/v1/plugins/hello/metrics")).json()
            assert (found["restarts"], found["failures"]) == (1, 1)
            assert "current" not in found or found["current"] is None

    async def test_the_history_is_bounded(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(usage, "KEPT_SAMPLES", 3)
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            registry.runtime.used["hello"] = Stats(2.0, 4096)
            for _ in range(5):
                await registry.context.usage.take()
            assert len((await registry.client.get("/v1/plugins/hello/metrics")).json()["history"]) == 3

    async def test_all_of_them(self, world: World, folder: Folder) -> None:
        folder.add()
        folder.add("other")
        async with world.registry() as registry:
            items = (await registry.client.get("/v1/metrics")).json()["items"]
            assert [(item["pluginId"], item["state"]) for item in items] == [
                ("hello", "disabled"),
                ("other", "disabled"),
            ]
