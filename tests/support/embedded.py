"""Nimbus in embedded mode as a test starts it: the real command, an own data folder, free ports."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.api import Api, wait_until
from tests.support.engine import ROOT

PASSWORD = "correct horse battery staple"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Embedded:
    """One run of ``nimbus-embedded``; `start` again after `stop` keeps the data."""

    data: Path
    plugins: Path = ROOT / "plugins"
    port: int = field(default_factory=free_port)
    password: str | None = PASSWORD
    environment: dict[str, str] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, seconds: float = 90) -> float:
        """Start and wait for the banner; returns the seconds that took."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("NIMBUS_", "DOCKER_"))}
        environment |= {
            "NIMBUS_DATA_DIR": str(self.data),
            "NIMBUS_PLUGINS_DIR": str(self.plugins),
            "NIMBUS_PORT": str(self.port),
        }
        if self.password is not None:
            environment["NIMBUS_ADMIN_PASSWORD"] = self.password
        environment |= self.environment
        self._reserve_private_ports()
        self.output = []
        began = time.monotonic()
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "nimbus-embedded")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(self._ready, seconds=seconds, what="Nimbus to be ready", every=0.02)
        return time.monotonic() - began

    def _reserve_private_ports(self) -> None:
        """Ports of this run alone, so that runs side by side never pick the same."""
        kept = self.data / "ports.json"
        if not kept.exists():
            self.data.mkdir(parents=True, exist_ok=True)
            kept.write_text(f'{{"core": {free_port()}, "management": {free_port()}, "registry": {free_port()}}}')

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "Nimbus ended:\n" + "".join(self.output)
        return any("Nimbus is ready" in line for line in list(self.output))

    def stop(self, number: int = signal.SIGINT, *, seconds: float = 15) -> float:
        """Send the signal (Ctrl-C) and wait for the end; returns the seconds that took."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(seconds)
        took = time.monotonic() - began
        if self._reader is not None:
            self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return took

    def text(self) -> str:
        """What it printed."""
        return "".join(self.output)

    def printed_password(self) -> str | None:
        """The one-time password of the banner."""
        found = re.search(r"with password\s+(\S+)", self.text())
        return found[1] if found else None

    def api(self) -> Api:
        """A client that is signed in as administrator."""
        assert self.password is not None
        return Api(self.url).sign_in("admin", self.password)
