"""What every runtime must do, tried on real processes and real containers."""

import asyncio
import json
import time
from dataclasses import replace

import pytest
from nimbus_registry.runtime.base import Runtime, RuntimeEvent, RuntimeFailure
from nimbus_registry.runtime.spec import spec_hash

from tests.integration.runtime.harness import (
    SECRETS,
    Harness,
    eventually,
    exited,
    observed,
    reported,
    running,
    silent,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def lines(runtime: Runtime, *, tail: int = 100, plugin_id: str = "sample"):
    return [line async for line in runtime.logs(plugin_id, tail=tail, follow=False)]


async def served(runtime: Runtime, harness: Harness, path: str = "/", plugin_id: str = "sample") -> bytes:
    observation = await running(runtime, plugin_id)
    assert observation.upstream is not None
    return await eventually(lambda: harness.fetch(observation.upstream, path))


async def test_a_started_plugin_serves(runtime: Runtime, harness: Harness):
    stages: list[tuple[str, str]] = []
    await runtime.ensure(harness.spec(), SECRETS, reported(stages))
    assert await served(runtime, harness) == b"hello"
    observation = await running(runtime)
    assert observation.linked
    assert observation.started_at is not None
    assert observation.started_at.tzinfo is not None
    assert "starting" in {stage for stage, _ in stages}


async def test_the_same_spec_again_leaves_the_run_alone(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    before = await running(runtime)
    await runtime.ensure(harness.spec(), {"NIMBUS_PLUGIN_TOKEN": "another"}, silent)
    assert (await running(runtime)).run_id == before.run_id


async def test_another_spec_replaces_the_run(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    before = await running(runtime)
    await runtime.ensure(harness.spec(version="2.0.0"), SECRETS, silent)
    after = await running(runtime)
    assert after.run_id != before.run_id
    assert after.spec_hash == harness.spec(version="2.0.0").spec_hash
    assert await served(runtime, harness) == b"hello"
    assert len(await runtime.observe()) == 1


async def test_an_exited_run_is_replaced(runtime: Runtime, harness: Harness):
    spec = harness.spec(behaviour="exit:0")
    await runtime.ensure(spec, SECRETS, silent)
    before = await exited(runtime)
    await runtime.ensure(spec, SECRETS, silent)
    after = await exited(runtime)
    assert after.run_id != before.run_id


@pytest.mark.parametrize("code", [0, 3])
async def test_an_exit_code_is_observed(runtime: Runtime, harness: Harness, code: int):
    await runtime.ensure(harness.spec(behaviour=f"exit:{code}"), SECRETS, silent)
    observation = await exited(runtime)
    assert observation.exit is not None
    assert (observation.exit.code, observation.exit.signal) == (code, None)
    assert observation.upstream is None


async def test_a_signal_is_observed(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(behaviour="signal:9"), SECRETS, silent)
    status = (await exited(runtime)).exit
    assert status is not None
    assert (status.code, status.signal, status.out_of_memory) == (137, 9, False)


async def test_running_out_of_memory_is_observed(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(behaviour="eat:300"), SECRETS, silent)
    status = (await exited(runtime)).exit
    assert status is not None
    assert status.out_of_memory
    assert status.signal == 9


async def test_a_stop_is_obeyed_within_its_grace(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    await served(runtime, harness)
    started = time.monotonic()
    await runtime.stop("sample", 10)
    assert time.monotonic() - started < 5
    status = (await exited(runtime)).exit
    assert status is not None
    assert status.code == 0


async def test_a_stubborn_plugin_is_killed_after_its_grace(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(behaviour="stubborn"), SECRETS, silent)
    await served(runtime, harness)
    started = time.monotonic()
    await runtime.stop("sample", 1)
    assert 0.9 < time.monotonic() - started < 6
    status = (await exited(runtime)).exit
    assert status is not None
    assert status.signal == 9


async def test_stop_and_remove_of_nothing_are_quiet(runtime: Runtime):
    await runtime.stop("nothing", 1)
    await runtime.remove("nothing")
    await runtime.link("nothing")
    assert await runtime.stats("nothing") is None
    assert await runtime.observe() == []


async def test_remove_leaves_only_the_data(runtime: Runtime, harness: Harness):
    spec = harness.spec(behaviour="family", data=True)
    await runtime.ensure(spec, SECRETS, silent)
    assert await served(runtime, harness, "/write") == b"x"
    await runtime.remove("sample")
    assert await observed(runtime) is None
    assert await harness.residue("sample") == []
    await runtime.ensure(spec, SECRETS, silent)
    assert await served(runtime, harness, "/write") == b"xx"
    await runtime.remove("sample")
    await runtime.purge_data("sample")
    await runtime.purge_data("sample")
    await runtime.ensure(spec, SECRETS, silent)
    assert await served(runtime, harness, "/write") == b"x"
    await runtime.remove("sample")
    await runtime.purge_data("sample")


async def test_data_in_use_is_not_deleted(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(data=True), SECRETS, silent)
    assert await served(runtime, harness, "/write") == b"x"
    with pytest.raises(RuntimeFailure) as caught:
        await runtime.purge_data("sample")
    assert caught.value.code == "volume-in-use"
    assert await served(runtime, harness, "/write") == b"xx"
    await runtime.remove("sample")
    await runtime.purge_data("sample")


async def test_logs_tell_the_streams_apart(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)

    async def both():
        return {(line.stream, line.text) for line in await lines(runtime)} >= {
            ("stdout", "out: started"),
            ("stderr", "err: started"),
        }

    await eventually(both)
    found = await lines(runtime)
    assert all(line.at for line in found)
    assert len({line.cursor for line in found}) == len(found)


async def test_the_tail_is_the_end_of_the_log(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    for number in range(5):
        await served(runtime, harness, f"/print/{number}")

    async def last():
        return [line.text for line in await lines(runtime, tail=2)] == ["3", "4"]

    await eventually(last)
    assert await lines(runtime, tail=0) == []


async def test_a_followed_log_brings_what_is_printed_later(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    await served(runtime, harness)
    seen: asyncio.Queue[str] = asyncio.Queue(100)

    async def follow():
        async for line in runtime.logs("sample", tail=0, follow=True):
            seen.put_nowait(line.text)

    follower = asyncio.create_task(follow())
    try:

        async def prints():
            await served(runtime, harness, "/print/later")
            return not seen.empty()

        await eventually(prints)
        assert seen.get_nowait() == "later"
    finally:
        follower.cancel()
        await asyncio.wait({follower}, timeout=5)
    assert follower.cancelled()


async def test_the_size_of_what_a_plugin_keeps(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(data=True), SECRETS, silent)
    before = (await runtime.data_sizes())["sample"]
    await served(runtime, harness, "/keep/3")
    await served(runtime, harness, "/keep/3")
    kept = (await runtime.data_sizes())["sample"] - before
    assert 3 * 1024**2 <= kept < 3.2 * 1024**2, "what is written twice counts once"
    await runtime.remove("sample")
    await runtime.purge_data("sample")
    assert "sample" not in {key for key, size in (await runtime.data_sizes()).items() if size}


async def test_stats_of_a_running_plugin(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    await served(runtime, harness)
    stats = await runtime.stats("sample")
    assert stats is not None
    assert stats.memory > 1024**2
    assert stats.cpu_seconds > 0


async def test_the_environment_holds_the_contract_and_nothing_of_the_registry(
    runtime: Runtime, harness: Harness, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NIMBUS_REGISTRY_DATABASE_URL", "postgresql://nimbus:hidden@postgres/registry")
    monkeypatch.setenv("NIMBUS_SERVICE_TOKEN_FILE", "/hidden")
    monkeypatch.setenv("PGPASSWORD", "hidden")
    await runtime.ensure(harness.spec(data=True), SECRETS, silent)
    environment = json.loads(await served(runtime, harness, "/environment"))
    assert "hidden" not in json.dumps(environment)
    assert environment["NIMBUS_PLUGIN_ID"] == "sample"
    assert environment["NIMBUS_PLUGIN_TOKEN"] == "a-secret-token"
    assert environment["NIMBUS_BASE_PATH"] == "/api/plugins/sample"
    assert environment["NIMBUS_CORE_URL"]
    assert environment["NIMBUS_DATA_DIR"]
    observation = await running(runtime)
    assert observation.upstream is not None
    assert environment["NIMBUS_PLUGIN_PORT"] == str(observation.upstream.port)
    await runtime.remove("sample")
    await runtime.purge_data("sample")


async def test_secrets_are_not_in_the_log(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(behaviour="exit:1"), SECRETS, silent)
    await exited(runtime)
    assert SECRETS["NIMBUS_PLUGIN_TOKEN"] not in "".join(line.text for line in await lines(runtime))


async def test_another_runtime_adopts_a_running_plugin(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    before = await running(runtime)
    second = harness.runtime()
    await second.open()
    try:
        after = await running(second)
        assert (after.run_id, after.spec_hash, after.upstream) == (before.run_id, before.spec_hash, before.upstream)
        await second.ensure(harness.spec(), SECRETS, silent)
        assert (await running(second)).run_id == before.run_id
        assert await served(second, harness) == b"hello"
        await second.stop("sample", 5)
        assert (await exited(second)).exit is not None
        assert (await exited(runtime)).exit is not None
    finally:
        await second.close()


async def test_closing_stops_nothing(runtime: Runtime, harness: Harness):
    first = harness.runtime()
    await first.open()
    await first.ensure(harness.spec(), SECRETS, silent)
    before = await running(first)
    await first.close()
    second = harness.runtime()
    await second.open()
    assert (await running(second)).run_id == before.run_id
    await second.remove("sample")
    await second.close()


async def test_an_exit_while_nobody_looked_is_found_later(runtime: Runtime, harness: Harness):
    first = harness.runtime()
    await first.open()
    await first.ensure(harness.spec(behaviour="exit:4"), SECRETS, silent)
    await first.close()

    async def found():
        second = harness.runtime()
        await second.open()
        try:
            observation = await observed(second)
            return observation is not None and observation.exit is not None and observation.exit.code == 4
        finally:
            await second.close()

    assert await eventually(found)


async def test_concurrent_ensures_start_one_run(runtime: Runtime, harness: Harness):
    starts: list[RuntimeEvent] = []

    async def watch():
        async for event in runtime.watch():
            starts.append(event)  # noqa: PERF401 - it is cancelled, and the list is wanted then

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(runtime.ensure(harness.spec(), SECRETS, silent) for _ in range(5)))
    assert len(await runtime.observe()) == 1
    first = await running(runtime)
    assert await served(runtime, harness) == b"hello"
    assert (await running(runtime)).run_id == first.run_id
    watcher.cancel()
    await asyncio.wait({watcher}, timeout=5)
    assert len([event for event in starts if event.kind == "started"]) <= 1


async def test_plugins_start_side_by_side(runtime: Runtime, harness: Harness):
    names = ["first", "second", "third"]
    await asyncio.gather(*(runtime.ensure(harness.spec(name), SECRETS, silent) for name in names))
    for name in names:
        assert await served(runtime, harness, "/", name) == b"hello"
    upstreams = {(found.upstream.host, found.upstream.port) for found in await runtime.observe() if found.upstream}
    assert len(upstreams) == 3
    await asyncio.gather(*(runtime.remove(name) for name in names))
    assert await runtime.observe() == []


async def test_an_exit_is_hinted_at_soon(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    observation = await running(runtime)
    await served(runtime, harness)
    seen = asyncio.Event()

    async def watch():
        async for event in runtime.watch():
            if event == RuntimeEvent("sample", "exited"):
                seen.set()

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    with pytest.raises(OSError):
        await harness.fetch(observation.upstream, "/crash")
    crashed = time.monotonic()
    await asyncio.wait_for(seen.wait(), 10)
    assert time.monotonic() - crashed < 2
    assert (await observed(runtime)).phase == "exited"
    watcher.cancel()
    await asyncio.wait({watcher}, timeout=5)


async def test_watching_ends_with_the_runtime(harness: Harness):
    runtime = harness.runtime()
    await runtime.open()
    watching = asyncio.create_task(anext(runtime.watch(), None))
    await runtime.close()
    assert await asyncio.wait_for(watching, 5) is None


async def test_leftovers_are_named(runtime: Runtime, harness: Harness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    assert await runtime.observe_leftovers(frozenset({"sample"})) == []
    found = await runtime.observe_leftovers(frozenset())
    assert {leftover.plugin_id for leftover in found} == {"sample"}


async def test_a_spec_that_cannot_run_says_why(runtime: Runtime, harness: Harness):
    spec = replace(harness.spec(), image=None, command=None)
    spec = replace(spec, spec_hash=spec_hash(spec))
    with pytest.raises(RuntimeFailure) as caught:
        await runtime.ensure(spec, SECRETS, silent)
    assert caught.value.hint
    assert caught.value.message.endswith(".")
    assert await runtime.observe() == []
