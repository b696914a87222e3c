"""The private networks of plugins, and the gateway's place in them."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Network
from typing import Any, Final

import docker
import structlog
from docker.errors import APIError, NotFound

from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.docker_engine import Engine, explain, together
from nimbus_registry.runtime.spec import (
    CORE_ALIAS,
    LABEL_INSTANCE,
    LABEL_PLUGIN,
    LABEL_ROLE,
    ROLE_GATEWAY,
    Names,
    allocate_subnet,
    network_options,
)

log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 8
"""How often another subnet is tried when somebody else took the chosen one."""


class Networks:
    """Makes and removes the networks of plugins.

    Args:
        engine: the engine.
        instance: whose networks.
        pool: what the subnets are cut from.
    """

    def __init__(self, engine: Engine, instance: str, pool: IPv4Network) -> None:
        self._engine = engine
        self._instance = instance
        self._pool = pool
        self._choosing = asyncio.Lock()
        self._reserved: set[str] = set()

    async def ensure(self, names: Names, *, egress: bool) -> str:
        """Have the plugin's private network, or its egress network, and return its id.

        Raises:
            RuntimeFailure: somebody else's network has the name, or the pool is used up.
        """
        name = names.egress_network if egress else names.network
        try:
            facts = await self._engine.call(lambda api: api.inspect_network(name))
        except NotFound:
            return await self._create(names, egress=egress)
        if not self._is_own(facts, names.plugin_id):
            raise foreign("network", name, "start")
        return str(facts["Id"])

    def _is_own(self, facts: Mapping[str, Any], plugin_id: str) -> bool:
        labels = facts.get("Labels") or {}
        return labels.get(LABEL_INSTANCE) == self._instance and labels.get(LABEL_PLUGIN) == plugin_id

    async def _create(self, names: Names, *, egress: bool) -> str:
        taken_elsewhere: set[str] = set()
        last: APIError | None = None
        for _ in range(_ATTEMPTS):
            subnet = await self._reserve(taken_elsewhere)
            with self._releasing(subnet):
                options = network_options(names, subnet, egress=egress)
                try:
                    made = await self._engine.call(partial(_create_network, options=options))
                except APIError as error:
                    if "overlap" not in explain(error).lower():
                        raise RuntimeFailure(
                            "start", "network-failed", f"The plugin's network could not be made: {explain(error)}"
                        ) from error
                    taken_elsewhere.add(str(subnet))
                    last = error
                else:
                    return str(made["Id"])
        raise RuntimeFailure(
            "start",
            "network-pool",
            f"No subnet of {self._pool} could be used for the plugin's network.",
            hint="Set NIMBUS_PLUGIN_NETWORK_POOL to a range that nothing else on this machine uses.",
        ) from last

    async def _reserve(self, taken_elsewhere: set[str]) -> IPv4Network:
        """Choose a subnet; others that choose at the same time choose another one."""
        async with self._choosing:
            networks = await self._engine.call(lambda api: api.networks())
            in_use = [
                config["Subnet"]
                for network in networks
                for config in (network.get("IPAM") or {}).get("Config") or []
                if config.get("Subnet")
            ]
            subnet = allocate_subnet(self._pool, [*in_use, *self._reserved, *taken_elsewhere])
            if subnet is None:
                raise RuntimeFailure(
                    "start",
                    "network-pool",
                    f"Every subnet of {self._pool} is in use.",
                    hint="Set NIMBUS_PLUGIN_NETWORK_POOL to a larger range, or disable plugins.",
                )
            self._reserved.add(str(subnet))
            return subnet

    @contextmanager
    def _releasing(self, subnet: IPv4Network) -> Iterator[None]:
        try:
            yield
        finally:
            self._reserved.discard(str(subnet))

    async def link(self, network_id: str) -> None:
        """Connect every running gateway container of this instance that is not connected yet."""
        wanted = {
            "label": [f"{LABEL_INSTANCE}={self._instance}", f"{LABEL_ROLE}={ROLE_GATEWAY}"],
            "status": "running",
        }
        gateways = await self._engine.call(lambda api: api.containers(filters=wanted))
        missing = [gateway["Id"] for gateway in gateways if network_id not in network_ids(gateway)]
        await together(*(self.connect(network_id, container, [CORE_ALIAS]) for container in missing))

    async def connect(self, network_id: str, container: str, aliases: list[str] | None = None) -> None:
        """Connect a container; nothing happens when it is connected or gone."""
        try:
            await self._engine.call(
                lambda api: api.connect_container_to_network(container, network_id, aliases=aliases)
            )
        except NotFound:
            return
        except APIError as error:
            if "already exists" not in explain(error):
                raise RuntimeFailure(
                    "start", "network-failed", f"The plugin's network could not be joined: {explain(error)}"
                ) from error

    async def remove_all(self, plugin_id: str) -> None:
        """Remove the networks of a plugin, whoever is connected to them."""
        wanted = {"label": [f"{LABEL_INSTANCE}={self._instance}", f"{LABEL_PLUGIN}={plugin_id}"]}
        networks = await self._engine.call(lambda api: api.networks(filters=wanted))
        await together(*(self._remove(network["Id"]) for network in networks))

    async def _remove(self, network_id: str) -> None:
        try:
            facts = await self._engine.call(lambda api: api.inspect_network(network_id))
            connected = facts.get("Containers") or {}
            await together(*(self._disconnect(network_id, container) for container in connected))
            await self._engine.call(lambda api: api.remove_network(network_id))
        except NotFound:
            return
        except APIError as error:
            raise RuntimeFailure(
                "stop", "network-failed", f"The plugin's network could not be removed: {explain(error)}"
            ) from error

    async def _disconnect(self, network_id: str, container: str) -> None:
        # An endpoint without a container is listed as `ep-<id>`; the engine clears it with the network.
        try:
            await self._engine.call(
                lambda api: api.disconnect_container_from_network(container, network_id, force=True)
            )
        except APIError as error:
            log.debug("network.disconnect", container=container, network=network_id, reason=explain(error))


def _create_network(api: docker.APIClient, options: dict[str, Any]) -> Mapping[str, str]:
    made: Mapping[str, str] = api.create_network(**options)
    return made


def network_ids(container: Mapping[str, Any]) -> set[str]:
    """Ids of the networks that a listed container is connected to."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return {network.get("NetworkID", "") for network in networks.values()}


def foreign(kind: str, name: str, hop: str) -> RuntimeFailure:
    """The failure for an object that has our name and not our labels."""
    return RuntimeFailure(
        "stop" if hop == "stop" else "start",
        "name-taken",
        f"There is a {kind} named {name!r} that this Nimbus did not make, so it is left alone.",
        hint=f"Remove or rename that {kind}, or give this Nimbus another NIMBUS_INSTANCE.",
    )
