"""A container registry of the test's own on loopback, with a login: images are really pulled, layer by layer."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx

from tests.support.api import wait_until
from tests.support.embedded import free_port
from tests.support.engine import missing, run_script

USER, PASSWORD = "puller", "a password of the tests"
# bcrypt of that password, at its least cost.
_HTPASSWD = "puller:$2b$05$cpaYoK1icgsD3cl2rwMcOOeA4K5kwEVkUfRu/HRXv6sT7aUpkxzje\n"
_CONFIG = """
version: 0.1
log: {{level: info, accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {root}/images}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: tests, path: {root}/htpasswd}}}}
"""


@dataclass(frozen=True, slots=True)
class ImageRegistry:
    """One that runs."""

    folder: Path
    port: int

    def name(self, image: str) -> str:
        """The image's full name in it."""
        return f"127.0.0.1:{self.port}/{image}"

    def credentials(self, password: str = PASSWORD) -> Path:
        """A `config.json` as Docker writes it, with a login."""
        path = self.folder / f"config-{len(password)}.json"
        login = base64.b64encode(f"{USER}:{password}".encode()).decode()
        path.write_text(json.dumps({"auths": {f"127.0.0.1:{self.port}": {"auth": login}}}))
        return path

    def push(self, client: docker.DockerClient, source: str, image: str) -> str:
        """Push an image of the engine, forget it there, and return the name that it is pulled by."""
        name = self.name(image)
        repository, _, tag = name.rpartition(":")
        client.images.get(source).tag(repository, tag)
        try:
            login = {"username": USER, "password": PASSWORD}
            for line in client.images.push(repository, tag, auth_config=login, stream=True, decode=True):
                assert "error" not in line, line
        finally:
            self.forget(client, name)
        return name

    @staticmethod
    def forget(client: docker.DockerClient, name: str) -> None:
        """Remove an image from the engine, so that the next use pulls it."""
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(name, force=True)

    def asked(self, part: str) -> int:
        """How many requests it logged whose path holds `part`."""
        return sum(
            1 for line in (self.folder / "log").read_text().splitlines() if '"GET /v2/' in line and part in line
        )


@contextmanager
def running_image_registry(folder: Path) -> Iterator[ImageRegistry]:
    """Run one for as long as the block lasts."""
    program = run_script("image-registry.sh", "path").stdout.strip()
    if not program:
        missing("no container registry's program; get it with: deploy/dev/image-registry.sh")
    folder.mkdir(exist_ok=True)
    port = free_port()
    (folder / "htpasswd").write_text(_HTPASSWD)
    (folder / "config.yml").write_text(_CONFIG.format(root=folder, port=port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log, cwd=folder)

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False).status_code == httpx.codes.UNAUTHORIZED
        return False

    try:
        wait_until(answers, seconds=20, what="the container registry", every=0.02)
        yield ImageRegistry(folder, port)
    finally:
        process.terminate()
        process.wait(10)
