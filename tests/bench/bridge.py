"""The same comparison through the docker runtime's bridge: the compose stack, and nginx beside its gateway."""

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.bench import configs
from tests.bench.competitors import KEY
from tests.bench.errors import BenchError
from tests.bench.gateway import make_api_key
from tests.bench.processes import Process
from tests.bench.samples import ratio
from tests.bench.session import Call, Session
from tests.bench.targets import Target, check
from tests.bench.upstreams import SMALL
from tests.support.compose import ComposeStack
from tests.support.engine import BaseImages, build_image, engine_client, find_base_images, find_docker_host

IMAGE = "nimbus-bench-nginx:dev"
PORT = 8000
CONNECTIONS = 32
PLUGIN_LABEL = "io.nimbus.plugin"
_FILES = "/srv"

_DOCKERFILE = """\
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
RUN apt-get -q update \\
    && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends nginx-light \\
    && rm -rf /var/lib/apt/lists/*
COPY small.json /srv/small.json
COPY nginx.conf /etc/bench.conf
CMD ["nginx", "-c", "/etc/bench.conf"]
"""


def _manifest() -> str:
    return json.dumps(
        {
            "manifestVersion": 1,
            "id": "bench",
            "name": "Bench",
            "version": "1.0.0",
            "runtime": {"image": IMAGE, "port": PORT, "resources": {"cpus": 2.0}},
            "routes": [{"path": SMALL, "methods": ["GET"], "auth": "apikey"}],
        }
    )


def _plugin_folder(folder: Path, small: bytes) -> Path:
    """A folder of plugins with nginx as the only one."""
    plugin = folder / "bench"
    plugin.mkdir(parents=True)
    (plugin / "manifest.json").write_text(_manifest())
    (plugin / "Dockerfile").write_text(_DOCKERFILE)
    (plugin / SMALL[1:]).write_bytes(small)
    (plugin / "nginx.conf").write_text(configs.nginx_upstream("/tmp", str(PORT), _FILES))
    return folder


def bridge(session: Session) -> None:
    """1 KiB at 32 connections from the host through the compose stack's gateway, and through nginx in its place."""
    host = find_docker_host()
    images = find_base_images() if host else None
    if host is None or images is None:
        missing = "no engine answers (deploy/dev/engine.sh start)" if host is None else "no base images"
        session.notes.append(f"`ratio_nginx_bridge_c32` is left out: {missing}.")
        session.say(session.notes[-1])
        return
    with engine_client(host) as client, _stack(session, host, images) as stack:
        plugin = _one(client, stack.project, f"{PLUGIN_LABEL}=bench")
        gateway = _one(client, stack.project, "io.nimbus.role=gateway")
        cores = session.options.cores
        for container in client.containers.list(filters={"label": f"com.docker.compose.project={stack.project}"}):
            container.update(cpuset_cpus=str(cores.load))
        plugin.update(cpuset_cpus=str(cores.load))
        gateway.update(cpuset_cpus=str(cores.proxy))
        with _nginx_beside(client, stack.project, gateway, plugin, core=cores.proxy) as nginx:
            key = make_api_key(stack.url, stack.password)
            network = f"{stack.project}_public"
            targets = [_target("nginx", nginx, network, KEY), _target("nimbus", gateway, network, key)]
            session.onlookers = [Process(str(one.name), _pid(one)) for one in (plugin, gateway, nginx)]
            for target in targets:
                check(target, "bench", SMALL, session.upstreams.small)
            session.interleave(targets, partial(session.http, Call("bridge", "bench", SMALL, CONNECTIONS)))
            session.onlookers = []
    found = ratio(session.samples, "bridge", "nimbus", "nginx")
    if found is not None:
        session.figures["ratio_nginx_bridge_c32"] = found


@contextlib.contextmanager
def _stack(session: Session, host: str, images: BaseImages) -> Iterator[ComposeStack]:
    """The compose stack with the plugin enabled; removed at the end, volumes included."""
    plugins = _plugin_folder(session.folder / "bridge-plugins", session.upstreams.small)
    try:
        build_image(
            host,
            tag=IMAGE,
            context=plugins / "bench",
            dockerfile=plugins / "bench" / "Dockerfile",
            PYTHON_IMAGE=images.python,
        )
        stack = ComposeStack(docker_host=host, images=images, plugins=plugins, environment={"NIMBUS_WORKERS": "1"})
        try:
            session.say("starting the compose stack")
            stack.up()
            with stack.api() as api:
                api.enable("bench")
            yield stack
        finally:
            stack.discard()
    except AssertionError as error:  # how the support code says that a step failed
        raise BenchError(str(error)) from error


def _one(client: docker.DockerClient, instance: str, label: str) -> Container:
    found = client.containers.list(filters={"label": [f"io.nimbus.instance={instance}", label]})
    if len(found) != 1:
        raise BenchError(f"{len(found)} containers with {label} instead of one")
    return found[0]


@contextlib.contextmanager
def _nginx_beside(
    client: docker.DockerClient, project: str, gateway: Container, plugin: Container, *, core: int
) -> Iterator[Container]:
    """nginx on the gateway's public network and on the plugin's own, as the gateway is."""
    (name,) = set(plugin.attrs["NetworkSettings"]["Networks"]) & set(_networks(gateway))
    address = plugin.attrs["NetworkSettings"]["Networks"][name]["IPAddress"]
    config = configs.nginx_proxy("/tmp", str(PORT), {"bench": f"{address}:{PORT}"}, KEY)
    public = client.networks.get(f"{project}_public")
    plugin_network = client.networks.get(name)
    container = client.containers.create(
        IMAGE,
        name=f"{project}-bench-nginx",
        network=public.name,
        cpuset_cpus=str(core),
        labels={"io.nimbus.instance": project},
    )
    try:
        container.put_archive("/etc", _archive("bench.conf", config.encode()))
        plugin_network.connect(container)
        container.start()
        container.reload()
        yield container
    finally:
        container.remove(force=True, v=True)


def _networks(container: Container) -> list[str]:
    container.reload()
    return list(container.attrs["NetworkSettings"]["Networks"])


def _pid(container: Container) -> int:
    return int(container.attrs["State"]["Pid"])


def _target(name: str, container: Container, network: str, key: str) -> Target:
    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    port = PORT if name == "nginx" else 8080
    return Target(name, port, key, running=Process(name, _pid(container)), host=address)


def _archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
