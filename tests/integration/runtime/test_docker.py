"""What only containers have: confinement, images, networks, other people's objects."""

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from nimbus_registry.runtime.base import CoreReach, PluginSpec, RuntimeEvent, RuntimeFailure
from nimbus_registry.runtime.docker import DockerRuntime
from nimbus_registry.runtime.images import LABEL_BUILT_BY
from nimbus_registry.runtime.spec import LABEL_INSTANCE, LABEL_PLUGIN, LABEL_ROLE

from tests.integration.runtime.docker_harness import POOL, DockerHarness, build, start_gateway
from tests.integration.runtime.harness import (
    SECRETS,
    eventually,
    exited,
    observed,
    reported,
    running,
    silent,
)

pytestmark = [pytest.mark.anyio, pytest.mark.engine]


@asynccontextmanager
async def cut_off_proxy(path: Path, engine: str):
    """A socket in front of the engine's, and a function that cuts every connection through it."""
    writers: set[asyncio.StreamWriter] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(engine)
        writers.update((writer, upstream_writer))
        await asyncio.gather(pump(reader, upstream_writer), pump(upstream_reader, writer))

    def cut() -> None:
        for writer in writers:
            writer.close()
        writers.clear()

    async with await asyncio.start_unix_server(serve, path):
        try:
            yield cut
        finally:
            cut()


@pytest.fixture
def harness(docker_harness: DockerHarness) -> DockerHarness:
    return docker_harness


class TestHardening:
    """`docker inspect` shows every item of the architecture's list."""

    @pytest.fixture
    async def facts(self, runtime: DockerRuntime, harness: DockerHarness) -> dict:
        await runtime.ensure(harness.spec(), SECRETS, silent)
        return harness.inspect()

    async def test_capabilities_and_privileges(self, facts: dict):
        host = facts["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Privileged"] is False
        assert not host["Devices"]

    async def test_file_system(self, facts: dict):
        host = facts["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        options = set(host["Tmpfs"].pop("/tmp").split(","))
        assert {"noexec", "nosuid", "nodev", "size=67108864"} <= options
        assert host["Tmpfs"] == {}
        assert not host["Binds"]
        assert facts["Mounts"] == []

    async def test_user_and_processes(self, facts: dict):
        assert facts["Config"]["User"] == "10001:10001"
        assert facts["HostConfig"]["Init"] is True
        assert facts["HostConfig"]["PidsLimit"] == 64
        assert facts["HostConfig"]["PidMode"] == ""
        assert facts["HostConfig"]["IpcMode"] == "private"

    async def test_memory_and_processor(self, facts: dict):
        host = facts["HostConfig"]
        assert host["Memory"] == host["MemorySwap"] == 128 * 1024**2
        assert host["NanoCpus"] == 1_000_000_000

    async def test_restart_and_log(self, facts: dict):
        host = facts["HostConfig"]
        assert host["RestartPolicy"]["Name"] == "no"
        assert host["AutoRemove"] is False
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "3"}}

    async def test_network(self, facts: dict, harness: DockerHarness):
        assert list(facts["NetworkSettings"]["Networks"]) == [harness.names().network]
        assert facts["HostConfig"]["PortBindings"] in (None, {})
        network = harness.client.api.inspect_network(harness.names().network)
        assert network["Internal"] is True
        assert network["Options"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}
        assert network["Labels"][LABEL_INSTANCE] == harness.instance
        (config,) = network["IPAM"]["Config"]
        assert config["Subnet"].startswith("10.214.")
        assert config["Subnet"].endswith("/28")

    async def test_labels_and_image(self, facts: dict, harness: DockerHarness):
        labels = facts["Config"]["Labels"]
        assert labels["io.nimbus.instance"] == harness.instance
        assert labels["io.nimbus.plugin"] == "sample"
        assert labels["io.nimbus.version"] == "1.0.0"
        assert labels["io.nimbus.spec-hash"] == harness.spec().spec_hash
        assert facts["Config"]["Image"].startswith("sha256:")

    async def test_what_the_process_itself_sees(self, runtime: DockerRuntime, harness: DockerHarness, facts: dict):
        container = harness.client.containers.get(facts["Id"])
        status = container.exec_run(["cat", "/proc/self/status"]).output.decode()
        assert "CapEff:\t0000000000000000" in status
        assert "CapBnd:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status
        assert container.exec_run(["touch", "/app/x"]).exit_code != 0
        assert container.exec_run(["touch", "/tmp/x"]).exit_code == 0
        assert container.exec_run(["sh", "-c", "cp /bin/true /tmp/y && /tmp/y"]).exit_code != 0


