"""What the conformance suite needs of each runtime, beside the runtime itself."""

import asyncio
import os
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from nimbus_registry.runtime.base import Observation, PluginSpec, ResourceLimits, Runtime
from nimbus_registry.runtime.process import ProcessRuntime
from nimbus_registry.runtime.spec import spec_hash
from nimbus_sdk.contracts.snapshot import Upstream

T = TypeVar("T")

SERVER = Path(__file__).parent / "plugin"
SECRETS = {"NIMBUS_PLUGIN_TOKEN": "a-secret-token"}
DEADLINE = 30.0


def reported(stages: list[tuple[str, str]]):
    return lambda stage, line: stages.append((stage, line))


def silent(_stage: str, _line: str) -> None:
    """A report that nobody reads."""


async def eventually(condition: Callable[[], Awaitable[T]], deadline: float = DEADLINE) -> T:
    """The first true answer of a condition."""
    end = time.monotonic() + deadline
    error: Exception | None = None
    while time.monotonic() < end:
        try:
            answer = await condition()
            if answer:
                return answer
        except (OSError, AssertionError) as caught:
            error = caught
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {deadline} s: {condition}") from error


class Harness(Protocol):
    name: str

    def runtime(self) -> Runtime: ...
    def spec(self, plugin_id: str = "sample", behaviour: str = "serve", **changes: object) -> PluginSpec: ...
    async def fetch(self, upstream: Upstream, path: str = "/") -> bytes: ...
    async def residue(self, plugin_id: str) -> list[str]:
        """What is left of a plugin besides its data."""
        ...


def make_spec(plugin_id: str, behaviour: str, environment: Mapping[str, str], **changes: object) -> PluginSpec:
    spec = PluginSpec(
        plugin_id=plugin_id,
        version="1.0.0",
        image=None,
        command=None,
        port=8000,
        limits=ResourceLimits(memory=128 * 1024**2, cpus=1.0, pids=64),
        environment={
            "NIMBUS_PLUGIN_ID": plugin_id,
            "NIMBUS_CORE_URL": "http://nimbus-core:8081",
            "NIMBUS_BASE_PATH": f"/api/plugins/{plugin_id}",
            "BEHAVIOUR": behaviour,
            **environment,
        },
        data=False,
        egress=False,
    )
    spec = replace(spec, **changes)
    return replace(spec, spec_hash=spec_hash(spec))


class ProcessHarness:
    name = "process"

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def runtime(self) -> ProcessRuntime:
        return ProcessRuntime(self.data_dir)

    def spec(self, plugin_id: str = "sample", behaviour: str = "serve", **changes: object) -> PluginSpec:
        changes = {"command": ("python3", "server.py"), "source_dir": SERVER, **changes}
        return make_spec(plugin_id, behaviour, {}, **changes)

    async def fetch(self, upstream: Upstream, path: str = "/") -> bytes:
        def get() -> bytes:
            url = f"http://{upstream.host}:{upstream.port}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read()

        return await asyncio.to_thread(get)

    async def residue(self, plugin_id: str) -> list[str]:
        folder = self.data_dir / "plugins" / plugin_id
        found = [name for name in ("run.json", "tmp") if (folder / name).exists()]
        return found + [f"process {pid}" for pid in processes_of(folder)]


def processes_of(folder: Path) -> list[int]:
    """Processes whose environment names a plugin's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if str(folder).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


async def observed(runtime: Runtime, plugin_id: str = "sample") -> Observation | None:
    for observation in await runtime.observe():
        if observation.plugin_id == plugin_id:
            return observation
    return None


async def running(runtime: Runtime, plugin_id: str = "sample") -> Observation:
    async def check() -> Observation | None:
        observation = await observed(runtime, plugin_id)
        assert observation is None or observation.phase == "running", observation
        return observation

    return await eventually(check)


async def exited(runtime: Runtime, plugin_id: str = "sample") -> Observation:
    async def check() -> Observation | None:
        observation = await observed(runtime, plugin_id)
        return observation if observation is not None and observation.phase == "exited" else None

    return await eventually(check)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
