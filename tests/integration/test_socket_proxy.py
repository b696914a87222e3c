"""The compose overlay that puts a socket proxy between registry and engine: Nimbus works, and the rest is refused.

The rules are tried on the proxy alone, too: there it is seen that what is refused never reached the engine.
"""

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest
from nimbus_registry.runtime.docker_core_call import CoreCaller
from nimbus_registry.runtime.docker_engine import Engine, create_container
from nimbus_registry.runtime.spec import (
    Names,
    OperatorPolicy,
    archive_options,
    container_options,
    copy_options,
    helper_options,
    network_options,
    plugin_spec,
)
from nimbus_registry.runtime.volume_archives import VolumeArchives
from nimbus_registry.runtime.volumes import Volumes
from nimbus_sdk.contracts.archive import END, Entry, header, padding
from nimbus_sdk.contracts.manifest import Manifest

from tests.support.compose import ComposeStack
from tests.support.engine import ROOT, BaseImages
from tests.support.socket_proxy import SocketProxy, running_socket_proxy

Test = TypeVar("Test", bound=Callable[..., object])


def on_engine(test: Test) -> Test:
    """It takes a Docker engine and a stack of its own."""
    return pytest.mark.engine(pytest.mark.slow(test))


CALLER = """
import http.client, json, sys
answers = []
for method, path, body in json.load(sys.stdin):
    connection = http.client.HTTPConnection("socket-proxy", 2375, timeout=20)
    data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
    answers.append(connection.getresponse().status)
    connection.close()
print(json.dumps(answers))
"""
Call = tuple[str, str, Any]


@pytest.fixture(scope="module")
def behind_proxy(docker_host: str, base_images: BaseImages, plugin_folders: Path) -> Iterator[ComposeStack]:
    """A stack with the overlay."""
    if not docker_host.startswith("unix://"):
        pytest.skip("the engine is not on a socket of this machine")
    files = "docker-compose.yml:deploy/compose/socket-proxy.yml"
    stack = ComposeStack(docker_host, base_images, plugins=plugin_folders, environment={"COMPOSE_FILE": files})
    try:
        stack.up()
        yield stack
    finally:
        stack.discard()


def ask(stack: ComposeStack, calls: list[Call]) -> list[int]:
    """What the proxy answers to the registry's container."""
    return list(
        json.loads(stack.compose("exec", "--no-TTY", "registry", "python3", "-c", CALLER, given=json.dumps(calls)))
    )


def service(engine: docker.DockerClient, stack: ComposeStack, name: str) -> Any:
    labels = [f"com.docker.compose.project={stack.project}", f"com.docker.compose.service={name}"]
    return engine.containers.list(filters={"label": labels})[0]


SPELLED = {"Bind\u017f": ["/:/host"]}
"""The engine reads this long s as an s."""


def container(stack: ComposeStack, other: Mapping[str, object] | None = None, **host: object) -> dict[str, object]:
    """The body of a create call whose image does not exist: what the proxy lets through is a 404 of the engine."""
    return {
        "Image": f"{stack.project}-nothing:1",
        "HostConfig": {"CapDrop": ["ALL"], "Privileged": False, **(other or {}), **host},
    }


@on_engine
def test_plugins_come_and_go_through_it(behind_proxy: ComposeStack, engine: docker.DockerClient) -> None:
    """Built or found, started, reached, asked by the doctor, logged, stopped: every call that the registry makes."""
    with behind_proxy.api() as admin:
        admin.enable("hello", wait=110)
        assert admin.get("/api/plugins/hello/hello").status_code == 200
        found = admin.get("/api/admin/plugins/hello/doctor", timeout=60)
        assert found.status_code == 200, found.text
        assert found.json()["healthy"] is True, found.text
        made = engine.containers.list(filters={"label": f"io.nimbus.instance={behind_proxy.project}"})
        assert "hello" in {one.labels.get("io.nimbus.plugin") for one in made}
        admin.disable("hello")
    left = engine.containers.list(all=True, filters={"label": f"io.nimbus.instance={behind_proxy.project}"})
    assert [one.name for one in left if "io.nimbus.plugin" in one.labels] == []


@on_engine
def test_only_the_proxy_holds_the_socket_and_only_the_registry_reaches_it(
    behind_proxy: ComposeStack, engine: docker.DockerClient
) -> None:
    holders = [
        one.labels["com.docker.compose.service"]
        for one in engine.containers.list(filters={"label": f"com.docker.compose.project={behind_proxy.project}"})
        if any(mount["Destination"].endswith("docker.sock") for mount in one.attrs["Mounts"])
    ]
    assert holders == ["socket-proxy"]
    network = engine.networks.get(f"{behind_proxy.project}_engine")
    network.reload()
    assert network.attrs["Internal"] is True
    joined = {one.labels["com.docker.compose.service"] for one in network.containers}
    assert joined == {"socket-proxy", "registry"}
    proxy = service(engine, behind_proxy, "socket-proxy")
    assert not any(proxy.attrs["NetworkSettings"]["Ports"].values()), "nothing is published"


