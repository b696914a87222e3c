"""Upgrades and rollbacks, in a running registry with a runtime in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from nimbus_registry.lifecycle import upgrade as upgrades
from nimbus_registry.runtime.base import ExitStatus, RuntimeFailure
from nimbus_sdk.contracts.control import ProbeResult
from nimbus_sdk.contracts.snapshot import SnapshotPlugin

from tests.registry.conftest import DEADLINE, Registry, World
from tests.registry.test_install import install, put_image

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OLD, NEW = "example/hello:1.0.0", "example/hello:2.0.0"
PIN = {OLD: "sha256:" + "1" * 64, NEW: "sha256:" + "2" * 64}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "SETTLE_SECONDS", 0.0)


def shape(version: str, *, data: bool = False, **changes: Any) -> dict[str, Any]:
    runtime = {"image": f"example/hello:{version}", "data": data, "timeouts": {"start": "2s"}}
    return {"version": version, "runtime": runtime, **changes}


def put_versions(registry: Registry, *, data: bool = False, **changes: Any) -> None:
    put_image(registry, OLD, PIN[OLD], **shape("1.0.0", data=data))
    put_image(registry, NEW, PIN[NEW], **shape("2.0.0", data=data, **changes))


@asynccontextmanager
async def running(
    world: World, *, data: bool = False, options: dict[str, Any] | None = None, **changes: Any
) -> AsyncIterator[Registry]:
    """A registry in which version 1.0.0 of hello serves and 2.0.0 can be had."""
    async with world.registry(**(options or {})) as registry:
        put_versions(registry, data=data, **changes)
        assert (await install(registry, image=OLD, grant=["media:read"])).status_code == 201
        assert (await registry.ask("enable")).status_code == 200
        yield registry


async def ask(registry: Registry, what: str, *, wait: float = DEADLINE, **body: Any) -> httpx.Response:
    params: dict[str, str | float] = {"wait": wait, "cause": "user:tester"}
    return await registry.client.post(f"/v1/plugins/hello/{what}", params=params, json=body)


def served(registry: Registry) -> SnapshotPlugin:
    return registry.context.ledger.snapshot().plugins[0]


async def versions(registry: Registry) -> list[tuple[str, str]]:
    answer = await registry.client.get("/v1/plugins/hello/versions")
    return [(one["version"], one["status"]) for one in answer.json()["items"]]


async def events(registry: Registry) -> list[str]:
    """Codes of what happened to the plugin without a change of its state."""
    items = (await registry.client.get("/v1/plugins/hello/transitions")).json()["items"]
    return [item["reason"]["code"] for item in items if item.get("fromState") == item["toState"]]


class TestWithoutData:
    async def test_starts_beside_the_old_one_and_takes_its_place(self, either_world: World) -> None:
        async with running(either_world) as registry:
            before, old_run = served(registry), either_world.engine.runs["hello"]
            registry.runtime.gates["hello"] = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(registry, "upgrade", image=NEW))
                await registry.until(lambda: "hello" in registry.runtime.building)
                # Until the new one is ready everything is as it was, and both may call the core.
                assert served(registry).upstream == before.upstream
                assert served(registry).token_sha256 == before.token_sha256
                assert len(served(registry).other_token_sha256) == 1
                assert served(registry).detail.state == "ready"
                assert either_world.engine.runs["hello"] == old_run
                registry.runtime.gates["hello"].set()
            answer = asking.result()
            assert answer.status_code == 200, answer.text
            assert answer.json()["plugin"]["version"] == "2.0.0"
            after = served(registry)
            assert after.upstream == either_world.engine.runs["hello.1"].upstream != before.upstream
            assert (after.other_token_sha256, after.holding) == ([], False)
            assert list(either_world.engine.runs) == ["hello.1"]
            assert registry.runtime.specs["hello.1"].image == PIN[NEW]
            assert await versions(registry) == [("2.0.0", "current"), ("1.0.0", "kept")]
            assert await events(registry) == ["upgraded"]
            assert registry.gateway.events[-2:] == [("hello", "upgraded"), ("hello", "enabled")]
        async with either_world.registry() as registry:
            await registry.until_state("ready")
            assert (await registry.plugin())["version"] == "2.0.0"
            assert either_world.engine.started == 2  # a registry that starts anew takes the run over
            assert list(either_world.engine.runs) == ["hello.1"]

    async def test_the_old_one_stays_until_nothing_is_under_way_with_it(self, world: World) -> None:
        async with running(world) as registry:
            old = served(registry).upstream
            assert old is not None
            address = f"{old.host}:{old.port}"
            await registry.client.get("/v1/snapshot", params={"worker": "one", "serving": 1})
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(registry, "upgrade", image=NEW, wait=2))
                await registry.until(lambda: served(registry).detail.version == "2.0.0")
                serving = registry.context.ledger.generation
                params: dict[str, Any] = {"worker": "one", "serving": serving, "busy": [address]}
                await registry.client.get("/v1/snapshot", params=params)
                with pytest.raises(TimeoutError):
                    await registry.until(lambda: "hello" not in world.engine.runs, 0.3)
                assert world.engine.runs["hello"].phase == "running"
                await registry.client.get("/v1/snapshot", params={"worker": "one", "serving": serving})
            assert asking.result().status_code in {200, 202}
            await registry.until(lambda: list(world.engine.runs) == ["hello.1"])

    async def test_a_bad_version_leaves_the_old_one_serving(self, world: World) -> None:
        async with running(world) as registry:
            before = served(registry)
            registry.runtime.broken_images[PIN[NEW]] = ExitStatus(code=3)
            registry.runtime.lines["hello"] = ["Traceback: no"]
            answer = await ask(registry, "upgrade", image=NEW)
            assert answer.status_code == 409
            body = answer.json()
            assert body["type"] == "/problems/upgrade-failed"
            assert "exit code 3" in body["detail"]
            assert body["reason"]["logTail"] == ["Traceback: no"]
            after = served(registry)
            assert (after.upstream, after.token_sha256) == (before.upstream, before.token_sha256)
            assert (after.detail.state, after.detail.version) == ("ready", "1.0.0")
            assert list(world.engine.runs) == ["hello"]
            assert await versions(registry) == [("1.0.0", "current"), ("2.0.0", "rejected")]
            assert await events(registry) == ["exited"]

    async def test_a_disable_overrules_it(self, world: World) -> None:
        async with running(world) as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(ask(registry, "upgrade", image=NEW, wait=1))
                await registry.until(lambda: "hello" in registry.runtime.building)
                answer = await registry.ask("disable")
            assert answer.status_code == 200
            assert world.engine.runs == {}

    async def test_what_an_interrupted_one_left_is_removed(self, world: World) -> None:
        async with running(world) as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
        run = world.engine.runs["hello"]
        world.engine.runs["hello.1"] = type(run)(
            "hello", "running", "other", "stray", upstream=run.upstream, slot=1
        )  # as a killed registry leaves it
        async with world.registry() as registry:
            await registry.until(lambda: list(world.engine.runs) == ["hello"])
            await registry.until_state("ready")

    async def test_one_that_does_not_run_just_changes(self, world: World) -> None:
        async with running(world) as registry:
            assert (await registry.ask("disable")).status_code == 200
            answer = await ask(registry, "upgrade", image=NEW)
            assert answer.status_code == 200, answer.text
            assert (await registry.plugin())["version"] == "2.0.0"
            assert world.engine.runs == {}
            assert (await registry.ask("enable")).status_code == 200
            assert registry.runtime.specs["hello"].image == PIN[NEW]

    async def test_rollback(self, world: World) -> None:
        async with running(world) as registry:
            answer = await ask(registry, "rollback")
            assert answer.status_code == 404
            assert answer.json()["type"] == "/problems/version-not-found"
            assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
            answer = await ask(registry, "rollback")
            assert answer.status_code == 200, answer.text
            assert registry.runtime.specs["hello"].image == PIN[OLD]
            assert await versions(registry) == [("1.0.0", "current"), ("2.0.0", "kept")]
            assert await events(registry) == ["upgraded", "rolled-back"]
            assert (await ask(registry, "rollback", version="2.0.0")).status_code == 200
            assert (await registry.plugin())["version"] == "2.0.0"


class TestWithData:
    async def test_stops_first_and_copies_the_data(self, either_world: World) -> None:
        async with running(either_world, data=True) as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(registry, "upgrade", image=NEW))
                await registry.until(lambda: "hello" in registry.runtime.building)
                assert (served(registry).holding, served(registry).upstream) == (True, None)
                assert served(registry).detail.state == "ready"
                assert either_world.engine.runs == {}
                assert list(either_world.engine.snapshots.values()) == ["1.0.0;"]
                registry.runtime.gates["hello"].set()
            assert asking.result().status_code == 200, asking.result().text
            assert served(registry).holding is False
            assert list(either_world.engine.runs) == ["hello"]
            assert either_world.engine.data["hello"] == "1.0.0;2.0.0;"
            answer = await registry.client.get("/v1/plugins/hello/versions")
            assert answer.json()["items"][1]["hasSnapshot"] is True

    async def test_a_bad_version_brings_the_old_one_and_its_data_back(self, world: World) -> None:
        async with running(world, data=True) as registry:
            registry.runtime.broken_images[PIN[NEW]] = ExitStatus(code=3)
            answer = await ask(registry, "upgrade", image=NEW)
            assert answer.status_code == 409
            assert answer.json()["plugin"]["state"] == "ready"
            assert registry.runtime.specs["hello"].image == PIN[OLD]
            assert world.engine.data["hello"] == "1.0.0;1.0.0;"  # restored, then written by its own start
            assert world.engine.snapshots == {}
            assert (served(registry).holding, served(registry).detail.version) == (False, "1.0.0")
            assert registry.context.ledger.records["hello"].installation.under_way is None

    async def test_one_that_is_too_slow_names_the_operators_setting(self, world: World) -> None:
        async with running(world, data=True, options={"upgrade_timeout": 0.2}) as registry:
            registry.gateway.health["hello"] = ProbeResult(ok=False, hop="connect", detail="refused")
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(registry, "upgrade", image=NEW))
                # The new version has written and failed, its data are restored, and the old one has started again.
                await registry.until(lambda: world.engine.data["hello"] == "1.0.0;1.0.0;")
                del registry.gateway.health["hello"]
            assert asking.result().status_code == 409
            assert "within 0.2 s (NIMBUS_UPGRADE_TIMEOUT)" in asking.result().json()["detail"]
            assert (served(registry).detail.state, served(registry).detail.version) == ("ready", "1.0.0")

    async def test_data_that_cannot_be_copied_stop_it(self, world: World) -> None:
        async with running(world, data=True) as registry:
            registry.runtime.snapshot_failure = RuntimeFailure("init", "snapshot-failed", "The disk is full.")
            answer = await ask(registry, "upgrade", image=NEW)
            assert answer.status_code == 409
            assert "The disk is full." in answer.json()["detail"]
            assert answer.json()["plugin"]["state"] == "ready"
            assert world.engine.data["hello"] == "1.0.0;1.0.0;"

    async def test_rollback_brings_the_data_back_and_keeps_those_of_now(self, world: World) -> None:
        async with running(world, data=True) as registry:
            assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
            assert (await ask(registry, "rollback")).status_code == 200
            assert world.engine.data["hello"] == "1.0.0;1.0.0;"
            assert list(world.engine.snapshots.values()) == ["1.0.0;2.0.0;"]
            assert (await ask(registry, "rollback", data="keep")).status_code == 200
            assert world.engine.data["hello"] == "1.0.0;1.0.0;2.0.0;"

    async def test_a_registry_killed_in_the_middle_goes_back(self, world: World) -> None:
        async with running(world, data=True) as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(registry, "upgrade", image=NEW, wait=1))
                await registry.until(lambda: "hello" in registry.runtime.building)
                await asking
        world.engine.data["hello"] = "half"
        async with world.registry() as registry:
            await registry.until_state("ready")
            assert (await registry.plugin())["version"] == "1.0.0"
            assert world.engine.data["hello"] == "1.0.0;1.0.0;"
            assert registry.context.ledger.records["hello"].installation.under_way is None

    async def test_one_that_does_not_run_has_its_data_copied_too(self, world: World) -> None:
        async with running(world, data=True) as registry:
            assert (await registry.ask("disable")).status_code == 200
            assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
            assert list(world.engine.snapshots.values()) == ["1.0.0;"]
            assert (await registry.ask("enable")).status_code == 200
            assert world.engine.data["hello"] == "1.0.0;2.0.0;"
            assert (await registry.ask("disable")).status_code == 200
            assert (await ask(registry, "rollback")).status_code == 200
            assert world.engine.data["hello"] == "1.0.0;"


class TestConsent:
    async def test_a_version_that_asks_for_more_waits(self, world: World) -> None:
        async with running(world, permissions=["media:read", "network:egress"]) as registry:
            answer = await ask(registry, "upgrade", image=NEW)
            assert answer.status_code == 409
            assert (answer.json()["type"], answer.json()["missing"]) == (
                "/problems/consent-required",
                ["network:egress"],
            )
            assert await versions(registry) == [("1.0.0", "current"), ("2.0.0", "waiting")]
            fetched = registry.runtime.calls["fetch"]
            answer = await ask(registry, "upgrade", version="2.0.0", grant=["network:egress"])
            assert answer.status_code == 200, answer.text
            assert registry.runtime.calls["fetch"] == fetched
            assert served(registry).grants == ["media:read", "network:egress"]
            assert registry.runtime.specs["hello.1"].egress is True

    async def test_it_can_be_taken_without_more(self, world: World) -> None:
        async with running(world, permissions=["media:read", "network:egress"]) as registry:
            assert (await ask(registry, "upgrade", image=NEW, grant=[])).status_code == 200
            assert served(registry).grants == ["media:read"]


CHANGELOG = [
    {"version": "1.0.0", "changes": ["The first one."]},
    {"version": "2.0.0", "date": "2026-11-27", "changes": ["Asks the internet.", "Answers sooner."]},
    {"version": "1.1.0", "changes": ["Greets everybody."]},
]


class TestHold:
    async def test_it_is_shown_before_it_is_taken(self, world: World) -> None:
        async with running(world, changelog=CHANGELOG, permissions=["media:read", "network:egress"]) as registry:
            answer = await ask(registry, "upgrade", image=NEW, hold=True)
            assert answer.status_code == 200, answer.text
            assert (answer.json()["settled"], answer.json()["plugin"]["version"]) == (True, "1.0.0")
            listed = (await registry.client.get("/v1/plugins/hello/versions")).json()["items"]
            assert [(one["version"], one["status"]) for one in listed] == [
                ("1.0.0", "current"),
                ("2.0.0", "waiting"),
            ]
            assert listed[1]["missingPermissions"] == ["network:egress"]
            assert [entry["version"] for entry in listed[1]["changelog"]] == ["2.0.0", "1.1.0"]
            assert listed[1]["changelog"][0]["changes"] == CHANGELOG[1]["changes"]
            assert (await ask(registry, "upgrade", version="2.0.0", grant=[])).status_code == 200
            assert await versions(registry) == [("2.0.0", "current"), ("1.0.0", "kept")]

    async def test_nothing_is_held_that_could_not_be_taken(self, world: World) -> None:
        async with running(world) as registry:
            put_image(registry, "example/hello:0.9.0", **shape("0.9.0"))
            answer = await ask(registry, "upgrade", image="example/hello:0.9.0", hold=True)
            assert answer.json()["type"] == "/problems/downgrade"
            put_image(registry, "example/other:1", id="other")
            assert (await ask(registry, "upgrade", image="example/other:1", hold=True)).status_code == 422
            assert await versions(registry) == [("1.0.0", "current")]

    async def test_a_version_that_was_left_keeps_its_data(self, world: World) -> None:
        async with running(world, data=True) as registry:
            assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
            assert (await ask(registry, "rollback")).status_code == 200
            assert (await ask(registry, "upgrade", image=NEW, hold=True)).status_code == 200
            listed = (await registry.client.get("/v1/plugins/hello/versions")).json()["items"]
            assert [(one["status"], one["hasSnapshot"]) for one in listed] == [("current", False), ("waiting", True)]


class TestRefused:
    async def test_a_downgrade_is_asked_for(self, world: World) -> None:
        async with running(world) as registry:
            put_image(registry, "example/hello:0.9.0", **shape("0.9.0"))
            answer = await ask(registry, "upgrade", image="example/hello:0.9.0")
            assert answer.status_code == 409
            assert answer.json()["type"] == "/problems/downgrade"
            assert (
                await ask(registry, "upgrade", image="example/hello:0.9.0", allowDowngrade=True)
            ).status_code == 200

    async def test_another_plugin(self, world: World) -> None:
        async with running(world) as registry:
            put_image(registry, "example/other:1", id="other")
            answer = await ask(registry, "upgrade", image="example/other:1")
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["path"] == "/id"

    async def test_one_that_follows_a_folder(self, world: World) -> None:
        world.folder.add()
        async with world.registry() as registry:
            put_versions(registry)
            answer = await ask(registry, "upgrade", image=NEW)
            assert answer.status_code == 409
            assert answer.json()["type"] == "/problems/plugin-from-folder"

    async def test_while_another_is_under_way(self, world: World) -> None:
        async with running(world) as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            assert (await ask(registry, "upgrade", image=NEW, wait=0)).status_code == 202
            await registry.until(lambda: "hello" in registry.runtime.building)
            assert (await ask(registry, "rollback")).status_code == 429
            registry.runtime.gates["hello"].set()

    async def test_no_version_waits(self, world: World) -> None:
        async with running(world) as registry:
            assert (await ask(registry, "upgrade", version="9.0.0")).status_code == 404
            assert (await ask(registry, "upgrade", path="hello")).status_code == 422
