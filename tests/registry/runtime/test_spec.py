"""The spec and the confinement that is built from it: tables and properties, no engine."""

import json
from dataclasses import fields, replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_registry.runtime.base import PluginSpec, RuntimeFailure
from nimbus_registry.runtime.factory import DEFAULT_POOL
from nimbus_registry.runtime.spec import (
    Names,
    OperatorPolicy,
    allocate_subnet,
    container_environment,
    container_options,
    free_subnets,
    helper_options,
    network_options,
    plugin_spec,
    spec_hash,
)
from nimbus_sdk.contracts.manifest import Manifest

POLICY = OperatorPolicy()
MIB = 1024**2


def manifest(**runtime: object) -> Manifest:
    permissions = runtime.pop("permissions", [])
    return Manifest.model_validate(
        {
            "manifestVersion": 1,
            "id": "sample",
            "name": "Sample",
            "version": "1.2.3",
            "runtime": {"image": "example/sample:1.2.3", **runtime},
            "permissions": permissions,
        }
    )


def spec_of(policy: OperatorPolicy = POLICY, **runtime: object) -> PluginSpec:
    return plugin_spec(manifest(**runtime), policy, core_url="http://core:8081")


def options_of(spec: PluginSpec, **changes: object) -> dict:
    return container_options(spec, "test", **{"image": "sha256:1", "secrets": {"TOKEN": "t"}, **changes})


class TestPluginSpec:
    def test_defaults(self):
        spec = spec_of()
        assert (spec.limits.memory, spec.limits.cpus, spec.limits.pids) == (256 * MIB, 1.0, 128)
        assert (spec.data, spec.egress, spec.command) == (False, False, None)
        assert spec.environment == {
            "NIMBUS_PLUGIN_ID": "sample",
            "NIMBUS_CORE_URL": "http://core:8081",
            "NIMBUS_BASE_PATH": "/api/plugins/sample",
        }

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"memory": "64m", "cpus": 0.25, "pids": 16}, (64 * MIB, 0.25, 16)),
            ({"memory": "64g", "cpus": 64, "pids": 4096}, (2048 * MIB, 2.0, 512)),
        ],
    )
    def test_less_is_granted_and_more_is_capped(self, asked: dict, expected: tuple):
        limits = spec_of(resources=asked).limits
        assert (limits.memory, limits.cpus, limits.pids) == expected

    def test_egress_is_the_permission(self):
        assert spec_of(permissions=["network:egress"]).egress
        assert not spec_of(permissions=["media:read"]).egress

    @pytest.mark.parametrize(
        "changed",
        [
            {"image": "example/sample:9"},
            {"port": 9000},
            {"data": True},
            {"process": {"command": ["python"]}},
            {"resources": {"pids": 9}},
            {"permissions": ["network:egress"]},
        ],
    )
    def test_every_change_is_another_hash(self, changed: dict):
        assert spec_of(**changed).spec_hash != spec_of().spec_hash

    def test_another_page_bundle_is_another_hash(self):
        plain = manifest()
        page = Manifest.model_validate({**plain.wire(), "ui": {"bundle": "web/main.js"}})
        hashes = {plugin_spec(one, POLICY, core_url="http://core:8081").spec_hash for one in (plain, page)}
        assert len(hashes) == 2

    def test_the_folder_is_not_part_of_the_hash(self):
        elsewhere = plugin_spec(manifest(), POLICY, core_url="http://core:8081", source_dir=Path("/elsewhere"))
        assert elsewhere.spec_hash == spec_of().spec_hash

    def test_how_the_image_comes_about_is_not_part_of_the_hash(self):
        spec = spec_of()
        assert spec_hash(replace(spec, rebuild=True)) == spec.spec_hash

    def test_the_hash_covers_every_other_field(self):
        spec = spec_of()
        others = {
            "plugin_id": "other", "version": "9.9.9", "image": "x", "command": ("x",), "port": 1, "data": True,
            "limits": replace(spec.limits, pids=1), "environment": {}, "egress": True,
            "ui_bundle": "web/main.js",
        }  # fmt: skip
        assert set(others) == {field.name for field in fields(PluginSpec)} - {
            "spec_hash", "source_dir", "slot", "rebuild",
        }  # fmt: skip
        hashes = {spec_hash(replace(spec, **{name: value})) for name, value in others.items()}
        assert len(hashes | {spec.spec_hash}) == len(others) + 1