async def test_data_is_the_one_mount_and_belongs_to_the_plugin(runtime: DockerRuntime, harness: DockerHarness):
    await runtime.ensure(harness.spec(data=True), SECRETS, silent)
    (mount,) = harness.inspect()["Mounts"]
    assert (mount["Type"], mount["Destination"], mount["Name"]) == ("volume", "/data", harness.names().volume)
    container = harness.client.containers.get(harness.names().container)
    assert container.exec_run(["stat", "-c", "%u:%g", "/data"]).output.strip() == b"10001:10001"
    assert await harness.residue("sample") == [harness.names().container, harness.names().network]


async def test_a_volume_whose_handing_over_was_cut_short_is_repaired(runtime: DockerRuntime, harness: DockerHarness):
    names = harness.names()
    harness.client.volumes.create(names.volume, labels=names.labels())
    harness.client.containers.create(harness.image, name=names.helper, labels=names.labels("helper"))
    await runtime.ensure(harness.spec(data=True), SECRETS, silent)
    container = harness.client.containers.get(names.container)
    assert container.exec_run(["stat", "-c", "%u", "/data"]).output.strip() == b"10001"
    assert names.helper not in await harness.residue("sample")


async def test_what_the_image_declares_is_bounded_and_its_labels_are_emptied(
    runtime: DockerRuntime, harness: DockerHarness
):
    tag = build(
        harness.client,
        f"nimbus-test/volumes:{harness.instance}",
        # However they are written: the engine knows each place by one name.
        f'FROM {harness.image}\nVOLUME ["/cache", "/cache/", "//srv", "/x/./y", "/tmp/", "/data", "/etc/../data/"]\n'
        "LABEL com.docker.compose.project=other traefik.enable=true io.nimbus.role=gateway",
    )
    try:
        await runtime.ensure(harness.spec(image=tag, data=True), SECRETS, silent)
        facts = harness.inspect()
        assert set(facts["HostConfig"]["Tmpfs"]) == {"/tmp", "/cache", "/srv", "/x/y"}
        labels = facts["Config"]["Labels"]
        assert labels["com.docker.compose.project"] == labels["traefik.enable"] == ""
        assert labels["io.nimbus.role"] == "plugin"
        assert [mount["Name"] for mount in facts["Mounts"] if mount["Type"] == "volume"] == [harness.names().volume]
        await runtime.remove("sample")
    finally:
        harness.client.images.remove(tag, force=True)


async def test_what_cannot_be_replaced_runs_on(runtime: DockerRuntime, harness: DockerHarness):
    """An image that was taken once, and is refused by now."""
    await runtime.ensure(harness.spec(), SECRETS, silent)
    before = harness.inspect()["Id"]
    tag = build(
        harness.client, f"nimbus-test/odd:{harness.instance}", f'FROM {harness.image}\nLABEL "odd.label here"=1'
    )
    try:
        with pytest.raises(RuntimeFailure) as refused:
            await runtime.ensure(harness.spec(image=tag), SECRETS, silent)
        assert refused.value.code == "image-refused"
        facts = harness.inspect()
        assert (facts["Id"], facts["State"]["Running"]) == (before, True)
    finally:
        harness.client.images.remove(tag, force=True)


