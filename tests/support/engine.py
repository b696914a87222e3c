"""A real Docker engine for tests: where it is, which images it has, and how a test leaves it clean."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import docker
import pytest
from docker.errors import APIError, NotFound

ROOT = Path(__file__).resolve().parents[2]
DEV = ROOT / "deploy" / "dev"
INSTANCE_LABEL = "io.nimbus.instance"


@dataclass(frozen=True, slots=True)
class BaseImages:
    """The images that Dockerfiles and the compose file start from; stand-ins where none can be pulled."""

    python: str
    node: str
    postgres: str
    haproxy: str

    def variables(self) -> dict[str, str]:
        """The variables by which Dockerfiles and the compose file name them."""
        return {
            "PYTHON_IMAGE": self.python,
            "NODE_IMAGE": self.node,
            "POSTGRES_IMAGE": self.postgres,
            "HAPROXY_IMAGE": self.haproxy,
        }


def on_ci() -> bool:
    """Whether a missing part is a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def missing(what: str) -> NoReturn:
    """Fail on CI, skip elsewhere; either way the text says what is missing."""
    if on_ci():
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def run_script(name: str, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run a script of `deploy/dev`; its exit code is for the caller to judge."""
    return subprocess.run([str(DEV / name), *arguments], capture_output=True, text=True, timeout=timeout, check=False)


def find_docker_host() -> str | None:
    """The address of the engine that is in reach, or None."""
    done = run_script("engine.sh", "env")
    if done.returncode != 0:
        return None
    variables = _assignments(done.stdout)
    return variables.get("DOCKER_HOST")


def find_base_images() -> BaseImages | None:
    """The base images that `deploy/dev/standins.sh` saw to, or None when it has not run."""
    path = Path(run_script("standins.sh", "path").stdout.strip())
    written = _assignments(path.read_text()) if path.is_file() else {}
    kinds = ("python", "node", "postgres", "haproxy")
    names = {kind: os.environ.get(f"{kind.upper()}_IMAGE") or written.get(f"{kind.upper()}_IMAGE") for kind in kinds}
    found = {kind: name for kind, name in names.items() if name}
    return BaseImages(**found) if len(found) == len(kinds) else None


def _assignments(text: str) -> dict[str, str]:
    lines = (line.removeprefix("export ").strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line)


def build_image(docker_host: str, *, tag: str, context: Path, dockerfile: Path, **arguments: str) -> str:
    """Build an image with the command-line client and return its tag."""
    command = ["docker", "build", "--quiet", "--tag", tag, "--file", str(dockerfile)]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    done = subprocess.run(
        [*command, str(context)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "DOCKER_HOST": docker_host},
    )
    assert done.returncode == 0, f"building {tag} failed:\n{done.stderr}"
    return tag


@contextmanager
def engine_client(docker_host: str) -> Iterator[docker.DockerClient]:
    """A client of the engine, closed at the end."""
    client = docker.DockerClient(base_url=docker_host, timeout=60)
    try:
        yield client
    finally:
        client.close()


def unique_instance() -> str:
    """An instance name that no other run has."""
    return f"test-{secrets.token_hex(6)}"


def remove_instance(client: docker.DockerClient, instance: str) -> None:
    """Remove whatever carries the instance's label: containers, networks, volumes, images."""
    wanted = {"label": f"{INSTANCE_LABEL}={instance}"}
    # What went away meanwhile is what is wanted.
    for container in client.containers.list(all=True, filters=wanted, ignore_removed=True):
        with suppress(NotFound):
            container.remove(force=True, v=True)
    for network in client.networks.list(filters=wanted):
        with suppress(NotFound):
            _detach_all(network)
            network.remove()
    for volume in client.volumes.list(filters=wanted):
        with suppress(NotFound):
            volume.remove(force=True)
    for image in client.images.list(filters=wanted):
        with suppress(NotFound):
            client.images.remove(image.id, force=True)


def _detach_all(network: docker.models.networks.Network) -> None:
    network.reload()
    for container in network.containers:
        with suppress(NotFound, APIError):
            network.disconnect(container, force=True)


def remove_images(client: docker.DockerClient, prefix: str) -> None:
    """Remove the images of which a tag begins with `prefix`."""
    for image in client.images.list():
        for tag in image.tags:
            if tag.startswith(prefix):
                with suppress(NotFound):
                    client.images.remove(tag, force=True)
