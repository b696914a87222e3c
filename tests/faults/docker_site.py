"""A registry in this process on a real engine, and a gateway's stand-in container that reaches plugins."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
import httpx
from nimbus_registry.api.context import Context
from nimbus_registry.gateway_client import GatewayUnreachableError
from nimbus_registry.main import create_app
from nimbus_registry.runtime.docker import DockerRuntime
from nimbus_registry.runtime.spec import LABEL_INSTANCE, LABEL_ROLE
from nimbus_registry.settings import RegistrySettings
from nimbus_sdk.contracts.control import (
    LifecycleResult,
    ProbeResult,
    SettingsCheck,
    SettingsChecked,
    SettingsSwitch,
    SettingsSwitched,
    UiFetchResult,
)
from nimbus_sdk.contracts.plugin_api import Health, LifecycleEvent
from nimbus_sdk.contracts.snapshot import Upstream

HEALTH = "/_nimbus/health"
_FETCH = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=float(sys.argv[2])).read().decode())
"""


@dataclass
class StandInGateway:
    """Calls plugins out of the stand-in's network namespace, which needs no engine: it may be away."""

    client: docker.DockerClient
    container: str
    pid: int = -1
    events: list[tuple[str, str]] = field(default_factory=list)

    async def fetch(self, upstream: Upstream, path: str, *, seconds: float = 2.0) -> str:
        """What a plugin answers.

        Raises:
            OSError: nothing, or an error.
            GatewayUnreachableError: the stand-in itself is not there.
        """
        await asyncio.to_thread(self._find)
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(self.pid), "--net", sys.executable, "-I", "-S", "-c", _FETCH),
            *(f"http://{upstream.host}:{upstream.port}{path}", str(seconds)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, error = await process.communicate()
        if process.returncode != 0:
            raise OSError((error.decode().strip().splitlines() or ["no answer"])[-1])
        return said.decode()

    def _find(self) -> None:
        if Path(f"/proc/{self.pid}").exists():
            return
        try:
            state = self.client.api.inspect_container(self.container)["State"]
        except (OSError, docker.errors.DockerException) as error:
            raise GatewayUnreachableError("the engine is away") from error
        if not state["Running"]:
            raise GatewayUnreachableError("the gateway's container does not run")
        self.pid = state["Pid"]

    async def probe(self, plugin_id: str, upstream: Upstream, *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        try:
            await self.fetch(upstream, HEALTH, seconds=timeout)
        except OSError as error:
            return ProbeResult(ok=False, hop="connect", detail=str(error))
        return ProbeResult(ok=True, status=200, health=Health(status="ok"))

    async def lifecycle(
        self,
        plugin_id: str,
        upstream: Upstream,
        event: LifecycleEvent,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> LifecycleResult:
        self.events.append((plugin_id, event.event))
        return LifecycleResult(ok=True, status=204)

    async def fetch_ui(self, plugin_id: str, upstream: Upstream, bundle: str, *, timeout: float) -> UiFetchResult:  # noqa: ASYNC109
        return UiFetchResult(ok=False, detail="there are no pages here")

    async def switch_settings(self, wanted: SettingsSwitch, *, timeout: float) -> SettingsSwitched:  # noqa: ASYNC109
        self.events.append((wanted.plugin_id, f"settings of {wanted.enters}"))
        return SettingsSwitched(changed=False)

    async def check_settings(self, wanted: SettingsCheck, *, timeout: float) -> SettingsChecked:  # noqa: ASYNC109
        return SettingsChecked(problems=[])


class BridgedGateway(StandInGateway):
    """The same for many plugins: one server in the stand-in's container calls them, over a kept connection."""

    def __init__(self, client: docker.DockerClient, container: str, address: str) -> None:
        super().__init__(client, container)
        self._http = httpx.AsyncClient(base_url=f"http://{address}:8082", trust_env=False)

    async def fetch(self, upstream: Upstream, path: str, *, seconds: float = 2.0) -> str:
        params = {"url": f"http://{upstream.host}:{upstream.port}{path}", "seconds": seconds}
        try:
            answer = await self._http.get("/", params=params, timeout=seconds + 5)
        except httpx.HTTPError as error:
            raise GatewayUnreachableError(str(error)) from error
        if answer.status_code != 200:
            raise OSError(answer.text)
        return answer.text

    async def close(self) -> None:
        await self._http.aclose()


PROBER = """
import http.server, urllib.parse, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        try:
            body, status = urllib.request.urlopen(asked["url"], timeout=float(asked["seconds"])).read(), 200
        except OSError as error:
            body, status = str(error).encode(), 502
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8082), Handler).serve_forever()
"""


def start_stand_in(client: docker.DockerClient, image: str, instance: str) -> Any:
    """The stand-in's container: with the gateway's labels, started again with the engine."""
    return client.containers.run(
        image,
        ["-c", PROBER],
        entrypoint=["python3"],
        labels={LABEL_INSTANCE: instance, LABEL_ROLE: "gateway"},
        detach=True,
        init=True,
        network_mode="bridge",
        restart_policy={"Name": "always"},
    )


def write_manifest(folder: Path, plugin_id: str, image: str) -> None:
    """A plugin's folder that needs no more than its manifest: the image is there."""
    manifest = {
        "manifestVersion": 1,
        "id": plugin_id,
        "name": plugin_id,
        "version": "1.0.0",
        "runtime": {
            "image": image,
            "resources": {"memory": "64m", "cpus": 0.5, "pids": 32},
            "timeouts": {"start": "90s"},
        },
        "routes": [{"path": "/", "auth": "none"}],
    }
    (folder / plugin_id).mkdir(parents=True, exist_ok=True)
    (folder / plugin_id / "manifest.json").write_text(json.dumps(manifest))


@asynccontextmanager
async def docker_registry(
    root: Path, docker_host: str, instance: str, gateway: StandInGateway, pool: str = "10.215.0.0/18"
) -> AsyncIterator[Context]:
    """A registry over an engine, with the plugins of `root/plugins`."""
    settings = RegistrySettings(
        data_dir=root / "data",
        plugins_dir=root / "plugins",
        instance=instance,
        runtime="docker",
    )

    def runtime(_: RegistrySettings) -> DockerRuntime:
        return DockerRuntime(instance, root / "data", host=docker_host, pool=IPv4Network(pool))

    (root / "data").mkdir(exist_ok=True)
    app = create_app(settings, make_runtime=runtime, gateway=gateway)
    async with app.router.lifespan_context(app):
        yield app.state.context
