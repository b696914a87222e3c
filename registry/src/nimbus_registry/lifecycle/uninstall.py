"""Taking a plugin away. Its data stay unless a person says otherwise."""

from dataclasses import dataclass

import structlog
from nimbus_sdk.contracts.install import UninstallResult

from nimbus_registry.errors import BusyError, FetchFailedError
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.requests import Requests
from nimbus_registry.lifecycle.reservation import reserved
from nimbus_registry.lifecycle.states import RESTING
from nimbus_registry.runtime.base import Runtime, RuntimeFailure
from nimbus_registry.store.installation import Installation
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

STOP_SECONDS = 60.0
REST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Uninstaller:
    """Stops plugins and forgets them."""

    ledger: Ledger
    runtime: Runtime
    requests: Requests

    async def uninstall(
        self, plugin_id: str, *, delete_data: bool, cause: str, cascade: bool = False, force: bool = False
    ) -> UninstallResult:
        """Stop a plugin, forget it with its versions, and delete its data when that is asked for.

        Plugins that need it are disabled first with `cascade`, and left as they are with `force`.

        One that comes from a folder is discovered again as long as the folder is there: it stays on the list,
        disabled, and what was decided about it is forgotten.

        Raises:
            PluginNotFoundError: there is no such plugin.
            PluginNeededError: enabled plugins need it; nothing was changed.
            BusyError: its version or data are being changed, or it does not stop in time; nothing was forgotten.
            FetchFailedError: its data could not be deleted; nothing was forgotten.
            DatabaseUnavailableError: it could not be stored.
        """
        record = self.ledger.get(plugin_id)
        with reserved(record, "uninstallation"):
            return await self._uninstall(record, delete_data=delete_data, cause=cause, cascade=cascade, force=force)

    async def _uninstall(
        self, record: PluginRecord, *, delete_data: bool, cause: str, cascade: bool, force: bool
    ) -> UninstallResult:
        plugin_id = record.id
        await self.requests.disable(
            plugin_id, cause=cause, wait=STOP_SECONDS, cascade=cascade, force=force, leaves=True
        )
        if not await self._at_rest(record):
            raise BusyError(f"{record.name} is still stopping; try again in a moment.")
        try:
            if delete_data:
                await self.runtime.purge_data(plugin_id)
            await self.runtime.remove(plugin_id)
        except RuntimeFailure as failure:
            raise FetchFailedError(reasons.from_runtime(failure)) from failure
        listed = record.is_discovered and not record.source_missing
        if listed:
            record.installation = Installation()
            await self.ledger.store(record)
        else:
            self.ledger.removed(record)
            await self.ledger.flush()
        self.requests.reconciler.refresh()
        log.info("plugin uninstalled", plugin=plugin_id, data_deleted=delete_data, cause=cause)
        return UninstallResult(
            plugin_id=plugin_id, data_deleted=delete_data, still_listed=listed, generation=self.ledger.generation
        )

    async def _at_rest(self, record: PluginRecord) -> bool:
        return await self.ledger.pulse.until(lambda: record.state in RESTING and not record.busy, REST_SECONDS)