class TestNetworks:
    """Who can reach whom."""

    def run(self, harness: DockerHarness, code: str, plugin_id: str = "sample") -> str:
        container = harness.client.containers.get(harness.names(plugin_id).container)
        return container.exec_run(["python3", "-c", code]).output.decode()

    async def test_the_core_is_reached_by_its_name(self, runtime: DockerRuntime, harness: DockerHarness):
        await runtime.ensure(harness.spec(), SECRETS, silent)
        code = "import urllib.request as u; print(u.urlopen('http://nimbus-core:8081/', timeout=5).status)"
        assert self.run(harness, code).strip() == "200"

    async def test_neither_host_nor_outside_nor_other_plugins(self, runtime: DockerRuntime, harness: DockerHarness):
        await runtime.ensure(harness.spec(), SECRETS, silent)
        await runtime.ensure(harness.spec("other"), SECRETS, silent)
        other = await running(runtime, "other")
        assert other.upstream is not None
        harness.gateway.reload()
        outside = harness.gateway.attrs["NetworkSettings"]["Networks"]["bridge"]
        subnet = harness.client.api.inspect_network(harness.names().network)["IPAM"]["Config"][0]["Subnet"]
        bridge = subnet.rsplit(".", 1)[0] + "." + str(int(subnet.rsplit(".", 1)[1].split("/")[0]) + 1)
        targets = [
            (other.upstream.host, 8000),
            (outside["IPAddress"], 8081),
            (outside["Gateway"], 22),
            (bridge, 22),
            ("192.0.2.1", 80),
        ]
        code = f"""
import socket
for address in {targets!r}:
    try:
        socket.create_connection(address, timeout=1)
        print("reached", address)
    except ConnectionRefusedError:
        print("answered", address)
    except OSError as error:
        print("no way", address, error)
try:
    print("resolved", socket.getaddrinfo("example.com", 80))
except OSError as error:
    print("no name", error)
"""
        lines = self.run(harness, code).splitlines()
        assert [line.split(" (")[0] for line in lines[:-1]] == ["no way"] * len(targets), lines
        assert lines[-1].startswith("no name"), lines

    async def test_egress_is_a_second_network_of_the_plugins_own(
        self, runtime: DockerRuntime, harness: DockerHarness
    ):
        await runtime.ensure(harness.spec(egress=True), SECRETS, silent)
        names = harness.names()
        assert set(harness.inspect()["NetworkSettings"]["Networks"]) == {names.network, names.egress_network}
        network = harness.client.api.inspect_network(names.egress_network)
        assert network["Internal"] is False
        assert len(network["Containers"]) == 1
        routes = self.run(harness, "print(open('/proc/net/route').read())").splitlines()[1:]
        assert any(line.split("\t")[1] == "00000000" for line in routes if line)
        observation = await running(runtime)
        assert observation.upstream is not None
        assert await eventually(lambda: harness.fetch(observation.upstream)) == b"hello"
        await runtime.remove("sample")
        assert await harness.residue("sample") == []

    async def test_a_new_gateway_container_is_linked(self, runtime: DockerRuntime, harness: DockerHarness):
        await runtime.ensure(harness.spec(), SECRETS, silent)
        assert (await running(runtime)).linked
        hints = runtime.watch()
        gateway = start_gateway(harness.client, harness.image, harness.instance)
        async with asyncio.timeout(10):
            assert RuntimeEvent("", "gateway-changed") == await anext(
                event async for event in hints if event.kind == "gateway-changed"
            )
        assert not (await running(runtime)).linked
        await runtime.link("sample")
        await runtime.link("sample")
        observation = await running(runtime)
        assert observation.linked
        harness.gateway.remove(force=True)
        harness.gateway = gateway
        assert await eventually(lambda: harness.fetch(observation.upstream)) == b"hello"

    async def test_many_plugins_at_once_get_subnets_of_their_own(
        self, runtime: DockerRuntime, harness: DockerHarness
    ):
        second = harness.runtime()
        await second.open()
        try:
            names = [f"plugin-{number}" for number in range(6)]
            await asyncio.gather(
                *((runtime, second)[index % 2].ensure(harness.spec(name), SECRETS, silent)
                  for index, name in enumerate(names))
            )  # fmt: skip
            subnets = {
                harness.client.api.inspect_network(harness.names(name).network)["IPAM"]["Config"][0]["Subnet"]
                for name in names
            }
            assert len(subnets) == 6
        finally:
            await second.close()

    async def test_a_used_up_pool_says_so(self, harness: DockerHarness):
        runtime = DockerRuntime(
            harness.instance, harness.data_dir, host=harness.docker_host, pool=next(POOL.subnets(new_prefix=28))
        )
        await runtime.open()
        taken = harness.client.networks.create(
            f"{harness.instance}-taken",
            ipam=docker.types.IPAMConfig(
                pool_configs=[docker.types.IPAMPool(str(next(POOL.subnets(new_prefix=28))))]
            ),
            labels={LABEL_INSTANCE: harness.instance},
        )
        try:
            with pytest.raises(RuntimeFailure) as caught:
                await runtime.ensure(harness.spec(), SECRETS, silent)
            assert caught.value.code == "network-pool"
            assert "NIMBUS_PLUGIN_NETWORK_POOL" in (caught.value.hint or "")
        finally:
            taken.remove()
            await runtime.remove("sample")
            await runtime.close()


