"""A plugin whose folder holds another version, in a running registry with a runtime in memory."""

import asyncio
from typing import Any

import pytest
from nimbus_registry.lifecycle import upgrade as upgrades
from nimbus_registry.runtime.base import ExitStatus

from tests.registry.conftest import Registry, World
from tests.registry.test_upgrade import ask, events, served, shape, versions

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NEW = "example/hello:2.0.0"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "SETTLE_SECONDS", 0.0)


async def lay(registry: Registry, world: World, version: str, *, data: bool = False, **changes: Any) -> None:
    """Put a version into the folder, and have it found."""
    world.folder.add(**shape(version, data=data, **changes))
    assert (await registry.client.post("/v1/plugins/scan")).status_code == 200


async def enabled(registry: Registry, world: World, *, data: bool = False) -> None:
    await lay(registry, world, "1.0.0", data=data)
    answer = await registry.ask("enable")
    assert answer.status_code == 200, answer.text


async def until_installed(registry: Registry, version: str) -> None:
    record = registry.context.ledger.records["hello"]
    await registry.until(lambda: record.version == version and record.next is None and record.state == "ready")


async def until_rejected(registry: Registry) -> None:
    record = registry.context.ledger.records["hello"]
    await registry.until(lambda: record.next is None and record.upgrade_failure is not None)


