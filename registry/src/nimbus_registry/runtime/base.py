"""The protocol that every runtime implements, and the values that cross it.

A runtime does as it is told: it never decides to start, restart or stop anything by itself. It keeps no state of
its own that an observation could not rebuild, so that the registry may be killed at any point.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from nimbus_sdk.contracts.archive import Source
from nimbus_sdk.contracts.control import LogLine
from nimbus_sdk.contracts.jobs import PullLayer
from nimbus_sdk.contracts.snapshot import Hop, Upstream

Stage = Literal["building", "pulling", "starting"]
"""The stages of `Runtime.ensure` that a person sees as states."""

Report = Callable[[Stage, str], None]
"""Called from the event loop with a stage and one line of progress (a build or pull line, or empty)."""


class RuntimeFailure(Exception):  # noqa: N818 - it is what a runtime reports, not a programming error
    """A step of a runtime failed in a way that a person can be told about.

    Attributes:
        hop: the step that failed.
        code: stable code for `Reason.code`, e.g. `image-missing`, `build-failed`, `port-taken`.
        message: what happened, in words.
        hint: what to do about it.
        log_tail: the last lines of the build or of the plugin.
    """

    def __init__(
        self,
        hop: Hop,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        log_tail: list[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.hop = hop
        self.code = code
        self.message = message
        self.hint = hint
        self.log_tail = log_tail or []


LayerReport = Callable[[PullLayer], None]
"""Called from the event loop with each change of a layer that is pulled."""


@dataclass(frozen=True, slots=True)
class FetchedImage:
    """An image on this machine.

    Attributes:
        pin: always names the same bytes: its digest in a registry, else its id.
        manifest: the manifest that is in it, as JSON text; None when there is none.
    """

    pin: str
    manifest: bytes | None


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """Limits after the operator's maximum was applied. Memory in bytes, cpus in cores."""

    memory: int
    cpus: float
    pids: int


@dataclass(frozen=True, slots=True)
class PluginSpec:
    """What to run: made by one pure function from manifest and operator policy (`runtime.spec.plugin_spec`).

    `spec_hash` covers every other field except `source_dir`, `slot` and `rebuild`; a running plugin with another
    hash is replaced.
    `rebuild`: the image is made from the folder although there is one by that name.
    `ui_bundle` concerns no runtime, but its files are fetched while a plugin starts.
    """

    plugin_id: str
    version: str
    image: str | None
    command: tuple[str, ...] | None
    port: int
    limits: ResourceLimits
    environment: Mapping[str, str]
    data: bool
    egress: bool
    ui_bundle: str | None = None
    source_dir: Path | None = None
    spec_hash: str = ""
    slot: int = 0
    rebuild: bool = False


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a plugin ended. `signal` is set when a signal ended it."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """One plugin as the engine sees it right now.

    `run_id` differs between two starts of the same plugin; a plugin has two runs while it is upgraded, each in a
    slot of its own. `image` is the id of the image that it runs. `linked` is False when the gateway cannot reach it
    (its containers were recreated) and `Runtime.link` must be called. `egress` tells whether it has a way out; None
    where the runtime does not decide that.
    """

    plugin_id: str
    phase: Literal["running", "exited"]
    spec_hash: str
    run_id: str
    upstream: Upstream | None = None
    linked: bool = True
    exit: ExitStatus | None = None
    started_at: datetime | None = None
    slot: int = 0
    image: str | None = None
    egress: bool | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """Resource use of a running plugin. CPU is in seconds since its start, sizes in bytes."""

    cpu_seconds: float
    memory: int
    network_received: int | None = None
    network_sent: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Whether what a plugin is run from (an image, a Python environment) is there, as a sentence with a way out."""

    ready: bool
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class CoreReach:
    """What came of calling the core from the plugin's place. `hop` is `untried` when that is not possible here."""

    ok: bool
    url: str
    hop: Literal["dns", "connect", "http", "untried"] = "http"
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """A hint that something happened to a plugin; the next observation tells what."""

    plugin_id: str
    kind: Literal["started", "exited", "removed", "gateway-changed"]


@dataclass(frozen=True, slots=True)
class Leftover:
    """An object of this instance that no known plugin needs (found by `Runtime.observe_leftovers`)."""

    kind: Literal["container", "network", "process"]
    name: str
    plugin_id: str | None = field(default=None)


@dataclass(frozen=True, slots=True)
class UnusedImage:
    """An image that this instance built, that no container uses and nobody needs. Size in bytes."""

    id: str
    name: str
    size: int