class TestReachingTheCore:
    """The doctor's call, made from the network of the plugin's container."""

    async def reach(self, runtime: DockerRuntime, url: str = "http://nimbus-core:8081") -> CoreReach:
        return await runtime.reach_core(await running(runtime), url)

    async def test_each_hop_of_the_way(self, runtime: DockerRuntime, harness: DockerHarness):
        await runtime.ensure(harness.spec(), SECRETS, silent)
        found = await self.reach(runtime)
        assert (found.ok, found.hop, found.detail) == (False, "http", "GET /core/v1/keys answered 404")
        harness.gateway.exec_run(["sh", "-c", "mkdir -p /tmp/core/v1 && echo {} >/tmp/core/v1/keys"])
        assert (await self.reach(runtime)).ok
        assert (await self.reach(runtime, "http://nimbus-core:8099")).hop == "connect"
        assert (await self.reach(runtime, "http://somebody-else:8081")).hop == "dns"
        assert await harness.residue("sample") == [harness.names().container, harness.names().network]

    async def test_a_run_that_is_gone_cannot_be_tried(self, runtime: DockerRuntime, harness: DockerHarness):
        await runtime.ensure(harness.spec(), SECRETS, silent)
        run = await running(runtime)
        await runtime.remove("sample")
        found = await runtime.reach_core(run, "http://nimbus-core:8081")
        assert (found.ok, found.hop) == (False, "untried")
        assert "could not be tried" in (found.detail or "")


async def test_an_image_that_is_not_here_is_told_before_a_start(runtime: DockerRuntime, harness: DockerHarness):
    assert (await runtime.prepared(harness.spec())).ready
    missing = await runtime.prepared(harness.spec(image="nimbus-test/nowhere:1"))
    assert not missing.ready
    assert "nimbus-test/nowhere:1" in missing.message
    assert not (await runtime.prepared(harness.spec(image=None))).ready


async def test_images_that_were_built_here_and_nobody_needs(
    runtime: DockerRuntime, harness: DockerHarness, tmp_path: Path
):
    (tmp_path / "Dockerfile").write_text(f"FROM {harness.image}\nLABEL test={harness.instance}\n")
    tag = f"nimbus-test/built:{harness.instance}"
    try:
        await runtime.ensure(harness.spec(image=tag, source_dir=tmp_path), SECRETS, silent)
        assert await runtime.unused_images(frozenset()) == [], "a container runs it"
        await runtime.remove("sample")
        assert await runtime.unused_images(frozenset({tag})) == []
        (unused,) = await runtime.unused_images(frozenset())
        assert unused.name == tag
        await runtime.remove_image(unused.id)
        await runtime.remove_image(unused.id)
        assert await runtime.unused_images(frozenset()) == []
        assert harness.client.images.list(name=harness.image), "what was not built here is never listed"
    finally:
        if harness.client.images.list(name=tag):
            harness.client.images.remove(tag, force=True)


