"""A plugin that misbehaves by path, behind a real gateway process; and a client that counts what it gets.

Run as ``python -m tests.faults.misbehaving`` it is the plugin, and writes its port.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nimbus_sdk.contracts.manifest import Route

from tests.bench.competitors import ROOT
from tests.bench.gateway import run_gateway
from tests.bench.machine import pick_cores
from tests.bench.processes import Processes
from tests.bench.registry import serving_plugin
from tests.bench.targets import Target
from tests.support.connections import tcp_server
from tests.support.gateway import read_body, read_head

PLUGIN = "strange"
BODY = b"x" * 1024
LARGE = 256 * 1024


ANSWERS = {
    "/large": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + b"x" * LARGE,
    "/huge-headers": b"HTTP/1.1 200 OK\r\nX-Huge: " + b"y" * 1024 * 1024 + b"\r\n\r\n",
    "/early-close": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
    "/too-long": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and much more",
    "/two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "/nonsense": b"\x00\x01\x02\r\n\r\n",
}
ENDLESS = {
    "/endless-headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 500),
    "/endless-body": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + b"z" * 0x10000 + b"\r\n",
    ),
}
USUAL = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


async def _misbehave(path: str, writer: asyncio.StreamWriter) -> None:
    if path == "/hang":
        await asyncio.sleep(3600)
    if path in ENDLESS:
        first, more = ENDLESS[path]
        writer.write(first)
        while True:
            writer.write(more)
            await writer.drain()
    writer.write(ANSWERS.get(path, USUAL))
    await writer.drain()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (head := await read_head(reader)) is not None:
        if head.target == "/upload":
            await read_body(reader, head)
        await _misbehave(head.target, writer)
        if head.target == "/early-close":
            break
    writer.transport.abort()


async def _run() -> None:
    async with tcp_server(_serve, backlog=1024) as (_, port):
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def beside_the_gateway() -> list[str]:
    """The beginning of a command that leaves the gateway its core: clients and plugins of others are elsewhere."""
    return ["taskset", "-c", str(pick_cores().load)]


@contextlib.contextmanager
def misbehaving_plugin() -> Iterator[int]:
    """The plugin in a process of its own, so that it holds up nobody who measures in this one; its port."""
    with subprocess.Popen(
        [*beside_the_gateway(), sys.executable, "-m", __name__], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def gateway_before(port: int, folder: Path, *, workers: int = 1) -> Iterator[Target]:
    """A gateway process in front of the plugin."""
    routes = [
        Route(path="/hang", methods=["GET"], auth="none", timeout="1s"),
        Route(path="/upload", methods=["POST"], auth="none"),
        Route(path="/{rest:path}", methods=["GET", "POST"], auth="none"),
    ]
    with (
        Processes(folder) as processes,
        run_gateway(
            processes, folder, [serving_plugin(PLUGIN, routes, port)], core=pick_cores().proxy, workers=workers
        ) as target,
    ):
        yield target


@dataclass
class Tally:
    """What clients got."""

    statuses: dict[int, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def p99(self) -> float:
        """Seconds that 99% of the requests did not exceed."""
        ordered = sorted(self.seconds)
        return ordered[int(len(ordered) * 0.99) - 1]


async def keep_asking(port: int, tally: Tally, *, stop: asyncio.Event, path: str = "/ok", pause: float = 0.0) -> None:
    """One client on a kept connection: asks until told to stop, and opens another when it is told that it must."""
    loop = asyncio.get_running_loop()
    request = f"GET /api/plugins/{PLUGIN}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reader = writer = None
    while not stop.is_set():
        began = loop.time()
        try:
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            async with asyncio.timeout(30):
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            tally.failures.append(repr(error))
            writer = None
            continue
        status = int(head.split(b" ", 2)[1])
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        tally.seconds.append(loop.time() - began)
        if b"connection: close" in head:
            writer.close()
            writer = None
        if pause:
            await asyncio.sleep(pause)
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    asyncio.run(_run())