@on_engine
def test_calls_that_are_not_listed_are_refused(behind_proxy: ComposeStack, engine: docker.DockerClient) -> None:
    own = service(engine, behind_proxy, "registry").id
    refused: list[Call] = [
        ("POST", f"/v1.41/containers/{own}/exec", {"Cmd": ["id"]}),
        ("POST", f"/v1.41/containers/{own}/%65xec", {"Cmd": ["id"]}),
        ("POST", f"/v1.41/containers/{own}/start/../exec", {"Cmd": ["id"]}),
        ("POST", f"/v1.41//containers/{own}/exec", {"Cmd": ["id"]}),
        ("POST", "/v1.41/exec/1/start", {}),
        ("POST", f"/v1.41/containers/{own}/attach", None),
        ("POST", f"/v1.41/containers/{own}/update", {"Memory": 0}),
        ("POST", f"/v1.41/containers/{own}/rename?name=other", None),
        ("PUT", f"/v1.41/containers/{own}/archive?path=/", "x"),
        ("GET", f"/v1.41/containers/{own}/export", None),
        ("POST", "/v1.41/containers/prune", None),
        ("POST", "/v1.41/volumes/prune", None),
        ("POST", "/v1.41/volumes/create", {"Name": "x", "DriverOpts": {"type": "none", "o": "bind", "device": "/"}}),
        ("POST", "/v1.41/networks/prune", None),
        ("POST", "/v1.41/images/prune", None),
        ("POST", "/v1.41/images/load", None),
        ("PUT", f"/v1.41/containers/{behind_proxy.project}-plugin-hello/archive?path=%2Fdata", "x"),
        ("POST", "/v1.41/images/create?fromSrc=-", None),
        ("POST", "/v1.41/build?networkmode=host", None),
        ("POST", "/v1.41/build/prune", None),
        ("POST", "/v1.41/session", None),
        ("POST", "/v1.41/commit", None),
        ("GET", "/v1.41/secrets", None),
        ("GET", "/v1.41/configs", None),
        ("GET", "/v1.41/plugins", None),
        ("POST", "/v1.41/plugins/pull?remote=x", None),
        ("GET", "/v1.41/swarm", None),
        ("POST", "/v1.41/swarm/init", {}),
        ("GET", "/v1.41/services", None),
        ("GET", "/v1.41/nodes", None),
        # Without a version, and by one that took the confinement when a container is started.
        ("GET", "/containers/json", None),
        ("POST", f"/v1.23/containers/{own}/start", {"Privileged": True}),
        ("POST", f"/v1.41/containers/{own}/start", {"Privileged": True}),
    ]
    answers = ask(behind_proxy, refused)
    assert [(call[1], status) for call, status in zip(refused, answers, strict=True) if status != 403] == []
    allowed: list[Call] = [
        ("GET", "/_ping", None),
        ("GET", "/v1.41/containers/json", None),
        ("GET", f"/v1.41/containers/{own}/json", None),
        # The engine says that there is none.
        ("PUT", f"/v1.41/containers/{behind_proxy.project}-plugin-none.archiver/archive?path=%2Fdata", "x"),
    ]
    assert ask(behind_proxy, allowed) == [200, 200, 200, 404]