class TestForeignObjects:
    """Nothing without this instance's labels is touched."""

    async def test_a_container_with_our_name(self, runtime: DockerRuntime, harness: DockerHarness):
        foreign = harness.client.containers.create(harness.image, name=harness.names().container)
        try:
            with pytest.raises(RuntimeFailure) as caught:
                await runtime.ensure(harness.spec(), SECRETS, silent)
            assert caught.value.code == "name-taken"
            await runtime.stop("sample", 1)
            await runtime.remove("sample")
            assert await runtime.observe() == []
            foreign.reload()
            assert foreign.status == "created"
        finally:
            foreign.remove(force=True)

    async def test_a_network_with_our_name(self, runtime: DockerRuntime, harness: DockerHarness):
        foreign = harness.client.networks.create(harness.names().network)
        try:
            with pytest.raises(RuntimeFailure) as caught:
                await runtime.ensure(harness.spec(), SECRETS, silent)
            assert caught.value.code == "name-taken"
            await runtime.remove("sample")
            foreign.reload()
        finally:
            foreign.remove()

    async def test_a_volume_with_our_name(self, runtime: DockerRuntime, harness: DockerHarness):
        foreign = harness.client.volumes.create(harness.names().volume)
        try:
            for attempt in (runtime.ensure(harness.spec(data=True), SECRETS, silent), runtime.purge_data("sample")):
                with pytest.raises(RuntimeFailure) as caught:
                    await attempt
                assert caught.value.code == "name-taken"
            foreign.reload()
        finally:
            foreign.remove()

    async def test_another_instances_plugin(self, runtime: DockerRuntime, harness: DockerHarness):
        labels = {LABEL_INSTANCE: f"{harness.instance}-other", LABEL_PLUGIN: "sample", LABEL_ROLE: "plugin"}
        foreign = harness.client.containers.create(harness.image, labels=labels)
        try:
            await runtime.remove("sample")
            assert await runtime.observe() == []
            assert await runtime.observe_leftovers(frozenset()) == []
            foreign.reload()
        finally:
            foreign.remove(force=True)


