"""What to run and how it is confined: pure functions of manifest, operator policy and image facts.

Nothing of a manifest is passed through: each field is read, capped by the operator's policy and written to the
place where it belongs. The Engine API bodies that are built here are the whole of a plugin's confinement.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, cast

from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.units import LEAST_CPUS, LEAST_MEMORY, parse_size

from nimbus_registry.runtime.base import PluginSpec, ResourceLimits
from nimbus_registry.runtime.image_traits import blanked_labels, memory_mounts

LABEL_INSTANCE: Final = "io.nimbus.instance"
LABEL_ROLE: Final = "io.nimbus.role"
LABEL_PLUGIN: Final = "io.nimbus.plugin"
LABEL_VERSION: Final = "io.nimbus.version"
LABEL_SPEC_HASH: Final = "io.nimbus.spec-hash"
LABEL_PORT: Final = "io.nimbus.port"
LABEL_IMAGE: Final = "io.nimbus.image"
LABEL_SLOT: Final = "io.nimbus.slot"

SLOTS: Final = (0, 1)
"""A plugin's runs take turns in two slots, so that a new version can start beside the one that serves."""

ROLE_GATEWAY: Final = "gateway"
ROLE_PLUGIN: Final = "plugin"
ROLE_HELPER: Final = "helper"

CORE_ALIAS: Final = "nimbus-core"
"""The name under which a plugin finds the gateway on its network."""

PLUGIN_UID: Final = 10001
DATA_MOUNT: Final = "/data"
SNAPSHOT_FROM: Final = "/from"
SNAPSHOT_TO: Final = "/to"
TMP_SIZE: Final = 64 * 1024**2
LOG_MAX_SIZE: Final = "5m"
LOG_MAX_FILES: Final = "3"
SUBNET_PREFIX: Final = 28

CONFINEMENT_REVISION: Final = 2
"""Part of the spec hash: raise it when the confinement changes, and running plugins are replaced."""


@dataclass(frozen=True, slots=True)
class OperatorPolicy:
    """The most that one plugin may use, whatever its manifest asks for. Memory and data in bytes."""

    max_memory: int = 2 * 1024**3
    max_cpus: float = 2.0
    max_pids: int = 512
    max_data: int = 10 * 1024**3


def plugin_spec(
    manifest: Manifest,
    policy: OperatorPolicy,
    *,
    core_url: str,
    grants: Collection[str] | None = None,
    source_dir: Path | None = None,
    pin: str | None = None,
    slot: int = 0,
) -> PluginSpec:
    """The spec of a manifest under a policy. The same input gives the same hash on every machine.

    Args:
        manifest: what the plugin says of itself.
        policy: the most that it may use.
        core_url: where it reaches the core.
        grants: what a person lets it do; None is all that it asks for.
        source_dir: the folder that it came from.
        pin: the exact image that was installed, instead of what the manifest's reference means today.
        slot: where it runs.
    """
    wanted = manifest.runtime.resources
    process = manifest.runtime.process
    spec = PluginSpec(
        plugin_id=manifest.id,
        version=manifest.version,
        image=pin or manifest.runtime.image,
        command=tuple(process.command) if process else None,
        port=manifest.runtime.port,
        limits=ResourceLimits(
            # The engine takes what rounds to 0 for no limit.
            memory=max(min(parse_size(wanted.memory), policy.max_memory), LEAST_MEMORY),
            cpus=max(min(wanted.cpus, policy.max_cpus), LEAST_CPUS),
            pids=min(wanted.pids, policy.max_pids),
        ),
        environment={
            "NIMBUS_PLUGIN_ID": manifest.id,
            "NIMBUS_CORE_URL": core_url,
            "NIMBUS_BASE_PATH": f"/api/plugins/{manifest.id}",
        },
        data=manifest.runtime.data,
        egress="network:egress" in manifest.permissions and (grants is None or "network:egress" in grants),
        ui_bundle=manifest.ui.bundle if manifest.ui else None,
        source_dir=source_dir,
        slot=slot,
    )
    return replace(spec, spec_hash=spec_hash(spec))


