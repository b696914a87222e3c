"""Bringing a running plugin to another version, and back by itself when that does not become ready.

A plugin without data gets its new version beside the old one; the route table is switched when the new one is ready,
and the old one ends when nothing is under way with it. A plugin with data must not have two writers: its requests
are held, the old version stops, its data are copied, and the new one starts.

What must survive a kill of the registry is in `Installation.under_way`, stored before the step that it is about.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import SERVING_STATES, PluginState, Reason, Upstream

from nimbus_registry.errors import DatabaseUnavailableError
from nimbus_registry.lifecycle import reasons, version_settings
from nimbus_registry.lifecycle.adoption import adopt
from nimbus_registry.lifecycle.failing import last_lines
from nimbus_registry.lifecycle.kept_data import STOP_GRACE, drop_snapshots, restore_under_way
from nimbus_registry.lifecycle.startup import StartFailedError, Startup
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import PluginSpec, RuntimeFailure
from nimbus_registry.runtime.settled import settled
from nimbus_registry.store.candidate import Candidate
from nimbus_registry.store.installation import UnderWay
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

ACKNOWLEDGE_SECONDS = 5.0
"""How long every gateway worker gets to take a snapshot over."""
DRAIN_SECONDS = 30.0
"""How long requests that the old version has begun may take, beside the new one."""
HELD_DRAIN_SECONDS = 5.0
"""The same while others are held."""
SETTLE_SECONDS = 0.5
"""A request that was on its way to the old version when the table changed gets so long to arrive."""
PAUSE_SECONDS = 60.0
"""So long a restore that has a part elsewhere waits for it, with the plugin stopped."""
OUTGOING = "backup"
"""Name of the copy of the data that a backup is made of. There is one a plugin, which the next backup replaces."""

SpecOf = Callable[[Manifest, str | None, int], PluginSpec]
"""What to run, of a manifest, an exact image and a slot."""


@dataclass(slots=True)
class Course:
    """Where the start of a new version shows what it does: as progress, while the plugin's state stays."""

    tools: Tools
    record: PluginRecord

    def move(self, shadow: PluginRecord, state: PluginState, cause: str, reason: Reason | None = None) -> None:  # noqa: ARG002
        """The new version goes through the states of a start by itself."""
        shadow.state, shadow.reason = state, reason
        self.say(state)

    def touch(self, shadow: PluginRecord) -> None:
        """Its token counts from its start on."""
        self.record.next_token_sha256 = shadow.token_sha256
        self.tools.ledger.touch(self.record)

    def note_progress(self, shadow: PluginRecord, line: str) -> None:
        """What it does right now."""
        self.say(f"{shadow.state}: {line.strip()}")

    def say(self, text: str) -> None:
        """Show a line beside the plugin's state."""
        if self.record.next is not None:
            self.record.progress = f"{self.record.next.words}: {text}"[:200]
            self.tools.ledger.changed_soon()


