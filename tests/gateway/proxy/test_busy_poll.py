"""Staying awake between the steps of a quick exchange: when it is worth it, that it ends, and that nothing waits."""

import asyncio
import os
import socket

import pytest
from nimbus_gateway.proxy.busy_poll import MOST_OWED, BusyPoll, is_worth_it
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
async def poll(clock):
    poll = BusyPoll(WINDOW, asyncio.Event(), clock=clock)
    yield poll
    clock.now += 1
    await eventually(lambda: not poll.awake)


class TestIsWorthIt:
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
        assert is_worth_it(gap, window, owed) is worth


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

    @pytest.mark.parametrize("value", ["-1", "1001", "soon"])
    def test_what_is_no_sensible_time_is_refused(self, monkeypatch, value):
        monkeypatch.setenv("NIMBUS_BUSY_POLL", value)
        with pytest.raises(ValueError, match="busy_poll"):
            Settings()


@pytest.mark.anyio
class TestBusyPoll:
    async def test_one_step_alone_keeps_nobody_awake(self, poll):
        poll.sent()
        assert not poll.awake

    async def test_slow_steps_do_not(self, poll, clock):
        poll.sent()
        clock.now += WINDOW
        poll.answered()
        assert not poll.awake

    async def test_quick_steps_do_until_the_time_is_over(self, poll, clock):
        poll.sent()
        clock.now += WINDOW / 2
        poll.answered()
        assert poll.awake
        for _ in range(10):
            await asyncio.sleep(0)
        assert poll.awake
        clock.now += WINDOW * 1.01
        await eventually(lambda: not poll.awake)

    async def test_each_step_prolongs_it(self, poll, clock):
        poll.sent()
        for step in (poll.answered, poll.sent, poll.answered, poll.sent):
            clock.now += WINDOW * 0.8
            step()
            await asyncio.sleep(0)
            assert poll.awake

    async def test_with_much_under_way_the_loop_sleeps(self, poll):
        for _ in range(MOST_OWED + 1):
            poll.sent()
        await eventually(lambda: not poll.awake)
        poll.sent()
        assert not poll.awake
        for _ in range(MOST_OWED + 2):
            poll.answered()
        assert poll.owed == 0
        assert poll.awake

    async def test_it_can_be_off(self, clock):
        poll = BusyPoll(0.0, asyncio.Event(), clock=clock)
        poll.sent()
        poll.answered()
        assert not poll.awake
        assert poll.owed == 0

    async def test_a_stop_ends_it(self, clock):
        stopping = asyncio.Event()
        poll = BusyPoll(WINDOW, stopping, clock=clock)
        poll.sent()
        poll.answered()
        assert poll.awake
        stopping.set()
        await eventually(lambda: not poll.awake)

    async def test_others_have_their_turn_meanwhile(self, poll):
        """Events, timers and callbacks go on while the loop is kept awake."""
        poll.sent()
        poll.answered()
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.send(b"x")
            async with asyncio.timeout(10):
                assert await loop.sock_recv(ours, 1) == b"x"
                await asyncio.sleep(0.01)
                assert await asyncio.to_thread(lambda: 1) == 1
        assert poll.awake


ROUTES = [
    {"path": "/open", "methods": ["GET"], "auth": "none"},
    {"path": "/slow", "methods": ["GET"], "auth": "none", "timeout": "200ms"},
]


def get(path):
    return f"GET /api/plugins/demo{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


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

    async def test_answers(self, tmp_path):
        async with (
            tcp_server(Echo()) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address), busy_poll=1000) as gateway,
        ):
            poll = gateway.state.busy_poll
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            try:
                for _ in range(20):
                    writer.write(get("/open"))
                    async with asyncio.timeout(10):
                        head = await reader.readuntil(b"\r\n\r\n")
                        await reader.readexactly(int(Answer.parse(head).get("content-length")))
            finally:
                writer.close()
            assert poll.owed == 0
            await eventually(lambda: not poll.awake)

    @pytest.mark.parametrize(("handler", "path", "status"), [(broken, "/open", 200), (mute, "/slow", 504)])
    async def test_failures(self, tmp_path, handler, path, status):
        async with (
            tcp_server(handler) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address), busy_poll=1000) as gateway,
        ):
            poll = gateway.state.busy_poll
            assert (await gateway.get("/api/plugins/demo/open")).status == 200
            assert (await gateway.get(f"/api/plugins/demo{path}")).status == status
            await eventually(lambda: poll.owed == 0 and not poll.awake)

    async def test_clients_that_leave(self, tmp_path):
        async with (
            tcp_server(mute) as address,
            running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address), busy_poll=1000) as gateway,
        ):
            poll = gateway.state.busy_poll
            assert (await gateway.get("/api/plugins/demo/open")).status == 200
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(get("/open"))
            await eventually(lambda: poll.owed == 1)
            writer.transport.abort()
            await eventually(lambda: poll.owed == 0 and not poll.awake)
