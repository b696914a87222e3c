"""Restoring a backup of everything.

It is checked whole; then the plugins are stopped, what is there is backed up, the tables are replaced in one
transaction, and the plugins brought back one after the other. What is left to do is in the journal before it is
begun, so that a restore that is cut off is finished or undone by whoever starts next (`resuming`).
"""

import asyncio
from dataclasses import dataclass
from typing import IO

import structlog
from nimbus_sdk.contracts.system_backup import SystemBackup, SystemRestore

from nimbus_gateway.audit.tables import AuditEntry
from nimbus_gateway.core.config.sealing import SecretBox
from nimbus_gateway.database import new_id
from nimbus_gateway.errors import ConflictError
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.finishing import Finishing, teller_of
from nimbus_gateway.system_backups.journal import Journal
from nimbus_gateway.system_backups.making import JOB_SECONDS, Making
from nimbus_gateway.system_backups.plugin_switch import PluginSwitch
from nimbus_gateway.system_backups.progress import Teller
from nimbus_gateway.system_backups.seals import check_seal, check_sealed_rows
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_gateway.system_backups.transfer import Import, import_tables
from nimbus_gateway.system_backups.verify import Verified, verified

log = structlog.get_logger("nimbus.backups")


@dataclass(frozen=True, slots=True)
class Restoring:
    """Restores one backup. `box` opens its secrets; `cause` is who asked."""

    state: GatewayState
    shelf: Shelf
    cause: str
    box: SecretBox

    async def restore(self, noted: SystemRestore, before: SystemBackup | None, passphrase: str) -> None:
        """Restore it; `noted` says how it went.

        Args:
            noted: its note, which is kept up to date.
            before: the new backup of what is there now, if one is to be made first.
            passphrase: of that one.

        Raises:
            GatewayError: it was not restored; `noted.changed` says whether anything is different.
            TimeoutError: it took far too long.
        """
        teller = teller_of(self.shelf, noted)
        with await asyncio.to_thread(self.shelf.file(noted.backup_id).open, "rb") as file:
            await teller.say("Checking the whole backup")
            found = await asyncio.to_thread(verified, file)
            check_seal(self.box, found.sums, found.seal)
            await asyncio.to_thread(check_sealed_rows, self.box, file, found)
            switch = PluginSwitch(self.state, self.cause)
            present = await self.state.registry.plugins()
            enabled = [one for one in present if one.enabled]
            journal = Journal(
                backup_id=noted.backup_id,
                cause=self.cause,
                marker=new_id(),
                wanted=[one.id for one in enabled],
                there=[one.id for one in present],
            )
            await asyncio.to_thread(self.shelf.set_journal, journal)
            end = Finishing(self.state, self.shelf, noted, journal)
            try:
                async with asyncio.timeout(JOB_SECONDS):
                    total = len(found.head.plugins) + 2
                    await teller.say("Stopping the plugins", total=total)
                    await switch.stop(enabled)
                    if before is not None:
                        await self._keep(end, before, passphrase, found, teller)
                    await switch.check_off()
                    await teller.say("Accounts, settings, library and the rest of the core", total=total)
                    await self._import(file, found, journal)
            except Exception:
                if not await end.replaced():
                    await end.switch_back()
                    raise
                log.exception("the tables were replaced although something failed", backup=noted.backup_id)
            await end.bring_back(file, found)

    async def _keep(
        self, end: Finishing, before: SystemBackup, passphrase: str, found: Verified, teller: Teller
    ) -> None:
        """Back up what is there now, while nothing writes.

        Raises:
            ConflictError: data that the restore would replace cannot be kept.
        """
        making = Making(self.state, self.shelf, self.cause, enabled=frozenset(end.journal.wanted))
        await making.make(before, passphrase, teller)
        lost = [f"{one.id} ({one.problem})" for one in before.plugins if one.problem and one.id in found.data]
        if lost:
            await asyncio.to_thread(self.shelf.delete, before.id)
            raise ConflictError(
                f"The data of these plugins would be replaced and cannot be kept: {'; '.join(lost)}. Nothing was "
                "changed. Restore without keeping what is there now if you can do without it."
            )
        end.noted.kept_as = before.id

    async def _import(self, file: IO[bytes], found: Verified, journal: Journal) -> None:
        boxes = (self.box, self.state.accounts.box)
        entry = AuditEntry(
            id=journal.marker,
            actor=self.cause,
            action="system.restore-tables",
            target=f"backup:{journal.backup_id}",
        )
        await import_tables(
            self.state.database, self.state.accounts.changes, Import(file, found, boxes, entry.model_dump())
        )