class TestContainerOptions:
    def test_the_whole_confinement(self):
        options = options_of(spec_of())
        assert options["User"] == "10001:10001"
        assert options["Healthcheck"] == {"Test": ["NONE"]}
        assert options["HostConfig"] == {
            "AutoRemove": False,
            "CapDrop": ["ALL"],
            "Dns": ["127.0.0.1"],
            "DnsOptions": ["timeout:1", "attempts:1"],
            "Init": True,
            "IpcMode": "private",
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "3"}},
            "Memory": 256 * MIB,
            "MemorySwap": 256 * MIB,
            "Mounts": [],
            "NanoCpus": 1_000_000_000,
            "NetworkMode": "test-plugin-sample",
            "PidsLimit": 128,
            "Privileged": False,
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "no"},
            "SecurityOpt": ["no-new-privileges:true"],
            "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=67108864,mode=1777"},
        }

    def test_data_is_the_plugins_own_volume(self):
        (mount,) = options_of(spec_of(data=True))["HostConfig"]["Mounts"]
        assert (mount["Type"], mount["Source"], mount["Target"]) == ("volume", "test-plugin-sample.data", "/data")
        assert mount["VolumeOptions"]["Labels"]["io.nimbus.plugin"] == "sample"

    def test_the_environment_is_the_contract_and_the_secrets(self):
        environment = container_environment(spec_of(data=True), {"NIMBUS_PLUGIN_TOKEN": "t"})
        assert environment == {
            "NIMBUS_PLUGIN_ID": "sample",
            "NIMBUS_CORE_URL": "http://core:8081",
            "NIMBUS_BASE_PATH": "/api/plugins/sample",
            "NIMBUS_PLUGIN_HOST": "0.0.0.0",
            "NIMBUS_PLUGIN_PORT": "8000",
            "NIMBUS_DATA_DIR": "/data",
            "NIMBUS_PLUGIN_TOKEN": "t",
            "HOME": "/tmp",
        }

    def test_declared_volumes_become_bounded_memory(self):
        volumes = ("/cache", "/data")
        assert set(options_of(spec_of(), image_volumes=volumes)["HostConfig"]["Tmpfs"]) == {"/tmp", *volumes}
        assert set(options_of(spec_of(data=True), image_volumes=volumes)["HostConfig"]["Tmpfs"]) == {"/tmp", "/cache"}

    @pytest.mark.parametrize(
        ("declared", "mounted"),
        [
            (["/cache/", "//cache", "/x/../cache"], {"/cache"}),
            (["/opt/./x"], {"/opt/x"}),
            (["/tmp/"], set()),
            (["/data/", "//data", "/etc/../data"], set()),
            (["/database", "/opt/data/x"], {"/database", "/opt/data/x"}),
        ],
    )
    def test_a_volume_is_bounded_however_its_path_is_written(self, declared, mounted):
        """The engine cleans the path; what is not mounted under the clean one becomes a volume without a limit."""
        tmpfs = options_of(spec_of(data=True), image_volumes=declared)["HostConfig"]["Tmpfs"]
        assert set(tmpfs) == {"/tmp", *mounted}

    @pytest.mark.parametrize("below", ["/data/cache", "//data//cache/", "/x/../data/cache"])
    def test_a_volume_within_the_data_is_refused(self, below):
        """As memory it would take in, and lose, what the plugin means to keep."""
        with pytest.raises(RuntimeFailure, match="a volume at '/data/cache', within /data") as refused:
            options_of(spec_of(data=True), image_volumes=[below])
        assert refused.value.code == "image-refused"
        assert "VOLUME" in (refused.value.hint or "")
        assert "/data/cache" in options_of(spec_of(), image_volumes=[below])["HostConfig"]["Tmpfs"]

    def test_an_image_with_a_flood_of_volumes_is_refused(self):
        with pytest.raises(RuntimeFailure, match="1500 volumes"):
            options_of(spec_of(), image_volumes=[f"/v{number}" for number in range(1500)])

    def test_labels_of_the_image_say_nothing_to_other_programs(self):
        names = ["com.docker.compose.project", "traefik.enable", "io.nimbus.role", "io.nimbus.manifest", "maintainer"]
        labels = options_of(spec_of(), image_labels=names)["Labels"]
        assert labels["com.docker.compose.project"] == labels["traefik.enable"] == labels["io.nimbus.manifest"] == ""
        assert labels["io.nimbus.role"] == "plugin"
        assert "maintainer" not in labels

    @pytest.mark.parametrize(
        "names",
        [[f"a.b{number}" for number in range(300)], ['a."b'], ["a. b"], ["a." + "b" * 300], ["traefik.h\u00f6st"]],
        ids=["many", "quote", "space", "long", "letter"],
    )
    def test_an_image_with_labels_that_cannot_be_emptied_is_refused(self, names):
        with pytest.raises(RuntimeFailure) as caught:
            options_of(spec_of(), image_labels=names)
        assert (caught.value.hop, caught.value.code) == ("image", "image-refused")

    @pytest.mark.parametrize(("memory", "cpus"), [("0", 1e-10), ("0.001k", 0.001), ("1b", 1e-300)])
    def test_a_limit_is_never_none(self, memory, cpus):
        """To the engine 0 is no limit at all."""
        host = options_of(spec_of(resources={"memory": memory, "cpus": cpus}))["HostConfig"]
        assert host["Memory"] == host["MemorySwap"] == 6 * 1024**2
        assert host["NanoCpus"] == 10_000_000

    def test_with_egress_names_are_resolved_as_usual(self):
        assert "Dns" not in options_of(spec_of(permissions=["network:egress"]))["HostConfig"]

    def test_secrets_are_nowhere_but_in_the_environment(self):
        options = options_of(spec_of(), secrets={"TOKEN": "very-secret"})
        assert "TOKEN=very-secret" in options.pop("Env")
        assert "very-secret" not in json.dumps(options)

    @given(
        memory=st.integers(0, 10**12),
        cpus=st.floats(0, 64, exclude_min=True),
        pids=st.integers(8, 4096),
        cap=st.builds(OperatorPolicy, st.integers(6 * 2**20, 2**35), st.floats(0.1, 8), st.integers(8, 1024)),
    )
    def test_no_manifest_gets_past_the_policy(self, memory: int, cpus: float, pids: int, cap: OperatorPolicy):
        spec = spec_of(cap, resources={"memory": f"{memory}b", "cpus": cpus, "pids": pids}, data=True)
        host = options_of(spec)["HostConfig"]
        assert 0 < host["Memory"] == host["MemorySwap"] <= cap.max_memory
        assert 0 < host["NanoCpus"] <= cap.max_cpus * 1_000_000_000
        assert host["PidsLimit"] <= cap.max_pids
        assert host["CapDrop"] == ["ALL"]
        assert "CapAdd" not in host
        assert "Binds" not in host
        assert {mount["Type"] for mount in host["Mounts"]} == {"volume"}


