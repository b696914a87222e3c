"""The process runtime: a plugin as a child process on a loopback port.

Every plugin has a keeper (see `keeper`), which outlives the registry, holds the lock of the run and records its end.
So a run is adopted after a restart by looking at its lock, and its exit is seen at once through a pidfd, no matter
which registry started it.
"""

import asyncio
import json
import os
import re
import secrets as random
import shutil
import signal
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import structlog
from nimbus_sdk.contracts.archive import Source
from nimbus_sdk.contracts.base import PLUGIN_ID_PATTERN
from nimbus_sdk.contracts.control import LogLine

from nimbus_registry.runtime import core_call, keeper
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
from nimbus_registry.runtime.core_reach import reach_of
from nimbus_registry.runtime.data_folder import DataFolder
from nimbus_registry.runtime.hints import Hints
from nimbus_registry.runtime.log_stream import FOLLOW_SECONDS, MAX_TAIL, BuildLogFollower
from nimbus_registry.runtime.output_log import OutputReader
from nimbus_registry.runtime.process_environment import process_environment
from nimbus_registry.runtime.process_run import ProcessRun
from nimbus_registry.runtime.process_start import checked, program, spawn
from nimbus_registry.runtime.run_state import PluginFolder, RunRecord
from nimbus_registry.runtime.settled import settled
from nimbus_registry.runtime.source_copies import SourceCopies
from nimbus_registry.runtime.virtualenv import ensure_virtualenv, has_virtualenv, remove_other_environments

log = structlog.get_logger(__name__)

LOG_BYTES: Final = 4 * 1024**2
REPLACE_GRACE: Final = 10.0
KILL_TIMEOUT: Final = 3.0
ADOPT_TIMEOUT: Final = 3.0

ISOLATION_NOTICE: Final = (
    "Plugins run as ordinary processes of this user: they are not kept apart, can read each other's files and secrets"
    " and reach the network freely. Memory is watched, CPU and the number of processes are not limited."
    " Use the docker runtime for plugins that you do not trust."
)


