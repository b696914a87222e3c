"""The containers of plugins: found by their labels, made, stopped and removed. What is not ours is never touched."""

import asyncio
import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from docker.errors import APIError, ImageNotFound, NotFound

from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.docker_engine import Engine, create_container, explain
from nimbus_registry.runtime.docker_observe import label, slot_of
from nimbus_registry.runtime.networks import foreign
from nimbus_registry.runtime.spec import LABEL_INSTANCE, LABEL_PLUGIN, LABEL_ROLE, ROLE_HELPER, ROLE_PLUGIN, Names

REMOVE_DEADLINE: Final = 30.0
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Detail:
    """A container's inspection, and which run of it was inspected: None when it may be another at the next look."""

    run: Mapping[str, Any] | None
    facts: Mapping[str, Any]


def run_of(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is the same of a listed container for as long as one run of it goes on as it is; None unless that is sure.

    A list does not tell when a run began. But each run gets endpoints of its own on its networks, so a container that
    was stopped and started between two looks, and whose events were lost, is another one. `Status` only counts time.
    Pure.
    """
    networks = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    if entry["State"] != "running" or not any(network.get("EndpointID") for network in networks.values()):
        return None
    return {name: value for name, value in entry.items() if name != "Status"}


class Containers:
    """The containers of one instance's plugins, with helpers that were left behind.

    Args:
        engine: the engine.
        instance: whose containers.
    """

    def __init__(self, engine: Engine, instance: str) -> None:
        self._engine = engine
        self._instance = instance
        self._details: Mapping[str, Detail] = {}
        self._changed: set[str] = set()

    async def own(self, names: Names) -> dict[str, Any] | None:
        """The inspection of the container of this name, or None.

        Raises:
            RuntimeFailure: a container that is not ours has the name.
        """
        try:
            facts: dict[str, Any] = await self._engine.call(lambda api: api.inspect_container(names.container))
        except NotFound:
            return None
        wanted = names.labels()
        if any(label(facts, key) != value for key, value in wanted.items()):
            raise foreign("container", names.container, "start")
        return facts

    async def listed(self, plugin_id: str | None = None, slot: int | None = None) -> list[dict[str, Any]]:
        """Containers of one plugin or of all; with a slot only the run in it."""
        labels = [
            f"{LABEL_INSTANCE}={self._instance}",
            LABEL_PLUGIN if plugin_id is None else f"{LABEL_PLUGIN}={plugin_id}",
        ]
        with refusals():
            listed = await self._engine.call(lambda api: api.containers(all=True, filters={"label": labels}))
        roles = {ROLE_PLUGIN, ROLE_HELPER} if slot is None else {ROLE_PLUGIN}
        return [
            entry
            for entry in listed
            if entry["Labels"].get(LABEL_ROLE) in roles and (slot is None or slot_of(entry["Labels"]) == slot)
        ]

    def changed(self, container: str) -> None:
        """The engine says that something became of a container: the next look asks for it, whatever the list shows.

        The list may be behind the engine's own events: what has just died is in it as running for a moment. Asking
        for that container waits until its end is told.
        """
        self._changed.add(container)

    def all_changed(self) -> None:
        """Something may have become of any container: the next look asks for each."""
        self._details = {}

    async def inspected(self) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
        """All containers of the instance as listed, gateways included, and the plugins' with their details.

        The list is asked for each time and decides. Only the details of a run that it shows unchanged are those of
        the last look: with many plugins, asking for each of them is nearly all that a look costs.
        """
        wanted = {"label": f"{LABEL_INSTANCE}={self._instance}"}
        known, self._details = self._details, {}
        changed, self._changed = self._changed, set()

        def look(api: Any) -> tuple[list[dict[str, Any]], dict[str, Detail]]:  # noqa: ANN401
            listed, found = api.containers(all=True, filters=wanted), dict[str, Detail]()
            for entry in listed:
                # A created container has not run yet: it is about to be started, or will be replaced.
                if entry["Labels"].get(LABEL_ROLE) == ROLE_PLUGIN and entry["State"] not in {"created", "removing"}:
                    container, run = entry["Id"], run_of(entry)
                    detail = known.get(container) if container not in changed else None
                    if detail is not None and run is not None and detail.run == run:
                        found[container] = detail
                        continue
                    with contextlib.suppress(NotFound):
                        facts = api.inspect_container(container)
                        found[container] = Detail(run if facts["State"]["Running"] else None, facts)
            return listed, found

        with refusals():
            listed, self._details = await self._engine.call(look)
        return listed, [detail.facts for detail in self._details.values()]

    async def create(self, names: Names, options: dict[str, object]) -> str:
        """Create the container of this name and return its id.

        Raises:
            RuntimeFailure: the engine refused, or the image went away.
        """
        try:
            return await self._engine.call(lambda api: create_container(api, options, names.container))
        except ImageNotFound as error:
            raise RuntimeFailure(
                "image", "image-missing", f"The image went away before the plugin was started: {explain(error)}"
            ) from error
        except APIError as error:
            raise RuntimeFailure(
                "start", "create-failed", f"The container could not be made: {explain(error)}"
            ) from error

    async def start(self, container: str) -> None:
        """Start a created container.

        Raises:
            RuntimeFailure: its program could not be started.
        """
        try:
            await self._engine.call(lambda api: api.start(container))
        except APIError as error:
            raise RuntimeFailure(
                "start",
                "start-failed",
                f"The container could not be started: {explain(error)}",
                hint="Check the image's entry point; it runs as user 10001 on a read-only file system.",
            ) from error

    async def stop(self, container: str, grace: float) -> None:
        """Ask it to end, kill it after `grace` seconds; nothing happens when it is gone."""
        seconds = math.ceil(grace)
        self.changed(container)
        with contextlib.suppress(NotFound):
            try:
                await self._engine.call(
                    lambda api: api.stop(container, timeout=seconds), deadline=seconds + REMOVE_DEADLINE
                )
            except NotFound:
                raise
            except APIError as error:
                raise RuntimeFailure(
                    "stop", "stop-failed", f"The container could not be stopped: {explain(error)}"
                ) from error

    async def remove(self, container: str) -> None:
        """Remove a container and wait until it is gone, also when somebody else is removing it."""
        try:
            await self._engine.call(lambda api: api.remove_container(container, force=True, v=True))
        except NotFound:
            return
        except APIError as error:
            if error.status_code != _CONFLICT:  # a removal is under way
                raise RuntimeFailure(
                    "stop", "remove-failed", f"The container could not be removed: {explain(error)}"
                ) from error
            deadline = asyncio.get_running_loop().time() + REMOVE_DEADLINE
            while await self._exists(container):
                if asyncio.get_running_loop().time() > deadline:
                    raise RuntimeFailure(
                        "stop", "remove-failed", "The engine has begun to remove the container and does not finish."
                    ) from error
                await asyncio.sleep(0.05)

    async def _exists(self, container: str) -> bool:
        try:
            await self._engine.call(lambda api: api.inspect_container(container))
        except NotFound:
            return False
        return True


@contextlib.contextmanager
def unless_it_goes_away() -> Iterator[None]:
    """Read from a container that may be removed meanwhile: the engine then says 404, or 409 while it is at it."""
    try:
        yield
    except APIError as error:
        if error.status_code not in {404, _CONFLICT}:
            raise refused(error) from error


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Call the engine: an answer that no step expects is a failure that people can be told about."""
    try:
        yield
    except APIError as error:
        raise refused(error) from error


def refused(error: APIError) -> RuntimeFailure:
    """The failure for an answer of the engine that no step expects."""
    return RuntimeFailure("engine", "engine-error", f"The Docker engine refused: {explain(error)}")
