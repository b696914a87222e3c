"""Discovery: good folders, bad folders, folders that come, change and go."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nimbus_registry.catalog.discovery import Found, derived_id, scan
from nimbus_registry.catalog.resolve import resolve
from nimbus_registry.catalog.versions import incompatibility
from nimbus_sdk.contracts.base import PLUGIN_ID_PATTERN
from nimbus_sdk.contracts.validation import validate_manifest
from watchfiles._rust_notify import WatchfilesRustInternalError

from tests.registry.conftest import Folder, Registry, World, manifest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def found(folder: str, content: dict[str, Any] | None = None, *, claims: str | None = None) -> Found:
    if content is None:
        return Found(folder, validate_manifest(b"{"), claims=claims)
    return Found(folder, validate_manifest(content), claims=content["id"], title=content["name"])


class TestResolve:
    def test_the_first_folder_by_name_has_the_id(self) -> None:
        listed = resolve([found("zebra", manifest("hello")), found("alpha", manifest("hello"))], {})
        assert listed["hello"].source == "folder:alpha"
        assert listed["zebra"].manifest is None
        assert "'alpha'" in listed["zebra"].problems[0].message
        assert listed["zebra"].problems[0].path == "/id"

    def test_a_copy_does_not_take_the_place_of_what_is_there(self) -> None:
        folders = [found("zebra", manifest("hello")), found("alpha", manifest("hello"))]
        listed = resolve(folders, {"folder:zebra": "hello"})
        assert listed["hello"].source == "folder:zebra"
        assert "'zebra'" in listed["alpha"].problems[0].message

    def test_what_no_store_keeps_is_taken_out_of_errors(self) -> None:
        broken = Found("odd", validate_manifest(b'{"manifestVersion": 1, "i\\u0000d": "odd"}'))
        paths = [problem.path for problem in resolve([broken], {})["odd"].problems]
        assert "/id" in paths
        assert not any("\0" in path for path in paths)

    def test_a_broken_copy_does_not_take_a_good_ones_id(self) -> None:
        listed = resolve([found("alpha", claims="hello"), found("zebra", manifest("hello"))], {})
        assert listed["hello"].source == "folder:zebra"
        assert listed["alpha"].manifest is None

    def test_a_broken_folder_keeps_the_id_it_had(self) -> None:
        assert set(resolve([found("my-folder")], {"folder:my-folder": "hello"})) == {"hello"}
        assert set(resolve([found("my-folder", claims="hello")], {})) == {"hello"}
        assert set(resolve([found("My Folder!", claims="../x")], {})) == {"my-folder"}

    def test_three_of_a_kind(self) -> None:
        folders = [found(name, manifest("hello")) for name in ("hello", "hello copy", "Hello-Copy")]
        assert set(resolve(folders, {})) == {"hello", "hello-2", "hello-copy"}

    @given(st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=12), st.data())
    @settings(deadline=None)
    def test_every_folder_is_listed_once_under_a_valid_id(self, names: list[str], data: st.DataObject) -> None:
        entries = []
        for name in names:
            kind = data.draw(st.sampled_from(["good", "broken", "claiming"]))
            plugin_id = data.draw(st.sampled_from(["hello", "other", "third"]))
            claims = plugin_id if kind == "claiming" else None
            entries.append(found(name, manifest(plugin_id)) if kind == "good" else found(name, claims=claims))
        listed = resolve(entries, {})
        assert sorted(one.source for one in listed.values()) == sorted("folder:" + name for name in names)
        assert all(re.match(PLUGIN_ID_PATTERN, plugin_id) for plugin_id in listed)
        assert listed == resolve(list(reversed(entries)), {})


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("hello", "hello"), ("My Plugin!", "my-plugin"), ("1", "plugin"), ("日本", "plugin"), ("x" * 60, "x" * 40)],
)
def test_derived_id(folder: str, expected: str) -> None:
    assert derived_id(folder) == expected


def test_incompatibility() -> None:
    assert incompatibility(">=0.1,<2", "0.1.0") is None
    assert incompatibility(">=0.1", "0.2.0rc1") is None
    problem = incompatibility(">=2", "0.1.0")
    assert problem is not None
    assert "0.1.0" in problem.message
    assert incompatibility(">=1.*", "1.0.0") is not None


class TestScan:
    def test_what_is_no_regular_file(self, folder: Folder) -> None:
        folder.add("good")
        (folder.path / "empty").mkdir()
        (folder.path / ".hidden").mkdir()
        (folder.path / ".hidden" / "manifest.json").write_text("{}")
        for name in ("pipe", "directory", "dangling"):
            (folder.path / name).mkdir()
        os.mkfifo(folder.path / "pipe" / "manifest.json")
        (folder.path / "directory" / "manifest.json").mkdir()
        (folder.path / "dangling" / "manifest.json").symlink_to("nowhere")
        result = {one.folder: one.report.ok for one in scan(folder.path, "0.1.0")}
        assert result == {"good": True, "pipe": False, "directory": False, "dangling": False}

    def test_a_folder_that_is_not_there_is_empty(self, folder: Folder) -> None:
        assert scan(folder.path / "nowhere", "0.1.0") == []


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody scans but the test, which looks at what each scan found."""

    async def still(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("nimbus_registry.main.follow", still)


async def rescan(registry: Registry) -> dict[str, list[str]]:
    answer = await registry.client.post("/v1/plugins/scan")
    assert answer.status_code == 200
    result: dict[str, list[str]] = answer.json()
    return result


class TestUpsert:
    async def test_bad_folders_are_listed_with_their_errors(self, either_world: World, folder: Folder) -> None:
        folder.add("good")
        folder.write("broken", '{"id": "broken",')
        folder.write("same", manifest("good"))
        folder.write("wrong", {**manifest("wrong"), "version": "one", "runtime": {}})
        async with either_world.registry() as registry:
            states = {
                item["id"]: item["state"] for item in (await registry.client.get("/v1/plugins")).json()["items"]
            }
            assert states == {"good": "disabled", "broken": "invalid", "same": "invalid", "wrong": "invalid"}
            wrong = await registry.plugin("wrong")
            assert {error["path"] for error in wrong["errors"]} == {"/version", "/runtime"}
            assert wrong["name"] == "Wrong"
            answer = await registry.ask("enable", "wrong")
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/plugin-invalid")
            assert len(answer.json()["errors"]) == 2
            assert (await registry.ask("enable", "good")).status_code == 200

    @pytest.mark.usefixtures("unwatched")
    async def test_added_updated_removed(self, either_world: World, folder: Folder) -> None:
        folder.add("one")
        folder.add("two")
        async with either_world.registry() as registry:
            folder.add("one", version="1.1.0", description="new")
            folder.add("three")
            (folder.path / "two" / "manifest.json").unlink()
            result = await rescan(registry)
            assert result == {
                "added": ["three"],
                "updated": ["one"],
                "removed": ["two"],
                "unchanged": [],
                "invalid": [],
            }
            assert (await registry.plugin("one"))["version"] == "1.1.0"
            assert (await registry.client.get("/v1/plugins/two")).status_code == 404
            assert (await rescan(registry))["unchanged"] == ["one", "three"]
        async with either_world.registry() as registry:
            assert set(registry.context.ledger.records) == {"one", "three"}
            assert (await registry.plugin("one"))["description"] == "new"

    @pytest.mark.usefixtures("unwatched")
    async def test_an_enabled_plugin_survives_the_loss_of_its_folder(self, world: World, folder: Folder) -> None:
        path = folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            path.unlink()
            await rescan(registry)
            detail = await registry.plugin()
            assert (detail["enabled"], detail["state"]) == (True, "ready")
            assert detail["reason"]["code"] == "source-missing"
            folder.add()
            await rescan(registry)
            assert (await registry.plugin())["reason"] is None
            path.unlink()
            await rescan(registry)
            assert (await registry.ask("disable")).status_code == 200
            assert (await rescan(registry))["removed"] == ["hello"]

    async def test_a_slip_in_an_editor_takes_nothing_down(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            folder.write("hello", '{"id": "hello", ')
            await rescan(registry)
            detail = await registry.plugin()
            assert (detail["state"], detail["reason"]["code"]) == ("ready", "manifest-invalid")
            assert "line 1" in detail["errors"][0]["message"]
            assert world.engine.started == 1
            assert (await registry.ask("disable")).status_code == 200
            await rescan(registry)
            assert (await registry.plugin())["state"] == "invalid"
            folder.add()
            await rescan(registry)
            detail = await registry.plugin()
            assert (detail["state"], detail["errors"], detail["reason"]) == ("disabled", [], None)

    async def test_a_changed_manifest_replaces_the_run(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            before = world.engine.runs["hello"].spec_hash
            folder.add(runtime={"image": "example/hello:1.0.0", "resources": {"memory": "64m"}})
            await rescan(registry)
            await registry.until(lambda: world.engine.started == 2)
            await registry.until_state("ready")
            assert world.engine.runs["hello"].spec_hash != before

    async def test_a_plugin_for_another_nimbus_does_not_run(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            folder.add(requires={"nimbus": ">=99"})
            await rescan(registry)
            await registry.until_state("invalid")
            detail = await registry.plugin()
            assert detail["enabled"] is True
            assert detail["errors"][0]["path"] == "/requires/nimbus"
            assert world.engine.runs == {}
            folder.add()
            await rescan(registry)
            await registry.until_state("ready")

    async def test_changes_are_seen_without_being_asked(self, world: World, folder: Folder) -> None:
        folder.add("one")
        async with world.registry() as registry:
            records = registry.context.ledger.records
            folder.add("two")
            await registry.until(lambda: "two" in records)
            folder.add("two", name="Renamed")
            await registry.until(lambda: records["two"].name == "Renamed")
            (folder.path / "two" / "manifest.json").unlink()
            await registry.until(lambda: "two" not in records)

    async def test_a_machine_without_watches_is_looked_at_now_and_then(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise WatchfilesRustInternalError("Error creating recommended watcher: Too many open files")

        monkeypatch.setattr("nimbus_registry.catalog.follow.awatch", refuse)
        monkeypatch.setattr("nimbus_registry.catalog.follow._BREAK_PAUSE", 0.05)
        async with world.registry() as registry:
            folder.add("late")
            await registry.until(lambda: "late" in registry.context.ledger.records)

    async def test_a_name_that_is_not_utf8_keeps_nobody_from_being_watched(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.write(os.fsdecode(b"odd\xff"), "{}")
        monkeypatch.setattr("nimbus_registry.catalog.follow._BREAK_PAUSE", 3600.0)
        async with world.registry() as registry:
            assert (await registry.plugin("odd"))["state"] == "invalid"
            folder.add("late")
            await registry.until(lambda: "late" in registry.context.ledger.records)
            folder.add("late", name="Renamed")
            await registry.until(lambda: registry.context.ledger.records["late"].name == "Renamed")

    def test_a_folder_that_is_locked_away_is_found(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.add("locked")
        folder.add("open")

        def refuse(path: Path, *_: object, **__: object) -> os.stat_result:
            if path.parent.name == "locked":
                raise PermissionError(13, "Permission denied")
            return os.stat(path)  # noqa: PTH116 - Path.stat is what is replaced here

        monkeypatch.setattr(Path, "lstat", refuse)
        monkeypatch.setattr(Path, "stat", refuse)
        locked, opened = scan(folder.path, "1.0.0")
        assert (locked.folder, locked.report.manifest) == ("locked", None)
        assert "Permission denied" in locked.report.errors[0].message
        assert opened.report.ok

    async def test_an_unreadable_folder_takes_nothing_off_the_list(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.add()
        async with world.registry() as registry:

            def refuse(*_: object) -> list[Found]:
                raise PermissionError(13, "Permission denied")

            monkeypatch.setattr("nimbus_registry.catalog.catalog.scan", refuse)
            assert (await rescan(registry))["unchanged"] == ["hello"]
            assert (await registry.plugin())["state"] == "disabled"


def test_the_manifest_of_the_example_plugin_is_valid() -> None:
    path = Path(__file__).parents[2] / "plugins" / "hello" / "manifest.json"
    report = validate_manifest(json.loads(path.read_text()), strict=True)
    assert report.ok, report.errors