class TestImages:
    """Where images come from, and what is said when they do not."""

    @pytest.fixture
    def source(self, harness: DockerHarness, tmp_path: Path):
        folder = tmp_path / "folder"
        folder.mkdir()
        yield folder
        for image in harness.client.images.list(filters={"label": f"io.nimbus.built-by={harness.instance}"}):
            harness.client.images.remove(image.id, force=True)

    async def test_a_missing_image_is_built_from_the_folder(self, harness: DockerHarness, source: Path):
        (source / "Dockerfile").write_text("ARG BASE_IMAGE=none/there\nFROM ${BASE_IMAGE}\nRUN echo I am built\n")
        runtime = harness.runtime(build_args={"BASE_IMAGE": harness.image})
        await runtime.open()
        try:
            stages: list[tuple[str, str]] = []
            spec = harness.spec(image=f"nimbus-test/built:{harness.instance}", source_dir=source)
            await runtime.ensure(spec, SECRETS, reported(stages))
            observation = await running(runtime)
            assert await eventually(lambda: harness.fetch(observation.upstream)) == b"hello"
            assert ("building", "I am built") in stages
            assert stages[-1] == ("starting", "")
            kept = [line async for line in runtime.logs("sample", tail=50, follow=False)]
            assert "I am built" in [line.text for line in kept if line.stream == "build"]
            assert LABEL_INSTANCE not in harness.client.images.get(spec.image).labels
            await runtime.remove("sample")
        finally:
            await runtime.close()

    async def test_a_failing_build_shows_its_last_lines(
        self, runtime: DockerRuntime, harness: DockerHarness, source: Path
    ):
        (source / "Dockerfile").write_text(f"FROM {harness.image}\nRUN echo so far so good && exit 3\n")
        spec = harness.spec(image=f"nimbus-test/broken:{harness.instance}", source_dir=source)
        with pytest.raises(RuntimeFailure) as caught:
            await runtime.ensure(spec, SECRETS, silent)
        assert (caught.value.hop, caught.value.code) == ("image", "build-failed")
        assert "so far so good" in caught.value.log_tail
        assert "Dockerfile" in (caught.value.hint or "")
        assert await runtime.observe() == []

    async def test_versions_may_go_by_one_name(self, runtime: DockerRuntime, harness: DockerHarness, source: Path):
        """A name means what was built last; each version finds the image that was made of it."""
        tag = f"nimbus-test/shared:{harness.instance}"

        def laid(version: str) -> PluginSpec:
            (source / "Dockerfile").write_text(f"FROM {harness.image}\nLABEL made-of={version}\n")
            (source / "manifest.json").write_text(json.dumps({"version": version}))
            return harness.spec(image=tag, source_dir=source, version=version)

        async def made_of(spec: PluginSpec) -> str:
            await runtime.remove("sample")
            await runtime.ensure(spec, SECRETS, silent)
            observation = await running(runtime)
            return str(harness.client.images.get(observation.image).labels["made-of"])

        try:
            first = laid("1.0.0")
            assert await made_of(first) == "1.0.0"
            second = laid("2.0.0")
            assert await made_of(second) == "2.0.0"
            assert await made_of(first) == "1.0.0"
            assert harness.client.images.get(tag).labels["made-of"] == "2.0.0"
            (source / "Dockerfile").write_text(f"FROM {harness.image}\nLABEL made-of=2.0.0-mended\n")
            assert await made_of(second) == "2.0.0"
            assert await made_of(replace(second, rebuild=True)) == "2.0.0-mended"
            with pytest.raises(RuntimeFailure, match=r"holds version 2\.0\.0, and nothing of 0\.9\.0 is kept"):
                await made_of(replace(first, version="0.9.0", spec_hash="other"))
        finally:
            await runtime.remove("sample")
            for image in harness.client.images.list(filters={"label": f"{LABEL_BUILT_BY}={harness.instance}"}):
                harness.client.images.remove(image.id, force=True)

    async def test_a_build_is_given_up_at_once(self, runtime: DockerRuntime, harness: DockerHarness, source: Path):
        (source / "Dockerfile").write_text(f"FROM {harness.image}\nRUN echo begun && sleep 300\n")
        spec = harness.spec(image=f"nimbus-test/slow:{harness.instance}", source_dir=source)
        begun = asyncio.Event()
        ensuring = asyncio.create_task(
            runtime.ensure(spec, SECRETS, lambda _, line: begun.set() if line == "begun" else None)
        )
        await asyncio.wait_for(begun.wait(), 30)
        started = time.monotonic()
        ensuring.cancel()
        await asyncio.wait({ensuring}, timeout=10)
        await runtime.remove("sample")
        assert ensuring.cancelled()
        assert time.monotonic() - started < 3
        assert await harness.residue("sample") == []

        async def engine_gave_up():
            return not [
                found for found in harness.client.containers.list() if "sleep 300" in json.dumps(found.attrs["Args"])
            ]

        assert await eventually(engine_gave_up)

    async def test_an_image_that_cannot_be_pulled(self, runtime: DockerRuntime, harness: DockerHarness):
        spec = harness.spec(image="127.0.0.1:1/nobody/nothing:9")
        with pytest.raises(RuntimeFailure) as caught:
            await runtime.ensure(spec, SECRETS, silent)
        assert (caught.value.hop, caught.value.code) == ("image", "image-missing")
        assert "127.0.0.1:1/nobody/nothing:9" in caught.value.message
        assert caught.value.hint
        assert await runtime.observe() == []

    async def test_a_name_that_is_none(self, runtime: DockerRuntime, harness: DockerHarness):
        with pytest.raises(RuntimeFailure) as caught:
            await runtime.ensure(harness.spec(image="Not A Name"), SECRETS, silent)
        assert caught.value.hop == "image"

    async def test_a_program_that_is_not_there(self, runtime: DockerRuntime, harness: DockerHarness):
        tag = build(
            harness.client, f"nimbus-test/none:{harness.instance}", f'FROM {harness.image}\nENTRYPOINT ["/nothing"]\n'
        )
        try:
            spec = harness.spec(image=tag)
            # Init is the first program and is there; the engine sees the end, not a failed start.
            await runtime.ensure(spec, SECRETS, silent)
            status = (await exited(runtime)).exit
            assert status is not None
            assert status.code in {126, 127}
            await runtime.remove("sample")
        finally:
            harness.client.images.remove(tag, force=True)


async def test_no_engine_says_so(harness: DockerHarness, tmp_path: Path):
    runtime = DockerRuntime("nobody", tmp_path, host=f"unix://{tmp_path}/none.sock", pool=POOL)
    with pytest.raises(RuntimeFailure) as caught:
        await runtime.open()
    assert (caught.value.hop, caught.value.code) == ("engine", "engine-unreachable")
    assert "DOCKER_HOST" in (caught.value.hint or "")
    await runtime.close()


