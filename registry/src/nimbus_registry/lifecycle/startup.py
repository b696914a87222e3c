"""One start of a plugin, from nothing to ready."""

import asyncio
import hashlib
import secrets
import time
from typing import Literal, Protocol

import structlog
from nimbus_sdk.contracts.control import ProbeResult, UiFetchResult
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.plugin_api import CONTRACT_VERSION, LifecycleEvent
from nimbus_sdk.contracts.snapshot import PluginState, Reason, Upstream

from nimbus_registry.gateway_client import GatewayUnreachableError
from nimbus_registry.lifecycle import configuration, reasons
from nimbus_registry.lifecycle.states import PREPARING
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import Observation, PluginSpec, RuntimeFailure, Stage
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

_PROBE_TIMEOUT = 2.0
_INIT_TIMEOUT = 30.0
_GATEWAY_PAUSE = 0.5
_OLD_RUN_GRACE = 10.0
_LOOK_EVERY = 1.0
_END_SEEN = 1.0
_PREPARE_DEADLINE = 3600.0


class StartFailedError(Exception):
    """A start came to nothing. `counts` is False when the engine is at fault, not the plugin."""

    def __init__(self, reason: Reason, *, counts: bool = True) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.counts = counts


class Course(Protocol):
    """Where a start shows what it does: the ledger, unless another run of the plugin serves meanwhile."""

    def move(self, record: PluginRecord, state: PluginState, cause: str, reason: Reason | None = None) -> None:
        """It comes to the next state."""

    def touch(self, record: PluginRecord) -> None:
        """Its token or address changed."""

    def note_progress(self, record: PluginRecord, line: str) -> None:
        """What is going on right now."""