class Runtime(Protocol):
    """A way to run plugins. Every method is idempotent and cancellable."""

    name: str
    isolation_notice: str | None
    """What this runtime does not isolate, as a sentence for log and dashboard; None when nothing is missing."""
    side_by_side: bool
    """Whether a plugin can have a run in each of two slots. Else everything is in slot 0."""

    async def open(self) -> None:
        """Connect and adopt what is already running. Raises RuntimeFailure when there is no engine."""

    async def close(self) -> None:
        """Let go without stopping any plugin."""

    async def fetch(self, reference: str, report: LayerReport, *, always: bool) -> FetchedImage:
        """Have an image on this machine and read the manifest in it.

        Args:
            reference: its name, with a tag or a digest.
            report: is told of each layer.
            always: look a tag up anew. A digest that is held is never pulled again.

        Raises:
            RuntimeFailure: hop `image`; this runtime has no images, or it cannot be had.
        """

    async def ensure(self, spec: PluginSpec, secrets: Mapping[str, str], report: Report) -> None:
        """Have exactly one run of `spec` in its slot: prepare, replace another spec's run or an exited run, start.

        A run of the same spec hash is left alone. Does not wait until it is healthy. `secrets` are environment
        variables that never take part in the hash and never appear in logs.

        Raises:
            RuntimeFailure: with the hop that failed.
        """

    async def stop(self, plugin_id: str, grace: float, slot: int | None = None) -> None:
        """Ask the plugin to end, kill it after `grace` seconds. Nothing happens when it is not running.

        Without a slot, every run of the plugin is meant, here and below.
        """

    async def remove(self, plugin_id: str, slot: int | None = None) -> None:
        """Stop at once and remove what the run used (container, network). Its data volume stays."""

    async def link(self, plugin_id: str) -> None:
        """Make the plugin reachable for every gateway container of this instance."""

    async def observe(self) -> list[Observation]:
        """Every plugin of this instance that has a run, whether running or exited."""

    async def observe_leftovers(self, known: frozenset[str]) -> list[Leftover]:
        """Objects of this instance whose plugin is not in `known`."""

    def logs(self, plugin_id: str, *, tail: int, follow: bool, slot: int | None = None) -> AsyncIterator[LogLine]:
        """Lines the plugin printed, oldest first, at most `tail` old ones, then new ones while `follow`.

        Includes the lines of the last image build or environment set-up when there was one.
        """

    async def stats(self, plugin_id: str, slot: int | None = None) -> Stats | None:
        """Resource use now, or None when it does not run."""

    async def data_sizes(self) -> Mapping[str, int]:
        """Bytes that each plugin of this instance keeps as its data, as far as that is known. May take its time.

        Raises:
            RuntimeFailure: the engine does not answer.
        """

    async def data_copies(self) -> Mapping[str, frozenset[str]]:
        """Names of the copies of each plugin's data.

        Raises:
            RuntimeFailure: the engine does not answer.
        """

    async def prepared(self, spec: PluginSpec) -> Prepared:
        """Whether a start would find what the plugin is run from; makes and fetches nothing."""

    async def reach_core(self, run: Observation, url: str) -> CoreReach:
        """Call the core from where a running plugin is, by the address that the plugin was given."""

    async def unused_images(self, needed: frozenset[str]) -> list[UnusedImage]:
        """Images that this instance built, besides those that are needed by name, digest or id."""

    async def remove_image(self, image_id: str) -> None:
        """Remove an image; one that a container uses stays, and is a RuntimeFailure."""

    def watch(self) -> AsyncIterator[RuntimeEvent]:
        """Hints as they come, until closed. Reconnects by itself."""

    async def snapshot(self, plugin_id: str, name: str, image: str | None) -> None:
        """Copy the data of a plugin that does not run. What is there under the name is replaced.

        `image` is one that is here, for a helper where there is none of its own; here and below.

        Raises:
            RuntimeFailure: hop `init`; the copy is not whole.
        """

    async def restore(self, plugin_id: str, name: str, image: str | None) -> None:
        """Make a copy the data again, of a plugin that has no run. The copy stays.

        Raises:
            RuntimeFailure: hop `init`; there is no such copy, or it failed and is to be tried again.
        """

    async def drop_snapshot(self, plugin_id: str, name: str) -> None:
        """Delete a copy; nothing happens when there is none."""

    def export_copy(
        self, plugin_id: str, name: str, image: str | None, *, most_bytes: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """A copy of the data as an archive (`contracts.backup`), piece by piece.

        One that no reader would take, or with files of more bytes than may be, ends with the reason instead.

        Raises:
            RuntimeFailure: hop `init`; there is no such copy, or it cannot be read.
        """

    async def import_copy(
        self, plugin_id: str, name: str, source: Source, image: str | None, *, most_bytes: int | None = None
    ) -> None:
        """Make a copy from such an archive, in a thread that reads it; what is there under the name is replaced.

        Raises:
            ArchiveError: it is no such archive, or holds more than may be (`ArchiveTooLargeError`); there is no copy
                of this name then.
            RuntimeFailure: hop `init`; it could not be written.
        """

    async def purge_data(self, plugin_id: str) -> None:
        """Delete the plugin's data volume and every copy of it. Only called when a person asked for it by name."""
