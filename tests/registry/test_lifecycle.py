"""Enable, disable, restart and what goes wrong in between, in a running registry with a runtime in memory."""

import asyncio
import hashlib
import random

import pytest
from nimbus_registry.lifecycle import backoff, startup
from nimbus_registry.runtime.base import ExitStatus, RuntimeFailure
from nimbus_sdk.contracts.control import LifecycleResult, ProbeResult, UiFetchResult
from nimbus_sdk.contracts.plugin_api import Health, HealthCheck
from nimbus_sdk.contracts.problem import FieldProblem

from tests.registry.conftest import DEADLINE, Folder, Registry, World

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

UI = {"bundle": "web/main.js", "isolation": "module"}


class TestEnable:
    async def test_to_ready_and_back(self, either_world: World, folder: Folder) -> None:
        folder.add(ui=UI, capabilities=["api", "ui"])
        async with either_world.registry() as registry:
            assert (await registry.plugin())["state"] == "disabled"
            answer = await registry.ask("enable")
            assert answer.status_code == 200, answer.text
            assert answer.json()["settled"] is True
            assert answer.json()["plugin"]["state"] == "ready"
            token = either_world.engine.secrets["hello"]["NIMBUS_PLUGIN_TOKEN"]
            plugin = registry.context.ledger.snapshot().plugins[0]
            assert plugin.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
            assert plugin.upstream == either_world.engine.runs["hello"].upstream
            assert plugin.ui is not None
            assert plugin.ui.content_hash == "c0ffee"
            assert plugin.grants == ["media:read"]

            answer = await registry.ask("disable")
            assert answer.status_code == 200
            plugin = registry.context.ledger.snapshot().plugins[0]
            assert (plugin.upstream, plugin.token_sha256, plugin.ui) == (None, None, None)
            assert either_world.engine.runs == {}
            assert registry.gateway.events == [("hello", "enabled"), ("hello", "disabled")]
            assert await registry.history() == [
                "disabled",
                "starting",
                "initializing",
                "ready",
                "stopping",
                "disabled",
            ]

    async def test_is_idempotent(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            assert (await registry.ask("enable", wait=0)).status_code == 200
            assert world.engine.started == 1
            assert (await registry.ask("disable")).status_code == 200
            assert (await registry.ask("disable", wait=0)).status_code == 200

    async def test_asked_for_at_the_very_end_of_its_start_it_is_settled_too(
        self, world: World, folder: Folder
    ) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            record = registry.context.ledger.records["hello"]
            await registry.until(lambda: not record.busy)
            record.busy = True  # as it is for a moment after it has become ready
            answer = await registry.ask("enable")
            assert (answer.status_code, record.done) == (200, record.request)
            assert world.engine.started == 1

    async def test_without_waiting_it_is_under_way(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            answer = await registry.ask("enable", wait=0)
            assert answer.status_code == 202
            assert answer.json()["settled"] is False
            await registry.until_state("building")
            await registry.until(lambda: registry.context.ledger.records["hello"].progress == "step 2")
            registry.runtime.gates["hello"].set()
            await registry.until_state("ready")
            assert await registry.history() == [
                "disabled",
                "starting",
                "building",
                "starting",
                "initializing",
                "ready",
            ]

    async def test_the_last_line_before_a_silence_is_shown_and_a_flood_is_no_flood_of_snapshots(
        self, world: World, folder: Folder
    ) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            assert (await registry.ask("enable", wait=0)).status_code == 202
            ledger = registry.context.ledger
            await registry.until(lambda: ledger.records["hello"].progress == "step 2")
            # As workers have it: made once for each generation.
            assert await ledger.pulse.until(lambda: b"step 2" in ledger.snapshot_json(), DEADLINE)
            before = ledger.generation
            for number in range(100):
                ledger.note_progress(ledger.records["hello"], f"line {number}")
                ledger.snapshot_json()
            assert await ledger.pulse.until(lambda: b"line 99" in ledger.snapshot_json(), DEADLINE)
            assert ledger.generation - before < 10

    async def test_a_slow_build_holds_up_nobody_else(self, world: World, folder: Folder) -> None:
        folder.add("slow")
        folder.add("quick")
        async with world.registry() as registry:
            registry.runtime.gates["slow"] = asyncio.Event()
            assert (await registry.ask("enable", "slow", wait=0)).status_code == 202
            await registry.until_state("building", "slow")
            assert (await registry.ask("enable", "quick")).status_code == 200
            assert (await registry.plugin("slow"))["state"] == "building"

    async def test_disable_during_a_build_ends_it_at_once(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                enabling = group.create_task(registry.ask("enable"))
                await registry.until_state("building")
                answer = await registry.ask("disable")  # of the build that it ends nobody opens the gate
            assert answer.status_code == 200
            assert answer.json()["plugin"]["state"] == "disabled"
            assert enabling.result().status_code == 202
            assert world.engine.runs == {}
            assert world.engine.leftovers == set()

    async def test_waits_for_every_live_worker(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            params = {"worker": "one", "serving": 1}
            assert (await registry.client.get("/v1/snapshot", params=params)).status_code == 200
            await registry.ask("enable", wait=0)
            await registry.until_state("ready")
            answer = await registry.ask("enable", wait=0.3)
            assert answer.status_code == 202
            assert answer.json()["plugin"]["state"] == "ready"
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(registry.ask("enable"))
                serving = registry.context.ledger.generation
                group.create_task(registry.client.get("/v1/snapshot", params={"worker": "one", "serving": serving}))
            assert asking.result().status_code == 200
            assert (await registry.client.delete("/v1/workers/one")).status_code == 204


class TestFailures:
    async def fail(self, registry: Registry) -> dict:  # type: ignore[type-arg]
        answer = await registry.ask("enable")
        assert answer.status_code == 409, answer.text
        body = answer.json()
        assert body["type"] == "/problems/plugin-failed"
        assert body["detail"] == body["plugin"]["reason"]["message"]
        assert body["plugin"]["state"] in {"failed", "backoff"}
        reason: dict = body["plugin"]["reason"]  # type: ignore[type-arg]
        return reason

    async def test_missing_image(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.failures["hello"] = RuntimeFailure(
                "image",
                "image-missing",
                "There is no image example/hello:1.0.0.",
                hint="Build it.",
                log_tail=["a\x00b"],
            )
            reason = await self.fail(registry)
            assert (reason["code"], reason["hop"], reason["hint"]) == ("image-missing", "image", "Build it.")
            assert reason["logTail"] == ["ab"]

    async def test_exits_at_once(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.exits_at_once["hello"] = ExitStatus(code=3)
            registry.runtime.lines["hello"] = ["one", "Traceback: no module"]
            reason = await self.fail(registry)
            assert (reason["code"], reason["hop"]) == ("exited", "exit")
            assert "exit code 3" in reason["message"]
            assert reason["logTail"] == ["one", "Traceback: no module"]

    @pytest.mark.parametrize(
        ("result", "hop", "words"),
        [
            (ProbeResult(ok=False, hop="connect", detail="connection refused"), "connect", "port 8000"),
            (ProbeResult(ok=False, hop="http", status=500), "http", "answered 500"),
            (ProbeResult(ok=True, status=200, health=Health(status="ok", contract=[2])), "handshake", "contract 1"),
            (ProbeResult(ok=True, status=200), "handshake", "speaks none"),
        ],
    )
    async def test_never_healthy(
        self, world: World, folder: Folder, result: ProbeResult, hop: str, words: str
    ) -> None:
        folder.add(runtime={"image": "x", "timeouts": {"start": "200ms"}})
        async with world.registry() as registry:
            registry.gateway.health["hello"] = result
            reason = await self.fail(registry)
            assert reason["hop"] == hop
            assert words in reason["message"]
            await registry.until(lambda: [run.phase for run in world.engine.runs.values()] == ["exited"])

    async def test_init_and_ui(self, world: World, folder: Folder) -> None:
        folder.add(ui=UI)
        async with world.registry() as registry:
            registry.gateway.init["hello"] = LifecycleResult(ok=False, status=500, detail="no such table")
            reason = await self.fail(registry)
            assert (reason["code"], reason["hop"]) == ("init-failed", "init")
            assert "no such table" in reason["message"]
            registry.gateway.ui["hello"] = UiFetchResult(
                ok=False, detail="the bundle imports its own React", errors=[FieldProblem(path="/x", message="y")]
            )
            reason = await self.fail(registry)
            assert (reason["code"], reason["hop"]) == ("ui-refused", "init")
            assert "own React" in reason["message"]

    async def test_an_engine_that_is_down_is_not_the_plugins_fault(
        self, world: World, folder: Folder, fast: None
    ) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.failures["hello"] = RuntimeFailure("engine", "engine-down", "The engine is gone.")
            assert (await self.fail(registry))["hop"] == "engine"
            calls = registry.runtime.calls
            await registry.until(lambda: calls["ensure"] > backoff.QUARANTINE_AFTER + 1)
            del registry.runtime.failures["hello"]
            await registry.until_state("ready")

    @pytest.mark.usefixtures("fast")
    async def test_crash_is_restarted_with_a_new_token(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            first = world.engine.secrets["hello"]["NIMBUS_PLUGIN_TOKEN"]
            registry.runtime.crash("hello", ExitStatus(signal=9, out_of_memory=True))
            assert (await registry.until_went_through("backoff"))["reason"]["code"] == "out-of-memory"
            await registry.until_state("ready")
            assert world.engine.secrets["hello"]["NIMBUS_PLUGIN_TOKEN"] != first
            registry.runtime.vanish("hello")
            await registry.until_went_through("backoff", times=2)
            await registry.until_state("ready")
            assert (await registry.history()).count("ready") == 3

    @pytest.mark.usefixtures("fast")
    async def test_five_failures_need_a_person(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.exits_at_once["hello"] = ExitStatus(code=1)
            assert (await registry.ask("enable", wait=0)).status_code == 202
            await registry.until_state("quarantined")
            assert world.engine.started == backoff.QUARANTINE_AFTER
            detail = await registry.plugin()
            assert detail["enabled"] is True
            assert detail["reason"]["code"] == "exited"
            assert "five times in ten minutes and is left alone; restart it" in detail["reason"]["hint"]
            del registry.runtime.exits_at_once["hello"]
            assert (await registry.ask("enable")).status_code == 200

    @pytest.mark.usefixtures("fast")
    async def test_quarantine_outlives_a_restart_of_the_registry(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.exits_at_once["hello"] = ExitStatus(code=1)
            await registry.ask("enable", wait=0)
            await registry.until_state("quarantined")
        async with world.registry() as registry:
            assert (await registry.plugin())["state"] == "quarantined"
            assert world.engine.started == backoff.QUARANTINE_AFTER


@pytest.mark.usefixtures("fast")
class TestHealth:
    async def test_degraded_and_well_again(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            checks = [HealthCheck(name="disk", status="degraded", detail="90% full")]
            registry.gateway.health["hello"] = ProbeResult(
                ok=True, status=200, health=Health(status="degraded", checks=checks)
            )
            await registry.until_state("degraded")
            assert "disk: 90% full" in (await registry.plugin())["reason"]["message"]
            assert registry.context.ledger.snapshot().plugins[0].upstream is not None
            del registry.gateway.health["hello"]
            await registry.until_state("ready")
            assert (await registry.plugin())["reason"] is None
            assert world.engine.started == 1

    async def test_three_failures_in_a_row_start_it_again(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            registry.gateway.health["hello"] = ProbeResult(ok=False, hop="http", detail="timed out after 2 s")
            await registry.until(lambda: world.engine.started == 2)
            del registry.gateway.health["hello"]
            await registry.until_state("ready")
            assert world.engine.started == 2
            assert "3 times in a row" in (await registry.until_went_through("backoff"))["reason"]["message"]

    async def test_a_gateway_that_is_away_punishes_nobody(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            registry.gateway.down = True
            refused = registry.gateway.refused
            await registry.until(lambda: registry.gateway.refused > refused + 5)
            assert (await registry.plugin())["state"] == "ready"
            registry.gateway.down = False
            assert (await registry.ask("restart")).status_code == 200

    async def test_a_start_waits_for_the_gateway(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long it is away: nothing of that time is the plugin's."""
        monkeypatch.setattr(startup, "_GATEWAY_PAUSE", 0.02)
        folder.add(runtime={"image": "x", "timeouts": {"start": "200ms"}})
        async with world.registry() as registry:
            registry.gateway.down = True
            assert (await registry.ask("enable", wait=0)).status_code == 202
            await registry.until(lambda: registry.gateway.refused > 30)
            assert (await registry.plugin())["progress"] == "waiting for the gateway"
            registry.gateway.down = False
            await registry.until_state("ready")
            assert "failed" not in await registry.history()

    async def test_recreated_gateway_is_linked_again(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            registry.runtime.unlink("hello")
            await registry.until(lambda: world.engine.runs["hello"].linked)
            assert world.engine.started == 1
            assert (await registry.plugin())["state"] == "ready"

    async def test_gateway_that_comes_during_a_start_is_linked(self, world: World, folder: Folder) -> None:
        """The whole stack starts: the plugin runs before the gateway's container is there."""
        folder.add()
        async with world.registry() as registry:
            registry.gateway.down = True
            await registry.ask("enable", wait=1)
            registry.runtime.unlink("hello")
            registry.gateway.down = False
            await registry.until_state("ready")
            assert world.engine.started == 1
            assert "failed" not in await registry.history()

    async def test_mistake_before_a_start_is_shown(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error of ours ends in a failure with its own words, not in a plugin that stays disabled."""
        folder.add()
        async with world.registry() as registry:

            async def broken(*_: object) -> None:
                raise OSError("disk on fire")

            monkeypatch.setattr(registry.runtime, "ensure", broken)
            await registry.ask("enable", wait=1)
            reason = (await registry.until_went_through("backoff"))["reason"]
            assert "disk on fire" in reason["message"]
            assert "ExceptionGroup" not in reason["message"]


class TestRestartOfTheRegistry:
    async def test_running_plugins_are_adopted(self, either_world: World, folder: Folder) -> None:
        folder.add()
        async with either_world.registry() as registry:
            await registry.ask("enable")
            before = registry.context.ledger.generation
            token = registry.context.ledger.records["hello"].token_sha256
        run = either_world.engine.runs["hello"]
        async with either_world.registry() as registry:
            detail = registry.context.ledger.snapshot().plugins[0]
            assert (detail.detail.state, detail.upstream, detail.token_sha256) == ("ready", run.upstream, token)
            assert registry.context.ledger.generation > before
            assert (await registry.ask("enable")).status_code == 200
            assert either_world.engine.runs["hello"] == run
            assert either_world.engine.started == 1

    async def test_what_was_enabled_runs_again_after_a_reboot(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
        world.engine.runs.clear()
        async with world.registry() as registry:
            assert registry.context.ledger.snapshot().plugins[0].upstream is None
            await registry.until_state("ready")
            assert "failed" not in await registry.history()

    async def test_a_run_with_an_unknown_token_is_replaced(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
            await registry.context.ledger.flush()
            registry.context.ledger.records["hello"].run_id = "another"
            registry.context.ledger.touch(registry.context.ledger.records["hello"])
        async with world.registry() as registry:
            await registry.until(lambda: world.engine.started == 2)
            await registry.until_state("ready")

    async def test_stopped_at_its_end_when_told_so(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry(stop_plugins_on_exit=True) as registry:
            await registry.ask("enable")
        assert world.engine.runs == {}
        async with world.registry() as registry:
            assert (await registry.plugin())["enabled"] is True
            await registry.until_state("ready")

    async def test_a_database_that_is_down_does_not_keep_plugins_running(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.add()
        running_at_the_last_write: list[int] = []

        async def flush() -> None:
            running_at_the_last_write.append(len(world.engine.runs))

        async with world.registry(stop_plugins_on_exit=True) as registry:
            await registry.ask("enable")
            await registry.until(lambda: not registry.context.ledger._journal._changed)
            monkeypatch.setattr(registry.context.ledger, "flush", flush)
        assert running_at_the_last_write == [0]

    async def test_killed_during_a_start(self, world: World, folder: Folder) -> None:
        """What a kill -9 leaves behind: the wish is stored, the engine holds a half of it."""
        folder.add()
        async with world.registry() as registry:
            registry.runtime.gates["hello"] = asyncio.Event()
            await registry.ask("enable", wait=0)
            await registry.until_state("building")
        assert world.engine.leftovers == {"hello"}
        async with world.registry() as registry:
            await registry.until_state("ready")
            assert (await registry.ask("disable")).status_code == 200
            assert world.engine.leftovers == set()

    @pytest.mark.usefixtures("fast")
    async def test_a_mistake_in_a_pass_does_not_end_the_registry(
        self, world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.add()
        world.engine.leftovers |= {"first", "second"}
        async with world.registry() as registry:
            remove = registry.runtime.remove

            async def refuse(plugin_id: str) -> None:
                if plugin_id == "first":
                    raise RuntimeFailure("engine", "engine-error", "Try again.")
                await remove(plugin_id)

            monkeypatch.setattr(registry.runtime, "remove", refuse)
            await registry.until(lambda: "second" not in world.engine.leftovers)

            async def broken(_: object) -> None:
                registry.runtime.calls["broken"] += 1
                raise KeyError("a mistake")

            monkeypatch.setattr(registry.runtime, "observe_leftovers", broken)
            await registry.until(lambda: registry.runtime.calls["broken"] > 1)
            assert (await registry.ask("enable")).status_code == 200

    @pytest.mark.usefixtures("fast")
    async def test_nothing_of_an_unknown_plugin_stays_and_nothing_foreign_goes(
        self, world: World, folder: Folder
    ) -> None:
        folder.add()
        async with world.registry() as registry:
            await registry.ask("enable")
        run = world.engine.runs["hello"]
        for name in ("ghost", "other"):
            world.engine.runs[name] = type(run)(name, "running", "x", f"run-{name}", run.upstream)
        world.engine.leftovers.add("half")
        async with world.registry() as registry:
            await registry.until(lambda: set(world.engine.runs) == {"hello"} and "half" not in world.engine.leftovers)
            assert (await registry.plugin())["state"] == "ready"
        assert world.engine.foreign == {"somebody-elses-container"}


class TestSwitches:
    @pytest.mark.parametrize(
        ("switch", "code"), [({"safe_mode": True}, "safe-mode"), ({"enable_plugins": False}, "plugins-disabled")]
    )
    async def test_off_leaves_enabled_as_it_is(
        self, world: World, folder: Folder, switch: dict[str, bool], code: str
    ) -> None:
        folder.add()
        folder.add("other")
        async with world.registry() as registry:
            await registry.ask("enable")
        async with world.registry(**switch) as registry:
            await registry.until_state("disabled")
            detail = await registry.plugin()
            assert (detail["enabled"], detail["reason"]["code"]) == (True, code)
            assert world.engine.runs == {}
            answer = await registry.ask("enable", "other")
            assert answer.status_code == 409
            assert answer.json()["plugin"]["reason"]["code"] == code
            assert (await registry.ask("disable", "other")).status_code == 200
        async with world.registry() as registry:
            await registry.until_state("ready")
            assert (await registry.plugin("other"))["state"] == "disabled"


class TestManyAtOnce:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_hammering_ends_as_last_asked(self, either_world: World, folder: Folder, seed: int) -> None:
        chance = random.Random(seed)
        names = [f"plugin-{number}" for number in range(5)]
        for name in names:
            folder.add(name)
        async with either_world.registry() as registry:
            last: dict[str, str] = {}

            async def hammer(name: str) -> None:
                for _ in range(12):
                    last[name] = chance.choice(["enable", "disable", "enable", "disable", "restart"])
                    if last[name] == "restart":
                        last[name] = "enable" if registry.context.ledger.records[name].enabled else "disable"
                        answer = await registry.ask("restart", name, wait=0)
                        assert answer.status_code in {200, 202, 409}
                        continue
                    answer = await registry.ask(last[name], name, wait=chance.choice([0, 0, 0.01, 0.05]))
                    assert answer.status_code in {200, 202}, answer.text

            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(hammer(name))
            for name in names:
                record = registry.context.ledger.records[name]
                # A restart that was asked for last has not begun yet when its answer is there.
                await registry.until(lambda record=record: record.done == record.request and not record.busy)
                await registry.until_state("ready" if last[name] == "enable" else "disabled", name)
                assert (await registry.plugin(name))["enabled"] is (last[name] == "enable")
            assert registry.runtime.overlaps == []
            running = {name for name, run in either_world.engine.runs.items() if run.phase == "running"}
            assert running == {name for name in names if last[name] == "enable"}

    async def test_many_callers_of_one_plugin(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(registry.ask("enable")) for _ in range(20)]
            assert {call.result().status_code for call in calls} <= {200, 202}
            assert (await registry.ask("enable")).status_code == 200
            assert world.engine.started == 1


async def test_an_end_during_the_init_hook_is_told_as_an_end(world: World, folder: Folder) -> None:
    """The connection breaks off first, and the engine tells of the end a moment later."""
    folder.add()
    async with world.registry() as registry:
        registry.gateway.init["hello"] = LifecycleResult(ok=False, detail="the plugin closed the connection")

        async def end_a_moment_later() -> None:
            await registry.until(lambda: ("hello", "enabled") in registry.gateway.events)
            looks = registry.runtime.calls["observe"]
            await registry.until(lambda: registry.runtime.calls["observe"] > looks)
            registry.runtime.crash("hello", ExitStatus(signal=9))

        async with asyncio.TaskGroup() as group:
            group.create_task(end_a_moment_later())
            answer = await registry.ask("enable")
        assert answer.json()["plugin"]["reason"]["message"] == (
            "The plugin was ended by signal SIGKILL before it answered."
        )
