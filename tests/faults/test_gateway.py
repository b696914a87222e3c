"""What the gateway stands: plugins that hang or send nonsense, slow clients by the thousand, a rolling restart."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from nimbus_gateway.proxy.breaker import FAILURES, OPEN_SECONDS
from nimbus_gateway.proxy.gates import MAX_CONCURRENT

from tests.bench.targets import Target
from tests.bench.upstreams import MIB
from tests.faults.figures import Figures
from tests.faults.held import Held, watching
from tests.faults.misbehaving import (
    PLUGIN,
    Tally,
    beside_the_gateway,
    gateway_before,
    keep_asking,
    misbehaving_plugin,
)
from tests.support.engine import missing
from tests.support.gateway import eventually

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

REQUESTS = int(os.environ.get("FAULT_REQUESTS") or 20_000)
"""Of the rolling restart; 100 000 by hand."""
ATTACKERS = int(os.environ.get("FAULT_CONNECTIONS") or 1000)
"""Slow clients at once; 5 000 by hand."""
RATE = 1000
"""Connections that are opened in a second."""
CLOSED_SECONDS = 15.0
LEFT = 50
"""The healthy clients and a few more."""
_PENDING = re.compile(rb"pending:(?:\s|\x1b\[[0-9;]*m)*(\d+)")
NOISE_SECONDS = 0.25
"""Gateway, attacker, plugin and healthy clients share two cores: latencies below this say little about the gateway.
`docs/explanation/reliability.md` has what a quiet machine measured."""


@pytest.fixture(scope="module")
def plugin() -> Iterator[int]:
    with misbehaving_plugin() as port:
        yield port


@pytest.fixture(scope="module")
def gateway(plugin: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with gateway_before(plugin, tmp_path_factory.mktemp("gateway")) as target:
        yield target


def ask(gateway: Target, path: str) -> httpx.Response:
    return httpx.get(gateway.url(PLUGIN, path), timeout=20, trust_env=False)


class TestPlugins:
    def test_a_plugin_that_hangs(self, gateway: Target) -> None:
        """504 at its timeout; refused at once after five; tried again after five seconds."""
        hung, refusals = [], []
        for _ in range(FAILURES):
            began = time.monotonic()
            assert ask(gateway, "/hang").status_code == 504
            hung.append(time.monotonic() - began)
        opened = time.monotonic()  # at the latest: the gateway knew before it answered
        assert statistics.median(hung) < 3, hung
        while True:
            asked = time.monotonic()
            answer = ask(gateway, "/ok")
            if answer.status_code == 200:
                break
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/plugin-unavailable")
            assert asked - opened < OPEN_SECONDS, "whoever asks after that is let through"
            refusals.append(time.monotonic() - asked)
        assert statistics.median(refusals) < 1, refusals
        # The fifth hung for a second before anything opened.
        assert time.monotonic() - began > OPEN_SECONDS

    @pytest.mark.parametrize("path", ["/huge-headers", "/endless-headers", "/two-lengths", "/nonsense"])
    def test_nonsense_is_a_502(self, gateway: Target, path: str) -> None:
        for _ in range(3):
            assert ask(gateway, "/ok").status_code == 200
            answer = ask(gateway, path)
            assert (answer.status_code, answer.json()["type"]) == (502, "/problems/upstream-failed")

    def test_a_body_that_is_cut_off_is_never_a_clean_end(self, gateway: Target) -> None:
        for _ in range(3):
            assert ask(gateway, "/ok").status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                ask(gateway, "/early-close")

    def test_bytes_behind_the_announced_length_reach_nobody(self, gateway: Target) -> None:
        for _ in range(5):
            assert ask(gateway, "/too-long").text == "hello"
            assert len(ask(gateway, "/ok").content) == 1024

    def test_memory_stays_bounded(self, gateway: Target) -> None:
        """An endless body to clients that stop reading, endless headers: at most 64 MiB more."""
        assert gateway.running is not None
        ask(gateway, "/ok")
        before = gateway.running.rss()
        with contextlib.ExitStack() as held:
            for _ in range(20):
                held.enter_context(httpx.stream("GET", gateway.url(PLUGIN, "/endless-body"), trust_env=False))
            for _ in range(20):
                ask(gateway, "/endless-headers")
            assert gateway.running.rss() - before <= 64 * MIB


@contextlib.asynccontextmanager
async def healthy(gateway: Target, tally: Tally) -> AsyncIterator[None]:
    """Eight clients that ask all the time."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(keep_asking(gateway.port, tally, stop=stop, pause=0.01))
        try:
            yield
        finally:
            stop.set()