class Startup:
    """The steps of one start. `signal` is set by the owner when the engine hints at something.

    Args:
        tools: carry it out.
        record: the plugin, or a copy of it while another version of it serves.
        spec: what to run, and in which slot.
        cause: who wants it.
        course: where it shows what it does; the ledger when left out.
        previous: the version that this one takes the place of, which the plugin is told.
        alone: it is to be the only run: whatever is replaced goes first, in every slot.
    """

    def __init__(
        self,
        tools: Tools,
        record: PluginRecord,
        spec: PluginSpec,
        *,
        cause: str,
        course: Course | None = None,
        previous: str | None = None,
        alone: bool = True,
    ) -> None:
        self._tools = tools
        self._record = record
        self._spec = spec
        self._cause = cause
        self._course: Course = course or tools.ledger
        self._previous = previous
        self._slot = None if alone else spec.slot
        self.signal = asyncio.Event()

    async def run(self, manifest: Manifest, *, replace: bool, limit: float | None = None) -> None:
        """Bring the plugin to ready or degraded, within the seconds of its manifest, and of `limit` if that is less.

        Raises:
            StartFailedError: with the hop that failed.
        """
        record, tools = self._record, self._tools
        token = secrets.token_urlsafe(32)
        record.token_sha256 = hashlib.sha256(token.encode()).hexdigest()
        record.run_id, record.upstream = None, None
        self._course.move(record, "starting", self._cause)
        self._course.touch(record)
        await configuration.look(tools, record, manifest)
        try:
            async with asyncio.timeout(_PREPARE_DEADLINE):
                if replace:
                    await tools.runtime.stop(record.id, _OLD_RUN_GRACE, self._slot)
                    await tools.runtime.remove(record.id, self._slot)
                await tools.runtime.ensure(self._spec, {"NIMBUS_PLUGIN_TOKEN": token}, self._report)
        except RuntimeFailure as failure:
            raise StartFailedError(reasons.from_runtime(failure), counts=failure.hop != "engine") from failure
        except TimeoutError:
            raise StartFailedError(reasons.not_prepared(_PREPARE_DEADLINE)) from None
        self._course.move(record, "starting", self._cause)
        run = await self._look()
        own = manifest.runtime.timeouts.start_seconds
        if limit is not None and limit < own:
            answer, upstream = await self._until_healthy(run, limit, "NIMBUS_UPGRADE_TIMEOUT")
        else:
            answer, upstream = await self._until_healthy(run, own, "runtime.timeouts.start")
        await self._initialize(manifest, answer, upstream)

    def _report(self, stage: Stage, line: str) -> None:
        if self._record.state in PREPARING:
            self._course.move(self._record, stage, self._cause)
            self._course.note_progress(self._record, reasons.clean(line))

    async def _look(self) -> Observation:
        """The run as it is right now, within the gateway's reach: its containers may have come after the plugin.

        Raises:
            StartFailedError: it has ended, or the engine does not answer.
        """
        try:
            await self._tools.observer.look()
        except RuntimeFailure as failure:
            raise StartFailedError(reasons.from_runtime(failure), counts=False) from failure
        run = self._tools.observer.of(self._record.id, self._spec.slot)
        if run is None or run.phase == "exited":
            status = run.exit if run else None
            raise StartFailedError(reasons.ended(status, after_ready=False, port=self._spec.port))
        if not run.linked:
            await self._tools.runtime.link(self._record.id)
        return run

    async def _until_healthy(self, run: Observation, limit: float, setting: str) -> tuple[ProbeResult, Upstream]:
        """Probe until the plugin is healthy. Time in which the gateway does not answer does not count.

        Raises:
            StartFailedError: it has ended, or is not healthy within the seconds that this setting gives it.
        """
        began = looked_at = time.monotonic()
        left = limit
        last: ProbeResult | None = None
        while True:
            asked_at, upstream = time.monotonic(), run.upstream
            if upstream is not None:
                try:
                    last = await self._tools.gateway.probe(
                        self._record.id, upstream, timeout=min(_PROBE_TIMEOUT, max(left, 0.1))
                    )
                except GatewayUnreachableError:
                    run = await self._await_gateway()
                    looked_at = time.monotonic()
                    left += looked_at - asked_at
                    continue
                if last.ok:
                    self._record.run_id = run.run_id
                    return last, upstream
                self._say(last)
            waited = time.monotonic() - began
            if waited >= left:
                raise StartFailedError(reasons.not_healthy(last, limit, self._spec.port, setting=setting))
            hinted = await self._pause(_interval(waited))
            if hinted or run.upstream is None or time.monotonic() - looked_at >= _LOOK_EVERY:
                run = await self._look()
                looked_at = time.monotonic()

    def _say(self, result: ProbeResult) -> None:
        if result.status is not None:
            self._course.note_progress(self._record, f"health check answered {result.status}")

    async def _pause(self, seconds: float) -> bool:
        """Wait, but not past a hint from the engine. Returns whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self.signal.wait()
        except TimeoutError:
            return False
        self.signal.clear()
        return True

    async def _initialize(self, manifest: Manifest, answer: ProbeResult, upstream: Upstream) -> None:
        record, course = self._record, self._course
        if answer.health is None or CONTRACT_VERSION not in answer.health.contract:
            raise StartFailedError(reasons.handshake(answer.health))
        course.move(record, "initializing", self._cause)
        ui = None
        if manifest.ui is not None:
            fetched = await self._patiently_fetch(upstream, manifest.ui.bundle)
            if not fetched.ok or fetched.assets is None:
                raise StartFailedError(reasons.ui_refused(fetched))
            ui = fetched.assets
        if self._previous is not None:
            await self._tell(upstream, "upgraded", manifest.version)
        await self._tell(upstream, "enabled", manifest.version)
        record.ui, record.upstream = ui, upstream
        lacks = configuration.needed(record)
        if lacks is not None:
            course.move(record, "degraded", self._cause, lacks)
        elif answer.health.status == "degraded":
            course.move(record, "degraded", self._cause, reasons.degraded(answer.health))
        else:
            course.move(record, "ready", self._cause, reasons.about_source(record))

    async def _unless_it_ended(self, *, gave_answer: bool) -> None:
        """A call that came to nothing: see whether the plugin died of it, which the engine may tell a moment later.

        Raises:
            StartFailedError: it has ended.
        """
        await self._look()
        deadline = time.monotonic() + (0.0 if gave_answer else _END_SEEN)
        while time.monotonic() < deadline:
            await self._pause(_END_SEEN / 5)
            await self._look()

    async def _tell(self, upstream: Upstream, what: Literal["upgraded", "enabled"], version: str) -> None:
        """Deliver a lifecycle event, however long the gateway is away.

        Raises:
            StartFailedError: the plugin's hook failed.
        """
        event = LifecycleEvent(event=what, version=version, previous_version=self._previous)
        while True:
            try:
                done = await self._tools.gateway.lifecycle(self._record.id, upstream, event, timeout=_INIT_TIMEOUT)
                break
            except GatewayUnreachableError:
                await self._await_gateway()
        if not done.ok:
            await self._unless_it_ended(gave_answer=done.status is not None)
            raise StartFailedError(reasons.init_failed(done.status, done.detail, event=what))

    async def _patiently_fetch(self, upstream: Upstream, bundle: str) -> UiFetchResult:
        while True:
            try:
                return await self._tools.gateway.fetch_ui(self._record.id, upstream, bundle, timeout=_INIT_TIMEOUT)
            except GatewayUnreachableError:
                await self._await_gateway()

    async def _await_gateway(self) -> Observation:
        """The gateway is away: wait a little, and see that the plugin is still there. Returns its run."""
        self._course.note_progress(self._record, "waiting for the gateway")
        await self._pause(_GATEWAY_PAUSE)
        return await self._look()


def _interval(waited: float) -> float:
    """Seconds between two probes: short at first, because most plugins are up within a second."""
    if waited < 3:  # noqa: PLR2004 - seconds
        return 0.05
    return 0.1 if waited < 10 else 0.5  # noqa: PLR2004 - seconds
