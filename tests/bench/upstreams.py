"""The plugins behind every proxy: nginx with static files, and small servers for what nginx cannot play."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench import configs
from tests.bench.competitors import ROOT
from tests.bench.errors import BenchError
from tests.bench.machine import program
from tests.bench.processes import Processes, free_ports
from tests.bench.targets import Target

SMALL, MEDIUM, LARGE = "/small.json", "/1mib.bin", "/100mib.bin"
MIB = 1024 * 1024
UPLOAD_RATE = 25.0
"""Mebibytes a second that the slow reader takes."""


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Ports of the servers behind the proxies, by the id of the plugin that they play."""

    ports: dict[str, int]
    small: bytes

    def direct(self, plugin: str) -> Target:
        """The upstream itself as a target."""
        return Target(name="direct", port=self.ports[plugin], key="", direct=True)


def write_files(folder: Path) -> bytes:
    """The static files; returns the small one's content, 1 KiB of JSON."""
    folder.mkdir()
    item = {"id": "018f2c5e-7b1a-7c3d-9e4f-0123456789ab", "title": "A title of some length", "year": 1999}
    page: dict[str, object] = {"items": [item] * 8, "next": ""}
    page["next"] = "x" * (1024 - len(json.dumps(page)))
    small = json.dumps(page).encode()
    (folder / SMALL[1:]).write_bytes(small)
    (folder / MEDIUM[1:]).write_bytes(os.urandom(MIB))
    with (folder / LARGE[1:]).open("wb") as file:
        for _ in range(100):
            file.write(os.urandom(MIB))
    return small


def start_upstreams(processes: Processes, folder: Path, *, core: int) -> Upstreams:
    """Start all of them on the load's core."""
    nginx = program("nginx")
    if nginx is None:
        raise BenchError("nginx is missing; get it with: deploy/dev/bench.sh setup")
    files = folder / "files"
    small = write_files(files)
    bench, items, uploads, echo = free_ports(4)
    config = folder / "nginx-upstream.conf"
    config.write_text(configs.nginx_upstream(str(folder), f"127.0.0.1:{bench}", str(files)))
    python = [sys.executable, "-m"]
    commands = {
        "bench": (bench, [nginx, "-p", str(folder), "-c", str(config)]),
        "items": (items, [*python, "tests.bench.servers.realistic", str(items)]),
        "uploads": (uploads, [*python, "tests.bench.servers.slow_upload", str(uploads), str(UPLOAD_RATE)]),
        "echo": (echo, [*python, "tests.bench.servers.websocket_echo", str(echo)]),
    }
    for plugin, (port, command) in commands.items():
        running = processes.start(f"upstream-{plugin}", command, core=core, cwd=ROOT)
        running.wait_for_port(port)
    return Upstreams(ports={plugin: port for plugin, (port, _) in commands.items()}, small=small)
