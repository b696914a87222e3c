"""The Nimbus of a plugin's development: embedded, with that plugin alone, as long as `nimbus plugin dev` runs."""

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from nimbus_sdk.cli.output import UNREACHABLE, console, fail
from nimbus_sdk.errors import CoreError
from nimbus_sdk.nimbus_client import NimbusClient

START_SECONDS = 120.0
STOP_SECONDS = 10.0
FIRST_PORT = 8080
FIRST_COMPAT_PORT = 8980
_PORTS_TRIED = 50


@dataclass(frozen=True, slots=True)
class OwnNimbus:
    """A client that is signed in, and the port for the plugin's compatibility routes."""

    client: NimbusClient
    compat_port: int


@dataclass(frozen=True, slots=True)
class Home:
    """Where the Nimbus of a plugin's development keeps its things: out of the plugin's folder, kept between runs."""

    folder: Path

    @classmethod
    def of(cls, plugin: Path, plugin_id: str) -> "Home":
        """The home for a plugin's folder; two folders with one id have two homes."""
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        digest = hashlib.sha256(str(plugin.resolve()).encode()).hexdigest()[:8]
        home = cls(base / "nimbus" / "dev" / f"{plugin_id}-{digest}")
        home.plugins.mkdir(parents=True, exist_ok=True, mode=0o700)
        return home

    @property
    def plugins(self) -> Path:
        """The plugins folder."""
        return self.folder / "plugins"

    def link(self, plugin: Path, plugin_id: str) -> None:
        """Make the plugin the only one in the plugins folder."""
        for old in self.plugins.iterdir():
            old.unlink()
        (self.plugins / plugin_id).symlink_to(plugin.resolve(), target_is_directory=True)

    def password(self) -> str:
        """The administrator's password: made once, kept for its owner alone."""
        path = self.folder / "password"
        if not path.is_file():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(12))
        return path.read_text()


@contextlib.contextmanager
def own_nimbus(folder: Path, plugin_id: str, port: int | None) -> Iterator[OwnNimbus]:
    """A Nimbus that lives as long as the block, for the plugin in `folder` alone; signed in as its administrator."""
    program = Path(sys.executable).with_name("nimbus-embedded")
    command = str(program) if program.is_file() else shutil.which("nimbus-embedded")
    if command is None:
        fail(
            "Nimbus itself is not installed here. Run this in the environment of a checkout (make run makes it), or "
            "use a Nimbus that runs: nimbus login, then nimbus plugin dev --running",
            UNREACHABLE,
        )
    home = Home.of(folder, plugin_id)
    home.link(folder, plugin_id)
    chosen = port or _free_port(FIRST_PORT)
    compat_port = _free_port(FIRST_COMPAT_PORT)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NIMBUS_")} | {
        "NIMBUS_DATA_DIR": str(home.folder / "data"),
        "NIMBUS_PLUGINS_DIR": str(home.plugins),
        "NIMBUS_PORT": str(chosen),
        "NIMBUS_ADMIN_PASSWORD": home.password(),
        "NIMBUS_COMPAT_PORTS": str(compat_port),
    }
    output = home.folder / "nimbus.log"
    with output.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - Nimbus itself
            [command], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        nimbus = NimbusClient(f"http://127.0.0.1:{chosen}")
        with nimbus:
            console.print(f"Starting Nimbus (its log: {escape(str(output))}) …")
            _until_ready(nimbus, process, output)
            nimbus.login("admin", home.password())
            console.print(f"Nimbus: [bold]http://localhost:{chosen}[/]   user admin, password {home.password()}")
            yield OwnNimbus(nimbus, compat_port)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port(first: int) -> int:
    tried = range(first, first + _PORTS_TRIED)
    port = next((port for port in tried if _is_free(port)), None)
    if port is None:
        fail(f"no port from {tried[0]} to {tried[-1]} is free; name one with --port", UNREACHABLE)
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _until_ready(nimbus: NimbusClient, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            nimbus.request("GET", "/readyz")
        except CoreError:
            time.sleep(0.1)
        else:
            return
    tail = "".join(output.read_text(errors="replace").splitlines(keepends=True)[-15:])
    fail(f"Nimbus did not start:\n{tail}", UNREACHABLE)