async def test_a_container_that_lost_its_network_is_replaced(runtime: DockerRuntime, harness: DockerHarness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    before = await running(runtime)
    harness.client.networks.get(harness.names().network).disconnect(harness.names().container, force=True)
    assert (await running(runtime)).upstream is None
    await runtime.ensure(harness.spec(), SECRETS, silent)
    after = await running(runtime)
    assert after.run_id != before.run_id
    assert await eventually(lambda: harness.fetch(after.upstream)) == b"hello"


async def test_a_lost_connection_to_the_engine_is_made_again(harness: DockerHarness, tmp_path: Path):
    socket_path = tmp_path / "engine.sock"
    async with cut_off_proxy(socket_path, harness.docker_host.removeprefix("unix://")) as cut:
        runtime = DockerRuntime(harness.instance, harness.data_dir, host=f"unix://{socket_path}", pool=POOL)
        await runtime.open()
        heard: list[RuntimeEvent] = []

        async def listen() -> None:
            async for hint in runtime.watch():
                heard.append(hint)  # noqa: PERF401 - each is looked for while others come

        listening = asyncio.create_task(listen())
        try:
            await runtime.ensure(harness.spec(), SECRETS, silent)

            async def hears_the_start() -> bool:
                return any(hint.kind == "started" for hint in heard)

            assert await eventually(hears_the_start)
            cut()

            async def hears_of_the_cut() -> bool:
                return RuntimeEvent("", "gateway-changed") in heard

            assert await eventually(hears_of_the_cut)
            assert (await eventually(lambda: observed(runtime))).phase == "running"

            async def hears_again() -> bool:
                # It says that it was cut off before it listens anew, so that the first end may be missed.
                await asyncio.to_thread(harness.client.containers.get(harness.names().container).restart, timeout=0)
                await asyncio.sleep(0.2)
                return RuntimeEvent("sample", "exited") in heard

            assert await eventually(hears_again)
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            await runtime.remove("sample")
            await runtime.close()


async def test_a_container_that_was_never_started_is_no_run(runtime: DockerRuntime, harness: DockerHarness):
    names = harness.names()
    harness.client.containers.create(harness.image, name=names.container, labels=names.labels())
    assert await runtime.observe() == []
    await runtime.ensure(harness.spec(), SECRETS, silent)
    assert (await running(runtime)).spec_hash == harness.spec().spec_hash


async def test_a_network_alone_is_a_leftover(runtime: DockerRuntime, harness: DockerHarness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    harness.client.containers.get(harness.names().container).remove(force=True)
    assert await observed(runtime) is None
    (leftover,) = await runtime.observe_leftovers(frozenset())
    assert (leftover.kind, leftover.plugin_id) == ("network", "sample")
    await runtime.remove("sample")
    assert await runtime.observe_leftovers(frozenset()) == []


class TestTakenApartByHand:
    async def test_a_plugin_that_lost_its_network_gets_it_back(self, runtime: DockerRuntime, harness: DockerHarness):
        await runtime.ensure(harness.spec(), SECRETS, silent)
        name, gateway = harness.names().network, harness.gateway.id
        for container in (harness.names().container, gateway):
            harness.client.api.disconnect_container_from_network(container, name, force=True)
        harness.client.api.remove_network(name)
        (seen,) = await runtime.observe()
        assert (seen.phase, seen.linked, seen.upstream) == ("running", False, None)
        await runtime.link("sample")
        (seen,) = await runtime.observe()
        assert seen.linked
        assert await eventually(lambda: harness.fetch(seen.upstream)) == b"hello"

    async def test_a_folder_that_cannot_be_packed_is_not_the_engines_fault(
        self, runtime: DockerRuntime, harness: DockerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "Dockerfile").write_text("FROM scratch\n")

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("docker.utils.build.create_archive", full)
        monkeypatch.setattr("docker.utils.build.tempfile.NamedTemporaryFile", full)
        spec = harness.spec(image="nimbus-test/never-built:1", source_dir=tmp_path)
        with pytest.raises(RuntimeFailure) as failed:
            await runtime.ensure(spec, SECRETS, silent)
        assert (failed.value.hop, failed.value.code) == ("image", "build-context")
        assert "No space left" in failed.value.message
