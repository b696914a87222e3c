"""How the loop goes on between steps: when it stays awake, when it lets them gather, and that nothing else waits."""

import asyncio
import os
import socket

import pytest
from nimbus_gateway.proxy.loop_pace import BACKLOG, MOST_OWED, LoopPace, rest_seconds, stays_awake
from nimbus_gateway.settings import BUSY_POLL_SECONDS, Settings

from tests.support.connections import tcp_server
from tests.support.gateway import Answer, Echo, eventually, manifest, read_head, running_gateway, snapshot_plugin

WINDOW = 2**-13
"""Seconds, some 120 µs; a power of two, so that sums with the clock are exact."""


class Clock:
    """Stands still until it is set on."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def pace(clock):
    pace = LoopPace(WINDOW, 0.0, asyncio.Event(), clock=clock)
    yield pace
    clock.now += 1
    await eventually(lambda: not pace.awake)


class TestStaysAwake:
    @pytest.mark.parametrize(
        ("gap", "window", "owed", "worth"),
        [
            (0.0, WINDOW, 0, True),
            (WINDOW * 0.9, WINDOW, 1, True),
            (WINDOW * 0.9, WINDOW, MOST_OWED, True),
            (WINDOW * 0.9, WINDOW, MOST_OWED + 1, False),
            (WINDOW, WINDOW, 1, False),
            (float("inf"), WINDOW, 0, False),
            (0.0, 0.0, 0, False),
        ],
    )
    def test_after_quick_steps_with_little_under_way(self, gap, window, owed, worth):
        assert stays_awake(gap, window, owed) is worth


class TestSettings:
    @pytest.mark.parametrize(
        ("cpus", "seconds"), [(None, 0.0), (1, 0.0), (2, BUSY_POLL_SECONDS), (64, BUSY_POLL_SECONDS)]
    )
    def test_the_machine_decides(self, monkeypatch, cpus, seconds):
        monkeypatch.setattr(os, "cpu_count", lambda: cpus)
        assert Settings().busy_poll_seconds == seconds

    @pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("40", 40e-6), ("1000", 1e-3)])
    def test_the_operator_decides(self, monkeypatch, value, seconds):
        monkeypatch.setenv("NIMBUS_BUSY_POLL", value)
        assert Settings().busy_poll_seconds == pytest.approx(seconds)

    @pytest.mark.parametrize(
        ("name", "value"), [("busy_poll", "-1"), ("busy_poll", "1001"), ("busy_poll", "soon"), ("coalesce", "2001")]
    )
    def test_what_is_no_sensible_time_is_refused(self, monkeypatch, name, value):
        monkeypatch.setenv(f"NIMBUS_{name.upper()}", value)
        with pytest.raises(ValueError, match=name):
            Settings()


@pytest.mark.anyio
class TestStayingAwake:
    async def test_one_step_alone_keeps_nobody_awake(self, pace):
        pace.sent(1)
        assert not pace.awake

    async def test_slow_steps_do_not(self, pace, clock):
        pace.sent(1)
        clock.now += WINDOW
        pace.answered(1)
        assert not pace.awake

    async def test_quick_steps_do_until_the_time_is_over(self, pace, clock):
        pace.sent(1)
        clock.now += WINDOW / 2
        pace.answered(1)
        assert pace.awake
        for _ in range(10):
            await asyncio.sleep(0)
        assert pace.awake
        clock.now += WINDOW * 1.01
        await eventually(lambda: not pace.awake)

    async def test_each_step_prolongs_it(self, pace, clock):
        pace.sent(1)
        for step in (pace.answered, pace.sent, pace.answered, pace.sent):
            clock.now += WINDOW * 0.8
            step(1)
            await asyncio.sleep(0)
            assert pace.awake

    async def test_with_much_under_way_the_loop_sleeps(self, pace):
        for _ in range(MOST_OWED + 1):
            pace.sent(1)
        await eventually(lambda: not pace.awake)
        pace.sent(1)
        assert not pace.awake
        for _ in range(MOST_OWED + 2):
            pace.answered(1)
        assert pace.owed == 0
        assert pace.awake

    async def test_it_can_be_off(self, clock):
        pace = LoopPace(0.0, 0.0, asyncio.Event(), clock=clock)
        pace.sent(1)
        pace.answered(1)
        assert not pace.awake
        assert pace.owed == 0

    async def test_a_stop_ends_it(self, clock):
        stopping = asyncio.Event()
        pace = LoopPace(WINDOW, 0.0, stopping, clock=clock)
        pace.sent(1)
        pace.answered(1)
        assert pace.awake
        stopping.set()
        await eventually(lambda: not pace.awake)

    async def test_others_have_their_turn_meanwhile(self, pace):
        """Events, timers and callbacks go on while the loop is kept awake."""
        pace.sent(1)
        pace.answered(1)
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.send(b"x")
            async with asyncio.timeout(10):
                assert await loop.sock_recv(ours, 1) == b"x"
                await asyncio.sleep(0.01)
                assert await asyncio.to_thread(lambda: 1) == 1
        assert pace.awake


LONGEST = 2**-11
"""Seconds, some 500 µs."""


class TestRestSeconds:
    def test_a_part_of_what_an_answer_takes(self):
        """32 owed, a step each 50 µs: an answer takes 3.2 ms."""
        assert rest_seconds(1, 32, 50e-6, 1.0) == pytest.approx(0.4e-3)
        assert rest_seconds(1, 32, 50e-6, LONGEST) == pytest.approx(0.4e-3)
        assert rest_seconds(1, 320, 50e-6, LONGEST) == LONGEST

    @pytest.mark.parametrize(
        ("steps", "owed", "gap", "longest"),
        [
            (16, 31, 50e-6, LONGEST),  # enough comes without
            (1, 1, 50e-6, LONGEST),
            (1, 32, LONGEST * 1.01, LONGEST),  # nothing would come meanwhile
            (1, 32, 50e-6, 0.0),  # off
        ],
    )
    def test_none(self, steps, owed, gap, longest):
        assert rest_seconds(steps, owed, gap, longest) == 0


@pytest.mark.anyio
class TestCoalescing:
    @pytest.fixture
    async def rests(self):
        return []

    @pytest.fixture
    async def pace(self, clock, rests):
        return LoopPace(WINDOW, LONGEST, asyncio.Event(), clock=clock, sleep=rests.append)

    @staticmethod
    async def turns(pace, clock, theirs, count=80):
        """One answer and one new request each turn, 100 µs apart."""
        for _ in range(count):
            pace.answered(theirs)
            pace.sent(theirs)
            await asyncio.sleep(0)
            clock.now += 100e-6

    async def test_steps_of_a_plugin_with_a_backlog_gather(self, pace, clock, rests):
        for number in range(BACKLOG * 2):
            pace.sent(number + 1)
        await self.turns(pace, clock, BACKLOG * 2)
        assert len(rests) > 10
        assert max(rests) <= LONGEST
        assert rests[-1] == pytest.approx(BACKLOG * 2 * 2 * 50e-6 / 8, rel=0.2)

    async def test_few_requests_are_taken_as_they_come(self, pace, clock, rests):
        for number in range(BACKLOG - 1):
            pace.sent(number + 1)
        await self.turns(pace, clock, BACKLOG - 1)
        assert rests == []

    async def test_they_do_not_while_another_plugin_owes_something(self, pace, clock, rests):
        for number in range(BACKLOG * 2):
            pace.sent(number + 1)
        pace.sent(1)
        await self.turns(pace, clock, BACKLOG * 2)
        assert rests == []
        pace.answered(1)
        await self.turns(pace, clock, BACKLOG * 2)
        assert rests

    async def test_not_even_in_turns_that_bring_nothing_but_answers(self, pace, clock, rests):
        for number in range(BACKLOG * 5):
            pace.sent(number + 1)
        await self.turns(pace, clock, BACKLOG * 5)
        rests.clear()
        pace.sent(1)
        for number in range(BACKLOG * 2):
            pace.answered(BACKLOG * 5 - number)
            await asyncio.sleep(0)
            clock.now += 100e-6
        assert rests == []
        pace.answered(1)
        pace.answered(BACKLOG * 3)
        await asyncio.sleep(0)
        pace.answered(BACKLOG * 3 - 1)
        await asyncio.sleep(0)
        assert len(rests) == 1

    async def test_none_in_a_turn_with_a_step_of_another_plugin(self, pace, clock, rests):
        for number in range(BACKLOG * 2):
            pace.sent(number + 1)
        await self.turns(pace, clock, BACKLOG * 2)
        rests.clear()
        for _ in range(20):
            pace.sent(1)
            pace.answered(1)
            await self.turns(pace, clock, BACKLOG * 2, count=1)
        assert rests == []

    async def test_after_a_silence_none_until_steps_are_quick_again(self, pace, clock, rests):
        for number in range(BACKLOG * 2):
            pace.sent(number + 1)
        for _ in range(20):
            pace.answered(BACKLOG * 2)
            pace.sent(BACKLOG * 2)
            await asyncio.sleep(0)
            clock.now += 0.1
        assert rests == []

    async def test_it_can_be_off(self, clock, rests):
        pace = LoopPace(WINDOW, 0.0, asyncio.Event(), clock=clock, sleep=rests.append)
        for number in range(BACKLOG * 2):
            pace.sent(number + 1)
        await self.turns(pace, clock, BACKLOG * 2)
        assert rests == []


ROUTES = [
    {"path": "/open", "methods": ["GET"], "auth": "none"},
    {"path": "/slow", "methods": ["GET"], "auth": "none", "timeout": "200ms"},
]


def get(path):
    return f"GET /api/plugins/demo{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def ask_often(gateway):
    """Twenty times on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        for _ in range(20):
            writer.write(get("/open"))
            async with asyncio.timeout(30):
                answer = Answer.parse(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(int(answer.get("content-length")))
            assert answer.status == 200
    finally:
        writer.close()


async def broken(reader, writer):
    """Answers the first request of a connection and cuts it at the second."""
    if await read_head(reader) is not None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await read_head(reader)
        writer.transport.abort()


async def mute(reader, writer):
    """Answers the first request of a connection and no other."""
    if await read_head(reader) is not None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()


@pytest.mark.anyio
@pytest.mark.slow
class TestExchanges:
    """However an exchange ends, nothing stays owed."""

    async def test_a_plugin_with_a_backlog(self, tmp_path, monkeypatch):
        """Requests gather in front of one that takes them one by one, and all are answered."""
        turn = asyncio.Lock()

        async def one_by_one(reader, writer):
            while await read_head(reader) is not None:
                async with turn:
                    await asyncio.sleep(0.001)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        async with (
            tcp_server(one_by_one) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address), coalesce=2000) as gateway,
        ):
            pace = gateway.state.loop_pace
            rests = []
            monkeypatch.setattr(pace, "_sleep", rests.append)
            async with asyncio.TaskGroup() as group:
                for _ in range(2 * BACKLOG):
                    group.create_task(ask_often(gateway))
            assert rests
            assert max(rests) <= 0.002
            assert (pace.owed, gateway.state.gates.of("demo").owed) == (0, 0)

    async def test_answers(self, tmp_path):
        async with (
            tcp_server(Echo()) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address), busy_poll=1000) as gateway,
        ):
            pace = gateway.state.loop_pace
            await ask_often(gateway)
            assert pace.owed == 0
            await eventually(lambda: not pace.awake)

    @pytest.mark.parametrize(("handler", "path", "status"), [(broken, "/open", 200), (mute, "/slow", 504)])
    async def test_failures(self, tmp_path, handler, path, status):
        async with (
            tcp_server(handler) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address), busy_poll=1000) as gateway,
        ):
            pace = gateway.state.loop_pace
            assert (await gateway.get("/api/plugins/demo/open")).status == 200
            assert (await gateway.get(f"/api/plugins/demo{path}")).status == status
            await eventually(lambda: pace.owed == 0 and not pace.awake)

    async def test_clients_that_leave(self, tmp_path):
        async with (
            tcp_server(mute) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address), busy_poll=1000) as gateway,
        ):
            pace = gateway.state.loop_pace
            assert (await gateway.get("/api/plugins/demo/open")).status == 200
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(get("/open"))
            await eventually(lambda: pace.owed == 1)
            writer.transport.abort()
            await eventually(lambda: pace.owed == 0 and not pace.awake)
