"""`python -m tests.bench.events`: how many events a second reach a plugin, and how much later than they are told.

A worker with its outbox on SQLite and then on Postgres, and a consumer in a process of its own that answers at once.
Latency is from before the event's transaction begins until the consumer has read it, so it holds the commit. Measured
are rounds of each, and reported are their medians.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimbus_gateway.core.events.outbox import NewEvent, emit_all

from tests.gateway.core.sinks import Sink, listener, open_sink, serve_plugins
from tests.gateway.support import Nimbus, running_nimbus
from tests.support.postgres import server_url, temporary_database

AT_ONCE = 500
"""As many as one call of a plugin may publish."""
KIND = "plugin.bench.n"
WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round: events a second, and milliseconds from telling to hearing when nothing else is told."""

    rate: float
    alone: float
    alone_p99: float


async def consume(arrived: Path) -> None:
    """Be the consumer: print the port, and note the time at which each event came."""
    with arrived.open("w", buffering=1) as notes:
        async with open_sink() as sink:
            sink.keeps = "open"

            async def note(event: dict[str, Any]) -> int:
                notes.write(f"{event['subject']} {time.time()}\n")
                return 204

            sink.answer = note
            sys.stdout.write(f"{sink.port}\n")
            sys.stdout.flush()
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the bench has gone


@asynccontextmanager
async def consumer(arrived: Path) -> AsyncIterator[Sink]:
    """A consumer in a process of its own; what is yielded only says where it is."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "tests.bench.events", "--consumer", str(arrived))
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        assert process.stdout is not None
        sink = Sink()
        sink.port = int(await asyncio.wait_for(process.stdout.readline(), 30))
        yield sink
    finally:
        process.kill()
        await process.wait()


def arrivals(notes: Path) -> dict[str, float]:
    """When each event came first."""
    found: dict[str, float] = {}
    for line in notes.read_text().splitlines():
        subject, moment = line.split()
        found.setdefault(subject, float(moment))
    return found


async def all_there(notes: Path, subjects: Sequence[str]) -> dict[str, float]:
    async with asyncio.timeout(WAIT_SECONDS):
        while not set(subjects) <= (found := arrivals(notes)).keys():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.25)
    return found


async def tell(nimbus: Nimbus, subjects: Sequence[str]) -> None:
    async with nimbus.state.database.write() as session:
        await emit_all(session, [NewEvent(KIND, subject) for subject in subjects])


async def measure(nimbus: Nimbus, notes: Path, mark: str, count: int) -> Round:
    """One round: some events alone, then many as fast as they can be told."""
    told: dict[str, float] = {}
    few = [f"{mark}-few-{number}" for number in range(100)]
    for subject in few:
        told[subject] = time.time()
        await tell(nimbus, [subject])
        await asyncio.sleep(0.03)
    found = await all_there(notes, few)
    alone = sorted(found[subject] - told[subject] for subject in few)
    many = [f"{mark}-many-{number}" for number in range(count)]
    started = time.time()
    for first in range(0, count, AT_ONCE):
        await tell(nimbus, many[first : first + AT_ONCE])
    found = await all_there(notes, many)
    ended = max(found[subject] for subject in many)
    return Round(
        rate=count / (ended - started),
        alone=statistics.median(alone) * 1000,
        alone_p99=alone[98] * 1000,
    )


async def bench(url: str, rounds: int, count: int) -> list[Round]:
    """Rounds on one database."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "arrived"
        async with consumer(notes) as sink, running_nimbus(Path(folder), url or f"sqlite:///{folder}/b.db") as nimbus:
            await serve_plugins(nimbus, listener("hello", sink, KIND))
            await measure(nimbus, notes, "warm", AT_ONCE)
            return [await measure(nimbus, notes, str(number), count) for number in range(rounds)]


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Addresses of empty databases by name; SQLite's is made in the bench's own folder."""
    if server_url() is None:
        yield {"SQLite": ""}
        return
    with temporary_database() as url:
        yield {"SQLite": "", "Postgres": url}


def main(arguments: Sequence[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.events", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=5000, help="in each round")
    parser.add_argument("--consumer", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.consumer is not None:
        asyncio.run(consume(chosen.consumer))
        return
    lines = ["| outbox | events a second | later by (median) | later by (p99) |", "|---|---|---|---|"]
    with databases() as found:
        for name, url in found.items():
            rounds = asyncio.run(bench(url, chosen.rounds, chosen.events))
            rate, alone, p99 = (
                statistics.median(getattr(one, field) for one in rounds) for field in ("rate", "alone", "alone_p99")
            )
            lines.append(f"| {name} | {rate:.0f} | {alone:.1f} ms | {p99:.1f} ms |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
