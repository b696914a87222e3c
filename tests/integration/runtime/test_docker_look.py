"""Looking at containers again and again: cheap while nothing changes, right whatever does, also without events."""

import asyncio
from collections import Counter

import pytest
from nimbus_registry.runtime.base import Observation
from nimbus_registry.runtime.docker import DockerRuntime

from tests.integration.runtime.docker_harness import DockerHarness
from tests.integration.runtime.harness import SECRETS, eventually, exited, running, silent

pytestmark = [pytest.mark.anyio, pytest.mark.engine]


@pytest.fixture
def harness(docker_harness: DockerHarness) -> DockerHarness:
    return docker_harness


@pytest.fixture
def inspected(runtime: DockerRuntime, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the engine was asked for the details of each container."""
    client = runtime._engine._client
    assert client is not None
    found, ask = Counter[str](), client.inspect_container

    def counted(container: str) -> dict:
        found[container] += 1
        return ask(container)

    monkeypatch.setattr(client, "inspect_container", counted)
    return found


@pytest.fixture
async def seen(runtime: DockerRuntime, harness: DockerHarness) -> Observation:
    """A plugin that runs, as it was seen when the engine had told all its events."""
    await runtime.ensure(harness.spec(), SECRETS, silent)
    hints = runtime.watch()
    container = harness.client.containers.get(harness.names().container)
    container.restart(timeout=0)
    async with asyncio.timeout(20):
        while (await anext(hints)).kind != "started":
            pass
    return await running(runtime)


async def test_a_steady_plugin_is_not_asked_for_again(
    runtime: DockerRuntime, seen: Observation, inspected: Counter[str]
):
    for _ in range(3):
        assert await runtime.observe() == [seen]
    assert inspected.total() <= 1, "once when its last event came after the look"


async def test_after_an_event_it_is_asked_for_again(
    runtime: DockerRuntime, harness: DockerHarness, seen: Observation, inspected: Counter[str]
):
    """Whatever the list shows: here it shows no difference."""
    await runtime.observe()
    inspected.clear()
    harness.client.containers.get(harness.names().container).exec_run(["true"])

    async def asked() -> bool:
        assert await runtime.observe() == [seen]
        return inspected.total() > 0

    assert await eventually(asked, 10)


async def test_a_run_that_was_started_anew_is_another_although_no_event_came(
    runtime: DockerRuntime, harness: DockerHarness, seen: Observation
):
    await deaf(runtime)
    harness.client.containers.get(harness.names().container).restart(timeout=0)
    again = await running(runtime)
    assert again.run_id != seen.run_id
    assert again.started_at is not None
    assert seen.started_at is not None
    assert again.started_at >= seen.started_at


async def test_what_happens_to_it_is_seen_although_no_event_came(
    runtime: DockerRuntime, harness: DockerHarness, seen: Observation
):
    await deaf(runtime)
    network, container = harness.client.networks.get(harness.names().network), harness.names().container
    network.disconnect(container, force=True)
    alone = await running(runtime)
    assert (alone.upstream, alone.linked, alone.run_id) == (None, False, seen.run_id)
    network.connect(container)
    assert (await running(runtime)).linked
    harness.client.containers.get(container).kill()
    ended = await exited(runtime)
    assert ended.exit is not None
    assert ended.exit.signal == 9
    harness.client.containers.get(container).remove()
    assert await runtime.observe() == []


async def test_an_end_is_seen_by_the_first_look_after_its_event(runtime: DockerRuntime, harness: DockerHarness):
    """The engine tells of an end before its list does."""
    for number in range(5):
        plugin_id = f"ends-{number}"
        await runtime.ensure(harness.spec(plugin_id), SECRETS, silent)
        await running(runtime, plugin_id)
        hints = runtime.watch()
        harness.client.containers.get(harness.names(plugin_id).container).kill()
        async with asyncio.timeout(20):
            while (await anext(hints)).kind != "exited":
                pass
        [ended] = [one for one in await runtime.observe() if one.plugin_id == plugin_id]
        assert ended.phase == "exited"
        await runtime.remove(plugin_id)


async def deaf(runtime: DockerRuntime) -> None:
    """Have the runtime hear no event any more."""
    events = runtime._events
    assert events is not None
    events.cancel()
    await asyncio.wait({events})