class Upgrade:
    """One change of version, carried out by the plugin's own task."""

    def __init__(self, tools: Tools, record: PluginRecord, candidate: Candidate, spec_of: SpecOf, cause: str) -> None:
        self._tools = tools
        self._record = record
        self._candidate = candidate
        self._spec_of = spec_of
        self._cause = cause
        self._course = Course(tools, record)
        # Nothing is known yet of how the settings fit another version's schema.
        self._shadow = replace(
            record, manifest=candidate.manifest, version=candidate.manifest.version, unfit=None, unjudged=None
        )
        before = record.manifest
        self._data = candidate.manifest.runtime.data or (before is not None and before.runtime.data)
        self.startup: Startup | None = None

    async def run(self) -> None:
        """Change the version. A new version that is not ready leaves the old one serving, with the reason noted.

        Raises:
            StartFailedError: the old version, which had been stopped, did not come back.
        """
        try:
            if self._data or self._candidate.same_version or not self._tools.runtime.side_by_side:
                await self._stop_first()
            else:
                await self._beside()
        finally:
            record = self._record
            record.next_token_sha256, record.progress, record.holding = None, None, False
            self._tools.ledger.touch(record)

    # -- beside the old one -----------------------------------------------------------------------------------

    async def _beside(self) -> None:
        record, runtime = self._record, self._tools.runtime
        old_slot, upstream = record.installation.slot, record.upstream
        slot = 1 - old_slot
        try:
            await runtime.remove(record.id, slot)
            await version_settings.enter(self._tools, record, self._candidate)
            await self._start(self._shadow, self._spec_of_new(slot), None)
        except (StartFailedError, RuntimeFailure) as failure:
            reason = await self._with_log(failure, slot)
            await runtime.remove(record.id, slot)
            await version_settings.go_back(self._tools, record)
            self._reject(reason)
            return
        except asyncio.CancelledError:
            await settled(self._give_up(slot))
            raise
        await self._switch(slot, snapshot=None)
        await self._drain(upstream, DRAIN_SECONDS)
        await runtime.stop(record.id, STOP_GRACE, old_slot)
        await runtime.remove(record.id, old_slot)

    async def _give_up(self, slot: int) -> None:
        with suppress(RuntimeFailure):  # what is left is found by the next pass
            await self._tools.runtime.remove(self._record.id, slot)

    # -- one after the other ----------------------------------------------------------------------------------

    async def _stop_first(self) -> None:
        record, runtime, candidate = self._record, self._tools.runtime, self._candidate
        old, slot = record.manifest, record.installation.slot
        if old is None:
            return
        old_pin = self._pin_of_old()
        name = self._new_name()
        # Durable before anything happens to the data: whoever finds it knows what was going on.
        record.installation.under_way = UnderWay(version=candidate.manifest.version, snapshot=name, image=old_pin)
        await self._tools.ledger.store(record)
        upstream = await self._hold()
        await runtime.stop(record.id, STOP_GRACE)
        try:
            if self._data:
                await self._copy(record.installation.under_way, old_pin)
            await runtime.remove(record.id)
            await self._place(old_pin)
            await version_settings.enter(self._tools, record, candidate)
            limit = None if candidate.same_version else self._tools.upgrade_timeout
            await self._start(self._shadow, self._spec_of_new(slot), limit)
            self._decide()
        except (StartFailedError, RuntimeFailure, DatabaseUnavailableError) as failure:
            reason = await self._with_log(failure, slot)
            await self._back(old, old_pin, upstream)
            self._reject(reason)
            return
        await self._switch(slot, snapshot=name if self._data else None, old_pin=old_pin)

    async def _copy(self, under_way: UnderWay, image: str | None) -> None:
        self._course.say("copying the data")
        await self._tools.runtime.snapshot(self._record.id, under_way.snapshot, image)
        # After a backup the data are what they were: there is nothing to bring back.
        under_way.complete = self._candidate.kind != "backup"
        await self._tools.ledger.store(self._record)

    async def _place(self, image: str | None) -> None:
        """Bring other data in, of a plugin that does not run, and wait for what is brought in elsewhere.

        Raises:
            RuntimeFailure: the data are not there, or nobody came in time.
        """
        candidate, pause = self._candidate, self._candidate.pause
        if candidate.snapshot is not None:
            await self._tools.runtime.restore(self._record.id, candidate.snapshot, image)
        if pause is not None:
            self._course.say("waiting for its settings and keys")
            pause.begun.set()
            self._tools.ledger.pulse.fire()
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_SECONDS):
                    await pause.over.wait()
            if candidate.given_up or not pause.over.is_set():
                raise _taken_back()

    async def _hold(self) -> Upstream | None:
        """Have every worker keep new requests, and wait for those under way."""
        record = self._record
        upstream, record.upstream, record.holding = record.upstream, None, True
        self._course.say("holding its requests")
        self._tools.ledger.touch(record)
        await self._tools.workers.until_serving(self._tools.ledger.generation, ACKNOWLEDGE_SECONDS)
        await self._drain(upstream, HELD_DRAIN_SECONDS)
        return upstream

    async def _back(self, old: Manifest, pin: str | None, upstream: Upstream | None) -> None:
        """Start the old version again, with its data as they were.

        Raises:
            StartFailedError: it does not come back; the plugin has failed then.
        """
        record = self._record
        self._course.say(f"going back to {old.version}")
        await restore_under_way(self._tools, record)
        await version_settings.go_back(self._tools, record)
        # The image's name may mean the new version by now.
        record.installation.pin = pin
        log.info("rolling back", plugin=record.id, to=old.version, was_at=upstream)
        shadow = replace(record, manifest=old)
        await self._start(shadow, self._spec_of(old, pin, record.installation.slot), None, alone=True)
        self._take_run(shadow)

    # -- of one that does not serve ---------------------------------------------------------------------------

    async def at_rest(self) -> None:
        """Change the version of a plugin that serves nobody, so that there is nothing to keep serving."""
        record, runtime, candidate = self._record, self._tools.runtime, self._candidate
        before, pin, name = record.version, self._pin_of_old(), None
        helper = pin or candidate.pin or candidate.manifest.runtime.image
        if self._data or candidate.same_version:
            name = self._new_name()
            record.installation.under_way = UnderWay(version=candidate.manifest.version, snapshot=name, image=helper)
            await self._tools.ledger.store(record)
            await runtime.stop(record.id, STOP_GRACE)
            await runtime.remove(record.id)
            try:
                if self._data:
                    await self._copy(record.installation.under_way, helper)
                await self._place(helper)
                self._decide()
            except RuntimeFailure as failure:
                await restore_under_way(self._tools, record)
                self._reject(reasons.from_runtime(failure))
                return
        if candidate.same_version:
            await self._same_version(name)
            return
        try:
            await version_settings.enter(self._tools, record, candidate)
        except StartFailedError as failure:
            await restore_under_way(self._tools, record)
            await version_settings.go_back(self._tools, record)
            self._reject(failure.reason)
            return
        dropped = adopt(record, candidate, pin=pin, snapshot=name)
        record.installation.under_way = None
        self._tools.ledger.event(
            record, self._cause, reasons.changed_version(candidate.words, before, record.version)
        )
        self._tools.ledger.touch(record)
        await drop_snapshots(self._tools, record, dropped)

    # -- of the same version ----------------------------------------------------------------------------------

    def _new_name(self) -> str:
        return OUTGOING if self._candidate.kind == "backup" else f"{time.time_ns() // 1_000_000:x}"

    def _decide(self) -> None:
        """The data stay as they are now: said at once, so that nobody gives up in between.

        Raises:
            RuntimeFailure: it was given up before.
        """
        if self._candidate.given_up:
            raise _taken_back()
        if self._candidate.carried_out is not None:
            self._candidate.carried_out.set()

    async def _same_version(self, name: str | None) -> None:
        """The data were copied or replaced; what they were before a restore is not needed any more."""
        record, candidate = self._record, self._candidate
        record.installation.under_way = None
        self._tools.ledger.event(record, self._cause, reasons.copied(candidate.kind))
        try:
            await self._tools.ledger.store(record)
        except DatabaseUnavailableError:
            # It is done, and written when the database is back. Until then it names the copy, which therefore stays.
            log.warning("a change of data is not stored yet", plugin=record.id, kind=candidate.kind)
            return
        if name is not None and candidate.kind == "restore":
            try:
                await self._tools.runtime.drop_snapshot(record.id, name)
            except RuntimeFailure as failure:
                log.warning("a copy was not deleted", plugin=record.id, copy=name, error=failure.message)

    # -- common -----------------------------------------------------------------------------------------------

    def _spec_of_new(self, slot: int) -> PluginSpec:
        spec = self._spec_of(self._candidate.manifest, self._candidate.pin, slot)
        return replace(spec, rebuild=self._candidate.is_made_of_folder)

    async def _start(
        self, shadow: PluginRecord, spec: PluginSpec, limit: float | None, *, alone: bool = False
    ) -> None:
        changes = shadow is self._shadow and not self._candidate.same_version
        previous = self._record.version if changes else None
        self.startup = Startup(
            self._tools, shadow, spec, cause=self._cause, course=self._course, previous=previous, alone=alone
        )
        manifest = shadow.manifest
        try:
            if manifest is not None:
                await self.startup.run(manifest, replace=alone, limit=limit)
        finally:
            self.startup = None

    async def _switch(self, slot: int, *, snapshot: str | None, old_pin: str | None = None) -> None:
        """Make the new version the one that is installed and served."""
        record, candidate, ledger = self._record, self._candidate, self._tools.ledger
        before, words = record.version, candidate.words
        if candidate.same_version:
            self._take_run(self._shadow)
            record.holding, record.failures = False, []
            await self._same_version(snapshot)
            await self._tools.workers.until_serving(ledger.generation, ACKNOWLEDGE_SECONDS)
            return
        dropped = adopt(record, candidate, pin=old_pin or self._pin_of_old(), snapshot=snapshot)
        record.installation.slot, record.installation.under_way = slot, None
        record.old_token_sha256 = record.token_sha256
        self._take_run(self._shadow)
        record.holding, record.failures = False, []
        ledger.event(record, self._cause, reasons.changed_version(words, before, record.version))
        ledger.touch(record)
        await self._tools.workers.until_serving(ledger.generation, ACKNOWLEDGE_SECONDS)
        await drop_snapshots(self._tools, record, dropped)

    def _take_run(self, shadow: PluginRecord) -> None:
        record = self._record
        record.token_sha256, record.run_id = shadow.token_sha256, shadow.run_id
        record.upstream, record.ui, record.next_token_sha256 = shadow.upstream, shadow.ui, None
        record.unfit, record.unjudged = shadow.unfit, shadow.unjudged
        if shadow.state in SERVING_STATES:
            reason = shadow.reason if shadow.state == "degraded" else reasons.about_source(record)
            self._tools.ledger.move(record, shadow.state, self._cause, reason)

    async def _drain(self, upstream: Upstream | None, limit: float) -> None:
        if upstream is not None:
            await self._tools.workers.until_idle(f"{upstream.host}:{upstream.port}", limit)
            await asyncio.sleep(SETTLE_SECONDS)
        self._record.old_token_sha256 = None

    def _pin_of_old(self) -> str | None:
        """The exact image of the version that is left, also when it was not installed by one."""
        record = self._record
        run = self._tools.observer.of(record.id, record.installation.slot)
        return record.installation.pin or (run.image if run is not None else None)

    def _reject(self, reason: Reason) -> None:
        record, candidate = self._record, self._candidate
        record.installation.under_way = None
        record.installation.folder_sha256 = candidate.folder_sha256 or record.installation.folder_sha256
        if candidate.kind == "upgrade":
            record.installation.keep(candidate.kept("rejected", reason))
        if candidate.same_version:
            record.upgrade_failure = reasons.not_copied(reason, candidate.kind)
        else:
            record.upgrade_failure = reasons.rolled_back(reason, candidate.manifest.version, record.version)
        self._tools.ledger.event(record, self._cause, record.upgrade_failure)

    async def _with_log(self, failure: Exception, slot: int) -> Reason:
        if isinstance(failure, StartFailedError):
            reason = failure.reason
        elif isinstance(failure, RuntimeFailure):
            reason = reasons.from_runtime(failure)
        else:
            return reasons.internal(failure)
        if not reason.log_tail and reason.hop != "engine":
            lines = await last_lines(self._tools.runtime, self._record.id, slot)
            reason = reason.model_copy(update={"log_tail": lines})
        return reason


def _taken_back() -> RuntimeFailure:
    return RuntimeFailure("init", "given-up", "It took too long, and was taken back.")
