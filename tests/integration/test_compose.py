"""The compose stack on a real engine: one command up, the main job, restarts, one command down."""

import threading
from typing import Any

import docker
import httpx
import pytest

from tests.support.api import Api, wait_until
from tests.support.compose import ComposeStack
from tests.support.engine import INSTANCE_LABEL

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_build_enable_use_disable(stack: ComposeStack, admin: Api, engine: docker.DockerClient) -> None:
    """The main job: the image is built when it is missing, and the container is gone at the end."""
    image = "nimbus-plugin-hello:0.1.0"
    for container in engine.containers.list(all=True, filters={"ancestor": image}):
        container.remove(force=True)
    if engine.images.list(name=image):
        engine.images.remove(image, force=True)

    enabled = admin.post("/api/plugins/hello/enable")
    assert enabled.status_code in {200, 202}, enabled.text
    admin.wait_for_state("hello", "building", seconds=20)
    admin.wait_for_state("hello", "ready", seconds=240)
    log = _log_text(admin, "hello")
    assert "FROM" in log, "the build log is shown"

    anyone = httpx.Client(base_url=stack.url, trust_env=False)
    assert anyone.get("/api/plugins/hello/hello").status_code == 200
    refused = anyone.get("/api/plugins/hello/status")
    assert (refused.status_code, refused.json()["type"]) == (401, "/problems/unauthenticated")
    assert "admin" in admin.get("/api/plugins/hello/status").text

    assert len(_plugin_containers(engine, stack)) == 1
    admin.disable("hello")
    gone = anyone.get("/api/plugins/hello/hello")
    assert (gone.status_code, gone.json()["type"]) == (404, "/problems/plugin-disabled")
    assert _plugin_containers(engine, stack) == []
    assert _plugin_networks(engine, stack) == []
    anyone.close()


def test_only_the_gateway_publishes_and_only_the_registry_holds_the_socket(
    stack: ComposeStack, engine: docker.DockerClient
) -> None:
    running: set[str] = set()
    published: dict[str, list[str]] = {}
    with_socket: list[str] = []
    for container in engine.containers.list(filters={"label": f"com.docker.compose.project={stack.project}"}):
        service = container.labels["com.docker.compose.service"]
        ports = [port for port, bound in container.attrs["NetworkSettings"]["Ports"].items() if bound]
        running.add(service)
        if ports:
            published[service] = ports
        if any(mount["Destination"].endswith("docker.sock") for mount in container.attrs["Mounts"]):
            with_socket.append(service)
    assert {"postgres", "registry", "gateway"} <= running
    assert published == {"gateway": ["8080/tcp"]}
    assert with_socket == ["registry"]


def test_a_plugin_reaches_the_core_and_nothing_else(
    stack: ComposeStack, admin: Api, engine: docker.DockerClient
) -> None:
    """From inside the container: the core answers; registry, Postgres, management port, internet do not."""
    admin.enable("hello")
    container = _plugin_containers(engine, stack)[0]
    addresses = {service: _addresses(engine, stack, service) for service in ("registry", "postgres", "gateway")}
    targets = [("nimbus-core", 8081)]
    forbidden = [(address, 8083) for address in addresses["registry"]]
    forbidden += [(address, 5432) for address in addresses["postgres"]]
    forbidden += [(address, 8082) for address in addresses["gateway"]]
    forbidden += [("registry", 8083), ("postgres", 5432), ("gateway-control", 8082), ("nimbus-core", 8082)]
    forbidden += [("192.0.2.1", 80), ("169.254.169.254", 80)]
    assert [target for target in targets if _connects(container, *target)] == targets
    assert [target for target in forbidden if _connects(container, *target)] == []
    admin.disable("hello")


