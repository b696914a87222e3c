"""`nimbus plugin build` and `publish` on a real engine, with the notifier; and the image runs as plugins are run."""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.support.engine import ROOT, remove_images

pytestmark = [pytest.mark.engine, pytest.mark.slow]
NIMBUS = str(Path(sys.executable).with_name("nimbus"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "notifier"
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "plugins" / "notifier", target, ignore=leave_out)
    return target


@pytest.fixture
def image(engine: docker.DockerClient) -> Iterator[str]:
    name = f"nimbus-test-{uuid.uuid4().hex[:8]}"
    yield f"{name}:1"
    remove_images(engine, name)


def run(docker_host: str, *arguments: str) -> tuple[int, str, str]:
    environment = {**os.environ, "DOCKER_HOST": docker_host}
    done = subprocess.run(
        [NIMBUS, "plugin", *arguments], capture_output=True, text=True, timeout=500, check=False, env=environment
    )
    return done.returncode, done.stdout, done.stderr


def test_it_is_labelled_listed_and_healthy(
    engine: docker.DockerClient, docker_host: str, plugin_base_image: str, folder: Path, image: str
) -> None:
    options = ("--tag", image, "--base-image", plugin_base_image)
    status, said, wrong = run(docker_host, "build", str(folder), *options, "--json")
    assert status == 0, wrong
    made = json.loads(said)
    found = engine.images.get(image)
    assert found.id == made["id"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert json.loads(found.labels["io.nimbus.manifest"]) == manifest
    assert found.labels["org.opencontainers.image.version"] == manifest["version"]
    bill = json.loads(Path(made["sbom"]).read_text())
    names = {component["name"] for component in bill["components"]}
    assert (bill["bomFormat"], {"nimbus-plugin-sdk", "fastapi", "httpx", "python"} <= names) == ("CycloneDX", True)
    assert not [tag for one in engine.images.list() for tag in one.tags if tag.startswith("notifier-draft")]
    container = engine.containers.run(
        image,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        network_mode="none",
        user="10001:10001",
        tmpfs={"/tmp": "size=16m"},
    )
    try:
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/_nimbus/health').read().decode())"
        deadline = time.monotonic() + 60
        while True:
            code, output = container.exec_run(["python", "-c", ask])
            if code == 0:
                break
            container.reload()
            assert container.status == "running", container.logs().decode()
            assert time.monotonic() < deadline, output.decode()
            time.sleep(0.2)
        assert json.loads(output)["version"] == manifest["version"]
        _, inside = container.exec_run(["cat", "/app/sbom.cdx.json"])
        assert json.loads(inside) == bill
    finally:
        container.remove(force=True)
    status, _, wrong = run(docker_host, "publish", str(folder), "--tag", image)
    assert (status, "names no registry" in wrong) == (1, True), wrong
    (folder / "manifest.json").write_text(json.dumps({**manifest, "description": "changed"}))
    status, _, wrong = run(docker_host, "publish", str(folder), "--tag", image)
    assert (status, "another manifest" in wrong) == (1, True)
    status, _, wrong = run(docker_host, "publish", str(folder), "--tag", f"{image}-nothing")
    assert (status, "there is no image" in wrong) == (1, True)


def test_what_cannot_be_built_says_why(docker_host: str, folder: Path, image: str) -> None:
    status, _, wrong = run(docker_host, "build", str(folder), "--tag", image, "--base-image", "nimbus-no-such:base")
    assert status == 1
    assert "nimbus-no-such" in wrong
    (folder / "Dockerfile").unlink()
    status, _, wrong = run(docker_host, "build", str(folder), "--tag", image)
    assert (status, "no Dockerfile" in wrong) == (2, True)
