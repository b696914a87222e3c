"""The docker runtime's side of the conformance suite: a gateway stand-in through which plugins are reached."""

import asyncio
import io
import socket
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import docker
from docker.models.containers import Container
from nimbus_registry.runtime.base import PluginSpec
from nimbus_registry.runtime.docker import DockerRuntime
from nimbus_registry.runtime.spec import LABEL_INSTANCE, LABEL_PLUGIN, LABEL_ROLE, Names
from nimbus_sdk.contracts.snapshot import Upstream

from tests.integration.runtime.harness import SERVER, make_spec
from tests.support.api import wait_until

POOL = IPv4Network("10.214.0.0/20")

_FETCH = """
import sys, urllib.request
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=5).read())
"""


def build(client: docker.DockerClient, tag: str, dockerfile: str, files: dict[str, Path] | None = None) -> str:
    """Build an image from a Dockerfile's text and files beside it."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile.encode())
        archive.addfile(entry, io.BytesIO(dockerfile.encode()))
        for name, path in (files or {}).items():
            archive.add(path, name)
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True)
    return tag


def server_image(client: docker.DockerClient, python_image: str) -> str:
    """The plugin under test as an image."""
    dockerfile = f'FROM {python_image}\nCOPY server.py /app/\nWORKDIR /app\nENTRYPOINT ["python3", "server.py"]\n'
    return build(client, "nimbus-test/runtime-sample:1", dockerfile, {"server.py": SERVER / "server.py"})


def start_gateway(client: docker.DockerClient, image: str, instance: str) -> Container:
    """A container with the gateway's labels, that listens where the core does. It does so when this returns."""
    gateway = client.containers.run(
        image,
        ["8081", "--directory", "/tmp"],
        entrypoint=["python3", "-m", "http.server"],
        labels={LABEL_INSTANCE: instance, LABEL_ROLE: "gateway"},
        detach=True,
        init=True,
        network_mode="bridge",
    )
    gateway.reload()
    address = gateway.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]

    def listens() -> bool:
        with suppress(OSError), socket.create_connection((address, 8081), timeout=5):
            return True
        return False

    wait_until(listens, seconds=60, what="the gateway's stand-in", every=0.02)
    return gateway


@dataclass
class DockerHarness:
    client: docker.DockerClient
    docker_host: str
    instance: str
    image: str
    gateway: Container
    data_dir: Path

    name = "docker"

    def runtime(self, **options: object) -> DockerRuntime:
        return DockerRuntime(self.instance, self.data_dir, host=self.docker_host, pool=POOL, **options)

    def spec(self, plugin_id: str = "sample", behaviour: str = "serve", **changes: object) -> PluginSpec:
        return make_spec(plugin_id, behaviour, {}, **{"image": self.image, **changes})

    async def fetch(self, upstream: Upstream, path: str = "/") -> bytes:
        def get() -> bytes:
            url = f"http://{upstream.host}:{upstream.port}{path}"
            done = self.gateway.exec_run(["python3", "-c", _FETCH, url], demux=True)
            if done.exit_code != 0:
                raise OSError(done.output[1].decode().splitlines()[-1])
            return done.output[0] or b""

        return await asyncio.to_thread(get)

    async def residue(self, plugin_id: str) -> list[str]:
        def look() -> list[str]:
            wanted = {"label": [f"{LABEL_INSTANCE}={self.instance}", f"{LABEL_PLUGIN}={plugin_id}"]}
            containers = [found.name for found in self.client.containers.list(all=True, filters=wanted)]
            networks = [found.name for found in self.client.networks.list(filters=wanted)]
            volumes = [found.name for found in self.client.volumes.list(filters=wanted)]
            return containers + networks + [name for name in volumes if name != self.names(plugin_id).volume]

        return await asyncio.to_thread(look)

    def names(self, plugin_id: str = "sample") -> Names:
        return Names(self.instance, plugin_id)

    def inspect(self, plugin_id: str = "sample") -> dict:
        return self.client.api.inspect_container(self.names(plugin_id).container)
