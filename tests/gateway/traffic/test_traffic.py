"""The history of requests: what is counted, kept, added up and shown."""

import itertools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_gateway.database import Database
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.metrics import BUCKETS, RequestMetrics, Tally
from nimbus_gateway.traffic.counts import Counts, gathered, quantile, slots
from nimbus_gateway.traffic.history import STEPS, TrafficHistory, drawn
from nimbus_gateway.traffic.recorder import MOST_MINUTES, TrafficRecorder, cut_traffic
from nimbus_gateway.traffic.tables import TrafficRow
from sqlmodel import select

from tests.gateway.support import Nimbus, problem, running_nimbus

pytestmark = pytest.mark.anyio

MOMENT = 1_800_000_000


def tally(plugin: str = "hello", *answers: tuple[str, int, str, float], sent: int = 10) -> Tally:
    found = Tally(plugin, "/x")
    for method, status, cause, seconds in answers or [("GET", 200, "client", 0.02)]:
        found.count(method, status, cause, seconds, received=1, sent=sent)  # type: ignore[arg-type]
    return found


class Clock:
    def __init__(self, moment: float) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment


class TestCounts:
    def test_errors_go_to_who_they_go_back_to(self):
        counts = Counts()
        counts.add_tally(
            tally(
                "hello",
                ("GET", 200, "client", 0.01),
                ("GET", 404, "plugin", 0.01),
                ("GET", 502, "plugin", 0.01),
                ("GET", 503, "gateway", 0.01),
                ("GET", 401, "client", 0.01),
                ("GET", 0, "client", 0.01),
            )
        )
        assert (counts.requests, counts.errors) == (6, {"plugin": 2, "gateway": 1, "client": 2})
        assert (counts.received, counts.sent) == (6, 60)

    def test_how_long_a_websocket_lasts_is_no_latency(self):
        counts = Counts()
        counts.add_tally(tally("hello", ("WEBSOCKET", 101, "plugin", 3600.0)))
        assert (counts.requests, counts.latency(0.99)) == (1, None)

    @given(st.lists(st.floats(min_value=0, max_value=29), min_size=1, max_size=60), st.floats(0.01, 1))
    def test_a_quantile_lies_in_the_bucket_of_the_true_one(self, seconds: list[float], share: float):
        counts = Counts()
        counts.add_tally(tally("hello", *[("GET", 200, "client", value) for value in seconds]))
        found = counts.latency(share)
        assert found is not None
        exact = sorted(seconds)[max(0, -(-int(share * 1_000_000) * len(seconds) // 1_000_000) - 1)]
        upper = next(bound for bound in BUCKETS if exact <= bound)
        lower = max([bound for bound in BUCKETS if bound < exact], default=0.0)
        assert lower - 1e-9 <= found <= upper + 1e-9

    def test_nothing_has_no_quantile_and_the_longest_counts_as_the_last_bound(self):
        assert quantile([0] * (len(BUCKETS) + 1), 0.5) is None
        assert quantile([0] * len(BUCKETS) + [3], 0.5) == BUCKETS[-1]

    @given(st.integers(0, 10**6), st.integers(0, 10**4), st.sampled_from([60, 300, 900]))
    def test_slots_cover_the_time_without_gaps(self, begin: int, length: int, step: int):
        found = slots(begin, begin + length, step)
        assert found[0] <= begin < found[0] + step
        assert found[-1] <= begin + length < found[-1] + step
        assert all(later - earlier == step for earlier, later in itertools.pairwise(found))

    @given(st.lists(st.tuples(st.integers(0, 7200), st.integers(1, 5)), max_size=30))
    def test_gathering_loses_nothing_that_lies_in_the_slots(self, rows: list[tuple[int, int]]):
        found = slots(600, 7200, 300)
        by_slot = gathered([(at, Counts(requests=number)) for at, number in rows], found)
        assert list(by_slot) == list(found)
        assert sum(counts.requests for counts in by_slot.values()) == sum(n for at, n in rows if at >= 600)

    @pytest.mark.parametrize("span", STEPS)
    def test_a_span_has_its_points_up_to_now(self, span):
        length, step = STEPS[span]
        points, total = drawn([], span, MOMENT + 17)
        assert len(points) == length // step
        assert points[-1].at == datetime.fromtimestamp(MOMENT // step * step, UTC)
        assert (total.requests, total.p50, points[0].requests) == (0, None, 0)


class TestRecorder:
    def test_hears_of_every_flush_once(self):
        metrics, heard = RequestMetrics(), []
        metrics.listen(lambda found: heard.append((found.plugin, found.sent)))
        metrics.tally("hello", "/x").count("GET", 200, "client", 0.1, received=0, sent=7)
        metrics.flush()
        metrics.flush()
        assert heard == [("hello", 7)]

    async def test_workers_add_up_and_a_row_written_again_is_not_counted_twice(self, database_url: str):
        clock, database = Clock(MOMENT), Database(database_url)
        first, second = TrafficRecorder(clock), TrafficRecorder(clock)
        first.add(tally())
        first.add(tally(""))  # what is not a plugin's
        second.add(tally("hello", ("GET", 500, "plugin", 0.3)))
        second.add(tally("other"))
        for recorder in (first, second, first):
            await recorder.write(database)
        first.add(tally())
        await first.write(database)
        clock.moment += 60
        first.add(tally())
        await first.write(database)
        async with database.read() as session:
            rows = (await session.exec(select(TrafficRow))).all()
            history = TrafficHistory(session, clock.moment)
            one, everything = await history.of_plugin("hello", "1h"), await history.of_all("1h")
        await database.close()
        assert len(rows) == 4
        assert [point.requests for point in one.points[-2:]] == [3, 1]
        assert (one.total.requests, one.total.errors.plugin) == (4, 1)
        assert one.total.p99 is not None
        assert one.total.p99 > 0.25
        assert everything.total.requests == 5
        assert [(share.plugin_id, share.requests) for share in everything.plugins] == [("hello", 4), ("other", 1)]

    async def test_waits_for_a_database_that_is_away_and_forgets_the_oldest(self, tmp_path: Path, database_url: str):
        clock = Clock(MOMENT)
        recorder = TrafficRecorder(clock)
        away = Database(f"sqlite:///{tmp_path}/no/such/folder/x.db")
        for _ in range(MOST_MINUTES + 5):
            recorder.add(tally())
            with pytest.raises(DatabaseUnavailableError):
                await recorder.write(away)
            clock.moment += 60
        await away.close()
        database = Database(database_url)
        await recorder.write(database)
        async with database.read() as session:
            rows = (await session.exec(select(TrafficRow))).all()
        await database.close()
        assert len(rows) == MOST_MINUTES
        assert max(row.at for row in rows) == datetime.fromtimestamp(clock.moment - 60, UTC)
        assert recorder._minutes == {}

    async def test_what_is_old_goes(self, database_url: str):
        database = Database(database_url)
        for age in (timedelta(hours=26), timedelta(minutes=5)):
            recorder = TrafficRecorder(Clock(time.time() - age.total_seconds()))
            recorder.add(tally())
            await recorder.write(database)
        async with database.write() as session:
            await cut_traffic(session)
        async with database.read() as session:
            assert len((await session.exec(select(TrafficRow))).all()) == 1
        await database.close()


class TestApi:
    async def test_shows_what_was_asked(self, nimbus: Nimbus):
        nimbus.state.metrics.tally("hello", "/x").count("GET", 502, "plugin", 0.2, received=3, sent=4)
        nimbus.state.metrics.flush()
        await nimbus.state.traffic.write(nimbus.state.database)
        admin = await nimbus.admin()
        one = (await admin.get("/api/admin/plugins/hello/traffic?span=6h")).json()
        assert (one["pluginId"], one["step"], len(one["points"])) == ("hello", 300, 72)
        assert one["total"]["errors"] == {"client": 0, "plugin": 1, "gateway": 0}
        assert 0.1 < one["total"]["p95"] <= 0.25
        everything = (await admin.get("/api/admin/traffic")).json()
        assert everything["points"][-1]["requests"] + everything["points"][-2]["requests"] == 1
        assert everything["plugins"][0]["pluginId"] == "hello"

    async def test_a_plugin_that_nobody_asked_has_zeros(self, nimbus: Nimbus):
        found = (await (await nimbus.admin()).get("/api/admin/plugins/asleep/traffic")).json()
        assert (found["total"]["requests"], len(found["points"])) == (0, 60)

    async def test_refuses_in_words(self, nimbus: Nimbus):
        problem(await (await nimbus.user()).get("/api/admin/plugins/hello/traffic"), 403, "forbidden")
        problem(await (await nimbus.user("eve")).get("/api/admin/traffic"), 403, "forbidden")
        admin = await nimbus.admin()
        problem(await admin.get("/api/admin/plugins/nope/traffic"), 404, "plugin-not-found")
        assert "span" in (await admin.get("/api/admin/traffic?span=9y")).text

    async def test_other_workers_are_seen(self, nimbus: Nimbus, tmp_path: Path, database_url: str):
        async with running_nimbus(tmp_path / "second", database_url) as second:
            second.state.traffic.add(tally())
            await second.state.traffic.write(second.state.database)
        found = (await (await nimbus.admin()).get("/api/admin/plugins/hello/traffic")).json()
        assert found["total"]["requests"] == 1