def test_the_helper_may_chown_and_nothing_else():
    options = helper_options(Names("test", "sample"), image="sha256:1")
    host = options["HostConfig"]
    assert (options["Entrypoint"], options["Cmd"]) == (["chown"], ["10001:10001", "/data"])
    assert (host["CapDrop"], host["CapAdd"], host["NetworkMode"]) == (["ALL"], ["CHOWN"], "none")
    assert options["Labels"]["io.nimbus.role"] == "helper"


def test_networks():
    names, subnet = Names("test", "sample"), IPv4Network("10.0.0.0/28")
    private, egress = network_options(names, subnet, egress=False), network_options(names, subnet, egress=True)
    assert (private["name"], private["internal"]) == ("test-plugin-sample", True)
    assert private["options"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert (egress["name"], egress["internal"]) == ("test-plugin-sample.egress", False)
    assert private["ipam"]["Config"] == [{"Subnet": "10.0.0.0/28"}]


@given(st.from_regex(r"[a-z][a-z0-9-]{1,39}", fullmatch=True), st.from_regex(r"[a-z][a-z0-9-]{1,39}", fullmatch=True))
def test_names_of_two_plugins_never_meet(first: str, second: str):
    if first != second:
        one, two = Names("test", first), Names("test", second)
        mine = {one.container, one.helper, one.network, one.egress_network, one.volume}
        assert mine.isdisjoint({two.container, two.helper, two.network, two.egress_network, two.volume})


class TestSubnets:
    POOL = IPv4Network("10.213.0.0/24")

    @pytest.mark.parametrize(
        ("in_use", "expected"),
        [
            ([], "10.213.0.0/28"),
            (["10.213.0.0/28"], "10.213.0.16/28"),
            (["10.213.0.16/28"], "10.213.0.0/28"),
            (["10.213.0.0/27", "172.17.0.0/16", "fd00::/64"], "10.213.0.32/28"),
            (["10.213.0.5/32"], "10.213.0.16/28"),
            (["10.213.0.0/25", "10.213.0.128/26"], "10.213.0.192/28"),
        ],
    )
    def test_the_first_that_is_free(self, in_use: list[str], expected: str):
        assert allocate_subnet(self.POOL, in_use) == IPv4Network(expected)

    def test_five_hundred_plugins_with_a_way_out_each_and_room_left(self):
        every = [str(subnet) for subnet in free_subnets(DEFAULT_POOL, [])]
        assert len(set(every)) == len(every) == 4096
        taken = every[:1000]
        assert str(allocate_subnet(DEFAULT_POOL, reversed(taken))) == every[1000]
        assert str(allocate_subnet(DEFAULT_POOL, taken[:500] + taken[501:])) == every[500], "one that was given back"
        assert [str(subnet) for subnet in free_subnets(DEFAULT_POOL, taken)] == every[1000:]

    @pytest.mark.parametrize("in_use", [["10.213.0.0/24"], ["10.0.0.0/8"], ["0.0.0.0/0"]])
    def test_a_used_up_pool(self, in_use: list[str]):
        assert allocate_subnet(self.POOL, in_use) is None

    def test_a_pool_smaller_than_a_subnet_is_one(self):
        assert list(free_subnets(IPv4Network("10.0.0.0/29"), [])) == [IPv4Network("10.0.0.0/29")]

    @given(st.lists(st.integers(0, 15), unique=True))
    def test_what_is_free_overlaps_nothing(self, taken: list[int]):
        subnets = list(self.POOL.subnets(new_prefix=28))
        in_use = [subnets[index] for index in taken]
        free = list(free_subnets(self.POOL, [str(network) for network in in_use]))
        assert len(free) == len(subnets) - len(in_use)
        assert not any(one.overlaps(other) for one in free for other in in_use)
