"""Installing, upgrading and rolling back on the compose stack, under a constant load that may lose no request."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.integration.versioned_plugin import Shelf, seen_settings, set_up, tag_of, write_source
from tests.support.api import Api, wait_until
from tests.support.compose import ComposeStack
from tests.support.engine import BaseImages, remove_images
from tests.support.load import load

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.anyio]

RATE = 200
"""Requests each second."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shelf(engine: docker.DockerClient, base_images: BaseImages, tmp_path: Path, admin: Api) -> Iterator[Shelf]:
    shelf = Shelf(engine, base_images.python, tmp_path)
    yield shelf
    for plugin_id in shelf.plugins:
        if admin.get(f"/api/plugins/{plugin_id}").status_code == 200:
            admin.disable(plugin_id)
    remove_images(engine, "nimbus-test-")


async def call(admin: Api, path: str, **body: Any) -> httpx.Response:
    """A call of the administrator beside the load."""
    return await asyncio.to_thread(admin.post, f"/api/admin/plugins{path}", params={"wait": 60}, json=body)


def versions_of(admin: Api, plugin_id: str) -> list[tuple[str, str]]:
    listed = admin.get(f"/api/admin/plugins/{plugin_id}/versions").json()["items"]
    return [(one["version"], one["status"]) for one in listed]


async def installed(admin: Api, shelf: Shelf, plugin_id: str, *, data: bool) -> None:
    """Version 1.0.0 is installed and serves; 2.0.0 and a broken 3.0.0 can be had."""
    shelf.build(plugin_id, "1.0.0", data=data)
    shelf.build(plugin_id, "2.0.0", data=data)
    shelf.build(plugin_id, "3.0.0", data=data, broken=True)
    answer = await call(admin, "", image=tag_of(plugin_id, "1.0.0"), grant=[])
    assert answer.status_code == 201, answer.text
    enabled = await asyncio.to_thread(admin.post, f"/api/plugins/{plugin_id}/enable", params={"wait": 60})
    assert enabled.status_code == 200, enabled.text


@pytest.mark.parametrize("data", [False, True], ids=["stateless", "data"])
async def test_no_request_is_lost(stack: ComposeStack, admin: Api, shelf: Shelf, data: bool) -> None:
    """An upgrade, a bad upgrade and a rollback, each under 200 requests a second; settings go with their version."""
    plugin_id = "shifting-data" if data else "shifting"
    await installed(admin, shelf, plugin_id, data=data)
    set_up(admin, plugin_id, "for one")
    async with load(f"{stack.url}/api/plugins/{plugin_id}/version", rate=RATE) as during:
        slow = asyncio.create_task(
            asyncio.to_thread(httpx.get, f"{stack.url}/api/plugins/{plugin_id}/slow", timeout=30, trust_env=False)
        )
        answer = await call(admin, f"/{plugin_id}/upgrade", image=tag_of(plugin_id, "2.0.0"))
        assert answer.status_code == 200, answer.text
        assert (await slow).status_code == 200
    assert during.failures == []
    assert set(during.answers) == {"1.0.0", "2.0.0"}
    assert seen_settings(admin, plugin_id) == "for one"
    set_up(admin, plugin_id, "for two")

    async with load(f"{stack.url}/api/plugins/{plugin_id}/version", rate=RATE) as during:
        began = time.monotonic()
        answer = await call(admin, f"/{plugin_id}/upgrade", image=tag_of(plugin_id, "3.0.0"))
        took = time.monotonic() - began
        assert answer.status_code == 409, answer.text
        assert answer.json()["type"] == "/problems/upgrade-failed"
        assert "this version cannot start" in answer.json()["reason"]["logTail"]
        assert took < 30
    assert during.failures == []
    assert set(during.answers) == {"2.0.0"}
    assert seen_settings(admin, plugin_id) == "for two"

    async with load(f"{stack.url}/api/plugins/{plugin_id}/version", rate=RATE) as during:
        answer = await call(admin, f"/{plugin_id}/rollback")
        assert answer.status_code == 200, answer.text
    assert during.failures == []
    assert set(during.answers) == {"2.0.0", "1.0.0"}
    assert seen_settings(admin, plugin_id) == "for one"
    if data:
        # As 1.0.0 left them, and its new start: what 2.0.0 wrote is kept aside.
        lines = admin.get(f"/api/plugins/{plugin_id}/x").json()["lines"]
        assert lines == ["1.0.0", "1.0.0"]
    assert versions_of(admin, plugin_id) == [("1.0.0", "current"), ("3.0.0", "rejected"), ("2.0.0", "kept")]
    listed = admin.get(f"/api/admin/plugins/{plugin_id}/versions").json()["items"]
    assert all(one["digest"].startswith("sha256:") for one in listed)

    mine = {"label": [f"io.nimbus.instance={stack.project}", f"io.nimbus.plugin={plugin_id}"]}
    assert len(shelf.engine.volumes.list(filters=mine)) == (2 if data else 0)
    kept = await asyncio.to_thread(admin.http.delete, f"/api/admin/plugins/{plugin_id}")
    assert (kept.status_code, kept.json()["dataDeleted"]) == (200, False)
    assert shelf.engine.containers.list(all=True, filters=mine) == []
    assert shelf.engine.networks.list(filters=mine) == []
    if data:
        # Installed again it finds what it left, and only a deletion by name takes that away.
        assert (await call(admin, "", image=tag_of(plugin_id, "1.0.0"), grant=[])).status_code == 201
        enabled = await asyncio.to_thread(admin.post, f"/api/plugins/{plugin_id}/enable", params={"wait": 60})
        assert enabled.status_code == 200, enabled.text
        assert admin.get(f"/api/plugins/{plugin_id}/x").json()["lines"] == ["1.0.0"] * 3
        gone = await asyncio.to_thread(
            admin.http.delete, f"/api/admin/plugins/{plugin_id}", params={"deleteData": "true"}
        )
        assert gone.status_code == 200, gone.text
        assert shelf.engine.volumes.list(filters=mine) == []


