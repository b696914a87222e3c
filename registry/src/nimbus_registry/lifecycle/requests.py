"""What people ask for: enable, disable, restart; and how the outcome is waited for."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import SERVING_STATES

from nimbus_registry.catalog import dependencies
from nimbus_registry.catalog.permissions import Permissions
from nimbus_registry.errors import (
    ConsentRequiredError,
    DependenciesUnmetError,
    DependencyCycleError,
    PluginDisabledError,
    PluginFailedError,
    PluginInvalidError,
    PluginNeededError,
    SwitchedOffError,
)
from nimbus_registry.lifecycle import configuration, reasons
from nimbus_registry.lifecycle.reconcile import Reconciler
from nimbus_registry.lifecycle.states import BROKEN, RESTING
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord
from nimbus_registry.workers import Workers

_DEPENDENT_STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Requests:
    """Takes wishes and waits for what comes of them. Each wish is stored before it is acted on.

    Attributes:
        stopping: set when the registry is about to end: who waits is told how far it came.
    """

    ledger: Ledger
    workers: Workers
    reconciler: Reconciler
    permissions: Permissions
    stopping: asyncio.Event

    async def enable(
        self, plugin_id: str, *, cause: str, wait: float, with_dependencies: bool = False
    ) -> ChangeResult:
        """Enable a plugin; one that failed before gets a fresh chance.

        With `with_dependencies` the disabled plugins that it needs are enabled first. It starts when they serve.

        Raises:
            DependencyCycleError, DependenciesUnmetError: it could not start; nothing was changed.
            PluginNotFoundError: there is no such plugin.
            PluginInvalidError: its manifest has errors.
            ConsentRequiredError: it was installed, and nobody has decided about its permissions.
            PluginFailedError: it did not start.
            SwitchedOffError: it is enabled now, but plugins are off by a switch.
            DatabaseUnavailableError: the wish could not be stored.
        """
        record = self.ledger.get(plugin_id)
        if record.manifest is None:
            raise PluginInvalidError(self.ledger.detail(record))
        self._consent(record, cause)
        if not record.enabled:
            for other in self._needed_first(record, record.manifest, cause, with_dependencies=with_dependencies):
                with contextlib.suppress(SwitchedOffError):
                    await self.enable(other.id, cause=cause, wait=0)
            await self.ledger.set_enabled(record, enabled=True)
        if not self.ledger.switched_on:
            record.reason = reasons.switched_off(safe_mode=self.ledger.safe_mode)
            self.ledger.touch(record)
            raise SwitchedOffError(self.ledger.detail(record))
        if record.state in SERVING_STATES | {"idle"} and not record.busy and not record.restart:
            record.done, record.failed = record.request, False
        else:
            self.ask(record, cause, fresh=record.state in BROKEN)
        return await self.outcome(record, wait)

    def _needed_first(
        self, record: PluginRecord, manifest: Manifest, cause: str, *, with_dependencies: bool
    ) -> list[PluginRecord]:
        """The plugins to enable before this one; everything that could keep one of them off is checked first."""
        records = self.ledger.records
        chain = dependencies.cycle(records, manifest)
        if chain:
            raise DependencyCycleError(chain)
        others = dependencies.start_order(records, record)
        unmet = {
            one.id: one
            for each in (*others, record)
            if each.manifest is not None
            for one in dependencies.unmet(records, each.manifest)
        }
        first = [one for one in unmet.values() if one.problem != "disabled"]
        if first or (unmet and not with_dependencies):
            offer = "" if first else " Enable them with it by withDependencies=true."
            found = first or list(unmet.values())
            raise DependenciesUnmetError(
                f"{record.name} needs other plugins. {dependencies.in_words(found)}{offer}", list(unmet.values())
            )
        disabled = [one for one in others if not one.enabled]
        for one in disabled:
            self._consent(one, cause)
        return disabled

    async def disable(
        self,
        plugin_id: str,
        *,
        cause: str,
        wait: float,
        cascade: bool = False,
        force: bool = False,
        leaves: bool = False,
    ) -> ChangeResult:
        """Disable a plugin; with `cascade` those that need it before, with `force` although others need it.

        One that is disabled already is nobody's loss again, unless it `leaves` altogether.

        Raises:
            PluginNotFoundError: there is no such plugin.
            PluginNeededError: enabled plugins need it; nothing was changed.
            DatabaseUnavailableError: the wish could not be stored.
        """
        record = self.ledger.get(plugin_id)
        if (record.enabled or leaves) and not force:
            needed_by = dependencies.needed_by(self.ledger.records, plugin_id)
            if needed_by and not cascade:
                names = ", ".join(one.name for one in needed_by)
                verb, them = ("needs", names) if len(needed_by) == 1 else ("need", "them")
                raise PluginNeededError(
                    f"{names} {verb} {record.name}. Disable {them} as well by cascade=true, or only {record.name} by "
                    "force=true.",
                    needed_by,
                )
            for one in needed_by:
                await self.disable(one.id, cause=cause, wait=min(wait, _DEPENDENT_STOP_SECONDS), force=True)
        if record.enabled:
            await self.ledger.set_enabled(record, enabled=False)
        record.restart = False
        if record.state in RESTING and not record.busy:
            record.done, record.failed = record.request, False
            if record.state == "disabled" and record.reason is not None:
                record.reason = reasons.about_source(record)
                self.ledger.touch(record)
            self.reconciler.notice(record.id)
        else:
            self.ask(record, cause, fresh=False)
        return await self.outcome(record, wait)

    async def restart(self, plugin_id: str, *, cause: str, wait: float) -> ChangeResult:
        """Give an enabled plugin a new run.

        Raises:
            PluginDisabledError: it is not enabled.
            PluginNotFoundError, PluginInvalidError, PluginFailedError, SwitchedOffError: as for `enable`.
        """
        record = self.ledger.get(plugin_id)
        if record.manifest is None:
            raise PluginInvalidError(self.ledger.detail(record))
        if not record.enabled:
            raise PluginDisabledError("Only an enabled plugin is restarted; enable it instead.")
        if not self.ledger.switched_on:
            raise SwitchedOffError(self.ledger.detail(record))
        self.ask(record, cause, fresh=True)
        return await self.outcome(record, wait)

    def configured(self, plugin_id: str, *, cause: str) -> None:
        """Its settings were changed; one that failed while they did not fit is started again at once.

        Raises:
            PluginNotFoundError: there is no such plugin.
        """
        record = self.ledger.get(plugin_id)
        lacked = configuration.needed(record) is not None
        self.reconciler.configured(plugin_id)
        if lacked and record.enabled and record.state in BROKEN:
            self.ask(record, cause, fresh=True)

    async def wake(self, plugin_id: str, *, wait: float) -> ChangeResult:
        """Have a plugin that sleeps until it is asked for run; one that runs is noted as used.

        Raises:
            PluginNotFoundError: there is no such plugin.
            PluginDisabledError: it is not enabled, or plugins are off by a switch.
            PluginFailedError: it does not start.
        """
        record = self.ledger.get(plugin_id)
        if record.manifest is None or not record.enabled or not self.ledger.switched_on:
            raise PluginDisabledError("Only an enabled plugin is woken.")
        deadline = asyncio.get_running_loop().time() + wait
        self.use([plugin_id])
        if record.state not in BROKEN:
            await self._until(lambda: record.state in SERVING_STATES | BROKEN or not record.enabled, wait)
        detail, generation = self.ledger.detail(record), self.ledger.generation
        if record.state in BROKEN:
            raise PluginFailedError(detail)
        if record.state not in SERVING_STATES:
            return ChangeResult(plugin=detail, generation=generation, settled=False)
        settled = await self._known(generation, deadline)
        return ChangeResult(plugin=detail, generation=generation, settled=settled)

    def use(self, plugin_ids: Sequence[str]) -> None:
        """Note that somebody uses these plugins now, or asks for them."""
        now = time.monotonic()
        for plugin_id in plugin_ids:
            record = self.ledger.records.get(plugin_id)
            if record is not None:
                record.used_at = now
                if record.state not in SERVING_STATES:
                    self.reconciler.notice(plugin_id)

    def _consent(self, record: PluginRecord, cause: str) -> None:
        """Who puts a folder there and enables it has seen what it asks for; anything else needs a decision."""
        manifest, installation = record.manifest, record.installation
        if manifest is None or installation.grants is not None:
            return
        if manifest.permissions and not record.is_discovered:
            raise ConsentRequiredError(
                f"{record.name} asks for {', '.join(manifest.permissions)}, and nobody has decided about that yet.",
                self.permissions.of(record),
            )
        self.permissions.decide(record, manifest.permissions, by=cause)

    def ask(self, record: PluginRecord, cause: str, *, fresh: bool = False) -> None:
        """Have the plugin's task look at a wish that was stored."""
        record.request += 1
        record.used_at = time.monotonic()
        record.failed = False
        record.cause = cause
        if fresh:
            record.restart = True
            record.failures = []
            record.retry_at = 0.0
        self.reconciler.notice(record.id)

    async def outcome(self, record: PluginRecord, wait: float) -> ChangeResult:
        """Wait until the wish is settled, overtaken by a newer one, or the time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        asked = record.request
        await self._until(lambda: record.request != asked or record.done >= asked, wait)
        detail, generation = self.ledger.detail(record), self.ledger.generation
        if record.request != asked or record.done < asked:
            return ChangeResult(plugin=detail, generation=generation, settled=False)
        if record.failed:
            raise PluginFailedError(detail)
        settled = await self._known(generation, deadline)
        return ChangeResult(plugin=detail, generation=generation, settled=settled)

    async def _until(self, condition: Callable[[], bool], limit: float) -> None:
        await self.ledger.pulse.until(lambda: condition() or self.stopping.is_set(), limit)

    async def _known(self, generation: int, deadline: float) -> bool:
        """Wait until all workers serve a generation, until a time of the loop's clock."""
        left = 0.0 if self.stopping.is_set() else max(0.0, deadline - asyncio.get_running_loop().time())
        return await self.workers.until_serving(generation, left)
