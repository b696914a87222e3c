"""Whose settings a plugin has while its version is changed, in a running registry with a runtime in memory."""

import asyncio

import pytest
from nimbus_registry.catalog.versions import precedence
from nimbus_registry.lifecycle import upgrade as upgrades
from nimbus_registry.lifecycle import version_settings
from nimbus_registry.lifecycle.version_settings import brings_back
from nimbus_registry.runtime.base import ExitStatus
from nimbus_registry.store.candidate import Candidate
from nimbus_sdk.contracts.manifest import Manifest

from tests.registry.conftest import Registry, World
from tests.registry.test_install import put_image
from tests.registry.test_upgrade import NEW, PIN, ask, running, shape, versions

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DATA = pytest.mark.parametrize("data", [False, True], ids=["beside", "stop-first"])


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(version_settings, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(version_settings, "AGAIN_SECONDS", 0.05)


def entering(registry: Registry) -> str | None:
    return registry.context.ledger.records["hello"].installation.entering


@pytest.mark.parametrize(
    ("kind", "version", "back"),
    [
        ("upgrade", "2.0.0", False),
        ("rollback", "2.0.0", True),
        ("rollback", "0.9.0", True),
        ("upgrade", "0.9.0", True),
        ("upgrade", "1.0.0-rc.1", True),
    ],
)
def test_a_version_that_is_gone_back_to_gets_its_settings_back(kind: str, version: str, *, back: bool) -> None:
    document = {"manifestVersion": 1, "id": "hello", "name": "Hello", "version": version}
    document["runtime"] = {"image": "example/hello:1"}
    manifest = Manifest.model_validate(document)
    candidate = Candidate(manifest, "manifest", None, kind="rollback" if kind == "rollback" else "upgrade")
    assert precedence(version) != precedence("1.0.0")
    assert brings_back(candidate, "1.0.0") is back


@DATA
async def test_go_on_at_an_upgrade_and_come_back_at_a_rollback(world: World, *, data: bool) -> None:
    async with running(world, data=data) as registry:
        gateway = registry.gateway
        gateway.settings["hello"] = "set for one"
        assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
        assert gateway.settings["hello"] == "set for one"
        gateway.settings["hello"] = "set for two"
        assert (await ask(registry, "rollback")).status_code == 200
        assert gateway.settings["hello"] == "set for one"
        assert gateway.settings_kept["hello", "2.0.0"] == "set for two"
        assert (await ask(registry, "rollback", version="2.0.0")).status_code == 200
        assert gateway.settings["hello"] == "set for two"
        assert entering(registry) is None


@DATA
async def test_come_back_when_a_new_version_does_not_become_ready(world: World, *, data: bool) -> None:
    async with running(world, data=data) as registry:
        gateway = registry.gateway
        gateway.settings["hello"] = "set for one"
        registry.runtime.gates["hello"] = asyncio.Event()
        registry.runtime.broken_images[PIN[NEW]] = ExitStatus(code=3)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(registry, "upgrade", image=NEW))
            await registry.until(lambda: "hello" in registry.runtime.building)
            assert entering(registry) == "2.0.0"
            gateway.settings["hello"] = "changed by two"
            registry.runtime.gates["hello"].set()
        assert asking.result().status_code == 409
        assert gateway.settings["hello"] == "set for one"
        assert gateway.settings_kept["hello", "2.0.0"] == "changed by two"
        assert await versions(registry) == [("1.0.0", "current"), ("2.0.0", "rejected")]
        assert entering(registry) is None


@DATA
async def test_a_version_is_not_left_when_they_cannot_be_kept(world: World, *, data: bool) -> None:
    async with running(world, data=data) as registry:
        registry.gateway.settings_down = True
        answer = await ask(registry, "upgrade", image=NEW)
        assert answer.status_code == 409
        assert answer.json()["reason"]["code"] == "settings-not-kept"
        assert (await registry.plugin())["state"] == "ready"
        assert (await registry.plugin())["version"] == "1.0.0"
        registry.gateway.settings_down = False
        await registry.until(lambda: entering(registry) is None)
        assert (await ask(registry, "upgrade", image=NEW)).status_code == 200


async def test_of_a_plugin_that_does_not_run(world: World) -> None:
    async with running(world) as registry:
        assert (await registry.ask("disable")).status_code == 200
        registry.gateway.settings["hello"] = "set for one"
        registry.gateway.settings_down = True
        assert (await ask(registry, "upgrade", image=NEW)).status_code == 409
        registry.gateway.settings_down = False
        await registry.until(lambda: entering(registry) is None)
        assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
        registry.gateway.settings["hello"] = "set for two"
        assert (await ask(registry, "rollback")).status_code == 200
        assert registry.gateway.settings["hello"] == "set for one"


@DATA
async def test_a_registry_killed_in_the_middle_brings_them_back(world: World, *, data: bool) -> None:
    async with running(world, data=data) as registry:
        registry.gateway.settings["hello"] = "set for one"
        registry.runtime.gates["hello"] = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(registry, "upgrade", image=NEW, wait=1))
            await registry.until(lambda: "hello" in registry.runtime.building)
            await asking
        kept = registry.gateway
    async with world.registry() as registry:
        put_image(registry, NEW, PIN[NEW], **shape("2.0.0", data=data))
        registry.gateway.settings_kept, registry.gateway.settings_owner = kept.settings_kept, kept.settings_owner
        registry.gateway.settings["hello"] = "changed by two"
        await registry.until(lambda: entering(registry) is None)
        await registry.until_state("ready")
        assert registry.gateway.settings["hello"] == "set for one"
        assert (await registry.plugin())["version"] == "1.0.0"
