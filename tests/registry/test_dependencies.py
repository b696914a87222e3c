"""Plugins that need others: what is decided about them, and what a running registry makes of it."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nimbus_registry.catalog import dependencies
from nimbus_registry.database import utcnow
from nimbus_registry.store.record import PluginRecord
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import PluginState

from tests.registry.conftest import Folder, Registry, World, manifest
from tests.registry.test_install import IMAGE, install, put_image

pytestmark = [pytest.mark.anyio]


def need(plugin_id: str, version: str = "*", *, optional: bool = False) -> dict[str, Any]:
    return {"id": plugin_id, "version": version, "optional": optional}


def record(
    plugin_id: str, *needs: dict[str, Any], state: PluginState = "ready", enabled: bool = True, version: str = "1.0.0"
) -> PluginRecord:
    now = utcnow()
    found = Manifest.model_validate(manifest(plugin_id, version=version, dependencies=list(needs)))
    return PluginRecord(
        id=plugin_id,
        name=found.name,
        version=version,
        source=f"folder:{plugin_id}",
        created_at=now,
        updated_at=now,
        since=now,
        manifest=found,
        state=state,
        enabled=enabled,
    )


def together(*records: PluginRecord) -> dict[str, PluginRecord]:
    return {one.id: one for one in records}


class TestDecisions:
    @pytest.mark.parametrize(
        ("other", "wanted", "problem"),
        [
            (None, "*", "missing"),
            (record("base", version="0.9.0"), ">=1,<2", "version"),
            (record("base", version="1.4.0"), ">=1,<2", None),
            (record("base", enabled=False, state="disabled"), "*", "disabled"),
            (record("base", state="backoff"), "*", "not-ready"),
            (record("base", state="idle"), "*", None),
            (record("base", version="1.4.0"), "not a range", "version"),
        ],
    )
    def test_how_a_dependency_stands(self, other: PluginRecord | None, wanted: str, problem: str | None) -> None:
        records = together(*([other] if other else []))
        found = dependencies.needs(records, record("top", need("base", wanted)).manifest)
        assert [one.problem for one in found] == [problem]
        assert (found[0].message is None) == (problem is None)

    def test_what_starts_and_stops_first(self) -> None:
        records = together(record("aa", need("bb"), need("cc")), record("bb", need("cc")), record("cc"))
        assert [one.id for one in dependencies.start_order(records, records["aa"])] == ["cc", "bb"]
        assert [one.id for one in dependencies.needed_by(records, "cc")] == ["aa", "bb"]
        records["aa"].enabled = False
        assert [one.id for one in dependencies.needed_by(records, "cc")] == ["bb"]

    def test_many_ways_to_the_same_plugin_are_one(self) -> None:
        """Each layer needs both of the layer below, so that there are two to the power of forty ways down."""
        layers = 40
        records = together(
            *(
                record(f"p{side}-{layer}", *(need(f"p{other}-{layer - 1}") for other in "ab" if layer))
                for layer in range(layers)
                for side in "ab"
            )
        )
        found = [one.id for one in dependencies.needed_by(records, "pa-0")]
        assert sorted(found) == sorted(f"p{side}-{layer}" for layer in range(1, layers) for side in "ab")
        assert [int(one.partition("-")[2]) for one in found] == sorted(
            (int(one.partition("-")[2]) for one in found), reverse=True
        )

    def test_a_cycle_is_named_from_end_to_end(self) -> None:
        records = together(record("aa", need("bb")), record("bb", need("cc")), record("cc", need("aa")))
        assert dependencies.cycle(records, _manifest(records["aa"])) == ["aa", "bb", "cc", "aa"]
        records["cc"] = record("cc", need("aa", optional=True))
        assert dependencies.cycle(records, _manifest(records["aa"])) == []

    def test_nobody_waits_for_ever_for_what_is_optional(self) -> None:
        first, second = (
            record("aa", need("bb", optional=True), state="starting"),
            record("bb", need("aa", optional=True), state="starting"),
        )
        records = together(first, second)
        assert [one.id for one in dependencies.waits_for(records, first)] == ["bb"]
        first.waiting = True
        assert dependencies.waits_for(records, second) == []

    def test_an_optional_one_that_failed_is_gone_without(self) -> None:
        top = record("top", need("base", optional=True), state="starting")
        assert dependencies.waits_for(together(top, record("base", state="backoff")), top) == []
        assert dependencies.waits_for(together(top), top) == []

    @given(
        edges=st.lists(
            st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()),
            max_size=15,
            unique_by=lambda edge: edge[:2],
        )
    )
    @settings(max_examples=200, deadline=None)
    def test_any_set_without_a_cycle_starts_in_bounded_rounds(self, edges: list[tuple[int, int, bool]]) -> None:
        records = together(
            *(
                record(
                    f"p{number}",
                    *(need(f"p{to}", optional=optional) for of, to, optional in edges if of == number != to),
                    state="starting",
                )
                for number in range(6)
            )
        )
        cyclic = {one.id for one in records.values() if dependencies.cycle(records, _manifest(one))}
        stuck = {
            one.id
            for one in records.values()
            if one.id in cyclic or any(other.id in cyclic for other in dependencies.start_order(records, one))
        }
        for _ in range(2 * len(records)):
            for one in records.values():
                if one.state == "starting":
                    one.waiting = bool(dependencies.waits_for(records, one))
                    one.state = "starting" if one.waiting else "ready"
        assert {one.id for one in records.values() if one.state != "ready"} == stuck


def _manifest(one: PluginRecord) -> Manifest:
    assert one.manifest is not None
    return one.manifest


@pytest.mark.slow
class TestInARegistry:
    async def test_enable_says_what_is_needed_and_offers_to_enable_it(self, world: World, folder: Folder) -> None:
        folder.add("top", dependencies=[need("middle", ">=1,<2")])
        folder.add("middle", dependencies=[need("base")])
        folder.add("base")
        async with world.registry() as registry:
            answer = await registry.ask("enable", "top")
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/dependencies-unmet")
            assert [one["id"] for one in answer.json()["dependencies"]] == ["base", "middle"]
            assert answer.json()["canEnable"] is True
            assert "withDependencies" in answer.json()["detail"]
            assert (await registry.plugin("top"))["enabled"] is False

            answer = await enable_all(registry, "top")
            assert answer.status_code == 200, answer.text
            assert [registry.context.ledger.records[one].state for one in ("base", "middle", "top")] == ["ready"] * 3
            detail = await registry.plugin("middle")
            assert [one["id"] for one in detail["dependents"]] == ["top"]
            assert [(one["id"], one["state"], one.get("problem")) for one in detail["dependencies"]] == [
                ("base", "ready", None)
            ]

    async def test_what_is_missing_or_does_not_fit_is_named(self, world: World, folder: Folder) -> None:
        folder.add("top", dependencies=[need("base", ">=2"), need("gone", ">=1,<2"), need("extra", optional=True)])
        folder.add("base")
        async with world.registry() as registry:
            answer = await enable_all(registry, "top")
            assert answer.status_code == 409
            assert [one["problem"] for one in answer.json()["dependencies"]] == ["version", "missing"]
            assert answer.json()["canEnable"] is False
            assert "gone >=1,<2 is not installed" in answer.json()["detail"]
            assert "base >=2 is needed, and 1.0.0 is installed" in answer.json()["detail"]

    async def test_a_cycle_is_refused_at_enable_and_install(self, world: World, folder: Folder) -> None:
        folder.add("aa", dependencies=[need("bb")])
        folder.add("bb", dependencies=[need("aa")])
        folder.add("cc", dependencies=[need("hello")])
        async with world.registry() as registry:
            answer = await enable_all(registry, "aa")
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/dependency-cycle")
            assert answer.json()["cycle"] == ["aa", "bb", "aa"]
            put_image(registry, dependencies=[need("cc")])
            answer = await install(registry, image=IMAGE)
            assert (answer.status_code, answer.json()["cycle"]) == (409, ["hello", "cc", "hello"])
            assert "hello" not in registry.context.ledger.records

    async def test_an_install_names_what_is_needed_before_it_is_enabled(self, world: World) -> None:
        async with world.registry() as registry:
            put_image(registry, dependencies=[need("base", ">=1")])
            answer = await install(registry, image=IMAGE)
            assert answer.status_code == 201
            assert [one["problem"] for one in answer.json()["plugin"]["dependencies"]] == ["missing"]
            assert "base >=1 is not installed" in answer.json()["job"]["message"]

    async def test_a_range_that_cannot_be_read_is_an_error_of_the_manifest(
        self, world: World, folder: Folder
    ) -> None:
        folder.add(dependencies=[need("base", "newest"), need("hello"), need("base")])
        async with world.registry() as registry:
            detail = await registry.plugin()
            assert detail["state"] == "invalid"
            assert [one["path"] for one in detail["errors"]] == [
                "/dependencies/0/version",
                "/dependencies/1/id",
                "/dependencies/2/id",
            ]

    async def test_disable_says_who_needs_it_and_asks(self, world: World, folder: Folder) -> None:
        folder.add("top", dependencies=[need("base")])
        folder.add("base")
        async with world.registry() as registry:
            assert (await enable_all(registry, "top")).status_code == 200
            answer = await registry.ask("disable", "base")
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/plugin-needed")
            assert [one["id"] for one in answer.json()["dependents"]] == ["top"]
            assert (await registry.plugin("base"))["enabled"] is True
            answer = await registry.client.delete("/v1/plugins/base")
            assert answer.status_code == 409

            answer = await change(registry, "disable", "base", cascade=True)
            assert answer.status_code == 200
            assert [(await registry.plugin(one))["state"] for one in ("top", "base")] == ["disabled", "disabled"]

    async def test_a_disabled_one_is_not_taken_away_from_those_that_need_it_unasked(
        self, world: World, folder: Folder
    ) -> None:
        folder.add("top", dependencies=[need("base")])
        folder.add("base")
        async with world.registry() as registry:
            assert (await enable_all(registry, "top")).status_code == 200
            assert (await change(registry, "disable", "base", force=True)).status_code == 200
            answer = await registry.client.delete("/v1/plugins/base")
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/plugin-needed")
            assert [one["id"] for one in answer.json()["dependents"]] == ["top"]
            # Disabling it once more takes nothing away.
            assert (await change(registry, "disable", "base")).status_code == 200
            answer = await registry.client.delete("/v1/plugins/base", params={"cascade": "true"})
            assert answer.status_code == 200
            assert (await registry.plugin("top"))["enabled"] is False

    async def test_forced_it_leaves_the_others_running(self, world: World, folder: Folder) -> None:
        folder.add("top", dependencies=[need("base")])
        folder.add("base")
        async with world.registry() as registry:
            assert (await enable_all(registry, "top")).status_code == 200
            assert (await change(registry, "disable", "base", force=True)).status_code == 200
            assert (await registry.plugin("top"))["state"] == "ready"
            assert (await registry.ask("restart", "top", wait=0)).status_code == 202
            assert (await registry.plugin("top"))["enabled"] is True

    async def test_an_upgrade_out_of_somebodys_range_is_refused_unless_forced(
        self, world: World, folder: Folder
    ) -> None:
        folder.add("top", dependencies=[need("hello", ">=1,<2")])
        async with world.registry() as registry:
            put_image(registry, permissions=[])
            assert (await install(registry, image=IMAGE, grant=[])).status_code == 201
            assert (await enable_all(registry, "top")).status_code == 200
            newer = "example/hello:2.0.0"
            put_image(registry, newer, "example/hello@sha256:" + "b" * 64, permissions=[], version="2.0.0")
            answer = await upgrade(registry, image=newer)
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/plugin-needed")
            assert [one["id"] for one in answer.json()["dependents"]] == ["top"]
            assert (await registry.plugin())["version"] == "1.0.0"
            answer = await upgrade(registry, image=newer, force=True)
            assert answer.status_code == 200, answer.text
            found = (await registry.plugin("top"))["dependencies"][0]
            assert (found["problem"], found["installedVersion"]) == ("version", "2.0.0")

    async def test_at_boot_what_is_needed_starts_first(self, world: World, folder: Folder) -> None:
        folder.add("a-top", dependencies=[need("base")])
        folder.add("base")
        async with world.registry() as registry:
            assert (await enable_all(registry, "a-top")).status_code == 200
        world.engine.runs.clear()
        async with world.registry() as registry:
            registry.runtime.gates["base"] = asyncio.Event()
            await registry.until_state("starting", "a-top")
            await registry.until(lambda: registry.context.ledger.records["a-top"].waiting)
            reason = (await registry.plugin("a-top"))["reason"]
            assert reason["code"] == "awaits-dependencies"
            assert "a-top" not in world.engine.runs
            registry.runtime.gates["base"].set()
            await registry.until_state("ready", "a-top")

    async def test_a_plugin_that_waits_can_be_disabled(self, world: World, folder: Folder) -> None:
        folder.add("top", dependencies=[need("base")])
        folder.add("base")
        async with world.registry() as registry:
            registry.runtime.gates["base"] = asyncio.Event()
            assert (await enable_all(registry, "top", wait=0)).status_code == 202
            await registry.until(lambda: registry.context.ledger.records["top"].waiting)
            assert (await registry.ask("disable", "top")).status_code == 200
            registry.runtime.gates["base"].set()
            await registry.until_state("ready", "base")
            assert (await registry.plugin("top"))["state"] == "disabled"


async def enable_all(registry: Registry, plugin_id: str, *, wait: float = 20) -> Any:
    return await change(registry, "enable", plugin_id, wait=wait, withDependencies=True)


async def change(registry: Registry, verb: str, plugin_id: str, *, wait: float = 20, **options: bool) -> Any:
    params = {"wait": str(wait)} | {name: "true" for name, wanted in options.items() if wanted}
    return await registry.client.post(f"/v1/plugins/{plugin_id}/{verb}", params=params, json={"cause": "user:tester"})


async def upgrade(registry: Registry, **body: Any) -> Any:
    return await registry.client.post("/v1/plugins/hello/upgrade", params={"wait": "20"}, json=body)
