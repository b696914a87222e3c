"""Schedules: when their time comes, what was missed, one run at a time, and the history."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from nimbus_gateway.core.events import queue
from nimbus_gateway.core.schedules import runner, service
from nimbus_gateway.core.schedules.cron import next_time, schedule_problem
from nimbus_gateway.core.schedules.service import cut_runs
from nimbus_gateway.core.schedules.tables import ScheduleRunRow
from nimbus_gateway.database import now
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from sqlmodel import select

from tests.gateway.core.sinks import Sink, eventually, listener, open_sink, serve_plugins
from tests.gateway.support import Nimbus, plugin, problem, running_nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(queue, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(queue, "LONGEST_BACKOFF", 0.02)


def sweeper(sink: Sink, cron: str = "0 3 * * *", **changes: Any) -> SnapshotPlugin:
    return listener("hello", sink, schedules=[{"id": "sweep", "cron": cron, **changes}])


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "found"),
    [
        ("0 3 * * *", "UTC", "2026-01-01T04:00Z", "2026-01-02T03:00Z"),
        ("0 3 * * *", "Europe/Vienna", "2026-01-01T00:00Z", "2026-01-01T02:00Z"),
        ("0 3 * * *", "Europe/Vienna", "2026-07-01T00:00Z", "2026-07-01T01:00Z"),
        ("*/15 * * * mon", "UTC", "2026-01-04T23:59Z", "2026-01-05T00:00Z"),
        ("30 12 1 1 *", "America/New_York", "2026-01-01T18:00Z", "2027-01-01T17:30Z"),
    ],
)
def test_times(cron: str, zone: str, after: str, found: str):
    assert next_time(cron, zone, moment(after)) == moment(found)


@pytest.mark.parametrize(
    ("cron", "zone", "words"),
    [
        ("0 3 * *", "UTC", "minute, hour, day, month and weekday"),
        ("61 3 * * *", "UTC", "no cron line"),
        ("0 0 30 2 *", "UTC", "no cron line that ever comes"),
        ("0 3 * * *", "Mars/Olympus", "no time zone"),
        ("0 3 * * *", "../../etc/passwd", "no time zone"),
    ],
)
def test_what_is_wrong_is_said(cron: str, zone: str, words: str):
    assert words in (schedule_problem(cron, zone) or "")
    assert schedule_problem("0 3 * * *", "Europe/Vienna") is None


async def status(nimbus: Nimbus) -> dict[str, Any]:
    (found,) = (await nimbus.plugin("hello").get("/core/v1/schedules")).json()["items"]
    result: dict[str, Any] = found
    return result


async def declared(nimbus: Nimbus, *plugins: SnapshotPlugin) -> None:
    """Serve the plugins and wait until their schedules are known."""
    await serve_plugins(nimbus, *plugins)
    wanted = sum(len(one.detail.manifest.schedules) for one in plugins if one.detail.manifest)

    async def known() -> bool:
        items = (await nimbus.plugin("hello").get("/core/v1/schedules")).json()["items"]
        return len(items) >= wanted

    await eventually(known)


def later(monkeypatch: pytest.MonkeyPatch, **ahead: float) -> None:
    monkeypatch.setattr(service, "now", lambda: now() + timedelta(**ahead))


def within_the_next_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on to the middle of the minute after this one: what is due each minute is due once, at any time of day."""
    later(monkeypatch, seconds=90 - now().timestamp() % 60)