class ProcessRuntime:
    """Runs plugins as child processes below one data folder.

    Args:
        data_dir: `plugins/<id>` below it holds each plugin's data, environment, log and run record.
        sdk_source: folder or wheel of the SDK for the plugins' environments.
    """

    name = "process"
    isolation_notice: str | None = ISOLATION_NOTICE
    side_by_side = False

    def __init__(self, data_dir: Path, *, sdk_source: Path | None = None) -> None:
        self._data_dir = data_dir.resolve()
        self._sdk_source = sdk_source.resolve() if sdk_source else None
        self._runs: dict[str, ProcessRun] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._hints = Hints()
        self._recent_ports: list[int] = []

    async def open(self) -> None:
        """Adopt what is already running, and what has ended meanwhile."""
        (self._data_dir / "plugins").mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted((self._data_dir / "plugins").iterdir()):
            if re.match(PLUGIN_ID_PATTERN, path.name) and self._folder(path.name).lock.exists():
                await self._adopt(self._folder(path.name))
        log.warning("runtime.isolation", runtime=self.name, notice=self.isolation_notice)

    async def _adopt(self, folder: PluginFolder) -> ProcessRun | None:
        """Take over the run that is recorded in a folder, if there is one."""
        running = folder.is_running()
        record = folder.read_record()
        deadline = asyncio.get_running_loop().time() + ADOPT_TIMEOUT
        # A registry may have been killed between starting the keeper and the keeper's record.
        while running and (record is None or not record.keeper.is_same()):
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeFailure(
                    "start",
                    "run-locked",
                    f"Another process holds {folder.lock} but recorded no run.",
                    hint="Is a second Nimbus using this data folder? Stop it, then start again.",
                )
            await asyncio.sleep(0.02)
            running, record = folder.is_running(), folder.read_record()
        if record is None:
            return None
        return self._follow(folder, record)

    def _follow(self, folder: PluginFolder, record: RunRecord) -> ProcessRun:
        previous = self._runs.get(folder.plugin_id)
        if previous is not None:
            previous.release()
        run = ProcessRun(folder, record, on_end=self._ended)
        self._runs[folder.plugin_id] = run
        run.follow()
        return run

    def _ended(self, run: ProcessRun) -> None:
        self._hints.send(RuntimeEvent(run.plugin_id, "exited"))

    async def close(self) -> None:
        """Let go of every plugin; they keep running."""
        for run in self._runs.values():
            run.release()
        self._runs.clear()
        self._hints.close()

    def _folder(self, plugin_id: str) -> PluginFolder:
        return PluginFolder(self._data_dir, plugin_id)

    async def fetch(self, reference: str, report: LayerReport, *, always: bool) -> FetchedImage:  # noqa: ARG002
        """Refused: there are no images without an engine."""
        raise RuntimeFailure(
            "image",
            "no-engine",
            f"{reference} is an image, and this Nimbus runs plugins as processes.",
            hint="Put the plugin's folder into the plugins folder, or run Nimbus with NIMBUS_RUNTIME=docker.",
        )

    async def ensure(self, spec: PluginSpec, secrets: Mapping[str, str], report: Report) -> None:
        """Have exactly one run of the spec. See `Runtime.ensure`."""
        async with self._locks[spec.plugin_id]:
            try:
                await self._ensure(spec, secrets, report)
            except OSError as error:
                # Nothing that the plugin does: a full disk, a folder of another owner.
                raise RuntimeFailure(
                    "engine",
                    "files-failed",
                    f"The plugin's files could not be prepared: {error}.",
                    hint=f"Look at the space and the permissions of {self._data_dir}; it is tried again by itself.",
                ) from error

    async def _ensure(self, spec: PluginSpec, secrets: Mapping[str, str], report: Report) -> None:
        run = self._runs.get(spec.plugin_id)
        if run is not None and run.is_running and run.record.spec_hash == spec.spec_hash:
            return
        live, command = checked(spec)
        folder = self._folder(spec.plugin_id)
        await asyncio.to_thread(folder.prepare, data=spec.data)
        copies = SourceCopies(folder.versions)
        source = await asyncio.to_thread(copies.source_of, spec.version, live)
        if source == live:
            try:
                await asyncio.to_thread(copies.keep, spec.version, live)
            except OSError as error:
                # The version runs all the same; only the way back to it is missing.
                log.warning("no copy of this version is kept", plugin=spec.plugin_id, error=str(error))
        virtualenv = await ensure_virtualenv(
            source, folder.environments, self._sdk_source, BuildLog(folder.build_log),
            lambda line: report("building", line),
        )  # fmt: skip
        if run is not None and run.is_running:
            await self._stop(run, REPLACE_GRACE)
        await asyncio.to_thread(remove_other_environments, folder.environments, virtualenv)
        report("starting", "")
        port, run_id = self._free_port(), random.token_hex(8)
        environment = process_environment(
            spec, secrets, os.environ,
            folder=folder, virtualenv=virtualenv, own_prefix=sys.prefix, port=port, run_id=run_id,
        )  # fmt: skip
        order: keeper.KeeperOrder = {
            "directory": str(folder.root),
            "run_id": run_id,
            "spec_hash": spec.spec_hash,
            "version": spec.version,
            "port": port,
            "argv": [program(command[0], source, environment["PATH"]), *command[1:]],
            "cwd": str(source),
            "environment": environment,
            "memory": spec.limits.memory,
            "log_bytes": LOG_BYTES,
        }
        await settled(self._start(folder, order))

    async def _start(self, folder: PluginFolder, order: keeper.KeeperOrder) -> None:
        record = await asyncio.to_thread(spawn, folder, order)
        self._follow(folder, record)
        self._hints.send(RuntimeEvent(folder.plugin_id, "started"))

    def _free_port(self) -> int:
        """A loopback port that nobody has, and that was not given out a moment ago."""
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in self._recent_ports:
                self._recent_ports = [*self._recent_ports[-31:], port]
                return port

    async def stop(self, plugin_id: str, grace: float, slot: int | None = None) -> None:  # noqa: ARG002 - one slot
        """Ask the plugin to end, kill it after `grace` seconds."""
        async with self._locks[plugin_id]:
            run = self._runs.get(plugin_id)
            if run is not None:
                await self._stop(run, grace)

    async def _stop(self, run: ProcessRun, grace: float) -> None:
        if await run.end(signal.SIGTERM, grace) or await run.end(signal.SIGKILL, KILL_TIMEOUT):
            return
        run.kill_all()
        if not await run.end(signal.SIGKILL, KILL_TIMEOUT):
            raise RuntimeFailure(
                "stop",
                "stop-failed",
                f"The processes of {run.plugin_id} could not be ended.",
                hint=f"Look at process {run.record.child.pid}; it may hang in the kernel on a disk or network mount.",
            )

    async def remove(self, plugin_id: str, slot: int | None = None) -> None:  # noqa: ARG002 - one slot
        """Kill the plugin and forget its run. Data, environments and logs stay."""
        async with self._locks[plugin_id]:
            run = self._runs.get(plugin_id)
            if run is not None:
                await self._stop(run, 0)
                run.release()
                del self._runs[plugin_id]
                self._hints.send(RuntimeEvent(plugin_id, "removed"))
            self._folder(plugin_id).forget()

    async def link(self, plugin_id: str) -> None:
        """Nothing to do: the gateway reaches loopback ports."""

    async def observe(self) -> list[Observation]:
        """Every plugin that has a run."""
        return [run.observation() for run in list(self._runs.values())]

    async def observe_leftovers(self, known: frozenset[str]) -> list[Leftover]:
        """Runs of plugins that are not known."""
        return [
            Leftover("process", f"{run.record.child.pid}", plugin_id)
            for plugin_id, run in list(self._runs.items())
            if plugin_id not in known
        ]

    async def logs(
        self,
        plugin_id: str,
        *,
        tail: int,
        follow: bool,
        slot: int | None = None,  # noqa: ARG002 - one slot
    ) -> AsyncIterator[LogLine]:
        """Lines of the last set-up, then what the plugin printed; the log goes on over restarts."""
        folder = self._folder(plugin_id)
        count = max(0, min(tail, MAX_TAIL))
        build, output = BuildLogFollower(folder.build_log), OutputReader(folder.output)
        try:
            printed = await asyncio.to_thread(output.tail, count)
            lines = [*await asyncio.to_thread(build.fresh), *printed]
            for line in lines[len(lines) - min(count, len(lines)) :]:
                yield line
            while follow:
                for line in await asyncio.to_thread(lambda: [*build.fresh(), *output.fresh()]):
                    yield line
                await asyncio.sleep(FOLLOW_SECONDS)
        finally:
            output.close()

    async def stats(self, plugin_id: str, slot: int | None = None) -> Stats | None:  # noqa: ARG002 - one slot only
        """CPU and memory of the plugin's whole process tree."""
        run = self._runs.get(plugin_id)
        if run is None or not run.is_running:
            return None
        return await asyncio.to_thread(run.stats)

    async def prepared(self, spec: PluginSpec) -> Prepared:
        """Whether the plugin's folder, and its Python environment when it needs one, are there."""
        try:
            live, _ = checked(spec)
            copies = SourceCopies(self._folder(spec.plugin_id).versions)
            source = await asyncio.to_thread(copies.source_of, spec.version, live)
        except RuntimeFailure as failure:
            return Prepared(ready=False, message=failure.message, hint=failure.hint)
        environments = self._folder(spec.plugin_id).environments
        if await asyncio.to_thread(has_virtualenv, source, environments, self._sdk_source):
            return Prepared(ready=True, message="The plugin's folder and what it needs are here.")
        run = self._runs.get(spec.plugin_id)
        if run is not None and run.is_running:  # in the one it was started with: its folder has changed since
            return Prepared(
                ready=True, message="It runs with what it needs. The next start makes its environment anew."
            )
        return Prepared(
            ready=False,
            message="The plugin's Python environment has not been made, or its pyproject.toml changed since.",
            hint="It is made at the next start; restart the plugin to try now.",
        )

    async def reach_core(self, run: Observation, url: str) -> CoreReach:  # noqa: ARG002 - the protocol's
        """Call the core from here: a plugin's process is on the same network."""
        return reach_of(url, json.dumps(await asyncio.to_thread(core_call.call_core, url)))

    async def unused_images(self, needed: frozenset[str]) -> list[UnusedImage]:  # noqa: ARG002 - the protocol's
        """None: there are no images here."""
        return []

    async def remove_image(self, image_id: str) -> None:
        """Nothing to do."""

    def watch(self) -> AsyncIterator[RuntimeEvent]:
        """Hints as they come, until closed."""
        return self._hints.listen()

    async def snapshot(self, plugin_id: str, name: str, image: str | None) -> None:  # noqa: ARG002 - no helpers
        """Copy the plugin's data."""
        await self._data(plugin_id).snapshot(name)

    async def restore(self, plugin_id: str, name: str, image: str | None) -> None:  # noqa: ARG002 - no helpers
        """Make a copy the plugin's data again."""
        await self._data(plugin_id).restore(name)

    async def drop_snapshot(self, plugin_id: str, name: str) -> None:
        """Delete a copy."""
        await self._data(plugin_id).drop(name)

    async def data_sizes(self) -> Mapping[str, int]:
        """Bytes in each plugin's data folder."""
        folders = await asyncio.to_thread(lambda: sorted((self._data_dir / "plugins").iterdir()))
        return {folder.name: await DataFolder(folder).size() for folder in folders}

    async def data_copies(self) -> Mapping[str, frozenset[str]]:
        """Names of the copies of each plugin's data folder."""
        folders = await asyncio.to_thread(lambda: sorted((self._data_dir / "plugins").iterdir()))
        return {folder.name: await DataFolder(folder).copies() for folder in folders}

    def export_copy(
        self,
        plugin_id: str,
        name: str,
        image: str | None,  # noqa: ARG002 - no helpers
        *,
        most_bytes: int | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """A copy of the data as an archive."""
        return self._data(plugin_id).export(name, most_bytes)

    async def import_copy(
        self,
        plugin_id: str,
        name: str,
        source: Source,
        image: str | None,  # noqa: ARG002 - no helpers
        *,
        most_bytes: int | None = None,
    ) -> None:
        """Make a copy from an archive."""
        await self._data(plugin_id).take_in(name, source, most_bytes)

    def _data(self, plugin_id: str) -> DataFolder:
        return DataFolder(self._folder(plugin_id).root)

    async def purge_data(self, plugin_id: str) -> None:
        """Delete the plugin's data."""
        async with self._locks[plugin_id]:
            run = self._runs.get(plugin_id)
            if run is not None and run.is_running:
                raise RuntimeFailure(
                    "stop",
                    "volume-in-use",
                    "The plugin's data cannot be deleted while it runs.",
                    hint="Disable the plugin first.",
                )
            await self._data(plugin_id).purge()
            await asyncio.to_thread(shutil.rmtree, self._folder(plugin_id).versions, ignore_errors=True)
