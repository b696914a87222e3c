"""A hostile plugin in the running product tries to break out. `docs/explanation/security.md` lists each attempt."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from tests.support.api import Api, wait_until
from tests.support.compose import ComposeStack
from tests.support.engine import INSTANCE_LABEL, remove_images

pytestmark = [pytest.mark.engine, pytest.mark.slow]

Attack = Callable[..., Any]

CORE = "http://nimbus-core:8081/core/v1"


@pytest.fixture(scope="module")
def hostile(stack: ComposeStack, engine: docker.DockerClient) -> Iterator[Api]:
    """The plugin is running; the client is the administrator's."""
    with stack.api() as api:
        api.enable("hostile", wait=120)
        yield api
        api.disable("hostile")
    remove_images(engine, "nimbus-test-hostile")


@pytest.fixture
def attack(hostile: Api) -> Attack:
    """Has the plugin attack, as anybody could ask it to, and gives what came of it."""

    def run(name: str, **arguments: Any) -> Any:
        answer = hostile.post(f"/api/plugins/hostile/attack/{name}", json=arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()["outcome"]

    return run


class TestFiles:
    def test_only_its_own_places_can_be_written(self, attack: Attack) -> None:
        """Read-only root; /tmp, /data and the container's own shared memory are all there is."""
        places = attack("writable_places")
        assert {"/data", "/tmp"} <= set(places)
        assert set(places) <= {"/data", "/tmp", "/dev/shm", "/dev/mqueue"}

    def test_the_kernel_cannot_be_set(self, attack: Attack) -> None:
        assert "written" not in attack("kernel_settings").values()

    def test_nothing_that_was_written_can_be_run(self, attack: Attack) -> None:
        assert attack("run_what_was_written") == {"/tmp": "EACCES", "/dev/shm": "EACCES"}


class TestPrivileges:
    def test_nobody_becomes_root(self, attack: Attack) -> None:
        assert attack("become_root") == {
            "uid": 10001,
            "gid": 10001,
            "groups": [10001],
            "setuid": "EPERM",
            "setuid program": "10001",
            "user namespace": "EPERM",
        }

    def test_no_capability_is_left(self, attack: Attack) -> None:
        outcome = attack("use_capabilities")
        assert outcome.pop("capabilities") == "0000000000000000"
        assert set(outcome.values()) <= {"EPERM", "EACCES"}, outcome

    def test_only_its_own_processes_are_seen(self, attack: Attack) -> None:
        assert set(attack("other_processes")["names"]) <= {"python3", "docker-init", "tini", "python3.11"}


class TestLimits:
    def test_processes(self, attack: Attack) -> None:
        outcome = attack("fork_to_the_limit")
        assert outcome["failure"] == "EAGAIN"
        assert outcome["forked"] < 48
        assert attack("docker_socket") == [], "it answers all the same"

    def test_memory(self, attack: Attack) -> None:
        assert attack("fill_memory") == {"ended by": 9, "got": ""}

    def test_temporary_files(self, attack: Attack) -> None:
        outcome = attack("fill_tmp")
        assert outcome["failure"] in {"ENOSPC", None}
        assert outcome["megabytes"] <= 64

    def test_its_log(self, attack: Attack, hostile: Api, engine: docker.DockerClient, stack: ComposeStack) -> None:
        assert attack("flood_the_log") == "written"
        container = _container(engine, stack, "hostile")
        assert container.attrs["HostConfig"]["LogConfig"]["Config"] == {"max-size": "5m", "max-file": "3"}
        kept = sum(len(chunk) for chunk in container.logs(stream=True, follow=False))
        assert kept <= 15 * 1024**2
        # While it floods, its health may come late once.
        wait_until(lambda: hostile.state("hostile") == "ready", seconds=30, what="the plugin to go on")

    def test_others_go_on_meanwhile(self, attack: Attack, hostile: Api) -> None:
        hostile.enable("hello", wait=120)
        worker = threading.Thread(target=lambda: [attack("fill_memory"), attack("fork_to_the_limit")])
        worker.start()
        try:
            while worker.is_alive():
                assert hostile.get("/api/plugins/hello/hello").status_code == 200
        finally:
            worker.join()
            hostile.disable("hello")


class TestNetwork:
    def test_nobody_but_the_core(
        self, attack: Attack, hostile: Api, stack: ComposeStack, engine: docker.DockerClient
    ) -> None:
        """Not another plugin, the registry, Postgres, the management port, a metadata service, the outside."""
        hostile.enable("hello", wait=120)
        targets: list[tuple[str, int]] = [("192.0.2.1", 80), ("169.254.169.254", 80), ("169.254.170.2", 80)]
        for service, port in (("registry", 8083), ("postgres", 5432), ("gateway", 8082)):
            container = _service(engine, stack, service)
            networks = container.attrs["NetworkSettings"]["Networks"]
            own = f"{stack.project}-plugin-hostile"
            targets += [(facts["IPAddress"], port) for name, facts in networks.items() if name != own]
        other = _container(engine, stack, "hello").attrs["NetworkSettings"]["Networks"]
        targets += [(facts["IPAddress"], 8000) for facts in other.values()]
        targets += [("nimbus-core", 8082), ("nimbus-core", 8083)]
        reached = attack("reach", targets=targets)
        # On the gateway's own address nobody listens on these two: its kernel says so, which is no way in.
        assert [target for target in reached if target[0] != "nimbus-core" or len(target) == 2] == []
        assert attack("reach", targets=[("nimbus-core", 8081)]) == [["nimbus-core", 8081]]
        hostile.disable("hello")

    def test_not_the_host_through_the_bridge(self, attack: Attack) -> None:
        """A service of the host that listens on every address is not reached by any address of the host."""
        with http.server.ThreadingHTTPServer(("0.0.0.0", 0), http.server.BaseHTTPRequestHandler) as server:
            came: list[Any] = []
            server.process_request = lambda request, address: came.append(address)  # type: ignore[method-assign]
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            addresses = [*attack("own_network"), *_addresses_of_this_machine()]
            ports = (server.server_port, 2375, 2376, 22)
            reached = attack("reach", targets=[(address, port) for address in addresses for port in ports])
            server.shutdown()
            thread.join()
        assert reached == []
        assert came == []

    def test_no_names_of_anybody_else(self, attack: Attack, stack: ComposeStack) -> None:
        names = ["registry", "postgres", "gateway-control", "example.com", f"{stack.project}-plugin-hello"]
        assert attack("look_up", names=names) == []
        assert attack("look_up", names=["nimbus-core"]) == ["nimbus-core"]

    def test_not_the_engine(self, attack: Attack) -> None:
        assert attack("docker_socket") == []


class TestTheCore:
    """What the token, or none, or somebody else's is good for."""

    def test_its_own_token_is_good_for_what_was_granted(self, attack: Attack) -> None:
        mine = {"Authorization": "Bearer $TOKEN"}
        item = {"kind": "movie", "title": "Mine"}
        statuses = attack(
            "ask",
            requests=[
                {"url": f"{CORE}/self", "headers": mine},
                {"url": f"{CORE}/media", "headers": mine},
                {"url": f"{CORE}/media", "headers": mine, "method": "POST", "body": item},
            ],
        )
        assert statuses == [200, 200, 403]

    def test_not_as_another_plugin(self, attack: Attack) -> None:
        forged = [
            {},
            {"Authorization": "Bearer guessed"},
            {"X-Nimbus-Plugin": "hello"},
            {"X-Nimbus-Plugin": "hello", "Authorization": "Bearer hello"},
        ]
        assert (
            attack("ask", requests=[{"url": f"{CORE}/self", "headers": headers} for headers in forged]) == [401] * 4
        )

    def test_not_as_a_user(self, attack: Attack, hostile: Api) -> None:
        """The identity token that a caller brings along opens nothing: neither the core nor the public API."""
        identity = hostile.get("/api/plugins/hostile/identity").json()["identity"]
        assert identity.count(".") == 2
        public = "http://nimbus-core:8080/api"
        bearer = {"Authorization": f"Bearer {identity}"}
        plain = {"X-Nimbus-Identity": identity, "X-Nimbus-Role": "admin", "X-Nimbus-User-Id": "1"}
        statuses = attack(
            "ask",
            requests=[
                {"url": f"{CORE}/self", "headers": bearer},
                {"url": f"{CORE}/media", "headers": bearer},
                *(
                    {"url": f"{public}{path}", "headers": headers | {"Host": "localhost"}}
                    for path in ("/auth/me", "/admin/plugins", "/media")
                    for headers in (bearer, plain, {"Authorization": "Bearer $TOKEN"})
                ),
            ],
        )
        assert set(statuses) == {401}, statuses

    def test_not_the_platforms_own_calls(self, attack: Attack) -> None:
        """What the registry asks of the gateway, at the port that plugins reach."""
        requests = [
            {
                "url": f"http://nimbus-core:{port}{path}",
                "method": "POST",
                "body": {},
                "headers": {"Host": "localhost"},
            }
            for port in (8080, 8081)
            for path in ("/internal/v1/probe", "/internal/v1/lifecycle", "/v1/plugins/scan")
        ]
        assert set(attack("ask", requests=requests)) <= {401, 404, 405}


def _service(engine: docker.DockerClient, stack: ComposeStack, service: str) -> Any:
    labels = [f"com.docker.compose.project={stack.project}", f"com.docker.compose.service={service}"]
    return engine.containers.list(filters={"label": labels})[0]


def _container(engine: docker.DockerClient, stack: ComposeStack, plugin_id: str) -> Any:
    labels = [f"{INSTANCE_LABEL}={stack.project}", f"io.nimbus.plugin={plugin_id}"]
    return engine.containers.list(filters={"label": labels})[0]


def _addresses_of_this_machine() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        outward = probe.getsockname()[0]
    return [str(outward)]
