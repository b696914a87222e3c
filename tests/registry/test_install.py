"""Installing from images, manifests and folders, and what people let plugins do."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from nimbus_registry.runtime.base import FetchedImage

from tests.registry.conftest import DEADLINE, Folder, Registry, World, manifest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IMAGE = "example/hello:1.0.0"
PIN = "example/hello@sha256:" + "a" * 64


def put_image(registry: Registry, image: str = IMAGE, pin: str = PIN, **changes: Any) -> None:
    """Have an image with a manifest where the runtime finds it."""
    registry.runtime.images[image] = FetchedImage(pin, json.dumps(manifest(**changes)).encode())


async def install(registry: Registry, wait: float = DEADLINE, **body: Any) -> httpx.Response:
    params: dict[str, str | float] = {"wait": wait, "cause": "user:tester"}
    return await registry.client.post("/v1/plugins", params=params, json=body)


class TestFromAnImage:
    async def test_is_listed_disabled_with_what_it_asks_for(self, either_world: World) -> None:
        async with either_world.registry() as registry:
            put_image(registry, permissions=["media:read", "network:egress"])
            answer = await install(registry, image=IMAGE)
            assert answer.status_code == 201, answer.text
            plugin, asked = answer.json()["plugin"], answer.json()["permissions"]
            assert (plugin["state"], plugin["enabled"], plugin["source"]) == ("disabled", False, f"image:{IMAGE}")
            assert [(one["name"], one["granted"]) for one in asked["requested"]] == [
                ("media:read", False),
                ("network:egress", False),
            ]
            assert asked["decided"] is False
            codes = [factor["code"] for factor in asked["risk"]["factors"]]
            assert codes == ["not-isolated", "network-egress", "public-routes", "reads-media-and-sends"]
            assert answer.json()["job"]["layers"] == [
                {"id": "aaa", "status": "Downloading", "current": 5, "total": 10}
            ]
        async with either_world.registry() as registry:
            assert registry.context.ledger.records["hello"].installation.pin == PIN

    async def test_runs_exactly_the_bytes_that_were_installed(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry)
            assert (await install(registry, image=IMAGE, grant=["media:read"])).status_code == 201
            assert (await registry.ask("enable")).status_code == 200
            assert registry.runtime.specs["hello"].image == PIN

    async def test_is_not_enabled_before_somebody_decided(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry, permissions=["media:read", "media:write"])
            await install(registry, image=IMAGE)
            answer = await registry.ask("enable")
            assert answer.status_code == 409
            assert answer.json()["type"] == "/problems/consent-required"
            assert answer.json()["missing"] == ["media:read", "media:write"]
            answer = await registry.client.put(
                "/v1/plugins/hello/permissions", params={"cause": "user:eve"}, json={"grant": ["media:read"]}
            )
            assert answer.status_code == 200
            assert (answer.json()["decided"], answer.json()["decidedBy"]) == (True, "user:eve")
            assert (await registry.ask("enable")).status_code == 200
            assert registry.context.ledger.snapshot().plugins[0].grants == ["media:read"]
            assert (await registry.plugin())["missingPermissions"] == ["media:write"]

    async def test_without_permissions_nothing_is_to_be_decided(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry, permissions=[])
            await install(registry, image=IMAGE)
            assert (await registry.ask("enable")).status_code == 200

    async def test_a_slow_pull_is_followed_in_the_snapshot(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry)
            registry.runtime.pull_gate = asyncio.Event()
            answer = await install(registry, image=IMAGE, wait=0)
            assert answer.status_code == 202
            job = answer.json()["job"]
            assert (job["state"], job["source"]) == ("running", f"image:{IMAGE}")
            ledger = registry.context.ledger
            assert await ledger.pulse.until(lambda: any(one.layers for one in ledger.snapshot().installs), DEADLINE)
            registry.runtime.pull_gate.set()
            assert await ledger.pulse.until(lambda: not ledger.snapshot().installs, DEADLINE)
            jobs = (await registry.client.get("/v1/installs")).json()["items"]
            assert [(one["id"], one["state"], one["pluginId"]) for one in jobs] == [(job["id"], "done", "hello")]
            assert (await registry.plugin())["state"] == "disabled"

    async def test_an_image_that_cannot_be_had(self, world: World) -> None:
        async with world.registry() as registry:
            answer = await install(registry, image="example/none:1")
            assert answer.status_code == 409
            assert answer.json()["type"] == "/problems/install-failed"
            assert answer.json()["reason"]["hop"] == "image"
            jobs = (await registry.client.get("/v1/installs")).json()["items"]
            assert jobs[0]["problem"]["type"] == "/problems/install-failed"

    async def test_an_image_that_is_no_plugin(self, world: World) -> None:
        async with world.registry() as registry:
            registry.runtime.images[IMAGE] = FetchedImage(PIN, None)
            answer = await install(registry, image=IMAGE)
            assert answer.status_code == 422
            assert "io.nimbus.manifest" in answer.json()["detail"]

    async def test_a_manifest_with_errors_says_where(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry, version="one")
            answer = await install(registry, image=IMAGE)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["path"] == "/version"

    @pytest.mark.parametrize(("needs", "change"), [(">=99", "nimbus"), ("<0.0.1", "plugin")])
    async def test_says_which_side_to_change(self, world: World, needs: str, change: str) -> None:
        async with world.registry() as registry:
            put_image(registry, requires={"nimbus": needs})
            answer = await install(registry, image=IMAGE)
            assert answer.status_code == 409
            assert (answer.json()["type"], answer.json()["change"]) == ("/problems/plugin-incompatible", change)

    async def test_the_same_again_changes_nothing(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry, permissions=["media:read", "media:write"])
            await install(registry, image=IMAGE, grant=["media:read"])
            await registry.ask("enable")
            before = await registry.plugin()
            elsewhere = "mirror/hello:latest"  # another name of the same contents
            put_image(
                registry, elsewhere, PIN.replace("example", "mirror"), permissions=["media:read", "media:write"]
            )
            for name in (IMAGE, elsewhere):
                answer = await install(registry, image=name)
                assert (answer.status_code, answer.json()["already"]) == (200, True), answer.text
                assert answer.json()["job"]["message"] == "Hello 1.0.0 is installed already."
                assert [one["granted"] for one in answer.json()["permissions"]["requested"]] == [True, False]
            assert await registry.plugin() == before

    async def test_the_same_again_takes_a_new_decision(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry)
            await install(registry, image=IMAGE, grant=[])
            answer = await install(registry, image=IMAGE, grant=["media:read"])
            assert answer.status_code == 200
            assert registry.context.ledger.snapshot().plugins[0].grants == ["media:read"]

    @pytest.mark.parametrize("other", [{"version": "2.0.0"}, {"pin": "example/hello@sha256:" + "b" * 64}])
    async def test_another_version_is_no_installation(self, world: World, other: dict[str, str]) -> None:
        async with world.registry() as registry:
            put_image(registry)
            await install(registry, image=IMAGE)
            put_image(registry, IMAGE, **other)
            answer = await install(registry, image=IMAGE)
            assert answer.status_code == 409
            assert answer.json()["type"] == "/problems/plugin-exists"
            assert "version 1.0.0" in answer.json()["detail"]
            assert "Upgrade it" in answer.json()["detail"]
            assert (await registry.plugin())["version"] == "1.0.0"

    async def test_is_not_installed_twice(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            put_image(registry)
            answer = await install(registry, image=IMAGE)
            assert answer.status_code == 409
            assert answer.json()["type"] == "/problems/plugin-exists"
            assert (await registry.plugin())["source"] == "folder:hello"

    async def test_a_folder_does_not_take_its_id(self, world: World, folder: Folder) -> None:
        async with world.registry() as registry:
            put_image(registry)
            await install(registry, image=IMAGE)
            folder.write("copy", manifest())
            await registry.client.post("/v1/plugins/scan")
            assert (await registry.plugin())["source"] == f"image:{IMAGE}"
            copy = await registry.plugin("copy")
            assert copy["state"] == "invalid"
            assert "image:" in copy["errors"][0]["message"]

    async def test_grants_only_what_is_asked_for(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry)
            answer = await install(registry, image=IMAGE, grant=["media:read", "media:wipe"])
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["path"] == "/grant/1"
            assert "hello" not in registry.context.ledger.records


class TestFromElsewhere:
    async def test_a_manifest(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry)
            answer = await install(registry, manifest=manifest(), grant=[])
            assert answer.status_code == 201, answer.text
            assert registry.context.ledger.records["hello"].installation.pin == PIN

    async def test_a_manifest_without_an_image(self, world: World) -> None:
        async with world.registry() as registry:
            answer = await install(registry, manifest=manifest(runtime={"process": {"command": ["x"]}}))
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["path"] == "/manifest/runtime/image"

    async def test_a_folder(self, world: World, folder: Folder) -> None:
        async with world.registry() as registry:
            folder.add()
            answer = await install(registry, path="hello", grant=["media:read"])
            assert answer.status_code == 201, answer.text
            assert answer.json()["permissions"]["decided"] is True
            assert (await install(registry, path=str(folder.path / "hello"))).status_code == 200

    @pytest.mark.parametrize("path", ["../elsewhere", "/etc", "nothing", "."])
    async def test_a_folder_elsewhere(self, world: World, path: str) -> None:
        async with world.registry() as registry:
            answer = await install(registry, path=path)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["path"] == "/path"

    async def test_exactly_one_source(self, world: World) -> None:
        async with world.registry() as registry:
            answer = await install(registry, path="hello", image=IMAGE)
            assert answer.status_code == 422


class TestDiscovered:
    async def test_enabling_a_folder_grants_what_it_asked_for_then(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            permissions = (await registry.client.get("/v1/plugins/hello/permissions")).json()
            assert (permissions["decided"], permissions["decidedBy"]) == (True, "user:tester")
            folder.add(permissions=["media:read", "network:egress"])
            await registry.client.post("/v1/plugins/scan")
            await registry.until(lambda: registry.context.ledger.records["hello"].missing == ["network:egress"])
            assert registry.context.ledger.snapshot().plugins[0].grants == ["media:read"]
            assert registry.runtime.specs["hello"].egress is False


async def test_what_is_not_expected_is_not_installed(world: World) -> None:
    """A tag may name something else than it did."""
    async with world.registry() as registry:
        put_image(registry)
        for other in ({"expectId": "other"}, {"expectId": "hello", "expectVersion": "9.0.0"}):
            answer = await install(registry, image=IMAGE, **other)
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/unexpected-plugin")
            assert "Nothing was installed" in answer.json()["detail"]
        assert registry.context.ledger.records == {}
        answer = await install(registry, image=IMAGE, expectId="hello", expectVersion="1.0.0")
        assert answer.status_code == 201, answer.text
