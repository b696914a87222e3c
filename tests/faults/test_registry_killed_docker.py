"""kill -9 of the registry between two calls of the engine: no container, network or token is left half done."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.faults.docker_site import start_stand_in, write_manifest
from tests.faults.figures import Figures, fault_runs
from tests.integration.runtime.docker_harness import build
from tests.support.api import wait_until
from tests.support.embedded import free_port
from tests.support.image_registry import ImageRegistry, running_image_registry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CONVERGED_SECONDS = 10.0
RUNS = fault_runs(5)
PLUGIN = "sample"


class Management(BaseHTTPRequestHandler):
    """The gateway's management calls: probes go out of the stand-in's container, as the gateway's would."""

    protocol_version = "HTTP/1.1"
    stand_in = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer: dict[str, Any] = {"ok": True, "status": 204}
        if self.path.endswith("/probe"):
            url = f"http://{asked['upstream']['host']}:{asked['upstream']['port']}/"
            found = None
            with suppress(httpx.HTTPError):
                found = httpx.get(
                    f"http://{self.stand_in}:8082/", params={"url": url, "seconds": 2}, timeout=5, trust_env=False
                )
            if found is not None and found.status_code == 200:
                answer = {"ok": True, "status": 200, "health": {"status": "ok", "contract": [1]}}
            else:
                answer = {"ok": False, "hop": "connect", "detail": "refused"}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@dataclass
class Registry:
    """The registry's process on the engine, and what the engine holds of it."""

    root: Path
    client: docker.DockerClient
    instance: str
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        began = time.monotonic()
        with (self.root / "registry.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nimbus_registry"],
                env={**self.environment, "NIMBUS_REGISTRY_PORT": str(self.port)},
                stdout=log,
                stderr=log,
                cwd=self.root,
            )
        wait_until(self._ready, seconds=60, what="the registry", every=0.02)
        return began

    def _ready(self) -> bool:
        with suppress(httpx.TransportError):
            return self.ask("GET", "/readyz").status_code == 200
        return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        token = self.root / "data" / "service-token"
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, headers=headers, timeout=30, trust_env=False, **options)

    def state(self) -> str:
        return str(self.ask("GET", f"/v1/plugins/{PLUGIN}").json()["state"])

    def wish(self, what: str) -> None:
        assert self.ask("POST", f"/v1/plugins/{PLUGIN}/{what}", json={"cause": "test"}).status_code < 300

    def held(self) -> dict[str, list[str]]:
        """Containers and networks of the plugin; a running container is marked."""
        wanted = {"label": [f"io.nimbus.instance={self.instance}", f"io.nimbus.plugin={PLUGIN}"]}
        containers = self.client.api.containers(all=True, filters=wanted)
        networks = self.client.api.networks(filters=wanted)
        return {
            "containers": [entry["State"] for entry in containers],
            "networks": [network["Name"] for network in networks],
        }


