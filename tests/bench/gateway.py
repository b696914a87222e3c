"""The real gateway as a process of its own, with the settings it has by default, and an API key for it."""

import contextlib
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
from nimbus_sdk.contracts.snapshot import SnapshotPlugin

from tests.bench.errors import BenchError
from tests.bench.processes import Processes, Running, free_ports
from tests.bench.registry import RegistryStandIn, key_route, serving_plugin
from tests.bench.targets import Target
from tests.bench.upstreams import LARGE, MEDIUM, SMALL, Upstreams

READY_SECONDS = 60.0


def gateway_plugins(upstreams: Upstreams) -> list[SnapshotPlugin]:
    """The snapshot of the gateway that everything but the table is measured on."""
    ports = upstreams.ports
    return [
        serving_plugin("bench", [key_route(SMALL), key_route(MEDIUM), key_route(LARGE)], ports["bench"]),
        serving_plugin("items", [key_route("/items")], ports["items"]),
        serving_plugin("uploads", [key_route("/upload", "POST")], ports["uploads"]),
        serving_plugin("echo", [key_route("/ws")], ports["echo"]),
    ]


def _wait_until_ready(running: Running, url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        running.check()
        try:
            answer = httpx.get(f"{url}/readyz", timeout=2, trust_env=False)
        except httpx.TransportError as error:
            last = repr(error)
        else:
            if answer.status_code == 200:
                return
            last = answer.text
        time.sleep(0.1)
    raise BenchError(f"the gateway was not ready within {READY_SECONDS:.0f} s ({last}):\n{running.tail()}")


def make_api_key(url: str, password: str) -> str:
    """Sign in as the first administrator and make a key, as a person would."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False, headers={"Origin": url}) as client:
        login = client.post("/api/auth/login", json={"username": "admin", "password": password})
        if login.status_code != 200:
            raise BenchError(f"signing in failed: {login.status_code} {login.text}")
        made = client.post("/api/admin/api-keys", json={"name": "bench", "scopes": []})
        if made.status_code != 201:
            raise BenchError(f"making an API key failed: {made.status_code} {made.text}")
        return str(made.json()["key"])


@contextlib.contextmanager
def run_gateway(
    processes: Processes,
    folder: Path,
    plugins: Sequence[SnapshotPlugin],
    *,
    core: int,
    name: str = "nimbus",
    workers: int = 1,
) -> Iterator[Target]:
    """Start a gateway on SQLite that serves these plugins.

    Guard, authentication, identity token, request id, metrics and access log are as they are by default; the log
    goes to a file. The registry is a stand-in.
    """
    data = folder / name
    data.mkdir()
    token = data / "service-token"
    token.touch(0o600)
    token.write_text(secrets.token_urlsafe(32))
    password = secrets.token_urlsafe(18)
    public, core_port, management = free_ports(3)
    with RegistryStandIn(plugins) as registry:
        running = processes.start(
            name,
            [sys.executable, "-m", "nimbus_gateway"],
            core=core,
            cwd=data,
            environment={
                "NIMBUS_DATA_DIR": str(data),
                "NIMBUS_PORT": str(public),
                "NIMBUS_CORE_PORT": str(core_port),
                "NIMBUS_MANAGEMENT_PORT": str(management),
                "NIMBUS_REGISTRY_URL": registry.url,
                "NIMBUS_ADMIN_PASSWORD": password,
                "NIMBUS_WORKERS": str(workers),
            },
        )
        try:
            running.wait_for_port(public, seconds=READY_SECONDS)
            url = f"http://127.0.0.1:{public}"
            _wait_until_ready(running, url)
            yield Target(name=name, port=public, key=make_api_key(url, password), running=running)
        finally:
            processes.stop(running)