class TestTakenOver:
    async def test_beside_the_old_one(self, either_world: World) -> None:
        async with either_world.registry() as registry:
            await enabled(registry, either_world)
            before = served(registry).upstream
            registry.runtime.gates["hello"] = asyncio.Event()
            await lay(registry, either_world, "2.0.0")
            await registry.until(lambda: "hello" in registry.runtime.building)
            assert (served(registry).upstream, served(registry).detail.version) == (before, "1.0.0")
            assert served(registry).detail.state == "ready"
            registry.runtime.gates["hello"].set()
            await until_installed(registry, "2.0.0")
            await registry.until(lambda: list(either_world.engine.runs) == ["hello.1"])
            assert registry.runtime.specs["hello.1"].rebuild is True
            assert await versions(registry) == [("2.0.0", "current"), ("1.0.0", "kept")]
            assert await events(registry) == ["upgraded"]
            assert registry.gateway.events[-2:] == [("hello", "upgraded"), ("hello", "enabled")]
        async with either_world.registry() as registry:
            await registry.until_state("ready")
            assert (await registry.plugin())["version"] == "2.0.0"
            assert either_world.engine.started == 2

    async def test_with_data_after_it_was_stopped_and_copied(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world, data=True)
            await lay(registry, world, "2.0.0", data=True)
            await until_installed(registry, "2.0.0")
            assert list(world.engine.snapshots.values()) == ["1.0.0;"]
            assert world.engine.data["hello"] == "1.0.0;2.0.0;"
            assert (await ask(registry, "rollback")).status_code == 200
            assert world.engine.data["hello"] == "1.0.0;1.0.0;"

    async def test_where_runs_cannot_be_beside_each_other(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with world.registry() as registry:
            monkeypatch.setattr(type(registry.runtime), "side_by_side", False)
            await enabled(registry, world)
            registry.runtime.gates["hello"] = asyncio.Event()
            await lay(registry, world, "2.0.0")
            await registry.until(lambda: "hello" in registry.runtime.building)
            assert (served(registry).holding, served(registry).detail.state) == (True, "ready")
            registry.runtime.gates["hello"].set()
            await until_installed(registry, "2.0.0")
            assert (served(registry).holding, list(world.engine.runs)) == (False, ["hello"])
            answer = await registry.client.get("/v1/plugins/hello/versions")
            assert [one["hasSnapshot"] for one in answer.json()["items"]] == [False, False]

    async def test_of_one_that_does_not_run(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world)
            assert (await registry.ask("disable")).status_code == 200
            await lay(registry, world, "2.0.0")
            record = registry.context.ledger.records["hello"]
            await registry.until(lambda: record.version == "2.0.0")
            assert (record.state, world.engine.runs) == ("disabled", {})
            assert await versions(registry) == [("2.0.0", "current"), ("1.0.0", "kept")]

    async def test_of_one_that_was_never_used(self, world: World) -> None:
        async with world.registry() as registry:
            await lay(registry, world, "1.0.0")
            await lay(registry, world, "2.0.0")
            assert await versions(registry) == [("2.0.0", "current")]

    async def test_by_a_registry_that_was_killed_in_the_middle(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world)
            registry.runtime.gates["hello"] = asyncio.Event()
            await lay(registry, world, "2.0.0")
            await registry.until(lambda: "hello" in registry.runtime.building)
        async with world.registry() as registry:
            await until_installed(registry, "2.0.0")
            assert await versions(registry) == [("2.0.0", "current"), ("1.0.0", "kept")]


class TestNotTakenOver:
    async def test_a_bad_version_is_rolled_back_and_not_tried_again(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world)
            before = served(registry).upstream
            registry.runtime.broken_images[NEW] = ExitStatus(code=3)
            await lay(registry, world, "2.0.0")
            await until_rejected(registry)
            assert (served(registry).upstream, served(registry).detail.state) == (before, "ready")
            assert await versions(registry) == [("1.0.0", "current"), ("2.0.0", "rejected")]
            tries = registry.runtime.calls["ensure"]
            await lay(registry, world, "2.0.0")
            assert registry.context.ledger.records["hello"].next is None
            assert registry.runtime.calls["ensure"] == tries
            del registry.runtime.broken_images[NEW]
            assert (await ask(registry, "upgrade", version="2.0.0")).status_code == 200
            assert (await registry.plugin())["version"] == "2.0.0"

    async def test_what_the_folder_holds_next_is_tried(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world)
            registry.runtime.broken_images[NEW] = ExitStatus(code=3)
            await lay(registry, world, "2.0.0")
            await until_rejected(registry)
            await lay(registry, world, "2.0.1")
            await until_installed(registry, "2.0.1")

    async def test_one_that_was_put_back_and_comes_again_is_tried_again(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world)
            registry.runtime.broken_images[NEW] = ExitStatus(code=3)
            await lay(registry, world, "2.0.0")
            await until_rejected(registry)
            await lay(registry, world, "1.0.0")
            del registry.runtime.broken_images[NEW]
            await lay(registry, world, "2.0.0")
            await until_installed(registry, "2.0.0")

    async def test_after_a_rollback_the_folder_is_left_alone(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world)
            await lay(registry, world, "2.0.0")
            await until_installed(registry, "2.0.0")
            assert (await ask(registry, "rollback")).status_code == 200
            await lay(registry, world, "2.0.0")
            assert registry.context.ledger.records["hello"].next is None
            assert (await registry.plugin())["version"] == "1.0.0"
        async with world.registry() as registry:
            await registry.until_state("ready")
            assert (await registry.plugin())["version"] == "1.0.0"
            assert (await ask(registry, "rollback", version="2.0.0")).status_code == 200

    async def test_one_that_asks_for_more_waits(self, world: World) -> None:
        async with world.registry() as registry:
            await enabled(registry, world)
            await lay(registry, world, "2.0.0", permissions=["media:read", "network:egress"])
            assert await versions(registry) == [("1.0.0", "current"), ("2.0.0", "waiting")]
            shown = await registry.plugin()
            assert (shown["version"], shown["reason"]["code"]) == ("1.0.0", "version-waits")
            assert (await ask(registry, "upgrade", version="2.0.0")).json()["missing"] == ["network:egress"]
            answer = await ask(registry, "upgrade", version="2.0.0", grant=["network:egress"])
            assert answer.status_code == 200, answer.text
            assert (answer.json()["plugin"]["version"], answer.json()["plugin"].get("reason")) == ("2.0.0", None)
            assert served(registry).grants == ["media:read", "network:egress"]
