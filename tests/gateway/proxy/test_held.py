"""Requests that wait while a plugin's versions are exchanged."""

import asyncio

import pytest
from nimbus_gateway.errors import PluginDisabledError, PluginUnavailableError
from nimbus_gateway.proxy import held as holding
from nimbus_gateway.proxy.held import Held
from nimbus_gateway.snapshots import SnapshotStore
from nimbus_sdk.contracts.snapshot import Snapshot, SnapshotPlugin

from tests.gateway.support import plugin
from tests.support.gateway import eventually

pytestmark = pytest.mark.anyio


def hello(state: str = "ready", *, is_held: bool = False) -> SnapshotPlugin:
    entry = plugin("hello", state=state, routes=[{"path": "/a", "methods": ["GET"], "auth": "none"}])
    return entry.model_copy(update={"holding": is_held, "upstream": None if is_held else entry.upstream})


def serve(store: SnapshotStore, entry: SnapshotPlugin) -> None:
    store.swap(Snapshot(generation=store.current.generation + 1, instance="t", plugins=[entry]))


async def ask(held: Held) -> str:
    async with held.turn("hello", ["a"], "GET", enabled=True) as target:
        return target.plugin.id


async def test_they_go_on_to_the_new_version_in_one_piece():
    store = SnapshotStore()
    serve(store, hello(is_held=True))
    held = Held(store)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(held)) for _ in range(20)]
        await eventually(lambda: held.waiting("hello") == 20)
        serve(store, hello(is_held=True))
        await asyncio.sleep(0)
        assert held.waiting("hello") == 20
        serve(store, hello())
    assert [task.result() for task in tasks] == ["hello"] * 20
    assert held.waiting("hello") == 0


async def test_they_learn_that_it_was_disabled():
    store = SnapshotStore()
    serve(store, hello(is_held=True))
    held = Held(store)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_refused(held, PluginDisabledError))
        await eventually(lambda: held.waiting("hello") == 1)
        serve(store, hello("disabled"))
    assert "disabled" in task.result()


async def test_not_for_ever_and_not_any_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(holding, "HELD_SECONDS", 0.05)
    monkeypatch.setattr(holding, "MOST_HELD", 1)
    store = SnapshotStore()
    serve(store, hello(is_held=True))
    held = Held(store)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(_refused(held, PluginUnavailableError))
        await eventually(lambda: held.waiting("hello") == 1)
        assert "too many" in await _refused(held, PluginUnavailableError)
    assert "takes longer" in first.result()
    assert held.waiting("hello") == 0


async def _refused(held: Held, kind: type[Exception]) -> str:
    with pytest.raises(kind) as refused:
        await ask(held)
    return str(refused.value)


async def test_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(holding, "AT_ONCE", 2)
    store = SnapshotStore()
    serve(store, hello(is_held=True))
    held = Held(store)
    begun: list[int] = []
    over = asyncio.Event()

    async def one(number: int) -> None:
        async with held.turn("hello", ["a"], "GET", enabled=True):
            begun.append(number)
            await over.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(one(number))
        await eventually(lambda: held.waiting("hello") == 5)
        serve(store, hello())
        await eventually(lambda: len(begun) == 2)
        await asyncio.sleep(0)
        assert held.waiting("hello") == 3
        over.set()
    assert begun == [0, 1, 2, 3, 4]


async def test_one_that_lasts_holds_up_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(holding, "AT_ONCE", 1)
    monkeypatch.setattr(holding, "TURN_SECONDS", 0.02)
    store = SnapshotStore()
    serve(store, hello(is_held=True))
    held = Held(store)
    over = asyncio.Event()

    async def lasting() -> None:
        async with held.turn("hello", ["a"], "GET", enabled=True):
            await over.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(lasting())
        await eventually(lambda: held.waiting("hello") == 1)
        short = group.create_task(ask(held))
        serve(store, hello())
        assert await short == "hello"
        over.set()