@on_engine
def test_containers_that_are_not_confined_are_refused(behind_proxy: ComposeStack) -> None:
    create = "/v1.41/containers/create"
    volume = {"Type": "volume", "Source": "x", "Target": "/data"}
    bodies: list[Any] = [
        container(behind_proxy, Privileged=True),
        container(behind_proxy, privileged=True),
        container(behind_proxy, Binds=["/:/host"]),
        container(behind_proxy, SPELLED),
        json.dumps(container(behind_proxy, SPELLED), ensure_ascii=False),
        json.dumps(container(behind_proxy)).replace('"Privileged": false', '"\\u0050rivileged": true'),
        container(behind_proxy, Mounts=[{"Type": "bind", "Source": "/", "Target": "/host"}]),
        container(behind_proxy, Mounts=[volume, {"Type": "bind", "Source": "/", "Target": "/host"}]),
        container(
            behind_proxy,
            Mounts=[{**volume, "VolumeOptions": {"DriverConfig": {"Options": {"o": "bind", "device": "/"}}}}],
        ),
        container(behind_proxy, Mounts=[{"Source": "/", "Target": "/host", "Labels": ["]"], "Type": "bind"}]),
        container(behind_proxy, NetworkMode="host"),
        container(behind_proxy, PidMode="host"),
        container(behind_proxy, IpcMode="host"),
        container(behind_proxy, UsernsMode="host"),
        container(behind_proxy, CapAdd=["SYS_ADMIN"]),
        container(behind_proxy, CapAdd=["CHOWN", "SYS_ADMIN"]),
        container(behind_proxy, CapAdd="ALL"),
        container(behind_proxy, Devices=[{"PathOnHost": "/dev/sda"}]),
        container(behind_proxy, SecurityOpt=["seccomp=unconfined"]),
        container(behind_proxy, VolumesFrom=["registry"]),
        {**container(behind_proxy), "Env": ["X=" + "y" * 100_000], "Later": {"Privileged": True}},
    ]
    answers = ask(behind_proxy, [("POST", create, body) for body in bodies])
    assert [(body, status) for body, status in zip(bodies, answers, strict=True) if status != 403] == []
    macvlan = {"Name": f"{behind_proxy.project}-x", "Driver": "macvlan", "Options": {"parent": "eth0"}}
    fine = container(behind_proxy, CapAdd=["CHOWN"], Mounts=[volume], NetworkMode="none")
    assert ask(behind_proxy, [("POST", "/v1.41/networks/create", macvlan), ("POST", create, fine)]) == [403, 404]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketProxy]:
    """The proxy alone."""
    with running_socket_proxy(tmp_path_factory.mktemp("proxy")) as running:
        yield running


API = "/v1.44"
CREATE, NETWORK = f"{API}/containers/create", f"{API}/networks/create"
NAMES = Names("nimbus", "hello")
SECOND = Names("nimbus", "hello", 1)


def host_config(**fields: object) -> str:
    """The body of a create call, as the SDK writes it."""
    return json.dumps({"Image": "x", "HostConfig": fields})


def written(fields: str) -> str:
    """The same of text as it is."""
    return f'{{"Image":"x","HostConfig":{{{fields}}}}}'


def refused(proxy: SocketProxy, method: str, path: str, body: object = None, **headers: str) -> None:
    """Assert that it is, and that nothing of it reached the engine."""
    assert proxy.ask(method, path, body, **headers) == (HTTPStatus.FORBIDDEN, [])


def test_the_registrys_own_containers_pass(proxy: SocketProxy) -> None:
    manifest = Manifest.model_validate_json((ROOT / "plugins" / "hello" / "manifest.json").read_bytes())
    spec = plugin_spec(manifest, OperatorPolicy(), core_url="http://nimbus-core:8081")
    copy = copy_options(NAMES, image="x", source=NAMES.volume, target=NAMES.snapshot("a"))
    bodies: list[dict[str, object]] = [
        container_options(
            spec,
            "nimbus",
            image="x",
            secrets={"NIMBUS_TOKEN": "ä"},
            image_volumes=["/cache"],
            image_labels=[
                "com.docker.compose.project",
                "traefik.tls.domains[0].main",
                "a." + "b" * 90,
            ],
        ),
        helper_options(NAMES, image="x"),
        copy,
        archive_options(NAMES, image="x", volume=NAMES.snapshot("a"), read_only=False),
        # The one that reads a manifest out of an image, and the roomiest that fits.
        {"Image": "x", "Entrypoint": ["never-started"], "HostConfig": {"NetworkMode": "none"}},
        {**copy, "Env": ["X=" + "y" * 45_000]},
    ]
    client = docker.APIClient(base_url=proxy.host, version="1.44")
    try:
        before = len(proxy.reached)
        for body in bodies:
            assert create_container(client, body, NAMES.container) == "a1"
        assert [json.loads(seen.body) for seen in proxy.reached[before:]] == bodies
        subnet = IPv4Network("10.1.0.0/28")
        for egress in (False, True):
            assert client.create_network(**network_options(NAMES, subnet, egress=egress))["Id"] == "a1"
    finally:
        client.close()


