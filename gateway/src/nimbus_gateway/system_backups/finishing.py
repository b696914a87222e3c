"""The second half of a restore: plugins are brought back and enabled, or only enabled again."""

import asyncio
from dataclasses import dataclass
from typing import IO

import structlog
from nimbus_sdk.contracts.system_backup import BackupProgress, PluginRestored, SystemRestore

from nimbus_gateway.audit.tables import AuditEntry
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.journal import Journal
from nimbus_gateway.system_backups.making import JOB_SECONDS
from nimbus_gateway.system_backups.plugin_restore import Outcome, PluginRestores
from nimbus_gateway.system_backups.plugin_switch import LeftOff, PluginSwitch
from nimbus_gateway.system_backups.progress import Teller
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_gateway.system_backups.verify import Verified

log = structlog.get_logger("nimbus.backups")


def teller_of(shelf: Shelf, noted: SystemRestore) -> Teller:
    """Tells how a restore goes on in its note."""

    def tell(progress: BackupProgress) -> None:
        noted.progress = progress
        shelf.note_restore(noted)

    return Teller(tell)


@dataclass(frozen=True, slots=True)
class Finishing:
    """What is left of a restore, as its journal says; whatever of it was done already can be done again.

    Attributes:
        state: the worker's state.
        shelf: where the backup is; the caller holds its lock.
        noted: how the restore goes.
        journal: what is left to do.
    """

    state: GatewayState
    shelf: Shelf
    noted: SystemRestore
    journal: Journal

    async def replaced(self) -> bool:
        """Whether the tables were replaced.

        Raises:
            DatabaseUnavailableError: nobody knows yet.
        """
        async with self.state.database.read() as session:
            return await session.get(AuditEntry, self.journal.marker) is not None

    async def switch_back(self) -> None:
        """Enable again what was on. What cannot be is in the note."""
        left = await PluginSwitch(self.state, self.journal.cause).start(self.journal.wanted)
        self.noted.plugins = [
            PluginRestored(
                id=plugin_id,
                outcome="failed",
                message=f"It was stopped for the restore and could not be enabled again: {one.reason}",
            )
            for plugin_id, one in left.items()
        ]
        await self._settle(left)

    async def bring_back(self, file: IO[bytes], found: Verified) -> None:
        """Bring the plugins back to the backup whose tables are there by now, and enable those that were on.

        Whatever happens to one of them, the others are enabled. It may be done twice.
        """
        teller, head = teller_of(self.shelf, self.noted), found.head
        total = len(head.plugins) + 2
        self.noted.changed, self.noted.rows = True, found.rows
        outcomes: list[Outcome] = []
        try:
            async with asyncio.timeout(JOB_SECONDS):
                for number, plugin in enumerate(head.plugins, 1):
                    await teller.say(f"Plugin {plugin.name}", done=number, total=total)
                    plugins = PluginRestores(self.state, self.journal.cause)
                    outcomes.append(await plugins.restore(plugin, file, found.data.get(plugin.id)))
                    self.noted.plugins = [outcome.shown() for outcome in outcomes]
        except TimeoutError:
            log.exception("not all plugins could be brought back in time", backup=self.noted.backup_id)
            present = self.state.snapshots.current.plugins
            outcomes += [
                Outcome(plugin.id, there=plugin.id in present, problems=["There was no time left for it."])
                for plugin in head.plugins[len(outcomes) :]
            ]
        await teller.say("Starting the plugins", done=total - 1, total=total)
        there = {outcome.id: outcome for outcome in outcomes if outcome.there}
        self.journal.phase, self.journal.wanted = (
            "starting",
            [one.id for one in head.plugins if one.enabled and one.id in there],
        )
        await self._write()
        left = await PluginSwitch(self.state, self.journal.cause).start(self.journal.wanted)
        for plugin_id in self.journal.wanted:
            if plugin_id in left:
                there[plugin_id].problems.append(f"It could not be enabled: {left[plugin_id].reason}")
            else:
                there[plugin_id].done.append("enabled")
        known = {plugin.id for plugin in head.plugins}
        self.noted.plugins = [outcome.shown() for outcome in outcomes] + [
            PluginRestored(
                id=plugin_id,
                outcome="not-in-backup",
                message="It is not in the backup: it is off now, without settings and keys; its data are untouched.",
            )
            for plugin_id in self.journal.there
            if plugin_id not in known
        ]
        await self._settle(left)
        log.info("backup of everything restored", backup=self.noted.backup_id)

    async def _settle(self, left: dict[str, LeftOff]) -> None:
        """Nothing is left to do, unless a plugin could not be enabled that can be in a while."""
        waits = [plugin_id for plugin_id, one in left.items() if one.passing]
        if not waits:
            await asyncio.to_thread(self.shelf.set_journal, None)
            return
        self.journal.phase, self.journal.wanted = "starting", waits
        await self._write()

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(self.shelf.set_journal, self.journal)
        except OSError as error:
            log.warning("what a restore has to do yet could not be written down", reason=str(error))