class TestRuns:
    async def test_runs_when_its_time_comes(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async with open_sink() as sink:
            await declared(nimbus, sweeper(sink, "* * * * *"))
            due = (await status(nimbus))["nextAt"]
            within_the_next_minute(monkeypatch)
            (event,) = await sink.until(1)
            assert event["type"] == "io.nimbus.schedule.fired.v1"
            assert (event["subject"], event["data"]["schedule"]) == ("sweep", "sweep")
            assert event["id"] == event["data"]["run"]
            assert (event["data"]["cause"], event["data"]["due"]) == ("time", due)

            async def done() -> bool:
                last = (await status(nimbus)).get("last") or {}
                return last.get("state") == "done"

            await eventually(done)
            found = await status(nimbus)
            assert found.get("running") is None
            assert found["nextAt"] > due

    @pytest.mark.parametrize(("policy", "runs"), [("once", 1), ("skip", 0)])
    async def test_what_was_missed(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch, policy: str, runs: int):
        async with open_sink() as sink:
            await declared(nimbus, sweeper(sink, "* * * * *", missed=policy))
            before = (await status(nimbus))["nextAt"]
            later(monkeypatch, hours=5)

            async def moved_on() -> bool:
                return (await status(nimbus))["nextAt"] > before

            await eventually(moved_on)
            found = await nimbus.plugin("hello").get("/core/v1/schedules/sweep/runs")
            assert [run["cause"] for run in found.json()["items"]] == ["missed"] * runs

    async def test_one_at_a_time(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async with open_sink() as sink:
            released = asyncio.Event()

            async def busy(_: dict[str, Any]) -> int:
                await released.wait()
                return 204

            sink.answer = busy
            await declared(nimbus, sweeper(sink, "* * * * *"))
            hello = nimbus.plugin("hello")
            assert (await hello.post("/core/v1/schedules/sweep/run")).status_code == 202
            problem(await hello.post("/core/v1/schedules/sweep/run"), 409, "conflict")
            within_the_next_minute(monkeypatch)

            async def skipped() -> bool:
                items = (await hello.get("/core/v1/schedules/sweep/runs")).json()["items"]
                return [run["state"] for run in items] == ["skipped", "running"]

            await eventually(skipped)
            released.set()
            await sink.until(1)

    async def test_a_long_job_holds_back_no_events(self, nimbus: Nimbus):
        async with open_sink() as sink:
            released = asyncio.Event()

            async def busy(event: dict[str, Any]) -> int:
                if event["type"].startswith("io.nimbus.schedule"):
                    await released.wait()
                return 204

            sink.answer = busy
            schedules = [{"id": "sweep", "cron": "0 3 * * *"}]
            await declared(nimbus, listener("hello", sink, "io.nimbus.media.**", schedules=schedules))
            hello = nimbus.plugin("hello")
            await hello.post("/core/v1/schedules/sweep/run")
            await hello.post("/core/v1/media", json={"kind": "movie", "title": "Alien"})
            (event,) = await sink.until(1)
            assert event["type"] == "io.nimbus.media.created.v1"
            released.set()
            await sink.until(2)

    async def test_a_run_that_fails_says_why(self, nimbus: Nimbus):
        async with open_sink() as sink, open_sink() as ears:

            async def broken(_: dict[str, Any]) -> int:
                return 500

            sink.answer = broken
            asked = {"subscribe": ["io.nimbus.schedule.*.v1", "plugin.**"]}
            job = {"id": "sweep", "cron": "0 3 * * *"}
            own = listener("hello", sink, schedules=[job], events=asked, grants=("events:publish",))
            await declared(nimbus, own, listener("ears", ears, "io.nimbus.schedule.*.v1", "plugin.**"))
            await nimbus.plugin("hello").post("/core/v1/schedules/sweep/run")

            async def failed() -> bool:
                return ((await status(nimbus)).get("last") or {}).get("state") == "failed"

            await eventually(failed)
            sink.answer = Sink._fine
            told = next(event for event in await sink.until(9) if event["type"] == "io.nimbus.schedule.finished.v1")
            assert (told["subject"], told["data"]["state"]) == ("hello", "failed")
            # How a plugin's jobs go is told to that plugin alone.
            await nimbus.plugin("hello").post("/core/v1/events", json={"events": [{"type": "plugin.hello.x"}]})
            assert [event["type"] for event in await ears.until(1)] == ["plugin.hello.x"]
            last = (await status(nimbus))["last"]
            assert (last["state"], last["cause"]) == ("failed", "manual")
            assert "answered 500" in last["error"]

    async def test_a_job_that_the_plugin_does_not_know(self, nimbus: Nimbus):
        async with open_sink() as sink:

            async def gone(_: dict[str, Any]) -> int:
                return 410

            sink.answer = gone
            await declared(nimbus, sweeper(sink))
            hello = nimbus.plugin("hello")
            await hello.post("/core/v1/schedules/sweep/run")

            async def failed() -> bool:
                return ((await status(nimbus)).get("last") or {}).get("state") == "failed"

            await eventually(failed)
            sink.answer = Sink._fine
            assert (await hello.post("/core/v1/schedules/sweep/run")).status_code == 202
            await sink.until(2)

    async def test_two_workers_start_one_run(self, database_url: str, tmp_path, monkeypatch: pytest.MonkeyPatch):
        async with (
            open_sink() as sink,
            running_nimbus(tmp_path, database_url) as one,
            running_nimbus(tmp_path, database_url) as two,
        ):
            await asyncio.gather(*(declared(worker, sweeper(sink, "* * * * *")) for worker in (one, two)))
            within_the_next_minute(monkeypatch)
            await asyncio.gather(*(runner.start_due(worker.state) for worker in (one, two) for _ in range(3)))
            await sink.until(1)
            async with one.state.database.read() as session:
                assert len((await session.exec(select(ScheduleRunRow))).all()) == 1

    async def test_a_start_that_comes_again_ends_nothing(self, nimbus: Nimbus):
        run = ScheduleRunRow(plugin_id="hello", schedule="x", due=now(), cause="time", state="failed", error="first")
        async with nimbus.state.database.write() as session:
            session.add(run)
            await session.flush()
            await service.end_run(session, run.id, None)
            assert (run.state, run.error) == ("failed", "first")


class TestDeclarations:
    async def test_a_plugin_that_is_off_runs_nothing(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async with open_sink() as sink:
            await declared(nimbus, sweeper(sink, "* * * * *"))
            off = plugin("hello", state="disabled", schedules=[{"id": "sweep", "cron": "* * * * *"}])
            await serve_plugins(nimbus, off, plugin("other"))
            later(monkeypatch, hours=1)
            await runner.start_due(nimbus.state)
            items = (await (await nimbus.admin()).get("/api/admin/plugins/hello/schedules")).json()["items"]
            assert [item.get("last") for item in items] == [None]

    async def test_a_changed_line_counts_at_once_and_a_removed_one_goes(self, nimbus: Nimbus):
        async with open_sink() as sink:
            await declared(nimbus, sweeper(sink))
            await serve_plugins(nimbus, sweeper(sink, "bad line in here now"))

            async def wrong() -> bool:
                found = await status(nimbus)
                return "no cron line" in (found.get("error") or "") and found.get("nextAt") is None

            await eventually(wrong)
            await serve_plugins(nimbus, plugin("hello"))

            async def gone() -> bool:
                return (await nimbus.plugin("hello").get("/core/v1/schedules")).json()["items"] == []

            await eventually(gone)
            problem(await nimbus.plugin("hello").post("/core/v1/schedules/sweep/run"), 404, "not-found")

    async def test_plugins_see_only_their_own(self, nimbus: Nimbus):
        async with open_sink() as sink:
            await declared(nimbus, sweeper(sink), plugin("other"))
            other = nimbus.plugin("other")
            assert (await other.get("/core/v1/schedules")).json()["items"] == []
            problem(await other.post("/core/v1/schedules/sweep/run"), 404, "not-found")
            problem(await other.get("/core/v1/schedules/sweep/runs"), 404, "not-found")


class TestAdministration:
    async def test_runs_now_and_shows_the_history(self, nimbus: Nimbus):
        async with open_sink() as sink:
            await declared(nimbus, sweeper(sink))
            admin = await nimbus.admin()
            path = "/api/admin/plugins/hello/schedules"
            for count in (1, 2):
                assert (await admin.post(f"{path}/sweep/run")).status_code == 202
                await sink.until(count)

                async def idle() -> bool:
                    return (await admin.get(path)).json()["items"][0].get("running") is None

                await eventually(idle)
            first = (await admin.get(f"{path}/sweep/runs", params={"limit": 1})).json()
            rest = (await admin.get(f"{path}/sweep/runs", params={"cursor": first["next"]})).json()
            assert [run["id"] for run in first["items"] + rest["items"]] == sink.ids[::-1]
            audit = (await admin.get("/api/admin/audit", params={"action": "schedule.run"})).json()["items"]
            assert len(audit) == 2
            problem(await (await nimbus.user()).post(f"{path}/sweep/run"), 403, "forbidden")

    async def test_old_runs_go(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async with nimbus.state.database.write() as session:
            session.add(ScheduleRunRow(plugin_id="hello", schedule="x", due=now(), cause="time", state="done"))
        later(monkeypatch, days=31)
        async with nimbus.state.database.write() as session:
            await cut_runs(session)
        async with nimbus.state.database.read() as session:
            assert (await session.exec(select(ScheduleRunRow))).all() == []
