"""Plugins of other kinds on the compose stack: another language, and everything that can be wrong with one."""

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.support.api import Api, wait_until
from tests.support.compose import ComposeStack
from tests.support.engine import ROOT, remove_images

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked for", self.path, flush=True)
        self.send_response(500); self.end_headers()
http.server.HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


def lay(folder: Path, plugin_id: str, *, command: list[str] | None, **runtime: Any) -> None:
    """Write a plugin folder whose image runs `command` on plain Python; no Dockerfile without a command."""
    place = folder / plugin_id
    place.mkdir()
    image = f"nimbus-test-{plugin_id}:1"
    if command is not None:
        dockerfile = (
            f"ARG PYTHON_IMAGE=python:3.11-slim-bookworm\nFROM ${{PYTHON_IMAGE}}\nCMD {json.dumps(command)}\n"
        )
        (place / "Dockerfile").write_text(dockerfile)
    manifest = {
        "manifestVersion": 1,
        "id": plugin_id,
        "name": plugin_id.capitalize(),
        "version": "1.0.0",
        "runtime": {"image": image, "timeouts": {"start": "4s"}, **runtime},
        "routes": [{"path": "/anything", "methods": ["GET"], "auth": "none"}],
    }
    (place / "manifest.json.new").write_text(json.dumps(manifest))
    (place / "manifest.json.new").rename(place / "manifest.json")


@pytest.fixture
def folder(plugin_folders: Path, engine: docker.DockerClient, admin: Api) -> Iterator[Path]:
    """Where a test lays a plugin of its own; it is switched off and taken away again at the end."""
    before = set(plugin_folders.iterdir())
    yield plugin_folders
    for place in set(plugin_folders.iterdir()) - before:
        if admin.get(f"/api/plugins/{place.name}").status_code == 200:
            admin.disable(place.name)
        shutil.rmtree(place)
    admin.post("/api/admin/plugins/scan")
    remove_images(engine, "nimbus-test-")


def fails(admin: Api, plugin_id: str, *, seconds: float = 120) -> dict[str, Any]:
    """Discover and enable the plugin; the reason why that failed."""
    assert admin.post("/api/admin/plugins/scan").status_code == 200
    answer = admin.post(f"/api/plugins/{plugin_id}/enable", params={"wait": 60})
    assert answer.status_code in {409, 202}, answer.text
    plugin = admin.wait_for_state(plugin_id, "backoff", "quarantined", "failed", seconds=seconds)
    assert admin.get(f"/api/plugins/{plugin_id}/anything").status_code == 503
    reason: dict[str, Any] = plugin["reason"]
    return reason


def test_plugin_in_another_language(stack: ComposeStack, admin: Api) -> None:
    """A Node container without the SDK, by the same path: built, started, reached, told who calls."""
    enabled = admin.post("/api/plugins/hello-node/enable")
    assert enabled.status_code in {200, 202}, enabled.text
    admin.wait_for_state("hello-node", "ready", seconds=240)
    public = httpx.get(f"{stack.url}/api/plugins/hello-node/hello", trust_env=False)
    assert public.status_code == 200
    nobody = httpx.get(f"{stack.url}/api/plugins/hello-node/whoami", trust_env=False)
    assert nobody.status_code == 401
    somebody = admin.get("/api/plugins/hello-node/whoami")
    assert somebody.status_code == 200
    assert "admin" in somebody.text
    core = admin.get("/api/plugins/hello-node/core")
    assert core.status_code == 200
    assert "hello-node" in core.text
    admin.disable("hello-node")


def test_image_that_is_nowhere(admin: Api, folder: Path) -> None:
    lay(folder, "absent", command=None)
    reason = fails(admin, "absent")
    assert reason["hop"] == "image"
    assert "nimbus-test-absent:1" in reason["message"]
    assert reason["hint"]