def test_the_registrys_pulls_and_builds_pass(proxy: SocketProxy, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    client = docker.APIClient(base_url=proxy.host, version="1.44")
    try:
        before = len(proxy.reached)
        client.pull("registry.example:5000/a/b", tag="1;x")
        client.pull("a@sha256:" + "0" * 64, tag="latest")
        options: Any = {"buildargs": {"A": "b&c;d%"}, "labels": {"io.nimbus.built-by": "nimbus"}}
        built = client.build(path=str(tmp_path), tag="a:1", rm=True, forcerm=True, decode=True, **options)
        assert list(built) == [{"stream": "built"}]
        paths = [seen.path.partition("?")[0] for seen in proxy.reached[before:]]
        assert paths == [f"{API}/images/create"] * 2 + [f"{API}/build"]
    finally:
        client.close()


async def restored_and_called(host: str) -> None:
    """What a restored backup and the doctor ask of the engine."""
    engine = Engine(host)
    await engine.open()
    try:
        volumes = Volumes(engine, "x")
        left = b'{"count": 0, "names": []}'
        data = header(Entry("data", folder=True, mode=0o700)) + header(Entry("left-out.json", len(left)))
        archive = io.BytesIO(data + left + padding(len(left)) + END)
        await VolumeArchives(engine, volumes).take_in(NAMES, "incoming", archive, "x")
        await CoreCaller(engine, volumes.helper_image).call(SECOND, "http://nimbus-core:8081")
    finally:
        engine.close()


def test_restoring_a_backup_and_the_doctor_pass(proxy: SocketProxy) -> None:
    before = len(proxy.reached)
    asyncio.run(restored_and_called(proxy.host))
    seen = proxy.reached[before:]
    fills = [one for one in seen if one.method == "PUT"]
    assert [one.path for one in fills] == [f"{API}/containers/nimbus-plugin-hello.archiver/archive?path=%2Fdata"]
    assert fills[0].body.endswith(END)
    made = [json.loads(one.body)["HostConfig"]["NetworkMode"] for one in seen if "/containers/create" in one.path]
    assert made == ["none", "container:nimbus-plugin-hello.1"]
    assert any(one.path.startswith(f"{API}/containers/a1/wait") for one in seen), "the doctor's helper ran to its end"


@pytest.mark.parametrize(
    "path",
    [
        "/containers/nimbus-gateway-1/archive?path=%2Fdata",
        "/containers/nimbus-plugin-hello/archive?path=%2Fdata",
        "/containers/nimbus-plugin-hello.archiver/archive?path=%2F",
        "/containers/nimbus-plugin-hello.archiver/archive?path=/data/../etc",
        "/containers/nimbus-plugin-hello.archiver/archive?path=%2Fdata&path=%2F",
        "/containers/nimbus-plugin-hello.archiver/archive?p%61th=%2F&path=%2Fdata",
        "/containers/a1/archive?path=%2Fdata",
        "/containers/a.archiver/archive?path=%2Fdata",
    ],
)
def test_files_are_written_through_the_archiver_only(proxy: SocketProxy, path: str) -> None:
    refused(proxy, "PUT", API + path, "x")


@pytest.mark.parametrize("room", [0, 14_000, 16_000, 18_000, 24_000])
@pytest.mark.parametrize("where", ["head", "query"])
def test_a_body_is_seen_to_its_end(proxy: SocketProxy, room: int, where: str) -> None:
    """The buffer holds the head and the body: the longer the one, the less of the other."""
    body = '{"Env":["X=' + "y" * 47_000 + '"],"HostConfig":{"Privileged":true}}'
    path = CREATE + (f"?name={'a' * room}" if where == "query" else "")
    headers = {"X_Pad": "a" * room} if where == "head" else {}
    refused(proxy, "POST", path, body, **headers)
    network = '{"Driver":"bridge","X":"' + "y" * 47_000 + '","driver":"macvlan"}'
    refused(proxy, "POST", path.replace("containers", "networks"), network, **headers)


LONG = " " * 40_000
PLUGINS = "-plugin-aa" * 3_900


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Image": "x", "Labels": {"com.docker.compose.project": "nimbus"}}),
        json.dumps({"Image": "x", "Labels": {"privileged": ""}}),
        host_config(CapAdd="ALL"),
        host_config(CapAdd="CHOWN"),
        host_config(CapAdd=["CAP_SYS_ADMIN"]),
        host_config(CapAdd=["CHOWN", "]", "SYS_ADMIN"]),
        host_config(CapAdd=["CHOWN", "FOWNER", "DAC_OVERRIDE", "SYS_ADMIN"]),
        host_config(CAPADD=["ALL"], CapAdd=["CHOWN"]),
        written(f'"CapAdd":["CHOWN"{LONG},"ALL"]'),
        written(f'"CapAdd"{LONG}:"ALL"'),
        host_config(SecurityOpt=['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']),
        host_config(SecurityOpt=["no-new-privileges:true", "apparmor=unconfined"]),
        host_config(SecurityOpt=["no-new-privileges:false"]),
        host_config(SecurityOpt=[]),
        host_config(SecurityOpt=["no-new-privileges:true"], securityopt=["label=disable"]),
        host_config(NetworkMode="host"),
        host_config(NetworkMode="container:abc"),
        host_config(NetworkMode="container:nimbus-gateway-1"),
        host_config(NetworkMode="container:nimbus-plugin-hello.archiver"),
        host_config(NetworkMode="none", networkMode="container:abc"),
        written(f'"NetworkMode":"container:a{PLUGINS}!","networkmode":"host"'),
        written(f'"NetworkMode":{LONG}"container:abc"'),
        host_config(IpcMode="container:abc"),
        host_config(IpcMode="shareable"),
        host_config(PidMode="container:abc"),
        host_config(Cgroup="container:abc"),
        host_config(Annotations={"org.systemd.property.Slice": "'system.slice'"}),
        host_config(VolumeDriver="other"),
        host_config(LogConfig={"Type": "syslog"}),
        host_config(Mounts=[{"Type": "bind", "Source": "/", "Target": "/host"}]),
        host_config(Privileged=False, PRIVILEGED=True),
        written(f'"Privileged":{LONG}true'),
        written('"Privileged":\ttrue'),
        # What is not on the list of names is refused, also what no engine has yet.
        host_config(GroupAdd=["docker"]),
        host_config(FieldOfTomorrow=True),
        host_config(memory=1),
        written(f'"CgroupParent"{LONG}:"/"'),
        written('"": 1'),
        host_config(Mounts=[{"Type": "volume", "BindOptions": {}}]),
        written('"Privi\\u006ceged":true'),
    ],
)
def test_containers_that_are_not_confined_never_reach_the_engine(proxy: SocketProxy, body: str) -> None:
    refused(proxy, "POST", CREATE, body)