class TestSlowClients:
    @pytest.mark.parametrize(
        ("attack", "options"),
        [
            ("slow headers", ["-H", "-i", "5"]),
            # What one plugin does not take at once is refused, so fewer are ever open.
            ("slow body", ["-B", "-i", "5", "-s", "8192", "-t", "POST"]),
            ("slow read", ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "1"]),
        ],
    )
    async def test_an_attack(self, gateway: Target, figures: Figures, attack: str, options: list[str]) -> None:
        """slowhttptest: all connections closed in 15 s, and others hardly notice."""
        program = shutil.which("slowhttptest")
        if program is None:
            missing("slowhttptest is not installed; get it with: apt-get install slowhttptest")
        url = gateway.url(PLUGIN, "/upload" if "-B" in options else "/large")
        usual, under = Tally(), Tally()
        async with healthy(gateway, usual):
            await asyncio.sleep(3)
        common = ["-c", str(ATTACKERS), "-r", str(RATE), "-l", "90", "-p", "60", "-u", url]
        process = await asyncio.create_subprocess_exec(
            *(*beside_the_gateway(), "stdbuf", "-oL", program, *options, *common),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            async with healthy(gateway, under):
                held = await self._watch(gateway.port, process.stdout)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
        assert held.most > MAX_CONCURRENT / 4, f"{attack}: only {held.most} connections were open at once"
        assert held.now <= LEFT, f"{attack}: {held.now} connections are still open"
        assert under.failures == []
        assert set(under.statuses) == {200}
        figures.add(f"{attack}: p99 of others before", usual.p99())
        figures.add(f"{attack}: p99 of others meanwhile", under.p99())
        assert under.p99() <= max(2 * usual.p99(), NOISE_SECONDS), (attack, usual.p99(), under.p99())

    @staticmethod
    async def _watch(port: int, output: asyncio.StreamReader | None) -> Held:
        """The connections when few are left, or `CLOSED_SECONDS` after the last was opened."""
        assert output is not None
        async with watching(port) as held:
            async with asyncio.timeout(90):
                await _all_opened(output)
            with contextlib.suppress(TimeoutError):
                await eventually(lambda: held.now <= LEFT, CLOSED_SECONDS)
        return held


async def _all_opened(output: asyncio.StreamReader) -> None:
    """Until slowhttptest has opened all its connections, which it tells every five seconds, or none is left."""
    while line := await output.readline():
        found = _PENDING.search(line)
        if found and int(found[1]) == 0:
            return


class TestRollingRestart:
    async def test_no_request_is_lost(self, plugin: int, tmp_path: Path) -> None:
        """Two workers are replaced one by one, again and again, under load."""
        with gateway_before(plugin, tmp_path, workers=2) as gateway:
            assert gateway.running is not None
            tally = Tally()
            stop = asyncio.Event()
            restarts = 0
            async with asyncio.TaskGroup() as group:
                for _ in range(16):
                    group.create_task(keep_asking(gateway.port, tally, stop=stop))
                while sum(tally.statuses.values()) < REQUESTS or restarts < 2:
                    os.kill(gateway.running.pid, signal.SIGHUP)
                    restarts += 1
                    await asyncio.sleep(6)
                stop.set()
            assert tally.failures == []
            assert set(tally.statuses) == {200}
            assert sum(tally.statuses.values()) >= REQUESTS