@pytest.mark.parametrize("data", [False, True], ids=["stateless", "data"])
async def test_a_changed_folder_loses_no_request(
    stack: ComposeStack, admin: Api, shelf: Shelf, plugin_folders: Path, data: bool
) -> None:
    """A folder that gets a new version, a bad one, and the way back: each image is built under the load."""
    plugin_id = "turning-data" if data else "turning"
    shelf.plugins.append(plugin_id)
    url = f"{stack.url}/api/plugins/{plugin_id}/version"

    async def laid(version: str, wanted: list[tuple[str, str]], *, broken: bool = False) -> None:
        write_source(plugin_folders / plugin_id, shelf.python, plugin_id, version, data=data, broken=broken)
        scanned = await asyncio.to_thread(admin.post, "/api/admin/plugins/scan")
        assert scanned.status_code == 200, scanned.text
        await asyncio.to_thread(
            wait_until, lambda: versions_of(admin, plugin_id) == wanted, seconds=90, what=str(wanted)
        )

    await laid("1.0.0", [("1.0.0", "current")])
    enabled = await asyncio.to_thread(admin.post, f"/api/plugins/{plugin_id}/enable", params={"wait": 60})
    assert enabled.status_code == 200, enabled.text
    set_up(admin, plugin_id, "for one")
    async with load(url, rate=RATE) as during:
        await laid("2.0.0", [("2.0.0", "current"), ("1.0.0", "kept")])
    assert during.failures == []
    assert set(during.answers) == {"1.0.0", "2.0.0"}
    assert seen_settings(admin, plugin_id) == "for one"
    set_up(admin, plugin_id, "for two")

    async with load(url, rate=RATE) as during:
        await laid("3.0.0", [("2.0.0", "current"), ("3.0.0", "rejected"), ("1.0.0", "kept")], broken=True)
    assert during.failures == []
    assert set(during.answers) == {"2.0.0"}
    assert seen_settings(admin, plugin_id) == "for two"

    async with load(url, rate=RATE) as during:
        answer = await call(admin, f"/{plugin_id}/rollback", version="1.0.0")
        assert answer.status_code == 200, answer.text
    assert during.failures == []
    assert set(during.answers) == {"2.0.0", "1.0.0"}
    assert seen_settings(admin, plugin_id) == "for one"
    # The folder still holds 3.0.0: a new start of 1.0.0 is one of the image that was built of it.
    restarted = await call(admin, f"/{plugin_id}/restart")
    assert restarted.status_code == 200, restarted.text
    assert admin.get(f"/api/plugins/{plugin_id}/version").json()["version"] == "1.0.0"
    mine = {"label": [f"io.nimbus.instance={stack.project}", f"io.nimbus.plugin={plugin_id}"]}
    assert len(shelf.engine.containers.list(all=True, filters=mine)) == 1


async def test_asks_a_person_first(admin: Api, shelf: Shelf) -> None:
    """Permissions at installation, a risk, and an upgrade that waits for consent."""
    shelf.build("asking", "1.0.0", permissions=["media:read"])
    shelf.build("asking", "2.0.0", permissions=["media:read", "network:egress"])
    answer = await call(admin, "", image=tag_of("asking", "1.0.0"))
    assert answer.status_code == 201, answer.text
    assert answer.json()["permissions"]["risk"]["level"] == "low"
    refused = admin.post("/api/plugins/asking/enable", params={"wait": 60})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/consent-required")
    granted = admin.http.put("/api/admin/plugins/asking/permissions", json={"grant": ["media:read"]})
    assert granted.status_code == 200, granted.text
    assert admin.post("/api/plugins/asking/enable", params={"wait": 60}).status_code == 200
    waits = await call(admin, "/asking/upgrade", image=tag_of("asking", "2.0.0"))
    assert (waits.status_code, waits.json()["missing"]) == (409, ["network:egress"])
    assert (await call(admin, "/asking/upgrade", version="2.0.0", grant=["network:egress"])).status_code == 200
    network = f"{(await _instance(shelf))}-plugin-asking.egress"
    assert [one.name for one in shelf.engine.networks.list(names=[network])] == [network]


async def _instance(shelf: Shelf) -> str:
    container = next(one for one in shelf.engine.containers.list() if one.labels.get("io.nimbus.plugin") == "asking")
    return str(container.labels["io.nimbus.instance"])