def test_restarting_the_services_interrupts_no_plugin(
    stack: ComposeStack, admin: Api, engine: docker.DockerClient
) -> None:
    """Registry restarted: not one request fails. Gateway recreated: the same container serves on."""
    admin.enable("hello")
    before = _plugin_containers(engine, stack)[0]
    failures: list[str] = []
    done = threading.Event()

    def hammer() -> None:
        with httpx.Client(base_url=stack.url, trust_env=False) as client:
            while not done.is_set():
                answer = client.get("/api/plugins/hello/hello")
                if answer.status_code != 200:
                    failures.append(f"{answer.status_code} {answer.text}")

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        stack.compose("restart", "registry")
        wait_until(
            lambda: admin.post("/api/admin/plugins/scan").status_code == 200,
            seconds=60,
            what="the registry to answer",
        )
    finally:
        done.set()
        thread.join(30)
    assert failures == []

    stack.compose("up", "--detach", "--force-recreate", "--no-deps", "gateway")
    stack.wait_until_ready()
    wait_until(
        lambda: httpx.get(f"{stack.url}/api/plugins/hello/hello", trust_env=False).status_code == 200,
        seconds=30,
        what="the recreated gateway to reach the plugin",
    )
    after = _plugin_containers(engine, stack)[0]
    after.reload()
    before_started = before.attrs["State"]["StartedAt"]
    assert (after.id, after.attrs["State"]["StartedAt"]) == (before.id, before_started)
    with stack.api() as api:
        api.wait_for_state("hello", "ready")
        api.disable("hello")


def test_services_wait_for_postgres(stack: ComposeStack, engine: docker.DockerClient) -> None:
    """Postgres down at start: both services say that they wait, and serve once it is there."""
    stack.compose("stop", "gateway", "registry", "postgres")
    for service in ("registry", "gateway"):  # past compose, which would wait for Postgres itself
        _service_container(engine, stack, service).start()

    def waits() -> bool:
        log = stack.compose("logs", "--no-color", "--since", "60s", "registry", "gateway").lower()
        return log.count("waiting") >= 2 and "traceback" not in log

    wait_until(waits, seconds=30, what="both services to say that they wait", every=1)
    stack.compose("start", "postgres")
    stack.wait_until_ready(90)
    with stack.api() as api:
        assert api.plugin("hello")["state"] == "disabled"


def test_down_leaves_volumes_and_nothing_else(stack: ComposeStack, engine: docker.DockerClient) -> None:
    """The documented command removes containers and networks of plugins; the next start has everything."""
    with stack.api() as api:
        api.enable("hello")
    stack.down()
    assert _plugin_containers(engine, stack) == []
    assert _plugin_networks(engine, stack) == []
    project = {"label": f"com.docker.compose.project={stack.project}"}
    assert engine.containers.list(all=True, filters=project) == []
    assert engine.networks.list(filters=project) == []
    assert len(engine.volumes.list(filters=project)) == 4
    stack.up()
    with stack.api() as api:
        api.wait_for_state("hello", "ready")
        api.disable("hello")


def _log_text(api: Api, plugin_id: str) -> str:
    answer = api.get(f"/api/admin/plugins/{plugin_id}/logs", params={"follow": "false", "tail": 1000})
    assert answer.status_code == 200
    return answer.text


def _plugin_containers(engine: docker.DockerClient, stack: ComposeStack) -> list[Any]:
    found = engine.containers.list(all=True, filters={"label": f"{INSTANCE_LABEL}={stack.project}"})
    return [container for container in found if "io.nimbus.plugin" in container.labels]


def _plugin_networks(engine: docker.DockerClient, stack: ComposeStack) -> list[Any]:
    return list(engine.networks.list(filters={"label": f"{INSTANCE_LABEL}={stack.project}"}))


def _service_container(engine: docker.DockerClient, stack: ComposeStack, service: str) -> Any:
    found = engine.containers.list(
        all=True,
        filters={
            "label": [
                f"com.docker.compose.project={stack.project}",
                f"com.docker.compose.service={service}",
            ]
        },
    )
    return found[0]


def _addresses(engine: docker.DockerClient, stack: ComposeStack, service: str) -> list[str]:
    networks = _service_container(engine, stack, service).attrs["NetworkSettings"]["Networks"]
    return [
        network["IPAddress"]
        for name, network in networks.items()
        if network["IPAddress"] and name.startswith(f"{stack.project}_")
    ]


def _connects(container: Any, host: str, port: int) -> bool:
    """Whether the plugin's container can open a TCP connection."""
    program = f"import socket; socket.create_connection(({host!r}, {port}), timeout=2)"
    return bool(container.exec_run(["python", "-c", program]).exit_code == 0)
