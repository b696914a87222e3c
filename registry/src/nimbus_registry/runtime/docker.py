"""The docker runtime: one hardened container, on a network of its own, for each plugin."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

import structlog
from docker.errors import APIError
from nimbus_sdk.contracts.archive import Source
from nimbus_sdk.contracts.control import LogLine

from nimbus_registry.runtime.base import (
    CoreReach,
    FetchedImage,
    LayerReport,
    Leftover,
    Observation,
    PluginSpec,
    Prepared,
    Report,
    RuntimeEvent,
    RuntimeFailure,
    Stats,
    UnusedImage,
)
from nimbus_registry.runtime.build_log import BuildLog
from nimbus_registry.runtime.containers import Containers, refusals, unless_it_goes_away
from nimbus_registry.runtime.docker_core_call import CoreCaller
from nimbus_registry.runtime.docker_engine import Engine, together
from nimbus_registry.runtime.docker_logs import container_log
from nimbus_registry.runtime.docker_observe import container_of, container_stats, hint_of, label, observation
from nimbus_registry.runtime.docker_stream import StreamClient
from nimbus_registry.runtime.fetch import Fetcher
from nimbus_registry.runtime.hints import Hints
from nimbus_registry.runtime.images import Images
from nimbus_registry.runtime.log_stream import FOLLOW_SECONDS, MAX_TAIL, BuildLogFollower
from nimbus_registry.runtime.networks import Networks, network_ids
from nimbus_registry.runtime.spec import (
    LABEL_INSTANCE,
    LABEL_PLUGIN,
    LABEL_ROLE,
    LABEL_SPEC_HASH,
    ROLE_GATEWAY,
    ROLE_PLUGIN,
    SLOTS,
    Names,
    container_options,
)
from nimbus_registry.runtime.volume_archives import VolumeArchives
from nimbus_registry.runtime.volumes import Volumes

log = structlog.get_logger(__name__)

REPLACE_GRACE: Final = 10.0
RECONNECT_SECONDS: Final = 5.0


class DockerRuntime:
    """Runs plugins as containers of one Docker engine.

    Args:
        instance: names and labels everything that is made.
        data_dir: `plugins/<id>/build.log` below it keeps what builds and pulls say.
        host: address of the engine; None takes DOCKER_HOST or the usual socket.
        pool: what plugin networks are cut from.
        helper_image: image of the volume helper; None finds one.
        build_args: build arguments for images that are made from plugin folders.
        credentials: a Docker `config.json` with logins of private registries.
    """

    name = "docker"
    isolation_notice: str | None = None
    side_by_side = True

    def __init__(
        self,
        instance: str,
        data_dir: Path,
        *,
        host: str | None,
        pool: IPv4Network,
        helper_image: str | None = None,
        build_args: Mapping[str, str] | None = None,
        credentials: Path | None = None,
    ) -> None:
        self._instance = instance
        self._data_dir = data_dir
        self._engine = Engine(host)
        self._images = Images(self._engine, instance, build_args or {}, credentials)
        self._fetcher = Fetcher(self._engine, self._images, instance)
        self._containers = Containers(self._engine, instance)
        self._networks = Networks(self._engine, instance, pool)
        self._volumes = Volumes(self._engine, helper_image)
        self._archives = VolumeArchives(self._engine, self._volumes)
        self._core_caller = CoreCaller(self._engine, self._volumes.helper_image)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._hints = Hints()
        self._events: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and listen to the engine's events."""
        await self._engine.open()
        connected = asyncio.Event()
        self._events = asyncio.create_task(self._listen(connected), name="engine-events")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECONNECT_SECONDS):
                await connected.wait()

    async def close(self) -> None:
        """Let go of the engine; containers keep running."""
        if self._events is not None:
            self._events.cancel()
            await asyncio.wait({self._events})
            self._events = None
        self._hints.close()
        self._engine.close()

    def _names(self, plugin_id: str, slot: int = 0) -> Names:
        return Names(self._instance, plugin_id, slot)

    def _build_log(self, plugin_id: str) -> Path:
        return self._data_dir / "plugins" / plugin_id / "build.log"

    async def fetch(self, reference: str, report: LayerReport, *, always: bool) -> FetchedImage:
        """Have an image here and read its manifest. See `Runtime.fetch`."""
        with refusals():
            return await self._fetcher.fetch(reference, report, always=always)

    async def ensure(self, spec: PluginSpec, secrets: Mapping[str, str], report: Report) -> None:
        """Have exactly one container of the spec. See `Runtime.ensure`."""
        async with self._locks[spec.plugin_id]:
            with refusals():
                await self._ensure(spec, secrets, report)

    async def _ensure(self, spec: PluginSpec, secrets: Mapping[str, str], report: Report) -> None:
        names = self._names(spec.plugin_id, spec.slot)
        present = await self._containers.own(names)
        if present is not None and is_run_of(present, spec, names):
            await self._networks.link(await self._networks.ensure(names, egress=False))
            return
        image, network, egress, _ = await together(
            self._images.resolve(spec, BuildLog(self._build_log(spec.plugin_id)), report),
            self._networks.ensure(names, egress=False),
            self._egress(spec, names),
            self._volumes.check_own(names),
        )
        report("starting", "")
        options = container_options(
            spec,
            self._instance,
            image=image.pin,
            secrets=secrets,
            image_volumes=image.volumes,
            image_labels=image.labels,
        )
        if present is not None:  # only what can be replaced is stopped
            await self._containers.stop(present["Id"], REPLACE_GRACE)
            await self._containers.remove(present["Id"])
        container, _ = await together(self._containers.create(names, options), self._networks.link(network))
        if egress is not None:
            await self._networks.connect(egress, container)
        if spec.data:
            await self._volumes.hand_over(names, container, image.pin)
        await self._containers.start(container)

    async def _egress(self, spec: PluginSpec, names: Names) -> str | None:
        return await self._networks.ensure(names, egress=True) if spec.egress else None

    async def stop(self, plugin_id: str, grace: float, slot: int | None = None) -> None:
        """Ask the plugin to end, kill it after `grace` seconds."""
        async with self._locks[plugin_id]:
            for container in await self._containers.listed(plugin_id, slot):
                await self._containers.stop(container["Id"], grace)

    async def remove(self, plugin_id: str, slot: int | None = None) -> None:
        """Remove the plugin's containers, and its networks unless only one slot is meant; its volume stays."""
        async with self._locks[plugin_id]:
            own = await self._containers.listed(plugin_id, slot)
            with refusals():
                await together(*(self._containers.remove(container["Id"]) for container in own))
                if slot is None:
                    await self._networks.remove_all(plugin_id)

    async def link(self, plugin_id: str) -> None:
        """Connect gateway containers that are not on the plugin's network, and the plugin when it fell off it."""
        names = self._names(plugin_id)
        async with self._locks[plugin_id]:
            with refusals():
                runs = [await self._containers.own(self._names(plugin_id, slot)) for slot in SLOTS]
                if not any(runs):
                    return
                network = await self._networks.ensure(names, egress=False)
                await self._networks.link(network)
                for facts in runs:
                    if facts is not None and names.network not in (facts["NetworkSettings"]["Networks"] or {}):
                        await self._networks.connect(network, facts["Id"])

    async def observe(self) -> list[Observation]:
        """Every plugin that has a container which was started."""
        listed, details = await self._containers.inspected()
        gateways = [
            network_ids(entry)
            for entry in listed
            if entry["Labels"].get(LABEL_ROLE) == ROLE_GATEWAY and entry["State"] == "running"
        ]
        return [observation(self._instance, facts, gateways) for facts in details]

    async def observe_leftovers(self, known: frozenset[str]) -> list[Leftover]:
        """Containers and networks of plugins that are not known."""
        labels = {"label": [f"{LABEL_INSTANCE}={self._instance}", LABEL_PLUGIN]}
        with refusals():
            networks = await self._engine.call(lambda api: api.networks(filters=labels))
        found = [
            Leftover("container", str(entry["Names"][0]).lstrip("/"), entry["Labels"][LABEL_PLUGIN])
            for entry in await self._containers.listed()
        ] + [Leftover("network", network["Name"], network["Labels"][LABEL_PLUGIN]) for network in networks]
        return [leftover for leftover in found if leftover.plugin_id not in known]

    async def logs(
        self, plugin_id: str, *, tail: int, follow: bool, slot: int | None = None
    ) -> AsyncIterator[LogLine]:
        """Lines of the last build, then what the container prints; a followed log goes on over restarts."""
        build = BuildLogFollower(self._build_log(plugin_id))
        count = max(0, min(tail, MAX_TAIL))
        lines = await asyncio.to_thread(build.fresh)
        container = await self._container_id(plugin_id, slot)
        if container is not None:
            read = partial(container_log, container=container, tail=max(count, 1), follow=False)
            with unless_it_goes_away():
                lines += await self._engine.call(lambda api: list(read(api)))
        last = next((line.at for line in reversed(lines) if line.stream != "build"), None)
        for line in lines[len(lines) - min(count, len(lines)) :]:
            yield line
        while follow:
            if container is not None:
                async with contextlib.aclosing(self._follow(container, last)) as printed:
                    async for line in printed:
                        last = line.at
                        yield line
            await asyncio.sleep(FOLLOW_SECONDS)
            for line in await asyncio.to_thread(build.fresh):
                yield line
            container = await self._container_id(plugin_id, slot)

    async def _follow(self, container: str, since: str | None) -> AsyncGenerator[LogLine, None]:
        """New lines of a container until it ends or goes away."""

        def start(client: StreamClient) -> Iterator[LogLine]:
            return container_log(client, container, tail=None, follow=True, since=since)

        with unless_it_goes_away():
            async with contextlib.aclosing(self._engine.stream(start)) as lines:
                async for line in lines:
                    yield line

    async def _container_id(self, plugin_id: str, slot: int | None = None) -> str | None:
        """The container of a slot; of any, the one that has run longest: during an upgrade that is what serves."""
        runs = [
            entry
            for entry in await self._containers.listed(plugin_id, slot)
            if entry["Labels"].get(LABEL_ROLE) == ROLE_PLUGIN and entry["State"] != "created"
        ]
        runs.sort(key=lambda entry: (entry["State"] != "running", entry["Created"]))
        return str(runs[0]["Id"]) if runs else None

    async def stats(self, plugin_id: str, slot: int | None = None) -> Stats | None:
        """CPU, memory and network use of the plugin's container."""
        container = await self._container_id(plugin_id, slot)
        if container is None:
            return None
        try:
            facts = await self._engine.call(lambda api: api.stats(container, stream=False, one_shot=True))
        except APIError:
            return None
        return container_stats(facts)

    async def data_sizes(self) -> Mapping[str, int]:
        """Bytes in each plugin's data volume, as the engine counts them."""
        with refusals():
            return await self._volumes.sizes(self._instance)

    async def data_copies(self) -> Mapping[str, frozenset[str]]:
        """Names of the copies of each plugin's data volume."""
        with refusals():
            return await self._volumes.copies(self._instance)

    async def prepared(self, spec: PluginSpec) -> Prepared:
        """Whether the plugin's image is here."""
        return await self._images.prepared(spec)

    async def reach_core(self, run: Observation, url: str) -> CoreReach:
        """Call the core from the network of the plugin's container."""
        return await self._core_caller.call(self._names(run.plugin_id, run.slot), url)

    async def unused_images(self, needed: frozenset[str]) -> list[UnusedImage]:
        """Images that were built here and that neither a plugin nor a container needs."""
        return await self._images.unused(needed)

    async def remove_image(self, image_id: str) -> None:
        """Remove an image that was built here."""
        await self._images.remove(image_id)

    def watch(self) -> AsyncIterator[RuntimeEvent]:
        """Hints as they come, until closed."""
        return self._hints.listen()

    async def _listen(self, connected: asyncio.Event) -> None:
        """Turn the engine's events into hints, over lost connections."""
        wanted = {"type": "container", "label": f"{LABEL_INSTANCE}={self._instance}"}

        def start(client: StreamClient) -> Iterator[dict[str, Any]]:
            stream: Iterator[dict[str, Any]] = client.events(decode=True, filters=wanted)
            loop.call_soon_threadsafe(connected.set)
            return stream

        loop = asyncio.get_running_loop()
        while True:
            try:
                async with contextlib.aclosing(self._engine.stream(start)) as events:
                    async for event in events:
                        self._containers.changed(container_of(event))
                        hint = hint_of(event)
                        if hint is not None:
                            self._hints.send(hint)
            except (RuntimeFailure, APIError) as error:
                log.warning("engine.events_lost", reason=str(error))
            await asyncio.sleep(RECONNECT_SECONDS if not connected.is_set() else FOLLOW_SECONDS)
            connected.clear()
            self._containers.all_changed()  # what happened meanwhile was not told
            self._hints.send(RuntimeEvent("", "gateway-changed"))

    async def snapshot(self, plugin_id: str, name: str, image: str | None) -> None:
        """Copy the plugin's data volume."""
        async with self._locks[plugin_id]:
            with refusals():
                await self._volumes.snapshot(self._names(plugin_id), name, image)

    async def restore(self, plugin_id: str, name: str, image: str | None) -> None:
        """Make a copy the plugin's data volume again."""
        async with self._locks[plugin_id]:
            with refusals():
                await self._volumes.restore(self._names(plugin_id), name, image)

    async def drop_snapshot(self, plugin_id: str, name: str) -> None:
        """Delete a copy of the plugin's data volume."""
        async with self._locks[plugin_id]:
            with refusals():
                await self._volumes.drop_snapshot(self._names(plugin_id), name)

    def export_copy(
        self, plugin_id: str, name: str, image: str | None, *, most_bytes: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """A copy of the data as an archive."""
        return self._archives.export(self._names(plugin_id), name, image, most_bytes)

    async def import_copy(
        self, plugin_id: str, name: str, source: Source, image: str | None, *, most_bytes: int | None = None
    ) -> None:
        """Make a copy from an archive."""
        await self._archives.take_in(self._names(plugin_id), name, source, image, most_bytes)

    async def purge_data(self, plugin_id: str) -> None:
        """Delete the plugin's data volume and every copy of it."""
        async with self._locks[plugin_id]:
            with refusals():
                await self._volumes.remove(self._names(plugin_id))


def is_run_of(facts: Mapping[str, Any], spec: PluginSpec, names: Names) -> bool:
    """Whether a container runs exactly this spec and is still on its network."""
    return (
        bool(facts["State"]["Running"])
        and label(facts, LABEL_SPEC_HASH) == spec.spec_hash
        and names.network in (facts["NetworkSettings"]["Networks"] or {})
    )
