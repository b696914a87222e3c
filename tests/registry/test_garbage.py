"""Images that nothing needs any more: listed by one look, removed by the next, unless they are needed after all."""

import pytest
from nimbus_registry.database import utcnow
from nimbus_registry.errors import DatabaseUnavailableError
from nimbus_registry.lifecycle.garbage import needed_images
from nimbus_registry.runtime.base import RuntimeFailure, UnusedImage
from nimbus_registry.store.installation import KeptVersion
from nimbus_registry.store.ledger import Ledger

from tests.registry.conftest import Folder, Registry, World

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OLD = UnusedImage("sha256:1", "example/old:1", 1000)
HELLO = UnusedImage("sha256:2", "example/hello:1.0.0", 2000)


async def listed(registry: Registry) -> list[str]:
    return [item["name"] for item in (await registry.client.get("/v1/orphans")).json()["items"]]


async def collect(registry: Registry) -> dict[str, list[str]]:
    answer = await registry.client.post("/v1/orphans/collect")
    assert answer.status_code == 200, answer.text
    return {key: [item["name"] for item in answer.json()[key]] for key in ("items", "removed")}


async def test_is_listed_before_it_is_removed(world: World, folder: Folder) -> None:
    folder.add()
    async with world.registry() as registry:
        await registry.until(lambda: registry.runtime.calls["unused_images"] > 0)
        registry.runtime.built = [OLD, HELLO]
        assert await collect(registry) == {"items": ["example/old:1"], "removed": []}
        assert await listed(registry) == ["example/old:1"]
        assert await collect(registry) == {"items": [], "removed": ["example/old:1"]}
        assert registry.runtime.built == [HELLO], "what a plugin runs by stays"


async def test_one_that_is_needed_again_meanwhile_stays(world: World, folder: Folder) -> None:
    async with world.registry() as registry:
        await registry.until(lambda: registry.runtime.calls["unused_images"] > 0)
        registry.runtime.built = [HELLO]
        assert (await collect(registry))["items"] == ["example/hello:1.0.0"]
        folder.add()
        assert (await registry.client.post("/v1/plugins/scan")).status_code == 200
        assert await collect(registry) == {"items": [], "removed": []}
        assert registry.runtime.built == [HELLO]


async def test_one_that_cannot_be_removed_stays_listed(world: World) -> None:
    async with world.registry() as registry:
        await registry.until(lambda: registry.runtime.calls["unused_images"] > 0)
        registry.runtime.built, registry.runtime.images_in_use = [OLD], {OLD.id}
        await collect(registry)
        assert await collect(registry) == {"items": ["example/old:1"], "removed": []}


async def test_an_engine_that_does_not_answer(world: World) -> None:
    async with world.registry() as registry:
        registry.runtime.down = RuntimeFailure("engine", "engine-unreachable", "The engine is away.")
        answer = await registry.client.post("/v1/orphans/collect")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/runtime-unavailable")


async def test_kept_versions_need_their_images(world: World, folder: Folder) -> None:
    folder.add()
    async with world.registry() as registry:
        records = registry.context.ledger.records
        records["hello"].installation.pin = "example/hello@sha256:abc"
        assert needed_images(records.values()) == {"example/hello:1.0.0", "example/hello@sha256:abc"}


async def test_copies_that_nothing_goes_back_to_are_listed_and_removed(world: World, folder: Folder) -> None:
    folder.add(runtime={"image": "hello:1", "data": True})
    snapshots = world.engine.snapshots
    async with world.registry() as registry:
        await registry.until(lambda: registry.runtime.calls["data_copies"] > 0)
        record = registry.context.ledger.get("hello")
        assert record.manifest is not None
        kept = KeptVersion(
            status="kept", manifest=record.manifest, source=record.source, snapshot="of-0.9", since=utcnow()
        )
        record.installation.keep(kept)
        snapshots |= {("hello", "of-0.9"): "a", ("hello", "left"): "b", ("uninstalled", "left"): "c"}
        answer = (await registry.client.post("/v1/orphans/collect")).json()
        assert [(item["kind"], item["name"], item["pluginId"]) for item in answer["items"]] == [
            ("copy", "left", "hello")
        ]
        # While something is done with its data, nothing of them is touched.
        record.reserved = "restore"
        assert await collect(registry) == {"items": [], "removed": []}
        record.reserved = None
        assert (await collect(registry))["items"] == ["left"]
        assert await collect(registry) == {"items": [], "removed": ["left"]}
        assert set(snapshots) == {("hello", "of-0.9"), ("uninstalled", "left")}


async def test_a_copy_that_a_killed_registry_would_go_back_to_stays(
    world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory has let go of it and the database, which is away, has not."""
    folder.add(runtime={"image": "hello:1", "data": True})
    async with world.registry() as registry:
        await registry.until(lambda: registry.runtime.calls["data_copies"] > 0)
        world.engine.snapshots["hello", "left"] = "of before"
        assert (await collect(registry))["items"] == ["left"]

        async def away(_: Ledger) -> None:
            raise DatabaseUnavailableError

        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "flush", away)
            assert await collect(registry) == {"items": ["left"], "removed": []}
        assert ("hello", "left") in world.engine.snapshots
        assert (await collect(registry))["removed"] == ["left"]
