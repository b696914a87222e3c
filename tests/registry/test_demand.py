"""Plugins that run on demand: they fall asleep when nobody uses them, and whoever asks wakes them, once."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from nimbus_registry.lifecycle import demand
from nimbus_registry.runtime.base import ExitStatus, RuntimeFailure

from tests.registry.conftest import Folder, Registry, World

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

UI = {"bundle": "web/main.js", "isolation": "module"}
ON_DEMAND: dict[str, Any] = {"activation": "on-demand", "idleAfter": "1s"}


async def wake(registry: Registry, *, wait: float = 10) -> httpx.Response:
    return await registry.client.post("/v1/plugins/hello/wake", params={"wait": wait})


async def told(registry: Registry, *plugins: str) -> None:
    answer = await registry.client.post("/v1/in-use", json={"plugins": list(plugins)})
    assert answer.status_code == 204


async def asleep(registry: Registry) -> None:
    """Let the time pass in which nobody used it."""
    registry.context.ledger.records["hello"].used_at = time.monotonic() - 60
    await told(registry)
    registry.context.reconciler.notice("hello")
    await registry.until_state("idle")


async def test_sleeps_when_nobody_uses_it_and_keeps_its_pages(world: World, folder: Folder, fast: None) -> None:
    folder.add(ui=UI, **ON_DEMAND)
    async with world.registry() as registry:
        assert (await registry.ask("enable")).json()["plugin"]["state"] == "ready", "it is tried once"
        await asleep(registry)
        assert world.engine.runs == {}
        plugin = registry.context.ledger.snapshot().plugins[0]
        assert (plugin.upstream, plugin.token_sha256) == (None, None)
        assert plugin.ui is not None
        assert (await registry.plugin())["enabled"] is True
        assert (await registry.history())[-2:] == ["stopping", "idle"]
        doctor = (await registry.client.get("/v1/plugins/hello/doctor")).json()
        assert doctor["healthy"] is True
        assert "sleeps" in doctor["summary"]


async def test_stays_awake_while_somebody_uses_it(world: World, folder: Folder, fast: None) -> None:
    folder.add(**ON_DEMAND)
    async with world.registry() as registry:
        await registry.ask("enable")
        record = registry.context.ledger.records["hello"]
        record.used_at = time.monotonic() - 60
        await told(registry, "hello")
        assert demand.awake(record, time.monotonic(), registry.context.workers.told_at)


async def test_a_gateway_that_tells_nothing_keeps_it_awake(world: World, folder: Folder, fast: None) -> None:
    """Requests may be under way that the registry cannot know of."""
    folder.add(**ON_DEMAND)
    async with world.registry() as registry:
        await registry.ask("enable")
        record = registry.context.ledger.records["hello"]
        record.used_at = time.monotonic() - 60
        assert demand.awake(record, time.monotonic(), registry.context.workers.told_at)
        await told(registry)
        assert not demand.awake(record, time.monotonic(), registry.context.workers.told_at)


async def test_ten_that_ask_at_once_start_it_once(world: World, folder: Folder, fast: None) -> None:
    folder.add(**ON_DEMAND)
    async with world.registry() as registry:
        await registry.ask("enable")
        await asleep(registry)
        before = world.engine.started
        answers = await asyncio.gather(*(wake(registry) for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["plugin"]["state"] for answer in answers} == {"ready"}
        assert world.engine.started == before + 1


async def test_one_that_does_not_start_says_why_and_backs_off(world: World, folder: Folder) -> None:
    folder.add(**ON_DEMAND)
    async with world.registry() as registry:
        await registry.ask("enable")
        await asleep(registry)
        registry.runtime.failures["hello"] = RuntimeFailure("image", "image-missing", "There is no image.")
        answer = await wake(registry)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/plugin-failed")
        again = await wake(registry)
        assert again.status_code == 409, "while it backs off nobody waits"
        assert world.engine.runs == {}


async def test_a_crash_while_awake_is_mended(world: World, folder: Folder, fast: None) -> None:
    folder.add(activation="on-demand", idleAfter="60s")
    async with world.registry() as registry:
        await registry.ask("enable")
        registry.runtime.crash("hello", ExitStatus(code=1))
        await registry.until(lambda: world.engine.started == 2)
        await registry.until_state("ready")


async def test_disable_from_sleep_and_enable_again(world: World, folder: Folder, fast: None) -> None:
    folder.add(**ON_DEMAND)
    async with world.registry() as registry:
        await registry.ask("enable")
        await asleep(registry)
        assert (await registry.ask("enable")).json()["plugin"]["state"] == "idle", "it is enabled already"
        assert (await registry.ask("disable")).json()["plugin"]["state"] == "disabled"
        assert (await wake(registry)).status_code == 409, "nobody wakes what is switched off"
        assert (await registry.ask("enable")).json()["plugin"]["state"] == "ready"


async def test_sleep_outlives_the_registry(world: World, folder: Folder, fast: None) -> None:
    folder.add(**ON_DEMAND)
    async with world.registry() as registry:
        await registry.ask("enable")
        await asleep(registry)
        await registry.context.ledger.flush()
        started = world.engine.started
    async with world.registry() as registry:
        await registry.until(lambda: registry.runtime.calls["observe"] > 2)
        assert (await registry.plugin())["state"] == "idle"
        assert world.engine.started == started
        assert (await wake(registry)).status_code == 200


async def test_what_is_always_on_never_sleeps(world: World, folder: Folder, fast: None) -> None:
    folder.add()
    async with world.registry() as registry:
        await registry.ask("enable")
        record = registry.context.ledger.records["hello"]
        record.used_at = -1e9
        await told(registry)
        assert demand.awake(record, time.monotonic(), registry.context.workers.told_at)
