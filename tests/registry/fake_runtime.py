"""A runtime in memory, for tests of the reconciler: it does as it is told, and lets a test break things."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from nimbus_registry.runtime.base import (
    CoreReach,
    ExitStatus,
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
from nimbus_registry.runtime.data_archive import of_folder, unpack
from nimbus_sdk.contracts.archive import Source
from nimbus_sdk.contracts.control import LogLine
from nimbus_sdk.contracts.jobs import PullLayer
from nimbus_sdk.contracts.snapshot import Upstream


@dataclass
class Engine:
    """What outlives the registry: the runs and what they were given."""

    runs: dict[str, Observation] = field(default_factory=dict)
    secrets: dict[str, Mapping[str, str]] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=lambda: {"somebody-elses-container"})
    leftovers: set[str] = field(default_factory=set)
    started: int = 0
    data: dict[str, str] = field(default_factory=dict)
    snapshots: dict[tuple[str, str], str] = field(default_factory=dict)


class FakeRuntime:
    name = "fake"
    isolation_notice = None
    side_by_side = True

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.failures: dict[str, RuntimeFailure] = {}
        self.exits_at_once: dict[str, ExitStatus] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.building: set[str] = set()
        self.stop_gates: dict[str, asyncio.Event] = {}
        self.down: RuntimeFailure | None = None
        self.calls: Counter[str] = Counter()
        self.overlaps: list[str] = []
        self._events: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._acting: set[str] = set()
        self.built: list[UnusedImage] = []
        self.images_in_use: set[str] = set()
        self.used: dict[str, Stats] = {}
        self.sizes: dict[str, int] = {}
        self.images: dict[str, Prepared] = {}
        self.reach: dict[str, CoreReach] = {}
        self.lines: dict[str, list[str]] = {}
        self.images: dict[str, FetchedImage] = {}
        self.pull_gate: asyncio.Event | None = None
        self.snapshot_failure: RuntimeFailure | None = None
        self.broken_images: dict[str, ExitStatus] = {}
        self.specs: dict[str, PluginSpec] = {}
        self.poison: str | None = None

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def _check(self, call: str) -> None:
        self.calls[call] += 1
        if self.down is not None:
            raise self.down

    async def fetch(self, reference: str, report: LayerReport, *, always: bool) -> FetchedImage:
        self._check("fetch")
        report(PullLayer(id="aaa", status="Downloading", current=5, total=10))
        if self.pull_gate is not None:
            await self.pull_gate.wait()
        if reference not in self.images:
            raise RuntimeFailure("image", "image-missing", f"The image {reference} could not be pulled.", hint="Hm.")
        return self.images[reference]

    async def ensure(self, spec: PluginSpec, secrets: Mapping[str, str], report: Report) -> None:
        self._check("ensure")
        plugin_id = spec.plugin_id
        if plugin_id in self._acting:
            self.overlaps.append(plugin_id)
        self._acting.add(plugin_id)
        self.engine.leftovers.add(plugin_id)
        try:
            gate = self.gates.get(plugin_id)
            if gate is not None:
                self.building.add(plugin_id)
                report("building", "step 1")
                report("building", "step 2")
                await gate.wait()
                self.building.discard(plugin_id)
            await asyncio.sleep(0)
            if plugin_id in self.failures:
                raise self.failures[plugin_id]
            report("starting", "")
            key = run_key(plugin_id, spec.slot)
            run = self.engine.runs.get(key)
            if run is not None and run.phase == "running" and run.spec_hash == spec.spec_hash:
                return
            self.engine.started += 1
            self.specs[key] = spec
            ends = self.broken_images.get(spec.image or "", self.exits_at_once.get(plugin_id))
            if self.poison is not None and self.poison in self.engine.data.get(plugin_id, ""):
                ends = ExitStatus(code=1)
            if spec.data:
                self.engine.data[plugin_id] = f"{self.engine.data.get(plugin_id, '')}{spec.version};"
            self.engine.secrets[plugin_id] = dict(secrets)
            self.engine.runs[key] = Observation(
                plugin_id=plugin_id,
                slot=spec.slot,
                image=f"sha256:{spec.version}",
                phase="exited" if ends else "running",
                spec_hash=spec.spec_hash,
                run_id=f"run-{self.engine.started}",
                upstream=None if ends else Upstream(host="127.0.0.1", port=10_000 + self.engine.started),
                exit=ends,
            )
        finally:
            self._acting.discard(plugin_id)

    async def stop(self, plugin_id: str, grace: float, slot: int | None = None) -> None:
        self._check("stop")
        if plugin_id in self.stop_gates:
            await self.stop_gates[plugin_id].wait()
        for key in run_keys(plugin_id, slot):
            run = self.engine.runs.get(key)
            if run is not None and run.phase == "running":
                self._end(key, ExitStatus(code=0))

    async def remove(self, plugin_id: str, slot: int | None = None) -> None:
        self._check("remove")
        for key in run_keys(plugin_id, slot):
            self.engine.runs.pop(key, None)
        if slot is None:
            self.engine.secrets.pop(plugin_id, None)
            self.engine.leftovers.discard(plugin_id)

    async def link(self, plugin_id: str) -> None:
        self._check("link")
        run = self.engine.runs[plugin_id]
        self.engine.runs[plugin_id] = Observation(plugin_id, run.phase, run.spec_hash, run.run_id, run.upstream)

    async def observe(self) -> list[Observation]:
        self._check("observe")
        return list(self.engine.runs.values())

    async def observe_leftovers(self, known: frozenset[str]) -> list[Leftover]:
        self._check("observe_leftovers")
        return [Leftover("network", name, name) for name in sorted(self.engine.leftovers - known)]

    async def logs(
        self, plugin_id: str, *, tail: int, follow: bool, slot: int | None = None
    ) -> AsyncIterator[LogLine]:
        self._check("logs")
        for number, text in enumerate(self.lines.get(plugin_id, [])[-tail:] if tail else []):
            yield LogLine(cursor=str(number), stream="stdout", text=text)

    async def stats(self, plugin_id: str, slot: int | None = None) -> Stats | None:
        self._check("stats")
        run = self.engine.runs.get(plugin_id)
        return self.used.get(plugin_id) if run is not None and run.phase == "running" else None

    async def data_sizes(self) -> Mapping[str, int]:
        self._check("data_sizes")
        return self.sizes

    async def data_copies(self) -> Mapping[str, frozenset[str]]:
        self._check("data_copies")
        names: dict[str, set[str]] = {}
        for plugin_id, name in self.engine.snapshots:
            names.setdefault(plugin_id, set()).add(name)
        return {plugin_id: frozenset(found) for plugin_id, found in names.items()}

    async def prepared(self, spec: PluginSpec) -> Prepared:
        self._check("prepared")
        return self.images.get(spec.plugin_id, Prepared(ready=True, message=f"The image {spec.image} is here."))

    async def unused_images(self, needed: frozenset[str]) -> list[UnusedImage]:
        self._check("unused_images")
        return [image for image in self.built if image.name not in needed]

    async def remove_image(self, image_id: str) -> None:
        self._check("remove_image")
        if image_id in self.images_in_use:
            raise RuntimeFailure("image", "image-in-use", "A container uses it.")
        self.built = [image for image in self.built if image.id != image_id]

    async def reach_core(self, run: Observation, url: str) -> CoreReach:
        self._check("reach_core")
        return self.reach.get(run.plugin_id, CoreReach(ok=True, url=url))

    async def watch(self) -> AsyncIterator[RuntimeEvent]:
        while True:
            yield await self._events.get()

    async def snapshot(self, plugin_id: str, name: str, image: str | None) -> None:
        self._check("snapshot")
        assert all(
            self.engine.runs[key].phase == "exited" for key in run_keys(plugin_id, None) if key in self.engine.runs
        )
        if self.snapshot_failure is not None:
            raise self.snapshot_failure
        self.engine.snapshots[plugin_id, name] = self.engine.data.get(plugin_id, "")

    async def restore(self, plugin_id: str, name: str, image: str | None) -> None:
        self._check("restore")
        assert not any(key in self.engine.runs for key in run_keys(plugin_id, None))
        self.engine.data[plugin_id] = self.engine.snapshots[plugin_id, name]

    async def drop_snapshot(self, plugin_id: str, name: str) -> None:
        self._check("drop_snapshot")
        self.engine.snapshots.pop((plugin_id, name), None)

    async def export_copy(
        self, plugin_id: str, name: str, image: str | None, *, most_bytes: int | None = None
    ) -> AsyncIterator[bytes]:
        self._check("export_copy")
        with TemporaryDirectory() as folder:
            (Path(folder) / "notes.txt").write_text(self.engine.snapshots[plugin_id, name])
            for piece in of_folder(Path(folder), most_bytes):
                yield piece

    async def import_copy(
        self, plugin_id: str, name: str, source: Source, image: str | None, *, most_bytes: int | None = None
    ) -> None:
        self._check("import_copy")
        with TemporaryDirectory() as folder:
            await asyncio.to_thread(unpack, source, Path(folder) / "data", most_bytes)
            self.engine.snapshots[plugin_id, name] = (Path(folder) / "data" / "notes.txt").read_text()

    async def purge_data(self, plugin_id: str) -> None:
        self._check("purge_data")
        self.engine.data.pop(plugin_id, None)
        for key in [key for key in self.engine.snapshots if key[0] == plugin_id]:
            del self.engine.snapshots[key]

    def crash(self, plugin_id: str, status: ExitStatus) -> None:
        """The plugin ends by itself, and the engine tells."""
        self._end(plugin_id, status)
        self._events.put_nowait(RuntimeEvent(plugin_id, "exited"))

    def vanish(self, plugin_id: str) -> None:
        """Somebody removes the plugin's container from outside."""
        del self.engine.runs[plugin_id]
        self._events.put_nowait(RuntimeEvent(plugin_id, "removed"))

    def unlink(self, plugin_id: str) -> None:
        """The gateway's containers were recreated."""
        run = self.engine.runs[plugin_id]
        self.engine.runs[plugin_id] = Observation(
            plugin_id, run.phase, run.spec_hash, run.run_id, run.upstream, linked=False
        )
        self._events.put_nowait(RuntimeEvent(plugin_id, "gateway-changed"))

    def _end(self, key: str, status: ExitStatus) -> None:
        run = self.engine.runs[key]
        self.engine.runs[key] = replace(run, phase="exited", upstream=None, exit=status)


def run_key(plugin_id: str, slot: int) -> str:
    """Under which a run is kept: the plugin's id, with the slot when it is the second."""
    return f"{plugin_id}.{slot}" if slot else plugin_id


def run_keys(plugin_id: str, slot: int | None) -> list[str]:
    """The keys that a call with a slot, or without one, is about."""
    return [run_key(plugin_id, one) for one in (0, 1) if slot in (None, one)]