@pytest.mark.parametrize(
    "fields",
    [
        {"Driver": "macvlan", "Labels": {"driver": "bridge"}},
        {"Driver": "bridge", "DRIVER": "ipvlan"},
        {"Driver": "default"},
        {"Driver": "bridge", "IPAM": {"Driver": "remote"}},
        {"Driver": "bridge", "ConfigFrom": {"Network": "host"}},
        {"Driver": "bridge", "ConfigOnly": True},
        {"Driver": "bridge", "Ingress": True},
        {"Driver": "bridge", "IPAM": {"Config": [{"Gateway": "10.0.0.1"}]}},
        {"Driver": "bridge", "Options": {"com.docker.network.bridge.name": "br0"}},
        {"Labels": {}},
    ],
)
def test_only_bridges_are_made(proxy: SocketProxy, fields: dict[str, object]) -> None:
    refused(proxy, "POST", NETWORK, {"Name": "x", **fields})


@pytest.mark.parametrize(
    "path",
    [
        "/images/create?fromSrc=-",
        "/images/create?from%53rc=http://elsewhere/",
        "/images/create?fromImage=a&tag=1;fromSrc=-",
        "/images/create?fromImage=a&from%53rc=-",
        "/images/create",
        "/build?networkmode=host",
        "/build?network%6dode=host",
        "/build?t=a&remote=http://elsewhere/",
        "/build?t=a&%72emote=http://elsewhere/",
        "/build?t=a&version=2",
        "/build?t=a;networkmode=host",
        "/containers/create?n%61me=a",
    ],
)
def test_parameters_that_are_not_the_registrys_are_refused(proxy: SocketProxy, path: str) -> None:
    body = {"Image": "x"} if "containers" in path else None
    refused(proxy, "POST", API + path, body)


@pytest.mark.parametrize("path", ["/images/create?fromImage=a", "/build?t=a", "/containers/a/stop"])
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "Multipart/Form-Data"]
)
def test_forms_are_refused(proxy: SocketProxy, path: str, kind: str) -> None:
    refused(proxy, "POST", API + path, "fromSrc=-", Content_Type=kind)


def test_no_other_protocol_is_begun(proxy: SocketProxy) -> None:
    refused(proxy, "POST", f"{API}/build?t=a", None, Connection="Upgrade", Upgrade="tcp")
    # HAProxy refuses this one, or, since 3.0, takes the header away.
    asked = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAAQAoAAAAAIAAAAA"}
    _, seen = proxy.ask("GET", "/_ping", None, **asked)
    assert [one for one in seen if one.upgrade] == []


def test_lengths_that_are_not_known_are_refused(proxy: SocketProxy) -> None:
    body = host_config(NetworkMode="none")
    chunked = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    for path in (CREATE, NETWORK, f"{API}/containers/a/start"):
        refused(proxy, "POST", path, chunked, Transfer_Encoding="chunked")
