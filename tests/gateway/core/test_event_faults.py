"""No event is lost while its consumer is killed again and again. `NIMBUS_FAULT_EVENTS=100000` is the full run."""

import asyncio
import os
import random
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nimbus_gateway.core.events import queue
from nimbus_gateway.core.events.outbox import NewEvent, emit_all

from tests.gateway.core.sinks import Sink, listener, serve_plugins, subscription
from tests.gateway.support import Nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EVENTS = int(os.environ.get("NIMBUS_FAULT_EVENTS", "1500"))
PAUSES = (0.2, 0.8) if EVENTS < 10_000 else (4.0, 12.0)
"""Seconds between two kills."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def consumer(port: int, notes: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    script = Path(__file__).with_name("consumer.py")
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), str(port), str(notes))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def killed_again_and_again(port: int, notes: Path, done: asyncio.Event) -> int:
    """Run the consumer until all is delivered, and kill it now and then; how often it was killed."""
    kills = 0
    while not done.is_set():
        async with consumer(port, notes) as process:
            await listening(port)  # one that is killed before it answers anything would prove nothing
            try:
                async with asyncio.timeout(random.uniform(*PAUSES)):
                    await done.wait()
            except TimeoutError:
                process.kill()
                kills += 1
    return kills


async def publish(nimbus: Nimbus, count: int) -> None:
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        async with nimbus.state.database.write() as session:
            await emit_all(session, [NewEvent("plugin.test.n", str(number)) for number in numbers])


async def test_a_consumer_that_is_killed_loses_nothing(
    nimbus: Nimbus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(queue, "FIRST_BACKOFF", 0.2)
    monkeypatch.setattr(queue, "LONGEST_BACKOFF", 4.0)  # a busy machine starts a consumer late
    sink = Sink()
    sink.port = free_port()
    notes, done = tmp_path / "notes", asyncio.Event()
    await serve_plugins(nimbus, listener("hello", sink, "plugin.test.*"))
    killing = asyncio.create_task(killed_again_and_again(sink.port, notes, done))
    started = time.monotonic()
    try:
        await publish(nimbus, EVENTS)
        async with asyncio.timeout(60 + EVENTS / 20):
            while (status := await subscription(nimbus, "plugin:hello"))["lag"]:
                assert status["deadLetters"] == 0
                await asyncio.sleep(0.2)
    finally:
        done.set()
        kills = await killing
    seconds = time.monotonic() - started
    lines = [line.split() for line in notes.read_text().splitlines()]
    seen: dict[str, str] = {}
    order: list[int] = []
    for number, event_id in lines:
        assert seen.setdefault(number, event_id) == event_id, "a repeated delivery has the same id"
        if not order or int(number) > order[-1]:
            order.append(int(number))
    assert order == list(range(EVENTS)), "each event came, and first in its order"
    with capsys.disabled():
        rate, again = EVENTS / seconds, len(lines) - EVENTS
        sys.stdout.write(f"\n{EVENTS} events, {kills} kills, {again} came again, {rate:.0f} a second\n")