def test_image_that_does_not_build(admin: Api, folder: Path) -> None:
    lay(folder, "unbuildable", command=["true"])
    with (folder / "unbuildable" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("RUN echo this step is the one && false\n")
    reason = fails(admin, "unbuildable")
    assert (reason["hop"], reason["code"]) == ("image", "build-failed")
    assert any("this step is the one" in line for line in reason["logTail"])


def test_program_that_exits_at_once(admin: Api, folder: Path) -> None:
    lay(folder, "exits", command=["python3", "-c", "print('no settings here', flush=True); raise SystemExit(3)"])
    reason = fails(admin, "exits")
    assert reason["hop"] == "exit"
    assert "3" in reason["message"]
    assert "no settings here" in reason["logTail"]


def test_port_that_is_never_opened(admin: Api, folder: Path) -> None:
    lay(folder, "deaf", command=["python3", "-c", "import time; print('thinking', flush=True); time.sleep(600)"])
    reason = fails(admin, "deaf")
    assert reason["hop"] == "connect"
    assert "8000" in reason["message"] + (reason["hint"] or "")


def test_health_that_answers_500(admin: Api, folder: Path) -> None:
    lay(folder, "ill", command=["python3", "-c", SERVER])
    reason = fails(admin, "ill")
    assert reason["hop"] == "http"
    assert "500" in reason["message"]


def test_broken_plugins_hurt_nobody_else(stack: ComposeStack, admin: Api, folder: Path) -> None:
    """While one plugin fails again and again, another is switched on, serves and is switched off."""
    lay(folder, "exits", command=["python3", "-c", "raise SystemExit(1)"])
    fails(admin, "exits")
    admin.enable("hello")
    for _ in range(20):
        assert httpx.get(f"{stack.url}/api/plugins/hello/hello", trust_env=False).status_code == 200
    admin.disable("hello")


def test_cold_start(stack: ComposeStack, admin: Api, engine: docker.DockerClient) -> None:
    """From the enable call to the first 200 through the gateway: at most 1 s above a plain `docker run`.

    Ten rounds, each measures both, one after the other; the medians are compared.
    """
    admin.enable("hello", wait=120)  # the image is there
    admin.disable("hello")
    plain: list[float] = []
    through: list[float] = []
    for _ in range(10):
        plain.append(_plain_start(engine))
        began = time.perf_counter()
        assert admin.post("/api/plugins/hello/enable").status_code in {200, 202}
        wait_until(
            lambda: admin.get("/api/plugins/hello/hello").status_code == 200,
            seconds=60,
            what="the first answer through the gateway",
            every=0.01,
        )
        through.append(time.perf_counter() - began)
        admin.disable("hello")
    figures = {
        "docker_run_to_healthy_s": round(statistics.median(plain), 3),
        "enable_to_first_200_s": round(statistics.median(through), 3),
    }
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "cold-start.json").write_text(json.dumps(figures))
    assert figures["enable_to_first_200_s"] - figures["docker_run_to_healthy_s"] <= 1.0, (figures, plain, through)


def _plain_start(engine: docker.DockerClient) -> float:
    """Seconds from `docker run` of hello's image to the first answer of its health call."""
    began = time.perf_counter()
    container = engine.containers.run(
        "nimbus-plugin-hello:0.1.0",
        detach=True,
        read_only=True,
        tmpfs={"/tmp": "size=16m"},
        cap_drop=["ALL"],
        mem_limit="256m",
        environment={
            "NIMBUS_PLUGIN_ID": "hello",
            "NIMBUS_PLUGIN_PORT": "8000",
            "NIMBUS_CORE_URL": "http://127.0.0.1:9",
            "NIMBUS_BASE_PATH": "/api/plugins/hello",
            "NIMBUS_PLUGIN_TOKEN": "unused",
        },
    )
    try:
        container.reload()
        address = container.attrs["NetworkSettings"]["IPAddress"]

        def healthy() -> bool:
            try:
                return httpx.get(f"http://{address}:8000/_nimbus/health", timeout=1, trust_env=False).is_success
            except httpx.TransportError:
                return False

        wait_until(healthy, seconds=60, what="the plain container to be healthy", every=0.01)
        return time.perf_counter() - began
    finally:
        container.remove(force=True)
