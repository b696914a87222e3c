"""The data of plugins, handed out and taken in, in a running registry with a runtime in memory."""

import asyncio
import io
from typing import Any

import httpx
import pytest
from nimbus_registry.errors import DatabaseUnavailableError
from nimbus_registry.lifecycle import copies
from nimbus_registry.lifecycle import upgrade as upgrades
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.store.installation import UnderWay
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord
from nimbus_sdk.contracts.archive import END, Entry, header, padding
from nimbus_sdk.contracts.backup import FAILED_TAIL, DataReader, failure_in

from tests.registry.conftest import Registry, World
from tests.registry.test_upgrade import ask, events, running, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STARTED = "1.0.0;"
"""What the plugin of these tests writes at each start."""
LEFT = b'{"count": 0, "names": []}'


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "SETTLE_SECONDS", 0.0)


def archive(notes: str) -> bytes:
    text = notes.encode()
    entries = [(Entry("data/notes.txt", len(text)), text), (Entry("left-out.json", len(LEFT)), LEFT)]
    body = b"".join(header(entry) + content + padding(len(content)) for entry, content in entries)
    return header(Entry("data", folder=True)) + body + END


async def copied(registry: Registry) -> httpx.Response:
    return await registry.client.post("/v1/plugins/hello/data/copy", params={"cause": "user:tester"})


async def replaced(registry: Registry, text: bytes) -> httpx.Response:
    return await registry.client.put("/v1/plugins/hello/data", params={"cause": "user:tester"}, content=text)


