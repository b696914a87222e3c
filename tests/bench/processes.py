"""Starts what takes part, each on its core, and stops it again whatever happens."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.errors import BenchError
from tests.bench.machine import cpu_seconds, family, rss_bytes

STOP_SECONDS = 8.0


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody has now, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


@dataclass(slots=True)
class Process:
    """A process with all that it starts itself; the bench may have started it or only look on."""

    name: str
    pid: int

    def pids(self) -> list[int]:
        """Itself and all below it."""
        return family(self.pid)

    def cpu(self) -> float:
        """CPU seconds so far."""
        return cpu_seconds(self.pids())

    def rss(self) -> int:
        """Resident bytes now."""
        return rss_bytes(self.pids())

    def check(self) -> None:
        """Raises: BenchError: it has ended."""
        if not Path(f"/proc/{self.pid}").exists():
            raise BenchError(f"{self.name} has ended")


@dataclass(slots=True)
class Running(Process):
    """A process that the bench started and stops."""

    popen: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises: BenchError: it has ended."""
        code = self.popen.poll()
        if code is not None:
            raise BenchError(f"{self.name} ended with {code}; its last lines:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for_port(self, port: int, *, seconds: float = 30.0) -> None:
        """Wait until something accepts on the port."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise BenchError(f"{self.name} does not listen after {seconds:.0f} s:\n{self.tail()}") from None
                time.sleep(0.05)
            else:
                return


class Processes:
    """Everything that one run started; leaving the block stops it, last started first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Running] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        core: int,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Running:
        """Start a command on one core. Output goes to a file of the run's folder."""
        log = self._folder / f"{name}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**_clean_environment(), **(environment or {})},
                cwd=cwd,
                start_new_session=True,
            )
        running = Running(name=name, pid=popen.pid, popen=popen, log=log)
        self._running.append(running)
        return running

    def stop(self, running: Running) -> None:
        """SIGTERM, then SIGKILL to what is left of its own process group."""
        if running in self._running:
            self._running.remove(running)
        if running.popen.poll() is None:
            running.popen.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.popen.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            # The group was made for this command: whoever is in it is its child.
            os.killpg(running.popen.pid, signal.SIGKILL)
        running.popen.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._running:
            self.stop(self._running[-1])


def _clean_environment() -> dict[str, str]:
    """This environment without settings that would change what is measured."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("NIMBUS_", "PYTHON"))}