def spec_hash(spec: PluginSpec) -> str:
    """Hash of everything that a running plugin depends on, without the folder it came from."""
    facts = {
        "revision": CONFINEMENT_REVISION,
        "id": spec.plugin_id,
        "version": spec.version,
        "image": spec.image,
        "command": spec.command,
        "port": spec.port,
        "limits": [spec.limits.memory, spec.limits.cpus, spec.limits.pids],
        "environment": dict(spec.environment),
        "data": spec.data,
        "egress": spec.egress,
        "ui": spec.ui_bundle,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Names:
    """Names and labels of one plugin's objects in the engine.

    The dots keep the second slot, network and helper apart from another plugin's name: an id holds no dot.
    Only the container depends on the slot: both runs of an upgrade share the network and the data.
    """

    instance: str
    plugin_id: str
    slot: int = 0

    @property
    def _base(self) -> str:
        return f"{self.instance}-plugin-{self.plugin_id}"

    @property
    def container(self) -> str:
        """The container of the slot."""
        return f"{self._base}.{self.slot}" if self.slot else self._base

    @property
    def helper(self) -> str:
        """The short-lived container that hands a fresh volume to the plugin's user."""
        return f"{self._base}.helper"

    @property
    def archiver(self) -> str:
        """The container, never started, through which the engine reads or fills a copy of the plugin's data."""
        return f"{self._base}.archiver"

    @property
    def network(self) -> str:
        """The private network that the plugin shares with the gateway."""
        return self._base

    @property
    def egress_network(self) -> str:
        """The plugin's own way out, when it may have one."""
        return f"{self._base}.egress"

    @property
    def volume(self) -> str:
        """The plugin's data."""
        return f"{self._base}.data"

    def snapshot(self, name: str) -> str:
        """The volume with a copy of the plugin's data."""
        return f"{self._base}.snapshot.{name}"

    def labels(self, role: str = ROLE_PLUGIN) -> dict[str, str]:
        """Labels that mark an object as this plugin's in this instance."""
        return {LABEL_INSTANCE: self.instance, LABEL_PLUGIN: self.plugin_id, LABEL_ROLE: role}


def container_environment(spec: PluginSpec, secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a plugin's container; nothing of the registry's own is among them."""
    environment = {
        **spec.environment,
        "NIMBUS_PLUGIN_HOST": "0.0.0.0",
        "NIMBUS_PLUGIN_PORT": str(spec.port),
        "HOME": "/tmp",  # noqa: S108 - the only writable place besides /data
    }
    if spec.data:
        environment["NIMBUS_DATA_DIR"] = DATA_MOUNT
    return {**environment, **secrets}


def container_options(
    spec: PluginSpec,
    instance: str,
    *,
    image: str,
    secrets: Mapping[str, str],
    image_volumes: Iterable[str] = (),
    image_labels: Iterable[str] = (),
) -> dict[str, object]:
    """Body of the engine's container create call for a plugin: the hardening of every plugin container.

    Args:
        spec: what to run.
        instance: the Nimbus instance that owns it.
        image: what the image resolved to, a digest or an image id.
        secrets: further environment variables.
        image_volumes: paths that the image declares as volumes; they become size-capped tmpfs mounts, because
            an anonymous volume would be writable without a limit.
        image_labels: names of its labels, which the container would inherit with their values.

    Raises:
        RuntimeFailure: the image declares more than is taken.
    """
    names = Names(instance, spec.plugin_id, spec.slot)
    tmpfs_options = f"rw,noexec,nosuid,nodev,size={TMP_SIZE},mode=1777"
    mounts = memory_mounts(image_volumes, data=DATA_MOUNT if spec.data else None)
    tmpfs = dict.fromkeys(mounts, tmpfs_options)
    tmpfs["/tmp"] = tmpfs_options  # noqa: S108 - a mount point inside the container
    host: dict[str, object] = {
        "AutoRemove": False,
        "CapDrop": ["ALL"],
        "Init": True,
        "IpcMode": "private",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": LOG_MAX_SIZE, "max-file": LOG_MAX_FILES}},
        "Memory": spec.limits.memory,
        "MemorySwap": spec.limits.memory,
        "Mounts": [_data_mount(names)] if spec.data else [],
        "NanoCpus": int(spec.limits.cpus * 1_000_000_000),
        "NetworkMode": names.network,
        "PidsLimit": spec.limits.pids,
        "Privileged": False,
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "no"},
        "SecurityOpt": ["no-new-privileges:true"],
        "Tmpfs": tmpfs,
    }
    if not spec.egress:
        # Engines before 26.0/25.0.5/23.0.11 ask the host's resolver for names from internal networks, which
        # carries data out (CVE-2024-29018). A server of the plugin's own that nobody runs closes that.
        host["Dns"] = ["127.0.0.1"]
        host["DnsOptions"] = ["timeout:1", "attempts:1"]
    return {
        "Image": image,
        "Hostname": spec.plugin_id,
        "User": f"{PLUGIN_UID}:{PLUGIN_UID}",
        "Env": [f"{key}={value}" for key, value in container_environment(spec, secrets).items()],
        "Labels": {
            **blanked_labels(image_labels),
            **names.labels(),
            LABEL_VERSION: spec.version,
            LABEL_SPEC_HASH: spec.spec_hash,
            LABEL_PORT: str(spec.port),
            LABEL_IMAGE: spec.image or "",
            LABEL_SLOT: str(spec.slot),
        },
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {names.network: {}}},
    }


def helper_options(names: Names, *, image: str) -> dict[str, object]:
    """Body of the create call for the helper that gives a fresh volume to the plugin's user.

    It holds one capability, sees one volume and no network, and runs one program.
    """
    return {
        "Image": image,
        "User": "0:0",
        "Entrypoint": ["chown"],
        "Cmd": [f"{PLUGIN_UID}:{PLUGIN_UID}", DATA_MOUNT],
        "Labels": names.labels(ROLE_HELPER),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
            "Memory": 64 * 1024**2,
            "MemorySwap": 64 * 1024**2,
            "Mounts": [_data_mount(names)],
            "NetworkMode": "none",
            "PidsLimit": 16,
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "no"},
            "SecurityOpt": ["no-new-privileges:true"],
        },
    }


def copy_options(names: Names, *, image: str, source: str, target: str) -> dict[str, object]:
    """Body of the create call for the helper that copies one volume of a plugin into another, owners and all."""
    options = helper_options(names, image=image)
    host = dict(cast("dict[str, object]", options["HostConfig"]))
    host["CapAdd"] = ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
    host["Memory"] = host["MemorySwap"] = 256 * 1024**2  # the file cache counts
    host["Mounts"] = [
        {**_volume_mount(names, source, SNAPSHOT_FROM), "ReadOnly": True},
        _volume_mount(names, target, SNAPSHOT_TO),
    ]
    return {**options, "Entrypoint": ["cp"], "Cmd": ["-a", f"{SNAPSHOT_FROM}/.", SNAPSHOT_TO], "HostConfig": host}


def archive_options(names: Names, *, image: str, volume: str, read_only: bool) -> dict[str, object]:
    """Body of the create call for the container through which the engine reads or fills a volume; never started."""
    options = helper_options(names, image=image)
    host = dict(cast("dict[str, object]", options["HostConfig"]))
    host["CapAdd"] = []
    host["Mounts"] = [{**_volume_mount(names, volume, DATA_MOUNT), "ReadOnly": read_only}]
    return {**options, "Entrypoint": ["never-started"], "Cmd": [], "HostConfig": host}


def _data_mount(names: Names) -> dict[str, object]:
    return _volume_mount(names, names.volume, DATA_MOUNT)


def _volume_mount(names: Names, volume: str, target: str) -> dict[str, object]:
    return {
        "Type": "volume",
        "Source": volume,
        "Target": target,
        "VolumeOptions": {"NoCopy": True, "Labels": names.labels()},
    }


def network_options(names: Names, subnet: IPv4Network, *, egress: bool) -> dict[str, object]:
    """Arguments of the SDK's network create call.

    The private network is internal, and without the bridge's own address: through that, a plugin would reach
    whatever listens on 0.0.0.0 of the host. The egress network lets nobody in and holds nobody else.
    """
    driver_options = (
        {"com.docker.network.bridge.enable_icc": "false"}
        if egress
        else {"com.docker.network.bridge.inhibit_ipv4": "true"}
    )
    return {
        "name": names.egress_network if egress else names.network,
        "driver": "bridge",
        "check_duplicate": True,
        "internal": not egress,
        "attachable": False,
        "ipam": {"Driver": "default", "Config": [{"Subnet": str(subnet)}]},
        "options": driver_options,
        "labels": names.labels(),
    }


def free_subnets(pool: IPv4Network, in_use: Iterable[str]) -> Iterator[IPv4Network]:
    """Subnets of the pool that overlap no network of the engine, in order.

    Args:
        pool: the network that plugin networks are cut from.
        in_use: subnets of every network the engine knows, ours or not; other address families do not count.
    """
    taken: list[tuple[int, int]] = []
    for text in in_use:
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
        if isinstance(network, IPv4Network) and network.overlaps(pool):
            taken.append((int(network.network_address), int(network.broadcast_address)))
    # Both go upwards, so one walk does: with a thousand networks, comparing each with each takes a second.
    taken.sort()
    next_taken, taken_until = 0, -1
    for candidate in pool.subnets(new_prefix=max(SUBNET_PREFIX, pool.prefixlen)):
        first, last = int(candidate.network_address), int(candidate.broadcast_address)
        while next_taken < len(taken) and taken[next_taken][0] <= last:
            taken_until = max(taken_until, taken[next_taken][1])
            next_taken += 1
        if taken_until < first:
            yield candidate


def allocate_subnet(pool: IPv4Network, in_use: Iterable[str]) -> IPv4Network | None:
    """The first free subnet of the pool, or None when it is used up."""
    return next(free_subnets(pool, in_use), None)