def notes_in(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    reader = DataReader(io.BytesIO(answer.content))
    return "".join(b"".join(reader.chunks()).decode() for entry in reader if entry.name == "notes.txt")


async def test_a_backup_stops_it_copies_and_starts_it_again(either_world: World) -> None:
    async with running(either_world, data=True) as registry:
        either_world.engine.data["hello"] = "written so far"
        before = either_world.engine.runs["hello"].run_id
        answer = await copied(registry)
        assert notes_in(answer) == "written so far"
        assert either_world.engine.runs["hello"].run_id != before
        assert (served(registry).detail.state, served(registry).holding) == ("ready", False)
        assert (await events(registry))[-1] == "backed-up"
        assert either_world.engine.snapshots == {}
        # It is told that it is enabled, and not that it was upgraded.
        assert registry.gateway.events[-1] == ("hello", "enabled")
        assert ("hello", "upgraded") not in registry.gateway.events
        assert notes_in(await copied(registry)) == "written so far" + STARTED


async def test_one_that_is_off_stays_off(world: World) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "kept"
        assert (await registry.ask("disable")).status_code == 200
        assert notes_in(await copied(registry)) == "kept"
        assert (await replaced(registry, archive("restored"))).status_code == 200
        assert world.engine.data["hello"] == "restored"
        assert (await registry.plugin())["state"] == "disabled"
        assert (world.engine.runs, world.engine.snapshots) == ({}, {})


async def test_a_restore_replaces_the_data(world: World) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        answer = await replaced(registry, archive("of then"))
        assert answer.status_code == 200, answer.text
        assert (answer.json()["plugin"]["state"], answer.json()["settled"]) == ("ready", True)
        assert world.engine.data["hello"] == "of then" + STARTED
        assert world.engine.snapshots == {}
        assert (await events(registry))[-1] == "restored"


async def test_one_that_does_not_start_with_them_has_its_own_again(world: World) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        registry.runtime.poison = "poison"
        answer = await replaced(registry, archive("poison"))
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/upgrade-failed")
        assert "its data are what they were" in answer.json()["detail"]
        assert world.engine.data["hello"] == "of now" + STARTED
        assert world.engine.snapshots == {}
        assert served(registry).detail.state == "ready"
        assert notes_in(await copied(registry)) == "of now" + STARTED


@pytest.mark.parametrize("text", [b"", b"nonsense" * 200, archive("x")[:-512]], ids=["empty", "noise", "cut"])
async def test_what_is_no_archive_changes_nothing(world: World, text: bytes) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        run = world.engine.runs["hello"].run_id
        answer = await replaced(registry, text)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")
        assert world.engine.data["hello"] == "of now"
        assert world.engine.runs["hello"].run_id == run
        assert world.engine.snapshots == {}


async def test_a_copy_that_fails_leaves_it_running(world: World) -> None:
    async with running(world, data=True) as registry:
        registry.runtime.snapshot_failure = RuntimeFailure("init", "snapshot-failed", "No room.")
        answer = await copied(registry)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/upgrade-failed")
        assert "No room." in answer.json()["detail"]
        assert served(registry).detail.state == "ready"


async def test_without_data_there_is_nothing_to_copy(world: World) -> None:
    async with running(world) as registry:
        assert (await copied(registry)).status_code == 422
        assert (await replaced(registry, archive("x"))).status_code == 422
        assert (await registry.client.post("/v1/plugins/none/data/copy")).status_code == 404


async def test_a_registry_killed_in_a_restore_brings_the_data_back(world: World) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "half of a restore"
        world.engine.snapshots["hello", "abc"] = "of before"
        record = registry.context.ledger.get("hello")
        record.installation.under_way = UnderWay(version="1.0.0", snapshot="abc", complete=True)
        await registry.context.ledger.store(record)
    async with world.registry() as registry:
        await registry.until_state("ready")
        assert world.engine.data["hello"] == "of before" + STARTED
        assert world.engine.snapshots == {}


async def test_a_registry_killed_in_a_backup_leaves_the_data_alone(world: World) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "written since"
        world.engine.snapshots["hello", upgrades.OUTGOING] = "when it was copied"
        record = registry.context.ledger.get("hello")
        record.installation.under_way = UnderWay(version="1.0.0", snapshot=upgrades.OUTGOING)
        await registry.context.ledger.store(record)
    async with world.registry() as registry:
        await registry.until_state("ready")
        assert world.engine.data["hello"] == "written since" + STARTED
        assert world.engine.snapshots == {}


async def test_more_than_it_may_keep_is_refused_before_anything_changes(world: World) -> None:
    async with running(world, data=True, options={"max_data": "1m"}) as registry:
        world.engine.data["hello"] = "of now"
        run = world.engine.runs["hello"].run_id
        answer = await replaced(registry, archive("x" * 1024**2 + "y"))
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/quota-exceeded")
        assert "NIMBUS_MAX_DATA" in answer.json()["detail"]
        assert world.engine.data["hello"] == "of now"
        assert (world.engine.runs["hello"].run_id, world.engine.snapshots) == (run, {})


async def test_more_than_may_be_kept_is_no_backup(world: World) -> None:
    async with running(world, data=True, options={"max_data": "1m"}) as registry:
        world.engine.data["hello"] = "x" * 1024**2 + "y"
        answer = await copied(registry)
        assert "NIMBUS_MAX_DATA" in (failure_in(answer.content[-FAILED_TAIL:]) or "")
        assert served(registry).detail.state == "ready"


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_restore_that_nobody_waits_for_any_more_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch, *, enabled: bool
) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        if not enabled:
            assert (await registry.ask("disable")).status_code == 200
        goes_on, restore = asyncio.Event(), registry.runtime.restore

        async def slow(plugin_id: str, name: str, image: str | None) -> None:
            await goes_on.wait()
            await restore(plugin_id, name, image)

        monkeypatch.setattr(registry.runtime, "restore", slow)
        # The deadline passes while the data are being switched.
        monkeypatch.setattr(copies, "CHANGE_SECONDS", 1.0)
        answer = await replaced(registry, archive("of then"))
        assert (answer.status_code, answer.json()["type"]) == (429, "/problems/busy")
        world.engine.snapshots.setdefault(("hello", copies.INCOMING), "of then")
        goes_on.set()
        record = registry.context.ledger.get("hello")
        await registry.until(lambda: record.next is None and not record.busy)
        assert world.engine.data["hello"] == "of now" + (STARTED if enabled else "")
        assert record.upgrade_failure is not None
        assert "taken back" in record.upgrade_failure.message


async def test_what_was_done_counts_although_it_cannot_be_stored_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        ledger, store = registry.context.ledger, type(registry.context.ledger).store

        async def failing(self: Ledger, record: PluginRecord) -> None:
            if record.next is not None and record.next.carried_out is not None and record.next.carried_out.is_set():
                raise DatabaseUnavailableError
            await store(self, record)

        monkeypatch.setattr(type(ledger), "store", failing)
        answer = await replaced(registry, archive("of then"))
        assert answer.status_code == 200, answer.text
        assert world.engine.data["hello"] == "of then" + STARTED
        # What is stored still names the copy of before: it must be there when it is read.
        assert "of now" in world.engine.snapshots.values()


