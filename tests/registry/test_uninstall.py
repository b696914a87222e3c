"""Taking plugins away, with and without their data."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from tests.registry.conftest import Folder, Registry, World
from tests.registry.test_install import IMAGE, install, put_image
from tests.registry.test_upgrade import NEW, ask, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def uninstall(registry: Registry, **params: str) -> httpx.Response:
    return await registry.client.delete("/v1/plugins/hello", params=params)


async def test_keeps_the_data_unless_asked(either_world: World) -> None:
    async with either_world.registry() as registry:
        put_image(registry)
        await install(registry, image=IMAGE, grant=["media:read"])
        assert (await registry.ask("enable")).status_code == 200
        answer = await uninstall(registry, cause="user:tester")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["dataDeleted"], answer.json()["stillListed"]) == (False, False)
        assert either_world.engine.runs == {}
        assert registry.runtime.calls["purge_data"] == 0
        assert (await registry.client.get("/v1/plugins/hello")).status_code == 404
        assert (await uninstall(registry)).status_code == 404
    async with either_world.registry() as registry:
        assert registry.context.ledger.records == {}
        put_image(registry)
        assert (await install(registry, image=IMAGE)).status_code == 201


async def test_deletes_them_when_asked(world: World) -> None:
    async with running(world, data=True) as registry:
        assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
        answer = await uninstall(registry, deleteData="true")
        assert answer.json()["dataDeleted"] is True
        assert (world.engine.data, world.engine.snapshots) == ({}, {})


async def test_one_in_a_folder_is_found_again(world: World, folder: Folder) -> None:
    path: Path = folder.add()
    async with world.registry() as registry:
        assert (await registry.ask("enable")).status_code == 200
        answer = await uninstall(registry)
        assert answer.json()["stillListed"] is True
        plugin = await registry.plugin()
        assert (plugin["state"], plugin["enabled"]) == ("disabled", False)
        assert registry.context.ledger.records["hello"].installation.grants is None
        await asyncio.to_thread(shutil.rmtree, path.parent)
        await registry.client.post("/v1/plugins/scan")
        assert (await registry.client.get("/v1/plugins/hello")).status_code == 404
