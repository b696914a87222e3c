"""The one task that acts on a plugin: it plans, carries out, and plans again.

Because each plugin has exactly one, its actions never overlap, and a slow build holds up nobody else.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import SERVING_STATES, Reason

from nimbus_registry.catalog.dependencies import waits_for
from nimbus_registry.lifecycle import demand, failing, reasons, stopping, version_settings
from nimbus_registry.lifecycle.kept_data import restore_under_way
from nimbus_registry.lifecycle.plan import (
    Action,
    Await,
    Desired,
    Discard,
    Fail,
    Halt,
    Link,
    Observed,
    Probe,
    Rest,
    Sleep,
    Standing,
    Start,
    Stop,
    plan,
)
from nimbus_registry.lifecycle.probing import Prober
from nimbus_registry.lifecycle.startup import StartFailedError, Startup
from nimbus_registry.lifecycle.states import ACTIVE, BROKEN, PREPARING, RESTING
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.lifecycle.upgrade import Upgrade
from nimbus_registry.runtime.base import PluginSpec, RuntimeFailure
from nimbus_registry.runtime.spec import plugin_spec
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

_HALT_GRACE = 2.0
RECONCILER = "reconciler"


class Actor:
    """The owner of one plugin."""

    def __init__(
        self, tools: Tools, record: PluginRecord, *, source_dir: Callable[[PluginRecord], Path | None]
    ) -> None:
        self.record = record
        self._tools = tools
        self._source_dir = source_dir
        self._wake = asyncio.Event()
        self._overruled = asyncio.Event()
        self._startup: Startup | None = None
        self._upgrade: Upgrade | None = None
        self._under_way: str | None = None
        self._seen = False
        self._acted_at = -1.0
        self._prober = Prober(tools, record, cause=RECONCILER)
        self._leftovers = False
        self._settings_at = 0.0
        if record.state in ACTIVE:
            record.used_at = time.monotonic()

    def notice(self) -> None:
        """Something changed: the wish, the manifest, or what the engine shows. Look again."""
        startup = self._upgrade.startup if self._upgrade is not None else self._startup
        if startup is not None:
            startup.signal.set()
        if self._under_way is not None:
            desired = self._desired(self.spec())
            other = self._upgrade is None and desired.spec_hash != self._under_way
            too_much = self._upgrade is None and self.record.data_excess
            if not desired.run or desired.restart or other or not desired.awake or too_much:
                self._overruled.set()
        self._wake.set()

    def configured(self) -> None:
        """Its settings were changed: see at once whether it has what it needs."""
        self.record.unfit, self.record.unjudged = None, None
        self._prober.due_at = 0.0
        self.notice()

    def prime(self) -> None:
        """Make the state honest after a start of the registry, before anybody reads it. Does no I/O."""
        record, ledger = self.record, self._tools.ledger
        actions = self._plan(self.spec(), time.monotonic())
        if any(isinstance(action, Start | Await) for action in actions):
            record.token_sha256, record.run_id, record.upstream = None, None, None
            if record.state in ACTIVE:
                ledger.move(record, "starting", RECONCILER)
        elif any(isinstance(action, Stop | Sleep) for action in actions) and record.state not in RESTING | {"idle"}:
            ledger.move(record, "stopping", RECONCILER)

    def has_leftovers(self) -> None:
        """The engine holds pieces that an unfinished start left behind."""
        if not self.record.busy:
            self._leftovers = True
            self.notice()

    async def run(self) -> None:
        """Act for as long as the registry runs. A mistake in here fails the plugin, never the registry."""
        while True:
            self._wake.clear()
            try:
                pause = await self._step()
            except (RuntimeFailure, TimeoutError) as error:
                # The engine does not answer: nothing is known, so nothing is done to the plugin.
                log.warning("the engine does not answer", plugin=self.record.id, error=str(error))
                pause = failing.ENGINE_PAUSE
            except Exception as error:
                log.exception("a step failed", plugin=self.record.id)
                await self._failed_unexpectedly(error)
                pause = failing.ENGINE_PAUSE
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _step(self) -> float | None:
        """Plan and carry out. Returns how long nothing is to be done; None is until something changes."""
        if self._acted_at >= self._tools.observer.taken_at:
            await self._tools.observer.look(self._acted_at)
        if self.record.installation.under_way is not None:
            # A registry was killed in the middle of an upgrade: the data go back to what they were.
            await self._carry_out(restore_under_way(self._tools, self.record))
            return 0.0
        unsettled = not await self._settings_settled()
        if self.record.next is not None and not unsettled and await self._change_version():
            return 0.0
        spec = self.spec()
        now = time.monotonic()
        if self.record.data_excess:
            self.record.data_excess = False
            reason = reasons.data_full(self.record.data_used or 0, self._tools.policy.max_data)
            await self._failed(reason, counts=True, for_good=True)
            return 0.0
        pause = await self._follow(self._plan(spec, now), spec, now)
        if not unsettled:
            return pause
        return version_settings.AGAIN_SECONDS if pause is None else min(pause, version_settings.AGAIN_SECONDS)

    async def _settings_settled(self) -> bool:
        """Whether the settings are those of the installed version; they are not after an interrupted change."""
        if self.record.installation.entering is None:
            return True
        if time.monotonic() >= self._settings_at:
            self._settings_at = time.monotonic() + version_settings.AGAIN_SECONDS
            return await version_settings.go_back(self._tools, self.record)
        return False

    async def _follow(self, actions: Sequence[Action], spec: PluginSpec | None, now: float) -> float | None:
        """Carry out a plan; returns as `_step`."""
        for action in actions:
            if isinstance(action, Await):
                self._await()
                return None
            if isinstance(action, Rest):
                # A wish may have come at the very end of the work that fulfilled it.
                self._settled()
                return max(0.0, action.until - now)
            await self._apply(action, spec)
        if not actions:
            self._settled()
            return None
        return 0.0

    async def _carry_out(self, work: Awaitable[None]) -> None:
        self.record.busy = True
        try:
            await work
        finally:
            self.record.busy = False
            self._acted_at = time.monotonic()

    async def _change_version(self) -> bool:
        """Go on to the next version; False while something else comes first."""
        record = self.record
        candidate = record.next
        if candidate is None:
            return False
        if record.state in PREPARING and not record.waiting and not candidate.is_made_of_folder:
            # What a folder held before is not started only to be left at once.
            return False
        cause = record.cause or RECONCILER
        if record.state in SERVING_STATES and self._observed().run_id == record.run_id and record.enabled:
            self._upgrade = Upgrade(self._tools, record, candidate, self._spec_with, cause)
            try:
                await self._carry_out(self._unless_overruled(None, self._upgrade.run()))
            except StartFailedError as failure:
                record.next = None
                await self._failed(failure.reason, counts=True)
            finally:
                self._upgrade = None
                record.next = None
            self._prober.begin()
        else:
            try:
                await self._carry_out(Upgrade(self._tools, record, candidate, self._spec_with, cause).at_rest())
            finally:
                record.next = None
            restored = candidate.kind == "restore" and record.upgrade_failure is None
            if restored or not candidate.same_version:
                record.restart = record.enabled
        self._settled()
        return True

    def _plan(self, spec: PluginSpec | None, now: float) -> tuple[Action, ...]:
        standing = Standing(
            state=self.record.state,
            run_id=self.record.run_id,
            seen=self._seen,
            retry_at=self.record.retry_at,
            probe_at=self._prober.due_at,
            leftovers=self._leftovers,
        )
        return plan(self._desired(spec), self._observed(), standing, now)

    def _desired(self, spec: PluginSpec | None) -> Desired:
        record = self.record
        run = record.enabled and spec is not None and self._tools.ledger.switched_on
        awake = demand.awake(record, time.monotonic(), self._tools.workers.told_at)
        held = run and bool(waits_for(self._tools.ledger.records, record))
        spec_hash = spec.spec_hash if spec else None
        return Desired(run=run, spec_hash=spec_hash, restart=record.restart, awake=awake, held=held)

    def _await(self) -> None:
        """Show what it waits for; a change of those plugins' states wakes this task."""
        record, ledger = self.record, self._tools.ledger
        record.waiting, self._seen = True, False
        record.token_sha256, record.run_id, record.upstream = None, None, None
        reason = reasons.awaits(waits_for(ledger.records, record))
        ledger.move(record, "starting", record.cause or RECONCILER, reason)

    def spec(self) -> PluginSpec | None:
        """What the plugin is to be run by; None while its manifest is invalid."""
        if self.record.manifest is None:
            return None
        return self._spec_with(self.record.manifest, self.record.installation.pin, self.record.installation.slot)

    def _spec_with(self, manifest: Manifest, pin: str | None, slot: int) -> PluginSpec:
        return plugin_spec(
            manifest,
            self._tools.policy,
            core_url=self._tools.core_url,
            grants=self.record.installation.grants or [],
            source_dir=self._source_dir(self.record),
            pin=pin,
            slot=slot,
        )

    def _observed(self) -> Observed:
        slot = self.record.installation.slot
        run = self._tools.observer.of(self.record.id, slot)
        stray = self._tools.observer.of(self.record.id, 1 - slot) is not None
        if run is None:
            return Observed(stray=stray)
        ours = run.run_id == self.record.run_id and run.phase == "running"
        if ours and self.record.state in SERVING_STATES:
            self._seen = True
            if run.upstream != self.record.upstream:
                self.record.upstream = run.upstream
                self._tools.ledger.touch(self.record)
        return Observed(run.phase, run.spec_hash, run.run_id, run.linked, run.exit, stray)

    async def _apply(self, action: Action, spec: PluginSpec | None) -> None:
        record = self.record
        if isinstance(action, Probe):
            await self._unless_overruled(spec, self._probe())
            return
        record.busy = True
        try:
            if isinstance(action, Start) and spec is not None:
                await self._unless_overruled(spec, self._start(spec, replace=action.replace))
            elif isinstance(action, Stop):
                await self._stop()
            elif isinstance(action, Sleep):
                await self._stop(sleep=True)
            elif isinstance(action, Halt):
                await self._tools.runtime.stop(record.id, _HALT_GRACE)
            elif isinstance(action, Discard):
                await self._tools.runtime.remove(record.id, 1 - record.installation.slot)
            elif isinstance(action, Link):
                await self._tools.runtime.link(record.id)
            elif isinstance(action, Fail):
                port = record.manifest.runtime.port if record.manifest else 0
                await self._failed(reasons.ended(action.exit, after_ready=True, port=port), counts=True)
        finally:
            record.busy = False
            self._acted_at = time.monotonic()

    async def _unless_overruled(self, spec: PluginSpec | None, work: Awaitable[None]) -> None:
        """Do something that a newer wish of a person, or a new manifest, ends at once."""
        self._overruled.clear()
        self._under_way = spec.spec_hash if spec else ""
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(_awaited(work), name=f"work {self.record.id}")
                guard = group.create_task(self._cancel_when_overruled(task), name=f"guard {self.record.id}")
                task.add_done_callback(lambda _: guard.cancel())
        except ExceptionGroup as group_error:
            # The guard raises nothing of its own: what is in the group is the one error of the work.
            raise group_error.exceptions[0] from None
        finally:
            self._under_way = None

    async def _cancel_when_overruled(self, work: asyncio.Task[None]) -> None:
        await self._overruled.wait()
        work.cancel()

    async def _start(self, spec: PluginSpec, *, replace: bool) -> None:
        record, manifest = self.record, self.record.manifest
        if manifest is None:
            return
        record.restart = record.waiting = record.data_excess = False
        if (record.data_used or 0) > self._tools.policy.max_data:
            record.data_used = None  # what a person starts again is counted anew
        if record.state in BROKEN | SERVING_STATES:
            record.restarts += 1
        # An end of this start, however it comes, leaves pieces until the plugin was ready or removed.
        self._seen, self._leftovers = False, True
        self._startup = Startup(self._tools, record, spec, cause=record.cause or RECONCILER)
        try:
            await self._startup.run(manifest, replace=replace)
        except StartFailedError as failure:
            await self._failed(failure.reason, counts=failure.counts)
            return
        except RuntimeFailure as failure:
            await self._failed(reasons.from_runtime(failure), counts=failure.hop != "engine")
            return
        finally:
            self._startup = None
        self._seen, self._leftovers = True, False
        self._prober.begin()
        record.used_at = time.monotonic()
        self._settled()

    async def _stop(self, *, sleep: bool = False) -> None:
        await stopping.stop(self._tools, self.record, cause=self.record.cause or RECONCILER, sleep=sleep)
        self._leftovers = self._seen = False
        self._settled()

    async def _probe(self) -> None:
        reason = await self._prober.probe()
        if reason is not None:
            await self._failed(reason, counts=True)
        if reason is not None or self._prober.misses:
            # Perhaps it ended: the next step looks before it plans.
            self._acted_at = time.monotonic()

    async def _failed(self, reason: Reason, *, counts: bool, for_good: bool = False) -> None:
        """It failed: see `failing.fail`. The next plan ends what runs."""
        cause = self.record.cause or RECONCILER
        if await failing.fail(self._tools, self.record, reason, cause=cause, counts=counts, for_good=for_good):
            self._seen, self._prober.misses = False, 0
            self._settled()

    async def _failed_unexpectedly(self, error: Exception) -> None:
        """A mistake of ours: a person who wants the plugin must see it, even when the start had not begun."""
        record = self.record
        wanted = record.enabled and self._tools.ledger.switched_on
        if wanted and record.state not in ACTIVE | BROKEN:
            self._tools.ledger.move(record, "starting", record.cause or RECONCILER)
        await self._failed(reasons.internal(error), counts=True)

    def _settled(self) -> None:
        """Tell those who wait that the outcome of the newest wish is known, if it is."""
        record = self.record
        wanted = record.enabled and record.manifest is not None and self._tools.ledger.switched_on
        reached = (record.state in SERVING_STATES | BROKEN | {"idle"}) if wanted else record.state in RESTING
        if not reached or record.restart or record.next is not None:
            return
        record.cause = None
        record.failed = record.state in BROKEN
        if record.done != record.request:
            record.done = record.request
            self._tools.ledger.pulse.fire()


async def _awaited(work: Awaitable[None]) -> None:
    await work
