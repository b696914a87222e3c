"""A plugin that runs as a process from its folder, which gets other versions under a constant load."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.site import Site, running_site, write_plugin
from tests.support.api import wait_until
from tests.support.load import load

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

RATE = 50
"""Requests each second."""
PLUGIN = "moving"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("folders")) as site:
        yield site


def statuses(site: Site, plugin_id: str) -> list[tuple[str, str]]:
    items = site.api.get(f"/api/admin/plugins/{plugin_id}/versions").json()["items"]
    return [(one["version"], one["status"]) for one in items]


def set_up(site: Site, plugin_id: str, value: str) -> None:
    """Save a setting, as a person does."""
    answer = site.api.http.put(f"/api/admin/plugins/{plugin_id}/config", json={"values": {"set": value}})
    assert answer.status_code == 200, answer.text


def set_for(site: Site, plugin_id: str) -> str:
    return str(site.api.get(f"/api/admin/plugins/{plugin_id}/config").json()["values"]["set"])


@pytest.mark.parametrize("data", [False, True], ids=["stateless", "data"])
async def test_a_changed_folder_loses_no_request(site: Site, data: bool) -> None:
    """A new version, a bad one, and the way back by a person, whose program the folder does not hold any more."""
    plugin_id = f"{PLUGIN}-data" if data else PLUGIN
    folder, url = site.folder(plugin_id), f"{site.url}/api/plugins/{plugin_id}/version"
    runtime: dict[str, Any] = {"data": data}

    async def laid(version: str, wanted: list[tuple[str, str]]) -> None:
        write_plugin(folder, plugin_id, version=version, **runtime)
        scanned = await asyncio.to_thread(site.api.post, "/api/admin/plugins/scan")
        assert scanned.status_code == 200, scanned.text
        await asyncio.to_thread(wait_until, lambda: statuses(site, plugin_id) == wanted, seconds=60, what=str(wanted))

    await laid("1.0.0", [("1.0.0", "current")])
    await asyncio.to_thread(site.api.enable, plugin_id)
    set_up(site, plugin_id, "for one")
    async with load(url, rate=RATE) as during:
        await laid("2.0.0", [("2.0.0", "current"), ("1.0.0", "kept")])
    assert during.failures == []
    assert set(during.answers) == {"1.0.0", "2.0.0"}
    assert set_for(site, plugin_id) == "for one"
    set_up(site, plugin_id, "for two")

    (folder / "server.py").write_text("raise SystemExit('this version cannot start')")
    async with load(url, rate=RATE) as during:
        await laid("3.0.0", [("2.0.0", "current"), ("3.0.0", "rejected"), ("1.0.0", "kept")])
    assert during.failures == []
    assert set(during.answers) == {"2.0.0"}

    async with load(url, rate=RATE) as during:
        answer = await asyncio.to_thread(
            site.api.post,
            f"/api/admin/plugins/{plugin_id}/rollback",
            params={"wait": 60},
            json={"version": "1.0.0"},
        )
        assert answer.status_code == 200, answer.text
    assert during.failures == []
    assert set(during.answers) == {"2.0.0", "1.0.0"}
    assert set_for(site, plugin_id) == "for one"
    # The folder still holds 3.0.0: a new start of 1.0.0 is one of the copy that was kept.
    restarted = await asyncio.to_thread(site.api.post, f"/api/admin/plugins/{plugin_id}/restart", params={"wait": 60})
    assert restarted.status_code == 200, restarted.text
    assert site.answer(plugin_id) == (200, "1.0.0")
    site.api.disable(plugin_id)