LAYER_MIB = 24
"""Of an image that is pulled: so much that a pull has a middle."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    with running_image_registry(tmp_path_factory.mktemp("images")) as images:
        yield images


@pytest.fixture
def registry(
    tmp_path: Path, docker_host: str, engine: docker.DockerClient, instance: str, sample_image: str
) -> Iterator[Registry]:
    stand_in = start_stand_in(engine, sample_image, instance)
    stand_in.reload()
    address = stand_in.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    handler = type("Handler", (Management,), {"stand_in": address})
    (tmp_path / "data").mkdir()
    write_manifest(tmp_path / "plugins", PLUGIN, sample_image)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as management:
        thread = threading.Thread(target=management.serve_forever, daemon=True)
        thread.start()
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        registry = Registry(
            tmp_path,
            engine,
            instance,
            {
                **keep,
                "DOCKER_HOST": docker_host,
                "NIMBUS_RUNTIME": "docker",
                "NIMBUS_INSTANCE": instance,
                "NIMBUS_DATA_DIR": str(tmp_path / "data"),
                "NIMBUS_PLUGINS_DIR": str(tmp_path / "plugins"),
                "NIMBUS_GATEWAY_MANAGEMENT_URL": f"http://127.0.0.1:{management.server_port}",
                "NIMBUS_PLUGIN_NETWORK_POOL": "10.217.0.0/20",
                "NIMBUS_LOG_FORMAT": "json",
                "NIMBUS_IMAGE_CREDENTIALS_FILE": str(tmp_path / "credentials.json"),
            },
        )
        try:
            registry.start()
            yield registry
        finally:
            if registry.process is not None and registry.process.poll() is None:
                registry.kill()
            management.shutdown()
            thread.join()


def kill_at_event(registry: Registry, kind: str, action: str, wish: Callable[[], None]) -> None:
    """Kill the registry at the moment the engine tells of something that it did for the plugin."""
    seen = threading.Event()
    events = registry.client.events(
        decode=True,
        filters={"type": kind, "event": action, "label": [f"io.nimbus.instance={registry.instance}"]}
        if kind == "container"
        else {"type": kind, "event": action},
    )

    def watch() -> None:
        for event in events:
            attributes = event["Actor"]["Attributes"]
            name = attributes.get("name", "")
            if f"{registry.instance}-plugin-{PLUGIN}" in name or attributes.get("io.nimbus.plugin") == PLUGIN:
                registry.kill()
                seen.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        wish()
        assert seen.wait(30), f"the engine told of no {kind} {action}"
    finally:
        events.close()
        watcher.join(5)


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize(("kind", "action"), [("network", "create"), ("container", "create"), ("container", "start")])
def test_in_the_middle_of_a_start(registry: Registry, figures: Figures, kind: str, action: str, run: int) -> None:
    kill_at_event(registry, kind, action, lambda: registry.wish("enable"))
    check_mended(registry, figures, f"{kind} {action}")


def kill_while(registry: Registry, state: str, wish: Callable[[], None]) -> None:
    """Kill the registry a moment after it says that it is in the middle of something."""
    wish()
    wait_until(lambda: registry.state() == state, seconds=30, what=state, every=0.005)
    registry.kill()


def check_mended(registry: Registry, figures: Figures, what: str) -> None:
    """Start another registry: the plugin comes to be ready, once, and nothing else is left."""
    began = registry.start()
    serving = time.monotonic()
    wait_until(lambda: registry.state() == "ready", seconds=40, what="the plugin", every=0.05)
    figures.add(f"registry killed at: {what} (docker)", time.monotonic() - began)
    assert time.monotonic() - serving < CONVERGED_SECONDS
    assert registry.held() == {
        "containers": ["running"],
        "networks": [f"{registry.instance}-plugin-{PLUGIN}"],
    }


@pytest.mark.parametrize("run", range(RUNS))
def test_in_the_middle_of_a_pull(
    registry: Registry, images: ImageRegistry, sample_image: str, figures: Figures, run: int
) -> None:
    source = f"nimbus-test/large:{run}"
    layer = registry.root / "large"
    layer.write_bytes(os.urandom(LAYER_MIB * 1024 * 1024))
    build(registry.client, source, f"FROM {sample_image}\nCOPY large /large\n", {"large": layer})
    name = images.push(registry.client, source, f"acme/large:{run}")
    registry.client.images.remove(source, force=True)
    (registry.root / "credentials.json").write_text(images.credentials().read_text())
    write_manifest(registry.root / "plugins", PLUGIN, name)
    assert registry.ask("POST", "/v1/plugins/scan").status_code == 200
    try:
        kill_while(registry, "pulling", lambda: registry.wish("enable"))
        check_mended(registry, figures, "pull")
    finally:
        registry.wish("disable")
        wait_until(lambda: registry.state() == "disabled", seconds=30, what="the end", every=0.05)
        images.forget(registry.client, name)


@pytest.mark.parametrize("run", range(RUNS))
def test_in_the_middle_of_a_build(registry: Registry, sample_image: str, figures: Figures, run: int) -> None:
    image = f"nimbus-test/built-{registry.instance}:1"
    write_manifest(registry.root / "plugins", PLUGIN, image)
    dockerfile = f"FROM {sample_image}\nRUN echo {run} {registry.instance} && sleep 1\n"
    (registry.root / "plugins" / PLUGIN / "Dockerfile").write_text(dockerfile)
    assert registry.ask("POST", "/v1/plugins/scan").status_code == 200

    def building() -> list[Any]:
        """The engine's containers of the build. They have none of our labels, and others may use the engine."""
        return [one for one in registry.client.api.containers(all=True) if registry.instance in one["Command"]]

    try:
        kill_while(registry, "building", lambda: registry.wish("enable"))
        check_mended(registry, figures, "build")
        wait_until(
            lambda: not building(),
            seconds=CONVERGED_SECONDS,
            what="the build that was cut off to leave no container",
        )
    finally:
        registry.wish("disable")
        wait_until(lambda: registry.state() == "disabled", seconds=30, what="the end", every=0.05)
        registry.client.images.remove(image, force=True)


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize(("kind", "action"), [("container", "die"), ("container", "destroy")])
def test_in_the_middle_of_a_removal(registry: Registry, figures: Figures, kind: str, action: str, run: int) -> None:
    registry.wish("enable")
    wait_until(lambda: registry.state() == "ready", seconds=40, what="the plugin", every=0.05)
    kill_at_event(registry, kind, action, lambda: registry.wish("disable"))
    began = registry.start()
    serving = time.monotonic()

    def gone() -> bool:
        return registry.state() == "disabled" and registry.held() == {"containers": [], "networks": []}

    wait_until(gone, seconds=40, what="nothing to be left", every=0.05)
    figures.add(f"registry killed at: {kind} {action} (docker)", time.monotonic() - began)
    assert time.monotonic() - serving < CONVERGED_SECONDS
