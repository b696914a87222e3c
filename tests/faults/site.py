"""A registry and a gateway as processes of their own, on SQLite, plugins as processes: each is killed alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from nimbus_embedded.settings import layout, private_ports, service_environment

from tests.support.api import Api, wait_until
from tests.support.embedded import PASSWORD, free_port
from tests.support.engine import ROOT

SERVER = Path(__file__).parent / "plugin" / "server.py"
EVERY = 0.005
"""Seconds between two looks: steps are short."""
PYTHON = str(Path(sys.executable).resolve())
"""The interpreter itself. `python3` may be a script that starts others before it, and then there is no one process to
kill: its parts come and go, and one that is just about to be another program is not seen at all."""


def write_plugin(folder: Path, plugin_id: str, *, version: str = "1.0.0", **runtime: Any) -> None:
    """Lay a plugin's folder, or a new version over it; the manifest comes last and whole."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "server.py").exists():
        shutil.copy(SERVER, folder / "server.py")
    manifest = {
        "manifestVersion": 1,
        "id": plugin_id,
        "name": plugin_id.capitalize(),
        "version": version,
        "runtime": {
            "process": {"command": [PYTHON, "server.py"]},
            "timeouts": {"start": "20s"},
            **runtime,
        },
        "routes": [{"path": "/version", "methods": ["GET"], "auth": "none"}],
    }
    (folder / "manifest.json.new").write_text(json.dumps(manifest))
    (folder / "manifest.json.new").rename(folder / "manifest.json")


@dataclass
class Site:
    """One Nimbus on one machine, without the supervisor that would start its parts anew."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "data").mkdir(parents=True, exist_ok=True)
        (self.root / "plugins").mkdir(exist_ok=True)
        keep = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ
        }
        wanted = {
            **keep,
            "NIMBUS_DATA_DIR": str(self.root / "data"),
            "NIMBUS_PLUGINS_DIR": str(self.root / "plugins"),
            "NIMBUS_PORT": str(free_port()),
            "NIMBUS_CORE_PORT": str(free_port()),
            "NIMBUS_MANAGEMENT_PORT": str(free_port()),
            "NIMBUS_REGISTRY_PORT": str(free_port()),
            "NIMBUS_ADMIN_PASSWORD": PASSWORD,
            "NIMBUS_STOP_PLUGINS_ON_EXIT": "false",
            "NIMBUS_LOG_FORMAT": "json",
            **self.environment,
        }
        where = layout(wanted, ROOT)
        self.url = where.url.replace("localhost", "127.0.0.1")
        self.variables = service_environment(wanted, where, private_ports(wanted, where.data))
        self._api: Api | None = None

    def start(self, name: str) -> float:
        """Start a part and wait until it is ready; returns the moment (monotonic) at which it was started."""
        began = time.monotonic()
        with (self.root / f"{name}.log").open("ab") as log:
            self.parts[name] = subprocess.Popen(
                [sys.executable, "-m", f"nimbus_{name}"], env=self.variables, stdout=log, stderr=log, cwd=self.root
            )
        port = self.variables["NIMBUS_REGISTRY_PORT" if name == "registry" else "NIMBUS_PORT"]
        wait_until(lambda: self._ready(name, port), seconds=60, what=f"the {name} to be ready", every=0.02)
        return began

    def _ready(self, name: str, port: str) -> bool:
        assert self.parts[name].poll() is None, (self.root / f"{name}.log").read_text()[-4000:]
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2, trust_env=False).status_code == 200
        return False

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a part at once; it is gone when this returns."""
        self.parts[name].send_signal(number)
        self.parts[name].wait(20)

    def stop(self) -> None:
        """End everything, plugins included."""
        if self._api is not None:
            self._api.http.close()
        for part in self.parts.values():
            if part.poll() is None:
                part.kill()
                part.wait(20)
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    @property
    def api(self) -> Api:
        """A client that is signed in as administrator."""
        if self._api is None:
            self._api = Api(self.url).sign_in("admin", PASSWORD)
        return self._api

    def folder(self, plugin_id: str) -> Path:
        """The folder that the plugin is found in."""
        return self.root / "plugins" / plugin_id

    def lay(self, plugin_id: str, *, version: str = "1.0.0", steps: dict[str, float] | None = None) -> None:
        """Lay a plugin and have it known, to the gateway too."""
        write_plugin(self.folder(plugin_id), plugin_id, version=version)
        self.steps(plugin_id, **(steps or {}))
        scanned = self.api.post("/api/admin/plugins/scan")
        assert scanned.status_code == 200, scanned.text
        wait_until(lambda: self.known(plugin_id), seconds=20, what=f"the gateway to know {plugin_id}", every=EVERY)

    def known(self, plugin_id: str) -> bool:
        """Whether the gateway knows of the plugin: it follows the registry a moment behind."""
        return self.api.get(f"/api/plugins/{plugin_id}").status_code == 200

    def steps(self, plugin_id: str, **seconds: float) -> None:
        """Say which steps of the plugin are slow from now on."""
        (self.folder(plugin_id) / "steps.json.new").write_text(json.dumps(seconds))
        (self.folder(plugin_id) / "steps.json.new").rename(self.folder(plugin_id) / "steps.json")

    def registry(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A call of the registry itself, past the gateway."""
        token = (self.root / "data" / "service-token").read_text().strip()
        url = f"http://127.0.0.1:{self.variables['NIMBUS_REGISTRY_PORT']}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, url, headers=headers, timeout=30, trust_env=False, **options)

    def state(self, plugin_id: str) -> str:
        """The state that the registry knows right now."""
        return str(self.registry("GET", f"/v1/plugins/{plugin_id}").json()["state"])

    def wait_for(self, plugin_id: str, *states: str, seconds: float = 30) -> None:
        """Wait until the registry says that it is in one of the states."""
        wait_until(lambda: self.state(plugin_id) in states, seconds=seconds, what=f"{states}", every=EVERY)

    def answer(self, plugin_id: str) -> tuple[int, str | None]:
        """What the plugin's public route answers at the gateway: the status, and the version that served."""
        found = httpx.get(f"{self.url}/api/plugins/{plugin_id}/version", timeout=10, trust_env=False)
        return found.status_code, found.json().get("version") if found.status_code == 200 else None

    def processes(self, plugin_id: str | None = None) -> list[psutil.Process]:
        """The running servers of one plugin, or of all of this site."""
        below = str(self.folder(plugin_id) if plugin_id else self.root / "plugins")
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, FileNotFoundError):
                if "server.py" in process.cmdline() and process.cwd().startswith(below):
                    found.append(process)
        return found


@contextmanager
def running_site(root: Path, **environment: str) -> Iterator[Site]:
    """A site that is up, and gone afterwards."""
    site = Site(root, environment)
    try:
        site.start("registry")
        site.start("gateway")
        yield site
    finally:
        site.stop()