async def test_a_copy_that_stays_makes_no_failure_of_a_success(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(world, data=True) as registry:

        async def failing(plugin_id: str, name: str) -> None:
            raise RuntimeFailure("init", "snapshot-stays", "It is in use.")

        monkeypatch.setattr(registry.runtime, "drop_snapshot", failing)
        assert (await replaced(registry, archive("of then"))).status_code == 200
        assert notes_in(await copied(registry)).startswith("of then")


async def settled(registry: Registry, *, keep: bool = True) -> httpx.Response:
    return await registry.client.post("/v1/plugins/hello/data/settle", params={"keep": keep, "cause": "user:tester"})


async def paused(registry: Registry) -> httpx.Response:
    return await registry.client.put("/v1/plugins/hello/data", params={"pause": True}, content=archive("of then"))


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_restore_pauses_with_the_plugin_stopped(world: World, *, enabled: bool) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        if not enabled:
            assert (await registry.ask("disable")).status_code == 200
        answer = await paused(registry)
        assert (answer.status_code, answer.json()["settled"]) == (200, False)
        assert (world.engine.runs, world.engine.data["hello"]) == ({}, "of then")
        assert served(registry).holding == enabled
        # Nothing else is begun meanwhile.
        assert (await paused(registry)).status_code == 429
        assert (await copied(registry)).status_code == 429
        assert (await registry.client.delete("/v1/plugins/hello")).status_code == 429
        answer = await settled(registry)
        assert (answer.status_code, answer.json()["settled"]) == (200, True)
        assert world.engine.data["hello"] == "of then" + (STARTED if enabled else "")
        assert answer.json()["plugin"]["state"] == ("ready" if enabled else "disabled")
        assert world.engine.snapshots == {}
        assert (await settled(registry)).status_code == 429


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_paused_restore_is_taken_back_when_that_is_asked_for(world: World, *, enabled: bool) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        if not enabled:
            assert (await registry.ask("disable")).status_code == 200
        assert (await paused(registry)).status_code == 200
        assert (await settled(registry, keep=False)).status_code == 200
        assert world.engine.data["hello"] == "of now" + (STARTED if enabled else "")
        assert (await registry.plugin())["state"] == ("ready" if enabled else "disabled")
        assert world.engine.snapshots == {}


async def test_a_pause_that_nobody_ends_is_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "PAUSE_SECONDS", 0.05)
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        assert (await paused(registry)).status_code == 200
        record = registry.context.ledger.get("hello")
        await registry.until(lambda: record.next is None and not record.busy)
        assert world.engine.data["hello"] == "of now" + STARTED
        answer = await settled(registry)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/upgrade-failed")


async def test_one_without_data_is_paused_too(either_world: World) -> None:
    async with running(either_world) as registry:
        run = either_world.engine.runs["hello"].run_id
        answer = await registry.client.post("/v1/plugins/hello/data/pause", params={"cause": "user:tester"})
        assert (answer.status_code, answer.json()["settled"]) == (200, False)
        assert either_world.engine.runs == {}
        assert (await settled(registry)).status_code == 200
        assert either_world.engine.runs["hello"].run_id != run
        assert registry.runtime.calls["snapshot"] == 0
        assert (await registry.plugin())["state"] == "ready"


async def test_one_that_was_given_up_starts_with_what_was_restored(world: World) -> None:
    async with running(world, data=True) as registry:
        registry.runtime.poison = "poison"
        world.engine.data["hello"] = "poison"
        assert (await registry.ask("restart")).status_code == 409
        record = registry.context.ledger.get("hello")
        record.state, record.enabled = "quarantined", True
        assert (await paused(registry)).status_code == 200
        assert (await settled(registry)).status_code == 200
        await registry.until_state("ready")
        assert world.engine.data["hello"] == "of then" + STARTED


async def test_nothing_is_begun_while_data_come_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(world, data=True) as registry:
        world.engine.data["hello"] = "of now"
        began, goes_on, take_in = asyncio.Event(), asyncio.Event(), registry.runtime.import_copy

        async def slow(*args: Any, **options: Any) -> None:
            began.set()
            await goes_on.wait()
            await take_in(*args, **options)

        monkeypatch.setattr(registry.runtime, "import_copy", slow)
        async with asyncio.TaskGroup() as group:
            restore = group.create_task(replaced(registry, archive("of then")))
            async with asyncio.timeout(10):
                await began.wait()
            for refused in (
                await registry.client.delete("/v1/plugins/hello", params={"deleteData": "true"}),
                await copied(registry),
                await ask(registry, "rollback"),
            ):
                assert (refused.status_code, refused.json()["detail"]) == (429, "The restore of Hello is under way.")
            goes_on.set()
        assert restore.result().status_code == 200, restore.result().text
        assert world.engine.data["hello"] == "of then" + STARTED
        assert (await registry.client.delete("/v1/plugins/hello")).status_code == 200
