"""How many connections a local port has, counted by a process of its own: with thousands a look takes a while.

Run as ``python -m tests.faults.held PORT`` it writes the number several times a second.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.competitors import ROOT
from tests.faults.misbehaving import beside_the_gateway

PAUSE_SECONDS = 0.25
_ESTABLISHED = "01"


def held_connections(port: int) -> int:
    """Established connections of a local port, as its own side sees them."""
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if line.split()[1].endswith(wanted) and line.split()[3] == _ESTABLISHED)


class Held:
    """The numbers as they come.

    Attributes:
        now: the last one.
        most: the highest so far.
    """

    def __init__(self) -> None:
        self.now = self.most = 0

    async def follow(self, output: asyncio.StreamReader) -> None:
        """Until the output ends."""
        while line := await output.readline():
            self.now = int(line)
            self.most = max(self.most, self.now)


@contextlib.asynccontextmanager
async def watching(port: int) -> AsyncIterator[Held]:
    """Count all the time."""
    process = await asyncio.create_subprocess_exec(
        *beside_the_gateway(), sys.executable, "-m", __name__, str(port), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    held = Held()
    async with asyncio.TaskGroup() as group:
        group.create_task(held.follow(process.stdout))
        try:
            yield held
        finally:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    while True:
        sys.stdout.write(f"{held_connections(int(sys.argv[1]))}\n")
        sys.stdout.flush()
        time.sleep(PAUSE_SECONDS)
